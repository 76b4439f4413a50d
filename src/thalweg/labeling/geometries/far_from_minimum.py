"""Does a potential of a molecule hold far from its minimum? Errors near the training frames do not say so.

The molecule is displaced by a lot, along each normal mode and along each bond, and let go at rest. Whatever happens
then, energy is conserved: no potential energy on the way may be below the minimum, or there is a false one, and the
sum with the kinetic energy must stay what it was, or the molecule explodes. A molecule may have lower minima than the
one it is displaced from; where a level of theory is given it is asked about the lowest places found.

Atoms that are pressed by thousands of kJ/mol fly faster than a usual time step follows. What a step loses falls with
its square, what a potential loses does not: energy that is not conserved is looked at again with a shorter step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.dynamics.minimize import minimized
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.structure_watch import StructureWatch
from thalweg.dynamics.temperature import kinetic_energy
from thalweg.dynamics.velocity_verlet import VelocityVerlet
from thalweg.labeling.geometries.normal_modes import NormalModes
from thalweg.labeling.level import LabelFailed, Level
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.shapes import Bool, Float
from thalweg.systems.configuration import Configuration
from thalweg.systems.elements import MASSES, SYMBOLS
from thalweg.systems.state import State
from thalweg.units import Count, KilojoulesPerMole, Nanometers, Picoseconds

STRETCHES = (0.7, 0.8, 1.3, 1.6, 2.0, 2.5)
"""Lengths of a bond over that at the minimum."""

ASKED = 10
"""Lowest places of which a level is asked, at most."""

NEAR = 0.03
"""No atom of the potential's own minimum is farther from where it should be [nm]."""

SHORTER = 0.25
"""Part of the time step with which energy that was not conserved is looked at again."""

LOST = 0.05
"""Part of the energy put in that the total may move by before it is not conserved."""


@dataclass(frozen=True)
class FarFromMinimum:
    """What displaced copies of a molecule did.

    Attributes
    ----------
    ways : how each was displaced, in words
    put_in : (copies,) energy above the minimum at first [kJ/mol]
    lowest : (copies,) least potential energy on the way above the minimum [kJ/mol]
    lost : (copies,) how far the total energy moved, over what was put in; infinite where numbers overflowed
    false : (copies,) whether there is a minimum that the level does not know
    frames, places : (copies,) where each was let go, and where it was lowest
    """

    ways: tuple[str, ...]
    put_in: Float[np.ndarray, " copies"]
    lowest: Float[np.ndarray, " copies"]
    lost: Float[np.ndarray, " copies"]
    false: Bool[np.ndarray, " copies"]
    frames: tuple[Configuration, ...]
    places: tuple[Configuration, ...]

    def worth_labels(self, most: Count = 20) -> list[Configuration]:
        """Frames whose labels would mend what does not hold: where such copies were lowest, and where they began."""
        bad = [
            k for k in np.argsort(self.lowest, kind="stable").tolist() if self.false[k] or self.exploded[k]
        ]
        return [frame for k in bad[: most // 2] for frame in (self.places[k], self.frames[k])]

    @property
    def exploded(self) -> Bool[np.ndarray, " copies"]:
        """Whether energy was not conserved."""
        return ~(self.lost <= LOST)

    @property
    def faults(self) -> int:
        """How many copies found a false minimum or did not conserve energy."""
        return int((self.exploded | self.false).sum())

    @property
    def holds(self) -> bool:
        """Whether nothing exploded and there is no false minimum."""
        return not self.faults

    def __str__(self) -> str:
        count = len(self.ways)
        if self.holds:
            return f"{count} large displacements: no false minimum below the start, energy conserved in all"
        told = []
        if self.false.any():
            k = int(np.where(self.false, self.lowest, np.inf).argmin())
            told.append(
                f"{int(self.false.sum())} of {count} lead below the start, the lowest to {self.lowest[k]:.0f} kJ/mol "
                f"({self.ways[k]})"
            )
        if self.exploded.any():
            k = int(np.nan_to_num(self.lost, nan=np.inf).argmax())
            told.append(f"{int(self.exploded.sum())} of {count} do not conserve energy, worst {self.ways[k]}")
        return "; ".join(told)


def far_from_minimum(
    potential: LearnedPotential,
    modes: NormalModes,
    level: Level | None = None,
    reaches: Sequence[Nanometers] = (0.05,),
    duration: Picoseconds = 0.05,
    dt: Picoseconds = 0.00025,
    tolerance: KilojoulesPerMole = 5.0,
) -> FarFromMinimum:
    """Displace a molecule by a lot, let it go, and see whether energy does what it must.

    Parameters
    ----------
    modes : about a minimum of ``potential``, or of the level it was taught
    level : asked whether places below the minimum are there for it too; None to take them for false
    reaches : displacements of the atom that moves most, along each mode to both sides
    dt : time step, and `SHORTER` where energy is not conserved
    tolerance : how far below the minimum is not below it
    """
    bare = replace(potential, references=dict.fromkeys(potential.references, 0.0))
    start = _relaxed(bare, modes.minimum.unlabeled)
    ways, frames = zip(*_displaced(modes, start, reaches))
    floor, *put_in = bare.evaluate([start, *frames]).energies
    at_first = np.array(put_in) - floor
    for step in (dt, SHORTER * dt):
        energies, totals, places = _let_go(bare, frames, duration, step)
        moved = np.abs(totals - np.array(put_in)).max(0) / np.maximum(np.abs(at_first), tolerance)
        lost = np.where(np.isfinite(moved), moved, np.inf)
        if (lost <= LOST).all():
            break
    lowest = np.fmin(at_first, np.fmin.reduce(energies) - floor)
    false = lowest < -tolerance
    if level is not None and false.any():
        false = _unknown_to(level, start, places, lowest, false)
    return FarFromMinimum(tuple(ways), at_first, lowest, lost, false, tuple(frames), tuple(places))


def _relaxed(bare: LearnedPotential, start: Configuration) -> Configuration:
    """The minimum of the potential itself where one is near; the start where it leads away."""
    with jax.enable_x64(True):
        energy = bare.bind(np.asarray(start.numbers, int), None, start.periodic)
        found = minimized(energy, np.asarray(start.positions, float), iterations=200)
    moved = np.linalg.norm(found.positions - start.positions, axis=1).max()
    return replace(start, positions=np.asarray(found.positions, float)) if moved < NEAR else start


def _displaced(modes, start, reaches) -> list[tuple[str, Configuration]]:
    """Copies along modes, then along bonds, with how each was made."""
    masses, found = MASSES[np.asarray(start.numbers)], []
    for wavenumber, mode in zip(modes.wavenumbers, modes.modes, strict=True):
        direction = mode / np.sqrt(masses)[:, None]
        direction = direction / np.linalg.norm(direction, axis=1).max()
        for far in (sign * reach for reach in reaches for sign in (1, -1)):
            way = f"mode of {wavenumber:.0f} 1/cm by {far:+.2g} nm"
            found.append((way, replace(start, positions=start.positions + far * direction)))
    watch = StructureWatch.of(start, crystal=False)
    for (i, j), length in zip(watch.bonds.tolist(), watch.lengths.tolist(), strict=True):
        moved = _side(watch.bonds, i, j)
        along = (start.positions[j] - start.positions[i]) / length
        for times in STRETCHES:
            positions = np.array(start.positions, float)
            positions[moved] += (times - 1) * length * along
            way = f"bond {_name(start, i)}-{_name(start, j)} {times:g} times as long"
            found.append((way, replace(start, positions=positions)))
    return found


def _name(frame: Configuration, atom: int) -> str:
    return f"{SYMBOLS[frame.numbers[atom]]}{atom}"


def _side(bonds, i: int, j: int) -> list[int]:
    """Atoms on the side of ``j`` when the bond is cut; ``j`` alone where it is in a ring."""
    near: dict[int, set[int]] = {}
    for a, b in bonds.tolist():
        near.setdefault(a, set()).add(b)
        near.setdefault(b, set()).add(a)
    seen, waiting = {j}, [j]
    while waiting:
        atom = waiting.pop()
        new = {other for other in near[atom] if other not in seen and {atom, other} != {i, j}}
        seen |= new
        waiting += new
    return [j] if i in seen else sorted(seen)


def _let_go(bare, frames, duration, dt):
    """Potential and total energies (looks, copies) along dynamics from rest, and where each copy was lowest."""
    first = frames[0]
    numbers = np.asarray(first.numbers, int)
    masses, looks = MASSES[numbers], 20
    energy = bare.bind(numbers, None, first.periodic)
    stride = max(1, round(duration / dt / looks))
    with jax.enable_x64(True):
        positions = jnp.asarray(np.stack([frame.positions for frame in frames], -1), float)
        state = State(positions, jnp.zeros_like(positions), jax.random.key(0), jnp.zeros((), jnp.int32))
        engine = NativeEngine.for_potential(energy, masses, VelocityVerlet(dt=dt))
        run = engine.run(state, stride, save_every=stride)
        energies, totals, path, broken = [], [], [], set()
        for _ in range(looks):
            broken |= set(run.diverged)
            potential = run.energy[:, -1].astype(float)
            potential[list(broken)] = np.nan
            energies.append(potential)
            totals.append(potential + np.asarray(kinetic_energy(run.state.momenta, masses)))
            path.append(run.positions[:, -1])
            run = engine.run(run.state, stride, save_every=stride)
    lowest = np.nan_to_num(np.array(energies), nan=np.inf).argmin(0)
    places = [replace(first, positions=np.asarray(path[k][copy], float)) for copy, k in enumerate(lowest)]
    return np.array(energies), np.array(totals), places


def _unknown_to(level: Level, start, places, lowest, below) -> np.ndarray:
    """Which of the copies ``below`` are not so for the level; those not asked about are as bad as the others."""
    floor, false = level.label(start).energy, np.zeros(len(below), bool)
    order = [copy for copy in np.argsort(lowest) if below[copy]]
    for copy in order[:ASKED]:
        try:
            false[copy] = level.label(places[copy]).energy - floor > lowest[copy] / 2
        except LabelFailed:
            false[copy] = True
    false[order[ASKED:]] = false.any()
    return false
