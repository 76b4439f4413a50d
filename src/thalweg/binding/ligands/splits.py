"""Splits by scaffold: molecules of one framework of rings stay together, so that a test is of new frameworks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


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
