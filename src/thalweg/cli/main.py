"""The command ``thalweg``: what the package does, from a shell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from thalweg import __version__
from thalweg.cli.mistakes import Answering
from thalweg.cli.surroundings import data_folder, prepare

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


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"thalweg {__version__}")
        raise typer.Exit


@app.callback()
def thalweg(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """Molecular simulation and machine learning that teach each other."""


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


if __name__ == "__main__":
    main()
