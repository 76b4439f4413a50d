"""Linear least squares of a molecule's energies and forces in permutationally invariant polynomials.

    minimize  sum_rows weight^2 (sum_a c_a p_a - label)^2 + ridge sum_a n_a c_a^2,

with rows for energies and for every force component (gradients of the polynomials) and ``n_a`` the diagonal of the
normal matrix, so that the ridge does not depend on the scale of the polynomials. Ridge and length of the Morse
variables are those with the least weighted error on a fifth of the training frames held out; the final fit has all.

Source: [braams2009]; energies with gradients [houston2022].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.linalg import blas, cho_factor, cho_solve

from thalweg.learned_potentials.linear.extrapolation import ActiveSet, required
from thalweg.learned_potentials.terms.term import Labels, Weights
from thalweg.machine.memory import require_memory
from thalweg.potentials.energy import Energy, energy_and_forces
from thalweg.representations.molecules.invariant_polynomials import InvariantPolynomials
from thalweg.representations.molecules.molecular_symmetry import molecular_symmetry, same_atoms
from thalweg.shapes import Array, Box, Energies, Float, Positions
from thalweg.systems.configuration import Configuration
from thalweg.units import InCode, Nanometers

TOGETHER = 16
"""Frames whose rows are made together."""


@dataclass(frozen=True)
class PolynomialFit:
    """Learns one molecule with invariant polynomials.

    Parameters
    ----------
    degree : highest degree of the monomials
    lengths : candidates for the decay length of the Morse variables [nm]
    ridges : candidates for the ridge, relative
    size : keep at most this many polynomials, those whose gradients are largest in the training frames; None keeps all
    permutations : of like atoms, a group; automorphisms of the bond graph if None
    memory : most that may be used [bytes]; None is what is free
    """

    degree: int = 3
    lengths: tuple[Nanometers, ...] = (0.1, 0.2)
    ridges: tuple[float, ...] = (1e-6, 1e-8, 1e-10, 1e-12)
    size: int | None = 4000
    permutations: np.ndarray | None = None
    memory: InCode[float | None] = None

    def fit(
        self,
        configurations: Sequence[Configuration],
        *,
        validation: Sequence[Configuration] = (),
        weights: Weights = Weights(),  # noqa: B008
        seed: int = 0,
        progress: Callable[[str, float], None] | None = None,
    ) -> PolynomialTerm:
        """A term for the molecule in ``configurations``; frames in ``validation`` choose in place of a fifth of them.

        Raises
        ------
        ValueError
            If frames are of different atoms or unlabeled, or there are too many monomials.
        MemoryError
            If the normal matrix would not fit.
        """
        report = progress or (lambda message, fraction: None)
        numbers = same_atoms(configurations)
        group = molecular_symmetry(configurations) if self.permutations is None else self.permutations
        order = np.random.default_rng(seed).permutation(len(configurations))
        labeled = [frame.energy for frame in configurations if frame.energy is not None]
        middle = float(np.mean(labeled)) if labeled else 0.0
        frames = [_lowered(configurations[k], middle) for k in order]
        validation = [_lowered(frame, middle) for frame in validation]
        held = len(frames) // 5 if not validation and len(frames) > 4 else 0
        candidates = []
        for length in self.lengths:
            basis = self._basis(frames, group, length)
            require_memory(
                40.0 * basis.count**2, f"{basis.count} polynomials; keep fewer by size", self.memory
            )
            report(f"{basis.count} polynomials of {len(basis.factors)} monomials", 0.0)
            inside = WeightedSums.of(basis, frames[held:], weights)
            outside = (
                WeightedSums.of(basis, validation or frames[:held], weights) if held or validation else inside
            )
            for ridge in self.ridges:
                error = outside.error(inside.solved(ridge))
                report(f"length {length:g} nm, ridge {ridge:g}: {error:.4g}", 0.5)
                candidates.append((error, length, ridge, basis, inside, outside))
        _, length, ridge, basis, inside, outside = min(candidates, key=lambda one: one[0])
        report(f"length {length:g} nm, ridge {ridge:g}", 0.9)
        final = inside if validation or not held else inside + outside
        coefficients = final.solved(ridge)
        return PolynomialTerm(numbers, basis, coefficients[:-1], float(coefficients[-1]) + middle)

    def _basis(self, frames, group, length):
        some = np.stack([frame.positions for frame in frames[:: max(1, len(frames) // 64)]], -1).astype(float)
        with jax.enable_x64(True):
            basis = InvariantPolynomials.of(group, self.degree, length).centered(some, group)
            if self.size is None or basis.count <= self.size:
                return basis.kept(np.arange(basis.count - 1))  # without the constant, which stands last
            squares = sum(
                (_rows(basis, some[..., k : k + 1])[1] ** 2).sum((1, 2)) for k in range(some.shape[2])
            )
        return basis.kept(np.argsort(-squares[:-1])[: self.size])


@dataclass(frozen=True)
class WeightedSums:
    """Sums over weighted rows, ``A^T A``, ``A^T b`` and ``b^T b``; the last unknown is a constant."""

    matrix: np.ndarray
    right: np.ndarray
    square: float

    @staticmethod
    def of(basis: InvariantPolynomials, frames: Sequence[Configuration], weights: Weights) -> WeightedSums:
        """Those of the energies and forces that ``frames`` have.

        Raises
        ------
        ValueError
            If they have none.
        """
        if all(frame.energy is None and frame.forces is None for frame in frames):
            raise ValueError("none of the frames has an energy or forces; there is nothing to fit")
        count = basis.count + 1
        matrix, right, square = np.zeros((count, count), order="F"), np.zeros(count), 0.0
        for block, positions in _blocks(frames):
            with jax.enable_x64(True):
                values, slopes = _rows(basis, positions)
            values, slopes = np.asarray(values), np.asarray(slopes)
            rows, labels = [], []
            for k, frame in enumerate(block):
                if frame.energy is not None:
                    weight = 1 / (weights.energy * np.sqrt(len(frame)))
                    rows.append(weight * np.append(values[:, k], 1.0)[None])
                    labels.append([weight * frame.energy])
                if frame.forces is not None:
                    rows.append(np.pad(-slopes[:, :, k].T, ((0, 0), (0, 1))) / weights.force)
                    labels.append(np.ravel(frame.forces) / weights.force)
            if rows:
                design, label = np.concatenate(rows), np.concatenate(labels)
                matrix = blas.dsyrk(1.0, design.T, 1.0, matrix, overwrite_c=1, lower=1)
                right, square = right + design.T @ label, square + float(label @ label)
        return WeightedSums(matrix, right, square)

    def __add__(self, other: WeightedSums) -> WeightedSums:
        return WeightedSums(self.matrix + other.matrix, self.right + other.right, self.square + other.square)

    def solved(self, ridge: float) -> np.ndarray:
        """Coefficients for a relative ``ridge``."""
        size = np.sqrt(np.maximum(np.diag(self.matrix), 1e-300))
        scaled = self.matrix / size[:, None] / size
        scaled[np.diag_indices(len(scaled))] += ridge
        return cho_solve(cho_factor(scaled, lower=True, overwrite_a=True), self.right / size) / size

    def error(self, coefficients: np.ndarray) -> float:
        """Sum of weighted squares of what ``coefficients`` leave in these rows."""
        across = blas.dsymv(1.0, self.matrix, coefficients, lower=1)
        return float(self.square - 2 * coefficients @ self.right + coefficients @ across)


class PolynomialTerm(eqx.Module):
    """``E = constant + sum_a c_a p_a``.

    Attributes
    ----------
    numbers : (atoms,) atomic numbers of the molecule
    basis : the polynomials
    coefficients : (polynomials,) [kJ/mol]
    constant : [kJ/mol]
    active : the force components that span the training set, or None before `with_active_set`
    """

    numbers: np.ndarray
    basis: InvariantPolynomials
    coefficients: np.ndarray
    constant: float
    active: ActiveSet | None = None

    def bind(
        self, numbers: np.ndarray, box: np.ndarray | None = None, periodic: Sequence[bool] | None = None
    ) -> PolynomialEnergy:
        """The energy of the molecule.

        Raises
        ------
        ValueError
            If ``numbers`` are not those of the molecule fitted, in the same order.
        """
        self._check(numbers, "this system")
        weights = np.asarray(self.coefficients)[np.asarray(self.basis.orbits)]
        return PolynomialEnergy(self.basis, weights, self.constant)

    def evaluate(self, configurations: Sequence[Configuration]) -> Labels:
        self._check_all(configurations)
        energies, forces = [], []
        with jax.enable_x64(True):
            energy = self.bind(self.numbers)
            for block, positions in _blocks(configurations):
                value, force = _labels(energy, positions)
                energies += list(np.asarray(value)[: len(block)])
                forces += list(np.asarray(force).transpose(2, 0, 1)[: len(block)])
        return Labels(np.array(energies), tuple(forces), (np.full((3, 3), np.nan),) * len(forces))

    def with_active_set(self, configurations: Sequence[Configuration]) -> PolynomialTerm:
        """The same with the active set of training ``configurations``, so that it knows when it extrapolates."""
        rows = self._force_rows(configurations)
        owners = np.repeat(np.arange(len(configurations)), 3 * len(self.numbers))
        active = ActiveSet.spanning(rows, np.zeros(len(rows), int), owners, 1, len(configurations))
        return replace(self, active=active)

    def grades(self, configurations: Sequence[Configuration]) -> tuple[np.ndarray, ...]:
        """D-optimality grade of every atom, ``(atoms,)`` per frame, from the three components of its force.

        Of these, coefficients of each row of the active set are added in squares, so that turning a frame does not
        change its grade, which is up to ``1.01 sqrt(3)`` within the training set.

        Raises
        ------
        NoUncertainty
            If there is no active set yet.
        """
        active = required(self.active)
        rows = self._force_rows(configurations)
        grades = active.grades_of(rows, np.zeros(len(rows), int), together=3)
        return tuple(grades.reshape(len(configurations), -1))

    def _force_rows(self, configurations):
        """Force components of all polynomials, (frames 3 atoms, polynomials)."""
        self._check_all(configurations)
        found = []
        for block, positions in _blocks(configurations):
            with jax.enable_x64(True):
                slopes = np.asarray(_rows(self.basis, positions)[1])
            found += [-slopes[:, :, k].T for k in range(len(block))]
        return np.concatenate(found)

    def _check_all(self, configurations):
        for k, frame in enumerate(configurations):
            self._check(frame.numbers, f"frame {k}")

    def _check(self, numbers, name):
        if not np.array_equal(numbers, self.numbers):
            raise ValueError(
                f"{name} has atoms {np.asarray(numbers).tolist()}; this potential is of one molecule with atoms "
                f"{self.numbers.tolist()} in this order"
            )


class PolynomialEnergy(Energy):
    """The sum over monomials, each with the coefficient of its orbit.

    Attributes
    ----------
    basis : the polynomials
    weights : (monomials,) [kJ/mol]
    constant : [kJ/mol]
    """

    basis: InvariantPolynomials
    weights: Float[Array, " monomials"]
    constant: float

    def __call__(self, positions: Positions, box: Box | None = None) -> Energies:
        monomials = self.basis.monomials(positions)
        return jnp.tensordot(jnp.asarray(self.weights, monomials.dtype), monomials, 1) + self.constant


def _lowered(frame, energy):
    return frame if frame.energy is None else replace(frame, energy=frame.energy - energy)


def _blocks(frames):
    """Some frames at a time, and their positions (atoms, 3, `TOGETHER`), the first again where frames are missing."""
    for start in range(0, len(frames), TOGETHER):
        block = frames[start : start + TOGETHER]
        positions = np.stack([frame.positions for frame in block], -1).astype(float)
        yield block, np.concatenate([positions, np.repeat(positions[..., :1], TOGETHER - len(block), -1)], -1)


@eqx.filter_jit
def _rows(basis, positions):
    """Values (polynomials, frames) and derivatives by coordinates (polynomials, 3 atoms, frames)."""
    positions = jnp.asarray(positions)
    atoms = len(positions)

    def along(direction):
        tangent = jnp.broadcast_to(direction.reshape(atoms, 3, 1), positions.shape)
        return jax.jvp(basis, (positions,), (tangent,))[1]

    slopes = jax.lax.map(along, jnp.eye(3 * atoms))
    return basis(positions), slopes.transpose(1, 0, 2)


@eqx.filter_jit
def _labels(energy, positions):
    return energy_and_forces(energy, jnp.asarray(positions))
