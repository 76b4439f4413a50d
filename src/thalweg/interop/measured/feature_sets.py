"""The usual features of molecular studies, by name.

=======================  ==========================================================  ==================
name                     columns                                                     may bias
=======================  ==========================================================  ==================
``backbone``             sines and cosines of phi and psi                            yes
``torsions``             sines and cosines of phi, psi and chi                       yes
``rotatable``            sines and cosines of all rotatable bonds, of any molecule   yes
``alpha-carbons``        distances of CA atoms three or more residues apart          yes
``heavy-atoms``          distances of heavy atoms three or more bonds apart          yes
``residues``             distances of residues by their closest heavy atoms          no (kinks)
``soft-residues``        soft minima of the same distances                           yes
``logistic-residues``    ``1 / (1 + exp(10/nm (d - 0.8 nm)))`` of soft distances     yes
``log-residues``         logarithms of the soft distances                            yes
``burial``               heavy atoms of others around each side chain                yes
``secondary-structure``  helix, strand or coil of each residue (DSSP)                no (not smooth)
``exposure``             solvent-accessible surface of each residue                  no (not smooth)
=======================  ==========================================================  ==================

Deviations from references need the references: `thalweg.geometry.superposition.RMSD`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from thalweg.dynamics.engine import Variable
from thalweg.geometry.bond_graph import heavy_atom_pairs
from thalweg.geometry.composed_variables import Contacts, Logarithms, SineCosine
from thalweg.geometry.coordination import burial
from thalweg.geometry.residue_distances import ResidueDistances, SoftResidueDistances
from thalweg.geometry.residues import residue_of_atoms, residue_pairs
from thalweg.geometry.switching import LogisticSwitch
from thalweg.geometry.torsions import backbone_dihedrals, rotatable_dihedrals, side_chain_dihedrals
from thalweg.geometry.variables import Dihedrals, Distances
from thalweg.interop.measured.frame_features import Measurement
from thalweg.interop.measured.mdtraj_features import SecondaryStructure, SolventExposure
from thalweg.systems.topology import Topology

MOST = 50_000
"""Features in one set beyond which nothing can be learned from them."""


def feature_set(topology: Topology, name: str) -> Variable | Measurement:
    """The features called ``name``, of a topology; the names are those of `FEATURE_SETS`.

    Raises
    ------
    ValueError
        If the name is not known, or the topology has nothing of the kind.

    Examples
    --------
    >>> from importlib.resources import files
    >>> from thalweg.interop.files.trajectories import read_topology
    >>> dipeptide = read_topology(files("thalweg.testsystems") / "structures" / "alanine_dipeptide.pdb")
    >>> feature_set(dipeptide, "backbone").names
    ('sin phi ALA2', 'sin psi ALA2', 'cos phi ALA2', 'cos psi ALA2')
    """
    if name not in FEATURE_SETS:
        raise ValueError(f"there is no feature set {name!r}; known are {', '.join(FEATURE_SETS)}")
    features = FEATURE_SETS[name](topology)
    if not 0 < len(features.names) <= MOST:
        raise ValueError(
            f"the topology of {len(topology)} atoms has {len(features.names)} features of the kind {name!r}; "
            f"1 to {MOST} are possible, take another set or make fewer by hand"
        )
    return features


def _angles(topology: Topology, tables: list[np.ndarray]) -> SineCosine:
    return SineCosine(Dihedrals(np.concatenate(tables), topology))


def _backbone(topology: Topology) -> SineCosine:
    found = backbone_dihedrals(topology)
    return _angles(topology, [found["phi"], found["psi"]])


def _torsions(topology: Topology) -> SineCosine:
    backbone, chi = backbone_dihedrals(topology), side_chain_dihedrals(topology)
    return _angles(topology, [backbone["phi"], backbone["psi"], *chi.values()])


def _rotatable(topology: Topology) -> SineCosine:
    return _angles(topology, [rotatable_dihedrals(topology)])


def _alpha_carbons(topology: Topology) -> Distances:
    residue = residue_of_atoms(topology)
    alpha = {int(residue[k]): k for k, name in enumerate(topology.names) if name == "CA"}
    return Distances([[alpha[i], alpha[j]] for i, j in residue_pairs(topology).tolist()], topology)


def _soft(topology: Topology) -> SoftResidueDistances:
    return SoftResidueDistances(residue_pairs(topology), topology)


FEATURE_SETS: dict[str, Callable[[Topology], Variable | Measurement]] = {
    "backbone": _backbone,
    "torsions": _torsions,
    "rotatable": _rotatable,
    "alpha-carbons": _alpha_carbons,
    "heavy-atoms": lambda topology: Distances(heavy_atom_pairs(topology, 3), topology),
    "residues": lambda topology: ResidueDistances(residue_pairs(topology), topology),
    "soft-residues": _soft,
    "logistic-residues": lambda topology: Contacts(_soft(topology), 0.8, LogisticSwitch(8.0)),
    "log-residues": lambda topology: Logarithms(_soft(topology)),
    "burial": burial,
    "secondary-structure": SecondaryStructure,
    "exposure": SolventExposure,
}
"""What makes the features of a topology, by name."""
