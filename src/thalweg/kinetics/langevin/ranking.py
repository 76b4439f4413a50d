r"""Candidate variables in the order in which they tell a transition, from the same trajectories.

Projected on any variable, dynamics seems faster than it is: fast recrossings in what is left out are counted as
transitions. Of several variables, that is the best whose model relaxes slowest [zhang2016], and its rate the closest to
the true one. The order does not change when a variable is replaced by a growing function of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from thalweg.kinetics.langevin.whiteness import Whiteness, whiteness
from thalweg.learning.models import Model
from thalweg.machine.surviving import surviving
from thalweg.shapes import Float
from thalweg.time_series.resampling import plus_minus
from thalweg.time_series.trajectories import Trajectories, TrajectoryData, as_trajectories


@dataclass(frozen=True, eq=False)
class RelaxationRanking(Model):
    """Candidate variables, the best first.

    Attributes
    ----------
    names : of the variables
    columns : of the data
    times : (variables,) slowest relaxation time of the model along each [ps]
    errors : (variables,)
    tests : whether each model is right at its step
    models : fitted along each
    told : which could not be fitted and why the first could not
    """

    names: tuple[str, ...]
    columns: tuple[int, ...]
    times: Float[np.ndarray, " variables"]
    errors: Float[np.ndarray, " variables"]
    tests: tuple[Whiteness, ...]
    models: tuple[Any, ...]
    told: str = ""

    @property
    def distinction(self) -> float:
        """By how many standard errors of ``ln t`` the first is ahead of the second; infinite if it is alone."""
        if len(self.names) < 2:
            return np.inf
        logs, spread = np.log(self.times[:2]), self.errors[:2] / self.times[:2]
        return float((logs[0] - logs[1]) / np.hypot(*spread))

    def headline(self) -> dict[str, object]:
        """The best variable, its time, and how far it is ahead."""
        return {
            "best": self.names[0],
            "time": plus_minus(float(self.times[0]), float(self.errors[0])),
            "ahead by": f"{self.distinction:.1f} standard errors",
            "variables": len(self.names),
        }

    def __str__(self) -> str:
        rows = [
            f"{name:20} {plus_minus(time, error):>18} ps  {'white' if test.white else 'not Markovian at this step'}"
            for name, time, error, test in zip(self.names, self.times, self.errors, self.tests)
        ]
        return "\n".join(
            [
                "slowest relaxation of the model along each variable",
                *rows,
                *([self.told] if self.told else []),
            ]
        )


def rank_by_relaxation(method: Any, data: TrajectoryData, samples: int = 20) -> RelaxationRanking:
    """Every column as the one variable of a model, ordered by the slowest relaxation time that the model has.

    Parameters
    ----------
    method : such as ``OverdampedLangevin(kT=2.494)``; its ``periods``, if any, are one for each column
    data : a column for each candidate
    samples : of parameters from their posterior, for error bars
    """
    trajectories = as_trajectories(data)
    names = trajectories.names or [f"variable {k}" for k in range(trajectories.n_features)]
    blocks = [
        np.concatenate(list(trajectories.windows(k, [(0, int(n))])))
        for k, n in enumerate(trajectories.lengths)
    ]
    periods = method.periods or [None] * trajectories.n_features

    def along(column: int):
        own = Trajectories(
            [block[:, [column]] for block in blocks],
            trajectories.dt,
            trajectories.weights,
            [names[column]],
            trajectories.log_path,
        )
        model = replace(method, periods=[periods[column]]).fit(own)
        time = model.timescales(1, samples)
        return float(time.value[0]), float(time.error[0]), whiteness(model), model

    left = surviving(range(trajectories.n_features), along, "variables", told=False)
    order = np.argsort([-result[0] for result in left.results])
    found = [left.results[k] for k in order]
    columns = tuple(left.members[k] for k in order)
    return RelaxationRanking(
        tuple(names[k] for k in columns),
        columns,
        np.array([each[0] for each in found]),
        np.array([each[1] for each in found]),
        tuple(each[2] for each in found),
        tuple(each[3] for each in found),
        left.told,
    )
