"""Affinities kept for later: units by hand, the kept process is the one that was fitted, atoms add what they should."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.binding.affinity_process import AffinityProcess, conditioned, most_informative
from thalweg.binding.affinity_series import AffinitySeries
from thalweg.binding.affinity_units import binding_free_energy
from thalweg.binding.complexes import CHANNELS, TypedAtoms
from thalweg.binding.ligands.features import LigandFeatures
from thalweg.learning.storage import load_tree


def series(count=24, seed=0):
    """Ligands whose energies follow from which of four places in the pocket they fill, each by its own worth."""
    generator = np.random.default_rng(seed)
    places, worth = 0.4 * np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 0, 0]]), np.array([-6, -3, 2, 0])
    filled = generator.random((count, 4)) < 0.5
    filled[:, 0] |= ~filled.any(1)
    filled[0] = True
    atoms = [
        TypedAtoms(
            np.concatenate([np.zeros((1, 3)), places[own]]),
            np.full(1 + own.sum(), 6),
            np.tile(np.eye(len(CHANNELS), dtype=bool)[-1], (1 + own.sum(), 1)),
        )
        for own in filled
    ]
    counts = filled.astype(np.uint8)
    features = LigandFeatures(
        {"morgan": np.concatenate([counts, np.ones((count, 1), np.uint8)], 1)},
        generator.normal(size=(count, 2)),
    )
    return features, atoms, filled, filled @ worth - 30.0, worth


def test_units_agree_about_one_affinity():
    energies = [
        binding_free_energy(*each)
        for each in ((10.0, "nM"), (0.01, "uM"), (1e-8, "M"), (8.0, "pKi"), (8.0, "pIC50"))
    ]
    np.testing.assert_allclose(energies, -8.314462618e-3 * 298.15 * np.log(10) * 8, rtol=1e-9)
    np.testing.assert_allclose(binding_free_energy(-10.0, "kcal/mol"), -41.84)
    with pytest.raises(ValueError, match="'mg' is no unit of affinity"):
        binding_free_energy(1.0, "mg")
    with pytest.raises(ValueError, match="no concentration"):
        binding_free_energy(0.0, "nM")
    with pytest.raises(ValueError, match="is the unit right"):
        binding_free_energy(120.0, "pKd")


def test_the_process_conditioned_anew_is_the_one_that_was_fitted():
    x = np.linspace(-1, 1, 14)
    labels = np.where(np.arange(14) % 4 == 1, np.nan, np.sin(2 * x))
    kernels = {"line": np.outer(x, x), "smooth": np.exp(-((x[:, None] - x) ** 2))}
    fitted = AffinityProcess().fit(kernels, labels)
    again = conditioned(kernels, labels, fitted.amplitudes, fitted.noise)
    for name in ("means", "deviations", "left_out", "surprises"):
        np.testing.assert_allclose(getattr(again, name), getattr(fitted, name), rtol=1e-9)


def test_what_is_most_informative_leaves_the_least_variance_of_all_choices():
    generator = np.random.default_rng(2)
    x = generator.normal(size=(9, 2))
    kernels = {"smooth": np.exp(-((x[:, None] - x) ** 2).sum(2))}
    known = np.array([1, 4])
    (best,) = most_informative(kernels, {"smooth": 2.0}, 0.1, known, 1)
    left = {
        k: np.trace(_posterior(kernels["smooth"] * 2.0, [*known, k], 0.1)) for k in range(9) if k not in known
    }
    assert best == min(left, key=left.get)
    with pytest.raises(ValueError, match="7 ligands are unknown; 8 cannot"):
        most_informative(kernels, {"smooth": 2.0}, 0.1, known, 8)


def _posterior(covariance, known, noise):
    """Of those not in the first two known, by the textbook."""
    cross = covariance[:, known]
    left = covariance - cross @ np.linalg.solve(
        covariance[np.ix_(known, known)] + noise * np.eye(len(known)), cross.T
    )
    kept = np.setdiff1d(np.arange(len(covariance)), known[:2])
    return left[np.ix_(kept, kept)]


def test_new_ligands_are_predicted_and_a_saved_model_says_the_same(tmp_path):
    features, atoms, _, energies, _ = series(30)
    known, new = np.arange(24), np.arange(24, 30)
    names = [f"ligand {k}" for k in range(24)]
    model = AffinitySeries().fit(features.taken(known), atoms[:24], ["pocket"] * 24, names, energies[:24])
    asked = features.taken(new), atoms[24:], ["pocket"] * 6
    found = model.predict(*asked)
    np.testing.assert_allclose(found.energies, energies[24:], atol=1.0)
    assert found.known_series.all()
    assert found.inside.all()
    again = load_tree(model.save(tmp_path / "model.thalweg")).predict(*asked)
    np.testing.assert_array_equal(again.energies, found.energies)
    elsewhere = model.predict(features.taken(new), atoms[24:], ["another"] * 6)
    assert not elsewhere.known_series.any()
    assert (elsewhere.deviations > found.deviations).all()


def test_what_atoms_add_has_the_order_of_their_worth():
    features, atoms, filled, energies, worth = series(40)
    names = [f"ligand {k}" for k in range(40)]
    model = AffinitySeries().fit(features, atoms, ["pocket"] * 40, names, energies)
    k = 0
    assert filled[k].all()
    without = np.repeat(features.counts["morgan"][k][None], 5, 0)
    without[np.arange(1, 5), np.arange(4)] = 0
    added = model.contributions(features.taken(np.array([k])), atoms[k], "pocket", without)[1:]
    assert np.argsort(added).tolist() == np.argsort(worth).tolist()
    with pytest.raises(ValueError, match="fingerprints for a ligand of 5 atoms"):
        model.contributions(features.taken(np.array([k])), atoms[k], "pocket", without[:2])
