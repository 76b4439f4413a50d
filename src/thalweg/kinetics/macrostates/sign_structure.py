r"""Metastable sets by signs of eigenfunctions, the original Perron cluster analysis, PCCA [deuflhard2000].

The slowest eigenfunction has one sign on each side of the largest barrier; each further one divides one of
the sets found so far. Of these the set is divided in which the eigenfunction spreads most, at its change of
sign. Sets are crisp. The eigenfunctions are nearly zero on barriers, where signs are accidental: prefer
`metastable_sets` (PCCA+), which gives such states to several sets in part.
"""

from __future__ import annotations

import numpy as np

from thalweg.kinetics.macrostates.pcca import MetastableSets, slow_functions
from thalweg.kinetics.markov_state_model import MarkovModel


def sign_sets(model: MarkovModel, n_sets: int) -> MetastableSets:
    """Crisp metastable sets of a reversible model.

    Parameters
    ----------
    model : reversible
    n_sets : how many sets

    Raises
    ------
    ValueError
        If the model is not reversible, has fewer active states than ``n_sets``, or an eigenfunction
        changes sign in none of the sets found before it.

    Examples
    --------
    >>> from thalweg.kinetics.markov_state_model import MarkovStateModel
    >>> rng = np.random.default_rng(0)
    >>> side = np.cumsum(rng.random(20000) < 0.01) % 2
    >>> model = MarkovStateModel(lagtime=1).fit([2 * side + rng.integers(0, 2, 20000)])
    >>> sign_sets(model, 2).assignments.tolist() in ([0, 0, 1, 1], [1, 1, 0, 0])
    True
    """
    stationary, functions = model.fit.stationary_distribution, slow_functions(model, n_sets, "PCCA")
    sets = np.zeros(len(stationary), int)
    for k in range(1, n_sets):
        upper = functions[:, k] > 0
        # how far the eigenfunction spreads in each set it changes sign in
        spread = [
            np.ptp(functions[sets == s, k]) if 0 < upper[sets == s].sum() < (sets == s).sum() else -1.0
            for s in range(k)
        ]
        if max(spread) < 0:
            raise ValueError(
                f"eigenfunction {k} divides none of the {k} sets before it; use at most {k} sets, or PCCA+"
            )
        sets[(sets == int(np.argmax(spread))) & upper] = k
    populations = np.bincount(sets, stationary, n_sets)
    order = np.argsort(-populations)
    memberships = (sets[:, None] == order).astype(float)
    return MetastableSets(model.active.spread(memberships, np.nan), populations[order], crispness=1.0)
