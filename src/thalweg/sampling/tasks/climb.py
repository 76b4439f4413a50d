"""Tasks of replica exchange: place temperatures, stand on rungs, weigh frames of all rungs, start anew from the lowest.

Where temperatures are placed by a short run, the ladder has the fewest rungs that divide the walkers and change places
often enough; the walkers make as many ladders as there is room for. Where not even one rung for each walker is enough,
the ladder ends at a lower temperature, and says so.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.dynamics.engine import Variable
from thalweg.free_energies.reweighting import MBAR, MBARModel, effective_sample_size
from thalweg.geometry.composed_variables import Composed
from thalweg.machine import disk
from thalweg.machine.reading import read_json
from thalweg.sampling.apparatus import Apparatus, ApparatusRecipe
from thalweg.sampling.bias.umbrella import HarmonicRestraint
from thalweg.sampling.exchange.ladder import Ladder, LadderState
from thalweg.sampling.exchange.mixing import LadderMixing
from thalweg.sampling.exchange.temperatures import EnergyQuantiles
from thalweg.sampling.segment import Segment, final_bias_state, walks
from thalweg.sampling.store import Store, write_json
from thalweg.sampling.tasks.reweigh import WeightedFrames
from thalweg.sampling.tasks.simulate import seed_of
from thalweg.systems.state import thermal_state
from thalweg.units import BOLTZMANN, Kelvin, Picoseconds, thermal_energy, whole_multiple

LEAST_ACCEPTANCE = 0.2
"""Below which a ladder is cut short rather than stretched."""


@dataclass(frozen=True)
class UmbrellaWindows:
    """Harmonic restraints of some features, side by side: the rungs of a ladder of biases.

    Parameters
    ----------
    columns : numbers of the features, from zero
    centers : of every window, a number for each column
    stiffness : for each column [kJ/mol per square of the feature's unit]

    Raises
    ------
    ValueError
        If there are fewer than two windows, or not a number for each column.
    """

    columns: tuple[int, ...]
    centers: tuple[tuple[float, ...], ...]
    stiffness: tuple[float, ...]

    def __post_init__(self):
        widths = {len(self.columns), len(self.stiffness), *map(len, self.centers)}
        if len(widths) > 1 or len(self.centers) < 2:
            raise ValueError(
                f"{len(self.centers)} windows with {sorted(widths)} numbers each for {len(self.columns)} columns; give "
                "at least two windows, each with a center and a stiffness for every column"
            )

    def on(self, features: Variable) -> list[HarmonicRestraint]:
        """The restraints."""
        columns = np.array(self.columns)
        if columns.min() < 0 or columns.max() >= len(features.names):
            raise ValueError(
                f"columns {columns.tolist()} of {len(features.names)} features; they are {', '.join(features.names)}"
            )
        chosen = Composed(lambda values: values[columns], features, tuple(features.names[c] for c in columns))
        return [HarmonicRestraint(chosen, center, self.stiffness) for center in self.centers]


@dataclass(frozen=True)
class OnLadder:
    """Walkers on the rungs of a ladder, going on from what a segment left.

    Attributes
    ----------
    walkers : how many
    every : time between attempts to change places [ps]
    seed : of the draws
    placed : entry of temperatures that were placed; None where they are given or there are windows
    temperatures : as given [K]
    windows : the rungs of a ladder of biases
    after : entry of the segment at whose end the ladder is taken up; None to begin
    """

    walkers: int
    every: Picoseconds
    seed: int
    placed: str | None = None
    temperatures: tuple[Kelvin, ...] = ()
    windows: UmbrellaWindows | None = None
    after: str | None = None

    @property
    def parents(self) -> tuple[str, ...]:
        return tuple(entry for entry in (self.placed, self.after) if entry is not None)

    def build(self, store: Store, apparatus: Apparatus) -> Ladder:
        stride = whole_multiple(self.every, apparatus.dt, "exchange_every")
        biases = [] if self.windows is None else self.windows.on(apparatus.features)
        kT = self._kT(store, apparatus)
        rungs = len(biases) or len(np.atleast_1d(kT))
        if self.walkers % rungs:
            raise ValueError(
                f"{self.walkers} walkers on {rungs} rungs leave some without a ladder; give a multiple of {rungs}"
            )
        return Ladder(kT, stride, biases, self.walkers // rungs, self.seed)

    def state(self, store: Store, bias: Any) -> LadderState:
        return bias.init() if self.after is None else final_bias_state(store, self.after, bias.init())

    def _kT(self, store: Store, apparatus: Apparatus) -> Any:
        """Of every rung, or of all alike [kJ/mol]."""
        if self.windows is not None:
            return apparatus.kT
        if self.placed is not None:
            return read_json(store.file(self.placed, "ladder.json"), "temperatures of a ladder")["kT"]
        given = [thermal_energy(temperature) for temperature in self.temperatures]
        if abs(given[0] / apparatus.kT - 1) > 1e-6:
            raise ValueError(
                f"the lowest temperature is {self.temperatures[0]:g} K, that of the dynamics "
                f"{apparatus.kT / BOLTZMANN:g} K; begin the ladder there"
            )
        return given


@dataclass(frozen=True)
class PlaceTemperatures:
    """Run all walkers for a short time from the lowest temperature to the highest, and place rungs by their energies.

    Attributes
    ----------
    recipe : of the apparatus, whose temperature is the lowest
    walkers : how many
    hottest : highest temperature [K]
    acceptance : how often neighbors are to change places, at least
    length : of the short run, of each walker [ps]; its first half is left out
    save_every : time between frames [ps]
    every : time between attempts to change places [ps]
    seed : of momenta, noise and draws
    """

    kind: ClassVar[str] = "run"

    recipe: ApparatusRecipe
    walkers: int
    hottest: Kelvin
    acceptance: float
    length: Picoseconds
    save_every: Picoseconds
    every: Picoseconds
    seed: int

    @property
    def cost(self) -> float:
        """Simulated time [ps], over all walkers."""
        return self.walkers * self.length

    def __call__(self, store: Store, entry: str) -> None:
        apparatus = self.recipe.build()
        lowest, highest = apparatus.kT, thermal_energy(self.hottest)
        if highest <= lowest:
            raise ValueError(
                f"hottest = {self.hottest:g} K is not above the {lowest / BOLTZMANN:g} K of the dynamics"
            )
        quantiles = self._quantiles(apparatus, entry, lowest, highest)
        card = placed_ladder(quantiles, lowest, highest, self.walkers, self.acceptance)
        store.commit(entry, lambda folder: write_json(folder / "ladder.json", card))

    def _quantiles(self, apparatus: Apparatus, entry: str, lowest: float, highest: float) -> EnergyQuantiles:
        """How energies are distributed, from a run on a ladder of evenly spaced logarithms."""
        kT = np.geomspace(lowest, highest, self.walkers)
        steps = whole_multiple(self.save_every, apparatus.dt, "save_every")
        ladder = Ladder(kT, whole_multiple(self.every, apparatus.dt, "exchange_every"), seed=self.seed)
        positions = np.repeat(apparatus.positions[..., None], self.walkers, axis=-1)
        box = None if apparatus.box is None else jnp.asarray(apparatus.box, jnp.float32)
        key = jax.random.key(seed_of(self.seed, entry))
        start = thermal_state(jnp.asarray(positions, jnp.float32), apparatus.masses, lowest, key, box)
        frames = whole_multiple(self.length, self.save_every, "pilot")
        run = apparatus.engine.run(start, frames * steps, save_every=steps, bias=ladder)
        half = frames // 2
        sound = np.arange(frames)[None, :] < run.valid[:, None]
        sound[:, :half] = False
        assert run.rungs is not None
        return EnergyQuantiles.of(
            kT, [run.energy[sound & (run.rungs == rung)] for rung in range(self.walkers)]
        )


def placed_ladder(
    quantiles: EnergyQuantiles, lowest: float, highest: float, walkers: int, acceptance: float
) -> dict[str, Any]:
    """Rungs for so many walkers: ``kT``, the predicted ``rates``, and ``notes`` on what was decided.

    Parameters
    ----------
    quantiles : of the energy
    lowest, highest : ``kT`` [kJ/mol]
    walkers : a number of rungs divides it
    acceptance : how often neighbors are to change places, at least
    """
    needed, notes = quantiles.rungs(lowest, highest, acceptance), []
    rungs = min((n for n in range(2, walkers + 1) if walkers % n == 0 and n >= needed), default=walkers)
    if needed > rungs and quantiles.rungs(lowest, highest, LEAST_ACCEPTANCE) > rungs:
        # as far up as neighbors still change places
        kT = [lowest, *quantiles.climbed(lowest, highest, acceptance)[: rungs - 1]]
        notes.append(
            f"{needed} rungs would be needed up to {highest / BOLTZMANN:.0f} K for neighbors to change places in "
            f"{100 * acceptance:.0f} % of their attempts, there are {walkers} walkers: the ladder ends at "
            f"{kT[-1] / BOLTZMANN:.0f} K"
        )
    else:
        kT = quantiles.placed(lowest, highest, rungs).tolist()
    rates = [quantiles.acceptance(*pair) for pair in itertools.pairwise(kT)]
    return {"kT": [float(one) for one in kT], "rates": rates, "notes": notes}


@dataclass(frozen=True)
class WeighRungs:
    """Weigh the frames of all rungs as if made at the lowest temperature without bias, by MBAR over all of them.

    Attributes
    ----------
    recipe : of the apparatus
    runs : for each run, the entries of its consecutive segments
    ladders : the ladder of each run
    skip : frames left out at the beginning of each walk
    """

    kind: ClassVar[str] = "reduce"

    recipe: ApparatusRecipe
    runs: tuple[tuple[str, ...], ...]
    ladders: tuple[OnLadder, ...]
    skip: int = 0

    def __call__(self, store: Store, entry: str) -> None:
        apparatus = self.recipe.build()
        runs = [[Segment.read(store, name) for name in run] for run in self.runs]
        features, energy, values, rungs = (
            [walks(run, quantity, self.skip) for run in runs]
            for quantity in ("features", "energy", "values", "rungs")
        )
        ladder = self.ladders[0].build(store, apparatus)
        own = [_weighed(ladder, apparatus.kT, *one) for one in zip(energy, values, rungs)]
        pooled = _weighed(
            ladder, apparatus.kT, *(list(itertools.chain(*each)) for each in (energy, values, rungs))
        )
        mixing = [
            LadderMixing.of(replace(held, after=run[-1]).state(store, ladder))
            for run, held in zip(self.runs, self.ladders)
        ]
        lengths = [len(walk) for run in features for walk in run]
        card = {
            "features": list(apparatus.features.names),
            "kT": apparatus.kT,
            "free_energies": pooled.free_energies.tolist(),
            "least_overlap": pooled.least_overlap,
            "converged": pooled.converged,
            "doubts": [*pooled.doubts, *self._notes(store), *(d for one in mixing for d in one.doubts)],
            "effective_frames": [effective_sample_size(model.log_weights) for model in own],
            "effective_frames_pooled": effective_sample_size(pooled.log_weights),
            "rungs": np.asarray(ladder.kT, float).tolist(),
            "exchange": [_told(one) for one in mixing],
        }
        arrays = {
            "features": np.concatenate([walk for run in features for walk in run]),
            "run": np.repeat(np.arange(len(runs)), [sum(map(len, run)) for run in features]),
            "walk": np.repeat(np.arange(len(lengths)), lengths),
            "log_weights": np.concatenate([model.log_weights for model in own]),
            "pooled": pooled.log_weights,
        }

        def write(folder):
            disk.write_arrays(folder / "weights.npz", arrays)
            write_json(folder / "weights.json", card)

        store.commit(entry, write)

    def _notes(self, store: Store) -> list[str]:
        """What was decided when temperatures were placed."""
        entries = {held.placed for held in self.ladders} - {None}
        cards = [read_json(store.file(entry, "ladder.json"), "temperatures of a ladder") for entry in entries]
        return [note for card in cards for note in card["notes"]]


def _weighed(
    ladder: Ladder,
    kT: float,
    energy: Sequence[np.ndarray],
    values: Sequence[np.ndarray],
    rungs: Sequence[np.ndarray],
) -> MBARModel:
    """Weights of the frames of some walks on a ladder."""
    energies = ladder.relative(np.concatenate(energy), np.concatenate(values).T, kT)
    counts = np.bincount(np.concatenate(rungs), minlength=ladder.count)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # doubts are told by the report, out of the card
        return MBAR(kT).fit(energies, counts)


def _told(mixing: LadderMixing) -> dict[str, Any]:
    return {
        "rates": mixing.rates.tolist(),
        "round_trips": mixing.round_trips,
        "expected": mixing.expected,
        "second_eigenvalue": mixing.second_eigenvalue,
        "rising": [None if np.isnan(share) else float(share) for share in mixing.rising],
    }


@dataclass(frozen=True)
class DrawStarts:
    """Draw the places where walkers start anew from weighted frames of one run, each as often as it weighs.

    Attributes
    ----------
    recipe : of the apparatus
    weights : entry of the weighted frames
    run : number of the run among them
    segments : its consecutive segments
    walkers : number of starts
    seed : of the draw
    skip : frames left out at the beginning of each walk, as when they were weighed
    """

    kind: ClassVar[str] = "reduce"

    recipe: ApparatusRecipe
    weights: str
    run: int
    segments: tuple[str, ...]
    walkers: int
    seed: int
    skip: int = 0

    def __call__(self, store: Store, entry: str) -> None:
        apparatus = self.recipe.build()
        segments = [Segment.read(store, name) for name in self.segments]
        placed = [
            replace(segment, features=_places(number, segment)) for number, segment in enumerate(segments)
        ]
        places = np.concatenate(walks(placed, "features", self.skip)).astype(int)
        logs = np.concatenate(WeightedFrames.read(store, self.weights).walks("log_weights", self.run))
        weights = np.cumsum(np.exp(logs - logs.max()))
        # evenly spaced draws with one random offset: each frame as often as it weighs, to within one
        offset = np.random.default_rng(self.seed).random()
        draws = (offset + np.arange(self.walkers)) / self.walkers * weights[-1]
        chosen = places[np.searchsorted(weights, draws)]
        read, folders = apparatus.trajectories.read, [store.folder(name) for name in self.segments]
        starts = {
            "positions": np.stack([read(folders[s], walker, frame) for s, walker, frame in chosen.tolist()])
        }
        told = [{"segment": self.segments[s], "walker": w, "frame": f} for s, w, f in chosen.tolist()]

        def write(folder):
            disk.write_arrays(folder / "starts.npz", starts)
            write_json(folder / "starts.json", told)

        store.commit(entry, write)


def _places(number: int, segment: Segment) -> np.ndarray:
    """Segment, walker and frame of every frame."""
    walkers, frames = segment.energy.shape
    grid = np.meshgrid([number], np.arange(walkers), np.arange(frames), indexing="ij")
    return np.stack([axis[0] for axis in grid], axis=-1).astype(float)
