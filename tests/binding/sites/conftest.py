"""Atoms about a cavity whose volume is known."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.binding.complexes import CHANNELS, TypedAtoms
from thalweg.testsystems.hollow_shell import hollow_shell


@pytest.fixture(scope="session")
def shell():
    """Of a radius [nm] the carbon atoms of one residue about a cavity."""

    def made(
        radius: float, density: float = 32.0, center=(0.0, 0.0, 0.0), name: str = "A:ALA1"
    ) -> TypedAtoms:
        places = hollow_shell(radius, density) + np.array(center)
        channels = np.array([[kind in ("hydrophobic", "any") for kind in CHANNELS]] * len(places))
        return TypedAtoms(places, np.full(len(places), 6), channels, (name,) * len(places))

    return made
