r"""The free energy of many variables as a sum of terms of one, two, three and four of them.

Equilibrium frames determine the gradient of F by averages alone: for every function :math:`\phi`,
:math:`\langle \nabla F \cdot \nabla \phi \rangle = kT \langle \Delta \phi \rangle`. In a basis
:math:`F = \sum_j c_j \phi_j` these are linear equations [hyvarinen2005],

.. math:: (A + \lambda S)\, c = b, \qquad A_{ij} = \langle \nabla \phi_i \cdot \nabla \phi_j \rangle, \quad
          b_i = kT \langle \Delta \phi_i \rangle ,

each variable in units of its spread. Where mean forces were measured, :math:`b_i = -\langle f \cdot \nabla \phi_i
\rangle` and frames may come from anywhere. The smoothing is that with the best score on frames left out; errors are
those of resampled blocks. No normalization is ever needed, so that ten variables cost no more than their terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from thalweg.kinetics.langevin.likelihoods.splines import SplineAxis, Splines, terms_up_to
from thalweg.kinetics.langevin.profiles import Profile
from thalweg.kinetics.langevin.surface import FittedFreeEnergy
from thalweg.learning.models import Method, Model
from thalweg.machine.memory import require_memory
from thalweg.shapes import Float
from thalweg.time_series.trajectories import Trajectories, TrajectoryData, as_trajectories

BLOCKS = 20
"""Blocks of frames, left out in turn and resampled for errors."""

STRENGTHS = 10.0 ** np.arange(-7.0, 3.0)
"""Strengths of smoothing tried, relative to the mean diagonal of A."""

CHUNK = 500
"""Frames evaluated at once."""


@dataclass(frozen=True)
class ManyBodyFreeEnergy(Method):
    """A free energy with terms of up to four variables.

    Parameters
    ----------
    kT : [kJ/mol]
    order : most variables of one term
    periods : of each variable, None where it has none
    intervals : between knots, of terms of one variable and of two; those of three and four have fewer

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((4000, 3))
    >>> model = ManyBodyFreeEnergy(kT=1.0, order=1).fit(x)
    >>> bool(abs(model.gradient(np.array([[0.5, 0.0, -0.5]]))[0] - [0.5, 0.0, -0.5]).max() < 0.2)
    True
    """

    kT: float
    order: int = 2
    periods: Sequence[float | None] | None = None
    intervals: tuple[int, int] = (12, 6)

    def fit(
        self, data: TrajectoryData, forces: Sequence[Float[np.ndarray, "frames variables"]] | None = None
    ) -> ManyBodyModel:
        """The free energy of ``data``, which are in equilibrium (by their weights), or of mean forces along them.

        Parameters
        ----------
        data : a column per variable
        forces : mean forces ``-dF/dx`` of every frame, one array per trajectory

        Raises
        ------
        ValueError
            If ``order`` is not one to four, forces do not fit, or there are fewer frames than needed.
        """
        trajectories = as_trajectories(data)
        variables = trajectories.n_features
        if not 1 <= self.order <= 4:
            raise ValueError(f"order={self.order}; terms join one to four variables")
        if trajectories.n_frames < 10 * BLOCKS:
            raise ValueError(
                f"{trajectories.n_frames} frames; at least {10 * BLOCKS} are needed for {BLOCKS} blocks"
            )
        if forces is not None and [np.shape(f) for f in forces] != [
            (int(n), variables) for n in trajectories.lengths
        ]:
            raise ValueError(
                f"forces have shapes {[np.shape(f) for f in forces][:3]}, needed is one (frames, variables) array for "
                f"each trajectory, first {(int(trajectories.lengths[0]), variables)}"
            )
        splines = self._splines(trajectories)
        size = splines.size
        require_memory(
            8 * (2 * BLOCKS + 4) * size**2, f"{size} functions; take fewer intervals or a lower order"
        )
        scale = np.concatenate([np.asarray(chunk) for _, _, chunk in trajectories.chunks()]).std(axis=0)
        sums = _block_sums(trajectories, splines, scale, self.kT, forces)
        rough = np.asarray(sum(splines.penalties(3)))
        strength, score = _best_strength(sums, rough)
        coefficients = np.array([_solved(sums, rough, strength, w) for w in _resampled(len(sums[2]))])
        return ManyBodyModel(self, splines, coefficients[0], coefficients[1:], strength, score)

    def _splines(self, trajectories: Trajectories) -> Splines:
        """All terms over the range of the frames."""
        frames = trajectories.strided(50_000)
        periods = self.periods or [None] * trajectories.n_features

        def axes(intervals):
            found = []
            for k, period in enumerate(periods):
                lower, upper = np.quantile(frames[:, k], [0.001, 0.999])
                if period is not None:
                    lower = frames[:, k].min()
                    upper = lower + period
                found.append(SplineAxis(float(lower), float(upper), intervals, period is not None))
            return tuple(found)

        terms = terms_up_to(trajectories.n_features, min(self.order, trajectories.n_features))
        return Splines(axes(self.intervals[0]), terms, axes(self.intervals[1]))


def _block_sums(
    trajectories: Trajectories,
    splines: Splines,
    scale: np.ndarray,
    kT: float,
    forces: Sequence[np.ndarray] | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A, b and the weight of every block."""
    matrices = np.zeros((BLOCKS, splines.size, splines.size))
    vectors, weights = np.zeros((BLOCKS, splines.size)), np.zeros(BLOCKS)
    before = np.concatenate([[0], np.cumsum(trajectories.lengths)])
    for k, start, chunk in trajectories.chunks(CHUNK):
        block = min(int((before[k] + start) * BLOCKS / trajectories.n_frames), BLOCKS - 1)
        chunk = np.asarray(chunk, float)
        own = np.ones(len(chunk))
        if trajectories.weights is not None:
            own = trajectories.weights[k][start : start + len(chunk)]
        weights[block] += own.sum()
        for d, width in enumerate(scale):
            slope = splines.derivatives(chunk, (d,)) * width
            matrices[block] += (slope * own[:, None]).T @ slope
            if forces is None:
                vectors[block] += kT * width**2 * (own @ splines.derivatives(chunk, (d, d)))
            else:
                vectors[block] -= (own * forces[k][start : start + len(chunk), d] * width) @ slope
    return matrices, vectors, weights


def _solved(
    sums: tuple[np.ndarray, np.ndarray, np.ndarray], rough: np.ndarray, strength: float, times: np.ndarray
) -> np.ndarray:
    """Coefficients from blocks, each counted so many times."""
    matrix = np.tensordot(times, sums[0], 1) / (times @ sums[2])
    vector = times @ sums[1] / (times @ sums[2])
    level = np.trace(matrix) / len(matrix)
    stiff = matrix + level * (strength * rough + 1e-9 * np.eye(len(matrix)))
    return np.linalg.solve(stiff, vector)


def _best_strength(sums: tuple[np.ndarray, np.ndarray, np.ndarray], rough: np.ndarray) -> tuple[float, float]:
    """The smoothing of the best score on blocks left out, a fifth at a time, and that score (smaller is better)."""
    fold = np.arange(len(sums[2])) % 5
    scores = []
    for strength in STRENGTHS:
        total = 0.0
        for left in range(5):
            c = _solved(sums, rough, strength, (fold != left).astype(float))
            test = fold == left
            total += (0.5 * c @ sums[0][test].sum(axis=0) @ c - sums[1][test].sum(axis=0) @ c) / sums[2].sum()
        scores.append(total)
    best = int(np.argmin(scores))
    return float(STRENGTHS[best]), float(scores[best])


def _resampled(blocks: int, samples: int = 30) -> np.ndarray:
    """Once every block, then replicates of them ``(1 + samples, blocks)``."""
    random = np.random.default_rng(0)
    return np.concatenate(
        [np.ones((1, blocks)), random.multinomial(blocks, np.full(blocks, 1.0 / blocks), samples)]
    )


@dataclass(frozen=True, eq=False)
class ManyBodyModel(Model):
    """A free energy of many variables.

    Attributes
    ----------
    method : `ManyBodyFreeEnergy`
    splines : its functions
    coefficients : (functions,)
    samples : (samples, functions) from resampled blocks
    strength : of smoothing
    score : on blocks left out, smaller is better; compares orders
    """

    method: ManyBodyFreeEnergy
    splines: Splines
    coefficients: Float[np.ndarray, " functions"]
    samples: Float[np.ndarray, "samples functions"]
    strength: float
    score: float

    def headline(self) -> dict[str, object]:
        """Variables, terms and score."""
        return {
            "variables": len(self.splines.axes),
            "terms": len(self.splines.terms),
            "functions": self.splines.size,
            "held-out score": self.score,
        }

    @cached_property
    def potential(self) -> FittedFreeEnergy:
        """The free energy as a potential: any engine runs it."""
        return FittedFreeEnergy(self.splines, self.coefficients, self.method.kT)

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """``dF/dx`` ``(points, variables)`` at ``x`` ``(points, variables)``."""
        slopes = [self.splines.derivatives(x, (d,)) @ self.coefficients for d in range(x.shape[1])]
        return np.stack(slopes, axis=1)

    def free_energy(self, x: np.ndarray) -> Profile:
        """Free energy at ``x`` ``(points, variables)``, from its mean over these points, with errors."""
        rows = self.splines.derivatives(x, ())
        rows = rows - rows.mean(axis=0)
        errors = (self.samples @ rows.T).std(axis=0, ddof=1)
        return Profile(x, rows @ self.coefficients, errors, "free energy [kJ/mol]")
