"""Features that MDTraj measures and nothing can differentiate: secondary structure, accessible surface."""

from __future__ import annotations

from dataclasses import dataclass, field

import mdtraj
import numpy as np
from scipy.spatial import KDTree

from thalweg.geometry.constant_tables import Rows
from thalweg.geometry.residues import heavy_atoms_by_residue, protein_residues, residue_labels
from thalweg.interop.files.trajectories import topology_from_mdtraj, topology_to_mdtraj
from thalweg.systems.topology import Topology

STRUCTURES = {"helix": "H", "strand": "E", "coil": "C"}
"""Kinds of secondary structure and their letters in the three-letter DSSP code."""

TOUCHING = 2e-5
"""Distance [nm] below which MDTraj's surface ends the whole process."""


@dataclass(frozen=True, eq=False)
class SecondaryStructure:
    """Which secondary structure each protein residue has by DSSP, one column of zeros and ones for each kind.

    Hydrogen bonds decide [kabsch1983]; values jump and have no gradient: to bias toward a helix, take contacts or
    deviations from references.

    Parameters
    ----------
    topology : with hydrogens or without

    Raises
    ------
    ValueError
        If there is no protein.
    """

    topology: Topology

    def __post_init__(self):
        _known_residues(self.topology)

    @property
    def names(self) -> tuple[str, ...]:
        labels, residues = residue_labels(self.topology), _known_residues(self.topology)
        return tuple(f"{kind} {labels[k]}" for k in residues for kind in STRUCTURES)

    @property
    def atoms(self) -> Rows:
        groups = heavy_atoms_by_residue(self.topology)
        return tuple(groups[k] for k in _known_residues(self.topology) for _ in STRUCTURES)

    @property
    def units(self) -> tuple[str, ...]:
        return ("",) * len(self.names)

    @property
    def periods(self) -> tuple[float | None, ...]:
        return (None,) * len(self.names)

    def of_frames(self, positions: np.ndarray, box: np.ndarray | None) -> np.ndarray:
        whole = _together(self.topology, positions, box)
        letters = mdtraj.compute_dssp(_frames(self.topology, whole), simplified=True)
        letters = letters[:, _known_residues(self.topology)]
        found = np.stack([letters == letter for letter in STRUCTURES.values()], axis=2)
        return found.reshape(len(positions), -1).astype(np.float32)


@dataclass(frozen=True, eq=False)
class SecondaryContent:
    """Shares of the protein residues in helices, strands and coil, each in [0, 1]; see `SecondaryStructure`."""

    topology: Topology

    names = tuple(f"{kind} content" for kind in STRUCTURES)
    units = ("",) * len(STRUCTURES)
    periods = (None,) * len(STRUCTURES)

    @property
    def atoms(self) -> Rows:
        groups = heavy_atoms_by_residue(self.topology)
        return (sum((groups[k] for k in _known_residues(self.topology)), ()),) * len(STRUCTURES)

    def of_frames(self, positions: np.ndarray, box: np.ndarray | None) -> np.ndarray:
        found = SecondaryStructure(self.topology).of_frames(positions, box)
        return found.reshape(len(positions), -1, len(STRUCTURES)).mean(axis=1)


@dataclass(frozen=True, eq=False)
class SolventExposure:
    """Solvent-accessible surface [nm^2] of each protein residue by rolling a probe [shrake1973].

    The surface is a count of points and has no gradient; `thalweg.geometry.coordination.burial` has one. Molecules
    that a box cuts are made whole along their bonds and put beside each other; without bonds they must be whole.

    Parameters
    ----------
    topology : of the frames
    shading : atoms that shade each other; None for all but water and residues of a single atom, such as ions
    points : per atom
    probe : its radius [nm]

    Raises
    ------
    ValueError
        If there is no protein among those atoms, or two of them lie on top of each other in a frame.
    """

    topology: Topology
    shading: np.ndarray | None = None
    points: int = 960
    probe: float = 0.14
    shown: Topology = field(init=False)

    def __post_init__(self):
        whole = topology_to_mdtraj(self.topology)
        if self.shading is None:
            kept = [r for r in whole.residues if not r.is_water and r.n_atoms > 1]
            object.__setattr__(self, "shading", np.array([a.index for r in kept for a in r.atoms], int))
        object.__setattr__(
            self, "shown", topology_from_mdtraj(whole.subset(np.asarray(self.shading).tolist()))
        )
        _known_residues(self.shown)

    @property
    def names(self) -> tuple[str, ...]:
        labels = residue_labels(self.shown)
        return tuple(f"exposure {labels[k]}" for k in _known_residues(self.shown))

    @property
    def atoms(self) -> Rows:
        return (tuple(np.asarray(self.shading).tolist()),) * len(self.names)

    @property
    def units(self) -> tuple[str, ...]:
        return ("nm^2",) * len(self.names)

    @property
    def periods(self) -> tuple[float | None, ...]:
        return (None,) * len(self.names)

    def of_frames(self, positions: np.ndarray, box: np.ndarray | None) -> np.ndarray:
        shading = _together(self.shown, positions[:, self.shading], box)
        for frame, x in enumerate(shading):
            if len(touching := KDTree(x).query_pairs(TOUCHING, output_type="ndarray")):
                first, second = (self.shown.label(int(k)) for k in touching[0])
                raise ValueError(
                    f"{first} and {second} lie on top of each other in frame {frame} of a chunk: no surface is "
                    "defined; remove the frame or one of the atoms"
                )
        frames = _frames(self.shown, shading)
        areas = mdtraj.shrake_rupley(frames, self.probe, self.points, mode="residue")
        return areas[:, _known_residues(self.shown)]


def _together(topology: Topology, positions: np.ndarray, box: np.ndarray | None) -> np.ndarray:
    """``positions`` with every molecule whole, and all molecules in one place of a periodic box."""
    if box is None or not len(topology.bonds):
        return positions
    frames = _frames(topology, positions)
    frames.unitcell_vectors = np.broadcast_to(np.asarray(box, np.float32), (len(positions), 3, 3))
    largest, *others = sorted(frames.topology.find_molecules(), key=len, reverse=True)
    return frames.image_molecules(inplace=True, anchor_molecules=[largest], other_molecules=others).xyz


def _frames(topology: Topology, positions: np.ndarray) -> mdtraj.Trajectory:
    return mdtraj.Trajectory(np.asarray(positions, np.float32), topology_to_mdtraj(topology))


def _known_residues(topology: Topology) -> np.ndarray:
    known = protein_residues(topology)
    if not len(known):
        raise ValueError("the topology has no protein residue (no CA atom); give that of a protein")
    return known
