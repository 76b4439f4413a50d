"""Everything the report of a learned potential says, as plain numbers in the units of tables: eV, meV, Å, GPa.

Predictions are compared with labels; errors are mean absolute (MAE) and root mean square (RMSE).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from thalweg.report.results import Diagnosis
from thalweg.shapes import Shaped


@dataclass(frozen=True)
class Judged:
    """One set of frames: labels, predictions, errors.

    Attributes
    ----------
    name : such as ``"test"``
    frames : their number
    energies : (frames with an energy, 2) label and prediction per atom, less isolated atoms [eV]
    forces : (components, 2) label and prediction [eV/Å], a sample if there are many
    components : number of force components judged
    rows : label, unit, MAE, RMSE, largest error, count, as in `thalweg.learned_potentials.frames.errors.Errors.rows`
    """

    name: str
    frames: int
    energies: np.ndarray
    forces: Shaped[np.ndarray, "components 2"]
    components: int
    rows: tuple[tuple[str, str, float, float, float, int], ...]

    def error(self, label: str, measure: str = "mae") -> float:
        """The error of one label in its unit; NaN if no frame has it."""
        column = {"mae": 2, "rmse": 3}[measure]
        return next((row[column] for row in self.rows if row[0] == label), float("nan"))


@dataclass(frozen=True)
class ErrorCourse:
    """Force errors in equally filled groups of atoms along something.

    Attributes
    ----------
    name, unit : of what the groups are ordered by
    centers : (groups,) its mean in each group
    mae, rmse : (groups,) [meV/Å]
    """

    name: str
    unit: str
    centers: Shaped[np.ndarray, " groups"]
    mae: Shaped[np.ndarray, " groups"]
    rmse: Shaped[np.ndarray, " groups"]


@dataclass(frozen=True)
class CurveLine:
    """One label of a learning curve.

    Attributes
    ----------
    label, unit : of the error
    sizes : (sizes,) numbers of training frames
    mae, error : (sizes,) mean over splits and its standard error
    exponent : slope of the logarithms
    """

    label: str
    unit: str
    sizes: Shaped[np.ndarray, " sizes"]
    mae: Shaped[np.ndarray, " sizes"]
    error: Shaped[np.ndarray, " sizes"]
    exponent: float


@dataclass(frozen=True)
class ForceUncertainty:
    """What claimed deviations of force components are worth.

    Attributes
    ----------
    on : the set it was tried on
    levels, observed : (levels,) fraction that should lie inside the interval, and that does
    claimed, rmse, error : (bins,) claimed deviation, root mean square residual, its standard error [meV/Å]
    coverage_68, coverage_95 : fractions inside one and 1.96 deviations
    rank_correlation : Spearman's, between deviations and sizes of residuals
    ratio, ratio_error : root mean square claim over error, and its relative standard error over frames
    frames : their number
    """

    on: str
    levels: Shaped[np.ndarray, " levels"]
    observed: Shaped[np.ndarray, " levels"]
    claimed: Shaped[np.ndarray, " bins"]
    rmse: Shaped[np.ndarray, " bins"]
    error: Shaped[np.ndarray, " bins"]
    coverage_68: float
    coverage_95: float
    rank_correlation: float
    ratio: float = float("nan")
    ratio_error: float = float("nan")
    frames: int = 0


@dataclass(frozen=True)
class Trust:
    """How far each frame may be trusted, by what the model knows without its label. NaN is what it does not know.

    Attributes
    ----------
    places : (frames,) file and index of each frame
    error : (frames,) root mean square force error [meV/Å]; NaN without a label
    claimed : (frames,) its deviation claimed [meV/Å]
    odds : (frames,) probability that the error exceeds ``limit``
    grade : (frames,) largest extrapolation grade of an atom
    limit : several times the usual error [meV/Å]
    alarm : probability from which an alarm is raised
    labeled, stopped : grades beyond which a frame is worth a label, or not to be trusted
    verdicts : (frames,) what to do about each; empty where nothing speaks against it
    held_out : grade of frames held out in the fit, median and largest; None if unknown
    noise : of the labels, part of their ``error`` [meV/Å]
    """

    places: tuple[tuple[str, int], ...]
    error: Shaped[np.ndarray, " frames"]
    claimed: Shaped[np.ndarray, " frames"]
    odds: Shaped[np.ndarray, " frames"]
    grade: Shaped[np.ndarray, " frames"]
    limit: float
    alarm: float
    labeled: float
    stopped: float
    verdicts: tuple[str, ...]
    held_out: tuple[float, float] | None = None
    noise: float = 0.0

    @property
    def raised(self) -> np.ndarray:
        """Whether a large error is not improbable enough, (frames,)."""
        return self.odds > self.alarm

    @property
    def order(self) -> np.ndarray:
        """Indices of frames, those to distrust most first."""
        worst = np.maximum(np.nan_to_num(self.odds) / self.alarm, np.nan_to_num(self.grade) / self.stopped)
        return np.argsort(-worst, kind="stable")


@dataclass(frozen=True)
class Front:
    """Held-out errors as energies weigh from little to much: what no other weights beat in every label.

    Attributes
    ----------
    energy : (points,) [meV per square root of atoms]
    force : (points,) [meV/Å]
    weight : (points,) energy error one would be content with, over that of the study
    study : errors of the study's own fit: energy, force, and stress if it counts
    stress : (points,) stress times volume [meV per square root of atoms]; None without stresses
    """

    energy: Shaped[np.ndarray, " points"]
    force: Shaped[np.ndarray, " points"]
    weight: Shaped[np.ndarray, " points"]
    study: tuple[float, ...]
    stress: np.ndarray | None = None


@dataclass(frozen=True)
class TrainingCourse:
    """How one training went: losses by epoch, the best epoch, seconds in all.

    Attributes
    ----------
    name : of the training
    training, held_out : (epochs,) losses
    best : index of the epoch that is kept
    seconds : in all [s]
    """

    name: str
    training: np.ndarray
    held_out: np.ndarray
    best: int
    seconds: float


@dataclass(frozen=True)
class PotentialResults:
    """A whole report. Whatever is not there is None or empty, and its section is left out.

    Attributes
    ----------
    title, subtitle : of the page
    fitted, accuracy, certainty : the summary's three answers, as sentences
    sets : training, validation, test, or the files that were evaluated
    by_element : set -> element -> (MAE, RMSE) of forces [meV/Å]
    courses : force errors along distances
    trust : frame by frame, whether to believe the model
    card : the card of the model, by entry
    provenance : section -> (name -> value)
    citations : what to cite, as finished references
    """

    title: str
    subtitle: str
    fitted: tuple[str, ...]
    accuracy: tuple[str, ...]
    certainty: tuple[str, ...]
    diagnoses: tuple[Diagnosis, ...] = ()
    sets: tuple[Judged, ...] = ()
    by_element: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict)
    courses: tuple[ErrorCourse, ...] = ()
    curve: tuple[CurveLine, ...] = ()
    uncertainty: ForceUncertainty | None = None
    trust: Trust | None = None
    front: Front | None = None
    training: tuple[TrainingCourse, ...] = ()
    card: dict[str, str] = field(default_factory=dict)
    provenance: dict[str, dict[str, str]] = field(default_factory=dict)
    citations: tuple[str, ...] = ()
