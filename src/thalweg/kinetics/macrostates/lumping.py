r"""Few states from many: the local-equilibrium lumping and the projection of Hummer and Szabo [hummer2015].

With the indicator :math:`A` of the sets, populations :math:`\pi` of states and :math:`p = A^T\pi` of sets,

.. math::  P_\mathrm{local} = D_p^{-1} A^T D_\pi P A

takes the states of a set to be in equilibrium at every step, and is too fast. The projection keeps instead
the integrals over all time of the correlations between sets, and with them mean first-passage and relaxation
times:

.. math::  Z = (1 + \mathbf 1 \pi^T - P)^{-1},\qquad Z_N = D_p^{-1} A^T D_\pi Z A,\qquad
           P_N = 1 + \mathbf 1 p^T - Z_N^{-1} .

It is a chain for long times; its entries may be slightly negative where sets exchange within a lag time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array, eye_array

from thalweg.kinetics.estimation.factorization import factorized
from thalweg.kinetics.markov_state_model import MarkovModel
from thalweg.learning.models import Model
from thalweg.shapes import Shaped
from thalweg.time_series.relaxation import relaxation_times, relaxing_order
from thalweg.units import duration


@dataclass(frozen=True, eq=False)
class LumpedModel(Model):
    """Transitions between sets of states.

    Attributes
    ----------
    transition_matrix : (sets, sets), rows sum to one
    stationary_distribution : (sets,)
    lag : [ps]
    """

    transition_matrix: Shaped[np.ndarray, "sets sets"]
    stationary_distribution: Shaped[np.ndarray, " sets"]
    lag: float

    @cached_property
    def timescales(self) -> np.ndarray:
        """Relaxation times ``(sets - 1,)`` [ps], slowest first, then NaN for those that do not decay."""
        values = np.linalg.eigvals(self.transition_matrix)
        return relaxation_times(values[relaxing_order(values)][1:], self.lag)

    def headline(self) -> dict[str, object]:
        """Sets, lag, populations and timescales."""
        return {
            "sets": len(self.stationary_distribution),
            "lag": duration(self.lag),
            "populations": self.stationary_distribution,
            "timescales": ", ".join(duration(time, self.lag) for time in self.timescales),
        }

    def __str__(self) -> str:
        shares = ", ".join(f"{share:.3g}" for share in self.stationary_distribution)
        times = [duration(time, self.lag) if np.isfinite(time) else "no decay" for time in self.timescales]
        count = len(self.stationary_distribution)
        return (
            f"{count} sets at lag {duration(self.lag)}: populations {shares}; timescales {', '.join(times)}"
        )


def lumped(model: MarkovModel, sets: Shaped[np.ndarray, " n_states"]) -> LumpedModel:
    """Sets in local equilibrium.

    Parameters
    ----------
    sets : (n_states,) int
        The set of every state, for instance ``metastable_sets(model, n).assignments``; -1 outside the
        active set.

    Raises
    ------
    ValueError
        If an active state has no set, or a set no active state.

    Examples
    --------
    >>> from thalweg.kinetics.markov_state_model import MarkovStateModel
    >>> walk = np.array([0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0])
    >>> model = MarkovStateModel(lagtime=1).fit([walk])
    >>> lumped(model, np.array([0, 0, 1, 1])).transition_matrix.round(3).tolist()
    [[0.667, 0.333], [0.333, 0.667]]
    """
    member, stationary, matrix = _members(model, sets)
    # A^T D_pi P A
    populations = stationary @ member
    flow = (member.T * stationary) @ (matrix @ member)
    return LumpedModel(flow / populations[:, None], populations, model.lag)


def hummer_szabo(model: MarkovModel, sets: np.ndarray) -> LumpedModel:
    """Sets with the long-time dynamics of the model.

    Parameters
    ----------
    sets : as for `lumped`

    Raises
    ------
    ValueError
        If an active state has no set, or a set no active state.

    Examples
    --------
    >>> from thalweg.kinetics.markov_state_model import MarkovStateModel
    >>> walk = np.array([0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0])
    >>> model = MarkovStateModel(lagtime=1).fit([walk])
    >>> hummer_szabo(model, np.array([0, 0, 1, 1])).transition_matrix.round(3).tolist()
    [[0.727, 0.273], [0.273, 0.727]]
    """
    member, stationary, matrix = _members(model, sets)
    populations = stationary @ member
    # Z a = x + p with (1 - P) x = a - p, made unique by x = 0 in the first state and then by mean zero
    system = csr_array(eye_array(len(stationary)) - matrix)
    mean_free = np.zeros_like(member)
    mean_free[1:] = factorized(system[1:, 1:], "projection").solve((member - populations)[1:])
    fundamental = mean_free - stationary @ mean_free + populations
    # Z_N = D_p^-1 A^T D_pi Z A and P_N = 1 + 1 p^T - Z_N^-1
    between = (member.T * stationary) @ fundamental / populations[:, None]
    return LumpedModel(
        np.eye(len(populations)) + populations - np.linalg.inv(between), populations, model.lag
    )


def _members(model: MarkovModel, sets: np.ndarray) -> tuple[np.ndarray, np.ndarray, csr_array]:
    """Indicator ``(active, sets)``, populations and transition matrix of the active states."""
    sets = np.asarray(sets)
    if sets.shape != (model.n_states,):
        raise ValueError(f"sets has shape {sets.shape}, needed is one number per state, ({model.n_states},)")
    inside = sets[model.active.states]
    if (inside < 0).any():
        lost = model.active.states[inside < 0]
        raise ValueError(f"active states {lost[:10].tolist()} are in no set; give every active state one")
    member = (inside[:, None] == np.arange(sets.max() + 1)).astype(float)
    if member.shape[1] < 2 or not member.any(axis=0).all():
        raise ValueError(f"each of at least two sets needs an active state; got {np.unique(inside).tolist()}")
    return member, model.fit.stationary_distribution, model.fit.matrix
