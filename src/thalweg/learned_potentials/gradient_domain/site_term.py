"""A fitted gradient-domain model of sites: the contracted kernel as an energy, and its uncertainty.

With coefficients ``a`` of the training labels contracted with the pulls of their frames, ``z_j = sum_d a_d R_dj``,

    E(x) = sum_i offset + sum_ij -2 k'(q_ij) / width^2 <f_i - g_j, z_j> + a_E k(q_ij),   q_ij = |f_i - g_j|^2 / width^2,

over sites ``i`` and training sites ``j`` of the same element, which costs as much as a sparse kernel of all of these.

Source: [christensen2020]; contraction [chmiela2018].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.learned_potentials.gradient_domain.hessian_kernel import Covariance
from thalweg.learned_potentials.gradient_domain.mean_energy import labels_over_mean, over_mean
from thalweg.learned_potentials.gradient_domain.posterior import MoleculePosterior
from thalweg.learned_potentials.gradient_domain.site_covariance import SitePrior
from thalweg.learned_potentials.gradient_domain.site_observations import (
    SiteObservations,
    all_directions,
    shape_directions,
)
from thalweg.learned_potentials.gradient_domain.term import halves, joined_halves
from thalweg.learned_potentials.parametric.force_field import ForceFieldTerm
from thalweg.learned_potentials.terms.local import SiteTerm
from thalweg.learned_potentials.terms.term import Labels, Spread
from thalweg.potentials.energy import Energy
from thalweg.representations.environments import Environments
from thalweg.representations.principal_features import PrincipalFeatures
from thalweg.representations.representation import Representation
from thalweg.shapes import Array, Float
from thalweg.systems.configuration import Configuration

SIDE_BY_SIDE = 32
"""Frames asked about together."""


class KernelSites(SiteTerm):
    """The energy of each site.

    Large terms cancel in the sums, so that these are done in 64 bits wherever they are called from, and arrays are
    kept as two of 32 bits (`halves`).

    Attributes
    ----------
    representation : with elements filled in
    centers, vectors : (2, features) and (2, features, combinations) of each element, see `PrincipalFeatures`
    points, weights : (2, sites, combinations) features of training sites of each element and what multiplies them
    heights : (2, sites) coefficients of energies [kJ/mol]
    covariance : of a site's energy
    width : of the kernel
    offsets : (elements,) energies of atoms [kJ/mol]
    """

    representation: Representation
    centers: tuple[Float[Array, "2 features"], ...]
    vectors: tuple[Float[Array, "2 features _"], ...]
    points: tuple[Float[Array, "2 _ _"], ...]
    weights: tuple[Float[Array, "2 _ _"], ...]
    heights: tuple[Float[Array, "2 _"], ...]
    covariance: Covariance
    width: float
    offsets: Float[Array, " elements"]

    @staticmethod
    def of(
        described: PrincipalFeatures,
        prior: SitePrior,
        observed: SiteObservations,
        solution: Float[np.ndarray, " labels"],
        offsets: Float[np.ndarray, " elements"],
    ) -> KernelSites:
        """Contract the coefficients of labels with the pulls of their frames, those that are zero left out."""
        parts = np.split(solution[: observed.components], observed.starts[1:-1])
        energies = observed.heights(solution)
        used = [k for k, part in enumerate(parts) if np.abs(part).max(initial=0.0) > 0 or energies[k] != 0]
        points, weights, heights = [], [], []
        for kind in range(len(described.vectors)):
            sites = [observed.frames[k].features[kind] for k in used]
            points.append(np.concatenate(sites))
            weights.append(
                np.concatenate([np.tensordot(parts[k], observed.frames[k].pulls[kind], 1) for k in used])
            )
            heights.append(np.concatenate([np.full(len(each), energies[k]) for k, each in zip(used, sites)]))
        return KernelSites(
            described.representation,
            *(
                tuple(map(halves, each))
                for each in (described.centers, described.vectors, points, weights, heights)
            ),
            prior.covariance,
            prior.width,
            np.asarray(offsets, float),
        )

    @property
    def elements(self) -> tuple[int, ...]:
        return self.representation.elements

    @property
    def cutoff(self) -> float:
        return self.representation.cutoff

    def site_energies(self, environments: Environments) -> Float[Array, " sites"]:
        vectors = jnp.asarray(environments.vectors)
        if vectors.dtype == np.float64:
            return self._in_64_bits(environments)

        # under 64 bits no outer program in 32 bits can differentiate: its tangents are multiplied with a gradient
        # worked out here
        def evaluate(vectors):
            with jax.enable_x64(True):

                def total(wide):
                    sites = self._in_64_bits(replace(environments, vectors=wide))
                    return sites.sum(), sites

                wide = jax.lax.convert_element_type(vectors, np.float64)
                gradient, sites = jax.grad(total, has_aux=True)(wide)
                return tuple(jax.lax.convert_element_type(one, vectors.dtype) for one in (sites, gradient))

        @jax.custom_jvp
        def energies(vectors):
            return evaluate(vectors)[0]

        @energies.defjvp
        def change(primals, tangents):
            sites, gradient = evaluate(*primals)
            return sites, (gradient * tangents[0]).sum((0, 1))

        return energies(vectors)

    def _in_64_bits(self, environments):
        features = self.representation(environments)
        total = jnp.zeros(features.shape[1])
        for kind, arrays in enumerate(
            zip(self.centers, self.vectors, self.points, self.weights, self.heights)
        ):
            center, vectors, points, weights, heights = (joined_halves(one, features.dtype) for one in arrays)
            # combinations f_i of features (combinations, sites), and |f_i - g_j|^2 (training sites, sites)
            combined = vectors.T @ (features - center[:, None])
            squares = (combined * combined).sum(0) + (points * points).sum(1)[:, None] - 2 * points @ combined
            value, slope, _ = self.covariance.derivatives(jnp.maximum(squares, 0) / self.width**2)
            # <f_i - g_j, z_j>, then the sum over training sites
            along = weights @ combined - (points * weights).sum(1)[:, None]
            energies = (heights[:, None] * value - 2 / self.width**2 * slope * along).sum(0)
            total = jnp.where(environments.kinds == kind, energies + self.offsets[kind], total)
        return total


@dataclass(frozen=True)
class SiteGradientDomainTerm:
    """`KernelSites` with what it takes to know how unsure they are.

    Attributes
    ----------
    sites : the energy
    described : combinations of features
    prior : covariance of energies
    landmarks : training frames kept for uncertainties
    variance : scale of the covariance that explains the training labels best [kJ^2/mol^2]
    noise : relative to the mean prior variance of forces
    energies : whether energies were fitted
    mean : energy far from all training frames; None for that of atoms alone
    """

    sites: KernelSites
    described: PrincipalFeatures
    prior: SitePrior
    landmarks: tuple[Configuration, ...]
    variance: float
    noise: float
    energies: bool
    mean: ForceFieldTerm | None = None

    @property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers told apart."""
        return self.sites.elements

    @property
    def cutoff(self) -> float:
        """How far a site sees [nm]."""
        return self.sites.cutoff

    def bind(
        self, numbers: np.ndarray, box: np.ndarray | None = None, periodic: Sequence[bool] | None = None
    ) -> Energy:
        return over_mean(self.sites.bind(numbers, box, periodic), self.mean, numbers)

    def evaluate(self, configurations: Sequence[Configuration]) -> Labels:
        return labels_over_mean(self.sites.evaluate(configurations), self.mean, configurations)

    @cached_property
    def posterior(self) -> MoleculePosterior:
        """What is not known given the frames remembered; made once, and kept, as large as their covariance matrix."""
        marks = SiteObservations.of(
            self.described, self.landmarks, shape_directions(self.landmarks), self.energies
        )
        return MoleculePosterior.of(self.prior, marks, self.noise)

    def spread(self, configurations: Sequence[Configuration]) -> Spread:
        """Posterior standard deviations, given forces and energies of the frames remembered.

        Exact where all training frames are remembered; else too large, by factors that differ between frames.
        """
        energies, forces = [], []
        for start in range(0, len(configurations), SIDE_BY_SIDE):
            block = configurations[start : start + SIDE_BY_SIDE]
            asked = SiteObservations.of(self.described, block, all_directions(block), True)
            unknown = self.prior.variances(asked) - self.posterior.explained(asked)
            deviations = np.sqrt(self.variance * np.maximum(unknown, 0))
            forces += asked.forces(deviations)
            energies.append(asked.heights(deviations))
        return Spread(np.concatenate([*energies, np.zeros(0)]), tuple(forces))
