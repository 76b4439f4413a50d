"""The card of a model: what it is, what it was taught, and how well; it travels in the same file.

A card is a dictionary of plain values, so that it can be shown, searched and saved as text:

==============  ===============================================================================================
``recipe``      the settings it was fitted with, in words
``elements``    atomic numbers it knows
``cutoff``      how far an atom sees [nm]; None where it sees everything
``units``       of positions and energies
``training``    number of frames, atoms and labels, and a hash of them that does not depend on their order
``validation``  the same for the frames held out
``errors``      on both sets, in internal units
``weights``     how much each kind of label counted
``undecided``   directions in energies per element that no training energy decides, if there are any, see
                `frames.reference_energies`
``seed``, ``versions``, ``date``
==============  ===============================================================================================
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version

import numpy as np

from thalweg import __version__
from thalweg.learned_potentials.frames.errors import SHOWN, Errors
from thalweg.learned_potentials.terms.term import Weights
from thalweg.systems.configuration import Configuration, elements_of
from thalweg.systems.elements import SYMBOLS

UNITS = {"length": "nm", "energy": "kJ/mol", "forces": "kJ/mol/nm", "stress": "kJ/mol/nm^3"}


def model_card(
    *,
    recipe: str,
    cutoff: float | None,
    training: Sequence[Configuration],
    validation: Sequence[Configuration],
    errors: Mapping[str, Errors],
    weights: Weights,
    seed: int,
) -> dict[str, object]:
    """The card of a model fitted now; ``errors`` by name of the set."""
    return {
        "recipe": recipe,
        "elements": list(elements_of([*training, *validation])),
        "cutoff": cutoff,
        "units": dict(UNITS),
        "training": _contents(training),
        "validation": _contents(validation),
        "errors": {name: asdict(each) for name, each in errors.items()},
        "weights": asdict(weights),
        "seed": seed,
        "versions": {
            "thalweg": __version__,
            "python": platform.python_version(),
            **{package: version(package) for package in ("jax", "equinox", "numpy", "scipy")},
        },
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def card_text(card: Mapping[str, object]) -> str:
    """A card to be read: one line for each entry, errors in meV, meV/Å and GPa.

    Examples
    --------
    >>> print(card_text({"elements": [1, 8], "cutoff": 0.5, "errors": {}}))
    elements    H, O
    cutoff      0.5 nm
    """
    lines = []
    for name, value in card.items():
        if name == "errors":
            for where, each in value.items():
                lines += [
                    f"{where:<11} {label}: MAE {each[key]['mae'] / one:.3f}, RMSE {each[key]['rmse'] / one:.3f} {unit}"
                    for label, (unit, one) in SHOWN.items()
                    if each[key := label.replace(" ", "_")] is not None
                ]
            continue
        if name == "undecided":
            value = "energies of compositions other than those taught, and multiples of them"
        elif name == "elements":
            value = ", ".join(SYMBOLS[z] for z in value)
        elif name == "cutoff":
            value = "none" if value is None else f"{value:g} nm"
        elif isinstance(value, Mapping):
            value = ", ".join(f"{key} {each}" for key, each in value.items())
        lines.append(f"{name:<11} {value}")
    return "\n".join(lines)


def _contents(configurations: Sequence[Configuration]) -> dict[str, object]:
    """How many frames, atoms and labels there are, and their hash."""
    return {
        "hash": content_hash(configurations),
        "frames": len(configurations),
        "atoms": sum(len(frame) for frame in configurations),
        "energies": sum(frame.energy is not None for frame in configurations),
        "forces": sum(len(frame) for frame in configurations if frame.forces is not None),
        "stresses": sum(frame.stress is not None for frame in configurations),
    }


def content_hash(configurations: Sequence[Configuration]) -> str:
    """SHA-256 of geometries and labels, the same in whatever order the frames are.

    Examples
    --------
    >>> a, b = (Configuration(np.array([z]), np.zeros((1, 3))) for z in (1, 2))
    >>> content_hash([a, b]) == content_hash([b, a]) != content_hash([a])
    True
    """
    return hashlib.sha256(b"".join(sorted(_digest(frame) for frame in configurations))).hexdigest()


def _digest(frame):
    digest = hashlib.sha256(np.asarray(frame.numbers, "<i4").tobytes())
    digest.update(np.asarray(frame.periodic, "?").tobytes())
    for name in ("positions", "box", "energy", "forces", "stress"):
        value = getattr(frame, name)
        digest.update(name.encode() + (b"" if value is None else np.asarray(value, "<f8").tobytes()))
    return digest.digest()
