"""Thalweg: molecular simulation and machine learning that teach each other."""

__version__ = "0.1.0"
