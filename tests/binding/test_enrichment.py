"""Rankings of libraries, decoys matched in size and the like, and poses made by maps."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.binding.complexes import CHANNELS, Complex, TypedAtoms
from thalweg.binding.enrichment import bedroc, enrichment_factor, matched_decoys
from thalweg.binding.vina import VinaScore
from thalweg.binding.vina_maps import OUTSIDE, PoseSearch, VinaMaps


def test_a_random_ranking_is_enriched_by_nothing_on_average():
    random = np.random.default_rng(0)
    active = np.arange(400) < 20
    found = np.array([enrichment_factor(random.random(400), active, 0.05) for _ in range(2000)])
    # hypergeometric: 20 drawn of 400, of which 20 active; the factor is the number of hits over 1
    error = np.sqrt(20 * 0.05 * 0.95 * (380 / 399)) / np.sqrt(2000)
    assert abs(found.mean() - 1) < 4 * error


def test_equal_scores_count_as_on_average_over_their_orders():
    active = np.array([True, False, False, False])
    assert enrichment_factor(np.zeros(4), active, 0.5) == pytest.approx(1.0)
    assert enrichment_factor(np.array([1.0, 1.0, 0.0, 0.0]), active, 0.25) == pytest.approx(2.0)


def test_bedroc_is_the_published_one():
    # RDKit's implementation of the same measure
    from rdkit.ML.Scoring.Scoring import CalcBEDROC

    random = np.random.default_rng(1)
    scores, active = random.random(300), random.random(300) < 0.1
    order = np.argsort(-scores)
    assert bedroc(scores, active, 20.0) == pytest.approx(
        CalcBEDROC([[each] for each in active[order]], 0, 20.0)
    )


def test_decoys_are_like_actives_in_properties_and_taken_once():
    random = np.random.default_rng(2)
    candidates, actives = random.normal(size=(3000, 3)), random.normal(0.7, 0.3, size=(5, 3))
    alike = random.random((3000, 5)) * 0.5
    found = matched_decoys(actives, candidates, alike, each=8)
    assert len(np.unique(found)) == 40
    assert (alike[found.ravel()] <= 0.35).all()
    # a sixth of the candidates is left, in which forty lie within half of the usual distance
    gaps = np.linalg.norm(candidates[found] - actives[:, None], axis=-1)
    assert gaps.mean() < 0.5 * np.linalg.norm(candidates[None] - actives[:, None], axis=-1).mean()
    with pytest.raises(ValueError, match="give more candidates"):
        matched_decoys(actives, candidates, alike, each=200)


@pytest.mark.parametrize(
    ("scores", "active", "fraction", "wanted"),
    [
        (np.zeros(3), np.zeros(3, bool), 0.1, "both kinds"),
        (np.array([np.nan, 0.0]), np.array([True, False]), 0.1, "no numbers"),
        (np.zeros(2), np.array([True, False]), 0.0, "fraction"),
    ],
)
def test_libraries_that_say_nothing_are_refused(scores, active, fraction, wanted):
    with pytest.raises(ValueError, match=wanted):
        enrichment_factor(scores, active, fraction)


def typed(places, numbers, seed):
    channels = np.random.default_rng(seed).random((len(places), len(CHANNELS))) < 0.4
    channels[:, CHANNELS.index("metal")] = False
    channels[:, -1] = True
    return TypedAtoms(np.array(places, float), np.array(numbers), channels)


def test_maps_score_as_the_sum_over_pairs_does():
    random = np.random.default_rng(3)
    protein = typed(random.normal([0.9, 0, 0], 0.5, (60, 3)), random.choice([6, 7, 8, 16], 60), 4)
    ligand = typed(random.normal([-0.5, 0, 0], 0.12, (8, 3)), random.choice([6, 7, 8, 17], 8), 5)
    exact = VinaScore().score(Complex(protein, ligand))
    errors = [
        abs(
            VinaMaps.of(protein, ligand.positions, [ligand], 0.1, spacing).energies(
                ligand.positions[None], ligand
            )[0]
            - exact
        )
        for spacing in (0.04, 0.01)
    ]
    assert errors[1] < 0.02 * abs(exact) + 0.02
    assert errors[1] < errors[0]
    outside = VinaMaps.of(protein, ligand.positions, [ligand], 0.1).energies(
        ligand.positions[None] - 5.0, ligand
    )
    assert outside[0] == pytest.approx(OUTSIDE * len(ligand))


def test_a_search_finds_the_well_that_it_began_beside():
    wall = typed(np.array([[0.0, 0, 0]]), [8], 0)
    wall = TypedAtoms(wall.positions, wall.numbers, np.array([[0, 0, 1, 0, 0, 0, 0, 1]], bool))
    donor = TypedAtoms(np.array([[0.4, 0.1, 0]]), np.array([7]), np.array([[0, 0, 0, 1, 0, 0, 0, 1]], bool))
    maps = VinaMaps.of(wall, donor.positions, [donor], spacing=0.01)
    pose, energy = PoseSearch(rounds=8).best(maps, [donor])
    # Vina's hydrogen bond of oxygen and nitrogen: -0.7 Å between surfaces, where repulsion outweighs no more
    apart = np.linalg.norm(np.linspace(0.2, 0.6, 4001)[:, None] * [1.0, 0, 0], axis=1)
    lowest = min(
        VinaScore().score(Complex(wall, donor.moved(np.array([[r, 0.0, 0.0]])))) for r in apart[::10]
    )
    assert energy == pytest.approx(lowest, abs=0.1)
    assert 0.25 < np.linalg.norm(pose.positions) < 0.33
    with pytest.raises(ValueError, match="no conformers"):
        PoseSearch().best(maps, [])
