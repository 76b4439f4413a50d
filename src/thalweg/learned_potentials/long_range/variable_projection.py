"""Parameters of a term fitted beside a linear learner, whose coefficients are always the best ones [golub1973].

With labels ``y``, rows ``X`` of the learner and its prior ``Lambda``, the sum of squares that is left once coefficients
are solved for,

    f(x) = min_c |y - y(x) - X c|^2 + lambda c . Lambda c  +  noise |(x - x_0) / s|^2  +  |C x - d|^2,

depends on the few parameters ``x`` of the term alone. Levenberg and Marquardt's steps take their derivatives with
``X c`` projected out, so that a learner of a thousand coefficients and a term that pulls at the same labels cannot hold
each other up. ``lambda`` is weak: what the learner can take it shall, and what it cannot decides ``x``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.linalg import cho_factor, cho_solve

from thalweg.learned_potentials.linear.design import VOIGT
from thalweg.learned_potentials.linear.learner import OnePass
from thalweg.learned_potentials.linear.regularization import Ridge
from thalweg.learned_potentials.long_range.whole_frames import FrameTerm, labels_of_frames, side_by_side
from thalweg.learned_potentials.terms.term import Weights
from thalweg.shapes import Array, Float
from thalweg.systems.configuration import Configuration

STEPS = 30
"""At most so many steps of what goes on."""

FIRST = 6
"""Steps from each start, before the `BEST` ends go on."""

BEST = 2
"""So many."""

LEAST = 1e-9
"""Curvature along a parameter, as a share of the largest, below which it is damped as if it had that."""

CONVERGED = 1e-4
"""Steps end where the sum of squares falls by less than this part of it."""

TermOf = Callable[[Float[Array, " parameters"]], FrameTerm]


@dataclass(frozen=True)
class Expected:
    """What is known of parameters before labels are seen.

    Attributes
    ----------
    center, spread : (parameters,) of independent normal distributions
    least : (parameters,) lower bounds
    rows, values : ``C`` (conditions, parameters) and ``d`` (conditions,), in units of what they may be off
    """

    center: Float[np.ndarray, " parameters"]
    spread: Float[np.ndarray, " parameters"]
    least: Float[np.ndarray, " parameters"]
    rows: Float[np.ndarray, "conditions parameters"]
    values: Float[np.ndarray, " conditions"]

    def drawn(self, random: np.random.Generator) -> np.ndarray:
        """Parameters at random that meet the conditions nearly."""
        free = np.maximum(self.center + self.spread * random.normal(size=self.center.shape), self.least)
        return np.maximum(self.nearest(free), self.least)

    def nearest(self, parameters: np.ndarray) -> np.ndarray:
        """Those that meet the conditions, nearest to ``parameters`` in units of their spreads."""
        missing = self.values - self.rows @ parameters
        return parameters + self.spread * np.linalg.lstsq(self.rows * self.spread, missing, rcond=1e-9)[0]


@dataclass(frozen=True)
class _Projected:
    """A fit that ended: parameters, what is left of labels, and how."""

    parameters: np.ndarray
    squares: float
    noise: float
    strength: float
    converged: bool


def fit_beside(
    learner: OnePass,
    term_of: TermOf,
    expected: Expected,
    starts: Sequence[np.ndarray],
    configurations: Sequence[Configuration],
    weights: Weights,
    seed: int = 0,
    progress: Callable[[str, float], None] | None = None,
    more: Callable[[np.ndarray], Expected] | None = None,
) -> _Projected:
    """Parameters of ``term_of`` that leave least to labels of ``configurations`` beside the best of the ``learner``.

    All ``starts`` are followed for some steps, the best ones to their ends. From the best of these it goes on with what
    ``more`` then knows of the parameters found.
    """
    with jax.enable_x64(True):
        problem = _Problem(learner, term_of, expected, configurations, weights, seed)
        strength = problem.weak()
        ends = []
        for k, start in enumerate(starts):
            if progress is not None:
                progress(f"charges from start {k + 1} of {len(starts)}", k / len(starts))
            ends.append(problem.descended(np.asarray(start, float), strength, FIRST))
        ahead = sorted(ends, key=lambda end: end.squares)[: BEST if len(starts) > 1 else 1]
        ends = [problem.descended(end.parameters, strength, STEPS) for end in ahead]
        best = min(ends, key=lambda end: end.squares)
        if more is None:
            return best
        problem.expected = more(best.parameters)
        return problem.descended(problem.expected.nearest(best.parameters), strength, STEPS)


class _Problem:
    """Rows of all labels, divided by their errors, and predictions of the term for them."""

    def __init__(self, learner, term_of, expected, configurations, weights, seed):
        self.learner, self.expected, self.weights = learner, expected, weights
        self.term_of, self.frames, self.seed = term_of, configurations, seed
        self.problem = learner.problem(configurations, seed)
        forgiving = learner.forgiving
        self.divisors = (
            np.ones(len(configurations)) if forgiving is None else forgiving.divisors(configurations)
        )
        design: list = [None] * len(configurations)
        for block in self.problem.rows(configurations):
            for k, *rows in zip(block.frames, block.energies, block.forces, block.virials):
                design[k] = self.weighted(k, *rows)
        self.design = np.concatenate(design)
        self.labels = np.concatenate([self.weighted(k, *_labels(f)) for k, f in enumerate(configurations)])
        self.gram = self.design.T @ self.design
        prior = self.problem.prior
        self.prior = np.diag(prior) if prior.ndim == 1 else prior
        self.blocks = list(side_by_side(term_of(jnp.asarray(expected.center)), configurations))

    def weighted(self, k, energy, force, virial):
        """Rows of the labels that frame ``k`` has; ``energy`` (...), ``force`` (3 atoms, ...), ``virial`` (6, ...)."""
        frame, share = self.frames[k], np.sqrt(len(self.frames[k]))
        kept = []
        if frame.energy is not None:
            kept.append(np.asarray(energy)[None] / (self.weights.energy * share))
        if frame.forces is not None:
            kept.append(np.asarray(force) / self.weights.force)
        if frame.stress is not None:
            kept.append(np.asarray(virial) / (self.weights.stress * share))
        return np.concatenate(kept) / self.divisors[k] if kept else np.zeros((0, *np.shape(energy)))

    def predicted(self, parameters, slopes=False):
        """Rows of the term's labels, or of their derivatives, ``(rows, parameters)``."""
        found: list = [None] * len(self.frames)
        made = _slopes if slopes else _values
        for chosen, whole in self.blocks:
            energies, gradients, virials = map(np.asarray, made(self.term_of, jnp.asarray(parameters), whole))
            for k, energy, gradient, virial in zip(chosen, energies, gradients, virials):
                forces = -np.swapaxes(gradient, 0, 1)[: len(self.frames[k])]
                six = np.stack([virial[a, b] for a, b in VOIGT])
                found[k] = self.weighted(k, energy, forces.reshape(-1, *forces.shape[2:]), six)
        return np.concatenate(found)

    def weak(self):
        """The strength that is taken before one is chosen."""
        gram, prior = np.trace(self.gram), np.trace(self.prior)
        # where no atom sees another, nothing local is learned and any strength will do
        return Ridge().strength * (gram / prior if gram > 0 and prior > 0 else 1.0)

    def _factored(self, strength):
        """Of the local equations; a function that is nothing in all frames has no coefficient to speak of."""
        matrix = self.gram + strength * self.prior
        nowhere = np.flatnonzero(np.diagonal(matrix) == 0)
        matrix[nowhere, nowhere] = 1.0
        return cho_factor(matrix)

    def descended(self, start, strength, steps):
        """Levenberg and Marquardt's ``steps`` down from ``start``, in what is not held at its bound.

        =============  ==============================================================================
        ``r``          ``left``: ``y - y(x) - X c`` at the best ``c``
        ``J``          ``slopes``: ``d y(x) / d x``, less what ``X`` makes of it
        ``P``          ``known``: curvature of what is expected, whose pull is ``back``
        =============  ==============================================================================
        """
        factor = self._factored(strength)
        parameters, damping, converged = np.maximum(start, self.expected.least), 1e-2, False
        left, squares = self._left(parameters, factor, strength)
        noise = squares / max(len(left), 1)
        pull, cost = self._pull(parameters, noise)
        for _ in range(steps):
            full = self.predicted(parameters, slopes=True)
            slopes = full - self.design @ cho_solve(factor, self.design.T @ full)
            known = np.diag(noise / self.expected.spread**2) + self.expected.rows.T @ self.expected.rows
            curvature, slope = full.T @ slopes + known, full.T @ left - pull
            free = (parameters > self.expected.least) | (slope > 0)
            curvature, slope = curvature[np.ix_(free, free)], slope[free]
            gained = False
            while damping < 1e8 and not gained:
                trial = parameters.copy()
                # parameters on which nothing depends stay where they are
                steep = np.diagonal(curvature)
                damped = curvature + damping * np.diag(np.maximum(steep, LEAST * steep.max(initial=1e-300)))
                trial[free] += np.linalg.solve(damped, slope)
                trial = np.maximum(trial, self.expected.least)
                trial_left, trial_squares = self._left(trial, factor, strength)
                trial_cost = self._pull(trial, noise)[1]
                gained = trial_squares + trial_cost < squares + cost
                damping *= 0.2 if gained else 5.0
            if not gained:
                converged = True
                break
            converged = squares + cost - trial_squares - trial_cost < CONVERGED * (squares + cost)
            parameters, left, squares = trial, trial_left, trial_squares
            noise = squares / max(len(left), 1)
            pull, cost = self._pull(parameters, noise)
            if converged:
                break
        return _Projected(parameters, squares + cost, noise, float(strength), bool(converged))

    def _left(self, parameters, factor, strength):
        """What the best coefficients leave, and the sum of squares with their prior."""
        rest = self.labels - self.predicted(parameters)
        coefficients = cho_solve(factor, self.design.T @ rest)
        left = rest - self.design @ coefficients
        return left, float(left @ left + strength * coefficients @ (self.prior @ coefficients))

    def _pull(self, parameters, noise):
        """Half the gradient of what is expected, and its sum of squares."""
        expected = self.expected
        away, missing = (
            (parameters - expected.center) / expected.spread,
            expected.rows @ parameters - expected.values,
        )
        pull = noise * away / expected.spread + expected.rows.T @ missing
        return pull, float(noise * away @ away + missing @ missing)


def without(term: FrameTerm, configurations: Sequence[Configuration]) -> list[Configuration]:
    """The frames, whose labels are what ``term`` leaves of them."""
    labels = term.evaluate(configurations)
    return [
        replace(
            frame,
            energy=None if frame.energy is None else frame.energy - float(labels.energies[k]),
            forces=None if frame.forces is None else frame.forces - labels.forces[k],
            stress=None if frame.stress is None else frame.stress - labels.stresses[k],
        )
        for k, frame in enumerate(configurations)
    ]


def _labels(frame):
    """Energy, flat forces and the six components of stress times volume; NaN where there are none."""
    energy = np.asarray(np.nan if frame.energy is None else frame.energy)
    forces = np.full(3 * len(frame), np.nan) if frame.forces is None else np.asarray(frame.forces).ravel()
    if frame.stress is None:
        return energy, forces, np.full(6, np.nan)
    return energy, forces, np.array([frame.stress[a][b] for a, b in VOIGT]) * frame.volume


@eqx.filter_jit
def _values(term_of, parameters, frames):
    return labels_of_frames(term_of(parameters), frames)


@eqx.filter_jit
def _slopes(term_of, parameters, frames):
    """Derivatives in the parameters, last axis, one after the other: large frames have room for no more."""
    _, along = jax.linearize(lambda x: labels_of_frames(term_of(x), frames), parameters)
    slopes = jax.lax.map(along, jnp.eye(len(parameters), dtype=parameters.dtype))
    return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, -1), slopes)
