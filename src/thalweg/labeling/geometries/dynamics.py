"""Geometries along dynamics at a temperature, by a force field or a cheap quantum method."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.learned_potentials.terms.term import Term
from thalweg.systems.configuration import Configuration
from thalweg.systems.elements import MASSES
from thalweg.systems.state import thermal_state
from thalweg.units import Count, Kelvin, Picoseconds, thermal_energy, whole_multiple

FRICTION = 2.0
"""[1/ps]"""


def dynamics_frames(
    frame: Configuration,
    term: Term,
    count: Count,
    temperature: Kelvin = 300.0,
    every: Picoseconds = 0.05,
    begin: Picoseconds = 0.5,
    dt: Picoseconds = 0.0005,
    seed: int = 0,
) -> list[Configuration]:
    """``count`` frames of Langevin dynamics from ``frame``.

    Parameters
    ----------
    term : whose forces move the atoms, such as `TightBinding` or a learned potential
    every : time between frames
    begin : time before the first of them
    dt : time step; hydrogen is free to move

    Raises
    ------
    RuntimeError
        If the dynamics explodes.
    ValueError
        If times are no whole numbers of steps.
    """
    stride = whole_multiple(every, dt, "every")
    masses, kT = MASSES[np.asarray(frame.numbers)], thermal_energy(temperature)
    energy = term.bind(frame.numbers, frame.box if any(frame.periodic) else None, frame.periodic)
    engine = NativeEngine.for_potential(energy, masses, Langevin(kT=kT, dt=dt, friction=FRICTION))
    box = jnp.asarray(frame.box, jnp.float32) if any(frame.periodic) else None
    start = jnp.asarray(frame.positions, jnp.float32)[..., None]
    state = thermal_state(start, masses, kT, jax.random.key(seed), box)
    skipped = -(-whole_multiple(begin, dt, "begin") // stride) if begin else 0
    run = engine.run(state, (skipped + count) * stride, save_every=stride)
    positions = np.asarray(run.positions, float)[0, skipped:]
    if not np.isfinite(positions).all():
        raise RuntimeError(
            f"dynamics at {temperature:g} K left the numbers after "
            f"{np.isfinite(positions).all((1, 2)).argmin() * every:g} ps; lower the temperature or dt"
        )
    bare = frame.unlabeled
    return [replace(bare, positions=each) for each in positions]
