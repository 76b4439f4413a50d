"""Splits of complexes that do not lie, what leaks through a split, and scores of each target.

A ligand that stands in several rows (protomers, flips, poses, other sets of one protein) is kept on one side. Whole
proteins are left out by their clusters (`protein_clusters`), ligands by scaffold (`scaffold_split`), measurements by
time. Correlations are within each set of ligands of one protein: across proteins a correlation tells mostly which
protein it is.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.learning.models import Model
from thalweg.shapes import Float, Shaped

Split = tuple[np.ndarray, np.ndarray]


def leave_groups_out(groups: Sequence[Hashable]) -> list[Split]:
    """A training set and a test set for each group, which alone is tested.

    Raises
    ------
    ValueError
        If there are fewer than two groups.

    Examples
    --------
    >>> [(train.tolist(), test.tolist()) for train, test in leave_groups_out(["a", "b", "a"])]
    [([1], [0, 2]), ([0, 2], [1])]
    """
    members: dict[Hashable, list[int]] = {}
    for k, group in enumerate(groups):
        members.setdefault(group, []).append(k)
    if len(members) < 2:
        raise ValueError(
            f"all {len(groups)} rows are of one group: nothing is left to train on; for one target alone use "
            "folds_within_sets"
        )
    everything = np.arange(len(groups))
    return [(np.setdiff1d(everything, test), np.array(test)) for test in members.values()]


def folds_within_sets(
    sets: Sequence[Hashable], ligands: Sequence[Hashable], parts: int = 5, seed: int = 0
) -> list[Split]:
    """``parts`` splits in which every set is trained on and tested, and no ligand is on both sides in any set.

    Parameters
    ----------
    sets : of which set of ligands of one target each row is
    ligands : name of the ligand of each row, the same for all its forms

    Raises
    ------
    ValueError
        If there are fewer ligands than parts.

    Examples
    --------
    >>> splits = folds_within_sets(["a"] * 4 + ["b"] * 3, [1, 1, 2, 3, 3, 4, 5], parts=2)
    >>> sorted(int(k) for _, test in splits for k in test) == list(range(7))
    True
    """
    generator, fold = np.random.default_rng(seed), {}
    for name in dict.fromkeys(sets):
        own = list(dict.fromkeys(each for each, place in zip(ligands, sets) if place == name))
        # a ligand that another set has dealt already stays where it is; the others fill the emptiest folds
        filled = np.bincount([fold[each] for each in own if each in fold], minlength=parts).astype(float)
        for k in generator.permutation(len(own)):
            if own[k] not in fold:
                fold[own[k]] = int(np.argmin(filled + 1e-6 * generator.random(parts)))
                filled[fold[own[k]]] += 1
    if len(fold) < parts:
        raise ValueError(f"{len(fold)} ligands cannot fill {parts} folds; use fewer")
    place = np.array([fold[each] for each in ligands])
    return [(np.flatnonzero(place != k), np.flatnonzero(place == k)) for k in range(parts)]


def scaffold_split(
    scaffolds: Sequence[str], fractions: Sequence[float] = (0.8, 0.1, 0.1), seed: int | None = None
) -> tuple[np.ndarray, ...]:
    """Disjoint sets of whole scaffolds, of about the ``fractions`` of all, in ascending order.

    Without a seed as in MoleculeNet [wu2018]: scaffolds from the most frequent down, equals from the latest first
    occurrence down, each to the first set it still fits in; rare scaffolds are tested, and there is one such split.
    With a seed, frequent scaffolds (more than half of the smallest set) come first and all others in random order
    [yang2019].

    Raises
    ------
    ValueError
        If a set stays empty.

    Examples
    --------
    >>> [each.tolist() for each in scaffold_split(["a", "a", "b", "a", "c"], (0.6, 0.2, 0.2))]
    [[0, 1, 3], [4], [2]]
    """
    members: dict[str, list[int]] = {}
    for k, scaffold in enumerate(scaffolds):
        members.setdefault(scaffold, []).append(k)
    sizes = np.asarray(fractions, float) / np.sum(fractions) * len(scaffolds)
    if seed is None:
        order = sorted(members.values(), key=lambda each: (len(each), each[0]), reverse=True)
    else:
        mixed = list(members.values())
        mixed = [mixed[k] for k in np.random.default_rng(seed).permutation(len(mixed))]
        order = sorted(mixed, key=lambda each: len(each) <= sizes.min() / 2)
    sets: list[list[int]] = [[] for _ in sizes]
    for each in order:
        fits = [k for k, size in enumerate(sizes) if len(sets[k]) + len(each) <= size + 1e-9]
        sets[fits[0] if fits else len(sets) - 1].extend(each)
    if empty := [k for k, each in enumerate(sets) if not each]:
        raise ValueError(
            f"{len(members)} scaffolds leave sets {empty} empty; split at random, or into fewer sets"
        )
    return tuple(np.sort(each) for each in sets)


def time_split(times: Shaped[np.ndarray, " rows"], fraction: float = 0.8) -> Split:
    """Rows up to a moment and those after it; those of one moment stay together.

    Raises
    ------
    ValueError
        If a side is empty.

    Examples
    --------
    >>> [each.tolist() for each in time_split(np.array([2001, 2003, 2002, 2003]), 0.5)]
    [[0, 2], [1, 3]]
    """
    moments = np.asarray(times)
    last = np.sort(moments)[max(int(np.ceil(fraction * len(moments))) - 1, 0)]
    early, late = np.flatnonzero(moments <= last), np.flatnonzero(moments > last)
    if not len(early) or not len(late):
        raise ValueError(f"no row is later than {last}; use a smaller fraction than {fraction:g}")
    return early, late


@dataclass(frozen=True, repr=False)
class Leaks(Model):
    """What stands on both sides of a split.

    Attributes
    ----------
    ligands, proteins, complexes : names on both sides: of ligands, of (clusters of) proteins, of pairs of these
    rows : rows of the test set whose complex was trained on
    """

    ligands: tuple[Hashable, ...]
    proteins: tuple[Hashable, ...]
    complexes: tuple[tuple[Hashable, Hashable], ...]
    rows: tuple[int, ...]

    @staticmethod
    def of(split: Split, ligands: Sequence[Hashable], proteins: Sequence[Hashable]) -> Leaks:
        """Those of a split of rows with these ligands and proteins.

        Examples
        --------
        >>> Leaks.of((np.array([0, 1]), np.array([2])), ["x", "y", "x"], ["p", "q", "q"]).in_words()
        '1 ligand and 1 protein are on both sides, in no complex together'
        """
        train, test = ([(ligands[k], proteins[k]) for k in np.asarray(side).tolist()] for side in split)
        both = [
            tuple(dict.fromkeys(sorted({x[k] for x in train} & {x[k] for x in test}, key=str)))
            for k in (0, 1)
        ]
        shared = set(train) & set(test)
        rows = tuple(row for row, own in zip(np.asarray(split[1]).tolist(), test) if own in shared)
        return Leaks(both[0], both[1], tuple(sorted(shared, key=str)), rows)

    def in_words(self) -> str:
        """One sentence."""
        if not self.ligands and not self.proteins:
            return "no ligand and no protein is on both sides"
        counted = [
            f"{len(each)} {name}{'s' * (len(each) != 1)}"
            for each, name in ((self.ligands, "ligand"), (self.proteins, "protein"))
            if each
        ]
        are = "is" if len(counted) == 1 and counted[0].startswith("1 ") else "are"
        ending = (
            f"{len(self.rows)} rows of the test are trained on" if self.rows else "in no complex together"
        )
        return f"{' and '.join(counted)} {are} on both sides, {ending}"


@dataclass(frozen=True, eq=False, repr=False)
class SetScores(Model):
    """How well each set is ranked.

    Attributes
    ----------
    sets : their names
    correlations : (sets,) Pearson's R; zero where all predictions are equal
    errors : (sets,) root mean square errors, in the unit of labels
    centered_errors : (sets,) the same, predictions and labels each less their mean over the set
    """

    sets: tuple[Hashable, ...]
    correlations: Float[np.ndarray, " sets"]
    errors: Float[np.ndarray, " sets"]
    centered_errors: Float[np.ndarray, " sets"]

    @staticmethod
    def of(
        predictions: Float[np.ndarray, " rows"],
        labels: Float[np.ndarray, " rows"],
        sets: Sequence[Hashable],
        least: int = 8,
    ) -> SetScores:
        """Scores of sets that have at least so many rows.

        Raises
        ------
        ValueError
            If no set has, or a number is missing.

        Examples
        --------
        >>> x = np.arange(16.0)
        >>> SetScores.of(np.r_[x[:8], -x[:8]], x, ["a"] * 8 + ["b"] * 8).correlations.round(3).tolist()
        [1.0, -1.0]
        """
        if not np.isfinite(predictions).all() or not np.isfinite(labels).all():
            raise ValueError("some predictions or labels are no numbers; leave these rows out")
        names = [name for name in dict.fromkeys(sets) if sum(each == name for each in sets) >= least]
        if not names:
            raise ValueError(f"no set has {least} rows, of which a correlation would say something")
        place = np.array([names.index(each) if each in names else -1 for each in sets])
        rows = [
            _scores(np.asarray(predictions)[place == k], np.asarray(labels)[place == k])
            for k in range(len(names))
        ]
        return SetScores(tuple(names), *np.array(rows).T)

    @property
    def mean(self) -> float:
        """Mean correlation over sets."""
        return float(self.correlations.mean())

    @property
    def spread(self) -> float:
        """Standard error of `mean`, from the scatter over sets."""
        return (
            float(self.correlations.std(ddof=1) / np.sqrt(len(self.sets)))
            if len(self.sets) > 1
            else float("nan")
        )


def _scores(found, labels):
    off = found - labels
    together = np.std(found) * np.std(labels)
    correlation = (
        np.mean((found - found.mean()) * (labels - labels.mean())) / together if together > 1e-12 else 0.0
    )
    return correlation, np.sqrt(np.mean(off**2)), np.std(off)
