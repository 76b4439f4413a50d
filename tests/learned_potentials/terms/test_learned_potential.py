"""What a recipe leaves behind: a potential with its card and a calibrated uncertainty, in a file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thalweg.learned_potentials.card import card_text, content_hash
from thalweg.learned_potentials.parametric.pair_terms import lennard_jones
from thalweg.learned_potentials.recipe import Recipe
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learned_potentials.terms.learner import FitInfo, FittedTerm
from thalweg.learned_potentials.terms.term import Labels, NoUncertainty, Spread, reach
from thalweg.learned_potentials.uncertainty.calibrated import (
    ForceAlarm,
    calibrated,
    calibration_in_words,
    force_calibration,
    force_deviations,
    force_errors,
    usual_error,
)
from thalweg.learned_potentials.uncertainty.graded import graded
from thalweg.learned_potentials.uncertainty.label_noise import label_noise
from thalweg.learning.calibration import alarm_threshold
from thalweg.learning.deviation_map import DeviationMap
from thalweg.learning.storage import save_tree
from thalweg.systems.configuration import Configuration
from thalweg.units import unit


def test_the_card_says_what_a_model_was_taught_and_how_well(learner, molecules):
    train, validation = molecules(20), molecules(8, seed=1)
    potential = Recipe(learner, core_repulsion=None).fit(train, validation=validation, seed=7)
    card = potential.card
    assert card["elements"] == [1, 6, 8]
    assert card["seed"] == 7
    assert card["training"]["frames"] == 20
    assert card["training"]["forces"] == 80
    assert card["training"]["hash"] == content_hash(train[::-1]) != card["validation"]["hash"]
    assert "GaussianPairsLearner" in card["recipe"]
    expected = np.concatenate(
        [a - f.forces for a, f in zip(potential.evaluate(validation).forces, validation)]
    )
    assert card["errors"]["validation"]["forces"]["mae"] == pytest.approx(np.abs(expected).mean(), rel=1e-9)
    shown = card["errors"]["validation"]["forces"]["mae"] / unit("meV/Å", "force")
    assert f"validation  forces: MAE {shown:.3f}" in card_text(card)
    assert card["errors"]["training"]["forces"]["rmse"] < card["errors"]["validation"]["forces"]["rmse"] * 2


def test_a_saved_potential_is_the_same_potential(tmp_path, molecules):
    frames = molecules(3, numbers=(18, 18, 18, 18))
    term = lennard_jones((18,), [1.0], [0.14], cutoff=0.7)
    potential = LearnedPotential(
        {18: -3.0}, (term,), DeviationMap(1.5, scale_error=0.1), {"errors": {18: 0.1}, "cutoff": None}
    )
    again = LearnedPotential.load(potential.save(tmp_path / "argon"))
    assert again.card == potential.card
    assert again.references == potential.references
    assert again.calibration == potential.calibration
    assert (again.evaluate(frames).energies == potential.evaluate(frames).energies).all()
    with pytest.raises(ValueError, match="holds a int; wanted a learned potential"):
        LearnedPotential.load(save_tree(tmp_path / "other", 3))


def test_deviations_of_a_model_that_holds_the_truth_are_its_errors(learner, molecules):
    random = np.random.default_rng(0)
    truth = replace(learner.fit(molecules(3)).term, coefficients=100 * random.normal(size=10))

    def labeled(seed, noise):
        frames = molecules(60, seed=seed)
        labels = truth.evaluate(frames)
        return [
            replace(
                frame,
                energy=energy + 0.1 * noise * random.normal(),
                forces=forces + 10 * noise * random.normal(size=(4, 3)),
            )
            for frame, energy, forces in zip(frames, labels.energies, labels.forces)
        ]

    potential = Recipe(learner, references=dict.fromkeys((1, 6, 8), 0.0), core_repulsion=None).fit(
        labeled(0, 1.0)
    )
    found = force_calibration(potential, labeled(1, 0.0))
    assert 0.5 < found.scale < 1.6  # ten coefficients: their errors scatter by 22 % themselves
    potential = calibrated(potential, labeled(1, 0.0))
    again = force_calibration(potential, labeled(2, 0.0))
    assert again.scale == pytest.approx(potential.calibration.scale, rel=0.1)
    assert 0.88 < again.coverage_95 < 1.0
    assert potential.card["calibration"]["frames"] == 60


def test_calibrating_twice_changes_nothing(learner, molecules):
    once = calibrated(Recipe(learner, core_repulsion=None).fit(molecules(20)), molecules(10, seed=1))
    twice = calibrated(once, molecules(10, seed=1)).calibration
    assert twice.scale == pytest.approx(once.calibration.scale)
    assert twice.floor == pytest.approx(once.calibration.floor)


def test_alarms_are_raised_over_frames_unlike_those_seen(learner, molecules):
    potential = calibrated(
        Recipe(learner, core_repulsion=None).fit(molecules(30, 0.005)), molecules(40, 0.005, seed=1)
    )
    threshold = alarm_threshold(force_deviations(potential, molecules(60, 0.005, seed=2)), 0.1)
    assert np.mean(force_deviations(potential, molecules(60, 0.005, seed=3)) > threshold) < 0.25
    assert np.mean(force_deviations(potential, molecules(60, 0.05, seed=4)) > threshold) > 0.9


def test_frames_whose_force_error_is_large_raise_an_alarm_and_others_seldom(learner, molecules):
    potential = Recipe(learner, core_repulsion=None).fit(molecules(30, 0.005))
    alarm = ForceAlarm.of(potential, molecules(40, 0.005, seed=1))
    alike, apart = molecules(60, 0.005, seed=2), molecules(60, 0.03, seed=3)
    bad = force_errors(potential, apart) > alarm.limit * alarm.usual
    assert bad.sum() > 10
    assert alarm.raised(apart)[bad].mean() > 0.9
    assert alarm.raised(alike).mean() < 0.15


def test_a_second_opinion_tells_which_frames_of_the_same_claim_are_bad(learner, molecules):
    potential = Recipe(learner, core_repulsion=None).fit(molecules(30, 0.005))
    other = Recipe(learner, core_repulsion=None).fit(molecules(30, 0.005, seed=9))
    held_out = molecules(40, 0.005, seed=1)
    alarm = ForceAlarm.of(potential, held_out, others=[other])
    frames = [*molecules(40, 0.005, seed=2), *molecules(40, 0.03, seed=3)]
    assert alarm.scores(frames).shape == (80, 2)
    assert sum(alarm.errors.shares) == pytest.approx(1.0)
    bad = force_errors(potential, frames) > alarm.limit * alarm.usual
    assert alarm.raised(frames, 0.95)[bad].mean() > 0.85
    assert alarm.raised(frames, 0.95)[:40].mean() < 0.2
    with pytest.raises(ValueError, match="second opinions"):
        ForceAlarm.of(potential, (), others=[other])


def test_alarms_over_a_set_catch_what_is_asked_and_the_card_knows_them(learner, molecules):
    held_out = molecules(40, 0.005, seed=1)
    potential = calibrated(Recipe(learner, core_repulsion=None).fit(molecules(30, 0.005)), held_out)
    alarm = ForceAlarm.known(potential)
    again = ForceAlarm.of(potential, held_out)
    # Both were estimated from the same errors: equal to rounding, which differs between processors.
    assert (alarm.errors.count, alarm.errors.shares) == (again.errors.count, again.errors.shares)
    assert alarm.errors.ratio == pytest.approx(again.errors.ratio, rel=1e-5)
    assert alarm.errors.scatter == pytest.approx(again.errors.scatter, rel=1e-5)
    assert alarm.usual == pytest.approx(again.usual)
    frames = [*molecules(40, 0.005, seed=2), *molecules(40, 0.02, seed=3)]
    bad = force_errors(potential, frames) > alarm.limit * alarm.usual
    few, many = (alarm.raised(frames, caught) for caught in (0.5, 0.95))
    assert (few <= many).all()
    assert many[bad].mean() > 0.85
    with pytest.raises(NoUncertainty, match="calibrate it on held-out frames"):
        ForceAlarm.known(replace(potential, card={}))


def test_a_recipe_calibrates_on_validation_frames_and_not_without(learner, molecules):
    recipe = Recipe(learner, core_repulsion=None)
    assert recipe.fit(molecules(10)).calibration is None
    assert recipe.fit(molecules(10), validation=molecules(5, seed=1)).calibration.scale > 0


def test_a_term_that_forgot_its_posterior_is_not_calibrated_and_the_card_says_why(learner, molecules):
    class Forgetful:
        def fit(self, *frames, **settings):
            return FittedTerm(ForgetfulTerm(learner.fit(*frames).term), FitInfo())

    class ForgetfulTerm:
        def __init__(self, term):
            self.bind, self.evaluate = term.bind, term.evaluate

        def spread(self, configurations):
            raise NoUncertainty("the posterior was not kept")

    recipe = Recipe(Forgetful(), core_repulsion=None)
    potential = recipe.fit(molecules(10), validation=molecules(5, seed=1))
    assert potential.calibration is None
    assert potential.card["calibration"] == "the posterior was not kept"


def symmetric(count: int, noise: float, seed: int = 0) -> list[Configuration]:
    """Molecules whose forces vanish by symmetry, with labels of some ``noise`` [kJ/mol/nm]: four atoms far apart."""
    random = np.random.default_rng(seed)
    apart = 3.0 * np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    return [
        Configuration(np.array([8, 6, 1, 1]), apart, energy=0.0, forces=noise * random.normal(size=(4, 3)))
        for _ in range(count)
    ]


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_frames_without_force_by_symmetry_change_neither_claims_nor_alarms(learner, molecules, share):
    recipe = Recipe(learner, references=dict.fromkeys((1, 6, 8), 0.0), core_repulsion=None)
    potential, held_out = recipe.fit(molecules(30, 0.005)), molecules(16, 0.005, seed=1)
    plain = calibrated(potential, held_out)
    noise = share * ForceAlarm.known(plain).usual
    mixed = calibrated(potential, [*held_out, *symmetric(16, noise)])
    assert mixed.calibration.scale == pytest.approx(plain.calibration.scale, rel=0.1)
    fresh, hot = molecules(40, 0.005, seed=2), molecules(40, 0.03, seed=3)
    alarm = ForceAlarm.known(mixed)
    assert alarm.usual == pytest.approx(ForceAlarm.known(plain).usual, rel=0.05)
    assert alarm.raised([*fresh, *symmetric(10, noise, 1)]).mean() < 0.1
    bad = force_errors(mixed, hot) > alarm.largest
    assert alarm.raised(hot)[bad].mean() > 0.9
    spread = mixed.spread(symmetric(4, noise))
    claims = np.array([each.max() for each in spread.forces])
    assert ((claims > 0) & (claims < 0.05 * alarm.usual)).all()
    assert not noise or spread.noise == pytest.approx(noise, rel=0.3)


def test_a_calibration_on_two_frames_says_so(learner, molecules):
    recipe = Recipe(learner, core_repulsion=None)
    few = calibrated(recipe.fit(molecules(20)), molecules(2, seed=1))
    many = calibrated(recipe.fit(molecules(20)), molecules(20, seed=1))
    assert "calibrated on 2 frames" in " ".join(calibration_in_words(few))
    assert not any("frames: its claims" in sentence for sentence in calibration_in_words(many))


def test_any_potential_has_grades_and_far_frames_have_high_ones(molecules):
    class Opaque:
        cutoff = 0.5

        def bind(self, numbers, box=None, periodic=None): ...
        def evaluate(self, configurations): ...

    training = molecules(60, 0.005)
    potential = LearnedPotential(dict.fromkeys((1, 6, 8), 0.0), (Opaque(),))
    with pytest.raises(NoUncertainty, match="give it by graded"):
        potential.grades(training)
    known = graded(potential, training, molecules(10, 0.005, seed=1))
    assert known.card["active_set"]["held_out"] == 10
    alike, apart = (
        np.median([each.max() for each in known.grades(molecules(10, size, seed=2))])
        for size in (0.005, 0.03)
    )
    assert alike < 2 < apart
    # fewer frames are taken where all are too many
    assert graded(potential, training, work=3e6).card["active_set"]["frames"] < 60


def test_noise_of_labels_is_read_off_their_decimals_and_sums(molecules):
    random, one = np.random.default_rng(0), unit("eV/Å", "force")
    balanced = [replace(frame, forces=frame.forces - frame.forces.mean(0)) for frame in molecules(20)]
    assert label_noise(balanced) < 1e-4
    rounded = [replace(frame, forces=np.round(frame.forces / one, 2) * one) for frame in balanced]
    assert label_noise(rounded) == pytest.approx(0.01 * one / np.sqrt(12), rel=0.5)
    noisy = [replace(frame, forces=frame.forces + 5 * random.normal(size=(4, 3))) for frame in balanced]
    assert label_noise(noisy) == pytest.approx(5, rel=0.3)


def test_calibration_without_forces_is_refused(learner, molecules):
    bare = [replace(frame, forces=None) for frame in molecules(3)]
    with pytest.raises(ValueError, match="none of 3 held-out frames has forces"):
        force_calibration(Recipe(learner, core_repulsion=None).fit(molecules(5)), bare)


def test_frames_without_force_by_symmetry_leave_an_uncertainty_uncalibrated(molecules):
    class Still:
        def bind(self, numbers, box=None, periodic=None):
            raise NotImplementedError

        def evaluate(self, configurations):
            return Labels(
                np.zeros(len(configurations)),
                still(configurations),
                (np.zeros((3, 3)),) * len(configurations),
            )

        def spread(self, configurations):
            return Spread(np.ones(len(configurations)), still(configurations))

    def still(configurations):
        return tuple(np.zeros((len(frame), 3)) for frame in configurations)

    atoms = [
        Configuration(
            np.array([29]),
            np.zeros((1, 3)),
            size * np.eye(3),
            (True,) * 3,
            energy=size,
            forces=np.zeros((1, 3)),
        )
        for size in np.linspace(0.3, 0.4, 6)
    ]
    with pytest.raises(NoUncertainty, match="zero by symmetry"):
        force_calibration(LearnedPotential({29: 0.0}, (Still(),)), atoms)


def test_a_term_without_a_cutoff_sees_everything_whatever_the_others_do():
    class Everywhere:
        def bind(self, numbers, box=None, periodic=None): ...
        def evaluate(self, configurations): ...

    near, far = (lennard_jones((18,), [1.0], [0.3], cutoff=size) for size in (0.5, 0.7))
    assert reach([near, far]) == 0.7
    assert reach([near, Everywhere()]) is None


def test_unsound_frames_are_refused_before_a_fit(learner, molecules):
    with pytest.raises(ValueError, match="there are no frames"):
        Recipe(learner, core_repulsion=None).fit([])
    frames = molecules(30)
    broken = [*frames, replace(frames[0], energy=float("nan"))]
    with pytest.raises(ValueError, match=r"the energy is not a number \(frame 30\)"):
        Recipe(learner, core_repulsion=None).fit(broken)
    mixed = [replace(frame, forces=frame.forces / 51.4221) for frame in frames]
    with pytest.raises(ValueError, match=r"as if Hartree/bohr read as eV/Å; convert the forces"):
        Recipe(learner, core_repulsion=None).fit(mixed)


def test_claims_are_of_errors_against_what_is_true_however_noisy_the_labels(learner, molecules):
    recipe = Recipe(learner, references=dict.fromkeys((1, 6, 8), 0.0), core_repulsion=None)
    random = np.random.default_rng(3)

    def noisy(frames, noise):
        return [replace(frame, forces=frame.forces + noise * random.normal(size=(4, 3))) for frame in frames]

    held_out = molecules(30, 0.005, seed=1)
    noise = 2 * usual_error(force_errors(recipe.fit(molecules(30, 0.005)), held_out))
    potential = recipe.fit(noisy(molecules(30, 0.005), noise))
    known = calibrated(potential, noisy([*held_out, *symmetric(16, 0.0)], noise))
    fresh = molecules(60, 0.005, seed=2)
    true, claimed = usual_error(force_errors(known, fresh)), usual_error(force_deviations(known, fresh))
    assert known.spread(fresh).noise == pytest.approx(noise, rel=0.2)
    assert 1 / 1.5 < claimed / true < 1.5
    assert 1 / 1.5 < ForceAlarm.known(known).usual / usual_error(force_errors(known, held_out)) < 1.5
