"""Properties along runs of a molecule: dynamics by one model, dipoles or polarizabilities by another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from thalweg.time_series.trajectories import Trajectories
from thalweg.units import Count, Kelvin, PerPicosecond, Picoseconds, thermal_energy, whole_multiple

SETTLING = 5.0
"""Friction while runs come to their temperature [1/ps]."""


def property_trajectories(
    frame: Configuration,
    term: Term,
    properties: Callable[[Sequence[Configuration]], Sequence[np.ndarray]],
    temperature: Kelvin = 300.0,
    runs: Count = 6,
    time: Picoseconds = 5.0,
    begin: Picoseconds = 0.5,
    every: Picoseconds = 0.002,
    dt: Picoseconds = 0.0005,
    friction: PerPicosecond = 1.0,
    seed: int = 0,
) -> Trajectories:
    """What ``properties`` says of the frames of several runs of Langevin dynamics from ``frame``.

    Parameters
    ----------
    term : whose forces move the atoms
    properties : such as the ``predict`` of a `PropertyModel`
    time, begin : length of each run, and time before it in which it comes to its temperature
    every : time between frames; 0.002 ps see up to 8000 1/cm
    dt : time step, also the ``step`` of `Infrared` and `Raman`
    friction : lines are wider by ``friction / 2 pi c``, 5 1/cm for 1/ps; with less, each vibration keeps for longer the
        energy that it happens to have, and as many runs tell less of the intensities

    Raises
    ------
    RuntimeError
        If the dynamics explodes.
    ValueError
        If times are no whole numbers of steps.
    """
    stride, steps = whole_multiple(every, dt, "every"), whole_multiple(time, every, "time")
    masses, kT = MASSES[np.asarray(frame.numbers)], thermal_energy(temperature)
    energy = term.bind(frame.numbers, frame.box, frame.periodic)
    positions = jnp.repeat(jnp.asarray(frame.positions, jnp.float32)[..., None], runs, axis=2)
    state = thermal_state(positions, masses, kT, jax.random.key(seed))
    settling = NativeEngine.for_potential(energy, masses, Langevin(kT=kT, dt=dt, friction=SETTLING))
    before = max(1, round(begin / dt))
    state = settling.run(state, before, save_every=before).state
    engine = NativeEngine.for_potential(energy, masses, Langevin(kT=kT, dt=dt, friction=friction))
    run = engine.run(state, steps * stride, save_every=stride)
    if run.diverged:
        raise RuntimeError(
            f"dynamics at {temperature:g} K broke in {len(run.diverged)} of {runs} runs: "
            f"{next(iter(run.diverged.values()))}; lower the temperature or dt, or learn from more frames"
        )
    found = np.asarray(run.positions, float)
    bare = frame.unlabeled
    frames = [replace(bare, positions=each) for run in found for each in run]
    values = np.array([np.ravel(value) for value in properties(frames)])
    return Trajectories(list(values.reshape(runs, steps, -1)), dt=every)
