"""A learned variable biased in explicit water: alanine dipeptide in TIP3P with PME, in OpenMM, stopped on the way.

The variable is learned where steps are cheap, from walks at 600 K in implicit water, and drives OPES where they are
not. Hydrogens weigh 3 amu, so that a step is 4 fs; this moves no populations. The part ``phi`` is the reference, the
same water under a bias of phi, and ``agreement`` compares what both have left among the results.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import numpy as np
import openmm

from thalweg.collective_variables.linear.tica import TICA
from thalweg.dynamics.temperature import thermal_start
from thalweg.free_energies.difference import FreeEnergyDifference, free_energy_difference
from thalweg.geometry.variables import Dihedrals
from thalweg.interop.openmm.variables import variable_forces
from thalweg.report.benchmark import Row
from thalweg.sampling.apparatus import Apparatus, ApparatusRecipe
from thalweg.sampling.bias.frozen import FrozenBias
from thalweg.sampling.bias.method import Limits
from thalweg.sampling.bias.opes import OPES
from thalweg.sampling.campaign import drive
from thalweg.sampling.policy import Task
from thalweg.sampling.segment import Segment, walks
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.learned_variable import LearnedVariable, LearnVariable
from thalweg.sampling.tasks.simulate import GrowingBias, Simulate

FEATURES = {"kind": "TorsionFeatures"}
IMPLICIT = ApparatusRecipe(
    "studies.apparatus",
    {
        "system": {"molecule": "alanine_dipeptide", "solvent": "obc2"},
        "dynamics": {"temperature": "600 K"},
        "features": FEATURES,
    },
)
EXPLICIT = ApparatusRecipe(
    "studies.apparatus",
    {
        "system": {
            "molecule": "alanine_dipeptide", "solvent": "tip3p", "padding": "0.95 nm", "cutoff": "0.9 nm",
            "hydrogen_mass": "3 amu",
        },
        "dynamics": {"engine": "openmm", "dt": "4 fs"},
        "features": FEATURES,
    },
)  # fmt: skip

RESULTS = Path(__file__).parent / "results" / "explicit_water.json"

LEFT = (0.0, np.radians(126.0))
"""The left-handed basin: between which values of phi."""

BIAS = OPES(barrier=35.0, stride=1.0)
MODEL = "models/slow"
SETTLING = 0.2
"""Share of a run left out at its beginning, while the bias changes fast."""


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """All parts; ``quick`` simulates a hundredth."""
    return {
        "phi": partial(phi, 20.0 if quick else 1000.0),
        "learned": partial(learned, 10.0 if quick else 1000.0, 20.0 if quick else 200.0),
        "cost": cost,
        "agreement": agreement,
    }


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


@dataclass(frozen=True)
class LearnedThenBiased:
    """Hot walks in implicit water, a variable learned from them, and consecutive segments in explicit water.

    Attributes
    ----------
    hot : length of each of 16 hot walks [ps]
    length : of all segments together [ps]
    segments : how many
    """

    hot: float
    length: float
    segments: int

    @property
    def rounds(self) -> int:
        return 2 + self.segments

    @property
    def entries(self) -> tuple[str, ...]:
        """The segments in explicit water."""
        return tuple(f"segments/water-{k}" for k in range(self.segments))

    def plan(self, store: Store, round: int) -> Sequence[Task]:
        if round == 0:
            hot = Simulate(IMPLICIT, walkers=16, frames=round_of(self.hot / 0.2), save_every=0.2, seed=0)
            return (Task("segments/hot", hot),)
        if round == 1:
            learn = LearnVariable(IMPLICIT, (("segments/hot",),), TICA(10, 2, scaling="unit"))
            return (Task(MODEL, learn),)
        k = round - 2
        before = None if k == 0 else self.entries[k - 1]
        biased = Simulate(
            EXPLICIT, walkers=1, frames=round_of(self.length / self.segments), save_every=1.0, seed=0, after=before,
            bias=GrowingBias(MODEL, BIAS, after=before),
        )  # fmt: skip
        return (Task(self.entries[k], biased),)


def round_of(number: float) -> int:
    """The whole number nearest to ``number``."""
    return int(np.rint(number))


def phi(length: float) -> Iterator[Row]:
    """The reference: OPES of phi, in four runs one after another."""
    apparatus = EXPLICIT.build()
    torsion = Dihedrals([[4, 6, 8, 10]], apparatus.engine.system.topology)
    assert torsion.names == ("phi ALA2",)
    bias = BIAS.on(
        torsion, Limits(np.array([-np.pi]), np.array([np.pi]), np.array([0.15])), apparatus.kT, apparatus.dt
    )
    state, grown = thermal_start(apparatus.engine.system, apparatus.kT, jax.random.key(1), replicas=1), None
    stride, angles, logs, began = round_of(1.0 / apparatus.dt), [], [], time.process_time()
    for _ in range(4):
        run = apparatus.engine.run(
            state, round_of(length / 4) * stride, save_every=stride, bias=bias, bias_state=grown
        )
        state, grown = run.state, run.bias_state
        angles.append(run.values[0, :, 0])
        logs.append(run.bias_energy[0].astype(float) / apparatus.kT)
    angle, log = np.concatenate(angles), np.concatenate(logs)
    difference, visits = _left(angle, log, apparatus.kT)
    name = f"{len(apparatus.masses)} atoms, {length / 1000:g} ns under OPES of phi"
    yield _free_energy(name, difference)
    yield Row(f"{name}: ways into the left-handed basin", visits, "")
    yield Row(f"{name}: processor time", time.process_time() - began, "s")


def learned(length: float, hot: float) -> Iterator[Row]:
    """The learned variable: a campaign stopped in the middle and gone on with, and whether that leaves a trace."""
    short = LearnedThenBiased(hot=20.0, length=8.0, segments=2)
    with tempfile.TemporaryDirectory() as folder:
        through, stopped = Store(Path(folder) / "through"), Store(Path(folder) / "stopped")
        drive(through, short)
        drive(stopped, short, rounds=3)
        drive(Store(stopped.path), short)
        same = through.digest() == stopped.digest()
    yield Row(
        "8 ps, stopped in the middle: digest of the run undisturbed", float(same), "", target="yes", met=same
    )
    policy, began = LearnedThenBiased(hot=hot, length=length, segments=10), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        drive(store, policy, rounds=2 + policy.segments // 2)
        half = time.process_time() - began
        drive(Store(folder), policy)
        spent = time.process_time() - began
        segments = [Segment.read(store, entry) for entry in policy.entries]
        times = LearnedVariable.read(store, MODEL).timescales
        problems = len(store.problems())
    (features,), (log,) = walks(segments, "features"), walks(segments, "log_weights")
    names, kT = segments[0].card["features"], segments[0].card["kT"]
    angle = np.arctan2(*(features[:, names.index(f"{part} phi ALA2")] for part in ("sin", "cos")))
    difference, visits = _left(angle, log, kT)
    atoms = len(EXPLICIT.build().masses)
    name = (
        f"{atoms} atoms, {length / 1000:g} ns in two halves under OPES of two slow variables learned at 600 K"
    )
    yield _free_energy(name, difference)
    yield Row(f"{name}: ways into the left-handed basin", visits, "")
    lacking = len(difference.shortcomings) if difference else None
    yield Row(f"{name}: what the difference lacks", lacking, "", target="none told")
    yield Row(f"{name}: problems in the store", problems, "", target="0", met=problems == 0)
    yield Row(f"{name}: slowest time scale where it was learned", float(times[0]), "ps")
    yield Row(f"{name}: processor time", spent, "s", target="<= 1500", met=spent <= 1500)
    yield Row(f"{name}: processor time of the first half, learning included", half, "s")


def _left(angle: np.ndarray, log: np.ndarray, kT: float) -> tuple[FreeEnergyDifference | None, int]:
    """Free energy of the left-handed basin over the rest, if it was visited, and how often it was entered."""
    skip = round_of(SETTLING * len(angle))
    inside = (angle > LEFT[0]) & (angle < LEFT[1])
    entered = int(np.count_nonzero(inside[1:] & ~inside[:-1]))
    late = inside[skip:]
    if late.all() or not late.any():
        return None, entered
    return free_energy_difference([late], [~late], [log[skip:]], kT), entered


def _free_energy(name: str, found: FreeEnergyDifference | None) -> Row:
    what = f"{name}: free energy of 0 < phi < 126 deg"
    if found is None:
        return Row(what, None, "kJ/mol", target="to be visited")
    return Row(what, found.value, "kJ/mol", spread=found.error)


def agreement() -> Iterator[Row]:
    """The free energy by the learned variables beside that by phi, as measured before."""
    rows = json.loads(RESULTS.read_text())["rows"] if RESULTS.is_file() else []
    found = {
        row["part"]: row for row in rows if "free energy of" in row["test"] and row["spread"] is not None
    }
    name = "free energy of 0 < phi < 126 deg under the learned bias, and under that of phi"
    if not {"learned", "phi"} <= set(found):
        yield Row(name, None, "kJ/mol", target="the parts learned and phi to be measured")
        return
    ours, reference = found["learned"], found["phi"]
    joint = float(np.hypot(ours["spread"], reference["spread"]))
    met = abs(ours["value"] - reference["value"]) <= 2 * joint
    yield Row(
        name, ours["value"], "kJ/mol", spread=joint, target="within 2 joint errors", met=met, peer="OPES of phi",
        peer_value=reference["value"],
    )  # fmt: skip


def cost() -> Iterator[Row]:
    """A step with the bias over one without: by our engine, and by OpenMM alone with the variable exported."""
    apparatus = EXPLICIT.build()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        drive(store, LearnedThenBiased(hot=20.0, length=4.0, segments=1), rounds=3)
        variable = LearnedVariable.read(store, MODEL)
        growing = GrowingBias(MODEL, BIAS, after="segments/water-0")
        bias = growing.build(store, apparatus)
        held = FrozenBias(bias, growing.state(store, bias))
    state = thermal_start(apparatus.engine.system, apparatus.kT, jax.random.key(0), replicas=1)

    def ours(bias) -> Callable[[int], None]:
        return lambda steps: apparatus.engine.run(state, steps, save_every=steps, bias=bias)

    ratio, spread = _ratio(ours(held), ours(None), 200)
    name = f"{len(apparatus.masses)} atoms, a step under OPES of two learned variables over one without"
    yield Row(f"{name}, by our engine", ratio, "", spread=spread, target="<= 1.5", met=ratio <= 1.5)
    plain, exported = _context(apparatus, None), _context(apparatus, variable)
    ratio, spread = _ratio(exported.getIntegrator().step, plain.getIntegrator().step, 200)
    name = f"{len(apparatus.masses)} atoms, a step under springs on two learned variables, exported, over one without"
    yield Row(f"{name}, by OpenMM alone", ratio, "", spread=spread, target="<= 1.5", met=ratio <= 1.5)


def _context(apparatus: Apparatus, variable: LearnedVariable | None) -> openmm.Context:
    """OpenMM alone, with springs of 10 kJ/mol on the exported variable."""
    system = openmm.XmlSerializer.deserialize(apparatus.engine.system.openmm_xml)
    if variable is not None:
        springs = openmm.CustomCVForce("5*(cv1^2 + cv2^2)")
        for k, force in enumerate(variable_forces(variable.variable(apparatus.features), periodic=True)):
            springs.addCollectiveVariable(f"cv{k + 1}", force)
        system.addForce(springs)
    integrator = openmm.LangevinMiddleIntegrator(300.0, 1.0, apparatus.dt)
    platform = openmm.Platform.getPlatform("CPU")
    context = openmm.Context(system, integrator, platform, {"Threads": "1"})
    context.setPositions(apparatus.positions)
    return context


def _ratio(
    biased: Callable[[int], object], plain: Callable[[int], object], steps: int, times: int = 7
) -> tuple[float, float]:
    """Processor time of steps of one over the other, measured in turn: the median and half the interquartile range.

    Each run has a fixed cost, which the difference of a long and a short one leaves out.
    """

    def spent(run: Callable[[int], object]) -> float:
        ends = [time.process_time()]
        for count in (steps, 3 * steps):
            run(count)
            ends.append(time.process_time())
        first, second = np.diff(ends)
        return second - first

    spent(biased), spent(plain)
    found = [spent(biased) / spent(plain) for _ in range(times)]
    low, middle, high = np.quantile(found, [0.25, 0.5, 0.75])
    return float(middle), float((high - low) / 2)
