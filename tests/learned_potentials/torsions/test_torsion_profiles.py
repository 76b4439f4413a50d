"""Corrections and terms learned from profiles, against profiles made of known ones."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.learned_potentials.torsions.fourier_terms import FourierTerms, TorsionFit
from thalweg.learned_potentials.torsions.profiles import (
    ProperTorsions,
    TorsionProfile,
    centered,
    folds_by_group,
    profile_error,
)
from thalweg.learned_potentials.torsions.torsion_correction import TorsionCorrection
from thalweg.systems.configuration import Configuration

OXYGEN = "[#1X1A+0:1]-[#8X2A+0:2]-;!@[#8X2A+0:3]-[#1X1A+0:4]"
CARBON = "[#1X1A+0:1]-[#6X4A+0:2]-;!@[#6X4A+0:3]-[#1X1A+0:4]"
ANGLES = np.radians(np.arange(-165, 181, 15))


def profile(kind, wanted, group, start=0.0):
    """Four atoms that turn, whose baseline lacks what is ``wanted`` of the angle."""
    frames = tuple(
        Configuration(
            np.array([1, 8, 8, 1]),
            np.array([[0, 0.095, 0], [0, 0, 0], [0.14, 0, 0], [0.14, 0.095 * np.cos(a), 0.095 * np.sin(a)]]),
        )
        for a in ANGLES
    )
    torsions = ProperTorsions(np.array([[0, 1, 2, 3]]), (kind,), np.full((1, 6), start))
    baseline = np.random.default_rng(len(group)).normal() + 10 * np.cos(ANGLES)
    return TorsionProfile(frames, ANGLES, baseline + wanted(ANGLES), baseline, torsions, group)


def known(angles):
    return 2.0 * np.cos(angles) - 3.0 * np.cos(2 * angles) + 0.5 * np.cos(3 * angles)


def test_terms_that_made_the_profiles_are_found_whatever_the_constants():
    profiles = [profile(OXYGEN, lambda a, k=k: known(a) + 100.0 * k, str(k)) for k in range(2)]
    model = TorsionFit(strengths=(1e-9,), softness=50.0).fit(profiles)
    np.testing.assert_allclose(model.amplitudes[0], [2.0, 3.0, 0.5, 0, 0, 0], atol=1e-5)


def test_terms_stay_where_they_start_if_held_strongly_and_unknown_types_keep_theirs():
    model = TorsionFit(strengths=(1e12,)).fit([profile(OXYGEN, known, "a", 0.7)])
    np.testing.assert_allclose(model.amplitudes, 0.7, atol=1e-6)
    other = profile(CARBON, known, "b", -0.4).torsions
    np.testing.assert_array_equal(model.amplitudes_of(other), other.start)


def test_noise_alone_changes_terms_little():
    generator = np.random.default_rng(0)
    profiles = [profile(OXYGEN, lambda a: generator.normal(size=len(a)), str(k)) for k in range(5)]
    assert isinstance(model := TorsionFit().fit(profiles), FourierTerms)
    assert np.abs(model.amplitudes).max() < 0.3


def test_a_correction_common_to_molecules_is_learned_and_others_are_unsure():
    generator = np.random.default_rng(1)

    def with_own(size):
        a, b = size * generator.normal(size=2)
        return lambda angles: known(angles) + a * np.cos(angles) + b * np.sin(2 * angles)

    profiles = [profile(OXYGEN, with_own(0.3), str(k)) for k in range(8)]
    model = TorsionCorrection().fit(profiles)
    new = profile(OXYGEN, known, "new")
    found, error = model.correction_and_error(new)
    assert np.sqrt(np.mean((found - centered(known(ANGLES))) ** 2)) < 0.3
    assert 0.1 < error.mean() < 0.8
    strange = profile("[#9X1A+0:1]-[#7X3A+0:2]=;!@[#7X3A+0:3]-[#9X1A+0:4]", known, "strange")
    assert model.correction_and_error(strange)[1].mean() > 1.5 * error.mean()


def test_errors_forget_constants_and_folds_keep_groups_whole():
    assert profile_error([known(ANGLES) + 5], [known(ANGLES)]) < 1e-12
    groups = ["a", "b", "a", "c", "b"]
    fold_of = folds_by_group(groups, 3, seed=4)
    assert fold_of[0] == fold_of[2]
    assert fold_of[1] == fold_of[4]
    assert len(set(fold_of)) == 3


def test_one_profile_is_too_few_for_a_correction():
    with pytest.raises(ValueError, match="at least two"):
        TorsionCorrection().fit([profile(OXYGEN, known, "a")])
