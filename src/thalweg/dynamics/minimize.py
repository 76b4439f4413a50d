"""A structure without clashes to start from: the nearest minimum of the energy, by L-BFGS [nocedal1980]."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

from thalweg.potentials.energy import energy_and_forces
from thalweg.shapes import Array, Box, Float
from thalweg.systems.system import Constraints

STIFFNESS = 1e6
"""Of the springs that stand for constraints while minimizing [kJ/mol/nm^2]."""


@dataclass(frozen=True)
class Minimum:
    """Where a minimization ended.

    Attributes
    ----------
    positions : (atoms, dims) [nm]
    energy : [kJ/mol]
    largest_force : largest component of the force, springs included [kJ/mol/nm]
    converged : whether that is below the tolerance
    """

    positions: np.ndarray
    energy: float
    largest_force: float
    converged: bool


def minimized(
    energy: Callable,
    positions: Float[Array, "atoms dims"],
    *,
    box: Box | None = None,
    constraints: Constraints | None = None,
    tolerance: float = 10.0,
    iterations: int = 1000,
) -> Minimum:
    """The minimum of ``energy`` near ``positions``.

    Constrained distances are held by stiff springs, so they end near their lengths and the first step of
    dynamics makes them exact. Energies are in the precision of ``positions``: in 32 bits a tolerance much
    below 1 kJ/mol/nm is out of reach, and ``converged`` says so.

    Parameters
    ----------
    energy : as in `thalweg.potentials.energy`
    positions : (atoms, dims) [nm]
    box : box vectors [nm] or None
    constraints : distances to keep, or None
    tolerance : largest component of the force to accept [kJ/mol/nm]
    iterations : at most so many

    Examples
    --------
    >>> from thalweg.testsystems.wells import DoubleWell
    >>> minimized(DoubleWell(), np.array([[0.8]]), tolerance=1e-2).positions.round(3).tolist()
    [[1.0]]
    """
    held = Constraints.none() if constraints is None else constraints
    first, second = held.pairs[:, 0], held.pairs[:, 1]
    start = jnp.asarray(positions)
    fresh = energy.refreshed(start, box)

    # the energy is an argument, not part of the compiled program: neighbor lists change, the program does not
    @eqx.filter_jit
    def evaluate(energy, x):
        def with_springs(x, box):
            lengths = jnp.sqrt(((x[first] - x[second]) ** 2).sum(1))
            return energy(x, box) + 0.5 * STIFFNESS * ((lengths - held.distances) ** 2).sum(0)

        return energy_and_forces(with_springs, x, box)

    def objective(flat):
        nonlocal fresh
        x = jnp.asarray(flat.reshape(start.shape), start.dtype)
        # E and -F as one flat vector in 64 bits, at positions that may have outrun the neighbor list
        fresh = fresh.refreshed(x, box)
        value, forces = evaluate(fresh, x)
        return float(value), -np.asarray(forces, float).ravel()

    found = minimize(
        objective,
        np.asarray(start, float).ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": iterations, "gtol": tolerance, "ftol": 0.0},
    )
    x = found.x.reshape(start.shape)
    largest = float(np.abs(found.jac).max())
    # the energy proper, without springs
    here = jnp.asarray(x, start.dtype)
    return Minimum(x, float(fresh.refreshed(here, box)(here, box)), largest, largest <= tolerance)
