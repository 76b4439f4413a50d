"""A fitted gradient-domain model: the contracted kernel as an energy that runs in engines, and its uncertainty.

Source: [chmiela2018].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.learned_potentials.gradient_domain.hessian_kernel import Covariance, Prior
from thalweg.learned_potentials.gradient_domain.mean_energy import (
    KernelBound,
    labels_over_mean,
    over_mean,
)
from thalweg.learned_potentials.gradient_domain.observations import ObservedLabels
from thalweg.learned_potentials.gradient_domain.posterior import MoleculePosterior
from thalweg.learned_potentials.parametric.force_field import ForceFieldTerm
from thalweg.learned_potentials.recipe import remainder
from thalweg.learned_potentials.terms.term import Labels, Spread
from thalweg.potentials.energy import Energy
from thalweg.potentials.explicit_gradient import ExplicitGradient
from thalweg.representations.molecules.inverse_distances import all_pairs, permuted_pairs
from thalweg.shapes import Array, Box, Energies, Float, Int, Positions
from thalweg.systems.configuration import Configuration

SIDE_BY_SIDE = 64
"""Frames evaluated together."""

EXACT = 1e-2
"""Coefficients that differ by more of their size are not those of the same frames."""


class GradientDomainTerm(eqx.Module):
    """``E(x) = mean(x) + constant + sum_{points, c} 2 k'(|x - point|_c^2) <x - point, weight>_c``, see
    `gradient_domain`; what stands after the mean stays within the ``bound``.

    Attributes
    ----------
    numbers : (atoms,) atomic numbers of the molecule
    prior : covariance of energies
    points, weights : (frames, pairs) descriptors of training frames and what multiplies them [kJ/mol]
    heights : (frames,) coefficients of energies [kJ/mol]
    constant : [kJ/mol]
    variance : scale of the covariance that explains the training labels best [kJ^2/mol^2]
    noise : relative to the mean prior variance of forces
    landmarks : (frames, atoms, 3) training frames kept for uncertainties [nm]
    mean : energy far from all training frames; None for the constant alone
    bound : how far from it the energy may be; None for any distance
    """

    numbers: Int[np.ndarray, " atoms"]
    prior: Prior
    points: Float[np.ndarray, "frames pairs"]
    weights: Float[np.ndarray, "frames pairs"]
    heights: Float[np.ndarray, " frames"]
    constant: float
    variance: float
    noise: float
    landmarks: Float[np.ndarray, "landmarks atoms 3"]
    mean: ForceFieldTerm | None
    bound: KernelBound | None = None

    @staticmethod
    def of(
        numbers: Int[np.ndarray, " atoms"],
        prior: Prior,
        positions: Float[np.ndarray, "frames atoms 3"],
        coefficients: Float[np.ndarray, "frames atoms 3"],
        heights: Float[np.ndarray, " frames"],
        variance: float = 1.0,
        noise: float = 0.0,
        remembered: int = 0,
        mean: ForceFieldTerm | None = None,
    ) -> GradientDomainTerm:
        """Contract ``coefficients`` (frames, atoms, 3) of training forces with the Jacobians of their frames.

        ``remembered`` is about how many force components are kept to answer for uncertainties.
        """
        first, second = all_pairs(len(numbers))
        vectors = positions[:, first] - positions[:, second]
        distances = np.linalg.norm(vectors, axis=-1)
        factors = prior.scale[first, second]
        # points x_ij = s_ij / r_ij and weights z = J a, with J a = -s_ij / r_ij^3 (r_i - r_j) . (a_i - a_j)
        along = (vectors * (coefficients[:, first] - coefficients[:, second])).sum(-1)
        count = min(len(positions), max(2, remembered // (3 * len(numbers))))
        landmarks = np.linspace(0, len(positions) - 1, count).astype(int)
        return GradientDomainTerm(
            np.asarray(numbers, int),
            prior,
            factors / distances,
            -factors / distances**3 * along,
            np.asarray(heights, float),
            0.0,
            float(max(variance, 1e-300)),
            float(noise),
            positions[np.unique(landmarks)],
            mean,
        )

    def bind(
        self, numbers: np.ndarray, box: np.ndarray | None = None, periodic: Sequence[bool] | None = None
    ) -> Energy:
        """The energy of the molecule.

        Raises
        ------
        ValueError
            If ``numbers`` are not those of the molecule fitted, in the same order.
        """
        if not np.array_equal(numbers, self.numbers):
            raise ValueError(
                f"this potential is of one molecule with atoms {self.numbers.tolist()}; got "
                f"{np.asarray(numbers).tolist()}; give the same atoms in the same order"
            )
        # the sum over permutations of like atoms is one over so many more training points
        permutations = [permuted_pairs(one) for one in self.prior.group]
        points = np.concatenate([self.points[:, pairs] for pairs in permutations])
        weights = np.concatenate([self.weights[:, pairs] for pairs in permutations])
        # |x - p|^2 is computed as |x|^2 + |p|^2 - 2 x.p, which cancels least about the mean of the points
        center = points.mean(0)
        points = points - center
        first, second = all_pairs(len(self.numbers))
        parts = self.prior.parts[:, first, second]
        arrays = (
            self.prior.scale[first, second],
            parts,
            center,
            points,
            weights,
            np.tile(self.heights, len(permutations)),
            (points * points) @ parts.T,
            (points * weights) @ parts.T,
        )
        learned = GradientDomainEnergy(self.prior.covariance, *(halves(one) for one in arrays), self.constant)
        return over_mean(learned, self.mean, numbers, self.bound)

    def evaluate(self, configurations: Sequence[Configuration]) -> Labels:
        return labels_over_mean(self.learned(configurations), self.mean, configurations, self.bound)

    def learned(self, configurations: Sequence[Configuration]) -> Labels:
        """Labels without the mean and without bounds."""
        energies, forces = self._labels(self._positions(configurations))
        return Labels(energies, tuple(forces), tuple(np.full((3, 3), np.nan) for _ in configurations))

    def forces_at(self, positions: Float[np.ndarray, "frames atoms 3"]) -> np.ndarray:
        """Forces of frames at ``positions`` without those of the mean [kJ/mol/nm], 64 bits."""
        return self._labels(positions)[1]

    @cached_property
    def posterior(self) -> MoleculePosterior:
        """What is not known given the frames remembered; made once, and kept, as large as their covariance matrix."""
        marks = ObservedLabels.internal(self.landmarks, bool(np.any(self.heights)))
        return MoleculePosterior.of(self.prior, marks, self.noise)

    def spread(self, configurations: Sequence[Configuration]) -> Spread:
        """Posterior standard deviations, given forces and energies of the frames remembered.

        Exact where all training frames are remembered; else too large, by factors that differ between frames.
        """
        positions = self._positions(configurations)
        energies, forces = (np.sqrt(self.variance * each) for each in self.posterior.variances(positions))
        return Spread(energies, tuple(forces.reshape(len(positions), -1, 3)))

    def left_out(
        self, configurations: Sequence[Configuration], known: Labels
    ) -> tuple[np.ndarray, np.ndarray]:
        """Errors and posterior standard deviations of the forces of each training frame, given all others.

        No fit is repeated: settings, among them what atoms weigh, and the mean were found with all frames, so that
        errors are a little smaller than those of new frames.

        Parameters
        ----------
        configurations : those fitted to, in their order; of these the ones with forces count
        known : what all other terms and references say of them

        Returns
        -------
        errors, deviations : (frames, atoms, 3) [kJ/mol/nm]

        Raises
        ------
        ValueError
            If they are not those fitted to, not all of them are remembered, or the fit was not an exact one.
        """
        mean = labels_over_mean(known, self.mean, configurations)
        frames = [frame for frame in remainder(configurations, mean) if frame.forces is not None]
        positions = self._positions(frames)
        if positions.shape != self.landmarks.shape or not np.array_equal(positions, self.landmarks):
            raise ValueError(
                f"of the training frames {len(self.landmarks)} are remembered and {len(positions)} with forces were "
                "given, in another order or others; give all that were fitted, and fit with remembered=10**6"
            )
        observed, energies = self.posterior.observed, None
        if observed.energies:
            energies = np.array([frame.energy for frame in frames], float)
            energies = energies - energies.mean()
        # (K + noise)^-1 y of these labels: those of the fit, or this is no fit to them
        coefficients = self.posterior.coefficients(
            observed.labels(np.array([frame.forces for frame in frames], float), energies)
        )
        exact = GradientDomainTerm.of(
            self.numbers, self.prior, positions, observed.forces(coefficients), self.heights
        ).weights
        difference = np.linalg.norm(exact - self.weights) / np.linalg.norm(self.weights)
        if not difference < EXACT:
            raise ValueError(
                f"an exact fit to these frames would have coefficients that differ by {difference:.2g} of theirs; give "
                "the labels that were fitted, and fit with ClosedForm, or hold frames out"
            )
        errors, variances = self.posterior.left_out(coefficients)
        return tuple(one.reshape(positions.shape) for one in (errors, np.sqrt(self.variance * variances)))

    def _labels(self, positions):
        energies, forces = np.empty(len(positions)), np.empty(positions.shape)
        with jax.enable_x64(True):
            energy = jax.tree.map(jnp.asarray, replace(self, mean=None, bound=None).bind(self.numbers))
            for start in range(0, len(positions), SIDE_BY_SIDE):
                chunk = positions[start : start + SIDE_BY_SIDE]
                filler = np.repeat(chunk[:1], SIDE_BY_SIDE - len(chunk), 0)
                block = jnp.asarray(np.concatenate([chunk, filler]).transpose(1, 2, 0))
                value, gradient = (np.asarray(one) for one in _evaluated(energy, block))
                energies[start : start + len(chunk)] = value[: len(chunk)]
                forces[start : start + len(chunk)] = -gradient.transpose(2, 0, 1)[: len(chunk)]
        return energies, forces

    def _positions(self, configurations):
        for k, frame in enumerate(configurations):
            if not np.array_equal(frame.numbers, self.numbers):
                raise ValueError(
                    f"frame {k} has atoms {np.asarray(frame.numbers).tolist()}; this potential is of one molecule with "
                    f"atoms {self.numbers.tolist()} in this order"
                )
        return np.array([frame.positions for frame in configurations], float).reshape(
            -1, len(self.numbers), 3
        )


class GradientDomainEnergy(ExplicitGradient):
    """The contracted kernel, permutations written out as points; per step one product of matrices for each sum.

    Large terms cancel in these sums, so they are done in 64 bits wherever they are called from, and every array is
    kept as two of 32 bits, its rounded values and what rounding took.

    Attributes
    ----------
    covariance : of energies
    scale : (2, pairs) factors of inverse distances [nm]
    parts : (2, components, pairs) weights of pairs in each component
    center : (2, pairs) mean of the points, taken off everything so that squares do not cancel
    points, weights : (2, points, pairs)
    heights : (2, points)
    squares, products : (2, points, components) ``|point|^2`` and ``<point, weight>`` of each component
    constant : [kJ/mol]
    """

    covariance: Covariance
    scale: Float[Array, "2 pairs"]
    parts: Float[Array, "2 components pairs"]
    center: Float[Array, "2 pairs"]
    points: Float[Array, "2 points pairs"]
    weights: Float[Array, "2 points pairs"]
    heights: Float[Array, "2 points"]
    squares: Float[Array, "2 points components"]
    products: Float[Array, "2 points components"]
    constant: float

    def energy_and_gradient(self, positions: Positions, box: Box | None) -> tuple[Energies, Positions]:
        with jax.enable_x64(True):
            energies, gradient = self._in_64_bits(jax.lax.convert_element_type(positions, np.float64))
            return tuple(jax.lax.convert_element_type(one, positions.dtype) for one in (energies, gradient))

    def _in_64_bits(self, positions):
        shape, atoms = positions.shape, positions.shape[0]
        first, second = all_pairs(atoms)
        flat = positions.reshape(atoms, 3, -1)
        scale, center = (joined_halves(each, positions.dtype) for each in (self.scale, self.center))
        # descriptors x_ij = s_ij / r_ij (pairs, replicas), from the mean of the points
        vectors = flat[first] - flat[second]
        inverse = 1 / jnp.sqrt((vectors * vectors).sum(1))
        energies, by_x = self._from_descriptors(scale[:, None] * inverse - center[:, None])
        # dx_ij / d(r_i - r_j) = -s_ij / r_ij^3 (r_i - r_j)
        by_vector = (-by_x * scale[:, None] * inverse**3)[:, None] * vectors
        return energies.reshape(shape[2:]), _by_atom(by_vector, atoms).reshape(shape)

    def _from_descriptors(self, x):
        """Energies (replicas,) at descriptors ``x`` (pairs, replicas), and their derivatives in these.

        Columns are (component ``c``, replica), so that each sum over pairs or points is one product of matrices.

        ===================  ==========================================
        ``w_c x``            ``weighted``, (pairs, columns)
        ``q = |x - p|_c^2``  ``q``, (points, columns)
        ``<x - p, z>_c``     ``along``, (points, columns)
        ``k, k', k''``       ``value, slope, curve``, (points, columns)
        ``a_E``              ``heights``, (points,)
        ===================  ==========================================
        """
        parts, points, weights, heights, squares, products = (
            joined_halves(each, x.dtype)
            for each in (self.parts, self.points, self.weights, self.heights, self.squares, self.products)
        )
        count, replicas = len(parts), x.shape[1]
        weighted = (parts.T[:, :, None] * x[:, None]).reshape(len(x), -1)
        norms = (parts @ (x * x)).reshape(-1)
        q = jnp.maximum(jnp.repeat(squares, replicas, 1) + norms - 2 * (points @ weighted), 0)
        along = weights @ weighted - jnp.repeat(products, replicas, 1)
        value, slope, curve = self.covariance.derivatives(q)
        # E = sum_{p, c} 2 k' <x - p, z>_c + a_E k
        summed = (2 * slope * along + heights[:, None] * value).sum(0)
        energies = summed.reshape(count, replicas).sum(0) + self.constant
        # dE/dx = sum_c w_c (2 k' z + (4 k'' <x - p, z>_c + 2 a_E k') (x - p)), the sum over points p first
        pull = 4 * curve * along + 2 * heights[:, None] * slope
        each = (2 * (weights.T @ slope) - points.T @ pull).reshape(-1, count, replicas)
        each = each + x[:, None] * pull.sum(0).reshape(count, replicas)
        return energies, (parts.T[:, :, None] * each).sum(1)


def _by_atom(by_vector: Float[Array, "pairs 3 replicas"], atoms: int) -> Float[Array, "atoms 3 replicas"]:
    """What pairs give to their atoms, the opposite to the second: gathered atom by atom, which is faster than
    scattered."""
    first, second = all_pairs(atoms)
    place = np.zeros((atoms, atoms), int)
    place[first, second] = place[second, first] = np.arange(len(first))
    gradient = []
    for i in range(atoms):
        partners = np.delete(np.arange(atoms), i)
        sign = jnp.asarray(np.where(partners > i, 1.0, -1.0), by_vector.dtype)[:, None, None]
        gradient.append((sign * by_vector[place[i, partners]]).sum(0))
    return jnp.stack(gradient)


def halves(array: np.ndarray) -> np.ndarray:
    """``array`` as the sum of two arrays of 32 bits."""
    rounded = np.asarray(array).astype(np.float32)
    return np.stack([rounded, (array - rounded).astype(np.float32)])


def joined_halves(parts: Float[Array, " 2 *shape"], dtype: np.dtype) -> jax.Array:
    """The array that `halves` took apart."""
    return sum(jax.lax.convert_element_type(one, dtype) for one in parts)


@eqx.filter_jit
def _evaluated(energy, positions):
    return energy.energy_and_gradient(positions, None)
