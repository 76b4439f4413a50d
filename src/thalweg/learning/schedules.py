"""How the learning rate changes while training: factors on the optimizer's own rate.

A schedule is a process: ``start`` gives its state, ``factor`` reads it, ``after`` an epoch it has seen one more loss.
States are arrays, so that they travel in checkpoints.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Constant:
    """The rate as it is."""

    def start(self) -> np.ndarray:
        return np.zeros(0)

    def factor(self, fraction: float, state: np.ndarray) -> float:
        return 1.0

    def after(self, state: np.ndarray, loss: float) -> np.ndarray:
        return state


@dataclass(frozen=True)
class Cosine:
    """Up on a line, then down half a cosine [loshchilov2017].

    Parameters
    ----------
    warmup : fraction of all steps on the way up
    floor : factor at the end
    """

    warmup: float = 0.02
    floor: float = 0.01

    def start(self) -> np.ndarray:
        return np.zeros(0)

    def factor(self, fraction: float, state: np.ndarray) -> float:
        """Factor after a ``fraction`` of all steps.

        Examples
        --------
        >>> fall = Cosine(warmup=0.1, floor=0.0)
        >>> [round(fall.factor(t, fall.start()), 3) for t in (0.05, 0.1, 0.55, 1.0)]
        [0.5, 1.0, 0.5, 0.0]
        """
        if fraction < self.warmup:
            return max(fraction / self.warmup, 1e-2)
        turn = np.pi * (fraction - self.warmup) / (1 - self.warmup)
        return self.floor + (1 - self.floor) * 0.5 * (1 + float(np.cos(turn)))

    def after(self, state: np.ndarray, loss: float) -> np.ndarray:
        return state


@dataclass(frozen=True)
class Plateau:
    """Multiplied by ``drop`` whenever ``patience`` epochs brought no better loss.

    The loss is the held-out one; without held-out data, the training loss.
    """

    drop: float = 0.5
    patience: int = 10
    floor: float = 1e-3

    def start(self) -> np.ndarray:
        """Factor, best loss, epochs since."""
        return np.array([1.0, np.inf, 0.0])

    def factor(self, fraction: float, state: np.ndarray) -> float:
        return float(state[0])

    def after(self, state: np.ndarray, loss: float) -> np.ndarray:
        """
        Examples
        --------
        >>> halve = Plateau(patience=2)
        >>> state = halve.start()
        >>> for loss in (3.0, 2.0, 2.5, 2.1): state = halve.after(state, loss)
        >>> halve.factor(0.0, state)
        0.5
        """
        factor, best, waited = state
        if loss < best:
            return np.array([factor, loss, 0.0])
        if waited + 1 < self.patience:
            return np.array([factor, best, waited + 1])
        return np.array([max(factor * self.drop, self.floor), best, 0.0])
