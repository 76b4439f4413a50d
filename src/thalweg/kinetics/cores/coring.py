r"""Coring: transitions counted only when they have really happened.

Near a barrier trajectories flicker between states, and each flicker counts as a transition. Three remedies
turn sequences of states into sequences of cores:

===============================  ==============================================================================
`transition_based_assignment`    cores are cut out around the minima; the way between two cores belongs half to
                                 the one left and half to the one entered [buchete2008]
`dynamical_coring`               a state counts as entered once the trajectory stays for a minimal dwell time
                                 without leaving [nagel2019]
`milestones`                     the core last visited and the core visited next, what milestoning is made of
                                 [schutte2011] (`core_set_model`)
===============================  ==============================================================================

Frames of which the core is unknown, before the first visit and after the last, are cut off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.kinetics.macrostates.pcca import MetastableSets
from thalweg.kinetics.states.clustering import Clustering, on_circles
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories, as_discrete
from thalweg.shapes import Shaped
from thalweg.time_series.trajectories import Trajectories


def cores_of_sets(sets: MetastableSets, threshold: float = 0.9) -> np.ndarray:
    """The core of every state ``(n_states,)``: the set it belongs to by at least ``threshold``, or -1.

    Parameters
    ----------
    sets : of `metastable_sets`
    threshold : membership from which a state belongs to the core of a set

    Raises
    ------
    ValueError
        If a set has no state that belongs to it so much.
    """
    memberships = np.nan_to_num(sets.memberships)
    cores = np.where(memberships.max(axis=1) >= threshold, memberships.argmax(axis=1), -1)
    lost = np.setdiff1d(np.arange(memberships.shape[1]), cores)
    if len(lost):
        best = memberships[:, lost].max(axis=0).round(3).tolist()
        raise ValueError(
            f"sets {lost.tolist()} have no state of membership {threshold}; the largest are {best}: "
            "lower the threshold or use fewer sets"
        )
    return cores


def cores_of_clusters(clustering: Clustering, data: Trajectories, share: float = 0.5) -> CoredTrajectories:
    """Frames among the ``share`` of their cluster that lie nearest its center; all others are in no core.

    Parameters
    ----------
    clustering : clusters of the frames
    data : the frames
    share : of the frames of each cluster that are in its core

    Raises
    ------
    ValueError
        If the share is not between zero and one.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share={share} must lie between zero and one")
    states = clustering.transform(data)
    centers = on_circles(clustering.centers, clustering.periods)
    apart = [np.empty(length) for length in data.lengths]
    for k, start, frames in data.chunks():
        points = on_circles(frames, clustering.periods)
        inside = states.blocks[k][start : start + len(points)]
        apart[k][start : start + len(points)] = ((points - centers[inside]) ** 2).sum(axis=1)
    flat, distance = np.concatenate(states.blocks), np.concatenate(apart)
    # the distance from each center within which the share of its frames lies
    limit = np.array(
        [np.quantile(distance[flat == c], share) if (flat == c).any() else 0.0 for c in range(len(centers))]
    )
    blocks = [np.where(d <= limit[s], s, -1) for s, d in zip(states.blocks, apart)]
    return CoredTrajectories(blocks, data.dt, data.weights, len(centers))


@dataclass(frozen=True, eq=False)
class CoredTrajectories:
    """The core of every frame, -1 between cores.

    Attributes
    ----------
    blocks : int arrays ``(frames,)``, one per trajectory
    dt : time between frames [ps]
    weights : one per frame, or None
    n_cores : number of cores
    """

    blocks: Sequence[np.ndarray]
    dt: float
    weights: Sequence[np.ndarray] | None
    n_cores: int

    @property
    def lengths(self) -> np.ndarray:
        """Frames of every trajectory."""
        return np.array([len(block) for block in self.blocks])


def cored(
    trajectories: DiscreteTrajectories | Sequence[np.ndarray] | np.ndarray | CoredTrajectories,
    cores: Shaped[np.ndarray, " n_states"] | None = None,
) -> CoredTrajectories:
    """Trajectories seen as visits of cores.

    Parameters
    ----------
    cores : (n_states,) int
        The core of every state, -1 for none; None if the trajectories are cored already.

    Raises
    ------
    ValueError
        If there are not as many entries as states, or fewer than two cores.

    Examples
    --------
    >>> cored([np.array([0, 1, 2, 1])], np.array([0, -1, 1])).blocks[0].tolist()
    [0, -1, 1, -1]
    """
    if isinstance(trajectories, CoredTrajectories):
        return trajectories
    data = as_discrete(trajectories)
    cores = np.arange(data.n_states) if cores is None else np.asarray(cores)
    if cores.shape != (data.n_states,):
        raise ValueError(f"cores has shape {cores.shape}, needed is one number per state, ({data.n_states},)")
    number = int(cores.max()) + 1
    missing = np.setdiff1d(np.arange(number), cores)
    if number < 2 or len(missing):
        raise ValueError(f"cores must be numbered from 0 to at least 1; got {np.unique(cores).tolist()}")
    return CoredTrajectories([cores[block] for block in data.blocks], data.dt, data.weights, number)


def milestones(cores: Shaped[np.ndarray, " frames"]) -> tuple[np.ndarray, np.ndarray]:
    """The core visited last and the core visited next at every frame, each -1 where unknown.

    Parameters
    ----------
    cores : (frames,), -1 between cores

    Examples
    --------
    >>> last, coming = milestones(np.array([-1, 0, -1, -1, 1, -1]))
    >>> last.tolist(), coming.tolist()
    ([-1, 0, 0, 0, 1, 1], [0, 0, 1, 1, 1, -1])
    """
    before, after = _nearest_visits(cores)
    padded = np.append(cores, -1)
    return np.where(before >= 0, padded[before], -1), padded[after]


def _nearest_visits(cores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the last frame in a core up to each frame, -1 for none, and of the next, ``frames`` for none."""
    place = np.arange(len(cores))
    before = np.maximum.accumulate(np.where(cores >= 0, place, -1))
    after = np.minimum.accumulate(np.where(cores >= 0, place, len(cores))[::-1])[::-1]
    return before, after


def transition_based_assignment(
    trajectories: DiscreteTrajectories | Sequence[np.ndarray] | np.ndarray | CoredTrajectories,
    cores: np.ndarray | None = None,
) -> DiscreteTrajectories:
    """Every frame between the first and the last visit of a core, assigned to the nearer end of its way.

    Parameters
    ----------
    trajectories, cores : as for `cored`

    Returns
    -------
    trajectories of cores; those that never visit one are left out

    Raises
    ------
    ValueError
        If no trajectory visits a core.

    Examples
    --------
    >>> visits = np.array([1, 0, 1, 1, 1, 1, 2, 1, 2, 1])
    >>> transition_based_assignment([visits], np.array([0, -1, 1])).blocks[0].tolist()
    [0, 0, 0, 1, 1, 1, 1, 1]
    """
    data = cored(trajectories, cores)
    assigned = []
    for block in data.blocks:
        # half of the way belongs to the core left, half to the one entered
        place, (before, after) = np.arange(len(block)), _nearest_visits(block)
        last, coming = milestones(block)
        nearer = np.where(place - before <= after - place, last, coming)
        assigned.append(np.where((last >= 0) & (coming >= 0), nearer, -1))
    return _cut(data, assigned)


def dynamical_coring(
    trajectories: DiscreteTrajectories | Sequence[np.ndarray] | np.ndarray, dwell: int
) -> DiscreteTrajectories:
    """Trajectories whose states all last at least ``dwell`` frames: shorter visits belong to the state before.

    Choose the dwell time as the shortest at which the probability to remain in a state decays as one
    exponential. Frames before the first long visit are cut off.

    Parameters
    ----------
    dwell : int
        Minimal dwell time in frames.

    Raises
    ------
    ValueError
        If the dwell time is below one frame or no visit lasts so long.

    Examples
    --------
    >>> dynamical_coring([np.array([1, 0, 0, 0, 1, 0, 0, 1, 1, 1])], dwell=3).blocks[0].tolist()
    [0, 0, 0, 0, 0, 0, 1, 1, 1]
    """
    if dwell < 1:
        raise ValueError(f"dwell={dwell} must be at least one frame")
    data = as_discrete(trajectories)
    settled = []
    for block in data.blocks:
        # visits of one state and how long they last; shorter ones belong to the core before, as between cores
        starts = np.flatnonzero(np.diff(block, prepend=-1))
        lengths = np.diff(np.append(starts, len(block)))
        settled.append(milestones(np.where(np.repeat(lengths, lengths) >= dwell, block, -1))[0])
    return _cut(CoredTrajectories(settled, data.dt, data.weights, data.n_states), settled)


def _cut(data: CoredTrajectories, assigned: list[np.ndarray]) -> DiscreteTrajectories:
    """Trajectories without the frames at both ends that are in no core."""
    spans = []
    for k, block in enumerate(assigned):
        known = np.flatnonzero(block >= 0)
        if len(known):
            spans.append((k, slice(int(known[0]), int(known[-1]) + 1)))
    if not spans:
        raise ValueError("no trajectory stays in a core; use larger cores or a shorter dwell time")
    blocks = [assigned[k][span] for k, span in spans]
    weights = None if data.weights is None else [data.weights[k][span] for k, span in spans]
    return DiscreteTrajectories(blocks, data.dt, weights, data.n_cores)
