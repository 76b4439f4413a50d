"""How alike ligands are, for a process over series of them: in one pocket, and in any.

Each kernel is a table of all pairs of rows, and rows of one ligand (protomers, flips, poses) are averaged. What a
series alone says is told apart from what holds across series by making the same kernel zero between them.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from thalweg.binding.complexes import CHANNELS, TypedAtoms
from thalweg.binding.ligands.features import LigandFeatures
from thalweg.binding.ligands.kernels import DescriptorScale, minmax_kernel
from thalweg.shapes import Float


def series_kernels(
    features: LigandFeatures,
    atoms: Sequence[TypedAtoms],
    series: Sequence[Hashable],
    ligands: Sequence[Hashable],
    fingerprint: str = "morgan",
) -> dict[str, Float[np.ndarray, "ligands ligands"]]:
    """Kernels between ligands of all series, in order of their appearance.

    Within series: a constant, fingerprint, fields in the pocket, composition and descriptors; across them: fingerprint
    and descriptors. Poses of one series share a frame of coordinates.

    Parameters
    ----------
    features : (rows) counts of the ``fingerprint`` and descriptors
    atoms : (rows) typed atoms in their poses
    series : (rows) name of the set of ligands of one target
    ligands : (rows) name of the ligand, the same for all of its forms

    Raises
    ------
    ValueError
        If lengths differ.
    """
    lengths = {len(features), len(atoms), len(series), len(ligands)}
    if len(lengths) > 1:
        raise ValueError(
            f"features, atoms, series and ligands are of different numbers of rows: {sorted(lengths)}"
        )
    names = list(zip(series, ligands))
    own = [place for place, _ in dict.fromkeys(names)]
    counts = features.counts[fingerprint]
    alike = of_ligands(minmax_kernel(counts, counts), names)
    described = of_ligands(
        linear_kernel(DescriptorScale.of(features.descriptors)(features.descriptors)), names
    )
    made = of_ligands(linear_kernel(np.array([composition(each) for each in atoms])), names)
    return {
        "series": within(np.ones_like(alike), own),
        f"{fingerprint} in series": within(alike, own),
        "field in series": of_ligands(field_kernel(atoms, series), names),
        "composition in series": within(made, own),
        "descriptors in series": within(described, own),
        fingerprint: alike,
        "descriptors": described,
    }


def composition(atoms: TypedAtoms) -> Float[np.ndarray, " 9"]:
    """Numbers of heavy atoms in each channel (all of them in the last), and of bonds that turn.

    Examples
    --------
    >>> carbon = TypedAtoms(np.zeros((1, 3)), np.array([6]), np.eye(8, dtype=bool)[:1], rotatable_bonds=2)
    >>> composition(carbon).tolist()
    [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0]
    """
    assert atoms.channels.shape[1] == len(CHANNELS)
    return np.array([*atoms.channels.sum(0), atoms.rotatable_bonds], float)


def within(
    kernel: Float[np.ndarray, "rows rows"], series: Sequence[Hashable]
) -> Float[np.ndarray, "rows rows"]:
    """A kernel that is zero between ligands of different series.

    Examples
    --------
    >>> within(np.ones((3, 3)), ["a", "a", "b"]).astype(int).tolist()
    [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    """
    names = list(dict.fromkeys(series))
    place = np.array([names.index(each) for each in series])
    return np.where(place[:, None] == place, kernel, 0.0)


def of_ligands(
    kernel: Float[np.ndarray, "rows rows"],
    ligands: Sequence[Hashable],
    weights: Float[np.ndarray, " rows"] | None = None,
) -> Float[np.ndarray, "ligands ligands"]:
    """A kernel between rows as one between ligands, in order of appearance: the mean over their rows.

    Parameters
    ----------
    weights : of rows in that mean, such as those of poses; alike unless given

    Examples
    --------
    >>> of_ligands(np.diag([1.0, 3.0, 5.0]), ["x", "x", "y"]).tolist()
    [[1.0, 0.0], [0.0, 5.0]]
    """
    names = list(dict.fromkeys(ligands))
    share = np.zeros((len(names), len(kernel)))
    place = {name: k for k, name in enumerate(names)}
    share[[place[each] for each in ligands], np.arange(len(kernel))] = 1.0 if weights is None else weights
    share /= share.sum(1, keepdims=True)
    return share @ kernel @ share.T


def linear_kernel(values: Float[np.ndarray, "rows features"]) -> Float[np.ndarray, "rows rows"]:
    """Mean product of features, each less its mean and over its deviation; features that do not vary are left out."""
    spread = values.std(0)
    scaled = (values - values.mean(0))[:, spread > 1e-9] / spread[spread > 1e-9]
    return scaled @ scaled.T / max(scaled.shape[1], 1)


def field_kernel(
    ligands: Sequence[TypedAtoms], series: Sequence[Hashable], width: float = 0.1
) -> Float[np.ndarray, "rows rows"]:
    """How much ligands in one pocket fill the same space with the same channels, one with itself; zero across series.

    Overlap of Gaussians of a ``width`` [nm] about all atoms of each channel, over the geometric mean of both
    self-overlaps: a comparison of molecular fields [cramer1988] without a grid, between poses that share a frame of
    coordinates.

    Examples
    --------
    >>> carbon = TypedAtoms(np.zeros((1, 3)), np.array([6]), np.ones((1, 8), bool))
    >>> field_kernel([carbon, carbon.moved(np.array([[0.2, 0.0, 0.0]]))], ["a", "a"]).round(3).tolist()
    [[1.0, 0.368], [0.368, 1.0]]
    """
    found = np.zeros((len(ligands), len(ligands)))
    for name in dict.fromkeys(series):
        rows = [k for k, each in enumerate(series) if each == name]
        own = [ligands[k] for k in rows]
        positions = np.concatenate([each.positions for each in own])
        channels = np.concatenate([each.channels for each in own]).astype(float)
        starts = np.cumsum([0, *(len(each) for each in own)])[:-1]
        squares = (positions**2).sum(1)[:, None] + (positions**2).sum(1) - 2 * positions @ positions.T
        overlap = np.exp(-np.maximum(squares, 0) / (4 * width**2)) * (channels @ channels.T)
        sums = np.add.reduceat(np.add.reduceat(overlap, starts, 0), starts, 1)
        found[np.ix_(rows, rows)] = sums / np.sqrt(np.outer(np.diag(sums), np.diag(sums)))
    return found
