"""Charges, dipoles and quadrupoles at all distances: in the open, and in cells by Ewald's sum or a mesh."""
