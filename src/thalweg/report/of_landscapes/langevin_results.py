"""Everything that a page of motion along a variable says, as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thalweg.report.results import Diagnosis
from thalweg.shapes import Shaped


@dataclass(frozen=True)
class DrawnProfile:
    """A function of the variable, or of time, with errors.

    Attributes
    ----------
    quantity, along : what it is, and of what, with units
    x, values, errors : (points,)
    logarithmic : whether it is drawn over decades
    """

    quantity: str
    along: str
    x: Shaped[np.ndarray, " points"]
    values: Shaped[np.ndarray, " points"]
    errors: Shaped[np.ndarray, " points"]
    logarithmic: bool = False


@dataclass(frozen=True)
class RouteRates:
    """Rates there and back by one route; an error of NaN where it has none.

    Attributes
    ----------
    route : such as "exact generator"
    forward, error, backward : [1/ps]
    """

    route: str
    forward: float
    error: float
    backward: float


@dataclass(frozen=True)
class LangevinResults:
    """A Langevin model of one variable.

    Attributes
    ----------
    title, subtitle : of the page
    profiles : free energy first, then friction, diffusion, mass, memory kernel
    rates : by every route; empty where there are no two wells
    correlations : of residuals, one for each number of steps apart, and the band of chance
    ranked : names of candidate variables with the slowest relaxation time along each and its error [ps], best first
    modeled, found, certainty : sentences of the summary
    diagnoses : what a careful reader must know
    provenance, citations : as of all pages
    """

    title: str
    subtitle: str
    profiles: tuple[DrawnProfile, ...]
    rates: tuple[RouteRates, ...]
    correlations: tuple[Shaped[np.ndarray, " lags"], float]
    ranked: tuple[tuple[str, float, float], ...]
    modeled: tuple[str, ...]
    found: tuple[str, ...]
    certainty: tuple[str, ...]
    diagnoses: tuple[Diagnosis, ...]
    provenance: dict[str, dict[str, str]]
    citations: tuple[str, ...]
