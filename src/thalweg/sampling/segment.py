"""A segment: what one simulation task leaves, the datum that every learner and estimator eats.

===================  ===============================================================================
``frames.npz``       per walker and frame: features, biased values, potential energy, bias energy, log
                     weight ``bias energy / kT``, box vectors where they change, and rungs where walkers stand on
                     those of a ladder; and how many frames of each walker are valid
``state.npz``        where all walkers stopped, random key included, and the bias as grown so far
``segment.json``     how it came about: arguments, parents and their digests, versions, what diverged
trajectories         positions in the format of the apparatus
===================  ===============================================================================

Arrays have the shape ``(walkers, frames, ...)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.dynamics.engine import Recording, Variable
from thalweg.geometry.evaluation import evaluate
from thalweg.machine import disk
from thalweg.machine.arrays import stored_arrays
from thalweg.machine.precision import full_precision
from thalweg.machine.reading import read_json
from thalweg.sampling.apparatus import Apparatus
from thalweg.sampling.store import MANIFEST, Store, write_json
from thalweg.shapes import Box, Float, Int, Positions, Values
from thalweg.systems.state import State

FRAMES = "frames.npz"

SMALL = 1 << 16
"""Bytes of the frames of a segment that is kept in memory."""


@dataclass(frozen=True, eq=False)
class Segment:
    """Frames of all walkers; see the module for the files they come from."""

    entry: str
    card: dict[str, Any]
    features: Float[np.ndarray, "walkers frames features"]
    values: Float[np.ndarray, "walkers frames values"]
    energy: Float[np.ndarray, "walkers frames"]
    bias_energy: Float[np.ndarray, "walkers frames"]
    log_weights: Float[np.ndarray, "walkers frames"]
    valid: Int[np.ndarray, " walkers"]
    boxes: Float[np.ndarray, "walkers frames 3 3"] | None = None
    rungs: Int[np.ndarray, "walkers frames"] | None = None

    @staticmethod
    def read(store: Store, entry: str) -> Segment:
        """A committed segment, checked against its digest."""
        card = read_json(store.file(entry, "segment.json"), "what a segment says of itself")
        with stored_arrays(store.file(entry, FRAMES)) as arrays:
            return Segment(entry, card, **arrays)

    @staticmethod
    def read_again(store: Store, entry: str) -> Segment:
        """The same for who reads all segments in every round: a small one is read and checked once in a process."""
        if disk.exists(path := store.folder(entry) / FRAMES) and path.stat().st_size <= SMALL:
            return _kept(store.path, entry, disk.read_bytes(store.folder(entry) / MANIFEST))
        return Segment.read(store, entry)


@lru_cache(maxsize=1 << 13)
def _kept(path: Path, entry: str, manifest: bytes) -> Segment:
    """Read once; one that is made anew differently has another manifest."""
    return Segment.read(Store(path), entry)


def write_segment(folder: Path, recording: Recording, apparatus: Apparatus, card: dict[str, Any]) -> None:
    """Write what an engine recorded into ``folder``."""
    frames = {
        "features": _features(recording, apparatus),
        "values": recording.values,
        "energy": recording.energy,
        "bias_energy": recording.bias_energy,
        "log_weights": recording.bias_energy.astype(float) / apparatus.kT,
        "valid": recording.valid,
    }
    frames |= {} if recording.boxes is None else {"boxes": recording.boxes}
    frames |= {} if recording.rungs is None else {"rungs": recording.rungs}
    disk.write_arrays(folder / FRAMES, frames)
    state = recording.state
    arrays = {"positions": state.positions, "momenta": state.momenta, "step": state.step}
    arrays |= {"key": jax.random.key_data(state.key)} | ({} if state.box is None else {"box": state.box})
    arrays |= {f"bias_{i}": leaf for i, leaf in enumerate(jax.tree.leaves(recording.bias_state))}
    alive = np.array([walker not in recording.diverged for walker in range(len(recording.valid))])
    arrays = {"alive": alive} | {name: np.asarray(array) for name, array in arrays.items()}
    disk.write_arrays(folder / "state.npz", arrays)
    whole = [walker[:n] for walker, n in zip(recording.positions, recording.valid)]
    boxes = [apparatus.box] * len(whole)
    if recording.boxes is not None:
        boxes = [walker[:n] for walker, n in zip(recording.boxes, recording.valid)]
    apparatus.trajectories.write(folder, whole, boxes, recording.dt_frames)
    diverged = {str(walker): sentence for walker, sentence in sorted(recording.diverged.items())}
    names = {"features": list(apparatus.features.names), "dt_frames": recording.dt_frames, "kT": apparatus.kT}
    write_json(folder / "segment.json", apparatus.card | names | card | {"diverged": diverged})


def final_state(store: Store, entry: str) -> State:
    """Where the walkers of a segment stopped; those that diverged take the places of others that did not.

    Raises
    ------
    ValueError
        If all diverged.
    """
    with stored_arrays(store.file(entry, "state.npz")) as arrays:
        alive = np.flatnonzero(arrays["alive"])
        if len(alive) == 0:
            broken = read_json(store.file(entry, "segment.json"), "what a segment says of itself")["diverged"]
            raise ValueError(
                f"all walkers of {entry} diverged, the first thus: {next(iter(broken.values()))}"
            )
        source = np.arange(len(arrays["alive"]))
        dead = ~arrays["alive"]
        source[dead] = np.resize(alive, np.count_nonzero(dead))
        return State(
            positions=jnp.asarray(arrays["positions"][..., source]),
            momenta=jnp.asarray(arrays["momenta"][..., source]),
            key=jax.random.wrap_key_data(jnp.asarray(arrays["key"])),
            step=jnp.asarray(arrays["step"]),
            box=_of_walkers(arrays["box"], source) if "box" in arrays else None,
        )


def _of_walkers(box: np.ndarray, source: np.ndarray) -> Any:
    """The box of all walkers, or those of the walkers ``source`` where each has its own."""
    return jnp.asarray(box if box.ndim == 2 else box[..., source])


def final_bias_state(store: Store, entry: str, like: Any) -> Any:
    """The bias as grown at the end of a segment, in the structure of the state ``like``."""
    _, structure = jax.tree.flatten(like)
    with stored_arrays(store.file(entry, "state.npz")) as arrays:
        leaves = [jnp.asarray(arrays[f"bias_{i}"]) for i in range(structure.num_leaves)]
    return jax.tree.unflatten(structure, leaves)


def walks(
    segments: Sequence[Segment], quantity: str, skip: int = 0
) -> list[Float[np.ndarray, "frames ..."] | Int[np.ndarray, "frames ..."]]:
    """One array per walker of a quantity along consecutive segments, without the first ``skip`` frames.

    A walker that diverged ends there: the walk that took its place is another trajectory.
    """
    done, current = [], [[] for _ in segments[0].valid]
    for segment in segments:
        for walker, (frames, n) in enumerate(zip(getattr(segment, quantity), segment.valid)):
            current[walker].append(frames[:n])
            if str(walker) in segment.card["diverged"]:
                done.append(np.concatenate(current[walker]))
                current[walker] = []
    done += [np.concatenate(parts) for parts in current if parts]
    return [walk[skip:] for walk in done if len(walk) > skip]


def unbiased_weights(runs: Sequence[Sequence[Segment]], skip: int = 0) -> list[Float[np.ndarray, " frames"]]:
    """What the frames of all walks weigh without the bias they were made under, of mean one, in the order of `walks`.

    Runs are independent estimates of one distribution: each counts by its effective frames.
    """
    found = []
    for run in runs:
        logs = [walk.astype(float) for walk in walks(run, "log_weights", skip)]
        norm = np.logaddexp.reduce(np.concatenate(logs))
        shares = [np.exp(walk - norm) for walk in logs]
        squared = sum((share**2).sum() for share in shares)
        found += [share / squared for share in shares]
    mean = np.concatenate(found).mean()
    return [each / mean for each in found]


@full_precision()
def _features(recording: Recording, apparatus: Apparatus) -> Float[np.ndarray, "walkers frames features"]:
    """Features of all frames, one walker at a time so that every one compiles to the same program."""
    if recording.boxes is not None:
        pairs = zip(recording.positions, recording.boxes)
        return np.stack([evaluate(apparatus.features, positions, boxes) for positions, boxes in pairs])
    positions = recording.positions
    box = None if apparatus.box is None else jnp.asarray(apparatus.box, positions.dtype)
    walks = [walker.transpose(1, 2, 0) for walker in positions]
    return np.stack([np.asarray(_measured(apparatus.features, walk, box)).T for walk in walks])


@eqx.filter_jit
def _measured(features: Variable, positions: Positions, box: Box | None) -> Values:
    """Compiled once for all segments of a campaign."""
    return features(positions, box)
