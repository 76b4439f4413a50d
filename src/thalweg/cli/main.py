"""The command ``thalweg``: what the package does, from a shell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from thalweg import __version__
from thalweg.cli.mistakes import Answering
from thalweg.cli.surroundings import data_folder, prepare

if TYPE_CHECKING:
    from thalweg.cli.study import Study
    from thalweg.report.potential_results import PotentialResults
    from thalweg.report.results import Results

app = typer.Typer(
    cls=Answering,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Molecular simulation and machine learning that teach each other.",
)
AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def main() -> None:
    """Entry point of the command line; sets threads and caches before anything heavy loads."""
    prepare()
    app()


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
) -> None:
    """Carry out a study and write its report."""
    from thalweg.cli.running import begin

    _require_file(study)
    folder = Path(study.stem) if out is None else out
    _finish(begin(study, folder), folder)


@app.command()
def resume(run: Annotated[Path, typer.Argument(help="The folder of a run.", show_default=False)]) -> None:
    """Go on with a run that was stopped or killed, however it ended."""
    from thalweg.cli.running import study_of

    _finish(study_of(run), run)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("demo"),
) -> None:
    """Alanine dipeptide from one structure to free energies and time scales; resumes if it was stopped."""
    from importlib.resources import as_file, files

    from thalweg.cli.running import RUN_FILE, begin, study_of

    if (out / RUN_FILE).exists():
        _finish(study_of(out), out)
        return
    with as_file(files("thalweg.cli") / "demo.toml") as study:
        _finish(begin(study, out), out)


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run.", show_default=False)],
) -> None:
    """Analyze a finished run again and write its report."""
    from thalweg.cli.reporting import report_of_run
    from thalweg.cli.running import study_of

    _show(report_of_run(study_of(run), run), run)


@app.command()
def analyze(
    files: Annotated[list[Path], typer.Argument(help="Trajectories: DCD, XTC, ...", show_default=False)],
    topology: Annotated[Path, typer.Option(help="PDB or prmtop file with the atoms.", show_default=False)],
    dt: Annotated[str, typer.Option(help='Time between frames, such as "1 ps".', show_default=False)],
    lag: Annotated[str, typer.Option(help="Lag time of the Markov model.")] = "10 ps",
    temperature: Annotated[str, typer.Option(help="Of the simulation.")] = "300 K",
    features: Annotated[str, typer.Option(help="torsions, rotatable or distances.")] = "torsions",
    states: Annotated[int, typer.Option(help="Number of clusters.")] = 100,
    sets: Annotated[int, typer.Option(help="Number of long-lived states to describe.")] = 3,
    out: Annotated[Path, typer.Option(help="Folder for report.html and its numbers.")] = Path("analysis"),
) -> None:
    """Time scales, states and free energies of your own unbiased trajectories."""
    from thalweg.cli.reporting import report_of_files

    _show(report_of_files(files, topology, dt, lag, temperature, features, states, sets, out), out)


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
    out: Annotated[
        Path | None, typer.Option(help="Folder of the fit; the name of the study or file by default.")
    ] = None,
) -> None:
    """Learn a potential from labeled frames and report how good it is; goes on where it was stopped."""
    from thalweg.cli.fit_study import fit_from_table, load_fit
    from thalweg.cli.fitting import MODEL, fit, is_finished

    if (study is None) == (not train):
        raise typer.BadParameter("give a study, or frames by --train FILE")
    first = study if study is not None else train[0]
    _require_file(first)
    folder = Path(first.name.split(".")[0]) if out is None else out
    if is_finished(folder):
        typer.echo(
            f"{folder} is finished: {folder / MODEL}, {folder / 'report.html'}; for another fit give --out"
        )
        return
    if study is not None:
        settings = load_fit(study)
    else:
        settings = fit_from_table(
            {"data": {"train": [str(file) for file in train]}}, first.name.split(".")[0]
        )
    console = Console(stderr=True, soft_wrap=True)
    try:
        results = fit(settings, folder, console)
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on", markup=False)
        raise typer.Exit(130) from None
    _show_potential(results, folder)
    typer.echo(f"model: {folder / MODEL}")


@app.command()
def methods(as_json: AsJSON = False) -> None:
    """List every method that belongs here, with its true status."""
    from thalweg.cli.methods import catalog

    entries = catalog()
    if as_json:
        typer.echo(json.dumps([entry.as_dict() for entry in entries], indent=1))
        return
    table = Table("id", "method", "status", "use", "what remains", title="Methods", title_justify="left")
    colors = {"works": "green", "partial": "yellow", "not yet": "dim"}
    for entry in entries:
        use = ", ".join(path.rsplit(".", 1)[-1] for path in entry.classes)
        table.add_row(
            entry.id, entry.title, f"[{colors[entry.status]}]{entry.status}[/]", use, entry.remaining
        )
    Console().print(table)
    count = {status: sum(entry.status == status for entry in entries) for status in colors}
    typer.echo(", ".join(f"{number} {status}" for status, number in count.items()))


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
    Console().print(table)
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
    as_json: AsJSON = False,
) -> None:
    """Run a benchmark beside its peers, print its table and write it under benchmarks/results."""
    from thalweg.cli.bench import measure
    from thalweg.report.benchmark import table, verdict, write_benchmark
    from thalweg.report.writing import plain

    folder = Path("benchmarks")
    rows = measure(folder, name, data_folder(), quick)
    if not quick:
        write_benchmark(name, rows, folder / "results")
    if as_json:
        typer.echo(json.dumps(plain(rows), indent=1))
        return
    Console().print(table(name, rows))
    typer.echo(verdict(rows))


def _require_file(path: Path) -> None:
    if not path.exists():
        near = (
            ", ".join(sorted(p.name for p in path.parent.glob("*.toml"))[:8]) if path.parent.is_dir() else ""
        )
        raise FileNotFoundError(
            f"there is no study {path}" + (f"; there are {near}" if near else "; check the path")
        )


def _finish(study: Study, folder: Path) -> None:
    """Carry out what is not done, then report."""
    from thalweg.cli.reporting import report_of_run
    from thalweg.cli.running import carry_out

    console = Console(stderr=True)
    try:
        carry_out(study, folder, console)
    except KeyboardInterrupt:
        console.print(f"stopped; nothing is lost, go on with: thalweg resume {folder}", markup=False)
        raise typer.Exit(130) from None
    with console.status("analyzing"):
        results = report_of_run(study, folder)
    _show(results, folder)


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
