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
from dataclasses import dataclass, replace
from pathlib import Path

import ase
import ase.db
import ase.io
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_stress

from thalweg.interop.files.ase_formats import readable_format
from thalweg.interop.files.deepmd_folders import is_deepmd, read_deepmd
from thalweg.interop.files.extxyz_frames import frame_count, too_wide, trouble_in
from thalweg.interop.files.file_units import FileUnits
from thalweg.interop.files.label_keys import PLAIN, energy_names, label_keys
from thalweg.learned_potentials.frames.partner_energies import energy_of_forces
from thalweg.machine.reading import UnreadableFile, quietly, reading, what_is_wrong
from thalweg.machine.whole_files import whole
from thalweg.systems.configuration import Configuration
from thalweg.units import ANGSTROM, ELECTRONVOLT, unit

log = logging.getLogger(__name__)

ORIGIN = ("file", "frame in file")
"""What tells where a frame was read; it is not written with it."""

PROPERTIES = {
    "dipole": ANGSTROM,
    "charges": 1.0,
    "polarizability": ANGSTROM**3,
    "shieldings": 1.0,
    "gap": ELECTRONVOLT,
    "ionization_energy": ELECTRONVOLT,
}
"""Further labels by the names they have in files, and their units there: e Å, e, Å^3 (as a volume), ppm, eV, eV."""

OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


@dataclass(frozen=True)
class LabeledFile:
    """What a file of configurations holds.

    Attributes
    ----------
    frames : in order, each with the name of the ``"file"`` and its number there, ``"frame in file"``
    notes : which labels were taken where the file offers several, in sentences
    """

    frames: list[Configuration]
    notes: tuple[str, ...] = ()


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
    """Configurations in a file or DeePMD-kit folder, with the labels there are; see `read_labeled`.

    Examples
    --------
    >>> import tempfile
    >>> water = Configuration(np.array([8, 1, 1]), np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]]), energy=-1.5)
    >>> file = write_configurations(Path(tempfile.mkdtemp()) / "water.xyz", [water])
    >>> read_configurations(file)[0].energy
    -1.5
    """
    found = read_labeled(
        path,
        index,
        energy_key=energy_key,
        forces_key=forces_key,
        stress_key=stress_key,
        virial_key=virial_key,
        units=units,
        format=format,
    )
    for note in found.notes:
        log.warning(note)
    return found.frames


def read_labeled(
    path: str | os.PathLike,
    index: str | int = ":",
    *,
    energy_key: str | None = None,
    forces_key: str | None = None,
    stress_key: str | None = None,
    virial_key: str | None = None,
    units: FileUnits = FileUnits(),  # noqa: B008
    format: str | None = None,
) -> LabeledFile:
    """Configurations in a file or DeePMD-kit folder, with the labels there are and what was chosen among them.

    Parameters
    ----------
    index : which frames, as in ASE: ``":"``, ``"::10"``, ``-1``
    energy_key, forces_key, stress_key, virial_key : names of the labels in the file; looked for unless given
        (`thalweg.interop.files.label_keys`). Of ``energy`` and ``free_energy`` the one is taken that the forces belong
        to; where they do not tell, the latter, which is so by ASE's definition
    units : what the numbers in the file mean
    format : one of ASE's (`thalweg.interop.files.ase_formats`), where the name of the file does not say

    Raises
    ------
    ValueError
        If a label asked for is not there, several names could be meant, a label has another shape than its frame, or
        the format is one whose reader may do more than read.
    UnreadableFile
        If the file is damaged or something else; names frame and line of extended XYZ.
    """
    path = Path(path)
    if is_deepmd(path):
        if units != FileUnits():
            raise ValueError(
                f"{path} is a folder of DeePMD-kit, whose units are Å and eV; leave units as they are"
            )
        with reading(path, "a folder of DeePMD-kit"):
            return LabeledFile(_chosen(read_deepmd(path), index))
    if path.is_dir():
        raise UnreadableFile(f"{path} is a folder without type.raw, so none of DeePMD-kit; give a file in it")
    if not path.exists():
        raise FileNotFoundError(2, "No such file or directory", str(path))
    kind = _kind(path, format)
    with reading(path, f"configurations ({kind})", "correct it, or write extended XYZ"), quietly():
        frames, numbers = _ase_frames(path, index, kind)
    values = [_named_values(atoms) for atoms in frames]
    given = {"energy": energy_key, "forces": forces_key, "stress": stress_key, "virial": virial_key}
    names, notes = _names_of_frames(frames, values, energy_key)
    keys = label_keys(given, names, str(path))
    if frames and not any(keys.values()):
        there = ", ".join(sorted(set().union(*values))) or "positions"
        notes += (f"{path} has no energies, forces or stresses; it has {there}",)
    read = [
        _configuration(
            atoms,
            one,
            keys,
            units.factors,
            _origin(path, number),
            f"frame {k if number is None else number} of {path}",
        )
        for k, (atoms, one, number) in enumerate(zip(frames, values, numbers))
    ]
    if energy_key is None and keys["energy"] and keys["forces"]:
        others = [name for name in energy_names(names) if name != keys["energy"]]
        read, told = _with_energy_of_forces(read, values, keys["energy"], others, units.factors["energy"])
        notes += tuple(f"{path}: {one}" for one in told)
    return LabeledFile(read, notes)


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
    return _configuration(atoms, _named_values(atoms), keys, FileUnits().factors, {}, "these atoms")


def to_atoms(configuration: Configuration) -> ase.Atoms:
    """ASE atoms with the labels there are in a `SinglePointCalculator` [Å, eV outside]."""
    factors = FileUnits().factors
    atoms = ase.Atoms(
        configuration.numbers,
        np.asarray(configuration.positions) / factors["length"],
        cell=None if configuration.box is None else configuration.box / factors["length"],
        pbc=configuration.periodic,
        info={
            key: value for key, value in configuration.info.items() if value is not None and key not in ORIGIN
        },
    )
    labels = {
        kind: getattr(configuration, kind) / factors[kind]
        for kind in ("energy", "forces", "stress")
        if getattr(configuration, kind) is not None
    }
    if "stress" in labels:
        labels["stress"] = full_3x3_to_voigt_6_stress(labels["stress"])
    further = {
        name: np.asarray(value) / PROPERTIES.get(name, 1.0)
        for name, value in configuration.properties.items()
    }
    labels |= {name: further.pop(name) for name in ("dipole", "charges") if name in further}
    for name, value in further.items():
        if value.shape[:1] == (len(atoms),) and name != "polarizability":
            atoms.arrays[name] = value
        else:
            atoms.info[name] = value
    if labels:
        atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms


def _kind(path, format):
    """Format of a file, as ASE calls it."""
    name = path.stem if path.suffix in OPENERS else path.name
    return (
        "extxyz" if format is None and name.endswith((".xyz", ".extxyz")) else readable_format(path, format)
    )


def _ase_frames(path, index, kind):
    """Frames as ASE reads them, and the number of each in the file, None where it is counted from the end.

    Compressed text is unpacked first, as ASE would again for every frame.
    """
    whole_file = isinstance(index, str) and "-" in index
    asked = ":" if whole_file else index
    if kind == "extxyz":
        found = _extended_xyz(path, asked)
    elif kind in ("db", "json"):
        found = _database(path, asked, kind)
    else:
        found = ase.io.read(path.absolute(), asked, format=kind, do_not_split_by_at_sign=True)
    found = found if isinstance(found, list) else [found]
    if whole_file:
        chosen = _chosen(list(range(len(found))), index)
        return [found[k] for k in chosen], chosen
    return found, _numbers_of(index, len(found))


def _numbers_of(index, count):
    """Numbers in the file of ``count`` frames read by ``index``."""
    if isinstance(index, int) or ":" not in index:
        return [int(index) if int(index) >= 0 else None] * count
    start, _, step = (slice(*_parts(index)).indices(2**62)) if index else (0, 0, 1)
    return [start + k * step for k in range(count)]


def _extended_xyz(path, index):
    with OPENERS.get(path.suffix, open)(path, "rt", encoding="utf-8-sig") as file:
        text = file.read()
    if not text.strip():
        return []
    if said := too_wide(text):
        raise UnreadableFile(f"{path}: {said}")
    try:
        found = ase.io.read(io.StringIO(text), index, format="extxyz")
    except Exception as error:
        raise UnreadableFile(f"{path}: {trouble_in(text) or what_is_wrong(error)}") from error
    counted = frame_count(text)
    if index == ":" and counted != len(found) and "VEC1" not in text:
        raise UnreadableFile(
            f"{path}: {trouble_in(text) or f'only {len(found)} of {counted} frames can be read'}"
        )
    return found


def _database(path, index, kind):
    """Rows of an ASE database with all that is kept beside them, in ``key_value_pairs`` and ``data``."""
    with open(path, "rb") as file:
        if kind == "db" and not file.read(16).startswith(b"SQLite format 3"):
            raise UnreadableFile(f"{path} is no database of SQLite; give one that ASE has written")
    with ase.db.connect(path.absolute(), type=kind) as database:
        rows = list(database.select())
    return [row.toatoms(add_additional_information=True) for row in _chosen(rows, index)]


def _chosen(frames, index):
    if isinstance(index, int) or ":" not in index:
        return [frames[int(index)]]
    return frames[slice(*_parts(index))]


def _parts(index):
    return [int(part) if part else None for part in index.split(":")]


def _origin(path, number):
    return {"file": path.name} | ({} if number is None else {"frame in file": number})


def _named_values(atoms):
    """All values of a frame by name: of the frame, of its atoms, and what a calculator has found."""
    values = {key: value for key, value in atoms.info.items() if not isinstance(value, Mapping)}
    for key in ("key_value_pairs", "data"):
        values |= atoms.info.get(key, {})
    values |= {key: value for key, value in atoms.arrays.items() if key not in ("numbers", "positions")}
    if atoms.calc is not None and not atoms.calc.check_state(atoms):
        values |= {key: value for key, value in atoms.calc.results.items() if value is not None}
    return values


def _names_of_frames(frames, values, energy_key):
    """All names but those of energies of single atoms, which are summed where there is no other energy."""
    names = sorted(set().union(*values))
    per_atom = [name for name in energy_names(names) if _is_per_atom(name, frames, values)]
    others = [name for name in energy_names(names) if name not in per_atom]
    if others or not per_atom or energy_key in per_atom:
        return [name for name in names if name not in per_atom or name == energy_key], ()
    return names, (f"energies of frames are the sums of {', '.join(per_atom)}, which stand by atom",)


def _is_per_atom(name, frames, values):
    """Whether a value stands once for every atom wherever there is more than one."""
    sizes = [(np.size(one[name]), len(atoms)) for atoms, one in zip(frames, values) if name in one]
    several = [(size, atoms) for size, atoms in sizes if atoms > 1]
    return bool(several) and all(size == atoms for size, atoms in several)


def _with_energy_of_forces(frames, values, taken, others, factor):
    """``frames`` with the energy that their forces belong to, and what was found, in sentences."""
    told = []
    for other in others:
        both = [
            k
            for k, frame in enumerate(frames)
            if frame.energy is not None and other in values[k] and np.size(values[k][other]) == 1
        ]
        here = np.array([frames[k].energy for k in both])
        there = factor * np.array([float(np.ravel(_numbers(values[k][other], other))[0]) for k in both])
        if not len(both) or (np.ptp(here - there) < 1e-6 * factor and other in PLAIN["energy"]):
            continue
        chosen = [frames[k] for k in both]
        partner = energy_of_forces(chosen, here, there) if np.isfinite(here + there).all() else None
        sure = partner is not None and partner.sure
        changed = partner.balance > 0 if sure else other == "free_energy" and partner is not None
        words = f"of {taken} and {other}, "
        if sure:
            mine, its = (size / unit("meV", "energy") for size in partner.misfits)
            words += (
                f"forces belong to {other if changed else taken} (compared with the forces {taken} is off by "
                f"{mine:.3g} meV per atom, {other} by {its:.3g})"
            )
        else:
            words += f"{other if changed else taken} is taken; the forces do not tell which they belong to"
        told.append(f"{words}; say energy_key to choose")
        if changed:
            frames = list(frames)
            for k, energy in zip(both, there):
                frames[k] = replace(frames[k], energy=float(energy))
            taken = other
    return frames, told


def _configuration(atoms, values, keys, factors, origin, where):
    """A frame of ASE's ``atoms``, whose labels stand under ``keys`` of ``values``, times ``factors``, in our units."""
    strangers = np.flatnonzero(atoms.numbers < 1)
    if len(strangers):
        raise UnreadableFile(f"{where}: atom {strangers[0]} is no element; leave dummy atoms out")
    labels = {kind: _numbers(values[key], f"{where}: {key}") for kind, key in keys.items() if key in values}
    cell = atoms.cell.complete() if atoms.pbc.any() else None
    box = None if cell is None else np.array(cell) * factors["length"]
    if cell is not None and not (atoms.cell.any(1) | ~atoms.pbc).all():
        raise ValueError(
            f"{where} is periodic, but its cell {atoms.cell.tolist()} has no volume; correct the file"
        )
    if "energy" in labels and labels["energy"].size == len(atoms) > 1:
        labels["energy"] = labels["energy"].sum()
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
    properties = _properties(values, len(atoms))
    used = {*keys.values(), *properties}
    return Configuration(
        atoms.numbers.astype(int),
        atoms.positions * factors["length"],
        box,
        (bool(atoms.pbc[0]), bool(atoms.pbc[1]), bool(atoms.pbc[2])),
        float(labels["energy"].reshape(())) * factors["energy"] if "energy" in labels else None,
        labels["forces"].reshape(-1, 3) * factors["forces"] if "forces" in labels else None,
        stress,
        {key: value for key, value in _named_info(atoms).items() if key not in used} | origin,
        properties,
    )


def _properties(values, atoms) -> dict[str, np.ndarray]:
    """Further labels that have the shape they should have; what has another stays as it was."""
    shapes = {"dipole": (3,), "charges": (atoms,), "polarizability": (3, 3), "shieldings": (atoms,)}
    shapes |= {"gap": (), "ionization_energy": ()}
    found = {}
    for name, shape in shapes.items():
        value = np.asarray(values.get(name, ""))
        if value.dtype.kind in "iuf" and value.size == np.prod(shape):
            found[name] = value.astype(float).reshape(shape) * PROPERTIES[name]
    return found


def _named_info(atoms):
    """What else is known of a frame; of a row of a database, its key-value pairs."""
    return {
        key: value for key, value in atoms.info.items() if not isinstance(value, Mapping)
    } | atoms.info.get("key_value_pairs", {})


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
