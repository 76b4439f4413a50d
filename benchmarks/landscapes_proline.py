"""Proline dipeptide turns from trans to cis: profiles and rates from a hundred short runs off the barrier.

Windows hold the torsion of CH3 and O of ACE with CD and CA of proline; the model is of the twist of the amide, whose
fast part is smaller. A Langevin model is fitted to runs of less than a ps that begin at the top of the barrier and end
in either well; its free energy is compared with that of umbrella sampling with exchanges of neighbors, in implicit
solvent and in explicit water. What each cost is told in steps of dynamics; both know that the barrier is about halfway.

The model is of one variable. What is slow beside it, such as psi, stays in such runs what it was at the top.
It falls 25 kT in a fraction of a ps, three times too hot half a ps later, which no noise of kT explains. A bath of
50/ps on every atom keeps the variable at its temperature and leaves white residuals, but slows down all that it has to
wait for: heights in implicit solvent are then 19.9 and 22.1 kT where the umbrella has 23.8 and 25.8, and in water,
whose molecules it slows down too, 12.8 and 17.9. Whatever is fitted, work W that is dissipated fluctuates by
``(2 kT W)^(1/2)``, so that N overdamped runs to either side know a barrier to ``(2 kT W / N)^(1/2)`` at best:
1.0 kT for 25 kT and fifty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import openmm

from thalweg.dynamics.langevin import Langevin
from thalweg.free_energies.reweighting import MBAR
from thalweg.interop.openmm.engine import openmm_integrator
from thalweg.interop.openmm.molecules import BARE, WaterAround, proline_dipeptide
from thalweg.interop.openmm.platforms import fastest_platform, reproducible
from thalweg.kinetics.langevin.inertial import UnderdampedLangevin, UnderdampedModel
from thalweg.kinetics.langevin.whiteness import whiteness
from thalweg.report.benchmark import Row
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

BINS = np.arange(-25.0, 206.0, 10.0)
"""Edges of the bins of the twist [degrees] in which both free energies are read."""

WELL = 25.0
"""Angle from cis and trans within which a run has arrived [degrees]."""

THINNED = 4
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
    """Runs ``(frames, atoms, 3)`` of the peptide from the top, each 4 fs, until 0.5 ps within a well; and steps.

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


def heights(free_energy: np.ndarray) -> np.ndarray:
    """Of the barrier above cis and above trans, from values in `BINS`."""
    middle = (BINS[1:] + BINS[:-1]) / 2.0
    top = free_energy[(middle > 55.0) & (middle < 125.0)].max()
    return top - np.array([free_energy[middle < 45.0].min(), free_energy[middle > 135.0].min()])


def reference(frames: np.ndarray) -> np.ndarray:
    """Heights [kT] from frames of the umbrella ``(sweeps, windows, 10, atoms, 3)``."""
    ordered = np.moveaxis(frames, 1, 0)
    each = ordered.shape[1] * ordered.shape[2]
    flat = ordered.reshape(-1, *frames.shape[3:])
    zeta = torsions(flat)[:, 0]
    biases = np.array([bias_energy(zeta, center) for center in CENTERS])
    weights = np.exp(MBAR(KT).fit(biases, np.full(len(CENTERS), each)).log_weights)
    found, _ = np.histogram(np.degrees(twist(flat)), BINS, weights=weights)
    return heights(-np.log(np.maximum(found, 1e-300)))


def isomerization(solvent: Solvent) -> Iterator[Row]:
    """Heights of the barrier by both, and their cost."""
    frames, umbrella_steps = umbrella(solvent)
    own = frames[len(frames) // 5 :]
    exact = reference(own)
    blocks = [reference(block) for block in np.array_split(own, 4)]
    spread = np.std(blocks, axis=0, ddof=1) / 2.0
    runs, steps = shots(solvent)
    model = fitted(runs)
    middle = np.radians((BINS[1:] + BINS[:-1]) / 2.0)
    found = heights(model.free_energy(middle).values / KT)
    for name, height, true, error in zip(("cis", "trans"), found, exact, spread):
        yield Row(
            f"{solvent.name}: barrier above {name}, {len(runs)} runs off the top",
            float(height),
            "kT",
            target=f"within 1 kT of the umbrella's {true:.2f} ± {error:.2f}",
            met=bool(abs(height - true) <= 1.0),
            peer="umbrella",
            peer_value=float(true),
        )
    friction = model.friction(middle).values
    told = f"{solvent.name}: friction at the top, {friction.min():.3g} to {friction.max():.3g} elsewhere"
    yield Row(told, float(model.friction(np.array([[np.pi / 2]])).values[0]), "1/ps")
    white = bool(whiteness(model).white)
    yield Row(f"{solvent.name}: residuals white", float(white), "runs", target="1", met=white)
    cheaper = umbrella_steps / steps
    yield Row(
        f"{solvent.name}: steps of the umbrella, {umbrella_steps}, over those of the runs", cheaper, "ratio"
    )


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """In implicit solvent, and in water, which takes an hour; ``quick`` samples a twentieth."""
    every = {"implicit": IMPLICIT, "water": EXPLICIT}
    if quick:
        every = {name: replace(each, sweeps=10, runs=20) for name, each in every.items()}
    return {name: partial(isomerization, each) for name, each in every.items()}


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Both."""
    for part in parts(data, quick).values():
        yield from part()
