"""Sequences on backbones: what is told does not move with the protein and leaks no side chain, a rule that a backbone
follows is learned, and what cannot be designed is refused.
"""

from __future__ import annotations

import equinox as eqx
import jax
import numpy as np
import pytest

from thalweg.binding.design.backbones import (
    AMINO_ACIDS,
    Backbone,
    extended_backbone,
    residues_of,
    sequence_of,
)
from thalweg.binding.design.network import (
    ResidueMessages,
    pair_features,
    residue_features,
    surroundings,
    virtual_carbons,
)
from thalweg.binding.design.sequence_design import SequenceDesign, SequenceDesignModel
from thalweg.binding.voxels import random_rotations

TOLD = jax.jit(lambda around: (residue_features(around), pair_features(around)))


def wiggled(count: int, seed: int, chains: int = 1) -> Backbone:
    """Chains side by side, bent at random but bonded, of random sequences."""
    generator = np.random.default_rng(seed)
    own = [
        extended_backbone(count) + 0.6 * np.array([0, k, 0]) + 0.005 * generator.normal(size=(count, 4, 3))
        for k in range(chains)
    ]
    names = tuple(name for k in range(chains) for name in "ABCDE"[k] * count)
    return Backbone(np.concatenate(own), generator.integers(0, len(AMINO_ACIDS), count * chains), names)


def model(seed: int = 0) -> SequenceDesignModel:
    method = SequenceDesign(width=16, rounds=2, neighbors=6)
    return SequenceDesignModel(method, ResidueMessages.init(16, 2, jax.random.key(seed)), 1.0)


def test_what_is_told_of_residues_and_pairs_stays_when_the_protein_is_moved():
    backbone = wiggled(12, 0, chains=2)
    turn = np.asarray(random_rotations(jax.random.key(1), 1)[0], float)
    moved = Backbone(backbone.positions @ turn.T + [1.0, -2.0, 0.5], backbone.residues, backbone.chains)
    mirrored = Backbone(backbone.positions * [1, 1, -1], backbone.residues, backbone.chains)
    told = [TOLD(surroundings([each], 6)) for each in (backbone, moved, mirrored)]
    for here, there in zip(told[0], told[1]):
        np.testing.assert_allclose(here, there, atol=2e-4)
    # a mirror image is another protein
    assert np.abs(np.asarray(told[0][0] - told[2][0])).max() > 0.1


def test_the_virtual_carbon_stands_where_ideal_geometry_has_it():
    angle = np.radians(111.0)
    n, ca, c = [0.1458, 0.0, 0.0], [0.0, 0.0, 0.0], [0.1525 * np.cos(angle), 0.1525 * np.sin(angle), 0.0]
    place = np.asarray(virtual_carbons(np.array([[n, ca, c, [0.0, 0.0, 0.1]]])))[0]
    np.testing.assert_allclose(np.linalg.norm(place), 0.153, atol=0.002)
    for other in (n, c):
        cosine = place @ np.array(other) / np.linalg.norm(place) / np.linalg.norm(other)
        np.testing.assert_allclose(np.degrees(np.arccos(cosine)), 110.0, atol=1.5)


def test_no_residue_is_told_its_own_amino_acid_nor_that_of_hidden_ones():
    backbone, network = wiggled(14, 2), model()
    shown = np.arange(14) % 2 == 0
    before = network.probabilities(backbone, shown)
    others = backbone.residues.copy()
    others[~shown] = (others[~shown] + 7) % len(AMINO_ACIDS)
    changed = backbone.with_sequence(sequence_of(others))
    np.testing.assert_array_equal(network.probabilities(changed, shown), before)
    one = backbone.residues.copy()
    one[4] = (one[4] + 3) % len(AMINO_ACIDS)
    told = network.probabilities(backbone.with_sequence(sequence_of(one)), shown)
    assert np.abs(told[5] - before[5]).max() > 1e-6
    np.testing.assert_allclose(before.sum(1), 1, atol=1e-6)


def test_residues_that_fill_a_batch_change_nothing():
    backbone, network = wiggled(10, 3), model().network
    alone, filled = surroundings([backbone], 6), surroundings([backbone, wiggled(5, 4)], 6, 32)
    hidden = np.zeros(10, bool), np.zeros(32, bool)
    scores = eqx.filter_jit(network)
    np.testing.assert_allclose(scores(alone, hidden[0]), scores(filled, hidden[1])[:10], atol=1e-5)
    assert float(np.asarray(filled.weights).sum()) == 15


@pytest.mark.long
def test_a_sequence_that_follows_from_the_backbone_is_learned_and_drawn():
    """Chains of two kinds, wide and narrow, are all glycine or all leucine."""
    proteins = []
    for k in range(8):
        each = wiggled(12, k, chains=2)
        apart = np.where(np.array(each.chains) == "B", 0.6 * (k % 2), 0.0)
        positions = each.positions + apart[:, None, None] * np.array([0, 1, 0])
        proteins.append(Backbone(positions, np.full(24, AMINO_ACIDS.index("GL"[k % 2])), each.chains))
    method = SequenceDesign(width=16, rounds=1, neighbors=16, epochs=30, learning_rate=1e-2, batch=24)
    fitted = method.fit(proteins[:6])
    for k in (6, 7):
        assert (fitted.probabilities(proteins[k]).argmax(1) == proteins[k].residues).mean() > 0.9
        drawn = fitted.sample(proteins[k], goes=4)
        assert drawn.recovery > 0.9
        assert drawn.perplexity < 2
        assert drawn.composition[AMINO_ACIDS.index("GL"[k % 2])] > 0.9


def test_draws_follow_the_probabilities_and_fixed_residues_stay():
    backbone, network = wiggled(30, 5), model()
    keep = np.arange(30) < 10
    cold = network.sample(backbone, temperature=1e-7, fixed=keep, goes=1, seed=1)
    assert cold.sequence[:10] == backbone.sequence[:10]
    expected = network.probabilities(backbone, keep).argmax(1)
    assert cold.sequence[10:] == sequence_of(expected)[10:]
    warm = {network.sample(backbone, temperature=1.0, seed=k).sequence for k in range(3)}
    assert len(warm) == 3
    swept = network.sample(backbone, temperature=1.0, goes=3, sweeps=1, seed=1)
    assert set(swept.sequence) <= set(AMINO_ACIDS)


def test_what_cannot_be_designed_is_refused():
    positions = extended_backbone(2)
    positions[1, 3] = np.nan
    with pytest.raises(ValueError, match="A:HIS2 lack atoms of the backbone"):
        Backbone(positions, np.zeros(2, int), ("A", "A"), ("A:GLY1", "A:HIS2"))
    with pytest.raises(ValueError, match="'B', 'Z': no amino acids"):
        residues_of("ABZ")
    backbone = wiggled(5, 6)
    with pytest.raises(ValueError, match="3 letters for 5 residues"):
        backbone.with_sequence("AAA")
    with pytest.raises(ValueError, match="use a small one"):
        model().sample(backbone, temperature=0)
    with pytest.raises(ValueError, match="residue 0 is fixed, but"):
        model().sample(backbone.with_sequence("XAAAA"), fixed=np.eye(1, 5, dtype=bool)[0])
    with pytest.raises(ValueError, match="at least four groups"):
        SequenceDesign().fit([backbone] * 3)


def test_chains_and_breaks_end_what_is_bonded():
    positions = extended_backbone(6)
    positions[3:] += [0.5, 0, 0]
    broken = Backbone(positions, np.zeros(6, int), ("A",) * 5 + ("B",))
    assert broken.bonded.tolist() == [False, True, True, False, True, False]
    assert broken.breaks == ("residue 3",)
