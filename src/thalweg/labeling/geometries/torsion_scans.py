"""Relaxed torsion scans: the energy of a molecule at every angle of one torsion, all else at its minimum.

The torsion is a constraint: the last atom of any trial is turned about the bond in the middle to the angle, and the
energy is minimized as a function of the trial, so that every label, on the way as at the end, is of exactly that angle
(to rounding, 1e-12 rad; there is no restraint to extrapolate).

Which minimum is found hangs on where a minimization begins. Every conformer is therefore turned to every angle, and
what is found travels on as a wavefront: a grid point that finds a lower energy is where both its neighbors start,
until none finds one, so that the torsion is driven both ways and a scan ends only where neighbors agree [qiu2020].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

from thalweg.geometry.bond_graph import in_ring
from thalweg.geometry.internal import dihedrals
from thalweg.labeling.geometries.relaxation import STEP
from thalweg.labeling.level import LabelFailed, Level
from thalweg.learning.models import Model
from thalweg.representations.molecules.molecular_symmetry import bond_matrix
from thalweg.shapes import Float
from thalweg.systems.configuration import Configuration
from thalweg.units import Count, KilojoulesPerMolePerNanometer, Radians

LOWER = 0.04
"""A geometry travels on if its energy is lower by more than this [kJ/mol]."""

JUMP = 1.0
"""From here on a difference between both ways of arriving is told [kJ/mol]."""

RATTLE = 0.002
"""Atoms are moved so far before a relaxation that failed is tried again [nm]."""

Torsion = tuple[int, int, int, int]


@runtime_checkable
class Relaxation(Protocol):
    """What brings a frame to a minimum at one angle, such as `minimum_at_angle` or one that keeps what it found."""

    def __call__(
        self,
        frame: Configuration,
        torsion: Torsion,
        angle: Radians,
        level: Level,
        force: KilojoulesPerMolePerNanometer,
    ) -> Configuration: ...


def minimum_at_angle(
    frame: Configuration,
    torsion: Torsion,
    angle: Radians,
    level: Level,
    force: KilojoulesPerMolePerNanometer = 5.0,
    steps: Count = 400,
) -> Configuration:
    """``frame`` with its atoms moved to a minimum of the energy among geometries of one torsion angle, labeled.

    The side that the torsion's last atom is on is turned first, as a whole where the bond is in no ring.

    Parameters
    ----------
    force : done when no component of the forces, less what acts on the torsion, is larger
    steps : labels at most

    Raises
    ------
    RuntimeError
        If forces are larger than asked for after so many steps.
    LabelFailed
        If the level fails on the way.
    """
    start = turned(frame, torsion, angle)
    four = np.array(torsion)
    first = level.label(replace(frame, positions=start)).energy

    def labeled(moved):
        trial = start + STEP * moved.reshape(start.shape)
        positions = trial.copy()
        with jax.enable_x64(True):
            positions[four] = _at_angle(trial[four], angle)
        return trial, level.label(replace(frame, positions=positions))

    def energy_and_gradient(moved):
        trial, there = labeled(moved)
        gradient = -np.asarray(there.forces, float)
        with jax.enable_x64(True):
            gradient[four] = _pulled_back(trial[four], angle, gradient[four])
        return there.energy - first, STEP * gradient.ravel()

    settings = {"maxfun": steps, "maxiter": steps, "gtol": 0.9 * STEP * force, "ftol": 1e-12, "maxls": 40}
    result = minimize(
        energy_and_gradient, np.zeros(start.size), jac=True, method="L-BFGS-B", options=settings
    )
    left = np.abs(result.jac).max() / STEP
    if left > force:
        raise RuntimeError(
            f"forces are still {left:.3g} kJ/mol/nm at {np.degrees(angle):.0f} degrees after {result.nfev} labels by "
            f"{level.name}, not below {force:g}; allow larger ones, or begin elsewhere"
        )
    return labeled(result.x)[1]


def turned(frame: Configuration, torsion: Torsion, angle: Radians) -> Float[np.ndarray, "atoms 3"]:
    """Positions with the torsion at ``angle``: one side of its bond is turned, or its atoms moved in a ring.

    Examples
    --------
    >>> cis = np.array([[0, 0.095, 0], [0, 0, 0], [0.14, 0, 0], [0.14, 0.095, 0]])
    >>> bent = Configuration(np.array([1, 8, 8, 1]), cis)
    >>> turned(bent, (0, 1, 2, 3), np.pi / 2).round(3)[3].tolist()
    [0.14, 0.0, 0.095]
    """
    positions = np.array(frame.positions, float)
    _, j, k, _ = torsion
    side = _side(frame, torsion)
    if side is not None:
        axis = positions[k] - positions[j]
        turn = angle - _angle(positions, torsion)
        positions[side] = positions[k] + _rotated(
            positions[side] - positions[k], axis / np.linalg.norm(axis), turn
        )
    four = np.array(torsion)
    with jax.enable_x64(True):
        positions[four] = _at_angle(positions[four], angle)
    return positions


@dataclass(frozen=True)
class TorsionScan(Model):
    """The energy along a torsion.

    Attributes
    ----------
    torsion : its four atoms
    angles : (points,) in (-pi, pi], ascending [rad]; the profile is periodic
    energies : (points,) [kJ/mol]; NaN where no relaxation succeeded
    frames : the lowest minimum found at each angle, labeled; None where there is none
    hysteresis : (points,) by how much a geometry that arrives from the worse neighbor relaxes to a higher energy
        than the best one [kJ/mol]; NaN where only one arrived
    relaxations : minimizations made or looked up
    level : what energies are of
    notes : what one should know
    """

    torsion: Torsion
    angles: Float[np.ndarray, " points"]
    energies: Float[np.ndarray, " points"]
    frames: tuple[Configuration | None, ...]
    hysteresis: Float[np.ndarray, " points"]
    relaxations: int
    level: str
    notes: tuple[str, ...] = ()

    @property
    def profile(self) -> Float[np.ndarray, " points"]:
        """Energies above the lowest [kJ/mol]."""
        return self.energies - np.nanmin(self.energies)

    def headline(self) -> dict[str, Any]:
        lowest = float(np.degrees(self.angles[np.nanargmin(self.energies)]))
        return {
            "points": len(self.angles),
            "lowest at [degrees]": round(lowest),
            "highest [kJ/mol]": float(np.nanmax(self.profile)),
            "largest hysteresis [kJ/mol]": float(np.nanmax(self.hysteresis, initial=0.0)),
            "level": self.level,
        }

    def __str__(self) -> str:
        atoms = "-".join(map(str, self.torsion))
        return "\n".join([f"relaxed scan of torsion {atoms}: {self!r}", *self.notes])


def torsion_scan(
    starts: Configuration | Sequence[Configuration],
    torsion: Torsion,
    level: Level,
    points: Count = 24,
    force: KilojoulesPerMolePerNanometer = 5.0,
    relax: Relaxation = minimum_at_angle,
) -> TorsionScan:
    """A relaxed scan of ``torsion`` on a periodic grid, from all ``starts`` and both ways.

    Parameters
    ----------
    starts : one frame, or conformers, of the same atoms
    torsion : four atoms, bonded in a row
    points : of the grid over the whole turn
    force : of each relaxation, see `minimum_at_angle`
    relax : what relaxes; one that keeps its results makes a scan resumable

    Raises
    ------
    ValueError
        If atoms are not there or in line, the starts are of different atoms, or no relaxation succeeds anywhere.

    Examples
    --------
    >>> from thalweg.labeling.known_potential import KnownPotential
    >>> from thalweg.learned_potentials.parametric.pair_terms import morse
    >>> springs = morse((1, 8), [400.0] * 3, [20.0] * 3, [0.28, 0.1, 0.145], cutoff=0.5)
    >>> cis = np.array([[0, 0.095, 0], [0, 0, 0], [0.14, 0, 0], [0.14, 0.095, 0]])
    >>> bent = Configuration(np.array([1, 8, 8, 1]), cis)
    >>> scan = torsion_scan(bent, (0, 1, 2, 3), KnownPotential(springs, "springs"), points=4)
    >>> scan.angles.round(2).tolist()
    [-1.57, 0.0, 1.57, 3.14]
    """
    frames = [starts] if isinstance(starts, Configuration) else list(starts)
    _check(frames, torsion, points)
    wave = _Wave(torsion, level, points, force, relax)
    for frame in frames:
        wave.enter(frame)
    while wave.waiting:
        wave.advance()
    return wave.scan()


class _Wave:
    """A wavefront: who waits to be relaxed at which angle, and the best so far.

    ==============  =================================================================
    ``waiting``     (grid point, from which side: -1, 0, 1, frame)
    ``arrived``     energies of the last arrivals, by side
    ==============  =================================================================
    """

    def __init__(self, torsion: Torsion, level: Level, points: int, force: float, relax: Relaxation):
        self.torsion, self.level, self.force, self.relax = torsion, level, force, relax
        self.angles = np.pi * (2 * np.arange(1, points + 1) / points - 1)
        self.best: list[Configuration | None] = [None] * points
        self.arrived = {side: np.full(points, np.nan) for side in (-1, 1)}
        self.waiting: list[tuple[int, int, Configuration]] = []
        self.failures: list[str] = []
        self.relaxations = 0

    def enter(self, frame: Configuration) -> None:
        """Let a start wait at every angle: which conformer is lowest depends on it."""
        self.waiting += [(k, 0, frame) for k in range(len(self.angles))]

    def advance(self) -> None:
        """Relax all who wait; neighbors of those that found a lower energy wait next."""
        here, self.waiting = self.waiting, []
        improved = set()
        for k, side, frame in here:
            found = self._relaxed(frame, k)
            if found is None:
                continue
            assert found.energy is not None
            if side:
                self.arrived[side][k] = found.energy
            best = self.best[k]
            if best is None or found.energy < best.energy - LOWER:
                improved.add(k)
            if best is None or found.energy < best.energy:
                self.best[k] = found
        points = len(self.angles)
        for k in sorted(improved):
            self.waiting += [((k + side) % points, side, self.best[k]) for side in (-1, 1)]

    def _relaxed(self, frame: Configuration, k: int) -> Configuration | None:
        """The minimum at a grid point, tried again from rattled atoms; None where that fails as well."""
        angle = float(self.angles[k])
        for attempt in range(2):
            self.relaxations += 1
            rattled = RATTLE * attempt * np.random.default_rng(k).normal(size=np.shape(frame.positions))
            try:
                start = replace(frame.unlabeled, positions=frame.positions + rattled)
                return self.relax(start, self.torsion, angle, self.level, self.force)
            except (RuntimeError, LabelFailed) as error:
                failed = f"{np.degrees(angle):.0f} degrees: {error}"
        self.failures.append(failed)
        return None

    def scan(self) -> TorsionScan:
        if all(frame is None for frame in self.best):
            raise ValueError(f"no relaxation succeeded at any angle; first, {self.failures[0]}")
        energies = np.array([np.nan if frame is None else frame.energy for frame in self.best], float)
        hysteresis = np.maximum(self.arrived[-1], self.arrived[1]) - energies
        hysteresis = np.maximum(hysteresis, 0.0)
        return TorsionScan(
            tuple(int(atom) for atom in self.torsion),
            self.angles,
            energies,
            tuple(self.best),
            hysteresis,
            self.relaxations,
            self.level.name,
            tuple(self._notes(energies, hysteresis)),
        )

    def _notes(self, energies, hysteresis):
        apart = np.flatnonzero(np.nan_to_num(hysteresis) > JUMP)
        if len(apart):
            worst = apart[np.argmax(hysteresis[apart])]
            yield (
                f"at {len(apart)} of {len(energies)} angles the two neighbors lead to different minima, "
                f"{hysteresis[worst]:.3g} kJ/mol apart at {np.degrees(self.angles[worst]):.0f} degrees: another "
                "coordinate moves with the torsion, and the profile has kinks there"
            )
        if missing := int(np.isnan(energies).sum()):
            yield f"{missing} of {len(energies)} angles have no energy"
        if self.failures:
            yield f"{len(self.failures)} of {self.relaxations} relaxations failed twice; first, {self.failures[0]}"


def _check(frames, torsion, points):
    if not frames:
        raise ValueError("there are no frames to begin a scan from; give at least one")
    if points < 3:
        raise ValueError(f"points={points}; a turn needs at least three")
    atoms = len(frames[0])
    if len(torsion) != 4 or len(set(torsion)) != 4 or not all(0 <= atom < atoms for atom in torsion):
        raise ValueError(f"torsion={tuple(torsion)}; give four different atoms, numbered 0 to {atoms - 1}")
    for n, frame in enumerate(frames):
        if not np.array_equal(frame.numbers, frames[0].numbers):
            raise ValueError(
                f"start {n} is of other atoms, or another order, than start 0; give conformers of one"
            )
        if any(frame.periodic):
            raise ValueError("a torsion is scanned of a molecule without a cell; give one without")
        x = np.asarray(frame.positions, float)[list(torsion)]
        for a, b, c in (x[:3], x[1:]):
            sine = np.linalg.norm(np.cross(a - b, c - b)) / np.prod(np.linalg.norm([a - b, c - b], axis=1))
            if not sine > 0.05:
                raise ValueError(
                    f"three atoms of torsion {tuple(torsion)} are in line in start {n}; choose another"
                )


def _side(frame, torsion):
    """Atoms on the last atom's side of the bond in the middle; None where it is in a ring or no bond."""
    _, j, k, _ = torsion
    bonds = bond_matrix([frame])
    bonded = [np.flatnonzero(row).tolist() for row in bonds]
    if k not in bonded[j] or in_ring(bonded, j, k):
        return None
    found, frontier = {k}, [k]
    while frontier:
        for other in bonded[frontier.pop()]:
            if other not in found and other != j:
                found.add(other)
                frontier.append(other)
    return np.array(sorted(found))


def _rotated(vectors, axis, angle, numbers=np):
    """Rodrigues' rotation about an ``axis`` of length one, in NumPy or JAX."""
    cosine, sine = numbers.cos(angle), numbers.sin(angle)
    along = (vectors @ axis)[:, None] * axis
    return cosine * vectors + sine * numbers.cross(axis, vectors) + (1 - cosine) * along


def _angle(positions, torsion) -> float:
    """The torsion angle [rad]."""
    with jax.enable_x64(True):
        return float(dihedrals(jnp.asarray(np.asarray(positions, float)), np.array([torsion]))[0])


def _held(four, angle):
    """Four atoms, the last turned about the bond in the middle to the angle: one step, exact."""
    missing = angle - dihedrals(four, np.arange(4)[None])[0]
    axis = (four[2] - four[1]) / jnp.linalg.norm(four[2] - four[1])
    return four.at[3].set(four[2] + _rotated(four[3:] - four[2], axis, missing, jnp)[0])


def _pull(four, angle, gradient):
    """A gradient at the atoms that are held, as one in the atoms given."""
    return jax.vjp(lambda x: _held(x, angle), four)[1](gradient)[0]


_at_angle = jax.jit(_held)
_pulled_back = jax.jit(_pull)
