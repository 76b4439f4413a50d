"""From features to a Markov model in one method: slow coordinates, clusters in them, transitions between clusters.

All three are fitted to the same trajectories, so that cross-validation of the whole does not leak: coordinates and
cluster centers of a training set are used on the test set as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from thalweg.kinetics.markov_state_model import MarkovModel, MarkovStateModel
from thalweg.kinetics.states.clustering import Clustering, KCenters, KMeans, KMeansAndCenters
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories
from thalweg.learning.models import Method, Model
from thalweg.time_series.cross_validation import FitMethod
from thalweg.time_series.trajectories import TrajectoryData, as_trajectories

Clusters = KMeans | KCenters | KMeansAndCenters
"""A method of clustering."""


@dataclass(frozen=True, eq=False)
class PipelineModel(Model):
    """What a pipeline found.

    Attributes
    ----------
    reduction : from features to slow coordinates; None where clusters are made of the features themselves
    clustering : from coordinates to states
    markov : the model of the states
    """

    reduction: Any
    clustering: Clustering
    markov: MarkovModel

    def states(self, data: TrajectoryData) -> DiscreteTrajectories:
        """The states of other trajectories, in the numbering of the model."""
        trajectories = as_trajectories(data)
        coordinates = trajectories if self.reduction is None else self.reduction.transform(trajectories)
        return self.clustering.transform(coordinates)

    def score(self, data: TrajectoryData, r: int = 2) -> float:
        """VAMP-r score of the Markov model's functions on other trajectories; see `thalweg.kinetics.scores`."""
        return self.markov.score(self.states(data), r)


@dataclass(frozen=True)
class MarkovPipeline(Method):
    """Features to Markov model.

    Parameters
    ----------
    model : estimation of the Markov model, with its lag time
    clustering : `KMeans`, `KCenters` or `KMeansAndCenters`
    reduction : `TICA`, `VAC`, `KernelTICA`, a network and so on; None to cluster the features

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.collective_variables.linear.tica import TICA
    >>> x = np.sign(np.sin(np.arange(5000) / 50))[:, None] + np.random.default_rng(0).normal(0, 0.1, (5000, 3))
    >>> model = MarkovPipeline(MarkovStateModel(5), KMeans(4), TICA(5, dim=1)).fit(x)
    >>> model.markov.n_states
    4
    """

    model: MarkovStateModel
    clustering: Clusters = field(default_factory=lambda: KMeans(100))
    reduction: FitMethod | None = None

    def fit(self, data: TrajectoryData) -> PipelineModel:
        """Coordinates, clusters and model.

        Raises
        ------
        ValueError
            If one of the three cannot be had of these data; the message is its own.
        """
        trajectories = as_trajectories(data)
        reduction = None if self.reduction is None else self.reduction.fit(trajectories)
        coordinates = trajectories if reduction is None else reduction.transform(trajectories)
        clustering = self.clustering.fit(coordinates)
        return PipelineModel(reduction, clustering, self.model.fit(clustering.transform(coordinates)))
