"""A minimum of a level's energy near a frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import minimize

from thalweg.labeling.level import Level
from thalweg.systems.configuration import Configuration
from thalweg.units import KilojoulesPerMolePerNanometer

STEP = 0.01
"""Length of the first step of a minimization, over all coordinates [nm]."""


def nearest_minimum(
    frame: Configuration, level: Level, force: KilojoulesPerMolePerNanometer = 1.0, steps: int = 500
) -> Configuration:
    """``frame`` with atoms moved to a minimum of the energy of ``level``, labeled; its cell stays.

    Parameters
    ----------
    force : done when no component is larger
    steps : labels at most

    Raises
    ------
    RuntimeError
        If forces are larger than asked for after so many steps.
    LabelFailed
        If the level fails on the way.

    Examples
    --------
    >>> from thalweg.labeling.known_potential import KnownPotential
    >>> from thalweg.learned_potentials.parametric.pair_terms import morse
    >>> bond = KnownPotential(morse((1,), [400.0], [20.0], [0.074], cutoff=0.5), called="Morse")
    >>> pair = nearest_minimum(Configuration(np.array([1, 1]), np.array([[0, 0, 0], [0, 0, 0.08]])), bond, force=1e-3)
    >>> print(round(pair.positions[1, 2] - pair.positions[0, 2], 4))
    0.074
    """
    start, first = np.asarray(frame.positions, float), level.label(frame).energy

    def labeled(moved):
        return level.label(replace(frame, positions=start + STEP * moved.reshape(start.shape)))

    def energy_and_gradient(moved):
        there = labeled(moved)
        return there.energy - first, -STEP * there.forces.ravel()

    settings = {"maxfun": steps, "maxiter": steps, "gtol": 0.9 * STEP * force, "ftol": 1e-15, "maxls": 40}
    result = minimize(
        energy_and_gradient, np.zeros(start.size), jac=True, method="L-BFGS-B", options=settings
    )
    found = labeled(result.x)
    if np.abs(found.forces).max() > force:
        raise RuntimeError(
            f"forces are still {np.abs(found.forces).max():.3g} kJ/mol/nm after {result.nfev} labels by {level.name}, "
            f"not below {force:g}; begin nearer to a minimum, or allow more steps"
        )
    return found
