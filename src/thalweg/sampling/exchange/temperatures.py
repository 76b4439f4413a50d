"""Temperatures whose neighbors change places equally often, from energies of a short run [rathore2005].

Two neighbors at ``T_1 < T_2`` change places with the mean probability ``2 P(U_1 > U_2)``, the energies drawn from their
own ensembles: all of it follows from how energies are distributed at each temperature. Between the temperatures of the
short run, quantiles of that distribution are interpolated linearly in T, which is exact for a harmonic system of any
size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from thalweg.shapes import Float

QUANTILES = 400
"""Of a distribution of energies."""

MOST_RUNGS = 512
"""Beyond which no ladder is placed."""


@dataclass(frozen=True, eq=False)
class EnergyQuantiles:
    """How potential energies are distributed from one temperature to another.

    Attributes
    ----------
    kT : (temperatures,) ascending [kJ/mol]
    quantiles : (temperatures, quantiles) of the potential energy, ascending in both [kJ/mol]

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> kT = np.array([1.0, 2.0, 4.0])
    >>> harmonic = EnergyQuantiles.of(kT, [0.5 * t * rng.chisquare(30, 20_000) for t in kT])
    >>> round(harmonic.acceptance(1.0, 1.4), 2), harmonic.rungs(1.0, 4.0, 0.3)         # exact: 0.36
    (0.36, 5)
    >>> (harmonic.placed(1.0, 4.0, 5) / 4.0 ** (np.arange(5) / 4)).round(2).tolist()    # exact: geometric
    [1.0, 1.0, 1.0, 1.0, 1.0]
    """

    kT: Float[np.ndarray, " temperatures"]
    quantiles: Float[np.ndarray, "temperatures quantiles"]

    @staticmethod
    def of(kT: Sequence[float] | np.ndarray, energies: Sequence[np.ndarray]) -> EnergyQuantiles:
        """From the potential energies [kJ/mol] of frames at each temperature.

        Raises
        ------
        ValueError
            If temperatures do not ascend or one has fewer than two energies.
        """
        kT = np.asarray(kT, float)
        if len(kT) < 2 or (np.diff(kT) <= 0).any() or min(map(len, energies)) < 2:
            raise ValueError(
                f"{len(kT)} temperatures with {[len(u) for u in energies]} energies; give at least two temperatures, "
                "ascending, with at least two energies each"
            )
        places = (np.arange(QUANTILES) + 0.5) / QUANTILES
        table = np.stack([np.quantile(np.asarray(u, float), places) for u in energies])
        # energies rise with temperature; what does not is noise of a short run
        return EnergyQuantiles(kT, np.maximum.accumulate(table, axis=0))

    def at(self, kT: float) -> Float[np.ndarray, " quantiles"]:
        """Quantiles of the energy at ``kT`` [kJ/mol]."""
        k = int(np.clip(np.searchsorted(self.kT, kT) - 1, 0, len(self.kT) - 2))
        w = (kT - self.kT[k]) / (self.kT[k + 1] - self.kT[k])
        return (1 - w) * self.quantiles[k] + w * self.quantiles[k + 1]

    def acceptance(self, colder: float, hotter: float) -> float:
        """How often neighbors at these ``kT`` change places."""
        if hotter <= colder:
            return 1.0
        low, high = self.at(colder), self.at(hotter)
        # 2 P(U_1 > U_2), the steps of one distribution smoothed
        below = np.interp(low, high, (np.arange(QUANTILES) + 0.5) / QUANTILES, left=0.0, right=1.0)
        return float(min(1.0, 2 * below.mean()))

    def rungs(self, lowest: float, highest: float, acceptance: float) -> int:
        """The fewest temperatures from ``lowest`` to ``highest`` whose neighbors change places so often."""
        return len(self.climbed(lowest, highest, acceptance)) + 2

    def placed(self, lowest: float, highest: float, rungs: int) -> Float[np.ndarray, " rungs"]:
        """Temperatures ``kT`` [kJ/mol] from ``lowest`` to ``highest`` with one and the same acceptance.

        Raises
        ------
        ValueError
            If these temperatures are not within those of the short run.
        """
        if not self.kT[0] <= lowest < highest <= self.kT[-1] * (1 + 1e-9):
            raise ValueError(
                f"kT from {lowest:g} to {highest:g} is not within {self.kT[0]:g} to {self.kT[-1]:g} kJ/mol, where "
                "energies are known"
            )
        if rungs == 2:
            return np.array([lowest, highest])

        def short(acceptance: float) -> float:
            """How far, in log T, the last rung ends below the highest temperature; less than zero beyond it."""
            places = self.climbed(lowest, highest, acceptance)[: rungs - 2]
            if len(places) < rungs - 2:  # so low an acceptance gets there with fewer
                return -1.0
            return acceptance - self.acceptance(places[-1], highest)

        lower, upper = 1e-6, 0.999999
        if short(lower) * short(upper) > 0:
            return np.geomspace(lowest, highest, rungs)
        equal = float(brentq(short, lower, upper, xtol=1e-5))
        return np.array([lowest, *self.climbed(lowest, highest, equal)[: rungs - 2], highest])

    def climbed(self, lowest: float, highest: float, acceptance: float) -> list[float]:
        """``kT`` of the rungs between [kJ/mol], each as far from the one before as the acceptance allows."""
        places, here = [], lowest
        while self.acceptance(here, highest) < acceptance and len(places) < MOST_RUNGS:

            def closer(kT: float, below: float = here) -> float:
                return self.acceptance(below, kT) - acceptance

            here = float(brentq(closer, here, highest, xtol=1e-6 * here))
            places.append(here)
        return places
