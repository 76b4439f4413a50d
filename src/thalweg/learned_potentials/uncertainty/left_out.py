"""Errors of forces in training frames, by terms that were not taught them.

A least-squares problem knows what its settings make of all but a part of its frames (`FitInfo.crossed`), and so does a
committee of such: each member says of a frame what it says, or would say, without it, and where members disagree
[seung1992] is told as it is of new frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from thalweg.learned_potentials.terms.learner import Crossed, FitInfo
from thalweg.learned_potentials.terms.term import Uncertain
from thalweg.learned_potentials.uncertainty.committee import force_disagreement
from thalweg.learning.splits import random_split
from thalweg.systems.configuration import Configuration

_ByFrame = dict[int, np.ndarray]
"""(atoms, 3) by frame [kJ/mol/nm]."""


class LeftOut(NamedTuple):
    """Frames, and the errors of their forces and deviations claimed by terms that were not taught them."""

    frames: Sequence[Configuration] = ()
    errors: Sequence[np.ndarray] = ()
    deviations: Sequence[np.ndarray] = ()


def left_out_forces(
    info: FitInfo, configurations: Sequence[Configuration], most: int, seed: int = 0
) -> LeftOut:
    """Errors, and deviations claimed, of the forces in at most ``most`` random ones of the frames fitted to.

    Parameters
    ----------
    info : of a fit to ``configurations``
    configurations : with labels as the learner had them

    Returns
    -------
    Nothing where the learner does not know without a second fit.
    """
    labeled = [k for k, frame in enumerate(configurations) if frame.forces is not None]
    if not labeled or not _can_leave_out(info):
        return LeftOut()
    picked = random_split(len(labeled), [min(most, len(labeled))], seed)[0]
    chosen = np.sort(np.array(labeled)[picked])
    frames = [configurations[k] for k in chosen]
    if info.crossed is not None:
        crossed = info.crossed()
        members, claimed = [_forces(crossed, frames, chosen)], _deviations(crossed, frames, chosen)
    else:
        members = [_forces(member.crossed(), frames, chosen) for member in info.members]
        claimed = {k: force_disagreement([each[k] for each in members]) for k in _of_all(members)}
    both = [k for k in _of_all(members) if k in claimed]
    errors = [np.mean([each[k] for each in members], 0) - frames[k].forces for k in both]
    return LeftOut([frames[k] for k in both], errors, [claimed[k] for k in both])


def _can_leave_out(info: FitInfo) -> bool:
    """Whether the learner knows what it would have made of fewer frames."""
    return info.crossed is not None or (
        len(info.members) > 1 and all(member.crossed is not None for member in info.members)
    )


def _of_all(members: Sequence[_ByFrame]) -> list[int]:
    """Frames of which all members say something."""
    return sorted(set.intersection(*(set(each) for each in members)))


def _forces(crossed: Crossed, frames: Sequence[Configuration], chosen: np.ndarray) -> _ByFrame:
    """What is said of the ``frames``, of the numbers ``chosen``, by the term not taught it."""
    said: _ByFrame = {}
    for term, own in crossed:
        forces = term.evaluate(frames).forces  # of all of them: one shape, compiled once
        for k in np.flatnonzero(np.isin(chosen, own)).tolist():
            said[k] = np.asarray(forces[k], float)
    return said


def _deviations(crossed: Crossed, frames: Sequence[Configuration], chosen: np.ndarray) -> _ByFrame:
    """The same of deviations claimed, which cost more."""
    claimed: _ByFrame = {}
    for term, own in crossed:
        mine = np.flatnonzero(np.isin(chosen, own)).tolist()
        if mine and isinstance(term, Uncertain):
            for k, deviations in zip(mine, term.spread([frames[k] for k in mine]).forces):
                claimed[k] = deviations
    return claimed
