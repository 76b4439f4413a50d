"""Geometries worth a label: around a minimum, along dynamics, of strained crystals."""
