"""Labeled configurations in the folders of DeePMD-kit [wang2018].

A system is a folder with ``type.raw`` (kind of each atom), ``type_map.raw`` (symbol of each kind), a file ``nopbc``
where nothing is periodic, and ``set.*/{coord,box,energy,force,virial}.npy`` with one row per frame [Å, eV]; where
there are no sets, ``{coord,box,energy,force,virial}.raw`` hold the same rows as text, from which sets are made. The
virial is ``-dU/d(strain)``. Folders of the mixed kind have ``real_atom_types.npy``, -1 for an atom that is not there.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase.data import atomic_numbers

from thalweg.machine.arrays import stored_array
from thalweg.systems.configuration import Configuration
from thalweg.units import unit

POSITION, ENERGY = unit("Å", "length"), unit("eV", "energy")


def is_deepmd(path: Path) -> bool:
    """Whether ``path`` is such a folder, or holds some."""
    return path.is_dir() and next(path.rglob("type.raw"), None) is not None


def read_deepmd(path: Path) -> list[Configuration]:
    """All frames of all systems in and below the folder ``path``, in order of names.

    Raises
    ------
    ValueError
        If elements are not named, an array has not one row per frame, or a system has neither sets nor raw files.
    """
    systems = sorted(file.parent for file in path.rglob("type.raw"))
    return [
        frame
        for system in systems
        for part in sorted(system.glob("set.*")) or [system]
        for frame in _frames(system, part)
    ]


def _frames(system, part):
    """Frames of the folder ``part`` of a ``system``, whose arrays have one flat row per frame, in Å and eV."""
    ending = "raw" if part == system else "npy"
    arrays = {
        name: _rows(part / f"{name}.{ending}")
        for name in ("coord", "box", "energy", "force", "virial", "real_atom_types")
        if (part / f"{name}.{ending}").exists()
    }
    if "coord" not in arrays:
        sets = "" if ending == "npy" else ", and no folder set.000 either"
        raise ValueError(f"{part} has no coord.{ending}{sets}")
    count = len(arrays["coord"])
    for name, array in arrays.items():
        if len(array) != count:
            raise ValueError(
                f"{part} has {count} frames in coord.{ending} but {len(array)} in {name}.{ending}"
            )
    periodic = not (system / "nopbc").exists()
    if periodic and "box" not in arrays:
        raise ValueError(f"{part} has no box.{ending}; add it, or an empty file nopbc in {system}")
    numbers = _numbers_of_kinds(system)
    kinds = arrays.get(
        "real_atom_types", np.tile(np.loadtxt(system / "type.raw", int, ndmin=1).ravel(), (count, 1))
    )
    for k in range(count):
        # mixed systems fill shorter frames up with atoms of kind -1
        there = kinds[k] >= 0
        if kinds[k].max() >= len(numbers):
            raise ValueError(
                f"{system} has atoms of kind {kinds[k].max()}, but type_map.raw names {len(numbers)}"
            )
        box = arrays["box"][k].reshape(3, 3).astype(float) * POSITION if periodic else None
        values = {name: array[k].astype(float) for name, array in arrays.items()}
        # their virial is minus stress times volume
        virial = values["virial"].reshape(3, 3) * ENERGY if periodic and "virial" in arrays else None
        yield Configuration(
            numbers[kinds[k][there]],
            values["coord"].reshape(-1, 3)[there] * POSITION,
            box,
            (periodic, periodic, periodic),
            float(values["energy"].reshape(())) * ENERGY if "energy" in arrays else None,
            values["force"].reshape(-1, 3)[there] * (ENERGY / POSITION) if "force" in arrays else None,
            None if virial is None or box is None else -(virial + virial.T) / 2 / abs(np.linalg.det(box)),
            {"file": system.name if part == system else f"{system.name}/{part.name}", "frame in file": k},
        )


def _rows(file):
    """One row per frame, of an array or of text."""
    if file.suffix == ".npy":
        return stored_array(file)
    rows = np.loadtxt(file, ndmin=2)
    return rows.ravel() if file.stem == "energy" else rows


def _numbers_of_kinds(system):
    if not (system / "type_map.raw").exists():
        raise ValueError(
            f"{system} does not say which elements its kinds are; write them into type_map.raw, one a line"
        )
    symbols = (system / "type_map.raw").read_text().split()
    strangers = sorted(set(symbols) - set(atomic_numbers))
    if strangers:
        raise ValueError(
            f"{system / 'type_map.raw'} names {', '.join(strangers)}; wanted symbols of elements"
        )
    return np.array([atomic_numbers[symbol] for symbol in symbols])
