"""Whether a pose is near the truth: a forest [breiman2001] on what poses of one ligand in one pocket have more or less
of.

Numbers of a pose are the terms of Vina's score, how deep its atoms lie, how near they come to the protein, how many
find a partner for their hydrogen bond. What decides is how these compare with the other poses of the same docking:
each number is told as it is and in units of its scatter over those.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from thalweg.binding.complexes import CHANNELS, Complex
from thalweg.binding.vina import VinaScore
from thalweg.learning.models import Method, Model
from thalweg.shapes import Bool, Float

REACHES = (0.4, 0.5, 0.6, 0.8)
"""Within which atoms of the protein are counted about each atom of the ligand [nm]."""

TOO_NEAR = (0.30, 0.34)
"""Pairs nearer than these are counted [nm]."""

BONDED, TOUCHING, BURIED = 0.34, 0.45, 12
"""Hydrogen bonds and hydrophobic contacts are shorter [nm]; more atoms of the protein within 0.6 nm bury an atom."""


def pose_features(complexes: Sequence[Complex]) -> Float[np.ndarray, "poses features"]:
    """Numbers of each pose by itself.

    Raises
    ------
    ValueError
        If there are no poses.
    """
    if not complexes:
        raise ValueError("there are no poses; give at least one")
    return np.array([_of_pose(each) for each in complexes])


def among_poses(
    features: Float[np.ndarray, "poses features"], dockings: Sequence[Hashable]
) -> Float[np.ndarray, "poses columns"]:
    """Features as they are and, beside them, less their mean and over their scatter in each docking.

    Examples
    --------
    >>> among_poses(np.array([[1.0], [3.0], [5.0]]), ["a", "a", "b"]).round(3).tolist()
    [[1.0, -1.0], [3.0, 1.0], [5.0, 0.0]]
    """
    names = list(dict.fromkeys(dockings))
    place = np.array([names.index(each) for each in dockings])
    relative = np.zeros_like(features)
    for k in range(len(names)):
        own = features[place == k]
        relative[place == k] = (own - own.mean(0)) / (own.std(0) + 1e-6)
    return np.concatenate([features, relative], 1)


@dataclass(frozen=True)
class PoseForest(Method):
    """Settings of the forest.

    Parameters
    ----------
    trees : how many
    leaf : least poses in a leaf
    seed : of the draws

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> features, dockings = generator.normal(size=(60, 3)), np.repeat(np.arange(6), 10).tolist()
    >>> model = PoseForest(trees=50).fit(features, features[:, 0] > 0.5, dockings)
    >>> bool(model.probabilities(features, dockings)[features[:, 0] > 0.5].min() > 0.5)
    True
    """

    trees: int = 300
    leaf: int = 2
    seed: int = 0

    def fit(
        self,
        features: Float[np.ndarray, "poses features"],
        good: Bool[np.ndarray, " poses"],
        dockings: Sequence[Hashable],
    ) -> PoseForestModel:
        """The forest of poses of several dockings, each of one ligand in one pocket.

        Raises
        ------
        ValueError
            If all or none of the poses are good.
        """
        from sklearn.ensemble import ExtraTreesClassifier

        if good.all() or not good.any():
            raise ValueError(
                f"{int(good.sum())} of {len(good)} poses are good; poses of both kinds are needed"
            )
        forest = ExtraTreesClassifier(
            self.trees, min_samples_leaf=self.leaf, class_weight="balanced", random_state=self.seed
        )
        return PoseForestModel(forest.fit(among_poses(features, dockings), good))


@dataclass(frozen=True, eq=False, repr=False)
class PoseForestModel(Model):
    """A fitted forest.

    Attributes
    ----------
    forest : of scikit-learn
    """

    forest: Any

    def probabilities(
        self, features: Float[np.ndarray, "poses features"], dockings: Sequence[Hashable]
    ) -> Float[np.ndarray, " poses"]:
        """How probable it is that each pose is good, of poses of dockings that are given whole."""
        return self.forest.predict_proba(among_poses(features, dockings))[:, 1]


def best_pose_hits(
    scores: Float[np.ndarray, " poses"], good: Bool[np.ndarray, " poses"], dockings: Sequence[Hashable]
) -> Bool[np.ndarray, " dockings"]:
    """Whether the pose of the highest score is good, for each docking in order of appearance.

    Examples
    --------
    >>> best_pose_hits(np.array([0.1, 0.9, 0.3, 0.2]), np.array([True, False, True, False]), list("aabb")).tolist()
    [False, True]
    """
    names = list(dict.fromkeys(dockings))
    place = np.array([names.index(each) for each in dockings])
    return np.array([good[place == k][np.argmax(scores[place == k])] for k in range(len(names))])


def _of_pose(complex):
    protein, ligand = complex.protein, complex.ligand
    gaps = cdist(protein.positions, ligand.positions)

    def is_in(atoms, channel):
        return atoms.channels[:, CHANNELS.index(channel)]

    found = [*VinaScore().terms(complex), VinaScore().score(complex), len(ligand)]
    for reach in REACHES:
        around = (gaps < reach).sum(0)
        found += [around.mean(), around.min(), around.std(), np.percentile(around, 25)]
    nearest = gaps.min(0)
    found += [nearest.min(), nearest.mean(), nearest.max(), *((gaps < near).sum() for near in TOO_NEAR)]
    greasy, polar = is_in(ligand, "hydrophobic"), is_in(ligand, "acceptor") | is_in(ligand, "donor")
    touched = (gaps[is_in(protein, "hydrophobic")] < TOUCHING).sum(0)
    found += [touched[chosen].mean() if chosen.any() else 0.0 for chosen in (greasy, polar)]
    bonded = np.zeros(len(ligand), bool)
    for own, other in (("acceptor", "donor"), ("donor", "acceptor")):
        bonded |= is_in(ligand, own) & (gaps[is_in(protein, other)] < BONDED).any(0)
    buried = (gaps < 0.6).sum(0) > BURIED
    return [*found, bonded.sum(), bonded.sum() / max(polar.sum(), 1), (polar & ~bonded & buried).sum()]
