"""Maps of manifolds: every method beside scikit-learn's own on clouds of known shape and on alanine dipeptide.

Clouds are sheets, lines, closed surfaces and the distances of alanine dipeptide, in which two torsions are hidden.
``trustworthiness`` and ``geodesic correlation`` are measured in the same call for both programs, of the same frames
with the same settings, over seeds that draw the frames; the truth that they are measured against is the cloud itself,
of alanine dipeptide the two torsions. Ours is below the other where the difference between both, of cloud by cloud, is
negative beyond what the clouds leave open (Student's t, one side, 95 %); where five clouds say so, ten new ones decide.
``error`` is how far frames that were left out land from where the map would have put them, in standard deviations of
the coordinate.

What has no counterpart stands beside what is nearest to it: maximum variance unfolding beside Isomap, sketch-map beside
metric scaling. Autoencoders are judged by what they give back of frames that were left out, beside principal components
of the same number.
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
from scipy import stats
from scipy.stats import spearmanr
from sklearn import decomposition, manifold
from sklearn.datasets import make_swiss_roll

from thalweg.collective_variables.linear.pca import PCA
from thalweg.collective_variables.manifold.embeddings.embedding import Embedding, ManifoldMethod
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
from thalweg.collective_variables.neural.autoencoders import Autoencoder
from thalweg.geometry.torsions import backbone_dihedrals
from thalweg.geometry.variables import Dihedrals, Distances
from thalweg.interop.files.trajectories import TrajectoryFile, read_topology
from thalweg.interop.measured.frame_features import FeaturesAlongFile
from thalweg.report.benchmark import Row
from thalweg.time_series.cross_validation import Folds, cross_validate
from thalweg.time_series.trajectories import Trajectories

FRAMES = 400
"""Of each cloud."""

FRAMES_OF_A_ROLL = 700
"""Of a rolled sheet, whose turns must not be neighbors."""

FRAMES_OF_SLOW_METHODS = 200
"""Of methods that have no counterpart."""

NEIGHBORS = 10
"""Of both programs."""

SEEDS = 5
"""Clouds."""

DECIDING = 10
"""New clouds that decide where the first ones speak against us."""

FEW_SEEDS = 3
"""Clouds of methods that have no counterpart, and those of which frames are left out."""

CONFIDENCE = 0.95

ALIKE = 1e-4
"""Differences of scores that are none."""

MANY = 100_000
"""Frames of the maps by landmarks."""

PEER = f"scikit-learn {sklearn.__version__}"


class Cloud(NamedTuple):
    """Frames, what they should be near to each other in, and into how many coordinates they go."""

    frames: np.ndarray
    truth: np.ndarray
    dim: int

    def kept_by(self, y: np.ndarray) -> tuple[float, float]:
        """Trustworthiness and geodesic correlation of a map."""
        trust = manifold.trustworthiness(self.truth, y, n_neighbors=NEIGHBORS)
        pairs = np.triu_indices(len(y), 1)
        along = geodesic_distances(self.truth, NEIGHBORS, Euclidean())[pairs]
        return float(trust), float(spearmanr(along, Euclidean().between(y, y)[pairs]).statistic)


def swiss_roll(seed: int, count: int) -> Cloud:
    """A rolled sheet in space."""
    x = make_swiss_roll(count, random_state=seed)[0]
    return Cloud(x, x, 2)


def torus(seed: int, count: int) -> Cloud:
    """A torus in space, which cannot be laid flat: three coordinates."""
    u, v = np.random.default_rng(seed).uniform(0, 2 * np.pi, (2, count))
    x = np.stack([(3 + np.cos(v)) * np.cos(u), (3 + np.cos(v)) * np.sin(u), np.sin(v)], axis=1)
    return Cloud(x, x, 3)


def trefoil(seed: int, count: int) -> Cloud:
    """A knotted line in space, which lies on a circle in two coordinates."""
    t = np.random.default_rng(seed).uniform(0, 2 * np.pi, count)
    x = np.stack([np.sin(t) + 2 * np.sin(2 * t), np.cos(t) - 2 * np.cos(2 * t), -np.sin(3 * t)], axis=1)
    x = x + np.random.default_rng(seed + 100).normal(0, 0.02, x.shape)
    return Cloud(x, x, 2)


def bent_sheet(seed: int, count: int) -> Cloud:
    """A sheet bent like an S, with a hole."""
    random = np.random.default_rng(seed)
    t, height = random.uniform((-1.5 * np.pi, 0.0), (1.5 * np.pi, 2.0), (4 * count, 2)).T
    held = (np.abs(t) > 0.9) | (np.abs(height - 1) > 0.4)
    t, height = t[held][:count], height[held][:count]
    x = np.stack([np.sin(t), height, np.sign(t) * (np.cos(t) - 1)], axis=1)
    return Cloud(x, x, 2)


def moebius_band(seed: int, count: int) -> Cloud:
    """A band with one side: three coordinates."""
    random = np.random.default_rng(seed)
    u, v = random.uniform(0, 2 * np.pi, count), random.uniform(-0.6, 0.6, count)
    away = 1.5 + v * np.cos(u / 2)
    x = np.stack([away * np.cos(u), away * np.sin(u), v * np.sin(u / 2)], axis=1)
    return Cloud(x, x, 3)


def cap(seed: int, count: int) -> Cloud:
    """A part of a sphere, with noise."""
    random = np.random.default_rng(seed)
    z, u = random.uniform(0.2, 1, count), random.uniform(0, 2 * np.pi, count)
    x = np.stack([np.sqrt(1 - z**2) * np.cos(u), np.sqrt(1 - z**2) * np.sin(u), z], axis=1)
    x = x + random.normal(0, 0.02, x.shape)
    return Cloud(x, x, 2)


def helix(seed: int, count: int) -> Cloud:
    """Two turns of a line, with noise."""
    random = np.random.default_rng(seed)
    t = random.uniform(0, 4 * np.pi, count)
    x = np.stack([np.cos(t), np.sin(t), t / 4], axis=1) + random.normal(0, 0.03, (count, 3))
    return Cloud(x, x, 2)


def _distances_of_alanine(folder: Path) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Both torsions and distances of heavy atoms of all frames; distances that move, run by run."""
    topology = read_topology(folder / "ala2.pdb")
    torsions = backbone_dihedrals(topology)
    heavy = [k for k, element in enumerate(topology.elements) if element != "H"]
    angles = Dihedrals(np.concatenate([torsions["phi"], torsions["psi"]]), topology)
    pairs = Distances(list(combinations(heavy, 2)), topology)
    files = [TrajectoryFile(path, topology) for path in sorted(folder.glob("*.dcd"))]
    turns, runs = (
        [np.concatenate(list(FeaturesAlongFile(file, each))).astype(float) for file in files]
        for each in (angles, pairs)
    )
    moving = np.concatenate(runs).std(axis=0) > 0.005
    runs = [run[:, moving] for run in runs]
    return np.concatenate(turns), np.concatenate(runs), runs


def alanine_dipeptide(data: Path) -> Callable[[int, int], Cloud]:
    """Distances of heavy atoms along ten trajectories; the truth is the sines and cosines of both torsions."""
    turns, distances, _ = _distances_of_alanine(data / "kinetics" / "alanine_msmb")
    truth = np.concatenate([np.cos(turns), np.sin(turns)], axis=1)

    def cloud(seed: int, count: int) -> Cloud:
        chosen = np.random.default_rng(seed).choice(len(truth), count, replace=False)
        return Cloud(distances[chosen], truth[chosen], 2)

    return cloud


def peers(dim: int, seed: int, features: int) -> dict[str, tuple[ManifoldMethod | PCA, Any]]:
    """Ours and scikit-learn's of the same settings."""
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
        "metric MDS": (MetricMDS(dim), _mds(dim, seed)),
        "Isomap": (Isomap(dim, k), manifold.Isomap(n_neighbors=k, n_components=dim)),
        "LLE": (LocallyLinearEmbedding(dim, k), lle()),
        "LTSA": (LTSA(dim, k), lle(method="ltsa")),
        "Hessian eigenmaps": (HessianEigenmaps(dim, k), lle(method="hessian")),
        # it counts a frame among its own neighbors
        "Laplacian eigenmaps": (
            LaplacianEigenmaps(dim, k),
            manifold.SpectralEmbedding(n_neighbors=k + 1, n_components=dim, affinity="nearest_neighbors"),
        ),
    }
    mapped = {name: (replace(ours, seed=seed), theirs) for name, (ours, theirs) in both.items()}
    return {"PCA": (PCA(dim), decomposition.PCA(dim))} | mapped


def without_counterpart(dim: int, seed: int) -> dict[str, tuple[ManifoldMethod, Any, str]]:
    """Ours, what is nearest to it in scikit-learn, and its name."""
    isomap = manifold.Isomap(n_neighbors=NEIGHBORS, n_components=dim)
    return {
        "maximum variance unfolding": (MaximumVarianceUnfolding(dim, NEIGHBORS, seed=seed), isomap, "Isomap"),
        "sketch-map": (SketchMap(dim, seed=seed), _mds(dim, seed), "metric MDS"),
    }


def _mds(dim: int, seed: int) -> Any:
    return manifold.MDS(
        n_components=dim, n_init=1, init="random", random_state=seed, normalized_stress="auto"
    )


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """All parts; ``quick`` takes few clouds of few frames."""
    clouds = {
        "torus": torus,
        "trefoil": trefoil,
        "bent-sheet": bent_sheet,
        "moebius-band": moebius_band,
        "cap": cap,
        "helix": helix,
    }
    return (
        {"maps/swiss-roll": partial(maps, "swiss roll", swiss_roll, quick, FRAMES_OF_A_ROLL)}
        | {
            f"maps/{name}": partial(maps, name.replace("-", " "), cloud, quick)
            for name, cloud in clouds.items()
        }
        | {
            "maps/alanine": partial(alanine, data, quick),
            "reconstruction": partial(reconstruction, data, quick),
            "landmarks": partial(landmarks, quick),
        }
    )


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


def maps(name: str, cloud: Callable[[int, int], Cloud], quick: bool, count: int = FRAMES) -> Iterator[Row]:
    """Scores of every method on one cloud, beside scikit-learn's."""
    count, seeds, few = (200, 2, 2) if quick else (count, SEEDS, FEW_SEEDS)
    for method in peers(2, 0, 1):
        scores = _scores(method, cloud, count, range(seeds))
        if not quick and not all(_not_below(each) for each in _differences(scores)):
            again = _scores(method, cloud, count, range(seeds, seeds + DECIDING))
            again[:FEW_SEEDS, 4] = scores[:FEW_SEEDS, 4]
            scores = again
        yield from _rows_of(f"{name}: {method}", scores)
    small = min(count, FRAMES_OF_SLOW_METHODS)
    for method in without_counterpart(2, 0):
        scores = np.array([_scored_alone(method, cloud(seed, small), seed) for seed in range(few)])
        nearest = without_counterpart(2, 0)[method][2]
        yield from _rows_beside(f"{name}: {method}, {small} frames", scores, nearest)


def _scores(method: str, cloud: Callable[[int, int], Cloud], count: int, seeds: range) -> np.ndarray:
    """Of every seed trustworthiness, geodesic correlation, both of the peer, and the error of frames left out."""
    scores = []
    for seed in seeds:
        drawn = cloud(seed, count)
        ours, theirs = peers(drawn.dim, seed, drawn.frames.shape[1])[method]
        if isinstance(ours, ManifoldMethod):
            # every frame is a landmark, so that both programs map the same
            ours = replace(ours, landmarks=count, left_out=0.1 if seed < FEW_SEEDS else 0.0)
        kept, error = _mapped(ours, drawn)
        scores.append((*kept, *drawn.kept_by(theirs.fit_transform(drawn.frames)), error))
    return np.array(scores)


def _scored_alone(method: str, cloud: Cloud, seed: int) -> tuple[float, ...]:
    ours, nearest, _ = without_counterpart(cloud.dim, seed)[method]
    kept, error = _mapped(ours, cloud)
    return *kept, *cloud.kept_by(nearest.fit_transform(cloud.frames)), error


def _mapped(method: ManifoldMethod | PCA, cloud: Cloud) -> tuple[tuple[float, float], float]:
    """What a map keeps of a cloud, and its error at frames left out."""
    model = method.fit(cloud.frames)
    kept = cloud.kept_by(model.transform(cloud.frames))
    if isinstance(model, Embedding):
        # not scored where none were left out, or the rest fell apart
        return kept, np.nan if model.scores is None else float(model.scores.errors.max())
    return kept, _missed(method, cloud.frames, model.transform(cloud.frames))


def _missed(method: PCA, x: np.ndarray, whole: np.ndarray) -> float:
    """The same error for components, of which a tenth of the frames has been left out, up to an affine map."""
    out = np.arange(len(x)) % 10 == 0
    part = method.fit(x[~out]).transform(x)
    columns = np.concatenate([np.ones((len(x), 1)), part], axis=1)
    placed = columns[out] @ np.linalg.lstsq(columns[~out], whole[~out], rcond=None)[0]
    return float(np.sqrt(((placed - whole[out]) ** 2).mean(axis=0) / whole.var(axis=0)).max())


def _differences(scores: np.ndarray) -> np.ndarray:
    """Ours less the peer's, of trustworthiness and of geodesic correlation ``(2, seeds)``."""
    return (scores[:, :2] - scores[:, 2:4]).T


def _not_below(differences: np.ndarray) -> bool:
    """Whether the mean of what clouds say is zero or more, within what they leave open."""
    mean, error = _mean(differences)
    reach = stats.t.ppf(CONFIDENCE, len(differences) - 1) * error
    return bool(mean >= -max(reach, ALIKE))


def _mean(values: np.ndarray) -> tuple[float, float]:
    """Mean and its standard error."""
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def _rows_of(test: str, scores: np.ndarray) -> Iterator[Row]:
    """Rows of one method, from what its seeds gave ``(seeds, 5)``."""
    for k, what in enumerate(("trustworthiness", "geodesic correlation")):
        mean, error = _mean(scores[:, k])
        less, open_ = _mean(_differences(scores)[k])
        peer = float(scores[:, 2 + k].mean())
        target = f"not below scikit-learn's: {less:+.4f} ± {open_:.4f} of {len(scores)} clouds"
        met = _not_below(_differences(scores)[k])
        yield Row(f"{test}: {what}", mean, "", error, target, met, PEER, peer, mean / peer)
    yield _row_of_error(test, scores)


def _rows_beside(test: str, scores: np.ndarray, nearest: str) -> Iterator[Row]:
    """Rows of a method that scikit-learn lacks, beside its nearest one."""
    for k, what in enumerate(("trustworthiness", "geodesic correlation")):
        mean, error = _mean(scores[:, k])
        peer = float(scores[:, 2 + k].mean())
        yield Row(f"{test}: {what}", mean, "", error, None, None, f"{PEER}, {nearest}", peer, mean / peer)
    yield _row_of_error(test, scores)


def _row_of_error(test: str, scores: np.ndarray) -> Row:
    mean, error = _mean(scores[np.isfinite(scores[:, 4]), 4])
    return Row(f"{test}: error of frames left out", mean, "spreads", error, "< 1", bool(mean < 1))


def reconstruction(data: Path, quick: bool) -> Iterator[Row]:
    """What autoencoders and as many principal components give back of frames that were left out, in the same folds."""
    count, seeds = (300, 1) if quick else (2000, FEW_SEEDS)
    clouds: dict[str, Callable[[int], Trajectories]] = {
        name: lambda seed, cloud=cloud: Trajectories([cloud(seed, count).frames])
        for name, cloud in {"swiss roll": swiss_roll, "trefoil": trefoil}.items()
    }
    if (folder := data / "kinetics" / "alanine_msmb").is_dir():
        runs = _distances_of_alanine(folder)[2]
        # whole runs are left out, which frames are taken is told by the seed
        clouds["alanine dipeptide"] = lambda seed: Trajectories(
            [run[seed :: 100 if quick else 20] for run in runs]
        )
    for name, drawn in clouds.items():
        dim = 1 if name == "trefoil" else 2
        held = np.array([_given_back(drawn(seed), dim, seed) for seed in range(seeds)])
        (mean, error), linear = _mean(held[:, 0]) if seeds > 1 else (held[0, 0], None), held[:, 1].mean()
        yield Row(
            f"{name}: autoencoder, {dim} values: share of unseen frames given back",
            mean,
            "",
            error,
            "above PCA's",
            bool((held[:, 0] > held[:, 1]).all()),
            "PCA",
            float(linear),
            mean / float(linear),
        )


def _given_back(data: Trajectories, dim: int, seed: int) -> tuple[float, float]:
    """Share of features of unit variance given back in folds left out: by an autoencoder, by principal components."""
    spread = np.concatenate(data.blocks).std(axis=0)
    scaled = Trajectories([block / np.where(spread > 0, spread, 1.0) for block in data.blocks])
    methods = Autoencoder(dim=dim, restarts=1, seed=seed), PCA(dim)
    ours, linear = (cross_validate(method, scaled, Folds(2, seed)).mean for method in methods)
    return ours, linear


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
