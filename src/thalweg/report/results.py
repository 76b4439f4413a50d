"""Everything a report says, as plain numbers: what an analysis fills in and a page, a table or a file shows.

Every ``error`` is one standard error; intervals are 95 % and named ``lower`` and ``upper``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from thalweg.shapes import Shaped


@dataclass(frozen=True)
class ReportedNumber:
    """One number with its error, and the independent values behind it where there are several.

    Attributes
    ----------
    name : what it is, such as ``"free energy of 0 < phi < 126 deg against the rest"``
    value, error : the number and its standard error; an error of NaN means that it could not be estimated
    unit : ``""`` for a pure number
    repeats : (value, error) of each independent repeat (seed), empty where there is one only
    remark : what speaks for or against the number, in a few words
    """

    name: str
    value: float
    error: float
    unit: str = ""
    repeats: tuple[tuple[float, float], ...] = ()
    remark: str = ""


@dataclass(frozen=True)
class Axis:
    """The centers ``(n,)`` of the bins along one variable, its name, unit and period (None: not periodic).

    Attributes
    ----------
    name, unit : of the variable
    centers : (n,), of the bins
    period : None where it is not periodic
    """

    name: str
    unit: str
    centers: np.ndarray
    period: float | None = None


@dataclass(frozen=True)
class Surface:
    """A free-energy surface with its error map.

    Attributes
    ----------
    name : what it is a surface over, such as ``"backbone dihedrals"``
    x, y : the axes
    energy : (x, y) [kJ/mol], lowest bin at zero, NaN where nothing was sampled
    error : (x, y) standard error [kJ/mol], NaN where unknown
    by_seed : one ``(x, y)`` surface per independent seed, empty with a single one
    """

    name: str
    x: Axis
    y: Axis
    energy: Shaped[np.ndarray, "x y"]
    error: Shaped[np.ndarray, "x y"]
    by_seed: tuple[np.ndarray, ...] = ()


@dataclass(frozen=True)
class ReportedTimescales:
    """Implied time scales against the lag time, all [ps].

    Attributes
    ----------
    lagtimes : (lags,)
    timescales, lower, upper : (lags, processes), NaN where a process could not be resolved at that lag
    chosen : the lag time that the Markov model was built at, None where none was chosen
    resolved : (processes,) whether the data hold enough transitions to give the process as a number
    """

    lagtimes: Shaped[np.ndarray, " lags"]
    timescales: Shaped[np.ndarray, "lags processes"]
    lower: Shaped[np.ndarray, "lags processes"]
    upper: Shaped[np.ndarray, "lags processes"]
    chosen: float | None
    resolved: tuple[bool, ...]


@dataclass(frozen=True)
class ChapmanKolmogorov:
    """Probability of being in set ``j`` a time after set ``i``: predicted by the model, counted in the data.

    Attributes
    ----------
    lagtimes : (lags,) [ps]
    predicted, estimated, error : (lags, sets, sets)
    """

    lagtimes: Shaped[np.ndarray, " lags"]
    predicted: Shaped[np.ndarray, "lags sets sets"]
    estimated: Shaped[np.ndarray, "lags sets sets"]
    error: Shaped[np.ndarray, "lags sets sets"]


@dataclass(frozen=True)
class Candidate:
    """A Markov model that was tried.

    Attributes
    ----------
    name : features, slow coordinates, clusters
    features : name of the feature set
    score, error : on data left out, NaN where there is no model
    training : score on the data it was fitted to
    failure : why there is none, or empty
    """

    name: str
    features: str
    score: float
    error: float
    training: float
    failure: str = ""


@dataclass(frozen=True)
class ModelChoice:
    """How the model was chosen.

    Attributes
    ----------
    score : what was compared, in words
    candidates : best first, those without a model last
    chosen : place of the one in use
    """

    score: str
    candidates: tuple[Candidate, ...]
    chosen: int


@dataclass(frozen=True)
class MolecularState:
    """A long-lived state: how likely it is and what it looks like.

    Attributes
    ----------
    name : such as ``"A"`` or ``"left-handed"``
    population : an `ReportedNumber` without unit
    frames : number of stored frames in it
    center : values of the shown variables in its middle, by name with unit
    structures : (n, atoms, 3) representative frames [nm]
    """

    name: str
    population: ReportedNumber
    frames: int
    center: dict[str, str]
    structures: Shaped[np.ndarray, "n atoms 3"]


@dataclass(frozen=True)
class ViewerMolecule:
    """What the 3D viewer needs beside coordinates: element symbols ``(atoms,)`` and bonds ``(bonds, 2)``.

    Attributes
    ----------
    elements : (atoms,) symbols
    bonds : (bonds, 2) pairs of atoms
    """

    elements: tuple[str, ...]
    bonds: np.ndarray


@dataclass(frozen=True)
class Convergence:
    """How an estimate moved as data came in.

    Attributes
    ----------
    name, unit : of the estimate
    label : what ``amount`` counts, such as ``"simulated time [ns]"``
    amount : (points,)
    values, errors : (points, repeats)
    """

    name: str
    unit: str
    label: str
    amount: Shaped[np.ndarray, " points"]
    values: Shaped[np.ndarray, "points repeats"]
    errors: Shaped[np.ndarray, "points repeats"]


@dataclass(frozen=True)
class RoundsVisited:
    """Where frames of each round of a campaign lie, whatever bias they were made under.

    Attributes
    ----------
    x, y : names of the axes
    unit : of both
    numbers : of the rounds shown, from one
    points : of each of these (frames, 2), a sample
    """

    x: str
    y: str
    unit: str
    numbers: tuple[int, ...]
    points: tuple[Shaped[np.ndarray, "frames 2"], ...]


@dataclass(frozen=True)
class VariableMeaning:
    """What a learned variable means in physical terms.

    Attributes
    ----------
    names : of the learned variables
    physical : names of the physical ones
    correlation : (names, physical), absolute correlation in [0, 1], circular for angles
    values : (frames, names), a sample of frames
    physical_values : (frames, physical), the same frames
    units : of the physical ones
    """

    names: tuple[str, ...]
    physical: tuple[str, ...]
    correlation: Shaped[np.ndarray, "names physical"]
    values: Shaped[np.ndarray, "frames names"]
    physical_values: Shaped[np.ndarray, "frames physical"]
    units: tuple[str, ...]


@dataclass(frozen=True)
class Cost:
    """What the run took: steps and simulated time summed over replicas, seconds of work summed over tasks.

    Attributes
    ----------
    steps : summed over replicas
    nanoseconds : simulated time summed over replicas [ns]
    seconds : of work summed over tasks [s]
    tasks : their number
    """

    steps: int
    nanoseconds: float
    seconds: float
    tasks: int

    @property
    def nanoseconds_per_day(self) -> float:
        """Simulated time per day of one worker [ns/day]."""
        return self.nanoseconds / self.seconds * 86400 if self.seconds > 0 else math.nan


@dataclass(frozen=True)
class Diagnosis:
    """Something a careful reader must know: ``severity`` is ``"note"``, ``"warning"`` or ``"problem"``.

    Attributes
    ----------
    severity : ``"note"``, ``"warning"`` or ``"problem"``
    sentence : what a reader must know
    """

    severity: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class PageResults:
    """What every page has at its head and end.

    Attributes
    ----------
    title, subtitle : of the page
    asked, found, certainty : sentences of the summary
    diagnoses : what a careful reader must know
    provenance : section -> (name -> value): settings, versions, seeds, digest
    citations : what to cite, as finished references, in order of importance
    """

    title: str
    subtitle: str
    asked: tuple[str, ...]
    found: tuple[str, ...]
    certainty: tuple[str, ...]
    diagnoses: tuple[Diagnosis, ...]
    provenance: dict[str, dict[str, str]]
    citations: tuple[str, ...]


@dataclass(frozen=True)
class Results:
    """A whole report. Whatever was not part of the run is None or empty, and its section is left out.

    Attributes
    ----------
    title, subtitle : what was simulated, in a few words
    simulated, found, certainty : the summary's three answers, as sentences
    provenance : section -> (name -> value): settings, versions, seeds, digest
    citations : what to cite, as finished references, in order of importance
    """

    title: str
    subtitle: str
    simulated: tuple[str, ...]
    found: tuple[str, ...]
    certainty: tuple[str, ...]
    estimates: tuple[ReportedNumber, ...] = ()
    diagnoses: tuple[Diagnosis, ...] = ()
    choice: ModelChoice | None = None
    surfaces: tuple[Surface, ...] = ()
    timescales: ReportedTimescales | None = None
    chapman_kolmogorov: ChapmanKolmogorov | None = None
    states: tuple[MolecularState, ...] = ()
    molecule: ViewerMolecule | None = None
    learned: VariableMeaning | None = None
    rounds: RoundsVisited | None = None
    convergence: tuple[Convergence, ...] = ()
    cost: Cost | None = None
    provenance: dict[str, dict[str, str]] = field(default_factory=dict)
    citations: tuple[str, ...] = ()
