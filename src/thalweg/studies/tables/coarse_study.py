"""A study of coarse-graining: trajectories of atoms in, a potential of beads, its judgement and its card out.

===================  ===========================================================================
``[trajectories]``   `CoarseTrajectories`: files, topology, temperature
``[mapping]``        ``kind`` is `AtomBeads`, `ResidueBeads`, `MoleculeBeads`, `GroupBeads`, `GivenBeads`
``[interactions]``   `UsualInteractions`: how fine functions of bonds, angles, torsions and pairs are
``[forces]``         `MappedForces`: how forces push beads, and noise that smooths them
``[model]``          ``kind`` is a method of fitting, keys are its settings; the right one if left out
``[simulation]``     `CoarseDynamics` of the model, that it is judged by
``[judgement]``      `Judgement`: at which lag slow processes are compared
``[[transfer]]``     trajectories at other temperatures, that the model is tried on
===================  ===========================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from thalweg.coarse_graining.fitting.boltzmann_inversion import BoltzmannInversion
from thalweg.coarse_graining.fitting.force_matching import ForceMatching
from thalweg.coarse_graining.fitting.iterative_inversion import IterativeBoltzmannInversion
from thalweg.coarse_graining.fitting.network import NetworkForceMatching
from thalweg.coarse_graining.fitting.relative_entropy import RelativeEntropy
from thalweg.coarse_graining.interactions.functions import BSplines
from thalweg.coarse_graining.interactions.interaction import PairInteraction
from thalweg.coarse_graining.interactions.usual_interactions import UsualInteractions
from thalweg.coarse_graining.simulation import CoarseDynamics
from thalweg.potentials.energy import Sum
from thalweg.studies.tables.families import REGULARIZATIONS
from thalweg.studies.tables.language import (
    Classes,
    Family,
    StudyError,
    choose,
    did_you_mean,
    matching_trajectories,
    read,
    toml_of,
)
from thalweg.units import AtLeast, Count, Kelvin, Nanometers, Picoseconds

CoarseMethod = (
    ForceMatching | RelativeEntropy | BoltzmannInversion | IterativeBoltzmannInversion | NetworkForceMatching
)
METHODS = Family(
    CoarseMethod,
    {
        name: f"coarse_graining.{name}"
        for name in (
            "ForceMatching", "RelativeEntropy", "BoltzmannInversion", "IterativeBoltzmannInversion",
            "NetworkForceMatching",
        )
    },
)  # fmt: skip
"""What fits the model."""

NO_PAIRS = PairInteraction(BSplines(0.1, 1.0, 4), 1.0, np.ones(1, int))
GIVEN: Mapping[str, Mapping[str, Any]] = {
    "IterativeBoltzmannInversion": {"pairs": NO_PAIRS},
    "NetworkForceMatching": {"coordinates": (), "prior": Sum(())},
}
"""What methods are given here, in place of what frames will tell; ``interactions`` where a method is not named."""

PROGRAMS = ("openmm", "lammps")
"""Programs that models are written for."""


@dataclass(frozen=True)
class CoarseTrajectories:
    """What is at hand.

    Parameters
    ----------
    files : trajectories that `read_trajectory` knows, or NumPy's ``.npz`` with ``positions`` (frames, atoms, 3) [nm],
        and, where there are, ``forces`` [kJ/mol/nm] of the force field alone, ``boxes`` (frames, 3, 3) [nm],
        ``weights`` (frames,) and ``temperature`` [K]; patterns such as ``"run-*.xtc"`` are filled in, in order
    topology : a PDB, mmCIF, prmtop, ...; not asked for where files hold beads
    temperature : of the simulation
    dt : time between frames; what the files say if left out
    """

    files: tuple[str, ...]
    topology: str | None = None
    temperature: Kelvin | None = None
    dt: Picoseconds | None = None


@dataclass(frozen=True)
class AtomBeads:
    """A bead at every atom of these names, of a kind by residue and name.

    Parameters
    ----------
    names : of atoms, ``["N", "CA", "C"]``
    first : only so many, in the order of the file; all if left out
    """

    names: tuple[str, ...]
    first: Count | None = None


@dataclass(frozen=True)
class ResidueBeads:
    """A bead a residue.

    Parameters
    ----------
    at : name of an atom, or "center of mass"
    alike : whether residues of all names are beads of one kind, which share their functions
    """

    at: str = "CA"
    alike: bool = False


@dataclass(frozen=True)
class MoleculeBeads:
    """A bead a molecule, at its center of mass."""


@dataclass(frozen=True)
class GroupBeads:
    """A bead at the center of mass of each group.

    Parameters
    ----------
    groups : numbers of atoms in the order of the file, from zero
    names : of beads; beads of one name are of one kind
    """

    groups: tuple[tuple[int, ...], ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class GivenBeads:
    """Files hold beads already.

    Parameters
    ----------
    masses : of each [amu]
    names : of each
    bonds : pairs of beads from zero; each with the next if left out
    """

    masses: tuple[float, ...]
    names: tuple[str, ...] = ()
    bonds: tuple[tuple[int, int], ...] | None = None


Beads = AtomBeads | ResidueBeads | MoleculeBeads | GroupBeads | GivenBeads
BEADS = Classes((AtomBeads, ResidueBeads, MoleculeBeads, GroupBeads, GivenBeads))


@dataclass(frozen=True)
class MappedForces:
    """How forces on atoms push beads.

    Parameters
    ----------
    map : "optimal" or "basic"
    copies : of each frame with noise on its positions and forces to match, which have less variance; none with 0
    sigma : deviation of that noise
    """

    map: str = "optimal"
    copies: Annotated[int, AtLeast(0)] = 5
    sigma: Nanometers = 0.004


@dataclass(frozen=True)
class Judgement:
    """How the model is compared with its reference.

    Parameters
    ----------
    lag : of slow variables and time scales, which are not asked for if left out
    processes : slow ones
    states : clusters of frames
    bins : of each variable
    """

    lag: Picoseconds | None = None
    processes: Count = 2
    states: Annotated[int, AtLeast(2)] = 60
    bins: Annotated[int, AtLeast(2)] = 24


@dataclass(frozen=True)
class CoarseStudy:
    """The whole study.

    Attributes
    ----------
    title : of the page
    trajectories, mapping, interactions, forces, simulation, judgement : see there
    model : the method, whose interactions the frames will tell; None for the right one
    transfer : other temperatures
    export : programs that the model is written for
    seed : of the simulation
    folder : that paths are below
    table : the study with every default written out
    """

    title: str
    trajectories: CoarseTrajectories
    mapping: Beads
    interactions: UsualInteractions
    forces: MappedForces
    model: CoarseMethod | None
    simulation: CoarseDynamics
    judgement: Judgement
    transfer: tuple[CoarseTrajectories, ...]
    export: tuple[str, ...]
    seed: int
    folder: Path
    table: Mapping[str, Any]

    def files(self, asked: CoarseTrajectories) -> tuple[Path, ...]:
        """The trajectories.

        Raises
        ------
        StudyError
            If a pattern fits no file, or there are none.
        """
        if not asked.files:
            raise StudyError("[trajectories] files is empty; name at least one")
        return matching_trajectories(self.folder, asked.files)


PARTS = {
    "interactions": UsualInteractions,
    "forces": MappedForces,
    "simulation": CoarseDynamics,
    "judgement": Judgement,
}


def load_coarse_study(path: Path) -> CoarseStudy:
    """The study in a TOML file; paths in it are relative to its folder.

    Raises
    ------
    StudyError
        If the file is no TOML, or a key or value is wrong.
    """
    return coarse_study_from_table({"title": path.stem, **toml_of(path)}, path.parent)


def coarse_study_from_table(table: Mapping[str, Any], folder: Path = Path()) -> CoarseStudy:
    """The study in ``table``, whose files are below ``folder``.

    Raises
    ------
    StudyError
        If a key or value is wrong.

    Examples
    --------
    >>> asked = {"trajectories": {"files": ["a.npz"], "temperature": "300 K"},
    ...     "mapping": {"kind": "GivenBeads", "masses": [12.0, 14.0]}}
    >>> study = coarse_study_from_table(asked)
    >>> study.model is None, study.simulation.friction
    (True, 5.0)
    >>> coarse_study_from_table({**asked, "model": {"kind": "RelativeEntropie"}})
    Traceback (most recent call last):
    ...
    thalweg.studies.tables.language.StudyError: [model] kind = 'RelativeEntropie' is unknown; did you mean ...
    """
    known = ("title", "trajectories", "mapping", "model", "transfer", "export", "seed", *PARTS)
    for key in table:
        if key not in known:
            raise StudyError(f'a study of coarse-graining has no table "{key}"; {did_you_mean(key, known)}')
    given, written = read(CoarseTrajectories, table.get("trajectories", {}), "trajectories")
    mapping, of_mapping = choose(BEADS, table.get("mapping", {}), "mapping")
    if given.topology is None and not isinstance(mapping, GivenBeads):
        raise StudyError(
            '[trajectories] misses the key "topology": which atoms make a bead is said by their names; give a PDB, or '
            '[mapping] kind = "GivenBeads" where the files hold beads'
        )
    made: dict[str, Any] = {}
    resolved = {"title": str(table.get("title", "beads")), "trajectories": written, "mapping": of_mapping}
    for name, target in PARTS.items():
        made[name], resolved[name] = read(target, table.get(name, {}), name)
    model = None
    if "model" in table:
        model, resolved["model"] = _method(table["model"])
    transfer = tuple(
        read(CoarseTrajectories, each, f"transfer {k + 1}")[0]
        for k, each in enumerate(_list(table, "transfer"))
    )
    export = tuple(_list(table, "export"))
    for program in export:
        if program not in PROGRAMS:
            raise StudyError(f"export {program!r} is unknown; {did_you_mean(str(program), PROGRAMS)}")
    seed = table.get("seed", 0)
    if not isinstance(seed, int):
        raise StudyError(f"seed must be a whole number; got {seed!r}")
    resolved |= {"export": list(export), "seed": seed, "transfer": _list(table, "transfer")}
    return CoarseStudy(
        resolved["title"], given, mapping, **made, model=model, transfer=transfer, export=export, seed=seed,
        folder=folder, table=resolved,
    )  # fmt: skip


def _method(table: Any) -> tuple[CoarseMethod, dict[str, Any]]:
    kind = table.get("kind") if isinstance(table, Mapping) else None
    if not isinstance(kind, str) or METHODS.find(kind) is None:
        choose(METHODS, table, "model")
    name = str(kind).rpartition(".")[2]
    return choose(METHODS, table, "model", (REGULARIZATIONS,), GIVEN.get(name, {"interactions": ()}))


def _list(table: Mapping[str, Any], key: str) -> Sequence[Any]:
    found = table.get(key, [])
    if not isinstance(found, list):
        raise StudyError(f"{key} must be a list; got {found!r}")
    return found
