"""How noisy the labels of forces are, seen without any model.

Numbers written with few decimals are off by ``q / sqrt(12)`` for a last digit worth ``q``. Forces on all atoms of a
frame add up to zero unless something outside pulls; noise ``n`` of each component that is independent of the others
makes their sum scatter by ``n sqrt(N)``. Both are lower bounds: programs that subtract the sum hide it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import chdtri

from thalweg.systems.configuration import Configuration
from thalweg.units import unit

DECIMALS = range(1, 8)
"""Of written forces; more are no rounding worth speaking of."""

MEDIAN_OF_THREE = float(chdtri(3, 0.5))
"""Of a sum of three squares of normal numbers of deviation one."""

TOLD_BY_EACH = 1.58
"""Normal numbers whose mean square is known as well as the median of such sums, for each of them."""

WRITTEN = ("eV/Å", "kcal/mol/Å", "Ha/bohr")
"""Units in which forces may have been rounded."""


def label_noise(configurations: Sequence[Configuration]) -> float:
    """Standard deviation of a force component by rounding and by forces that do not add up [kJ/mol/nm]; a lower bound.

    Examples
    --------
    >>> rounded = np.round(np.random.default_rng(0).normal(size=(50, 3)), 2)
    >>> forces = (rounded - rounded[::-1]) * unit("eV/Å", "force")
    >>> frame = Configuration(np.ones(50, int), np.zeros((50, 3)), forces=forces)
    >>> round(float(label_noise([frame]) / unit("meV/Å", "force")), 2)
    2.89
    """
    return told_noise(configurations)[0]


def told_noise(configurations: Sequence[Configuration]) -> tuple[float, int]:
    """The same, and how many normal numbers would tell it as well; none where it is known by the decimals."""
    forces = [np.asarray(frame.forces) for frame in configurations if frame.forces is not None]
    if not forces:
        return 0.0, 0
    squares = [np.sum(each.sum(0) ** 2) / len(each) for each in forces if len(each) > 1]
    of_sums = np.sqrt(
        np.median(squares or [0.0]) / MEDIAN_OF_THREE
    )  # the mean, but for frames that something pulls at
    rounding = _rounding(np.concatenate([np.ravel(each) for each in forces]))
    return (rounding, 0) if rounding >= of_sums else (float(of_sums), int(TOLD_BY_EACH * len(squares)))


def _rounding(values: np.ndarray) -> float:
    """Noise of the last digit written, if all ``values`` have so few in one of the usual units."""
    values = values[values != 0][:20000]
    if not len(values):
        return 0.0
    for name in WRITTEN:
        one = unit(name, "force")
        for decimals in DECIMALS:
            scaled = values / one * 10.0**decimals
            # float arithmetic keeps some 15 digits of what was written
            if np.abs(scaled - np.round(scaled)).max() <= 1e-9 * max(1.0, np.abs(scaled).max()):
                return one * 10.0**-decimals / np.sqrt(12) if np.ptp(np.round(scaled)) > 0 else 0.0
    return 0.0
