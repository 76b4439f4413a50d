"""Histograms of frames in one pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thalweg.shapes import Shaped
from thalweg.time_series.one_pass import Adding, Share, Sums


@dataclass(frozen=True, eq=False)
class HistogramPass(Adding):
    """Weight of the frames in the cells of a grid over the first features; frames outside count nowhere.

    Parameters
    ----------
    edges : (cells + 1,) ascending borders of the cells, an array for each feature that is asked for

    Examples
    --------
    >>> from thalweg.time_series.one_pass import gathered, shares
    >>> x = np.array([[0.1, 5.0], [0.2, 5.0], [0.9, 6.0]])
    >>> gathered(HistogramPass((np.array([0, 0.5, 1]),)), shares(x)).tolist()
    [2.0, 1.0]
    """

    edges: tuple[np.ndarray, ...]

    def of(self, share: Share) -> Sums:
        """Weights in the cells, for a share."""
        weights = share.data.weights
        cells = np.zeros([len(edge) - 1 for edge in self.edges])
        for k, start, frames in share.data.chunks():
            own = None if weights is None else weights[k][start : start + len(frames)]
            cells += np.histogramdd(frames[:, : len(self.edges)], self.edges, weights=own)[0]
        return {"cells": cells}

    def result(self, total: Sums) -> Shaped[np.ndarray, "..."]:
        """Weights in the cells, one axis a feature."""
        return total["cells"]
