"""From evidence to results: every number of a report, and every reason to doubt one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations
from typing import Any

import numpy as np

from thalweg.collective_variables.linear.tica import TICA
from thalweg.collective_variables.linear.vac import VACModel
from thalweg.kinetics.reactions.passage_rate import passage_rate
from thalweg.kinetics.set_free_energy import set_free_energy
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories
from thalweg.machine.surviving import reason, surviving
from thalweg.report.of_runs.drawn_structures import drawn_atoms, molecule
from thalweg.report.of_runs.evidence import RunEvidence
from thalweg.report.of_runs.free_energies import (
    Weighted,
    course,
    difference,
    inside_ranges,
    torsion_surface,
    variable_surface,
)
from thalweg.report.of_runs.kinetic_picture import KineticPicture, kinetic_picture
from thalweg.report.of_runs.meaning import angular_correlation
from thalweg.report.of_runs.populations import aligned, described
from thalweg.report.results import (
    Diagnosis,
    ReportedNumber,
    Results,
    RoundsVisited,
    Surface,
    VariableMeaning,
)
from thalweg.report.rounding import with_error
from thalweg.time_series.trajectories import Trajectories

DRAWN = 4000
"""Frames in a scatter plot."""

CONNECTED = 0.9
"""Share of the transitions that one connected part must hold for populations to come from a Markov model."""

DEAD = 1e-6
"""Spread of a variable, as a share of the widest one's, below which it says nothing."""

KINETIC_DIM = 4
"""Slow coordinates that clusters are made in."""

REPLICATES = 25
"""Draws of walks behind the error of a passage time."""


@dataclass(frozen=True)
class Question:
    """What the evidence is asked.

    Attributes
    ----------
    lagtime : of the Markov model, in frames
    lagtimes : those scanned, in frames; chosen from the lengths of the walks if empty
    clusters : number of microstates
    sets : number of long-lived states to describe
    regions : named states, as ranges of named torsions [rad]
    reduction : lag time [frames] and number of the slow coordinates that clusters are made in; as many as are worth it,
        at the lag time of the model, if None
    """

    lagtime: int
    lagtimes: tuple[int, ...] = ()
    clusters: int = 100
    sets: int = 3
    regions: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)
    reduction: tuple[int, int] | None = None


Learned = tuple[tuple[str, ...], Callable[[np.ndarray], np.ndarray]]
"""Names of learned variables, and the map from features ``(frames, features)`` to their values."""


def analyze_run(evidence: RunEvidence, question: Question, learned: Learned | None = None) -> Results:
    """Everything a report says about ``evidence``, but its title and where it came from.

    What cannot be found is a diagnosis, and the rest stands. Frames that come with weights need no Markov model.

    Parameters
    ----------
    learned : the variables that drove the run; the slowest ones of the walks free of bias if None

    Raises
    ------
    ValueError
        If frames without weights give no Markov model: the lag time is too long for the walks, or no two states are
        connected.
    """
    doubts: list[Diagnosis] = []
    kinetics = _kinetics(evidence, question, doubts)
    coordinates = [kinetics.coordinates(walk.features) for walk in evidence.weighted]
    labels = [kinetics.assigned(values) for values in coordinates]
    frames = _weights(evidence, kinetics.picture, labels)
    names, values = _alive(*_variable(evidence, kinetics.tica, learned), doubts)

    members = {
        name: [inside_ranges(walk.torsions, evidence.torsion_names, ranges) for walk in evidence.weighted]
        for name, ranges in question.regions.items()
    }
    differences = _each(
        "free energy differences",
        members,
        lambda name, member: _knowing_of_the_model(
            difference(f"free energy of {name} against the rest", member, frames), member, evidence, kinetics
        ),
        doubts,
    )
    passages = _passages(evidence, question, kinetics, doubts)
    meaning = _meaning(evidence, names, values) if names else None
    shown = _axes(meaning)
    states = _states(evidence, kinetics, frames, labels, coordinates, members, shown, doubts)
    courses = _each("courses", members, lambda name, member: course(name, member, frames), doubts)
    surfaces = _surfaces(evidence, frames, names, values, shown, doubts)
    picture = kinetics.picture
    return Results(
        title="",
        subtitle="",
        simulated=(),
        found=_found(picture, differences, passages),
        certainty=(*_certainty((*differences, *passages)), *(picture.certainty() if picture else ())),
        estimates=(*(picture.estimates() if picture else ()), *passages, *differences),
        diagnoses=(
            *(picture.diagnoses() if picture else ()),
            *_reasons(kinetics.tica, differences),
            *doubts,
        ),
        surfaces=tuple(surfaces),
        timescales=picture.scan if picture else None,
        chapman_kolmogorov=picture.chapman_kolmogorov if picture else None,
        states=states,
        molecule=molecule(evidence.topology, drawn_atoms(evidence.topology)),
        learned=meaning,
        rounds=_rounds(evidence, shown),
        convergence=tuple(courses),
    )


@dataclass(frozen=True)
class _Kinetics:
    """Slow coordinates and the Markov model in them; both None if walks free of bias give neither."""

    tica: VACModel | None
    picture: KineticPicture | None

    def coordinates(self, features: np.ndarray) -> np.ndarray:
        """Slow coordinates ``(frames, values)``; the features themselves where there are none."""
        return features if self.tica is None else self.tica.transform(features.astype(float))

    def assigned(self, values: np.ndarray) -> np.ndarray:
        """Microstates ``(frames,)``; all frames in one where there is no model."""
        return np.zeros(len(values), int) if self.picture is None else self.picture.assigned(values)


def _kinetics(evidence: RunEvidence, question: Question, doubts: list[Diagnosis]) -> _Kinetics:
    try:
        tica = _slow_coordinates(evidence, question)
        picture = kinetic_picture(
            [tica.transform(walk.features.astype(float)) for walk in evidence.moving],
            evidence.dt,
            question.lagtime,
            question.lagtimes,
            question.clusters,
            question.sets,
        )
    except MemoryError:
        raise
    except Exception as error:
        if evidence.pooled is None:
            raise
        doubts.append(Diagnosis("problem", f"No slow coordinates and no time scales: {reason(error)}."))
        return _Kinetics(None, None)
    return _Kinetics(tica, picture)


def _each(
    kind: str, members: Mapping[str, Any], work: Callable[[str, Any], Any], doubts: list[Diagnosis]
) -> list[Any]:
    """What ``work(name, member)`` gives for those members that it can be done for."""
    left = surviving(members, lambda name: work(name, members[name]), kind, fewest=0, told=False)
    if left.failures:
        doubts.append(Diagnosis("warning", f"{left.told[:1].upper()}{left.told[1:]}."))
    return list(left.results)


def _variable(
    evidence: RunEvidence, tica: VACModel | None, learned: Learned | None
) -> tuple[tuple[str, ...], list[np.ndarray]]:
    """The learned variables along the weighted walks; the slowest coordinates where none drove the run."""
    if learned is not None:
        names, variable = learned
        return names, [variable(walk.features) for walk in evidence.weighted]
    if tica is None:
        return (), []
    names = tuple(f"slow {i + 1}" for i in range(min(2, tica.loadings.shape[1])))
    return names, [tica.transform(walk.features.astype(float))[:, :2] for walk in evidence.weighted]


def _alive(
    names: Sequence[str], values: Sequence[np.ndarray], doubts: list[Diagnosis]
) -> tuple[tuple[str, ...], list[np.ndarray]]:
    """Those of the variables that take more than one value, to rounding."""
    if not names:
        return (), []
    spread = np.ptp(np.concatenate(values), axis=0)
    alive = spread > DEAD * spread.max()
    if dead := [name for name, kept in zip(names, alive) if not kept]:
        doubts.append(Diagnosis("warning", f"{', '.join(dead)}: the same for all frames, and not drawn."))
    return tuple(name for name, kept in zip(names, alive) if kept), [run[:, alive] for run in values]


def _slow_coordinates(evidence: RunEvidence, question: Question) -> VACModel:
    walks = Trajectories([walk.features.astype(float) for walk in evidence.moving], dt=evidence.dt)
    if question.reduction is not None:
        return TICA(*question.reduction).fit(walks)
    slowest = TICA(lagtime=question.lagtime, dim=1).fit(walks)
    rank = len(slowest.eigenvalues)
    return slowest if rank == 1 else TICA(lagtime=question.lagtime, dim=min(KINETIC_DIM, rank)).fit(walks)


def _weights(evidence: RunEvidence, picture: KineticPicture | None, labels: Sequence[np.ndarray]) -> Weighted:
    """The weights that came with the frames, or those that make a Markov model's populations of them."""
    seeds = tuple(walk.seed for walk in evidence.weighted)
    if evidence.pooled is not None:
        return Weighted(seeds, evidence.pooled, evidence.own, evidence.kT, evidence.dt)
    assert picture is not None  # without weights there is a model, or no report
    active = picture.model.active
    if active.kept < CONNECTED:
        raise ValueError(
            f"the walks fall into parts that are not connected ({active}); give walks that go back and "
            "forth, or analyze the parts one by one"
        )
    pooled = picture.log_weights(labels, labels)
    own = [
        weights
        for seed, label in zip(seeds, labels)
        for weights in picture.log_weights([label], [o for s, o in zip(seeds, labels) if s == seed])
    ]
    return Weighted(seeds, pooled, own, evidence.kT, evidence.dt)


def _knowing_of_the_model(
    number: ReportedNumber, members: Sequence[np.ndarray], evidence: RunEvidence, kinetics: _Kinetics
) -> ReportedNumber:
    """A difference whose error knows that populations were estimated, where a Markov model gave frames weights."""
    if evidence.pooled is not None or kinetics.picture is None or not np.isfinite(number.value):
        return number
    found = set_free_energy(kinetics.picture.model, members, evidence.kT)
    error = max(number.error, found.error) if np.isfinite(found.error) else np.nan
    return replace(number, error=error, remark="; ".join([number.remark, *found.shortcomings]))


def _passages(
    evidence: RunEvidence, question: Question, kinetics: _Kinetics, doubts: list[Diagnosis]
) -> list[ReportedNumber]:
    """Mean passage times between named regions, by the walks that are free of bias."""
    if kinetics.picture is None or len(question.regions) < 2 or len(evidence.moving) < 2:
        return []
    labels = [kinetics.assigned(kinetics.coordinates(walk.features)) for walk in evidence.moving]
    walks = DiscreteTrajectories(labels, dt=evidence.dt)
    members = {
        name: [inside_ranges(walk.torsions, evidence.torsion_names, ranges) for walk in evidence.moving]
        for name, ranges in question.regions.items()
    }

    def number(name: str, pair: tuple[str, str]) -> ReportedNumber:
        found = passage_rate(walks, members[pair[0]], members[pair[1]], samples=REPLICATES)
        known = not found.shortcomings
        time, error = (found.time, found.time * found.log_error) if known else (np.nan, np.nan)
        return ReportedNumber(name, time, error, "ps", remark=str(found))

    pairs = {f"mean passage time from {a} to {b}": (a, b) for a, b in permutations(members, 2)}
    return _each("passage times", pairs, number, doubts)


def _meaning(
    evidence: RunEvidence, names: Sequence[str], values: Sequence[np.ndarray]
) -> VariableMeaning | None:
    if not evidence.torsion_names:
        return None
    everything = np.concatenate(values)
    torsions = np.concatenate([walk.torsions for walk in evidence.weighted])
    correlation = angular_correlation(everything, torsions)
    strongest = np.sort(np.argsort(-correlation.max(0), kind="stable")[:12])
    every = max(1, len(everything) // DRAWN)
    return VariableMeaning(
        tuple(names),
        tuple(evidence.torsion_names[i] for i in strongest),
        correlation[:, strongest],
        everything[::every],
        np.degrees(torsions[::every][:, strongest]),
        ("deg",) * len(strongest),
    )


def _axes(meaning: VariableMeaning | None) -> tuple[str, ...]:
    """The two torsions to draw: the phi and psi of the residue that the learned variables follow most."""
    if meaning is None:
        return ()
    score = dict(zip(meaning.physical, meaning.correlation.max(0)))
    pairs = {
        name: f"psi{name[3:]}" for name in score if name.startswith("phi ") and f"psi{name[3:]}" in score
    }
    if pairs:
        best = max(pairs, key=lambda name: score[name] + score[pairs[name]])
        return best, pairs[best]
    return tuple(sorted(score, key=score.get, reverse=True)[:2])


def _rounds(evidence: RunEvidence, shown: Sequence[str]) -> RoundsVisited | None:
    """Where rounds went, of campaigns of more than one, in the two torsions that are drawn."""
    if len(evidence.rounds) < 2 or len(shown) != 2:
        return None
    columns = [evidence.torsion_names.index(name) for name in shown]
    points = tuple(np.degrees(each[:, columns]) for each in evidence.rounds.values())
    return RoundsVisited(*shown, "deg", tuple(k + 1 for k in evidence.rounds), points)


def _surfaces(evidence, frames: Weighted, names, values, shown, doubts) -> list[Surface]:
    wanted: dict[str, Callable[[], Surface]] = {}
    if len(shown) == 2:
        columns = [evidence.torsion_names.index(name) for name in shown]
        angles = [walk.torsions[:, columns] for walk in evidence.weighted]
        wanted[" and ".join(shown)] = lambda: torsion_surface(" and ".join(shown), shown, angles, frames)
    if len(names) >= 2:
        slow = [run[:, :2] for run in values]
        wanted["the learned variables"] = lambda: variable_surface(
            "the learned variables", names[:2], slow, frames
        )
    return _each("surfaces", wanted, lambda _, make: make(), doubts)


def _states(evidence, kinetics, frames, labels, coordinates, members, shown, doubts):
    columns = {name: evidence.torsion_names.index(name) for name in shown}
    drawn = drawn_atoms(evidence.topology)
    picture = kinetics.picture
    sets = {
        f"set {number}": [picture.set_of(label) == number - 1 for label in labels]
        for number in range(1, picture.n_sets + 1 if picture else 1)
    }
    seen = {name: member for name, member in {**sets, **members}.items() if any(m.any() for m in member)}
    states = _each(
        "states",
        seen,
        lambda name, member: described(name, member, labels, coordinates, evidence, frames, columns, drawn),
        doubts,
    )
    return aligned(states)


def _found(
    picture: KineticPicture | None,
    differences: Sequence[ReportedNumber],
    passages: Sequence[ReportedNumber],
) -> tuple[str, ...]:
    sentences = [
        f"{e.name.removeprefix('free energy of ').capitalize()}: {with_error(e.value, e.error, e.unit)}."
        if np.isfinite(e.value)
        else f"{e.name.removeprefix('free energy of ').capitalize()}: no number, {e.remark}."
        for e in differences
    ]
    times = [
        f"{e.name[:1].upper()}{e.name[1:]}: {with_error(e.value, e.error, e.unit)}."
        for e in passages
        if np.isfinite(e.value)
    ]
    return (*sentences, *times, *(picture.found() if picture else ()))


def _certainty(estimates: Sequence[ReportedNumber]) -> tuple[str, ...]:
    return tuple(f"{e.name.capitalize()}: {e.remark}." for e in estimates if e.remark)


def _reasons(tica: VACModel | None, differences: Sequence[ReportedNumber]) -> list[Diagnosis]:
    """Reasons to doubt numbers that were found."""
    doubts = [] if tica is None else [Diagnosis("note", note) for note in tica.notes]
    if tica is not None and tica.estimate == "nonreversible":
        doubts.append(Diagnosis("warning", f"Slow coordinates without stationary weights: {tica.reason}."))
    for estimate in differences:
        if (
            not np.isfinite(estimate.value)
            or "disagree" in estimate.remark
            or "under-sampled" in estimate.remark
        ):
            doubts.append(Diagnosis("problem", f"{estimate.name.capitalize()}: {estimate.remark}."))
    return doubts
