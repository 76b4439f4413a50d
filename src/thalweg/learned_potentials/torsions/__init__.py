"""Torsion profiles of many molecules: what they are, a correction learned from them, and terms of force fields."""
