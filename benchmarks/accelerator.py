"""The same calls on the processor and on an accelerator, in one process: do they agree, and what is it worth?

Forces of both, in the 32 bits in which engines run, are measured by their distance from those of the processor in 64
bits: the accelerator may be off by twice as much as the processor. Beside it stands what the setting that JAX comes
with would do, factors of matrix products rounded to 10 bits. Times are those of the clock, of the quickest of some runs
of a program compiled before, on all cores that JAX takes; ratios above one are for the accelerator. Hidden Markov
models run on the processor wherever there is one, in short steps along time: they are here to show that an accelerator
does not come in their way. Where JAX has no accelerator, every part is skipped.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import ase.build
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.collective_variables.neural.slow_networks import SRV
from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.temperature import thermal_start
from thalweg.interop.files.configurations import from_atoms
from thalweg.interop.openmm.molecules import alanine_dipeptide
from thalweg.kinetics.hidden.hidden_markov_model import HiddenMarkovModel
from thalweg.learned_potentials.long_range.point_charges import point_charges
from thalweg.learned_potentials.parametric.stillinger_weber import stillinger_weber_silicon
from thalweg.learned_potentials.recipes.linear import expansion
from thalweg.learned_potentials.recipes.networks import learned_messages
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.potentials.energy import Energy, energy_and_forces
from thalweg.report.benchmark import Row
from thalweg.representations.messages.painn import PaiNN
from thalweg.systems.configuration import Configuration
from thalweg.systems.elements import MASSES
from thalweg.systems.system import System
from thalweg.systems.topology import Topology
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.wells import PrinzPotential
from thalweg.time_series.trajectories import Trajectories
from thalweg.units import thermal_energy

KT = thermal_energy(300.0)
RATTLED = 0.015
"""Displacement of atoms of silicon in training frames, a standard deviation [nm]."""

RECIPES = {
    "expansion": expansion(levels=(12, 10), degrees=(0, 6)),
    "PaiNN": learned_messages(PaiNN(), epochs=6, frames=4, rate=2e-3),
}
REPEATS = 3


class Place(NamedTuple):
    """Where a call runs."""

    name: str
    device: jax.Device

    def does(self, call: Callable[[], Any], *settings: Any) -> Any:
        """What ``call`` gives here, under further ``settings``, each a context."""
        with ExitStack() as stack:
            for setting in (jax.default_device(self.device), *settings):
                stack.enter_context(setting)
            return jax.block_until_ready(call())

    def timed(self, call: Callable[[], Any]) -> tuple[Any, float]:
        """What ``call`` gives here, and seconds."""
        started = time.perf_counter()
        return self.does(call), time.perf_counter() - started

    def seconds(self, call: Callable[[], Any], repeats: int = REPEATS) -> float:
        """The quickest of ``repeats`` calls after a first one that compiles."""
        self.does(call)
        return min(self.timed(call)[1] for _ in range(repeats))


@cache
def places() -> tuple[Place, Place | None]:
    """The processor and the accelerator, if JAX has one."""
    processor = Place(f"processor, {os.cpu_count()} cores", jax.local_devices(backend="cpu")[0])
    first = jax.devices()[0]
    return processor, None if first.platform == "cpu" else Place(first.device_kind, first)


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """All parts; ``quick`` takes small systems and few steps."""
    found = {
        "replicas": partial(replicas, {1: 200, 64: 100} if quick else {1: 2000, 64: 1000, 4096: 200}),
        "expansion": partial(silicon, "expansion", quick),
        "PaiNN": partial(silicon, "PaiNN", quick),
        "charges": partial(charges, 5 if quick else 11),
        "slow network": partial(slow_network, quick),
        "hidden Markov": partial(hidden_markov, quick),
    }
    return {name: partial(_with_accelerator, name, part) for name, part in found.items()}


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def _with_accelerator(name: str, part: Callable[[], Iterator[Row]]) -> Iterator[Row]:
    if places()[1] is None:
        yield Row(
            name, None, "", target="skipped: JAX has no accelerator here; see docs.jax.dev/installation"
        )
    else:
        yield from part()


@dataclass(frozen=True)
class Case:
    """An energy, and where the atoms are."""

    energy: Callable[[], Energy]
    positions: np.ndarray
    box: np.ndarray | None = None

    @cached_property
    def truth(self) -> np.ndarray:
        """Forces of the processor in 64 bits."""
        return self.forces(places()[0], np.float64, jax.enable_x64(True))

    def forces(self, place: Place, kind: type = np.float32, *settings: Any) -> np.ndarray:
        """Forces ``(atoms, 3, *replicas)`` in the precision of ``kind``."""
        return np.asarray(place.does(self.evaluation(kind), *settings)[1], float)

    def evaluation(self, kind: type = np.float32) -> Callable[[], Any]:
        """Energies and forces, to be called at the place it was made for."""
        compiled, made = eqx.filter_jit(energy_and_forces), []

        def evaluate():
            if not made:
                box = None if self.box is None else jnp.asarray(self.box, kind)
                positions = jnp.asarray(self.positions, kind)
                made.append((self.energy().refreshed(positions, box), positions, box))
            return compiled(*made[0])

        return evaluate

    def error(self, place: Place, *settings: Any) -> float:
        """Relative error of forces in 32 bits at ``place`` under ``settings``."""
        found, truth = self.forces(place, np.float32, *settings), self.truth
        return float(np.sqrt(((found - truth) ** 2).mean() / (truth**2).mean()))


def _agreement(name: str, case: Case) -> Iterator[Row]:
    """Errors of forces as Thalweg has them, and with factors of products rounded as JAX would have it."""
    processor, accelerator = places()
    ours, theirs = case.error(accelerator), case.error(processor)
    peer = {"peer": processor.name, "peer_value": theirs}
    test, target = f"{name}: error of forces in 32 bits", "<= 2 x the processor's"
    yield Row(test, ours, "relative", target=target, met=ours <= 2 * theirs, **peer)
    rounded = case.error(accelerator, jax.default_matmul_precision("tensorfloat32"))
    yield Row(f"{test}, rounded factors", rounded, "relative", **peer)


def _pace(name: str, unit: str, ours: float, theirs: float) -> Row:
    """A row of times, told by the place they were taken at."""
    processor, accelerator = places()
    return Row(
        f"{accelerator.name}, {name}",
        ours,
        unit,
        peer=processor.name,
        peer_value=theirs,
        ratio=theirs / ours,
    )


def replicas(steps: dict[int, int]) -> Iterator[Row]:
    """Many copies of alanine dipeptide in vacuum, ff14SB, hydrogens constrained, steps of 2 fs."""
    yield from _agreement("alanine dipeptide", _dipeptides(64))
    system = alanine_dipeptide("vacuum")
    for count, several in steps.items():
        seconds = [
            place.seconds(_dynamics(system, count, several), 1 if count > 64 else REPEATS)
            for place in places()
        ]
        yield _pace(
            f"alanine dipeptide, replicas: {count}",
            "us per step and replica",
            *(1e6 * each / several / count for each in reversed(seconds)),
        )


def _dynamics(system: System, count: int, steps: int, dt: float = 0.002) -> Callable[[], Any]:
    """A run of ``steps``, its start made at the place where it is first called."""
    made = []

    def run():
        if not made:
            engine = NativeEngine(system, Langevin(KT, dt, 1.0))
            made.append((engine, thermal_start(system, KT, jax.random.key(1), count)))
        engine, start = made[0]
        recording = engine.run(start, steps, save_every=steps)
        assert not recording.diverged, recording.diverged
        return recording.energy

    return run


def _dipeptides(count: int) -> Case:
    """Copies of the molecule, each shaken otherwise."""
    system = alanine_dipeptide("vacuum")
    shaken = np.random.default_rng(0).normal(0.0, 0.002, (*system.positions.shape, count))
    return Case(lambda: system.energy, system.positions[..., None] + shaken)


def silicon(name: str, quick: bool) -> Iterator[Row]:
    """A potential learned from Stillinger and Weber's: fit, forces, and dynamics of small and large crystals."""
    processor, accelerator = places()
    frames = labeled_silicon(quick)
    runs = [_fitted_at(place, name, frames) for place in (accelerator, processor)]
    found, seconds, epochs = zip(*runs)
    yield _pace(f"silicon, {name}: fit, with compilation", "s", *seconds)
    yield _alike(name, *found)
    if name == "PaiNN":
        frame = f"{len(frames)} frames of {len(frames[0])} atoms"
        yield _pace(f"silicon, {name}: epoch, {frame}", "s", *epochs)
    for cells, steps in ((2, 5),) if quick else ((4, 100), (11, 10)):
        case = _crystal(found[1], cells)
        atoms = len(case.positions)
        if cells < 11:
            yield from _agreement(f"silicon, {name}, {atoms} atoms", case)
        system = _crystal_system(found[1], cells)
        per = [
            place.seconds(_dynamics(system, 1, several, 0.001), 1) / several / atoms
            for place, several in ((accelerator, 10 * steps), (processor, steps))
        ]
        yield _pace(f"silicon, {name}, {atoms} atoms: step", "us per atom", *(1e6 * each for each in per))


def _fitted_at(place: Place, name: str, frames: list[Configuration]) -> tuple[LearnedPotential, float, float]:
    """A potential, the seconds of its fit, and those between the nearest two reports of it: an epoch."""
    told = [time.perf_counter()]
    potential = place.does(
        lambda: RECIPES[name].fit(frames, progress=lambda *_: told.append(time.perf_counter()))
    )
    return potential, time.perf_counter() - told[0], float(np.diff(told).min())


def _alike(name: str, ours: LearnedPotential, theirs: LearnedPotential) -> Row:
    """How far apart are forces, in 64 bits on the processor, of what was learned at both places?"""
    processor, frames = places()[0], [_rattled(2, seed=100)]
    first, second = (
        np.concatenate(processor.does(partial(each.evaluate, frames)).forces) for each in (ours, theirs)
    )
    truth = np.concatenate(stillinger_weber_silicon().evaluate(frames).forces)
    off = [float(np.sqrt(((each - truth) ** 2).mean() / (truth**2).mean())) for each in (first, second)]
    return Row(
        f"silicon, {name}: error of forces not learned, fitted here", off[0], "relative",
        target="within 20 % of the processor's", met=abs(off[0] / off[1] - 1) < 0.2,
        peer=processor.name, peer_value=off[1],
    )  # fmt: skip


@cache
def labeled_silicon(quick: bool) -> list[Configuration]:
    """Rattled crystals with Stillinger and Weber's energies and forces."""
    frames = [_rattled(1 if quick else 2, seed) for seed in range(8 if quick else 40)]
    said = stillinger_weber_silicon().evaluate(frames)
    return [
        replace(frame, energy=float(energy), forces=forces)
        for frame, energy, forces in zip(frames, said.energies, said.forces)
    ]


def _rattled(cells: int, seed: int, by: float = RATTLED) -> Configuration:
    """``8 cells^3`` atoms of a crystal of silicon, displaced by ``by`` [nm] in each direction."""
    crystal = from_atoms(ase.build.bulk("Si", cubic=True).repeat((cells,) * 3))
    shifts = np.random.default_rng(seed).normal(0.0, by, crystal.positions.shape)
    return replace(crystal, positions=crystal.positions + shifts)


def _crystal(potential: LearnedPotential, cells: int) -> Case:
    frame = _rattled(cells, 7)
    bare = replace(potential, references=dict.fromkeys(potential.references, 0.0))
    return Case(lambda: bare.bind(frame.numbers, frame.box), frame.positions, frame.box)


def _crystal_system(potential: LearnedPotential, cells: int) -> System:
    frame = _rattled(cells, 7, 0.005)
    bare = replace(potential, references=dict.fromkeys(potential.references, 0.0))
    count = len(frame)
    names = ("Si",) * count
    atoms = Topology(names, names, names, tuple(range(count)), (0,) * count, np.zeros((0, 2), int))
    energy = bare.bind(frame.numbers, frame.box)
    return System(atoms, frame.positions, MASSES[frame.numbers], energy, box=frame.box)


def charges(cells: int) -> Iterator[Row]:
    """Rock salt, rattled: real space and a mesh of waves."""
    case = _salt(cells)
    atoms = len(case.positions)
    yield from _agreement(f"salt, {atoms} ions", case)
    found = case.forces(places()[1], np.float64, jax.enable_x64(True))
    off = float(np.abs(found - case.truth).max() / np.abs(case.truth).max())
    yield Row(
        f"salt, {atoms} ions: forces in 64 bits apart", off, "relative", target="<= 1e-10", met=off <= 1e-10
    )
    seconds = [place.seconds(case.evaluation()) for place in reversed(places())]
    yield _pace(
        f"salt, {atoms} ions: energy and forces", "us per ion", *(1e6 * each / atoms for each in seconds)
    )


def _salt(cells: int) -> Case:
    """Rock salt of ``8 cells^3`` ions, its lattice constant 0.564 nm, displaced by 0.01 nm."""
    salt = from_atoms(ase.build.bulk("NaCl", "rocksalt", a=5.64, cubic=True).repeat((cells,) * 3))
    positions = salt.positions + np.random.default_rng(0).normal(0.0, 0.01, salt.positions.shape)
    term = point_charges({11: 1.0, 17: -1.0})
    return Case(lambda: term.bind(salt.numbers, salt.box), positions, salt.box)


def slow_network(quick: bool) -> Iterator[Row]:
    """State-free reversible VAMPnet on Prinz's potential: the slowest time scale, and what the fit takes."""
    walks, exact = _walks(quick)
    method = SRV(lagtime=1, dim=1, steps=100 if quick else 1000, restarts=1)
    yield from _fits("SRV", lambda: method.fit(walks).timescales[0], exact)


def hidden_markov(quick: bool) -> Iterator[Row]:
    """Four hidden states behind the 1.5 nm of Prinz's potential: the slowest time scale, and what the fit takes."""
    walks, exact = _walks(quick)
    method = HiddenMarkovModel(4, restarts=1, max_iterations=50)
    yield from _fits("hidden Markov model", lambda: method.fit(walks).timescales[0], exact)


def _fits(name: str, fit: Callable[[], float], exact: float) -> Iterator[Row]:
    processor, accelerator = places()
    for place in places():
        place.does(fit)  # compiled
    (ours, quick), (theirs, slow) = (place.timed(fit) for place in (accelerator, processor))
    yield Row(
        f"{name}: slowest time scale, exact {exact:.3f}", ours, "ps", target="within 2 % of the processor's",
        met=abs(ours / theirs - 1) < 0.02, peer=processor.name, peer_value=theirs,
    )  # fmt: skip
    yield _pace(f"{name}: fit", "s", quick, slow)


@cache
def _walks(quick: bool) -> tuple[Trajectories, float]:
    """Walks in Prinz's potential, 0.05 ps between frames, and their slowest time scale [ps]."""
    generator, lag = Generator(PrinzPotential(), ((-1.2, 1.2),), 200), 0.05
    walks = generator.sample(10, 1000 if quick else 10_000, lag, seed=0)
    return Trajectories(walks, dt=lag), float(generator.timescales(1)[0])
