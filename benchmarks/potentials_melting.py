"""What a melting crystal costs: steps and compilations of dynamics from the lattice to the liquid.

Silicon of 64 and 512 atoms is heated far beyond its melting point at constant volume, with potentials taught energies
and forces of Stillinger and Weber on the way from crystal to melt; what the labels are does not change the cost, and
nothing is downloaded. While neighbors come and go the program should stay as it was compiled. Times are processor time
of one process on one thread: of a step, from stretches in which nothing was compiled; of compilation, what the other
stretches took beyond their steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path

import ase.build
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.dynamics.engine import Recording
from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.structure_watch import LINDEMANN, StructureWatch
from thalweg.interop.files.configurations import from_atoms
from thalweg.learned_potentials.parametric.stillinger_weber import stillinger_weber_silicon
from thalweg.learned_potentials.recipe import Recipe
from thalweg.learned_potentials.recipes.linear import expansion_with_kernel, snap
from thalweg.potentials.energy import Energy
from thalweg.report.benchmark import Row
from thalweg.studies.tables.fit_study import usual_learner
from thalweg.systems.configuration import Configuration
from thalweg.systems.elements import MASSES
from thalweg.systems.state import thermal_state
from thalweg.units import thermal_energy

RECIPES: dict[str, Callable[[], Recipe]] = {
    "default": lambda: Recipe(usual_learner(taught(False))),
    "SNAP": snap,
    "expansion and kernel": expansion_with_kernel,
}

COPIES = {64: 2, 512: 4}
"""Cubic cells along each edge, by atoms."""

HOT, KELVIN, DT, FRICTION = 6000.0, 4000.0, 1e-3, 10.0
"""Temperatures of what is taught and of what is measured, the time step [ps] and the friction [1/ps]."""

STEPS = {64: 800, 512: 300}

COMPILED = "/jax/core/compile/backend_compile_duration"
"""JAX's event of a compiled program."""

PROGRAMS = 2
"""Compilations at most: one for the start and one for the steps."""


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """A part for each potential and size; ``quick`` takes the fast ones of the small crystal, for few steps."""
    del data
    names, sizes = (("SNAP",), (64,)) if quick else (tuple(RECIPES), tuple(COPIES))
    return {f"{name}/{atoms}": partial(melting, name, atoms, quick) for atoms in sizes for name in names}


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


@dataclass
class Stretches:
    """An observer that notes processor time and the number of compiled programs after each stretch of a run.

    Attributes
    ----------
    marks : steps done, processor time [s] and programs compiled by then
    compiled : names of programs that JAX compiled, while it is listened to
    """

    marks: list[tuple[int, float, int]] = field(default_factory=list)
    compiled: list[str] = field(default_factory=list)

    def __call__(self, done: int, total: int, recording: Recording | None) -> None:
        self.marks.append((done, time.process_time(), len(self.compiled)))

    def hear(self, event: str, seconds: float, **about: str) -> None:
        """What JAX tells of each program it compiles."""
        if event == COMPILED:
            self.compiled.append(about.get("fun_name", "?"))

    @property
    def of_the_loop(self) -> int:
        """Programs that hold the energy."""
        return sum(name in ("jit(begun)", "jit(advance)") for name in self.compiled)

    @property
    def late(self) -> int:
        """Programs of any kind that were compiled after the first stretch."""
        return self.marks[-1][2] - self.marks[1][2]

    def seconds_of_a_step(self) -> float:
        """Processor time of a step where nothing was compiled [s]."""
        steps, seconds, compiled = np.diff(np.array(self.marks), axis=0).T
        return float(seconds[compiled == 0].sum() / steps[compiled == 0].sum())

    @property
    def seconds_of_compilation(self) -> float:
        """What stretches with compilations took beyond their steps [s]."""
        steps, seconds, compiled = np.diff(np.array(self.marks), axis=0).T
        return float((seconds - steps * self.seconds_of_a_step())[compiled > 0].sum())


def melting(name: str, atoms: int, quick: bool) -> Iterator[Row]:
    """Cost of a step, compilations and how far atoms went, for one potential and size."""
    jax.config.update("jax_enable_compilation_cache", False)
    crystal = silicon(COPIES[atoms])
    steps = 60 if quick else STEPS[atoms]
    energy, watched = fitted(name, quick).bind(crystal.numbers, crystal.box), Stretches()
    jax.monitoring.register_event_duration_secs_listener(watched.hear)
    watched(0, steps, None)
    recording = heated(energy, crystal, KELVIN, steps, 20, watched)
    jax.monitoring.unregister_event_duration_listener(watched.hear)
    displacement = float(StructureWatch.of(crystal).displacement(recording.positions[0, -1]))
    test = f"Si, {atoms} atoms, {name}"
    yield Row(f"{test}: step", 1e6 * watched.seconds_of_a_step() / atoms, "us/atom")
    count, late = watched.of_the_loop, watched.late
    yield Row(f"{test}: programs of the loop", count, "", target=f"<= {PROGRAMS}", met=count <= PROGRAMS)
    yield Row(f"{test}: programs compiled after the first stretch", late, "", target="0", met=late == 0)
    yield Row(f"{test}: compilation", watched.seconds_of_compilation, "CPU s")
    yield Row(
        f"{test}: rms displacement after {steps} steps, over the nearest distance",
        displacement,
        "",
        target=f"melted: >= {LINDEMANN}",
        met=None if quick else displacement >= LINDEMANN,
    )


@cache
def fitted(name: str, quick: bool):
    """The potential of a recipe, taught on the way from crystal to melt."""
    return RECIPES[name]().fit(taught(quick))


@cache
def taught(quick: bool) -> list[Configuration]:
    """Frames of Stillinger-Weber silicon as it melts, with its labels."""
    crystal, model = silicon(2), stillinger_weber_silicon()
    every = 20 if quick else 60
    recording = heated(
        model.bind(crystal.numbers, crystal.box), crystal, HOT, every * (6 if quick else 12), every
    )
    frames = [replace(crystal, positions=np.asarray(x, float)) for x in recording.positions[0]]
    labels = model.evaluate(frames)
    return [
        replace(frame, energy=float(energy), forces=forces, stress=stress)
        for frame, energy, forces, stress in zip(frames, *(labels.energies, labels.forces, labels.stresses))
    ]


def heated(
    energy: Energy, crystal: Configuration, kelvin: float, steps: int, every: int, *observers: Stretches
) -> Recording:
    """A run from the lattice at a temperature of ``kelvin`` and constant volume."""
    masses = MASSES[crystal.numbers]
    kT = thermal_energy(kelvin)
    engine = NativeEngine.for_potential(energy, masses, Langevin(kT, DT, FRICTION))
    start = thermal_state(
        jnp.asarray(crystal.positions[..., None], jnp.float32), masses, kT, jax.random.key(0)
    )
    start = replace(start, box=jnp.asarray(crystal.box, jnp.float32))
    return engine.run(start, steps, save_every=every, observers=observers)


def silicon(copies: int) -> Configuration:
    """Crystalline silicon of ``copies`` cubic cells along each edge."""
    return from_atoms(ase.build.bulk("Si", cubic=True).repeat(copies))
