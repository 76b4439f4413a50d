"""Structures of proteins, ligands and their complexes, by gemmi and RDKit."""
