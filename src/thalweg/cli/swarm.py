"""The command ``thalweg swarm``: where, how strongly and how fast a guest binds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def swarm_of(
    study: Annotated[
        Path, typer.Argument(help="A study in TOML; see docs/binding_swarms.md.", show_default=False)
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the swarm.", show_default="name of the study")
    ] = None,
) -> None:
    """Swarms of a guest around a host: the bound state, binding free energy, rates; the same command goes on."""
    from thalweg.studies.molecules.binding_swarms import load_swarm_study, swarm_study

    folder, console = Path(study.stem) if out is None else out, Console(stderr=True, soft_wrap=True)
    try:
        found = swarm_study(load_swarm_study(study), folder, console)
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on", markup=False)
        raise typer.Exit(130) from None
    told = Console(soft_wrap=True)
    for seed, model in found.items():
        for text in model.in_words():
            told.print(f"seed {seed}: {text}", markup=False, highlight=False)
    typer.echo(f"numbers: {folder / 'binding.json'}, report of the run: thalweg report {folder / 'run'}")
