"""Proline dipeptide turns from trans to cis: profiles and rates from a hundred short runs off the barrier.

The variable is the torsion of CH3 and O of ACE with CD and CA of proline [fischer1994]. A Langevin model is fitted to
runs of a few ps that begin at the top of the barrier and end in either well; its free energy is compared with that of
umbrella sampling with exchanges of neighbors, in implicit solvent and in explicit water. What each cost is told in
steps of dynamics; the top is found by neither: both know that the barrier is about halfway.

The model is of one variable. What is slow beside it, such as psi, stays in runs of a few ps what it was at the top.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import openmm

from thalweg.dynamics.langevin import Langevin
from thalweg.interop.openmm.engine import openmm_integrator
from thalweg.interop.openmm.molecules import BARE, WaterAround, proline_dipeptide
from thalweg.interop.openmm.platforms import fastest_platform, reproducible
from thalweg.kinetics.langevin.inertial import UnderdampedLangevin, UnderdampedModel
from thalweg.systems.system import System
from thalweg.time_series.trajectories import Trajectories
from thalweg.units import thermal_energy

KT = thermal_energy(300.0)
ZETA, PSI = (0, 5, 7, 16), (6, 16, 18, 20)
"""Atoms of CH3-O-CD-CA and of N-CA-C-N."""

AMIDE = ((0, 4, 6, 16), (5, 4, 6, 7))
"""Atoms of CH3-C-N-CA and of O-C-N-CD, whose mean does not change where carbon or nitrogen is out of its plane."""

ATOMS = 26

TOP = 90.0
"""Where the barrier is about [degrees]: halfway from cis, 0, to trans, 180."""

TURN = 65.0
"""About the height of the barrier in implicit solvent [kJ/mol], taken off by a bias ``-TURN (1 - cos 2 zeta) / 2``."""

STIFFNESS = 150.0
"""Of the windows ``STIFFNESS (1 - cos(zeta - center))`` [kJ/mol]."""

CENTERS = np.linspace(0.0, 180.0, 13)
"""Of the windows [degrees]."""

BOX = WaterAround(padding=0.95, cutoff=0.8, box_shape="cube")
"""A cube of 1.9 nm, 191 water molecules."""

WELL = 25.0
"""Angle from cis and trans within which a run has arrived [degrees]."""

THINNED = 2
"""Frames of 4 fs of a step of the model."""

HEAVY_HYDROGEN = 3.0
"""Mass [amu] with which steps of 4 fs are safe where only configurations count."""


@dataclass(frozen=True)
class Solvent:
    """A solvent, and how much is sampled in it.

    Attributes
    ----------
    name : of `proline_dipeptide`
    water : of the box
    sweeps : of the umbrella, one picosecond of each window; a fifth is left out
    runs : off the top
    """

    name: str
    water: WaterAround = field(default=BARE)
    sweeps: int = 200
    runs: int = 100


IMPLICIT = Solvent("obc2")
EXPLICIT = Solvent("tip3p", BOX, sweeps=60)


class Dynamics:
    """Langevin dynamics with a bias on zeta whose window can be moved, and counts of its steps."""

    def __init__(self, solvent: Solvent, dt: float, seed: int):
        mass = HEAVY_HYDROGEN if dt > 0.003 else None
        self.system: System = proline_dipeptide(solvent.name, hydrogen_mass=mass, water=solvent.water)
        own = openmm.XmlSerializer.deserialize(self.system.openmm_xml)
        own.addForce(_bias())
        self.dt, self.steps = dt, 0
        self.integrator = openmm_integrator(Langevin(kT=KT, dt=dt, friction=1.0))
        self.integrator.setRandomNumberSeed(seed + 1)
        platform = openmm.Platform.getPlatform(fastest_platform(own))
        self.context = openmm.Context(own, self.integrator, platform, reproducible(platform))
        self.context.setPositions(self.system.positions)

    def window(self, center: float, on: bool = True) -> None:
        """Move the window [degrees], or take off all bias."""
        self.context.setParameter("center", np.radians(center))
        self.context.setParameter("stiffness", STIFFNESS if on else 0.0)
        self.context.setParameter("turn", TURN if on else 0.0)

    def advance(self, time: float) -> None:
        """Go on for a time [ps]."""
        count = round(time / self.dt)
        self.integrator.step(count)
        self.steps += count

    def peptide(self) -> np.ndarray:
        """Positions of its atoms [nm]."""
        x = self.context.getState(positions=True).getPositions(asNumpy=True)._value
        return x[:ATOMS].astype(np.float32)

    def pulled(self, end: float) -> None:
        """Bring zeta from trans to ``end`` [degrees], some 5 degrees a half picosecond."""
        openmm.LocalEnergyMinimizer.minimize(self.context, 10.0, 100)
        self.context.setVelocitiesToTemperature(300.0, 1)
        for center in np.append(np.arange(180.0, end, np.copysign(5.0, end - 180.0)), end):
            self.window(center)
            self.advance(0.5)


def _bias() -> openmm.CustomTorsionForce:
    force = openmm.CustomTorsionForce(
        "stiffness * (1 - cos(theta - center)) - turn / 2 * (1 - cos(2 * theta))"
    )
    for name, value in (("stiffness", 0.0), ("center", 0.0), ("turn", 0.0)):
        force.addGlobalParameter(name, value)
    force.addTorsion(*ZETA, [])
    return force


def bias_energy(zeta: np.ndarray, center: float) -> np.ndarray:
    """Of a window at angles [degrees, kJ/mol]."""
    window = STIFFNESS * (1.0 - np.cos(np.radians(zeta - center)))
    return window - TURN / 2.0 * (1.0 - np.cos(2.0 * np.radians(zeta)))


def umbrella(
    solvent: Solvent, seed: int = 0, keep: Callable[[np.ndarray, int], None] | None = None
) -> tuple[np.ndarray, int]:
    """Frames ``(sweeps, windows, 10, atoms, 3)`` of the peptide, and steps; neighbors try to exchange after each.

    ``keep`` is called with frames and steps after every sweep.
    """
    dynamics, random, places = Dynamics(solvent, 0.004, seed), np.random.default_rng(seed), {}
    dynamics.pulled(float(CENTERS[-1]))
    for k in reversed(range(len(CENTERS))):
        near = np.linspace(CENTERS[min(k + 1, len(CENTERS) - 1)], CENTERS[k], 4)
        for center in near:
            dynamics.window(center)
            dynamics.advance(0.5)
        places[k] = dynamics.context.getState(positions=True, velocities=True)
    frames = []
    for sweep in range(solvent.sweeps):
        found = np.zeros((len(CENTERS), 10, ATOMS, 3), np.float32)
        for k, center in enumerate(CENTERS):
            dynamics.context.setState(places[k])
            dynamics.window(center)
            for frame in range(10):
                dynamics.advance(0.1)
                found[k, frame] = dynamics.peptide()
            places[k] = dynamics.context.getState(positions=True, velocities=True)
        for k in range(sweep % 2, len(CENTERS) - 1, 2):
            here, there = torsions(found[k : k + 2, -1])[:, 0]
            a, b = CENTERS[k], CENTERS[k + 1]
            rise = bias_energy(there, a) + bias_energy(here, b) - bias_energy(here, a) - bias_energy(there, b)
            if np.log(random.random()) < -rise / KT:
                places[k], places[k + 1] = places[k + 1], places[k]
        frames.append(found)
        if keep is not None:
            keep(np.array(frames), dynamics.steps)
    return np.array(frames), dynamics.steps


def shots(solvent: Solvent, seed: int = 0) -> tuple[list[np.ndarray], int]:
    """Runs ``(frames, atoms, 3)`` of the peptide from the top, a frame each 4 fs, each until half a picosecond within a well; and steps.

    Starts are taken each half picosecond from a run in a window, which moves 2 degrees against the way that the last
    run went, so that it finds where as many go either way; velocities are drawn anew, of natural masses.
    """
    held, free = Dynamics(solvent, 0.004, seed), Dynamics(solvent, 0.002, seed + 1000)
    held.pulled(TOP)
    held.advance(5.0)
    free.window(TOP, on=False)
    runs, center = [], TOP
    for run in range(solvent.runs):
        held.advance(0.5)
        free.context.setPositions(held.context.getState(positions=True).getPositions())
        free.context.setVelocitiesToTemperature(300.0, 1 + seed * solvent.runs + run)
        runs.append(_released(free))
        center += 2.0 if abs(torsions(runs[-1][-1:])[0, 0]) < 90.0 else -2.0
        held.window(center)
    return runs, held.steps + free.steps


def _released(free: Dynamics) -> np.ndarray:
    """Frames of a run until it has been in a well for half a picosecond, or for 3 ps."""
    frames, within = [free.peptide()], 0
    while within < 125 and len(frames) < 750:
        free.advance(0.004)
        frames.append(free.peptide())
        zeta = torsions(frames[-1][None])[0, 0]
        within += bool(within) or abs(np.sin(np.radians(zeta))) < np.sin(np.radians(WELL))
    return np.array(frames)


def torsions(frames: np.ndarray) -> np.ndarray:
    """zeta, psi, and the two torsions about the amide bond [degrees] of frames ``(frames, atoms, 3)``."""
    a, b, c, d = (frames[:, [quad[k] for quad in (ZETA, PSI, *AMIDE)]] for k in range(4))
    first, middle, last = b - a, c - b, d - c
    normal = np.cross(middle, last)
    sine = np.linalg.norm(middle, axis=-1) * (first * normal).sum(-1)
    return np.degrees(np.arctan2(sine, (np.cross(first, middle) * normal).sum(-1)))


def twist(frames: np.ndarray) -> np.ndarray:
    """Twist of the amide [rad] of frames, from -90 to 270 degrees: the mean of its two torsions."""
    waves = np.exp(1j * np.radians(torsions(frames)[:, 2:])).sum(axis=1)
    return np.mod(np.angle(waves) + np.pi / 2, 2 * np.pi) - np.pi / 2


def fitted(runs: list[np.ndarray], thinned: int = THINNED) -> UnderdampedModel:
    """The Langevin model of runs."""
    data = Trajectories([twist(run)[:, None] for run in runs], dt=0.004, names=("twist",))
    return UnderdampedLangevin(KT, lagtime=thinned).fit(data)
