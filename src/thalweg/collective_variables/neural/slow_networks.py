"""Networks for slow variables: a basis that is learned, and the variational approach solved in it.

All are trained as `Training` says, whose parameters they take by keyword: by one loop on the same windows, several
times from other weights, of which the best on held-out data is kept; ``model.functions.losses`` has the spread. They
differ in what they are trained for and in what is solved afterwards:

=====================  =====================================  =================
`VAMPnet`              VAMP-2 score [mardt2018]               `VAMP`
`SRV`                  reversible score [chen2019]            `VAC`
`DCCA`                 canonical correlation [andrew2013]     `VAMP`
`TimeLaggedAutoencoder`  later frames [wehmeyer2018]          `VAC`
`VDE`                  the same, noisy and slow [hernandez2018]  `VAC`
=====================  =====================================  =================

What speaks against the slowest timescale is in ``model.notes``: above all whether it is as slow in data that the
network never saw (see `doubts`).

Those for variables of high variance are in `autoencoders`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar, cast, get_args

from thalweg.collective_variables.bases.basis import Chained, Then
from thalweg.collective_variables.bases.polynomials import Polynomials
from thalweg.collective_variables.covariances.covariance import Covariances
from thalweg.collective_variables.covariances.slow_modes import SlowModes, nonreversible_modes
from thalweg.collective_variables.covariances.stationarity import unsymmetrized
from thalweg.collective_variables.linear.vac import VAC, VACModel
from thalweg.collective_variables.linear.vamp import VAMP, VAMPModel
from thalweg.collective_variables.neural.doubts import SlowestFunction, doubts
from thalweg.collective_variables.neural.encoder import SCALES, Output, Scales
from thalweg.collective_variables.neural.learned_basis import Learned, LearnedBasis, Training
from thalweg.collective_variables.neural.reconstruction import Reconstruction, VariationalReconstruction
from thalweg.collective_variables.neural.slowness import CanonicalCorrelation, ReversibleScore, VAMPScore
from thalweg.time_series.trajectories import Trajectories, TrajectoryData, as_trajectories

EXTRA = 2
"""Outputs of a network or values of a bottleneck beyond the functions asked for. Where runs did not start from
equilibrium, the density they started from is one more function that the operator needs; without it time scales come out
too long."""

BOTTLENECK_BASIS = Polynomials(5)
"""Functions of a bottleneck among which slow ones are solved for."""

VARIANCE = (
    "a decoder of features that are not whitened follows their variance: timescales are those of loud features, and "
    "slower quiet ones may be missed; scales='whitened' follows slowness"
)
"""What is said of bottlenecks of features that are not whitened."""

Data = TrajectoryData
Model = TypeVar("Model", VACModel, VAMPModel)


def _questioned(model: Model, data: Trajectories, learned: Learned, *remarks: str) -> Model:
    """The model with notes about its training and about what speaks against its slowest timescale."""

    def modes_of(sums: Covariances) -> SlowModes:
        if isinstance(model, VACModel):
            return model.method.unweighted_modes(sums, model.choice)
        return nonreversible_modes(unsymmetrized(sums, model.method.cutoff), sums)

    slowest = SlowestFunction(
        data,
        model.functions,
        model.modes,
        modes_of,
        model.timescale_errors,
        model.method.lagtime,
        learned.unseen,
    )
    return replace(model, notes=(*model.notes, *learned.notes, *remarks, *doubts(slowest)))


@dataclass(frozen=True)
class VAMPnet(Training):
    """A network of the largest VAMP-2 score, then VAMP of its outputs.

    Parameters
    ----------
    lagtime : int
        In frames.
    dim : int
        Slow functions wanted; the network has two outputs more, or one more if they are memberships.
    output : "values", or "memberships" for fuzzy states that add up to one

    Raises
    ------
    ValueError
        If the output is neither, or as `Training` does.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sign(np.sin(np.arange(4000) / 100))[:, None] + 0.1 * np.random.default_rng(0).standard_normal((4000, 2))
    >>> model = VAMPnet(5, dim=1, hidden=(8,), steps=20, restarts=1).fit(x)
    >>> model.transform(x).shape
    (4000, 1)
    """

    lagtime: int
    dim: int = 2
    output: Output = "values"

    def __post_init__(self):
        super().__post_init__()
        if self.output not in get_args(Output):
            raise ValueError(f"output={self.output!r} is unknown; known are {', '.join(get_args(Output))}")

    def fit(self, data: Data) -> VAMPModel:
        """Train, then solve."""
        outputs = self.dim + (1 if self.output == "memberships" else EXTRA)
        basis = self.basis(VAMPScore(outputs, output=self.output), self.lagtime)
        runs = as_trajectories(data)
        model = VAMP(self.lagtime, self.dim, basis).fit(runs)
        if self.output == "memberships":
            # that they add up to one, and so depend on each other, is no news
            notes = tuple(note for note in model.notes if note not in model.singular.notes)
            model = replace(model, notes=notes)
        return _questioned(model, runs, cast(Learned, model.functions))


@dataclass(frozen=True)
class SRV(Training):
    """State-free reversible VAMPnet: slow functions of a process in detailed balance.

    Parameters
    ----------
    lagtime : in frames
    dim : slow functions wanted; the network has two outputs more
    """

    lagtime: int
    dim: int = 2

    def fit(self, data: Data) -> VACModel:
        """Train, then solve."""
        basis = self.basis(ReversibleScore(self.dim + EXTRA), self.lagtime)
        runs = as_trajectories(data)
        model = VAC(self.lagtime, self.dim, basis).fit(runs)
        return _questioned(model, runs, cast(Learned, model.functions))


@dataclass(frozen=True)
class DCCA(Training):
    """Deep canonical correlation analysis: a network for first frames and one for last ones.

    Parameters
    ----------
    lagtime : in frames
    dim : outputs of each network
    """

    lagtime: int
    dim: int = 2

    def fit(self, data: Data) -> VAMPModel:
        """Train, then solve among the functions of both networks."""
        basis = self.basis(CanonicalCorrelation(self.dim), self.lagtime)
        runs = as_trajectories(data)
        model = VAMP(self.lagtime, self.dim, basis).fit(runs)
        return _questioned(model, runs, cast(Learned, model.functions))


@dataclass(frozen=True)
class TimeLaggedAutoencoder(Training):
    """A bottleneck through which later frames are told from earlier ones; slow are polynomials of what it lets through.

    Of whitened features the slowest tell most of what can be told of later frames; of others, those of large variance
    may. Any monotone function of the bottleneck is as good, and one value of it may fold several processes into one:
    two values more than asked for are let through, and the slowest functions are solved for among polynomials of all.

    Parameters
    ----------
    lagtime : in frames
    dim : slow functions wanted
    scales : of the features, "whitened" to follow slowness, "deviations" to follow variance
    """

    lagtime: int
    dim: int = 1
    scales: Scales = "whitened"

    def __post_init__(self):
        super().__post_init__()
        _require_scales(self.scales)

    def fit(self, data: Data) -> VACModel:
        """Train, then solve."""
        runs = as_trajectories(data)
        basis = self.basis(Reconstruction(_let_through(self.dim, runs)), self.lagtime, self.scales)
        return _bottleneck(basis, self.dim, runs)


@dataclass(frozen=True)
class VDE(Training):
    """Variational dynamics encoder: a noisy bottleneck, later frames, and autocorrelation; then as for autoencoders.

    Parameters
    ----------
    lagtime : in frames
    dim : slow functions wanted; two values more are let through
    capacity : cost of telling the bottleneck from a normal distribution
    slowness : reward of its autocorrelation
    scales : of the features, "whitened" to follow slowness, "deviations" to follow variance
    """

    lagtime: int
    dim: int = 1
    capacity: float = 1e-2
    slowness: float = 1.0
    scales: Scales = "whitened"

    def __post_init__(self):
        super().__post_init__()
        _require_scales(self.scales)

    def fit(self, data: Data) -> VACModel:
        """Train, then solve."""
        runs = as_trajectories(data)
        objective = VariationalReconstruction(_let_through(self.dim, runs), self.capacity, self.slowness)
        return _bottleneck(self.basis(objective, self.lagtime, self.scales), self.dim, runs)


def _let_through(dim: int, runs: Trajectories) -> int:
    """Values in a bottleneck for ``dim`` slow functions: `EXTRA` more, but not more than there are features."""
    return max(dim, min(dim + EXTRA, runs.n_features))


def _bottleneck(basis: LearnedBasis, dim: int, runs: Trajectories) -> VACModel:
    """Slow polynomials of a bottleneck."""
    model = VAC(basis.lagtime, dim, Then(basis, BOTTLENECK_BASIS)).fit(runs)
    # that values of a bottleneck depend on each other is no news
    model = replace(model, notes=tuple(note for note in model.notes if note not in model.modes.notes))
    remarks = () if basis.scales == "whitened" else (VARIANCE,)
    return _questioned(model, runs, cast(Learned, cast(Chained, model.functions).inner), *remarks)


def _require_scales(scales: str) -> None:
    if scales not in SCALES:
        raise ValueError(f"scales={scales!r} is unknown; known are {', '.join(SCALES)}")
