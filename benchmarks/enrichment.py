"""Actives: found among decoys by structures, beside what ligands alone say, and poses made for the purpose.

Targets are the largest set of each cluster of sequences of the FEP+ benchmark [ross2023] that has sixteen ligands or
more. The first ligand of the file is known with its pose; the eight that bind most strongly of the others are the
actives. Decoys are presumed not to bind: for each active twelve molecules of ZINC, matched in mass, logP, charge,
rotatable bonds, donors and acceptors and unlike all actives in their substructures; and, in a second library, actives
of other targets. All molecules of a library, actives too, are placed alike, from their SMILES onto the known ligand;
the poses of the benchmark itself are only used to say how far off these are. What is trained is trained on other
targets: for the second library on the other half of the targets, so that no model has seen a decoy as an active. None
of this was looked at while choosing settings but the poses of two sets, for their cost.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from binding import all_series, within_sets

from thalweg.binding.complexes import Complex, Ligand
from thalweg.binding.enrichment import bedroc, enrichment_factor, matched_decoys
from thalweg.binding.ligands.forest import LigandForest
from thalweg.binding.ligands.kernels import minmax_kernel
from thalweg.binding.pose_forest import PoseForest, pose_features
from thalweg.binding.splits import folds_within_sets, leave_groups_out
from thalweg.binding.vina import VinaScore
from thalweg.interop.complexes.ligands import molecule_of, read_ligands
from thalweg.interop.complexes.placement import Placement
from thalweg.interop.complexes.proteins import read_protein
from thalweg.interop.rdkit.ligand_features import fingerprint_generators, ligand_features, parsed
from thalweg.learning.calibration import roc_area
from thalweg.learning.splits import folds
from thalweg.report.benchmark import Row

LABELS = ("r_exp_dg", "r_fepplus_exp_dg")
LEAST, ACTIVES, DECOYS = 16, 8, 12
"""Ligands of a set at least, actives of it, decoys of each."""

MATCHED = ("MolWt", "MolLogP", "NumRotatableBonds", "NumHDonors", "NumHAcceptors")
"""Descriptors that decoys are like their actives in; the charge comes to them."""

CANDIDATES, TREES = 5000, 200
PLACEMENT = Placement(conformers=6)

STRONG = 3
"""The stronger third of a set is told from the rest."""


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Each part alone; ``quick`` takes four targets and fewer decoys."""
    return {
        "decoys": lambda: matched(data, quick),
        "other targets' actives": lambda: crossed(data, quick),
        "stronger binders": lambda: stronger(data, quick),
    }


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def matched(data: Path, quick: bool) -> Iterator[Row]:
    """Actives among molecules that are like them in size and the like."""
    found = _libraries(data, quick)
    if found is None:
        yield _absent()
        return
    yield from _poses_made(found)
    test = f"{len(found)} targets, {ACTIVES} actives and {len(found[0].active) - ACTIVES} matched decoys each"
    scores = _plain(found)
    names = np.concatenate([[each.name] * len(each.active) for each in found])
    active = np.concatenate([each.active for each in found])
    features = [pose_features(each.complexes) for each in found]
    scores |= {"forest on poses": [], "forest on molecules, no protein": []}
    fingerprints = ligand_features([pose.name for each in found for pose in each.complexes])
    for train, out in leave_groups_out(names.tolist()):
        forest = PoseForest(TREES).fit(np.concatenate(features)[train], active[train], names[train].tolist())
        scores["forest on poses"].append(
            forest.probabilities(np.concatenate(features)[out], names[out].tolist())
        )
        alone = LigandForest(TREES).fit(fingerprints.taken(train), active[train].astype(float))
        scores["forest on molecules, no protein"].append(alone.predict(fingerprints.taken(out)).means[:, 0])
    for name, own in scores.items():
        yield from _enriched(test, name, own, [each.active for each in found])
    # paired over targets: what the structure is worth
    apart = [
        roc_area(a, each.active) - roc_area(b, each.active)
        for a, b, each in zip(scores["forest on poses"], scores["forest on molecules, no protein"], found)
    ]
    yield Row(
        f"{test}: AUC by poses less by molecules alone, paired over targets",
        float(np.mean(apart)),
        "",
        spread=_error_of_mean(apart),
        target="said whichever wins",
    )


def crossed(data: Path, quick: bool) -> Iterator[Row]:
    """Actives among those of other targets: every molecule binds somewhere, so that only the pocket tells."""
    found = _libraries(data, quick)
    if found is None:
        yield _absent()
        return
    halves = folds(len(found), 2, 0)
    drawn: list[Library] = []
    scores: dict[str, list[np.ndarray]] = {}
    for train, out in halves:
        learned = [found[k] for k in train]
        features = np.concatenate([pose_features(each.complexes) for each in learned])
        active = np.concatenate([each.active for each in learned])
        names = [each.name for each in learned for _ in each.active]
        forest = PoseForest(TREES).fit(features, active, names)
        alone = LigandForest(TREES).fit(
            ligand_features([pose.name for each in learned for pose in each.complexes]), active.astype(float)
        )
        for k in out:
            own = found[k]
            mine = [pose for pose, is_active in zip(own.complexes, own.active) if is_active]
            theirs = [
                pose.name
                for other in out
                if other != k
                for pose, is_active in zip(found[other].complexes, found[other].active)
                if is_active
            ]
            placed = PLACEMENT.place(theirs, own.protein, own.known)
            poses = [*mine, *(each for each in placed if each is not None)]
            library = replace(own, complexes=poses, active=np.arange(len(poses)) < len(mine))
            drawn.append(library)
            said = {
                **{name: each[0] for name, each in _plain([library]).items()},
                "forest on poses": forest.probabilities(pose_features(poses), [own.name] * len(poses)),
                "forest on molecules, no protein": alone.predict(
                    ligand_features([pose.name for pose in poses])
                ).means[:, 0],
            }
            for name, each in said.items():
                scores.setdefault(name, []).append(each)
    test = f"{len(found)} targets, {ACTIVES} actives and those of {len(halves[0][1]) - 1} others"
    for name, own in scores.items():
        yield from _enriched(test, name, own, [each.active for each in drawn], areas_alone=True)


def stronger(data: Path, quick: bool) -> Iterator[Row]:
    """The third of each set that binds most strongly, ligands left out of it: the given poses, or none."""
    series = all_series(data, quick)
    if series is None:
        yield _absent()
        return
    labels = series.labels
    splits = folds_within_sets(series.names, series.ligands, 5, 0)
    process, forest = within_sets(series, splits, 0)
    heavy = series.heavy_atoms
    vina = -series.mean(series.vina[:, None])[:, 0]
    names = [name for name in dict.fromkeys(series.names) if series.at(name).sum() >= LEAST]
    places = [np.flatnonzero(series.at(name)) for name in names]
    strong = [labels[own] <= np.sort(labels[own])[len(own) // STRONG - 1] for own in places]
    test = f"the stronger third of each of {len(names)} sets, ligands left out"
    for name, values in (
        ("heavy atoms", heavy),
        ("Vina's score of the given pose", vina),
        ("forest on fingerprints, no protein", -forest),
        ("process on molecules and poses", -process),
    ):
        yield from _enriched(test, name, [values[own] for own in places], strong, areas_alone=True)


@dataclass(frozen=True, eq=False)
class Library:
    """Molecules placed in one pocket; each complex is called by its SMILES."""

    name: str
    protein: object
    known: Ligand
    complexes: list[Complex]
    active: np.ndarray
    off: np.ndarray
    """Of the actives, from where the benchmark has them [nm]."""

    seconds: float


@cache
def _libraries(data: Path, quick: bool) -> list[Library] | None:
    series, file = all_series(data, quick), data / "binding" / "zinc" / "valid.smi.gz"
    if series is None or not file.is_file():
        return None
    sizes = {name: int(series.at(name).sum()) for name in dict.fromkeys(series.names)}
    largest: dict[int, str] = {}
    for name, cluster in zip(series.names, series.clusters.tolist()):
        if sizes[name] > sizes.get(largest.get(cluster, ""), LEAST - 1):
            largest[cluster] = name
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        candidates = [line.split()[0] for line in lines if line.strip()][:CANDIDATES]
    left, found = np.arange(len(candidates)), []
    properties, counts = _properties(candidates)
    for name in list(largest.values())[: 4 if quick else None]:
        stem = data / "binding" / "fep_plus" / name
        protein = read_protein(Path(f"{stem}_protein.pdb.gz")).atoms
        first, *others = _distinct(read_ligands(Path(f"{stem}_ligands.sdf.gz")))
        chosen = sorted(others, key=_energy)[:ACTIVES]
        active = [each.smiles for each in chosen]
        wanted, own_counts = _properties(active)
        alike = minmax_kernel(counts[left], own_counts).astype(float)
        picked = matched_decoys(wanted, properties[left], alike, 3 if quick else DECOYS)
        decoys = left[picked.ravel()]
        left = np.setdiff1d(left, decoys)
        began = time.process_time()
        smiles = [*active, *(candidates[k] for k in decoys)]
        placed = PLACEMENT.place(smiles, protein, first)
        seconds = (time.process_time() - began) / len(smiles)
        assert all(each is not None for each in placed[:ACTIVES])
        off = np.array([_off(pose, own) for pose, own in zip(placed, chosen)])
        kept = [k for k, each in enumerate(placed) if each is not None]
        found.append(
            Library(name, protein, first, [placed[k] for k in kept], np.array(kept) < ACTIVES, off, seconds)
        )
    return found


def _poses_made(found: Sequence[Library]) -> Iterator[Row]:
    test = f"poses made of {len(found) * ACTIVES} actives of {len(found)} targets, from their SMILES"
    off = np.array([each.off for each in found])
    share = 100 * (off < 0.2).mean(1)
    yield Row(
        f"{test}: within 2 Å of those of the benchmark",
        float(share.mean()),
        "%",
        spread=_error_of_mean(share),
    )
    yield Row(f"{test}: median distance of atoms", 10 * float(np.nanmedian(off)), "Å")
    yield Row(f"{test}: a molecule", float(np.mean([each.seconds for each in found])), "CPU s")


def _plain(found: Sequence[Library]) -> dict[str, list[np.ndarray]]:
    """Scores that nothing is trained for; the higher, the more likely an active."""
    scores: dict[str, list[np.ndarray]] = {}
    for each in found:
        counts = ligand_features([pose.name for pose in each.complexes]).counts["morgan"]
        known = ligand_features([each.known.smiles]).counts["morgan"]
        for name, values in (
            ("heavy atoms", np.array([float(len(pose.ligand)) for pose in each.complexes])),
            ("likeness to the known ligand, no protein", minmax_kernel(counts, known)[:, 0].astype(float)),
            ("Vina's score", -np.array([VinaScore().score(pose) for pose in each.complexes])),
        ):
            scores.setdefault(name, []).append(values)
    return scores


def _enriched(test, name, scores, active, areas_alone=False) -> Iterator[Row]:
    measures = {
        "AUC": roc_area,
        "BEDROC (20)": bedroc,
        "enrichment at 1 %": lambda own, which: enrichment_factor(own, which, 0.01),
        "enrichment at 5 %": lambda own, which: enrichment_factor(own, which, 0.05),
    }
    for what, of in list(measures.items())[: 1 if areas_alone else None]:
        values = [of(own, which) for own, which in zip(scores, active)]
        yield Row(f"{test}: {name}, {what}", float(np.mean(values)), "", spread=_error_of_mean(values))
    if not areas_alone:
        most = [enrichment_factor(which.astype(float), which, 0.01) for which in active]
        if name == "heavy atoms":
            yield Row(f"{test}: enrichment at 1 %, the most there can be", float(np.mean(most)), "")


def _distinct(ligands: Sequence[Ligand]) -> list[Ligand]:
    """One row of each ligand with a measured energy."""
    rows = [each for each in ligands if any(key in each.properties for key in LABELS)]
    return list({each.skeleton: each for each in reversed(rows)}.values())[::-1]


def _energy(ligand: Ligand) -> float:
    return next(float(ligand.properties[key]) for key in LABELS if key in ligand.properties)


def _properties(smiles: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Of molecules, what decoys are matched in, and counts of their substructures."""
    from rdkit import Chem
    from rdkit.Chem import Descriptors

    of, morgan = dict(Descriptors.descList), fingerprint_generators()["morgan"]
    molecules = [parsed(each) for each in smiles]
    found = [[*(of[name](each) for name in MATCHED), Chem.GetFormalCharge(each)] for each in molecules]
    return np.array(found, float), np.stack([morgan.GetCountFingerprintAsNumPy(each) for each in molecules])


def _off(pose: Complex, given: Ligand) -> float:
    """Root mean square distance of atoms of like place in the molecule [nm]; NaN where bonds cannot be told."""
    from rdkit.Chem import rdMolAlign

    try:
        made = molecule_of(Ligand(given.name, given.smiles, given.skeleton, pose.ligand))
        return float(rdMolAlign.CalcRMS(made, molecule_of(given))) / 10
    except (ValueError, RuntimeError):
        return float("nan")


def _error_of_mean(values) -> float | None:
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


def _absent() -> Row:
    return Row("actives", None, "", target="skipped: the data are not there", met=None)
