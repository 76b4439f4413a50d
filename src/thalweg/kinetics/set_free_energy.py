r"""Free energy of a set of frames from walks that were started anywhere, by the populations of a Markov model.

.. math::  F_A - F_B = -k_B T \ln \frac{\sum_i \pi_i\, a_i}{\sum_i \pi_i\, (1 - a_i)}

with populations :math:`\pi` of the states and the share :math:`a_i` of the frames of each that lie in the set. Where
walks begin does not matter: transitions are drawn given their first state. What matters is that both sets are joined by
transitions there and back, of several walks. The error is the spread over replicates in which the blocks of counts are
drawn anew and populations estimated from them; frames that are weighed by fixed populations would know nothing of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.free_energies.blocks import resamples
from thalweg.kinetics.markov_state_model import MarkovModel
from thalweg.shapes import Bool, Float

JOINED = 0.95
"""Share of the replicates in which both sets must be joined: about what three independent walks there and back give."""

CONNECTED = 0.9
"""Share of the transitions that the states of the model must hold."""


@dataclass(frozen=True)
class SetFreeEnergy:
    """``value`` and its standard ``error`` [kJ/mol], and what speaks against them.

    Attributes
    ----------
    kept : share of the transitions between the states that the model speaks of
    joined : share of the replicates in which the sets are joined by transitions there and back
    """

    value: float
    error: float
    kept: float
    joined: float

    @property
    def shortcomings(self) -> tuple[str, ...]:
        """What is missing for the number to be trusted; empty if nothing."""
        missing = []
        if not np.isfinite(self.value):
            missing.append("no transitions join the sets there and back")
        elif self.joined < JOINED:
            missing.append(
                f"the sets are joined in {100 * self.joined:.0f} % of the replicates of the data, {100 * JOINED:.0f} % "
                "are needed: too few walks went there and back"
            )
        if self.kept < CONNECTED:
            missing.append(
                f"the model speaks of {100 * self.kept:.0f} % of the transitions, {100 * CONNECTED:.0f} % are needed"
            )
        return tuple(missing)

    def __str__(self) -> str:
        if self.shortcomings:
            return f"under-sampled: {'; '.join(self.shortcomings)}"
        return f"{self.value:.2f} ± {self.error:.2f} kJ/mol"


def set_free_energy(
    model: MarkovModel,
    inside: Sequence[Bool[np.ndarray, " _"]],
    kT: float,
    samples: int = 50,
    seed: int = 0,
    outside: Sequence[Bool[np.ndarray, " _"]] | None = None,
) -> SetFreeEnergy:
    """Free energy of a set less that of all else, or of another set.

    Parameters
    ----------
    model : fitted to trajectories; the more blocks its counts are kept in, up to one for each walk, the better
    inside : for each of these trajectories, whether a frame is in the set
    kT : [kJ/mol]
    samples : replicates
    seed : of the draws
    outside : for each trajectory, whether a frame is in the set to compare with; None for all that is not inside

    Raises
    ------
    ValueError
        If the model was made from counts alone, or frames and trajectories do not fit.

    Examples
    --------
    >>> from thalweg.kinetics.markov_state_model import MarkovStateModel
    >>> random = np.random.default_rng(0)
    >>> def walk(state):                # leaves 0 and 1 with probabilities 0.1 and 0.2: populations 2/3 and 1/3
    ...     return np.array([state := state ^ int(random.random() < 0.1 * (1 + state)) for _ in range(200)])
    >>> walks = [walk(1) for _ in range(40)]                       # all of them begin in the rarer state
    >>> model = MarkovStateModel(lagtime=1).fit(walks)
    >>> found = set_free_energy(model, [states == 1 for states in walks], kT=1.0)
    >>> bool(abs(found.value - np.log(2)) < 2 * found.error), found.error < 0.1
    (True, True)
    """
    share = _share(model, inside)
    other = 1 - share if outside is None else _share(model, outside)
    draws = resamples(model.counts.n_blocks, samples, seed)
    found = np.array([_difference(model, share, other, kT, drawn.astype(float)) for drawn in draws])
    finite = np.isfinite(found)
    return SetFreeEnergy(
        value=_between(model.stationary_distribution, share, other, kT),
        error=float(np.std(found[finite])) if finite.sum() > 1 else np.inf,
        kept=float(model.active.kept),
        joined=float(finite.mean()),
    )


def _share(model: MarkovModel, inside: Sequence[np.ndarray]) -> Float[np.ndarray, " states"]:
    """Share of the frames of each state that are inside."""
    if model.trajectories is None:
        raise ValueError("the model was made from counts alone; fit it to trajectories")
    blocks = model.trajectories.blocks
    if [len(block) for block in blocks] != [len(one) for one in inside]:
        raise ValueError(
            f"{len(inside)} trajectories of {sum(map(len, inside))} frames do not fit the model's {len(blocks)} of "
            f"{sum(map(len, blocks))}; say of each frame whether it is inside"
        )
    states = np.concatenate(blocks)
    among = np.bincount(states, np.concatenate(inside).astype(float), model.n_states)
    return among / np.maximum(np.bincount(states, minlength=model.n_states), 1)


def _difference(
    model: MarkovModel, share: np.ndarray, other: np.ndarray, kT: float, drawn: np.ndarray
) -> float:
    """The difference from counts whose blocks occur so often; infinite where they leave no model of both sets."""
    try:
        replicate = model.method.fit_counts(model.counts.resampled(drawn))
    except ValueError:
        return np.inf
    return _between(replicate.stationary_distribution, share, other, kT)


def _between(populations: np.ndarray, share: np.ndarray, other: np.ndarray, kT: float) -> float:
    """``-kT ln(p / q)`` of two sets; infinite where one of them is empty."""
    inside, outside = populations @ share, populations @ other
    return float(-kT * np.log(inside / outside)) if inside > 0 and outside > 0 else np.inf
