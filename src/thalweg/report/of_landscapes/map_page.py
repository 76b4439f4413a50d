"""The page of a map: what it shows of the structures, the spectrum, its scores, and what it means."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from thalweg.report.of_landscapes.figures import map_figure, spectrum_figure
from thalweg.report.of_landscapes.results import MapResults
from thalweg.report.page_parts import Figures, citation_list, document, in_order, provenance, summary, table
from thalweg.report.rounding import significant
from thalweg.report.viewer import map_viewer


def map_page(results: MapResults) -> str:
    """The whole page; what is absent is left out."""
    sections: Sequence[Callable[[MapResults, Figures], str]] = (
        _summary,
        _map,
        _structures,
        _meaning,
        _spectrum,
        _scores,
        _provenance,
        _citations,
    )
    return document(results.title, in_order(results, sections), in_order(results, (_viewer,)))


def _summary(results: MapResults, _: Figures) -> str:
    answers = (
        ("What was mapped", results.mapped),
        ("What was found", results.found),
        ("How sure", results.certainty),
    )
    return summary(results.title, results.subtitle, answers, results.diagnoses)


def _map(results: MapResults, numbered: Figures) -> str:
    caption = (
        f"{len(results.points.coordinates)} frames on the map. Choose on the right what colors them: a variable that "
        "changes smoothly over the map is one the map has found."
    )
    return "<h2>The map</h2>" + numbered(map_figure, caption, results)


def _structures(results: MapResults, _: Figures) -> str:
    if results.molecule is None or not len(results.positions):
        return ""
    return (
        "<h2>The structures</h2>"
        '<iframe id="viewer" title="map of structures, each point one in 3D"></iframe>'
        f'<p class="caption">{len(results.positions)} frames, spread over the map: choose a point and its structure is '
        "shown on the right; drag to turn it. The menu of the map changes axes and colors.</p>"
    )


def _viewer(results: MapResults, _: Figures) -> str:
    if results.molecule is None or not len(results.positions):
        return ""
    axes = list(results.names[:3])
    columns = dict(zip(results.names, results.structures.coordinates.T, strict=True))
    properties = columns | results.structures.properties
    if len(axes) == 1:
        axes.append(next(iter(results.structures.properties), axes[0]))
    color = next(iter(results.structures.properties), axes[0])
    return map_viewer(results.molecule, results.positions, properties, (*axes, color))


def _meaning(results: MapResults, _: Figures) -> str:
    if not results.ranking:
        return ""
    measures = list(results.ranking[0].shares)
    rows = [
        (each.coordinate, each.name, *(significant(each.shares[name]) for name in measures))
        for each in results.ranking
    ]
    return (
        "<h2>What it means</h2>"
        + table(("coordinate", "physical variable", *measures), rows)
        + '<p class="caption">Variables in the order in which they explain the map on frames left out; one that says '
        "nothing new beside those above it is left out.</p>"
    )


def _spectrum(results: MapResults, numbered: Figures) -> str:
    name, values = results.spectrum
    if not len(values):
        return ""
    caption = f"The spectrum ({name}). A gap says how many coordinates the frames need."
    return "<h2>How many coordinates</h2>" + numbered(
        spectrum_figure, caption, name, values, results.points.coordinates.shape[1]
    )


def _scores(results: MapResults, _: Figures) -> str:
    if not results.scores:
        return ""
    return (
        "<h2>How well it keeps distances</h2>"
        + table(("on frames left out", "value"), results.scores)
        + '<p class="caption">Trustworthiness: neighbors on the map are neighbors in truth. Continuity: the reverse. '
        "Both are 1 at best and about 1/2 by chance. Geodesic correlation: distances along the frames against those on "
        "the map.</p>"
    )


def _provenance(results: MapResults, _: Figures) -> str:
    return provenance(results.provenance)


def _citations(results: MapResults, _: Figures) -> str:
    return citation_list(results.citations)
