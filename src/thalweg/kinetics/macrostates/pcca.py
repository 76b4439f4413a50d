r"""Metastable sets by robust Perron cluster analysis, PCCA+ [deuflhard2005] [roblitz2013].

States seen through the ``m`` slowest eigenfunctions lie near a simplex whose corners are metastable sets.
Memberships

.. math::  \chi = X A,\qquad \chi_{ij} \ge 0,\qquad \sum_j \chi_{ij} = 1

are linear in the eigenfunctions :math:`X`. Among the feasible :math:`A` the crispest is taken: the one that
maximizes

.. math::  \sum_j \frac{\langle \chi_j, \chi_j\rangle_\pi}{\langle \chi_j, 1\rangle_\pi}
           = \sum_j \frac{\sum_i a_{ij}^2}{a_{1j}} \le m ,

Only the rows of :math:`A` below the first and columns right of the first are free; the others follow from the
constraints. There are many local optima: the search begins at large simplexes from several first corners, at the same
with a corner exchanged, and at `DRAWN` random ones of a fixed seed, and the crispest end is kept.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from thalweg.kinetics.estimation.spectrum import spectrum
from thalweg.kinetics.markov_state_model import MarkovModel
from thalweg.learning.models import Model
from thalweg.machine.memory import require_memory
from thalweg.machine.threads import on_one_thread
from thalweg.shapes import Shaped

DRAWN = 10
"""Random transforms among those the search begins at."""

COPIES = 16
"""Arrays (states, sets) held at once: eigenfunctions, the vectors they are iterated with, memberships, corners."""

RESTARTS = 10
"""The crispness has kinks where a quasi-Newton method may stop early; restarted while it still gains."""


@dataclass(frozen=True, eq=False)
class MetastableSets(Model):
    """Fuzzy sets of states between which transitions are rare, the most populated first.

    Attributes
    ----------
    memberships : (n_states, sets), rows sum to one; NaN outside the active set
    populations : (sets,), equilibrium probabilities
    crispness : between 0 (all states belong everywhere) and 1 (all belong to one set)
    """

    memberships: Shaped[np.ndarray, "n_states sets"]
    populations: Shaped[np.ndarray, " sets"]
    crispness: float

    @property
    def told(self) -> str:
        """How many sets have no state that belongs to them most; empty if all have one."""
        number = len(self.populations)
        owned = len(np.unique(self.assignments[self.assignments >= 0]))
        if owned == number:
            return ""
        return (
            f"{number - owned} of {number} sets have no state that belongs to them most: the slow eigenfunctions "
            f"do not tell so many sets apart; ask for {owned} or fewer, or use the memberships"
        )

    @property
    def assignments(self) -> np.ndarray:
        """The set each state belongs to most ``(n_states,)``; -1 outside the active set."""
        known = np.isfinite(self.memberships[:, 0])
        return np.where(known, np.argmax(np.nan_to_num(self.memberships, nan=-1.0), axis=1), -1)

    def headline(self) -> dict[str, object]:
        """Sets, their populations and how crisp they are."""
        return {"sets": len(self.populations), "populations": self.populations, "crispness": self.crispness}

    def __str__(self) -> str:
        sizes = np.bincount(self.assignments[self.assignments >= 0], minlength=len(self.populations))
        lines = [f"{len(self.populations)} metastable sets, crispness {self.crispness:.2f}"]
        for k, (share, size) in enumerate(zip(self.populations, sizes)):
            lines.append(f"set {k}: population {share:.3g}, {size} states")
        return "\n".join([*lines, self.told] if self.told else lines)


@on_one_thread
def metastable_sets(model: MarkovModel, n_sets: int) -> MetastableSets:
    """Metastable sets of a reversible model.

    Parameters
    ----------
    model : reversible
    n_sets : how many sets; a warning says if some are left without a state

    Raises
    ------
    ValueError
        If the model is not reversible or has fewer active states than ``n_sets``.
    MemoryError
        If eigenfunctions and memberships do not fit into memory.

    Examples
    --------
    >>> from thalweg.kinetics.markov_state_model import MarkovStateModel
    >>> rng = np.random.default_rng(0)
    >>> side = np.cumsum(rng.random(20000) < 0.01) % 2
    >>> model = MarkovStateModel(lagtime=1).fit([2 * side + rng.integers(0, 2, 20000)])
    >>> metastable_sets(model, 2).assignments.tolist() in ([0, 0, 1, 1], [1, 1, 0, 0])
    True
    """
    require_memory(
        8 * (COPIES * len(model.active.states) + model.n_states) * n_sets,
        f"memberships of {len(model.active.states)} states in {n_sets} sets; ask for fewer sets, or take fewer states",
    )
    stationary, functions = model.fit.stationary_distribution, slow_functions(model, n_sets, "PCCA+")
    functions = np.column_stack([np.ones(len(stationary)), functions[:, 1:]])
    best = _crispest(functions)
    memberships = np.clip(functions @ best, 0, None)
    memberships /= memberships.sum(axis=1, keepdims=True)
    populations = stationary @ memberships
    order = np.argsort(-populations)
    found = MetastableSets(
        model.active.spread(memberships[:, order], np.nan),
        populations[order],
        float(np.sum((best**2).sum(axis=0) / best[0]) / n_sets),
    )
    if found.told:
        warnings.warn(found.told, stacklevel=2)
    return found


def slow_functions(model: MarkovModel, n_sets: int, method: str) -> np.ndarray:
    """The ``n_sets`` slowest eigenfunctions on active states ``(active, n_sets)``, for a ``method`` named in messages.

    Raises
    ------
    ValueError
        If the model is not reversible or has fewer active states than ``n_sets``.
    """
    if not model.fit.reversible:
        raise ValueError(f"{method} needs a reversible model; use the estimator Reversible()")
    active = len(model.active.states)
    if not 2 <= n_sets <= active:
        raise ValueError(f"n_sets={n_sets} must lie between 2 and the number of active states, {active}")
    if n_sets <= len(model.eigenvalues):
        return model.eigenfunctions[model.active.states, :n_sets]
    return spectrum(model.fit, n_sets)[1]


def _simplex(functions: np.ndarray, first: int) -> tuple[int, ...]:
    """States at the corners of a large simplex: each the farthest from the plane through those before it."""
    points = functions[:, 1:]
    # Gram-Schmidt: what a corner spans is taken out of all points before the next is chosen
    corners = [first]
    apart = points - points[first]
    for _ in range(points.shape[1]):
        corners.append(int(np.argmax((apart**2).sum(axis=1))))
        length = np.linalg.norm(apart[corners[-1]])
        if length < 1e-10:
            raise ValueError(
                f"the {functions.shape[1]} slowest eigenfunctions take no more than {len(corners) - 1} different "
                "values together; use fewer sets"
            )
        direction = apart[corners[-1]] / length
        apart = apart - np.outer(apart @ direction, direction)
    return tuple(sorted(corners))


def _starts(functions: np.ndarray) -> Iterator[np.ndarray]:
    """Feasible transforms to begin at."""
    points = functions[:, 1:]
    extremes = [(points**2).sum(axis=1).argmax(), *points.argmin(axis=0), *points.argmax(axis=0)]
    for corners in dict.fromkeys(_simplex(functions, int(first)) for first in extremes):
        yield np.linalg.inv(functions[list(corners)])
    random, size = np.random.default_rng(0), functions.shape[1]
    for _ in range(DRAWN):
        yield random.standard_normal((size, size)) / np.abs(points).max()


def _feasible(transform: np.ndarray, functions: np.ndarray) -> np.ndarray:
    """The feasible transform with the same free entries (rows and columns after the first)."""
    filled = transform.copy()
    filled[1:, 0] = -filled[1:, 1:].sum(axis=1)
    filled[0] = -(functions[:, 1:] @ filled[1:]).min(axis=0)
    return filled / filled[0].sum()


def _crispest(functions: np.ndarray) -> np.ndarray:
    """The feasible transform of highest crispness found."""
    size = functions.shape[1] - 1

    def whole(free: np.ndarray) -> np.ndarray:
        filled = np.zeros((size + 1, size + 1))
        filled[1:, 1:] = free.reshape(size, size)
        return _feasible(filled, functions)

    def loss(free: np.ndarray) -> tuple[float, np.ndarray]:
        """Minus the crispness and its gradient; every column of memberships touches zero at one state."""
        # rows of A below the first; (A 1)_i = 0 there, so that memberships sum to one
        below = np.empty((size, size + 1))
        below[:, 1:] = free.reshape(size, size)
        below[:, 0] = -below[:, 1:].sum(axis=1)
        # a_1j = max_s (-sum_i X_si a_ij): the smallest first row at which no membership is negative
        heights = functions[:, 1:] @ below
        touching = heights.argmin(axis=0)
        first = -heights[touching, np.arange(size + 1)]
        # sum_j (sum_i a_ij^2) / a_1j for A over the sum of its first row
        total, squares = first.sum(), first**2 + (below**2).sum(axis=0)
        crispness = np.sum(squares / first) / total
        # its derivatives by a_1j and, since a_1j moves with the state it touches at, by the rows below
        by_first = (2 - squares / first**2) / total - crispness / total
        by_below = 2 * below / first / total - functions[touching, 1:].T * by_first
        return -crispness, -(by_below[:, 1:] - by_below[:, :1]).ravel()

    ends = []
    for start in _starts(functions):
        best, least = start[1:, 1:].ravel(), np.inf
        for _ in range(RESTARTS):
            ascent = minimize(loss, best, jac=True, method="L-BFGS-B", options={"maxiter": 500})
            # at a kink the line search gives up early; a fresh start from there goes on
            if not ascent.fun < least - 1e-6:
                break
            best, least = ascent.x, ascent.fun
        ends.append((least, best))
    return whole(min(ends, key=lambda end: end[0])[1])
