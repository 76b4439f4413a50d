"""Answers at vanishing grid spacing from two grids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from thalweg.testsystems.generator import Generator


def extrapolated(
    quantity: Callable[[Generator], np.ndarray | float], generator: Generator
) -> np.ndarray | float:
    """``(4 Q(h) - Q(2h)) / 3``, Richardson's extrapolation [richardson1911] of a quantity of a generator.

    Of order h^4 for time scales and, where sets end on cell faces or centers of both grids, for boundary
    values. Where curved boundaries cut cells the error of order h^2 is not smooth in h and the gain is
    smaller.

    Parameters
    ----------
    quantity : from a generator to a number or array
    generator : on the finer grid

    Raises
    ------
    ValueError
        If a number of cells is odd.

    Examples
    --------
    >>> from thalweg.testsystems.wells import PrinzPotential
    >>> generator = Generator(PrinzPotential(), ((-1.2, 1.2),), 400)
    >>> extrapolated(lambda g: g.timescales(2), generator).round(5).tolist()
    [0.83403, 0.12677]
    """
    cells = generator.grid.shape
    if any(n % 2 for n in cells):
        raise ValueError(f"a grid of {cells} cells cannot be halved; give even numbers of cells")
    coarse = replace(generator, shape=tuple(n // 2 for n in cells))
    return (4.0 * quantity(generator) - quantity(coarse)) / 3.0
