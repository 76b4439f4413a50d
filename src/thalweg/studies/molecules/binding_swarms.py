"""Where, how strongly and how fast a guest binds: swarms around a host, from two molecule files and one run file.

====================  ==========================================================================
``[system]``          `SwarmSystem`: host, guest and the sphere that they are in
``[dynamics]``        as in every study of sampling
``[campaign]``        as there; ``kind`` is `MarkovRestarts`, whose starts are drawn here
``[binding]``         `Binding`: what the analysis takes for far apart, and its resolution
====================  ==========================================================================

The folder of a swarm holds the parameters of the force field (``parameters/``), the places where walkers begin
(``starts.npy``), an ordinary study made of both (``study.toml``) and its run (``run/``), which `thalweg resume` goes on
with. Each seed is a campaign of its own, and analyzed alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tomli_w
from rich.console import Console

from thalweg.binding.swarms.placements import placements
from thalweg.interop.amber.general_force_field import GeneralForceField
from thalweg.interop.amber.host_guest import HostGuest, host_guest
from thalweg.interop.files.trajectories import write_trajectory
from thalweg.kinetics.reactions.association import Association, AssociationModel
from thalweg.machine import disk
from thalweg.machine.links import check_links
from thalweg.machine.whole_files import whole, write_whole
from thalweg.sampling.segment import Segment
from thalweg.sampling.store import Store
from thalweg.studies.runs.running import RUN_FILE, begin, carry_out, study_of
from thalweg.studies.tables.language import StudyError, did_you_mean, read, toml_of
from thalweg.studies.tables.study import read_dynamics
from thalweg.time_series.trajectories import Trajectories
from thalweg.units import AtLeast, Count, Daltons, Nanometers

FORWARDED = ("dynamics", "campaign", "execution")
"""Tables that the study of sampling takes as they are."""


@dataclass(frozen=True)
class SwarmSystem:
    """A host and guests.

    Parameters
    ----------
    host, guest : mol2 files with charges, or SDF files, with all hydrogens
    radius : of the sphere of the guests' centers around the host's [nm]
    guests : how many of the guest
    force_field : of both molecules
    implicit_solvent : around them
    hydrogen_mass : given to each hydrogen [amu]
    """

    host: Path
    guest: Path
    radius: Nanometers
    guests: Count = 1
    force_field: str = "gaff2"
    implicit_solvent: str = "obc2"
    hydrogen_mass: Daltons | None = None


@dataclass(frozen=True)
class Binding:
    """What is asked of the swarms.

    Parameters
    ----------
    shell : least and largest distance of what counts as far apart [nm], within the sphere
    states : clusters of frames
    dim : slow coordinates they are made in
    sets : into how many sets states are divided at most, until one of them is near the host
    """

    shell: tuple[Nanometers, Nanometers]
    states: Count = 100
    dim: Count = 3
    sets: Annotated[int, AtLeast(2)] = 4


@dataclass(frozen=True)
class SwarmStudy:
    """A whole file.

    Attributes
    ----------
    system : host, guest and sphere
    binding : what is asked
    tables : what the study of sampling is made of
    """

    system: SwarmSystem
    binding: Binding
    tables: Mapping[str, Any]

    @property
    def kT(self) -> float:
        """Thermal energy [kJ/mol]."""
        return read_dynamics(self.tables.get("dynamics", {}))[0].kT


def load_swarm_study(path: Path) -> SwarmStudy:
    """The study in a TOML file; paths in it are relative to its folder.

    Raises
    ------
    StudyError
        If the file is no TOML, or a key or value is wrong.
    """
    table = toml_of(path)
    if isinstance(table.get("system"), dict):
        for name in ("host", "guest"):
            if isinstance(table["system"].get(name), str):
                table["system"][name] = str((path.parent / table["system"][name]).resolve())
    return swarm_study_from_table({"title": path.stem, **table})


def swarm_study_from_table(table: Mapping[str, Any]) -> SwarmStudy:
    """The study in ``table``.

    Raises
    ------
    StudyError
        If a key or value is wrong, or what is far apart lies beyond the sphere.

    Examples
    --------
    >>> table = {"system": {"host": "h.mol2", "guest": "g.mol2", "radius": "1.5 nm"},
    ...     "binding": {"shell": ["1.2 nm", "1.5 nm"]}}
    >>> swarm_study_from_table(table).system.radius
    1.5
    >>> swarm_study_from_table({**table, "binding": {"shell": ["1.2 nm", "2 nm"]}})
    Traceback (most recent call last):
    ...
    thalweg.studies.tables.language.StudyError: [binding] shell ends at 2 nm, beyond the sphere of 1.5 nm; ...
    """
    known = ("title", "system", "binding", *FORWARDED)
    for key in table:
        if key not in known:
            raise StudyError(f'a swarm has no table "{key}"; {did_you_mean(key, known)}')
    system, _ = read(SwarmSystem, table.get("system", {}), "system")
    binding, _ = read(Binding, table.get("binding", {}), "binding")
    if not 0 < binding.shell[0] < binding.shell[1] <= system.radius:
        raise StudyError(
            f"[binding] shell ends at {binding.shell[1]:g} nm, beyond the sphere of {system.radius:g} nm; give a least "
            "and a larger distance within it"
            if binding.shell[1] > system.radius
            else f"[binding] shell = {list(binding.shell)} nm is empty; give a least and a larger distance"
        )
    campaign = dict(table.get("campaign", {}))
    if campaign.setdefault("kind", "MarkovRestarts") != "MarkovRestarts":
        raise StudyError(f'[campaign] kind = "{campaign["kind"]}": a swarm is sampled by "MarkovRestarts"')
    if "frames" in campaign:
        raise StudyError("[campaign] frames are drawn here, each guest in a place of its own; leave them out")
    forwarded = {key: table[key] for key in FORWARDED if key in table}
    return SwarmStudy(
        system, binding, {"title": table.get("title", "swarm"), **forwarded, "campaign": campaign}
    )


def swarm_study(study: SwarmStudy, folder: Path, console: Console) -> dict[int, AssociationModel]:
    """Carry a study out in ``folder``, or go on with it, and say for each seed what was found.

    Raises
    ------
    ValueError
        If molecules get no parameters, the study cannot be run, or a swarm has nothing to analyze.
    """
    check_links(folder)
    disk.make_folder(folder)
    run = folder / "run"
    if not disk.exists(run / RUN_FILE):
        _prepared(study, folder)
        begin(folder / "study.toml", run, console)
    store = carry_out(study_of(run), run, console)
    found = analyzed_swarms(study, store, run)
    write_whole(folder / "binding.json", json.dumps({k: _plain(each) for k, each in found.items()}, indent=1))
    return found


def analyzed_swarms(study: SwarmStudy, store: Store, run: Path) -> dict[int, AssociationModel]:
    """What the walks of each seed say.

    Raises
    ------
    ValueError
        If they say nothing; see `Association.fit`.
    """
    policy = study_of(run).campaign
    lagtime = round(policy.lagtime / policy.save_every)
    asked = study.binding
    method = Association(lagtime, asked.shell, study.kT, states=asked.states, dim=asked.dim, sets=asked.sets)
    found = {}
    for seed in policy.seeds:
        segments = [Segment.read(store, entry) for entry in policy.entries(seed)]
        walks = [
            np.asarray(one.features[w, : one.valid[w]], float)
            for one in segments
            for w in np.flatnonzero(one.valid)
        ]
        data = Trajectories(walks, dt=policy.save_every)
        found[seed] = method.fit(data, [walk[:, 0] for walk in walks])
    return found


def _prepared(study: SwarmStudy, folder: Path) -> None:
    """Parameters, starts and the study of sampling."""
    asked = study.system
    pair = host_guest(
        asked.host,
        asked.guest,
        asked.radius,
        folder / "parameters",
        asked.guests,
        GeneralForceField(asked.force_field),
        asked.implicit_solvent,
        hydrogen_mass=asked.hydrogen_mass,
    )
    write_whole(folder / "parameters" / "system.xml", pair.system.openmm_xml)
    write_trajectory(folder / "parameters" / "start.pdb", pair.system.positions[None], pair.system.topology)
    campaign = dict(study.tables["campaign"])
    number = int(campaign.get("walkers", 32))
    shell = (study.binding.shell[0], asked.radius)
    places = placements(pair.system.positions, pair.host, pair.guests, number, shell)
    with whole(folder / "starts.npy") as draft:
        np.save(draft, places, allow_pickle=False)
    write_whole(folder / "study.toml", tomli_w.dumps(_sampling(study, pair)))


def _sampling(study: SwarmStudy, pair: HostGuest) -> dict[str, Any]:
    """The tables of the study of sampling."""
    features = {"kind": "HostGuestFeatures", "host": len(pair.host), "guest": pair.guests.shape[1]}
    return {
        **study.tables,
        "system": {"xml": "parameters/system.xml", "pdb": "parameters/start.pdb"},
        "features": features,
        "campaign": {**study.tables["campaign"], "frames": "starts.npy"},
    }


def _plain(found: AssociationModel) -> dict[str, Any]:
    """What was found, for a file; numbers that cannot be had are None."""
    free, on, off = found.constant, found.on, found.off
    return {
        "bound distance [nm]": found.bound_distance,
        "crossings": list(found.crossings),
        "binding free energy [kJ/mol]": None if free.shortcomings else found.binding_free_energy,
        "error [kJ/mol]": None if free.shortcomings else free.error,
        "k_on [l/mol/s]": None if on.shortcomings else found.association_rate,
        "k_off [1/s]": None if off.shortcomings else found.dissociation_rate,
        "errors of ln k": [None if each.shortcomings else each.log_error for each in (on, off)],
        "in words": list(found.in_words()),
    }
