"""Raw periodic angles among the features: a linear method sees the jump from pi to -pi as motion."""

from __future__ import annotations

import numpy as np

from thalweg.collective_variables.trajectories import CHUNK, Trajectories


def raw_angles(trajectories: Trajectories, looked_at: int = 10) -> list[int]:
    """Features that span about 2 pi (or 360) and jump by more than half of it.

    Judged by the start of at most ``looked_at`` runs.

    Examples
    --------
    >>> phi = np.cumsum(np.full((100, 1), 0.3), axis=0)
    >>> raw_angles(Trajectories([np.mod(phi, 2 * np.pi)])), raw_angles(Trajectories([np.cos(phi)]))
    ([0], [])
    """
    step = -(-len(trajectories) // looked_at)
    spans = [(k, (0, min(CHUNK, int(trajectories.lengths[k])))) for k in range(0, len(trajectories), step)]
    starts = [next(trajectories.windows(k, [span])) for k, span in spans]
    extent = np.max([x.max(axis=0) for x in starts], axis=0) - np.min([x.min(axis=0) for x in starts], axis=0)
    found = []
    for feature in np.flatnonzero(extent <= 360):
        for period in (2 * np.pi, 360.0):
            if 0.9 * period < extent[feature] <= 1.0001 * period and any(
                (np.abs(np.diff(x[:, feature])) > period / 2).any() for x in starts
            ):
                found.append(int(feature))
    return found
