"""Training frames left out in turn: told by terms that were not taught them, and asked where labels are too noisy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thalweg.learned_potentials.linear.normal_equations import NormalEquations
from thalweg.learned_potentials.recipe import Recipe
from thalweg.learned_potentials.terms.learner import FitInfo, FittedTerm
from thalweg.learned_potentials.terms.term import Labels, Spread
from thalweg.learned_potentials.uncertainty.calibrated import calibrated, force_errors, usual_error
from thalweg.learned_potentials.uncertainty.committee import Committee
from thalweg.learned_potentials.uncertainty.left_out import LeftOut, left_out_forces
from thalweg.systems.configuration import Configuration


class Remembering:
    """Says a force of one of the frames that it was taught, and of none of others."""

    cutoff = None

    def __init__(self, frames):
        self.taught = [frame.positions[0, 0] for frame in frames]

    def bind(self, numbers, box=None, periodic=None):
        raise NotImplementedError

    def evaluate(self, configurations):
        forces = [np.full((1, 3), float(one.positions[0, 0] in self.taught)) for one in configurations]
        return Labels(np.zeros(len(forces)), tuple(forces), (np.zeros((3, 3)),) * len(forces))

    def spread(self, configurations):
        return Spread(
            np.zeros(len(configurations)), tuple(2 + each for each in self.evaluate(configurations).forces)
        )


class Repeating:
    """Learns to remember, and knows what it would have learned of all but each of three folds."""

    def fit(self, configurations, *, seed=0, **_):
        fold_of = NormalEquations.of([], configurations, 1, 3, seed).fold_of

        def crossed():
            return tuple(
                (
                    Remembering([one for one, f in zip(configurations, fold_of) if f != fold]),
                    np.flatnonzero(fold_of == fold),
                )
                for fold in range(3)
            )

        return FittedTerm(Remembering(configurations), FitInfo(crossed=crossed))


def unforced(count):
    return [
        Configuration(np.ones(1, int), np.full((1, 3), float(k)), forces=np.zeros((1, 3)))
        for k in range(count)
    ]


@pytest.mark.parametrize(
    "learner", [Repeating(), Committee(Repeating(), 3), Committee(Repeating(), 3, bootstrap=0)]
)
def test_no_frame_is_told_by_a_term_that_was_taught_it(learner):
    frames = unforced(20)
    term, info = learner.fit(frames)
    assert np.mean(term.evaluate(frames).forces) > 0.5
    _, errors, deviations = left_out_forces(info, frames, 20)
    np.testing.assert_array_equal(errors, np.zeros((20, 1, 3)))
    np.testing.assert_array_equal(deviations, np.full((20, 1, 3), 2.0 if info.crossed else 0.0))
    assert len(left_out_forces(info, frames, 7)[0]) == 7


def test_frames_that_are_the_same_are_dealt_to_one_fold():
    frames = unforced(12)
    fold_of = NormalEquations.of([], [*frames, *frames], 1, 4).fold_of
    np.testing.assert_array_equal(fold_of[:12], fold_of[12:])
    np.testing.assert_array_equal(np.bincount(fold_of), np.full(4, 6))


def test_training_frames_are_left_out_where_noise_hides_what_claims_are_worth(learner, molecules):
    recipe = Recipe(learner, references=dict.fromkeys((1, 6, 8), 0.0), core_repulsion=None)
    potential, held_out = recipe.fit(molecules(30, 0.005)), molecules(20, 0.005, seed=1)
    random = np.random.default_rng(0)
    noise = 3 * usual_error(force_errors(potential, held_out))
    asked = []

    def others():
        asked.append(1)
        frames = molecules(60, 0.005, seed=2)
        said = replace(potential, calibration=None)
        frames = [replace(one, forces=one.forces + noise * random.normal(size=(4, 3))) for one in frames]
        off = [a - b.forces for a, b in zip(said.evaluate(frames).forces, frames)]
        return LeftOut(frames, off, said.spread(frames).forces)

    clear = calibrated(potential, held_out, others)
    assert not asked
    hidden = [
        replace(one, forces=one.forces + noise * random.normal(size=one.forces.shape)) for one in held_out
    ]
    alone, together = calibrated(potential, hidden), calibrated(potential, hidden, others)
    assert asked == [1]
    assert together.card["calibration"]["frames"] == 80
    assert together.calibration.scale_error < 0.7 * alone.calibration.scale_error
    # within three standard errors of what labels without noise tell
    off = np.log(together.calibration.scale / clear.calibration.scale)
    assert abs(off) < 3 * np.hypot(together.calibration.scale_error, clear.calibration.scale_error)
