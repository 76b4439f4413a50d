"""Whether a run stayed where its potential can be trusted: alarms and extrapolation grades of some of its frames."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from thalweg.learned_potentials.linear.extrapolation import STOPPED
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learned_potentials.terms.term import NoUncertainty
from thalweg.learned_potentials.uncertainty.calibrated import ForceAlarm, force_deviations
from thalweg.systems.configuration import Configuration
from thalweg.units import unit

ASKED = 20
"""Frames along the run that are looked at."""


def trust_along(potential: LearnedPotential, start: Configuration, seen: Sequence[np.ndarray]) -> dict:
    """Claimed force deviations, alarms and grades along a run, where the potential knows them.

    Parameters
    ----------
    seen : positions along it, (atoms, 3) each [nm]
    """
    some = seen[:: max(1, len(seen) // ASKED)][:ASKED]
    frames = [replace(start, positions=x, energy=None, forces=None, stress=None) for x in some]
    if not frames:
        return {}
    said: dict = {"asked": len(frames)}
    with contextlib.suppress(NoUncertainty):
        claimed = force_deviations(potential, frames)
        one = unit("meV/Å", "force")
        said["force_deviation_meV_per_angstrom"] = [float(claimed.mean()) / one, float(claimed.max()) / one]
        alarm = ForceAlarm.known(potential)
        said["alarms"] = int((alarm.probabilities_at(claimed) > alarm.odds).sum())
        said["alarm_limit_meV_per_angstrom"] = alarm.largest / one
    with contextlib.suppress(NoUncertainty):
        grades = np.array([grades.max() for grades in potential.grades(frames)])
        said["largest_grade"], said["beyond_10"] = float(grades.max()), int((grades > STOPPED).sum())
    return said


def trust_said(said: dict) -> list[str]:
    """The same in words."""
    found = []
    if "force_deviation_meV_per_angstrom" in said:
        middle, most = said["force_deviation_meV_per_angstrom"]
        found.append(f"Claimed force error along the run: {middle:.3g} meV/Å on average, {most:.3g} at most.")
    if said.get("alarms"):
        found.append(
            f"In {said['alarms']} of {said['asked']} frames looked at it is above "
            f"{said['alarm_limit_meV_per_angstrom']:.3g} meV/Å, three times the usual one, with a probability of more "
            "than 10 %: the run has left what the potential was taught."
        )
    if "largest_grade" in said:
        found.append(
            f"Extrapolation grade along the run: up to {said['largest_grade']:.3g}"
            + (
                f", in {said['beyond_10']} of {said['asked']} frames looked at beyond {STOPPED:g}: do not trust these."
                if said["beyond_10"]
                else "."
            )
        )
    return found
