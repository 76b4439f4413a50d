r"""How many actives stand at the top of a ranked library, and decoys that do not give themselves away by size.

A library is ranked to look at its top alone. The *enrichment factor* of a fraction is the share of actives in that part
of the ranking over the share in all; BEDROC [truchon2007] weighs every active by how early it comes,

.. math::  \mathrm{BEDROC} = \frac{\sum_i e^{-\alpha r_i / N} - S_\text{min}}{S_\text{max} - S_\text{min}}

with :math:`r_i` the rank of active :math:`i` of all :math:`N`, one if all actives come first and zero if last. What
binds is larger and greasier than what molecules are on average, so that its size alone finds it: decoys are taken as
like the actives in such properties and as unlike them in their substructures [mysinger2012]. They are presumed not to
bind; nobody has measured it. Whatever is claimed of structures is therefore to stand beside what ligands alone say
[sieg2019].
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.stats import rankdata

from thalweg.shapes import Bool, Float, Int


def enrichment_factor(
    scores: Float[np.ndarray, " molecules"], active: Bool[np.ndarray, " molecules"], fraction: float = 0.01
) -> float:
    """Share of actives among the highest scores over that among all; molecules of equal score count in part.

    Parameters
    ----------
    fraction : of the library that is looked at, at least one molecule

    Raises
    ------
    ValueError
        If all or none are active, a score is no number, or the fraction is not between 0 and 1.

    Examples
    --------
    >>> enrichment_factor(np.arange(100.0), np.arange(100) >= 95, 0.05)
    20.0
    """
    scores, active = _checked(scores, active)
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction={fraction:g} of a library; give one above 0, at most 1")
    first = max(1, round(fraction * len(scores)))
    last = np.sort(scores)[-first]
    above, equal = scores > last, scores == last
    found = active[above].sum() + active[equal].mean() * (first - above.sum())
    return float(found / first / active.mean())


def bedroc(
    scores: Float[np.ndarray, " molecules"], active: Bool[np.ndarray, " molecules"], alpha: float = 20.0
) -> float:
    """BEDROC of scores, the higher the better; equal ones share their ranks.

    Parameters
    ----------
    alpha : how fast weights fall; with 20 the first 8 % of the ranking are 80 % of the score

    Raises
    ------
    ValueError
        As `enrichment_factor`.

    Examples
    --------
    >>> active = np.arange(200) >= 190
    >>> round(bedroc(np.arange(200.0), active), 6), round(bedroc(-np.arange(200.0), active), 6)
    (1.0, 0.0)
    """
    scores, active = _checked(scores, active)
    count, total = len(scores), int(active.sum())
    weight = np.exp(-alpha * rankdata(-scores) / count)[active].sum()
    places = np.exp(-alpha * np.arange(1, count + 1) / count)
    most, least = places[:total].sum(), places[-total:].sum()
    return float((weight - least) / (most - least))


def matched_decoys(
    actives: Float[np.ndarray, "actives properties"],
    candidates: Float[np.ndarray, "candidates properties"],
    similarities: Float[np.ndarray, "candidates actives"],
    each: int = 50,
    most_similar: float = 0.35,
) -> Int[np.ndarray, "actives each"]:
    """Candidates nearest to each active in properties among those unlike all actives, none taken twice.

    Properties are such as mass, logP, charge, rotatable bonds, donors and acceptors; distances are in units of their
    deviations over candidates. Actives choose in turns, so that the last one is left as many as the first; in each turn
    the sum of distances is the least there is.

    Parameters
    ----------
    similarities : of substructures, such as Tanimoto's of fingerprints
    each : decoys of an active
    most_similar : candidates more alike to any active are no decoys

    Raises
    ------
    ValueError
        If too few candidates are left.

    Examples
    --------
    >>> candidates = np.array([[1.0], [1.1], [5.0], [5.2], [1.0]])
    >>> alike = np.array([[0.1, 0.1]] * 4 + [[0.9, 0.1]])
    >>> matched_decoys(np.array([[1.0], [5.0]]), candidates, alike, each=2).tolist()
    [[0, 1], [2, 3]]
    """
    left = np.flatnonzero((np.asarray(similarities) <= most_similar).all(1))
    if len(left) < each * len(actives):
        raise ValueError(
            f"{len(left)} of {len(candidates)} candidates are unlike all actives, {each} decoys of each of "
            f"{len(actives)} actives need {each * len(actives)}; give more candidates or take fewer decoys"
        )
    scale = np.asarray(candidates, float).std(0)
    scale = np.where(scale > 0, scale, 1.0)
    gaps = cdist(np.asarray(actives) / scale, np.asarray(candidates)[left] / scale)
    chosen = []
    for _ in range(each):
        _, places = linear_sum_assignment(gaps)
        chosen.append(left[places])
        gaps[:, places] = 1e6  # taken
    return np.stack(chosen, 1)


def _checked(scores, active):
    scores, active = np.asarray(scores, float), np.asarray(active, bool)
    if not np.isfinite(scores).all():
        raise ValueError(f"{int((~np.isfinite(scores)).sum())} scores are no numbers; leave these out")
    if active.all() or not active.any():
        raise ValueError(f"{int(active.sum())} of {len(active)} molecules are active; both kinds are needed")
    return scores, active
