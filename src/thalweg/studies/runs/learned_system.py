"""A system that a learned potential holds together: atoms and bonds of a structure file, at the nearest minimum."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from thalweg.dynamics.structure_watch import StructureWatch
from thalweg.interop.files.configurations import read_labeled
from thalweg.studies.evaluating import load_potential
from thalweg.studies.model_dynamics import bound_energy, relaxation, relaxed_frame
from thalweg.studies.tables.language import StudyError
from thalweg.systems.configuration import Configuration
from thalweg.systems.elements import MASSES, SYMBOLS
from thalweg.systems.system import System
from thalweg.systems.topology import Topology, molecules_of
from thalweg.units import Picoseconds

LONGEST_STEP = 0.001
"""Time step beyond which bonds to hydrogen, which nothing constrains here, are not followed [ps]."""


def learned_system(model: Path, start: Path, dt: Picoseconds) -> System:
    """The first frame of the file ``start``, held together by ``model`` and relaxed by it.

    Raises
    ------
    ValueError
        If a file cannot be read, the model does not know an element, or ``dt`` is too long for bonds to hydrogen.
    """
    potential = load_potential(model)
    first = first_frame(start, dt)
    frame, ended = relaxed_frame(potential, first)
    return System(
        topology=topology_of(frame),
        positions=np.asarray(frame.positions),
        masses=MASSES[np.asarray(frame.numbers, int)],
        energy=bound_energy(potential, frame),
        box=frame.box if any(frame.periodic) else None,
        notes=(relaxation(ended),),
    )


def first_frame(start: Path, dt: Picoseconds) -> Configuration:
    """The first frame of the file ``start``, for dynamics with free bonds in steps of ``dt``.

    Raises
    ------
    ValueError
        If there is none, or ``dt`` is too long for bonds to hydrogen.
    """
    frames = read_labeled(start).frames
    if not frames:
        raise StudyError(f"{start} holds no frame to start from")
    first = frames[0].unlabeled
    check_step(dt, [SYMBOLS[z] for z in first.numbers])
    return first


def check_step(dt: Picoseconds, elements: Sequence[str]) -> None:
    """Whether bonds to hydrogen, all free, can be followed in steps of ``dt``.

    Raises
    ------
    StudyError
        If not.
    """
    if dt > LONGEST_STEP and "H" in elements:
        raise StudyError(
            f"[dynamics] dt = {1e3 * dt:g} fs, and bonds to hydrogen are free here; give "
            '"0.5 fs", at most "1 fs"'
        )


def topology_of(frame: Configuration) -> Topology:
    """Atoms called by element and number, bonds of those as near as bonds are, a residue for every molecule.

    Examples
    --------
    >>> waters = np.array([[0, 0, 0], [0.0957, 0, 0], [-0.024, 0.0927, 0]])
    >>> two = Configuration(np.array([8, 1, 1] * 2), np.concatenate([waters, waters + 1.0]))
    >>> topology_of(two).residue_ids, topology_of(two).label(3), len(topology_of(two).bonds)
    ((1, 1, 1, 2, 2, 2), 'MOL2-O4', 4)
    """
    bonds = StructureWatch.of(frame, crystal=False).bonds
    return molecules_of(tuple(SYMBOLS[z] for z in frame.numbers), bonds)
