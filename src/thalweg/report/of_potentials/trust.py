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
            rule = ForceAlarm.known(potential)
            limit, alarm, odds = rule.largest, rule.odds, rule.probabilities_at(claimed)
    with contextlib.suppress(NoUncertainty):
        grade = np.array([grades.max() for grades in potential.grades(frames)])
    if np.isnan(claimed).all() and np.isnan(grade).all():
        return None
    error = root_mean_squares(residuals(frames, predicted).forces)
    active = potential.card.get("active_set")
    held_out = None
    if isinstance(active, Mapping) and "held_out_median" in active:
        held_out = active["held_out_median"], active["held_out_largest"]
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
        0.0 if claims is None else claims.noise / MEV_PER_ANGSTROM,
    )


def trust_sentences(trust: Trust | None) -> tuple[str, ...]:
    """How many frames to distrust, and the worst, in sentences."""
    if trust is None:
        return ()
    alarms = [] if np.isnan(trust.odds).all() else _alarms(trust)
    return (*alarms, *([] if np.isnan(trust.grade).all() else [_extrapolation(trust)]))


def _alarms(trust: Trust) -> list[str]:
    """On how many frames a large error is likely, and whether their labels, if there are any, agree."""
    limit, worst = significant(trust.limit), int(np.nanargmax(trust.odds))
    sentences = [
        f"Alarms: on {trust.raised.sum()} of {len(trust.places)} frames the force error is above {limit} meV/Å (RMS), "
        f"three times the usual one, with a probability of more than {100 * trust.alarm:g} %"
        + (f"; most probably on frame {_place(trust, worst)}." if trust.raised.any() else ".")
    ]
    # fewer than one bad frame expected: there is no share of them to catch
    if trust.odds.sum() >= 1:
        chosen = expected_to_hold(trust.odds, CAUGHT)
        sentences[-1] += (
            f" To catch {100 * CAUGHT:.0f} % of such frames, as far as the claims are right, look at the "
            f"{chosen.sum()} with more than {100 * trust.odds[chosen].min():.2g} %."
        )
    labeled = np.isfinite(trust.error)
    bad = labeled & (trust.error > np.hypot(trust.limit, trust.noise))
    if bad.any():
        sentences.append(
            f"By the labels {bad.sum()} of {labeled.sum()} frames are above it; {(trust.raised & bad).sum()} of these "
            f"raised an alarm, and so did {(trust.raised & labeled & ~bad).sum()} of the {(labeled & ~bad).sum()} "
            "others."
        )
    return sentences


def _extrapolation(trust: Trust) -> str:
    """How many frames lie beyond the grades, and the largest."""
    worst = int(np.nanargmax(trust.grade))
    sentence = (
        f"Extrapolation: {(trust.grade > trust.labeled).sum()} of {len(trust.places)} frames have a grade above "
        f"{trust.labeled:g} (worth a label), {(trust.grade > trust.stopped).sum()} above {trust.stopped:g} (do not "
        f"trust); the largest is {significant(trust.grade[worst])} on frame {_place(trust, worst)}."
    )
    if trust.held_out:
        median, largest = map(significant, trust.held_out)
        sentence += f" Frames held out in the fit had {median} (median) to {largest}."
    return sentence


def _verdict(raised, grade):
    if raised or grade > STOPPED:
        return "do not trust"
    return "worth a label" if grade > LABELED else ""


def _place(trust, k):
    name, index = trust.places[k]
    return f"{index} of {name}"
