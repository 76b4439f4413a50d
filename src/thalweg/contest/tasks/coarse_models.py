"""Coarse models: the free energy of two coordinates from frames and forces of a system with three more.

``U(x, y) = V(x) + sum_j k_j(x)/2 (y_j - g_j(x))^2`` with ``V, k, g`` drawn anew: the hidden ``y`` given ``x`` are
Gaussian, so the free energy ``F(x) = V(x) + kT/2 sum_j log k_j(x)`` is exact, and frames are drawn from the exact law
without a simulation. What ``-dU/dx`` averages to at ``x`` is ``-dF/dx``; a single one is mostly noise.

The frames are spread over ``x`` as ``exp(-F / (5/2) kT)``, as by a bias of which nobody knows any more: they are no
sample of equilibrium along ``x``, and their histogram is not the answer. The entry says ``F`` at places asked; the
score is the Jensen-Shannon divergence of ``exp(-F/kT)`` to the exact one over these places [lin1991].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from thalweg.coarse_graining.judgement.distributions import jensen_shannon
from thalweg.contest.rules.task import Arrays, Ask, EntryLimits, Score, bootstrapped
from thalweg.shapes import Array, Float
from thalweg.testsystems.potential import Domain, ModelEnergies, Potential

FRAMES, ASKED, CANDIDATES, SPREAD = 3000, 2000, 100_000, 2.5
HIDDEN, WAVES, EDGE = 3, 6, 2.0
"""Hidden coordinates, waves of each drawn function, and half the side of the square where ``x`` lies [nm]."""


class DrawnSurface(Potential):
    """``V`` and the free energy over the visible coordinates, ``kT = 1``.

    ``waves`` (functions, 2, waves), ``phases`` and ``heights`` (functions, waves) are those of V, then of ``log k_j``,
    then of ``g_j``: each function is ``sum_w h_w sin(q_w x + p_w)``.
    """

    waves: np.ndarray
    phases: np.ndarray
    heights: np.ndarray

    @property
    def domain(self) -> Domain:
        """The square of the visible coordinates [nm]."""
        return ((-EDGE, EDGE),) * 2

    def functions(self, x: Array) -> Array:
        """All drawn functions (functions, points) at ``x`` (2, points)."""
        turns = np.einsum("fdw,dp->fwp", self.waves, x) + self.phases[..., None]
        return (self.heights[..., None] * np.sin(turns)).sum(axis=1)

    def energy(self, x: Array) -> ModelEnergies:
        """The free energy (points,) [kT] at ``x`` (2, points), the exact answer."""
        drawn = self.functions(x)
        return drawn[0] + 0.5 * drawn[1 : 1 + HIDDEN].sum(axis=0)

    def forces(
        self, x: Float[np.ndarray, "2 points"], random: np.random.Generator
    ) -> Float[np.ndarray, "2 points"]:
        """``-dU/dx`` [kT/nm] with hidden coordinates drawn given ``x``."""
        step = 1e-30  # the complex step, as in `Potential.gradient`
        slopes = np.stack([self.functions(x + 1j * step * e[:, None]).imag / step for e in np.eye(2)])
        drawn = self.functions(x)
        stiffness = np.exp(drawn[1 : 1 + HIDDEN])
        away = random.standard_normal(stiffness.shape) / np.sqrt(stiffness)  # y - g
        of_v, of_log_k, of_g = slopes[:, 0], slopes[:, 1 : 1 + HIDDEN], slopes[:, 1 + HIDDEN :]
        return -of_v - (0.5 * stiffness * away**2 * of_log_k - stiffness * away * of_g).sum(axis=1)


@dataclass(frozen=True)
class CoarseModelsTask:
    """The task; see the module."""

    name: str = "coarse-models"
    title: str = (
        "Learn the free energy of two coordinates from noisy forces in a sample that is not at equilibrium"
    )
    gets: Mapping[str, str] = field(
        default_factory=lambda: {
            "positions": "fit: (frames, 2) visible coordinates [nm]; answer: (places, 2), where F is asked",
            "forces": "fit: (frames, 2), instantaneous forces on them [kT/nm]",
        }
    )
    gives: Mapping[str, str] = field(
        default_factory=lambda: {"energies": "(places,), F up to a constant [kT]"}
    )
    scored: str = "Jensen-Shannon divergence of exp(-F/kT) to the exact one, 0 at best"
    unit: str = "nat"
    larger_is_better: bool = False
    problems: int = 4
    limits: EntryLimits = EntryLimits()  # noqa: RUF009

    def problem(self, seed: np.random.SeedSequence) -> CoarseSurface:
        """A surface and frames on it drawn from ``seed``."""
        random = np.random.default_rng(seed)
        many = 1 + 2 * HIDDEN
        # V is steep, log k changes by about one over the square, g by about one
        heights = np.array([1.6, *[0.5] * HIDDEN, *[0.4] * HIDDEN])[:, None] * random.standard_normal(
            (many, WAVES)
        )
        waves, phases = (
            random.normal(scale=1.3, size=(many, 2, WAVES)),
            random.uniform(0, 2 * np.pi, (many, WAVES)),
        )
        surface = DrawnSurface(waves, phases, heights)
        candidates = random.uniform(-EDGE, EDGE, (2, CANDIDATES))
        weights = np.exp(-surface.energy(candidates) / SPREAD)
        kept = random.choice(CANDIDATES, FRAMES, p=weights / weights.sum())
        positions = candidates[:, kept]
        asked = random.uniform(-EDGE, EDGE, (2, ASKED))
        return CoarseSurface(surface, positions.T, surface.forces(positions, random).T, asked.T)


@dataclass(frozen=True, eq=False)
class CoarseSurface:
    """One draw.

    Attributes
    ----------
    surface : the exact free energy
    positions : (frames, 2) [nm]
    forces : (frames, 2) [kT/nm]
    asked : (places, 2) [nm]
    """

    surface: DrawnSurface
    positions: Float[np.ndarray, "frames 2"]
    forces: Float[np.ndarray, "frames 2"]
    asked: Float[np.ndarray, "places 2"]

    @property
    def given(self) -> Arrays:
        """Frames and forces."""
        return {"positions": self.positions, "forces": self.forces}

    def play(self, ask: Ask) -> Score:
        """Ask for the free energy and compare the densities."""
        energies = ask({"positions": self.asked}, {"energies": (ASKED,)})["energies"]
        exact, answered = (
            np.exp(np.maximum(f.min() - f, -700.0)) for f in (self.surface.energy(self.asked.T), energies)
        )
        return bootstrapped(lambda at: jensen_shannon(exact[at], answered[at]), ASKED)
