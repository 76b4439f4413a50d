"""Everything that a page of a map says, as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from thalweg.report.results import Diagnosis, ViewerMolecule
from thalweg.shapes import Shaped


@dataclass(frozen=True)
class ShownFrames:
    """Frames that are drawn.

    Attributes
    ----------
    coordinates : (frames, dim) on the map
    properties : (frames,) of physical variables, by name with unit
    periods : of the properties that are periodic
    """

    coordinates: Shaped[np.ndarray, "frames dim"]
    properties: dict[str, np.ndarray]
    periods: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class RankedVariable:
    """A physical variable and how much of a coordinate it explains.

    Attributes
    ----------
    name : of the variable
    coordinate : what it explains
    shares : numbers by what they measure, such as a correlation
    """

    name: str
    coordinate: str
    shares: dict[str, float]


@dataclass(frozen=True)
class MapResults:
    """A map of structures.

    Attributes
    ----------
    title, subtitle : of the page
    names : of the coordinates
    points : frames drawn in the figure
    structures : frames whose structure is shown, fewer
    positions : (structures, atoms, 3) [nm] of these
    molecule : what the viewer needs beside positions; None where there are no atoms
    spectrum : eigenvalues, stresses or variances, with what they are called
    scores : name and value of each score on frames left out
    ranking : physical variables that explain the map, best first
    mapped, found, certainty : sentences of the summary
    diagnoses : what a careful reader must know
    provenance, citations : as of all pages
    """

    title: str
    subtitle: str
    names: tuple[str, ...]
    points: ShownFrames
    structures: ShownFrames
    positions: Shaped[np.ndarray, "structures atoms 3"]
    molecule: ViewerMolecule | None
    spectrum: tuple[str, Shaped[np.ndarray, " values"]]
    scores: tuple[tuple[str, str], ...]
    ranking: tuple[RankedVariable, ...]
    mapped: tuple[str, ...]
    found: tuple[str, ...]
    certainty: tuple[str, ...]
    diagnoses: tuple[Diagnosis, ...]
    provenance: dict[str, dict[str, str]]
    citations: tuple[str, ...]
