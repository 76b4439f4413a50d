"""Sequences for a backbone: which amino acid each residue may be, from where the backbone runs."""
