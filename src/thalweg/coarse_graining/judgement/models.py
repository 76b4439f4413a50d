"""One call for all that a coarse model is judged by: distributions, the free energy of slow variables, radial
distributions of a liquid, time scales.

Everything that has frames has a floor beside it, the divergence of the halves of the reference: a perfect model would
show as much. A model is right where it is at the floor, not where a loss is small.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from thalweg.coarse_graining.bead_frames import BeadFrames
from thalweg.coarse_graining.interactions.interaction import InternalCoordinate, PairInteraction
from thalweg.coarse_graining.judgement.comparison import (
    SurfaceComparison,
    check_temperatures,
    compare_values,
    halves_of_frames,
)
from thalweg.coarse_graining.judgement.distributions import bead_radial_distribution
from thalweg.coarse_graining.judgement.dynamics import compare_dynamics, coordinate_features
from thalweg.collective_variables.linear.tica import TICA
from thalweg.kinetics.validation.acceleration import TimescaleComparison, TimescaleRatios
from thalweg.learning.models import Model
from thalweg.shapes import Float
from thalweg.time_series.trajectories import Trajectories
from thalweg.units import whole_multiple

OUTER = 0.0005
"""Share of frames on either side beyond the range that values are binned over."""


@dataclass(frozen=True)
class ComparedVariables(Model):
    """Histograms of variables, and the ranges of their bins.

    Attributes
    ----------
    names : of the variables, with units
    ranges : least and largest value of each
    comparison : of reference and model
    """

    names: tuple[str, ...]
    ranges: tuple[tuple[float, float], ...]
    comparison: SurfaceComparison


@dataclass(frozen=True)
class RadialComparison(Model):
    """Radial distributions side by side.

    Attributes
    ----------
    r : middles of shells [nm]
    reference, model : ``g(r)``
    difference : root mean square difference of both
    floor : that of the halves of the reference
    """

    r: Float[np.ndarray, " shells"]
    reference: Float[np.ndarray, " shells"]
    model: Float[np.ndarray, " shells"]
    difference: float
    floor: float


@dataclass(frozen=True)
class ModelComparison(Model):
    """What a coarse model gets right.

    Attributes
    ----------
    distributions : of each internal coordinate
    surface : of the reference's slow variables, or of two torsions; None where there are neither
    radial : of a liquid, of each pair of kinds by name
    dynamics : time scales of both; None where they were not asked for
    shortcomings : what could not be compared, and why
    """

    distributions: tuple[ComparedVariables, ...]
    surface: ComparedVariables | None
    radial: Mapping[str, RadialComparison]
    dynamics: TimescaleComparison | None
    shortcomings: tuple[str, ...] = ()

    def headline(self) -> Mapping[str, Any]:
        found: dict[str, Any] = {}
        if self.surface is not None:
            found["divergence [nat]"] = self.surface.comparison.divergence
            found["floor [nat]"] = self.surface.comparison.floor
            found["error [kT]"] = self.surface.comparison.error
        if self.distributions:
            found["worst distribution"] = self.worst.names[0]
        if self.dynamics is not None:
            found["acceleration"] = self.dynamics.factor
        return found

    @property
    def worst(self) -> ComparedVariables:
        """The internal coordinate whose distribution is farthest above its floor."""
        return max(self.distributions, key=lambda one: one.comparison.divergence - one.comparison.floor)

    def in_words(self) -> tuple[str, ...]:
        """What was found, a sentence each."""
        said = []
        if self.surface is not None:
            one = self.surface.comparison
            said.append(
                f"free energy of {' and '.join(self.surface.names)}: divergence {one.divergence:.4f} nat, halves of "
                f"the reference {one.floor:.4f}; error {one.error:.2f} kT"
            )
        if self.distributions:
            one = self.worst.comparison
            said.append(
                f"of {len(self.distributions)} internal coordinates the worst is {self.worst.names[0]}: divergence "
                f"{one.divergence:.4f} nat, halves of the reference {one.floor:.4f}"
            )
        said += [
            f"radial distribution of {name}: root mean square difference {one.difference:.3f}, halves of the reference "
            f"{one.floor:.3f}"
            for name, one in self.radial.items()
        ]
        return (*said, *(() if self.dynamics is None else self.dynamics.in_words()), *self.shortcomings)


def compare_models(
    coordinates: Mapping[str, InternalCoordinate],
    reference: BeadFrames,
    model: BeadFrames,
    *,
    times: tuple[float, float] | None = None,
    ratios: TimescaleRatios | None = None,
    pairs: Mapping[str, PairInteraction] | None = None,
    bins: int = 24,
) -> ModelComparison:
    """Compare frames of a model with frames of its reference.

    Parameters
    ----------
    coordinates : by name; terms of one count together
    reference, model : frames at one temperature
    times : between frames of each [ps]; without them, or with a weighted reference, nothing is said of time scales
    ratios : how slow processes are found; none where None
    pairs : of a liquid, whose radial distributions are compared
    bins : of each variable

    Raises
    ------
    ValueError
        If temperatures differ.

    Examples
    --------
    >>> from thalweg.coarse_graining.interactions.functions import Powers
    >>> rng = np.random.default_rng(0)
    >>> def bonds(length):
    ...     x = np.zeros((5000, 2, 3))
    ...     x[:, 1, 0] = rng.normal(length, 0.01, 5000)
    ...     return BeadFrames(x, kT=2.5)
    >>> bond = {"bond": InternalCoordinate("distance", [[0, 1]], Powers(0.0))}
    >>> right, wrong = (compare_models(bond, bonds(0.15), bonds(length)) for length in (0.15, 0.16))
    >>> bool(right.worst.comparison.divergence < 0.01 < wrong.worst.comparison.divergence)
    True
    """
    check_temperatures(reference, model)
    dynamics, shortcomings = None, []
    if times is not None and ratios is not None and coordinates:
        try:
            dynamics = compare_dynamics(tuple(coordinates.values()), reference, model, times, ratios)
        except ValueError as error:
            shortcomings.append(f"time scales could not be compared: {error}")
    variables = _slow_variables(coordinates, reference, model, times, ratios) if dynamics else None
    return ModelComparison(
        tuple(_distribution(name, one, reference, model, bins) for name, one in coordinates.items()),
        _surface(variables or _torsions(coordinates, reference, model), reference, bins),
        {name: _radial(one, reference, model) for name, one in (pairs or {}).items()},
        dynamics,
        tuple(shortcomings),
    )


def _slow_variables(coordinates, reference, model, times, ratios):
    """Names, values of reference and model, and ranges of the two slowest coordinates of the reference."""
    features = [
        coordinate_features(tuple(coordinates.values()), reference, each) for each in (reference, model)
    ]
    walks = Trajectories(np.split(features[0], list(accumulate(reference.lengths))[:-1]), dt=times[0])
    lag = whole_multiple(ratios.lag, times[0], "lag")
    slow = TICA(lag, dim=min(2, walks.n_features)).fit(walks)
    values = [np.asarray(slow.transform(each), float) for each in features]
    names = tuple(f"slow variable {k + 1}" for k in range(values[0].shape[1]))
    ends = np.quantile(np.concatenate(values), [OUTER, 1 - OUTER], axis=0)
    return names, *values, [(float(a), float(b)) for a, b in ends.T]


def _torsions(coordinates, reference, model):
    """The same of the first two dihedrals of the molecule; None where there are none."""
    chosen = [
        (name, term, one)
        for name, one in coordinates.items()
        if one.kind == "dihedral"
        for term in range(len(one.terms))
    ][:2]
    if not chosen:
        return None
    values = [
        np.stack([one.values(frames.positions, frames.boxes)[:, term] for _, term, one in chosen], 1)
        for frames in (reference, model)
    ]
    names = tuple(f"{name} {term + 1} [rad]" for name, term, _ in chosen)
    return names, *values, [(-np.pi, np.pi)] * len(chosen)


def _surface(variables, reference: BeadFrames, bins: int) -> ComparedVariables | None:
    if variables is None:
        return None
    names, own, others, ranges = variables
    return ComparedVariables(
        names, tuple(ranges), compare_values(own, others, ranges, bins, reference.weights)
    )


def _distribution(name, one: InternalCoordinate, reference, model, bins) -> ComparedVariables:
    q, p = (one.values(each.positions, each.boxes) for each in (model, reference))
    ends = (-np.pi, np.pi)
    if one.kind != "dihedral":
        ends = tuple(float(each) for each in np.quantile(np.concatenate([p, q]), [OUTER, 1 - OUTER]))
        ends = (ends[0], max(ends[1], ends[0] + 1e-6))
    weights = None if reference.weights is None else np.repeat(reference.weights, p.shape[1])
    unit = "nm" if one.kind == "distance" else "rad"
    found = compare_values(p.reshape(-1, 1), q.reshape(-1, 1), [ends], bins, weights)
    return ComparedVariables((f"{name} [{unit}]",), (ends,), found)


def _radial(pairs: PairInteraction, reference: BeadFrames, model: BeadFrames) -> RadialComparison:
    r, own = bead_radial_distribution(pairs, reference)
    others = bead_radial_distribution(pairs, model)[1]
    first, second = (bead_radial_distribution(pairs, half)[1] for half in halves_of_frames(reference))
    return RadialComparison(r, own, others, _apart(own, others), _apart(first, second))


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.mean((a - b) ** 2)))
