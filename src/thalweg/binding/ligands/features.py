"""What is known of a set of molecules before anything is measured of them, as arrays.

Counts of substructures (fingerprints), descriptors of whole molecules and graphs padded to one size. Chemistry is
perceived elsewhere (`thalweg.interop.ligand_features`); here are numbers alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.shapes import Float, Int, Shaped


@dataclass(frozen=True, eq=False)
class PaddedGraphs:
    """Graphs of molecules, hydrogens implied, padded with zeros to the largest.

    Attributes
    ----------
    atoms : (molecules, atoms, atom features)
    bonds : (molecules, bonds, bond features); bonds are directed, each stands twice, its reverse next to it
    ends : (molecules, bonds, 2) the atom that a bond comes from and the one that it goes to
    atom_counts, bond_counts : (molecules,) how many are no padding
    """

    atoms: Float[np.ndarray, "molecules atoms features"]
    bonds: Float[np.ndarray, "molecules bonds kinds"]
    ends: Int[np.ndarray, "molecules bonds 2"]
    atom_counts: Int[np.ndarray, " molecules"]
    bond_counts: Int[np.ndarray, " molecules"]

    def __len__(self) -> int:
        return len(self.atoms)

    def taken(self, indices: Shaped[np.ndarray, " chosen"]) -> PaddedGraphs:
        """Those of some molecules, padded to the largest of these alone."""
        atom_counts, bond_counts = self.atom_counts[indices], self.bond_counts[indices]
        atoms, bonds = int(atom_counts.max(initial=1)), int(bond_counts.max(initial=1))
        return PaddedGraphs(
            self.atoms[indices, :atoms],
            self.bonds[indices, :bonds],
            self.ends[indices, :bonds],
            atom_counts,
            bond_counts,
        )


@dataclass(frozen=True, eq=False)
class LigandFeatures:
    """Molecules as numbers.

    Attributes
    ----------
    counts : (molecules, columns) how often each substructure occurs, by the name of the fingerprint
    descriptors : (molecules, descriptors), all finite
    graphs : graphs, where a network is to read them

    Raises
    ------
    ValueError
        If parts are of different numbers of molecules, or a descriptor is not finite.

    Examples
    --------
    >>> both = LigandFeatures({"morgan": np.array([[1, 0], [2, 1]], np.uint8)}, np.zeros((2, 3)))
    >>> len(both), both.taken(np.array([1])).counts["morgan"].tolist()
    (2, [[2, 1]])
    """

    counts: Mapping[str, Shaped[np.ndarray, "molecules columns"]]
    descriptors: Float[np.ndarray, "molecules descriptors"]
    graphs: PaddedGraphs | None = None

    def __post_init__(self) -> None:
        sizes = {name: len(each) for name, each in self.counts.items()}
        sizes |= {} if self.graphs is None else {"graphs": len(self.graphs)}
        if wrong := {name: size for name, size in sizes.items() if size != len(self.descriptors)}:
            raise ValueError(f"descriptors are of {len(self.descriptors)} molecules, other parts of {wrong}")
        if bad := int((~np.isfinite(self.descriptors)).any(1).sum()):
            raise ValueError(f"descriptors of {bad} molecules are not finite; leave these molecules out")

    def __len__(self) -> int:
        return len(self.descriptors)

    def taken(self, indices: Shaped[np.ndarray, " chosen"]) -> LigandFeatures:
        """Those of the molecules with these indices (or where a mask is true)."""
        indices = np.arange(len(self))[indices]
        graphs = None if self.graphs is None else self.graphs.taken(indices)
        return LigandFeatures(
            {name: each[indices] for name, each in self.counts.items()}, self.descriptors[indices], graphs
        )

    @property
    def table(self) -> Float[np.ndarray, "molecules columns"]:
        """All counts and descriptors side by side, as a forest reads them, in single precision."""
        return np.concatenate(
            [
                *(each.astype(np.float32) for each in self.counts.values()),
                self.descriptors.astype(np.float32),
            ],
            1,
        )


def label_table(labels: Float[np.ndarray, " molecules *tasks"], molecules: int) -> np.ndarray:
    """Labels as ``(molecules, tasks)``, NaN where there is none.

    Raises
    ------
    ValueError
        If they are of another number of molecules, infinite, or a task has fewer than `FEWEST`.
    """
    labels = np.asarray(labels, float).reshape(len(labels), -1)
    if len(labels) != molecules:
        raise ValueError(f"{len(labels)} rows of labels for {molecules} molecules; give one row for each")
    if np.isinf(labels).any():
        raise ValueError("some labels are infinite; leave these out as NaN")
    counts = (~np.isnan(labels)).sum(0)
    if (counts < FEWEST).any():
        task = int(counts.argmin())
        raise ValueError(f"task {task} has {counts[task]} labels; at least {FEWEST} are needed to learn from")
    return labels


def known_labels(
    labels: Float[np.ndarray, "molecules tasks"],
) -> Iterator[tuple[Int[np.ndarray, " _"], Float[np.ndarray, " _"]]]:
    """Of each task the molecules that have a label, and their labels.

    Examples
    --------
    >>> [(known.tolist(), values.tolist()) for known, values in known_labels(np.array([[1.0, np.nan], [2.0, 3.0]]))]
    [([0, 1], [1.0, 2.0]), ([1], [3.0])]
    """
    for values in labels.T:
        known = np.flatnonzero(~np.isnan(values))
        yield known, values[known]


def in_table(
    columns: Sequence[tuple[Int[np.ndarray, " _"], Float[np.ndarray, " _"]]], molecules: int
) -> Float[np.ndarray, "molecules tasks"]:
    """Values of the molecules that have a label, by task, as a table: the inverse of `known_labels`."""
    table = np.full((molecules, len(columns)), np.nan)
    for task, (known, values) in enumerate(columns):
        table[known, task] = values
    return table


FEWEST = 10
"""Labels of a task below which nothing is fitted."""


@dataclass(frozen=True)
class LigandPrediction:
    """What a model says of molecules.

    Attributes
    ----------
    means : (molecules, tasks) expected labels; of classes that are labeled 0 and 1, scores near their probabilities
    deviations : (molecules, tasks) standard deviations that the model claims, to be calibrated
    """

    means: Float[np.ndarray, "molecules tasks"]
    deviations: Float[np.ndarray, "molecules tasks"]
