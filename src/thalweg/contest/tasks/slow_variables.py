"""Slow variables: find two slow processes in features that hide them, and see them in frames one has not learned from.

``x`` and ``y`` hop in two independent tilted double wells, drawn anew for each problem; five fast numbers of larger
variance stand beside them. All seven go through rotations and bends ``u + sin(2u)/2``, which can be undone but by no
straight line. The exact slow functions are known from the two generators.

The withheld frames come shuffled: a coordinate must be a function of the frame, and time itself, which is slow, is no
answer. Captured is the kinetic variance ``K = sum_i lambda_i^2 R_i^2 / sum_i lambda_i^2`` of the two slowest functions,
``lambda_i`` their eigenvalues at the lag time, ``R_i^2`` the part of ``psi_i`` that the entry's coordinates hold
[noe2015].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from thalweg.contest.rules.task import Arrays, Ask, EntryLimits, Score, bootstrapped
from thalweg.shapes import Float
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.wells import DoubleWell

RUNS, FRAMES, STEPS, DT = 16, 800, 10, 0.005
"""Runs given and as many withheld, frames of each, steps between frames, and the step [ps]."""

LAG = 10
"""Lag time in frames."""

FAST, LOUD = 5, 1.5
"""Fast numbers beside the slow two, and their standard deviation."""


@dataclass(frozen=True)
class SlowVariablesTask:
    """The task; see the module."""

    name: str = "slow-variables"
    title: str = "Find the two slow coordinates behind seven nonlinearly mixed features"
    gets: Mapping[str, str] = field(
        default_factory=lambda: {
            "features": "fit: (runs, frames, 7), runs in time; answer: (frames, 7), other frames, shuffled",
            "lagtime": "fit: (1,), in frames",
        }
    )
    gives: Mapping[str, str] = field(
        default_factory=lambda: {"coordinates": "(frames, 2), of each frame asked"}
    )
    scored: str = "kinetic variance of the two slowest functions that the coordinates capture, 1 at best"
    unit: str = ""
    larger_is_better: bool = True
    problems: int = 3
    limits: EntryLimits = EntryLimits()  # noqa: RUF009

    def problem(self, seed: np.random.SeedSequence) -> HiddenWells:
        """Wells, bends and runs drawn from ``seed``."""
        random = np.random.default_rng(seed)
        wells = (
            DoubleWell(random.uniform(3.0, 4.5), random.uniform(-0.4, 0.4)),
            DoubleWell(random.uniform(1.5, 2.5), random.uniform(-0.4, 0.4)),
        )
        slow = np.stack([_runs(well, 2 * RUNS, random) for well in wells], axis=-1)
        loud = LOUD * random.standard_normal((*slow.shape[:2], FAST))
        return HiddenWells(
            wells,
            slow,
            _bent(np.concatenate([slow, loud], axis=-1), random),
            random.permutation(RUNS * FRAMES),
        )


@dataclass(frozen=True, eq=False)
class HiddenWells:
    """One draw.

    Attributes
    ----------
    wells : of the two slow coordinates
    slow : (runs, frames, 2) the coordinates
    features : (runs, frames, 7) what is shown of them
    shuffle : order in which the frames of the second half of the runs are asked
    """

    wells: tuple[DoubleWell, DoubleWell]
    slow: Float[np.ndarray, "runs frames 2"]
    features: Float[np.ndarray, "runs frames features"]
    shuffle: np.ndarray

    @property
    def given(self) -> Arrays:
        """Runs in time."""
        return {"features": self.features[:RUNS], "lagtime": np.array([float(LAG)])}

    def play(self, ask: Ask) -> Score:
        """Ask for coordinates of the withheld frames, and compare them with the exact functions."""
        asked = self.features[RUNS:].reshape(-1, self.features.shape[-1])[self.shuffle]
        answered = ask({"features": asked}, {"coordinates": (len(asked), 2)})["coordinates"]
        coordinates = np.empty_like(answered)
        coordinates[self.shuffle] = answered
        functions, eigenvalues = self.slow_functions()
        scale = (
            np.abs(coordinates).max(axis=0) + np.finfo(float).tiny
        )  # squares of any finite answer stay finite
        columns = np.concatenate([np.ones((len(asked), 1)), coordinates / scale, functions], axis=1)
        blocks = columns.reshape(RUNS, FRAMES, 5)
        moments = np.einsum("rfi,rfj->rij", blocks, blocks)
        weights = eigenvalues**2 / (eigenvalues**2).sum()
        return bootstrapped(lambda runs: float(weights @ _held(moments[runs].sum(axis=0))), RUNS)

    def slow_functions(self) -> tuple[Float[np.ndarray, "frames 2"], Float[np.ndarray, " 2"]]:
        """The slow function of each well at the withheld frames, and its eigenvalue at the lag time."""
        functions, eigenvalues = [], []
        for k, well in enumerate(self.wells):
            generator = Generator(well, well.domain, 300)
            rates, modes = generator.spectrum(2)
            places = np.clip(self.slow[RUNS:, :, k].ravel(), -2.19, 2.19)
            functions.append(np.interp(places, generator.points[0], modes[1]))
            eigenvalues.append(np.exp(-rates[1] * LAG * STEPS * DT))
        return np.stack(functions, axis=-1), np.array(eigenvalues)


def _held(moments: Float[np.ndarray, "5 5"]) -> Float[np.ndarray, " 2"]:
    """Part of the variance of the last two columns that the first three (a constant, two coordinates) hold."""
    among, across = moments[:3, :3], moments[:3, 3:]
    explained = np.einsum("ij,ij->j", across, np.linalg.pinv(among, hermitian=True) @ across)
    mean = moments[0, 3:] ** 2 / moments[0, 0]
    return np.clip((explained - mean) / (np.diag(moments)[3:] - mean), 0.0, 1.0)


def _runs(well: DoubleWell, runs: int, random: np.random.Generator) -> Float[np.ndarray, "runs frames"]:
    """Overdamped runs from equilibrium, ``kT = D = 1``."""
    generator = Generator(well, well.domain, 300)
    x = random.choice(generator.points[0], size=runs, p=generator.stationary_distribution)
    frames = np.empty((runs, FRAMES))
    for frame in range(FRAMES):
        for noise in np.sqrt(2.0 * DT) * random.standard_normal((STEPS, runs)):
            x = np.clip(x - DT * (4.0 * well.barrier * x * (x * x - 1.0) + well.tilt) + noise, -2.2, 2.2)
        frames[:, frame] = x
    return frames


def _bent(z: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """``z`` (..., n) rotated and bent twice, which can be undone."""
    for _ in range(2):
        rotation, _ = np.linalg.qr(random.standard_normal((z.shape[-1], z.shape[-1])))
        u = z @ rotation
        z = u + 0.5 * np.sin(2.0 * u)
    return z
