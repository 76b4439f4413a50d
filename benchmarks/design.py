"""Design of sequences: how many residues of proteins never seen are named right from their backbones, and how surely.

Structures are those at hand (proteins of affinities, pockets and sites). A chain that shares half of its words of four
residues with one before only surrounds others. Proteins are left out by clusters of sequences, from 30 % identity on,
in three folds. Settings of the network (width, neighbors, learning rate) were chosen on a part of the training set of
the first of five such folds by a network without early stopping; nothing was chosen by the numbers below.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jax
import numpy as np
from sklearn.ensemble import ExtraTreesClassifier

from thalweg.binding.design.backbones import AMINO_ACIDS, Backbone
from thalweg.binding.design.network import residue_features, surroundings
from thalweg.binding.design.sequence_design import SequenceDesign
from thalweg.binding.protein_clusters import WORD, protein_clusters
from thalweg.interop.complexes.backbones import read_backbone
from thalweg.learning.splits import folds
from thalweg.report.benchmark import Row

IDENTITY, FOLDS, SHORTEST = 0.3, 3, 25
"""Of sequences that are left out together; into which clusters are dealt; shorter chains only surround others."""

TREES, DRAWN = 100, 5
"""Trees of the forest; proteins of the first fold for which a sequence is drawn."""


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Each part alone; ``quick`` takes one fold and few epochs."""
    return {"recovery": lambda: recovery(data, quick)}


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def recovery(data: Path, quick: bool) -> Iterator[Row]:
    """Residues of proteins unlike all that were trained on."""
    known = _proteins(data)
    if known is None:
        yield Row("design", None, "", target="skipped: the data are not there", met=None)
        return
    splits = folds(len(known.backbones), FOLDS, 0, known.clusters.tolist())[: 1 if quick else FOLDS]
    method = SequenceDesign(epochs=2) if quick else SequenceDesign()
    found: dict[str, list[tuple[np.ndarray, np.ndarray, float]]] = {}
    drawn, began = [], time.process_time()
    for train, test in splits:
        model = method.fit(
            [known.backbones[k] for k in train],
            known.clusters[train].tolist(),
            [known.weights[k] for k in train],
        )
        forest, common = _forest(known, train)
        for k in test:
            backbone, own = known.backbones[k], known.weights[k] > 0
            answers = backbone.residues[own]
            if not len(answers):
                continue
            for name, odds in (
                ("most frequent amino acid", np.tile(common, (len(answers), 1))),
                ("forest on torsions and burial", forest(backbone)[own]),
                ("network, backbone only", model.probabilities(backbone)[own]),
                ("network, all others known", model.given_others(backbone)[own]),
            ):
                found.setdefault(name, []).append((odds, answers, float((odds.argmax(1) == answers).mean())))
            if train is splits[0][0] and len(drawn) < DRAWN and own.all():
                drawn.append((model.sample(backbone), backbone))
    seconds = time.process_time() - began
    chains = int(sum(len(each[1]) > 0 for each in found["network, backbone only"]))
    count = sum(len(each[1]) for each in found["network, backbone only"])
    test = f"{count} residues of {chains} proteins, {known.clusters.max() + 1} clusters in {FOLDS} folds"
    leaked = sum(len(set(known.clusters[a]) & set(known.clusters[b])) for a, b in splits)
    yield Row(f"{test}: clusters on both sides", leaked, "", target="0", met=leaked == 0)
    for name, each in found.items():
        odds = np.concatenate([own for own, _, _ in each])
        answers = np.concatenate([own for _, own, _ in each])
        right = odds.argmax(1) == answers
        of_proteins = np.array([share for _, _, share in each])
        value, own = float(right.mean()), name.startswith("network")
        yield Row(
            f"{test}: {name}, recovery",
            value,
            "",
            spread=float(of_proteins.std(ddof=1) / np.sqrt(len(of_proteins))),
            target="> 0.42" if own else None,
            met=value > 0.42 if own else None,
            peer="published, full backbone, 18,000 chains" if own else None,
            peer_value=0.45 if own else None,
        )
        likelihood = np.log(np.maximum(odds[np.arange(len(answers)), answers], 1e-4))
        yield Row(f"{test}: {name}, perplexity", float(np.exp(-likelihood.mean())), "")
        if own:
            off = _miscalibration(odds.max(1), right)
            yield Row(f"{test}: {name}, confidence off by", off, "", target="< 0.05", met=off < 0.05)
    if drawn:
        native = np.bincount(np.concatenate([each.residues for _, each in drawn]), minlength=len(AMINO_ACIDS))
        made = np.mean([each.composition for each, _ in drawn], 0)
        label = f"{len(drawn)} sequences drawn at temperature 0.1"
        shares = [each.recovery for each, _ in drawn]
        yield Row(
            f"{label}: recovery",
            float(np.mean(shares)),
            "",
            spread=float(np.std(shares) / np.sqrt(len(shares))),
        )
        yield Row(f"{label}: perplexity", float(np.mean([each.perplexity for each, _ in drawn])), "")
        yield Row(
            f"{label}: composition unlike that of nature by",
            float(np.abs(made - native / native.sum()).sum() / 2),
            "",
        )
    yield Row(f"{test}: all", seconds / 60, "CPU min")


@dataclass(frozen=True, eq=False)
class Proteins:
    """Backbones, the cluster of each, and weights of residues: zero for those seen before."""

    backbones: list[Backbone]
    weights: list[np.ndarray]
    clusters: np.ndarray


@cache
def _proteins(data: Path) -> Proteins | None:
    folder = data / "binding"
    files = [
        *sorted(folder.glob("fep_plus/*/*_protein.pdb.gz")),
        *sorted(folder.glob("cryptic_pockets/*.gz")),
        *sorted(folder.glob("structures/**/*.gz")),
        *sorted(folder.glob("sites/*.gz")),
        *sorted(folder.glob("tem1_trajectories/*.pdb.gz")),
    ]
    if not files:
        return None
    words: list[set[str]] = []
    backbones, weights, sequences = [], [], []
    for file in files:
        if not file.name.endswith((".pdb.gz", ".cif.gz")):
            continue
        backbone = read_backbone(file).backbone
        chains, own = np.array(backbone.chains), np.ones(len(backbone))
        letters = np.array(list(backbone.sequence))
        texts = {name: "".join(letters[chains == name]) for name in dict.fromkeys(backbone.chains)}
        for name, text in texts.items():
            mine = {text[k : k + WORD] for k in range(len(text) - WORD + 1)}
            seen = any(2 * len(mine & other) > min(len(mine), len(other)) for other in words)
            if len(text) < SHORTEST or seen:
                own[chains == name] = 0
            else:
                words.append(mine)
        if own.any():
            backbones.append(backbone)
            weights.append(own)
            sequences.append(tuple(texts.values()))
    return Proteins(backbones, weights, protein_clusters(sequences, IDENTITY))


_TOLD = jax.jit(residue_features)


def _told(backbone: Backbone) -> np.ndarray:
    size = -(-len(backbone) // 160) * 160
    return np.asarray(_TOLD(surroundings([backbone], 20, size)))[: len(backbone)]


def _forest(known: Proteins, train: np.ndarray):
    """Probabilities by a forest on what is told of each residue by itself, and frequencies."""
    kept = [(known.weights[k] > 0) & (known.backbones[k].residues >= 0) for k in train]
    told = np.concatenate([_told(known.backbones[k])[own] for k, own in zip(train, kept)])
    answers = np.concatenate([known.backbones[k].residues[own] for k, own in zip(train, kept)])
    trees = ExtraTreesClassifier(TREES, min_samples_leaf=5, random_state=0).fit(told, answers)
    frequencies = np.bincount(answers, minlength=len(AMINO_ACIDS)) / len(answers)
    return lambda backbone: trees.predict_proba(_told(backbone)), frequencies


def _miscalibration(confidence: np.ndarray, right: np.ndarray, bins: int = 10) -> float:
    """Mean over equally filled bins of how far the share of right answers is from the confidence."""
    groups = np.array_split(np.argsort(confidence), bins)
    return float(np.mean([abs(confidence[own].mean() - right[own].mean()) for own in groups]))
