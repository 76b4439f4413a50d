"""Labels of given frames: the store is a database that grows, set after set, and never pays for a frame twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from thalweg.labeling.level import Level, formula
from thalweg.sampling.campaign import CampaignObserver, drive
from thalweg.sampling.executors import serial
from thalweg.sampling.policy import Task
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.label import (
    LabelFrame,
    StoredLabel,
    asked,
    commit_set,
    frames_of_set,
    label_entry,
)
from thalweg.systems.configuration import Configuration

AT_ONCE = 100
"""Frames of a set, which is a round of the campaign."""

DAY = 86_400.0


@dataclass(frozen=True)
class LabelSets:
    """A round for every set of frames in the store, each asked of the level it was committed for."""

    rounds: int

    def plan(self, store: Store, round: int) -> Sequence[Task]:
        return [Task(name, LabelFrame(_set(round), k)) for k, name in enumerate(_names(store, round))]


@dataclass(frozen=True)
class LabeledFrames:
    """Labels of frames, in their order.

    Attributes
    ----------
    frames : those that have labels, each with what else it had and the name of its level, ``info["level"]``
    failures : reasons by the number of the frame among those given
    bought : how many labels were computed now; the others were there
    provenance : program, version and settings
    """

    frames: list[Configuration]
    failures: dict[int, str]
    bought: int
    provenance: dict[str, str]

    def __str__(self) -> str:
        told = f"{len(self.frames)} frames labeled, {self.bought} of them now"
        if self.failures:
            first = min(self.failures)
            told += f"; {len(self.failures)} failed, frame {first} first: {self.failures[first]}"
        return told


def label(
    frames: Sequence[Configuration],
    level: Level,
    store: Store,
    executor: Callable[[], Executor] = serial,
    observers: Sequence[CampaignObserver] = (),
    days: float = 2.0,
) -> LabeledFrames:
    """Labels of ``frames`` by ``level``, kept in ``store`` and computed only where they are not there yet.

    A kill loses at most the labels in flight; the same call goes on. Frames for which the level fails from every start
    are kept with the reason and not tried again.

    Parameters
    ----------
    executor : where labels are computed, such as ``processes(2)``
    days : refuse what would take longer than this

    Raises
    ------
    ValueError
        If there are no frames, the level cannot be asked about one of them (which is said before any is paid), or all
        would take longer than ``days``.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from thalweg.labeling.known_potential import KnownPotential
    >>> from thalweg.learned_potentials.parametric.pair_terms import morse
    >>> bond = KnownPotential(morse((1,), [400.0], [20.0], [0.074], cutoff=0.5), called="Morse")
    >>> pair = [Configuration(np.array([1, 1]), np.array([[0, 0, 0], [0, 0, x]])) for x in (0.07, 0.08)]
    >>> store = Store(tempfile.mkdtemp())
    >>> print(label(pair, bond, store))
    2 frames labeled, 2 of them now
    >>> print(label(pair[:1], bond, store))
    1 frames labeled, 0 of them now
    """
    frames = list(frames)
    if not frames:
        raise ValueError("there are no frames to label; give at least one")
    plain_frames = [asked(frame) for frame in frames]
    _check(plain_frames, level)
    names = [label_entry(level, frame) for frame in plain_frames]
    missing = {name: frame for name, frame in zip(names, plain_frames) if not store.has(name)}
    _foretell(list(missing.values()), level, executor, days)
    waiting = {name for k in range(len(store.ids("frames"))) for name in _names(store, k)}
    new = [frame for name, frame in missing.items() if name not in waiting]
    for first in range(0, len(new), AT_ONCE):
        commit_set(store, _set(len(store.ids("frames"))), new[first : first + AT_ONCE], level)
    if missing:
        drive(store, LabelSets(len(store.ids("frames"))), executor, observers=observers)
    return _read(store, frames, names, len(missing))


def _read(store, frames, names, bought):
    """Labels under ``names``, with what the frames had."""
    found, failures, provenance = [], {}, {}
    for k, (frame, name) in enumerate(zip(frames, names)):
        stored = StoredLabel.read(store, name)
        provenance = stored.provenance
        if stored.frame is None:
            failures[k] = stored.failed
            continue
        labeled = stored.frame
        info = {**frame.info, "level": stored.level}
        found.append(replace(labeled, info=info))
    return LabeledFrames(found, failures, bought, provenance)


def _set(k: int) -> str:
    return f"frames/{k:05d}"


def _names(store: Store, k: int) -> list[str]:
    frames, level = frames_of_set(store, _set(k))
    return [label_entry(level, frame) for frame in frames]


def _check(frames: Sequence[Configuration], level: Level) -> None:
    """Ask the level about each composition once, and say which frame it cannot be asked about."""
    known = set()
    for k, frame in enumerate(frames):
        kind = (tuple(frame.numbers), tuple(frame.periodic), tuple(sorted(frame.info.items())))
        if kind in known:
            continue
        try:
            level.check(frame)
        except ValueError as error:
            raise ValueError(f"frame {k}: {error}") from None
        known.add(kind)


def _foretell(frames: Sequence[Configuration], level: Level, executor, days: float) -> None:
    """Refuse what would take days on end, with the number."""
    seconds = {}
    for frame in frames:
        kind = tuple(frame.numbers)
        if kind not in seconds:
            seconds[kind] = level.seconds(frame)
    total = sum(seconds[tuple(frame.numbers)] for frame in frames)
    if total <= days * DAY:
        return
    worst = max(frames, key=lambda frame: seconds[tuple(frame.numbers)])
    raise ValueError(
        f"{len(frames)} labels by {level.name} would take about {total / DAY:.3g} days of one core "
        f"({seconds[tuple(worst.numbers)] / 3600:.3g} hours for {formula(worst)}, to a factor of three), and {days:g} "
        "are allowed; take fewer frames, a smaller basis or a cheaper method, or allow more days"
    )
