"""A peptide that folds: two loops that learn a variable from the extended chain, beside plain dynamics.

Ac-Ala5-NHMe in OBC2 (ff14SB, 400 K, hydrogens of 3 amu). *Folded* is a turn of helix in the middle: residues 2 to 4
with -100 < phi < -30 and -67 < psi < -7 degrees. The reference is plain dynamics, half of its walkers from the extended
chain and half from a helix, whose folding free energies are to agree. Loops begin with the extended chain and know
sines and cosines of all phi and psi, not what folded is. How soon the fold is found is told in time simulated by all
walkers together until the first folded frame.

Part ``reference`` finds `FOLDING`, which the others are compared with.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.free_energies.difference import FreeEnergyDifference, agreement, free_energy_difference
from thalweg.interop.openmm.engine import OpenMMEngine
from thalweg.interop.openmm.molecules import peptide
from thalweg.interop.openmm.relaxation import relaxed
from thalweg.report.benchmark import Row
from thalweg.sampling.apparatus import Apparatus
from thalweg.sampling.campaign import drive
from thalweg.sampling.plans import read_plan
from thalweg.sampling.policies.learn_and_drive import WEIGHTS, LearnAndDrive
from thalweg.sampling.segment import Segment, walks
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.reweigh import WeightedFrames
from thalweg.studies.tables.study import from_table
from thalweg.systems.state import thermal_state

SEQUENCE = "AAAAA"
MIDDLE = slice(1, 4)
"""Residues that are to be helical."""

PHI, PSI = (-100.0, -30.0), (-67.0, -7.0)
"""Of a helical residue [degrees]."""

FOLDING = 5.51, 0.63
"""Folding free energy and its error [kJ/mol], as the part ``reference`` printed them."""

HELIX = np.radians([-57.0, -47.0])
SYSTEM = {
    "system": {"sequence": SEQUENCE, "solvent": "obc2", "hydrogen_mass": "3 amu"},
    "dynamics": {"engine": "native", "temperature": "400 K", "dt": "4 fs"},
    "features": {"kind": "TorsionFeatures"},
}
WALKERS = 32
PLAIN = 200.0
"""Of each walker of the reference [ps]."""

FORGOTTEN = 80.0
"""Left out at the beginning of each [ps]."""

EVERY = 1.0
"""Between frames [ps]."""

LOOPS = {
    "SlowVariableLoop": {"cycles": 2},
    "MESA": {"cycles": 2, "drive": "30 ps", "produce": "80 ps"},
}
LENGTHS = {
    "seeds": [1, 2], "walkers": 12, "swarm": "25 ps", "drive": "40 ps", "produce": "100 ps", "segment": "50 ps",
    "save_every": "1 ps", "lagtime": "5 ps", "skip": "20 ps",
    "bias": {"kind": "Metadynamics", "height": "0.5 kJ/mol", "bias_factor": 6.0, "stride": "1 ps"},
}  # fmt: skip
AGREE = 1.5
"""Folding free energies may differ by so much, and by three errors [kJ/mol]."""


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Costs of engines, the reference, each loop; ``quick`` takes a tenth of the length."""
    del data
    found: dict[str, Callable[[], Iterator[Row]]] = {"engines": partial(engines, quick)}
    found["reference"] = partial(reference, quick)
    for name in LOOPS:
        found[name] = partial(loop, name, quick)
    return found


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def folded(features: np.ndarray) -> np.ndarray:
    """Whether the middle is helical, of sines and cosines (frames, features) of all phi, then all psi."""
    sines, cosines = np.split(np.asarray(features), 2, axis=1)
    phi, psi = np.split(np.degrees(np.arctan2(sines, cosines)), 2, axis=1)
    helical = (phi > PHI[0]) & (phi < PHI[1]) & (psi > PSI[0]) & (psi < PSI[1])
    return helical[:, MIDDLE].all(axis=1)


def _built() -> Apparatus:
    return from_table({**SYSTEM, "campaign": {"kind": "SlowVariableLoop"}}).campaign.recipe.build()


def engines(quick: bool) -> Iterator[Row]:
    """Processor time of a step."""
    apparatus, costs = _built(), {}
    openmm = OpenMMEngine(_helix(), apparatus.engine.integrator)
    for name, engine, walkers in (("native", apparatus.engine, WALKERS), ("OpenMM", openmm, 1)):
        state = _start(apparatus, [apparatus.positions] * walkers)
        state, steps = engine.run(state, 50, save_every=50).state, 50 if quick else 500
        began = time.process_time()
        engine.run(state, steps, save_every=50)
        costs[name] = 1e6 * (time.process_time() - began) / steps / walkers
    yield Row(
        f"Ac-Ala5-NHMe, OBC2, a step of one of {WALKERS} walkers, native engine: processor time",
        costs["native"],
        "us",
        peer="OpenMM, the fastest of its platforms here",
        peer_value=costs["OpenMM"],
        ratio=costs["OpenMM"] / costs["native"],
    )


def reference(quick: bool) -> Iterator[Row]:
    """Plain dynamics from both sides."""
    apparatus, began = _built(), time.process_time()
    half = WALKERS // 2
    helix = relaxed(_helix()).positions
    state = _start(apparatus, [apparatus.positions] * half + [helix] * half)
    every, length = round(EVERY / apparatus.dt), PLAIN / 10 if quick else PLAIN
    found = []
    for _ in range(round(length / 20)):
        recording = apparatus.engine.run(state, round(20 / apparatus.dt), save_every=every)
        state = recording.state
        found.append([folded(_features(apparatus, walk)) for walk in recording.positions])
    walked = np.concatenate(found, axis=1)
    seconds, head = time.process_time() - began, "Ac-Ala5-NHMe, plain dynamics"
    skip = round((0 if quick else FORGOTTEN) / EVERY)
    estimates = [_of(walked[side, skip:], apparatus.kT) for side in (slice(half), slice(half, None))]
    for start, each in zip(("the extended chain", "a helix"), estimates):
        yield Row(
            f"{head} from {start}, {half} walkers of {length:g} ps: folding free energy" + _doubts(each),
            None if each is None else each.value,
            "kJ/mol",
            spread=None if each is None else each.error,
        )
    told = [each for each in estimates if each is not None and np.isfinite(each.error)]
    words = agreement(told) if len(told) == 2 else "too little to agree"
    whole = _of(walked[:, skip:], apparatus.kT)
    yield Row(
        f"{head} from both: folding free energy ({words})" + _doubts(whole),
        None if whole is None else whole.value,
        "kJ/mol",
        spread=None if whole is None else whole.error,
        target="both starts agree within 3 errors",
        met="estimates agree" in words,
    )
    times = _first(walked[:half])
    yield Row(
        f"{head} from the extended chain, {half} walkers: simulated until the first folded frame, all walkers",
        times,
        "ps",
        target="found" if times is None else "",
    )
    yield Row(f"{head}: CPU time", seconds, "s")


def loop(name: str, quick: bool) -> Iterator[Row]:
    """A loop from the extended chain."""
    table = {"kind": name, **LENGTHS, **LOOPS[name]}
    if quick:
        table |= {"walkers": 4, "swarm": "20 ps", "drive": "20 ps", "produce": "20 ps", "skip": "0 ps"}
        table |= {"segment": "20 ps"}
    policy = from_table({**SYSTEM, "campaign": table}).campaign
    head, began = f"Ac-Ala5-NHMe, {name}", time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        drive(store, policy)
        frames = WeightedFrames.read(store, WEIGHTS)
        kT = frames.card["kT"]
        estimates = [_weighted(frames, run, kT) for run in range(len(policy.seeds))]
        firsts = [_first_of(store, policy, seed) for seed in policy.seeds]
        plans = [store.file(f"plans/{k:05d}", "plan.json") for k in range(policy.rounds)]
        cost = sum(task.cost for plan in plans for task in read_plan(plan))
    seconds = time.process_time() - began
    exact, error = FOLDING
    for seed, each, first in zip(policy.seeds, estimates, firsts):
        yield Row(
            f"{head}, seed {seed}: simulated until the first folded frame, all walkers",
            first,
            "ps",
            target=f"found within {cost / len(policy.seeds):.0f} ps",
            met=first is not None,
        )
        yield Row(
            f"{head}, seed {seed}: folding free energy" + _doubts(each),
            None if each is None else each.value,
            "kJ/mol",
            spread=None if each is None else each.error,
            target=f"within {AGREE:g} and 3 errors",
            met=each is not None
            and not each.shortcomings
            and bool(abs(each.value - exact) < min(AGREE, 3 * np.hypot(each.error, error))),
            peer="plain dynamics from both sides",
            peer_value=exact,
        )
    told = [each for each in estimates if each is not None and np.isfinite(each.error)]
    yield Row(
        f"{head}: mean of {len(told)} seeds ({agreement(told) if len(told) > 1 else 'too few to agree'})",
        float(np.mean([each.value for each in told])) if told else None,
        "kJ/mol",
        target="seeds agree, and with the reference",
        met=len(told) > 1
        and "estimates agree" in agreement(told)
        and bool(abs(np.mean([each.value for each in told]) - exact) < AGREE),
        peer="plain dynamics from both sides",
        peer_value=exact,
    )
    yield Row(f"{head}: simulated, all walkers and seeds", cost, "ps")
    yield Row(f"{head}: CPU time", seconds, "s")


def _helix():
    return peptide(SEQUENCE, "obc2", hydrogen_mass=3.0, phi=float(HELIX[0]), psi=float(HELIX[1]))


def _start(apparatus: Apparatus, places: list[np.ndarray]):
    positions = jnp.asarray(np.stack(places, axis=-1), jnp.float32)
    return thermal_state(positions, apparatus.masses, apparatus.kT, jax.random.key(1))


def _features(apparatus: Apparatus, positions: np.ndarray) -> np.ndarray:
    """Of frames (frames, atoms, 3)."""
    return np.asarray(apparatus.features(jnp.moveaxis(jnp.asarray(positions), 0, -1))).T


def _of(walked: np.ndarray, kT: float) -> FreeEnergyDifference | None:
    """Of plain walks (walkers, frames); None where one of the sides was never visited."""
    if walked.all() or not walked.any():
        return None
    zeros = [np.zeros(len(walk)) for walk in walked]
    return free_energy_difference(list(walked), list(~walked), zeros, kT)


def _weighted(frames: WeightedFrames, run: int, kT: float) -> FreeEnergyDifference | None:
    """Of the production of one seed; None where it has not been on both sides."""
    inside = [folded(walk) for walk in frames.walks("features", run)]
    if not any(map(np.any, inside)):
        return None
    return free_energy_difference(inside, [~each for each in inside], frames.walks("log_weights", run), kT)


def _first(walked: np.ndarray) -> float | None:
    """Time that walkers (walkers, frames) spend together until the first is folded [ps]."""
    frames = np.flatnonzero(walked.any(axis=0))
    return float((frames[0] + 1) * EVERY * len(walked)) if len(frames) else None


def _first_of(store: Store, policy: LearnAndDrive, seed: int) -> float | None:
    """The same along all stages of a seed, one after the other."""
    before = 0
    for stage in policy.stages:
        if stage.name not in ("swarm", "drive", "produce") or stage.part:
            continue
        cycle = None if stage.name == "produce" else stage.cycle
        there = [entry for entry in policy.entries(seed, stage.name, cycle) if store.has(entry)]
        if not there:
            continue
        found = walks([Segment.read(store, entry) for entry in there], "features", 0)
        inside = np.stack([folded(walk) for walk in found])
        if inside.any():
            return before * EVERY * len(inside) + _first(inside)
        before += inside.shape[1]
    return None


def _doubts(each: FreeEnergyDifference | None) -> str:
    if each is None:
        return "; never on both sides"
    return f"; {each}" if each.shortcomings else ""
