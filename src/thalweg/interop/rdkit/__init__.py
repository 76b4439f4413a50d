"""Molecules by their SMILES, through RDKit."""
