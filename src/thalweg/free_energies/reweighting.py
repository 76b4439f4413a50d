"""Weights that turn frames of biased simulations into averages without bias.

Under one bias a frame weighs ``exp(V / kT)``; the offset that metadynamics subtracts makes this hold while
the bias grows, too. Frames from several static biases are combined without loss by the multistate Bennett
acceptance ratio [shirts2008]: the free energies ``f_k`` of the biased ensembles (in kT) solve

``f_k = -log sum_n exp(-u_kn) / sum_l N_l exp(f_l - u_ln)``,

the maximum of a concave likelihood, found here by Newton's method; frame n then has the weight
``1 / sum_l N_l exp(f_l - u_ln)`` without bias.

==========  =================================================
``u_kn``    energy of bias k at frame n, in kT
``N_k``     number of frames sampled under bias k
==========  =================================================
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from scipy.special import logsumexp

from thalweg.learning.models import Model
from thalweg.shapes import Float, Int

LEAST_OVERLAP = 0.01
"""Overlap of ensembles below which the free energies between them mean little."""


def exponential_weights(bias_energy: Float[np.ndarray, " frames"], kT: float) -> Float[np.ndarray, " frames"]:
    """Normalized log weights ``V / kT - log sum exp(V / kT)`` of frames with these bias energies [kJ/mol].

    Parameters
    ----------
    bias_energy : of every frame [kJ/mol]
    kT : [kJ/mol]

    Examples
    --------
    >>> np.exp(exponential_weights(np.array([0.0, 0.0, 2.5 * np.log(2.0)]), kT=2.5)).round(3).tolist()
    [0.25, 0.25, 0.5]
    """
    exponent = np.asarray(bias_energy, float) / kT
    return exponent - logsumexp(exponent)


def effective_sample_size(log_weights: Float[np.ndarray, " frames"]) -> float:
    """Kish's ``(sum w)^2 / sum w^2``: how many frames of equal weight would average as well, were they
    independent.

    Parameters
    ----------
    log_weights : of every frame, up to a common constant

    Examples
    --------
    >>> round(effective_sample_size(np.log([0.5, 0.5, 1e-9])), 6)
    2.0
    """
    return float(np.exp(2 * logsumexp(log_weights) - logsumexp(2 * np.asarray(log_weights))))


@dataclass(frozen=True)
class MBARModel(Model):
    """What `MBAR` found.

    Attributes
    ----------
    free_energies : (biases,) free energies of the biased ensembles, the first at zero [kJ/mol]
    log_weights : (frames,) normalized log weights without bias
    overlap : (biases, biases) chance that a frame of ensemble k, judged by its energies alone, belongs to
        ensemble l
    converged : whether the equations hold to the tolerance
    """

    free_energies: Float[np.ndarray, " biases"]
    log_weights: Float[np.ndarray, " frames"]
    overlap: Float[np.ndarray, "biases biases"]
    converged: bool

    @cached_property
    def _cuts(self) -> list[tuple[float, np.ndarray, int, int]]:
        """Each way to take the ensembles apart where the strongest links that hold all together are weakest.

        Of each: the largest chance of a frame of one ensemble to belong to the other part, the ensembles of one part,
        and the pair of ensembles that shares most across. How many ensembles there are changes none of it, while the
        second eigenvalue of the overlap falls with the square of a row's length.
        """
        links = np.maximum(self.overlap, self.overlap.T)
        # a link of nothing is still an edge of the tree, whose edges are above zero
        tree = minimum_spanning_tree(1.0 - np.log(np.maximum(links, 1e-300))).tocoo()
        found = []
        for cut in range(tree.nnz):
            kept = np.arange(tree.nnz) != cut
            rest = coo_array((tree.data[kept], (tree.row[kept], tree.col[kept])), tree.shape)
            side = connected_components(rest, directed=False)[1] == 0
            across = self.overlap[side][:, ~side].sum(1).max(), self.overlap[~side][:, side].sum(1).max()
            first, second = sorted((int(tree.row[cut]), int(tree.col[cut])))
            found.append((float(max(across)), side, first, second))
        return sorted(found, key=lambda each: each[0])

    @property
    def least_overlap(self) -> float:
        """How well the ensembles hold together: the largest chance of a frame to belong to the other part, of the two
        parts that share least.

        Below `LEAST_OVERLAP` the free energies between the parts mean little; place more biases in between.

        Examples
        --------
        >>> overlap = np.array([[0.6, 0.4, 0.0], [0.4, 0.6, 0.0], [0.0, 0.0, 1.0]])
        >>> MBARModel(np.zeros(3), np.zeros(3), overlap, converged=True).least_overlap
        0.0
        """
        return self._cuts[0][0] if self._cuts else 1.0

    @property
    def parts(self) -> tuple[tuple[int, ...], ...]:
        """Numbers of the ensembles in the parts that hardly share a frame; the two that share least if all do.

        Examples
        --------
        >>> overlap = np.array([[0.6, 0.4, 0.0], [0.4, 0.6, 0.0], [0.0, 0.0, 1.0]])
        >>> MBARModel(np.zeros(3), np.zeros(3), overlap, converged=True).parts
        ((0, 1), (2,))
        """
        apart = [cut for cut in self._cuts if cut[0] < LEAST_OVERLAP] or self._cuts[:1]
        sides = np.array([side for _, side, *_ in apart])
        numbers = range(len(self.overlap))
        if not len(sides):
            return (tuple(numbers),)
        alike = [tuple(sides[:, k]) for k in numbers]
        return tuple(tuple(k for k in numbers if alike[k] == each) for each in dict.fromkeys(alike))

    @property
    def closest_apart(self) -> tuple[int, int]:
        """The two ensembles of different parts that share most: the gap to be filled lies between them."""
        return self._cuts[0][2:]

    @property
    def doubts(self) -> tuple[str, ...]:
        """What is wrong with the numbers: equations not solved, ensembles without overlap."""
        found = []
        if not self.converged:
            found.append("the equations of MBAR were not solved to the tolerance; give more iterations")
        if self.least_overlap < LEAST_OVERLAP:
            parts = " | ".join(", ".join(map(str, part)) for part in self.parts)
            first, second = self.closest_apart
            found.append(
                f"the ensembles fall apart into {parts} with hardly a frame in common (overlap "
                f"{self.least_overlap:.1g}, needed is {LEAST_OVERLAP}): free energies between these mean nothing; "
                f"sample under biases between {first} and {second}, which come closest"
            )
        return tuple(found)


@dataclass(frozen=True)
class MBAR:
    """The multistate Bennett acceptance ratio.

    Parameters
    ----------
    kT : [kJ/mol]
    tolerance : largest relative error of any ensemble's number of frames at the solution
    iterations : Newton steps at most

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = np.concatenate([rng.normal(0, 1, 500), rng.normal(1, 1, 500)])     # bias -x + 1/2 shifts by one
    >>> model = MBAR(kT=1.0).fit(np.stack([0 * x, 0.5 - x]), np.array([500, 500]))
    >>> abs(float(model.free_energies[1])) < 0.1
    True
    """

    kT: float
    tolerance: float = 1e-8
    iterations: int = 100

    def fit(
        self, bias_energies: Float[np.ndarray, "biases frames"], counts: Int[np.ndarray, " biases"]
    ) -> MBARModel:
        """Weights of all frames; what makes them doubtful is told by a warning.

        Parameters
        ----------
        bias_energies : energy of every bias at every frame [kJ/mol], whichever bias the frame was sampled
            under
        counts : number of frames sampled under each bias; may be zero

        Raises
        ------
        ValueError
            If the counts do not add up to the number of frames or an energy is not finite.
        """
        u = np.asarray(bias_energies, float) / self.kT
        counts = np.asarray(counts)
        if len(counts) != len(u) or counts.sum() != u.shape[1]:
            raise ValueError(
                f"counts {counts.tolist()} (sum {counts.sum()}) for {len(u)} biases, {u.shape[1]} frames"
            )
        if not np.isfinite(u).all():
            raise ValueError(
                f"{np.count_nonzero(~np.isfinite(u))} bias energies are not finite; leave those frames out"
            )
        sampled = counts > 0
        f, converged = self._solve(u[sampled], counts[sampled].astype(float))
        # ln w_n = -ln sum_l N_l exp(f_l - u_ln), and f_k = -ln sum_n w_n exp(-u_kn), for biases without frames as well
        log_denominator = logsumexp(f[:, None] - u[sampled], axis=0, b=counts[sampled][:, None])
        log_weights = -log_denominator
        everywhere = -logsumexp(log_weights - u, axis=1)
        # O_kl = sum_n W_nk W_nl N_l with W_nk = w_n exp(f_k - u_kn)
        members = np.exp(everywhere[:, None] - u + log_weights)
        model = MBARModel(
            free_energies=self.kT * (everywhere - everywhere[0]),
            log_weights=log_weights - logsumexp(log_weights),
            overlap=(members @ members.T) * counts,
            converged=converged,
        )
        for doubt in model.doubts:
            warnings.warn(doubt, stacklevel=2)
        return model

    def _solve(self, u, counts):
        """Newton's method on the log likelihood, halving the step while it does not improve."""

        # sum_l N_l f_l - sum_n ln sum_l N_l exp(f_l - u_ln); its gradient is N_l less the frames expected under bias l
        def likelihood(f):
            shifted = f[:, None] - u + np.log(counts)[:, None]
            largest = shifted.max(0)
            members = np.exp(shifted - largest)
            total = members.sum(0)
            return counts @ f - (np.log(total) + largest).sum(), members / total

        f = -logsumexp(-u, axis=1)
        f -= f[0]
        value, members = likelihood(f)
        for _ in range(self.iterations):
            gradient = counts - members.sum(1)
            if np.abs(gradient / counts).max() < self.tolerance:
                return f, True
            # f_0 stays zero: only differences have a meaning
            curvature = np.diag(members.sum(1)) - members @ members.T
            step = np.concatenate([[0.0], np.linalg.lstsq(curvature[1:, 1:], gradient[1:], rcond=1e-14)[0]])
            for scale in 0.5 ** np.arange(30):
                trial, trial_members = likelihood(f + scale * step)
                if trial >= value:
                    break
            else:
                return f, False
            f, value, members = f + scale * step, trial, trial_members
        return f, False
