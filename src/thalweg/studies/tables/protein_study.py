"""A study of a protein's trajectories: a model chosen by score, places to begin anew, a function, pockets; TOML for
calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from thalweg.interop.measured.feature_sets import FEATURE_SETS
from thalweg.kinetics.model_scan import CLUSTERINGS
from thalweg.studies.tables.language import StudyError, did_you_mean, matching_trajectories, read, toml_of
from thalweg.units import AtLeast, Count, Kelvin, Picoseconds

Two = Annotated[int, AtLeast(2)]


@dataclass(frozen=True)
class GivenTrajectories:
    """What is at hand.

    Parameters
    ----------
    files : trajectories, continuous and free of bias; patterns such as ``"run-*.xtc"`` are filled in, in order
    topology : a PDB, mmCIF, prmtop, ...; pockets need a PDB or mmCIF
    dt : time between frames; what the files say if left out
    temperature : of the simulation
    """

    files: tuple[str, ...]
    topology: str
    dt: Picoseconds | None = None
    temperature: Kelvin = 300.0


@dataclass(frozen=True)
class ScannedModels:
    """Markov models that are tried; the simplest of the best on trajectories left out is used.

    Parameters
    ----------
    lag : of the Markov models
    features : names of feature sets
    tica_lags : lag times of the slow coordinates; that of the models if empty
    dims : numbers of slow coordinates
    clusterings : "k-means", "k-centers", "k-means and k-centers"
    states : numbers of clusters
    splits : divisions of the trajectories into halves, one to learn from and one to be judged by
    sets : long-lived sets of states
    """

    lag: Picoseconds = 10.0
    features: tuple[str, ...] = ("torsions",)
    tica_lags: tuple[Picoseconds, ...] = ()
    dims: tuple[Count, ...] = (4,)
    clusterings: tuple[str, ...] = ("k-means", "k-centers")
    states: tuple[Two, ...] = (50, 100)
    splits: Two = 5
    sets: Two = 3

    def __post_init__(self):
        for key, given, known in (
            ("features", self.features, FEATURE_SETS),
            ("clusterings", self.clusterings, CLUSTERINGS),
        ):
            for name in given:
                if name not in known:
                    raise ValueError(f'{key} "{name}" is unknown; {did_you_mean(name, tuple(known))}')
        if self.sets > min(self.states, default=0):
            raise ValueError(f"sets = {self.sets} of {min(self.states, default=0)} states; give more states")


@dataclass(frozen=True)
class Starts:
    """Where to begin anew.

    Parameters
    ----------
    count : frames, one of each long-lived set and then each as far as can be from those before
    fragments : residues, ``"1-12"`` or ``"A:1-12"``, that are exchanged between the sets as rigid parts; none if empty
    """

    count: Two = 10
    fragments: tuple[str, ...] = ()


@dataclass(frozen=True)
class FunctionAsked:
    """A function whose motion is wanted: a distance, or numbers from a file.

    Parameters
    ----------
    between : two groups of residues, ``"10-20"``, whose CA atoms' centers are so far apart
    beside : residues on either side of these that are no features either
    values : file with one number for each frame, of all trajectories in order, instead
    """

    between: tuple[str, ...] = ()
    beside: Annotated[int, AtLeast(0)] = 2
    values: str | None = None

    def __post_init__(self):
        if (len(self.between) != 2) == (self.values is None):
            raise ValueError('give between = ["10-20", "40-50"], or values = "numbers.txt"')


@dataclass(frozen=True)
class PocketsAsked:
    """Pockets of the long-lived sets.

    Parameters
    ----------
    frames : that are looked at, evenly spread over the trajectories
    volume : above which a pocket is open [Å^3]
    first : sites that are told
    model : file of `thalweg learn-sites`; burial alone if left out
    """

    frames: Count = 200
    volume: float = 100.0
    first: Count = 8
    model: str | None = None


@dataclass(frozen=True)
class ProteinStudy:
    """The whole study; what is None is not asked for.

    Attributes
    ----------
    title : of the page
    trajectories, model, starts, function, pockets : see there
    folder : that paths are below
    table : the study with every default written out
    """

    title: str
    trajectories: GivenTrajectories
    model: ScannedModels
    starts: Starts | None
    function: FunctionAsked | None
    pockets: PocketsAsked | None
    folder: Path
    table: Mapping[str, Any]

    def path(self, name: str) -> Path:
        """A file of the study, beside it unless it says where it is."""
        return self.folder / name

    @property
    def files(self) -> tuple[Path, ...]:
        """The trajectories.

        Raises
        ------
        StudyError
            If a pattern fits no file.
        """
        return matching_trajectories(self.folder, self.trajectories.files)


TABLES = {
    "trajectories": GivenTrajectories,
    "model": ScannedModels,
    "starts": Starts,
    "function": FunctionAsked,
    "pockets": PocketsAsked,
}
"""Tables of the study; the first two are always there."""


def load_protein_study(path: Path) -> ProteinStudy:
    """The study in a TOML file.

    Raises
    ------
    StudyError
        If the file is no TOML, or a key or value is wrong.
    """
    table = toml_of(path)
    return protein_study_from_table({"title": path.stem, **table}, path.parent)


def protein_study_from_table(table: Mapping[str, Any], folder: Path = Path()) -> ProteinStudy:
    """The study in ``table``, whose files are below ``folder``.

    Examples
    --------
    >>> study = protein_study_from_table({"trajectories": {"files": ["a.xtc"], "topology": "a.pdb"}, "pockets": {}})
    >>> study.pockets.frames, study.starts is None, study.model.clusterings
    (200, True, ('k-means', 'k-centers'))
    >>> protein_study_from_table({"pocket": {}})
    Traceback (most recent call last):
    ...
    thalweg.studies.tables.language.StudyError: the study has no table "pocket"; did you mean "pockets"? ...
    """
    known = ("title", *TABLES)
    for key in table:
        if key not in known:
            raise StudyError(f'the study has no table "{key}"; {did_you_mean(key, known)}')
    made, resolved = {}, {"title": str(table.get("title", "protein"))}
    for name, target in TABLES.items():
        if name in table or name in ("trajectories", "model"):
            made[name], resolved[name] = read(target, table.get(name, {}), name)
    return ProteinStudy(
        resolved["title"], *(made.get(name) for name in TABLES), folder=folder, table=resolved
    )
