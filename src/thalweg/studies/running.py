"""Carrying out a study in its run folder, from the start or from where it stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import shutil
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tomli_w
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from thalweg.interop.files.trajectories import write_trajectory
from thalweg.machine.whole_files import write_whole
from thalweg.sampling.campaign import drive
from thalweg.sampling.executors import processes, serial
from thalweg.sampling.policy import Task
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.simulate import Simulate
from thalweg.studies.apparatus import named_torsions, versions
from thalweg.studies.tables.strict import StudyError
from thalweg.studies.tables.study import Files, Loop, Study, from_table, load, to_table

RUN_FILE = "run.toml"
INPUTS = "inputs"


def begin(path: Path, run: Path) -> Study:
    """Make the run folder of the study in ``path``, after building everything once to see that it can run.

    Raises
    ------
    ValueError
        If the folder is taken, or the study cannot be built.
    """
    study = load(path)
    if (run / RUN_FILE).exists():
        raise ValueError(
            f"{run} is a run already; go on with it: thalweg resume {run}, or give another --out"
        )
    if run.exists() and (not run.is_dir() or any(run.iterdir())):
        raise ValueError(f"{run} is there and is not an empty folder; give another --out")
    apparatus = study.policy().recipe.build()
    topology = apparatus.trajectories.topology
    known = named_torsions(topology)
    for region in study.states:
        for name in region.ranges:
            if name not in known:
                raise StudyError(f'[states.{region.name}] "{name}" is no torsion; known: {", ".join(known)}')
    run.mkdir(parents=True, exist_ok=True)
    study = dataclasses.replace(study, system=_kept(study.system, run))
    write_trajectory(run / "topology.pdb", apparatus.positions[None], topology, apparatus.box)
    record = to_table(study) | {"versions": versions()}
    write_whole(run / RUN_FILE, tomli_w.dumps(record))
    return study


def study_of(run: Path) -> Study:
    """The study a run folder was made with.

    Raises
    ------
    ValueError
        If the folder is no run.
    """
    file = run / RUN_FILE
    if not file.is_file():
        what = "there is no folder" if not run.exists() else f"there is no {RUN_FILE} in"
        raise ValueError(f"{what} {run}; give a folder made by: thalweg run STUDY.toml")
    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StudyError(
            f"{file} is damaged ({error}); restore it, it is never changed after the start"
        ) from None
    table.pop("versions", None)
    return from_table(table)


def carry_out(study: Study, run: Path, console: Console) -> Store:
    """Do what is not done yet of ``study`` in ``run``; the store, now complete."""
    workers = study.campaign.workers
    with working_in(run), progress(study, console) as observer:
        store = Store(Path.cwd())
        drive(store, study.policy(), processes(workers) if workers > 1 else serial, observers=(observer,))
        return store


@contextlib.contextmanager
def working_in(run: Path) -> Iterator[None]:
    """In the run folder, where the paths of its ``run.toml`` hold, for this process and its workers."""
    with contextlib.chdir(run):
        yield


@contextlib.contextmanager
def progress(study: Study, console: Console) -> Iterator[Callable[..., None]]:
    """A bar of simulated time with the time that remains, told by the campaign what is done."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.2f} of {task.total:.2f} ns"),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, speed_estimate_period=600) as bar:
        total = simulated_nanoseconds(study)
        shown = bar.add_task("starting", total=total)

        def observer(round: int, task: Task, done: int, tasks: int, seconds: float | None) -> None:
            nanoseconds = 0.0
            if isinstance(task.work, Simulate):
                nanoseconds = task.work.walkers * task.work.steps * study.dynamics.dt * 1e-3
            bar.update(shown, description=task.id.split("/")[-1], advance=nanoseconds)

        yield observer


def simulated_nanoseconds(study: Study) -> float:
    """Simulated time of a whole campaign [ns], over all seeds and walkers."""
    campaign = study.campaign
    if isinstance(campaign, Loop):
        each = campaign.cycles * (campaign.swarm + campaign.drive) + campaign.produce
    else:
        each = campaign.swarms * campaign.length
    return len(campaign.seeds) * campaign.walkers * each * 1e-3


def _kept(system: Any, run: Path) -> Any:
    """``system`` with its files copied into the run folder, named by what is in them."""
    if not isinstance(system, Files):
        return system

    def keep(path: Path) -> str:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        (run / INPUTS).mkdir(exist_ok=True)
        shutil.copyfile(path, run / INPUTS / f"{path.stem}-{digest}{path.suffix}")
        return f"{INPUTS}/{path.stem}-{digest}{path.suffix}"

    names = [name for name in ("pdb", "prmtop", "inpcrd", "xml") if getattr(system, name) is not None]
    kept = {name: Path(keep(getattr(system, name))) for name in names}
    if system.forcefield is not None:
        kept["forcefield"] = tuple(
            keep(Path(name)) if Path(name).is_absolute() else name for name in system.forcefield
        )
    return dataclasses.replace(system, **kept)
