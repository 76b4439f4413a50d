"""Linear coarse models as tables of LAMMPS [thompson2022]: bonds, angles, dihedrals and pairs, in units real.

What a coordinate's functions sum to is written as a table that LAMMPS interpolates by splines, so that forces agree to
about six digits within the range of the table. Pairs of one molecule are bonds of LAMMPS, which is why all pairs of
bonded beads are left out of the pair style. Products of coordinates have no table.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from thalweg.coarse_graining.bead_frames import BeadFrames
from thalweg.coarse_graining.fitting.linear_model import LinearCoarseModel
from thalweg.coarse_graining.interactions.interaction import BondedInteraction, PairInteraction
from thalweg.interop.coarse_models.openmm_forces import exportable
from thalweg.learning.models import Model
from thalweg.machine.whole_files import write_whole
from thalweg.units import ANGSTROM, BOLTZMANN, KILOCALORIE

POINTS = 5000
"""Of each table."""

STYLES = {"distance": "bond", "angle": "angle", "dihedral": "dihedral"}

BEYOND = 2.0
"""How many times as far as in the frames a bond may go before its table ends."""


def write_lammps(model: Model, frames: BeadFrames, folder: Path) -> None:
    """Write ``tables.txt``, ``beads.data`` with the last frame, and ``in.beads``, which runs both.

    Raises
    ------
    ValueError
        If the model has a prior, kernels, networks or products of coordinates, which have no table.
    """
    linear = _tabulated(exportable(model, "LAMMPS"))
    tables, coefficients, terms, at = [], [], {style: [] for style in STYLES.values()}, 0
    pairs, numbers = [], dict.fromkeys(STYLES.values(), 0)
    for k, one in enumerate(linear.interactions):
        own = linear.coefficients[at : at + len(one.names)]
        at += len(one.names)
        if isinstance(one, PairInteraction):
            tables.append(_pair_table(f"P{k}", one, own))
            a, b = sorted(one.between)
            pairs.append(f"pair_coeff {a} {b} tables.txt P{k}")
            continue
        assert isinstance(one, BondedInteraction)
        (coordinate,) = one.coordinates
        style = STYLES[coordinate.kind]
        numbers[style] += 1
        tables.append(_TABLES[style](f"T{k}", one, own, frames))
        coefficients.append(f"{style}_coeff {numbers[style]} tables.txt T{k}")
        terms[style] += [(numbers[style], *(int(bead) + 1 for bead in row)) for row in coordinate.terms]
    if pairs:
        pairs = _all_pairs(pairs, int(np.max(np.asarray(frames.kinds))))
        tables.append(f"NONE\nN 2 R 0.1 2.0\n\n{_rows(np.array([0.1, 2.0]), np.zeros(2), np.zeros(2))}\n")
    write_whole(folder / "tables.txt", "\n".join(tables))
    write_whole(folder / "beads.data", _data(frames, terms, numbers))
    cutoff = max([one.cutoff for one in linear.interactions if isinstance(one, PairInteraction)], default=1.0)
    write_whole(folder / "in.beads", _input(frames, numbers, coefficients, pairs, cutoff))


def _tabulated(model: LinearCoarseModel) -> LinearCoarseModel:
    for one in model.interactions:
        if isinstance(one, BondedInteraction) and len(one.coordinates) > 1:
            raise ValueError(
                f"the interaction {one.name!r} is a product of coordinates, and tables of LAMMPS are of one; fit "
                "without products ([interactions] coupled = 0), or export to OpenMM"
            )
    return model


def _all_pairs(pairs: list[str], kinds: int) -> list[str]:
    """A line for every two kinds, of no forces where the model has none: LAMMPS wants all."""
    known = {tuple(line.split()[1:3]) for line in pairs}
    every = [(str(a), str(b)) for a in range(1, kinds + 1) for b in range(a, kinds + 1)]
    return [*pairs, *(f"pair_coeff {a} {b} tables.txt NONE" for a, b in every if (a, b) not in known)]


def _rows(q: np.ndarray, energy: np.ndarray, force: np.ndarray) -> str:
    return "\n".join(
        f"{k + 1} {a:.9f} {b:.12g} {c:.12g}" for k, (a, b, c) in enumerate(zip(q, energy, force))
    )


def _bond_table(name: str, one: BondedInteraction, c: np.ndarray, frames: BeadFrames) -> str:
    (coordinate,) = one.coordinates
    seen = coordinate.values(frames.positions, frames.boxes)
    r = np.linspace(
        1e-3, max(BEYOND * float(seen.max()), 1.5 * getattr(coordinate.functions, "end", 0.0)), POINTS
    )
    u, slope = (c @ each for each in coordinate.functions.design(r))
    scale = KILOCALORIE / ANGSTROM
    return f"{name}\nN {POINTS}\n\n{_rows(r / ANGSTROM, u / KILOCALORIE, -slope / scale)}\n"


def _angle_table(name: str, one: BondedInteraction, c: np.ndarray, _: BeadFrames) -> str:
    theta = np.linspace(0, np.pi, POINTS)
    u, slope = (c @ each for each in one.coordinates[0].functions.design(theta))
    degrees = np.degrees(theta)
    return f"{name}\nN {POINTS}\n\n{_rows(degrees, u / KILOCALORIE, -np.radians(slope) / KILOCALORIE)}\n"


def _dihedral_table(name: str, one: BondedInteraction, c: np.ndarray, _: BeadFrames) -> str:
    phi = np.linspace(-np.pi, np.pi, POINTS, endpoint=False)
    u, slope = (c @ each for each in one.coordinates[0].functions.design(phi))
    degrees = np.degrees(phi)
    return (
        f"{name}\nN {POINTS} DEGREES\n\n{_rows(degrees, u / KILOCALORIE, -np.radians(slope) / KILOCALORIE)}\n"
    )


_TABLES: dict[str, Callable[[str, BondedInteraction, np.ndarray, BeadFrames], str]] = {
    "bond": _bond_table,
    "angle": _angle_table,
    "dihedral": _dihedral_table,
}


def _pair_table(name: str, one: PairInteraction, c: np.ndarray) -> str:
    r = np.linspace(0.01, one.cutoff, POINTS)
    u, slope = (c @ each for each in one.functions.design(r))
    ends = f"N {POINTS} R {r[0] / ANGSTROM:.6f} {r[-1] / ANGSTROM:.6f}"
    scale = KILOCALORIE / ANGSTROM
    return f"{name}\n{ends}\n\n{_rows(r / ANGSTROM, u / KILOCALORIE, -slope / scale)}\n"


def _data(frames: BeadFrames, terms: dict[str, list], numbers: dict[str, int]) -> str:
    """The last frame: beads, their kinds and what bonds them [Å, amu]."""
    x = frames.positions[-1] / ANGSTROM
    kinds = np.asarray(frames.kinds)
    if frames.boxes is None:
        low, high = x.min(0) - 50.0, x.max(0) + 50.0
        tilt = ""
    else:
        box = frames.boxes[-1] / ANGSTROM
        low, high = np.zeros(3), np.diagonal(box)
        tilt = (
            f"{box[1, 0]:.9f} {box[2, 0]:.9f} {box[2, 1]:.9f} xy xz yz\n" if np.any(np.tril(box, -1)) else ""
        )
    lines = ["beads in Å and amu", "", f"{len(x)} atoms", f"{kinds.max()} atom types"]
    for style, own in terms.items():
        if own:
            lines += [f"{len(own)} {style}s", f"{numbers[style]} {style} types"]
    lines += [""] + [f"{a:.9f} {b:.9f} {n}lo {n}hi" for a, b, n in zip(low, high, "xyz")]
    lines += ([tilt] if tilt else []) + ["", "Masses", ""]
    masses = np.asarray(frames.masses)
    for kind in range(1, int(kinds.max()) + 1):
        own = masses[kinds == kind]
        lines.append(f"{kind} {own[0] if len(own) else 1.0:.6f}")
    molecules = np.unique(np.asarray(frames.molecules), return_inverse=True)[1] + 1
    lines += ["", "Atoms # molecular", ""]
    lines += [f"{k + 1} {molecules[k]} {kinds[k]} {a:.9f} {b:.9f} {c:.9f}" for k, (a, b, c) in enumerate(x)]
    for style, own in terms.items():
        if own:
            lines += ["", f"{style.capitalize()}s", ""]
            lines += [f"{k + 1} {' '.join(map(str, row))}" for k, row in enumerate(own)]
    return "\n".join(lines) + "\n"


def _input(
    frames: BeadFrames, numbers: dict[str, int], coefficients: list[str], pairs: list[str], cutoff: float
) -> str:
    boundary = "s s s" if frames.boxes is None else "p p p"
    styles = [f"{style}_style table spline {POINTS}" for style, count in numbers.items() if count]
    pair = f"pair_style table spline {POINTS}" if pairs else f"pair_style zero {cutoff / ANGSTROM:.6f}"
    lines = [
        "# a coarse model: real units, Å, fs, kcal/mol",
        "units real",
        f"boundary {boundary}",
        "atom_style molecular",
        *styles,
        pair,
        "special_bonds lj/coul 0 0 0",
        "read_data beads.data",
        *coefficients,
        *(pairs or ["pair_coeff * *"]),
        f"velocity all create {frames.kT / BOLTZMANN:.3f} 1",
        "fix motion all nve",
        f"fix bath all langevin {frames.kT / BOLTZMANN:.3f} {frames.kT / BOLTZMANN:.3f} 200.0 1",
        "timestep 2.0",
        "thermo 1000",
    ]
    return "\n".join(lines) + "\n"
