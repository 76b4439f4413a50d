r"""Transition path theory: how much passes from A to B, and along which states [metzner2009].

.. math::  f_{ij} = \pi_i\, q^-_i\, p_{ij}\, q^+_j,\qquad F = \sum_{i \in A,\, j \notin A} f_{ij},\qquad
           k_{AB} = \frac{F}{\tau \sum_i \pi_i\, q^-_i}

with the forward committor :math:`q^+` and the backward one :math:`q^-`, the probability to have come from A
last.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, diags_array

from thalweg.kinetics.markov_state_model import MarkovModel
from thalweg.kinetics.reactions.committor import absorbed, active_places, committor
from thalweg.learning.models import Model
from thalweg.shapes import Shaped


@dataclass(frozen=True, eq=False)
class ReactiveFlux(Model):
    """Flux of reactive trajectories from A to B.

    Attributes
    ----------
    net : (n_states, n_states) sparse [1/ps], reactive flux less its reverse, where positive
    total : [1/ps], reactive trajectories per time at equilibrium
    rate : [1/ps], the same per time spent coming from A
    committor : (n_states,), forward; NaN outside the active set
    start, target : active states of A and of B
    stationary_distribution : (n_states,), zero outside the active set
    """

    net: csr_array
    total: float
    rate: float
    committor: Shaped[np.ndarray, " n_states"]
    start: np.ndarray
    target: np.ndarray
    stationary_distribution: Shaped[np.ndarray, " n_states"]

    def headline(self) -> dict[str, object]:
        """Where from and to, flux and rate."""
        return {
            "start": self.start,
            "target": self.target,
            "flux": f"{self.total:.4g} /ps",
            "rate": f"{self.rate:.4g} /ps",
            "transitions": self.net.nnz,
        }

    def __str__(self) -> str:
        return (
            f"flux {self.total:.4g} /ps from {len(self.start)} to {len(self.target)} states, "
            f"rate {self.rate:.4g} /ps, over {self.net.nnz} transitions"
        )


def reactive_flux(
    model: MarkovModel, a: Collection[int] | np.ndarray, b: Collection[int] | np.ndarray
) -> ReactiveFlux:
    """Reactive flux of a model from the states ``a`` to the states ``b`` (original numbering).

    Parameters
    ----------
    model : `MarkovModel`
    a, b : states, in original numbering

    Raises
    ------
    ValueError
        If the sets overlap, or one has no active state.

    Examples
    --------
    >>> from thalweg.kinetics.markov_state_model import MarkovStateModel
    >>> walk = np.array([0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0])
    >>> flux = reactive_flux(MarkovStateModel(lagtime=1).fit([walk]), [0], [3])
    >>> round(flux.total * 18, 3)
    1.0
    """
    forward = committor(model, a, b)
    active, stationary, matrix = model.active.states, model.fit.stationary_distribution, model.fit.matrix
    in_a, in_b = active_places(model, a, "A"), active_places(model, b, "B")
    # q-: the committor from B to A of the chain run backward, pi_j p_ji / pi_i
    reverse = matrix
    if not model.fit.reversible:
        reverse = csr_array(diags_array(1 / stationary) @ matrix.T @ diags_array(stationary))
    ends = np.concatenate([in_a, in_b])
    value = np.concatenate([np.ones(len(in_a)), np.zeros(len(in_b))])
    backward = absorbed(reverse, ends, value, 0.0)
    # f_ij = pi_i q-_i p_ij q+_j, and its net part f_ij - f_ji where positive
    gross = csr_array(diags_array(stationary * backward) @ matrix @ diags_array(forward[active])) / model.lag
    gross.setdiag(0)
    outside = np.setdiff1d(np.arange(len(active)), in_a)
    total = float(gross[in_a][:, outside].sum())
    net = (gross - gross.T).maximum(0)
    # k_AB = F / (tau sum_i pi_i q-_i), the lag time being in the flux already
    rate = total / float(stationary @ backward)
    return ReactiveFlux(
        model.active.spread_matrix(csr_array(net)),
        total,
        rate,
        forward,
        active[in_a],
        active[in_b],
        model.stationary_distribution,
    )


def coarse_grained(flux: ReactiveFlux, sets: Shaped[np.ndarray, " n_states"]) -> ReactiveFlux:
    """The same flux between sets of states: what passes from one set to another, less what comes back.

    Total flux and rate stay; the committor of a set is the mean of its states at equilibrium [noe2009].

    Parameters
    ----------
    sets : (n_states,) int
        The set of every state; -1 outside the active set.

    Raises
    ------
    ValueError
        If a state with flux has no set, or a set holds states of A or B together with others.

    Examples
    --------
    >>> from thalweg.kinetics.markov_state_model import MarkovStateModel
    >>> walk = np.array([0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0])
    >>> flux = reactive_flux(MarkovStateModel(lagtime=1).fit([walk]), [0], [3])
    >>> few = coarse_grained(flux, np.array([0, 1, 1, 2]))
    >>> (few.net.toarray() / few.total).round(3).tolist(), round(float(few.committor[1]), 3)
    ([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]], 0.5)
    """
    sets = np.asarray(sets)
    if sets.shape != flux.committor.shape:
        raise ValueError(
            f"sets has shape {sets.shape}, needed is one number per state, {flux.committor.shape}"
        )
    active = np.isfinite(flux.committor)
    if (lost := np.flatnonzero(active & (sets < 0))).size:
        raise ValueError(f"active states {lost[:10].tolist()} are in no set; give every active state one")
    # sets that hold states of A or B must hold nothing else, or the flux would not begin and end in them
    ends = []
    for name, states in (("A", flux.start), ("B", flux.target)):
        end_sets = np.unique(sets[states])
        others = np.setdiff1d(np.flatnonzero(np.isin(sets, end_sets) & active), states)
        if len(others):
            raise ValueError(
                f"sets {end_sets.tolist()} hold states of {name} and others, such as {others[:5].tolist()}; "
                f"divide them so that {name} is made of whole sets"
            )
        ends.append(end_sets)
    member = csr_array((sets[:, None] == np.arange(sets.max() + 1)).astype(float))
    # F_IJ = sum_{i in I, j in J} f_ij, and again its net part
    between = csr_array(member.T @ flux.net @ member)
    between.setdiag(0)
    # q+_I, the mean over the set at equilibrium; NaN for sets without weight
    weights = flux.stationary_distribution @ member
    mean = (flux.stationary_distribution * np.nan_to_num(flux.committor)) @ member
    committor = np.where(weights > 0, mean / np.where(weights > 0, weights, 1), np.nan)
    net = csr_array((between - between.T).maximum(0))
    return ReactiveFlux(net, flux.total, flux.rate, committor, *ends, weights)
