"""A study: what to simulate and how, written as TOML whose keys are the parameters of the calls they become.

Quantities carry their unit, ``kind`` names the class, and a wrong key is answered with the known ones. The
study that a run was made with, every default written out, is its ``run.toml``.
"""

from __future__ import annotations

import dataclasses
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from thalweg.sampling.apparatus import ApparatusRecipe
from thalweg.sampling.policies.markov_restarts import MarkovRestarts
from thalweg.sampling.policies.slow_variable_loop import SlowVariableLoop
from thalweg.sampling.policy import Policy
from thalweg.sampling.restart import LeastCounts, Uncertainty
from thalweg.studies.tables.strict import StudyError, as_table, choose, counted, measured, read
from thalweg.units import thermal_energy

FACTORY = "studies.apparatus"
"""What worker processes call to build their engine."""


@dataclass(frozen=True)
class BundledMolecule:
    """A molecule that comes with the package, in ff14SB."""

    molecule: Literal["alanine_dipeptide", "alanine_tetrapeptide", "met_enkephalin"]
    solvent: Literal["vacuum", "obc2"] = "vacuum"
    constraints: Literal["none", "hbonds", "allbonds"] = "hbonds"
    hydrogen_mass: float | None = measured("mass", None)


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
    hydrogen_mass: float | None = measured("mass", None)
    cutoff: float | None = measured("length", None)
    add_hydrogens: bool | None = None
    water_padding: float | None = measured("length", None)


@dataclass(frozen=True)
class Dynamics:
    """Langevin dynamics and the engine that runs it."""

    engine: Literal["native", "openmm"] = "native"
    temperature: float = measured("temperature", "300 K")
    dt: float = measured("time", "2 fs")
    friction: float = measured("rate", "1 /ps")
    platform: Literal["Reference", "CPU", "CUDA", "OpenCL", "HIP"] | None = None

    def __post_init__(self):
        if self.platform is not None and self.engine != "openmm":
            raise ValueError(
                f'platform = "{self.platform}" belongs to engine = "openmm"; remove it or change the engine'
            )

    @property
    def kT(self) -> float:
        """Thermal energy [kJ/mol]."""
        return thermal_energy(self.temperature)


@dataclass(frozen=True)
class TorsionFeatures:
    """Sines and cosines of torsions: those of the backbone, or of every bond that turns."""

    select: Literal["backbone", "rotatable"] = "backbone"


@dataclass(frozen=True)
class DistanceFeatures:
    """Distances of pairs of heavy atoms at least ``separation`` bonds apart, solvent left out.

    Nearer pairs are held by bonds and angles: they say nothing about slow motions, and a bias on them would
    strain the molecule.
    """

    separation: int = counted(3)


@dataclass(frozen=True)
class Metadynamics:
    """Well-tempered metadynamics on the learned variables."""

    height: float = measured("energy", "1 kJ/mol")
    bias_factor: float = 10.0
    stride: float = measured("time", "1 ps")

    def __post_init__(self):
        if not self.bias_factor > 1:
            raise ValueError(f"bias_factor = {self.bias_factor}; give more than 1")


@dataclass(frozen=True)
class Loop:
    """Learn slow variables, drive them, learn again, and measure under the last bias held still.

    Times are those of each walker: ``swarm`` and ``drive`` in every cycle, ``produce`` once at the end, in
    pieces of ``segment``.
    """

    walkers: int = counted(32)
    seeds: tuple[int, ...] = (1, 2)
    workers: int = counted(2)
    cycles: int = counted(2)
    swarm: float = measured("time", "100 ps")
    drive: float = measured("time", "500 ps")
    produce: float = measured("time", "500 ps")
    segment: float = measured("time", "100 ps")
    save_every: float = measured("time", "1 ps")
    lagtime: float = measured("time", "10 ps")
    dim: int = counted(2)
    states: int = counted(100)
    skip: float = measured("time", "0 ps", positive=False)


@dataclass(frozen=True)
class Restarts:
    """Swarms of short runs, each started where a Markov model of all before says that it helps most.

    ``length`` is that of every walker in one swarm.
    """

    walkers: int = counted(32)
    seeds: tuple[int, ...] = (1, 2)
    workers: int = counted(2)
    swarms: int = counted(4)
    length: float = measured("time", "100 ps")
    save_every: float = measured("time", "1 ps")
    lagtime: float = measured("time", "10 ps")
    states: int = counted(100)
    rule: Literal["least-counts", "uncertainty"] = "least-counts"


@dataclass(frozen=True)
class Region:
    """A named state: ranges of torsions, each from its first angle up to its second [rad]."""

    name: str
    ranges: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Report:
    """What the analysis looks for."""

    lagtimes: tuple[float, ...] = measured("time", ())
    sets: int = counted(3, least=2)


FEATURES = {"torsions": TorsionFeatures, "distances": DistanceFeatures}
CAMPAIGNS = {"slow-variable-loop": Loop, "markov-restarts": Restarts}


@dataclass(frozen=True)
class Study:
    """A whole run file."""

    title: str
    system: BundledMolecule | Files
    dynamics: Dynamics
    features: TorsionFeatures | DistanceFeatures
    campaign: Loop | Restarts
    metadynamics: Metadynamics
    states: tuple[Region, ...] = ()
    report: Report = field(default_factory=Report)

    def __post_init__(self):
        if isinstance(self.campaign, Restarts) and self.metadynamics != Metadynamics():
            raise StudyError(
                '[metadynamics] has no meaning with [campaign] kind = "markov-restarts"; remove it'
            )
        self.policy()

    def policy(self) -> Policy:
        """The policy of the campaign, times turned into steps.

        Raises
        ------
        StudyError
            If a time is no whole number of steps or frames, or the policy refuses its settings.
        """
        try:
            return _policy(self)
        except StudyError:
            raise
        except ValueError as error:
            raise StudyError(f"[campaign] {error}") from None


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
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"{path} is not TOML: {error}") from None
    study = from_table(table, path.stem)
    return dataclasses.replace(study, system=_located(study.system, path.parent))


def from_table(table: Mapping[str, Any], title: str = "run") -> Study:
    """The study that ``table`` describes."""
    rest = dict(table)
    states = rest.pop("states", {})
    system = rest.pop("system", None)
    if not isinstance(system, Mapping):
        raise StudyError(
            'there is no table [system]; give one with molecule = "alanine_dipeptide", or with files'
        )
    parts = {
        "system": read(BundledMolecule if "molecule" in system else Files, system, "system"),
        "dynamics": read(Dynamics, rest.pop("dynamics", {}), "dynamics"),
        "features": choose(FEATURES, _table(rest, "features"), "features", default="torsions"),
        "campaign": choose(CAMPAIGNS, _table(rest, "campaign"), "campaign"),
        "metadynamics": read(Metadynamics, rest.pop("metadynamics", {}), "metadynamics"),
        "states": _regions(states),
        "report": read(Report, rest.pop("report", {}), "report"),
    }
    given = rest.pop("title", title)
    if not isinstance(given, str):
        raise StudyError(f"title must be a text; got {given!r}")
    if rest:
        known = [f.name for f in dataclasses.fields(Study)]
        raise StudyError(f'the study has no table or key "{next(iter(rest))}"; known: {", ".join(known)}')
    return Study(title=given, **parts)


def to_table(study: Study) -> dict[str, Any]:
    """The study as a table that `from_table` reads back, every default written out."""
    names = {cls: kind for kinds in (FEATURES, CAMPAIGNS) for kind, cls in kinds.items()}
    table: dict[str, Any] = {"title": study.title}
    for name in ("system", "dynamics", "features", "campaign", "metadynamics", "report"):
        settings = getattr(study, name)
        kind = {"kind": names[type(settings)]} if type(settings) in names else {}
        table[name] = kind | as_table(settings)
    if isinstance(study.campaign, Restarts):
        del table["metadynamics"]
    if study.states:
        table["states"] = {
            region.name: {key: [f"{v!r} rad" for v in ends] for key, ends in region.ranges.items()}
            for region in study.states
        }
    return table


def whole_steps(time: float, dt: float, where: str) -> int:
    """How many steps of ``dt`` [ps] make ``time`` [ps].

    Raises
    ------
    StudyError
        If it is no whole number of at least one.

    Examples
    --------
    >>> whole_steps(1.0, 0.002, "save_every")
    500
    """
    number = round(time / dt)
    if number < 1 or not math.isclose(number * dt, time, rel_tol=1e-6):
        raise StudyError(f"{where} = {time:g} ps is no whole number of {dt:g} ps; give a multiple of that")
    return number


def _policy(study: Study) -> Policy:
    campaign, dt = study.campaign, study.dynamics.dt
    if not campaign.seeds:
        raise StudyError("[campaign] seeds = []; give at least two, such as [1, 2]")
    if len(set(campaign.seeds)) < len(campaign.seeds):
        raise StudyError(f"[campaign] seeds = {list(campaign.seeds)} repeat; independent seeds must differ")
    frame = whole_steps(campaign.save_every, dt, "[campaign] save_every")
    lagtime = whole_steps(campaign.lagtime, campaign.save_every, "[campaign] lagtime")

    def frames(name: str) -> int:
        return frame * whole_steps(getattr(campaign, name), campaign.save_every, f"[campaign] {name}")

    table = to_table(study)
    recipe = ApparatusRecipe(FACTORY, {name: table[name] for name in ("system", "dynamics", "features")})
    common = {"recipe": recipe, "seeds": campaign.seeds, "walkers": campaign.walkers, "save_every": frame}
    shortest, name = (campaign.swarm, "swarm") if isinstance(campaign, Loop) else (campaign.length, "length")
    if campaign.lagtime >= shortest:
        raise StudyError(
            f"[campaign] lagtime = {campaign.lagtime:g} ps leaves no pairs in walks of {name} = "
            f"{shortest:g} ps; use a shorter lagtime or longer walks"
        )
    if isinstance(campaign, Restarts):
        rule = {"least-counts": LeastCounts, "uncertainty": Uncertainty}[campaign.rule]()
        return MarkovRestarts(
            **common,
            swarms=campaign.swarms,
            whole_steps=frames("length"),
            lagtime=lagtime,
            states=campaign.states,
            rule=rule,
        )
    bias = study.metadynamics
    return SlowVariableLoop(
        **common,
        cycles=campaign.cycles,
        swarm_steps=frames("swarm"),
        drive_steps=frames("drive"),
        produce_steps=frames("produce"),
        segment_steps=frames("segment"),
        lagtime=lagtime,
        dim=campaign.dim,
        states=campaign.states,
        height=bias.height,
        bias_factor=bias.bias_factor,
        stride=whole_steps(bias.stride, dt, "[metadynamics] stride"),
        skip=round(campaign.skip / campaign.save_every),
    )


def _regions(table: Any) -> tuple[Region, ...]:
    if not isinstance(table, Mapping):
        raise StudyError(f"[states] must be a table of states; got {table!r}")
    regions = []
    for name, ranges in table.items():
        where = f"states.{name}"
        if not isinstance(ranges, Mapping) or not ranges:
            raise StudyError(
                f'[{where}] must name ranges of torsions, such as "phi ALA2" = ["0 deg", "126 deg"]'
            )
        for key, ends in ranges.items():
            if not isinstance(ends, list) or len(ends) != 2:
                raise StudyError(
                    f'[{where}] "{key}" = {ends!r}; give two angles, such as ["0 deg", "126 deg"]'
                )
        read_ranges = {
            key: read(_Range, {"ends": ends}, f"{where}.{key}").ends for key, ends in ranges.items()
        }
        regions.append(Region(name, read_ranges))
    return tuple(regions)


@dataclass(frozen=True)
class _Range:
    ends: tuple[float, ...] = measured("angle", positive=False)


def _table(rest: dict[str, Any], name: str) -> Mapping[str, Any]:
    table = rest.pop(name, {})
    if not isinstance(table, Mapping):
        raise StudyError(f"[{name}] must be a table; got {table!r}")
    return table


def _located(system: BundledMolecule | Files, folder: Path) -> BundledMolecule | Files:
    """``system`` with its paths made absolute."""
    if isinstance(system, BundledMolecule):
        return system
    paths = {name: getattr(system, name) for name in ("pdb", "prmtop", "inpcrd", "xml")}
    found = {name: (folder / path).resolve() for name, path in paths.items() if path is not None}
    if system.forcefield is not None:
        local = ((folder / name).resolve() for name in system.forcefield)
        found["forcefield"] = tuple(
            str(path) if path.is_file() else name for name, path in zip(system.forcefield, local)
        )
    return dataclasses.replace(system, **found)
