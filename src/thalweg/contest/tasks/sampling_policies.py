"""Sampling policies: where to begin next, given what was seen, so that short runs find the wells of a landscape.

Sixteen wells of drawn depths and places on a plane; walkers begin in one of them, move by overdamped dynamics, and
after each round the entry names the frames from which they go on. The judge moves them. Twenty campaigns run side by
side, all from the same well with noise of their own, so that the score has an error bar. Found is a well within whose
half width a frame lay; the score is the part of the wells found, averaged over the rounds, which rewards finding early.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from thalweg.contest.jail.messages import Refused
from thalweg.contest.rules.task import Arrays, Ask, EntryLimits, Score, bootstrapped
from thalweg.shapes import Float, Int

CAMPAIGNS, WALKERS, ROUNDS, FRAMES, STEPS = 20, 4, 16, 20, 15
DT, WIDTH, APART, SIDE = 0.004, 0.45, 2.0, 4
"""Step [ps], width of a well and distance of neighbors [nm], wells along a side; ``kT = D = 1``."""


@dataclass(frozen=True)
class SamplingPoliciesTask:
    """The task; see the module."""

    name: str = "sampling-policies"
    title: str = "Choose, round by round, the frames where short runs go on, so that they find all wells"
    gets: Mapping[str, str] = field(
        default_factory=lambda: {
            "walkers": "fit: (1,), how many begin in each round",
            "rounds": "fit: (1,), how many rounds there are",
            "frames": "answer: (campaigns, frames, 2), places so far [nm], walk after walk, the last round last",
        }
    )
    gives: Mapping[str, str] = field(
        default_factory=lambda: {
            "starts": "(campaigns, walkers), place in its campaign's frames where each goes on"
        }
    )
    scored: str = "part of the wells found, averaged over rounds, 1 at best"
    unit: str = ""
    larger_is_better: bool = True
    problems: int = 3
    limits: EntryLimits = EntryLimits()  # noqa: RUF009

    def problem(self, seed: np.random.SeedSequence) -> DrawnLandscape:
        """Wells drawn from ``seed``."""
        random = np.random.default_rng(seed)
        lattice = np.stack(np.meshgrid(*[np.arange(SIDE) * APART] * 2), axis=-1).reshape(-1, 2)
        centers = lattice + random.uniform(-0.4, 0.4, lattice.shape)
        depths = random.uniform(3.5, 6.0, len(centers))
        return DrawnLandscape(
            centers,
            depths,
            int(random.choice([0, SIDE - 1, SIDE * (SIDE - 1), SIDE**2 - 1])),
            int(random.integers(1 << 62)),
        )


@dataclass(frozen=True, eq=False)
class DrawnLandscape:
    """One draw: ``U(x) = -sum_k A_k exp(-|x - c_k|^2 / 2 w^2)``, and a wall about all of it.

    Attributes
    ----------
    centers : (wells, 2) c [nm]
    depths : (wells,) A [kT]
    first : the well where all begin, one in a corner
    noise : seed of the walkers' noise
    """

    centers: Float[np.ndarray, "wells 2"]
    depths: Float[np.ndarray, " wells"]
    first: int
    noise: int

    @property
    def given(self) -> Arrays:
        """How many walkers and rounds."""
        return {"walkers": np.array([WALKERS]), "rounds": np.array([ROUNDS])}

    def play(self, ask: Ask) -> Score:
        """Let the walkers go where the entry sends them."""
        random = np.random.default_rng(self.noise)
        starts = np.broadcast_to(self.centers[self.first], (CAMPAIGNS, WALKERS, 2))
        frames = np.empty((CAMPAIGNS, 0, 2))
        found = np.zeros((CAMPAIGNS, len(self.centers)), bool)
        course = []
        for round_ in range(ROUNDS):
            if round_:
                starts = np.take_along_axis(frames, self._chosen(ask, frames)[..., None], axis=1)
            new = self.walked(starts, random).reshape(CAMPAIGNS, -1, 2)
            away = np.linalg.norm(new[:, :, None] - self.centers, axis=-1)
            found |= (away < WIDTH / 2).any(axis=1)
            course.append(found.mean(axis=1))
            frames = np.concatenate([frames, new], axis=1)
        of_campaigns = np.mean(course, axis=0)
        return bootstrapped(lambda campaigns: float(of_campaigns[campaigns].mean()), CAMPAIGNS)

    def _chosen(self, ask: Ask, frames: np.ndarray) -> Int[np.ndarray, "campaigns walkers"]:
        starts = ask({"frames": frames}, {"starts": (CAMPAIGNS, WALKERS)})["starts"]
        if (starts != np.round(starts)).any() or starts.min() < 0 or starts.max() >= frames.shape[1]:
            raise Refused(f"starts: whole numbers from 0 to {frames.shape[1] - 1} are asked for")
        return starts.astype(int)

    def walked(
        self, starts: np.ndarray, random: np.random.Generator
    ) -> Float[np.ndarray, "campaigns walkers frames 2"]:
        """Short runs from ``starts`` (campaigns, walkers, 2)."""
        x, frames = starts, []
        for _ in range(FRAMES):
            for noise in np.sqrt(2.0 * DT) * random.standard_normal((STEPS, *starts.shape)):
                x = x + DT * self.force(x) + noise
            frames.append(x)
        return np.stack(frames, axis=2)

    def force(self, x: np.ndarray) -> np.ndarray:
        """``-dU/dx`` (..., 2) [kT/nm]."""
        between = x[..., None, :] - self.centers
        depth = self.depths * np.exp(-0.5 * (between**2).sum(axis=-1) / WIDTH**2)
        outside = x - np.clip(x, -1.0, (SIDE - 1) * APART + 1.0)
        return -(depth[..., None] * between).sum(axis=-2) / WIDTH**2 - 50.0 * outside
