"""The command ``thalweg coarse-grain``: a potential of beads from trajectories of atoms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def coarse_grain_of(
    study: Annotated[
        Path, typer.Argument(help="A study in TOML; see docs/coarse_graining.md.", show_default=False)
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for model, card and report.html.", show_default="name of the study"),
    ] = None,
) -> None:
    """A potential of beads from trajectories of atoms, judged by its own dynamics; the same command goes on."""
    from thalweg.studies.molecules.coarse_graining import coarse_study
    from thalweg.studies.progress import watched
    from thalweg.studies.tables.coarse_study import load_coarse_study

    folder, console = Path(study.stem) if out is None else out, Console(stderr=True, soft_wrap=True)
    try:
        with watched(console) as progress:
            results = coarse_study(load_coarse_study(study), folder, progress)
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on", markup=False)
        raise typer.Exit(130) from None
    told = Console(soft_wrap=True)
    for text in (*results.found, *results.certainty, *(each.sentence for each in results.diagnoses)):
        told.print(text, markup=False, highlight=False)
    typer.echo(f"model: {folder / 'model.thalweg'}, card: {folder / 'card.json'}")
    typer.echo(f"report: {folder / 'report.html'}")
