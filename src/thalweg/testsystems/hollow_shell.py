"""Atoms spread evenly over a sphere: a cavity whose volume is known."""

from __future__ import annotations

import numpy as np

from thalweg.shapes import Shaped


def hollow_shell(radius: float, density: float = 32.0) -> Shaped[np.ndarray, "atoms 3"]:
    """Positions along a spiral over a sphere about the origin [nm].

    Spheres of radius ``r`` at these places leave a cavity of ``4/3 pi (radius - r)^3`` and the crevices between them.

    Parameters
    ----------
    radius : of the sphere [nm]
    density : places on each nm^2; so dense that nothing passes between atoms unless given

    Examples
    --------
    >>> places = hollow_shell(0.7)
    >>> places.shape, np.linalg.norm(places, axis=1).round(6).max()
    ((197, 3), np.float64(0.7))
    """
    count = round(density * 4 * np.pi * radius**2)
    k = np.arange(count) + 0.5
    height, turn = 1 - 2 * k / count, np.pi * (1 + np.sqrt(5)) * k
    flat = np.sqrt(1 - height**2)
    return radius * np.stack([flat * np.cos(turn), flat * np.sin(turn), height], 1)
