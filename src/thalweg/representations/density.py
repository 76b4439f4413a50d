"""The density of neighbors around a site, projected on radial and angular functions.

    A_km = sum_j  R_k(r_j) Y_m(r_j)

Representations that know an environment only through such sums (SOAP, the atomic cluster expansion, moment tensors)
are *invariants* of a density. They say which functions they project on and what they make of ``A``; the sum is a
matrix product, and its derivative in a neighbor is a product of that neighbor's own functions.
"""

from __future__ import annotations

import abc

import jax
import jax.numpy as jnp

from thalweg.representations.element_channels import channel_weights, element_channels
from thalweg.representations.environments import Environments
from thalweg.representations.radial import ChebyshevBasis
from thalweg.representations.representation import Representation
from thalweg.representations.spherical_harmonics import spherical_harmonics
from thalweg.shapes import Array, Float, PyTree


class DensityRepresentation(Representation):
    """Invariants of a density of neighbors; subclasses are final and write `factors` and `invariants`."""

    @abc.abstractmethod
    def factors(
        self, environments: Environments
    ) -> tuple[Float[Array, "functions neighbors sites"], Float[Array, "angular neighbors sites"]]:
        """Radial and angular functions of each neighbor, which depend on its own vector and element only."""

    @abc.abstractmethod
    def invariants(self, density: Float[Array, "functions angular sites"]) -> Float[Array, "features sites"]:
        """Features made of the density."""

    def __call__(self, environments: Environments) -> Float[Array, "features sites"]:
        return self.invariants(projected(*self.factors(environments)))

    def expanded(
        self, density: Float[Array, "functions angular sites"]
    ) -> tuple[Float[Array, "features sites"], PyTree[Float[Array, "..."]]]:
        """The features, and what `pushed` wants to know of each site, sites last."""
        return self.invariants(density), density

    def pushed(
        self,
        expanded: PyTree[Float[Array, "..."]],
        radial: Float[Array, "functions pairs"],
        angular: Float[Array, "angular pairs"],
        radial_steps: Float[Array, "3 functions pairs"],
        angular_steps: Float[Array, "3 angular pairs"],
    ) -> Float[Array, "3 features pairs"]:
        """Changes of the features of sites when one neighbor of each moves along three axes.

        ``expanded`` is of the site of each pair, ``radial`` and ``angular`` are the functions of the neighbor, steps
        their derivatives.
        """
        changes = radial_steps[:, :, None] * angular + radial[:, None] * angular_steps[:, None]
        return jax.vmap(jax.linearize(self.invariants, expanded)[1])(changes)


def projected(
    radial: Float[Array, "functions neighbors sites"], angular: Float[Array, "angular neighbors sites"]
) -> Float[Array, "functions angular sites"]:
    """``A``, a small matrix product per site."""
    return jnp.matmul(radial.transpose(2, 0, 1), angular.transpose(2, 1, 0)).transpose(1, 2, 0)


def harmonic_factors(
    environments: Environments,
    basis: ChebyshevBasis,
    degree: int,
    elements: tuple[int, ...],
    channels: int | None,
) -> tuple[jax.Array, jax.Array]:
    """Radial functions in each element channel, in the order (channel, function), and spherical harmonics."""
    distances = environments.distances
    weights = channel_weights(element_channels(elements, channels), environments)
    radial = (weights[:, None] * basis(distances)).reshape(-1, *distances.shape)
    return radial, spherical_harmonics(environments.vectors / distances, degree)
