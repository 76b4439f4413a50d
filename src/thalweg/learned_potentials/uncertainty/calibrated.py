"""Uncertainties of a potential put right on frames it was not fitted to, and turned into alarms.

A map from claims to errors is fitted to residuals of force components (`thalweg.learning.deviation_map`). Errors are
those against what is true: the noise of labels, told by components that symmetry makes zero, by sums of forces and by
decimals, is taken out of them. An alarm over a frame is raised when, by its claimed root mean square force deviation
and by how errors of held-out frames scatter about theirs, a large error is not improbable enough: by itself, or so that
of a set of frames a given share of the bad is caught. A term that can leave out its training frames one at a time makes
held-out frames of them (`LeavesOut`), and many errors tell scatter and usual error better than a few.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np

from thalweg.learned_potentials.frames.errors import residuals
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learned_potentials.terms.term import Labels, NoUncertainty, Uncertain
from thalweg.learned_potentials.uncertainty.label_noise import label_noise, told_noise
from thalweg.learned_potentials.uncertainty.left_out import LeftOut
from thalweg.learning.calibration import Calibration, ErrorOdds, calibrate, expected_to_hold
from thalweg.learning.deviation_map import closed_below
from thalweg.shapes import Float
from thalweg.systems.configuration import Configuration
from thalweg.units import unit

UNSURE = 0.15
"""Relative standard error of the scale of claims from which on training frames are left out in turn to know more."""

FEW = 8
"""Held-out frames of which fewer leave a calibration uncertain enough to say so."""


@runtime_checkable
class LeavesOut(Protocol):
    """A term that knows how it would miss each of its training frames had it been fitted to all others."""

    def left_out(
        self, configurations: Sequence[Configuration], known: Labels
    ) -> tuple[np.ndarray, np.ndarray]:
        """Errors and standard deviations of forces, (frames, atoms, 3) [kJ/mol/nm], of training ``configurations``.

        ``known`` is what all other terms say of them.

        Raises
        ------
        ValueError
            If it was fitted to other frames, or forgot what it needs.
        """
        ...


def force_calibration(potential: LearnedPotential, held_out: Sequence[Configuration]) -> Calibration:
    """What the uncertainty that the terms of ``potential`` claim is worth on ``held_out`` frames with forces.

    Raises
    ------
    ValueError
        If no frame has forces.
    NoUncertainty
        If no term knows how unsure it is, or all forces are zero by symmetry.
    """
    return _components(*_compared(potential, held_out), held_out)


def calibrated(
    potential: LearnedPotential,
    held_out: Sequence[Configuration],
    left_out: Callable[[], LeftOut] | None = None,
) -> LearnedPotential:
    """``potential`` with its uncertainty put right by the force errors on ``held_out`` frames; see `force_calibration`.

    How errors of whole frames scatter goes onto its card, where `ForceAlarm.known` finds it.

    Parameters
    ----------
    left_out : makes held-out frames of those fitted to; asked where held-out frames are too few, or their labels too
        noisy, to know the scale of claims to `UNSURE`; see
        `thalweg.learned_potentials.uncertainty.left_out.left_out_forces`. Frames of one trajectory are alike, and tell
        less than they seem to; so does a validation set drawn from it.
    """
    off, claimed = _compared(potential, held_out)
    calibration = _components(off, claimed, held_out)
    if left_out is not None and not calibration.mapped.scale_error < UNSURE:
        more = left_out()
        off, claimed = [*off, *more.errors], [*claimed, *more.deviations]
        calibration = _components(off, claimed, [*held_out, *more.frames])
    mapped = calibration.mapped
    summary = {
        "frames": len(off),
        "scale": mapped.scale,
        "scale_error": mapped.scale_error,
        "power": mapped.power,
        "noise": mapped.noise,
        "coverage_68": calibration.coverage_68,
        "coverage_95": calibration.coverage_95,
        "rank_correlation": calibration.rank_correlation,
    }
    errors, claims, sizes = _uncertain(
        root_mean_squares(off),
        root_mean_squares([mapped(each) for each in claimed]),
        _freedom(off),
        mapped.certain,
    )
    if len(errors) > 1:
        odds = ErrorOdds.of(errors, claims, mapped.noise, sizes)
        summary |= {"frame_ratio": odds.ratio, "frame_scatter": odds.scatter, "frame_count": odds.count}
        summary["frame_rmse"] = usual_error(odds.true_errors(errors, claims, mapped.noise, sizes))
    return replace(potential, calibration=mapped, card={**potential.card, "calibration": summary})


def calibration_in_words(potential: LearnedPotential) -> tuple[str, ...]:
    """What is to be known of the calibration of ``potential`` before its claims are believed, in sentences."""
    summary = potential.card.get("calibration")
    if isinstance(summary, str):
        return (f"The uncertainty is not calibrated: {summary}.",)
    if not isinstance(summary, Mapping):
        return ()
    sentences, frames = [], summary["frames"]
    if frames < FEW:
        error = 2 * summary["scale_error"]
        known = (
            f"its claims are known to some {100 * error:.0f} % only"
            if error == error
            else "how far is not known"
        )
        sentences.append(
            f"The uncertainty was calibrated on {frames} frame{'s' * (frames > 1)}: {known}, and alarms are vague; "
            f"hold out {FEW} frames or more."
        )
    if summary.get("noise", 0.0) > summary.get("frame_rmse", np.inf):
        one = unit("meV/Å", "force")
        sentences.append(
            f"The labels are noisier ({summary['noise'] / one:.2g} meV/Å) than the model is wrong: what its claims are "
            "worth is hardly seen."
        )
    if summary["power"] != 1:
        spread = "widely" if summary["power"] < 1 else "narrowly"
        sentences.append(
            f"Claims were too {spread} spread: they were raised to the power {summary['power']:.2f} on the evidence of "
            "the frames held out."
        )
    return tuple(sentences)


def usual_error(errors: Float[np.ndarray, " frames"]) -> float:
    """Root mean square of ``errors`` of frames, those of gross outliers cut at ten times the median."""
    return float(np.sqrt(np.mean(np.minimum(errors, 10 * np.median(errors)) ** 2)))


@dataclass(frozen=True)
class ForceAlarm:
    """Raised over frames whose force error is ``limit`` times the usual one with more than ``odds``.

    Worth as much as the claims. Kernels that answer for their uncertainty by a part of their frames (``remembered``)
    claim too little far from them beside what they claim near, and alarms are missed; remember all where it matters.

    A claim says how large errors are in frames like this one; where ``others``, taught the same frames in other ways,
    disagree with the potential, errors of this very frame are large. Both together tell more than either, at the price
    of the others.

    Attributes
    ----------
    potential : claims deviations
    errors : how force errors of frames scatter about `scores`
    usual : root mean square force error of the held-out frames, noise of their labels taken out [kJ/mol/nm]
    limit : multiple of it that is too much
    odds : a bad frame that is missed is as bad as ``1 / odds - 1`` false alarms
    others : second opinions, not taught the held-out frames either
    """

    potential: LearnedPotential
    errors: ErrorOdds
    usual: float
    limit: float = 3.0
    odds: float = 0.1
    others: tuple[LearnedPotential, ...] = ()

    @staticmethod
    def of(
        potential: LearnedPotential,
        held_out: Sequence[Configuration],
        fitted: Sequence[Configuration] = (),
        limit: float = 3.0,
        odds: float = 0.1,
        others: Sequence[LearnedPotential] = (),
    ) -> ForceAlarm:
        """The alarm that ``held_out`` frames with forces, of the kind that ``potential`` was fitted to, call for.

        If ``fitted`` are given, all frames of the fit in their order, they count like held-out ones, each left out in
        turn, where the one term that is unsure can do so (`LeavesOut`). Do not where many are nearly the same, such as
        steps of a trajectory that follow closely: their errors are too small. What ``others`` are worth only held-out
        frames tell; fitted ones then tell the usual error alone.

        Raises
        ------
        ValueError
            If fewer than two frames have forces, or ``fitted`` are not those of the fit, or there are ``others`` and no
            more frames held out than kinds of scores.
        NoUncertainty
            If no term knows how unsure it is.
        """
        labeled = [frame for frame in held_out if frame.forces is not None]
        if others and not labeled:
            raise ValueError(
                "what second opinions are worth is told by held-out frames with forces; give some"
            )
        errors, scores = _left_out_errors(potential, fitted) if len(fitted) else (np.empty(0), np.empty(0))
        own, sizes = np.zeros(0), _freedom([frame.forces for frame in fitted])[: len(errors)]
        if labeled:
            own, own_scores = force_errors(potential, labeled), _force_scores(potential, others, labeled)
            scores = own_scores if others else np.concatenate([scores, own_scores[:, 0]])
        # frames of the fit have no second opinions: with these, scatter is judged on held-out frames alone
        scattering = own if others else np.concatenate([errors, own])
        own_sizes = _freedom([frame.forces for frame in labeled])
        sizes = own_sizes if others else np.concatenate([sizes, own_sizes])
        certain, noise = 0.0, label_noise([*fitted, *labeled])
        if potential.calibration is not None:
            certain, noise = potential.calibration.certain, potential.calibration.noise
        known, at, sizes = _uncertain(scattering, scores.reshape(len(scattering), -1), sizes, certain)
        if len(known) <= at.shape[1]:
            raise ValueError(
                f"of {len(scattering)} frames with forces {len(known)} are not zero by symmetry: too few to say how "
                "errors scatter; hold out more frames whose atoms are displaced"
            )
        scatter = ErrorOdds.of(known, at, noise, sizes)
        true = scatter.true_errors(known, at, noise, sizes)
        if others:
            true = np.concatenate([np.sqrt(np.maximum(errors[errors > 0] ** 2 - noise**2, 0)), true])
        return ForceAlarm(potential, scatter, usual_error(true), limit, odds, tuple(others))

    @staticmethod
    def known(potential: LearnedPotential, limit: float = 3.0, odds: float = 0.1) -> ForceAlarm:
        """The alarm by what the card of a `calibrated` potential says of its held-out frames.

        Raises
        ------
        NoUncertainty
            If it was never calibrated, or on a single frame.
        """
        summary = potential.card.get("calibration")
        if not isinstance(summary, Mapping) or "frame_rmse" not in summary:
            raise NoUncertainty(
                "nothing is known of how errors of this potential scatter; calibrate it on held-out frames with "
                "forces (a recipe does that on its validation frames)"
            )
        scatter = ErrorOdds(summary["frame_ratio"], summary["frame_scatter"], summary["frame_count"])
        return ForceAlarm(potential, scatter, summary["frame_rmse"], limit, odds)

    def probabilities(self, configurations: Sequence[Configuration]) -> np.ndarray:
        """That the force error of each frame exceeds the limit, ``(frames,)``."""
        return self.probabilities_at(self.scores(configurations))

    def probabilities_at(self, scores: Float[np.ndarray, " frames *kinds"]) -> np.ndarray:
        """The same where `scores` are known already; with claims only, those of the deviations."""
        return self.errors.exceeding(scores, self.largest)

    @property
    def largest(self) -> float:
        """The force error that is not too much yet [kJ/mol/nm]."""
        return self.limit * self.usual

    def scores(self, configurations: Sequence[Configuration]) -> np.ndarray:
        """What is told of the force error of each frame before it is known, see `_force_scores`."""
        return _force_scores(self.potential, self.others, configurations)

    def raised(self, configurations: Sequence[Configuration], caught: float | None = None) -> np.ndarray:
        """Whether to distrust each frame, ``(frames,)`` bool.

        Parameters
        ----------
        caught : fraction of the bad frames of this set to catch, as expected from what is claimed of all of them
            (`thalweg.learning.calibration.expected_to_hold`); None judges each frame by itself, by the ``odds``, as
            one must where frames come one at a time

        Notes
        -----
        Odds weigh a miss against a false alarm and catch less where bad frames are rare; a share to be caught takes as
        many false alarms as that needs. Where about one in eight is bad the two hardly differ. Errors scatter more far
        from training frames than near them, so that somewhat less than the share is caught there.
        """
        probabilities = self.probabilities(configurations)
        return probabilities > self.odds if caught is None else expected_to_hold(probabilities, caught)


def root_mean_squares(frames: Sequence[np.ndarray | None] | np.ndarray) -> np.ndarray:
    """Root mean square component of the forces of each of the ``frames``, ``(frames,)``; NaN where there are none."""
    return np.array([np.nan if each is None else np.sqrt(np.mean(each**2)) for each in frames])


def force_deviations(potential: LearnedPotential, configurations: Sequence[Configuration]) -> np.ndarray:
    """Claimed root mean square deviation of the force components of each frame, ``(frames,)`` [kJ/mol/nm]."""
    return root_mean_squares(potential.spread(configurations).forces)


def _force_scores(
    potential: LearnedPotential, others: Sequence[LearnedPotential], configurations: Sequence[Configuration]
) -> Float[np.ndarray, "frames kinds"]:
    """Deviations claimed by ``potential`` and its distances from the forces of ``others`` [kJ/mol/nm].

    Root mean squares over the force components of each frame.
    """
    scores = [force_deviations(potential, configurations)]
    if others:
        forces = potential.evaluate(configurations).forces
        for other in others:
            theirs = other.evaluate(configurations).forces
            scores.append(root_mean_squares([a - b for a, b in zip(forces, theirs, strict=True)]))
    return np.stack(scores, 1)


def force_errors(potential: LearnedPotential, configurations: Sequence[Configuration]) -> np.ndarray:
    """Root mean square error of the force components of each frame, ``(frames,)`` [kJ/mol/nm]; NaN without labels.

    Against its labels, whose noise is part of it.
    """
    return root_mean_squares(residuals(configurations, potential.evaluate(configurations)).forces)


def _left_out_errors(
    potential: LearnedPotential, fitted: Sequence[Configuration]
) -> tuple[np.ndarray, np.ndarray]:
    """Root mean square force error of each training frame left out, and what is claimed, (frames,) [kJ/mol/nm].

    Nothing, (0,), where not exactly one term is unsure or it cannot leave frames out.
    """
    unsure = [term for term in potential.terms if isinstance(term, Uncertain)]
    if len(unsure) != 1 or not isinstance(unsure[0], LeavesOut):
        return np.empty(0), np.empty(0)
    known = replace(potential, terms=tuple(term for term in potential.terms if term is not unsure[0]))
    errors, deviations = unsure[0].left_out(fitted, known.evaluate(fitted))
    if potential.calibration is not None:
        deviations = [potential.calibration(each) for each in deviations]
    return root_mean_squares(errors), root_mean_squares(deviations)


def _compared(potential, held_out):
    """Errors and bare claims of the forces of each frame that has them."""
    labeled = [frame for frame in held_out if frame.forces is not None]
    if not labeled:
        raise ValueError(f"none of {len(held_out)} held-out frames has forces; calibrate on some that do")
    off = residuals(labeled, potential.evaluate(labeled)).forces
    return off, replace(potential, calibration=None).spread(labeled).forces


def _components(off, claimed, frames):
    """The calibration of single components, but for those without error by symmetry."""
    noise, told_by = told_noise(frames)
    groups = np.repeat(np.arange(len(off)), [np.size(each) for each in off])
    off, claimed = (np.concatenate([np.ravel(each) for each in side]) for side in (off, claimed))
    if not (claimed > closed_below(claimed)).any():
        raise NoUncertainty(
            "all forces of the held-out frames are zero by symmetry and say nothing of errors; hold out frames whose "
            "atoms are displaced"
        )
    return calibrate(off, claimed, groups=groups, noise=noise, told_by=told_by)


def _freedom(forces):
    """Independent components of the ``forces`` of each frame that has them: they add up to zero."""
    return np.array([max(3.0 * len(each) - 3, 1.0) for each in forces if each is not None])


def _uncertain(errors, claimed, sizes, certain):
    """Those of frames whose forces are not zero by symmetry: they claim more than is ``certain``."""
    open_ = claimed.reshape(len(errors), -1) > certain * (1 + 1e-9)
    open_ &= np.stack([kind > closed_below(kind) for kind in claimed.reshape(len(errors), -1).T], 1)
    open_ = open_.all(1) & (errors > 0)
    return errors[open_], claimed[open_], sizes[open_]
