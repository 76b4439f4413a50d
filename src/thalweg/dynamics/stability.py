"""Does a fitted potential hold up in dynamics? Small errors of forces do not say so [fu2023]; a run does.

Three questions, one call, `stability`:

*drift*
    At constant energy (velocity Verlet), by how much does the total energy move, per atom and ps, at each time step?
    The slope of a straight line through the energies, the mean over replicas of its size, in units of kT. A smooth
    potential loses nothing at small steps; one with kinks drifts at all.
*breaking*
    In a Langevin run, do bonds of the start become longer than twice their length, do atoms come nearer than half
    the sum of their covalent radii, do numbers overflow? When first, in which replica, how?
*melting*
    For a crystal: the root mean square displacement from the starting lattice, the drift of the center taken out, over
    the nearest distance, exceeds Lindemann's limit [gilvarry1956] in a solid that should not melt.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.dynamics.engine import Recording, StopRun
from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.structure_watch import StructureWatch
from thalweg.dynamics.temperature import kinetic_energy
from thalweg.dynamics.velocity_verlet import VelocityVerlet
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.potentials.energy import Energy
from thalweg.systems.configuration import Configuration
from thalweg.systems.elements import MASSES
from thalweg.systems.state import State, thermal_state
from thalweg.units import thermal_energy

LIMIT = 1e-3
"""Drift up to which a time step is sound [kT per atom and ps]."""

LOOKS = 40
"""Energies along a run at constant energy."""

FRAMES = 400
"""Frames of the Langevin run at which the structure is looked at."""

COMPARED = 50
"""Frames whose forces are compared with a reference."""


@dataclass(frozen=True)
class Stability:
    """Settings of the check.

    Parameters
    ----------
    temperature : of the Langevin run, and of the start of the runs at constant energy [K]
    duration : of the Langevin run, per replica [ps]
    dt : its time step [ps]
    steps : time steps of the runs at constant energy [ps]
    drift_duration : how long each of these is [ps]
    replicas : how many copies run, with momenta of their own
    friction : of the Langevin run [1/ps]
    seed : of momenta and noise
    """

    temperature: float = 500.0
    duration: float = 100.0
    dt: float = 5e-4
    steps: tuple[float, ...] = (2.5e-4, 5e-4, 1e-3)
    drift_duration: float = 2.0
    replicas: int = 4
    friction: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class StabilityReport:
    """What the runs showed.

    Attributes
    ----------
    steps : time steps of the runs at constant energy [ps]
    drifts : drift of the total energy at each [kT per atom and ps]; infinite where a run broke
    largest_step : the largest time step up to which all drifts are below 1e-3, or None [ps]
    duration : length of the Langevin run that was asked for [ps]
    failures : replica -> (time [ps], sentence), for those that broke, collapsed or melted
    temperature : kinetic temperature at the end of the Langevin run, mean over replicas [K]
    longest_bond : greatest ratio of a bond's length to its length at the start
    closest : least ratio of a distance to the sum of covalent radii
    displacement : root mean square displacement over the nearest distance at the end, or NaN without a cell
    force_error : root mean square difference of force components to the reference along the run, NaN without one
        [kJ/mol/nm]
    """

    steps: tuple[float, ...]
    drifts: tuple[float, ...]
    largest_step: float | None
    duration: float
    failures: dict[int, tuple[float, str]]
    temperature: float
    longest_bond: float
    closest: float
    displacement: float
    force_error: float

    @property
    def stable(self) -> bool:
        """Whether every replica lasted."""
        return not self.failures

    @property
    def time_of_failure(self) -> float:
        """When the first replica failed [ps]; infinite if none did."""
        return min((time for time, _ in self.failures.values()), default=float("inf"))

    def __str__(self) -> str:
        lines = ["time step [fs]   drift [kT/atom/ps]"]
        lines += [f"{1e3 * dt:14.3g}   {drift:.2e}" for dt, drift in zip(self.steps, self.drifts)]
        step = "none tried" if self.largest_step is None else f"{1e3 * self.largest_step:g} fs"
        lines += [f"largest sound time step: {step}"]
        lasted = "all replicas" if self.stable else f"first failure at {self.time_of_failure:.4g} ps"
        lines += [f"Langevin run of {self.duration:g} ps at {self.temperature:.0f} K: {lasted}"]
        lines += [f"  {said}" for _, said in self.failures.values()]
        lines += [
            f"longest bond {self.longest_bond:.2f} of its length, closest atoms {self.closest:.2f} of their radii"
        ]
        if not np.isnan(self.displacement):
            lines += [f"displacement from the lattice {self.displacement:.3f} of the nearest distance"]
        if not np.isnan(self.force_error):
            lines += [f"force error along the run {self.force_error:.3g} kJ/mol/nm"]
        return "\n".join(lines)


def stability(
    potential: LearnedPotential,
    frame: Configuration,
    settings: Stability = Stability(),
    crystal: bool | None = None,
    reference: LearnedPotential | None = None,
) -> StabilityReport:
    """Run ``potential`` from ``frame`` in the native engine and report how it holds up.

    Parameters
    ----------
    potential : LearnedPotential
    frame : where all replicas start, near a minimum
    settings : lengths, time steps, temperature
    crystal : whether the frame is a lattice that must not melt; by default if it repeats in all directions and
        every atom is bonded to one of its own element
    reference : a potential to compare forces with along the Langevin run, such as the one that made the labels

    Raises
    ------
    ValueError
        If the potential does not know an element, or duration and time steps make no whole run.
    """
    numbers, box = np.asarray(frame.numbers, int), frame.box if any(frame.periodic) else None
    # energies of isolated atoms are a constant that would cost digits of the total
    bare = replace(potential, references=dict.fromkeys(potential.references, 0.0))
    energy, masses = bare.bind(numbers, box, frame.periodic), MASSES[numbers]
    kT = thermal_energy(settings.temperature)
    with jax.enable_x64(True):  # what a potential loses, not what rounding does
        start = _start(frame, box, masses, kT, settings, jnp.float64)
        drifts = tuple(
            _drift(energy, masses, start, dt, settings.drift_duration, kT) for dt in settings.steps
        )
    # a time step is sound if it and all smaller ones lose no energy
    good = [dt for k, dt in enumerate(settings.steps) if max(drifts[: k + 1]) < LIMIT]
    watch = StructureWatch.of(frame, crystal)
    start = _start(frame, box, masses, kT, settings, jnp.float32)
    run, failures = _watched(energy, masses, start, settings, kT, watch)
    seen = run.positions.reshape(-1, *run.positions.shape[2:]).astype(float)
    heat = kinetic_energy(run.state.momenta, masses)
    return StabilityReport(
        tuple(settings.steps),
        drifts,
        max(good, default=None),
        settings.duration,
        failures,
        # T = 2 K / (3 N k_B)
        float(np.mean(heat)) * 2 / (3 * len(numbers)) / thermal_energy(1.0),
        max(watch.stretch(x)[0] for x in seen),
        min(watch.closest(x)[0] for x in seen),
        float(np.mean([watch.displacement(x) for x in run.positions[:, -1].astype(float)])),
        _force_error(potential, reference, frame, seen),
    )


def _start(frame: Configuration, box, masses: np.ndarray, kT: float, settings: Stability, kind) -> State:
    """All replicas at the frame, with momenta of their own."""
    positions = np.repeat(np.asarray(frame.positions, float)[..., None], settings.replicas, -1)
    cell = None if box is None else jnp.asarray(box, kind)
    return thermal_state(jnp.asarray(positions, kind), masses, kT, jax.random.key(settings.seed), cell)


def _drift(energy: Energy, masses: np.ndarray, start: State, dt: float, duration: float, kT: float) -> float:
    """Mean size of the slope of the total energy [kT per atom and ps], infinite if a replica breaks."""
    every = max(1, round(duration / dt / LOOKS))
    engine = NativeEngine.for_potential(energy, masses, VelocityVerlet(dt=dt))
    totals, state = [], start
    for _ in range(LOOKS):
        run = engine.run(state, every, save_every=every)
        if run.diverged:
            return float("inf")
        state = run.state
        totals.append(run.energy[:, -1] + np.asarray(kinetic_energy(state.momenta, masses)))
    # slope of a straight line through E(t) of every replica, by least squares
    slopes = np.polyfit(every * dt * np.arange(LOOKS), np.array(totals, float), 1)[0]
    return float(np.abs(slopes).mean()) / (kT * len(masses))


def _watched(
    energy: Energy, masses: np.ndarray, start: State, settings: Stability, kT: float, watch: StructureWatch
) -> tuple[Recording, dict[int, tuple[float, str]]]:
    """The Langevin run, ended when every replica has failed, and when and how those that did have failed."""
    failures: dict[int, tuple[float, str]] = {}
    every = max(1, round(settings.duration / settings.dt / FRAMES))
    frames = max(1, round(settings.duration / settings.dt / every))
    interval, replicas = every * settings.dt, start.positions.shape[2]

    def look(done, total, chunk):
        # the chunk's first frame among all, from the steps done at its end
        count = chunk.positions.shape[1]
        first = round(done / every) - count
        for r in set(range(replicas)) - set(failures):
            for k, positions in enumerate(chunk.positions[r, : chunk.valid[r]].astype(float)):
                said = watch.complaint(positions)
                if said is not None:
                    time = (first + k + 1) * interval
                    failures[r] = time, f"replica {r} after {time:.4g} ps: {said}"
                    break
            if r not in failures and r in chunk.diverged:
                failures[r] = (first + int(chunk.valid[r]) + 1) * interval, chunk.diverged[r]
        if len(failures) == replicas:
            raise StopRun

    engine = NativeEngine.for_potential(
        energy, masses, Langevin(kT=kT, dt=settings.dt, friction=settings.friction)
    )
    run = engine.run(start, frames * every, save_every=every, observers=(look,))
    return run, failures


def _force_error(
    potential: LearnedPotential,
    reference: LearnedPotential | None,
    frame: Configuration,
    positions: np.ndarray,
) -> float:
    """Root mean square difference of force components to the reference along a run [kJ/mol/nm]."""
    if reference is None:
        return float("nan")
    some = positions[:: max(1, len(positions) // COMPARED)]
    frames = [replace(frame, positions=x, energy=None, forces=None, stress=None) for x in some]
    ours, theirs = potential.evaluate(frames).forces, reference.evaluate(frames).forces
    return float(np.sqrt(np.mean([(a - b) ** 2 for a, b in zip(ours, theirs)])))
