r"""What lies before and after each lane, from how lanes carry every hidden state through.

With the product :math:`T_l = \prod_t P \,\mathrm{diag}(b_t)` over the frames of lane :math:`l`,

.. math::  \alpha_{l+1} \propto \alpha_l T_l ,\qquad \beta_{l-1} \propto T_l\, \beta_l

hold exactly, however slowly the recursion forgets [rabiner1989]. The products cost one forward recursion per
hidden state, which is why lanes run in instead where a short run-in will do.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from thalweg.shapes import Shaped


class Boundaries(NamedTuple):
    """Forward variables ahead of every lane, and backward ones at its last own step, both ``(lanes, hidden)``.

    Attributes
    ----------
    before : (lanes, hidden), alpha ahead of each lane
    after : (lanes, hidden), beta at its last own step
    """

    before: np.ndarray
    after: np.ndarray


def boundaries(
    carried: Shaped[np.ndarray, "lanes hidden hidden"],
    logs: Shaped[np.ndarray, "lanes hidden"],
    first: Shaped[np.ndarray, " hidden"],
) -> Boundaries:
    """What lies before and after each lane.

    Parameters
    ----------
    carried : (lanes, hidden, hidden), rows of ``T`` by the state before the lane, each scaled to sum one
    logs : (lanes, hidden), logarithms of the sums of these rows
    first : (hidden,), what lies before the first lane

    Examples
    --------
    >>> around = boundaries(np.full((2, 2, 2), 0.5), np.zeros((2, 2)), np.array([0.9, 0.1]))
    >>> around.before.round(3).tolist(), around.after.round(3).tolist()
    ([[0.9, 0.1], [0.5, 0.5]], [[1.0, 1.0], [1.0, 1.0]])
    """
    # T_l up to a factor of each lane, which the scaling below takes out again
    products = carried * np.exp(logs - logs.max(axis=1, keepdims=True))[..., None]
    before, after = np.empty(logs.shape), np.ones(logs.shape)
    before[0] = first
    ends = np.empty(logs.shape)
    # alpha_{l+1} ~ alpha_l T_l, scaled to sum one
    for lane, product in enumerate(products):
        ends[lane] = before[lane] @ product
        ends[lane] /= ends[lane].sum()
        if lane + 1 < len(products):
            before[lane + 1] = ends[lane]
    # beta_{l-1} ~ T_l beta_l, scaled such that alpha . beta, the memberships where lanes meet, sum to one
    for lane in range(len(products) - 1, 0, -1):
        behind = products[lane] @ after[lane]
        after[lane - 1] = behind / (ends[lane - 1] @ behind)
    return Boundaries(before, after)
