"""Ligands by themselves: what their graphs, fingerprints and descriptors say of a measured number or class."""
