"""Label tasks: one frame asked of one level of theory, under a name made of both, so that nothing is paid twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from thalweg.labeling.level import LabelFailed, Level
from thalweg.learning.storage import load_tree, save_tree, tree_digest
from thalweg.machine.reading import read_json
from thalweg.sampling.store import Store, write_json
from thalweg.systems.configuration import Configuration

LABEL, CARD, FRAMES, LEVEL = "label.tree", "card.json", "frames.tree", "level.tree"

DECIMALS = {"energy": 6, "forces": 4, "stress": 4, "properties": 9}
"""Decimals of labels, in internal units: a hundred millionth of an electronvolt, ten of these per Å."""

DIGITS = 24
"""Hexadecimal digits of a label's name."""

TOLD = ("charge", "unpaired", "multiplicity")
"""What a frame may say of its electrons."""


@dataclass(frozen=True)
class LabelFrame:
    """Ask the level of a set about one of its frames; where it fails, its reason is left instead of a label.

    Attributes
    ----------
    frames : entry of the set
    number : which of its frames, from zero
    """

    kind: ClassVar[str] = "label"

    frames: str
    number: int

    def __call__(self, store: Store, entry: str) -> None:
        frames, level = frames_of_set(store, self.frames)
        commit_label(store, entry, frames[self.number], level)


def commit_label(store: Store, entry: str, frame: Configuration, level: Level) -> None:
    """Ask ``level`` about ``frame`` and commit what it says, or why it says nothing, as ``entry``."""
    card = {"level": level.name, "made by": dict(level.provenance())}
    try:
        labeled = _kept(level.label(frame))
    except LabelFailed as failure:
        card["failed"] = str(failure)
        store.commit(entry, lambda folder: write_json(folder / CARD, card))
        return

    def write(folder):
        save_tree(folder / LABEL, labeled)
        write_json(folder / CARD, card)

    store.commit(entry, write)


@dataclass(frozen=True)
class StoredLabel:
    """What a level said of a frame.

    Attributes
    ----------
    frame : with labels; None where the level failed
    failed : why; empty where it did not
    level : name of the level
    provenance : program, version and settings
    """

    frame: Configuration | None
    failed: str
    level: str
    provenance: dict[str, str]

    @staticmethod
    def read(store: Store, entry: str) -> StoredLabel:
        """A committed one, checked against its digest."""
        card = read_json(store.file(entry, CARD), "what a label says of itself")
        failed = card.get("failed", "")
        frame = None if failed else load_tree(store.file(entry, LABEL))
        return StoredLabel(frame, failed, card["level"], card["made by"])


def label_entry(level: Level, frame: Configuration) -> str:
    """The entry of the label of ``frame`` by ``level``: the same for the same atoms, places, cell, electrons, settings.

    Places are numbers in 64 bits, so that a frame that was moved or rounded counts as another.
    """
    return f"labels/{tree_digest((level, asked(frame)))[:DIGITS]}"


def frames_of_set(store: Store, entry: str) -> tuple[list[Configuration], Level]:
    """The frames of a set, without labels, and the level that they are for."""
    kept = load_tree(store.file(entry, FRAMES))
    ends = np.cumsum(kept["atoms"])[:-1]
    parts = (np.split(kept[name], ends) for name in ("numbers", "positions"))
    frames = [
        asked(Configuration(numbers, positions, None if box is None else np.array(box), periodic, info=info))
        for numbers, positions, (box, periodic, info) in zip(*parts, kept["cells"], strict=True)
    ]
    return frames, load_tree(store.file(entry, LEVEL))


def commit_set(store: Store, entry: str, frames: Sequence[Configuration], level: Level) -> None:
    """Commit a set of frames that are to be asked of ``level``."""
    plain = [asked(frame) for frame in frames]
    kept = {
        "atoms": np.array([len(frame) for frame in plain]),
        "numbers": np.concatenate([frame.numbers for frame in plain]),
        "positions": np.concatenate([frame.positions for frame in plain]),
        "cells": [
            (None if frame.box is None else frame.box.tolist(), frame.periodic, dict(frame.info))
            for frame in plain
        ],
    }

    def write(folder):
        save_tree(folder / FRAMES, kept)
        save_tree(folder / LEVEL, level)

    store.commit(entry, write)


def asked(frame: Configuration) -> Configuration:
    """A frame as a level is asked about it: without labels, and with nothing else but what concerns its electrons."""
    info = {key: float(np.asarray(frame.info[key])) for key in TOLD if key in frame.info}
    box = None if frame.box is None else np.array(frame.box, float)
    periodic = (bool(frame.periodic[0]), bool(frame.periodic[1]), bool(frame.periodic[2]))
    return Configuration(
        np.array(frame.numbers, int), np.array(frame.positions, float), box, periodic, info=info
    )


def _kept(labeled: Configuration) -> Configuration:
    """Labels to the digits that a program repeats when it is asked again, so that equal campaigns leave equal bytes."""
    assert labeled.energy is not None
    assert labeled.forces is not None
    return replace(
        labeled,
        energy=round(float(labeled.energy), DECIMALS["energy"]),
        forces=_rounded(labeled.forces, "forces"),
        stress=None if labeled.stress is None else _rounded(labeled.stress, "stress"),
        properties={name: _rounded(value, "properties") for name, value in labeled.properties.items()},
    )


def _rounded(values, kind) -> np.ndarray:
    """With no zero of negative sign."""
    return np.asarray(np.round(np.array(values, float), DECIMALS[kind]) + 0.0)
