"""Structures divided by their distances alone, where the division is known; beside scikit-learn's methods and MDTraj.

Alanine dipeptide in a generalized Born solvent is begun in its right-handed, extended and left-handed states, told
apart by phi and psi; the methods see superposed heavy atoms, or the torsions. Six Lennard-Jones atoms are an
octahedron or a tetrahedron with two caps, whichever a descent of the energy ends in; their atoms come in any order, so
that distances without exchange of like atoms say nothing. Agreement is the adjusted Rand index, one where the divisions
are the same and zero where they agree as chance would have it.
"""

from __future__ import annotations

import itertools
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import mdtraj
import numpy as np
from scipy.spatial.transform import Rotation
from sklearn.cluster import HDBSCAN, AgglomerativeClustering, KMeans
from sklearn.metrics import adjusted_rand_score

from thalweg.collective_variables.manifold.metric import Euclidean, Metric
from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.temperature import thermal_start
from thalweg.geometry.structure_metric import AlignedRMSD
from thalweg.geometry.torsions import backbone_dihedrals
from thalweg.geometry.variables import Dihedrals
from thalweg.interop.openmm.molecules import alanine_dipeptide
from thalweg.kinetics.states.density_peaks import DensityPeaks
from thalweg.kinetics.states.hierarchical_clusters import HierarchicalClusters
from thalweg.kinetics.states.k_medoids import KMedoids
from thalweg.report.benchmark import Row
from thalweg.systems.state import thermal_state
from thalweg.units import thermal_energy

ALL_ORDERS = tuple(itertools.permutations(range(6)))

BETWEEN_MINIMA = -12.5
"""Energy between those of the two minima of six atoms, -12.712 and -12.303."""


@dataclass(frozen=True)
class Tabulated:
    """Distances found once: a frame is its number."""

    distances: np.ndarray

    def embedded(self, x: Any) -> None:
        """Nothing."""
        return

    def between(self, x: Any, y: Any) -> Any:
        """Those of the table."""
        return self.distances[np.ix_(x[:, 0].astype(int), y[:, 0].astype(int))]


def methods(clusters: int, metric: Metric) -> dict[str, Any]:
    """Each to make so many clusters, but for density peaks, which find their number."""
    return {
        "k-medoids": KMedoids(clusters, metric=metric),
        "average joining": HierarchicalClusters(n_clusters=clusters, metric=metric),
        "density peaks": DensityPeaks(metric=metric),
    }


def agreements(
    name: str, frames: np.ndarray, metric: Metric, truth: np.ndarray
) -> Iterator[tuple[str, float, str, float]]:
    """Agreement of each method with the known division, and of scikit-learn's nearest one with the same distances."""
    clusters, distances = len(np.unique(truth)), np.asarray(metric.between(frames, frames))
    distances = 0.5 * (distances + distances.T)
    np.fill_diagonal(distances, 0)
    theirs = {
        "average joining": AgglomerativeClustering(clusters, metric="precomputed", linkage="average"),
        "density peaks": HDBSCAN(
            metric="precomputed", min_cluster_size=max(10, len(frames) // 50), copy=True
        ),
    }
    for label, method in methods(clusters, metric).items():
        found = method.fit(frames).transform(frames)
        peer, other = "", np.nan
        if label in theirs:
            peer = type(theirs[label]).__name__
            other = adjusted_rand_score(truth, theirs[label].fit_predict(distances))
        elif metric.embedded(frames) is not None:
            peer = "KMeans"
            other = adjusted_rand_score(truth, KMeans(clusters, n_init=4).fit_predict(frames))
        yield f"{name}: {label}", adjusted_rand_score(truth, found), peer, other


def dipeptide(seed: int, quick: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Heavy atoms ``(frames, 30)`` [nm], sines and cosines of phi and psi ``(frames, 4)``, and states ``(frames,)``."""
    system = alanine_dipeptide("obc2", hydrogen_mass=3.0)
    found = backbone_dihedrals(system.topology)
    variable = Dihedrals(np.concatenate([found["phi"], found["psi"]]), system.topology)

    def torsions(positions: np.ndarray) -> np.ndarray:
        return np.asarray(variable(np.moveaxis(positions, 0, -1).astype(np.float32)), float).T

    def states(angles: np.ndarray) -> np.ndarray:
        phi, psi = angles.T
        turned = (psi > -2.0) & (psi < 1.0)
        return np.where((phi > 0) & (phi < 2.2), 2, np.where(turned, 0, 1))

    # hot runs find all three; each is then begun in as often
    hot = NativeEngine(system, Langevin(kT=thermal_energy(900.0), dt=0.002))
    start = thermal_start(system, thermal_energy(900.0), jax.random.key(seed), replicas=16)
    seen = np.concatenate(np.asarray(hot.run(start, 30_000, save_every=500).positions))
    state = states(torsions(seen))
    chosen = np.concatenate([np.flatnonzero(state == k)[-4:] for k in range(3)])
    kT = thermal_energy(300.0)
    positions = np.moveaxis(seen[chosen], 0, -1).astype(np.float32)
    begun = thermal_state(positions, system.masses, kT, jax.random.key(seed + 100))
    engine = NativeEngine(system, Langevin(kT=kT, dt=0.004))
    run = engine.run(begun, 250 * (30 if quick else 100), save_every=250)
    walk = np.concatenate(np.asarray(run.positions)[:, 5:])
    heavy = [k for k, element in enumerate(system.topology.elements) if element != "H"]
    angles = torsions(walk)
    waves = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    return walk[:, heavy].reshape(len(walk), -1).astype(float), waves, states(angles)


def six_atoms(seed: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Structures ``(frames, 18)`` in any order and orientation, and which minimum each belongs to ``(frames,)``."""
    generator = np.random.default_rng(seed)
    octahedron = 0.8 * np.concatenate([np.eye(3), -np.eye(3)])
    four = 0.4 * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    # each cap is a corner mirrored at the face of the others
    capped = np.concatenate([four, *(-5 / 3 * four[[k]] for k in (0, 1))])
    x = np.repeat(np.stack([octahedron, capped]), frames // 2, axis=0)
    for _ in range(3000):
        x = x + 1e-3 * _pulls(x)[1]
    for _ in range(4000):
        x = x + 2e-4 * _pulls(x)[1] + np.sqrt(2 * 0.05 * 2e-4) * generator.standard_normal(x.shape)
    quenched = x
    for _ in range(4000):
        quenched = quenched + 1e-3 * _pulls(quenched)[1]
    orders = generator.permuted(np.tile(np.arange(6), (len(x), 1)), axis=1)
    turned = np.einsum("nij,naj->nai", Rotation.random(len(x), random_state=seed).as_matrix(), x)
    return np.take_along_axis(turned, orders[:, :, None], axis=1).reshape(len(x), -1), (
        _pulls(quenched)[0] > BETWEEN_MINIMA
    ).astype(int)


def _pulls(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Energies ``(structures,)`` and forces of Lennard-Jones atoms."""
    away = x[:, :, None] - x[:, None]
    near = (away**2).sum(axis=-1) + np.diag(np.full(x.shape[1], np.inf))
    sixth = near**-3
    energy = 2 * (sixth**2 - sixth).sum(axis=(1, 2))
    return energy, (((48 * sixth**2 - 24 * sixth) / near)[..., None] * away).sum(axis=2)


def known_states(quick: bool) -> Iterator[Row]:
    """Agreement over seeds."""
    seen: dict[str, list[tuple[float, str, float]]] = {}
    for seed in range(1 if quick else 3):
        heavy, waves, states = dipeptide(seed, quick)
        atoms, minima = six_atoms(seed, 60 if quick else 100)
        numbers = np.arange(len(atoms), dtype=float)[:, None]
        cases = (
            ("alanine dipeptide, superposed", heavy, AlignedRMSD(), states),
            ("alanine dipeptide, torsions", waves, Euclidean(), states),
            (
                "six atoms, exchanged",
                numbers,
                Tabulated(AlignedRMSD(ALL_ORDERS).between(atoms, atoms)),
                minima,
            ),
            ("six atoms, not exchanged", numbers, Tabulated(AlignedRMSD().between(atoms, atoms)), minima),
        )
        for case in cases:
            for name, mine, peer, other in agreements(*case):
                seen.setdefault(name, []).append((mine, peer, other))
    for name, each in seen.items():
        mine, theirs = np.array([row[0] for row in each]), np.array([row[2] for row in each])
        told, compared = "not exchanged" not in name, bool(np.isfinite(theirs).all())
        yield Row(
            f"{name}: adjusted Rand index",
            float(mine.mean()),
            "",
            float(np.ptp(mine) / 2),
            ">= 0.9" if told else "none: like atoms are mixed",
            bool(mine.mean() >= 0.9) if told else None,
            each[0][1] or None,
            float(theirs.mean()) if compared else None,
            float(mine.mean() / theirs.mean()) if compared and theirs.mean() > 0.01 else None,
        )


def speed(quick: bool) -> Iterator[Row]:
    """Superposed distances of all pairs of ten atoms, beside MDTraj's, which has single precision and no exchange."""
    count = 300 if quick else 1000
    x = np.random.default_rng(0).standard_normal((count, 30))
    topology = mdtraj.Topology()
    residue = topology.add_residue("X", topology.add_chain())
    for _ in range(10):
        topology.add_atom("C", mdtraj.element.carbon, residue)
    frames = mdtraj.Trajectory(x.reshape(-1, 10, 3).astype(np.float32), topology)
    frames.center_coordinates()
    started = time.process_time()
    AlignedRMSD().between(x, x)
    mine, started = time.process_time() - started, time.process_time()
    for k in range(count):
        mdtraj.rmsd(frames, frames, k, precentered=True)
    theirs = time.process_time() - started
    yield Row(
        f"{count}^2 superposed distances",
        1e6 * mine / count**2,
        "us a pair",
        None,
        None,
        None,
        f"MDTraj {mdtraj.__version__}",
        1e6 * theirs / count**2,
        theirs / mine,
    )


def many_frames(quick: bool) -> Iterator[Row]:
    """A hundred thousand frames of three states in four torsions, by landmarks."""
    count = 10_000 if quick else 100_000
    generator = np.random.default_rng(0)
    kind = generator.choice(3, count, p=(0.5, 0.3, 0.2))
    middles = np.array([[-1.2, -0.6, -1.2, -0.6], [-1.2, 2.4, -1.2, 2.4], [1.0, 0.7, -1.2, 2.4]])
    angles = middles[kind] + 0.3 * generator.standard_normal((count, 4))
    frames = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    for label, method in methods(3, Euclidean()).items():
        before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        states = method.fit(frames).transform(frames)
        seconds = time.process_time() - started
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6
        agreement = adjusted_rand_score(kind, states)
        name = f"{count:,} frames by landmarks, {label}"
        yield Row(f"{name}: adjusted Rand index", agreement, "", None, ">= 0.9", bool(agreement >= 0.9))
        yield Row(f"{name}: memory grown", grown, "GB", None, "<= 1", grown <= 1)
        yield Row(f"{name}: fit and assignment", seconds, "CPU s")


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Each a table of its own."""
    every = {"known-states": known_states, "speed": speed, "many-frames": many_frames}
    return {name: partial(work, quick) for name, work in every.items()}


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """All parts."""
    for part in parts(data, quick).values():
        yield from part()
