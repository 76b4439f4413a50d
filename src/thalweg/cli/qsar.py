"""The commands ``thalweg qsar``: a model of a table of molecules, and what it says of another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

commands = typer.Typer(no_args_is_help=True, help="Measured numbers and classes from molecules alone.")

Smiles = Annotated[str, typer.Option(help="Column of SMILES.")]


@commands.command("fit")
def fit_of_table(
    table: Annotated[Path, typer.Argument(help="A CSV file; see docs/ligands.md.", show_default=False)],
    target: Annotated[str, typer.Option(help="Column of labels: numbers, or 0 and 1.", show_default=False)],
    smiles: Smiles = "smiles",
    unit: Annotated[
        str | None, typer.Option(help="Column of units.", show_default="what stands behind labels")
    ] = None,
    tolerance: Annotated[
        float, typer.Option(help="Labels of one molecule further apart contradict each other.")
    ] = 0.5,
    seed: Annotated[int, typer.Option(help="Of the splits.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the model, the audit and report.html.")] = Path(
        "qsar"
    ),
) -> None:
    """Learn a column of a table from molecules: audit, scores on new molecules and scaffolds, null models beside."""
    from thalweg.studies.molecules.qsar import MODEL, QSARStudy, fit_qsar
    from thalweg.studies.progress import watched

    with watched(Console(stderr=True, soft_wrap=True)) as progress:
        results = fit_qsar(QSARStudy(table, smiles, target, unit, tolerance, seed), out, progress)
    console = Console(soft_wrap=True)
    for sentence in (*results.found, *results.certainty):
        console.print(sentence, markup=False, highlight=False)
    for diagnosis in results.diagnoses:
        console.print(f"{diagnosis.severity}: {diagnosis.sentence}", markup=False, highlight=False)
    typer.echo(f"report: {out / 'report.html'}\nmodel: {out / MODEL}")


@commands.command("predict")
def predict_table(
    model: Annotated[Path, typer.Argument(help="The model of a fit.", show_default=False)],
    table: Annotated[Path, typer.Argument(help="A CSV file of molecules.", show_default=False)],
    smiles: Smiles = "smiles",
    target: Annotated[
        str | None, typer.Option(help="Column of labels to judge by.", show_default=False)
    ] = None,
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("predictions.csv"),
) -> None:
    """What a model says of each molecule of a table: value, interval, and whether it knows its way there."""
    from thalweg.studies.molecules.qsar import predict_qsar

    found = predict_qsar(model, table, smiles, target, out)
    for sentence in found.sentences:
        Console(soft_wrap=True).print(sentence, markup=False, highlight=False)
    typer.echo(f"predictions: {found.path}")
