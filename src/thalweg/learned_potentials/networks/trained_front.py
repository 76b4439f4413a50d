"""The Pareto front of a trained network: short trainings with other weights that go on from where it is.

Of a convex problem all fronts follow from the same sums; a network must be taught again. A tenth of the epochs,
beginning with what it has learned, moves errors of energies and forces against each other at a small part of the cost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from thalweg.learned_potentials.frames.errors import residuals
from thalweg.learned_potentials.linear.regularization import FrontPoint, undominated
from thalweg.learned_potentials.terms.term import Term, Weights
from thalweg.systems.configuration import Configuration

RATIOS = (0.1, 0.3, 3.0, 10.0)
"""Errors of energies that one would be content with, in multiples of those of the fit."""


@dataclass(frozen=True)
class TrainedFront:
    """A trained term, and how to go on with it.

    Attributes
    ----------
    term : what was trained
    retrained : the same trained on with other weights
    held_out : frames that errors are judged on
    """

    term: Term
    retrained: Callable[[Weights], Term]
    held_out: Sequence[Configuration]

    def front(self, weights: Weights, ratios: Sequence[float] = RATIOS) -> list[FrontPoint]:
        """Errors on the held-out frames of the term and of those trained on, without what another beats in all."""
        if not self.held_out:
            return []
        points = [FrontPoint(weights, left_out_errors(self.term, self.held_out), self.term)]
        for ratio in ratios:
            tilted = replace(weights, energy=weights.energy * ratio)
            term = self.retrained(tilted)
            points.append(FrontPoint(tilted, left_out_errors(term, self.held_out), term))
        return undominated([point for point in points if all(np.isfinite([*point.held_out.values()]))])


def left_out_errors(term: Term, frames: Sequence[Configuration]) -> dict[str, float]:
    """Root mean square residuals by label as `thalweg.learned_potentials.terms.term.Weights` weighs them."""
    off = residuals(frames, term.evaluate(frames))
    roots = np.sqrt([len(frame) for frame in frames])
    columns = {
        "energy": [each / root for each, root in zip(off.energies, roots) if each is not None],
        "force": [*chain(*(np.ravel(each) for each in off.forces if each is not None))],
        "stress": [
            *chain(
                *(
                    np.ravel(each[np.triu_indices(3)]) * frame.volume / root
                    for each, frame, root in zip(off.stresses, frames, roots)
                    if each is not None
                )
            )
        ],
    }
    return {label: float(np.sqrt(np.mean(np.square(each)))) for label, each in columns.items() if len(each)}
