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
from thalweg.learned_potentials.gradient_domain.observations import ObservedLabels
from thalweg.learned_potentials.gradient_domain.posterior import MoleculePosterior
from thalweg.learned_potentials.parametric.force_field import ForceFieldTerm
from thalweg.learned_potentials.recipe import remainder
from thalweg.learned_potentials.terms.term import Labels, Spread
from thalweg.potentials.energy import Energy, Sum
from thalweg.potentials.explicit_gradient import ExplicitGradient
from thalweg.representations.molecules.inverse_distances import all_pairs, permuted_pairs
from thalweg.shapes import Array, Box, Energies, Float, Positions
from thalweg.systems.configuration import Configuration

SIDE_BY_SIDE = 64
"""Frames evaluated together."""

EXACT = 1e-2
"""Coefficients that differ by more of their size are not those of the same frames."""


class GradientDomainTerm(eqx.Module):
    """``E(x) = mean(x) + constant + sum_{points, c} 2 k'(|x - point|_c^2) <x - point, weight>_c``, see
    `gradient_domain`.

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
    """

    numbers: np.ndarray
    prior: Prior
    points: np.ndarray
    weights: np.ndarray
    heights: np.ndarray
    constant: float
    variance: float
    noise: float
    landmarks: np.ndarray
    mean: ForceFieldTerm | None

    @staticmethod
    def of(
        numbers: np.ndarray,
        prior: Prior,
        positions: np.ndarray,
        coefficients: np.ndarray,
        heights: np.ndarray,
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
        along = (vectors * (coefficients[:, first] - coefficients[:, second])).sum(-1)
        count = min(len(positions), max(2, remembered // (3 * len(numbers))))
        kept = np.linspace(0, len(positions) - 1, count).astype(int)
        return GradientDomainTerm(
            np.asarray(numbers, int),
            prior,
            factors / distances,
            -factors / distances**3 * along,
            np.asarray(heights, float),
            0.0,
            float(max(variance, 1e-300)),
            float(noise),
            positions[np.unique(kept)],
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
        moved = [permuted_pairs(one) for one in self.prior.group]
        points = np.concatenate([self.points[:, one] for one in moved])
        weights = np.concatenate([self.weights[:, one] for one in moved])
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
            np.tile(self.heights, len(moved)),
            (points * points) @ parts.T,
            (points * weights) @ parts.T,
        )
        learned = GradientDomainEnergy(self.prior.covariance, *(halves(one) for one in arrays), self.constant)
        return learned if self.mean is None else Sum((learned, self.mean.bind(numbers)))

    def evaluate(self, configurations: Sequence[Configuration]) -> Labels:
        positions = self._positions(configurations)
        energies, forces = self._labels(positions)
        learned = Labels(energies, tuple(forces), tuple(np.full((3, 3), np.nan) for _ in configurations))
        return learned if self.mean is None else learned + self.mean.evaluate(configurations)

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
        mean = known if self.mean is None else known + self.mean.evaluate(configurations)
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
        coefficients = self.posterior.coefficients(
            observed.labels(np.array([frame.forces for frame in frames], float), energies)
        )
        again = GradientDomainTerm.of(
            self.numbers, self.prior, positions, observed.forces(coefficients), self.heights
        ).weights
        off = np.linalg.norm(again - self.weights) / np.linalg.norm(self.weights)
        if not off < EXACT:
            raise ValueError(
                f"an exact fit to these frames would have coefficients that differ by {off:.2g} of theirs; give the "
                "labels that were fitted, and fit with ClosedForm, or hold frames out"
            )
        errors, variances = self.posterior.left_out(coefficients)
        return tuple(one.reshape(positions.shape) for one in (errors, np.sqrt(self.variance * variances)))

    def _labels(self, positions):
        energies, forces = np.empty(len(positions)), np.empty(positions.shape)
        with jax.enable_x64(True):
            energy = jax.tree.map(jnp.asarray, replace(self, mean=None).bind(self.numbers))
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
        shape, dtype = positions.shape, positions.dtype
        atoms = shape[0]
        first, second = all_pairs(atoms)
        flat = positions.reshape(atoms, 3, -1)
        scale, parts, center, points, weights, heights, squares, products = (
            joined_halves(one, dtype)
            for one in (
                self.scale,
                self.parts,
                self.center,
                self.points,
                self.weights,
                self.heights,
                self.squares,
                self.products,
            )
        )
        vectors = flat[first] - flat[second]
        inverse = 1 / jnp.sqrt((vectors * vectors).sum(1))
        x = scale[:, None] * inverse - center[:, None]
        count, replicas = len(parts), x.shape[1]
        # columns are (component, replica), so that each sum over pairs or points is one product of matrices
        weighed = (parts.T[:, :, None] * x[:, None]).reshape(len(scale), -1)
        norms = (parts @ (x * x)).reshape(-1)
        q = jnp.maximum(jnp.repeat(squares, replicas, 1) + norms - 2 * (points @ weighed), 0)
        along = weights @ weighed - jnp.repeat(products, replicas, 1)
        value, slope, curve = self.covariance.derivatives(q)
        summed = (2 * slope * along + heights[:, None] * value).sum(0)
        energies = summed.reshape(count, replicas).sum(0) + self.constant
        pull = 4 * curve * along + 2 * heights[:, None] * slope
        each = (2 * (weights.T @ slope) - points.T @ pull).reshape(-1, count, replicas)
        each = each + x[:, None] * pull.sum(0).reshape(count, replicas)
        by_x = (parts.T[:, :, None] * each).sum(1)
        by_vector = (-by_x * scale[:, None] * inverse**3)[:, None] * vectors
        place = np.zeros((atoms, atoms), int)
        place[first, second] = place[second, first] = np.arange(len(first))
        gradient = []
        for i in range(atoms):
            others = np.delete(np.arange(atoms), i)
            sign = jnp.asarray(np.where(others > i, 1.0, -1.0), dtype)[:, None, None]
            gradient.append((sign * by_vector[place[i, others]]).sum(0))
        return energies.reshape(shape[2:]), jnp.stack(gradient).reshape(shape)


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
