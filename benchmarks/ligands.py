"""Ligands alone: numbers and classes of molecules from their fingerprints, descriptors and graphs.

Solubility (ESOL), hydration (FreeSolv), lipophilicity and Tox21 are split at random, 80 to 10 to 10, by five seeds;
BACE and BBBP as in MoleculeNet by scaffolds, which is one split, with five seeds of the methods, and once more with
scaffolds in random order. The middle tenth is not used: weights of the average are chosen on training molecules left
out. Of MoleculeACE the split is made by its published recipe, with cliffs marked; ADME comes with its split. Every
forest is this package's own on the same split and features; published numbers are of the authors' splits. Molecules
that cannot be read are left out, and told by their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from ligands_sets import cliffs_and_split, read_cliffs, read_set

from thalweg.binding.ligands.average import averaged
from thalweg.binding.ligands.calibrated import ApplicabilityDomain, ClassProbabilities, LigandIntervals
from thalweg.binding.ligands.features import LigandFeatures
from thalweg.binding.ligands.forest import LigandForest
from thalweg.binding.ligands.gaussian_process import LigandProcess
from thalweg.binding.ligands.network import LigandNetwork
from thalweg.binding.splits import scaffold_split
from thalweg.interop.rdkit.audit import audit
from thalweg.interop.rdkit.ligand_features import ligand_features
from thalweg.interop.rdkit.murcko import murcko_scaffold
from thalweg.learning.calibration import roc_area
from thalweg.learning.splits import random_split
from thalweg.report.benchmark import Row

SEEDS = 5
TREES = 100

CLASS_COLUMNS = 0.02
"""Fraction of columns that splits of classes choose from; numbers take a tenth."""


@dataclass(frozen=True)
class Measured:
    """A public set: file, what it is scored by, published number and target, and the network that its size allows.

    Attributes
    ----------
    published : of whom, and the number
    target : which ours is to be below (errors) or above (areas)
    network : None where it would cost more than everything else
    """

    file: str
    classes: bool
    published: tuple[str, float]
    target: float | None
    network: LigandNetwork | None
    by_scaffold: bool = False


NETWORK = LigandNetwork(networks=3, epochs=30)

SETS = {
    "ESOL": Measured("delaney", False, ("published: Chemprop", 0.555), 0.60, NETWORK),
    "FreeSolv": Measured("freesolv", False, ("published: Chemprop", 1.075), None, NETWORK),
    "Lipophilicity": Measured("lipo", False, ("published: Chemprop", 0.555), 0.65, None),
    "BACE": Measured("bace", True, ("published: forest of MoleculeNet", 0.867), 0.84, None, True),
    "BBBP": Measured("bbbp", True, ("published: Chemprop", 0.737), 0.76, None, True),
    "Tox21": Measured("tox21", True, ("published: Chemprop", 0.851), 0.86, None),
}  # fmt: skip

ADME = {"HLM": (0.657, 0.724), "MDR1_ER": (0.742, 0.804), "hPPB": (0.767, 0.821)}
"""Pearson's R of the published forest and of the best published."""


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Each set alone; ``quick`` takes one seed, no network, and one set of cliffs."""
    sets = {name: partial(of_set, data, name, 1 if quick else SEEDS, quick) for name in SETS}
    return sets | {
        "activity cliffs": lambda: cliffs(data, 1 if quick else None),
        "ADME": lambda: adme(data, 1 if quick else SEEDS),
    }


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def of_set(data: Path, name: str, seeds: int, quick: bool) -> Iterator[Row]:
    """Scores of each method and of their average on one set."""
    measured = SETS[name]
    file = data / "binding" / "moleculenet" / f"{measured.file}.csv.gz"
    if not file.is_file():
        yield _absent(name)
        return
    network = None if quick else measured.network
    smiles, labels = read_set(file)
    table = audit(smiles, labels)
    yield Row(f"{name}: molecules left out of {len(smiles)}, not readable", len(table.unreadable), "")
    yield Row(f"{name}: molecules that occur before", len(table.duplicates), "")
    yield Row(f"{name}: the same, contradicting", len(table.contradicting), "")
    yield Row(f"{name}: salts and mixtures", len(table.salts), "")
    smiles, labels = [smiles[k] for k in table.readable], labels[table.readable]
    ligands = ligand_features(smiles, graphs=network is not None)
    groups = [murcko_scaffold(each) for each in smiles] if measured.by_scaffold else None
    splits = [_split(len(smiles), groups, seed, None) for seed in range(seeds)]
    yield from _compared(name, measured, ligands, labels, splits, network)
    if groups is not None:
        splits = [_split(len(smiles), groups, seed, seed) for seed in range(seeds)]
        yield from _compared(
            f"{name}, scaffolds in random order",
            replace(measured, target=None),
            ligands,
            labels,
            splits,
            None,
        )


def cliffs(data: Path, most: int | None) -> Iterator[Row]:
    """Errors over all molecules and over those on cliffs, mean over sets."""
    folder = data / "binding" / "moleculeace"
    files = sorted(folder.glob("*.csv.gz"))[:most]
    if not files:
        yield _absent("MoleculeACE")
        return
    scores: dict[str, list[tuple[float, float]]] = {}
    for file in files:
        smiles, values = read_cliffs(file)
        marked, train, test = cliffs_and_split(smiles, values)
        ligands = ligand_features(smiles)
        for method, found, _ in _predicted(ligands, values, train, test, 0, None):
            off = found.means[:, 0] - values[test]
            both = _rms(off), _rms(off[marked[test]])
            scores.setdefault(method, []).append(both)
        ours, forest = scores[AVERAGE][-1], scores["forest"][-1]
        yield Row(f"{file.name.split('.')[0]}: RMSE", ours[0], "", peer="forest", peer_value=forest[0])
    for kind, name, most, published in ((0, "all", 0.68, 0.694), (1, "cliffs", 0.77, 0.781)):
        of_kind = {method: [both[kind] for both in found] for method, found in scores.items()}
        title, peer = f"{len(files)} sets, {name}: RMSE", ("published: forest, all 30 sets", published)
        yield from _of_methods(title, of_kind, Target(f"<= {most}", np.less_equal, most), peer, _error)


def adme(data: Path, seeds: int) -> Iterator[Row]:
    """Correlation on the sets' own splits."""
    folder = data / "binding" / "adme"
    for name, (forest, best) in ADME.items():
        if not folder.is_dir():
            yield _absent("ADME")
            return
        (taught, known), (tested, asked) = (
            read_set(folder / f"ADME_{name}_{part}.csv.gz") for part in ("train", "test")
        )
        ligands, labels = ligand_features(taught + tested), np.concatenate([known, asked])[:, 0]
        train, test = np.arange(len(taught)), len(taught) + np.arange(len(tested))
        scores: dict[str, list[float]] = {}
        for seed in range(seeds):
            for method, found, _ in _predicted(ligands, labels, train, test, seed, None):
                scores.setdefault(method, []).append(
                    float(np.corrcoef(found.means[:, 0], labels[test])[0, 1])
                )
        target = Target(f"> {forest}, the published forest's", np.greater, forest, min)
        yield from _of_methods(f"ADME {name}: R", scores, target, ("best published", best), _spread)


AVERAGE = "average"


def _compared(name, measured, ligands, labels, splits, network) -> Iterator[Row]:
    """A row for each method, and what intervals or probabilities of the average are worth."""
    scores: dict[str, list[float]] = {}
    trust: list[float] = []
    for seed, (train, test) in enumerate(splits):
        for method, found, model in _predicted(ligands, labels, train, test, seed, network, measured.classes):
            scores.setdefault(method, []).append(_score(measured.classes, found.means, labels[test]))
            if method == AVERAGE:
                trust.append(_trust(measured.classes, model, labels[train], found, labels[test]))
    unit, sign, better = ("AUC", ">", np.greater) if measured.classes else ("RMSE", "<", np.less)
    bound = measured.target
    target = None if bound is None else Target(f"{sign} {bound}", better, bound)
    yield from _of_methods(f"{name}: {unit}", scores, target, measured.published, _spread)
    mean, spread = float(np.mean(trust)), _spread(trust)
    if measured.classes:
        yield Row(f"{name}: calibration error of probabilities", mean, "", spread)
    else:
        yield Row(
            f"{name}: labels inside intervals of 90 %",
            100 * mean,
            "%",
            None if spread is None else 100 * spread,
            "85 to 95",
            0.85 <= mean <= 0.95,
        )
    train, test = splits[0]
    near = ApplicabilityDomain.of(ligands.taken(train)).inside(ligands.taken(test))
    yield Row(f"{name}: tested molecules inside the domain, first split", 100 * float(near.mean()), "%")


@dataclass(frozen=True)
class Target:
    """What the average is to reach, in words; the mean of its values, or what else is ``judged`` of them."""

    words: str
    better: Callable[[float, float], object]
    bound: float
    judged: Callable[[Sequence[float]], float] = np.mean


def _of_methods(
    title: str,
    scores: dict[str, list[float]],
    target: Target | None,
    peer: tuple[str, float],
    spread: Callable[[Sequence[float]], float | None],
) -> Iterator[Row]:
    """A row for the mean of each method; the target is that of the average."""
    for method, values in scores.items():
        own = target if method == AVERAGE else None
        yield Row(
            f"{title}, {method}",
            float(np.mean(values)),
            "",
            spread=spread(values),
            target=own.words if own else None,
            met=bool(own.better(own.judged(values), own.bound)) if own else None,
            peer=peer[0],
            peer_value=peer[1],
        )


def _predicted(ligands: LigandFeatures, labels, train, test, seed, network, classes: bool = False):
    """Method, what it says of tested molecules, and the model."""
    taught, tested = ligands.taken(train), ligands.taken(test)
    columns = CLASS_COLUMNS if classes else 0.1
    methods = {
        "forest": LigandForest(TREES, columns, seed=seed),
        "Gaussian process": LigandProcess(seed=seed),
    }
    if network is not None:
        methods["network"] = replace(network, seed=seed)
    models = {name: method.fit(taught, labels[train]) for name, method in methods.items()}
    for name, model in models.items():
        yield name, model.predict(tested), model
    both = averaged(list(models.values()), labels[train])
    yield AVERAGE, both.predict(tested), both


def _trust(classes: bool, model, known, found, asked) -> float:
    """Coverage of 90 % intervals, or the calibration error of probabilities."""
    if not classes:
        low, high = LigandIntervals.of(model, known, 0.9).around(found)
        return float(np.mean((asked >= low) & (asked <= high)))
    errors = []
    for p, y in zip(ClassProbabilities.of(model, known)(found.means).T, asked.T):
        told = ~np.isnan(y)
        p, y = p[told], y[told]
        bins = np.minimum((10 * p).astype(int), 9)
        errors.append(sum(abs(np.sum(p[bins == k] - y[bins == k])) for k in range(10)) / len(y))
    return float(np.mean(errors))


def _score(classes: bool, means, labels) -> float:
    """Root mean square error, or the area under the receiver operating characteristic, mean over tasks."""
    if not classes:
        return _rms(means - labels)
    areas = []
    for score, known in zip(means.T, labels.T):
        told = ~np.isnan(known)
        areas.append(roc_area(score[told], known[told] > 0.5))
    return float(np.nanmean(areas))


def _split(count: int, groups: Sequence[str] | None, seed: int, order: int | None):
    """Four fifths to train on, the last tenth to test."""
    if groups is None:
        sizes = (int(0.8 * count), int(0.1 * count))
        train, _, test = random_split(count, (*sizes, count - sum(sizes)), seed)
    else:
        train, _, test = scaffold_split(groups, seed=order)
    return train, test


def _rms(values) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _spread(values) -> float | None:
    """Standard deviation over seeds."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def _error(values) -> float | None:
    """Standard error of the mean."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


def _absent(name: str) -> Row:
    return Row(name, None, "", target="the data are not there")
