"""A potential that is quick to fit, and molecules labeled by one that it can only approach."""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.learned_potentials.terms.learner import FitInfo, FittedTerm
from thalweg.learned_potentials.terms.term import Labels, Spread
from thalweg.systems.configuration import Configuration

CENTERS = np.linspace(0.08, 0.3, 10)
WIDTH = 0.03
RIDGE = 1e-4


def pair_sum(frame: Configuration, energy, slope) -> tuple[np.ndarray, np.ndarray]:
    """Energies ``(functions,)`` and forces ``(functions, atoms, 3)`` of pair functions of the distance."""
    steps = frame.positions[:, None] - frame.positions[None]
    distances = np.linalg.norm(steps, axis=2) + np.eye(len(frame))
    off = 1 - np.eye(len(frame))
    pull = -(slope(distances) * off) / distances
    return (energy(distances) * off).sum((1, 2)) / 2, np.einsum("fij,ijx->fix", pull, steps)


def gaussians(frame: Configuration) -> tuple[np.ndarray, np.ndarray]:
    def parts(distances):
        off = (distances - CENTERS[:, None, None]) / WIDTH
        return np.exp(-off * off / 2), off

    return pair_sum(frame, lambda r: parts(r)[0], lambda r: -parts(r)[1] * parts(r)[0] / WIDTH)


def morse(frame: Configuration) -> tuple[float, np.ndarray]:
    def grown(distances):
        return np.exp(-20 * (distances - 0.15))

    energy, forces = pair_sum(
        frame,
        lambda r: (100 * (1 - grown(r)) ** 2)[None],
        lambda r: (4000 * grown(r) * (1 - grown(r)))[None],
    )
    return float(energy[0]), forces[0]


@dataclass(frozen=True)
class GaussianPairs:
    """A term ``sum_pairs sum_k c_k exp(-(r - r_k)^2 / 2 w^2)`` with the posterior covariance of ``c``."""

    coefficients: np.ndarray
    covariance: np.ndarray
    cutoff: float = 0.5

    def bind(self, numbers, box=None, periodic=None):
        raise NotImplementedError

    def evaluate(self, configurations):
        parts = [gaussians(frame) for frame in configurations]
        return Labels(
            np.array([self.coefficients @ energy for energy, _ in parts]),
            tuple(np.tensordot(self.coefficients, forces, 1) for _, forces in parts),
            tuple(np.full((3, 3), np.nan) for _ in parts),
        )

    def spread(self, configurations):
        parts = [gaussians(frame) for frame in configurations]
        return Spread(
            np.array([np.sqrt(energy @ self.covariance @ energy) for energy, _ in parts]),
            tuple(
                np.sqrt(np.einsum("fix,fg,gix->ix", forces, self.covariance, forces)) for _, forces in parts
            ),
        )


@dataclass(frozen=True)
class GaussianPairsLearner:
    """Ridge regression to energies and forces; labels are weighted alike."""

    def fit(self, configurations, *, validation=(), weights=None, seed=0, progress=None):
        parts = [gaussians(frame) for frame in configurations]
        rows = [energy[None] / 0.1 for energy, _ in parts]
        rows += [forces.reshape(len(CENTERS), -1).T / 10 for _, forces in parts]
        right = [np.array([frame.energy / 0.1]) for frame in configurations]
        right += [frame.forces.ravel() / 10 for frame in configurations]
        design, target = np.concatenate(rows), np.concatenate(right)
        inverse = np.linalg.inv(design.T @ design + RIDGE * np.eye(len(CENTERS)))
        return FittedTerm(GaussianPairs(inverse @ design.T @ target, inverse), FitInfo())


@pytest.fixture
def learner():
    return GaussianPairsLearner()


@pytest.fixture
def molecules():
    """``molecules(frames, amplitude, seed)``: rattled, turned and moved molecules of four atoms with exact labels."""

    def made(
        frames: int, amplitude: float = 0.01, seed: int = 0, numbers=(6, 1, 1, 8)
    ) -> list[Configuration]:
        random = np.random.default_rng(seed)
        rest = 0.15 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0.2, 0.3, 1.1]])
        found = []
        for _ in range(frames):
            turn = np.linalg.qr(random.normal(size=(3, 3)))[0]
            turn *= np.linalg.det(turn)
            points = (rest + amplitude * random.normal(size=(4, 3))) @ turn + random.normal(size=3)
            bare = Configuration(np.array(numbers), points)
            energy, forces = morse(bare)
            found.append(replace(bare, energy=energy, forces=forces))
        return found

    return made


class TwistedChain:
    """A twisted X-A-A-X chain whose ends are alike, and its energy, symmetric under their exchange."""

    numbers = np.array([1, 6, 6, 1])
    start = 0.1 * np.array([[-1.0, 0.9, 0.0], [-0.7, 0.0, 0.0], [0.7, 0.0, 0.0], [1.0, -0.5, 0.75]])
    exchange = np.array([3, 2, 1, 0])

    @staticmethod
    def surface(points):
        """Harmonic bonds and repulsion [kJ/mol]."""
        points = jnp.asarray(points)
        d = jnp.sqrt(((points[:, None] - points[None]) ** 2).sum(-1) + jnp.eye(4))
        stiff = 2e4 * ((d[1, 2] - 0.14) ** 2 + (d[0, 1] - 0.1) ** 2 + (d[2, 3] - 0.1) ** 2)
        return stiff + 0.1 / d[0, 3] + 0.3 * (1 / d[0, 2] + 1 / d[1, 3])

    def labeled(self, count, seed=0, energies=True):
        """Rattled frames with exact labels."""
        shifts = 0.004 * np.random.default_rng(seed).normal(size=(count, 4, 3))
        frames, slope_of = [], jax.jit(jax.value_and_grad(self.surface))
        with jax.enable_x64(True):
            for points in self.start + shifts:
                energy, slope = slope_of(jnp.asarray(points))
                labels = {"energy": float(energy) if energies else None, "forces": -np.asarray(slope)}
                frames.append(Configuration(self.numbers, points, **labels))
        return frames

    @staticmethod
    def force_error(term, frames):
        """Mean absolute error of force components."""
        forces = np.array(term.evaluate(frames).forces)
        return np.abs(forces - np.array([frame.forces for frame in frames])).mean()


@pytest.fixture
def chain():
    return TwistedChain()
