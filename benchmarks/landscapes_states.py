"""States and what they mean: physical variables found in a dictionary, states recognized while a run goes on, clusters.

The dictionary has every torsion, angle and distance of alanine dipeptide, more than three hundred, and is asked which
explain a diffusion map of distances; phi and psi should come first, whatever seed and force field. A state should be
recognized before it is left, in at least nine of ten runs, and seldom where there is none.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path

import jax
import numpy as np

from thalweg.collective_variables.interpretation.dictionary import Dictionary
from thalweg.collective_variables.linear.tica import TICA
from thalweg.collective_variables.manifold.diffusion_map import DiffusionMap
from thalweg.collective_variables.manifold.local_states import StateWatch, watched_run
from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.temperature import thermal_start
from thalweg.geometry.bond_graph import bonded_atoms, heavy_atom_pairs
from thalweg.geometry.composed_variables import Concatenate
from thalweg.geometry.torsions import backbone_dihedrals
from thalweg.geometry.variables import Angles, Dihedrals, Distances
from thalweg.interop.openmm.build import from_pdb
from thalweg.interop.openmm.molecules import alanine_dipeptide
from thalweg.report.benchmark import Row
from thalweg.systems.system import System
from thalweg.systems.topology import Topology
from thalweg.testsystems.muller_brown import MullerBrown
from thalweg.time_series.trajectories import Trajectories
from thalweg.units import thermal_energy

FORCE_FIELDS = {"ff99SB": ("amber99sb.xml",), "ff19SB": ("amber19/protein.ff19SB.xml",)}
"""Force fields of the dictionary's runs, in vacuum; its rules were chosen on ff14SB."""

FRAMES_EACH, REPLICAS = 250, 16
"""Frames of each of some runs, one a picosecond."""

WELLS = {"deep": (-0.558, 1.442), "shallow": (0.623, 0.028)}
"""Bottoms of the two wells of Müller and Brown's surface."""


def simulated(
    system: System, seed: int, temperature: float, frames: int, replicas: int
) -> tuple[np.ndarray, Topology]:
    """Positions ``(replicas, frames, atoms, 3)`` [nm] of a molecule, one picosecond apart."""
    kT = thermal_energy(temperature)
    engine = NativeEngine(system, Langevin(kT=kT, dt=0.004))
    start = thermal_start(system, kT, jax.random.key(seed), replicas=replicas)
    run = engine.run(start, 250 * frames, save_every=250)
    return np.asarray(run.positions), system.topology


def dipeptide_in(forcefield: tuple[str, ...]) -> System:
    """Alanine dipeptide in a force field of OpenMM."""
    with as_file(files("thalweg.testsystems") / "structures" / "alanine_dipeptide.pdb") as pdb:
        return from_pdb(pdb, forcefield, "hbonds", 3.0)


def dictionary_of(topology: Topology) -> Concatenate:
    """Every torsion along bonds, every angle and every distance of the atoms."""
    found = backbone_dihedrals(topology)
    bonded = bonded_atoms(topology)
    around = [
        (i, j, k, m)
        for j, k in topology.bonds.tolist()
        for i in sorted(set(bonded[j]) - {k})
        for m in sorted(set(bonded[k]) - {j})
    ]
    named = {tuple(each) for each in np.concatenate([found["phi"], found["psi"]]).tolist()}
    others = [each for each in around if each not in named and each[::-1] not in named]
    torsions = np.concatenate([found["phi"], found["psi"], np.array(others)])
    angles = [
        (i, j, k) for j in range(len(topology)) for i, k in itertools.combinations(sorted(bonded[j]), 2)
    ]
    pairs = list(itertools.combinations(range(len(topology)), 2))
    return Concatenate(Dihedrals(torsions, topology), Angles(angles, topology), Distances(pairs, topology))


def dictionary(quick: bool) -> Iterator[Row]:
    """Which of all torsions, angles and distances explain a map of distances of heavy atoms."""
    fields, seeds = (1, (11,)) if quick else (2, (11, 12))
    for (name, files_of), seed in itertools.product(list(FORCE_FIELDS.items())[:fields], seeds):
        candidates, values, features, about = _described(dipeptide_in(files_of), seed, quick)
        together = np.concatenate(features)
        coordinates = np.asarray(DiffusionMap(dim=3).fit(together).transform(together))
        data = Trajectories(values, names=candidates.names)
        found = Dictionary().fit(data, np.split(coordinates, REPLICAS), candidates.periods)
        first = found.chosen[:2]
        # phi and psi turn about these bonds, and other torsions with them
        turned = [about[each.column] for each in first if each.column < len(about)]
        right = len(turned) == 2 and all(bond in turned for bond in ({"N", "CA"}, {"CA", "C"}))
        told = f"{' and '.join(each.name for each in first)} of {len(candidates.names)} explain"
        share = sum(each.gain for each in first)
        yield Row(
            f"alanine dipeptide, {name}, seed {seed}: {told}", share, "of the map", None, "phi and psi", right
        )


def slow_function(quick: bool) -> Iterator[Row]:
    """Which explain the slowest function, the turn of psi in a generalized Born solvent; in vacuum none is slow."""
    for seed in (11,) if quick else (11, 12):
        system = alanine_dipeptide("obc2", hydrogen_mass=3.0)
        candidates, values, features, about = _described(system, seed, quick)
        slow = TICA(5, dim=1).fit(features)
        data = Trajectories(values, names=candidates.names)
        found = Dictionary().fit(
            data, [np.asarray(slow.transform(each)) for each in features], candidates.periods
        )
        first = found.chosen[0] if found.chosen else None
        right = first is not None and first.column < len(about) and about[first.column] == {"CA", "C"}
        told = f"{first.name if first else 'nothing'} of {len(candidates.names)} explains"
        share = first.gain if first else 0.0
        yield Row(f"alanine dipeptide, OBC2, TICA, seed {seed}: {told}", share, "of it", None, "psi", right)


def _described(
    system: System, seed: int, quick: bool
) -> tuple[Concatenate, list[np.ndarray], list[np.ndarray], list[set[str]]]:
    """Candidates, their values and distances of heavy atoms along each run, and the bond each torsion turns about."""
    positions, topology = simulated(system, seed, 400.0, 60 if quick else FRAMES_EACH, REPLICAS)
    candidates, distances = dictionary_of(topology), Distances(heavy_atom_pairs(topology, 3), topology)
    about = [{topology.names[k] for k in atoms[1:3]} for atoms in candidates.variables[0].atoms]
    values, features = ([_along(each, run) for run in positions] for each in (candidates, distances))
    return candidates, values, features, about


def muller_brown_states(quick: bool) -> Iterator[Row]:
    """Runs begun in either well of V/15: recognized before they leave it."""
    runs = 5 if quick else 20
    for name, bottom in WELLS.items():
        walks, other = (
            _overdamped(bottom, runs, 15.0),
            np.array(WELLS["shallow" if name == "deep" else "deep"]),
        )
        before, left_early = 0, 0
        for walk in walks:
            there = np.linalg.norm(walk - other, axis=1) < 0.1
            leaves = int(there.argmax()) if there.any() else len(walk)
            said, _ = watched_run(StateWatch(), walk[: min(len(walk), leaves + 100)], 50)
            when = next((frame for frame, verdict in said if verdict.word == "converged"), np.inf)
            before += when <= leaves
            left_early += leaves < 200
        yield Row(
            f"Müller-Brown V/15, {name} well: recognized before the first exit ({left_early} of {runs} leave within "
            "ten relaxations)",
            before / runs,
            "of runs",
            None,
            ">= 0.9",
            before / runs >= 0.9,
        )


def peptide_states(quick: bool) -> Iterator[Row]:
    """Alanine dipeptide in vacuum, C7eq at 300 K by sines and cosines of phi and psi."""
    system = alanine_dipeptide(hydrogen_mass=3.0)
    positions, topology = simulated(system, 0, 300.0, 100 if quick else 400, 4 if quick else 20)
    found = backbone_dihedrals(topology)
    angles = Dihedrals(np.concatenate([found["phi"], found["psi"]]), topology)
    before = 0
    for run in positions:
        values = _along(angles, run)
        leaves = int((values[:, 0] > 0).argmax()) if (values[:, 0] > 0).any() else len(values)
        waves = np.concatenate([np.cos(values), np.sin(values)], axis=1)
        said, _ = watched_run(StateWatch(), waves, 50)
        when = next((frame for frame, verdict in said if verdict.word == "converged"), np.inf)
        before += when <= leaves
    share = before / len(positions)
    yield Row(
        "alanine dipeptide, vacuum: C7eq recognized before the first exit",
        share,
        "of runs",
        None,
        ">= 0.9",
        share >= 0.9,
    )


def false_alarms(quick: bool) -> Iterator[Row]:
    """Runs still on their way, called states; and filled states, not called so."""
    runs = 10 if quick else 60
    for name, memory, drift, word in (
        ("still drifting by three deviations", 0.9, 3.0, "converged"),
        ("relaxed four times", 0.995, 0.0, "converged"),
        ("filled, relaxed fifty times", 0.9, 0.0, "not yet"),
    ):
        wrong = 0
        for seed in range(runs):
            noise, x = np.random.default_rng(1000 + seed).standard_normal((1000, 2)), np.zeros((1000, 2))
            for t in range(1, 1000):
                x[t] = memory * x[t - 1] + (1 - memory**2) ** 0.5 * noise[t]
            x += np.linspace(0, drift, 1000)[:, None]
            wrong += StateWatch().judged(x).word == word
        yield Row(f'{name}: called "{word}"', wrong / runs, "of runs", None, "<= 0.05", wrong / runs <= 0.05)


def _along(variable: Callable, positions: np.ndarray) -> np.ndarray:
    """Values ``(frames, values)`` of a variable."""
    return np.asarray(variable(np.moveaxis(positions, 0, -1).astype(np.float32)), float).T


def _overdamped(start: tuple[float, float], runs: int, scale: float, seed: int = 0) -> np.ndarray:
    """Walks ``(runs, frames, 2)`` from a point, frames a hundredth apart."""
    potential, generator = MullerBrown(scale=scale), np.random.default_rng(seed)
    x, step, kept = np.repeat(np.array(start)[:, None], runs, axis=1), 5e-4, []
    for k in range(30_000):
        x = x - step * potential.gradient(x) + np.sqrt(2 * step) * generator.standard_normal(x.shape)
        if (k + 1) % 20 == 0:
            kept.append(x)
    return np.stack(kept).transpose(2, 0, 1)


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Each a table of its own."""
    every = {
        "dictionary": dictionary,
        "slow-function": slow_function,
        "muller-brown-states": muller_brown_states,
        "peptide-states": peptide_states,
        "false-alarms": false_alarms,
    }
    return {name: partial(work, quick) for name, work in every.items()}


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """All parts."""
    for part in parts(data, quick).values():
        yield from part()
