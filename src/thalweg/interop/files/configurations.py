"""Labeled configurations from and to files and ASE: the border where eV and Å become kJ/mol and nm.

Whatever ASE reads is read through ASE (extended XYZ, ASE databases, VASP, ORCA, ...), folders of DeePMD-kit by
`deepmd_folders`. Labels that are missing stay missing. Stress is ``dU/d(strain)`` over volume, positive
under tension as in ASE; a virial is ``-dU/d(strain)`` and is divided by ``-volume``.
"""

from __future__ import annotations

import bz2
import gzip
import io
import logging
import lzma
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import ase
import ase.io
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_stress

from thalweg.interop.files.ase_formats import readable_format
from thalweg.interop.files.deepmd_folders import is_deepmd, read_deepmd
from thalweg.interop.files.file_units import FileUnits
from thalweg.interop.files.label_keys import label_key
from thalweg.machine.whole_files import whole
from thalweg.systems.configuration import Configuration

log = logging.getLogger(__name__)

OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def read_configurations(
    path: str | os.PathLike,
    index: str | int = ":",
    *,
    energy_key: str | None = None,
    forces_key: str | None = None,
    stress_key: str | None = None,
    virial_key: str | None = None,
    units: FileUnits = FileUnits(),  # noqa: B008
    format: str | None = None,
) -> list[Configuration]:
    """Configurations in a file or DeePMD-kit folder, with the labels there are.

    Parameters
    ----------
    index : which frames, as in ASE: ``":"``, ``"::10"``, ``-1``
    energy_key, forces_key, stress_key, virial_key : names of the labels in the file; looked for unless given
        (`thalweg.interop.files.label_keys`). For metals with smeared occupations, forces belong to ``"free_energy"``
    units : what the numbers in the file mean
    format : one of ASE's (`thalweg.interop.files.ase_formats`), where the name of the file does not say

    Raises
    ------
    ValueError
        If a label asked for is not there, several names could be meant, a label has another shape than its frame, or
        the format is one whose reader may do more than read.

    Examples
    --------
    >>> import tempfile
    >>> water = Configuration(np.array([8, 1, 1]), np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]]), energy=-1.5)
    >>> file = write_configurations(Path(tempfile.mkdtemp()) / "water.xyz", [water])
    >>> read_configurations(file)[0].energy
    -1.5
    """
    path = Path(path)
    if is_deepmd(path):
        if units != FileUnits():
            raise ValueError(
                f"{path} is a folder of DeePMD-kit, whose units are Å and eV; leave units as they are"
            )
        return _chosen(read_deepmd(path), index)
    frames = _ase_frames(path, index, format)
    names = set().union(*(_named_values(atoms) for atoms in frames))
    given = {"energy": energy_key, "forces": forces_key, "stress": stress_key, "virial": virial_key}
    keys = {kind: label_key(kind, key, sorted(names), str(path)) for kind, key in given.items()}
    if frames and not any(keys.values()):
        log.warning(
            "%s has no energies, forces or stresses; it has %s", path, ", ".join(sorted(names)) or "positions"
        )
    factors = units.factors
    return [
        _configuration(atoms, keys, factors, {"file": path.name}, f"frame {k} of {path}")
        for k, atoms in enumerate(frames)
    ]


def write_configurations(path: str | os.PathLike, configurations: Sequence[Configuration]) -> Path:
    """Write extended XYZ [Å, eV] under another name, then rename it; compressed for .gz, .bz2 and .xz."""
    path = Path(path)
    text = io.StringIO()
    ase.io.write(text, [to_atoms(frame) for frame in configurations], format="extxyz")
    with whole(path) as draft, OPENERS.get(path.suffix, open)(draft, "wt", encoding="utf-8") as file:
        file.write(text.getvalue())
    return path


def from_atoms(atoms: ase.Atoms) -> Configuration:
    """A configuration of ``atoms``, labeled with what their calculator has computed [Å, eV outside]."""
    keys = {"energy": "energy", "forces": "forces", "stress": "stress", "virial": None}
    return _configuration(atoms, keys, FileUnits().factors, {}, "these atoms")


def to_atoms(configuration: Configuration) -> ase.Atoms:
    """ASE atoms with the labels there are in a `SinglePointCalculator` [Å, eV outside]."""
    factors = FileUnits().factors
    atoms = ase.Atoms(
        configuration.numbers,
        np.asarray(configuration.positions) / factors["length"],
        cell=None if configuration.box is None else configuration.box / factors["length"],
        pbc=configuration.periodic,
        info={key: value for key, value in configuration.info.items() if value is not None},
    )
    labels = {
        kind: getattr(configuration, kind) / factors[kind]
        for kind in ("energy", "forces", "stress")
        if getattr(configuration, kind) is not None
    }
    if "stress" in labels:
        labels["stress"] = full_3x3_to_voigt_6_stress(labels["stress"])
    if labels:
        atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms


def _ase_frames(path, index, format):
    """Frames as ASE reads them; compressed text is unpacked first, as ASE would again for every frame."""
    if format is None and (path.stem if path.suffix in OPENERS else path.name).endswith((".xyz", ".extxyz")):
        kind = "extxyz"
    else:
        kind = readable_format(path, format)
    if kind == "extxyz":
        with OPENERS.get(path.suffix, open)(path, "rt", encoding="utf-8") as file:
            text = file.read()
        found = ase.io.read(io.StringIO(text), index, format="extxyz") if text.strip() else []
    else:
        found = ase.io.read(path.absolute(), index, format=kind, do_not_split_by_at_sign=True)
    return found if isinstance(found, list) else [found]


def _chosen(frames, index):
    if isinstance(index, int):
        return [frames[index]]
    parts = [int(part) if part else None for part in index.split(":")]
    return frames[slice(*parts)] if len(parts) > 1 else [frames[parts[0]]]


def _named_values(atoms):
    """All values of a frame by name: of the frame, of its atoms, and what a calculator has found."""
    values = {key: value for key, value in atoms.info.items() if not isinstance(value, Mapping)}
    for key in ("key_value_pairs", "data"):
        values |= atoms.info.get(key, {})
    values |= {key: value for key, value in atoms.arrays.items() if key not in ("numbers", "positions")}
    if atoms.calc is not None and not atoms.calc.check_state(atoms):
        values |= {key: value for key, value in atoms.calc.results.items() if value is not None}
    return values


def _configuration(atoms, keys, factors, origin, where):
    """A frame of ASE's ``atoms``, whose labels stand under ``keys`` and are multiplied by ``factors``, in our units."""
    values = _named_values(atoms)
    labels = {kind: _numbers(values[key], f"{where}: {key}") for kind, key in keys.items() if key in values}
    cell = atoms.cell.complete() if atoms.pbc.any() else None
    box = None if cell is None else np.array(cell) * factors["length"]
    if cell is not None and not (atoms.cell.any(1) | ~atoms.pbc).all():
        raise ValueError(
            f"{where} is periodic, but its cell {atoms.cell.tolist()} has no volume; correct the file"
        )
    for kind, wanted in (
        ("energy", {1}),
        ("forces", {3 * len(atoms)}),
        ("stress", {6, 9}),
        ("virial", {6, 9}),
    ):
        if kind in labels and labels[kind].size not in wanted:
            raise ValueError(f"{where}: {keys[kind]} has shape {labels[kind].shape}; wanted {wanted} numbers")
    # a virial is minus stress times volume
    stress = None
    if "stress" in labels:
        stress = _tensor(labels["stress"]) * factors["stress"]
    elif "virial" in labels and box is not None:
        stress = -_tensor(labels["virial"]) * factors["virial"] / abs(np.linalg.det(box))
    used = set(keys.values())
    return Configuration(
        atoms.numbers.astype(int),
        atoms.positions * factors["length"],
        box,
        (bool(atoms.pbc[0]), bool(atoms.pbc[1]), bool(atoms.pbc[2])),
        float(labels["energy"].reshape(())) * factors["energy"] if "energy" in labels else None,
        labels["forces"].reshape(-1, 3) * factors["forces"] if "forces" in labels else None,
        stress,
        origin | {key: value for key, value in atoms.info.items() if key not in used},
    )


def _numbers(value, where):
    try:
        return np.asarray(value, float)
    except (TypeError, ValueError):
        raise ValueError(f"{where} is {value!r}; wanted numbers") from None


def _tensor(numbers):
    """A symmetric (3, 3) tensor of 9 numbers or of 6 in the order of Voigt."""
    if numbers.size == 6:
        return voigt_6_to_full_3x3_stress(numbers.ravel())
    square = numbers.reshape(3, 3)
    return (square + square.T) / 2
