"""Forest, Gaussian process, network and their average on molecules made of numbers, whose answers are known."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest

from thalweg.binding.ligands.average import LigandAverage, LigandAverageModel, averaged
from thalweg.binding.ligands.calibrated import ApplicabilityDomain, ClassProbabilities, LigandIntervals
from thalweg.binding.ligands.features import LigandFeatures, LigandPrediction, PaddedGraphs
from thalweg.binding.ligands.forest import LigandForest
from thalweg.binding.ligands.gaussian_process import LigandProcess, _minus_evidence
from thalweg.binding.ligands.kernels import DescriptorScale, mean_squared_distances, minmax_kernel
from thalweg.binding.ligands.network import LOSSES, BondMessages, LigandNetwork, _Data
from thalweg.binding.ligands.trees import RegressionTrees
from thalweg.binding.splits import scaffold_split


def rings(count: int, seed: int) -> LigandFeatures:
    """Chains of two kinds of atoms; counts, descriptors and graphs tell how many there are of each."""
    generator = np.random.default_rng(seed)
    lengths, kinds = generator.integers(2, 7, count), generator.integers(0, 2, (count, 6))
    atoms = np.zeros((count, 6, 2), np.float32)
    ends, bonds = np.zeros((count, 10, 2), np.int32), np.zeros((count, 10, 1), np.float32)
    for k, length in enumerate(lengths):
        atoms[k, np.arange(length), kinds[k, :length]] = 1
        for b in range(length - 1):
            ends[k, 2 * b : 2 * b + 2], bonds[k, 2 * b : 2 * b + 2] = [[b, b + 1], [b + 1, b]], 1
    of_kinds = atoms.sum(1)
    graphs = PaddedGraphs(atoms, bonds, ends, lengths, 2 * (lengths - 1))
    return LigandFeatures({"kinds": of_kinds.astype(np.uint8)}, of_kinds.astype(float), graphs)


def noisy(ligands: LigandFeatures, noise: float, seed: int) -> np.ndarray:
    kinds = ligands.counts["kinds"].astype(float)
    return kinds[:, 0] - 2 * kinds[:, 1] + noise * np.random.default_rng(seed).normal(size=len(kinds))


def test_minmax_of_all_pairs_is_that_of_each_pair():
    generator = np.random.default_rng(1)
    a, b = (generator.poisson(1.0, (n, 30)).astype(np.uint8) for n in (7, 5))
    a[0] = 0
    b[0] = 0
    expected = [
        [np.minimum(x, y).sum() / np.maximum(x, y).sum() if (x | y).any() else 1.0 for y in b] for x in a
    ]
    np.testing.assert_allclose(minmax_kernel(a, b), expected, rtol=1e-6)


def test_minmax_is_positive_definite():
    counts = np.random.default_rng(2).poisson(0.7, (60, 40)).astype(np.uint8)
    assert np.linalg.eigvalsh(minmax_kernel(counts, counts).astype(float)).min() > -1e-5


def test_the_slope_of_the_evidence_is_its_finite_difference():
    generator = np.random.default_rng(3)
    counts, x = generator.poisson(1.0, (40, 9)), generator.normal(size=(40, 4))
    kernels, squares = [minmax_kernel(counts, counts).astype(float)], mean_squared_distances(x, x)
    y, hyper, step = generator.normal(size=40), np.array([-0.3, 0.2, 0.1, -1.0]), 1e-5
    _, slope = _minus_evidence(hyper, kernels, squares, y)
    for k in range(4):
        moved = [hyper + step * sign * np.eye(4)[k] for sign in (1, -1)]
        up, down = (_minus_evidence(each, kernels, squares, y)[0] for each in moved)
        assert slope[k] == pytest.approx((up - down) / (2 * step), rel=1e-6, abs=1e-7)


def test_a_process_leaves_molecules_out_as_if_fitted_without_them():
    ligands = rings(40, 4)
    labels = noisy(ligands, 0.5, 4)
    model = LigandProcess().fit(ligands, labels)
    task, k = model.tasks[0], 11
    x = model.scale(ligands.descriptors)
    from thalweg.binding.ligands.gaussian_process import _covariance

    kernel = minmax_kernel(ligands.counts["kinds"], ligands.counts["kinds"])
    covariance = _covariance([kernel], mean_squared_distances(x, x), task.hyper)
    others = np.delete(np.arange(40), k)
    known = covariance[np.ix_(others, others)] + np.exp(task.hyper[-1]) * np.eye(39)
    alone = covariance[k, others] @ np.linalg.solve(known, (labels[others] - task.mean) / task.spread)
    assert model.left_out[k, 0] == pytest.approx(task.mean + task.spread * alone, rel=1e-5)


def test_claimed_noise_is_that_of_the_labels():
    ligands = rings(400, 5)
    model = LigandProcess().fit(ligands, noisy(ligands, 0.5, 5))
    assert model.predict(ligands).deviations.mean() == pytest.approx(0.5, rel=0.15)


@pytest.mark.parametrize("method", [LigandProcess(), LigandForest(trees=60, columns=1.0)])
def test_left_out_errors_foretell_those_of_new_molecules(method):
    ligands, new = rings(300, 6), rings(300, 7)
    labels = noisy(ligands, 1.0, 6)
    model = method.fit(ligands, labels)
    foretold = np.std(model.left_out[:, 0] - labels)
    met = np.std(model.predict(new).means[:, 0] - noisy(new, 1.0, 7))
    # each is a deviation of 300 numbers: standard error of the ratio 0.06
    assert foretold == pytest.approx(met, rel=0.2)


@pytest.mark.parametrize("method", [LigandProcess(), LigandForest(trees=20)])
def test_a_missing_label_is_missing_in_its_task_alone(method):
    ligands = rings(60, 8)
    whole = noisy(ligands, 0.1, 8)
    both = np.stack([whole, np.where(np.arange(60) < 30, whole, np.nan)], 1)
    alone = method.fit(ligands, whole).predict(ligands).means[:, 0]
    found = method.fit(ligands, both)
    np.testing.assert_allclose(found.predict(ligands).means[:, 0], alone, rtol=1e-6, atol=1e-6)
    assert np.isnan(found.left_out).tolist() == np.isnan(both).tolist()


def test_weights_of_an_average_go_to_what_predicts_unseen_molecules():
    ligands = rings(200, 9)
    labels = noisy(ligands, 0.3, 9)
    good = LigandProcess().fit(ligands, labels)
    shuffled = np.random.default_rng(0).permutation(200)
    # a model that knows nothing: its labels belong to other molecules
    bad = replace(good, left_out=good.left_out[shuffled])
    found = averaged([good, bad], labels)
    assert found.weights[0, 0] > 0.9
    assert found.weights.sum(0) == pytest.approx(1.0)


def test_nothing_to_average_is_told():
    with pytest.raises(ValueError, match="nothing to average"):
        LigandAverage(()).fit(rings(20, 0), np.zeros(20))


def test_intervals_hold_what_they_promise_on_new_molecules():
    ligands, new = rings(400, 10), rings(1000, 11)
    labels = noisy(ligands, 0.7, 10)
    model = LigandProcess().fit(ligands, labels)
    low, high = LigandIntervals.of(model, labels, 0.8).around(model.predict(new))
    asked = noisy(new, 0.7, 11)[:, None]
    # 0.8 up to standard errors of 0.02 (400 left out) and 0.013 (1000 tested)
    assert np.mean((low < asked) & (asked < high)) == pytest.approx(0.8, abs=0.08)


def test_probabilities_are_frequencies():
    ligands, new = rings(600, 12), rings(1000, 13)
    generator = np.random.default_rng(14)

    def chance(of):
        return 1 / (1 + np.exp(-0.8 * noisy(of, 0.0, 0) - 1))

    labels = (generator.random(600) < chance(ligands)).astype(float)
    model = LigandProcess().fit(ligands, labels)
    found = ClassProbabilities.of(model, labels)(model.predict(new).means)[:, 0]
    assert np.mean(np.abs(found - chance(new))) < 0.06


def test_labels_that_are_no_classes_are_told():
    ligands = rings(30, 0)
    labels = noisy(ligands, 0.0, 0)
    with pytest.raises(ValueError, match="labeled 0 and 1"):
        ClassProbabilities.of(LigandProcess().fit(ligands, labels), labels)


def test_the_domain_leaves_out_the_share_it_was_told():
    counts = np.random.default_rng(15).poisson(1.0, (300, 40)).astype(np.uint8)
    known = LigandFeatures({"a": counts[:200]}, np.zeros((200, 1)))
    new = LigandFeatures({"a": counts[200:]}, np.zeros((100, 1)))
    # 0.2 up to standard errors of 0.03 and 0.04
    assert 1 - ApplicabilityDomain.of(known, 0.2).inside(new).mean() == pytest.approx(0.2, abs=0.15)


def test_scaffolds_stay_whole_and_frequent_ones_are_trained_on():
    scaffolds = [f"s{k}" for k in np.random.default_rng(16).geometric(0.1, 200)]
    for seed in (None, 0, 1):
        train, valid, test = scaffold_split(scaffolds, seed=seed)
        assert sorted([*train, *valid, *test]) == list(range(200))
        groups = [{scaffolds[k] for k in each} for each in (train, valid, test)]
        assert not (groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2])
        assert max(scaffolds, key=scaffolds.count) in groups[0]


def test_scaffolds_too_few_are_told():
    with pytest.raises(ValueError, match="leave sets"):
        scaffold_split(["a"] * 10)


def test_labels_too_few_or_infinite_are_told():
    ligands = rings(20, 0)
    with pytest.raises(ValueError, match="3 labels; at least 10"):
        LigandProcess().fit(ligands, np.where(np.arange(20) < 3, 1.0, np.nan))
    with pytest.raises(ValueError, match="infinite"):
        LigandForest().fit(ligands, np.full(20, np.inf))
    with pytest.raises(ValueError, match="19 rows of labels for 20"):
        LigandForest().fit(ligands, np.zeros(19))


def test_descriptors_that_are_not_finite_are_told():
    with pytest.raises(ValueError, match="not finite"):
        LigandFeatures({}, np.array([[np.nan]]))


def test_descriptors_are_scaled_by_the_training_set_alone():
    scale = DescriptorScale.of(np.array([[0.0], [1.0]]))
    assert scale(np.array([[0.5]])).shape == (1, 1)
    assert abs(scale(np.array([[1e12]]))[0, 0]) == 4.0


def outputs(ligands: LigandFeatures, network: BondMessages, size: int) -> np.ndarray:
    data = _Data(ligands.graphs, ligands.descriptors.astype(np.float32), np.zeros((len(ligands), 1)))
    return np.concatenate(
        [np.asarray(network(batch)) for batch in data.batches(np.arange(len(ligands)), size)]
    )[: len(ligands)]


def test_outputs_do_not_depend_on_padding_nor_on_the_batch():
    ligands = rings(9, 17)
    network = BondMessages.init(2, 1, 2, 1, 8, 3, jax.random.key(0))
    np.testing.assert_allclose(outputs(ligands, network, 9), outputs(ligands, network, 4), atol=1e-5)


def test_outputs_do_not_depend_on_the_order_of_atoms():
    ligands = rings(6, 18)
    graphs = ligands.graphs
    atoms, ends = graphs.atoms.copy(), graphs.ends.copy()
    for k, count in enumerate(graphs.atom_counts):
        atoms[k, :count] = atoms[k, :count][::-1]
        bonds = graphs.bond_counts[k]
        ends[k, :bonds] = count - 1 - ends[k, :bonds]
    turned = replace(ligands, graphs=replace(graphs, atoms=atoms, ends=ends))
    network = BondMessages.init(2, 1, 2, 1, 8, 3, jax.random.key(1))
    np.testing.assert_allclose(outputs(ligands, network, 6), outputs(turned, network, 6), atol=1e-5)


def test_a_bond_does_not_hear_its_own_reverse():
    """In a molecule of two atoms nothing arrives but the first messages, however often they are passed."""
    ligands = rings(40, 19)
    short = ligands.taken(ligands.graphs.atom_counts == 2)
    once, often = (BondMessages.init(2, 1, 2, 1, 8, steps, jax.random.key(2)) for steps in (1, 5))
    assert len(short) > 2
    # rounds through floating point add and take away the same number
    np.testing.assert_allclose(outputs(short, once, 4), outputs(short, often, 4), atol=1e-5)


def test_labels_that_are_missing_have_no_slope():
    ligands = rings(5, 20)
    network = BondMessages.init(2, 1, 2, 2, 8, 2, jax.random.key(3))
    labels = np.array([[1.0, np.nan]] * 5)
    data = _Data(ligands.graphs, ligands.descriptors.astype(np.float32), labels)
    (batch,) = data.batches(np.arange(5), 5)
    for loss in LOSSES.values():
        slope = jax.grad(loss)(network, batch).readout.layers[-1].weight
        assert float(abs(slope[:, 0]).max()) > 0
        assert float(abs(slope[:, 1]).max()) == 0


@pytest.mark.long
@pytest.mark.parametrize("loss", ["squares", "classes"])
def test_a_network_learns_two_tasks_with_missing_labels(loss):
    ligands, new = rings(200, 21), rings(100, 22)
    kinds, asked = (each.counts["kinds"].astype(float) for each in (ligands, new))
    labels, known = kinds[:, :2] - kinds[:, 1:], asked[:, :2] - asked[:, 1:]
    if loss == "classes":
        labels, known = (labels > 0).astype(float), (known > 0).astype(float)
    labels[::3, 1] = np.nan
    model = LigandNetwork(loss, width=16, networks=2, epochs=40, learning_rate=5e-3).fit(ligands, labels)
    found = model.predict(new)
    assert isinstance(found, LigandPrediction)
    assert np.mean((found.means - known) ** 2) < 0.2 * np.var(known)
    assert np.isnan(model.left_out).tolist() == np.isnan(labels).tolist()


def test_networks_without_graphs_are_told():
    ligands = replace(rings(20, 0), graphs=None)
    with pytest.raises(ValueError, match="graphs=True"):
        LigandNetwork().fit(ligands, np.zeros(20))


def test_trees_as_arrays_say_what_those_of_scikit_learn_say():
    from sklearn.ensemble import RandomForestRegressor

    generator = np.random.default_rng(12)
    table, labels = generator.normal(size=(80, 5)).astype(np.float32), generator.normal(size=80)
    grown = RandomForestRegressor(7, random_state=0).fit(table, labels)
    asked = generator.normal(size=(30, 5)).astype(np.float32)
    expected = [tree.predict(asked) for tree in grown.estimators_]
    np.testing.assert_array_equal(RegressionTrees.of(grown.estimators_).of_each(asked), expected)


def test_an_average_that_was_saved_says_the_same(tmp_path):
    ligands = rings(40, 13)
    model = LigandAverage((LigandProcess(), LigandForest(trees=5))).fit(ligands, noisy(ligands, 0.3, 13))
    found = LigandAverageModel.load(model.save(tmp_path / "model")).predict(ligands)
    np.testing.assert_array_equal(found.means, model.predict(ligands).means)
    np.testing.assert_array_equal(found.deviations, model.predict(ligands).deviations)
