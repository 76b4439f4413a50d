"""The page of binding sites: pockets in a table and in the structure, residues by score, files to go on with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
from scipy.spatial import KDTree

from thalweg.binding.complexes import TypedAtoms
from thalweg.binding.sites.pockets import Pocket
from thalweg.interop.complexes.site_files import pocket_atoms
from thalweg.report.csv_text import csv_text
from thalweg.report.json_values import jsonable
from thalweg.report.page_parts import Figures, report_page, table
from thalweg.report.results import MolecularState, PageResults, ReportedNumber, ViewerMolecule
from thalweg.report.rounding import significant
from thalweg.report.style import PALETTE, compact, styled
from thalweg.report.viewer import viewer
from thalweg.report.written_files import write_files
from thalweg.systems.elements import COVALENT_RADII, SYMBOLS
from thalweg.units import ANGSTROM

DRAWN = ("Xe", "Kr", "Ar", "Ne", "He")
"""Elements that stand for points of the first pockets in the picture."""

EVERY = 0.2
"""Points are drawn about that far apart [nm]."""

TICKS = 8
"""Residues named along the axis."""

BOND_SLACK = 0.045
"""Atoms nearer than the sum of their covalent radii and this are drawn bound [nm]."""


@dataclass(frozen=True, kw_only=True)
class SiteResults(PageResults):
    """Pockets of one protein.

    Attributes
    ----------
    protein : its atoms
    pockets : by rank
    residue_scores : by label, in the order of the structure
    """

    protein: TypedAtoms
    pockets: tuple[Pocket, ...]
    residue_scores: dict[str, float]


def write_site_report(results: SiteResults, folder: Path) -> Path:
    """Write ``report.html``, and below ``results/`` pockets and residues as CSV, pockets as PDB, all as JSON.

    Raises
    ------
    OSError
        If the folder cannot be written; files written before stay whole.
    """
    kept = ("protein", "pockets", "residue_scores")
    told = {key: value for key, value in vars(results).items() if key not in kept}
    told["pockets"] = [dict(zip(_KEYS, row)) for row in _rows(results.pockets)]
    return write_files(
        folder,
        {
            "results/pockets.csv": lambda: csv_text(_HEADER, _rows(results.pockets)),
            "results/residues.csv": lambda: csv_text(
                ("residue", "score"), [list(each) for each in results.residue_scores.items()]
            ),
            "results/pockets.pdb": lambda: pocket_atoms(results.pockets),
            "results/report.json": lambda: json.dumps(jsonable(told), indent=1) + "\n",
            "report.html": lambda: report_page(results, (_table, _picture, _residues), _scripts(results)),
        },
    )


_KEYS = ("rank", "score", "volume", "x", "y", "z", "residues")
_HEADER = ("rank", "score", "volume [Å^3]", "x [Å]", "y [Å]", "z [Å]", "residues")


def _rows(pockets: Sequence[Pocket]) -> list[list]:
    """Rank, score, volume [Å^3], center [Å] and lining residues of each pocket."""
    return [
        [
            rank,
            round(pocket.score, 3),
            round(pocket.volume / ANGSTROM**3, 1),
            *(pocket.center / ANGSTROM).round(2).tolist(),
            " ".join(pocket.residues),
        ]
        for rank, pocket in enumerate(pockets, 1)
    ]


def _table(results: SiteResults, _: Figures) -> str:
    if not results.pockets:
        return ""
    rows = [
        (str(rank), significant(score), f"{volume:.0f}", residues)
        for rank, score, volume, *_, residues in _rows(results.pockets)
    ]
    return "<h2>Pockets</h2>" + table(("rank", "score", "volume [Å³]", "lined by"), rows)


def _picture(results: SiteResults, _: Figures) -> str:
    if not results.pockets:
        return ""
    named = ", ".join(f"{name} of pocket {rank}" for rank, name in _drawn(results))
    return (
        '<h2>Structure</h2><iframe id="viewer" title="the protein and its pockets in 3D"></iframe>'
        '<p class="caption">Drag to turn, scroll to zoom. Heavy atoms of the protein; atoms called '
        f"{named} stand for its points.</p>"
    )


def _residues(results: SiteResults, numbered: Figures) -> str:
    caption = (
        "How much each residue looks like one that lines a pocket, in the order of the structure: the highest score of "
        "a point that it touches."
    )
    return "<h2>Residues</h2>" + numbered(_residue_figure, caption, results.residue_scores)


def _residue_figure(scores: dict[str, float]) -> go.Figure:
    values = np.array(list(scores.values()))
    figure = go.Figure(
        go.Bar(
            x=list(range(1, len(values) + 1)),
            y=compact(values),
            customdata=list(scores),
            hovertemplate="%{customdata}: %{y:.2f}<extra></extra>",
            marker={"color": PALETTE[0]},
        )
    )
    shown = np.linspace(0, len(values) - 1, min(TICKS, len(values))).round().astype(int)
    labels = list(scores)
    figure.update_xaxes(
        title="residue", tickvals=(shown + 1).tolist(), ticktext=[labels[k] for k in shown], tickangle=0
    )
    figure.update_yaxes(title="score")
    return styled(figure, height=320)


def _drawn(results: SiteResults) -> list[tuple[int, str]]:
    return list(enumerate(DRAWN[: len(results.pockets)], 1))


def _scripts(results: SiteResults) -> str:
    """The structure that can be turned; nothing where there are no pockets."""
    if not results.pockets:
        return ""
    protein = results.protein
    elements = [SYMBOLS[number] for number in protein.numbers]
    places = [protein.positions]
    for rank, name in _drawn(results):
        points = _thinned(results.pockets[rank - 1].points)
        elements += [name] * len(points)
        places.append(points)
    molecule = ViewerMolecule(tuple(elements), _bonds(protein))
    shown = MolecularState("pockets", ReportedNumber("", 1.0, 0.0), 1, {}, np.concatenate(places)[None])
    return viewer(molecule, [shown])


def _thinned(points: np.ndarray) -> np.ndarray:
    """The first point of each cube of the edge `EVERY`."""
    _, first = np.unique(np.floor(points / EVERY).astype(int), axis=0, return_index=True)
    return points[np.sort(first)]


def _bonds(protein: TypedAtoms) -> np.ndarray:
    """Pairs of atoms near enough to be bound."""
    radii = COVALENT_RADII[protein.numbers]
    pairs = KDTree(protein.positions).query_pairs(2 * radii.max() + BOND_SLACK, output_type="ndarray")
    gaps = np.linalg.norm(protein.positions[pairs[:, 0]] - protein.positions[pairs[:, 1]], axis=1)
    return pairs[gaps < radii[pairs].sum(1) + BOND_SLACK]
