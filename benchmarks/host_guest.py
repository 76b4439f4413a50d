"""Binding swarms: hosts and guests in implicit solvent, told nothing but their bonds and charges.

Molecules, charges and measured free energies are those of a public set of host-guest systems (slochower's benchmarks,
taproom); GAFF2, OBC2, hydrogens of 4 amu, Langevin dynamics with a friction of 1/ps at 298.15 K: guests move faster
than in water, and rates are those of this dynamics. Walkers begin in random places and orientations far from the host,
and are restarted by least counts, each seed a campaign of its own. The deposited complexes (the guest's head at either
rim; which of the two is the better is not measured) are looked at once all is analyzed: is one in the state that was
found? Settings were chosen before the first campaign, for its cost. Two rules were changed after the swarms of acd-cpe:
the bound state was the most populated of four sets, which was the outside of the host for one seed and one of two
orientations in its cavity for the other, and is now the near one of two; and it was compared with the complex at the
primary rim alone. The other pair was simulated after that.

A swarm is kept in the folder of temporary files, where a part that was stopped goes on and the windows of umbrella
sampling [torrie1977] take their starts from. Parts: a well whose constants are known; the cost; pairs; windows.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from thalweg.binding.swarms.guest_contacts import CenterDistance, GuestContacts
from thalweg.binding.swarms.placements import placements
from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.overdamped import Overdamped
from thalweg.free_energies.reweighting import MBAR
from thalweg.free_energies.standard_state import constant_of_frames, standard_binding_free_energy
from thalweg.interop.amber.general_force_field import amber_program
from thalweg.interop.amber.host_guest import HostGuest, host_guest
from thalweg.interop.openmm.build_checks import BuildError
from thalweg.interop.openmm.engine import OpenMMEngine
from thalweg.kinetics.reactions.association import Association, AssociationModel
from thalweg.report.benchmark import Row
from thalweg.sampling.bias.umbrella import HarmonicRestraint
from thalweg.sampling.segment import Segment
from thalweg.sampling.store import Store
from thalweg.studies.molecules.binding_swarms import swarm_study, swarm_study_from_table
from thalweg.studies.runs.running import study_of, working_in
from thalweg.systems.state import thermal_state
from thalweg.testsystems.binding_well import BindingWell
from thalweg.time_series.trajectories import Trajectories
from thalweg.units import ANGSTROM, thermal_energy

PAIRS = {"acd-cpe": "cyclopentanol in alpha-cyclodextrin", "acd-cbu": "cyclobutanol in alpha-cyclodextrin"}
COSTS = ("acd-cpe", "oah-hx5")
RADIUS, SHELL = 1.5, (1.25, 1.5)
"""Of the sphere, and of what is far apart [nm]."""

SEEDS, WALKERS, SWARMS, LENGTH = (1, 2), 32, 3, 10.0
"""Campaigns of a pair, and walkers, swarms and length [ps] of each: 0.96 ns."""

KT = thermal_energy(298.15)
WINDOWS, STIFFNESS, SETTLING, SAMPLING = 24, 1500.0, 5.0, 30.0
"""Windows from contact to far apart, their stiffness [kJ/mol/nm^2], and how long each settles and is recorded [ps]."""

BLOCKS = 4
RUNS = Path(tempfile.gettempdir()) / "thalweg-host-guest"


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Each part alone; ``quick`` simulates a tenth."""
    return {
        "known well": lambda: known_well(quick),
        "cost": lambda: cost(data, quick),
        **{f"swarms/{name}": partial(swarms, data, name, quick) for name in PAIRS},
        **{f"windows/{name}": partial(windows, data, name, quick) for name in PAIRS},
    }


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def known_well(quick: bool) -> Iterator[Row]:
    """Swarms and umbrella windows about a Gaussian well in a sphere, beside exact integrals."""
    well, diffusion, dt, every, shell = BindingWell(), 0.01, 0.01, 2, (0.7, 1.2)
    engine = NativeEngine.for_potential(well, np.ones(1), Overdamped(1.0, dt, diffusion))
    for seed in SEEDS:
        starts = placements(np.zeros((2, 3)), [0], [[1]], 32 if quick else 128, shell, seed)[:, 1:]
        state = thermal_state(jnp.asarray(starts.transpose(1, 2, 0)), np.ones(1), 1.0, jax.random.key(seed))
        recording = engine.run(state, 12000, save_every=every)
        distances = np.linalg.norm(recording.positions[:, :, 0].astype(float), axis=-1)
        features = [np.stack([r, np.exp(-((r / 0.3) ** 2))], axis=1) for r in distances]
        found = Association(50, shell, 1.0, states=30, dim=2, sets=2).fit(
            Trajectories(features, dt=every * dt), list(distances)
        )
        within = np.concatenate([r[b] for r, b in zip(distances, found.bound)]).max()
        exact = standard_binding_free_energy(well.association_constant(within, 1.0), 1.0)
        yield _beside(
            f"seed {seed}: binding free energy", found.binding_free_energy, found.constant.error, exact, "kT"
        )
        for name, passage, time_exact in (
            ("binding", found.on, well.passage_inward(shell[0], within, 1.0, diffusion)),
            ("unbinding", found.off, well.passage_outward(within, shell[0], 1.0, diffusion)),
        ):
            error = passage.time * passage.log_error
            yield _beside(f"seed {seed}: mean time until {name}", passage.time, error, time_exact, "ps")
    # the same well by windows along the distance
    edges, kept = [], []
    centers = np.linspace(0.05, 1.15, 12)
    bias = HarmonicRestraint(_Distance(), centers[None], [200.0])
    start = jnp.asarray(np.stack([centers, 0 * centers, 0 * centers])[None])
    state = thermal_state(start, np.ones(1), 1.0, jax.random.key(5))
    state = engine.run(state, 2000, save_every=1000, bias=bias).state
    for _ in range(BLOCKS):
        recording = engine.run(state, 2000 if quick else 20000, save_every=20, bias=bias)
        state, values = recording.state, recording.values[:, :, 0].astype(float)
        edges.append(_constant(values, centers, 200.0, 1.0, 0.5, shell))
        kept.append(standard_binding_free_energy(edges[-1], 1.0))
    exact = standard_binding_free_energy(well.association_constant(0.5, 1.0), 1.0)
    error = float(np.std(kept, ddof=1) / np.sqrt(BLOCKS))
    yield _beside(
        "umbrella windows: binding free energy within 0.5 nm", float(np.mean(kept)), error, exact, "kT"
    )


def cost(data: Path, quick: bool) -> Iterator[Row]:
    """Processor time for a nanosecond: our engine with replicas, and OpenMM's platform for processors."""
    for name in COSTS:
        if (missing := _missing(data)) is not None:
            yield missing
            return
        began = _processor_time()
        pair = _pair(data, name)
        system, spent = pair.system, _processor_time() - began
        yield Row(
            f"{name}: parameters of {len(system.masses)} atoms, programs included, once", spent, "CPU s"
        )
        integrator = Langevin(kT=KT, dt=0.004, friction=1.0)
        steps = 50 if quick else 250
        engines = ((NativeEngine(system, integrator), 16), (OpenMMEngine(system, integrator, "CPU"), 1))
        seconds = []
        for engine, replicas in engines:
            start = jnp.repeat(jnp.asarray(system.positions, jnp.float32)[..., None], replicas, axis=-1)
            state = thermal_state(start, system.masses, KT, jax.random.key(0))
            state = engine.run(state, steps, save_every=steps).state
            began = time.process_time()
            engine.run(state, steps, save_every=steps)
            seconds.append((time.process_time() - began) / (steps * replicas * 4e-6))
        yield Row(
            f"{name}: one nanosecond, 16 replicas at a time", seconds[0], "CPU s", peer="OpenMM, platform CPU",
            peer_value=seconds[1], ratio=seconds[1] / seconds[0],
        )  # fmt: skip


def swarms(data: Path, name: str, quick: bool) -> Iterator[Row]:
    """Two campaigns of a pair."""
    if (missing := _missing(data)) is not None:
        yield missing
        return
    measured, measured_error = _measured(data, name)
    folder, found = _swarm(data, name, quick)
    pair = _pair(data, name)
    deposited = _deposited(data, name, pair)
    hits = 0
    for seed, model in found.items():
        test = f"{name}, seed {seed}"
        inside = [way for way, features in deposited.items() if model.binds([np.stack([features] * 2)])[0][0]]
        hits += bool(inside)
        told = ", ".join(f"{way} at {features[0]:.2f} nm" for way, features in deposited.items())
        yield Row(
            f"{test}: distance of the state found; of the deposited ({told}) it holds {', '.join(inside) or 'none'}",
            model.bound_distance, "nm",
        )  # fmt: skip
        on, off = model.crossings
        yield Row(f"{test}: ways from afar to it", on, "", target=f"{off} ways back")
        yield from _answers(test, model, measured, measured_error)
    yield Row(
        f"{name}: campaigns whose state holds a deposited complex", hits, f"of {len(found)}",
        target=f"{len(SEEDS)} of {len(SEEDS)}", met=hits == len(SEEDS),
    )  # fmt: skip
    yield Row(
        f"{name}: {len(SEEDS)} campaigns of {WALKERS * SWARMS * LENGTH / 1e3:.2g} ns",
        _spent(folder) / 60,
        "CPU min",
    )


def windows(data: Path, name: str, quick: bool) -> Iterator[Row]:
    """The same free energy by umbrella windows along the distance, begun in frames of the swarms."""
    if (missing := _missing(data)) is not None:
        yield missing
        return
    measured, measured_error = _measured(data, name)
    folder, found = _swarm(data, name, quick)
    pair = _pair(data, name)
    began = time.process_time()
    system = pair.system
    centers = np.linspace(0.05, SHELL[1] - 0.05, WINDOWS)
    start = jnp.asarray(np.stack([_nearest(folder, center) for center in centers], axis=-1), jnp.float32)
    bias = HarmonicRestraint(
        CenterDistance(system.topology, pair.host, pair.guests), centers[None], [STIFFNESS]
    )
    engine = NativeEngine(system, Langevin(kT=KT, dt=0.004, friction=1.0))
    state = thermal_state(start, system.masses, KT, jax.random.key(7))
    scale = 0.1 if quick else 1.0
    state = engine.run(state, round(SETTLING * scale / 0.004 / 25) * 25, save_every=25, bias=bias).state
    steps = round(SAMPLING * scale / BLOCKS / 0.004 / 25) * 25
    constants, within = [], float(np.max([model.bound_distance for model in found.values()])) + 0.2
    for _ in range(BLOCKS):
        recording = engine.run(state, steps, save_every=25, bias=bias)
        state, values = recording.state, recording.values[:, :, 0].astype(float)
        constants.append(_constant(values, centers, STIFFNESS, KT, within, SHELL))
    energies = np.array([standard_binding_free_energy(each, KT) for each in constants])
    known = [model.binding_free_energy for model in found.values() if not model.constant.shortcomings]
    yield Row(
        f"{name}: binding free energy within {within:.2f} nm by {WINDOWS} windows of {SAMPLING:g} ps",
        float(energies.mean()), "kJ/mol", float(energies.std(ddof=1) / np.sqrt(BLOCKS)), peer="measured",
        peer_value=measured, target=f"measured ± {measured_error:g}; swarms "
        + (", ".join(f"{each:.1f}" for each in known) or "say none"),
    )  # fmt: skip
    yield Row(f"{name}: windows", (time.process_time() - began) / 60, "CPU min")


def _answers(test: str, model: AssociationModel, measured: float, measured_error: float) -> Iterator[Row]:
    """Free energy and rates, or why there are none."""
    free = model.constant
    yield Row(
        f"{test}: binding free energy", None if free.shortcomings else model.binding_free_energy, "kJ/mol",
        None if free.shortcomings else free.error, target="; ".join(free.shortcomings) or f"error {measured_error:g}",
        peer="measured", peer_value=measured,
    )  # fmt: skip
    for name, passage, rate, unit in (
        ("k_on", model.on, model.association_rate, "l/mol/s"),
        ("k_off", model.off, model.dissociation_rate, "1/s"),
    ):
        reasons = "; ".join(passage.shortcomings)
        yield Row(
            f"{test}: {name}", None if reasons else rate, unit, None if reasons else rate * passage.log_error,
            target=reasons or None,
        )  # fmt: skip


def _swarm(data: Path, name: str, quick: bool) -> tuple[Path, dict[int, AssociationModel]]:
    """The folder of a swarm, carried out where it is not yet, and what its campaigns say."""
    host, guest = name.split("-")
    files = data / "binding" / "host_guest" / host
    table = {
        "title": PAIRS[name],
        "system": {
            "host": str(files / f"{host}.mol2"), "guest": str(files / guest / f"{guest}.mol2"),
            "radius": f"{RADIUS} nm", "hydrogen_mass": "4 amu",
        },
        "dynamics": {
            "temperature": "298.15 K", "dt": "4 fs", "integrator": {"kind": "Langevin", "friction": "1 /ps"},
        },
        "campaign": {
            "seeds": list(SEEDS), "walkers": 8 if quick else WALKERS, "swarms": SWARMS,
            "length": f"{LENGTH / 10 if quick else LENGTH} ps", "save_every": "0.2 ps", "lagtime": "0.4 ps",
            "states": 100,
        },
        "execution": {"workers": 1},
        "binding": {"shell": [f"{end} nm" for end in SHELL], "states": 100, "dim": 3, "sets": 4},
    }  # fmt: skip
    folder = RUNS / (f"{name}-quick" if quick else name)
    began, new = _processor_time(), not (folder / "binding.json").exists()
    found = swarm_study(swarm_study_from_table(table), folder, Console(quiet=True))
    if new:
        (folder / "seconds").write_text(str(_processor_time() - began), "utf-8")
    return folder, found


def _spent(folder: Path) -> float:
    """Processor time that a kept swarm took [s], without what was stopped on the way."""
    return float((folder / "seconds").read_text("utf-8"))


def _nearest(folder: Path, center: float) -> np.ndarray:
    """Positions of the frame of a kept swarm whose distance is nearest ``center`` [nm]."""
    run = folder / "run"
    study, store = study_of(run), Store(run)
    best = None
    for entry in (entry for seed in SEEDS for entry in study.campaign.entries(seed)):
        segment = Segment.read_again(store, entry)
        apart = np.abs(segment.features[:, :, 0] - center)
        walker, frame = np.unravel_index(apart.argmin(), apart.shape)
        if best is None or apart[walker, frame] < best[0]:
            best = apart[walker, frame], entry, int(walker), int(frame)
    assert best is not None
    with working_in(run):
        files = study.campaign.recipe.build().trajectories
    return files.read(store.folder(best[1]), best[2], best[3])


def _constant(
    values: np.ndarray,
    centers: np.ndarray,
    stiffness: float,
    kT: float,
    within: float,
    shell: tuple[float, float],
) -> float:
    """The association constant [nm^3] of windows ``(windows, frames)`` of distances."""
    r = values.ravel()
    energies = stiffness / 2 * (r[None] - centers[:, None]) ** 2
    model = MBAR(kT).fit(energies, np.full(len(centers), values.shape[1]))
    return constant_of_frames(r < within, r, shell, model.log_weights)


class _Distance:
    """The distance of one particle from the origin [nm]."""

    names, units, periods = ("r",), ("nm",), (None,)

    def __call__(self, positions, box=None):
        return jnp.sqrt((positions[0] ** 2).sum(0) + 1e-12)[None]


def _pair(data: Path, name: str) -> HostGuest:
    """The system of a pair; its parameters are kept."""
    host, guest = name.split("-")
    files = data / "binding" / "host_guest" / host
    return host_guest(
        files / f"{host}.mol2",
        files / guest / f"{guest}.mol2",
        RADIUS,
        RUNS / "parameters",
        hydrogen_mass=4.0,
    )


def _deposited(data: Path, name: str, pair: HostGuest) -> dict[str, np.ndarray]:
    """Features ``(features,)`` of the deposited complexes: the guest's head at the primary or the secondary rim."""
    host, guest = name.split("-")
    folder = data / "binding" / "host_guest" / host / guest
    topology = pair.system.topology
    variable = GuestContacts(topology, pair.host, pair.guests)
    found = {}
    for file in sorted(folder.glob(f"*-{guest}-[ps].pdb")):
        lines = file.read_text("utf-8").splitlines()
        lines = [line for line in lines if line.startswith(("ATOM", "HETATM")) and line[17:19] != "DM"]
        x = np.array([[float(line[k : k + 8]) for k in (30, 38, 46)] for line in lines]) * ANGSTROM
        elements = [re.sub(r"[^A-Z]", "", line[12:16])[:1] for line in lines]
        assert elements == [element[:1] for element in topology.elements], f"{file} has other atoms"
        found["primary" if file.stem.endswith("p") else "secondary"] = np.asarray(
            variable(jnp.asarray(x)), float
        )
    return found


def _measured(data: Path, name: str) -> tuple[float, float]:
    """Measured free energy and its error [kJ/mol]."""
    host, guest = name.split("-")
    text = (data / "binding" / "host_guest" / host / guest / "measurement.yaml").read_text("utf-8")
    value, error = (
        re.search(rf"{key}: *([-+.\d]+) *kJ/mol", text) for key in ("delta_G", "delta_G_uncertainty")
    )
    assert value is not None
    assert error is not None
    return float(value.group(1)), float(error.group(1))


def _missing(data: Path) -> Row | None:
    """Why the molecules cannot be simulated; None if they can."""
    if not (data / "binding" / "host_guest").is_dir():
        return Row("host-guest pairs", None, "", target="no host-guest systems at --data")
    try:
        amber_program("tleap")
    except BuildError as error:
        return Row("host-guest pairs", None, "", target=str(error))
    return None


def _beside(test: str, value: float, error: float, exact: float, unit: str) -> Row:
    """A number beside the exact one, met within three errors."""
    return Row(
        f"known well, {test}",
        value,
        unit,
        error,
        "within 3 errors",
        abs(value - exact) < 3 * error,
        "exact",
        exact,
    )


def _processor_time() -> float:
    """Of this process and those it has waited for [s]."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system
