"""Poses of molecules that have none: conformers laid onto a ligand that is in its pocket, and a search from there.

Atoms of like kinds (Crippen's contributions to logP) are laid onto each other [tosco2011], several conformers of each
molecule, which then move as rigid bodies to where their score in the rigid pocket is best (`PoseSearch`). A molecule
that binds in another way than the ligand it is laid onto is placed wrongly, as is one that the pocket must make room
for. Needs the extra ``drug`` (rdkit).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from thalweg.binding.complexes import Complex, Ligand, TypedAtoms
from thalweg.binding.vina_maps import PoseSearch, VinaMaps
from thalweg.interop.complexes.ligands import molecule_of, typed_ligand
from thalweg.interop.rdkit.ligand_features import parsed
from thalweg.learning.models import Method
from thalweg.units import Count


@dataclass(frozen=True)
class Placement(Method):
    """Settings.

    Parameters
    ----------
    conformers : of each molecule that are laid
    search : from there on
    seed : of conformers
    """

    conformers: Count = 10
    search: PoseSearch = field(default_factory=PoseSearch)
    seed: int = 0

    def place(self, smiles: Sequence[str], protein: TypedAtoms, onto: Ligand) -> list[Complex | None]:
        """The pose of each molecule in the pocket of ``onto``, None where RDKit finds no conformer.

        Raises
        ------
        ValueError
            If a SMILES is none, or the ligand is not near the protein.
        ImportError
            If RDKit is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> from rdkit import Chem
        >>> from rdkit.Chem import AllChem
        >>> from thalweg.interop import ligand_of
        >>> molecule = Chem.AddHs(Chem.MolFromSmiles("Oc1ccc(C)cc1"))
        >>> AllChem.EmbedMolecule(molecule, randomSeed=1)
        0
        >>> cresol = ligand_of(molecule, "cresol", {})
        >>> wall = cresol.atoms.moved(cresol.atoms.positions + np.array([0.0, 0.0, 0.5]))
        >>> (pose,) = Placement().place(["Oc1ccc(CC)cc1"], wall, cresol)
        >>> bool(np.linalg.norm(pose.ligand.center - cresol.atoms.center) < 0.3)
        True
        """
        pocket, reference = Complex(protein, onto.atoms, onto.name).pocket(1.7), molecule_of(onto)
        laid = [self._laid(each, reference) for each in smiles]
        maps = VinaMaps.of(pocket, onto.atoms.positions, [each for own in laid for each in own[:1]])
        return [
            Complex(pocket, self.search.best(maps, own)[0], each) if own else None
            for each, own in zip(smiles, laid)
        ]

    def _laid(self, smiles, reference):
        """Conformers of a molecule, each laid onto the reference."""
        from rdkit import Chem, rdBase
        from rdkit.Chem import rdDistGeom, rdMolAlign

        molecule, settings = Chem.AddHs(parsed(smiles)), rdDistGeom.ETKDGv3()
        settings.randomSeed = 1 + self.seed
        with rdBase.BlockLogs():
            found = list(rdDistGeom.EmbedMultipleConfs(molecule, self.conformers, settings))
            bare = Chem.RemoveHs(molecule)
            for conformer in found:
                rdMolAlign.GetCrippenO3A(bare, reference, prbCid=conformer).Align()
        return [typed_ligand(Chem.Mol(bare, confId=conformer)) for conformer in found]
