"""A study: what to simulate and how, written as TOML whose keys are the parameters of the calls they become.

====================  ==========================================================================
``title``             of the report
``[system]``          a molecule of the package, a peptide's sequence, or files
``[dynamics]``        engine, temperature, time step, ``[dynamics.integrator]``
``[features]``        what is measured on every frame
``[campaign]``        the policy, its learner, its bias, its rule: ``kind`` names the class
``[execution]``       where tasks run
``[states.NAME]``     states by ranges of torsions
``[report]``          what the analysis looks for
====================  ==========================================================================

Quantities carry their unit and a wrong key is answered with the known ones; see `language`. The study that a run was
made with, every default written out, is its ``run.toml``.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from thalweg.dynamics.integrator import Integrator
from thalweg.interop.rdkit.peptides import checked_sequence
from thalweg.sampling.apparatus import ApparatusRecipe
from thalweg.sampling.executors import Processes, TaskRunner
from thalweg.sampling.features import FeatureSet
from thalweg.sampling.policy import Policy
from thalweg.studies.tables.doors import DOORS, FEATURES, INTEGRATORS, LEARNERS, POLICIES
from thalweg.studies.tables.language import (
    StudyError,
    choose,
    parameters,
    read,
    value,
    written_kind,
)
from thalweg.units import (
    AnySign,
    AtLeast,
    Count,
    Daltons,
    Gigabytes,
    Kelvin,
    KilojoulesPerMolePerCubicNanometer,
    Nanometers,
    PerCubicNanometer,
    Picoseconds,
    Radians,
    thermal_energy,
    whole_multiple,
)

FACTORY = "studies.apparatus"
"""What worker processes call to build their engine."""

FILE_KEYS = ("pdb", "prmtop", "inpcrd", "xml", "potential", "start", "lammps", "data", "frames")
"""Keys of ``[system]`` and ``[campaign]`` that are files."""

SLOWEST = {"kind": "TICA", "dim": 2, "scaling": "unit"}
"""What learns in a loop whose study names nothing else."""


Solvent = Literal["tip3p", "tip3pfb", "spce", "opc3", "tip4pew", "tip4pfb", "opc"]
"""Water models to solvate in."""


@dataclass(frozen=True, kw_only=True)
class MoleculeInSolvent:
    """What molecules in ff14SB have in common; see `thalweg.interop.openmm.build.from_pdb`.

    Parameters
    ----------
    solvent : none, implicit, or a water model
    constraints : bonds of fixed length
    hydrogen_mass : given to each hydrogen [amu]
    padding : least distance of the molecule to its image in the water [nm]
    cutoff : of direct interactions in the water [nm]
    ionic_strength : of sodium chloride in the water [1/nm^3]
    box_shape : of the water
    pressure : kept by a barostat [kJ/mol/nm^3]
    """

    solvent: Literal["vacuum", "obc2"] | Solvent = "vacuum"
    constraints: Literal["none", "hbonds", "allbonds"] = "hbonds"
    hydrogen_mass: Daltons | None = None
    padding: Nanometers | None = None
    cutoff: Nanometers | None = None
    ionic_strength: PerCubicNanometer | None = None
    box_shape: Literal["cube", "dodecahedron", "octahedron"] | None = None
    pressure: KilojoulesPerMolePerCubicNanometer | None = None


@dataclass(frozen=True, kw_only=True)
class BundledMolecule(MoleculeInSolvent):
    """A molecule that comes with the package; the other keys are those of `MoleculeInSolvent`.

    Parameters
    ----------
    molecule : which
    """

    molecule: Literal["alanine_dipeptide", "alanine_tetrapeptide", "met_enkephalin"]


@dataclass(frozen=True, kw_only=True)
class PeptideOfSequence(MoleculeInSolvent):
    """A peptide by its sequence, relaxed first; see `thalweg.interop.openmm.molecules.peptide`.

    Parameters
    ----------
    sequence : one-letter codes, from the N terminus
    solvent : none, implicit, or a water model
    phi, psi : backbone torsions of all residues to begin with [rad]; an extended chain if left out
    capped : acetyl (ACE) and N-methyl amide (NME) at the ends, which else are charged
    """

    sequence: str
    solvent: Literal["vacuum", "obc2"] | Solvent = "obc2"
    phi: AnySign[Radians] = math.pi
    psi: AnySign[Radians] = math.pi
    capped: bool = True

    def __post_init__(self):
        checked_sequence(self.sequence)


@dataclass(frozen=True)
class Files:
    """A molecule from files; see `thalweg.interop.openmm.build.build_system` for which go together."""

    pdb: Path | None = None
    prmtop: Path | None = None
    inpcrd: Path | None = None
    xml: Path | None = None
    forcefield: tuple[str, ...] | None = None
    implicit_solvent: str | None = None
    constraints: Literal["none", "hbonds", "allbonds"] | None = None
    hydrogen_mass: Daltons | None = None
    cutoff: Nanometers | None = None
    periodic: bool | None = None
    electrostatics: Literal["pme", "reaction-field"] | None = None
    add_hydrogens: bool | None = None
    solvent: Solvent | None = None
    padding: Nanometers | None = None
    ionic_strength: PerCubicNanometer | None = None
    box_shape: Literal["cube", "dodecahedron", "octahedron"] | None = None
    pressure: KilojoulesPerMolePerCubicNanometer | None = None


@dataclass(frozen=True)
class LearnedMolecule:
    """A molecule or crystal that a learned potential holds together; the native engine runs it, all bonds free.

    Parameters
    ----------
    potential : a model, as ``thalweg potential`` and ``thalweg fit`` leave it
    start : file whose first frame to start from; it is relaxed first
    """

    potential: Path
    start: Path


@dataclass(frozen=True)
class CalculatedMolecule:
    """A molecule or crystal whose energies another program calculates, through ASE; all bonds are free.

    Parameters
    ----------
    level : of theory: ``gfn2``, ``PBE0-D3BJ/def2-SVP``, or a calculator of ASE as ``ase:emt``
    start : file whose first frame to start from; it is relaxed first
    charge : in all [e]
    unpaired : number of unpaired electrons
    """

    level: str
    start: Path
    charge: int = 0
    unpaired: int = 0


@dataclass(frozen=True)
class ScriptedMolecule:
    """What a script of LAMMPS and the data file that it reads describe; all bonds are free.

    Parameters
    ----------
    lammps : script of styles and coefficients with one ``read_data``; it describes the system and runs nothing
    data : what it reads, atoms at the places where walkers start
    """

    lammps: Path
    data: Path


SimulatedSystem = (
    BundledMolecule | PeptideOfSequence | Files | LearnedMolecule | CalculatedMolecule | ScriptedMolecule
)
"""What a ``[system]`` may be."""


@dataclass(frozen=True)
class Dynamics:
    """The engine, its bath and its time step; the integrator has a table of its own.

    Parameters
    ----------
    engine : which program advances the walkers
    temperature : of the bath [K]
    dt : time step [ps]
    platform : of OpenMM
    threads : of OpenMM's CPU platform in each worker; with more than one, a run cannot be had again exactly
    """

    engine: Literal["native", "openmm", "ase", "lammps"] = "native"
    temperature: Kelvin = 300.0
    dt: Picoseconds = 0.002
    platform: Literal["Reference", "CPU", "CUDA", "OpenCL", "HIP"] | None = None
    threads: Count = 1

    def __post_init__(self):
        if self.threads > 1 and self.engine != "openmm":
            raise ValueError(
                f'threads = {self.threads} belongs to engine = "openmm"; remove it or change the engine'
            )
        if self.platform is not None and self.engine != "openmm":
            raise ValueError(
                f'platform = "{self.platform}" belongs to engine = "openmm"; remove it or change the engine'
            )

    @property
    def kT(self) -> float:
        """Thermal energy [kJ/mol]."""
        return thermal_energy(self.temperature)


@dataclass(frozen=True)
class Execution:
    """Where tasks run.

    Parameters
    ----------
    workers : how many at once, where no executor says so
    executor : processes of this machine, or workers of Dask here, at an address or in jobs of a queue
    disk_limit : what the run folder may take up [GB]: tasks that would pass it are refused; None for no bound
    """

    workers: Count = 2
    executor: TaskRunner | None = None
    disk_limit: Gigabytes | None = None

    @property
    def runner(self) -> TaskRunner:
        """Where tasks run."""
        return Processes(self.workers) if self.executor is None else self.executor


@dataclass(frozen=True)
class TorsionRegion:
    """A named state: ranges of torsions, each from its first angle up to its second [rad]."""

    name: str
    ranges: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Report:
    """What the analysis looks for.

    Parameters
    ----------
    lagtime : of its Markov model [ps]; that of the campaign if None
    lagtimes : to scan [ps]; chosen from the lengths of the walks if none
    clusters : number of microstates
    sets : number of long-lived states to describe
    """

    lagtime: Picoseconds | None = None
    lagtimes: tuple[Picoseconds, ...] = ()
    clusters: Count = 100
    sets: Annotated[int, AtLeast(2)] = 3


@dataclass(frozen=True, eq=False)
class Study:
    """A whole run file.

    Attributes
    ----------
    title : of the report
    system : what is simulated
    dynamics : how
    integrator : of the dynamics
    features : what is measured
    campaign : the policy
    execution : where tasks run
    states : for the report
    report : what the analysis looks for
    tables : the study as it stands in a file, every default written out; `from_table` reads it back
    """

    title: str
    system: SimulatedSystem
    dynamics: Dynamics
    integrator: Integrator
    features: FeatureSet
    campaign: Policy
    execution: Execution
    states: tuple[TorsionRegion, ...]
    report: Report
    tables: dict[str, Any]


def load(path: Path) -> Study:
    """The study in a TOML file; paths in it are relative to its folder.

    Raises
    ------
    StudyError
        If the file is no TOML, or a key or value is wrong.
    """
    try:
        text = path.read_text("utf-8")
    except IsADirectoryError:
        raise StudyError(
            f"{path} is a folder; give a study, or go on with a run by: thalweg resume {path}"
        ) from None
    except UnicodeDecodeError:
        raise StudyError(f"{path} is not text; give a TOML file") from None
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise StudyError(f"{path} is not TOML: {error}") from None
    for name in ("system", "campaign"):
        if isinstance(table.get(name), dict):
            table[name] = _located(table[name], path.parent)
    return from_table(table, path.stem)


def from_table(table: Mapping[str, Any], title: str = "run") -> Study:
    """The study that ``table`` describes.

    Raises
    ------
    StudyError
        If a key or value is wrong, or times do not go together.
    """
    rest = dict(table)
    given = rest.pop("title", title)
    if not isinstance(given, str):
        raise StudyError(f"title must be a text; got {given!r}")
    tables: dict[str, Any] = {"title": given}
    if not isinstance(rest.get("system"), Mapping):
        raise StudyError(
            'there is no table [system]; give one with molecule = "alanine_dipeptide", sequence = "AAAAA", with files, '
            "or with a learned potential"
        )
    system, tables["system"] = read_system(rest.pop("system"))
    dynamics, integrator, tables["dynamics"] = read_dynamics(rest.pop("dynamics", {}))
    features, tables["features"] = read_features(rest.pop("features", {}))
    settings = {name: tables[name] for name in ("system", "dynamics", "features")}
    campaign, tables["campaign"] = _campaign(
        rest.pop("campaign", {}), ApparatusRecipe(FACTORY, settings), dynamics.dt
    )
    execution, tables["execution"] = read(Execution, rest.pop("execution", {}), "execution", DOORS)
    states, tables["states"] = _regions(rest.pop("states", {}))
    report, tables["report"] = read(Report, rest.pop("report", {}), "report")
    if rest:
        known = ("title", *tables)
        raise StudyError(
            f'the study has no table or key "{next(iter(rest))}"; known: {", ".join(dict.fromkeys(known))}'
        )
    return Study(given, system, dynamics, integrator, features, campaign, execution, states, report, tables)


def read_system(table: Any) -> tuple[SimulatedSystem, dict[str, Any]]:
    """The ``[system]`` of a study, and its table in full."""
    given = table if isinstance(table, Mapping) else {}
    marks = {
        "molecule": BundledMolecule, "sequence": PeptideOfSequence, "potential": LearnedMolecule,
        "level": CalculatedMolecule, "lammps": ScriptedMolecule,
    }  # fmt: skip
    kind = next((marks[key] for key in marks if key in given), Files)
    return read(kind, table, "system")


def files_of(system: SimulatedSystem) -> dict[str, Path]:
    """Files that a system is made of, by their keys; force fields are left out."""
    named = {name: getattr(system, name, None) for name in FILE_KEYS}
    return {name: path for name, path in named.items() if path is not None}


def read_dynamics(table: Any) -> tuple[Dynamics, Integrator, dict[str, Any]]:
    """The ``[dynamics]`` of a study, its integrator, and the table in full."""
    if not isinstance(table, Mapping):
        raise StudyError(f"[dynamics] must be a table; got {table!r}")
    rest = dict(table)
    nested = rest.pop("integrator", {})
    dynamics, full = read(Dynamics, rest, "dynamics")
    given = {"kT": dynamics.kT, "dt": dynamics.dt}
    integrator, full["integrator"] = choose(INTEGRATORS, nested, "dynamics.integrator", DOORS, given)
    return dynamics, integrator, full


def read_features(table: Any) -> tuple[FeatureSet, dict[str, Any]]:
    """The ``[features]`` of a study, and its table in full."""
    return choose(FEATURES, table, "features", DOORS)


def _campaign(table: Any, recipe: ApparatusRecipe, dt: float) -> tuple[Policy, dict[str, Any]]:
    """The policy; what learns in it does so at its lag time unless its own table says otherwise."""
    if not isinstance(table, Mapping):
        raise StudyError(f"[campaign] must be a table; got {table!r}")
    given, rest = {"recipe": recipe}, dict(table)
    learner = rest.pop("learner", None)
    policy, full = choose(POLICIES, rest, "campaign", DOORS, given)
    asks = "learner" in parameters(type(policy), DOORS, given)
    if learner is not None or (asks and policy.learner is None):  # a paper's own learner stays what it is
        rest["learner"] = _learner(learner, policy)
        policy, full = choose(POLICIES, rest, "campaign", DOORS, given)
    try:
        whole_multiple(policy.save_every, dt, "save_every")
    except ValueError as error:
        raise StudyError(f"[campaign] {error}") from None
    return policy, full


def _learner(table: Any, policy: Policy) -> Any:
    """The table of a learner, with the lag time of the policy, in frames, where it has none of its own."""
    if not isinstance(table, Mapping | None):
        return table
    full = dict(table or {})
    if "kind" not in full:
        full = (SLOWEST if policy.learner is None else written_kind(LEARNERS, policy.learner, DOORS)) | full
    found = LEARNERS.find(full["kind"]) if isinstance(full["kind"], str) else None
    known = () if found is None else parameters(found[1], DOORS)
    asks = "lagtime" in known
    if "scaling" in known:  # what is driven is scaled by its spread: none may be scaled to nothing
        full.setdefault("scaling", "unit")
    if asks and "lagtime" not in full and hasattr(policy, "lagtime"):
        full["lagtime"] = whole_multiple(policy.lagtime, policy.save_every, "lagtime")
    return full


def _regions(table: Any) -> tuple[tuple[TorsionRegion, ...], dict[str, Any]]:
    if not isinstance(table, Mapping):
        raise StudyError(f"[states] must be a table of states; got {table!r}")
    regions, full = [], {}
    for name, ranges in table.items():
        if not isinstance(ranges, Mapping) or not ranges:
            raise StudyError(
                f'[states.{name}] must name ranges of torsions, such as "phi ALA2" = ["0 deg", "126 deg"]'
            )
        angle = AnySign[Radians]
        read_ranges, full[name] = value(ranges, dict[str, tuple[angle, angle]], f"[states.{name}]")
        regions.append(TorsionRegion(name, read_ranges))
    return tuple(regions), full


def _located(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """``table`` with the paths of its files made absolute."""
    found = {
        name: str((folder / path).resolve())
        for name, path in table.items()
        if name in FILE_KEYS and isinstance(path, str) and path
    }
    if isinstance(table.get("forcefield"), list):
        local = [(folder / str(name)).resolve() for name in table["forcefield"]]
        found["forcefield"] = [
            str(path) if path.is_file() else name for name, path in zip(table["forcefield"], local)
        ]
    return {**table, **found}


def kept(study: Study, names: Mapping[str, Any]) -> Study:
    """``study`` with other names of its files."""
    tables = {**study.tables, "system": {**study.tables["system"], **names}}
    return from_table(tables, study.title)
