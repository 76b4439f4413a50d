"""Solving ``(K + noise) a = F`` for the coefficients of a gradient-domain model: at once, or by iteration.

The closed form factorizes ``K`` in place (Cholesky): memory ``8 n^2`` bytes and ``n^3 / 3`` multiplications for ``n``
force components. Conjugate gradients need only products ``K a``, which the contracted model gives without ``K``, and
converge fast when preconditioned by the covariance of all frames with some of them (Nyström) [chmiela2023].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import blas, cho_factor, cho_solve, solve_triangular

from thalweg.learned_potentials.gradient_domain.hessian_kernel import (
    CHUNK,
    Prior,
    force_covariance,
    noise_variances,
    prior_variances,
)
from thalweg.learned_potentials.gradient_domain.observations import LabelCovariance, Observed, ObservedLabels
from thalweg.learned_potentials.gradient_domain.term import GradientDomainTerm
from thalweg.learned_potentials.terms.learner import FitInfo
from thalweg.machine.memory import SPARED, available_memory, require_memory
from thalweg.units import InCode

FEWEST = 20
"""Fewer frames in a model than this are not taken without being asked for."""

Report = Callable[[str, float], None]


class KernelSolution(NamedTuple):
    """What a solver found.

    Attributes
    ----------
    coefficients : (labels,)
    iterations : 0 for a solution in closed form
    residual : norm of what is left, over that of the labels
    converged : whether that is as little as was asked for
    """

    coefficients: np.ndarray
    iterations: int = 0
    residual: float = 0.0
    converged: bool = True

    def info(self, chosen: Mapping[str, float | str], notes: tuple[str, ...] = ()) -> FitInfo:
        """How a fit with these ``chosen`` settings went, after ``notes`` of what came before."""
        iterated = f"{self.iterations} iterations left a residual of {self.residual:.2g} of the labels."
        return FitInfo(
            chosen, converged=self.converged, notes=(*notes, *((iterated,) if self.iterations else ()))
        )


@dataclass(frozen=True)
class ClosedForm:
    """Cholesky factorization in 64 bits.

    Parameters
    ----------
    memory : most that may be used [bytes]; None is what is free
    """

    memory: InCode[float | None] = None

    def needed(self, frames: int, size: int) -> float:
        """Memory that a fit of ``frames`` with ``size`` forces each takes [bytes]."""
        return 8.0 * ((size + 1) * frames) ** 2 + 2.5e8

    def solve(
        self, prior: LabelCovariance, observed: Observed, labels: np.ndarray, noise: float, report: Report
    ) -> KernelSolution:
        """Coefficients of all ``labels``."""
        matrix = prior.joint_covariance(observed, observed)
        report("covariances of all labels", 0.4)
        matrix[np.diag_indices(len(matrix))] += noise_variances(matrix, observed, noise)
        # rows of the lower triangle are columns of the upper one of the transpose, which LAPACK takes in place
        factor = cho_factor(matrix.T, lower=False, overwrite_a=True, check_finite=False)
        report("factorized", 0.9)
        return KernelSolution(cho_solve(factor, labels, check_finite=False))


@dataclass(frozen=True)
class ConjugateGradients:
    """Conjugate gradients, preconditioned by the covariances with some of the frames; energies are not fitted.

    Parameters
    ----------
    landmarks : frames the preconditioner knows, evenly spread over those given
    tolerance : stop when the residual is this much smaller than the forces; no fit is better than its labels, and
        1e-3 of the forces is a few meV/Å at the start of what matters
    iterations : stop after this many
    memory : most that may be used [bytes]; None is what is free
    """

    landmarks: int = 50
    tolerance: float = 1e-3
    iterations: int = 300
    memory: InCode[float | None] = None

    def needed(self, frames: int, size: int) -> float:
        """Memory that a fit of ``frames`` with ``size`` forces each takes [bytes]."""
        return 16.0 * size**2 * frames * min(self.landmarks, frames) + 5e8

    def solve(
        self, prior: Prior, observed: ObservedLabels, labels: np.ndarray, noise: float, report: Report
    ) -> KernelSolution:
        """Coefficients of all ``labels``, zero for energies.

        =======================  ==================================================================
        ``K_nm``                 ``columns``, of the forces of all frames with those of landmarks
        ``K_mm``                 ``inner``, those rows of it that are of landmarks
        ``r, a``                 ``residual`` and ``solution`` (labels,), ``r = F - (K + noise) a``
        ``z, p, (K + noise) p``  ``improved`` (preconditioned residual), ``direction``, ``image``
        =======================  ==================================================================
        """
        forces_only = ObservedLabels(observed.positions, observed.directions, False)
        chosen = _evenly(len(observed.positions), self.landmarks)
        # Nyström: K is about K_nm K_mm^-1 K_mn, with the landmarks m
        columns = force_covariance(prior, forces_only, forces_only[chosen])
        report("covariances with landmarks", 0.25)
        inner = columns[forces_only.rows(chosen)]
        variances = prior_variances(prior, observed.positions)[1]
        shift = noise * variances.sum() / observed.components
        precondition = _nystrom_preconditioner(columns, inner, shift)
        positions = observed.positions
        numbers, heights = np.zeros(positions.shape[1], int), np.zeros(len(positions))

        def times(vector):
            """``(K + noise) vector``: forces of the model with these coefficients."""
            model = GradientDomainTerm.of(numbers, prior, positions, forces_only.forces(vector), heights)
            return forces_only.labels(model.forces_at(positions)) + shift * vector

        # preconditioned conjugate gradients: r residual, z improved, p direction, (K + noise) p image
        residual = labels[: observed.components].copy()
        solution = np.zeros(len(residual))
        goal = self.tolerance * np.linalg.norm(residual)
        direction = improved = precondition(residual)
        product = residual @ improved
        for k in range(self.iterations):
            image = times(direction)
            step = product / (direction @ image)
            solution, residual = solution + step * direction, residual - step * image
            left = np.linalg.norm(residual)
            report(
                f"iteration {k + 1}: residual {left / goal * self.tolerance:.2e}",
                0.3 + 0.6 * k / self.iterations,
            )
            if left < goal:
                break
            improved = precondition(residual)
            product, before = residual @ improved, product
            direction = improved + product / before * direction
        coefficients = np.concatenate([solution, np.zeros(observed.count - observed.components)])
        return KernelSolution(coefficients, k + 1, float(left / goal * self.tolerance), bool(left < goal))


@dataclass(frozen=True)
class ProjectedProcess:
    """Least squares for all forces with only some of the frames in the model (projected process) [rasmussen2006].

    The model is as small as its landmarks, in memory and in a simulation. With smooth covariances a few times fewer
    landmarks than frames lose little.

    Parameters
    ----------
    count : frames in the model, evenly spread over those given
    memory : most that may be used [bytes]; None is what is free
    """

    count: int = 200
    memory: InCode[float | None] = None

    def needed(self, frames: int, size: int) -> float:
        """Memory that a fit of ``frames`` with ``size`` forces each takes [bytes]."""
        chosen = min(self.count, frames)
        return 8.0 * size**2 * chosen * (frames + 2 * chosen) + 5e8

    def solve(
        self, prior: LabelCovariance, observed: Observed, labels: np.ndarray, noise: float, report: Report
    ) -> KernelSolution:
        """Coefficients of all ``labels``, zero for those of other frames than landmarks.

        With ``m`` the labels of landmarks and ``K_mm = L L^T`` the coefficients are ``L^-T u`` of the least squares

            (L^-1 K_mn K_nm L^-T + noise) u = L^-1 K_mn y,

        whose sums, ``normal`` and ``right``, are made of a few frames at a time.
        """
        frames = len(observed)
        chosen = _evenly(frames, self.count)
        marks = observed[chosen]
        inner = prior.joint_covariance(marks, marks)
        force_variance = noise_variances(inner, marks, noise)[0]
        inner[np.diag_indices(len(inner))] += noise_variances(inner, marks, 1e-11)
        factor = cho_factor(inner, lower=True, overwrite_a=True, check_finite=False)[0]
        normal, right = np.zeros((len(inner), len(inner)), order="F"), np.zeros(len(inner))
        step = max(CHUNK, len(chosen) // CHUNK * CHUNK)
        for start in range(0, frames, step):
            part = np.arange(start, min(start + step, frames))
            block = observed[part]
            columns, values = prior.joint_covariance(block, marks), labels[observed.rows(part)]
            columns[block.components :] *= 10  # the noise of energies is that of forces times 0.1 nm
            values[block.components :] *= 10
            basis = solve_triangular(factor, columns.T, lower=True, check_finite=False)
            normal = blas.dsyrk(1.0, basis, 1.0, normal, overwrite_c=1)
            right += basis @ values
            report("normal equations", 0.2 + 0.6 * min(1.0, (start + step) / frames))
        normal[np.diag_indices(len(normal))] += force_variance
        whitened = cho_solve(cho_factor(normal, overwrite_a=True, check_finite=False), right)
        solution = np.zeros(observed.count)
        solution[observed.rows(chosen)] = solve_triangular(factor, whitened, lower=True, trans="T")
        report("solved", 0.9)
        return KernelSolution(solution)


Solver = ClosedForm | ProjectedProcess | ConjugateGradients


def affordable(solver: Solver, frames: int, size: int, beside: float = 0.0) -> tuple[Solver, tuple[str, ...]]:
    """The ``solver``, or one of fewer frames in the model where the closed form would not fit, and what was changed.

    Parameters
    ----------
    frames, size : how many, and forces of each
    beside : bytes that are taken by something else

    Raises
    ------
    MemoryError
        If it needs more memory than there is or than the solver may use, and not even `FEWEST` frames would fit, or
        another solver was asked for.
    """
    usable = solver.memory if solver.memory is not None else (1 - SPARED) * available_memory()
    if isinstance(solver, ClosedForm) and solver.needed(frames, size) + beside > usable:
        # m marks need 8 size^2 m (frames + 2 m) + 5e8 bytes
        room = max(usable - beside - 5e8, 0.0) / (8.0 * size**2)
        count = min(int((np.sqrt(frames**2 + 8 * room) - frames) / 4), frames // 2)
        if count >= FEWEST:
            needed = (solver.needed(frames, size) + beside) / 1e9
            return ProjectedProcess(count, solver.memory), (
                f"All {frames} frames in the model would need {needed:.3g} GB, {usable / 1e9:.3g} GB can be had here: "
                f'it has {count} of them, fitted to the forces of all (solver = {{kind = "ProjectedProcess", '
                f"count = {count}}}).",
            )
    _require_solver_memory(solver, frames, size, beside)
    return solver, ()


def _require_solver_memory(solver: Solver, frames: int, size: int, beside: float = 0.0) -> None:
    """Refuse a fit of ``frames`` with ``size`` forces each that would not fit ``beside`` other bytes.

    Raises
    ------
    MemoryError
        If it needs more memory than there is, or than the solver may use.
    """
    require_memory(
        solver.needed(frames, size) + beside,
        f"{type(solver).__name__} of {frames} frames with {size} forces each; use fewer frames, or in [learner] "
        'solver = {kind = "ProjectedProcess", count = 100} (for inverse distances also "ConjugateGradients")',
        solver.memory,
    )


def _evenly(frames: int, count: int) -> np.ndarray:
    """Numbers of at most ``count`` frames, spread evenly."""
    return np.unique(np.linspace(0, frames - 1, min(count, frames)).astype(int))


def _nystrom_preconditioner(
    columns: np.ndarray, inner: np.ndarray, shift: float
) -> Callable[[np.ndarray], np.ndarray]:
    """The inverse of ``columns inner^-1 columns^T + shift`` as a function of vectors (Woodbury's identity)."""
    inner = inner + 1e-10 * np.trace(inner) / len(inner) * np.eye(len(inner))
    # B = L^-1 K_mn with K_mm = L L^T; (B^T B + shift)^-1 = (1 - B^T (B B^T + shift)^-1 B) / shift
    factor = cho_factor(inner, lower=True)[0]
    basis = solve_triangular(factor, columns.T, lower=True, check_finite=False)
    capacitance = basis @ basis.T
    capacitance[np.diag_indices(len(capacitance))] += shift
    capacitance_factor = cho_factor(capacitance, lower=True)
    return lambda vector: (vector - basis.T @ cho_solve(capacitance_factor, basis @ vector)) / shift
