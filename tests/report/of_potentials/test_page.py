"""The report of a learned potential: every section from numbers, every number in a file."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from thalweg.learned_potentials.frames.errors import errors_of
from thalweg.learned_potentials.linear.regularization import FrontPoint, Solution
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learned_potentials.terms.term import Labels, Spread, Weights
from thalweg.report.of_potentials.analysis import by_element, courses, front, judged
from thalweg.report.of_potentials.files import write_potential_report
from thalweg.report.of_potentials.page import potential_page
from thalweg.report.of_potentials.results import CurveLine, ForceUncertainty, PotentialResults, TrainingCourse
from thalweg.report.of_potentials.trust import trust, trust_sentences
from thalweg.report.results import Diagnosis
from thalweg.systems.configuration import Configuration
from thalweg.units import unit

SECTIONS = {
    "Errors": {"sets": ()},
    "Predictions against labels": {"sets": ()},
    "Where errors are": {"by_element": {}, "courses": ()},
    "Learning curve": {"curve": ()},
    "Uncertainty": {"uncertainty": None},
    "Frames to distrust": {"trust": None},
    "Energies against forces": {"front": None},
    "Training": {"training": ()},
    "Model card": {"card": {}},
    "Provenance": {"provenance": {}},
    "How to cite": {"citations": ()},
}
"""Title of each section and what is missing where it is left out."""


@pytest.fixture(scope="module")
def frames():
    """Water molecules with made-up labels."""
    random = np.random.default_rng(0)
    water = np.array([[0, 0, 0], [0.096, 0, 0], [-0.024, 0.093, 0]])
    return [
        Configuration(
            np.array([8, 1, 1]),
            water + random.normal(0, 0.005, (3, 3)),
            energy=float(random.normal(-900, 5)),
            forces=random.normal(0, 500, (3, 3)),
        )
        for _ in range(30)
    ]


@pytest.fixture(scope="module")
def predicted(frames):
    """Predictions whose forces are off by 30 meV/Å or so."""
    random = np.random.default_rng(1)
    return Labels(
        np.array([frame.energy + random.normal(0, 0.5) for frame in frames]),
        tuple(frame.forces + random.normal(0, 30, (3, 3)) for frame in frames),
        (np.full((3, 3), np.nan),) * len(frames),
    )


class Knowing(LearnedPotential):
    """Calibrated at 30 kJ/mol/nm with errors that scatter by 30 %; frame 7 is far from what it saw, 5 and 6 less."""

    def __init__(self):
        known = {"frame_ratio": 1.0, "frame_scatter": 0.3, "frame_count": 1000, "frame_rmse": 30.0}
        super().__init__({1: -100.0, 8: -600.0}, (), card={"calibration": known})

    def grades(self, configurations):
        largest = dict.fromkeys(range(len(configurations)), 0.8) | {5: 3.0, 6: 2.5, 7: 40.0}
        return tuple(np.array([0.1, largest[k], 0.2]) for k in range(len(configurations)))


def doubts(count):
    """Deviations of 30 kJ/mol/nm, of 90 for the last frame, and nothing known of the energies."""
    forces = [np.full((3, 3), 30.0)] * (count - 1) + [np.full((3, 3), 90.0)]
    return Spread(np.full(count, np.nan), tuple(forces))


@pytest.fixture(scope="module")
def everything(frames, predicted):
    """A report with every section filled."""
    potential = LearnedPotential({1: -100.0, 8: -600.0}, ())
    sets = tuple(judged(name, frames, potential, predicted) for name in ("training", "test"))
    sizes, falling = np.array([50, 100, 200]), np.array([4.0, 2.0, 1.1])
    levels = np.linspace(0.05, 0.95, 19)
    bins = np.linspace(10, 60, 10)
    epochs = np.exp(-np.linspace(0, 5, 80))
    nothing = Solution(np.zeros(1), np.zeros((1, 1)), 0.0, 1.0, {})
    points = [
        FrontPoint(Weights(0.1 * ratio), {"energy": 0.2 * ratio**0.3, "force": 30 * ratio**-0.2}, nothing)
        for ratio in (0.1, 0.3, 1.0, 3.0, 10.0)
    ]
    return PotentialResults(
        title="Water <made up>",
        subtitle="H, O",
        fitted=("30 frames.",),
        accuracy=("Good.",),
        certainty=("Sure.",),
        diagnoses=(Diagnosis("warning", "Frames repeat."),),
        sets=sets,
        by_element=by_element(sets),
        courses=courses(frames, predicted),
        curve=(
            CurveLine("energy per atom", "meV", sizes, falling, np.array([0.3, 0.1, np.nan]), -0.9),
            CurveLine("forces", "meV/Å", sizes, 20 * falling, np.array([3.0, 2.0, np.nan]), -0.9),
        ),
        uncertainty=ForceUncertainty(
            "test", levels, levels**0.9, bins, bins * 1.1, bins * 0.05, 0.7, 0.96, 0.6
        ),
        trust=trust(Knowing(), frames, [("water.xyz", k) for k in range(30)], predicted, doubts(30)),
        front=front(points, Weights()),
        training=(TrainingCourse("seed 0", epochs, 1.2 * epochs, 79, 321.0),),
        card={"elements": "H, O", "cutoff": "0.5 nm"},
        provenance={"versions": {"thalweg": "0"}},
        citations=("Somebody, Something (2000).",),
    )


def test_parity_is_in_electronvolts_per_atom_above_isolated_atoms(frames, predicted, everything):
    first = everything.sets[0]
    expected = (frames[0].energy + 800.0) / 3 / unit("eV", "energy")
    assert first.energies[0, 0] == pytest.approx(expected)
    assert first.forces[0, 1] == pytest.approx(predicted.forces[0][0, 0] / unit("eV/Å", "force"))


def test_the_table_holds_the_errors_of_the_predictions(frames, predicted, everything):
    found = errors_of(frames, predicted)
    assert everything.sets[0].error("forces") == pytest.approx(found.forces.mae / unit("meV/Å", "force"))
    assert everything.sets[0].error("energy", "rmse") == pytest.approx(
        found.energy.rmse / unit("meV", "energy")
    )
    assert np.isnan(everything.sets[0].error("stress"))
    assert set(everything.by_element["test"]) == {"H", "O"}


def test_the_front_marks_the_weights_of_the_study(everything):
    assert (
        everything.front.study[1] == everything.front.force[2] == pytest.approx(30 / unit("meV/Å", "force"))
    )


def test_the_nearest_neighbor_of_an_atom_of_water_is_an_angstrom_away(everything):
    course = everything.courses[0]
    assert course.unit == "Å"
    assert ((course.centers > 0.8) & (course.centers < 1.1)).all()
    assert (course.rmse >= course.mae).all()


def test_the_page_opens_offline_and_shows_every_section(everything):
    page = potential_page(everything)
    assert "Water &lt;made up&gt;" in page
    for title in SECTIONS:
        assert f"<h2>{title}</h2>" in page, title
    assert page.count('class="figure"') == 8
    assert "src=" not in page.split("<script>")[0]


@pytest.mark.parametrize("title", SECTIONS)
def test_a_section_without_results_is_left_out(everything, title):
    assert f"<h2>{title}</h2>" not in potential_page(replace(everything, **SECTIONS[title]))


def test_frames_are_distrusted_for_their_odds_or_their_grade_and_the_worst_come_first(everything):
    found = everything.trust
    assert [k for k, said in enumerate(found.verdicts) if said == "do not trust"] == [7, 29]
    assert [k for k, said in enumerate(found.verdicts) if said == "worth a label"] == [5, 6]
    assert found.order[:2].tolist() == [29, 7]
    assert found.odds[29] == pytest.approx(
        0.5, abs=0.01
    )  # three times the usual error is claimed: as likely as not
    assert found.limit == pytest.approx(90 / unit("meV/Å", "force"))
    alarms, labels, grades = (*trust_sentences(found), "", "")[:3]
    assert "Alarms: on 1 of 30 frames" in alarms
    assert "3 of 30 frames have a grade above 2 (worth a label), 1 above 10 (do not trust)" in labels + grades


def test_nothing_is_said_of_trust_where_a_model_knows_nothing(frames, predicted):
    assert trust(LearnedPotential({1: 0.0, 8: 0.0}, ()), frames[:1], [("a", 0)], predicted, None) is None
    assert trust_sentences(None) == ()


def test_files_hold_the_numbers_behind_the_figures(everything, tmp_path):
    write_potential_report(everything, tmp_path)
    with open(tmp_path / "results" / "energies.csv", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert len(rows) == 1 + 2 * 30
    assert float(rows[1][1]) == pytest.approx(everything.sets[0].energies[0, 0], rel=1e-6)
    report = json.loads((tmp_path / "results" / "report.json").read_text("utf-8"))
    assert report["curve"][1]["mae"] == [80.0, 40.0, 22.0]
    assert report["curve"][0]["error"][2] is None
    names = {path.name for path in (tmp_path / "results").iterdir()}
    with open(tmp_path / "results" / "frames.csv", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert (len(rows), rows[8][:2], rows[8][-1]) == (31, ["water.xyz", "7"], "do not trust")
    assert {"errors.csv", "forces.csv", "learning-curve.csv", "pareto-front.csv", "uncertainty.csv"} <= names
