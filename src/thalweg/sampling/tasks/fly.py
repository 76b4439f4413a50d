"""A leg of dynamics that learns as it goes: where the potential is unsure a level is asked, and the run goes on.

Every few steps the deviation of the least known atom,

    s = max_a sqrt(mean_xyz sigma_a^2),

is looked at, ``sigma`` being the posterior deviations of the forces. How errors scatter about ``s`` is learned from the
labels that were asked for (`ErrorOdds`), all of which were predicted before they were learned. A label is bought where
the error exceeds what is allowed with more than so much probability, and now and then where it need not (a *check*),
which alone tell what errors are usual. The label is learned at once (`GrowingFit`), the energy jumps where the atoms
are, which is booked, and they go on from the same positions and momenta [jinnouchi2019].

Many looks are taken together along a piece of dynamics; where one of them asks, that piece is run again up to there,
to the same numbers, as all noise is a function of the step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.labeling.level import Level
from thalweg.learned_potentials.linear.learner import Linear
from thalweg.learned_potentials.recipe import Recipe
from thalweg.learned_potentials.recipes.growing import GrowingFit
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learning.calibration import ErrorOdds
from thalweg.learning.storage import load_tree, save_tree
from thalweg.representations.expansions.ace import ACE
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.label import StoredLabel, asked, commit_label, label_entry
from thalweg.shapes import Float
from thalweg.systems.configuration import Configuration
from thalweg.systems.elements import MASSES
from thalweg.systems.state import State, thermal_state
from thalweg.units import (
    Count,
    InCode,
    Kelvin,
    KilojoulesPerMolePerNanometer,
    Nanometers,
    PerPicosecond,
    Picoseconds,
    thermal_energy,
    unit,
    whole_multiple,
)

SETUP, LEG = "setup/on-the-fly", "leg.tree"

LOOKS = 8
"""Looks taken together while the potential is sure."""

REMEMBERED = 40
"""Labels that tell how errors scatter about claims: the last ones, as the potential changes."""

UNTRIED = ErrorOdds(2.0, 0.6, 4)
"""What is thought of claims before enough of them were tried: errors are twice as large, give or take."""

CHECKS, USUAL = 10, 3.0
"""Of so many last checks the median error, times this, is allowed, however little `OnTheFly.tolerance` allows; so is
that of what was left of errors once labels were learned: what a learner misses everywhere no label mends."""

STRIKES = 5
"""Times in a row that a run is begun anew from where it was sound, with other momenta, before it is given up."""


@dataclass(frozen=True)
class OnTheFly:
    """A run that starts with little or nothing and buys labels where it is unsure.

    Parameters
    ----------
    temperatures : of the bath, one after the other, an equal share of the duration each
    duration : of the whole run
    dt : time step
    friction : of the bath
    recipe : what is learned; its learner is a linear one
    tolerance : error of the forces on an atom, root mean square of components, that is no reason to ask
    odds : probability of more than that from which a label is bought
    look_every : time between looks at the uncertainty
    check_every : time between labels that are bought in any case
    first : frames about the start, its own included, that are asked for before anything is known
    rattle : how far their atoms are displaced
    save_every : time between frames that are kept
    legs : parts of the run, which a kill sets back to their beginning; their labels stay
    seed : of momenta, noise and displacements

    Raises
    ------
    ValueError
        If times are no multiples of each other, or there is no temperature.
    """

    temperatures: tuple[Kelvin, ...] = (300.0,)
    duration: Picoseconds = 50.0
    dt: Picoseconds = 0.0005
    friction: PerPicosecond = 2.0
    recipe: InCode[Recipe] = Recipe(Linear(ACE(cutoff=0.5, levels=(8, 7, 6))))  # noqa: RUF009
    tolerance: KilojoulesPerMolePerNanometer = 100 * unit("meV/Å", "force")
    odds: float = 0.1
    look_every: Picoseconds = 0.005
    check_every: Picoseconds = 0.5
    first: int = 8
    rattle: Nanometers = 0.005
    save_every: Picoseconds = 0.05
    legs: Count = 10
    seed: int = 0

    def __post_init__(self):
        if not self.temperatures or min(self.temperatures) <= 0:
            raise ValueError(f"temperatures = {self.temperatures}; give at least one, all positive [K]")
        if self.first < 5:
            raise ValueError(f"first = {self.first} frames cannot be left out in turn; give at least 5")
        if not 0 < self.odds < 1:
            raise ValueError(f"odds = {self.odds:g}; give a probability above 0 and below 1")
        stride = whole_multiple(self.look_every, self.dt, "look_every")
        for name in ("check_every", "save_every", "duration"):
            steps = whole_multiple(getattr(self, name), self.dt, name)
            if steps % stride:
                raise ValueError(
                    f"{name} = {getattr(self, name):g} ps is no multiple of look_every = {self.look_every:g} ps; "
                    "give one"
                )
        if self.legs * stride > self.steps:
            raise ValueError(f"legs = {self.legs} of {self.duration:g} ps have no look in them; give fewer")

    @property
    def steps(self) -> int:
        """Of the whole run."""
        return round(self.duration / self.dt)

    @property
    def stride(self) -> int:
        """Steps between looks."""
        return round(self.look_every / self.dt)

    def end_of(self, leg: int) -> int:
        """Last step of a leg, at a look."""
        return self.steps * (leg + 1) // self.legs // self.stride * self.stride

    def event_after(self, step: int) -> int:
        """Next step at which a check is due or the temperature changes."""
        checks = round(self.check_every / self.dt)
        stage = self.steps * (self._stage(step) + 1) // len(self.temperatures) // self.stride * self.stride
        return min((step // checks + 1) * checks, stage if stage > step else self.steps)

    def kT(self, step: int) -> float:
        """Thermal energy of the bath [kJ/mol]."""
        return thermal_energy(self.temperatures[self._stage(step)])

    def _stage(self, step):
        ends = [
            self.steps * (k + 1) // len(self.temperatures) // self.stride * self.stride
            for k in range(len(self.temperatures))
        ]
        return min(int(np.searchsorted(ends, step, side="right")), len(ends) - 1)


@dataclass(frozen=True)
class FlightPlan:
    """What a run is of: where it starts, who is asked, how, and what was known.

    Attributes
    ----------
    start : atoms in space
    level : asked for labels
    settings : of the run
    given : labeled frames that were there before, of the same level
    """

    start: Configuration
    level: Level
    settings: OnTheFly
    given: tuple[Configuration, ...] = ()


@dataclass(frozen=True)
class LabelCall:
    """A line of the ledger: one label that was asked for.

    Attributes
    ----------
    number : of the call, from 1
    step, time : when, the time in ps
    why : ``"start"``, ``"unsure"``, ``"check"`` or ``"broken"``, where dynamics left the numbers
    claimed : deviation of the forces on the least known atom, as the posterior claims it [kJ/mol/nm]; NaN at the start
    error : what it turned out to be on the worst atom [kJ/mol/nm]; NaN at the start
    left : what was left of that error once the label was learned [kJ/mol/nm]; NaN at the start
    jump : energy there by what was learned from it, less that before [kJ/mol]
    label : entry of the label
    failed : why there is none; empty where there is
    """

    number: int
    step: int
    time: float
    why: str
    claimed: float
    error: float
    left: float
    jump: float
    label: str
    failed: str = ""


@dataclass(frozen=True)
class FlownLeg:
    """What a leg leaves.

    Attributes
    ----------
    calls : lines of the ledger
    positions : (atoms, 3), where it ended [nm]
    momenta : (atoms, 3) [amu nm/ps]
    key : data of the random key
    step : of its end
    frames : (frames, atoms, 3), kept on the way [nm]
    times : (frames,) their times [ps]
    refit : by how much the energy jumped when all was fitted anew at its beginning [kJ/mol]
    limit : error of an atom that was allowed at its end [kJ/mol/nm]
    potential : as learned at its end
    """

    calls: tuple[LabelCall, ...]
    positions: Float[np.ndarray, "atoms 3"]
    momenta: Float[np.ndarray, "atoms 3"]
    key: np.ndarray
    step: int
    frames: Float[np.ndarray, "frames atoms 3"]
    times: Float[np.ndarray, " frames"]
    refit: float
    limit: float
    potential: LearnedPotential

    @staticmethod
    def read(store: Store, number: int) -> FlownLeg:
        """A committed one, checked against its digest."""
        return load_tree(store.file(leg_entry(number), LEG))


@dataclass(frozen=True)
class FlyLeg:
    """Fly one leg of a run and commit it; labels are committed one by one on the way.

    Attributes
    ----------
    number : which leg, from zero
    """

    kind: ClassVar[str] = "run"

    number: int

    def __call__(self, store: Store, entry: str) -> None:
        plan: FlightPlan = load_tree(store.file(SETUP, "plan.tree"))
        before = [FlownLeg.read(store, k) for k in range(self.number)]
        flight = _Flight(store, plan, before)
        flight.fly(plan.settings.end_of(self.number))
        leg = flight.landed()
        store.commit(entry, lambda folder: save_tree(folder / LEG, leg))


def leg_entry(number: int) -> str:
    """Entry of a leg."""
    return f"legs/{number:05d}"


def undated(potential: LearnedPotential) -> LearnedPotential:
    """The same without the day of its fit on the card, so that equal runs leave equal bytes."""
    return replace(potential, card={name: said for name, said in potential.card.items() if name != "date"})


def _worst_atom(forces: Sequence[np.ndarray]) -> Float[np.ndarray, " frames"]:
    """Largest root mean square component on an atom of each of some frames of ``(atoms, 3)``."""
    return np.array([np.sqrt(np.mean(each**2, axis=1)).max() for each in forces])


class _Flight:
    """A run in the middle of a leg: where the atoms are, what was learned, what was asked."""

    def __init__(self, store: Store, plan: FlightPlan, before: Sequence[FlownLeg]):
        self.store, self.plan, self.settings = store, plan, plan.settings
        self.numbers = np.asarray(plan.start.numbers, int)
        self.masses = MASSES[self.numbers]
        self.earlier = [call for leg in before for call in leg.calls]
        self.calls: list[LabelCall] = []
        self.known = [*plan.given, *(_label(store, call) for call in self.earlier if not call.failed)]
        self.kept: list[tuple[float, np.ndarray]] = []
        self.strikes, self.refit, self.fit = 0, 0.0, None
        self.state = self._state(before[-1] if before else None)
        if not before:
            self._begin()
        self._fit_anew(before[-1].potential if before else None)

    def fly(self, until: int) -> None:
        """Advance to step ``until``, asking on the way."""
        looks = 1
        while (step := int(self.state.step)) < until:
            stop = min(until, self.settings.event_after(step), step + looks * self.settings.stride)
            why, claimed = self._piece(stop)
            looks = LOOKS if why == "" else 1
            checked = int(self.state.step) % round(self.settings.check_every / self.settings.dt) == 0
            if why == "" and checked and int(self.state.step) > step:
                why = "check"
            if why:
                self._ask(why, claimed)

    def landed(self) -> FlownLeg:
        """What the leg leaves."""
        atoms = len(self.numbers)
        return FlownLeg(
            tuple(self.calls),
            np.asarray(self.state.positions[..., 0]),
            np.asarray(self.state.momenta[..., 0]),
            np.asarray(jax.random.key_data(self.state.key)),
            int(self.state.step),
            np.array([frame for _, frame in self.kept], np.float32).reshape(-1, atoms, 3),
            np.array([time for time, _ in self.kept]),
            self.refit,
            self._limit(),
            undated(self.fit.potential),
        )

    def _piece(self, stop: int) -> tuple[str, float]:
        """Run to step ``stop``, or to the first look that asks; why it does, and what is claimed there."""
        first, stride = int(self.state.step), self.settings.stride
        engine = self._engine()
        run = engine.run(self.state, stop - first, save_every=stride)
        sound = int(run.valid[0])
        frames = [self._frame(each) for each in np.asarray(run.positions[0, :sound], float)]
        claims = self._claims(frames)
        doubtful = np.flatnonzero(self._odds().exceeding(claims, self._limit()) > self.settings.odds)
        last = int(doubtful[0]) if len(doubtful) else sound - 1
        why = "unsure" if len(doubtful) else "broken" if sound * stride < stop - first else ""
        if last < 0:  # broken before the first look
            self._again()
            return "", np.nan
        steps = (last + 1) * stride
        ended = run.state if steps == stop - first else engine.run(self.state, steps, save_every=steps).state
        self.state = replace(ended, box=self.state.box)
        self._keep(frames[: last + 1], first)
        return why, float(claims[last])

    def _ask(self, why: str, claimed: float) -> None:
        """Buy the label of where the atoms are, learn it, book it."""
        frame = self._frame(np.asarray(self.state.positions[..., 0], float))
        labeled, name, failed = self._label(frame)
        number, step = len(self.earlier) + len(self.calls) + 1, int(self.state.step)
        error = left = jump = np.nan
        if labeled is not None:
            self.strikes = 0
            said = self.fit.potential.evaluate([frame])
            error = float(_worst_atom([said.forces[0] - labeled.forces])[0])
            self._learn(labeled)
            now = self.fit.potential.evaluate([frame])
            left = float(_worst_atom([now.forces[0] - labeled.forces])[0])
            jump = float(now.energies[0] - said.energies[0])
        time = step * self.settings.dt
        self.calls.append(LabelCall(number, step, time, why, claimed, error, left, jump, name, failed))
        if labeled is None or why == "broken":
            self._again()

    def _learn(self, labeled: Configuration) -> None:
        self.known.append(labeled)
        if len(self.known) >= 2 * self.whole:
            self._fit_anew()
        else:
            self.fit = self.fit.with_frames([labeled])
        self.bound = None

    def _fit_anew(self, before: LearnedPotential | None = None) -> None:
        """Fit all there is; if something was known before, book the jump of the energy where the atoms are."""
        self.fit, self.bound = GrowingFit.of(self.settings.recipe, self.known, self.settings.seed), None
        self.whole = len(self.known)
        if before is not None:
            here = [self._frame(np.asarray(self.state.positions[..., 0], float))]
            self.refit = float(
                self.fit.potential.evaluate(here).energies[0] - before.evaluate(here).energies[0]
            )

    def _begin(self) -> None:
        """Ask for the start and frames about it."""
        random = np.random.default_rng(self.settings.seed)
        for k in range(self.settings.first if not self.plan.given else 0):
            moved = self.settings.rattle * random.normal(size=(len(self.numbers), 3)) * (k > 0)
            labeled, name, failed = self._label(self._frame(np.asarray(self.plan.start.positions) + moved))
            if labeled is not None:
                self.known.append(labeled)
            self.calls.append(LabelCall(k + 1, 0, 0.0, "start", np.nan, np.nan, np.nan, np.nan, name, failed))

    def _label(self, frame: Configuration) -> tuple[Configuration | None, str, str]:
        """The label of a frame, its entry, and why there is none; bought if it is not there, committed at once."""
        name = label_entry(self.plan.level, frame)
        if not self.store.has(name):
            commit_label(self.store, name, frame, self.plan.level)
        stored = StoredLabel.read(self.store, name)
        return stored.frame, name, stored.failed

    def _again(self) -> None:
        """Begin anew from the last place of which a label is known, with other momenta.

        Raises
        ------
        RuntimeError
            If that was done `STRIKES` times in a row.
        """
        self.strikes += 1
        if self.strikes > STRIKES:
            raise RuntimeError(
                f"the run cannot go on at step {int(self.state.step)}: it broke, or the level failed, {STRIKES} times "
                "in a row; use a shorter time step, a lower temperature or a smaller tolerance"
            )
        step = self.state.step
        key = jax.random.fold_in(self.state.key, self.strikes)
        state = self._thermal(self.known[-1].positions, key, int(step))
        self.state = replace(state, step=step)

    def _state(self, leg: FlownLeg | None) -> State:
        if leg is None:
            return self._thermal(self.plan.start.positions, jax.random.key(self.settings.seed), 0)
        return State(
            jnp.asarray(leg.positions)[..., None],
            jnp.asarray(leg.momenta)[..., None],
            jax.random.wrap_key_data(jnp.asarray(leg.key)),
            jnp.asarray(leg.step, jnp.int32),
            self._box,
        )

    def _thermal(self, positions, key, step) -> State:
        places = jnp.asarray(np.asarray(positions), jnp.float32)[..., None]
        return thermal_state(places, self.masses, self.settings.kT(step), key, self._box)

    @property
    def _box(self) -> Any:
        frame = self.plan.start
        return jnp.asarray(frame.box, jnp.float32) if any(frame.periodic) else None

    def _engine(self) -> NativeEngine:
        if self.bound is None:
            # energies of isolated atoms are a constant that would cost digits of the total
            potential = self.fit.potential
            bare = replace(potential, references=dict.fromkeys(potential.references, 0.0))
            start = self.plan.start
            self.bound = bare.bind(self.numbers, start.box if any(start.periodic) else None, start.periodic)
        kT = self.settings.kT(int(self.state.step))
        bath = Langevin(kT=kT, dt=self.settings.dt, friction=self.settings.friction)
        return NativeEngine.for_potential(self.bound, self.masses, bath)

    def _frame(self, positions: np.ndarray) -> Configuration:
        return asked(replace(self.plan.start.unlabeled, positions=np.asarray(positions, float)))

    def _claims(self, frames: list[Configuration]) -> np.ndarray:
        """Deviation of the least known atom of each frame [kJ/mol/nm]; of 1 or `LOOKS` at once, to compile twice."""
        if not frames:
            return np.zeros(0)
        filled = frames if len(frames) == 1 else frames + [frames[-1]] * (LOOKS - len(frames))
        return _worst_atom(self.fit.potential.spread(filled).forces)[: len(frames)]

    def _odds(self) -> ErrorOdds:
        """How errors scatter about claims, by the last labels."""
        tried = [call for call in (*self.earlier, *self.calls) if call.error > 0 and call.claimed > 0]
        tried = tried[-REMEMBERED:]
        if len(tried) < UNTRIED.count:
            return UNTRIED
        errors, claims = (np.array([getattr(call, name) for call in tried]) for name in ("error", "claimed"))
        return ErrorOdds.of(errors, claims)

    def _limit(self) -> float:
        """Error of an atom that is no reason to ask [kJ/mol/nm]."""
        calls = (*self.earlier, *self.calls)
        checks = [call.error for call in calls if call.why == "check" and call.error > 0][-CHECKS:]
        left = [call.left for call in calls if call.left > 0][-CHECKS:]
        usual = max((float(np.median(errors)) for errors in (checks, left) if errors), default=0.0)
        return max(self.settings.tolerance, USUAL * usual)

    def _keep(self, frames: list[Configuration], first: int) -> None:
        """Those of the ``frames`` after step ``first`` that are to be kept."""
        every = round(self.settings.save_every / self.settings.dt)
        for k, frame in enumerate(frames):
            step = first + (k + 1) * self.settings.stride
            if step % every == 0:
                self.kept.append((step * self.settings.dt, frame.positions))


def _label(store: Store, call: LabelCall) -> Configuration:
    frame = StoredLabel.read(store, call.label).frame
    assert frame is not None
    return frame
