"""Loops that learn a variable and drive it, each as one campaign, against free energies that are known.

Müller-Brown/10 in kT, from a fine grid; alanine dipeptide in vacuum (ff14SB, 300 K): free energy of the left-handed
basin, 0 < phi < 126 degrees, less that of the rest, as it was found by long metadynamics of phi and psi with errors of
less than 0.1 kJ/mol. Loops know of the surface its two coordinates, of the molecule sines and cosines of its two
torsions. Settings are defaults but for lengths, the heights of hills, and smaller networks on the surface.

The committor's loop is told two sets besides, and where both are; its committor and the rate are compared with exact
ones on the grid. How soon a state is left is told in evaluations of forces, of all walkers together: for plain dynamics
by the exact mean time of a walker until it enters the other side, which many walkers share.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from sampling_systems import DEEP, LANDSCAPES, Landscape

from thalweg import registry
from thalweg.collective_variables.manifold.embeddings.isomap import Isomap
from thalweg.collective_variables.neural.autoencoders import Autoencoder, VariationalAutoencoder
from thalweg.collective_variables.neural.learned_basis import Training
from thalweg.free_energies.difference import FreeEnergyDifference, agreement, free_energy_difference
from thalweg.kinetics.committors.gradient_rate import gradient_rates
from thalweg.kinetics.reactions.regions import Ellipsoid
from thalweg.machine.reading import read_json
from thalweg.report.benchmark import Row
from thalweg.sampling.apparatus import ApparatusRecipe
from thalweg.sampling.bias.adaptive_force import AdaptiveBiasingForce
from thalweg.sampling.bias.metadynamics import Metadynamics
from thalweg.sampling.bias.opes import OPES
from thalweg.sampling.campaign import drive
from thalweg.sampling.plans import read_plan
from thalweg.sampling.policies.committor_loop import CommittorLoop
from thalweg.sampling.policies.learn_and_drive import WEIGHTS, LearnAndDrive
from thalweg.sampling.policies.local_diffusion_map_loop import LocalDiffusionMapLoop
from thalweg.sampling.policies.mesa import MESA
from thalweg.sampling.policies.rave import RAVE
from thalweg.sampling.policies.sandcv import SandCV
from thalweg.sampling.policies.slow_variable_loop import SlowVariableLoop
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.learned_variable import LearnedVariable
from thalweg.sampling.tasks.reweigh import WeightedFrames
from thalweg.studies.tables.study import from_table
from thalweg.time_series.trajectories import Trajectories

SYSTEMS_FILE = Path(__file__).parent / "sampling_systems.py"
SEEDS = (1, 2, 3)
LOOPS = {each.__name__: each for each in (SlowVariableLoop, MESA, SandCV, RAVE)}
LEAVING_SEEDS = (1, 2, 3, 4)
"""Of visits to the first state: one seed is one time."""

LEFT_HANDED = 8.69
"""Free energy of the left-handed basin of alanine dipeptide in vacuum [kJ/mol]."""

ON_SURFACE = {
    "seeds": SEEDS, "walkers": 8, "swarm": 2.0, "drive": 8.0, "produce": 24.0, "segment": 8.0, "save_every": 0.01,
    "lagtime": 0.1, "states": 60, "skip": 4.0,
}  # fmt: skip
"""Lengths on the surface, in its units of time."""

NETWORK = {"hidden": (16, 16), "steps": 300, "restarts": 1}
LEARNERS = {
    "MESA": Autoencoder(dim=2, **NETWORK),
    "SandCV": Isomap(dim=2, landmarks=100),
    "RAVE": VariationalAutoencoder(dim=1, **NETWORK),
}
"""On the surface."""

MOLECULE = {
    "system": {"molecule": "alanine_dipeptide", "constraints": "hbonds"},
    "dynamics": {"engine": "native", "temperature": "300 K", "dt": "2 fs"},
    "features": {"kind": "TorsionFeatures"},
}
ON_MOLECULE = {
    "seeds": list(SEEDS), "walkers": 16, "swarm": "50 ps", "drive": "150 ps", "produce": "400 ps", "segment": "100 ps",
    "save_every": "1 ps", "lagtime": "5 ps", "skip": "50 ps",
}  # fmt: skip
HILLS = {"kind": "Metadynamics", "height": "1 kJ/mol", "bias_factor": 12.0, "stride": "1 ps"}


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Each loop on each system; ``quick`` takes two seeds of a fifth of the length."""
    del data
    found: dict[str, Callable[[], Iterator[Row]]] = {}
    for name in LOOPS:
        found[f"muller-brown/{name}"] = partial(surface, name, quick)
    found["muller-brown/CommittorLoop"] = partial(committor, quick)
    for name in ("muller-brown", "deep"):
        found[f"exits/{name}"] = partial(exits, name, quick)
    for name in LOOPS:
        found[f"alanine/{name}"] = partial(molecule, name, quick)
    return found


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def surface(name: str, quick: bool) -> Iterator[Row]:
    """A loop on Müller-Brown/10."""
    registry.name_files([SYSTEMS_FILE])
    landscape = LANDSCAPES["muller-brown"]
    settings = ON_SURFACE | ({"learner": LEARNERS[name]} if name in LEARNERS else {})
    if "bias" in LOOPS[name].__dataclass_fields__:
        hills = Metadynamics(height=0.5, bias_factor=8.0, stride=0.02)
        force = AdaptiveBiasingForce(stride=0.01, barrier=15.0)
        settings["bias"] = force if name == "SandCV" else hills
    if quick:
        settings |= {
            "seeds": SEEDS[:2],
            "swarm": 0.4,
            "drive": 1.6,
            "produce": 4.8,
            "skip": 0.8,
            "segment": 1.6,
        }
    policy = LOOPS[name](ApparatusRecipe("sampling_systems.landscape", {"name": "muller-brown"}), **settings)
    yield from _measured(
        f"Müller-Brown/10, {name}", policy, lambda x: landscape.side(x.T), landscape.free_energy, "kT", quick
    )


def committor(quick: bool) -> Iterator[Row]:
    """The committor's loop on Müller-Brown/10, with its committor and rate."""
    registry.name_files([SYSTEMS_FILE])
    landscape = LANDSCAPES["muller-brown"]
    sets = Ellipsoid(landscape.start, 0.2), Ellipsoid((0.6235, 0.0280), 0.2)
    settings = ON_SURFACE | {"segment": 24.0, "cycles": 4}
    if quick:
        settings |= {"seeds": SEEDS[:2], "cycles": 2, "drive": 4.0, "produce": 4.0, "skip": 0.8}
    with tempfile.TemporaryDirectory() as folder:
        ends = Path(folder) / "ends.npy"
        np.save(ends, np.repeat([[each.center] for each in sets], settings["walkers"] // 2, axis=0))
        policy = CommittorLoop(
            ApparatusRecipe("sampling_systems.landscape", {"name": "muller-brown"}),
            a=sets[0],
            b=sets[1],
            frames=str(ends),
            bias=OPES(barrier=15.0, stride=0.02),
            training=Training(hidden=(32, 32), steps=500, restarts=1),
            **settings,
        )
        head = "Müller-Brown/10, CommittorLoop"
        yield from _measured(
            head,
            policy,
            lambda x: landscape.side(x.T),
            landscape.free_energy,
            "kT",
            quick,
            partial(_reaction, head, policy, landscape),
        )


def _reaction(head: str, policy: CommittorLoop, landscape: Landscape, store: Store) -> Iterator[Row]:
    """The last committor of each seed beside the exact one, and the rate by it from production."""
    inside = [lambda x, one=one: np.asarray(one.distance(x.T)) <= 0 for one in (policy.a, policy.b)]
    grid = landscape.exact
    exact, rates = grid.committor(*inside), grid.rate(*inside)
    reached = grid.stationary_distribution > np.exp(-14) * grid.stationary_distribution.max()
    undecided = (exact > 0.02) & (exact < 0.98) & reached
    frames, errors, forward = WeightedFrames.read(store, WEIGHTS), [], []
    for run, seed in enumerate(policy.seeds):
        last = [e for e in policy.entries(seed, "learn") if store.has(e)][-1]
        model = LearnedVariable.read(store, last).map.model.model
        missed = model.transform(grid.points.T)[:, 0] - exact
        errors.append(float(np.sqrt((missed[undecided] ** 2).mean())))
        weights = [np.exp(walk - frames.log_weights.max()) for walk in frames.walks("log_weights", run)]
        walks = Trajectories(frames.walks("features", run), dt=policy.save_every, weights=weights)
        rate = gradient_rates(model, walks, 1.0)
        forward.append(float(rate.forward.value))
        yield Row(
            f"{head}, seed {seed}: rate from A to B by the functional",
            1e4 * forward[-1],
            "1e-4/ps",
            spread=1e4 * float(rate.errors[1]),
            target="within 3 errors and a factor of two",
            met=bool(
                abs(forward[-1] - rates.forward) < 3 * rate.errors[1]
                and 0.5 < forward[-1] / rates.forward < 2
            ),
            peer="exact",
            peer_value=1e4 * float(rates.forward),
        )
    yield Row(
        f"{head}: root mean square error of the committor between 0.02 and 0.98, mean of {len(errors)} seeds",
        float(np.mean(errors)),
        "",
        spread=float(np.std(errors, ddof=1) / np.sqrt(len(errors))),
        target="at most 0.05 for each",
        met=max(errors) <= 0.05,
    )
    yield Row(
        f"{head}: rate from A to B, mean of {len(forward)} seeds",
        1e4 * float(np.mean(forward)),
        "1e-4/ps",
        spread=1e4 * float(np.std(forward, ddof=1) / np.sqrt(len(forward))),
        target="within a half",
        met=bool(abs(np.mean(forward) / rates.forward - 1) < 0.5),
        peer="exact",
        peer_value=1e4 * float(rates.forward),
    )


def exits(name: str, quick: bool) -> Iterator[Row]:
    """How soon the loop of local diffusion maps leaves the well where it begins."""
    registry.name_files([SYSTEMS_FILE])
    landscape = DEEP if name == "deep" else LANDSCAPES[name]
    policy = LocalDiffusionMapLoop(
        ApparatusRecipe("sampling_systems.landscape", {"name": name}),
        seeds=LEAVING_SEEDS[: 2 if quick else None],
        walkers=8,
        visits=1,
        swarm=1.0,
        drive=0.5,
        free=0.2,
        tries=20,
        save_every=0.01,
        lagtime=0.05,
        bias=Metadynamics(height=0.5, bias_factor=8.0, stride=0.02),
    )
    evaluations, beyond = [], []
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        drive(store, policy)
        for seed in policy.seeds:
            if (entry := policy.exits(store, seed, 0)) is None:
                continue
            tries = 1 + int(entry[-3:])
            walked = policy.swarm + tries * (policy.drive + policy.free)
            evaluations.append(policy.walkers * walked / landscape.dt)
            with np.load(store.folder(entry) / "starts.npz") as arrays:
                beyond.append(bool(landscape.side(arrays["positions"][:, 0].T).all()))
    seconds = time.process_time() - began
    head, of = f"{landscape.name}, LocalDiffusionMapLoop", len(policy.seeds)
    mean = float(np.mean(evaluations)) / 1e3 if evaluations else None
    yield Row(
        f"{head}: seeds of {of} that say they left",
        len(evaluations),
        "",
        target="all",
        met=len(evaluations) == of,
    )
    yield Row(f"{head}: of these, on the other side", sum(beyond), "", target="all", met=all(beyond))
    yield Row(
        f"{head}: evaluations of forces until the state is left, mean",
        mean,
        "thousand",
        spread=float(np.std(evaluations, ddof=1) / np.sqrt(len(evaluations))) / 1e3
        if len(evaluations) > 1
        else None,
        target="fewer than plain dynamics",
        met=mean is not None and len(evaluations) == of and mean < landscape.leaving / 1e3,
        peer="plain dynamics, exact mean",
        peer_value=landscape.leaving / 1e3,
        ratio=None if mean is None else landscape.leaving / 1e3 / mean,
    )
    yield Row(f"{head}: CPU time", seconds, "s")


def molecule(name: str, quick: bool) -> Iterator[Row]:
    """A loop on alanine dipeptide in vacuum."""
    table = {"kind": name, **ON_MOLECULE}
    if "bias" in LOOPS[name].__dataclass_fields__ and name != "SandCV":
        table["bias"] = HILLS
    if quick:
        table |= {
            "seeds": [1, 2],
            "walkers": 4,
            "swarm": "40 ps",
            "drive": "40 ps",
            "produce": "80 ps",
            "skip": "0 ps",
        }
    policy = from_table({**MOLECULE, "campaign": table}).campaign
    names = policy.recipe.build().features.names
    columns = [
        next(k for k, each in enumerate(names) if word in each and "phi" in each) for word in ("sin", "cos")
    ]

    def left_handed(x: np.ndarray) -> np.ndarray:
        phi = np.degrees(np.arctan2(x[:, columns[0]], x[:, columns[1]]))
        return (phi > 0) & (phi < 126)

    yield from _measured(
        f"alanine dipeptide, vacuum, {name}", policy, left_handed, LEFT_HANDED, "kJ/mol", quick
    )


def _measured(
    head: str,
    policy: LearnAndDrive,
    side: Callable[[np.ndarray], np.ndarray],
    exact: float,
    unit: str,
    quick: bool,
    besides: Callable[[Store], Iterator[Row]] = lambda store: iter(()),
) -> Iterator[Row]:
    """Free energies of all seeds; ``besides`` makes more rows of what the campaign left."""
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        drive(store, policy)
        frames = WeightedFrames.read(store, WEIGHTS)
        kT = frames.card["kT"]
        found = [_difference(frames, run, side, kT) for run in range(len(policy.seeds))]
        models = [
            entry for seed in policy.seeds for entry in policy.entries(seed, "learn") if store.has(entry)
        ]
        cards = [read_json(store.file(entry, "card.json"), "a variable") for entry in models]
        plans = [store.file(f"plans/{k:05d}", "plan.json") for k in range(policy.rounds)]
        cost = sum(task.cost for plan in plans for task in read_plan(plan))
        more = list(besides(store))
    seconds = time.process_time() - began
    told = [each for each in found if each is not None]
    for seed, each in zip(policy.seeds, found):
        yield Row(
            f"{head}, seed {seed}: free energy of the rarer side"
            + (f"; {each}" if each is not None and each.shortcomings else ""),
            None if each is None else each.value,
            unit,
            spread=None if each is None else each.error,
            target="never crossed" if each is None else "within 1 and 3 errors",
            met=each is not None
            and not each.shortcomings
            and bool(abs(each.value - exact) < min(1.0, 3 * each.error)),
            peer="exact" if unit == "kT" else "long metadynamics",
            peer_value=exact,
        )
    values = np.array([each.value for each in told])
    yield Row(
        f"{head}: mean of {len(told)} seeds ({agreement(told) if len(told) > 1 else 'too few to agree'})",
        float(values.mean()) if len(told) else None,
        unit,
        spread=float(values.std(ddof=1) / np.sqrt(len(values))) if len(told) > 1 else None,
        target="within 1",
        met=bool(len(told) and abs(values.mean() - exact) < 1.0),
        peer="exact" if unit == "kT" else "long metadynamics",
        peer_value=exact,
    )
    yield from more
    yield Row(f"{head}: variables learned, all seeds", len(cards), "", target=f"at most {policy.cycles} each")
    yield Row(f"{head}: simulated, all walkers", cost, "ps")
    yield Row(f"{head}: CPU time", seconds, "s")


def _difference(
    frames: WeightedFrames, run: int, side: Callable[[np.ndarray], np.ndarray], kT: float
) -> FreeEnergyDifference | None:
    """Of one seed; None where its production has not been on both sides."""
    inside = [side(walk) for walk in frames.walks("features", run)]
    try:
        return free_energy_difference(inside, [~x for x in inside], frames.walks("log_weights", run), kT)
    except ValueError:
        return None
