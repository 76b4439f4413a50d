r"""Whether a Langevin model is right at its step: what it leaves unexplained must be white.

Each step less its foretold mean, in units of its foretold spread, is independent of all before it if the motion is as
the model says. Ljung and Box's sum over the first lags,

.. math:: Q = n (n + 2) \sum_{k=1}^{h} \frac{r_k^2}{n - k} ,

is then distributed as :math:`\chi^2_h` [ljung1978]. Memory shows as correlations; a longer step, inertia or hidden
variables take them away. With very many steps correlations too small to matter are seen as well: those below `MATTERS`
are told, and pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.stats

from thalweg.learning.models import Model
from thalweg.machine.surviving import surviving
from thalweg.shapes import Float
from thalweg.time_series.trajectories import TrajectoryData, as_trajectories

MATTERS = 0.02
"""Correlation of residuals below which a model is not called wrong: it changes rates by about as much."""


@dataclass(frozen=True, eq=False)
class Whiteness(Model):
    """A test of the residuals of a model.

    Attributes
    ----------
    correlations : (variables, lags), of residuals 1, 2, ... steps apart
    p_values : (variables,) of Ljung and Box's test; small speaks against the model
    steps : residuals tested
    tau : step [ps]
    level : probability with which a right model would be called wrong, over all variables
    """

    correlations: Float[np.ndarray, "variables lags"]
    p_values: Float[np.ndarray, " variables"]
    steps: int
    tau: float
    level: float

    @property
    def white(self) -> bool:
        """Whether nothing speaks against the model."""
        seen = self.p_values < self.level / len(self.p_values)
        return not bool((seen & (np.abs(self.correlations).max(axis=1) > MATTERS)).any())

    def headline(self) -> dict[str, object]:
        """The verdict and what it rests on."""
        return {
            "Markovian": "yes" if self.white else "no",
            "step": self.tau,
            "largest correlation": float(np.abs(self.correlations).max()),
            "p": float(self.p_values.min()),
            "steps": self.steps,
        }

    def __str__(self) -> str:
        worst = np.unravel_index(np.abs(self.correlations).argmax(), self.correlations.shape)
        verdict = "may be right" if self.white else "is wrong: the motion remembers more than it says"
        return (
            f"at steps of {self.tau:g} ps the model {verdict}; residuals {worst[1] + 1} steps apart are correlated by "
            f"{self.correlations[worst]:.3f}, p = {self.p_values.min():.2g} from {self.steps} steps"
        )


def whiteness(model: Any, lags: int = 10, level: float = 0.01) -> Whiteness:
    """Test the residuals of a fitted model.

    Parameters
    ----------
    model : with ``residuals()`` and ``pieces``, such as `OverdampedModel` and `UnderdampedModel`
    lags : steps over which correlations are summed
    level : of the test

    Raises
    ------
    ValueError
        If pieces of trajectories are too short for two residuals.
    """
    series = [each for each in model.residuals() if len(each) > 1]
    if not series:
        raise ValueError("no trajectory has two steps one after the other; give longer ones")
    lags = min(lags, max(len(each) for each in series) - 1)
    everything = np.concatenate(series)
    mean, variance = everything.mean(axis=0), everything.var(axis=0)
    correlations = np.zeros((everything.shape[1], lags))
    counts = np.zeros(lags)
    for k in range(1, lags + 1):
        pairs = [(each[:-k] - mean, each[k:] - mean) for each in series if len(each) > k]
        counts[k - 1] = sum(len(a) for a, _ in pairs)
        correlations[:, k - 1] = sum((a * b).sum(axis=0) for a, b in pairs) / counts[k - 1] / variance
    # interleaved series are not independent: as many steps as they are worth
    worth = model.pieces.n_steps / max(1, (model.pieces.weights > 0).sum())
    statistic = (worth * counts * correlations**2).sum(axis=1)
    p_values = scipy.stats.chi2.sf(statistic, lags)
    return Whiteness(correlations, p_values, int(worth * len(everything)), float(model.pieces.tau), level)


@dataclass(frozen=True, eq=False)
class StepScan(Model):
    """Models and their tests by step.

    Attributes
    ----------
    lagtimes : [frames]
    tests : one `Whiteness` for each
    models : fitted at each
    told : which steps could not be fitted and why the first could not
    """

    lagtimes: tuple[int, ...]
    tests: tuple[Whiteness, ...]
    models: tuple[Any, ...]
    told: str = ""

    @property
    def shortest(self) -> int | None:
        """The shortest step [frames] from which on all longer ones pass; None if the longest does not."""
        passed = [test.white for test in self.tests]
        for k, lagtime in enumerate(self.lagtimes):
            if all(passed[k:]):
                return lagtime
        return None

    def headline(self) -> dict[str, object]:
        """The shortest step at which the model is right."""
        return {"steps tried": len(self.lagtimes), "shortest Markovian step": self.shortest or "none"}

    def __str__(self) -> str:
        rows = [f"{lag:6d} frames: {test}" for lag, test in zip(self.lagtimes, self.tests)]
        found = f"shortest step at which the model is right: {self.shortest or 'none of these'}"
        return "\n".join([*rows, found, *([self.told] if self.told else [])])


def step_scan(
    method: Any, data: TrajectoryData, lagtimes: Sequence[int] = (1, 2, 4, 8, 16, 32), level: float = 0.01
) -> StepScan:
    """Fit a model at several steps and test each; the level is shared among them.

    Parameters
    ----------
    method : with ``lagtime`` and ``fit``, such as `OverdampedLangevin`
    lagtimes : [frames], growing
    level : probability to call any right model wrong
    """
    trajectories = as_trajectories(data)

    def at(lagtime: int):
        model = replace(method, lagtime=lagtime).fit(trajectories)
        return model, whiteness(model, level=level / len(lagtimes))

    left = surviving(sorted(lagtimes), at, "steps", told=False)
    models, tests = zip(*left.results)
    return StepScan(tuple(left.members), tuple(tests), tuple(models), left.told)
