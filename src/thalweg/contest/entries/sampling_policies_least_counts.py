"""Restarts from the states left least often (LeastCounts), states being 80 k-centers of what was seen."""

import numpy as np

from thalweg.sampling.restarts.least_counts import LeastCounts
from thalweg.sampling.restarts.rule import clustered_frames


def fit(given: dict) -> dict:
    """Walkers of a round, and how many rounds were seen."""
    return {"walkers": int(given["walkers"][0]), "seen": 0}


def answer(model: dict, asked: dict) -> dict:
    """Frames in the least counted states of each campaign."""
    model["seen"] += 1
    return {"starts": np.stack([_starts(frames, **model) for frames in asked["frames"]])}


def _starts(frames: np.ndarray, walkers: int, seen: int) -> np.ndarray:
    walks = np.split(frames, walkers * seen)
    of_rounds = np.repeat(np.arange(seen), walkers), np.tile(np.arange(walkers), seen)
    sampled = clustered_frames(walks, *of_rounds, states=80, lagtime=1, names=("x", "y"))
    return LeastCounts().choose(sampled, walkers, seed=seen).frames
