"""Where all replicas are between two steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx

from thalweg.shapes import Array, Forces, Momenta, Positions


class Phase(eqx.Module):
    """All replicas between two steps.

    Attributes
    ----------
    positions : (atoms, dims, replicas) [nm]
    momenta : likewise, after the last half kick; what it added along constrained bonds goes out with the next
        one, in one projection for both, or in `thalweg.dynamics.loop.tangent_momenta` [amu nm/ps]
    forces : likewise, those of a bias included [kJ/mol/nm]
    """

    positions: Positions
    momenta: Momenta
    forces: Forces


ForceFunction = Callable[[Positions], Forces]
"""From positions to forces, those of a bias included."""

NoiseFunction = Callable[[tuple[int, ...], Any], Array]
"""From a shape and a dtype to the independent normal numbers of this step."""
