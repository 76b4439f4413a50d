"""Iterative Boltzmann inversion: a pair potential corrected until radial distributions are right [reith2003].

    u_{n+1}(r) = u_n(r) + a kT ln( g_n(r) / g_reference(r) ),

started from the potential of mean force ``-kT ln g``. A liquid has one pair potential for one radial distribution
[henderson1974], and it need not have its pressure: where that is asked for, a ramp ``A (1 - r / cutoff)`` that shifts
the virial by what is lacking is added in each round [wang2009], which moves ``g`` little.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from thalweg.coarse_graining.bead_frames import BeadFrames
from thalweg.coarse_graining.fitting.linear_model import LinearCoarseModel
from thalweg.coarse_graining.interactions.interaction import PairInteraction
from thalweg.coarse_graining.judgement.distributions import bead_radial_distribution
from thalweg.coarse_graining.simulation import CoarseDynamics
from thalweg.learning.models import Method
from thalweg.shapes import Float
from thalweg.units import BAR

SEEN = 0.02
"""Where the radial distribution is below this, its logarithm is not taken: a straight line goes on."""


@dataclass(frozen=True)
class IterativeBoltzmannInversion(Method):
    """Pair potentials from radial distributions, by simulating the model again and again.

    Parameters
    ----------
    pairs : with splines that vanish at the cutoff
    dynamics : how the model is simulated
    rounds : simulations at most
    damping : share ``a`` of each correction that is made
    settled : done when the root mean square difference of radial distributions is below this
    pressure : the pressure to have besides [bar]; None leaves it as it comes
    bins : of the radial distribution, up to the cutoff
    seed : of the simulations
    progress : told what a round found
    """

    pairs: PairInteraction
    dynamics: CoarseDynamics = CoarseDynamics()  # noqa: RUF009
    rounds: int = 10
    damping: float = 0.7
    settled: float = 0.02
    pressure: float | None = None
    bins: int = 60
    seed: int = 0
    progress: Callable[[str], None] | None = None

    def fit(self, frames: BeadFrames) -> LinearCoarseModel:
        """The model for ``frames``, which need boxes and no forces.

        Raises
        ------
        ValueError
            If frames have no boxes, or no two beads ever meet within the cutoff.
        """
        r, target = bead_radial_distribution(self.pairs, frames, self.bins)
        if not (target > SEEN).any():
            raise ValueError(
                f"no two beads of kinds {self.pairs.between} meet within {self.pairs.cutoff} nm; choose a longer cutoff"
            )
        c = self._splines(r, -frames.kT * np.log(np.maximum(target, 1e-12)), target)
        model = LinearCoarseModel(
            (self.pairs,), c, np.full(len(c), np.nan), frames.positions.shape[1], None, {}
        )
        best, place, done = model, frames, 0
        for done in range(1, self.rounds + 1):
            drawn = self.dynamics.run(model.energy(), place, seed=self.rounds * self.seed + done)
            found = bead_radial_distribution(self.pairs, drawn, self.bins)[1]
            apart = float(np.sqrt(np.mean((found - target) ** 2)))
            bar = virial_pressure(self.pairs, model.coefficients, drawn)
            info = {"simulations": done, "difference of g": apart, "pressure [bar]": bar}
            model = replace(model, info=info)
            if self.progress is not None:
                self.progress(f"round {done}: g differs by {apart:.3f}, pressure {bar:.0f} bar")
            if self._better(info, best.info):
                best = model
            if apart < self.settled and (self.pressure is None or abs(bar - self.pressure) < 20):
                break
            both = (found > SEEN) & (target > SEEN)
            ratio = np.where(both, np.maximum(found, SEEN) / np.maximum(target, SEEN), 1.0)
            change = self.damping * frames.kT * np.log(ratio)
            if self.pressure is not None:
                change += self._ramp(r, found, drawn, self.pressure - bar)
            model = replace(model, coefficients=model.coefficients + self._splines(r, change, target))
            place = drawn
        return replace(best, info={**best.info, "simulations": done})

    def _better(self, info, best) -> bool:
        def score(one):
            off = 0.0 if self.pressure is None else abs(one["pressure [bar]"] - self.pressure) / 1000
            return one["difference of g"] + off

        return not best or score(info) < score(best)

    def _splines(self, r, values, target) -> Float[np.ndarray, " functions"]:
        """Coefficients of ``values`` at ``r``; where the reference never is, they go on straight."""
        seen = target > SEEN
        design, _ = self.pairs.functions.design(r[seen])
        # distances count by how often they are seen: the steep end has few pairs and would have all the weight
        often = np.sqrt(target[seen])
        rows, wanted = design.T * often[:, None], values[seen] * often
        # below the first distance seen: second differences of coefficients vanish
        bend = 0.1 * np.diff(np.eye(rows.shape[1]), 2, axis=0)[: max(0, rows.shape[1] - 3)]
        reached = np.abs(rows).sum(0) > 1e-3
        bend = bend[~reached[: len(bend)]]
        return np.linalg.lstsq(np.vstack([rows, bend]), np.r_[wanted, np.zeros(len(bend))], rcond=None)[0]

    def _ramp(self, r, found, frames, lacking) -> Float[np.ndarray, " bins"]:
        """``A (1 - r / cutoff)`` whose virial is what the pressure lacks, a third of the energy of heat at most."""
        rho, _ = _densities(self.pairs, frames)
        # P = rho kT - (2 pi / 3) rho^2 int r^3 u' g dr, and u' = -A / cutoff
        lever = 2 * np.pi / 3 * rho**2 * np.sum(r**3 * found) * (r[1] - r[0]) / self.pairs.cutoff
        strength = np.clip(lacking * BAR / lever, -frames.kT / 3, frames.kT / 3)
        return strength * (1 - r / self.pairs.cutoff)


def virial_pressure(
    pairs: PairInteraction, coefficients: Float[np.ndarray, " functions"], frames: BeadFrames
) -> float:
    """Pressure [bar] of beads under a pair potential, by the virial.

    Raises
    ------
    ValueError
        If frames have no boxes.
    """
    _, total = _densities(pairs, frames)
    virials = pairs.virials(frames.positions, frames.boxes) @ np.asarray(coefficients)
    return float((total * frames.kT + virials.mean()) / BAR)


def _densities(pairs: PairInteraction, frames: BeadFrames) -> tuple[float, float]:
    """Geometric mean of the densities of both kinds, and that of all beads [1/nm^3]."""
    if frames.boxes is None:
        raise ValueError("a pressure needs the volume; give frames with boxes")
    volume = float(np.abs(np.linalg.det(frames.boxes)).mean())
    a, b = (int((np.asarray(pairs.kinds) == kind).sum()) for kind in pairs.between)
    return float(np.sqrt(a * b)) / volume, frames.positions.shape[1] / volume
