"""The race of restart rules and whole loops: the same landscapes, walkers, budgets and 20 seeds for everybody.

Scores of a seed: steps of all walkers until one is at the target; share of the low cells visited; Jensen-Shannon
divergence of estimated from exact populations of cells, at most ln 2; and the free energy of a set. Populations are
those of a Markov model of all walks (k-means and k-centers states), or of reweighted frames where walks were biased. A
free energy that is refused, for too few walks there and back, is counted and is in neither bias nor spread.

Plain walks are compared by their exact mean passage time, which they would need 9.9 million steps each to show; on the
molecule by that of many walks (part ``alanine/reference``), where scores are first visits, cells, and the free energy.
Rules are raced in memory, all seeds in one run of the engine; ``drive`` does the same in a store. A file of yours
joins: ``thalweg bench sampling --with mine.py --part muller-brown/MyRule``. Every public class in it that is a
`RestartRule` is an entry, with its defaults; a function ``raced(recipe, landscape)`` that returns a `Policy` is one.
"""

from __future__ import annotations

import itertools
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sampling_peers import Absent, Peer
from sampling_systems import RACED, WALKERS, Landscape, Molecule
from scipy.spatial.distance import jensenshannon

from thalweg import registry
from thalweg.dynamics.engine import Recording
from thalweg.free_energies.difference import agreement, free_energy_difference
from thalweg.interop.measured.frame_features import values_of_frames
from thalweg.kinetics.markov_state_model import MarkovModel, MarkovStateModel
from thalweg.kinetics.set_free_energy import set_free_energy
from thalweg.kinetics.states.clustering import KMeansAndCenters
from thalweg.report.benchmark import Row
from thalweg.sampling.apparatus import Apparatus, ApparatusRecipe
from thalweg.sampling.bias.frozen import FrozenBias
from thalweg.sampling.bias.metadynamics import WellTemperedMetadynamics
from thalweg.sampling.bias.method import Limits
from thalweg.sampling.bias.opes import OPES
from thalweg.sampling.campaign import drive
from thalweg.sampling.plans import read_plan
from thalweg.sampling.policy import Policy
from thalweg.sampling.restarts.bandit import Bandit
from thalweg.sampling.restarts.boundary_extrapolation import BoundaryExtrapolation
from thalweg.sampling.restarts.diffusion_frontier import DiffusionMapFrontier
from thalweg.sampling.restarts.directed import Directed
from thalweg.sampling.restarts.least_counts import LeastCounts
from thalweg.sampling.restarts.random_restarts import RandomRestarts
from thalweg.sampling.restarts.ranked_rules import RankedRules
from thalweg.sampling.restarts.reap import REAP
from thalweg.sampling.restarts.rule import RestartRule, Restarts, clustered_frames
from thalweg.sampling.restarts.uncertainty import Uncertainty
from thalweg.sampling.reweighted import reweighted
from thalweg.sampling.segment import Segment
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.pull_to_targets import pulled
from thalweg.sampling.tasks.reweigh import WeightedFrames
from thalweg.sampling.tasks.simulate import seed_of
from thalweg.systems.state import State, thermal_state

SEEDS = 20
STATES, LAG = 60, 5
"""Clusters, and lag in frames, that rules choose by and that statistics rest on."""

STRIDE = 2
"""Frames between two resamplings of a weighted ensemble, about the time in which a well forgets."""

PULL = 40
"""Steps that a walker is pulled to its target."""

SYSTEMS_FILE = Path(__file__).parent / "sampling_systems.py"


def rules(landscape: Landscape | Molecule) -> dict[str, RestartRule | None]:
    """Entries that restart swarms; None lets walkers go on. Settings are the defaults but for units of length."""
    feature, larger = landscape.goal
    pull = PULL * landscape.dt
    own: dict[str, RestartRule | None] = {
        "PlainWalks": None,
        "RandomRestarts": RandomRestarts(),
        "LeastCounts": LeastCounts(),
        "Uncertainty": Uncertainty(),
        "Directed": Directed(feature, larger),
        "REAP": REAP(),
        "Bandit": Bandit(),
        "DiffusionMapFrontier": DiffusionMapFrontier(),
        "BoundaryExtrapolation": BoundaryExtrapolation(pull=pull),
        "RankedRules": RankedRules((LeastCounts(), REAP(), DiffusionMapFrontier())),
    }
    return own | {name: thing() for name, thing in _strangers().items() if _is_rule(thing)}


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Every landscape with every entry; ``quick`` takes two seeds."""
    seeds = 2 if quick else SEEDS
    found: dict[str, Callable[[], Iterator[Row]]] = {}
    for key, landscape in RACED.items():
        for name, rule in rules(landscape).items():
            found[f"{key}/{name}"] = partial(
                _rows_of, landscape, name, partial(swarms, landscape, rule, seeds)
            )
        biased = partial(metadynamics, landscape, seeds)
        found[f"{key}/Metadynamics"] = partial(_rows_of, landscape, "Metadynamics", biased)
        if isinstance(landscape, Landscape):
            found[f"{key}/WESTPA"] = partial(_rows_of_ensembles, landscape, seeds)
        for name, thing in _strangers().items():
            if name == "raced":
                whole = partial(campaign, key, thing, seeds)
                found[f"{key}/{name}"] = partial(_rows_of, landscape, name, whole)
    return found | {"alanine/reference": partial(reference, RACED["alanine"], 2 if quick else 100)}


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """All parts one after the other."""
    for name, part in parts(data, quick).items():
        for row in part():
            yield Row(**{**row.__dict__, "part": name})


def _strangers() -> dict[str, Any]:
    """What files that the user named offer."""
    modules = [registry.plugin(path.stem) for path in registry.named_files() if path != SYSTEMS_FILE]
    return {name: getattr(module, name) for module in modules for name in registry.public(module)}


def _is_rule(thing: Any) -> bool:
    return isinstance(thing, type) and hasattr(thing, "choose")


# what entries do


@dataclass
class Course:
    """What the walkers of one seed did.

    Attributes
    ----------
    walks : features (frames, features) of each, in order of rounds
    places : positions (frames, atoms, dims) of each
    rounds, walkers : of each walk
    begun : steps of all walkers before each walk's round
    weighted : walks and log weights of their frames that statistics rest on; None for a Markov model of all walks
    """

    walks: list[np.ndarray] = field(default_factory=list)
    places: list[np.ndarray] = field(default_factory=list)
    rounds: list[int] = field(default_factory=list)
    walkers: list[int] = field(default_factory=list)
    begun: list[int] = field(default_factory=list)
    weighted: tuple[list[np.ndarray], list[np.ndarray]] | None = None
    memory: dict[str, Any] = field(default_factory=dict)

    def add(self, walks: np.ndarray, round: int, begun: int, places: Iterable[np.ndarray] = ()) -> None:
        """Walks ``(walkers, frames, features)`` of a round."""
        self.walks += list(walks)
        self.places.extend(places)
        self.rounds += [round] * len(walks)
        self.walkers += range(len(walks))
        self.begun += [begun] * len(walks)

    def restarts(self, rule: RestartRule, names: tuple[str, ...], seed: int) -> Restarts:
        """What a rule chooses now."""
        sampled = clustered_frames(
            self.walks, self.rounds, self.walkers, STATES, LAG, names, memory=self.memory
        )
        answer = rule.choose(sampled, WALKERS, seed)
        self.memory = answer.memory
        return answer


def swarms(landscape: Landscape | Molecule, rule: RestartRule | None, seeds: int) -> list[Course]:
    """Rounds of short walks, restarted by a rule; the walkers of all seeds in one run of the engine."""
    apparatus, courses = landscape.apparatus(), [Course() for _ in range(seeds)]
    # (walkers of all seeds, atoms, dims)
    places = np.repeat(np.asarray(apparatus.positions)[None], seeds * WALKERS, axis=0)
    names = tuple(apparatus.features.names)
    pull = getattr(rule, "pull", 0.0)
    each, spent = WALKERS * (landscape.length + round(pull / landscape.dt)), 0
    for k in range(landscape.rounds):
        run = apparatus.engine.run
        recording = run(_begun(apparatus, places, k), landscape.length, save_every=landscape.save_every)
        walks = _features(apparatus, recording)
        for s, course in enumerate(courses):
            own = slice(s * WALKERS, (s + 1) * WALKERS)
            course.add(walks[own], k, spent, recording.positions[own])
        spent += each
        if k == landscape.rounds - 1:
            break
        if rule is None:
            places = recording.positions[:, -1]
            continue
        answers = [c.restarts(rule, names, seed_of(s, k)) for s, c in enumerate(courses)]
        places = np.concatenate([np.concatenate(c.places)[a.frames] for c, a in zip(courses, answers)])
        if pull:
            nowhere = np.full((WALKERS, len(names)), np.nan)
            targets = [nowhere if a.targets is None else a.targets for a in answers]
            reached, arrived = pulled(
                apparatus, _begun(apparatus, places, -k - 1), np.concatenate(targets), pull
            )
            places[arrived] = np.moveaxis(np.asarray(reached.positions), -1, 0)[arrived]
    return courses


def _features(apparatus: Apparatus, recording: Recording) -> np.ndarray:
    """``(walkers, frames, features)``"""
    return np.stack([values_of_frames(apparatus.features, walk) for walk in recording.positions])


def _begun(apparatus: Apparatus, places: np.ndarray, round: int) -> State:
    """At places (walkers, atoms, dims)."""
    key = jax.random.key(seed_of("race", round))
    positions = jnp.asarray(np.moveaxis(places, 0, -1), jnp.float32)
    return thermal_state(positions, apparatus.masses, apparatus.kT, key)


def metadynamics(landscape: Landscape | Molecule, seeds: int) -> list[Course]:
    """Well-tempered metadynamics on both coordinates for half of the budget, its bias held for the other half."""
    apparatus, (lower, upper) = landscape.apparatus(), landscape.bounds
    bias = WellTemperedMetadynamics(
        landscape.variable, lower, upper, [0.15, 0.15], height=0.3 * landscape.kT, bias_factor=8.0,
        kT=landscape.kT, stride=landscape.save_every,
    )  # fmt: skip
    steps = landscape.length * landscape.rounds // 2
    run, courses = apparatus.engine.run, []
    places = np.repeat(np.asarray(apparatus.positions)[None], WALKERS, axis=0)
    for seed in range(seeds):
        course = Course()
        growing = run(_begun(apparatus, places, seed), steps, save_every=landscape.save_every, bias=bias)
        held = FrozenBias(bias, growing.bias_state)
        holding = run(growing.state, steps, save_every=landscape.save_every, bias=held)
        for k, recording in enumerate((growing, holding)):
            course.add(_features(apparatus, recording), k, k * steps * WALKERS)
        logs = list(holding.bias_energy.astype(float) / landscape.kT)
        course.weighted = course.walks[WALKERS:], logs
        courses.append(course)
    return courses


def weighted_ensembles(landscape: Landscape, seeds: int, peer: Peer) -> list[Course]:
    """WESTPA's ensembles of walkers that go on for `STRIDE` frames before they are split and merged again.

    It knows the feature that `Directed` knows. Statistics are those of its own weights in the second half of the
    budget: a Markov model would count those the more often who went ahead and were split.
    """
    apparatus, courses = landscape.apparatus(), [Course() for _ in range(seeds)]
    axis, length = apparatus.features.names.index(landscape.goal[0]), STRIDE * landscape.save_every
    budget, start = WALKERS * landscape.length * landscape.rounds, np.asarray(apparatus.positions)[None]
    places, spent = [np.repeat(start, WALKERS, axis=0)] * seeds, np.zeros(seeds, int)
    weights, own = [np.full(WALKERS, 1 / WALKERS)] * seeds, [[] for _ in range(seeds)]
    for k in itertools.count():
        going = [s for s in range(seeds) if spent[s] + len(places[s]) * length <= budget]
        if not going:
            break
        together, first = np.concatenate([places[s] for s in going]), 0
        # walkers in all are a number that has been compiled
        padded = np.concatenate([together, np.repeat(start, -len(together) % 128, axis=0)])
        run = apparatus.engine.run(_begun(apparatus, padded, k), length, save_every=landscape.save_every)
        walks = _features(apparatus, run)
        for s in going:
            here = slice(first, first := first + len(places[s]))
            courses[s].add(walks[here], k, int(spent[s]))
            own[s] += [
                (int(spent[s]), w, np.full(len(w), np.log(x))) for w, x in zip(walks[here], weights[s])
            ]
            answer = peer.ask(
                seed=s, begins=places[s][:, 0, axis].tolist(), ends=run.positions[here][:, -1, 0, axis].tolist(),
                weights=weights[s].tolist(),
            )  # fmt: skip
            spent[s] += len(places[s]) * length
            places[s] = run.positions[here][answer["parents"], -1]
            weights[s] = np.array(answer["weights"])
    for course, pieces in zip(courses, own):
        late = [(walk, logs) for begun, walk, logs in pieces if begun >= budget / 2]
        course.weighted = [walk for walk, _ in late], [logs for _, logs in late]
    return courses


def _rows_of_ensembles(landscape: Landscape, seeds: int) -> Iterator[Row]:
    """Visits, and the free energy by WESTPA's weights, which come with no error and are never refused."""
    head = f"{landscape.name}, WESTPA"
    try:
        with Peer("westpa") as peer:
            courses = weighted_ensembles(landscape, seeds, peer)
    except Absent as reason:
        yield Row(f"{head}: steps to the first visit", None, "steps", target=str(reason))
        return
    yield from _rows_of_visits(landscape, "WESTPA", [score(landscape, course) for course in courses])
    off = []
    for walks, logs in (one.weighted for one in courses):
        inside, weights = (
            landscape.side(landscape.points(np.concatenate(walks))),
            np.exp(np.concatenate(logs)),
        )
        if inside.any() and not inside.all():
            value = -np.log(weights[inside].sum() / weights[~inside].sum())
            off.append(value - landscape.free_energy / landscape.kT)
    if len(off) > 1:
        told = f"{len(off)} of {seeds} seeds were on both sides"
        mean, spread = float(np.mean(off)), float(np.std(off))
        yield Row(f"{head}: free energy, bias ({told})", mean, "kT", spread / len(off) ** 0.5)
        yield Row(f"{head}: free energy, spread over seeds", spread, "kT")


def reference(landscape: Molecule, length: int) -> Iterator[Row]:
    """What many plain walks of ``length`` rounds each need to arrive, and a free energy by OPES of two seeds."""
    apparatus, run = landscape.apparatus(), landscape.apparatus().engine.run
    walkers, total, arrived = 160, 0, 0
    start = np.repeat(np.asarray(apparatus.positions)[None], walkers, axis=0)
    places, ends = start, np.zeros(walkers, int)
    for k in range(length):
        recording = run(
            _begun(apparatus, places, 1000 + k), landscape.length, save_every=landscape.save_every
        )
        there = landscape.target(landscape.points(_features(apparatus, recording).reshape(-1, 4)))
        there = there.reshape(walkers, -1)
        ends = np.where(there.any(1), there.argmax(1) + 1, there.shape[1]) * landscape.save_every
        total, arrived = total + ends.sum(), arrived + there.any(1).sum()
        # who has arrived begins anew
        places = np.where(there.any(1)[:, None, None], start, recording.positions[:, -1])
    yield Row(
        f"{landscape.name}, plain walks: steps to a visit, {arrived} arrivals", total / max(arrived, 1), "steps",
        total / max(arrived, 1) ** 1.5,
    )  # fmt: skip
    limits = Limits(*landscape.bounds, np.full(2, 0.175))
    bias = OPES(barrier=40.0, stride=0.5).on(landscape.variable, limits, landscape.kT, landscape.dt)
    found = []
    for seed in range(2):
        first = run(_begun(apparatus, start[:32], seed), 400 * length, save_every=100, bias=bias)
        held = FrozenBias(bias, first.bias_state)
        second = run(first.state, 750 * length, save_every=50, bias=held)
        frames = reweighted([second], [held], landscape.kT, skip=0.05)
        inside = [landscape.side(walk.T) for walk in frames.along(landscape.variable)]
        found.append(frames.difference_of(inside))
        yield Row(
            f"{landscape.name}, OPES, seed {seed}: free energy", found[-1].value, "kJ/mol", found[-1].error
        )
    yield Row(
        f"{landscape.name}, OPES: {agreement(found)}", float(np.mean([one.value for one in found])), "kJ/mol"
    )


def campaign(key: str, raced: Callable[..., Policy], seeds: int) -> list[Course]:
    """A whole policy, driven in a store of its own."""
    registry.name_files([SYSTEMS_FILE])
    policy = raced(ApparatusRecipe("sampling_systems.landscape", {"name": key}), RACED[key])
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        drive(store, policy)
        return courses_of(store, policy, RACED[key])[:seeds]


def courses_of(store: Store, policy: Policy, landscape: Landscape | Molecule) -> list[Course]:
    """What each seed of a finished campaign did, in the order in which its tasks were planned."""
    courses = {seed: Course() for seed in policy.seeds}
    spent = dict.fromkeys(policy.seeds, 0)
    for k in range(policy.rounds):
        for task in read_plan(store.file(f"plans/{k:05d}", "plan.json")):
            seed = getattr(task.work, "seed", None)
            if seed in courses and (store.folder(task.id) / "segment.json").exists():
                walks = Segment.read(store, task.id).features
                courses[seed].add(walks, k, spent[seed])
            if seed in courses:
                spent[seed] += round(task.cost / landscape.dt)
    if (entry := policy.evidence(store).weights) is not None:
        weights = WeightedFrames.read(store, entry)
        for run, seed in enumerate(policy.seeds):
            courses[seed].weighted = weights.walks("features", run), weights.walks("log_weights", run)
    return list(courses.values())


# scores


@dataclass(frozen=True)
class Score:
    """Of one seed: steps until the first visit or the whole budget, whether there was one, and the rest."""

    steps: float
    arrived: bool
    coverage: float
    divergence: float
    free_energy: float
    error: float


def score(landscape: Landscape | Molecule, course: Course) -> Score:
    """How one seed did; the free energy is NaN where it is refused."""
    first, end, beside = np.inf, 0, Counter(course.begun)
    for walk, begun in zip(course.walks, course.begun):
        there = np.flatnonzero(landscape.target(landscape.points(walk)))
        every = beside[begun] * landscape.save_every
        end = max(end, begun + every * len(walk))
        if len(there):
            first = min(first, begun + every * (there[0] + 1))
    visited = np.histogram2d(*landscape.points(np.concatenate(course.walks)), bins=landscape.edges)[0] > 0
    coverage = visited[landscape.worth_a_visit].mean()
    frames, weights, value, error = _statistics(landscape, course)
    found = np.histogram2d(*landscape.points(frames), bins=landscape.edges, weights=weights)[0]
    exact = landscape.populations
    divergence = np.nan if exact is None else jensenshannon(found.ravel(), exact.ravel()) ** 2
    return Score(min(first, end), bool(np.isfinite(first)), float(coverage), float(divergence), value, error)


def _statistics(
    landscape: Landscape | Molecule, course: Course
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Frames, their weights, and the free energy of the side with its error."""
    if course.weighted is None:
        model = markov_model(course.walks)
        states = np.concatenate(model.trajectories.blocks)
        weights = (model.stationary_distribution / np.bincount(states, minlength=model.n_states).clip(1))[
            states
        ]
        inside = [landscape.side(landscape.points(walk)) for walk in course.walks]
        found = set_free_energy(model, inside, landscape.kT, samples=30)
        value = np.nan if found.shortcomings else found.value
        return np.concatenate(course.walks), weights, value, found.error
    walks, logs = course.weighted
    joined = np.concatenate(logs)
    weights = np.exp(joined - joined.max())
    inside = [landscape.side(landscape.points(walk)) for walk in walks]
    try:
        held = free_energy_difference(inside, [~one for one in inside], logs, landscape.kT)
    except ValueError:
        return np.concatenate(walks), weights, np.nan, np.nan
    return np.concatenate(walks), weights, np.nan if held.shortcomings else held.value, held.error


def markov_model(walks: list[np.ndarray]) -> MarkovModel:
    """A Markov model of all walks, whose counts are kept walk by walk."""
    walks = [walk.astype(float) for walk in walks]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        states = KMeansAndCenters(STATES).fit(walks).transform(walks)
        return MarkovStateModel(LAG, n_blocks=len(walks)).fit(states)


def _rows_of(landscape: Landscape | Molecule, name: str, race: Callable[[], list[Course]]) -> Iterator[Row]:
    scores = [score(landscape, course) for course in race()]
    yield from _rows_of_visits(landscape, name, scores)
    yield from _free_energy_rows(landscape, f"{landscape.name}, {name}", scores)


def _rows_of_visits(landscape: Landscape | Molecule, name: str, scores: list[Score]) -> Iterator[Row]:
    seeds, arrived = len(scores), sum(one.arrived for one in scores)
    # of exponential times cut off at the budget, the likeliest mean is all time over the arrivals
    mean = sum(one.steps for one in scores) / max(arrived, 1)
    sketch, head = landscape.sketch.get(name), f"{landscape.name}, {name}"
    ratio = landscape.passage / mean if arrived else None
    yield Row(
        f"{head}: steps to the first visit ({arrived} of {seeds} seeds arrived)",
        mean if arrived else None,
        "steps",
        spread=mean / np.sqrt(arrived) if arrived else None,
        target=f"{sketch:g}x plain" if sketch else "none arrived" if not arrived else None,
        met=bool(ratio and ratio >= sketch) if sketch else None,
        peer="plain, many walks" if isinstance(landscape, Molecule) else "plain, exact",
        peer_value=landscape.passage,
        ratio=ratio,
    )
    for what, unit in (("coverage", "share"), ("divergence", "nats")):
        values = np.array([getattr(one, what) for one in scores])
        if np.isfinite(values).all():
            yield Row(f"{head}: {what}", float(values.mean()), unit, spread=float(values.std()))


def _free_energy_rows(landscape: Landscape | Molecule, head: str, scores: list[Score]) -> Iterator[Row]:
    """Bias and spread of the free energies that were given, and whether their errors are right."""
    kept = [one for one in scores if np.isfinite(one.free_energy)]
    told = f"{len(kept)} of {len(scores)} seeds, others refused"
    if len(kept) < 2:
        yield Row(f"{head}: free energy", None, "kT", target=f"refused in all but {len(kept)} seeds")
        return
    off = np.array([one.free_energy - landscape.free_energy for one in kept]) / landscape.kT
    errors = np.array([one.error for one in kept]) / landscape.kT
    yield Row(
        f"{head}: free energy, bias ({told})",
        float(off.mean()),
        "kT",
        spread=float(off.std() / len(off) ** 0.5),
    )
    yield Row(f"{head}: free energy, spread over seeds", float(off.std()), "kT")
    within = float(np.mean(np.abs(off) < 2 * errors))
    yield Row(
        f"{head}: free energies within two of their errors",
        within,
        "share",
        target=">= 0.8",
        met=within >= 0.8,
    )
