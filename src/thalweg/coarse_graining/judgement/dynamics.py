"""Does a coarse model keep the dynamics? Its slow processes beside those of the reference's beads.

Friction that atoms averaged away had is missing from a coarse model, so that it is faster; by how much, and whether all
processes are faster by as much, is what `TimescaleRatios` says of internal coordinates of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import jax.numpy as jnp
import numpy as np

from thalweg.coarse_graining.bead_frames import BeadFrames
from thalweg.coarse_graining.interactions.interaction import InternalCoordinate
from thalweg.coarse_graining.interactions.kernel import SeenCoordinates
from thalweg.kinetics.validation.acceleration import TimescaleComparison, TimescaleRatios
from thalweg.shapes import Float
from thalweg.time_series.trajectories import Trajectories


def coordinate_features(
    coordinates: Sequence[InternalCoordinate], reference: BeadFrames, frames: BeadFrames
) -> Float[np.ndarray, "frames features"]:
    """Internal coordinates of ``frames`` as numbers of like size: dihedrals by cosine and sine, others in deviations of
    the ``reference``."""
    seen = SeenCoordinates.of(coordinates, reference)
    return np.asarray(seen(jnp.asarray(np.moveaxis(frames.positions, 0, -1))), float).T


def compare_dynamics(
    coordinates: Sequence[InternalCoordinate],
    reference: BeadFrames,
    model: BeadFrames,
    times: tuple[float, float],
    ratios: TimescaleRatios,
) -> TimescaleComparison:
    """Time scales of the reference's slow processes in both.

    Parameters
    ----------
    coordinates : in which slow processes are looked for
    reference, model : frames of continuous trajectories without bias, their ``lengths`` set
    times : between frames of reference and model [ps]
    ratios : lag time and number of processes

    Raises
    ------
    ValueError
        If frames are weighted: biased dynamics have no time scales. See `TimescaleRatios.fit` for the others.

    Examples
    --------
    >>> from thalweg.coarse_graining.interactions.functions import Powers
    >>> bond = InternalCoordinate("distance", [[0, 1]], Powers(0.0))
    >>> def walks(lag, seed):                       # an exponential memory of ten frames, or of five
    ...     noise, z = np.random.default_rng(seed).normal(size=(6, 3000)), np.zeros((6, 3000))
    ...     for t in range(1, 3000):
    ...         z[:, t] = np.exp(-1 / lag) * z[:, t - 1] + np.sqrt(1 - np.exp(-2 / lag)) * noise[:, t]
    ...     x = np.zeros((18000, 2, 3))
    ...     x[:, 1, 0] = 0.5 + 0.05 * z.ravel()
    ...     return BeadFrames(x, kT=2.5, lengths=(3000,) * 6)
    >>> ratios = TimescaleRatios(lag=4.0, processes=1, states=20, samples=20)
    >>> found = compare_dynamics([bond], walks(10, 0), walks(5, 1), (1.0, 1.0), ratios)
    >>> bool(abs(found.factor - 2) < 4 * 2 * found.factor_log_error)
    True
    """
    if reference.weights is not None or model.weights is not None:
        raise ValueError(
            "time scales need frames of unbiased dynamics; these are weighted: compare surfaces alone, or give "
            "trajectories without bias"
        )
    both = (
        Trajectories(
            np.split(coordinate_features(coordinates, reference, own), list(accumulate(own.lengths))[:-1]),
            dt=dt,
        )
        for own, dt in zip((reference, model), times)
    )
    return ratios.fit(*both)
