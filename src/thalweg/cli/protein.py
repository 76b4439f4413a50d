"""The command ``thalweg protein``: a study of a protein's trajectories from one run file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def protein_of(
    study: Annotated[Path, typer.Argument(help="A study in TOML; see docs/proteins.md.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for report.html and its numbers.", show_default="name of the study"),
    ] = None,
) -> None:
    """A protein's trajectories: models by score, long-lived sets, where to begin anew, a function's motion, pockets."""
    from thalweg.studies.molecules.protein import protein_study
    from thalweg.studies.progress import watched
    from thalweg.studies.tables.protein_study import load_protein_study

    folder = Path(study.stem) if out is None else out
    with watched(Console(stderr=True, soft_wrap=True)) as progress:
        results = protein_study(load_protein_study(study), folder, progress)
    told = Console(soft_wrap=True)
    for text in (*results.found, *results.certainty, *(each.sentence for each in results.diagnoses)):
        told.print(text, markup=False, highlight=False)
    typer.echo(f"report: {folder / 'report.html'}")
