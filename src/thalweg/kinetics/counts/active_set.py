"""The active set: the states a Markov model can speak of, in their original numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from thalweg.shapes import Float, Shaped

Connectivity = Literal["strong", "weak"]


@dataclass(frozen=True, eq=False)
class ActiveStates:
    """The connected states with most of the data; everything else is named, nothing is renumbered.

    Attributes
    ----------
    states : (active,), their original numbers, ascending
    n_states : number of all states
    kept : share of the counts that lie inside the set
    unseen : (unseen,), original numbers of the states that no transition starts or ends in

    Examples
    --------
    >>> counts = csr_array(np.array([[5.0, 1, 0], [1, 5, 0], [0, 1, 4]]))
    >>> print(active_set(counts))
    2 of 3 states with 70.59 % of the counts; not connected with them: 2
    """

    states: Shaped[np.ndarray, " active"]
    n_states: int
    kept: float
    unseen: Shaped[np.ndarray, " unseen"] = field(default_factory=lambda: np.zeros(0, int))

    @property
    def dropped(self) -> np.ndarray:
        """Original numbers of the states left out."""
        outside = np.ones(self.n_states, bool)
        outside[self.states] = False
        return np.flatnonzero(outside)

    @property
    def complete(self) -> bool:
        """Whether all states are active."""
        return len(self.states) == self.n_states

    def restrict(self, matrix: csr_array) -> csr_array:
        """Rows and columns of the active states."""
        return matrix if self.complete else matrix[self.states][:, self.states]

    def spread(self, values: np.ndarray, outside: float) -> np.ndarray:
        """Values of active states ``(active, ...)`` at their original places, ``outside`` at all others."""
        spread = np.full((self.n_states, *values.shape[1:]), outside, dtype=np.result_type(values, float))
        spread[self.states] = values
        return spread

    def spread_matrix(self, matrix: csr_array) -> csr_array:
        """A matrix between active states at their original places; other rows are empty."""
        if self.complete:
            return matrix
        entries = matrix.tocoo()
        places = self.states[entries.row], self.states[entries.col]
        return csr_array((entries.data, places), shape=(self.n_states, self.n_states))

    def places(self, states: np.ndarray) -> np.ndarray:
        """Positions of states among the active ones; states that are not active are left out."""
        return np.flatnonzero(np.isin(self.states, states))

    def __str__(self) -> str:
        text = f"{len(self.states)} of {self.n_states} states with {100 * self.kept:.2f} % of the counts"
        if self.complete:
            return text
        apart = np.ones(self.n_states, bool)
        apart[self.states] = apart[self.unseen] = False
        named = {"never seen": self.unseen, "not connected with them": np.flatnonzero(apart)}
        return text + "".join(f"; {why}: {_listed(states)}" for why, states in named.items() if len(states))


def _listed(states: np.ndarray) -> str:
    return ", ".join(map(str, states[:10])) + (" ..." if len(states) > 10 else "")


def active_set(
    counts: Float[csr_array, "states states"] | csr_array, connectivity: Connectivity = "strong"
) -> ActiveStates:
    """The connected set of states that holds most counts.

    Parameters
    ----------
    counts : (states, states) sparse
    connectivity : "strong" (each state is left and entered, for estimates of populations) or "weak"

    Raises
    ------
    ValueError
        If no two states are connected.
    """
    number, label = connected_components(counts, directed=True, connection=connectivity)
    entries = counts.tocoo()
    inside = label[entries.row] == label[entries.col]
    # the component with most counts inside it, of those with at least two states
    mass = np.bincount(label[entries.row[inside]], entries.data[inside], minlength=number)
    sizes = np.bincount(label, minlength=number)
    best = int(np.argmax(np.where(sizes > 1, mass, -1.0)))
    if sizes[best] < 2:
        raise ValueError(
            "no two states are connected by transitions in both directions; "
            "use fewer states, a shorter lagtime, or more data"
        )
    unseen = np.ones(counts.shape[0], bool)
    unseen[entries.row] = unseen[entries.col] = False
    return ActiveStates(
        np.flatnonzero(label == best),
        counts.shape[0],
        float(mass[best] / entries.data.sum()),
        np.flatnonzero(unseen),
    )
