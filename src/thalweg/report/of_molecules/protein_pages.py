"""The page of a protein's trajectories: models by score, landscape, long-lived sets, a function's motion, pockets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import plotly.graph_objects as go

from thalweg.binding.sites.pockets_in_states import OpeningFreeEnergy
from thalweg.collective_variables.interpretation.ranking import Ranking
from thalweg.report.csv_text import csv_text
from thalweg.report.figures import choice_figure, surface_figure
from thalweg.report.json_values import jsonable
from thalweg.report.page_parts import Figures, report_page, table
from thalweg.report.results import (
    ModelChoice,
    MolecularState,
    PageResults,
    ReportedNumber,
    Surface,
    ViewerMolecule,
)
from thalweg.report.rounding import with_error
from thalweg.report.style import INK, PALETTE, compact, styled
from thalweg.report.viewer import viewer
from thalweg.report.written_files import write_files
from thalweg.shapes import Shaped
from thalweg.units import ANGSTROM

NAMED = 8
"""Residues of a site on the page."""

MOST = 30
"""Residues in the figure of a function's motion."""


@dataclass(frozen=True, eq=False)
class LongLivedSet:
    """A set of states, its equilibrium population, its frames and a structure ``(atoms, 3)`` [nm]."""

    name: str
    population: float
    frames: int
    structure: Shaped[np.ndarray, "atoms 3"]


@dataclass(frozen=True)
class StartsFound:
    """Frames to begin anew from: file, frame and set of each; chimeras that fit, and those tried."""

    frames: tuple[tuple[str, int, int], ...]
    chimeras: int
    tried: int


@dataclass(frozen=True, eq=False)
class FunctionFound:
    """A function of the molecule: how well motion predicts it on data left out, and what moves [nm].

    Attributes
    ----------
    name : of the function
    correlation, error : on data left out
    probability : that a function without a part in the motion does as well
    predictable : the verdict
    components : directions in use
    ranking : of residues by how far they go
    """

    name: str
    correlation: float
    error: float
    probability: float
    predictable: bool
    components: int
    ranking: Ranking


@dataclass(frozen=True)
class PocketInSets:
    """A site over frames.

    Attributes
    ----------
    core : residues that line most of its pockets
    shares : of the frames looked at of each long-lived set, those in which it is open; NaN where there are none
    energy : of opening
    volume : median of open ones [nm^3]
    given : volume in the structure given [nm^3], zero where it is closed there
    """

    core: tuple[str, ...]
    shares: tuple[float, ...]
    energy: OpeningFreeEnergy
    volume: float
    given: float


@dataclass(frozen=True, kw_only=True)
class ProteinResults(PageResults):
    """All parts of the study; those not asked for are None.

    Attributes
    ----------
    choice : models by score
    landscape : over two slow coordinates
    sets : the long-lived ones
    molecule : elements and bonds of atoms drawn
    starts, function, pockets : see there
    """

    choice: ModelChoice
    landscape: Surface | None
    sets: tuple[LongLivedSet, ...]
    molecule: ViewerMolecule
    starts: StartsFound | None = None
    function: FunctionFound | None = None
    pockets: tuple[PocketInSets, ...] | None = None


def write_protein_report(results: ProteinResults, folder: Path) -> Path:
    """Write ``report.html``, and below ``results/`` models, starts and pockets as CSV, all as JSON.

    Raises
    ------
    OSError
        If the folder cannot be written; files written before stay whole.
    """
    kept = ("sets", "molecule", "function")
    told = {key: value for key, value in vars(results).items() if key not in kept}
    told["sets"] = [
        {"name": each.name, "population": each.population, "frames": each.frames} for each in results.sets
    ]
    if results.function is not None:
        told["function"] = vars(results.function) | {"ranking": vars(results.function.ranking)}
    models = [[each.name, each.score, each.error, each.training] for each in results.choice.candidates]
    sections = (_choice, _landscape, _sets, _starts, _function, _pockets)
    files = {
        "results/models.csv": lambda: csv_text(("model", "score", "error", "in training"), models),
        "results/report.json": lambda: json.dumps(jsonable(told), indent=1) + "\n",
        "report.html": lambda: report_page(results, sections, _script(results)),
    }
    if results.starts is not None:
        rows = [list(each) for each in results.starts.frames]
        files["results/starts.csv"] = lambda: csv_text(("file", "frame", "set"), rows)
    if results.pockets is not None:
        head = ("residues", *(each.name for each in results.sets), "free energy [kJ/mol]", "error [kJ/mol]")
        sites = [
            [" ".join(each.core), *each.shares[: len(results.sets)], each.energy.value, each.energy.error]
            for each in results.pockets
        ]
        files["results/pockets.csv"] = lambda: csv_text(head, sites)
    return write_files(folder, files)


def _choice(results: ProteinResults, numbered: Figures) -> str:
    caption = (
        "Models by their score on trajectories left out, with standard errors over divisions. Ringed: the one in use, "
        "the simplest of those that are as good as the best."
    )
    return "<h2>Models</h2>" + numbered(choice_figure, caption, results.choice)


def _landscape(results: ProteinResults, numbered: Figures) -> str:
    if results.landscape is None:
        return ""
    caption = (
        "Free energy over the two slowest coordinates, frames weighed by the populations of their states."
    )
    return "<h2>Landscape</h2>" + numbered(surface_figure, caption, results.landscape)


def _sets(results: ProteinResults, _: Figures) -> str:
    rows = [(each.name, f"{100 * each.population:.1f} %", str(each.frames)) for each in results.sets]
    return (
        "<h2>Long-lived sets</h2>"
        + table(("set", "population", "frames"), rows)
        + '<iframe id="viewer" title="a structure of each long-lived set in 3D"></iframe><p class="caption">The frame '
        "of each set that is nearest to its mean. Drag to turn, scroll to zoom, choose a set below.</p>"
    )


def _starts(results: ProteinResults, _: Figures) -> str:
    if results.starts is None:
        return ""
    rows = [(name, str(frame), f"set {own}" if own else "none") for name, frame, own in results.starts.frames]
    text = (
        "<h2>Places to begin anew</h2><p>In results/starts.pdb: a frame of each set, then each as far as can be from "
        "those before in slow coordinates.</p>" + table(("file", "frame", "of"), rows)
    )
    if results.starts.tried:
        text += (
            f"<p>{results.starts.chimeras} of {results.starts.tried} combinations of parts of the sets' structures "
            "fit and are in results/chimeras.pdb, to be minimized first.</p>"
        )
    return text


def _function(results: ProteinResults, numbered: Figures) -> str:
    found = results.function
    if found is None:
        return ""
    verdict = "predictable" if found.predictable else "not predictable"
    rows = [
        ("verdict", verdict),
        ("correlation on data left out", f"{found.correlation:.3f} ± {found.error:.2g}"),
        ("functions without a part that do as well", f"{100 * found.probability:.1f} %"),
        ("directions", str(found.components)),
    ]
    caption = (
        f"How far CA atoms go as the {found.name} goes up by one standard deviation of what is predicted, with its "
        "spread over resampled data; the residues that go furthest."
    )
    return (
        "<h2>Motion of a function</h2>"
        + table(("", ""), rows)
        + numbered(_motion_figure, caption, found.ranking)
    )


def _motion_figure(ranking: Ranking) -> go.Figure:
    figure = go.Figure(
        go.Bar(
            x=list(ranking.names[:MOST]),
            y=compact(ranking.values[:MOST]),
            error_y={"array": compact(ranking.spread[:MOST]), "color": INK, "thickness": 1},
            marker={"color": PALETTE[0]},
        )
    )
    figure.update_xaxes(title="residue", tickangle=-60)
    figure.update_yaxes(title="displacement [nm]", rangemode="tozero")
    return styled(figure, height=360)


def _pockets(results: ProteinResults, numbered: Figures) -> str:
    if not results.pockets:
        return ""
    rows = [
        (
            str(number),
            f"{each.volume / ANGSTROM**3:.0f}",
            "yes" if each.given else "no",
            with_error(each.energy.value, each.energy.error, "")
            if np.isfinite(each.energy.value)
            else "none",
            ", ".join(each.core[:NAMED])
            + (f" and {more} more" if (more := len(each.core) - NAMED) > 0 else ""),
        )
        for number, each in enumerate(results.pockets, 1)
    ]
    head = ("site", "volume [Å³]", "as given", "opening [kJ/mol]", "lined by")
    doubts = "".join(
        f"<li>site {number}: {escape('; '.join(each.energy.shortcomings))}</li>"
        for number, each in enumerate(results.pockets, 1)
        if each.energy.shortcomings
    )
    caption = "Share of the frames looked at of each long-lived set in which each site is open."
    return (
        "<h2>Pockets</h2>"
        + table(head, rows)
        + (f"<ul>{doubts}</ul>" if doubts else "")
        + numbered(_open_figure, caption, results)
        + '<p class="caption">As given: whether the structure given has the site, too. All residues are in '
        "results/pockets.csv. Free energies are of frames weighed by the populations of their states; errors are over "
        "trajectories drawn anew and do not know that populations were estimated.</p>"
    )


def _open_figure(results: ProteinResults) -> go.Figure:
    figure = go.Figure()
    names = [f"site {number}" for number in range(1, len(results.pockets or ()) + 1)]
    for k, each in enumerate(results.sets):
        shares = np.array([100 * site.shares[k] for site in results.pockets or ()])
        figure.add_bar(
            x=names, y=compact(shares), name=each.name, marker={"color": PALETTE[k % len(PALETTE)]}
        )
    figure.update_yaxes(title="open [% of frames]", range=[0, 100])
    figure.update_layout(barmode="group")
    return styled(figure, height=340)


def _script(results: ProteinResults) -> str:
    states = [
        MolecularState(
            each.name, ReportedNumber("", each.population, 0.0), each.frames, {}, each.structure[None]
        )
        for each in results.sets
    ]
    return viewer(results.molecule, states)
