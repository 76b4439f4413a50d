r"""What surrounds points in and about a protein, as numbers: for learning which of them a ligand would take.

Of atoms ``a`` at distances ``d_a`` of a point, densities

.. math::  \rho_{c R} = \sum_{a \in c} \max(0, 1 - d_a / R)

of each pharmacophoric channel and of each amino acid, as in [krivak2018]; counts within several radii; how far the
center of mass of the surroundings is off the point, which tells a wall from a cavity; and means over points nearby of
what says most.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.sparse import csr_array
from scipy.spatial import KDTree

from thalweg.binding.complexes import CHANNELS, TypedAtoms
from thalweg.binding.sites.probe_points import ProbePoints
from thalweg.shapes import Float

AMINO_ACIDS = (
    "ALA", "ARG", "ASN", "ASP", "CYS", "GLN", "GLU", "GLY", "HIS", "ILE", "LEU", "LYS", "MET", "PHE", "PRO", "SER",
    "THR", "TRP", "TYR", "VAL",
)  # fmt: skip

HYDROPATHY = dict(
    zip(
        AMINO_ACIDS,
        (1.8, -4.5, -3.5, -3.5, 2.5, -3.5, -3.5, -0.4, -3.2, 4.5, 3.8, -3.9, 1.9, 2.8, -1.6, -0.8, -0.7, -0.9, -1.3,
         4.2),
    )
)  # fmt: skip
"""Of amino acids [kyte1982]."""

NEAR, FAR = 0.6, 1.0
"""Radii of densities [nm]."""

COUNTED = (0.35, 0.45, 0.55, 0.7, 0.85, 1.0)
"""Radii within which atoms are counted [nm]."""

AROUND = (1.5, 3.0, 5.0)
"""Widths of means over points nearby [spacings of the lattice]."""

_KINDS = CHANNELS[:-1]

SURROUNDINGS = (
    *(f"{name} within {NEAR:g} nm" for name in ("atoms", *_KINDS, "hydropathy")),
    *(f"{name} within {FAR:g} nm" for name in ("atoms", *_KINDS, "hydropathy")),
    *(f"{name} within {FAR:g} nm" for name in AMINO_ACIDS),
    *(f"atoms counted to {radius:g} nm" for radius in COUNTED),
    *(f"off center within {radius:g} nm" for radius in (NEAR, FAR)),
)
"""What the columns of `densities_around` are, in order."""

IN_LATTICE = (
    "clearance",
    "burial",
    "enclosure",
    "free",
    *(f"{name}, mean over {width:g}" for width in AROUND for name in ("burial cubed", "room", "hydrophobic")),
)
"""What the columns of `lattice_features` are before those of `densities_around`."""


def _amino_acid_of(residue: str) -> str:
    """The name of the amino acid in a label, ``"HIS"`` of ``"A:HIS57"``.

    Examples
    --------
    >>> _amino_acid_of("A:HIS57B")
    'HIS'
    """
    return residue.rpartition(":")[2][:3]


def densities_around(
    atoms: TypedAtoms, places: Float[np.ndarray, "places 3"]
) -> Float[np.ndarray, "places features"]:
    """The numbers `SURROUNDINGS` of each place [nm].

    Examples
    --------
    >>> one = TypedAtoms(np.zeros((1, 3)), np.array([6]), np.ones((1, 8), bool), ("A:ALA1",))
    >>> found = densities_around(one, np.array([[0.3, 0.0, 0.0]]))
    >>> dict(zip(SURROUNDINGS, found[0].round(6).tolist()))["hydrophobic within 0.6 nm"]
    0.5
    """
    pairs = KDTree(places).sparse_distance_matrix(KDTree(atoms.positions), FAR, output_type="ndarray")
    rows, columns, gaps = pairs["i"], pairs["j"], pairs["v"]
    shape = (len(places), len(atoms))
    kinds = [_amino_acid_of(each) for each in atoms.residues] or ["UNK"] * len(atoms)
    acids = np.array(kinds)[:, None] == np.array(AMINO_ACIDS)
    hydropathy = np.array([HYDROPATHY.get(kind, 0.0) for kind in kinds])
    table = np.concatenate(
        [np.ones((len(atoms), 1)), atoms.channels[:, :-1], hydropathy[:, None], acids, atoms.positions], 1
    )
    plain = 2 + len(_KINDS)
    near, far = (
        csr_array((np.maximum(1 - gaps / radius, 0), (rows, columns)), shape) @ table
        for radius in (NEAR, FAR)
    )
    counts = [np.bincount(rows[gaps < radius], minlength=len(places)) for radius in COUNTED]
    off = [
        np.linalg.norm(each[:, -3:] / np.maximum(each[:, :1], 1e-9) - places, axis=1) * (each[:, 0] > 0)
        for each in (near, far)
    ]
    return np.column_stack([near[:, :plain], far[:, :plain], far[:, plain:-3], *counts, *off])


def lattice_features(
    atoms: TypedAtoms, points: ProbePoints, chosen: np.ndarray
) -> Float[np.ndarray, "chosen features"]:
    """The numbers `IN_LATTICE` and `SURROUNDINGS` of the ``chosen`` points of a protein, by indices or a mask."""
    found = densities_around(atoms, points.positions[chosen])
    greasy = np.zeros(len(points))
    greasy[chosen] = found[:, 1] / np.maximum(found[:, 0], 1e-9)
    own = [points.clearance, points.burial, points.enclosure, points.free]
    for width in AROUND:
        own += [mean_nearby(points, each, width) for each in (points.burial**3, np.ones(len(points)), greasy)]
    return np.column_stack([each[chosen] for each in own] + [found])


def mean_nearby(
    points: ProbePoints, values: Float[np.ndarray, " points"], width: float
) -> Float[np.ndarray, " points"]:
    """Values smoothed over the lattice by a Gaussian of that ``width`` [spacings]; zero where no probe has room."""
    filled = np.zeros(points.room.shape, np.float32)
    filled[tuple(points.cells.T)] = values
    return gaussian_filter(filled, width, mode="constant", truncate=3.0)[tuple(points.cells.T)].astype(float)
