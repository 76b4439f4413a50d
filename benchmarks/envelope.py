"""Whether potentials know where they may be believed: inside, on the border, outside the envelope of their training.

A potential is fitted to cool frames; its envelope is made with held-out ones like them, and tried on cool, hot and
stretched frames. A frame is bad where its force error is more than three times the root mean square of those of cool
test frames; it is caught where the verdict is not "inside", and a false alarm is another frame that is not. The rule
was designed on acetylacetone, ethanol, formaldehyde, methylamine, aluminum and copper; acetamide, methanol and silicon
were set aside until it stood.

Targets: area under the ROC of the score >= 0.95; on what was set aside >= 95 % of the bad frames caught, < 10 % of the
others.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import ase.build
import numpy as np
from ase import Atoms
from ase.calculators.emt import EMT
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from thalweg.interop.files.configurations import from_atoms, read_configurations
from thalweg.interop.quantum.tight_binding import TightBinding
from thalweg.interop.rdkit.conformers import conformers
from thalweg.labeling.geometries.normal_modes import normal_modes
from thalweg.labeling.geometries.relaxation import nearest_minimum
from thalweg.labeling.known_potential import KnownPotential
from thalweg.labeling.level import LabelFailed
from thalweg.learned_potentials.confidence.envelope import Envelope
from thalweg.learned_potentials.frames.duplicates import contacts
from thalweg.learned_potentials.linear.learner import Linear
from thalweg.learned_potentials.parametric.stillinger_weber import stillinger_weber_silicon
from thalweg.learned_potentials.recipe import Recipe
from thalweg.learned_potentials.recipes.linear import expansion
from thalweg.learned_potentials.recipes.networks import behler_parrinello
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learned_potentials.uncertainty.calibrated import force_errors
from thalweg.learning.calibration import false_alarm_rate, rank_correlation, roc_area
from thalweg.report.benchmark import Row
from thalweg.representations.expansions.ace import ACE
from thalweg.sampling.policies.label_frames import label
from thalweg.sampling.store import Store
from thalweg.systems.configuration import Configuration
from thalweg.systems.elements import COVALENT_RADII
from thalweg.units import unit

MEV_PER_ANGSTROM = unit("meV/Å", "force")

SEEDS = (1, 2, 3)
"""Of the frames that are drawn."""

TRAIN, HELD_OUT, COOL, HOT = 200, 40, 100, 60
"""Frames of a molecule: to learn from, to hold out, and to be tried on."""

STRETCHES = (1.1, 1.8)
"""Range of factors of a bond's length."""

RECIPES = {
    "network": behler_parrinello(epochs=25),
    "expansion": Recipe(Linear(ACE(cutoff=0.5, levels=(8, 7, 6)))),
}


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """All parts; ``quick`` takes one seed, and few frames."""
    seeds = SEEDS[:1] if quick else SEEDS
    found = {
        f"{kind}/{name}": partial(molecule, smiles, kind, name, seeds, quick)
        for kind, smiles in (("ethanol", "CCO"), ("acetamide", "CC(N)=O"), ("methanol", "CO"))
        for name in RECIPES
    }
    found["copper/expansion"] = partial(crystal, "copper", "Cu", _by_effective_medium, seeds, quick)
    found["silicon/expansion"] = partial(crystal, "silicon", "Si", _by_stillinger_weber, seeds, quick)
    if (data / "potentials" / "acac").is_dir():
        found |= {f"acetylacetone/{name}": partial(acetylacetone, data, name, quick) for name in RECIPES}
    return found


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def acetylacetone(data: Path, name: str, quick: bool) -> Iterator[Row]:
    """Taught at 300 K, tried at 300 and 600 K, on every fourth frame."""
    folder = data / "potentials" / "acac"
    train, warm, hot = (
        read_configurations(folder / f"{part}.extxyz.gz")[:: 20 if quick else step]
        for part, step in (("train_300K", 1), ("test_MD_300K", 4), ("test_MD_600K", 4))
    )
    held_out, train = train[::10][:HELD_OUT], [frame for k, frame in enumerate(train) if k % 10][:300]
    potential, seconds = _timed(lambda: RECIPES[name].fit(train))
    tried = {"600 K": hot}
    yield from _told(
        f"acetylacetone, {name}", [_judged(potential, train, held_out, warm, tried)], seconds, False
    )


def molecule(smiles: str, kind: str, name: str, seeds: Sequence[int], quick: bool) -> Iterator[Row]:
    """Taught normal modes at 300 K by GFN2-xTB, tried on the same, at 900 K, and with each bond stretched."""
    level, each, seconds = TightBinding(), [], 0.0
    modes = normal_modes(nearest_minimum(conformers(smiles)[0], level), level)
    counts = [count // (4 if quick else 1) for count in (TRAIN, HELD_OUT, COOL, HOT)]
    for seed in seeds:
        cool = modes.frames(sum(counts[:3]), 300.0, seed)
        hot = modes.frames(counts[3], 900.0, 100 + seed)
        stretched = stretched_bonds(cool[-counts[2] :], counts[3], seed)
        ends = np.cumsum(counts[:3])
        train, held_out, warm = (_labeled(cool[a:b], level) for a, b in zip((0, *ends), ends, strict=False))
        potential, took = _timed(partial(RECIPES[name].fit, train, seed=seed))
        tried = {"900 K": _labeled(hot, level), "stretched bonds": _labeled(stretched, level)}
        each.append(_judged(potential, train, held_out, warm, tried))
        seconds += took / len(seeds)
    yield from _told(f"{kind}, {name}", each, seconds, kind != "ethanol")


def crystal(
    name: str,
    symbol: str,
    labeled: Callable[[Atoms], Configuration],
    seeds: Sequence[int],
    quick: bool,
) -> Iterator[Row]:
    """Taught displaced atoms, tried on the same, on hot cells, and on strained ones."""
    each, seconds, few = [], 0.0, 4 if quick else 1
    for seed in seeds:
        random = np.random.default_rng(seed)
        made = partial(_cell, symbol, labeled, random)
        cool = [made(0.1) for _ in range(220 // few)]
        hot = [made(size) for size in np.linspace(0.12, 0.4, 60 // few)]
        strained = [made(0.1, strain) for strain in np.linspace(-0.12, 0.2, 40 // few)]
        ends = np.array([100, 140, 220]) // few
        train, held_out, warm = cool[: ends[0]], cool[ends[0] : ends[1]], cool[ends[1] :]
        recipe = expansion(levels=(12, 10, 8), degrees=(0, 6, 4))
        potential, took = _timed(partial(recipe.fit, train, seed=seed))
        each.append(_judged(potential, train, held_out, warm, {"hot": hot, "strained": strained}))
        seconds += took / len(seeds)
    yield from _told(f"{name}, expansion", each, seconds, name != "copper")


def stretched_bonds(frames: Sequence[Configuration], count: int, seed: int) -> list[Configuration]:
    """Frames in which one bond that is in no ring is longer by a factor of `STRETCHES`, the side of it moved whole."""
    random, made = np.random.default_rng(seed), []
    first = frames[0]
    i, j, distances = contacts(first)
    radii = COVALENT_RADII[np.asarray(first.numbers)]
    near = distances < 1.25 * (radii[i] + radii[j])
    pairs = np.stack([i[near], j[near]], 1)
    sides = [(a, b, side) for a, b in pairs if len(side := _side_of(a, b, pairs, len(first)))]
    for k in range(count):
        a, b, moved = sides[k % len(sides)]
        positions = np.array(frames[k % len(frames)].positions)
        positions[moved] += (random.uniform(*STRETCHES) - 1) * (positions[b] - positions[a])
        made.append(replace(first, positions=positions))
    return made


def _side_of(a: int, b: int, pairs: np.ndarray, atoms: int) -> np.ndarray:
    """Atoms on the side of ``b`` of the bond of ``a`` and ``b``; none where it is in a ring."""
    kept = pairs[~((pairs == (a, b)).all(1))]
    graph = csr_array((np.ones(len(kept)), kept.T), (atoms, atoms))
    _, piece = connected_components(graph, directed=False)
    return np.flatnonzero(piece == piece[b]) if piece[a] != piece[b] else np.empty(0, int)


def _cell(
    symbol: str,
    labeled: Callable[[Atoms], Configuration],
    random: np.random.Generator,
    size: float,
    strain: float = 0.0,
) -> Configuration:
    """A cubic cell, strained, with displaced atoms [Å], drawn again where they are on top of each other."""
    while True:
        atoms = ase.build.bulk(symbol, cubic=True)
        atoms.set_cell(atoms.cell.array * (1 + strain), scale_atoms=True)
        atoms.positions += size * random.normal(size=atoms.positions.shape)
        with suppress(LabelFailed):
            return replace(labeled(atoms), stress=None)


def _by_effective_medium(atoms: Atoms) -> Configuration:
    atoms.calc = EMT()
    atoms.get_potential_energy(), atoms.get_forces()
    return from_atoms(atoms)


def _by_stillinger_weber(atoms: Atoms) -> Configuration:
    return KnownPotential(stillinger_weber_silicon(), "Stillinger-Weber").label(from_atoms(atoms))


def _labeled(frames: Sequence[Configuration], level: TightBinding) -> list[Configuration]:
    """Those for which the level gives a label."""
    with tempfile.TemporaryDirectory() as folder:
        return label(frames, level, Store(folder)).frames


def _timed(made: Callable[[], LearnedPotential]) -> tuple[LearnedPotential, float]:
    began = time.process_time()
    return made(), time.process_time() - began


def _judged(
    potential: LearnedPotential,
    train: Sequence[Configuration],
    held_out: Sequence[Configuration],
    cool: Sequence[Configuration],
    others: dict[str, list[Configuration]],
) -> dict[str, np.ndarray]:
    """Scores, probabilities, errors in units of that of cool frames, and kinds of all that was tried."""
    envelope = Envelope.of(potential, train, held_out)
    frames = [*cool, *(frame for some in others.values() for frame in some)]
    kinds = np.repeat(["cool", *others], [len(cool), *map(len, others.values())])
    off = force_errors(potential, frames)
    began = time.process_time()
    scores, odds = envelope.score(frames), envelope.probabilities(frames)
    spent = (time.process_time() - began) / 2 / len(frames)
    usual = float(np.sqrt(np.mean(off[: len(cool)] ** 2)))
    return {
        "score": scores / usual,
        "caught": odds > envelope.inside,
        "outside": odds > 0.5,
        "error": off / usual,
        "kind": kinds,
        "usual": np.full(len(off), usual),
        "claimed usual": np.full(len(off), envelope.usual),
        "seconds": np.full(len(off), spent),
    }


def _told(name: str, each: Sequence[dict[str, np.ndarray]], seconds: float, aside: bool) -> Iterator[Row]:
    """Rows of the runs of all seeds, each in units of its own usual error."""
    all_ = {key: np.concatenate([one[key] for one in each]) for key in each[0]}
    usual = np.array([one["usual"][0] for one in each]) / MEV_PER_ANGSTROM
    half = float(np.ptp(usual) / 2) if len(usual) > 1 else None
    yield Row(f"{name}: force error on cool frames, RMSE", float(usual.mean()), "meV/Å", half)
    bad = all_["error"] > 3
    for kind in dict.fromkeys(all_["kind"]):
        if kind == "cool":
            continue
        here = np.isin(all_["kind"], ("cool", kind))
        area = [
            roc_area(one["score"][mine], one["error"][mine] > 3)
            for one in each
            for mine in [np.isin(one["kind"], ("cool", kind))]
        ]
        spread = float(np.ptp(area) / 2) if len(area) > 1 else None
        mean = float(np.nanmean(area))
        yield Row(
            f"{name}, {kind}: area under ROC, {bad[here].sum()} of {here.sum()} bad",
            mean, "", spread, ">= 0.95", bool(mean >= 0.95),
        )  # fmt: skip
        yield Row(
            f"{name}, {kind}: rank correlation of score and error",
            rank_correlation(all_["score"][here], all_["error"][here]),
            "",
        )
        caught, false = (100 * float(all_["caught"][here & some].mean()) for some in (bad, ~bad))
        yield Row(
            f"{name}, {kind}: bad frames caught", caught, "%",
            target=">= 95 %" if aside else None, met=caught >= 95 if aside else None,
        )  # fmt: skip
        yield Row(
            f"{name}, {kind}: false alarms", false, "%",
            target="< 10 %" if aside else None, met=false < 10 if aside else None,
        )  # fmt: skip
        outside = [100 * float(all_["outside"][here & some].mean()) for some in (bad, ~bad)]
        yield Row(f"{name}, {kind}: bad frames outside", outside[0], "%")
        yield Row(f"{name}, {kind}: others outside", outside[1], "%")
        best = 100 * false_alarm_rate(all_["score"][here], bad[here])
        yield Row(
            f"{name}, {kind}: false alarms where 95 % are caught, threshold known afterwards", best, "%"
        )
    yield Row(f"{name}: fit", seconds, "CPU s")
    yield Row(f"{name}: score of a frame", float(all_["seconds"].mean()), "CPU s")
