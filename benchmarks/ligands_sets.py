"""Public sets of measured molecules, and the split of MoleculeACE's by its published recipe [vantilborg2022]."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np

from thalweg.interop.rdkit.activity_cliffs import activity_cliffs, bit_similarities
from thalweg.interop.rdkit.ligand_features import parsed

RECIPE_SEED = 42
"""Of clusters and draws in MoleculeACE."""


def read_set(file: Path) -> tuple[list[str], np.ndarray]:
    """SMILES in the first column, labels (molecules, tasks) in the others, NaN where a cell is empty."""
    with gzip.open(file, "rt") as lines:
        rows = list(csv.reader(lines))[1:]
    labels = np.array([[float(cell) if cell else np.nan for cell in row[1:]] for row in rows])
    return [row[0] for row in rows], labels


def read_cliffs(file: Path) -> tuple[list[str], np.ndarray]:
    """SMILES and minus the decimal logarithm of potency in nM, without stereoisomers and where there is a potency."""
    with gzip.open(file, "rt") as lines:
        table = list(csv.DictReader(lines))
    rows = [
        row for row in table if row["exp_mean [nM]"] and not any(x in row["smiles"] for x in ("[Se]", "[te]"))
    ]
    smiles = [row["smiles"] for row in rows]
    same = bit_similarities([parsed(each) for each in smiles], radius=4, bits=4096) == 1
    np.fill_diagonal(same, False)
    kept = np.flatnonzero(~same.any(0))
    return [smiles[k] for k in kept], -np.log10([float(rows[k]["exp_mean [nM]"]) for k in kept])


def cliffs_and_split(smiles: list[str], values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whether molecules are on a cliff, indices to train on, and those to test.

    Clusters of similar molecules are split 80 to 20, cliffs evenly. As in the recipe, logarithms enter by their size,
    so that 0.5 nM counts as 2 nM when cliffs are looked for.
    """
    from sklearn.cluster import SpectralClustering
    from sklearn.model_selection import train_test_split

    cliffs = activity_cliffs(smiles, np.abs(values))
    alike = bit_similarities([parsed(each) for each in smiles]).astype(float)
    np.fill_diagonal(alike, 0)
    clusters = SpectralClustering(5, random_state=RECIPE_SEED, affinity="precomputed").fit(alike).labels_
    train, test = [], []
    for cluster in range(5):
        own = np.flatnonzero(clusters == cluster)
        evenly = cliffs[own].astype(int) if cliffs[own].sum() > 2 else None
        taught, tested = train_test_split(own, test_size=0.2, random_state=RECIPE_SEED, stratify=evenly)
        train.extend(taught)
        test.extend(tested)
    return cliffs, np.sort(train), np.sort(test)
