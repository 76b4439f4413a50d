"""What each atom adds to what a model says of a molecule, and the molecule drawn with it [riniker2013].

An atom adds the difference that is made when all substructures with it are left out of the fingerprints, descriptors
staying as they are. Needs the extra ``drug`` (rdkit).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from thalweg.binding.ligands.features import LigandFeatures
from thalweg.interop.rdkit.ligand_features import fingerprint_generators, ligand_features, parsed
from thalweg.shapes import Float

LESS, MORE = (0.84, 0.37, 0.0), (0.0, 0.45, 0.70)
"""Colors of atoms that lower and raise what is predicted."""

LARGE = (320, 240)
"""Of drawings, in points."""


def without_each_atom(smiles: str) -> LigandFeatures:
    """Features of a molecule, a row for each atom, without the substructures that hold it.

    Raises
    ------
    ValueError
        If the SMILES is no molecule.

    Examples
    --------
    >>> without_each_atom("CCO").counts["morgan"].sum(1).tolist()
    [3, 2, 3]
    """
    from rdkit import Chem
    from rdkit.Chem import rdFingerprintGenerator

    molecule, whole = parsed(smiles), ligand_features([smiles])
    atoms, counts = molecule.GetNumAtoms(), {}
    for name, generator in fingerprint_generators().items():
        rows = [generator.GetCountFingerprintAsNumPy(molecule, ignoreAtoms=[atom]) for atom in range(atoms)]
        if name == "morgan":  # surroundings are left out by where they lie, which ignoreAtoms does not do
            output = rdFingerprintGenerator.AdditionalOutput()
            output.AllocateBitInfoMap()
            generator.GetCountFingerprint(molecule, additionalOutput=output)
            apart, rows = Chem.GetDistanceMatrix(molecule), [row.astype(int) for row in rows]
            for column, places in output.GetBitInfoMap().items():
                for center, radius in places:
                    for atom in np.flatnonzero(apart[center] <= radius):
                        rows[atom][column] -= 1
        most = np.iinfo(whole.counts[name].dtype).max
        counts[name] = np.clip(np.stack(rows), 0, most).astype(whole.counts[name].dtype)
    return LigandFeatures(counts, np.repeat(whole.descriptors, atoms, 0))


def atom_contributions(
    smiles: str, predict: Callable[[LigandFeatures], Float[np.ndarray, " molecules"]]
) -> Float[np.ndarray, " atoms"]:
    """How much less is predicted without the substructures of each atom.

    Raises
    ------
    ValueError
        If the SMILES is no molecule.

    Examples
    --------
    >>> atom_contributions("CCO", lambda found: found.counts["morgan"].sum(1).astype(float)).tolist()
    [3.0, 4.0, 3.0]
    """
    return predict(ligand_features([smiles]))[0] - predict(without_each_atom(smiles))


def drawn_contributions(smiles: str, contributions: Float[np.ndarray, " atoms"]) -> str:
    """The molecule as SVG, atoms that raise what is predicted blue, those that lower it orange.

    Raises
    ------
    ValueError
        If there is not one number for each atom.

    Examples
    --------
    >>> drawn_contributions("CO", np.array([1.0, -1.0])).startswith("<svg")
    True
    """
    from rdkit.Chem.Draw import rdMolDraw2D

    molecule = parsed(smiles)
    if len(contributions) != molecule.GetNumAtoms():
        raise ValueError(f"{len(contributions)} numbers for {molecule.GetNumAtoms()} atoms of {smiles}")
    strength = contributions / max(float(np.abs(contributions).max(initial=0)), 1e-12)
    colors = {
        k: tuple(1 - abs(float(s)) * (1 - c) for c in (MORE if s > 0 else LESS))
        for k, s in enumerate(strength)
    }
    canvas = rdMolDraw2D.MolDraw2DSVG(*LARGE)
    canvas.drawOptions().useBWAtomPalette()
    rdMolDraw2D.PrepareAndDrawMolecule(
        canvas, molecule, highlightAtoms=list(colors), highlightAtomColors=colors, highlightBonds=[]
    )
    canvas.FinishDrawing()
    text = canvas.GetDrawingText()
    return text[text.index("<svg") :]
