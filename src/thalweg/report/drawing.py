"""A figure of whatever an estimator found: ``figure(result)`` is a Plotly figure, ``figure(result).show()`` opens it.

The same figures as in the reports, for work in a notebook or a script.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import singledispatch
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go

from thalweg.collective_variables.interpretation.importance import Importance
from thalweg.collective_variables.interpretation.symbolic_regression import FormulaFront
from thalweg.collective_variables.linear.pca import PCAModel
from thalweg.collective_variables.linear.vac import VACModel
from thalweg.collective_variables.linear.vamp import VAMPModel
from thalweg.free_energies.surface import FreeEnergySurfaceModel
from thalweg.kinetics.committors.martingale import MartingaleTest
from thalweg.kinetics.committors.network_committor import CommittorModel
from thalweg.kinetics.committors.shot_outcomes import CommittorDistribution, ShotOutcomes
from thalweg.kinetics.committors.variable_ranking import VariableRanking
from thalweg.kinetics.galerkin.dynamical_galerkin import GalerkinModel
from thalweg.kinetics.hidden.hidden_markov_model import HiddenModel
from thalweg.kinetics.langevin.inertial import UnderdampedModel
from thalweg.kinetics.langevin.memory_kernels import VolterraKernel
from thalweg.kinetics.langevin.overdamped import OverdampedModel
from thalweg.kinetics.langevin.ranking import RelaxationRanking
from thalweg.kinetics.langevin.rates import RatesTable
from thalweg.kinetics.macrostates.lumping import LumpedModel
from thalweg.kinetics.macrostates.pcca import MetastableSets
from thalweg.kinetics.macrostates.quasi_markov import MemoryScan
from thalweg.kinetics.markov_state_model import MarkovModel
from thalweg.kinetics.model_scan import Combination, ScanTable
from thalweg.kinetics.reactions.pathways import Pathway
from thalweg.kinetics.reactions.transition_paths import ReactiveFlux
from thalweg.kinetics.states.clustering import Clustering
from thalweg.kinetics.validation.chapman_kolmogorov import ChapmanKolmogorovTest
from thalweg.kinetics.validation.implied_timescales import TimescaleScan as Scan
from thalweg.labeling.geometries.torsion_scans import TorsionScan
from thalweg.machine.whole_files import write_whole
from thalweg.report.figures import chapman_kolmogorov_figure, choice_figure, timescales_figure
from thalweg.report.of_committors import committor_figure, distribution_figure, ranking_figure, shots_figure
from thalweg.report.of_galerkin import galerkin_figure, martingale_figure
from thalweg.report.of_langevin import kernel_figure, langevin_figure, rates_figure, relaxation_figure
from thalweg.report.of_models import (
    clusters_figure,
    components_figure,
    coordinates_figure,
    flux_figure,
    free_energy_figure,
    hidden_figure,
    lumped_figure,
    markov_figure,
    pathways_figure,
    sets_figure,
    singular_figure,
)
from thalweg.report.of_paths import path_figure
from thalweg.report.of_scans import scan_figure
from thalweg.report.results import Candidate, ChapmanKolmogorov, ModelChoice, ReportedTimescales
from thalweg.report.style import PALETTE, band, styled
from thalweg.sampling.paths.reaction_path import ReactionPath
from thalweg.time_series.cross_validation import CrossValidation
from thalweg.units import InFrames, unit_of

MOST_ROWS = 20
"""Features drawn of an importance, most important first."""


@singledispatch
def figure(result: Any) -> go.Figure:
    """The figure of a model or result.

    Models: Markov and hidden Markov models, lumped ones, slow coordinates, principal components, metastable sets,
    clusters, reactive flux and pathways, free energies, committors. Results: a scan of implied timescales, lag times,
    memories or models, a Chapman-Kolmogorov test, scores by name, importances of features, a front of formulas,
    outcomes of shots, committors on a surface, paths between minima, a ranking of variables by shots, Langevin models,
    their kernels, rates and rankings.

    Raises
    ------
    TypeError
        If there is no figure of such a result.

    Examples
    --------
    >>> from thalweg.kinetics.validation.implied_timescales import ImpliedTimescales
    >>> states = np.cumsum(np.random.default_rng(0).random(5000) < 0.02) % 2
    >>> figure(ImpliedTimescales([1, 5], n_processes=1, samples=20).fit(states)).layout.xaxis.title.text
    'lag time [frames]'
    """
    known = sorted(kind.__name__ for kind in figure.registry if kind is not object)
    raise TypeError(f"there is no figure of {type(result).__name__}; there are some of {', '.join(known)}")


@figure.register
def _(result: Scan) -> go.Figure:
    drawn = timescales_figure(drawn_timescales(result))
    if isinstance(result.dt, InFrames):
        drawn.update_xaxes(title={"text": "lag time [frames]"})
        drawn.update_yaxes(title={"text": "implied time scale [frames]"})
    return drawn


@figure.register
def _(result: TorsionScan) -> go.Figure:
    return scan_figure(result)


@figure.register
def _(result: ChapmanKolmogorovTest) -> go.Figure:
    return chapman_kolmogorov_figure(drawn_test(result))


@figure.register
def _(result: ScanTable) -> go.Figure:
    return choice_figure(drawn_choice(result))


figure.register(MarkovModel, markov_figure)
figure.register(ReactionPath, path_figure)
figure.register(OverdampedModel, langevin_figure)
figure.register(UnderdampedModel, langevin_figure)
figure.register(VolterraKernel, kernel_figure)
figure.register(RatesTable, rates_figure)
figure.register(RelaxationRanking, relaxation_figure)
figure.register(HiddenModel, hidden_figure)
figure.register(LumpedModel, lumped_figure)
figure.register(VACModel, coordinates_figure)
figure.register(VAMPModel, singular_figure)
figure.register(PCAModel, components_figure)
figure.register(MetastableSets, sets_figure)
figure.register(Clustering, clusters_figure)
figure.register(ReactiveFlux, flux_figure)
figure.register(FreeEnergySurfaceModel, free_energy_figure)
figure.register(CommittorModel, committor_figure)
figure.register(GalerkinModel, galerkin_figure)
figure.register(MartingaleTest, martingale_figure)
figure.register(ShotOutcomes, shots_figure)
figure.register(CommittorDistribution, distribution_figure)
figure.register(VariableRanking, ranking_figure)


@figure.register
def _(result: tuple | list) -> go.Figure:
    if not result or not all(isinstance(each, Pathway) for each in result):
        raise TypeError("of sequences there are figures of pathways only")
    return pathways_figure(result)


@figure.register
def _(result: MemoryScan) -> go.Figure:
    drawn, times = go.Figure(), result.memories * result.lag
    for process, (values, errors) in enumerate(zip(result.timescales.T, result.errors.T)):
        color = PALETTE[process % len(PALETTE)]
        drawn.add_trace(band(times, values - 1.96 * errors, values + 1.96 * errors, color))
        drawn.add_trace(
            go.Scatter(
                x=times, y=values, mode="lines+markers", line={"color": color}, name=f"process {process + 1}"
            )
        )
    unit = unit_of(result.lag)
    drawn.update_xaxes(title={"text": f"memory [{unit}]"})
    drawn.update_yaxes(title={"text": f"time scale [{unit}], 95 % bands"}, rangemode="tozero")
    return styled(drawn, height=420)


@figure.register
def _(result: Mapping) -> go.Figure:
    if not result or not all(isinstance(each, CrossValidation) for each in result.values()):
        raise TypeError("of mappings there are figures of cross-validations by name only")
    drawn, names = go.Figure(), list(result)
    drawn.add_trace(
        go.Scatter(
            x=[float(np.nanmean(each.training)) for each in result.values()],
            y=names,
            mode="markers",
            marker={"color": PALETTE[4], "size": 8, "symbol": "circle-open"},
            name="training",
        )
    )
    drawn.add_trace(
        go.Scatter(
            x=[each.mean for each in result.values()],
            y=names,
            mode="markers",
            error_x={"type": "data", "array": [each.error for each in result.values()], "thickness": 1.2},
            marker={"color": PALETTE[0], "size": 9},
            name="held out, ± one standard error",
        )
    )
    drawn.update_xaxes(title={"text": "score"})
    drawn.update_yaxes(categoryorder="array", categoryarray=names[::-1])
    return styled(drawn, height=160 + 34 * len(names))


@figure.register
def _(result: Importance) -> go.Figure:
    drawn, shares = go.Figure(), result.shares
    order = np.argsort(-shares.max(axis=1), kind="stable")[:MOST_ROWS]
    names = [str(result.names[k]) for k in order]
    for coordinate in range(shares.shape[1]):
        drawn.add_trace(
            go.Bar(
                x=shares[order, coordinate],
                y=names,
                orientation="h",
                marker={"color": PALETTE[coordinate % len(PALETTE)]},
                name=f"coordinate {coordinate + 1}",
            )
        )
    drawn.update_xaxes(title={"text": "share of the coordinate"}, rangemode="tozero")
    drawn.update_yaxes(categoryorder="array", categoryarray=names[::-1])
    return styled(drawn, height=160 + 26 * len(names))


@figure.register
def _(result: FormulaFront) -> go.Figure:
    drawn = go.Figure()
    complexity = [formula.complexity for formula in result.formulas]
    drawn.add_trace(
        go.Scatter(
            x=complexity,
            y=result.errors / result.variance,
            error_y={"type": "data", "array": result.standard_errors / result.variance, "thickness": 1.2},
            text=[str(formula) for formula in result.formulas],
            mode="lines+markers",
            line={"color": PALETTE[0]},
            name="held out",
        )
    )
    best = result.formulas.index(result.best)
    drawn.add_trace(
        go.Scatter(
            x=[complexity[best]],
            y=[result.errors[best] / result.variance],
            mode="markers",
            marker={"size": 16, "color": "rgba(0,0,0,0)", "line": {"color": "#222222", "width": 2}},
            name=str(result.best),
        )
    )
    drawn.update_xaxes(title={"text": "symbols in the formula"})
    drawn.update_yaxes(title={"text": "error, share of the variance"}, type="log")
    return styled(drawn, height=420)


def write_figures(path: str | Path, figures: Sequence[go.Figure]) -> None:
    """Figures one below the other in an HTML file that opens offline, complete or not there at all."""
    parts = (
        drawn.to_html(full_html=False, include_plotlyjs=number == 0) for number, drawn in enumerate(figures)
    )
    write_whole(Path(path), "<meta charset='utf-8'>" + "\n".join(parts))


def drawn_timescales(scan: Scan, chosen: float | None = None) -> ReportedTimescales:
    """A scan as reports draw it, with the lag [ps] that was chosen, if one was."""
    lower, upper = scan.intervals
    place = None if chosen is None else int(np.argmin(np.abs(scan.lags - chosen)))
    resolved = scan.resolved.any(axis=0) if place is None else scan.resolved[place]
    return ReportedTimescales(
        scan.lags, scan.timescales, lower, upper, chosen, tuple(np.atleast_1d(resolved).tolist())
    )


def drawn_choice(
    table: ScanTable, score: str = "held-out score", name: Callable[[Combination], str] = str
) -> ModelChoice:
    """A scan as reports draw it, the simplest of the best in use; ``score`` and ``name`` are the words for both."""
    candidates = tuple(
        Candidate(
            name(each.combination),
            each.combination.features,
            each.mean,
            each.error,
            sum(each.training) / len(each.training) if each.training else float("nan"),
            each.failure,
        )
        for each in table.results
    )
    return ModelChoice(score, candidates, table.results.index(table.simplest))


def drawn_test(test: ChapmanKolmogorovTest) -> ChapmanKolmogorov:
    """A test as reports draw it, errors of both sides added."""
    error = np.hypot(test.predicted_errors, test.observed_errors)
    return ChapmanKolmogorov(test.lags, test.predicted, test.observed, error)
