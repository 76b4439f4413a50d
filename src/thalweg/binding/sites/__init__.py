"""Binding sites: points around a protein, what surrounds them, pockets among them, and pockets over many structures."""
