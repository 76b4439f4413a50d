"""One run that learns as it goes: it starts with little or nothing, buys labels where unsure, and ends with a model.

A campaign of legs, one after the other, each from where the last one stopped, with all that was labeled before. Labels
are entries by themselves, named by atoms and level: killed at any moment, the run is begun again at its last leg, asks
for the same frames, and finds those it has paid for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from thalweg.labeling.level import Level
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learning.storage import load_tree, save_tree, tree_digest
from thalweg.sampling.campaign import CampaignObserver, drive
from thalweg.sampling.policy import Task
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.fly import (
    SETUP,
    FlightPlan,
    FlownLeg,
    FlyLeg,
    LabelCall,
    OnTheFly,
    leg_entry,
    undated,
)
from thalweg.sampling.tasks.label import StoredLabel, asked
from thalweg.shapes import Float
from thalweg.systems.configuration import Configuration

HELD_OUT = 10
"""One label in so many calibrates the final potential and is not fitted."""

FINAL = "models/final"


@dataclass(frozen=True)
class LegsInTurn:
    """A round for every leg of a run, then one for the fit to all labels."""

    legs: int

    @property
    def rounds(self) -> int:
        return self.legs + 1

    def plan(self, store: Store, round: int) -> Sequence[Task]:
        if round < self.legs:
            return [Task(leg_entry(round), FlyLeg(round))]
        return [Task(FINAL, FitToAll(self.legs))]


@dataclass(frozen=True)
class FitToAll:
    """Fit the recipe of a run to all its labels, one in `HELD_OUT` of which calibrates its uncertainty instead.

    Attributes
    ----------
    legs : of the run
    """

    kind = "train"

    legs: int

    def __call__(self, store: Store, entry: str) -> None:
        plan: FlightPlan = load_tree(store.file(SETUP, "plan.tree"))
        labeled = [*plan.given, *_labeled(store, self.legs)]
        # the last of every so many: the first frames lie about the start and span what follows
        kept = [frame for k, frame in enumerate(labeled) if k % HELD_OUT == HELD_OUT - 1]
        taught = [frame for k, frame in enumerate(labeled) if k % HELD_OUT != HELD_OUT - 1]
        potential = undated(plan.settings.recipe.fit(taught, validation=kept, seed=plan.settings.seed))
        store.commit(entry, lambda folder: potential.save(folder / "model.thalweg"))


@dataclass(frozen=True)
class OnTheFlyRun:
    """A run that is over.

    Attributes
    ----------
    plan : what it was of
    calls : the ledger
    frames : kept along the run, without labels
    times : (frames,) theirs [ps]
    labeled : frames that were asked for, with labels
    refits : (legs,) jumps of the energy where all was fitted anew [kJ/mol]
    limit : error of an atom that was allowed at the end [kJ/mol/nm]
    potential : fitted to all of them
    """

    plan: FlightPlan
    calls: tuple[LabelCall, ...]
    frames: list[Configuration]
    times: Float[np.ndarray, " frames"]
    labeled: list[Configuration]
    refits: Float[np.ndarray, " legs"]
    limit: float
    potential: LearnedPotential

    @property
    def share(self) -> float:
        """Calls over steps of the run."""
        return len(self.calls) / self.plan.settings.steps

    @property
    def checks(self) -> Float[np.ndarray, " checks"]:
        """Errors found where there was no reason to ask: what the run missed without knowing [kJ/mol/nm]."""
        return np.array([call.error for call in self.calls if call.why == "check" and not call.failed])

    def __str__(self) -> str:
        why = [call.why for call in self.calls]
        told = ", ".join(
            f"{why.count(each)} {each}" for each in ("start", "unsure", "check", "broken") if each in why
        )
        return (
            f"{self.plan.settings.duration:g} ps in {self.plan.settings.steps} steps with {len(self.calls)} labels "
            f"({100 * self.share:.2g} % of steps): {told}"
        )


def learn_on_the_fly(
    start: Configuration,
    level: Level,
    store: Store,
    settings: OnTheFly = OnTheFly(),  # noqa: B008
    given: Sequence[Configuration] = (),
    observers: Sequence[CampaignObserver] = (),
) -> OnTheFlyRun:
    """Dynamics from ``start`` that buys labels of ``level`` where it is unsure, kept in ``store``.

    The same call goes on with one that was killed, to the same end.

    Parameters
    ----------
    given : labeled frames of the same level that are known before; without any, frames about the start are asked for

    Raises
    ------
    ValueError
        If the level cannot be asked about these atoms, the store holds another run, or ``given`` frames have no labels
        or are too few.
    CampaignError
        If dynamics breaks or the level fails again and again.
    """
    level.check(start)
    if given and len(given) < settings.first:
        raise ValueError(
            f"{len(given)} labeled frames are too few to begin with; give {settings.first}, or none"
        )
    bare = [each for each in given if each.energy is None or each.forces is None]
    if bare:
        raise ValueError(
            f"{len(bare)} of {len(given)} given frames lack an energy or forces; give labeled ones"
        )
    plan = FlightPlan(asked(start), level, settings, tuple(replace(each, info={}) for each in given))
    if not store.has(SETUP):
        store.commit(SETUP, lambda folder: save_tree(folder / "plan.tree", plan))
    kept = load_tree(store.file(SETUP, "plan.tree"))
    if tree_digest(kept) != tree_digest(plan):
        raise ValueError(
            f"{store.path} holds a run of another start, level or settings; give an empty folder, or what it was begun "
            "with"
        )
    drive(store, LegsInTurn(settings.legs), observers=observers)
    return flown(store)


def flown(store: Store) -> OnTheFlyRun:
    """The run that a ``store`` holds.

    Raises
    ------
    StoreError
        If it holds none, or it is not over.
    """
    plan: FlightPlan = load_tree(store.file(SETUP, "plan.tree"))
    legs = [FlownLeg.read(store, k) for k in range(plan.settings.legs)]
    return OnTheFlyRun(
        plan,
        tuple(call for leg in legs for call in leg.calls),
        [replace(plan.start, positions=np.array(each, float)) for leg in legs for each in leg.frames],
        np.concatenate([leg.times for leg in legs]),
        _labeled(store, plan.settings.legs),
        np.array([leg.refit for leg in legs]),
        legs[-1].limit,
        LearnedPotential.load(store.file(FINAL, "model.thalweg")),
    )


def _labeled(store: Store, legs: int) -> list[Configuration]:
    """Frames of a run that have labels, in the order in which they were asked for."""
    calls = [call for k in range(legs) for call in FlownLeg.read(store, k).calls]
    found = [StoredLabel.read(store, call.label) for call in calls]
    return [stored.frame for stored in found if stored.frame is not None]
