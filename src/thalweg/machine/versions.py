"""Versions of what decides the numbers of a run."""

from __future__ import annotations

import platform
from importlib.metadata import version

from thalweg import __version__


def versions() -> dict[str, str]:
    """Versions of what decides the numbers of a run."""
    packages = ("jax", "jaxlib", "numpy", "openmm")
    return {
        "thalweg": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }
