"""How warm replicas are, and momenta that are as warm as they should be."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.dynamics.constraints import BondConstraints
from thalweg.shapes import Array, Energies, Float, Masses, Momenta
from thalweg.systems.state import State, thermal_state
from thalweg.systems.system import System


def kinetic_energy(momenta: Momenta, masses: Masses) -> Energies:
    """``sum p^2 / 2m`` ``(*replicas,)`` [kJ/mol] of ``momenta`` ``(atoms, dims, *replicas)``."""
    weights = jnp.where(jnp.asarray(masses) > 0, 0.5 / jnp.where(jnp.asarray(masses) > 0, masses, 1.0), 0.0)
    return jnp.tensordot(weights.astype(momenta.dtype), (momenta**2).sum(1), 1)


def kinetic_temperature(momenta: Momenta, masses: Masses, degrees_of_freedom: int) -> Energies:
    """``2 K / f`` ``(*replicas,)`` [kJ/mol], which is ``kT`` on average for ``f`` degrees of freedom.

    Constraints take one degree each: `thalweg.systems.system.System.degrees_of_freedom`. BAOAB samples
    momenta with an error of order ``dt^2``, positions with a much smaller one: judge a time step by
    configurations, not by this.

    Examples
    --------
    >>> kinetic_temperature(jnp.array([[[3.0], [4.0]]]), np.array([2.0]), 2).tolist()
    [6.25]
    """
    return 2.0 * kinetic_energy(momenta, masses) / degrees_of_freedom


def thermal_start(
    system: System,
    kT: float,
    key: jax.Array,
    replicas: int,
    positions: Float[Array, "atoms dims *replicas"] | None = None,
) -> State:
    """Replicas of ``system`` with momenta at ``kT`` [kJ/mol] that respect its constraints.

    Parameters
    ----------
    system : System
    kT : thermal energy [kJ/mol]
    key : random key of the momenta, and of the dynamics to come
    replicas : their number
    positions : (atoms, 3) or (atoms, 3, replicas) [nm]; the system's own if None

    Raises
    ------
    ValueError
        If ``positions`` hold another number of replicas.
    """
    positions = np.asarray(system.positions if positions is None else positions, np.float32)
    if positions.ndim == 2:
        positions = np.repeat(positions[:, :, None], replicas, 2)
    if positions.shape[2] != replicas:
        raise ValueError(
            f"positions of {positions.shape[2]} replicas given for {replicas}; give one structure or as many"
        )
    state = thermal_state(jnp.asarray(positions), system.masses, kT, key, system.box)
    bonds = BondConstraints.build(system.constraints, system.masses)
    return State(
        state.positions,
        bonds.projected(state.momenta, bonds.tangents(state.positions)),
        state.key,
        state.step,
        state.box,
    )
