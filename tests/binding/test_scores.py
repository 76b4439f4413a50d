"""Null models and what judges them: contacts counted by hand, Vina's terms, splits without leaks, a known process."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from thalweg.binding.affinity_process import AffinityProcess
from thalweg.binding.complexes import CHANNELS, Complex, TypedAtoms
from thalweg.binding.contacts import ChannelContacts, ElementContacts, contact_features
from thalweg.binding.ligands.features import LigandFeatures
from thalweg.binding.pose_forest import PoseForest, best_pose_hits, pose_features
from thalweg.binding.pose_sampling import PoseSampling
from thalweg.binding.protein_clusters import protein_clusters, sequence_identity
from thalweg.binding.series_kernels import field_kernel, of_ligands, series_kernels, within
from thalweg.binding.splits import Leaks, SetScores, folds_within_sets, leave_groups_out, time_split
from thalweg.binding.vina import TERMS, WEIGHTS, VinaScore
from thalweg.binding.voxels import random_rotations


def atoms(numbers, positions, *names, rotatable_bonds=0) -> TypedAtoms:
    channels = np.array([[each in own.split() or each == "any" for each in CHANNELS] for own in names])
    return TypedAtoms(
        np.array(positions, float), np.array(numbers), channels, rotatable_bonds=rotatable_bonds
    )


def scattered(count, seed, width=0.5) -> TypedAtoms:
    generator = np.random.default_rng(seed)
    channels = generator.random((count, len(CHANNELS))) < 0.4
    channels[:, -1] = True
    return TypedAtoms(generator.normal(0, width, (count, 3)), generator.choice([6, 7, 8], count), channels)


def test_contacts_are_those_counted_one_pair_after_another():
    complex = Complex(scattered(30, 0), scattered(8, 1))
    edges = (0.0, 0.4, 0.8)
    found = ElementContacts(edges).counts(complex).reshape(2, 4, 9)
    expected = np.zeros_like(found)
    for x, own in zip(complex.protein.positions, complex.protein.numbers):
        for z, other in zip(complex.ligand.positions, complex.ligand.numbers):
            gap = np.linalg.norm(x - z)
            for shell in range(2):
                if edges[shell] <= gap < edges[shell + 1]:
                    expected[
                        shell, (6, 7, 8, 16).index(own), (6, 7, 8, 9, 15, 16, 17, 35, 53).index(other)
                    ] += 1
    np.testing.assert_array_equal(found, expected)
    assert len(ChannelContacts().names) == len(ChannelContacts().counts(complex))
    with pytest.raises(ValueError, match="no complexes"):
        contact_features([], ElementContacts())


def test_terms_of_vina_are_those_of_the_paper_for_one_pair():
    d = 3.3 - 1.9 - 1.7  # of surfaces of carbon and oxygen 3.3 Å apart
    pair = Complex(
        atoms([6], [[0, 0, 0]], "hydrophobic"), atoms([8], [[0.33, 0, 0]], "acceptor", rotatable_bonds=2)
    )
    expected = [np.exp(-((d / 0.5) ** 2)), np.exp(-(((d - 3) / 2) ** 2)), d**2, 0, 0]
    np.testing.assert_allclose(VinaScore().terms(pair), expected)
    np.testing.assert_allclose(
        VinaScore().score(pair), np.dot(WEIGHTS, expected) / (1 + 2 * 0.05846) * 4.184, rtol=1e-12
    )
    greasy = Complex(atoms([6], [[0, 0, 0]], "hydrophobic"), atoms([6], [[0.48, 0, 0]], "hydrophobic"))
    np.testing.assert_allclose(VinaScore().terms(greasy)[TERMS.index("hydrophobic")], 0.5)
    bonded = Complex(atoms([7], [[0, 0, 0]], "donor"), atoms([8], [[0.315, 0, 0]], "acceptor"))
    np.testing.assert_allclose(VinaScore().terms(bonded)[TERMS.index("hydrogen bond")], 0.5)


def test_scores_and_features_do_not_change_when_a_complex_turns():
    complex = Complex(scattered(60, 0, 0.8), scattered(10, 1, 0.3))
    (turn,) = np.asarray(random_rotations(jax.random.key(0), 1), float)
    turned = Complex(
        complex.protein.moved(complex.protein.positions @ turn.T),
        complex.ligand.moved(complex.ligand.positions @ turn.T),
    )
    np.testing.assert_allclose(VinaScore().score(turned), VinaScore().score(complex), rtol=1e-5)
    np.testing.assert_allclose(pose_features([turned]), pose_features([complex]), rtol=1e-5)


def test_an_empty_pocket_is_told():
    with pytest.raises(ValueError, match="the pocket is empty"):
        Complex(scattered(5, 0), atoms([6], [[9.0, 0, 0]], "")).pocket()


def test_no_ligand_is_on_both_sides_and_every_set_is_trained_on():
    generator = np.random.default_rng(0)
    sets = generator.choice(["a", "b", "c"], 90, p=[0.5, 0.3, 0.2]).tolist()
    ligands = generator.integers(0, 40, 90).tolist()
    splits = folds_within_sets(sets, ligands, 5, 1)
    assert sorted(k for _, test in splits for k in test) == list(range(90))
    for split in splits:
        assert not Leaks.of(split, ligands, sets).ligands
        assert {sets[k] for k in split[0]} == {"a", "b", "c"}
    with pytest.raises(ValueError, match="cannot fill 50 folds"):
        folds_within_sets(sets, ligands, 50)


def test_a_leak_is_found_by_ligand_by_protein_and_by_both():
    split = (np.array([0, 1]), np.array([2, 3]))
    leaks = Leaks.of(split, ["x", "y", "x", "z"], ["p", "q", "p", "q"])
    assert (leaks.ligands, leaks.proteins, leaks.complexes, leaks.rows) == (
        ("x",),
        ("p", "q"),
        (("x", "p"),),
        (2,),
    )
    assert leaks.in_words() == "1 ligand and 2 proteins are on both sides, 1 rows of the test are trained on"
    assert Leaks.of(split, [1, 2, 3, 4], "pqrs").in_words() == "no ligand and no protein is on both sides"


def test_one_target_alone_cannot_be_left_out_and_one_moment_cannot_be_split():
    with pytest.raises(ValueError, match="use folds_within_sets"):
        leave_groups_out(["a", "a"])
    with pytest.raises(ValueError, match="no row is later"):
        time_split(np.array([2000, 2000]))


def test_correlations_are_of_each_set_and_errors_about_its_mean():
    generator = np.random.default_rng(0)
    labels, sets = generator.normal(size=40), np.repeat(["a", "b", "c"], [20, 16, 4]).tolist()
    scores = SetScores.of(labels + 3.0, labels, sets)
    assert scores.sets == ("a", "b")
    np.testing.assert_allclose(scores.correlations, 1.0)
    np.testing.assert_allclose(scores.errors, 3.0)
    np.testing.assert_allclose(scores.centered_errors, 0.0, atol=1e-12)
    assert SetScores.of(np.zeros(40), labels, sets).mean == 0.0
    with pytest.raises(ValueError, match="no set has 30 rows"):
        SetScores.of(labels, labels, sets, 30)


def test_identity_of_sequences_is_that_of_their_best_local_alignment():
    generator = np.random.default_rng(0)
    letters = np.array(list("ACDEFGHIKLMNPQRSTVWY"))
    sequence = "".join(generator.choice(letters, 120))
    mutated = np.array(list(sequence))
    places = generator.choice(120, 30, replace=False)
    mutated[places] = [letters[(list(letters).index(mutated[k]) + 7) % 20] for k in places]
    assert abs(sequence_identity(sequence, "".join(mutated)) - 0.75) < 0.03
    assert sequence_identity(sequence, "GGG" + sequence[10:]) == 110 / 113
    strange = "".join(generator.choice(letters, 120))
    assert sequence_identity(sequence, strange) < 0.2
    assert protein_clusters([[sequence], [strange, "".join(mutated)], [strange[5:]]], 0.4).tolist() == [
        0,
        0,
        0,
    ]
    with pytest.raises(ValueError, match="protein 1 has no sequence"):
        protein_clusters([[sequence], []])


def test_a_process_learns_what_holds_in_all_series_and_keeps_their_offsets_apart():
    generator = np.random.default_rng(0)
    series = np.repeat(np.arange(6), 15)
    x = generator.normal(size=90)
    labels = 2.0 * x + 5.0 * generator.normal(size=6)[series] + 0.1 * generator.normal(size=90)
    kernels = {"series": within(np.ones((90, 90)), series.tolist()), "slope": np.outer(x, x)}
    shown = np.where((series == 5) | (np.arange(90) % 7 == 0), np.nan, labels)
    model = AffinityProcess().fit(kernels, shown)
    asked = np.isnan(shown) & (series < 5)
    assert np.abs(model.means - labels)[asked].max() < 0.5
    # of a series never seen the order is known, the offset is not, and it says so
    assert np.corrcoef(model.means[series == 5], labels[series == 5])[0, 1] > 0.99
    assert model.deviations[series == 5].min() > 2.0 > 0.5 > model.deviations[asked].max()
    assert np.mean((np.abs(model.means - labels) < model.half_widths(0.9))[asked]) >= 0.7
    with pytest.raises(ValueError, match="at least 10"):
        AffinityProcess().fit(kernels, np.where(np.arange(90) < 5, 1.0, np.nan))


def test_left_out_predictions_are_those_of_fits_without_each():
    generator = np.random.default_rng(1)
    x = generator.normal(size=(25, 3))
    kernels, labels = {"line": x @ x.T}, x @ np.array([1.0, -2.0, 0.5]) + 0.3 * generator.normal(size=25)
    model = AffinityProcess().fit(kernels, labels)
    covariance = model.amplitudes["line"] * kernels["line"] + model.noise * np.eye(25)
    others, mean = np.arange(1, 25), labels.mean()
    alone = mean + covariance[0, others] @ np.linalg.solve(
        covariance[np.ix_(others, others)], labels[others] - mean
    )
    np.testing.assert_allclose(model.left_out[0], alone, rtol=1e-8)


def test_kernels_are_one_on_the_diagonal_positive_and_average_the_rows_of_a_ligand():
    ligands = [scattered(10, k, 0.3) for k in range(6)]
    field = field_kernel(ligands, list("aaabbb"))
    np.testing.assert_allclose(np.diag(field), 1.0)
    assert np.linalg.eigvalsh(field).min() > -1e-9
    assert (field[:3, 3:] == 0).all()
    counts = np.random.default_rng(0).integers(0, 3, (6, 20)).astype(np.uint8)
    features = LigandFeatures({"morgan": counts}, counts[:, :4].astype(float))
    kernels = series_kernels(features, ligands, list("aaabbb"), [1, 1, 2, 3, 4, 4])
    assert {each.shape for each in kernels.values()} == {(4, 4)}
    np.testing.assert_allclose(
        kernels["field in series"], of_ligands(field, list(zip("aaabbb", [1, 1, 2, 3, 4, 4])))
    )
    with pytest.raises(ValueError, match="different numbers of rows"):
        series_kernels(features, ligands[:4], list("aaabbb"), range(6))


def test_a_forest_tells_a_pose_in_contact_from_one_pulled_out():
    complexes, good, dockings = [], [], []
    for docking in range(8):
        protein, ligand = scattered(80, docking, 0.6), scattered(8, 50 + docking, 0.15)
        for step in range(5):
            away = 1.0 * step
            complexes.append(Complex(protein, ligand.moved(ligand.positions + np.array([away, 0, 0]))))
            good.append(step == 0)
            dockings.append(docking)
    features, good = pose_features(complexes), np.array(good)
    model = PoseForest(trees=100).fit(features[:25], good[:25], dockings[:25])
    hits = best_pose_hits(model.probabilities(features[25:], dockings[25:]), good[25:], dockings[25:])
    assert hits.all()
    with pytest.raises(ValueError, match="poses of both kinds"):
        PoseForest().fit(features, np.ones(40, bool), dockings)


def test_poses_weigh_as_their_energies_have_it_and_the_given_one_is_first():
    complex = Complex(scattered(40, 3, 0.6), scattered(6, 4, 0.15))
    found = PoseSampling(poses=12, seed=1).sample(complex)
    np.testing.assert_allclose(found.poses[0].positions, complex.ligand.positions, atol=1e-12)
    expected = [VinaScore().score(Complex(complex.protein, pose)) for pose in found.poses]
    np.testing.assert_allclose(found.energies, expected, atol=1e-9)
    ratio = found.weights / found.weights[0]
    np.testing.assert_allclose(
        np.log(ratio), -(found.energies - found.energies[0]) / PoseSampling().kT, atol=1e-6
    )
    # rigid bodies: distances within the ligand stay
    inner = [np.linalg.norm(pose.positions[0] - pose.positions[1]) for pose in found.poses]
    np.testing.assert_allclose(inner, inner[0])
    assert 1 <= found.effective <= 12
    with pytest.raises(ValueError, match="at least one pose"):
        PoseSampling(poses=0).sample(complex)


def test_weights_of_rows_decide_what_a_kernel_between_ligands_is():
    kernel = np.diag([1.0, 3.0, 5.0])
    found = of_ligands(kernel, ["x", "x", "y"], np.array([1.0, 0.0, 2.0]))
    np.testing.assert_array_equal(found, np.diag([1.0, 5.0]))
