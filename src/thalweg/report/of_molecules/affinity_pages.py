"""The pages of affinities: how well a model predicts ligands left out, and what it says of new ones.

The first draws predictions of ligands that were left out over what was measured, beside models that know little. The
second lists new ligands with their intervals and draws each in its pocket, to be turned, atoms in the color of what
they add.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import plotly.graph_objects as go

from thalweg.binding.complexes import Complex
from thalweg.report.csv_text import csv_text
from thalweg.report.json_values import jsonable
from thalweg.report.page_parts import Figures, report_page, table
from thalweg.report.results import PageResults
from thalweg.report.style import INK, PALETTE, styled
from thalweg.report.written_files import write_files
from thalweg.shapes import Float
from thalweg.systems.elements import COVALENT_RADII, SYMBOLS

BOND_SLACK = 0.045
"""Atoms nearer than their covalent radii and this are drawn bonded [nm]."""

DRAWN_POCKET = 0.6
"""Atoms of the protein that are drawn: those this near to the ligand [nm]."""

MOST_DRAWN = 6
"""Ligands that are drawn in their pockets, the tightest first."""


@dataclass(frozen=True, kw_only=True)
class AffinityFitResults(PageResults):
    """Ligands left out, and what was predicted of them.

    Attributes
    ----------
    names, sets : of each ligand
    measured, predicted, half_widths : (ligands,) [kJ/mol], predictions without the ligand itself
    scores : rows of a table: split, model, mean correlation within sets, its error, error [kJ/mol]
    """

    names: tuple[str, ...]
    sets: tuple[str, ...]
    measured: Float[np.ndarray, " ligands"]
    predicted: Float[np.ndarray, " ligands"]
    half_widths: Float[np.ndarray, " ligands"]
    scores: tuple[tuple[str, str, float, float, float], ...]


@dataclass(frozen=True, kw_only=True)
class AffinityPredictionResults(PageResults):
    """New ligands.

    Attributes
    ----------
    names : of each
    energies, half_widths : (ligands,) [kJ/mol]
    similarities : (ligands,) to the nearest known ligand
    inside : whether each is in the applicability domain
    complexes : of those drawn, and what each atom adds [kJ/mol]
    """

    names: tuple[str, ...]
    energies: Float[np.ndarray, " ligands"]
    half_widths: Float[np.ndarray, " ligands"]
    similarities: Float[np.ndarray, " ligands"]
    inside: tuple[bool, ...]
    complexes: tuple[tuple[Complex, np.ndarray], ...]


def write_affinity_fit(results: AffinityFitResults, folder: Path) -> Path:
    """Write ``report.html``, ``left_out.csv`` and ``results/report.json``; the page's path.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    rows = zip(results.sets, results.names, results.measured, results.predicted, results.half_widths)
    header = ("set", "ligand", "measured [kJ/mol]", "predicted [kJ/mol]", "half width [kJ/mol]")
    return write_files(
        folder,
        {
            "results/report.json": lambda: json.dumps(jsonable(results), indent=1) + "\n",
            "left_out.csv": lambda: csv_text(header, rows),
            "report.html": lambda: report_page(results, (_left_out, _scores)),
        },
    )


def write_affinity_predictions(results: AffinityPredictionResults, folder: Path) -> Path:
    """Write ``report.html`` and ``predictions.csv``; the page's path.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    return write_files(
        folder,
        {
            "predictions.csv": lambda: csv_text(
                (
                    "ligand",
                    "free energy [kJ/mol]",
                    "half width [kJ/mol]",
                    "similarity",
                    "inside the domain",
                ),
                zip(
                    results.names,
                    results.energies,
                    results.half_widths,
                    results.similarities,
                    [str(each).lower() for each in results.inside],
                ),
            ),
            "report.html": lambda: report_page(results, (_listed, _in_pockets)),
        },
    )


def _affinity_figure(results: AffinityFitResults) -> go.Figure:
    """Predictions of ligands left out over what was measured, with their intervals, a color for each set."""
    drawn = go.Figure()
    ends = [
        min(results.measured.min(), results.predicted.min()),
        max(results.measured.max(), results.predicted.max()),
    ]
    drawn.add_trace(
        go.Scatter(x=ends, y=ends, mode="lines", line={"color": INK, "width": 1}, showlegend=False)
    )
    for k, name in enumerate(dict.fromkeys(results.sets)):
        own = np.array([each == name for each in results.sets])
        drawn.add_trace(
            go.Scatter(
                x=results.measured[own],
                y=results.predicted[own],
                error_y={"type": "data", "array": results.half_widths[own], "thickness": 0.8, "width": 0},
                text=[each for each, mine in zip(results.names, own) if mine],
                mode="markers",
                marker={"color": PALETTE[k % len(PALETTE)], "size": 7},
                name=name,
            )
        )
    drawn.update_xaxes(title={"text": "measured [kJ/mol]"})
    drawn.update_yaxes(title={"text": "predicted, ligand left out [kJ/mol]"})
    return styled(drawn, height=520)


def _pocket_figure(complex: Complex, contributions: Float[np.ndarray, " atoms"]) -> go.Figure:
    """A ligand in its pocket, to be turned: its atoms in the color of what they add, the protein in gray [Å]."""
    drawn, largest = go.Figure(), max(float(np.abs(contributions).max()), 1e-3)
    near = complex.protein.taken(
        np.linalg.norm(complex.protein.positions[:, None] - complex.ligand.positions, axis=-1).min(1)
        < DRAWN_POCKET
    )
    labels = list(near.residues) or ["protein"] * len(near)
    for atoms, color, width in ((near, "#B8B8B8", 2), (complex.ligand, INK, 6)):
        x, y, z = _bonds(atoms)
        drawn.add_trace(
            go.Scatter3d(
                x=x,
                y=y,
                z=z,
                mode="lines",
                line={"color": color, "width": width},
                hoverinfo="skip",
                showlegend=False,
            )
        )
    x, y, z = 10 * near.positions.T
    drawn.add_trace(
        go.Scatter3d(
            x=x, y=y, z=z, mode="markers", marker={"size": 2, "color": "#909090"}, text=labels, hoverinfo="text",
            name="protein",
        )
    )  # fmt: skip
    x, y, z = 10 * complex.ligand.positions.T
    names = [SYMBOLS[number] for number in complex.ligand.numbers]
    drawn.add_trace(
        go.Scatter3d(
            x=x,
            y=y,
            z=z,
            mode="markers",
            marker={
                "size": 8,
                "color": contributions,
                "cmin": -largest,
                "cmax": largest,
                "colorscale": "RdBu_r",
                "colorbar": {"title": {"text": "kJ/mol"}, "thickness": 12},
                "line": {"color": INK, "width": 1},
            },
            text=[
                f"{name}{k}: {value:+.2f} kJ/mol" for k, (name, value) in enumerate(zip(names, contributions))
            ],
            hoverinfo="text",
            name="ligand",
        )
    )
    drawn.update_scenes(
        aspectmode="data", xaxis={"visible": False}, yaxis={"visible": False}, zaxis={"visible": False}
    )
    return styled(drawn, height=520)


def _bonds(atoms):
    """Lines between atoms that are near enough, broken by None [Å]."""
    radii = COVALENT_RADII[atoms.numbers]
    gaps = np.linalg.norm(atoms.positions[:, None] - atoms.positions, axis=-1)
    pairs = np.argwhere(np.triu(gaps < radii[:, None] + radii + BOND_SLACK, 1))
    lines: list[list[float | None]] = [[], [], []]
    for i, j in pairs:
        for axis, line in enumerate(lines):
            line += [float(10 * atoms.positions[i, axis]), float(10 * atoms.positions[j, axis]), None]
    return lines


def _left_out(results: AffinityFitResults, numbered: Figures) -> str:
    caption = (
        "Each ligand as predicted by a model that has not seen it, with the interval that is to hold 90 % of them; on "
        "the line both would be equal."
    )
    return "<h2>Ligands left out</h2>" + numbered(_affinity_figure, caption, results)


def _scores(results: AffinityFitResults, _: Figures) -> str:
    rows = [
        (split, model, *("" if np.isnan(x) else f"{x:.{digits}f}" for x, digits in zip(numbers, (2, 2, 1))))
        for split, model, *numbers in results.scores
    ]
    header = ("left out", "model", "R within sets", "± over sets", "error about set means [kJ/mol]")
    return "<h2>Beside models that know little</h2>" + table(header, rows)


def _listed(results: AffinityPredictionResults, _: Figures) -> str:
    rows = [
        (name, f"{e:.1f} ± {h:.1f}", f"{s:.2f}", "yes" if own else "no")
        for name, e, h, s, own in zip(
            results.names, results.energies, results.half_widths, results.similarities, results.inside
        )
    ]
    header = (
        "ligand",
        "free energy of binding [kJ/mol], 90 %",
        "similarity to the nearest known",
        "inside the domain",
    )
    return "<h2>Predictions</h2>" + table(header, rows)


def _in_pockets(results: AffinityPredictionResults, numbered: Figures) -> str:
    drawn = [
        numbered(
            _pocket_figure,
            f"{complex.name} in its pocket. Blue atoms help to bind, red ones hinder, by leaving each out.",
            complex,
            contributions,
        )
        for complex, contributions in results.complexes
    ]
    return "<h2>In the pocket</h2>" + "\n".join(drawn) if drawn else ""
