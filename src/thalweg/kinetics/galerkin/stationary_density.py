r"""Weights under which windows from anywhere count as they would at equilibrium: the change of measure.

.. math::  \Big\langle w(x_t)\, [\varphi_i(x_{t+\tau}) - \varphi_i(x_t)] \Big\rangle = 0,\qquad
           w = c \Big(1 + \sum_j v_j\, (\varphi_j - \bar\varphi_j)\Big)

[thiede2019]: the adjoint of the equations for functions of the future, without sets; :math:`c` is the density by a
chain of cells (`thalweg.kinetics.galerkin.cell_chain`), which the functions correct. Data that are stationary as far as
can be told keep the weights they have: at equilibrium the changes of blocks of trajectories, and the corrections they
ask for, are as likely as their negatives, and together no larger than with random signs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thalweg.collective_variables.bases.basis import Functions
from thalweg.kinetics.galerkin.forms import Increments
from thalweg.kinetics.reactions.stopped_windows import StoppedWindows
from thalweg.learning.models import Model
from thalweg.shapes import Shaped


@dataclass(frozen=True, eq=False)
class StationaryDensity(Model):
    """The stationary density relative to that of the data.

    Attributes
    ----------
    functions : of frames
    mean : (functions,), what is taken off them
    coefficients : (functions,)
    replicates : (samples, functions), of resampled data
    reason : why the data are weighted, or not
    negative : share of the windows whose weight is negative
    cells : their indicators; None where no chain was needed
    ratios : (cells,) density by the chain
    ratio_replicates : (samples, cells), of resampled data
    """

    functions: Functions
    mean: Shaped[np.ndarray, " functions"]
    coefficients: Shaped[np.ndarray, " functions"]
    replicates: Shaped[np.ndarray, "samples functions"]
    reason: str
    negative: float = 0.0
    cells: Functions | None = None
    ratios: Shaped[np.ndarray, " cells"] = field(default_factory=lambda: np.ones(0))
    ratio_replicates: Shaped[np.ndarray, "samples cells"] = field(default_factory=lambda: np.ones((0, 0)))

    @property
    def stationary(self) -> bool:
        """Whether the data are taken as they are."""
        return self.cells is None and not self.coefficients.any()

    def __call__(self, frames: Any) -> Any:
        """Weights ``(frames,)``, about one on average."""
        xp = frames.__array_namespace__()
        mean, coefficients = (xp.asarray(each, dtype=frames.dtype) for each in (self.mean, self.coefficients))
        corrected = 1 + (self.functions(frames) - mean) @ coefficients
        return corrected if self.cells is None else corrected * self.by_cells(frames)

    def by_cells(self, frames: Any) -> Any:
        """Density ``(frames,)`` by the chain alone; one where none was needed."""
        xp = frames.__array_namespace__()
        if self.cells is None:
            return xp.ones(len(frames), dtype=frames.dtype)
        return self.cells(frames) @ xp.asarray(self.ratios, dtype=frames.dtype)

    def of_replicates(self, frames: np.ndarray) -> np.ndarray:
        """Weights ``(frames, samples)`` by every resampling."""
        if self.stationary:
            return np.ones((len(frames), len(self.replicates)))
        corrected = 1 + (np.asarray(self.functions(frames)) - self.mean) @ self.replicates.T
        return corrected if self.cells is None else corrected * (self.cells(frames) @ self.ratio_replicates.T)

    def headline(self) -> dict[str, object]:
        """Whether data are weighted."""
        return {"stationary": self.stationary, "negative": f"{self.negative:.1%}"}

    def __str__(self) -> str:
        text = "data are taken as they are" if self.stationary else f"weights, {self.negative:.1%} negative"
        return f"{text}: {self.reason}"


def free_increments(windows: StoppedWindows, density: StationaryDensity) -> Increments:
    """What windows that nothing stops add to the forms of these functions and the constant, which is the first."""
    values = np.concatenate(
        [np.ones((len(windows.frames), 1)), np.asarray(density.functions(windows.frames)) - density.mean],
        axis=1,
    )
    at = windows.begins
    changes, weights = (
        values[windows.last] - values[at],
        windows.weights * density.by_cells(windows.frames[at]),
    )
    return Increments(windows.block, weights, values[at], changes[None], np.zeros((1, len(at))))
