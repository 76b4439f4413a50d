"""Activity cliffs: molecules that are nearly alike and yet differ by an order of magnitude [vantilborg2022].

Alike are two of which surroundings of atoms (Morgan, two bonds, 1024 bits, Tanimoto), the same of the molecules' bare
graphs (all atoms carbon, all bonds single), or their SMILES (one less the edit distance over the longer length) are.
Needs the extra ``drug`` (rdkit).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thalweg.interop.rdkit.ligand_features import parsed
from thalweg.shapes import Bool, Float


def activity_cliffs(
    smiles: Sequence[str],
    values: Float[np.ndarray, " molecules"],
    similarity: float = 0.9,
    apart: float = 1.0,
) -> Bool[np.ndarray, " molecules"]:
    """Which molecules have a partner at least so alike whose value is further ``apart``, (molecules,).

    Parameters
    ----------
    values : decimal logarithms of potencies
    similarity : least similarity of the two, by one of the three measures
    apart : difference of values above which there is a cliff

    Raises
    ------
    ValueError
        If a SMILES is none, or there is not one value for each.

    Examples
    --------
    >>> activity_cliffs(["CCCCCCCCCCO", "CCCCCCCCCCN", "c1ccccc1"], np.array([6.0, 8.0, 9.0])).tolist()
    [True, True, False]
    """
    if len(values) != len(smiles):
        raise ValueError(f"{len(values)} values for {len(smiles)} molecules; give one for each")
    from rdkit.Chem.Scaffolds.MurckoScaffold import MakeScaffoldGeneric

    molecules = [parsed(each) for each in smiles]
    far = np.triu(np.abs(values[:, None] - values) > apart)
    alike = bit_similarities(molecules) >= similarity
    alike |= bit_similarities([_generic(each, MakeScaffoldGeneric) for each in molecules]) >= similarity
    # edit distances last, of pairs that still matter
    first, second = np.nonzero(far & ~alike)
    near = _edits_at_most([smiles[k] for k in first], [smiles[k] for k in second], 1 - similarity)
    found = far & alike
    found[first[near], second[near]] = True
    return found.any(0) | found.any(1)


def bit_similarities(
    molecules: Sequence, radius: int = 2, bits: int = 1024
) -> Float[np.ndarray, "some some"]:
    """Tanimoto similarities of Morgan bits of RDKit's molecules."""
    from rdkit.Chem import rdFingerprintGenerator

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=radius, fpSize=bits)
    rows = np.stack([generator.GetFingerprintAsNumPy(each) for each in molecules]).astype(np.float32)
    shared = rows @ rows.T
    counts = rows.sum(1)
    either = counts[:, None] + counts - shared
    return np.where(either > 0, shared / np.maximum(either, 1), 0.0)


def _generic(molecule, make):
    """The bare graph; the molecule itself where a valence forbids it."""
    from rdkit import rdBase

    with rdBase.BlockLogs():
        try:
            return make(molecule)
        except ValueError:
            return molecule


def _edits_at_most(first: Sequence[str], second: Sequence[str], fraction: float) -> np.ndarray:
    """Whether edit distances are at most a ``fraction`` of the longer length, all pairs at once, bool.

    Pairs whose letters alone differ too much are sorted out before. ``d(i, j)`` of the first i and j letters is the
    least of ``d(i-1, j) + 1``, ``d(i, j-1) + 1`` and ``d(i-1, j-1)``, plus one there if letters differ.
    """
    found = np.zeros(len(first), bool)
    if not len(first):
        return found
    a, b = _letters(first), _letters(second)
    most = np.floor(fraction * np.maximum(a[1], b[1]) + 1e-9)
    letters = np.unique(a[0])
    bag = sum(np.abs((a[0] == x).sum(1) - (b[0] == x).sum(1)) for x in letters[letters > 0])
    left = np.flatnonzero((np.abs(a[1] - b[1]) <= most) & (bag <= 2 * most))
    if not len(left):
        return found
    x, y, rows, columns = a[0][left], b[0][left], a[1][left], b[1][left]
    before = np.broadcast_to(np.arange(y.shape[1] + 1, dtype=np.int16), (len(left), y.shape[1] + 1)).copy()
    distance = np.where(rows == 0, columns, 0)
    for i in range(1, x.shape[1] + 1):
        after = np.empty_like(before)
        after[:, 0] = i
        through = np.minimum(before[:, :-1] + (x[:, i - 1, None] != y), before[:, 1:] + 1)
        # insertions in a row: a running minimum of d - j
        steps = np.arange(y.shape[1] + 1, dtype=np.int16)
        after[:, 1:] = through
        after = np.minimum.accumulate(after - steps, 1) + steps
        distance = np.where(rows == i, after[np.arange(len(left)), columns], distance)
        before = after.astype(np.int16)
    found[left] = distance <= most[left]
    return found


def _letters(words: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Codes of letters, zeros behind, and lengths."""
    lengths = np.array([len(each) for each in words])
    codes = np.zeros((len(words), lengths.max(initial=1)), np.uint8)
    for row, word in zip(codes, words):
        row[: len(word)] = np.frombuffer(word.encode("ascii", "replace"), np.uint8)
    return codes, lengths
