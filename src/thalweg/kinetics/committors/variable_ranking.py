r"""Which variable is the reaction coordinate: candidates ranked by how likely they make the outcomes of shots.

.. math::  p_B(r) = \tfrac12 \big( 1 + \tanh(\alpha_0 + \alpha \cdot r) \big), \qquad
           \ln L = \sum_{\to B} \ln p_B + \sum_{\to A} \ln(1 - p_B)

[peters2006b]. More numbers are worth it only if the Bayesian information criterion
:math:`-2 \ln L + k \ln N` falls. Where shots have velocities, a variable may be tried with its own beside it
[peters2012]: if that helps much, the barrier is crossed ballistically.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression

from thalweg.kinetics.committors.shot_outcomes import ShotOutcomes
from thalweg.kinetics.reactions.regions import IN_B, OUTSIDE
from thalweg.learning.models import Model
from thalweg.shapes import Shaped

HELD = 1e6
"""Inverse strength of the penalty on coefficients of standardized variables, that keeps them finite where outcomes
are told apart without an error."""

SURE = 2.0
"""Standard errors by which the likelihood of one variable is above that of another, to be called better."""


@dataclass(frozen=True, eq=False)
class CandidateFit:
    """How well one candidate explains the outcomes.

    Attributes
    ----------
    name : of the candidate
    coefficients : of its values (values,), as they are given
    offset : ``alpha_0``
    log_likelihood : of all outcomes
    criterion : Bayesian information criterion; the smaller, the better
    behind, behind_error : log likelihood below that of the best candidate, and its standard error over points
    """

    name: str
    coefficients: Shaped[np.ndarray, " values"]
    offset: float
    log_likelihood: float
    criterion: float
    behind: float
    behind_error: float


@dataclass(frozen=True, eq=False)
class VariableRanking(Model):
    """Candidates, the best first, and ``none``, which explains nothing.

    Attributes
    ----------
    variables : ranked by the criterion
    shots : outcomes
    """

    variables: tuple[CandidateFit, ...]
    shots: int

    @property
    def best(self) -> CandidateFit:
        """The candidate with the least criterion."""
        return self.variables[0]

    @property
    def sure(self) -> bool:
        """Whether the best is better than the second by more than `SURE` standard errors."""
        second = self.variables[1]
        return second.behind > SURE * second.behind_error

    def headline(self) -> dict[str, object]:
        """The first and second."""
        return {
            "best": self.best.name,
            "second": self.variables[1].name,
            "sure": str(self.sure),
            "shots": self.shots,
        }

    def __str__(self) -> str:
        lines = [
            f"{each.name}: ln L {each.log_likelihood:.1f}, criterion {each.criterion:.1f}, behind by "
            f"{each.behind:.1f} ± {each.behind_error:.1f}"
            for each in self.variables
        ]
        return "\n".join(lines)


def rank_variables(
    shots: ShotOutcomes,
    candidates: Mapping[str, Shaped[np.ndarray, "points ..."]],
    velocities: Mapping[str, Shaped[np.ndarray, "points shots ..."]] | None = None,
) -> VariableRanking:
    """Candidates in order of the criterion, the best first.

    Parameters
    ----------
    shots : outcomes
    candidates : values ``(points,)`` or ``(points, values)`` at the frames that were shot from, by name
    velocities : their time derivatives ``(points, shots)`` or ``(points, shots, values)`` at the start of each shot;
        those named here are tried with them, too

    Raises
    ------
    ValueError
        If numbers do not fit, values are not finite, all shots ended in one set, or velocities are asked for of shots
        that have none.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> x, y = random.uniform(-1, 1, (2, 200, 1))
    >>> outcomes = np.where(random.random((200, 5)) < 1 / (1 + np.exp(-4 * x)), 2, 1)
    >>> rank_variables(ShotOutcomes(np.hstack([x, y]), outcomes), {"x": x, "y": y}).best.name
    'x'
    """
    if velocities and shots.velocities is None:
        raise ValueError(
            "velocities are given, but these shots have none: overdamped dynamics, or outcomes that were kept without; "
            "leave them out"
        )
    tried = {"none": np.zeros((*shots.outcomes.shape, 0))}
    tried |= {name: _of_shots(values, shots, name) for name, values in candidates.items()}
    for name, rates in (velocities or {}).items():
        if name not in candidates:
            raise ValueError(
                f"velocities are given for {name!r}, which is no candidate: {', '.join(candidates)}"
            )
        both = [tried[name], _each_shot(rates, shots, name)]
        tried[f"{name} with its velocity"] = np.concatenate(both, axis=2)
    finished = shots.outcomes != OUTSIDE
    hit = shots.outcomes[finished] == IN_B
    if hit.all() or not hit.any():
        raise ValueError(
            f"all {len(hit)} shots ended in {'B' if hit.all() else 'A'}: nothing can be ranked; shoot from frames "
            "between the sets"
        )
    fits = {name: _fitted(values[finished], hit) for name, values in tried.items()}
    total = {name: (likelihood.sum(), len(slopes) + 1) for name, (likelihood, slopes, _) in fits.items()}
    criteria = {name: -2 * sum_ + count * np.log(len(hit)) for name, (sum_, count) in total.items()}
    order = sorted(criteria, key=lambda name: criteria[name])
    point = np.nonzero(finished)[0]
    best = fits[order[0]][0]
    ranked = []
    for name in order:
        likelihood, slopes, offset = fits[name]
        by_point = np.bincount(point, best - likelihood, minlength=len(shots.features))
        error = float(by_point.std(ddof=1) * np.sqrt(len(by_point))) if len(by_point) > 1 else np.nan
        ranked.append(
            CandidateFit(
                name,
                slopes,
                offset,
                float(likelihood.sum()),
                float(criteria[name]),
                float(by_point.sum()),
                error,
            )
        )
    return VariableRanking(tuple(ranked), len(hit))


def _of_shots(values: np.ndarray, shots: ShotOutcomes, name: str) -> np.ndarray:
    """Values of every shot ``(points, shots, values)``, the same for all of a point."""
    given = np.asarray(values, float)
    given = given[:, None] if given.ndim == 1 else given
    if given.ndim != 2 or len(given) != len(shots.features):
        raise ValueError(f"{name} has values of shape {given.shape}; give ({len(shots.features)}, values)")
    repeated = np.repeat(given[:, None], shots.outcomes.shape[1], axis=1)
    return _finite(repeated, name)


def _each_shot(values: np.ndarray, shots: ShotOutcomes, name: str) -> np.ndarray:
    given = np.asarray(values, float)
    given = given[..., None] if given.ndim == 2 else given
    if given.shape[:2] != shots.outcomes.shape:
        raise ValueError(
            f"{name} has velocities of shape {given.shape}; give {shots.outcomes.shape} and values"
        )
    return _finite(given, name)


def _finite(values: np.ndarray, name: str) -> np.ndarray:
    if not np.isfinite(values).all():
        raise ValueError(f"{name} is not finite at {int((~np.isfinite(values)).sum())} places")
    return values


def _fitted(values: np.ndarray, hit: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Log likelihood of every shot, and ``alpha`` and ``alpha_0`` of the hyperbolic tangent."""
    if values.shape[1] == 0:
        p = hit.mean()
        return np.where(hit, np.log(p), np.log(1 - p)), np.zeros(0), 0.5 * float(np.log(p / (1 - p)))
    mean, width = values.mean(axis=0), values.std(axis=0)
    width = np.where(width > 1e-12 * np.maximum(np.abs(mean), 1e-300), width, np.inf)
    scaled = (values - mean) / width
    fit = LogisticRegression(C=HELD, max_iter=1000).fit(scaled, hit)
    logits = scaled @ fit.coef_[0] + fit.intercept_[0]
    # ln p_B = -ln(1 + e^-z); a logistic function of z is (1 + tanh(z/2))/2
    likelihood = -np.logaddexp(0, np.where(hit, -logits, logits))
    slopes = fit.coef_[0] / width
    return likelihood, slopes / 2, float(fit.intercept_[0] - slopes @ mean) / 2
