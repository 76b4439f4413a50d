"""Labels: what keeping them costs beside a bare loop over the same program, and forces against their energies.

Frames are made here: ethanol along normal modes and dynamics by GFN2-xTB. The peer is tblite's own calculator for ASE,
called frame by frame in the same process. Times are processor time of one thread.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np

from thalweg.interop.files.configurations import to_atoms
from thalweg.interop.quantum.levels import level_of
from thalweg.interop.rdkit.conformers import conformers
from thalweg.labeling.geometries.dynamics import dynamics_frames
from thalweg.labeling.geometries.normal_modes import normal_modes
from thalweg.labeling.geometries.relaxation import nearest_minimum
from thalweg.labeling.level import Level
from thalweg.report.benchmark import Row
from thalweg.sampling.policies.label_frames import label
from thalweg.sampling.store import Store
from thalweg.systems.configuration import Configuration
from thalweg.units import unit

FRAMES = 1000
"""As many labels as the command makes when nothing is set."""

LEVELS = (
    "gfn2",
    "HF/def2-SVP",
    "PBE0/def2-SVP",
    "B3LYP-D3BJ/def2-SVP in water",
    "MP2/cc-pVDZ",
    "CCSD(T)/cc-pVDZ",
)

MEV_PER_ANGSTROM = unit("meV/Å", "force")


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """A campaign of labels beside a bare loop, and forces of each level; ``quick`` takes few frames and levels."""
    del data
    return {
        "campaign": lambda: campaign(60 if quick else FRAMES),
        "forces": lambda: forces(LEVELS[:2] if quick else LEVELS),
    }


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def campaign(count: int) -> Iterator[Row]:
    """``count`` labels of ethanol, kept one by one, beside tblite called in a loop."""
    from tblite.ase import TBLite

    frames, level = ethanol(count), level_of("gfn2")
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        ours, labeled = _timed(lambda: label(frames, level, store))
        again, second = _timed(lambda: label(frames, level, store))
    peer, theirs = _timed(
        lambda: [_by_ase(TBLite(method="GFN2-xTB", verbosity=0), frame) for frame in frames]
    )
    apart = max(
        np.abs(frame.forces - force).max() for frame, force in zip(labeled.frames, theirs, strict=True)
    )
    name = f"tblite {version('tblite')} by ASE"
    test = f"ethanol, GFN2-xTB, {count} labels"
    yield Row(f"{test}: kept", ours, "CPU s", peer=name, peer_value=peer, ratio=peer / ours)
    yield Row(f"{test}: asked again", again, "CPU s", target="0 bought", met=second.bought == 0)
    yield Row(f"{test}: without one", len(labeled.failures), "", target="0", met=not labeled.failures)
    worst = apart / MEV_PER_ANGSTROM
    yield Row(f"{test}: forces apart at most", worst, "meV/Å", target="<= 0.1", met=worst <= 0.1, peer=name)


def forces(levels: tuple[str, ...]) -> Iterator[Row]:
    """Largest difference between a force of a bent water molecule and the slope of its energies."""
    water = nearest_minimum(conformers("O")[0], level_of("gfn2"))
    moved = replace(
        water,
        positions=water.positions + 0.004 * np.random.default_rng(0).normal(size=(3, 3)),
        energy=None,
        forces=None,
        properties={},
    )
    for name in levels:
        level = level_of(name)
        if name == "gfn2":
            level = replace(level, accuracy=0.01)
        seconds, labeled = _timed(lambda level=level: level.label(moved))
        worst = (
            max(abs(_slope(level, moved, k) + labeled.forces.ravel()[k]) for k in range(9)) / MEV_PER_ANGSTROM
        )
        yield Row(
            f"water, {level.name}: force and slope apart", worst, "meV/Å", target="<= 0.1", met=worst <= 0.1
        )
        yield Row(f"water, {level.name}: a label", seconds, "CPU s")


@cache
def ethanol(count: int) -> tuple[Configuration, ...]:
    """Half along normal modes, half along dynamics at 500 K."""
    level = level_of("gfn2")
    minimum = nearest_minimum(conformers("CCO")[0], level)
    modes = normal_modes(minimum, level).frames(count // 2, 500.0, seed=1)
    return (*modes, *dynamics_frames(minimum, level, count - count // 2, 500.0, every=0.02, seed=1))


def _by_ase(calculator, frame: Configuration) -> np.ndarray:
    """Forces [kJ/mol/nm] of ASE's calculator."""
    atoms = to_atoms(replace(frame, energy=None, forces=None, properties={}, info={}))
    atoms.calc = calculator
    return atoms.get_forces() * unit("eV/Å", "force")


def _slope(level: Level, frame: Configuration, k: int, step: float = 2e-4) -> float:
    """Derivative of the energy along a coordinate, right to the fourth order of the step."""
    shift = np.zeros(frame.positions.size)
    shift[k] = step
    energies = {
        times: level.label(replace(frame, positions=frame.positions + times * shift.reshape(-1, 3))).energy
        for times in (-2, -1, 1, 2)
    }
    return (8 * (energies[1] - energies[-1]) - (energies[2] - energies[-2])) / (12 * step)


def _timed(work: Callable):
    began = time.process_time()
    result = work()
    return time.process_time() - began, result
