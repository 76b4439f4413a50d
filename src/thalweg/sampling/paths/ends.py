"""The two ends of a path: the same atoms in the same order, in nearest images, not turned against each other.

A path between ends whose atoms are numbered differently is a path of exchanges that nobody meant, and its barrier is
that of tearing molecules apart. So it is looked for: atoms of one element that end nearly where another of them
started, far from where they started themselves. Whether that is a mistake or the reaction (a methyl group that turns
by a third) no program can know: it is refused with the pairs, and the caller says which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Literal, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from thalweg.labeling.level import formula
from thalweg.shapes import Shaped
from thalweg.systems.configuration import Configuration
from thalweg.systems.elements import SYMBOLS

Order = Literal["check", "match", "given"]
"""Atoms that seem exchanged between the ends: refused with the pairs; put in order; taken as they are given."""

Arrangement = Configuration | Shaped[np.ndarray, "atoms dims"] | Sequence
"""A frame, or positions ``(atoms, dims)`` [nm], or those of one particle ``(dims,)``."""

EXCHANGED = 0.08
"""An atom that moves no further has not changed places with another [nm]."""

SHORTER = 0.25
"""Atoms seem exchanged where another order makes the sum of the squares of all moves less than this part of it."""

NAMED = 12
"""Pairs of atoms that a message lists."""


class Ends(NamedTuple):
    """Both ends, in one frame of reference, and what was done to bring them there."""

    start: Configuration
    end: Configuration
    notes: tuple[str, ...]


def arrangement(given: Arrangement) -> Configuration:
    """What was given as a frame; elements are zero where there are none.

    Raises
    ------
    ValueError
        If positions have a wrong shape or are no numbers.
    """
    if isinstance(given, Configuration):
        frame = given.unlabeled
    else:
        positions = np.asarray(given, float)
        positions = positions[None] if positions.ndim == 1 else positions
        frame = Configuration(np.zeros(len(positions), int), positions)
    positions = np.asarray(frame.positions, float)
    if positions.ndim != 2 or not positions.size or not np.isfinite(positions).all():
        raise ValueError(
            f"positions of shape {positions.shape} must be finite numbers (atoms, dims), or (dims,) of one particle"
        )
    return replace(frame, positions=positions)


def matched_ends(
    start: Arrangement, end: Arrangement, order: Order = "check", fixed: Sequence[int] = ()
) -> Ends:
    """Both ends as a path needs them.

    Parameters
    ----------
    start, end : of the path
    order : what to do where atoms seem exchanged
    fixed : atoms that do not move; with them nothing is turned or shifted

    Raises
    ------
    ValueError
        If atoms, elements or cells differ, atoms are in another order, fixed ones moved, or the ends are the same.

    Examples
    --------
    >>> water = np.array([[0.0, 0, 0], [0.1, 0, 0], [-0.03, 0.095, 0]])
    >>> first = Configuration(np.array([8, 1, 1]), water)
    >>> second = Configuration(np.array([1, 8, 1]), 1.1 * water[[1, 0, 2]])
    >>> matched_ends(first, second)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: 2 atoms of the ends are different elements (0: O and H, 1: H and O); number atoms alike...
    >>> matched_ends(first, second, order="match").end.numbers.tolist()
    [8, 1, 1]
    """
    first, second = arrangement(start), arrangement(end)
    _require_same_atoms(first, second)
    known = bool(np.any(first.numbers))
    notes: list[str] = []
    if known and not np.array_equal(first.numbers, second.numbers):
        if order != "match":
            raise ValueError(_differing(first, second))
        second = _reordered(second, _order_of(first, second))
        notes.append(
            "the end lists its elements in another order; its atoms were numbered as those of the start"
        )
    second = _nearest(first, second, notes)
    second = _aligned(first, second, fixed)
    if known and order != "given":
        second = _in_order(first, second, order, fixed, notes)
    _require_apart(first, second, fixed)
    return Ends(first, second, tuple(notes))


def _aligned(reference: Configuration, frame: Configuration, fixed: Sequence[int] = ()) -> Configuration:
    """A frame shifted and turned onto another as far as that costs nothing: not at all where atoms are fixed or the
    elements are unknown, shifted in a cell, both for a molecule.
    """
    if len(fixed) or not np.any(reference.numbers) or len(reference) == 1:
        return frame
    center = reference.positions.mean(0)
    moved = frame.positions - frame.positions.mean(0)
    if not any(reference.periodic):
        moved = moved @ _rotation_onto(moved, reference.positions - center)
    return replace(frame, positions=moved + center)


def _rotation_onto(
    positions: Shaped[np.ndarray, "atoms 3"], reference: Shaped[np.ndarray, "atoms 3"]
) -> np.ndarray:
    """The proper rotation ``R`` for which ``positions @ R`` is closest to ``reference``, both centered [kabsch1976]."""
    u, _, vt = np.linalg.svd(positions.T @ reference)
    return u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt)) or 1.0]) @ vt


def nearest_images(steps: Shaped[np.ndarray, "*any dims"], frame: Configuration) -> np.ndarray:
    """Displacements to the nearest images in the cell of ``frame``; as they are without one."""
    if frame.box is None or not any(frame.periodic):
        return np.asarray(steps, float)
    box, repeats = np.asarray(frame.box, float), np.asarray(frame.periodic, bool)
    fractions = steps @ np.linalg.inv(box)
    close = (fractions - np.where(repeats, np.round(fractions), 0.0)) @ box
    # in a skewed cell one of the neighboring images may be nearer still
    around = np.array(np.meshgrid(*([-1, 0, 1] if each else [0] for each in repeats))).reshape(3, -1).T @ box
    candidates = close[..., None, :] + around
    best = (candidates**2).sum(-1).argmin(-1)
    return np.take_along_axis(candidates, best[..., None, None], -2)[..., 0, :]


def _require_same_atoms(first: Configuration, second: Configuration) -> None:
    if first.positions.shape != second.positions.shape:
        raise ValueError(
            f"the ends have positions of shapes {first.positions.shape} and {second.positions.shape}; give the same "
            "atoms twice"
        )
    if not np.array_equal(np.sort(first.numbers), np.sort(second.numbers)):
        raise ValueError(f"the ends are {formula(first)} and {formula(second)}; give the same atoms twice")
    cells = [np.zeros((3, 3)) if frame.box is None else np.asarray(frame.box) for frame in (first, second)]
    if tuple(first.periodic) != tuple(second.periodic) or (
        any(first.periodic) and not np.allclose(*cells, atol=1e-6)
    ):
        raise ValueError("the ends are in different cells; a path is in one cell: give both in the same")


def _differing(first: Configuration, second: Configuration) -> str:
    wrong = np.flatnonzero(first.numbers != second.numbers)
    listed = ", ".join(
        f"{k}: {SYMBOLS[first.numbers[k]]} and {SYMBOLS[second.numbers[k]]}" for k in wrong[:NAMED]
    )
    return (
        f"{len(wrong)} atoms of the ends are different elements ({listed}{', ...' if len(wrong) > NAMED else ''}); "
        'number atoms alike, or give order="match" to have it done'
    )


def _nearest(first: Configuration, second: Configuration, notes: list[str]) -> Configuration:
    """The end with every atom in the image nearest to where it started."""
    steps = second.positions - first.positions
    near = nearest_images(steps, first)
    crossed = np.flatnonzero(np.abs(near - steps).max(1) > 1e-9)
    if len(crossed):
        notes.append(
            f"{len(crossed)} atoms of the end were moved by whole cell vectors to the images nearest to the start: "
            f"{', '.join(map(str, crossed[:NAMED]))}{', ...' if len(crossed) > NAMED else ''}"
        )
    return replace(second, positions=first.positions + near)


def _in_order(
    first: Configuration, second: Configuration, order: Order, fixed: Sequence[int], notes: list[str]
) -> Configuration:
    """The end with atoms in the order of the start: refused or done where they seem exchanged."""
    places = _assigned(first, second) if len(fixed) else _order_of(first, second)
    changed = np.flatnonzero(places != np.arange(len(places)))
    ordered = _aligned(first, _nearest(first, _reordered(second, places), []), fixed)
    own, other = (np.linalg.norm(end.positions - first.positions, axis=1) for end in (second, ordered))
    if not len(changed) or own.max() < EXCHANGED or (other**2).sum() > SHORTER * (own**2).sum():
        return second
    if order == "match":
        notes.append(
            f"atoms of the end were numbered as those of the start: {_pairs(first, places, changed)}"
        )
        return ordered
    raise ValueError(
        f"atoms seem to have changed places between the ends: {_pairs(first, places, changed)}; "
        'give order="match" to number them alike, or order="given" if this is the reaction'
    )


def _pairs(first: Configuration, places: np.ndarray, changed: np.ndarray) -> str:
    """Which atom of the end is where which one started."""
    shown = [
        f"{places[k]} ({SYMBOLS[first.numbers[k]]}) ends where {k} started" for k in changed[::-1][:NAMED]
    ]
    return ", ".join(shown) + (", ..." if len(changed) > NAMED else "")


def _assigned(first: Configuration, second: Configuration) -> np.ndarray:
    """For each atom of the start, the atom of its element in the end that makes the squares of all moves least."""
    places = np.arange(len(first))
    for number in np.unique(first.numbers):
        own, theirs = (np.flatnonzero(frame.numbers == number) for frame in (first, second))
        steps = nearest_images(second.positions[theirs][None] - first.positions[own][:, None], first)
        rows, columns = linear_sum_assignment((steps**2).sum(-1))
        places[own[rows]] = theirs[columns]
    return places


def _order_of(first: Configuration, second: Configuration) -> np.ndarray:
    """`_assigned` for ends that may be turned against each other: assign, turn, assign again, until it stays.

    Begun as they are, and from all half turns about the axes of inertia.
    """
    if any(first.periodic):
        return _assigned(first, second)
    own = first.positions - first.positions.mean(0)
    theirs = second.positions - second.positions.mean(0)
    axes = [np.linalg.svd(each)[2] for each in (own, theirs)]
    signs = [np.diag(each) for each in product((1, -1), repeat=3)]
    turns = [np.eye(3), *(turn for s in signs if np.linalg.det(turn := axes[1].T @ s @ axes[0]) > 0)]
    found = [_settled_order(replace(first, positions=own), second, theirs, turn) for turn in turns]
    return min(found, key=lambda each: each[1])[0]


def _settled_order(
    first: Configuration, second: Configuration, theirs: np.ndarray, turn: np.ndarray
) -> tuple[np.ndarray, float]:
    """The order reached from one turn, and the sum of the squares of moves that is left."""
    places = np.full(len(theirs), -1)
    for _ in range(20):
        again = _assigned(first, replace(second, positions=theirs @ turn))
        if np.array_equal(again, places):
            break
        places, turn = again, _rotation_onto(theirs[again], first.positions)
    return places, float(((theirs[places] @ turn - first.positions) ** 2).sum())


def _reordered(frame: Configuration, places: np.ndarray) -> Configuration:
    return replace(frame, numbers=np.asarray(frame.numbers)[places], positions=frame.positions[places])


def _require_apart(first: Configuration, second: Configuration, fixed: Sequence[int]) -> None:
    moves = np.linalg.norm(second.positions - first.positions, axis=1)
    if moves.max() < 1e-6:
        raise ValueError("the ends are the same arrangement; give two different minima")
    moved = [atom for atom in fixed if moves[atom] > 1e-4]
    if moved:
        raise ValueError(
            f"fixed atoms {moved[:NAMED]} are at different places in the ends; give ends in which they agree"
        )
