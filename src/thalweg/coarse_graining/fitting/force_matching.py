"""Multiscale coarse-graining: the energy whose forces come nearest to the mapped ones, in one pass [izvekov2005].

For ``U = U_prior + sum_k c_k Phi_k`` the squared difference of forces

    chi^2(c) = < |F(x) + grad U_prior + sum_k c_k grad Phi_k|^2 >

has its least value at the solution of normal equations, whose sums merge: data may come in parts that are read once,
and fits of halves equal the fit of the whole. With enough functions the minimum is the potential of mean force
[noid2008]. Most of what remains of ``chi^2`` is the spread of forces at fixed beads, which no potential can take away:
it tells little about the surface; see `thalweg.coarse_graining.judgement`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import jax
import numpy as np

from thalweg.coarse_graining.bead_frames import BeadFrames
from thalweg.coarse_graining.fitting.linear_model import LinearCoarseModel, continued
from thalweg.coarse_graining.interactions.interaction import Interaction
from thalweg.learned_potentials.linear.normal_equations import NormalEquations, Sums
from thalweg.learned_potentials.linear.regularization import CrossValidated, Regularization, Solution
from thalweg.learned_potentials.terms.term import Weights
from thalweg.learning.models import Method
from thalweg.potentials.energy import Energy, energy_and_forces
from thalweg.shapes import Float

BYTES = 2e8
"""Rows of about so many bytes are made at a time."""


@dataclass(frozen=True)
class ForceMatching(Method):
    """Least squares of forces.

    Parameters
    ----------
    interactions : what the potential is a sum of
    prior : an energy known before; only what forces it leaves is fitted
    regularization : the strength that predicts stretches of frames left out best, unless told
    folds : stretches of frames that are left out in turn, for that strength and for standard errors

    Examples
    --------
    >>> from thalweg.coarse_graining.interactions.functions import Powers
    >>> from thalweg.coarse_graining.interactions.interaction import BondedInteraction, InternalCoordinate
    >>> rng = np.random.default_rng(0)
    >>> x = np.array([[0.0, 0, 0], [0.15, 0, 0]]) + rng.normal(0, 0.005, (500, 2, 3))
    >>> r = x[:, 1] - x[:, 0]
    >>> length = np.linalg.norm(r, axis=1, keepdims=True)
    >>> pull = -1000.0 * (length - 0.15) * r / length
    >>> frames = BeadFrames(x, kT=2.5, forces=np.stack([-pull, pull], 1))
    >>> bond = BondedInteraction(InternalCoordinate("distance", np.array([[0, 1]]), Powers(0.15)), name="bond")
    >>> ForceMatching((bond,)).fit(frames).coefficients.round(3) + 0.0      # k / 2 of a spring of 1000
    array([  0., 500.])
    """

    interactions: Sequence[Interaction]
    prior: Energy | None = None
    regularization: Regularization = field(default_factory=CrossValidated)
    folds: int = 10

    def fit(self, frames: BeadFrames | Iterable[BeadFrames]) -> LinearCoarseModel:
        """The model for ``frames``, or for parts of them in order of time, each read once.

        Raises
        ------
        ValueError
            If frames have no forces.
        """
        sums, beads = self.sums(frames)
        return self.solve(sums, beads)

    def sums(self, frames: BeadFrames | Iterable[BeadFrames]) -> tuple[tuple[Sums, ...], int]:
        """Normal equations of each fold, which add up over data, and the number of beads."""
        size = sum(len(one.names) for one in self.interactions)
        sums, beads = tuple(Sums(size) for _ in range(self.folds)), 0
        if isinstance(frames, BeadFrames):
            blocks = frames.blocks(self.folds)
            parts: Iterable[BeadFrames] = [frames[blocks == k] for k in np.unique(blocks)]
        else:
            parts = frames
        for k, part in enumerate(parts):
            beads = part.positions.shape[1]
            rows_at_once = max(1, int(BYTES / (8 * 3 * beads * max(size, 1))))
            for piece in part.in_parts(rows_at_once):
                rows, labels = self._rows(piece)
                sums[k % self.folds].add(rows, labels)
        for one in sums:
            one.flush()
        if not beads:
            raise ValueError("there are no frames to match forces of; give at least one part")
        return sums, beads

    def solve(self, sums: Sequence[Sums], beads: int) -> LinearCoarseModel:
        """The model that sums of `sums`, of this data or added over several, lead to."""
        coefficients, errors, info = self.solved(sums)
        counts = np.sum([np.diagonal(one.gram) for one in sums], axis=0)
        coefficients = continued(self.interactions, coefficients, counts)
        return LinearCoarseModel(tuple(self.interactions), coefficients, errors, beads, self.prior, info)

    def solved(self, sums: Sequence[Sums]) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
        """Coefficients, their standard errors, and how the fit went."""
        filled = tuple({"force": one} for one in sums if one.count)
        equations, weights = NormalEquations(filled), Weights(force=1.0)
        # functions count by the size of their forces, so that a strength means the same for all
        scale = np.diagonal(equations.weighted(weights)[0])
        prior = np.where(scale > 0, scale, scale.max(initial=1.0)) / max(scale.max(initial=0.0), 1e-300)
        solution = self.regularization.solve(equations, prior, weights)
        without = [solution.without(equations, k).coefficients for k in range(len(filled))]
        whole = _total(filled)
        residual = whole.residual(solution.coefficients) / max(whole.count, 1)
        info = {
            "mean squared residual [(kJ/mol/nm)^2]": float(residual),
            "of mean squared force": float(residual * whole.count / max(whole.square, 1e-300)),
            "mean squared residual of frames left out": _held_out(solution),
            "strength": float(solution.strength),
        }
        return solution.coefficients, jackknife(np.array(without)), info

    def _rows(self, frames: BeadFrames) -> tuple[np.ndarray, np.ndarray]:
        """Rows ``(frames * beads * 3, functions)`` and labels of frames, weighted."""
        labels = np.array(frames.needed_forces(), float)
        if self.prior is not None:
            labels -= forces_of(self.prior, frames)
        rows = np.concatenate(
            [one.rows(frames.positions, frames.boxes)[1] for one in self.interactions], axis=-1
        )
        if frames.weights is not None:
            root = np.sqrt(frames.weights)[:, None, None]
            rows, labels = rows * root[..., None], labels * root
        return rows.reshape(-1, rows.shape[-1]), labels.ravel()


def forces_of(energy: Energy, frames: BeadFrames) -> Float[np.ndarray, "frames beads 3"]:
    """Forces of an energy on the beads of frames, in 64 bits [kJ/mol/nm]."""
    with jax.enable_x64(True):
        if frames.boxes is None:
            x = np.moveaxis(np.asarray(frames.positions, float), 0, -1)
            return np.moveaxis(np.asarray(energy_and_forces(energy.refreshed(x), x)[1]), -1, 0)
        return np.stack(
            [
                np.asarray(energy_and_forces(energy.refreshed(x, box), x, box)[1])
                for x, box in zip(np.asarray(frames.positions, float), np.asarray(frames.boxes, float))
            ]
        )


def jackknife(without: Float[np.ndarray, "parts values"]) -> Float[np.ndarray, " values"]:
    """Standard errors from estimates that each leave one part of the data out; NaN with fewer than two [efron1979]."""
    parts = len(without)
    if parts < 2:
        return np.full(without.shape[1], np.nan)
    return np.sqrt((parts - 1) * without.var(0))


def _total(folds) -> Sums:
    total = folds[0]["force"]
    for one in folds[1:]:
        total = total + one["force"]
    return total


def _held_out(solution: Solution) -> float:
    return float(solution.held_out.get("force", np.nan)) ** 2
