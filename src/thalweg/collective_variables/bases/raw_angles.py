"""Raw periodic angles among the features: most bases see the jump from pi to -pi as motion."""

from __future__ import annotations

import warnings

import numpy as np

from thalweg.collective_variables.bases.basis import Basis
from thalweg.collective_variables.bases.fourier import Fourier
from thalweg.time_series.trajectories import CHUNK, Trajectories

NEARLY_WHOLE = 0.75
"""Share of the period from which on a step is taken for a jump across the border."""


def _raw_angles(trajectories: Trajectories, looked_at: int = 10) -> list[int]:
    """Features that fill an interval of 2 pi (or 360) and jump across it.

    Judged by the start of at most ``looked_at`` runs: more than nine tenths of the period are covered,
    nothing lies beyond it, and half of the steps of more than half a period are nearly whole ones.

    Examples
    --------
    >>> phi = np.cumsum(np.full((100, 1), 0.3), axis=0)
    >>> _raw_angles(Trajectories([np.mod(phi, 2 * np.pi)])), _raw_angles(Trajectories([np.cos(phi)]))
    ([0], [])
    """
    step = -(-len(trajectories) // looked_at)
    spans = [(k, (0, min(CHUNK, int(trajectories.lengths[k])))) for k in range(0, len(trajectories), step)]
    starts = [next(trajectories.windows(k, [span])) for k, span in spans]
    lowest, highest = (reduce([reduce(x, axis=0) for x in starts], axis=0) for reduce in (np.min, np.max))
    extent = highest - lowest
    angles = []
    for period in (2 * np.pi, 360.0):
        for feature in np.flatnonzero((extent > 0.9 * period) & (extent <= 1.0001 * period)):
            # of steps beyond half a period, those of a jump are nearly whole ones; those of a fast motion are not
            steps = np.concatenate([np.abs(np.diff(x[:, feature])) for x in starts])
            jumps = steps[steps > period / 2]
            if len(jumps) and np.median(jumps) > NEARLY_WHOLE * period:
                angles.append(int(feature))
    return sorted(angles)


def warned_angles(trajectories: Trajectories, basis: Basis) -> tuple[str, ...]:
    """A warning, also returned as a note, if features look like raw angles and the basis is not made for them."""
    angles = [] if isinstance(basis, Fourier) else _raw_angles(trajectories)
    if not angles:
        return ()
    listed = ", ".join(trajectories.name(i) for i in angles[:10])
    note = f"{listed} look like raw angles that jump by a full turn; use their sine and cosine, or the basis Fourier"
    warnings.warn(note, stacklevel=4)
    return (note,)
