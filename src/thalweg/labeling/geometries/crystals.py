"""Crystals whose cell is strained and whose atoms are displaced."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from thalweg.systems.configuration import Configuration
from thalweg.units import Count, Nanometers


def strained_frames(
    frame: Configuration,
    count: Count,
    strain: float = 0.03,
    displacement: Nanometers = 0.01,
    seed: int = 0,
) -> list[Configuration]:
    """``count`` copies of a crystal, each with a cell strained at random and atoms displaced at random.

    Parameters
    ----------
    strain : standard deviation of the six components of the symmetric strain
    displacement : standard deviation of each coordinate

    Raises
    ------
    ValueError
        If the frame has no cell.

    Examples
    --------
    >>> cell = Configuration(np.array([13]), np.zeros((1, 3)), 0.4 * np.eye(3), (True,) * 3)
    >>> len(strained_frames(cell, 5))
    5
    """
    if frame.box is None or not any(frame.periodic):
        raise ValueError("strain is of a cell, and the frame has none; give a crystal")
    rng, made = np.random.default_rng(seed), []
    bare = frame.unlabeled
    for _ in range(count):
        square = rng.standard_normal((3, 3)) * strain
        deformation = np.eye(3) + np.triu(square) + np.triu(square, 1).T
        moved = frame.positions @ deformation + displacement * rng.standard_normal(frame.positions.shape)
        made.append(replace(bare, positions=moved, box=frame.box @ deformation))
    return made
