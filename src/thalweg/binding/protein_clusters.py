"""Proteins that are much the same, by the identity of their sequences, and chains of likeness joined to clusters.

Identity is the share of equal residues in the best local alignment without gap opening costs [smith1981], over the
length of the shorter sequence. Two proteins with several chains are as alike as their most alike chains.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from thalweg.shapes import Int

MATCH, MISMATCH, GAP = 1.0, -0.5, -1.0

WORD = 4
"""Sequences that share no word of so many residues are taken to have nothing in common."""


def sequence_identity(first: str, second: str) -> float:
    """Share of equal residues in the best local alignment, over the length of the shorter sequence.

    Examples
    --------
    >>> sequence_identity("MKVLAAGIV", "MKVLGAGIV")
    0.8888888888888888
    >>> sequence_identity("MKVLAAGIV", "MKVLAAIV") > 0.99
    True
    """
    if not first or not second or not _words(first) & _words(second):
        return 0.0
    a, b = np.frombuffer(first.encode(), np.uint8), np.frombuffer(second.encode(), np.uint8)
    # rows by the shorter one; along a row the best way over gaps is a running maximum
    if len(a) > len(b):
        a, b = b, a
    slope = GAP * np.arange(len(b) + 1)
    score, same = np.zeros(len(b) + 1), np.zeros(len(b) + 1, int)
    best, found = 0.0, 0
    for letter in a:
        hit = b == letter
        diagonal = score[:-1] + np.where(hit, MATCH, MISMATCH)
        new, equal = np.zeros(len(b) + 1), np.zeros(len(b) + 1, int)
        down = score[1:] + GAP
        new[1:] = np.maximum(np.maximum(diagonal, down), 0.0)
        equal[1:] = np.where(new[1:] == 0, 0, np.where(diagonal >= down, same[:-1] + hit, same[1:]))
        source = _running_argmax(new - slope)
        new, equal = (new - slope)[source] + slope, equal[source]
        equal[new <= 0], new[new <= 0] = 0, 0.0
        score, same = new, equal
        if (top := int(score.argmax())) and score[top] > best:
            best, found = float(score[top]), int(same[top])
    return found / len(a)


def protein_clusters(
    proteins: Sequence[Sequence[str]], identity: float = 0.4, shortest: int = 40
) -> Int[np.ndarray, " proteins"]:
    """The cluster of each protein, numbered as they appear; those in one cluster are linked by ``identity`` or more.

    Parameters
    ----------
    proteins : sequences of the chains of each
    identity : from which on two proteins are taken to be kin
    shortest : chains below that many residues, such as peptides and tags, do not count unless there are no others

    Raises
    ------
    ValueError
        If a protein has no sequence.

    Examples
    --------
    >>> kinase, other = "MENFQKVEKIGEGTYGVVYKARNKLTGEVVALKKIRLD" * 2, "GSHMWWHPCDESTVRQILAYGNKF" * 3
    >>> protein_clusters([[kinase], [other], [kinase[3:]]]).tolist()
    [0, 1, 0]
    """
    chains = []
    for k, own in enumerate(proteins):
        long = tuple(
            sorted({each for each in own if len(each) >= shortest} or {each for each in own if each})
        )
        if not long:
            raise ValueError(
                f"protein {k} has no sequence; read it from its structure, or give it a cluster by hand"
            )
        chains.append(long)
    kinds = list(dict.fromkeys(chains))
    links = [
        (i, j)
        for i, one in enumerate(kinds)
        for j, other in enumerate(kinds[:i])
        if any(sequence_identity(a, b) >= identity for a in one for b in other)
    ]
    pairs = np.array(links, int).reshape(-1, 2).T
    _, labels = connected_components(
        coo_array((np.ones(pairs.shape[1]), pairs), (len(kinds),) * 2), directed=False
    )
    own = [int(labels[kinds.index(each)]) for each in chains]
    order = {label: k for k, label in enumerate(dict.fromkeys(own))}
    return np.array([order[label] for label in own], int)


def _running_argmax(values):
    """Index of the largest value up to each place."""
    highest = np.maximum.accumulate(values)
    fresh = np.r_[True, values[1:] > highest[:-1]]
    return np.maximum.accumulate(np.where(fresh, np.arange(len(values)), 0))


def _words(sequence):
    return {sequence[k : k + WORD] for k in range(max(len(sequence) - WORD + 1, 1))}
