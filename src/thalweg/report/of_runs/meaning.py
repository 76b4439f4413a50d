r"""What a learned variable means: its correlation with angles that people know.

The correlation of a number z with an angle is the multiple correlation with its sine and cosine [mardia1976],

.. math:: R^2 = \frac{r_{zc}^2 + r_{zs}^2 - 2 r_{zc} r_{zs} r_{cs}}{1 - r_{cs}^2},

which is 1 if z is any combination of the two and does not depend on where the angle has its zero.
"""

from __future__ import annotations

import numpy as np

from thalweg.shapes import Float


def angular_correlation(
    values: Float[np.ndarray, "frames values"], angles: Float[np.ndarray, "frames angles"]
) -> Float[np.ndarray, "values angles"]:
    """``R`` in [0, 1] of every column of ``values`` with every column of ``angles`` [rad]; 0 for a constant.

    Examples
    --------
    >>> angle = np.linspace(-np.pi, np.pi, 100, endpoint=False)[:, None]
    >>> angular_correlation(np.cos(angle - 0.3), angle).round(6).item()
    1.0
    """
    table = np.zeros((values.shape[1], angles.shape[1]))
    for j, angle in enumerate(angles.T):
        circle = np.stack([np.ones(len(angle)), np.cos(angle), np.sin(angle)], axis=1)
        for i, value in enumerate(values.T):
            spread = np.var(value)
            if spread > 0:
                residual = value - circle @ np.linalg.lstsq(circle, value, rcond=None)[0]
                table[i, j] = np.sqrt(max(0.0, 1 - np.var(residual) / spread))
    return table
