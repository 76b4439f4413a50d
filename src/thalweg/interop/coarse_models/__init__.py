"""Coarse models for other programs."""
