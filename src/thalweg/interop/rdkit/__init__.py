"""Molecules by their SMILES or their sequence, through RDKit."""
