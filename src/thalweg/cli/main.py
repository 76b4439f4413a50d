"""The command ``thalweg``: what the package does, from a shell."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from thalweg import __version__
from thalweg.cli.affinity import commands as affinity
from thalweg.cli.coarse_grain import coarse_grain_of
from thalweg.cli.contest import commands as contest
from thalweg.cli.forecast import forecast_of
from thalweg.cli.mistakes import Answering
from thalweg.cli.options import FrameInterval, TopologyPath, TrajectoryPaths
from thalweg.cli.pathway import pathway_of
from thalweg.cli.protein import protein_of
from thalweg.cli.qsar import commands as qsar
from thalweg.cli.sites import learn_sites_of, sites_of
from thalweg.cli.surroundings import data_folder, prepare
from thalweg.cli.swarm import swarm_of
from thalweg.registry import name_files

if TYPE_CHECKING:
    from thalweg.report.of_landscapes.langevin_results import LangevinResults
    from thalweg.report.of_landscapes.results import MapResults
    from thalweg.report.of_potentials.results import PotentialResults
    from thalweg.report.results import PageResults, Results
    from thalweg.studies.tables.study import Study

app = typer.Typer(
    cls=Answering,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Molecular simulation and machine learning that teach each other.",
)
app.add_typer(affinity, name="affinity")
app.add_typer(contest, name="contest")
app.add_typer(qsar, name="qsar")


def _named(files: list[Path] | None) -> list[Path] | None:
    """Let this process and its workers use the plug-ins that the user names."""
    name_files(files or ())
    return files


With = Annotated[
    list[Path] | None,
    typer.Option(
        "--with",
        callback=_named,
        help="A Python file with methods of your own (repeatable); see docs/add-your-own.md.",
        show_default=False,
    ),
]
LOOK_AGAIN = 2.0
"""Seconds between looks at a run that is watched."""

AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


IndexOption = Annotated[
    str | None, typer.Option(help="Which frames of each file, as in ASE.", show_default="all")
]
EnergyKey = Annotated[str | None, typer.Option(help="Name of the energy in the files; found by itself.")]
ForcesKey = Annotated[str | None, typer.Option(help="Name of the forces.")]
StressKey = Annotated[str | None, typer.Option(help="Name of the stress.")]
VirialKey = Annotated[str | None, typer.Option(help="Name of the virial.")]
EnergyUnit = Annotated[str | None, typer.Option(help="Unit of energies in the files.", show_default="eV")]
LengthUnit = Annotated[str | None, typer.Option(help="Unit of lengths in the files.", show_default="Å")]
Keep = Annotated[
    list[str] | None,
    typer.Option(
        help="What to keep although it looks wrong: repeated, outliers, stress, units (repeatable).",
        show_default=False,
    ),
]


def main() -> None:
    """Entry point of the command line; sets threads and caches before anything heavy loads."""
    prepare()
    signal.signal(signal.SIGTERM, _stop)
    app()


def _stop(*_: object) -> None:
    """A polite request to stop ends as Ctrl-C does: the folder is left in order, and how to go on is said."""
    raise KeyboardInterrupt


@contextmanager
def _going_on() -> Iterator[Callable[[str], Callable[[str, float], None]]]:
    """Bars for work that the same command goes on with where it is stopped, which then is said."""
    from thalweg.studies.progress import watched

    console = Console(stderr=True, soft_wrap=True)
    try:
        with watched(console) as progress:
            yield progress
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on", markup=False)
        raise typer.Exit(130) from None


def _version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"thalweg {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def thalweg(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """Molecular simulation and machine learning that teach each other."""


@app.command()
def run(
    study: Annotated[
        Path, typer.Argument(help="A study in TOML; see docs/run-files.md.", show_default=False)
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; the name of the study by default.")
    ] = None,
    dry: Annotated[
        bool, typer.Option("--dry", help="Say what it will take, from a trial, and begin nothing.")
    ] = False,
    with_files: With = None,
) -> None:
    """Carry out a study and write its report."""
    from thalweg.studies.runs.running import begin

    _require_file(study)
    folder = Path(study.stem) if out is None else out
    if dry:
        _foretell(study, folder)
        return
    _finish(begin(study, folder, Console(stderr=True, soft_wrap=True)), folder)


@app.command()
def resume(
    run: Annotated[Path, typer.Argument(help="The folder of a run.", show_default=False)],
    disk_limit: Annotated[
        str | None,
        typer.Option(help='What it may take up from now on, "40 GB"; what its study says by default.'),
    ] = None,
    with_files: With = None,
) -> None:
    """Go on with a run that was stopped or killed, however it ended."""
    from thalweg.studies.runs.running import study_of
    from thalweg.units import quantity

    study = study_of(run)
    if disk_limit is not None:
        limit = quantity(disk_limit, "data")
        study = replace(study, execution=replace(study.execution, disk_limit=limit))
    _finish(study, run)


@app.command()
def status(
    run: Annotated[Path, typer.Argument(help="The folder of a run.", show_default=False)],
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again every few seconds, until it is done or stopped.")
    ] = False,
    with_files: With = None,
) -> None:
    """How far a run is, from another shell while it goes on."""
    from rich.live import Live

    from thalweg.studies.runs.status import run_status

    console, now = Console(soft_wrap=True), run_status(run)
    if watch and console.is_terminal:
        with (
            Live("\n".join(now.in_words()), console=console, auto_refresh=False) as live,
            suppress(KeyboardInterrupt),
        ):
            while now.holder is not None:
                time.sleep(LOOK_AGAIN)
                now = run_status(run)
                live.update(escape("\n".join(now.in_words())), refresh=True)
        return
    for sentence in now.in_words():
        console.print(sentence, markup=False, highlight=False)


@app.command()
def loop(
    study: Annotated[
        Path,
        typer.Argument(
            help="A study in TOML: molecule, level, how to sample; see docs/loop.md.", show_default=False
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder of all parts.", show_default="name of the study")
    ] = None,
    with_files: With = None,
) -> None:
    """From a molecule and a level of theory to free energies: labels, potential, sampling, and back where unsure."""
    from thalweg.studies.runs.whole_loop import whole_loop
    from thalweg.studies.tables.loop_study import load_loop_study

    _require_file(study)
    asked, folder = load_loop_study(study), out or Path(study.stem)
    with _going_on() as progress:
        results = whole_loop(asked, folder, Console(stderr=True, soft_wrap=True), progress)
    _say(results, folder)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("demo"),
) -> None:
    """Alanine dipeptide from one structure to free energies and time scales; resumes if it was stopped."""
    from importlib.resources import as_file, files

    from thalweg.studies.runs.running import RUN_FILE, begin, study_of

    if (out / RUN_FILE).exists():
        _finish(study_of(out), out)
        return
    with as_file(files("thalweg.cli") / "demo.toml") as study:
        _finish(begin(study, out, Console(stderr=True, soft_wrap=True)), out)


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run.", show_default=False)],
    with_files: With = None,
) -> None:
    """Analyze a finished run again and write its report."""
    from thalweg.studies.runs.reporting import report_of_run
    from thalweg.studies.runs.running import study_of

    _show(report_of_run(study_of(run), run), run)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="The folder of a run.", show_default=False)],
    program: Annotated[str, typer.Option("--to", help="plumed, colvars or openmm.")] = "plumed",
    name: Annotated[str, typer.Option(help="What to call the variable there.")] = "cv",
    out: Annotated[Path | None, typer.Option(help="File to write; shown by default.")] = None,
    with_files: With = None,
) -> None:
    """Write the slow variables that a run has learned as input of another program."""
    from thalweg.machine.whole_files import write_whole
    from thalweg.studies.runs.exporting import export_variable
    from thalweg.studies.runs.running import study_of

    text = export_variable(study_of(run), run, program, name)
    if out is None:
        typer.echo(text)
        return
    write_whole(out, text + "\n")
    typer.echo(f"written: {out}")


@app.command()
def analyze(
    files: TrajectoryPaths,
    topology: TopologyPath,
    dt: FrameInterval = None,
    lag: Annotated[str, typer.Option(help="Lag time of the Markov model.")] = "10 ps",
    temperature: Annotated[str, typer.Option(help="Of the simulation.")] = "300 K",
    features: Annotated[
        list[str] | None,
        typer.Option(help="A set of docs/features.md; torsions by default.", show_default=False),
    ] = None,
    tica_lag: Annotated[
        list[str] | None, typer.Option(help="Lag time of slow coordinates.", show_default="that of the model")
    ] = None,
    dim: Annotated[
        list[int] | None, typer.Option(help="Number of slow coordinates.", show_default="4")
    ] = None,
    states: Annotated[list[int] | None, typer.Option(help="Number of clusters.", show_default="100")] = None,
    sets: Annotated[int, typer.Option(help="Number of long-lived states to describe.")] = 3,
    out: Annotated[Path, typer.Option(help="Folder for report.html and its numbers.")] = Path("analysis"),
    with_files: With = None,
) -> None:
    """Time scales, states and free energies of your own unbiased trajectories.

    Give --features, --tica-lag, --dim or --states more than once, and every combination is scored on data left out.
    """
    from thalweg.studies.analyzing import Analysis, report_of_files

    asked = Analysis(
        tuple(files),
        topology,
        dt,
        lag,
        temperature,
        tuple(features or ["torsions"]),
        tuple(tica_lag or ()),
        tuple(dim or ()),
        tuple(states or [100]),
        sets,
    )
    with _going_on() as progress:
        results = report_of_files(asked, out, progress)
    _show(results, out)


@app.command("map")
def map_frames(
    files: TrajectoryPaths,
    topology: TopologyPath,
    method: Annotated[
        str, typer.Option(help="diffusion-map, isomap, sketch-map, ...; see docs/landscapes.md.")
    ] = "diffusion-map",
    features: Annotated[str, typer.Option(help="A set of docs/features.md.")] = "torsions",
    dim: Annotated[int, typer.Option(help="Number of coordinates.")] = 2,
    neighbors: Annotated[
        int | None, typer.Option(help="Of every frame.", show_default="the method's own")
    ] = None,
    landmarks: Annotated[
        int | None, typer.Option(help="Frames that the map is solved at.", show_default="the method's own")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="File with a weight for every frame.", show_default="all alike")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for report.html and its numbers.")] = Path("map"),
    with_files: With = None,
) -> None:
    """A map of your own trajectories: every point turns into its structure, colored by any physical variable."""
    from thalweg.studies.mapping import Mapping, map_of_files
    from thalweg.studies.progress import watched

    asked = Mapping(tuple(files), topology, method, features, dim, neighbors, landmarks, weights)
    with watched(Console(stderr=True, soft_wrap=True)) as progress:
        results = map_of_files(asked, out, progress)
    _say(results, out)


@app.command()
def langevin(
    files: Annotated[
        list[Path], typer.Argument(help="COLVAR files, text or .npy files of columns.", show_default=False)
    ],
    column: Annotated[
        list[str] | None, typer.Option(help="A variable, by name or number.", show_default="all, ranked")
    ] = None,
    kind: Annotated[str, typer.Option(help="auto, overdamped, underdamped or memory.")] = "auto",
    temperature: Annotated[str, typer.Option(help="Of the simulation.")] = "300 K",
    dt: FrameInterval = None,
    lag: Annotated[str | None, typer.Option(help="Step of the model.", show_default="one frame")] = None,
    period: Annotated[
        float | None, typer.Option(help="Of the variable.", show_default="what the files say")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for report.html and its numbers.")] = Path("langevin"),
) -> None:
    """Free energy, friction and memory along a variable, and rates by every route, from unbiased trajectories of it."""
    from thalweg.studies.langevin_models import LangevinStudy, langevin_of_files
    from thalweg.studies.progress import watched

    asked = LangevinStudy(tuple(files), tuple(column or ()), kind, temperature, dt, lag, period)
    with watched(Console(stderr=True, soft_wrap=True)) as progress:
        results = langevin_of_files(asked, out, progress)
    _say(results, out)


@app.command("label")
def label_frames(
    what: Annotated[
        list[str], typer.Argument(help="Files of frames, or a SMILES such as CCO.", show_default=False)
    ],
    level: Annotated[
        str, typer.Option(help="gfn2, gfn1, or a method and a basis: PBE0-D3BJ/def2-SVP, CCSD(T)/cc-pVDZ.")
    ] = "gfn2",
    frames: Annotated[int, typer.Option(help="Geometries to make, where they are made.")] = 1000,
    how: Annotated[
        list[str] | None,
        typer.Option(
            help="modes, dynamics, strain or as-given (repeatable).",
            show_default="what suits the input",
        ),
    ] = None,
    temperature: Annotated[str, typer.Option(help="Of normal modes and dynamics.")] = "500 K",
    test: Annotated[float, typer.Option(help="Fraction left for tests.")] = 0.1,
    charge: Annotated[int, typer.Option(help="Total charge, where the input does not say.")] = 0,
    unpaired: Annotated[int, typer.Option(help="Unpaired electrons, where the input does not say.")] = 0,
    seed: Annotated[int, typer.Option(help="Of all that is drawn.")] = 0,
    processes: Annotated[int, typer.Option(help="How many label at once.")] = 1,
    days: Annotated[float, typer.Option(help="Refuse what would take longer on one core.")] = 2.0,
    out: Annotated[Path, typer.Option(help="Folder for labels, files and report.html.")] = Path("labels"),
) -> None:
    """Energies and forces of a molecule's or crystal's frames by a quantum program; goes on where it was stopped."""
    from thalweg.studies.labeling import LabelStudy, label_study

    asked = LabelStudy(
        tuple(what),
        level,
        frames,
        tuple(how or ()),
        temperature,
        test,
        charge,
        unpaired,
        seed,
        processes,
        days,
    )
    with _going_on() as progress:
        results = label_study(asked, out, progress)
    _say(results, out)
    typer.echo(f"frames: {out / 'labels.xyz'}")


@app.command("envelope")
def envelope_of(
    model: Annotated[Path, typer.Argument(help="A model, or the folder of a fit.", show_default=False)],
    train: Annotated[Path, typer.Option(help="Frames the model was taught.", show_default=False)],
    held_out: Annotated[
        Path, typer.Option(help="Labeled frames like these that it was not taught.", show_default=False)
    ],
    new: Annotated[
        list[Path] | None, typer.Argument(help="Frames to judge, labeled or not.", show_default=False)
    ] = None,
    limit: Annotated[float, typer.Option(help="Multiple of the usual force error that is too much.")] = 3.0,
    out: Annotated[Path, typer.Option(help="Folder for the page and the envelope.")] = Path("envelope"),
) -> None:
    """Where a model may be believed: frames inside, on the border and outside, on a map that turns into structures."""
    from thalweg.studies.potential.confidence import ENVELOPE, EnvelopeStudy, envelope_study
    from thalweg.studies.progress import watched

    for file in (train, held_out, *(new or ())):
        _require_file(file, "file")
    asked = EnvelopeStudy(model, tuple(new or ()), train, held_out, limit)
    with watched(Console(stderr=True, soft_wrap=True)) as progress:
        results = envelope_study(asked, out, progress)
    _say(results, out)
    typer.echo(f"envelope: {out / ENVELOPE}")


@app.command("on-the-fly")
def on_the_fly(
    study: Annotated[
        Path, typer.Argument(help="A study in TOML: where to start, whom to ask.", show_default=False)
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run.", show_default="name of the study")
    ] = None,
) -> None:
    """Dynamics that buys labels where its potential is unsure and learns them at once; goes on where it was stopped."""
    from thalweg.studies.potential.on_the_fly import carry_out_on_the_fly, load_on_the_fly

    _require_file(study)
    asked, folder = load_on_the_fly(study), out or Path(study.stem)
    with _going_on() as progress:
        results = carry_out_on_the_fly(asked, folder, progress)
    _say(results, folder)
    typer.echo(f"model: {folder / 'model.thalweg'}")


@app.command("potential")
def potential_of(
    what: Annotated[
        list[str],
        typer.Argument(
            help="A SMILES such as CCO, files or folders of frames, or a study in TOML.", show_default=False
        ),
    ],
    level: Annotated[
        str, typer.Option(help="gfn2, gfn1, or a method and a basis: PBE0-D3BJ/def2-SVP, CCSD(T)/cc-pVDZ.")
    ] = "gfn2",
    baseline: Annotated[
        str, typer.Option(help="A cheaper level or a potential's file, of which the difference is learned.")
    ] = "",
    error: Annotated[str, typer.Option(help="Force error that is wanted.")] = "1 kcal/mol/Å",
    labels: Annotated[int, typer.Option(help="Labels to buy at most, those to judge by not counted.")] = 300,
    duration: Annotated[str, typer.Option(help="Run that the potential must hold out.")] = "10 ps",
    charge: Annotated[int, typer.Option(help="Total charge, where the input does not say.")] = 0,
    unpaired: Annotated[int, typer.Option(help="Unpaired electrons, where the input does not say.")] = 0,
    seed: Annotated[int, typer.Option(help="Of all that is drawn.")] = 0,
    processes: Annotated[int, typer.Option(help="How many label and walk at once.")] = 1,
    days: Annotated[float, typer.Option(help="Refuse labels that would take longer on one core.")] = 2.0,
    out: Annotated[Path, typer.Option(help="Folder for labels, model and report.html.")] = Path("potential"),
) -> None:
    """A potential of a molecule or crystal by active learning, tried before it is called done; goes on where it was."""
    from thalweg.studies.potential.campaign import MODEL, START, potential_study
    from thalweg.studies.tables.potential_study import load_potential_study, potential_study_from_table

    if len(what) == 1 and what[0].endswith(".toml"):
        _require_file(Path(what[0]))
        study = load_potential_study(Path(what[0]))
    else:
        asked = {
            "what": what,
            "level": level,
            "baseline": baseline,
            "run": duration,
            "charge": charge,
            "unpaired": unpaired,
            "seed": seed,
            "workers": processes,
            "days": days,
        }
        study = potential_study_from_table(
            {"potential": asked, "learning": {"error": error, "labels": labels}}
        )
    with _going_on() as progress:
        results = potential_study(study, out, progress)
    _say(results, out)
    typer.echo(f"model: {out / MODEL}; try thalweg md {out / MODEL} {out / START}")


@app.command("torsion")
def scan_torsion(
    smiles: Annotated[str, typer.Argument(help="A molecule, such as CCCC.", show_default=False)],
    level: Annotated[
        str, typer.Option(help="gfn2, gfn1, mmff94, or a method and a basis: PBE0-D3BJ/def2-SVP.")
    ] = "gfn2",
    torsion: Annotated[
        str | None,
        typer.Option(help="Four atoms from zero, such as 0-1-2-3.", show_default="about the middle"),
    ] = None,
    points: Annotated[int, typer.Option(help="Angles over the whole turn.")] = 24,
    conformers: Annotated[int, typer.Option(help="Conformers to begin from, at most.")] = 3,
    seed: Annotated[int, typer.Option(help="Of the conformers.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for frames, relaxations and report.html.")] = Path(
        "torsion"
    ),
) -> None:
    """The energy of a molecule along a torsion, all else relaxed; goes on where it was stopped."""
    from thalweg.studies.tables.language import StudyError
    from thalweg.studies.torsions import TorsionStudy, torsion_study

    try:
        four = tuple(int(atom) for atom in torsion.split("-")) if torsion else ()
    except ValueError:
        raise StudyError(f'--torsion "{torsion}" is no row of atoms; give four, such as 0-1-2-3') from None
    asked = TorsionStudy(smiles, level, four, points, conformers, seed)
    with _going_on() as progress:
        results = torsion_study(asked, out, progress)
    _say(results, out)
    typer.echo(f"frames: {out / 'scan.xyz'}")


@app.command("spectrum")
def spectrum_of(
    what: Annotated[str, typer.Argument(help="A SMILES, or a file of a molecule.", show_default=False)],
    level: Annotated[
        str, typer.Option(help="gfn2, gfn1: of dipoles, and of forces where there is no potential.")
    ] = "gfn2",
    potential: Annotated[
        Path | None, typer.Option(help="A model that moves the atoms.", show_default="the level")
    ] = None,
    dipole: Annotated[Path | None, typer.Option(help="A model of dipoles.", show_default="the level")] = None,
    temperature: Annotated[str, typer.Option(help="With its unit.")] = "300 K",
    duration: Annotated[str, typer.Option(help="Of each run, with its unit.")] = "5 ps",
    runs: Annotated[int, typer.Option(help="Independent runs; four or more give error bars.")] = 4,
    charge: Annotated[int, typer.Option(help="Total charge, where SMILES or file do not say.")] = 0,
    unpaired: Annotated[int, typer.Option(help="Unpaired electrons, likewise.")] = 0,
    seed: Annotated[int, typer.Option(help="Of conformers, momenta and noise.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the runs and report.html.")] = Path("spectrum"),
) -> None:
    """The infrared spectrum of a molecule by dynamics and by normal modes; goes on where it was stopped."""
    from thalweg.studies.molecules.spectra import SpectrumStudy, spectrum_study

    for file in filter(None, (potential, dipole)):
        _require_file(file, "file")
    asked = SpectrumStudy(what, level, potential, dipole, temperature, duration, runs, charge, unpaired, seed)
    with _going_on() as progress:
        results = spectrum_study(asked, out, progress)
    _say(results, out)
    typer.echo(f"spectrum: {out / 'spectrum.thalweg'}")


app.command("coarse-grain")(coarse_grain_of)
app.command("forecast")(forecast_of)
app.command("pathway")(pathway_of)
app.command("protein")(protein_of)
app.command("sites")(sites_of)
app.command("learn-sites")(learn_sites_of)
app.command("swarm")(swarm_of)


@app.command()
def fit(
    study: Annotated[
        Path | None, typer.Argument(help="A study in TOML; see docs/potentials.md.", show_default=False)
    ] = None,
    train: Annotated[
        list[Path] | None,
        typer.Option(
            help="Labeled frames, instead of a study: extended XYZ, ASE database, ...", show_default=False
        ),
    ] = None,
    test: Annotated[
        list[str] | None,
        typer.Option(help="Files to judge on, or a fraction of the training frames.", show_default="0.1"),
    ] = None,
    validation: Annotated[
        list[str] | None,
        typer.Option(help="Files to calibrate on, or a fraction.", show_default="0.1"),
    ] = None,
    learner: Annotated[
        str | None,
        typer.Option(help="A kind of docs/potentials.md, such as GradientDomain.", show_default="Linear"),
    ] = None,
    index: IndexOption = None,
    validation_index: Annotated[str | None, typer.Option(help="The same of files of --validation.")] = None,
    test_index: Annotated[str | None, typer.Option(help="The same of files of --test.")] = None,
    energy_key: EnergyKey = None,
    forces_key: ForcesKey = None,
    stress_key: StressKey = None,
    virial_key: VirialKey = None,
    energy_unit: EnergyUnit = None,
    length_unit: LengthUnit = None,
    keep: Keep = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the fit; the name of the study or file by default.")
    ] = None,
    with_files: With = None,
) -> None:
    """Learn a potential from labeled frames and report how good it is; goes on where it was stopped."""
    from thalweg.studies.fitting import MODEL, carry_out_fit, is_finished
    from thalweg.studies.tables.fit_study import fit_from_table, load_fit

    if (study is None) == (not train):
        raise typer.BadParameter("give a study, or frames by --train FILE")
    data = {
        "train": [str(file) for file in train or ()],
        "test": _share(test),
        "validation": _share(validation),
        "index": index,
        "validation_index": validation_index,
        "test_index": test_index,
        "energy_key": energy_key,
        "forces_key": forces_key,
        "stress_key": stress_key,
        "virial_key": virial_key,
        "keep": keep,
        "units": _units(energy_unit, length_unit),
    }
    data = _given(data)
    if study is not None and (data or learner):
        options = ", ".join(
            f"--{key.replace('_', '-')}" for key in (*data, *(["learner"] if learner else []))
        )
        raise typer.BadParameter(f"{options} go with --train; write them into the study instead")
    frames = train or []
    first = study if study is not None else frames[0]
    _require_file(first, "study" if study is not None else "file")
    folder = Path(first.name.split(".")[0]) if out is None else out
    if is_finished(folder):
        typer.echo(
            f"{folder} is finished: {folder / MODEL}, {folder / 'report.html'}; for another fit give --out"
        )
        return
    if study is not None:
        settings = load_fit(study)
    else:
        chosen = {"learner": {"kind": learner}} if learner else {}
        settings = fit_from_table({"data": data} | chosen, first.name.split(".")[0])
    console = Console(stderr=True, soft_wrap=True)
    try:
        results = carry_out_fit(settings, folder, console)
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on", markup=False)
        raise typer.Exit(130) from None
    _show_potential(results, folder)
    typer.echo(f"model: {folder / MODEL}")


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="A model, or the folder of a fit.", show_default=False)],
    files: Annotated[list[Path], typer.Argument(help="Frames, labeled or not.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for report.html and its numbers.")] = Path("evaluation"),
    index: IndexOption = None,
    energy_key: EnergyKey = None,
    forces_key: ForcesKey = None,
    stress_key: StressKey = None,
    virial_key: VirialKey = None,
    energy_unit: EnergyUnit = None,
    length_unit: LengthUnit = None,
    keep: Keep = None,
    with_files: With = None,
) -> None:
    """Errors and uncertainty of a learned potential on frames, and which of them to distrust."""
    from thalweg.studies.evaluating import evaluate_potential
    from thalweg.studies.tables.fit_study import data_from_table

    for file in files:
        _require_file(file, "file")
    given = {
        "train": [str(file) for file in files],
        "index": index,
        "energy_key": energy_key,
        "forces_key": forces_key,
        "stress_key": stress_key,
        "virial_key": virial_key,
        "keep": keep,
        "units": _units(energy_unit, length_unit),
    }
    data, units = data_from_table(_given(given))
    console = Console(stderr=True, soft_wrap=True)
    _show_potential(evaluate_potential(model, files, data, units, out, console), out)


@app.command()
def md(
    model: Annotated[Path, typer.Argument(help="A model, or the folder of a fit.", show_default=False)],
    start: Annotated[Path, typer.Argument(help="A structure in any format of ASE.", show_default=False)],
    temperature: Annotated[str, typer.Option(help="Of the bath and of the first momenta.")] = "300 K",
    time: Annotated[str, typer.Option(help="Length of the run.")] = "10 ps",
    dt: Annotated[str, typer.Option(help="Time step.")] = "0.5 fs",
    replicas: Annotated[int, typer.Option(help="Copies, with momenta of their own.", min=1)] = 1,
    relax: Annotated[
        bool, typer.Option("--relax", help="Go to the nearest minimum of the energy first.")
    ] = False,
    nve: Annotated[bool, typer.Option("--nve", help="Constant energy instead of a Langevin bath.")] = False,
    friction: Annotated[str, typer.Option(help="Of the Langevin bath.")] = "1 /ps",
    save_every: Annotated[str | None, typer.Option(help="Time between frames; some 500 by default.")] = None,
    seed: Annotated[int, typer.Option(help="Of momenta and noise.")] = 0,
    extxyz: Annotated[bool, typer.Option("--extxyz", help="Write frames as extended XYZ too.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder; the name of the structure by default.")] = None,
    with_files: With = None,
) -> None:
    """Molecular dynamics with a learned potential; says whether it held up.

    The box stays as it is: for constant pressure run the model in ASE or LAMMPS, see docs/potentials.md.
    """
    from functools import partial

    from thalweg.interop.files.configurations import read_configurations
    from thalweg.machine.whole_files import is_vacant
    from thalweg.studies.evaluating import load_potential
    from thalweg.studies.model_dynamics import (
        Plan,
        relaxation,
        relaxed_frame,
        sentences,
        simulate,
        write_course,
        write_frames,
    )
    from thalweg.studies.progress import watched
    from thalweg.units import quantity

    _require_file(start, "structure")
    folder = Path(f"md-{start.name.split('.')[0]}") if out is None else out
    if not is_vacant(folder):
        raise ValueError(f"{folder} is there and is not an empty folder; give another --out")
    times = [quantity(text, "time") for text in (time, dt, *([save_every] if save_every else []))]
    kelvin, drag = quantity(temperature, "temperature"), quantity(friction, "rate")
    if min(*times, kelvin, drag) <= 0:
        raise ValueError("temperature, time, dt, friction and save-every must be positive")
    plan = Plan(kelvin, times[0], times[1], replicas, nve, drag, times[2] if save_every else None, seed)
    potential, frame = load_potential(model), read_configurations(start, -1)[0]
    console = Console(stderr=True, soft_wrap=True)
    try:
        if relax:
            frame, minimum = relaxed_frame(potential, frame)
            console.print(relaxation(minimum), markup=False, highlight=False)
        with watched(console) as progress:
            write = partial(write_frames, start=frame, folder=folder, extxyz=extxyz)
            course = simulate(potential, frame, plan, progress("simulating"), write)
    except KeyboardInterrupt:
        there = "is in" if folder.is_dir() else "would have been in"
        console.print(f"stopped; what was written so far {there} {folder}", markup=False)
        raise typer.Exit(130) from None
    said = write_course(course, frame, plan, potential, folder, extxyz)
    shown = Console(soft_wrap=True)
    for sentence in sentences(said):
        shown.print(sentence, markup=False, highlight=False)
    shown.print(
        f"trajectories: {folder}/replica-*.dcd beside {folder}/topology.pdb", markup=False, highlight=False
    )
    if len(said["broken"]) == replicas:
        raise typer.Exit(3)


@app.command()
def methods(
    as_json: AsJSON = False,
    with_files: With = None,
) -> None:
    """List every method that belongs here, with its true status."""
    from thalweg.cli.methods import catalog, plugins

    entries = (*catalog(), *plugins())
    if as_json:
        typer.echo(json.dumps([entry.as_dict() for entry in entries], indent=1))
        return
    table = Table(show_header=False, box=None, padding=(0, 1))
    colors = {"works": "green", "partial": "yellow", "not yet": "dim", "added": "cyan"}
    for entry in entries:
        found = {
            "use": ", ".join(entry.classes),
            "example": entry.example,
            "benchmark": entry.benchmark,
            "remains": entry.remaining,
        }
        lines = [entry.title, *(f"[dim]{name}[/] {escape(text)}" for name, text in found.items() if text)]
        table.add_row(entry.id, f"[{colors[entry.status]}]{entry.status}[/]", "\n".join(lines))
    _wide().print(table)
    count = {status: sum(entry.status == status for entry in entries) for status in colors}
    typer.echo(", ".join(f"{number} {status}" for status, number in count.items() if number))


@app.command()
def doctor() -> None:
    """Check whether this machine can run Thalweg."""
    from thalweg.cli.doctor import findings

    table = Table("", "", "", show_header=False, box=None)
    marks = {True: "[green]ok[/]", False: "[red]broken[/]", None: "[dim]info[/]"}
    broken = False
    for finding in findings():
        broken |= finding.ok is False
        table.add_row(marks[finding.ok], finding.subject, escape(finding.says))
    _wide().print(table)
    if broken:
        typer.echo("something needed is broken: see the lines above", err=True)
        raise typer.Exit(1)
    typer.echo("all that is needed is here")


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="A file benchmarks/NAME.py of the checkout.")],
    quick: Annotated[
        bool, typer.Option("--quick", help="Smaller, in about a minute; nothing is written.")
    ] = False,
    part: Annotated[
        list[str] | None,
        typer.Option("--part", help="Only this part (repeatable); its rows replace those written before."),
    ] = None,
    with_files: With = None,
    as_json: AsJSON = False,
) -> None:
    """Run a benchmark beside its peers, print its table and write it under benchmarks/results."""
    from thalweg.cli.bench import measure
    from thalweg.report.benchmark import benchmark_table, replace_parts, verdict, write_benchmark
    from thalweg.report.json_values import jsonable

    folder = Path("benchmarks")
    rows = measure(folder, name, data_folder(), quick, part or ())
    if not quick:
        (replace_parts if part else write_benchmark)(name, rows, folder / "results")
    if as_json:
        typer.echo(json.dumps(jsonable(rows), indent=1))
        return
    _wide().print(benchmark_table(name, rows))
    typer.echo(verdict(rows))


def _given(options: dict) -> dict:
    """Options that were given."""
    return {key: value for key, value in options.items() if value not in (None, [], {})}


def _share(given: list[str] | None) -> list[str] | float | None:
    """Files, or the fraction of frames that a single number is."""
    if given is not None and len(given) == 1:
        try:
            return float(given[0])
        except ValueError:
            pass
    return given


def _units(energy: str | None, length: str | None) -> dict[str, str]:
    return {key: unit for key, unit in (("energy", energy), ("length", length)) if unit}


def _require_file(path: Path, what: str = "study") -> None:
    if not path.exists():
        endings = "*.toml" if what == "study" else "*"
        near = (
            sorted(p.name for p in path.parent.glob(endings) if p.is_file())[:8]
            if path.parent.is_dir()
            else []
        )
        raise FileNotFoundError(
            f"there is no {what} {path}" + (f"; there are {', '.join(near)}" if near else "; check the path")
        )


def _foretell(study: Path, folder: Path) -> None:
    """Print what a study will take; a disk too small for it is a mistake."""
    from thalweg.studies.runs.foretelling import foretell
    from thalweg.studies.tables.study import load

    with Console(stderr=True).status("a trial of a few frames"):
        found = foretell(load(study), folder)
    for sentence in found.in_words():
        Console(soft_wrap=True).print(sentence, markup=False, highlight=False)
    if not found.fits:
        raise typer.Exit(2)


def _finish(study: Study, folder: Path) -> None:
    """Carry out what is not done, then report."""
    from thalweg.sampling.campaign import CampaignError
    from thalweg.sampling.store import StoreError
    from thalweg.studies.runs.reporting import report_of_run
    from thalweg.studies.runs.running import carry_out

    console = Console(stderr=True)
    try:
        carry_out(study, folder, console)
    except KeyboardInterrupt:
        console.print(f"stopped; nothing is lost, go on with: thalweg resume {folder}", markup=False)
        raise typer.Exit(130) from None
    except (StoreError, CampaignError) as error:
        if isinstance(error, CampaignError) or isinstance(error.__cause__, OSError):
            error.args = (f"{error}; then: thalweg resume {folder}",)
        raise
    with console.status("analyzing"):
        results = report_of_run(study, folder)
    _show(results, folder)


def _wide() -> Console:
    """A console for tables, which a file or a pipe gives room enough."""
    console = Console()
    return console if console.is_terminal else Console(width=200)


def _show(results: Results, folder: Path) -> None:
    """The summary, and where the whole report is."""
    from thalweg.report.rounding import with_error

    console = Console(soft_wrap=True)
    for sentence in (*results.found, *results.certainty):
        console.print(sentence, markup=False, highlight=False)
    for estimate in results.estimates:
        text = f"{estimate.name}: {with_error(estimate.value, estimate.error, estimate.unit)}"
        console.print(text, f"({estimate.remark})" if estimate.remark else "", markup=False, highlight=False)
    console.print(f"report: {folder / 'report.html'}", markup=False, highlight=False)


def _say(results: PageResults | MapResults | LangevinResults, folder: Path) -> None:
    """The summary of a page, and where the whole report is."""
    console = Console(soft_wrap=True)
    for sentence in (*results.found, *results.certainty):
        console.print(sentence, markup=False, highlight=False)
    for diagnosis in results.diagnoses:
        console.print(f"{diagnosis.severity}: {diagnosis.sentence}", markup=False, highlight=False)
    console.print(f"report: {folder / 'report.html'}", markup=False, highlight=False)


def _show_potential(results: PotentialResults, folder: Path) -> None:
    """The summary and the errors, and where the whole report is."""
    from thalweg.report.rounding import significant

    console = Console(soft_wrap=True)
    table = Table(
        "label", "unit", *(each.name for each in results.sets), title="MAE / RMSE", title_justify="left"
    )
    for label, unit in dict.fromkeys((row[0], row[1]) for each in results.sets for row in each.rows):
        cells = (
            ""
            if (mae := each.error(label)) != mae
            else f"{significant(mae)} / {significant(each.error(label, 'rmse'))}"
            for each in results.sets
        )
        table.add_row(label, unit, *cells)
    console.print(table)
    for sentence in (*results.accuracy, *results.certainty):
        console.print(sentence, markup=False, highlight=False)
    for diagnosis in results.diagnoses:
        console.print(f"{diagnosis.severity}: {diagnosis.sentence}", markup=False, highlight=False)
    console.print(f"report: {folder / 'report.html'}", markup=False, highlight=False)


if __name__ == "__main__":
    main()
