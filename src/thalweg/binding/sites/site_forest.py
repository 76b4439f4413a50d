"""Sites learned from complexes: a forest [breiman2001] on what surrounds points, as of P2Rank [krivak2018].

Points that lie deep enough to be asked about at all are good where some ligand has an atom near; trees learn from good
ones and from a draw of the others, each protein, and each group of kin proteins, with equal weight. Of another protein
the points that the trees take for good are the pockets.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial import KDTree

from thalweg.binding.complexes import TypedAtoms
from thalweg.binding.sites.decision_trees import DecisionTrees
from thalweg.binding.sites.pockets import Pocket, lining_scores, pockets_of
from thalweg.binding.sites.probe_points import ProbeGrid
from thalweg.binding.sites.surroundings import IN_LATTICE, SURROUNDINGS, lattice_features, mean_nearby
from thalweg.learning.models import Method, Model
from thalweg.shapes import Float


@dataclass(frozen=True)
class SiteForest(Method):
    """Settings of the forest and of the pockets.

    Parameters
    ----------
    trees : how many
    leaf : least points in a leaf
    near : a point is good if it is that near to an atom of a ligand [nm]
    others : points that are not good, of each protein at most
    most : points of each protein at most; of proteins with kin proportionally fewer
    buried : burial cubed, smoothed over the lattice, from which on points are asked about
    width : over which scores are smoothed [spacings of the lattice]
    threshold : of scores of points in a pocket
    least : volume of a pocket [nm^3]
    seed : of the draws
    grid : of points and rays
    """

    trees: int = 100
    leaf: int = 10
    near: float = 0.25
    others: int = 500
    most: int = 800
    buried: float = 0.12
    width: float = 1.0
    threshold: float = 0.2
    least: float = 0.05
    seed: int = 0
    grid: ProbeGrid = field(default_factory=ProbeGrid)

    def fit(
        self,
        proteins: Sequence[TypedAtoms],
        ligands: Sequence[Float[np.ndarray, "_ 3"]],
        groups: Sequence[Hashable] | None = None,
    ) -> SiteForestModel:
        """Trees grown on points of proteins whose ligands are known.

        Parameters
        ----------
        proteins : without their ligands
        ligands : positions of the heavy atoms of all ligands of each protein [nm]
        groups : of kin proteins (`protein_clusters`), which together weigh as much as one; all unlike unless given

        Raises
        ------
        ValueError
            If numbers do not agree, or a protein has no ligand or no point near it.
        """
        groups = list(range(len(proteins))) if groups is None else list(groups)
        if not len(proteins) == len(ligands) == len(groups) or not len(proteins):
            raise ValueError(
                f"{len(proteins)} proteins need as many ligands and groups, one or more of each; got {len(ligands)} "
                f"and {len(groups)}"
            )
        examples = [self.examples(*each) for each in zip(proteins, ligands)]
        return self.fit_examples(examples, groups)

    def examples(
        self, protein: TypedAtoms, ligand: Float[np.ndarray, "_ 3"]
    ) -> tuple[Float[np.ndarray, "points features"], np.ndarray]:
        """Features of the points of one protein that are asked about, and which of them are near the ligand."""
        points, chosen, features = _asked(self, protein)
        if not len(ligand):
            raise ValueError("a protein has no ligand to learn from; leave it out, or give its positions")
        gaps, _ = KDTree(ligand).query(points.positions[chosen])
        good = gaps < self.near
        if not good.any() or good.all():
            raise ValueError(
                f"{good.sum()} of {len(good)} points are near the ligand of a protein of {len(protein)} atoms; are "
                "both in the same frame of coordinates and units (nm)? A ligand on a flat surface teaches nothing here"
            )
        return features, good

    def fit_examples(
        self,
        examples: Sequence[tuple[np.ndarray, np.ndarray]],
        groups: Sequence[Hashable],
    ) -> SiteForestModel:
        """Trees grown on what `examples` gives of each protein."""
        from sklearn.ensemble import ExtraTreesClassifier

        generator = np.random.default_rng(self.seed)
        kin = [groups.count(each) for each in groups]
        drawn = [
            _drawn(self, features, good, share, generator) for (features, good), share in zip(examples, kin)
        ]
        table, good, weights = (np.concatenate(each) for each in zip(*drawn))
        forest = ExtraTreesClassifier(
            self.trees, min_samples_leaf=self.leaf, max_features="sqrt", random_state=self.seed
        ).fit(table, good, sample_weight=weights / weights.mean())
        return SiteForestModel(self, DecisionTrees.of_classifier(forest), len(set(groups)))


@dataclass(frozen=True, eq=False, repr=False)
class SiteForestModel(Model):
    """A grown forest, which finds pockets.

    Attributes
    ----------
    method : its settings
    trees : as arrays
    learned_from : groups of kin proteins
    """

    method: SiteForest
    trees: DecisionTrees
    learned_from: int

    def find(self, atoms: TypedAtoms) -> tuple[Pocket, ...]:
        """The pockets, the highest score first: sums over points of how probable it is that a ligand is near.

        Raises
        ------
        ValueError
            As `ProbeGrid.points`.
        """
        points, scores = self._scores(atoms)
        method = self.method
        smooth = mean_nearby(points, scores, method.width)
        return pockets_of(atoms, points, smooth, method.threshold, method.grid.probe, method.least)

    def residue_scores(self, atoms: TypedAtoms) -> dict[str, float]:
        """Of each residue, the highest probability of a point that it lines, by its label."""
        points, scores = self._scores(atoms)
        return lining_scores(atoms, points.positions, scores)

    def importance(self) -> dict[str, float]:
        """Share of the nodes of all trees that ask each feature, the most frequent first."""
        asked = np.bincount(self.trees.features[self.trees.features >= 0], minlength=len(_NAMES))
        order = np.argsort(-asked, kind="stable")
        return {_NAMES[k]: float(asked[k] / asked.sum()) for k in order}

    def _scores(self, atoms):
        """Points, and how probable it is that a ligand is near each."""
        points, chosen, features = _asked(self.method, atoms)
        scores = np.zeros(len(points))
        scores[chosen] = self.trees.predict(features)
        return points, scores


_NAMES = (*IN_LATTICE, *SURROUNDINGS)


def _asked(method, atoms):
    """All points, those deep enough to be asked about, and their features."""
    points = method.grid.points(atoms)
    chosen = np.flatnonzero(mean_nearby(points, points.burial**3, 1.5) > method.buried)
    return points, chosen, lattice_features(atoms, points, chosen)


def _drawn(method, features, good, kin, generator):
    """Some points of a protein, and weights that make up for those left out; all weigh one over its ``kin``."""
    bad = np.flatnonzero(~good)
    kept = generator.choice(bad, min(method.others, len(bad)), replace=False)
    chosen = np.concatenate([np.flatnonzero(good), kept])
    most = max(method.most // kin, 100)
    chosen = generator.choice(chosen, min(most, len(chosen)), replace=False)
    own = good[chosen]
    weights = np.where(own, 1.0, len(bad) / max((~own).sum(), 1))
    return features[chosen], own, weights / weights.sum() / kin
