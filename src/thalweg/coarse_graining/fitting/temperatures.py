r"""One coarse potential for several temperatures: an energy and an entropy part, fitted together.

A free energy of beads changes with temperature as :math:`F = E - TS`. Where functions are linear in their coefficients
this stays one least squares problem [lu2011],

.. math::  U(x; T) = \sum_k \big(a_k + b_k (T/T_0 - 1)\big)\,\Phi_k(x),
           \qquad E = \sum_k (a_k - b_k)\,\Phi_k, \qquad -T_0 S = \sum_k b_k\,\Phi_k

whose sums are those of each temperature alone, so that a temperature more is another sum.
"""

from __future__ import annotations

from collections.abc import Mapping as Table
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.coarse_graining.bead_frames import BeadFrames
from thalweg.coarse_graining.fitting.force_matching import ForceMatching
from thalweg.coarse_graining.fitting.linear_model import LinearCoarseModel, continued
from thalweg.learned_potentials.linear.normal_equations import Sums
from thalweg.learning.models import Method, Model
from thalweg.shapes import Float
from thalweg.units import BOLTZMANN


@dataclass(frozen=True)
class TemperatureDependentModel(Model):
    """A linear coarse model whose coefficients change with temperature.

    Attributes
    ----------
    reference : the model at the middle temperature, and its errors
    slopes : (functions,) ``b`` [kJ/mol]
    slope_errors : (functions,) standard errors
    kT : of the reference [kJ/mol]
    fitted : (temperatures,) kT of the frames [kJ/mol]
    """

    reference: LinearCoarseModel
    slopes: Float[np.ndarray, " functions"]
    slope_errors: Float[np.ndarray, " functions"]
    kT: float
    fitted: Float[np.ndarray, " temperatures"]

    def headline(self) -> Table[str, Any]:
        low, high = (float(each) / BOLTZMANN for each in (self.fitted.min(), self.fitted.max()))
        return {"coefficients": 2 * len(self.slopes), "temperatures [K]": f"{low:.0f} to {high:.0f}"}

    def at(self, kT: float) -> LinearCoarseModel:
        """The model at a temperature, also one between or beyond those it was fitted to.

        Its ``info`` says by how many spans of the fitted temperatures it lies beyond them; zero is within.
        """
        if not kT > 0:
            raise ValueError(f"kT must be positive [kJ/mol]; got {kT}")
        span = float(np.ptp(self.fitted))
        beyond = max(float(self.fitted.min()) - kT, kT - float(self.fitted.max()), 0.0) / span
        return self._combined(1.0, kT / self.kT - 1, {"kT": kT, "spans beyond those fitted": beyond})

    def energy_part(self) -> LinearCoarseModel:
        """``E``, what does not change with temperature."""
        return self._combined(1.0, -1.0, {})

    def entropy_part(self) -> LinearCoarseModel:
        """``-T S`` at the reference temperature; times ``T / T_0`` elsewhere."""
        return self._combined(0.0, 1.0, {})

    def _combined(self, share: float, slope: float, info) -> LinearCoarseModel:
        first = self.reference
        # errors of both are nearly independent where the reference is the middle of the temperatures
        errors = np.hypot(share * first.errors, slope * self.slope_errors)
        return LinearCoarseModel(
            first.interactions,
            share * first.coefficients + slope * self.slopes,
            errors,
            first.beads,
            first.prior,
            {**first.info, **info},
        )


@dataclass(frozen=True)
class TemperatureForceMatching(Method):
    """Forces of several temperatures matched by one potential with an energy and an entropy part.

    Parameters
    ----------
    matching : functions, prior and regularization; the prior is taken to be the same at all temperatures

    Examples
    --------
    >>> from thalweg.coarse_graining.interactions.functions import Powers
    >>> from thalweg.coarse_graining.interactions.interaction import BondedInteraction, InternalCoordinate
    >>> def spring(kT, k, rng=np.random.default_rng(0)):
    ...     x = np.array([[0.0, 0, 0], [0.15, 0, 0]]) + rng.normal(0, 0.005, (200, 2, 3))
    ...     r = x[:, 1] - x[:, 0]
    ...     length = np.linalg.norm(r, axis=1, keepdims=True)
    ...     pull = -k * (length - 0.15) * r / length
    ...     return BeadFrames(x, kT=kT, forces=np.stack([-pull, pull], 1))
    >>> bond = BondedInteraction(InternalCoordinate("distance", np.array([[0, 1]]), Powers(0.15)), name="bond")
    >>> method = TemperatureForceMatching(ForceMatching((bond,)))
    >>> model = method.fit([spring(2.0, 900.0), spring(3.0, 1100.0)])
    >>> model.at(2.5).coefficients.round(2) + 0.0, model.entropy_part().coefficients.round(2) + 0.0
    (array([  0., 500.]), array([  0., 250.]))
    """

    matching: ForceMatching

    def fit(self, sets: Sequence[BeadFrames]) -> TemperatureDependentModel:
        """The model for ``sets`` of frames with forces, each of one temperature.

        Raises
        ------
        ValueError
            If all are of one temperature, or frames have no forces.
        """
        kTs = np.array([each.kT for each in sets], float)
        if len(sets) < 2 or np.ptp(kTs) < 1e-6 * kTs.max():
            raise ValueError(
                f"an entropy part needs frames of two temperatures or more; got kT of {sorted(kTs.tolist())} kJ/mol. "
                "ForceMatching alone fits one temperature"
            )
        middle = float((kTs.min() + kTs.max()) / 2)
        folds: list[Sums] | None = None
        beads = 0
        for frames in sets:
            sums, beads = self.matching.sums(frames)
            grown = [_with_slope(one, frames.kT / middle - 1) for one in sums]
            folds = grown if folds is None else [a + b for a, b in zip(folds, grown)]
        coefficients, errors, info = self.matching.solved(folds or [])
        count = len(coefficients) // 2
        counts = np.sum([np.diagonal(one.gram)[:count] for one in folds or []], axis=0)
        reference = LinearCoarseModel(
            tuple(self.matching.interactions),
            continued(self.matching.interactions, coefficients[:count], counts),
            errors[:count],
            beads,
            self.matching.prior,
            info,
        )
        return TemperatureDependentModel(reference, coefficients[count:], errors[count:], middle, kTs)


def _with_slope(sums: Sums, tau: float) -> Sums:
    """Sums over rows ``[x, tau x]`` from those over ``x``."""
    gram = np.triu(sums.gram)
    whole = gram + gram.T - np.diag(np.diagonal(gram))
    count = len(sums.moment)
    grown = Sums(2 * count)
    grown.gram = np.asfortranarray(np.kron(np.array([[1.0, tau], [tau, tau**2]]), whole))
    grown.moment = np.concatenate([sums.moment, tau * sums.moment])
    grown.square, grown.count = sums.square, sums.count
    return grown
