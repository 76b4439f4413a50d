"""The command ``thalweg pathway``: which residues switch, and in which order."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from thalweg.cli.options import FrameInterval, TopologyPath, TrajectoryPaths


def pathway_of(
    files: TrajectoryPaths,
    topology: TopologyPath,
    dt: FrameInterval = None,
    lag: Annotated[str, typer.Option(help="Lag time of the slow coordinate.")] = "10 ps",
    features: Annotated[str, typer.Option(help="A set of docs/features.md.")] = "torsions",
    method: Annotated[
        str, typer.Option(help="tica, sparse-tica, kernel-tica, autoencoder: learns the coordinate.")
    ] = "tica",
    halves: Annotated[int, typer.Option(help="Pairs of halves of the data that must agree.")] = 5,
    seed: Annotated[int, typer.Option(help="Of the halves and of resampling.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for report.html and its numbers.")] = Path("pathway"),
) -> None:
    """Which residues switch in your own unbiased trajectories, in which order they turn, and what it looks like."""
    from rich.table import Table

    from thalweg.studies.molecules.pathways import PathwayStudy, pathway_study
    from thalweg.studies.progress import watched

    asked = PathwayStudy(tuple(files), topology, dt, lag, features, method, halves, seed)
    with watched(Console(stderr=True, soft_wrap=True)) as progress:
        results = pathway_study(asked, out, progress)
    order, console = results.order, Console()
    table = Table("residue", "turns at", "error", "deviations apart")
    for name, place, error, apart in zip(order.names, order.places, order.errors, order.differences):
        table.add_row(name, f"{place:.2f}", f"{error:.2f}", f"{apart:.1f}")
    if order.names:
        console.print(table)
    told = Console(soft_wrap=True)
    for text in (*results.found, *results.certainty, *(each.sentence for each in results.diagnoses)):
        told.print(text, markup=False, highlight=False)
    typer.echo(f"report: {out / 'report.html'}")
