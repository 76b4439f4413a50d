"""From trajectories on disk to frames of beads, as a study of coarse-graining asks for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array

from thalweg.coarse_graining.bead_frames import BeadFrames, mapped_frames
from thalweg.coarse_graining.interactions.usual_interactions import bead_bonds
from thalweg.coarse_graining.mapping import BeadMapping, ForceMap, held_together
from thalweg.interop.files.evidence_of_files import check_given_once, spacing
from thalweg.interop.files.trajectories import TrajectoryFile, read_topology
from thalweg.machine.reading import UnreadableFile, quietly, reading
from thalweg.shapes import Float, Int
from thalweg.studies.tables.coarse_study import (
    AtomBeads,
    CoarseStudy,
    CoarseTrajectories,
    GivenBeads,
    GroupBeads,
    ResidueBeads,
)
from thalweg.studies.tables.language import StudyError
from thalweg.systems.elements import MASSES, SYMBOLS
from thalweg.systems.topology import Topology
from thalweg.units import thermal_energy

COLUMNS = {"forces": 3, "boxes": 3, "weights": 1}
"""Arrays of an archive besides positions, and their dimensions."""

NEAREST = 0.02
"""Beads that come nearer to each other than this [nm] lie on top of each other."""


@dataclass(frozen=True)
class Mapped:
    """Frames of beads and what the mapping says.

    Attributes
    ----------
    frames : of beads
    bonds : pairs of beads
    dt : time between frames [ps], None where nobody says
    notes : what a careful reader must know
    """

    frames: BeadFrames
    bonds: Int[np.ndarray, "bonds 2"]
    dt: float | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Read:
    """One file: arrays by name, the temperature [K] and the time between frames [ps] where it says."""

    path: Path
    arrays: dict[str, np.ndarray]
    temperature: float | None
    dt: float | None


def mapped_study(
    asked: CoarseStudy, given: CoarseTrajectories, told: Callable[[str, float], None] = lambda *_: None
) -> Mapped:
    """Frames of beads of the trajectories ``given``.

    Raises
    ------
    StudyError, ValueError, FileNotFoundError
        If a file is damaged or of other atoms, temperatures differ, some files have forces and some none, atoms named
        are not there, or beads lie on top of each other.
    """
    paths = asked.files(given)
    check_given_once(paths)
    atoms = None if given.topology is None else read_topology(asked.folder / given.topology)
    files = []
    for k, path in enumerate(paths):
        files.append(_read(path, atoms))
        told(path.name, (k + 1) / len(paths))
    kT = thermal_energy(_one_temperature(files, given))
    dt = _one_spacing(files, given)
    columns = _columns(files)
    lengths = tuple(len(each.arrays["positions"]) for each in files)
    if isinstance(asked.mapping, GivenBeads):
        frames, bonds, notes = *_given(asked.mapping, columns, kT, lengths), ()
    else:
        assert atoms is not None
        mapping = _mapping_of(asked, atoms)
        force_map: ForceMap | str = asked.forces.map
        held = None
        if "forces" in columns and len(columns["positions"]) >= 10:
            held = held_together(columns["positions"], columns.get("boxes"))
        frames = mapped_frames(
            mapping, columns.pop("positions"), kT, lengths=lengths, force_map=force_map, held=held, **columns
        )
        bonds, notes = bead_bonds(mapping, atoms), _mass(mapping, atoms)
    _check_apart(frames, bonds)
    return Mapped(frames, bonds, dt, notes)


def _mapping_of(asked: CoarseStudy, atoms: Topology) -> BeadMapping:
    """Which atoms make a bead.

    Raises
    ------
    StudyError
        If no atom has a name that was given, or one is in two beads.
    """
    kind = asked.mapping
    masses = MASSES[[SYMBOLS.index(each) if each in SYMBOLS else 0 for each in atoms.elements]]
    if isinstance(kind, AtomBeads):
        chosen = [k for k, name in enumerate(atoms.names) if name in kind.names][: kind.first]
        if missing := [name for name in kind.names if name not in atoms.names]:
            raise StudyError(
                f"[mapping] names: no atom is called {', '.join(missing)}; there are {_some(atoms.names)}"
            )
        kinds = _numbered([f"{atoms.residue_names[k]}-{atoms.names[k]}" for k in chosen])
        return BeadMapping.slices(
            chosen, masses, [atoms.label(k) for k in chosen], kinds, [atoms.chains[k] for k in chosen]
        )
    if isinstance(kind, ResidueBeads):
        try:
            found = BeadMapping.per_residue(atoms, masses, None if kind.at == "center of mass" else kind.at)
        except ValueError as error:
            raise StudyError(f"[mapping] at: {error}") from None
        return replace(found, kinds=np.ones(len(found), int)) if kind.alike else found
    if isinstance(kind, GroupBeads):
        groups = [list(each) for each in kind.groups]
        every = [atom for group in groups for atom in group]
        if twice := sorted({atom for atom in every if every.count(atom) > 1}):
            raise StudyError(
                f"[mapping] groups: atoms {_some(twice)} are in two beads, and their mass would count "
                "twice; put each into one"
            )
        names = kind.names or tuple(f"B{k + 1}" for k in range(len(groups)))
        if len(names) != len(groups):
            raise StudyError(f"[mapping] names: {len(names)} for {len(groups)} groups; give one of each")
        return BeadMapping.centers_of_mass(
            groups,
            masses,
            names,
            _numbered(names),
            [atoms.chains[group[0]] if group else 0 for group in groups],
        )
    return BeadMapping.per_molecule(atoms, masses)


def _given(kind: GivenBeads, columns, kT: float, lengths) -> tuple[BeadFrames, np.ndarray]:
    beads = columns["positions"].shape[1]
    names = kind.names or tuple(f"B{k + 1}" for k in range(beads))
    for key, own in (("masses", kind.masses), ("names", names)):
        if len(own) != beads:
            raise StudyError(f"[mapping] {key}: {len(own)} for {beads} beads in the files; give one of each")
    bonds = [[k, k + 1] for k in range(beads - 1)] if kind.bonds is None else kind.bonds
    kinds = np.array(_numbered(names))
    frames = BeadFrames(
        columns["positions"], kT, columns.get("forces"), columns.get("boxes"), columns.get("weights"), lengths,
        kinds, names, np.array(kind.masses),
    )  # fmt: skip
    return frames, np.array(bonds, int).reshape(-1, 2)


def _read(path: Path, atoms: Topology | None) -> _Read:
    if path.suffix != ".npz":
        if atoms is None:
            raise StudyError(
                f"{path}: files of beads are NumPy's .npz with positions (frames, beads, 3) [nm]; give "
                "these, or a topology"
            )
        with quietly():
            file = TrajectoryFile(path, atoms)
            chunks = [(each.positions, each.box) for each in file]
        arrays = {"positions": np.concatenate([x for x, _ in chunks]).astype(float)}
        if chunks and all(box is not None for _, box in chunks):
            arrays["boxes"] = np.concatenate([np.asarray(box, float) for _, box in chunks])
        return _Read(path, arrays, None, None if file.times is None else spacing(file.times))
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there; give the right path")
    with reading(path, "arrays", "write it with numpy.savez"), np.load(path, allow_pickle=False) as archive:
        found = {name: archive[name] for name in archive.files}
    if "positions" not in found:
        raise UnreadableFile(
            f"{path} holds {', '.join(found) or 'nothing'}; it needs positions (frames, atoms, 3) [nm]"
        )
    x = np.asarray(found["positions"], float)
    if x.ndim != 3 or x.shape[2] != 3 or not len(x):
        raise UnreadableFile(f"{path}: positions are {x.shape}; needed is (frames, atoms, 3) [nm]")
    if atoms is not None and x.shape[1] != len(atoms):
        raise UnreadableFile(
            f"{path} has {x.shape[1]} atoms, the topology {len(atoms)}; give that of these frames"
        )
    arrays = {"positions": x} | {key: np.asarray(found[key], float) for key in COLUMNS if key in found}
    return _Read(
        path, arrays, *(float(found[key]) if key in found else None for key in ("temperature", "dt"))
    )


def _one_temperature(files: list[_Read], given: CoarseTrajectories) -> float:
    said = {each.path.name: each.temperature for each in files if each.temperature is not None}
    temperatures = {round(one, 3) for one in said.values()} | (
        set() if given.temperature is None else {round(given.temperature, 3)}
    )
    if not temperatures:
        raise StudyError(
            '[trajectories] misses the key "temperature": free energies of beads are of one temperature; '
            'give such as "300 K"'
        )
    if len(temperatures) > 1:
        kinds = ", ".join(f"{name}: {one:g} K" for name, one in said.items())
        study = "" if given.temperature is None else f"; the study says {given.temperature:g} K"
        raise StudyError(
            f"frames of several temperatures are no one set ({kinds}{study}): the free energy of beads differs between "
            "them; fit each by itself, and try the model on others as [[transfer]]"
        )
    return temperatures.pop()


def _one_spacing(files: list[_Read], given: CoarseTrajectories) -> float | None:
    said = [each.dt for each in files if each.dt is not None]
    if given.dt is not None:
        said = [given.dt, *said]
    if said and max(said) > 1.001 * min(said):
        raise StudyError(
            f"frames are {min(said):g} ps apart in one place and {max(said):g} ps in another; give [trajectories] dt "
            "and files that agree with it"
        )
    return said[0] if said else None


def _columns(files: list[_Read]) -> dict[str, Float[np.ndarray, "frames _ _"]]:
    """Arrays of all files, one after another."""
    found = {}
    for name in ("positions", *COLUMNS):
        having = [name in each.arrays for each in files]
        if not any(having):
            continue
        if not all(having):
            without = next(each.path for each, has in zip(files, having) if not has)
            raise StudyError(f"{without} has no {name}, other files have; give {name} in all or in none")
        found[name] = np.concatenate([each.arrays[name] for each in files])
    return found


def _mass(mapping: BeadMapping, atoms: Topology) -> tuple[str, ...]:
    """Says which share of the mass is in beads."""
    masses = MASSES[[SYMBOLS.index(each) if each in SYMBOLS else 0 for each in atoms.elements]]
    inside = np.zeros(len(atoms), bool)
    inside[coo_array(mapping.weights).col] = True
    share = masses[inside].sum() / masses.sum()
    if share > 1 - 1e-6:
        return ()
    return (
        f"beads hold {100 * share:.0f} % of the mass of the atoms; the {int((~inside).sum())} atoms in none act on "
        "them by their mean force alone. If beads were meant to share all atoms out, name those in [mapping] groups.",
    )


def _check_apart(frames: BeadFrames, bonds: np.ndarray) -> None:
    """Refuse beads that meet: a potential of their distance has no end there."""
    if frames.positions.shape[1] > 500:
        return
    some = frames.positions[:: max(1, len(frames) // 50)]
    apart = np.linalg.norm(some[:, :, None] - some[:, None], axis=-1)
    apart[:, *np.diag_indices(apart.shape[1])] = np.inf
    frame, a, b = np.unravel_index(apart.argmin(), apart.shape)
    if apart[frame, a, b] < NEAREST:
        raise StudyError(
            f"beads {frames.names[a]} and {frames.names[b]} lie on top of each other ({apart[frame, a, b]:.3f} nm "
            "apart); map groups of atoms that stay apart"
        )


def _numbered(names) -> list[int]:
    order = {name: k + 1 for k, name in enumerate(dict.fromkeys(names))}
    return [order[name] for name in names]


def _some(things) -> str:
    each = [str(one) for one in dict.fromkeys(things)]
    return ", ".join(each[:12]) + (", ..." if len(each) > 12 else "")
