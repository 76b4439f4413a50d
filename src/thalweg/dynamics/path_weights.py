r"""How much likelier the path of a biased run is without the bias, step by step [donati2017, kieninger2021].

.. math::  \ln M = -\sum_n \Big(\eta_n \cdot \Delta_n + \tfrac12 |\Delta_n|^2\Big), \qquad \Delta_n = c\, f_b(x_n)

with the noise :math:`\eta` that was drawn, the force :math:`f_b` of a bias that does not grow, and what a force is
worth in noise, :math:`c`, which the integrator says, as it says at which :math:`x_n` the force acts: `PathWeighted`.
"""

from __future__ import annotations

from collections.abc import Callable

import jax

from thalweg.dynamics.constraints import BondConstraints
from thalweg.dynamics.integrator import Integrator, PathWeighted
from thalweg.dynamics.phase import NoiseFunction, Phase
from thalweg.shapes import Array, Energies, Float, Positions


def has_path_weights(integrator: Integrator, bias: object) -> bool:
    """Whether paths have weights: under a bias that does not grow, with an integrator that knows them."""
    return bias is not None and bias.stride is None and isinstance(integrator, PathWeighted)


def log_weight_of_step(
    phase: Phase,
    bias_energy: Callable[[Positions], Energies],
    integrator: PathWeighted,
    bonds: BondConstraints,
    noise: NoiseFunction,
) -> Float[Array, " replicas"]:
    """Logarithm of the weight of the step that starts at ``phase``, for every replica."""
    place = integrator.place_of_force(phase, bonds)
    forces = -jax.grad(lambda positions: bias_energy(positions).sum())(place)
    shift = integrator.response(bonds)[:, None, None] * forces
    return -(noise(shift.shape, shift.dtype) * shift + shift**2 / 2).sum((0, 1))
