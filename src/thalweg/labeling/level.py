"""A level of theory: a program with its settings that says what the energy of atoms in space is.

Charge and unpaired electrons belong to the frame where it has them (``info["charge"]``, and ``info["unpaired"]`` or
``info["multiplicity"]``), to the level otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np

from thalweg.learned_potentials.frames.duplicates import contacts
from thalweg.systems.configuration import Configuration
from thalweg.systems.elements import COVALENT_RADII, SYMBOLS

OVERLAP = 0.4
"""Atoms nearer than this multiple of the sum of their covalent radii are on top of each other."""


class LabelFailed(RuntimeError):
    """A level gives no label for one frame: its self-consistent cycle does not converge from any start, say."""


@runtime_checkable
class Level(Protocol):
    """What labels are made by: a frozen dataclass of settings with a public name, so that plans can hold it."""

    @property
    def name(self) -> str:
        """As one writes it: ``"GFN2-xTB"``, ``"PBE0-D3BJ/def2-SVP"``."""
        ...

    def check(self, frame: Configuration) -> None:
        """Whether the level can be asked about ``frame`` at all.

        Raises
        ------
        ValueError
            If not, as for an element that a basis lacks; nothing about other geometries of these atoms would help.
        """
        ...

    def label(self, frame: Configuration) -> Configuration:
        """``frame`` with energy, forces, stress where it has a cell, and the properties of the level.

        Raises
        ------
        LabelFailed
            If the calculation fails for this geometry.
        """
        ...

    def provenance(self) -> Mapping[str, str]:
        """Program, version and settings, in words for the files that hold the labels."""
        ...

    def seconds(self, frame: Configuration) -> float:
        """About how long a label of ``frame`` takes on one core, to a factor of three [s]."""
        ...


def charge_and_unpaired(frame: Configuration, charge: float = 0, unpaired: int = 0) -> tuple[int, int]:
    """Total charge [e] and number of unpaired electrons of a frame, with those of its level where it says nothing.

    Raises
    ------
    ValueError
        If the electrons do not pair as said: an odd number of them needs to be meant.

    Examples
    --------
    >>> water = Configuration(np.array([8, 1, 1]), np.eye(3) * 0.1)
    >>> charge_and_unpaired(water)
    (0, 0)
    >>> charge_and_unpaired(Configuration(np.array([8, 1]), np.eye(3)[:2] * 0.1))
    Traceback (most recent call last):
        ...
    ValueError: HO with charge 0 has 9 electrons, which do not pair; say its charge, or unpaired=1 for a radical
    """
    total = round(_said(frame, "charge", charge))
    spin = round(_said(frame, "unpaired", _said(frame, "multiplicity", unpaired + 1) - 1))
    electrons = int(np.sum(frame.numbers)) - total
    if electrons < 1 or spin > electrons or (electrons - spin) % 2:
        wanted = "unpaired=1 for a radical" if spin == 0 else f"another number than unpaired={spin}"
        raise ValueError(
            f"{formula(frame)} with charge {total} has {electrons} electrons, which do not pair"
            f"{f' with {spin} unpaired' if spin else ''}; say its charge, or {wanted}"
        )
    return total, spin


def _said(frame, what, otherwise):
    """What a frame says of its electrons."""
    value = np.asarray(frame.info.get(what, otherwise))
    if value.size != 1 or value.dtype.kind not in "iuf" or not np.isfinite(value).all():
        raise ValueError(f"{formula(frame)} has {what}={frame.info[what]!r}; give one number")
    return float(value.reshape(()))


def geometry_trouble(frame: Configuration) -> str | None:
    """Why no program should be asked about a geometry: coordinates that are no numbers, atoms on top of each other.

    Examples
    --------
    >>> geometry_trouble(Configuration(np.array([8, 1]), np.array([[0, 0, 0], [0, 0, 0.01]])))
    'atoms 0 (O) and 1 (H) are 0.010 nm apart, on top of each other'
    """
    if not np.isfinite(frame.positions).all():
        return "coordinates are not all finite numbers"
    i, j, distances = contacts(frame, 0.3)
    radii = COVALENT_RADII[np.asarray(frame.numbers)]
    near = distances / (radii[i] + radii[j])
    if not len(near) or near.min() >= OVERLAP:
        return None
    k = int(near.argmin())
    first, second = sorted((int(i[k]), int(j[k])))
    names = [SYMBOLS[frame.numbers[atom]] for atom in (first, second)]
    return f"atoms {first} ({names[0]}) and {second} ({names[1]}) are {distances[k]:.3f} nm apart, on top of each other"


def formula(frame: Configuration) -> str:
    """Chemical formula of a frame, carbon and hydrogen first where there is carbon."""
    symbols = [SYMBOLS[number] for number in frame.numbers]
    first = ["C", "H"] if "C" in symbols else []
    order = [each for each in first if each in symbols] + sorted(set(symbols) - set(first))
    return "".join(each + (str(n) if (n := symbols.count(each)) > 1 else "") for each in order)
