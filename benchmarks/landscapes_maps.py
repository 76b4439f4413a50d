"""Maps of manifolds: every method beside scikit-learn's own on clouds of known shape and on alanine dipeptide.

Clouds are a rolled sheet, a torus, a trefoil knot and the distances of alanine dipeptide, in which two torsions are
hidden. ``trustworthiness`` and ``geodesic correlation`` are measured in the same call for both programs, of the same
frames with the same settings, over seeds that draw the frames; the truth that they are measured against is the cloud
itself, of alanine dipeptide the two torsions. ``error`` is how far frames that were left out land from where the map
would have put them, in standard deviations of the coordinate.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import sklearn
from scipy.stats import spearmanr
from sklearn import decomposition, manifold
from sklearn.datasets import make_swiss_roll

from thalweg.collective_variables.manifold.embeddings.embedding import ManifoldMethod
from thalweg.collective_variables.manifold.embeddings.hessian_eigenmaps import HessianEigenmaps
from thalweg.collective_variables.manifold.embeddings.independent_components import ICA
from thalweg.collective_variables.manifold.embeddings.isomap import Isomap, geodesic_distances
from thalweg.collective_variables.manifold.embeddings.kernel_pca import KernelPCA
from thalweg.collective_variables.manifold.embeddings.laplacian_eigenmaps import LaplacianEigenmaps
from thalweg.collective_variables.manifold.embeddings.locally_linear import LocallyLinearEmbedding
from thalweg.collective_variables.manifold.embeddings.maximum_variance_unfolding import (
    MaximumVarianceUnfolding,
)
from thalweg.collective_variables.manifold.embeddings.multidimensional_scaling import ClassicalMDS, MetricMDS
from thalweg.collective_variables.manifold.embeddings.sketch_map import SketchMap
from thalweg.collective_variables.manifold.embeddings.tangent_spaces import LTSA
from thalweg.collective_variables.manifold.metric import Euclidean
from thalweg.geometry.torsions import backbone_dihedrals
from thalweg.geometry.variables import Dihedrals, Distances
from thalweg.interop.files.trajectories import TrajectoryFile, read_topology
from thalweg.interop.measured.frame_features import FeaturesAlongFile
from thalweg.report.benchmark import Row

FRAMES = 1000
"""Of each cloud."""

NEIGHBORS = 10
"""Of both programs."""

SEEDS = 3

ALLOWED = 0.002
"""By how much a mean over seeds may lie below the other program's and still be called equal."""

MANY = 100_000
"""Frames of the maps by landmarks."""

PEER = f"scikit-learn {sklearn.__version__}"


class Cloud(NamedTuple):
    """Frames, what they should be near to each other in, and into how many coordinates they go."""

    frames: np.ndarray
    truth: np.ndarray
    dim: int


def swiss_roll(seed: int, count: int = FRAMES) -> Cloud:
    """A rolled sheet in space."""
    x = make_swiss_roll(count, random_state=seed)[0]
    return Cloud(x, x, 2)


def torus(seed: int, count: int = FRAMES) -> Cloud:
    """A torus in space, which cannot be laid flat: three coordinates."""
    u, v = np.random.default_rng(seed).uniform(0, 2 * np.pi, (2, count))
    x = np.stack([(3 + np.cos(v)) * np.cos(u), (3 + np.cos(v)) * np.sin(u), np.sin(v)], axis=1)
    return Cloud(x, x, 3)


def trefoil(seed: int, count: int = FRAMES) -> Cloud:
    """A knotted line in space, which lies on a circle in two coordinates."""
    t = np.random.default_rng(seed).uniform(0, 2 * np.pi, count)
    x = np.stack([np.sin(t) + 2 * np.sin(2 * t), np.cos(t) - 2 * np.cos(2 * t), -np.sin(3 * t)], axis=1)
    x = x + np.random.default_rng(seed + 100).normal(0, 0.02, x.shape)
    return Cloud(x, x, 2)


def alanine_dipeptide(data: Path) -> Callable[..., Cloud]:
    """Distances of heavy atoms along ten trajectories; the truth is the sines and cosines of both torsions."""
    folder = data / "kinetics" / "alanine_msmb"
    topology = read_topology(folder / "ala2.pdb")
    torsions = backbone_dihedrals(topology)
    heavy = [k for k, element in enumerate(topology.elements) if element != "H"]
    angles = Dihedrals(np.concatenate([torsions["phi"], torsions["psi"]]), topology)
    pairs = Distances(list(combinations(heavy, 2)), topology)
    files = [TrajectoryFile(path, topology) for path in sorted(folder.glob("*.dcd"))]
    turns, distances = (
        np.concatenate([chunk for file in files for chunk in FeaturesAlongFile(file, each)]).astype(float)
        for each in (angles, pairs)
    )
    moving = distances.std(axis=0) > 0.005
    truth = np.concatenate([np.cos(turns), np.sin(turns)], axis=1)

    def cloud(seed: int, count: int = FRAMES) -> Cloud:
        chosen = np.random.default_rng(seed).choice(len(truth), count, replace=False)
        return Cloud(distances[chosen][:, moving], truth[chosen], 2)

    return cloud


def peers(dim: int, seed: int, features: int) -> dict[str, tuple[ManifoldMethod, Any]]:
    """Ours and scikit-learn's of the same settings; None where it has none."""
    k = NEIGHBORS
    # its sparse solver ends in an error on molecules
    lle = partial(manifold.LocallyLinearEmbedding, n_neighbors=k, n_components=dim, eigen_solver="dense")
    both = {
        "kernel PCA, each program's width": (KernelPCA(dim), decomposition.KernelPCA(dim, kernel="rbf")),
        "kernel PCA, same width": (
            KernelPCA(dim, width=(features / 2) ** 0.5),
            decomposition.KernelPCA(dim, kernel="rbf", gamma=1 / features),
        ),
        "ICA": (ICA(dim), decomposition.FastICA(dim, random_state=seed, max_iter=1000, tol=1e-3)),
        "classical MDS": (ClassicalMDS(dim), manifold.ClassicalMDS(n_components=dim)),
        "metric MDS": (
            MetricMDS(dim),
            manifold.MDS(
                n_components=dim, n_init=1, init="random", random_state=seed, normalized_stress="auto"
            ),
        ),
        "Isomap": (Isomap(dim, k), manifold.Isomap(n_neighbors=k, n_components=dim)),
        "LLE": (LocallyLinearEmbedding(dim, k), lle()),
        "LTSA": (LTSA(dim, k), lle(method="ltsa")),
        "Hessian eigenmaps": (HessianEigenmaps(dim, k), lle(method="hessian")),
        "Laplacian eigenmaps": (
            LaplacianEigenmaps(dim, k),
            manifold.SpectralEmbedding(n_neighbors=k, n_components=dim, affinity="nearest_neighbors"),
        ),
        "maximum variance unfolding": (MaximumVarianceUnfolding(dim, NEIGHBORS), None),
        "sketch-map": (SketchMap(dim), None),
    }
    return {name: (replace(ours, seed=seed), theirs) for name, (ours, theirs) in both.items()}


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """All parts; ``quick`` takes one seed and few frames."""
    clouds = {"swiss roll": swiss_roll, "torus": torus, "trefoil": trefoil}
    return {f"maps/{name}": partial(maps, name, cloud, quick) for name, cloud in clouds.items()} | {
        "maps/alanine": partial(alanine, data, quick),
        "landmarks": partial(landmarks, quick),
    }


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def alanine(data: Path, quick: bool) -> Iterator[Row]:
    """Maps of alanine dipeptide."""
    folder = data / "kinetics" / "alanine_msmb"
    if not folder.is_dir():
        yield Row("alanine dipeptide: maps", None, "", target=f"skipped: no data in {folder}")
        return
    yield from maps("alanine dipeptide", alanine_dipeptide(data), quick)


def maps(name: str, cloud: Callable[..., Cloud], quick: bool) -> Iterator[Row]:
    """Scores of every method on one cloud, beside scikit-learn's."""
    count, seeds = (300, 1) if quick else (FRAMES, SEEDS)
    drawn = [cloud(seed, count) for seed in range(seeds)]
    for method in peers(2, 0, 1):
        scores = np.array([_scored(method, each, seed) for seed, each in enumerate(drawn)])
        yield from _rows_of(f"{name}: {method}", scores)


def _scored(method: str, cloud: Cloud, seed: int) -> tuple[float, ...]:
    """Trustworthiness, geodesic correlation, error of frames left out; both first ones of the peer."""
    ours, theirs = peers(cloud.dim, seed, cloud.frames.shape[1])[method]
    if theirs is not None:
        # every frame is a landmark, so that both programs map the same
        ours = replace(ours, landmarks=len(cloud.frames))
    model = ours.fit(cloud.frames)
    error = np.nan if model.scores is None else model.scores.errors.max()
    found = _kept(cloud, model.transform(cloud.frames))
    other = (np.nan, np.nan) if theirs is None else _kept(cloud, theirs.fit_transform(cloud.frames))
    return *found, error, *other


def _kept(cloud: Cloud, y: np.ndarray) -> tuple[float, float]:
    """Trustworthiness and geodesic correlation of a map of a cloud."""
    trust = manifold.trustworthiness(cloud.truth, y, n_neighbors=NEIGHBORS)
    pairs = np.triu_indices(len(y), 1)
    along = geodesic_distances(cloud.truth, NEIGHBORS, Euclidean())[pairs]
    return float(trust), float(spearmanr(along, Euclidean().between(y, y)[pairs]).statistic)


def _rows_of(test: str, scores: np.ndarray) -> Iterator[Row]:
    """Rows of one method, from what its seeds gave ``(seeds, 5)``."""
    mean = scores.mean(axis=0)
    error = scores.std(axis=0, ddof=1) / np.sqrt(len(scores)) if len(scores) > 1 else [None] * 5
    for k, what in enumerate(("trustworthiness", "geodesic correlation")):
        if np.isnan(mean[3 + k]):
            yield Row(f"{test}: {what}", mean[k], "", error[k])
            continue
        met = bool(mean[k] >= mean[3 + k] - ALLOWED)
        target = f">= scikit-learn's - {ALLOWED:g}"
        yield Row(
            f"{test}: {what}", mean[k], "", error[k], target, met, PEER, mean[3 + k], mean[k] / mean[3 + k]
        )
    yield Row(f"{test}: error of frames left out", mean[2], "spreads", error[2], "< 1", bool(mean[2] < 1))


def landmarks(quick: bool) -> Iterator[Row]:
    """A hundred thousand frames of a rolled sheet by landmarks: seconds of a fit, and of placing all frames."""
    count = 5000 if quick else MANY
    x, place = make_swiss_roll(count, random_state=0)
    for method in (Isomap(), LocallyLinearEmbedding(), LTSA(), HessianEigenmaps()):
        started = time.process_time()
        model = method.fit(x)
        y = model.transform(x)
        seconds = time.process_time() - started
        name = f"{type(method).__name__}, {count:,} frames"
        yield Row(
            f"{name}: fit with scores, and all placed", seconds, "CPU s", None, "<= 300", seconds <= 300
        )
        # of an affine map of both coordinates, since LLE, LTSA and Hessian maps are affine ones of the sheet
        sheet = np.stack([arc_length(place), x[:, 1]], axis=1)
        columns = np.concatenate([np.ones((count, 1)), y], axis=1)
        left = sheet - columns @ np.linalg.lstsq(columns, sheet, rcond=None)[0]
        explained = float(1 - (left.var(axis=0) / sheet.var(axis=0)).mean())
        yield Row(
            f"{name}: variance of the sheet's own coordinates explained",
            explained,
            "",
            None,
            ">= 0.95",
            explained >= 0.95,
        )


def arc_length(turn: np.ndarray) -> np.ndarray:
    """Way along the spiral ``t (cos t, sin t)``."""
    return 0.5 * (turn * np.sqrt(1 + turn**2) + np.arcsinh(turn))
