"""Potentials of few positive parameters, fitted to energies and forces by nonlinear least squares [branch1999].

Minimized is the sum of squares of

    (E - E_label) / (w_E sqrt(atoms)),    (F - F_label) / w_F,    V (stress - label) / (w_S sqrt(atoms)),

over what labels there are, in the logarithms of the parameters, which keeps them positive and makes their sizes alike,
and in the energies of atoms alone, which enter linearly. Derivatives are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from thalweg.learned_potentials.terms.learner import FitInfo, FittedTerm
from thalweg.learned_potentials.terms.local import SiteTerm, energies_and_gradients
from thalweg.learned_potentials.terms.term import Weights
from thalweg.representations.environments import Neighborhoods, batches, points_of
from thalweg.systems.configuration import Configuration, elements_of

REACH = np.log(1e3)
"""Parameters stay within this logarithmic distance of where they start."""

TermOf = Callable[[dict[str, jax.Array], jax.Array], SiteTerm]
"""From parameters and energies of atoms alone to a term."""


def best_fit(
    term_of: TermOf,
    starts: Sequence[dict[str, np.ndarray]],
    configurations: Sequence[Configuration],
    weights: Weights,
    progress: Callable[[str, float], None] | None = None,
) -> FittedTerm:
    """The term of least squares that is reached from one of ``starts``, and which and how."""
    ends = []
    with jax.enable_x64(True):
        for k, start in enumerate(starts):
            if progress is not None:
                progress(f"least squares from start {k + 1} of {len(starts)}", k / len(starts))
            ends.append(_fitted(term_of, start, configurations, weights))
    best = min(range(len(ends)), key=lambda k: ends[k][0].cost)
    end, term = ends[best]
    note = f"Least squares from start {best + 1} of {len(ends)}: {end.nfev} evaluations, {end.message.rstrip('.')}."
    return FittedTerm(term, FitInfo(converged=bool(end.success), notes=(note,)))


def linear_fit(
    term_of: TermOf, counts: dict[str, int], configurations: Sequence[Configuration], weights: Weights
) -> FittedTerm:
    """The term of least squares whose energy is linear in the parameters, ``counts`` of each name, none negative."""
    ends = np.cumsum(list(counts.values()))
    elements = elements_of(configurations)

    def term_at(variables):
        return term_of(dict(zip(counts, jnp.split(variables[: ends[-1]], ends[:-1]))), variables[ends[-1] :])

    with jax.enable_x64(True):
        zero = np.zeros(ends[-1] + len(elements))
        problem = _Problem(term_at, zero, configurations, weights)
        least = np.concatenate([np.zeros(ends[-1]), np.full(len(elements), -np.inf)])
        end = scipy.optimize.lsq_linear(
            problem.jacobian(zero), -problem.residuals(zero), (least, np.full(len(zero), np.inf)), tol=1e-12
        )
        return FittedTerm(_plain(term_at(end.x)), FitInfo(converged=bool(end.success)))


def require_frames(configurations: Sequence[Configuration]) -> None:
    """Raise ValueError if there is nothing to fit to."""
    if not any(f.energy is not None or f.forces is not None for f in configurations):
        raise ValueError(
            f"{len(configurations)} frames given, none with an energy or forces; give labeled frames to fit to"
        )


def nearest_distances(
    configurations: Sequence[Configuration], elements: Sequence[int], reach: float
) -> np.ndarray:
    """Shortest distance of each pair of elements in any frame [nm], ``reach`` where none is nearer.

    Pairs are in the order (0, 0), (0, 1), (1, 1), (0, 2), ... of positions in ``elements``.

    Examples
    --------
    >>> water = Configuration(np.array([8, 1, 1]), np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]]))
    >>> nearest_distances([water], (1, 8), 0.2).round(3).tolist()
    [0.141, 0.1, 0.2]
    """
    shortest = np.full(len(elements) * (len(elements) + 1) // 2, float(reach))
    for chosen, near in batches(configurations, elements, reach):
        points = points_of([configurations[k] for k in chosen], len(near.kinds))
        distances = np.linalg.norm(points[:, near.partners] - points[:, None] + near.offsets, axis=0)
        kinds, neighbor_kinds = near.kinds, near.kinds[near.partners]
        lower, higher = np.minimum(kinds, neighbor_kinds), np.maximum(kinds, neighbor_kinds)
        within = (distances < reach) & (lower >= 0)
        np.minimum.at(shortest, (higher * (higher + 1) // 2 + lower)[within], distances[within])
    return shortest


class _Problem:
    """Residuals and their derivatives in the variables of a term; labels that are missing are left out."""

    def __init__(self, term_at: Callable[[jax.Array], SiteTerm], start, configurations, weights: Weights):
        def predicted(variables, near, points):
            energies, gradient, virial = energies_and_gradients(term_at(variables), near, points)
            return energies, -gradient, virial

        cutoff, elements = term_at(start).cutoff, elements_of(configurations)
        self.blocks = [
            _block(configurations, chosen, near) for chosen, near in batches(configurations, elements, cutoff)
        ]
        self.weights, self.predicted = weights, jax.jit(predicted)
        self.slopes = jax.jit(jax.jacfwd(predicted))

    def residuals(self, variables):
        return np.concatenate(
            [
                _weighted(self.predicted(variables, near, points), labels, sizes, self.weights)
                for near, points, labels, sizes in self.blocks
            ]
        )

    def jacobian(self, variables):
        return np.concatenate(
            [
                _weighted(self.slopes(variables, near, points), _nothing(labels), sizes, self.weights)
                for near, points, labels, sizes in self.blocks
            ]
        )


def _fitted(term_of, start, configurations, weights):
    """The end of least squares from ``start``, and the term there."""
    ends = np.cumsum([len(table) for table in start.values()])
    logarithms = np.log(np.concatenate(list(start.values())))
    elements = elements_of(configurations)

    def term_at(variables):
        tables = jnp.split(jnp.exp(variables[: ends[-1]]), ends[:-1])
        return term_of(dict(zip(start, tables)), variables[ends[-1] :])

    begin = np.concatenate([logarithms, np.zeros(len(elements))])
    width = np.concatenate([np.full(len(logarithms), REACH), np.full(len(elements), np.inf)])
    problem = _Problem(term_at, begin, configurations, weights)
    end = scipy.optimize.least_squares(
        problem.residuals, begin, problem.jacobian, bounds=(begin - width, begin + width), x_scale="jac"
    )
    return end, _plain(term_at(end.x))


def _plain(term):
    """The term with NumPy arrays."""
    return jax.tree.map(np.asarray, term)


def _nothing(labels):
    return [0 * label for label in labels]


def _block(configurations, chosen, near: Neighborhoods):
    """Neighbors, points, labels (NaN where there are none) and numbers of atoms of a block of frames."""
    frames = [configurations[k] for k in chosen]
    sites, missing = len(near.kinds), np.full((3, 3), np.nan)
    energies = np.array([np.nan if frame.energy is None else frame.energy for frame in frames])
    forces = [np.full((len(f), 3), np.nan) if f.forces is None else f.forces for f in frames]
    forces = np.concatenate(forces)
    forces = np.concatenate([forces, np.full((sites - len(forces), 3), np.nan)]).T
    virials = np.array([missing if f.stress is None else f.stress * f.volume for f in frames])
    sizes = np.array([len(frame) for frame in frames], float)
    return near, points_of(frames, sites), (energies, forces, virials), sizes


def _weighted(values, labels, sizes, weights: Weights):
    """Deviations from labels in units of the error one would be content with, a row each, where there is a label."""
    scales = (weights.energy * np.sqrt(sizes), weights.force, weights.stress * np.sqrt(sizes)[:, None, None])
    rows = []
    for value, label, scale in zip(values, labels, scales):
        value, label, scale = (
            np.asarray(a, float) for a in (value, label, np.broadcast_to(scale, label.shape))
        )
        labeled = np.isfinite(label)
        extra = (None,) * (value.ndim - label.ndim)
        rows.append((value[labeled] - label[labeled][(..., *extra)]) / scale[labeled][(..., *extra)])
    return np.concatenate(rows)
