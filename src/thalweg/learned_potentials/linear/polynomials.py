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
from scipy.linalg import cho_factor, cho_solve

from thalweg.learned_potentials.linear.extrapolation import ActiveSet, required
from thalweg.learned_potentials.linear.normal_equations import Sums
from thalweg.learned_potentials.terms.learner import FitInfo, FittedTerm
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
    ) -> FittedTerm:
        """A `PolynomialTerm` for the molecule in ``configurations``.

        Frames in ``validation`` choose in place of a fifth of them.

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
        mean_energy = float(np.mean(labeled)) if labeled else 0.0
        frames = [_lowered(configurations[k], mean_energy) for k in order]
        validation = [_lowered(frame, mean_energy) for frame in validation]
        # a fifth of the frames chooses, or those of validation, or, of few frames, all
        fifth = len(frames) // 5 if not validation and len(frames) > 4 else 0
        choosing = validation or frames[:fifth]
        candidates = []
        for length in self.lengths:
            basis = self._basis(frames, group, length)
            require_memory(
                40.0 * basis.count**2, f"{basis.count} polynomials; keep fewer by size", self.memory
            )
            report(f"{basis.count} polynomials of {len(basis.factors)} monomials", 0.0)
            training = _weighted_sums(basis, frames[fifth:], weights)
            held_out = _weighted_sums(basis, choosing, weights) if choosing else training
            for ridge in self.ridges:
                error = held_out.residual(_ridge_solution(training, ridge))
                report(f"length {length:g} nm, ridge {ridge:g}: {error:.4g}", 0.5)
                candidates.append((error, length, ridge, basis, training, held_out))
        _, length, ridge, basis, training, held_out = min(candidates, key=lambda candidate: candidate[0])
        report(f"length {length:g} nm, ridge {ridge:g}", 0.9)
        # the fifth that chose is learned from as well
        coefficients = _ridge_solution(training + held_out if fifth else training, ridge)
        term = PolynomialTerm(numbers, basis, coefficients[:-1], float(coefficients[-1]) + mean_energy)
        kept = f"{basis.count} polynomials of {len(basis.factors)} monomials."
        return FittedTerm(term, FitInfo({"length": length, "ridge": ridge}, notes=(kept,)))

    def _basis(self, frames, group, length):
        sample = frames[:: max(1, len(frames) // 64)]
        positions = np.stack([frame.positions for frame in sample], -1).astype(float)
        with jax.enable_x64(True):
            basis = InvariantPolynomials.of(group, self.degree, length).centered(positions, group)
            if self.size is None or basis.count <= self.size:
                return basis.kept(np.arange(basis.count - 1))  # without the constant, which stands last
            squares = sum(
                (_rows(basis, positions[..., k : k + 1])[1] ** 2).sum((1, 2)) for k in range(len(sample))
            )
        return basis.kept(np.argsort(-squares[:-1])[: self.size])


def _weighted_sums(basis: InvariantPolynomials, frames: Sequence[Configuration], weights: Weights) -> Sums:
    """Sums over rows of the energies and forces that ``frames`` have, over ``weights``; the last unknown is a constant.

    Raises
    ------
    ValueError
        If they have none.
    """
    if all(frame.energy is None and frame.forces is None for frame in frames):
        raise ValueError("none of the frames has an energy or forces; there is nothing to fit")
    sums = Sums(basis.count + 1)
    for block, positions in _blocks(frames):
        with jax.enable_x64(True):
            values, slopes = (np.asarray(rows) for rows in _rows(basis, positions))
        for k, frame in enumerate(block):
            if frame.energy is not None:
                weight = 1 / (weights.energy * np.sqrt(len(frame)))
                sums.add(weight * np.append(values[:, k], 1.0)[None], np.array([weight * frame.energy]))
            if frame.forces is not None:
                # forces are minus the slopes, and do not know the constant
                rows = np.pad(-slopes[:, :, k].T, ((0, 0), (0, 1))) / weights.force
                sums.add(rows, np.ravel(frame.forces) / weights.force)
    sums.flush()
    return sums


def _ridge_solution(sums: Sums, ridge: float) -> Float[np.ndarray, " coefficients"]:
    """Coefficients for a ``ridge`` relative to the diagonal of the normal matrix."""
    # in units in which the diagonal is one, c = D^-1/2 (D^-1/2 G D^-1/2 + ridge)^-1 D^-1/2 m
    size = np.sqrt(np.maximum(np.diag(sums.gram), 1e-300))
    scaled = sums.gram / size[:, None] / size
    scaled[np.diag_indices(len(scaled))] += ridge
    return cho_solve(cho_factor(scaled, lower=False, overwrite_a=True), sums.moment / size) / size


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
        rows = []
        for block, positions in _blocks(configurations):
            with jax.enable_x64(True):
                slopes = np.asarray(_rows(self.basis, positions)[1])
            rows += [-slopes[:, :, k].T for k in range(len(block))]
        return np.concatenate(rows)

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
