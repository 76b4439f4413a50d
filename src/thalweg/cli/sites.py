"""The commands ``thalweg sites`` and ``thalweg learn-sites``: pockets of a structure, and what ligands take of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def sites_of(
    structure: Annotated[
        Path, typer.Argument(help="A protein, as PDB or mmCIF file; see docs/sites.md.", show_default=False)
    ],
    model: Annotated[
        Path | None, typer.Option(help="What learn-sites wrote.", show_default="burial alone")
    ] = None,
    chain: Annotated[
        list[str] | None, typer.Option(help="A chain that counts (repeatable).", show_default="all")
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            help="A residue, such as HEM, that is part of the protein (repeatable).", show_default=False
        ),
    ] = None,
    first: Annotated[int, typer.Option(help="Pockets to tell.")] = 10,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for report.html and its numbers.")] = Path(
        "sites"
    ),
) -> None:
    """Where ligands could bind to a protein: pockets by rank, in a structure one can turn, as files to go on with."""
    from rich.table import Table

    from thalweg.report.rounding import significant
    from thalweg.studies.molecules.sites import SiteStudy, site_study
    from thalweg.units import ANGSTROM

    for file in filter(None, (structure, model)):
        _require(file)
    found = site_study(SiteStudy(structure, model, tuple(chain or ()), tuple(keep or ()), first), out)
    console = Console()
    console = console if console.is_terminal else Console(width=200)
    if found.pockets:
        table = Table("rank", "score", "volume [Å³]", "lined by")
        for rank, pocket in enumerate(found.pockets, 1):
            volume = f"{pocket.volume / ANGSTROM**3:.0f}"
            table.add_row(str(rank), significant(pocket.score), volume, " ".join(pocket.residues))
        console.print(table)
    told = Console(soft_wrap=True)
    for text in (*found.found, *found.certainty, *(each.sentence for each in found.diagnoses)):
        told.print(text, markup=False, highlight=False)
    typer.echo(f"report: {out / 'report.html'}\npockets: {out / 'results' / 'pockets.pdb'}")


def learn_sites_of(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Complexes: structures with their ligands, or NAME_protein.pdb and NAME_ligands.sdf.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File of the model.")] = Path("sites.thalweg"),
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
) -> None:
    """Learn from complexes which pockets ligands take, for `thalweg sites --model`."""
    from thalweg.studies.molecules.sites import learn_sites
    from thalweg.studies.progress import watched

    with watched(Console(stderr=True, soft_wrap=True)) as progress:
        model = learn_sites(folder, out, progress("learning"), seed)
    asked = ", ".join(list(model.importance())[:5])
    typer.echo(
        f"learned from {model.learned_from} kinds of proteins; trees ask most for {asked}\nmodel: {out}"
    )


def _require(file: Path) -> None:
    if not file.is_file():
        raise FileNotFoundError(2, "there is no such file", str(file))
