"""Spaces of molecules: reconstruction and validity of SMILES and SELFIES, and a property optimized in them.

Molecules of ZINC (24,445), a thousand of which are held out, drawn by a seed. Strings are encoded to the mean of their
point and decoded to the likeliest tokens; reconstructed means the same string. Random points are drawn twice: from the
standard normal distribution, as published, and from a normal distribution of the training set's mean and covariance,
either with the likeliest tokens or with tokens drawn at a temperature of one. The part MOSES trains on 100,000 of its
training molecules, which come inside its wheel (``pip download molsets --no-deps``; the wheel's place is
``MOLSETS_WHEEL``), and is left out without it. Its distances of generated molecules to the test set need a network that
no wheel brings and are not told.

Optimized is the penalized logP, predicted from points by a network that was trained with the space and never sees the
optimum: points of held-out molecules climb the prediction, or a Gaussian process chooses what to ask. What is found is
judged by the true value, which RDKit computes. Published numbers are of 250,000 molecules (CVAE, GVAE, SD-VAE, JT-VAE),
ours of a tenth. One seed.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np

from thalweg.binding.generation.latent_search import BayesianSearch, LatentAscent
from thalweg.binding.generation.string_autoencoder import StringAutoencoder, StringAutoencoderModel
from thalweg.interop.rdkit.generated import PROPERTIES, GeneratedMolecules, drug_properties
from thalweg.interop.rdkit.line_notations import (
    canonical_smiles,
    selfies_symbols,
    smiles_of_selfies,
    smiles_symbols,
)
from thalweg.report.benchmark import Row

HELD_OUT, DRAWN = 1000, 1000
PENALIZED = PROPERTIES.index("penalized logP")

NOTATIONS: dict[str, tuple[Callable[[str], tuple[str, ...]], Callable[[Sequence[str]], str]]] = {
    "SMILES": (smiles_symbols, "".join),
    "SELFIES": (selfies_symbols, smiles_of_selfies),
}
"""From SMILES to symbols and back."""

PUBLISHED = {
    "reconstruction": ("published: CVAE, SD-VAE, JT-VAE at most", 76.7),
    "validity": ("published: CVAE", 0.7),
    "MOSES": ("published: VAE of 1.6 million", 97.7),
}


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Each alone; those that need the same space train it once in one command."""
    return {name: partial(of_notation, data, name, quick) for name in NOTATIONS} | {
        "optimization": lambda: optimization(data, quick),
        "MOSES": lambda: moses(quick),
    }


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def of_notation(data: Path, notation: str, quick: bool) -> Iterator[Row]:
    """Reconstruction, validity of random points, and what is predicted of properties."""
    if not _file(data).is_file():
        yield Row(notation, None, "", target="the data are not there")
        return
    train, test, _ = _molecules(data, quick)
    model = _trained(data, notation, quick)
    known = {canonical_smiles(each) for each in train}
    symbols, written = NOTATIONS[notation]
    strings = [symbols(each) for each in test]
    reads = model.readable(strings)
    readable = [strings[k] for k in np.flatnonzero(reads)]
    right = model.reconstructed(readable)
    target = 70.0 if notation == "SMILES" else None
    peer, value = PUBLISHED["reconstruction"]
    yield Row(
        f"{notation}: held-out molecules that are too long or have symbols of their own",
        len(test) - len(readable),
        "",
    )
    yield Row(
        f"{notation}: held-out molecules reconstructed", 100 * right.sum() / len(test), "%",
        _error(right.sum() / len(test), len(test)), None if target is None else f"> {target:g}",
        None if target is None else bool(100 * right.sum() / len(test) > target), peer, value,
    )  # fmt: skip
    normal = np.random.default_rng(0).normal(size=(DRAWN, len(model.center)))
    for name, points, temperature in (
        ("standard normal points", normal, 0.0),
        ("points like the training set's", model.random_points(DRAWN), 0.0),
        ("points like the training set's, tokens drawn", model.random_points(DRAWN), 1.0),
    ):
        found = GeneratedMolecules.of([written(each) for each in model.decode(points, temperature)], known)
        own = notation == "SELFIES"
        yield Row(
            f"{notation}: {name}, valid", 100 * found.validity, "%", _error(found.validity, DRAWN),
            "> 90" if own else None, found.validity > 0.9 if own else None, *PUBLISHED["validity"],
        )  # fmt: skip
        yield Row(f"{notation}: {name}, unique", 100 * found.uniqueness, "%")
        yield Row(f"{notation}: {name}, new", 100 * found.novelty, "%")
    true = drug_properties([test[k] for k in np.flatnonzero(reads)])
    off = np.abs(model.predict(model.encode(readable)) - true)
    for k, (name, published) in enumerate(zip(PROPERTIES, (0.15, 0.054, None, None))):
        peer = "" if published is None else "published: joint model, 250,000 molecules"
        yield Row(
            f"{notation}: mean error of {name} from points",
            float(off[:, k].mean()),
            "",
            peer=peer,
            peer_value=published,
        )


def optimization(data: Path, quick: bool) -> Iterator[Row]:
    """Penalized logP, uphill and by expected improvement, by true values."""
    if not _file(data).is_file():
        yield Row("optimization", None, "", target="the data are not there")
        return
    train, test, properties = _molecules(data, quick)
    model, values = _trained(data, "SELFIES", quick), properties[:, PENALIZED]
    known = {canonical_smiles(each) for each in train}
    best = float(np.nanmax(values))
    yield Row("penalized logP: training set, mean", float(np.nanmean(values)), "", float(np.nanstd(values)))
    yield Row("penalized logP: training set, best", best, "")
    strings = [selfies_symbols(each) for each in test]
    starts = [strings[k] for k in np.flatnonzero(model.readable(strings))[:200]]
    began = drug_properties([smiles_of_selfies(each) for each in starts])[:, PENALIZED]
    best_met = LatentAscent().search(model, starts, PENALIZED)
    reached = [smiles_of_selfies(each) for each in best_met]
    yield from _found("uphill", reached, known, best)
    true = drug_properties(reached)[:, PENALIZED]
    predicted = model.predict(model.encode(best_met))[:, PENALIZED]
    valid = np.isfinite(true)
    yield Row("uphill: start, true mean", float(began.mean()), "")
    yield Row("uphill: end, predicted mean", float(predicted[valid].mean()), "")
    yield Row(
        "uphill: end, true mean", float(true[valid].mean()), "", float(true[valid].std() / np.sqrt(valid.sum())),
        "> that of the starts", bool(true[valid].mean() > began.mean()),
    )  # fmt: skip
    random = [smiles_of_selfies(each) for each in model.decode(model.random_points(200, seed=1))]
    yield from _found("random points", random, known, best)
    chosen = [(selfies_symbols(train[k]), values[k]) for k in np.flatnonzero(~np.isnan(values))[:600]]

    def score(strings):
        return drug_properties([smiles_of_selfies(each) for each in strings])[:, PENALIZED]

    asked = BayesianSearch(rounds=2 if quick else 5).search(
        model, model.encode([each for each, _ in chosen]), np.array([value for _, value in chosen]), score
    )
    yield from _found(
        "expected improvement", [smiles_of_selfies(each) for each in asked.strings], known, best
    )
    for k in range(int(asked.rounds.max()) + 1):
        yield Row(
            f"expected improvement: round {k + 1}, true mean",
            float(np.nanmean(asked.values[asked.rounds == k])),
            "",
        )


def moses(quick: bool) -> Iterator[Row]:
    """Molecules drawn after training on 100,000 of MOSES."""
    wheel = Path(os.environ.get("MOLSETS_WHEEL", ""))
    if not wheel.is_file():
        yield Row("MOSES", None, "", target="its wheel is not there")
        return
    with zipfile.ZipFile(wheel) as archive:
        text = gzip.decompress(archive.read("moses/dataset/data/train.csv.gz")).decode()
    everything = [row["SMILES"] for row in csv.DictReader(io.StringIO(text))]
    order = np.random.default_rng(0).permutation(len(everything))[: 2000 if quick else 100_000]
    train = [everything[k] for k in order]
    method = StringAutoencoder(latent=64, divergence=1.0, dropped=0.0, epochs=1 if quick else 2)
    model = method.fit([smiles_symbols(each) for each in train])
    known = {canonical_smiles(each) for each in train}
    for name, temperature in (("likeliest tokens", 0.0), ("tokens drawn", 1.0)):
        strings = ["".join(each) for each in model.decode(model.random_points(DRAWN), temperature)]
        found = GeneratedMolecules.of(strings, known)
        yield Row(
            f"MOSES, {name}: valid", 100 * found.validity, "%", _error(found.validity, DRAWN), ">= 95",
            found.validity >= 0.95, *PUBLISHED["MOSES"],
        )  # fmt: skip
        yield Row(f"MOSES, {name}: unique", 100 * found.uniqueness, "%")
        yield Row(f"MOSES, {name}: new", 100 * found.novelty, "%", peer="published: VAE", peer_value=69.5)


EPOCHS = 2
"""Walks over the training set: minutes of one core."""

KNOWN = 6000
"""Training molecules whose properties are told to the space, the others count as not measured."""


@cache
def _molecules(data: Path, quick: bool) -> tuple[list[str], list[str], np.ndarray]:
    """Those to train on, those held out, and properties of the former."""
    with gzip.open(_file(data), "rt") as lines:
        smiles = [line.strip() for line in lines]
    order = np.random.default_rng(0).permutation(len(smiles))
    train = [smiles[k] for k in order[HELD_OUT:]][: 2000 if quick else None]
    properties = np.full((len(train), len(PROPERTIES)), np.nan)
    properties[:KNOWN] = drug_properties(train[:KNOWN])
    return train, [smiles[k] for k in order[:HELD_OUT]], properties


@cache
def _trained(data: Path, notation: str, quick: bool) -> StringAutoencoderModel:
    """The space of a notation."""
    train, _, properties = _molecules(data, quick)
    method = StringAutoencoder(epochs=1 if quick else EPOCHS)
    return method.fit([NOTATIONS[notation][0](each) for each in train], properties)


def _found(name: str, smiles: list[str], known: set, best: float) -> Iterator[Row]:
    """How many of the molecules of a search are any, new, can be made, and how good the best are."""
    found = GeneratedMolecules.of(smiles, known)
    new = sorted(set(found.smiles) - known)
    numbers = drug_properties(new)
    order = np.argsort(-numbers[:, PENALIZED])
    yield Row(f"{name}: valid", 100 * found.validity, "%")
    yield Row(f"{name}: unique", 100 * found.uniqueness, "%")
    yield Row(f"{name}: new", 100 * found.novelty, "%")
    for k in range(min(3, len(new))):
        value = float(numbers[order[k], PENALIZED])
        yield Row(
            f"{name}: {k + 1}. new molecule, true penalized logP",
            value,
            "",
            peer="best of the training set",
            peer_value=best,
        )
    top = numbers[order[:20]]
    yield Row(
        f"{name}: best 20, synthetic accessibility",
        float(top[:, 2].mean()),
        "",
        target="< 6, can be made",
        met=bool(top[:, 2].mean() < 6),
    )
    yield Row(f"{name}: best 20, QED", float(top[:, 1].mean()), "")


def _error(share: float, count: int) -> float:
    """Standard error of a percentage."""
    return 100 * float(np.sqrt(share * (1 - share) / count))


def _file(data: Path) -> Path:
    return data / "binding" / "zinc" / "valid.smi.gz"
