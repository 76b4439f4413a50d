"""What a report says stands on its own: what cannot be found is told, the rest is there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thalweg.interop.files.trajectories import write_trajectory
from thalweg.report.of_runs import analysis, kinetic_picture
from thalweg.report.of_runs.analysis import Question, analyze_run
from thalweg.report.of_runs.evidence import RunEvidence, Walk
from thalweg.systems.topology import Topology

FRAMES = 2000
BUTANE = Topology(
    names=("C1", "C2", "C3", "C4"),
    elements=("C",) * 4,
    residue_names=("BUT",) * 4,
    residue_ids=(1,) * 4,
    chains=(0,) * 4,
    bonds=np.array([[0, 1], [1, 2], [2, 3]]),
)
QUESTION = Question(
    5, clusters=6, sets=2, regions={"gauche": {"turn": (0.0, 2.0)}, "trans": {"turn": (2.0, 0.0)}}
)


def angles(seed, leave=0.02):
    """A torsion that jumps between two wells, about every 50 frames."""
    rng = np.random.default_rng(seed)
    side = np.cumsum(rng.random(FRAMES) < leave) % 2
    return np.where(side, 1.0, 3.0) + 0.2 * rng.standard_normal(FRAMES)


@pytest.fixture(scope="module")
def evidence(tmp_path_factory) -> RunEvidence:
    folder = tmp_path_factory.mktemp("walks")
    walks, files = [], []
    for number in range(2):
        turn = angles(number)
        places = np.stack([np.full(FRAMES, number), np.zeros(FRAMES, int), np.arange(FRAMES)], axis=1)
        torsions = np.stack([turn, np.random.default_rng(9).uniform(-3, 3, FRAMES)], axis=1)
        walks.append(Walk(number, np.stack([np.cos(turn), np.sin(turn)], axis=1), torsions, places))
        atoms = np.array([[0.1, 0.1, 0], [0.0, 0, 0], [0.15, 0, 0], [0.2, 0.1, 0]])
        files.append(folder / f"{number}.dcd")
        write_trajectory(files[-1], np.broadcast_to(atoms, (FRAMES, 4, 3)), BUTANE)
    return RunEvidence(
        BUTANE,
        ("turn", "twist"),
        ("cos", "sin"),
        2.5,
        1.0,
        tuple(walks),
        tuple(walks),
        None,
        None,
        tuple(files),
    )


def weighted(evidence):
    """The same frames with the weights of a run whose bias was zero."""
    even = tuple(np.full(FRAMES, -np.log(FRAMES)) for _ in evidence.moving)
    return replace(evidence, pooled=even, own=even)


def sentences(results):
    return [one.sentence for one in results.diagnoses]


def test_the_time_scale_of_a_telegraph_is_found(evidence):
    results = analyze_run(evidence, QUESTION)
    slowest = results.estimates[0]
    assert slowest.value == pytest.approx(1 / -np.log(1 - 2 * 0.02), abs=3 * slowest.error)
    assert {state.name for state in results.states} == {"set 1", "set 2", "gauche", "trans"}
    assert len(results.convergence) == 2


def broken(*_, **__):
    raise np.linalg.LinAlgError("not positive definite")


PARTS = {
    "difference": "2 of 2 free energy differences failed",
    "course": "2 of 2 courses failed",
    "described": "states failed",
    "torsion_surface": "surfaces failed",
    "variable_surface": "surfaces failed",
    "kinetic_picture": "No slow coordinates and no time scales: not positive definite.",
}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_the_analysis_that_fails_is_told_and_the_rest_stands(evidence, part, monkeypatch):
    learned = ("u", "v"), lambda features: features
    whole = analyze_run(weighted(evidence), QUESTION, learned)
    monkeypatch.setattr(analysis, part, broken)
    results = analyze_run(weighted(evidence), QUESTION, learned)
    assert any(PARTS[part].lower() in one.lower() for one in sentences(results)), sentences(results)
    lost = {
        "difference": "estimates",
        "course": "convergence",
        "described": "states",
        "kinetic_picture": "estimates",
    }
    for name in ("estimates", "states", "convergence", "surfaces"):
        before, now = len(getattr(whole, name)), len(getattr(results, name))
        if part.endswith("_surface"):
            assert now == before - (name == "surfaces")
        elif part != "kinetic_picture":
            assert now == before or lost[part] == name
    assert results.learned is not None


@pytest.mark.parametrize("part", ["metastable_sets", "chapman_kolmogorov"])
def test_time_scales_stand_without_sets_and_without_a_test(evidence, part, monkeypatch):
    monkeypatch.setattr(kinetic_picture, part, broken)
    results = analyze_run(evidence, QUESTION)
    assert np.isfinite(results.estimates[0].value)
    assert any("No Chapman-Kolmogorov test" in one for one in sentences(results))


def test_frames_without_weights_need_a_markov_model(evidence, monkeypatch):
    monkeypatch.setattr(analysis, "kinetic_picture", broken)
    with pytest.raises(np.linalg.LinAlgError):
        analyze_run(evidence, QUESTION)


def test_a_learned_variable_that_is_the_same_for_all_frames_is_told_and_not_drawn(evidence):
    learned = (
        ("slow 1", "slow 2"),
        lambda features: np.stack([features[:, 0], 0 * features[:, 0] + 1e-12], axis=1),
    )
    results = analyze_run(weighted(evidence), QUESTION, learned)
    assert results.learned.names == ("slow 1",)
    assert "slow 2: the same for all frames, and not drawn." in sentences(results)


def test_processes_seen_too_seldom_are_told_in_one_line(evidence):
    rare = [replace(walk, features=walk.features * [1, 0] + [0, k]) for k, walk in enumerate(evidence.moving)]
    rare = replace(weighted(evidence), moving=tuple(rare))
    few = [
        one
        for one in sentences(analyze_run(rare, QUESTION))
        if one.startswith("Process") and "needed are" in one
    ]
    assert len(few) == 1


def test_times_between_regions_are_those_of_a_telegraph(evidence):
    found = {one.name: one for one in analyze_run(evidence, QUESTION).estimates}
    for pair in ("gauche to trans", "trans to gauche"):
        number = found[f"mean passage time from {pair}"]
        assert number.value == pytest.approx(1 / 0.02, abs=3 * 50 / 40**0.5)  # of forty crossings each way
        assert number.remark.startswith(f"{number.value:.3g} ps")
