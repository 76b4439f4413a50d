"""How much a frame is forgiven: errors grow with forces, and so does what one is content with.

Hot and strained frames have large forces, which no potential of a given size gets as well as small ones; counted alike,
they decide a least-squares fit alone. With ``f`` the root mean square force of a frame and ``f_0`` its median over all
frames, labels of a frame are divided by

    s = sqrt(1 + (f / a f_0)^2),

so that errors are absolute below ``a f_0`` and relative beyond.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.systems.configuration import Configuration


@dataclass(frozen=True)
class Forgiving:
    """Errors relative to forces where these are large.

    Parameters
    ----------
    multiple : ``a``, of the median force of frames; smaller ones forgive more

    Examples
    --------
    >>> frames = [Configuration(np.array([1]), np.zeros((1, 3)), forces=np.full((1, 3), f)) for f in (0.0, 1.0, 3.0)]
    >>> Forgiving().divisors(frames).round(2).tolist()
    [1.0, 1.41, 3.16]
    """

    multiple: float = 1.0

    def divisors(self, configurations: Sequence[Configuration]) -> np.ndarray:
        """``s`` of each frame; one for frames without forces, and for all where the median is zero."""
        forces = np.array(
            [0.0 if frame.forces is None else np.sqrt(np.mean(frame.forces**2)) for frame in configurations]
        )
        labeled = [force for force, frame in zip(forces, configurations) if frame.forces is not None]
        typical = self.multiple * float(np.median(labeled)) if labeled else 0.0
        return np.sqrt(1 + (forces / typical) ** 2) if typical > 0 else np.ones(len(forces))
