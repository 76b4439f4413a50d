"""Binding: grids, affinities of proteins and of ligands never seen, and poses, each beside models that know little.

Affinities are of 75 sets of the FEP+ benchmark [ross2023] (protein, ligands in poses, measured free energies). Rows
of one ligand (protomers, flips; equal by the first block of the InChI key) are averaged; within targets a ligand is
never on both sides of a split, in whichever sets it stands. Proteins are left out by clusters of sequences, from 30 %
identity on, whole clusters in eight folds. Correlations R are of each set, then averaged; their spread is the
standard error over sets. Poses: docked and minimized crystal poses of 45 receptors, good within 2 Å; receptors are
kept whole. Kernels of the process are weighed by evidence on training data. The trend, with three kernels of equal
weight and a ridge chosen on training proteins, came in after the process had missed its target on other proteins.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jax
import numpy as np
from sklearn.ensemble import RandomForestRegressor

from thalweg.binding.affinity_process import AffinityProcess, most_informative
from thalweg.binding.complexes import Complex
from thalweg.binding.contacts import ElementContacts, contact_features
from thalweg.binding.grid_network import GridNetwork
from thalweg.binding.pose_forest import PoseForest, best_pose_hits, pose_features
from thalweg.binding.pose_sampling import PoseSampling
from thalweg.binding.protein_clusters import protein_clusters
from thalweg.binding.series_kernels import field_kernel, linear_kernel, of_ligands, series_kernels
from thalweg.binding.series_trend import SeriesTrend
from thalweg.binding.splits import Leaks, SetScores, Split, folds_within_sets
from thalweg.binding.vina import VinaScore
from thalweg.binding.voxels import VoxelGrid, grid_atoms, random_rotations, voxel_batch
from thalweg.interop.complexes.gnina_types import read_gnina_types
from thalweg.interop.complexes.ligands import read_ligands
from thalweg.interop.complexes.proteins import read_protein
from thalweg.interop.rdkit.ligand_features import ligand_features
from thalweg.learning.calibration import roc_area
from thalweg.learning.splits import folds
from thalweg.report.benchmark import Row

LABELS = ("r_exp_dg", "r_fepplus_exp_dg")
"""Properties of ligands that hold the measured free energy [kcal/mol]."""

IDENTITY = 0.3
"""Proteins whose sequences are equal in more than this are left out together."""

LEAST_OUT, LEAST_WITHIN = 8, 16
"""Ligands of a set below which no correlation is taken: other proteins', and the same protein's."""

FOLDS_OUT = 8
"""Into which clusters of proteins are dealt."""

SHELLS = (0.0, 0.4, 0.6, 0.8, 1.2)
TREES = 100

BATCH, ROUNDS = 20, 3
"""Ligands measured at a time, and how often after the first time."""

AUGMENTED = 8
"""Poses of each ligand where simulation augments what is known."""


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Each part alone; ``quick`` takes fewer sets, splits and trees."""
    return {
        "voxels": lambda: speed_of_grids(data),
        "affinity/leave protein out": lambda: leave_protein_out(data, quick),
        "affinity/within target": lambda: within_target(data, 1 if quick else 2, quick),
        "affinity/augmentation": lambda: augmentation(data, 1 if quick else 2, quick),
        "affinity/next measured": lambda: next_measured(data, 2 if quick else 10, quick),
        "poses": lambda: poses(data, 1 if quick else 5),
        "poses/network": lambda: poses_by_network(data, quick),
    }


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def speed_of_grids(data: Path) -> Iterator[Row]:
    """Grids a second with and without gradients, and what a turn changes."""
    series = all_series(data, False)
    if series is None:
        yield _absent()
        return
    chosen = [each for each, own in zip(series.complexes, series.sets) if own == "jacs_set/tyk2"]
    complexes = [Complex(each.pocket(1.6), each.ligand) for each in chosen] * 2
    atoms, count = grid_atoms(complexes), len(complexes)
    turns = random_rotations(jax.random.key(0), count)
    weights = jax.random.normal(jax.random.key(1), (16, 24, 24, 24))

    def contracted(positions, atoms, turns):
        moved = type(atoms)(positions, atoms.radii, atoms.members)
        return (voxel_batch(moved, VoxelGrid(), turns) * weights).sum()

    both = jax.jit(jax.grad(contracted))
    mean = np.mean([len(each.protein) + len(each.ligand) for each in complexes])
    test = f"24 points of 1 Å, 8 + 8 channels, {mean:.0f} atoms"
    for name, run, least in (
        ("forward", lambda: voxel_batch(atoms, VoxelGrid(), turns), 300),
        ("forward and gradient", lambda: both(atoms.positions, atoms, turns), None),
    ):
        value = count / _processor_seconds(run)
        yield Row(
            f"{test}: {name}",
            value,
            "grids/s",
            target=None if least is None else f">= {least}",
            met=None if least is None else value >= least,
        )
    still = jax.numpy.broadcast_to(jax.numpy.eye(3), turns.shape)
    norms = [
        np.sqrt((np.asarray(voxel_batch(atoms, VoxelGrid(), each))[:, 8:] ** 2).sum((2, 3, 4)))
        for each in (still, turns)
    ]
    filled = norms[0] > 0
    worst = 100 * float(np.abs(norms[1][filled] / norms[0][filled] - 1).max())
    yield Row("norms of ligands' channels under any turn, worst", worst, "%", target="< 2", met=worst < 2)


def leave_protein_out(data: Path, quick: bool) -> Iterator[Row]:
    """Ligands of proteins unlike all that were trained on."""
    series = all_series(data, quick)
    if series is None:
        yield _absent()
        return
    clusters = series.clusters
    splits = folds(len(clusters), FOLDS_OUT, 0, clusters.tolist())
    test = f"{len(series.ligands)} ligands, {clusters.max() + 1} clusters of proteins in {FOLDS_OUT} folds"
    leaked = sum(len(Leaks.of(each, series.ligands, clusters.tolist()).rows) for each in splits)
    yield Row(f"{test}: complexes on both sides", leaked, "", target="0", met=leaked == 0)
    contacts = series.mean(contact_features(series.complexes, ElementContacts()))
    began = time.process_time()
    kernels = series.kernels | {"contacts": series.contact_kernel}
    found, half = _by_process(kernels, series.labels, splits)
    seconds = time.process_time() - began
    alike = kernels["descriptors"] + kernels["morgan"] + kernels["contacts"]
    trend = np.zeros(len(series.labels))
    for _, out in splits:
        shown = series.labels.copy()
        shown[out] = np.nan
        trend[out] = SeriesTrend().fit(alike, shown, series.names, clusters.tolist()).means[out]
    for name, values, energies in (
        ("heavy atoms", -series.heavy_atoms, False),
        ("Vina's score", series.mean(series.vina[:, None])[:, 0], False),
        ("forest on contacts", _by_forest(contacts, series.labels, splits), True),
        ("forest on fingerprints", _by_forest(series.fingerprints, series.labels, splits), True),
        ("process", found, True),
        ("trend within series", trend, True),
    ):
        scores = SetScores.of(values, series.labels, series.names, LEAST_OUT)
        own = name == "trend within series"
        yield Row(
            f"{test}: {name}, R in {len(scores.sets)} sets",
            scores.mean,
            "",
            spread=scores.spread,
            target="> 0.28" if own else None,
            met=scores.mean > 0.28 if own else None,
            peer={"heavy atoms": "notes, 47 sets", "forest on contacts": "notes, from PDBbind"}.get(name),
            peer_value={"heavy atoms": 0.28, "forest on contacts": 0.17}.get(name),
        )
        if energies:
            yield Row(
                f"{test}: {name}, error about the mean of a set",
                float(scores.centered_errors.mean()),
                "kcal/mol",
            )
    inside = 100 * float(np.mean(np.abs(found - series.labels) < half))
    yield Row(
        f"{test}: inside intervals of 90 % of the process",
        inside,
        "%",
        target="85 to 95",
        met=85 <= inside <= 95,
    )
    spread = np.mean(
        [found[series.at(name)].std() / series.labels[series.at(name)].std() for name in scores.sets]
    )
    yield Row(f"{test}: scatter of the trend over that of labels", float(spread), "")
    yield Row(f"{test}: all splits of the process", seconds, "CPU s")


def within_target(data: Path, seeds: int, quick: bool) -> Iterator[Row]:
    """Ligands never seen, of targets whose other ligands were."""
    series = all_series(data, quick)
    if series is None:
        yield _absent()
        return
    tests: dict[str, list[SetScores]] = {}
    inside, seconds, leaked = [], [], 0
    for seed in range(seeds):
        splits = folds_within_sets(series.names, series.ligands, 5, seed)
        leaked += sum(len(Leaks.of(each, series.ligands, series.names).ligands) for each in splits)
        began = time.process_time()
        found, half = _by_process(series.kernels, series.labels, splits)
        seconds.append(time.process_time() - began)
        forest = _in_each_set(series, splits, seed)
        for name, values in (("forest on fingerprints, each set alone", forest), ("process", found)):
            tests.setdefault(name, []).append(SetScores.of(values, series.labels, series.names, LEAST_WITHIN))
        large = np.isin(series.names, tests["process"][0].sets)
        inside.append(np.mean(np.abs(found - series.labels)[large] < half[large]))
    sets = tests["process"][0].sets
    test = f"{len(sets)} sets of {LEAST_WITHIN} or more, 5 folds, {seeds} seeds"
    yield Row(f"{test}: ligands on both sides", leaked, "", target="0", met=leaked == 0)
    heavy = SetScores.of(-series.heavy_atoms, series.labels, series.names, LEAST_WITHIN)
    yield Row(
        f"{test}: heavy atoms, R", heavy.mean, "", spread=heavy.spread, peer="notes, 26 sets", peer_value=0.36
    )
    constant = float(np.mean([series.labels[series.at(name)].std() for name in sets]))
    yield Row(f"{test}: mean of the set, RMSE", constant, "kcal/mol", peer="notes, 26 sets", peer_value=1.14)
    for name, found in tests.items():
        own = name == "process"
        value, error = (float(np.mean([getattr(each, key) for each in found])) for key in ("mean", "errors"))
        yield Row(
            f"{test}: {name}, R",
            value,
            "",
            spread=float(np.mean([each.spread for each in found])),
            target="> 0.55" if own else None,
            met=value > 0.55 if own else None,
            peer="notes, forest, 26 sets",
            peer_value=0.52,
        )
        yield Row(
            f"{test}: {name}, RMSE",
            error,
            "kcal/mol",
            spread=float(np.std([each.errors.mean() for each in found])),
            target="< 0.92" if own else None,
            met=error < 0.92 if own else None,
            peer="notes, forest, 26 sets",
            peer_value=0.94,
        )
    yield from _simulated(data, series, sets, test)
    value = 100 * float(np.mean(inside))
    yield Row(
        f"{test}: inside intervals of 90 %",
        value,
        "%",
        spread=100 * float(np.std(inside)),
        target="85 to 95",
        met=85 <= value <= 95,
    )
    yield Row(f"{test}: five fits of the process", float(np.mean(seconds)), "CPU s")


def augmentation(data: Path, seeds: int, quick: bool) -> Iterator[Row]:
    """The same ligands of the JACS sets with the given pose alone, and with weighted poses about it beside."""
    series = all_series(data, quick)
    if series is None:
        yield _absent()
        return
    names = [name for name in dict.fromkeys(series.names) if name.startswith("jacs_set/")]
    rows = [k for k, own in enumerate(series.sets) if own in names]
    ensembles = [PoseSampling(AUGMENTED, seed=k).sample(series.complexes[k]) for k in rows]
    own = Series(
        [series.complexes[k] for k in rows],
        [series.rows[k] for k in rows],
        [series.own_names[k] for k in rows],
        series.energies[rows],
        {name: series.sequences[name] for name in names},
        [series.smiles[k] for k in rows],
    )
    alone = own.kernels
    poses = [pose for each in ensembles for pose in each.poses]
    weights = np.concatenate([each.weights for each in ensembles])
    pairs = [pair for pair in own.rows for _ in range(AUGMENTED)]
    fields = field_kernel(poses, [name for name, _ in pairs])
    with_poses = alone | {"field in series": of_ligands(fields, pairs, weights)}
    found: dict[str, list[SetScores]] = {}
    for seed in range(seeds):
        splits = folds_within_sets(own.names, own.ligands, 5, seed)
        for name, kernels in (("given pose", alone), ("with poses", with_poses)):
            values, _ = _by_process(kernels, own.labels, splits)
            found.setdefault(name, []).append(SetScores.of(values, own.labels, own.names, LEAST_WITHIN))
    without, beside = found["given pose"], found["with poses"]
    test = f"{len(own.labels)} ligands of {len(without[0].sets)} JACS sets, {seeds} seeds"
    effective = np.array([each.effective for each in ensembles])
    yield Row(
        f"{test}: effective poses of {AUGMENTED}", float(effective.mean()), "", spread=float(effective.std())
    )
    for name, each in found.items():
        yield Row(
            f"{test}: {name}, R",
            float(np.mean([own.mean for own in each])),
            "",
            spread=float(np.mean([own.spread for own in each])),
        )
        error = float(np.mean([own.errors.mean() for own in each]))
        yield Row(f"{test}: {name}, RMSE", error, "kcal/mol")
    # paired over sets, each the mean over seeds
    for what, unit in (("correlations", ""), ("errors", "kcal/mol")):
        apart = np.mean([getattr(b, what) - getattr(a, what) for a, b in zip(without, beside)], 0)
        yield Row(
            f"{test}: {what} with poses less those without, paired over sets",
            float(apart.mean()),
            unit,
            spread=float(apart.std(ddof=1) / np.sqrt(len(apart))) if len(apart) > 1 else None,
            target="reported whichever way it goes",
        )


def next_measured(data: Path, seeds: int, quick: bool) -> Iterator[Row]:
    """Ligands of the JACS sets measured one batch after another: chosen by the process, or at random."""
    series = all_series(data, quick)
    if series is None:
        yield _absent()
        return
    own = np.array([name.startswith("jacs_set/") for name in series.names])
    labels, names = series.labels[own], [name for name, mine in zip(series.names, own) if mine]
    kernels = {name: each[np.ix_(own, own)] for name, each in series.kernels.items()}
    errors: dict[str, list[float]] = {"chosen": [], "at random": []}
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(labels))
        test, first, rest = (
            order[: len(order) // 4],
            order[len(order) // 4 :][:BATCH],
            order[len(order) // 4 :][BATCH:],
        )
        pool = np.setdiff1d(order, test)
        for name in errors:
            known = first
            for step in range(ROUNDS):
                if name == "chosen":
                    among = {key: each[np.ix_(pool, pool)] for key, each in kernels.items()}
                    model = _known(kernels, labels, known)
                    place = np.flatnonzero(np.isin(pool, known))
                    picked = pool[most_informative(among, model.amplitudes, model.noise, place, BATCH)]
                else:
                    picked = rest[step * BATCH :][:BATCH]
                known = np.union1d(known, picked)
            found = _known(kernels, labels, known).means[test]
            errors[name].append(float(np.sqrt(np.mean((found - labels[test]) ** 2))))
    test_name = f"{len(labels)} ligands of {len(set(names))} JACS sets, {(ROUNDS + 1) * BATCH} measured, {seeds} seeds"
    for name, each in errors.items():
        yield Row(
            f"{test_name}: {name}, RMSE of others",
            float(np.mean(each)),
            "kcal/mol",
            spread=_error_of_mean(each),
        )
    apart = np.array(errors["chosen"]) - np.array(errors["at random"])
    yield Row(
        f"{test_name}: chosen less random, paired over seeds",
        float(apart.mean()),
        "kcal/mol",
        spread=_error_of_mean(apart),
    )


def _known(kernels, labels, known):
    """The process given some labels."""
    shown = np.full(len(labels), np.nan)
    shown[known] = labels[known]
    return AffinityProcess(iterations=25).fit(kernels, shown)


def _error_of_mean(values) -> float:
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def poses(data: Path, seeds: int) -> Iterator[Row]:
    """Poses of receptors that were not trained on."""
    folder = data / "binding" / "poses"
    if not folder.is_dir():
        yield _absent()
        return
    complexes, good, receptors = _poses(folder)
    features = pose_features(complexes)
    contacts = contact_features(complexes, ElementContacts())
    test = f"{len(good)} poses of {len(set(receptors))} receptors, 5 folds, {seeds} seeds"
    chance = np.mean([good[np.array(receptors) == name].mean() for name in set(receptors)])
    yield Row(f"{test}: first pose good by chance", 100 * float(chance), "%")
    vina = -np.array([VinaScore().score(each) for each in complexes])
    scores: dict[str, list[np.ndarray]] = {"Vina's score": [vina]}
    for seed in range(seeds):
        for name, own in (("forest on contacts", contacts), ("forest on poses among others", features)):
            found = np.zeros(len(good))
            for train, out in folds(len(good), 5, seed, receptors):
                model = PoseForest(trees=TREES, seed=seed).fit(
                    own[train], good[train], [receptors[k] for k in train]
                )
                found[out] = model.probabilities(own[out], [receptors[k] for k in out])
            scores.setdefault(name, []).append(found)
    for name, found in scores.items():
        own = name == "forest on poses among others"
        areas = [roc_area(each, good) for each in found]
        hits = [100 * best_pose_hits(each, good, receptors).mean() for each in found]
        for what, values, unit, least, known in (
            ("AUC", areas, "", 0.85, 0.82),
            ("first pose good", hits, "%", 70, 67),
        ):
            value = float(np.mean(values))
            yield Row(
                f"{test}: {name}, {what}",
                value,
                unit,
                spread=float(np.std(values)) if len(values) > 1 else None,
                target=f"> {least}" if own else None,
                met=value > least if own else None,
                peer="notes, forest, 60 receptors" if own else None,
                peer_value=known if own else None,
            )


def poses_by_network(data: Path, quick: bool) -> Iterator[Row]:
    """The same poses on grids, in random orientations, by a network that sees one pose at a time."""
    folder = data / "binding" / "poses"
    if not folder.is_dir():
        yield _absent()
        return
    complexes, good, receptors = _poses(folder)
    settings = GridNetwork("class", epochs=2 if quick else 15, members=1)
    found, began = np.zeros(len(good)), time.process_time()
    for train, out in folds(len(good), 5, 0, receptors):
        model = settings.fit([complexes[k] for k in train], good[train].astype(float))
        found[out], _ = model.predict([complexes[k] for k in out])
    test = f"{len(good)} poses of {len(set(receptors))} receptors, 5 folds, convolutional network"
    minutes = (time.process_time() - began) / 60
    hits = 100 * float(best_pose_hits(found, good, receptors).mean())
    yield Row(f"{test}: AUC", roc_area(found, good), "", peer="notes, forest", peer_value=0.82)
    yield Row(f"{test}: first pose good", hits, "%", peer="notes, forest", peer_value=67)
    yield Row(f"{test}: all folds", minutes, "CPU min")


@dataclass(frozen=True, eq=False)
class Series:
    """Sets of ligands as rows of files, and ligands, rows of which are averaged."""

    complexes: list[Complex]
    rows: list[tuple[str, str]]
    own_names: list[str]
    energies: np.ndarray
    sequences: dict[str, tuple[str, ...]]
    smiles: list[str]

    @property
    def sets(self) -> list[str]:
        """Of each row."""
        return [own for own, _ in self.rows]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Set and ligand, each once."""
        return list(dict.fromkeys(self.rows))

    @property
    def names(self) -> list[str]:
        """The set of each ligand."""
        return [own for own, _ in self.pairs]

    @property
    def ligands(self) -> list[str]:
        return [own for _, own in self.pairs]

    @property
    def labels(self) -> np.ndarray:
        return self.mean(self.energies[:, None])[:, 0]

    @property
    def heavy_atoms(self) -> np.ndarray:
        return self.mean(np.array([[len(each.ligand)] for each in self.complexes], float))[:, 0]

    @property
    def vina(self) -> np.ndarray:
        return np.array([VinaScore().score(each) for each in self.complexes])

    @property
    def clusters(self) -> np.ndarray:
        """The cluster of the protein of each ligand."""
        names = list(self.sequences)
        found = dict(zip(names, protein_clusters([self.sequences[name] for name in names], IDENTITY)))
        return np.array([found[name] for name in self.names])

    @property
    def features(self):
        return _features(tuple(self.smiles))

    @property
    def fingerprints(self) -> np.ndarray:
        return self.mean(self.features.counts["morgan"].astype(float))

    @property
    def kernels(self) -> dict[str, np.ndarray]:
        atoms = [each.ligand for each in self.complexes]
        return series_kernels(self.features, atoms, self.sets, [own for _, own in self.rows])

    @property
    def contact_kernel(self) -> np.ndarray:
        counts = contact_features(self.complexes, ElementContacts(SHELLS))
        return of_ligands(linear_kernel(np.sqrt(counts)), self.rows)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Values of rows as those of ligands."""
        place = {pair: k for k, pair in enumerate(self.pairs)}
        own = np.array([place[row] for row in self.rows])
        sums = np.zeros((len(place), values.shape[1]))
        np.add.at(sums, own, values)
        return sums / np.bincount(own)[:, None]

    def at(self, name: str) -> np.ndarray:
        """Ligands of a set."""
        return np.array(self.names) == name


@cache
def _features(smiles):
    return ligand_features(smiles)


@cache
def all_series(data: Path, quick: bool) -> Series | None:
    """The sets of the benchmark, those of JACS and with waters alone if ``quick``."""
    folder = data / "binding" / "fep_plus"
    files = sorted(folder.glob("*/*_ligands.sdf.gz"))
    if not files:
        return None
    if quick:
        files = [file for file in files if file.parent.name in ("jacs_set", "waterset")]
    complexes, found, names, energies, sequences, smiles = [], [], [], [], {}, []
    for file in files:
        name = f"{file.parent.name}/{file.name.removesuffix('_ligands.sdf.gz')}"
        protein = read_protein(file.with_name(file.name.replace("_ligands.sdf", "_protein.pdb")))
        sequences[name] = tuple(protein.sequences.values())
        for ligand in read_ligands(file):
            measured = [float(ligand.properties[key]) for key in LABELS if key in ligand.properties]
            if not measured:
                continue
            whole = Complex(protein.atoms, ligand.atoms, ligand.name)
            complexes.append(Complex(whole.pocket(1.7), ligand.atoms, ligand.name))
            found.append((name, ligand.skeleton))
            names.append(ligand.name)
            energies.append(measured[0])
            smiles.append(ligand.smiles)
    return Series(complexes, found, names, np.array(energies), sequences, smiles)


def within_sets(series: Series, splits: list[Split], seed: int):
    """Ligands left out, by the process and by a forest on fingerprints of each set alone [kcal/mol]."""
    return _by_process(series.kernels, series.labels, splits)[0], _in_each_set(series, splits, seed)


def _by_process(kernels, labels, splits: list[Split]):
    """Predictions of all test sets, and half widths of their intervals of 90 %."""
    found, half = np.zeros(len(labels)), np.zeros(len(labels))
    for _, test in splits:
        shown = labels.copy()
        shown[test] = np.nan
        model = AffinityProcess(iterations=25).fit(kernels, shown)
        found[test], half[test] = model.means[test], model.half_widths(0.9)[test]
    return found, half


def _by_forest(features, labels, splits: list[Split]):
    found = np.zeros(len(labels))
    for train, test in splits:
        forest = RandomForestRegressor(TREES, max_features="sqrt", min_samples_leaf=2, random_state=0)
        found[test] = forest.fit(features[train], labels[train]).predict(features[test])
    return found


def _in_each_set(series: Series, splits: list[Split], seed: int):
    """A forest on fingerprints for each set, as the published number is of."""
    labels, features = series.labels, series.fingerprints
    found = np.zeros(len(labels))
    large = [name for name in dict.fromkeys(series.names) if series.at(name).sum() >= LEAST_WITHIN]
    for train, test in splits:
        for name in large:
            own = np.flatnonzero(series.at(name))
            known, asked = np.intersect1d(own, train), np.intersect1d(own, test)
            varying = np.ptp(features[known], axis=0) > 0
            forest = RandomForestRegressor(TREES, max_features=0.33, random_state=seed)
            forest.fit(features[known][:, varying], labels[known])
            if len(asked):
                found[asked] = forest.predict(features[asked][:, varying])
    return found


def _simulated(data: Path, series: Series, sets, test: str) -> Iterator[Row]:
    """What simulations of the same ligands gave."""
    found = {}
    for file in sorted((data / "binding" / "fep_plus_predictions").glob("*/*_out.csv")):
        with open(file, encoding="utf-8") as lines:
            for line in csv.DictReader(lines):
                name = file.name.removesuffix("_out.csv").replace("_symbmcorr", "").replace("_bmcorr", "")
                # one table calls the first column otherwise
                ligand = line.get("Ligand name") or line["Ligand"]
                key = (f"{file.parent.name}/{name}", ligand.replace("_", " "))
                found[key] = float(line["Pred. dG (kcal/mol)"])
    rows = [
        (name, found[name, own.replace("_", " ")], energy)
        for name, own, energy in zip(series.sets, series.own_names, series.energies)
        if (name, own.replace("_", " ")) in found and name in sets
    ]
    if not rows:
        return
    scores = SetScores.of(
        np.array([r[1] for r in rows]), np.array([r[2] for r in rows]), [r[0] for r in rows]
    )
    yield Row(
        f"{test}: FEP+ itself, R in {len(scores.sets)} of these sets, {len(rows)} rows matched by name",
        scores.mean,
        "",
        spread=scores.spread,
        peer="notes, 47 sets",
        peer_value=0.65,
    )


def _poses(folder: Path):
    receptors, complexes, good, names = {}, [], [], []
    for line in (folder / "poses.types").read_text(encoding="utf-8").splitlines():
        if not line.strip():
            continue
        label, _, _, receptor, pose = line.split()
        if receptor not in receptors:
            receptors[receptor] = read_gnina_types(folder / f"{receptor}.gz")
        ligand = read_gnina_types(folder / f"{pose}.gz")
        whole = Complex(receptors[receptor], ligand, pose)
        complexes.append(Complex(whole.pocket(1.25), ligand, pose))
        good.append(label == "1")
        names.append(receptor.split("/")[0])
    return complexes, np.array(good), names


def _processor_seconds(run, times: int = 5):
    jax.block_until_ready(run())
    began = time.process_time()
    for _ in range(times):
        jax.block_until_ready(run())
    return (time.process_time() - began) / times


def _absent() -> Row:
    return Row("binding", None, "", target="skipped: the data are not there", met=None)
