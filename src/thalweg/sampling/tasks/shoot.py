"""Fans of trajectories: shot from frames with fresh velocities, each until it enters A or B, or its time is over.

A volley is one task: it leaves a segment as any simulation does, in which the frames of a shot end where a set was
entered, and beside it where each shot ended (``outcomes.npz``). Sets are looked for in every saved frame. Shots that
have ended are not simulated on: whenever half of them have, the others go on alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from thalweg import __version__
from thalweg.dynamics.constraints import BondConstraints
from thalweg.dynamics.engine import Recording
from thalweg.geometry.evaluation import evaluate
from thalweg.kinetics.committors.shot_outcomes import ShotOutcomes
from thalweg.kinetics.reactions.regions import IN_A, IN_B, OUTSIDE, Region
from thalweg.machine import disk
from thalweg.machine.arrays import stored_array, stored_arrays
from thalweg.machine.memory import require_memory
from thalweg.sampling.apparatus import Apparatus, ApparatusRecipe
from thalweg.sampling.plans import plain
from thalweg.sampling.segment import write_segment
from thalweg.sampling.store import MANIFEST, Store, sha256
from thalweg.sampling.tasks.simulate import seed_of
from thalweg.systems.state import State, thermal_state
from thalweg.units import Picoseconds, whole_multiple

LOOKS = 20
"""How often, about, all shots of a volley are looked at for those that have ended."""


@dataclass(frozen=True)
class TakeStarts:
    """Keep frames of a file, evenly spread, as the places to shoot from.

    Attributes
    ----------
    recipe : of the apparatus
    file : array ``(frames, atoms, dims)`` of positions [nm], ``.npy``; empty for the start of the apparatus
    points : how many frames
    """

    kind: ClassVar[str] = "reduce"

    recipe: ApparatusRecipe
    file: str
    points: int

    def __call__(self, store: Store, entry: str) -> None:
        apparatus = self.recipe.build()
        if self.file:
            frames = np.asarray(stored_array(Path(self.file)), float)
        else:
            frames = np.repeat(apparatus.positions[None], self.points, axis=0)
        wanted = apparatus.positions.shape
        if frames.ndim != 3 or frames.shape[1:] != wanted:
            raise ValueError(
                f"{self.file} has frames of shape {frames.shape}, needed is (frames, {wanted[0]}, {wanted[1]})"
            )
        if len(frames) < self.points:
            raise ValueError(
                f"{self.file} has {len(frames)} frames, points = {self.points} are to be shot from"
            )
        chosen = np.linspace(0, len(frames) - 1, self.points).round().astype(int)
        arrays = {"positions": frames[chosen]}
        store.commit(entry, lambda folder: disk.write_arrays(folder / "starts.npz", arrays))


@dataclass(frozen=True)
class Shoot:
    """Shoot from all frames of ``starts``, so many times each, and keep a segment and where each shot ended.

    Attributes
    ----------
    recipe : of the apparatus
    starts : entry of the frames
    points : how many frames there are
    shots : from each of them
    a, b : the sets, of the features of the apparatus
    longest : time after which a shot is given up [ps]
    save_every : time between frames, in each of which the sets are looked for [ps]
    seed : of velocities and noise
    """

    kind: ClassVar[str] = "run"

    recipe: ApparatusRecipe
    starts: str
    points: int
    shots: int
    a: Region
    b: Region
    longest: Picoseconds
    save_every: Picoseconds
    seed: int

    @property
    def cost(self) -> float:
        """Simulated time at most [ps], over all shots."""
        return self.points * self.shots * self.longest

    def __call__(self, store: Store, entry: str) -> None:
        apparatus = self.recipe.build()
        with stored_arrays(store.file(self.starts, "starts.npz")) as arrays:
            positions = np.repeat(arrays["positions"], self.shots, axis=0)
        key = jax.random.key(seed_of(self.seed, entry))
        box = None if apparatus.box is None else jnp.asarray(apparatus.box, jnp.float32)
        start = _thermal(apparatus, jnp.asarray(np.moveaxis(positions, 0, -1), jnp.float32), key, box)
        shot = shoot(apparatus, start, self.a, self.b, self.longest, self.save_every)
        parents = {self.starts: sha256(store.folder(self.starts) / MANIFEST)}
        card = {"id": entry, "arguments": plain(self), "parents": parents, "thalweg": __version__}
        card |= {"walkers": len(positions), "steps": int(shot.recording.state.step), "dt": apparatus.dt}
        card |= {"unfinished": int((shot.outcomes == OUTSIDE).sum())}

        def write(folder: Path) -> None:
            write_segment(folder, shot.recording, apparatus, card)
            fan = {name: _of_points(array, self.points) for name, array in shot.arrays().items()}
            disk.write_arrays(folder / "outcomes.npz", fan | {"features": fan["features"][:, 0]})

        store.commit(entry, write)


@dataclass(frozen=True, eq=False)
class Fan:
    """Trajectories that were shot, and where each of them ended.

    Attributes
    ----------
    recording : frames of every shot until it ended
    features : (shots, features) at the start
    outcomes : (shots,)
    times : (shots,) until the end [ps]
    velocities : (shots, features) at the start [1/ps]; None if the dynamics has none
    """

    recording: Recording
    features: np.ndarray
    outcomes: np.ndarray
    times: np.ndarray
    velocities: np.ndarray | None

    def arrays(self) -> dict[str, np.ndarray]:
        """All but the frames, by name."""
        both = {name: getattr(self, name) for name in ("features", "outcomes", "times", "velocities")}
        return {name: array for name, array in both.items() if array is not None}


def shoot(
    apparatus: Apparatus, start: State, a: Region, b: Region, longest: Picoseconds, save_every: Picoseconds
) -> Fan:
    """Advance every replica of ``start`` until it enters A or B.

    Parameters
    ----------
    apparatus : engine and features
    start : outside both sets, with the velocities to begin with
    a, b : sets of the features
    longest : time after which a shot is given up [ps]
    save_every : time between frames [ps]

    Raises
    ------
    ValueError
        If a start is in a set already, or times are no whole numbers of steps and frames.
    """
    stride = whole_multiple(save_every, apparatus.dt, "save_every")
    total = whole_multiple(longest, save_every, "longest")
    features, velocities = _at_start(apparatus, start)
    _require_outside(features, a, b)
    shots = start.positions.shape[-1]
    require_memory(
        4 * shots * total * start.positions[..., 0].size,
        f"{shots} shots of up to {total} frames; save more rarely, or shoot fewer at a time",
    )
    log = _Log(shots, total, start)
    running, state = np.arange(shots), start
    pace, moved = max(1, total // LOOKS), False
    for begin in range(0, total, pace):
        frames = min(pace, total - begin)
        chunk = apparatus.engine.run(state, frames * stride, save_every=stride)
        where = _visited(_measured(chunk, apparatus), a, b)
        log.note(running, begin, chunk, where)
        moved = moved or not np.array_equal(np.asarray(chunk.state.momenta), np.asarray(state.momenta))
        going = np.flatnonzero(log.going[running])
        if len(going) == 0:
            break
        running, state = _thinned(running, chunk.state, going)
    recording = log.recording(chunk.dt_frames, state)
    return Fan(recording, features, log.outcomes, log.valid * chunk.dt_frames, velocities if moved else None)


def shot_outcomes(store: Store, entries: Sequence[str], names: Sequence[str] | None = None) -> ShotOutcomes:
    """Where the shots of some volleys ended, those from the same frames side by side.

    Parameters
    ----------
    entries : of `Shoot` tasks that shot from the same frames
    names : of the features
    """
    volleys = []
    for entry in entries:
        with stored_arrays(store.file(entry, "outcomes.npz")) as arrays:
            volleys.append(
                _Volley(arrays["features"], arrays["outcomes"], arrays["times"], arrays.get("velocities"))
            )
    first = volleys[0]

    def together(name: str) -> Any:
        columns = [getattr(volley, name) for volley in volleys]
        return None if any(column is None for column in columns) else np.concatenate(columns, axis=1)

    return ShotOutcomes(
        first.features,
        together("outcomes"),
        together("times"),
        together("velocities"),
        None if names is None else tuple(names),
    )


@dataclass(frozen=True, eq=False)
class _Volley:
    features: np.ndarray
    outcomes: np.ndarray
    times: np.ndarray
    velocities: np.ndarray | None


class _Log:
    """Frames of all shots as they come, and where each ended."""

    def __init__(self, shots: int, total: int, start: State):
        atoms, dims = start.positions.shape[:2]
        self.positions = np.zeros((shots, total, atoms, dims), np.float32)
        self.energy = np.zeros((shots, total), np.float32)
        self.boxes: np.ndarray | None = None
        self.outcomes = np.full(shots, OUTSIDE)
        self.valid = np.zeros(shots, int)
        self.going = np.ones(shots, bool)
        self.diverged: dict[int, str] = {}
        self.last = np.array(start.positions), np.array(start.momenta)

    def note(self, running: np.ndarray, begin: int, chunk: Recording, where: np.ndarray) -> None:
        """Add what a chunk holds of the shots that have not ended yet."""
        frames = chunk.positions.shape[1]
        for place, shot in enumerate(running):
            if not self.going[shot]:
                continue
            good = int(chunk.valid[place])
            hits = np.flatnonzero(where[place, :good] != OUTSIDE)
            count = int(hits[0]) + 1 if len(hits) else good
            self.positions[shot, begin : begin + count] = chunk.positions[place, :count]
            self.energy[shot, begin : begin + count] = chunk.energy[place, :count]
            if chunk.boxes is not None:
                if self.boxes is None:
                    self.boxes = np.zeros((*self.energy.shape, 3, 3), np.float32)
                self.boxes[shot, begin : begin + count] = chunk.boxes[place, :count]
            self.valid[shot] = begin + count
            for whole, part in zip(self.last, (chunk.state.positions, chunk.state.momenta)):
                whole[..., shot] = np.asarray(part[..., place])
            if len(hits):
                self.outcomes[shot] = where[place, hits[0]]
            elif place in chunk.diverged:
                self.diverged[int(shot)] = chunk.diverged[place]
            self.going[shot] = not len(hits) and good == frames and place not in chunk.diverged

    def recording(self, dt_frames: float, state: State) -> Recording:
        """All shots, as one run would leave them."""
        longest = max(int(self.valid.max()), 1)
        positions, momenta = (jnp.asarray(array) for array in self.last)
        return Recording(
            positions=self.positions[:, :longest],
            values=np.zeros((len(self.valid), longest, 0), np.float32),
            energy=self.energy[:, :longest],
            bias_energy=np.zeros((len(self.valid), longest), np.float32),
            valid=self.valid,
            state=State(positions, momenta, state.key, state.step, state.box if self.boxes is None else None),
            bias_state=None,
            dt_frames=dt_frames,
            diverged=self.diverged,
            boxes=None if self.boxes is None else self.boxes[:, :longest],
        )


def _thermal(apparatus: Apparatus, positions: jax.Array, key: jax.Array, box: jax.Array | None) -> State:
    """Velocities drawn anew at ``positions`` (atoms, dims, shots), none of them along a constraint."""
    state = thermal_state(positions, apparatus.masses, apparatus.kT, key, box)
    bonds = BondConstraints.build(apparatus.constraints, apparatus.masses)
    momenta = bonds.projected(state.momenta, bonds.tangents(positions))
    return State(positions, momenta, state.key, state.step, state.box)


def _measured(chunk: Recording, apparatus: Apparatus) -> np.ndarray:
    """Features ``(shots, frames, features)`` of all frames."""
    shots, frames = chunk.positions.shape[:2]
    boxes = apparatus.box if chunk.boxes is None else chunk.boxes.reshape(-1, 3, 3)
    flat = chunk.positions.reshape(shots * frames, *chunk.positions.shape[2:])
    return evaluate(apparatus.features, flat, boxes).reshape(shots, frames, -1)


def _at_start(apparatus: Apparatus, start: State) -> tuple[np.ndarray, np.ndarray]:
    """Features ``(shots, features)`` and their time derivatives, ``dphi/dt = sum_a p_a/m_a . grad_a phi``."""
    masses = jnp.asarray(apparatus.masses, start.positions.dtype)[:, None, None]
    speeds = jnp.where(masses > 0, start.momenta / jnp.where(masses > 0, masses, 1.0), 0.0)

    def features(positions: jax.Array) -> jax.Array:
        return apparatus.features(positions, start.box)

    values, rates = jax.jit(lambda x, v: jax.jvp(features, (x,), (v,)))(start.positions, speeds)
    return np.asarray(values, float).T, np.asarray(rates, float).T


def _require_outside(features: np.ndarray, a: Region, b: Region) -> None:
    where = _visited(features[None], a, b)[0]
    inside = np.flatnonzero(where != OUTSIDE)
    if len(inside):
        name = "A" if where[inside[0]] == IN_A else "B"
        raise ValueError(
            f"{len(inside)} of {len(where)} shots start in a set, the first in {name}; shoot from frames between the "
            "sets, or make these smaller"
        )


def _visited(features: np.ndarray, a: Region, b: Region) -> np.ndarray:
    """Which set each frame ``(walkers, frames)`` is in."""
    flat = features.reshape(-1, features.shape[-1]).astype(float)
    in_a, in_b = (np.asarray(region.distance(flat)) <= 0 for region in (a, b))
    if (in_a & in_b).any():
        raise ValueError(f"A and B overlap: a shot is in both at features {flat[np.argmax(in_a & in_b)]}")
    return np.where(in_a, IN_A, np.where(in_b, IN_B, OUTSIDE)).reshape(features.shape[:-1])


def _thinned(running: np.ndarray, state: State, going: np.ndarray) -> tuple[np.ndarray, State]:
    """The shots that go on, once they are half of those simulated or fewer; filled up with ended ones to a half."""
    half = (len(running) + 1) // 2
    if len(going) > half or half == len(running):
        return running, state
    ended = np.setdiff1d(np.arange(len(running)), going)
    kept = np.sort(np.concatenate([going, ended[: half - len(going)]]))
    box = state.box if state.box is None or np.ndim(state.box) == 2 else state.box[..., kept]
    return running[kept], State(
        state.positions[..., kept], state.momenta[..., kept], state.key, state.step, box
    )


def _of_points(array: np.ndarray, points: int) -> np.ndarray:
    """``(points, shots, ...)`` of what is there for every shot."""
    return array.reshape(points, -1, *array.shape[1:])
