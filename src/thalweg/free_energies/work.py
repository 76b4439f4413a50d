r"""The free-energy difference of two ensembles from the work of driving one into the other, one way or both.

One way, :math:`\Delta F = -kT \ln \langle e^{-W / kT} \rangle` [jarzynski1997]; both ways, Bennett's acceptance
ratio, the maximum of the likelihood of all works [shirts2003], which is MBAR of two ensembles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from thalweg.free_energies.reweighting import MBAR, effective_sample_size
from thalweg.learning.models import Model
from thalweg.shapes import Float

FEWEST_EFFECTIVE = 10
"""Effective pulls below which an exponential average is not to be trusted."""


@dataclass(frozen=True)
class WorkEstimate(Model):
    """A free-energy difference [kJ/mol].

    Attributes
    ----------
    value, error : of stop less start; the error over bootstrap samples of pulls
    dissipated : mean work beyond the difference, on the way there [kJ/mol]
    effective_pulls : how many pulls carry the average
    notes : what one should know
    """

    value: float
    error: float
    dissipated: float
    effective_pulls: float
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "; ".join((f"{self.value:.2f} ± {self.error:.2f} kJ/mol", *self.notes))


def free_energy_from_work(
    forward: Float[np.ndarray, " pulls"],
    kT: float,
    backward: Float[np.ndarray, " ways_back"] | None = None,
    *,
    samples: int = 200,
    seed: int = 0,
) -> WorkEstimate:
    """``F(stop) - F(start)`` from works of independent pulls.

    Parameters
    ----------
    forward : total work of each pull from start to stop [kJ/mol]
    kT : [kJ/mol]
    backward : of pulls from stop to start, with which the error is far smaller
    samples : of the bootstrap

    Raises
    ------
    ValueError
        If there are fewer than two pulls of a kind or a work is not finite.

    Examples
    --------
    >>> rng = np.random.default_rng(0)                                # Gaussian works: F = 4 - 2^2 / (2 * 1)
    >>> print(free_energy_from_work(rng.normal(4.0, 2.0, 1000), 1.0, rng.normal(0.0, 2.0, 1000)))
    2.00 ± 0.05 kJ/mol
    """
    there = np.asarray(forward, float)
    back = None if backward is None else np.asarray(backward, float)
    for works in (there, back):
        if works is not None and (len(works) < 2 or not np.isfinite(works).all()):
            finite = np.isfinite(works).sum()
            raise ValueError(f"{len(works)} works, {finite} of them finite; give at least 2, all finite")
    value = _estimate(there, back, kT)
    random = np.random.default_rng(seed)
    drawn = [
        _estimate(
            random.choice(there, len(there)), None if back is None else random.choice(back, len(back)), kT
        )
        for _ in range(samples)
    ]
    effective = effective_sample_size(-there / kT)
    notes = ()
    if back is None and effective < FEWEST_EFFECTIVE:
        notes = (
            f"{effective:.1f} of {len(there)} pulls carry the exponential average, which is then too high; pull "
            "slower, or both ways",
        )
    return WorkEstimate(value, float(np.std(drawn)), float(there.mean() - value), effective, notes)


def _estimate(there: np.ndarray, back: np.ndarray | None, kT: float) -> float:
    if back is None:
        return float(-kT * (logsumexp(-there / kT) - np.log(len(there))))
    # energies of the ensemble at stop less those of the one at start: W on the way there, -W on the way back
    apart = np.concatenate([there, -back])
    return _bennett(apart, len(there), kT)


def _bennett(apart: np.ndarray, forward: int, kT: float) -> float:
    solver = MBAR(kT)
    counts = np.array([forward, len(apart) - forward])
    u = np.stack([np.zeros_like(apart), apart]) / kT
    f, _ = solver._solve(u, counts.astype(float))
    return float(kT * f[1])
