"""Carrying out a study in its run folder, from the start or from where it stopped."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import tomli_w
from rich.console import Console
from rich.progress import TextColumn

from thalweg.geometry.torsions import named_torsions
from thalweg.interop.files.trajectories import write_trajectory
from thalweg.interop.openmm.checked_xml import included_neighbors
from thalweg.interop.openmm.force_fields import SHIPPED, available_force_fields
from thalweg.machine import disk
from thalweg.machine.links import check_links
from thalweg.machine.versions import versions
from thalweg.machine.whole_files import is_vacant, write_whole
from thalweg.registry import fingerprints
from thalweg.sampling.apparatus import Apparatus
from thalweg.sampling.campaign import drive
from thalweg.sampling.policy import Task
from thalweg.sampling.store import LOCK, Store, sha256
from thalweg.studies.progress import bars
from thalweg.studies.tables.language import StudyError
from thalweg.studies.tables.study import Files, SimulatedSystem, Study, files_of, from_table, kept, load

RUN_FILE = "run.toml"
INPUTS = "inputs"
BEGINNING = ".begin"
"""Mark of a run folder that is being made; one that was killed then may be begun again."""


SAFE_PATH = "PYTHONSAFEPATH"
"""Environment variable that keeps Python from importing modules out of the folder in which it is started."""


def begin(path: Path, run: Path, console: Console | None = None) -> Study:
    """Make the run folder of the study in ``path``, after building everything once to see that it can run.

    ``console`` is told what is being done, and what was decided where the study says nothing.

    Raises
    ------
    ValueError
        If the folder is taken, or the study cannot be built.
    """
    study = load(path)
    _check_free(run)
    told = Console(quiet=True) if console is None else console
    with told.status("building the system: structure, force field, solvent, nearest minimum"):
        apparatus = study.campaign.recipe.build()
    for sentence in _decided(apparatus):
        told.print(sentence, markup=False, highlight=False)
    topology = apparatus.trajectories.topology
    known = named_torsions(topology)
    for region in study.states:
        for name in region.ranges:
            if name not in known:
                raise StudyError(f'[states.{region.name}] "{name}" is no torsion; known: {", ".join(known)}')
    disk.make_folder(run)
    write_whole(run / BEGINNING, "")  # what is here if this is killed was put here by it
    with Store(run).locked():
        _check_free(run)
        study = kept(study, _kept_files(study.system, run))
        write_trajectory(run / "topology.pdb", apparatus.positions[None], topology, apparatus.box)
        record = study.tables | {"versions": versions()}
        if plugins := fingerprints():
            record["plugins"] = dict(plugins)
        write_whole(run / RUN_FILE, tomli_w.dumps(record))
        disk.remove(run / BEGINNING)
        store_of(run)
    return study


def _decided(apparatus: Apparatus) -> Iterator[str]:
    """What is simulated and where, as far as the study left that open."""
    yield from apparatus.notes
    engine = apparatus.card.get("engine")
    where = f" on its platform {apparatus.card['platform']}" if "platform" in apparatus.card else ""
    yield f"{len(apparatus.masses)} atoms, {engine} engine{where}"


def _check_free(run: Path) -> None:
    """Whether a run may begin in this folder."""
    if disk.exists(run / RUN_FILE):
        raise ValueError(
            f"{run} is a run already; go on with it: thalweg resume {run}, or give another --out"
        )
    if not (is_vacant(run, besides=LOCK) or disk.exists(run / BEGINNING)):
        raise ValueError(f"{run} is there and is not an empty folder; give another --out")


def study_of(run: Path) -> Study:
    """The study a run folder was made with.

    Raises
    ------
    ValueError
        If the folder is no run, or leads to files outside it.
    """
    file = run / RUN_FILE
    if not file.is_file():
        what = "there is no folder" if not run.exists() else f"there is no {RUN_FILE} in"
        raise ValueError(f"{what} {run}; give a folder made by: thalweg run STUDY.toml")
    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StudyError(
            f"{file} is damaged ({error}); restore it, it is never changed after the start"
        ) from None
    table.pop("versions", None)
    _check_plugins(table.pop("plugins", {}), run)
    check_links(run)
    study = from_table(table)
    _check_inside(study.system, run)
    return study


def _check_plugins(made_with: Any, run: Path) -> None:
    """Whether the user has named the plug-ins that the run was made with, unchanged; a run folder cannot do so."""
    if not isinstance(made_with, dict):
        raise StudyError(f"[plugins] of {run / RUN_FILE} is damaged: it must be a table")
    here = fingerprints()
    for name, digest in made_with.items():
        command = f"thalweg resume {run} --with {name}.py"
        if name not in here:
            raise StudyError(f"{run} was made with the plug-in {name}.py; name yours: {command}")
        if here[name] != digest:
            raise StudyError(
                f"{run} was made with another {name}.py (SHA-256 {str(digest)[:12]}..., now {here[name][:12]}...); "
                "give the same file, or start a new run"
            )


def _check_inside(system: Any, run: Path) -> None:
    """Whether the files of a run are in its folder, where `begin` has put them."""
    named: list[Path | str] = [*files_of(system).values()]
    if isinstance(system, Files):
        named += [name for name in system.forcefield or () if name not in available_force_fields()]
    for path in named:
        if not (run / path).resolve().is_relative_to(run.resolve()):
            raise StudyError(
                f"[system] of {run / RUN_FILE} names {path}, which is not in {run}; a run keeps its files in {INPUTS}: "
                "copy it there, or start a new run"
            )


def carry_out(study: Study, run: Path, console: Console) -> Store:
    """Do what is not done yet of ``study`` in ``run``; the store, now complete."""
    with working_in(run), _progress(study, console) as observer:
        store = store_of(Path.cwd())
        execution = study.execution
        drive(store, study.campaign, execution.runner.executor, None, (observer,), execution.disk_limit)
        return store


def store_of(run: Path) -> Store:
    """The store of a run, which belongs to the ``run.toml`` that it was begun with.

    Raises
    ------
    StoreError
        If ``run.toml`` was changed since.
    """
    store = Store(run)
    store.bind(RUN_FILE, sha256(run / RUN_FILE))
    return store


@contextlib.contextmanager
def working_in(run: Path) -> Iterator[None]:
    """In the run folder, where the paths of its ``run.toml`` hold, for this process and its workers.

    No module is imported from there: a folder of someone else's may hold a ``random.py``.
    """
    path, safe, here = sys.path[:], os.environ.get(SAFE_PATH), os.getcwd()
    sys.path[:] = [entry or here for entry in path]
    os.environ[SAFE_PATH] = "1"
    try:
        with contextlib.chdir(run):
            yield
    finally:
        sys.path[:] = path
        if safe is None:
            del os.environ[SAFE_PATH]
        else:
            os.environ[SAFE_PATH] = safe


@contextlib.contextmanager
def _progress(study: Study, console: Console) -> Iterator[Callable[..., None]]:
    """A bar of simulated time with the time that remains, told by the campaign what is done."""
    with bars(console, TextColumn("{task.completed:.2f} of {task.total:.2f} ns")) as bar:
        shown = bar.add_task("building and compiling", total=study.campaign.cost() * 1e-3)

        def observer(round: int, task: Task, done: int, tasks: int, seconds: float | None) -> None:
            bar.update(shown, description=task.id.split("/")[-1], advance=task.cost * 1e-3)

        yield observer


def _kept_files(system: SimulatedSystem, run: Path) -> dict[str, Any]:
    """New names of the files of ``system``, which are copied into the run folder and named by what is in them."""

    def keep(path: Path) -> str:
        content = disk.read_bytes(path)
        digest = hashlib.sha256(content).hexdigest()[:12]
        disk.make_folder(run / INPUTS)
        write_whole(run / INPUTS / f"{path.stem}-{digest}{path.suffix}", content)
        return f"{INPUTS}/{path.stem}-{digest}{path.suffix}"

    names: dict[str, Any] = {name: keep(path) for name, path in files_of(system).items()}
    if isinstance(system, Files) and system.forcefield is not None:
        own = [Path(name) for name in system.forcefield if Path(name).is_absolute()]
        names["forcefield"] = [keep(Path(name)) if Path(name) in own else name for name in system.forcefield]
        _keep_neighbors(own, run / INPUTS)
    return names


def _keep_neighbors(force_fields: Sequence[Path], folder: Path) -> None:
    """Copy what force fields include, under the names that they include it by, beside them."""
    for file in force_fields:
        for name, path in included_neighbors(file, SHIPPED).items():
            content = disk.read_bytes(path)
            if name != Path(name).name or (
                disk.exists(folder / name) and disk.read_bytes(folder / name) != content
            ):
                raise StudyError(
                    f'{file} includes "{name}", which cannot be kept beside it; give it another, plain name'
                )
            write_whole(folder / name, content)
