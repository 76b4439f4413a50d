"""Which frames a learned potential should not be trusted on, known before anyone labels them.

Two signs, each where the potential has it: the probability that the force error of a frame is several times the usual
one, by the calibrated deviation claimed for it (`ForceAlarm`); and its
extrapolation grade (`thalweg.learned_potentials.linear.extrapolation`) [podryabinkin2017].
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

import numpy as np

from thalweg.learned_potentials.frames.errors import residuals
from thalweg.learned_potentials.linear.extrapolation import LABELED, STOPPED
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learned_potentials.terms.term import Labels, NoUncertainty, Spread
from thalweg.learned_potentials.uncertainty.calibrated import ForceAlarm, root_mean_squares
from thalweg.learning.calibration import expected_to_hold
from thalweg.report.of_potentials.results import Trust
from thalweg.report.rounding import significant
from thalweg.systems.configuration import Configuration
from thalweg.units import unit

CAUGHT = 0.95
"""Share of the bad frames that it is said what it takes to catch."""

MEV_PER_ANGSTROM = unit("meV/Å", "force")


def trust(
    potential: LearnedPotential,
    frames: Sequence[Configuration],
    places: Sequence[tuple[str, int]],
    predicted: Labels,
    claims: Spread | None,
) -> Trust | None:
    """What is known of ``frames`` without their labels; None if the potential knows nothing.

    Parameters
    ----------
    places : file and index of each
    predicted : what it says of all of them
    claims : how unsure it is, if it knows
    """
    unknown = np.full(len(frames), np.nan)
    claimed, odds, grade, limit, alarm = unknown, unknown, unknown, float("nan"), 0.1
    if claims is not None:
        claimed = root_mean_squares(claims.forces)
        with contextlib.suppress(NoUncertainty):
            known = ForceAlarm.known(potential)
            limit, alarm, odds = known.largest, known.odds, known.probabilities_at(claimed)
    with contextlib.suppress(NoUncertainty):
        grade = np.array([grades.max() for grades in potential.grades(frames)])
    if np.isnan(claimed).all() and np.isnan(grade).all():
        return None
    error = root_mean_squares(residuals(frames, predicted).forces)
    said = potential.card.get("active_set")
    held_out = None
    if isinstance(said, Mapping) and "held_out_median" in said:
        held_out = said["held_out_median"], said["held_out_largest"]
    return Trust(
        tuple(places),
        error / MEV_PER_ANGSTROM,
        claimed / MEV_PER_ANGSTROM,
        odds,
        grade,
        limit / MEV_PER_ANGSTROM,
        alarm,
        LABELED,
        STOPPED,
        tuple(_verdict(*each) for each in zip(odds > alarm, grade)),
        held_out,
    )


def trust_sentences(found: Trust | None) -> tuple[str, ...]:
    """How many frames to distrust, and the worst, in sentences."""
    if found is None:
        return ()
    said, count = [], len(found.places)
    if not np.isnan(found.odds).all():
        limit = significant(found.limit)
        worst = int(np.nanargmax(found.odds))
        said.append(
            f"Alarms: on {found.raised.sum()} of {count} frames the force error is above {limit} meV/Å (RMS), three "
            f"times the usual one, with a probability of more than {100 * found.alarm:g} %"
            + (f"; most probably on frame {_place(found, worst)}." if found.raised.any() else ".")
        )
        chosen = expected_to_hold(found.odds, CAUGHT)
        if found.odds.sum() >= 1:
            said[-1] += (
                f" To catch {100 * CAUGHT:.0f} % of such frames, as far as the claims are right, look at the "
                f"{chosen.sum()} with more than {100 * found.odds[chosen].min():.2g} %."
            )
        seen = np.isfinite(found.error)
        bad = seen & (found.error > found.limit)
        if bad.any():
            said.append(
                f"By the labels {bad.sum()} of {seen.sum()} frames are above it; {(found.raised & bad).sum()} of these "
                f"raised an alarm, and so did {(found.raised & seen & ~bad).sum()} of the {(seen & ~bad).sum()} others."
            )
    if not np.isnan(found.grade).all():
        worst = int(np.nanargmax(found.grade))
        said.append(
            f"Extrapolation: {(found.grade > found.labeled).sum()} of {count} frames have a grade above "
            f"{found.labeled:g} (worth a label), {(found.grade > found.stopped).sum()} above {found.stopped:g} (do not "
            f"trust); the largest is {significant(found.grade[worst])} on frame {_place(found, worst)}."
            + (
                f" Frames held out in the fit had {significant(found.held_out[0])} (median) to "
                f"{significant(found.held_out[1])}."
                if found.held_out
                else ""
            )
        )
    return tuple(said)


def _verdict(raised, grade):
    if raised or grade > STOPPED:
        return "do not trust"
    return "worth a label" if grade > LABELED else ""


def _place(found, k):
    name, index = found.places[k]
    return f"{index} of {name}"
