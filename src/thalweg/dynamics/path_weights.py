r"""How much likelier the path of a biased run is without the bias, step by step [donati2017, kieninger2021].

.. math::  \ln M = -\sum_n \Big(\eta_n \cdot \Delta_n + \tfrac12 |\Delta_n|^2\Big), \qquad \Delta_n = c\, f_b(x_n)

with the noise :math:`\eta` that was drawn, the force :math:`f_b` of a bias that does not grow, and what a force is
worth in noise: :math:`c = \sqrt{D\, \Delta t / 2} / kT` in a step of Euler and Maruyama and
:math:`c = \tfrac12 \Delta t (1 + d) / \sqrt{(1 - d^2)\, m\, kT}`, :math:`d = e^{-\gamma \Delta t}`, in an ABOBA step.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from thalweg.dynamics.aboba import midpoint
from thalweg.dynamics.constraints import BondConstraints
from thalweg.dynamics.engine import ABOBA, Integrator, Overdamped
from thalweg.dynamics.phase import NoiseFunction, Phase
from thalweg.shapes import Array, Energies, Float, Positions


def has_path_weights(integrator: Integrator, bias: object) -> bool:
    """Whether paths have weights: under a bias that does not grow, with Overdamped or ABOBA dynamics."""
    return bias is not None and bias.stride is None and isinstance(integrator, Overdamped | ABOBA)


def log_weight_of_step(
    phase: Phase,
    bias_energy: Callable[[Positions], Energies],
    integrator: Overdamped | ABOBA,
    bonds: BondConstraints,
    noise: NoiseFunction,
) -> Float[Array, " replicas"]:
    """Logarithm of the weight of the step that starts at ``phase``, for every replica."""
    place = midpoint(phase, integrator, bonds) if isinstance(integrator, ABOBA) else phase.positions
    forces = -jax.grad(lambda positions: bias_energy(positions).sum())(place)
    shift = response(integrator, bonds)[:, None, None] * forces
    return -(noise(shift.shape, shift.dtype) * shift + shift**2 / 2).sum((0, 1))


def response(integrator: Overdamped | ABOBA, bonds: BondConstraints) -> Float[Array, " atoms"]:
    """What a force on each atom is worth in noise [1 / (kJ/mol/nm)]; nothing for atoms that never move."""
    dt, kT, moves = integrator.dt, integrator.kT, bonds.masses > 0
    if isinstance(integrator, Overdamped):
        return jnp.where(moves, jnp.sqrt(integrator.diffusion * dt / 2) / kT, 0.0)
    keep = jnp.exp(-integrator.friction * dt)
    return dt / 2 * (1 + keep) * jnp.sqrt(bonds.inverse_masses / ((1 - keep**2) * kT))
