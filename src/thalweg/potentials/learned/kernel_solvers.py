"""Solving ``(K + noise) a = F`` for the coefficients of a gradient-domain model: at once, or by iteration.

The closed form factorizes ``K`` in place (Cholesky): memory ``8 n^2`` bytes and ``n^3 / 3`` multiplications for ``n``
force components. Conjugate gradients need only products ``K a``, which the contracted model gives without ``K``, and
converge fast when preconditioned by the covariance of all frames with some of them (Nyström) [chmiela2023].
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import blas, cho_factor, cho_solve, solve_triangular

from thalweg.potentials.learned.gradient_domain_term import GradientDomainTerm
from thalweg.potentials.learned.hessian_kernel import (
    CHUNK,
    Covariance,
    force_covariance,
    joint_covariance,
    noise_variances,
    prior_variances,
)


def free_memory() -> float:
    """Memory that could be used now [bytes]; infinite where the system does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable"):
                    return 1024.0 * int(line.split()[1])
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (OSError, ValueError):
        return float("inf")


@dataclass(frozen=True)
class ClosedForm:
    """Cholesky factorization in 64 bits.

    Parameters
    ----------
    memory : most that may be used [bytes]; None is what is free
    """

    memory: float | None = None

    def needed(self, frames: int, atoms: int) -> float:
        """Memory that a fit takes [bytes]."""
        return 8.0 * (3 * atoms * frames) ** 2 + 2.5e8

    def check(self, frames: int, atoms: int) -> None:
        """Refuse a fit that would not fit.

        Raises
        ------
        MemoryError
            If it needs more memory than there is.
        """
        refuse(self.needed(frames, atoms), self.memory, f"{frames} frames of {atoms} atoms in closed form")

    def solve(
        self,
        covariance: Covariance,
        scale: np.ndarray,
        parts: np.ndarray,
        group: np.ndarray,
        positions: np.ndarray,
        forces: np.ndarray,
        energies: np.ndarray | None,
        noise: float,
        report: Callable[[str, float], None],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients of forces, shaped like them, and of energies (frames,)."""
        prior = covariance, scale, parts, group
        matrix = joint_covariance(*prior, positions, positions, energies is not None)
        report("covariances of all labels", 0.4)
        matrix[np.diag_indices(len(matrix))] += noise_variances(matrix, len(forces), forces[0].size, noise)
        # rows of the lower triangle are columns of the upper one of the transpose, which LAPACK takes in place
        factor = cho_factor(matrix.T, lower=False, overwrite_a=True, check_finite=False)
        report("factorized", 0.9)
        return split(cho_solve(factor, joined(forces, energies), check_finite=False), forces)


@dataclass(frozen=True)
class ConjugateGradients:
    """Conjugate gradients, preconditioned by the covariances with some of the frames.

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
    memory: float | None = None

    def needed(self, frames: int, atoms: int) -> float:
        """Memory that a fit takes [bytes]."""
        return 8.0 * (3 * atoms) ** 2 * frames * min(self.landmarks, frames) * 2 + 5e8

    def check(self, frames: int, atoms: int) -> None:
        """Refuse a fit that would not fit.

        Raises
        ------
        MemoryError
            If it needs more memory than there is.
        """
        what = f"{frames} frames of {atoms} atoms with {self.landmarks} landmarks"
        refuse(self.needed(frames, atoms), self.memory, what)

    def solve(
        self,
        covariance: Covariance,
        scale: np.ndarray,
        parts: np.ndarray,
        group: np.ndarray,
        positions: np.ndarray,
        forces: np.ndarray,
        energies: np.ndarray | None,
        noise: float,
        report: Callable[[str, float], None],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients of forces, shaped like them, and of energies: zero, as energies are not fitted here."""
        chosen = np.unique(
            np.linspace(0, len(positions) - 1, min(self.landmarks, len(positions))).astype(int)
        )
        columns = force_covariance(covariance, scale, parts, group, positions, positions[chosen])
        report("covariances with landmarks", 0.25)
        size = forces[0].size
        rows = (chosen[:, None] * size + np.arange(size)).ravel()
        inner = columns[rows]
        shift = noise * prior_variances(covariance, scale, parts, group, positions)[1].mean()
        precondition = nystrom_preconditioner(columns, inner, shift)
        numbers = np.zeros(forces.shape[1], int)

        rest = np.zeros(len(forces)), forces, noise

        def times(vector):
            model = GradientDomainTerm.of(
                numbers, covariance, scale, parts, group, positions, vector.reshape(forces.shape), *rest
            )
            return model.forces_at(positions).ravel() + shift * vector

        solution, residual = np.zeros(forces.size), forces.ravel().copy()
        reach = self.tolerance * np.linalg.norm(residual)
        direction = improved = precondition(residual)
        product = residual @ improved
        for k in range(self.iterations):
            image = times(direction)
            step = product / (direction @ image)
            solution, residual = solution + step * direction, residual - step * image
            left = np.linalg.norm(residual)
            report(
                f"iteration {k + 1}: residual {left / reach * self.tolerance:.2e}",
                0.3 + 0.6 * k / self.iterations,
            )
            if left < reach:
                break
            improved = precondition(residual)
            product, before = residual @ improved, product
            direction = improved + product / before * direction
        return split(solution, forces)


@dataclass(frozen=True)
class Landmarks:
    """Least squares for all forces with only some of the frames in the model (projected process) [rasmussen2006].

    The model is as small as its landmarks, in memory and in a simulation. With smooth covariances a few times fewer
    landmarks than frames lose little.

    Parameters
    ----------
    count : frames in the model, evenly spread over those given
    memory : most that may be used [bytes]; None is what is free
    """

    count: int = 200
    memory: float | None = None

    def needed(self, frames: int, atoms: int) -> float:
        """Memory that a fit takes [bytes]."""
        chosen = min(self.count, frames)
        return 8.0 * (3 * atoms) ** 2 * chosen * (frames + 2 * chosen) + 5e8

    def check(self, frames: int, atoms: int) -> None:
        """Refuse a fit that would not fit.

        Raises
        ------
        MemoryError
            If it needs more memory than there is.
        """
        refuse(
            self.needed(frames, atoms),
            self.memory,
            f"{frames} frames of {atoms} atoms, {self.count} landmarks",
        )

    def solve(
        self,
        covariance: Covariance,
        scale: np.ndarray,
        parts: np.ndarray,
        group: np.ndarray,
        positions: np.ndarray,
        forces: np.ndarray,
        energies: np.ndarray | None,
        noise: float,
        report: Callable[[str, float], None],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients of forces, shaped like them, and of energies (frames,); zero for other frames than landmarks."""
        prior = covariance, scale, parts, group
        chosen = np.unique(np.linspace(0, len(positions) - 1, min(self.count, len(positions))).astype(int))
        marks = positions[chosen]
        with_energies = energies is not None
        inner = joint_covariance(*prior, marks, marks, with_energies)
        size = forces[0].size
        force_variance = noise_variances(inner, len(marks), size, noise)[0]
        inner[np.diag_indices(len(inner))] += noise_variances(inner, len(marks), size, 1e-11)
        factor = cho_factor(inner, lower=True, overwrite_a=True, check_finite=False)[0]
        normal, right = np.zeros((len(inner), len(inner)), order="F"), np.zeros(len(inner))
        step = max(CHUNK, len(chosen) // CHUNK * CHUNK)
        for start in range(0, len(positions), step):
            part = slice(start, start + step)
            columns = joint_covariance(*prior, positions[part], marks, with_energies)
            labels = joined(forces[part], None if energies is None else energies[part])
            heavy = len(forces[part]) * size
            columns[heavy:] *= 10  # the noise of energies is that of forces times 0.1 nm
            labels[heavy:] *= 10
            basis = solve_triangular(factor, columns.T, lower=True, check_finite=False)
            normal = blas.dsyrk(1.0, basis, 1.0, normal, overwrite_c=1)
            right += basis @ labels
            report("normal equations", 0.2 + 0.6 * min(1.0, (start + step) / len(positions)))
        normal[np.diag_indices(len(normal))] += force_variance
        whitened = cho_solve(cho_factor(normal, overwrite_a=True, check_finite=False), right)
        solution, heights = np.zeros(forces.shape), np.zeros(len(forces))
        solution[chosen], heights[chosen] = split(
            solve_triangular(factor, whitened, lower=True, trans="T"), forces[chosen]
        )
        report("solved", 0.9)
        return solution, heights


def nystrom_preconditioner(
    columns: np.ndarray, inner: np.ndarray, shift: float
) -> Callable[[np.ndarray], np.ndarray]:
    """The inverse of ``columns inner^-1 columns^T + shift`` as a function of vectors (Woodbury's identity)."""
    inner = inner + 1e-10 * np.trace(inner) / len(inner) * np.eye(len(inner))
    factor = cho_factor(inner, lower=True)[0]
    basis = solve_triangular(factor, columns.T, lower=True, check_finite=False)
    capacitance = basis @ basis.T
    capacitance[np.diag_indices(len(capacitance))] += shift
    small = cho_factor(capacitance, lower=True)
    return lambda vector: (vector - basis.T @ cho_solve(small, basis @ vector)) / shift


def joined(forces: np.ndarray, energies: np.ndarray | None) -> np.ndarray:
    """All force components, then energies if there are any."""
    return forces.ravel() if energies is None else np.concatenate([forces.ravel(), energies])


def split(labels: np.ndarray, forces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What `joined` joined, shaped like ``forces`` and (frames,); zeros for energies that are not there."""
    rest = labels[forces.size :]
    return labels[: forces.size].reshape(forces.shape), rest if len(rest) else np.zeros(len(forces))


def refuse(needed: float, allowed: float | None, what: str) -> None:
    """Raise a MemoryError with the numbers if ``needed`` [bytes] is more than there is."""
    available = free_memory() if allowed is None else allowed
    if needed > available:
        raise MemoryError(
            f"fitting {what} needs {needed / 2**30:.1f} GiB, {available / 2**30:.1f} GiB are there; use fewer "
            "frames, or the solver Landmarks() or ConjugateGradients() with few landmarks"
        )
