"""The commands ``thalweg affinity``: a model of measured complexes, and what it says of new ligands in poses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from thalweg.report.results import PageResults

commands = typer.Typer(no_args_is_help=True, help="Affinities of ligands in their proteins.")


@commands.command("fit")
def fit_of_complexes(
    source: Annotated[
        Path,
        typer.Argument(
            help="A table (CSV) or folder; see docs/affinity.md.", exists=True, show_default=False
        ),
    ],
    unit: Annotated[
        str | None, typer.Option(help="Of affinities: nM, pKd, kcal/mol, ...", show_default="in the table")
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(help="Property of ligands that holds them, for a folder.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of splits.")] = 0,
    poses: Annotated[
        int,
        typer.Option(help="Poses of each ligand sampled about the given one, for a second model beside it."),
    ] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the model and report.html.")] = Path("affinity"),
) -> None:
    """Learn affinities of measured complexes and report how well ligands left out are predicted."""
    from thalweg.studies.molecules.affinity import MODEL, AffinityFit, fit_affinities
    from thalweg.studies.progress import watched

    with watched(Console(stderr=True, soft_wrap=True)) as progress:
        results = fit_affinities(AffinityFit(source, unit, label, seed, poses), out, progress)
    _say(results)
    typer.echo(f"report: {out / 'report.html'}\nmodel: {out / MODEL}")


@commands.command("predict")
def predict_of_poses(
    model: Annotated[Path, typer.Argument(help="The model of a fit.", exists=True, show_default=False)],
    protein: Annotated[Path, typer.Option(help="PDB or mmCIF file.", exists=True, show_default=False)],
    ligands: Annotated[Path, typer.Option(help="SDF file of poses in it.", exists=True, show_default=False)],
    set_name: Annotated[
        str | None,
        typer.Option("--set", help="Set of the model in this pocket.", show_default="the only one"),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for predictions.csv and report.html.")] = Path(
        "predicted"
    ),
) -> None:
    """Predict affinities of ligands in poses: intervals, applicability, and what each atom adds."""
    from thalweg.studies.molecules.affinity import AffinityAsked, predict_affinities
    from thalweg.studies.progress import watched

    with watched(Console(stderr=True, soft_wrap=True)) as progress:
        results = predict_affinities(AffinityAsked(model, protein, ligands, set_name), out, progress)
    _say(results)
    typer.echo(f"report: {out / 'report.html'}\ntable: {out / 'predictions.csv'}")


def _say(results: PageResults) -> None:
    """The summary of a page."""
    console = Console(soft_wrap=True)
    for sentence in (*results.found, *results.certainty):
        console.print(sentence, markup=False, highlight=False)
    for diagnosis in results.diagnoses:
        console.print(f"{diagnosis.severity}: {diagnosis.sentence}", markup=False, highlight=False)
