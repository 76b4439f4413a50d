"""Reduce tasks: weights without bias for all frames made under held biases, by MBAR over all of them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from thalweg.free_energies.reweighting import MBAR, effective_sample_size, exponential_weights
from thalweg.machine import disk
from thalweg.machine.arrays import stored_arrays
from thalweg.machine.reading import read_json
from thalweg.sampling.apparatus import ApparatusRecipe
from thalweg.sampling.segment import Segment, walks
from thalweg.sampling.store import Store, write_json
from thalweg.sampling.tasks.flatten import FlatteningBias
from thalweg.sampling.tasks.learned_variable import LearnedVariable
from thalweg.sampling.tasks.simulate import HeldBias
from thalweg.shapes import Float, Int


@dataclass(frozen=True, eq=False)
class WeightedFrames:
    """Frames of several independent runs, with weights that undo their biases.

    Attributes
    ----------
    features : (frames, features)
    run : which run a frame is from
    walk : which walk, numbered through all runs; frames of a walk are in order of time
    log_weights : of frames within their own run, under its own bias
    pooled : of frames among those of all runs, by MBAR
    card : names of the features, free energies and overlap of the biased ensembles, effective sample sizes
    """

    features: Float[np.ndarray, "frames features"]
    run: Int[np.ndarray, " frames"]
    walk: Int[np.ndarray, " frames"]
    log_weights: Float[np.ndarray, " frames"]
    pooled: Float[np.ndarray, " frames"]
    card: dict

    def walks(self, quantity: str, run: int | None = None) -> list[np.ndarray]:
        """A quantity along each walk of one run, or of all."""
        numbers = np.unique(self.walk if run is None else self.walk[self.run == run])
        return [getattr(self, quantity)[self.walk == number] for number in numbers]

    @staticmethod
    def read(store: Store, entry: str) -> WeightedFrames:
        card = read_json(store.file(entry, "weights.json"), "what weights say of themselves")
        with stored_arrays(store.file(entry, "weights.npz")) as arrays:
            return WeightedFrames(**arrays, card=card)


@dataclass(frozen=True)
class Reweigh:
    """Weigh the frames of runs under held biases.

    Attributes
    ----------
    recipe : of the apparatus
    runs : for each run, the entries of its consecutive segments
    biases : of each run, one that does not grow
    skip : frames left out at the beginning of each walk, before the walkers have forgotten how the bias grew
    """

    kind: ClassVar[str] = "reduce"

    recipe: ApparatusRecipe
    runs: tuple[tuple[str, ...], ...]
    biases: tuple[HeldBias | FlatteningBias, ...]
    skip: int = 0

    def __call__(self, store: Store, entry: str) -> None:
        apparatus = self.recipe.build()
        runs = [[Segment.read(store, name) for name in run] for run in self.runs]
        found = [walks(run, "features", self.skip) for run in runs]
        features = np.concatenate([walk for run in found for walk in run])
        counts = np.array([sum(map(len, run)) for run in found])
        energies = np.stack([self._energies(store, apparatus, held, features) for held in self.biases])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # doubts are told by the report, out of the card
            model = MBAR(apparatus.kT).fit(energies, counts)
        run = np.repeat(np.arange(len(runs)), counts)
        own = [exponential_weights(energies[k, run == k], apparatus.kT) for k in range(len(runs))]
        lengths = [len(walk) for run in found for walk in run]
        card = {
            "features": list(apparatus.features.names),
            "kT": apparatus.kT,
            "free_energies": model.free_energies.tolist(),
            "least_overlap": model.least_overlap,
            "converged": model.converged,
            "doubts": list(model.doubts),
            "effective_frames": [effective_sample_size(logs) for logs in own],
            "effective_frames_pooled": effective_sample_size(model.log_weights),
        }
        arrays = {
            "features": features,
            "run": run,
            "walk": np.repeat(np.arange(len(lengths)), lengths),
            "log_weights": np.concatenate(own),
            "pooled": model.log_weights,
        }

        def write(folder):
            disk.write_arrays(folder / "weights.npz", arrays)
            write_json(folder / "weights.json", card)

        store.commit(entry, write)

    def _energies(self, store, apparatus, held, features):
        """Energies of one bias at all frames [kJ/mol]."""
        bias = held.build(store, apparatus)
        model = held.model if isinstance(held, FlatteningBias) else held.grown.model
        values = LearnedVariable.read(store, model).values(features)
        return np.asarray(bias.energy(bias.init(), jnp.asarray(values.T, jnp.float32)), float)
