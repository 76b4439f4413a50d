"""Uncertainties of a potential put right on frames it was not fitted to, and turned into alarms.

One factor is fitted to residuals of force components (`thalweg.learning.calibration`). To raise an alarm over a frame,
its claimed root mean square force deviation is compared with a threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from thalweg.learning.calibration import Calibration, calibrate
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


def force_deviations(potential: LearnedPotential, configurations: Sequence[Configuration]) -> np.ndarray:
    """Claimed root mean square deviation of the force components of each frame, ``(frames,)`` [kJ/mol/nm]."""
    return np.array([np.sqrt(np.mean(each**2)) for each in potential.spread(configurations).forces])


def force_errors(potential: LearnedPotential, configurations: Sequence[Configuration]) -> np.ndarray:
    """Root mean square error of the force components of each frame, ``(frames,)`` [kJ/mol/nm]; NaN without labels."""
    off = residuals(configurations, potential.evaluate(configurations)).forces
    return np.array([np.nan if each is None else np.sqrt(np.mean(each**2)) for each in off])
