"""Uncertainties of a potential put right on frames it was not fitted to, and turned into alarms.

One factor is fitted to residuals of force components (`thalweg.learning.calibration`). An alarm over a frame is raised
when, by its claimed root mean square force deviation and by how errors of held-out frames scatter about theirs, a large
error is not improbable enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from thalweg.learning.calibration import Calibration, ErrorOdds, calibrate
from thalweg.potentials.learned.errors import residuals
from thalweg.potentials.learned.learned_potential import LearnedPotential
from thalweg.systems.configuration import Configuration

CERTAIN = 1e-9
"""Components whose deviation is this small a fraction of the typical one are zero by symmetry and say nothing."""


def force_calibration(potential: LearnedPotential, held_out: Sequence[Configuration]) -> Calibration:
    """What the uncertainty that the terms of ``potential`` claim is worth on ``held_out`` frames with forces.

    Raises
    ------
    ValueError
        If no frame has forces.
    NoUncertainty
        If no term knows how unsure it is.
    """
    labeled = [frame for frame in held_out if frame.forces is not None]
    if not labeled:
        raise ValueError(f"none of {len(held_out)} held-out frames has forces; calibrate on some that do")
    off = residuals(labeled, potential.evaluate(labeled)).forces
    claimed = replace(potential, calibration=float("nan")).spread(labeled).forces
    off, claimed = (np.concatenate([np.ravel(each) for each in side]) for side in (off, claimed))
    open_ = claimed > CERTAIN * np.sqrt(np.mean(claimed**2))
    return calibrate(off[open_], claimed[open_])


def calibrated(potential: LearnedPotential, held_out: Sequence[Configuration]) -> LearnedPotential:
    """``potential`` with its uncertainty scaled to the force errors on ``held_out`` frames; see `force_calibration`."""
    found = force_calibration(potential, held_out)
    summary = {
        "frames": len(held_out),
        "scale": found.scale,
        "coverage_68": found.coverage_68,
        "coverage_95": found.coverage_95,
        "rank_correlation": found.rank_correlation,
    }
    return replace(potential, calibration=found.scale, card={**potential.card, "calibration": summary})


@dataclass(frozen=True)
class ForceAlarm:
    """Raised over frames whose force error is ``limit`` times the usual one with more than ``odds``.

    Worth as much as the claims. Kernels that answer for their uncertainty by a part of their frames (``remembered``)
    claim too little far from them beside what they claim near, and alarms are missed; remember all where it matters.

    Attributes
    ----------
    potential : claims deviations
    errors : how force errors of frames scatter about them
    usual : root mean square force error of the held-out frames [kJ/mol/nm]
    limit : multiple of it that is too much
    odds : a bad frame that is missed is as bad as ``1 / odds - 1`` false alarms
    """

    potential: LearnedPotential
    errors: ErrorOdds
    usual: float
    limit: float = 3.0
    odds: float = 0.1

    @staticmethod
    def of(
        potential: LearnedPotential,
        held_out: Sequence[Configuration],
        limit: float = 3.0,
        odds: float = 0.1,
    ) -> ForceAlarm:
        """The alarm that ``held_out`` frames with forces, of the kind that ``potential`` was fitted to, call for.

        Raises
        ------
        ValueError
            If fewer than two frames have forces.
        NoUncertainty
            If no term knows how unsure it is.
        """
        labeled = [frame for frame in held_out if frame.forces is not None]
        off = force_errors(potential, labeled)
        scatter = ErrorOdds.of(off, force_deviations(potential, labeled))
        return ForceAlarm(potential, scatter, float(np.sqrt(np.mean(off**2))), limit, odds)

    def probabilities(self, configurations: Sequence[Configuration]) -> np.ndarray:
        """That the force error of each frame exceeds the limit, ``(frames,)``."""
        return self.errors.exceeding(
            force_deviations(self.potential, configurations), self.limit * self.usual
        )

    def raised(self, configurations: Sequence[Configuration]) -> np.ndarray:
        """Whether to distrust each frame, ``(frames,)`` bool."""
        return self.probabilities(configurations) > self.odds


def force_deviations(potential: LearnedPotential, configurations: Sequence[Configuration]) -> np.ndarray:
    """Claimed root mean square deviation of the force components of each frame, ``(frames,)`` [kJ/mol/nm]."""
    return np.array([np.sqrt(np.mean(each**2)) for each in potential.spread(configurations).forces])


def force_errors(potential: LearnedPotential, configurations: Sequence[Configuration]) -> np.ndarray:
    """Root mean square error of the force components of each frame, ``(frames,)`` [kJ/mol/nm]; NaN without labels."""
    off = residuals(configurations, potential.evaluate(configurations)).forces
    return np.array([np.nan if each is None else np.sqrt(np.mean(each**2)) for each in off])
