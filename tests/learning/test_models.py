"""Models and methods answer to familiar names with ours, are shown in short, and are saved and loaded."""

from __future__ import annotations

import copy
import importlib
import re
from dataclasses import dataclass, is_dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

from thalweg.collective_variables import PCA, TICA, VAMP
from thalweg.kinetics import (
    ChapmanKolmogorovTest,
    Clustering,
    HiddenMarkovModel,
    ImpliedTimescales,
    KCenters,
    KMeans,
    KMeansAndCenters,
    MarkovModel,
    MarkovStateModel,
    chapman_kolmogorov,
    lumped,
    metastable_sets,
    reactive_flux,
)
from thalweg.learning import Model, load_tree, save_tree
from thalweg.learning.familiar_names import FAMILIAR, hint
from thalweg.registry import ROOMS
from thalweg.time_series import Trajectories


@pytest.fixture(scope="module")
def points():
    rng = np.random.default_rng(0)
    side = np.cumsum(rng.random(2000) < 0.03) % 2
    return np.stack([4.0 * side + rng.standard_normal(2000), rng.standard_normal(2000)], axis=1)


@pytest.fixture(scope="module")
def models(points):
    """Models of most kinds, by name."""
    runs = Trajectories([points[:1000], points[1000:]], dt=500.0)
    labels = KMeans(4).fit_predict(runs)
    markov = MarkovStateModel(1, n_processes=2).fit(labels)
    sets = metastable_sets(markov, 2)
    return {
        "trajectories": runs,
        "labels": labels,
        "clusters": KMeans(4).fit(runs),
        "PCA": PCA(1).fit(runs),
        "TICA": TICA(2, dim=1).fit(runs),
        "VAMP": VAMP(2, dim=1).fit(runs),
        "Markov": markov,
        "hidden": HiddenMarkovModel(2, restarts=1).fit(labels),
        "sets": sets,
        "lumped": lumped(markov, sets.assignments),
        "flux": reactive_flux(markov, [0], [1]),
        "counts": markov.counts,
        "scan": ImpliedTimescales([1, 3], n_processes=1, samples=5).fit(labels),
        "test": chapman_kolmogorov(markov, sets.assignments, multiples=2, samples=5),
    }


@pytest.mark.parametrize(
    ("kind", "theirs", "ours"),
    [
        (MarkovModel, "pcca", "metastable_sets(model, n_sets)"),
        (MarkovModel, "mfpt", "mean_first_passage_time(model, start, target)"),
        (MarkovModel, "P", "transition_matrix"),
        (MarkovModel, "active_set", "active.states"),
        (Clustering, "cluster_centers_", "centers"),
        (Clustering, "labels_", "transform(data)"),
        (TICA, "components_", "fit(data) returns a VACModel, which has: loadings"),
        (TICA, "lag", "lagtime"),
        (TICA, "timescales", "fit(data) returns a VACModel, which has: timescales"),
        (PCA, "explained_variance_", "variances"),
        (KMeans, "cluster_centers_", "fit(data) returns a Clustering, which has: centers"),
        (HiddenMarkovModel, "means_", "fit(data) returns a HiddenModel, which has: output.means"),
        (MarkovModel, "time_scales", "did you mean 'timescales'?"),
    ],
)
def test_a_familiar_name_is_answered_with_ours(kind, theirs, ours):
    assert hint(kind, theirs).endswith(ours)


def test_every_call_that_stands_for_a_familiar_name_is_there():
    faces = [importlib.import_module(f"thalweg.{room}") for room in ROOMS]
    named = {name: getattr(face, name) for face in faces for name in face.__all__}
    models = [each for each in named.values() if isinstance(each, type) and is_dataclass(each)]
    members = {name for each in models for name in [*dir(each), *each.__dataclass_fields__]}
    for row in FAMILIAR:
        for word in re.findall(r"\b(\w+)\(", row.ours):
            assert word in {*named, *members, "len", "replace"}, row.ours
        assert not row.of or set(row.of.split()) <= {*named, "Method", "Model"}, row.of
        if not row.of:
            assert row.attribute in members, row.ours


def test_the_page_for_newcomers_says_what_the_errors_say():
    page = (Path(__file__).parents[2] / "docs" / "from-deeptime-and-pyemma.md").read_text("utf-8")
    rows = re.findall(r"^\| (`.*?) \| (.*) \|$", page.partition("## Attributes")[2], re.MULTILINE)
    assert len(rows) > 20
    for theirs, ours in rows:
        for name in re.findall(r"`(\w+)`", theirs):
            said = {row.ours for row in FAMILIAR if name in row.theirs.split()}
            assert any(each in ours for each in said), f"{name} is {said}, the page says {ours}"


def test_asking_for_what_is_not_there_is_an_attribute_error_and_nothing_else(models):
    for model in models.values():
        assert not hasattr(model, "labels_")
        assert getattr(model, "nothing_of_the_sort", 5) == 5
        assert type(copy.deepcopy(model)) is type(model)
    with pytest.raises(AttributeError, match="here it is: metastable_sets"):
        _ = models["Markov"].pcca
    with pytest.raises(AttributeError, match=r"fit\(data\) returns a VACModel, which has: loadings"):
        _ = TICA(1).components_


def test_an_error_inside_a_property_is_not_taken_for_an_unknown_name():
    @dataclass(frozen=True)
    class Broken(Model):
        size: int

        @property
        def half(self):
            return self.size.absent

    with pytest.raises(AttributeError, match="'int' object has no attribute 'absent'"):
        _ = Broken(3).half


def test_a_bare_model_is_shown_in_a_line_and_a_small_table(models):
    for name, model in models.items():
        line, table = repr(model), model._repr_html_()
        assert len(line) < 300, name
        assert "\n" not in line
        assert "cannot be shown" not in line
        assert len(table) < 2500
        assert table.count("<tr>") == table.count("</tr>") >= 3
    assert "lag=500 ps" in repr(models["Markov"])
    assert re.search(r"timescales=[\d.]+ ns", repr(models["Markov"]))


def test_what_cannot_be_shown_says_so_and_ends_nothing():
    @dataclass(frozen=True)
    class Odd(Model):
        name: str

        def headline(self):
            raise RuntimeError("no <numbers> today")

    assert "no <numbers> today" in repr(Odd("x"))
    assert "no &lt;numbers&gt; today" in Odd("x")._repr_html_()


def test_models_are_what_they_were_when_loaded_again(models, tmp_path):
    for name, model in models.items():
        again = type(model).load(model.save(tmp_path / name))
        assert str(again) == str(model), name
        assert repr(again) == repr(model)
    with pytest.raises(ValueError, match="holds a Clustering, wanted is a MarkovModel"):
        MarkovModel.load(tmp_path / "clusters")
    assert isinstance(ChapmanKolmogorovTest.load(tmp_path / "test"), ChapmanKolmogorovTest)


def test_sparse_matrices_are_kept_and_indices_outside_refused(tmp_path):
    matrix = csr_array(np.array([[0.0, 1.5], [2.0, 0.0]]))
    again = load_tree(save_tree(tmp_path / "tree", {"m": matrix}))["m"]
    np.testing.assert_array_equal(again.toarray(), matrix.toarray())
    matrix.indices[0] = 7
    with pytest.raises(ValueError, match="damaged, cut off"):
        load_tree(save_tree(tmp_path / "wrong", matrix))


@pytest.mark.parametrize("method", [KMeans(3), KCenters(3), KMeansAndCenters(3)])
def test_clusters_of_the_data_of_the_fit_are_had_in_one_call(method, points):
    np.testing.assert_array_equal(method.fit_predict(points), method.fit(points).transform(points))


def test_coordinates_of_the_data_of_the_fit_are_had_in_one_call_and_gone_through(points):
    halves = [points[:800], points[800:]]
    together = TICA(2, dim=1).fit_transform(halves)
    assert [block.shape for block in together] == [(800, 1), (1200, 1)]
    np.testing.assert_array_equal(np.concatenate(list(together))[:800], together[0])
    labels = KMeans(2).fit(halves).transform(halves)
    assert [len(states) for states in labels] == [800, 1200]
