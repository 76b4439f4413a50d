"""Molecular dynamics with a learned potential, from any structure file: trajectories, energies, how it held up.

The box stays as it is at the start: energy or temperature may be kept, pressure not. Frames are written while the run
goes on; what was written before a kill stays.
"""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.minimize import Minimum, minimized
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.structure_watch import LONGEST, NEAREST, StructureWatch
from thalweg.dynamics.temperature import kinetic_energy
from thalweg.dynamics.velocity_verlet import VelocityVerlet
from thalweg.interop.files.configurations import write_configurations
from thalweg.interop.files.trajectories import write_trajectory
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.machine.versions import versions
from thalweg.machine.whole_files import write_whole
from thalweg.potentials.energy import Energy
from thalweg.report.json_values import jsonable
from thalweg.studies.course_trust import trust_along, trust_said
from thalweg.studies.tables.language import StudyError
from thalweg.systems.configuration import Configuration
from thalweg.systems.elements import MASSES, SYMBOLS
from thalweg.systems.state import State, thermal_state
from thalweg.systems.system import System
from thalweg.systems.topology import Topology
from thalweg.units import thermal_energy, unit

FRAMES = 500
"""Frames saved unless said otherwise."""

WRITTEN_EVERY = 20.0
"""Files are brought up to date at least so far apart [s], and take no more than a twentieth of the time."""


@dataclass(frozen=True)
class Plan:
    """Settings of a run.

    Parameters
    ----------
    temperature : [K]
    duration, dt : [ps]
    replicas : copies, with momenta of their own
    constant_energy : velocity Verlet instead of Langevin dynamics
    friction : of the Langevin dynamics [1/ps]
    save_every : [ps]; some 500 frames unless given
    seed : of momenta and noise
    """

    temperature: float
    duration: float
    dt: float
    replicas: int = 1
    constant_energy: bool = False
    friction: float = 1.0
    save_every: float | None = None
    seed: int = 0

    @property
    def stride(self) -> int:
        """Steps between saved frames."""
        return max(1, round((self.save_every or self.duration / FRAMES) / self.dt))

    @property
    def frames(self) -> int:
        """Saved frames.

        Raises
        ------
        StudyError
            If there is none.
        """
        count = round(self.duration / self.dt) // self.stride
        if count < 1 or self.replicas < 1:
            raise StudyError(
                f"{self.duration:g} ps in steps of {self.dt:g} ps saved every {self.stride} steps, {self.replicas} "
                "replicas: there is nothing to save; give a longer time, or shorter intervals"
            )
        return count


@dataclass
class Course:
    """What a run leaves.

    Attributes
    ----------
    times : (frames,) [ps]
    positions : (replicas, frames, atoms, 3) [nm]
    potential, kinetic : (replicas, frames) [kJ/mol]
    whole : (replicas,) frames before the structure broke, if it did
    broken : replica -> sentence
    """

    times: np.ndarray
    positions: np.ndarray
    potential: np.ndarray
    kinetic: np.ndarray
    whole: np.ndarray
    broken: dict[int, str] = field(default_factory=dict)


def relaxed_frame(
    potential: LearnedPotential, start: Configuration, tolerance: float = 10.0, iterations: int = 1000
) -> tuple[Configuration, Minimum]:
    """The start at the nearest minimum of the potential, in 64 bits, and how the minimization ended.

    Parameters
    ----------
    tolerance : largest component of a force to accept [kJ/mol/nm]
    iterations : at most so many

    Raises
    ------
    ValueError
        If the potential does not know an element of the start.
    """
    box = start.box if any(start.periodic) else None
    energy = bound_energy(potential, start)
    with jax.enable_x64(True):
        cell = None if box is None else jnp.asarray(box, float)
        found = minimized(
            energy, np.asarray(start.positions, float), box=cell, tolerance=tolerance, iterations=iterations
        )
    return replace(start, positions=found.positions, energy=None, forces=None, stress=None), found


def relaxation(minimum: Minimum) -> str:
    """How a minimization ended, in words."""
    force = minimum.largest_force / unit("meV/Å", "force")
    if minimum.converged:
        return f"Relaxed: no force component is above {force:.2g} meV/Å."
    return f"Relaxed, but not to the end: a force component is still {force:.2g} meV/Å."


def bound_energy(potential: LearnedPotential, start: Configuration) -> Energy:
    """The energy of the atoms of the start, without that of isolated atoms.

    Raises
    ------
    ValueError
        If the potential does not know an element of the start.
    """
    bare = replace(potential, references=dict.fromkeys(potential.references, 0.0))
    return bare.bind(
        np.asarray(start.numbers, int), start.box if any(start.periodic) else None, start.periodic
    )


def simulate(
    potential: LearnedPotential,
    start: Configuration,
    plan: Plan,
    told: Callable[[str, float], None] = lambda message, fraction: None,
    kept: Callable[[Course], None] | None = None,
) -> Course:
    """Run ``plan`` from ``start``; a replica that breaks stops, the others go on.

    Parameters
    ----------
    told : called with a message and the fraction done after every frame
    kept : called now and then with what there is so far, such as to write it (`write_frames`)

    Raises
    ------
    ValueError
        If the potential does not know an element of the start.
    """
    numbers, box = np.asarray(start.numbers, int), start.box if any(start.periodic) else None
    masses, kT, energy = MASSES[numbers], thermal_energy(plan.temperature), bound_energy(potential, start)
    reference = sum(potential.references[int(z)] for z in numbers)
    integrator = (
        VelocityVerlet(dt=plan.dt)
        if plan.constant_energy
        else Langevin(kT=kT, dt=plan.dt, friction=plan.friction)
    )
    system = System(_particles(start), np.asarray(start.positions), masses, energy, box=box)
    engine, watch = NativeEngine(system, integrator), StructureWatch.of(start)
    state, frames, steps = _start(start, box, masses, kT, plan), [], plan.frames
    whole, broken = np.full(plan.replicas, steps), {}
    began = time.monotonic()
    due = began + WRITTEN_EVERY

    def so_far() -> Course:
        positions, energies, heats = (np.stack(each, 1) for each in zip(*frames))
        times = plan.stride * plan.dt * (1 + np.arange(len(frames)))
        return Course(times, positions, energies, heats, np.minimum(whole, len(frames)), dict(broken))

    for k in range(steps):
        run = engine.run(state, plan.stride, save_every=plan.stride)
        state = run.state
        heat = np.asarray(kinetic_energy(state.momenta, masses), float)
        frames.append((run.positions[:, -1], reference + run.energy[:, -1].astype(float), heat))
        now = (k + 1) * plan.stride * plan.dt
        for r in set(range(plan.replicas)) - set(broken):
            said = run.diverged.get(r) or _complaint(watch, frames[-1][0][r], r, now)
            if said:
                broken[r], whole[r] = said, k
        told(_pace(now, plan, time.monotonic() - began, len(broken)), (k + 1) / steps)
        if len(broken) == plan.replicas:
            break
        if kept is not None and time.monotonic() >= due:
            started = time.monotonic()
            kept(so_far())
            due = time.monotonic() + max(WRITTEN_EVERY, 20 * (time.monotonic() - started))
    return so_far()


def write_frames(course: Course, start: Configuration, folder: Path, extxyz: bool = False) -> None:
    """Write the start as PDB, a DCD per replica and ``energies.csv``; each file is there whole or not at all.

    Parameters
    ----------
    extxyz : whether to write frames with their energies as extended XYZ too
    """
    folder.mkdir(parents=True, exist_ok=True)
    topology, box = _topology_of(start), start.box if any(start.periodic) else None
    write_trajectory(folder / "topology.pdb", np.asarray(start.positions)[None], topology, box)
    for r, count in enumerate(course.whole):
        if not count:
            continue
        file = folder / f"replica-{r}.dcd"
        write_trajectory(file, course.positions[r, :count], topology, box, float(course.times[0]))
        if extxyz:
            frames = [
                Configuration(start.numbers, x, start.box, start.periodic, energy=float(energy))
                for x, energy in zip(course.positions[r, :count].astype(float), course.potential[r])
            ]
            write_configurations(folder / f"replica-{r}.extxyz", frames)
    write_whole(folder / "energies.csv", _energies(course, len(start)))


def write_course(
    course: Course,
    start: Configuration,
    plan: Plan,
    potential: LearnedPotential,
    folder: Path,
    extxyz: bool = False,
) -> dict:
    """Write frames, see `write_frames`, and last ``stability.json``; what this one holds."""
    write_frames(course, start, folder, extxyz)
    said = judgment(course, start, plan, potential)
    write_whole(folder / "stability.json", json.dumps(jsonable(said), indent=1) + "\n")
    return said


def judgment(course: Course, start: Configuration, plan: Plan, potential: LearnedPotential) -> dict:
    """How the run held up: temperature, drift, broken replicas, and how unsure the potential was on the way."""
    degrees, watch = 3 * len(start) - 3 * plan.constant_energy, StructureWatch.of(start)
    alive = [r for r, count in enumerate(course.whole) if count]
    late = [course.kinetic[r, course.whole[r] // 2 : course.whole[r]] for r in alive]
    heat = float(np.mean(np.concatenate(late))) * 2 / degrees / thermal_energy(1.0) if alive else None
    seen = [x for r in alive for x in course.positions[r, : course.whole[r]].astype(float)]
    seen = seen[:: max(1, len(seen) // 200)]
    said = {
        "replicas": plan.replicas,
        "time_asked_for_ps": plan.duration,
        "whole_ps": [float(course.times[count - 1]) if count else 0.0 for count in course.whole],
        "broken": {str(r): sentence for r, sentence in course.broken.items()},
        "temperature_K": heat,
        "longest_bond_over_start": max((watch.stretch(x)[0] for x in seen), default=None),
        "closest_over_covalent_radii": min((watch.closest(x)[0] for x in seen), default=None),
        "drift_kT_per_atom_ps": _drift(course, alive, len(start), plan) if plan.constant_energy else None,
        "settings": {
            "temperature_K": plan.temperature,
            "dt_ps": plan.dt,
            "save_every_ps": plan.stride * plan.dt,
            "friction_per_ps": None if plan.constant_energy else plan.friction,
            "seed": plan.seed,
        },
        "versions": versions(),
    }
    return said | trust_along(potential, start, seen)


def sentences(said: dict) -> list[str]:
    """A judgment in words."""
    lasted = said["replicas"] - len(said["broken"])
    found = [
        f"{lasted} of {said['replicas']} replicas lasted {said['time_asked_for_ps']:g} ps without breaking."
    ]
    found += [f"broken: {sentence}" for sentence in said["broken"].values()]
    if said["temperature_K"] is not None:
        found.append(f"Kinetic temperature in the second half: {said['temperature_K']:.0f} K.")
    if said["drift_kT_per_atom_ps"] is not None:
        found.append(f"Drift of the total energy: {said['drift_kT_per_atom_ps']:.1e} kT per atom and ps.")
    return [*found, *trust_said(said)]


def _topology_of(start: Configuration) -> Topology:
    """Atoms of a configuration as one residue, without bonds, which viewers guess."""
    symbols = tuple(SYMBOLS[z] for z in start.numbers)
    count = len(symbols)
    return Topology(symbols, symbols, ("MOL",) * count, (1,) * count, (0,) * count, np.zeros((0, 2), int))


def _particles(start: Configuration) -> Topology:
    """The atoms of a configuration, called by their elements and numbers."""
    symbols, count = tuple(SYMBOLS[z] for z in start.numbers), len(start)
    return Topology(symbols, symbols, symbols, tuple(range(count)), (0,) * count, np.zeros((0, 2), int))


def _start(start: Configuration, box, masses, kT: float, plan: Plan) -> State:
    """All replicas at the start, momenta of their own, the whole at rest."""
    positions = np.repeat(np.asarray(start.positions, np.float32)[..., None], plan.replicas, -1)
    cell = None if box is None else jnp.asarray(box, jnp.float32)
    state = thermal_state(jnp.asarray(positions), masses, kT, jax.random.key(plan.seed), cell)
    still = state.momenta - masses[:, None, None] * (state.momenta.sum(0) / masses.sum())
    return replace(state, momenta=jnp.asarray(still, jnp.float32))


def _complaint(watch: StructureWatch, positions: np.ndarray, replica: int, now: float) -> str | None:
    """What broke, if something did; atoms of a liquid or solid may leave their neighbors, those of a molecule not."""
    where = f"replica {replica} after {now:.4g} ps:"
    if not np.isfinite(positions).all():
        return f"{where} positions are not finite"
    ratio, pair = watch.closest(positions.astype(float))
    if ratio < NEAREST:
        return f"{where} atoms {pair} are at {ratio:.2g} of the sum of their covalent radii"
    ratio, bond = watch.stretch(positions.astype(float))
    if ratio > LONGEST and not any(watch.frame.periodic):
        return f"{where} bond {bond} is {ratio:.2g} times as long as at the start"
    return None


def _pace(now: float, plan: Plan, seconds: float, broken: int) -> str:
    lost = f", {broken} broken" if broken else ""
    speed = plan.replicas * now * 1e-3 / seconds * 86400
    return f"{now:.3g} of {plan.duration:g} ps, {speed:.3g} ns/day in all{lost}"


def _drift(course: Course, alive: list[int], atoms: int, plan: Plan) -> float | None:
    """Mean size of the slope of the total energy over replicas [kT per atom and ps]."""
    slopes = [
        np.polyfit(course.times[:count], (course.potential + course.kinetic)[r, :count], 1)[0]
        for r, count in ((r, int(course.whole[r])) for r in alive)
        if count > 2
    ]
    return float(np.abs(slopes).mean()) / (thermal_energy(plan.temperature) * atoms) if slopes else None


def _energies(course: Course, atoms: int) -> str:
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(("replica", "time [ps]", "potential [kJ/mol]", "kinetic [kJ/mol]", "temperature [K]"))
    for r, count in enumerate(course.whole):
        for k in range(count):
            heat = course.kinetic[r, k]
            kelvin = 2 * heat / (3 * atoms) / thermal_energy(1.0)
            values = (course.times[k], course.potential[r, k], heat, kelvin)
            rows.writerow((r, *(f"{value:.10g}" for value in values)))
    return text.getvalue()
