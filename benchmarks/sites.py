"""Binding sites: pockets of proteins with their ligands removed, residues of hidden pockets, pockets over time.

Proteins are of the sets of the FEP+ benchmark [ross2023], drug targets with a ligand in place, the first two of each
cluster of sequences (from 30 % identity on): a cluster counts once, the mean over its proteins; spreads are standard
errors over clusters. A pocket is a hit if its center is nearer than 4 Å to an atom of the first ligand of the set. The
forest is trained on seven eighths of the clusters and tested on the rest; proteins of one fold whose sequences are less
alike than that are not kept apart. Settings of pockets by burial alone (smoothing, threshold) were chosen on proteins
of this set, as was the threshold of the forest; its trees are as first written down. Other structures were not looked
at while choosing; for these and for closed ones the forest is trained on all clusters without kin among them.
Closed structures: labels are those of PocketMiner's validation set [meller2023]:
residues that line a hidden pocket (15 proteins) against residues of proteins that have none (5 proteins); beside it,
within each of the 15, those residues against all others of the protein.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from scipy.ndimage import label
from scipy.spatial import KDTree
from sites_peers import measure

from thalweg.binding.complexes import TypedAtoms
from thalweg.binding.protein_clusters import protein_clusters, sequence_identity
from thalweg.binding.sites.judging import center_distance, hit_within, ligand_distance, volume_overlap
from thalweg.binding.sites.pockets import BuriedPockets, Pocket, PocketFinder
from thalweg.binding.sites.pockets_in_states import PocketTracking, opening_free_energy, overlapping_volumes
from thalweg.binding.sites.site_forest import SiteForest, SiteForestModel
from thalweg.interop.complexes.proteins import read_protein
from thalweg.interop.complexes.site_files import (
    SiteComplex,
    read_bound_molecules,
    site_complex,
)
from thalweg.interop.files.trajectories import TrajectoryFile, read_topology
from thalweg.learning.calibration import roc_area
from thalweg.learning.splits import folds
from thalweg.report.benchmark import Row
from thalweg.testsystems.hollow_shell import hollow_shell

HELICES = (range(192, 199), range(244, 261))
"""Places in the file of TEM-1's helices 11 and 12 (Ambler 218 to 224 and 272 to 288)."""

IDENTITY = 0.3
FOLDS = 8
PEERS = ("pocketnet", "lacuna")
"""Programs that are asked about the same files, where the interpreter of peers has them."""


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Each part alone; ``quick`` takes fewer proteins."""
    return {
        "proteins with their ligands removed": lambda: removed_ligands(data, quick),
        "other structures": lambda: other_structures(data, quick),
        "hidden pockets": lambda: hidden_pockets(data, quick),
        "pockets over time/gate": lambda: known_gate(quick),
        "pockets over time/kinase": lambda: kinase(data),
        "pockets over time/TEM-1": lambda: beta_lactamase(data, quick),
    }


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def removed_ligands(data: Path, quick: bool) -> Iterator[Row]:
    """Pockets by burial, by a forest that saw other clusters, and by fifteen lines."""
    few = _few(data, quick)
    if few is None:
        yield _absent()
        return
    sets, clusters, examples = few
    test = f"{len(sets)} proteins, {clusters.max() + 1} clusters"
    found: dict[str, list[Sequence[Pocket]]] = {"fifteen lines": [], "burial": [], "forest": [()] * len(sets)}
    began = time.process_time()
    found["burial"] = [BuriedPockets().find(each.protein.atoms) for each in sets]
    seconds = (time.process_time() - began) / len(sets)
    found["fifteen lines"] = [fifteen_lines(each.protein.atoms) for each in sets]
    method = SiteForest()
    began = time.process_time()
    for train, out in folds(len(sets), 2 if quick else FOLDS, 0, clusters.tolist()):
        model = method.fit_examples([examples[k] for k in train], clusters[train].tolist())
        for k in out:
            found["forest"][k] = model.find(sets[k].protein.atoms)
    fitting = (time.process_time() - began) / 60
    for name, pockets in found.items():
        yield from _hits(test, name, pockets, [each.ligands[0] for each in sets], clusters)
    yield Row(f"{test}: pockets of one protein by burial", seconds, "CPU s")
    yield Row(f"{test}: {FOLDS} fits of the forest, and their pockets", fitting, "CPU min")


def other_structures(data: Path, quick: bool) -> Iterator[Row]:
    """Structures from elsewhere, of proteins unlike those that the forest is trained on."""
    few = _few(data, quick)
    files = [file for own in ("structures", "sites") for file in (data / "binding" / own).glob("*.pdb.gz")]
    if few is None or not files:
        yield _absent()
        return
    structures = {file: read_protein(file) for file in sorted(files)}
    ligands = {file: tuple(each.atoms for each in read_bound_molecules(file)) for file in structures}
    structures = {file: own for file, own in structures.items() if ligands[file]}
    sequences = [tuple(own.sequences.values()) for own in structures.values()]
    model = _without_kin(few, sequences)
    clusters = protein_clusters(sequences, IDENTITY)
    test = f"{len(structures)} structures from elsewhere"
    drawn = [ligands[file] for file in structures]
    proteins = [own.atoms for own in structures.values()]
    finders = {"fifteen lines": fifteen_lines, "burial": BuriedPockets().find, "forest": model.find}
    for name, find in finders.items():
        yield from _hits(test, name, [find(own) for own in proteins], drawn, clusters, target=False)
    for peer in PEERS:
        yield from _hits_of_peer(peer, test, list(structures), drawn, clusters)


def hidden_pockets(data: Path, quick: bool) -> Iterator[Row]:
    """Residues of pockets that are closed in the structure shown."""
    few = _few(data, quick)
    folder = data / "binding" / "cryptic_pockets"
    if few is None or not folder.is_dir():
        yield _absent()
        return
    labels = json.loads((folder / "labels.json").read_text("utf-8"))
    files = sorted(folder.glob("*.pdb.gz"))[:: 4 if quick else 1]
    proteins = [read_protein(file) for file in files]
    own_labels = [np.array(labels[file.name[:4]]) for file in files]
    for file, protein, own in zip(files, proteins, own_labels):
        # labels are of residues in the order of the file
        residues = len(dict.fromkeys(protein.atoms.residues))
        assert residues == len(own), (file, residues, len(own))
    model = _without_kin(few, [tuple(each.sequences.values()) for each in proteins])
    test = f"{len(files)} closed structures"
    finders: dict[str, PocketFinder] = {"burial": BuriedPockets(), "forest": model}
    for name, finder in finders.items():
        scores = [np.array(list(finder.residue_scores(each.atoms).values())) for each in proteins]
        yield from _areas(f"{test}: {name}", scores, own_labels, target=True)


def known_gate(quick: bool) -> Iterator[Row]:
    """A cavity that a plug fills in nine of ten frames, beside one that is always open; atoms jitter."""
    generator, runs, frames, probability = np.random.default_rng(0), 4 if quick else 20, 12, 0.1
    walls = [
        _carbons(hollow_shell(0.6), "A:LEU1"),
        _carbons(hollow_shell(0.6) + np.array([2.5, 0, 0]), "A:VAL2"),
    ]
    plug = _carbons(hollow_shell(0.2, 60.0), "A:LEU1")
    opened = generator.random((runs, frames)) < probability
    found = []
    for is_open in opened.ravel():
        atoms = TypedAtoms.together([*walls, *([] if is_open else [plug])])
        jitter = generator.normal(0, 0.01, atoms.positions.shape)
        found.append(BuriedPockets().find(atoms.moved(atoms.positions + jitter)))
    volumes = overlapping_volumes(found, ["A:LEU1"])
    test = f"gate, {runs} runs of {frames} frames"
    wrong = int(((volumes > 0.15) != opened.ravel()).sum())
    yield Row(f"{test}: frames whose gate is taken for the other", wrong, "", target="0", met=wrong == 0)
    exact = 1000 * 4 / 3 * np.pi * 0.43**3
    mean, spread = (
        1000 * float(each) for each in (volumes[opened.ravel()].mean(), volumes[opened.ravel()].std())
    )
    yield Row(
        f"{test}: volume when open", mean, "Å^3", spread=spread, peer="exact, of the sphere", peer_value=exact
    )
    energy = opening_free_energy(list((volumes > 0.15).reshape(runs, frames)), 1.0)
    exact = -np.log(probability / (1 - probability))
    yield Row(
        f"{test}: free energy of opening",
        energy.value,
        "kT",
        spread=energy.error,
        target="within two standard errors",
        met=bool(abs(energy.value - exact) < 2 * energy.error),
        peer="exact",
        peer_value=float(exact),
    )


def kinase(data: Path) -> Iterator[Row]:
    """Ten structures of CHK1 with ligands in the same place: one site, tracked through all."""
    files = sorted((data / "binding" / "structures" / "chk1_ensemble").glob("*.gz"))
    if not files:
        yield _absent()
        return
    found = [BuriedPockets().find(read_protein(file).atoms) for file in files]
    tracked = PocketTracking().fit(found)
    held = []
    for file, site in ((file, site) for file in files for site in tracked.sites):
        ligands = [each.atoms.positions for each in read_bound_molecules(file, least=12)]
        own = site.pockets[files.index(file)]
        held.append(
            (site.core, any(ligand_distance(pocket, each) < 0.4 for pocket in own for each in ligands))
        )
    cores = [core for core, inside in held if inside]
    best = max(dict.fromkeys(cores), key=cores.count)
    (site,) = [each for each in tracked.sites if each.core == best]
    test = f"{len(files)} structures of a kinase"
    yield Row(f"{test}: structures in which the site of most ligands is open", int(site.is_open().sum()), "")
    yield Row(f"{test}: structures whose ligand lies in it", cores.count(best), "")
    volumes = 1000 * site.volumes[site.is_open()]
    yield Row(
        f"{test}: its volume, and the scatter", float(volumes.mean()), "Å^3", spread=float(volumes.std())
    )
    overlaps = site.overlaps[site.is_open()]
    yield Row(f"{test}: overlap of its residues with the core, lowest", float(overlaps.min()), "")


def beta_lactamase(data: Path, quick: bool) -> Iterator[Row]:
    """Does TEM-1's hidden pocket, between helices 11 and 12, open in short runs from the closed form?"""
    folder = data / "binding" / "tem1_trajectories"
    if not folder.is_dir():
        yield _absent()
        return
    protein = read_protein(folder / "M182T_Blac.pdb.gz").atoms
    topology = read_topology(folder / "M182T_Blac.pdb.gz")
    heavy = [k for k, element in enumerate(topology.elements) if element != "H"]
    assert len(heavy) == len(protein)
    between = _between_helices(protein)
    found, runs = [], sorted(folder.glob("*.xtc"))[:: 20 if quick else 1]
    for file in runs:
        frames = np.concatenate([chunk.positions for chunk in TrajectoryFile(file, topology)])[-1:]
        found += [BuriedPockets().find(protein.moved(frame[heavy].astype(float))) for frame in frames]
    volumes = overlapping_volumes(found, between).reshape(len(runs), -1)
    first = float(overlapping_volumes([BuriedPockets().find(protein)], between)[0])
    test = (
        f"TEM-1, {volumes.size} frames of {len(runs)} runs, {len(between)} residues between helices 11 and 12"
    )
    yield Row(f"{test}: volume of a pocket of these residues before the runs", 1000 * first, "Å^3")
    shares = (volumes > 0).mean(1)
    yield Row(
        f"{test}: frames with one",
        100 * float(shares.mean()),
        "%",
        spread=100 * float(shares.std(ddof=1) / np.sqrt(len(runs))),
    )
    for least in (0.1, 0.2, 0.3):
        share = 100 * (volumes > least).mean(1)
        yield Row(
            f"{test}: frames with one beyond {1000 * least:g} Å^3",
            float(share.mean()),
            "%",
            spread=float(share.std(ddof=1) / np.sqrt(len(runs))),
        )
    yield Row(f"{test}: largest volume", 1000 * float(volumes.max()), "Å^3")
    site, overlap = PocketTracking().fit(found).best_match(between)
    yield Row(f"{test}: overlap of these residues with the core of a tracked site, highest", overlap, "")
    yield Row(f"{test}: frames with that site", 100 * float(site.is_open().mean()), "%")


def _between_helices(atoms: TypedAtoms) -> list[str]:
    """Residues of helices 11 and 12 with a heavy atom within 5 Å of the other helix, in the closed structure."""
    names = list(dict.fromkeys(atoms.residues))
    helices = [[names[k] for k in helix] for helix in HELICES]
    places = [atoms.positions[np.isin(atoms.residues, own)] for own in helices]
    labels = [np.array(atoms.residues)[np.isin(atoms.residues, own)] for own in helices]
    touching = [
        set(own[KDTree(other).query(here)[0] < 0.5])
        for own, here, other in zip(labels, places, reversed(places))
    ]
    return [name for name in names if name in touching[0] | touching[1]]


def _carbons(places: np.ndarray, name: str) -> TypedAtoms:
    return TypedAtoms(places, np.full(len(places), 6), np.ones((len(places), 8), bool), (name,) * len(places))


def fifteen_lines(atoms: TypedAtoms, spacing: float = 0.15) -> tuple[Pocket, ...]:
    """What a buriedness baseline of fifteen lines finds: free cells with many atoms about, in groups by size."""
    low = atoms.positions.min(0) - 0.5
    shape = np.ceil((atoms.positions.max(0) + 0.5 - low) / spacing).astype(int)
    cells = np.argwhere(np.ones(shape, bool))
    tree = KDTree(atoms.positions)
    gaps, _ = tree.query(cells * spacing + low, distance_upper_bound=0.6)
    cells = cells[(gaps > 0.3) & (gaps < 0.6)]
    around = tree.query_ball_point(cells * spacing + low, 1.0, return_length=True)
    deep = cells[around > 0.65 * np.percentile(around, 99.9)]
    inside = np.zeros(shape, bool)
    inside[tuple(deep.T)] = True
    groups = label(inside)[0][tuple(deep.T)]
    sizes = np.bincount(groups)
    best = [k for k in np.argsort(-sizes)[:10] if k and sizes[k]]
    found = [deep[groups == k] * spacing + low for k in best]
    return tuple(Pocket(len(each), each, np.ones(len(each)), len(each) * spacing**3, ()) for each in found)


@dataclass(frozen=True, eq=False)
class _Center:
    """What a peer says of a pocket."""

    center: np.ndarray


def _hits(test, name, pockets, ligands, clusters, target=True) -> Iterator[Row]:
    """Success and distances of pockets, against the nearest ligand of each protein."""
    ligands = [each if isinstance(each, tuple) else (each,) for each in ligands]
    near = [
        [min(ligand_distance(pocket, own.positions) for own in each) for pocket in found]
        for found, each in zip(pockets, ligands)
    ]
    centered = [
        [min(center_distance(pocket, own.positions) for own in each) for pocket in found]
        for found, each in zip(pockets, ligands)
    ]
    for first in (1, 3, 5):
        values = np.array([hit_within(each, first) for each in near], float)
        known = {1: 73, 3: 90}.get(first) if target else None
        value, spread = _over_clusters(100 * values, clusters)
        aimed = target and first == 1 and name != "fifteen lines"
        yield Row(
            f"{test}: {name}, ligand among the first {first}",
            value,
            "%",
            spread=spread,
            target="> 73" if aimed else None,
            met=value > 73 if aimed else None,
            peer="notes, fifteen lines, 59 proteins" if known else None,
            peer_value=known,
        )
    values = np.array([hit_within(each, 1) for each in centered], float)
    value, spread = _over_clusters(100 * values, clusters)
    yield Row(f"{test}: {name}, center of the first within 4 Å of the ligand's", value, "%", spread=spread)
    if pockets and all(isinstance(each, Pocket) for found in pockets for each in found):
        shared = [
            max((volume_overlap(found[0], own) for own in each), default=0.0) if found else 0.0
            for found, each in zip(pockets, ligands)
        ]
        value, spread = _over_clusters(np.array(shared), clusters)
        yield Row(f"{test}: {name}, overlap of the first pocket with the ligand", value, "", spread=spread)


def _hits_of_peer(peer, test, files, ligands, clusters) -> Iterator[Row]:
    answer = measure(peer, files)
    if "reason" in answer:
        yield Row(f"{test}: {peer}", None, "", target=str(answer["reason"]))
        return
    centers = [[_Center(np.array(each) / 10) for each in found] for found in answer["centers"]]
    yield from _hits(test, str(answer["peer"]), centers, ligands, clusters, target=False)
    yield Row(f"{test}: {answer['peer']}, a structure", answer["seconds"] / len(files), "CPU s")


def _areas(test, scores, labels, target) -> Iterator[Row]:
    """Areas under curves over all residues that are labeled, and within proteins."""
    values, own = np.concatenate(scores), np.concatenate(labels)
    area = roc_area(values[own < 2], own[own < 2] == 1)
    yield Row(
        f"{test}, residues of hidden pockets against those of proteins without any, AUC",
        area,
        "",
        target=">= 0.80" if target else None,
        met=area >= 0.8 if target else None,
        peer="PocketMiner, published, 39 proteins" if target else None,
        peer_value=0.87 if target else None,
    )
    within = [roc_area(each, mine == 1) for each, mine in zip(scores, labels) if (mine == 1).any()]
    yield Row(
        f"{test}, residues of the hidden pocket against all others of the protein, mean AUC",
        float(np.mean(within)),
        "",
        spread=float(np.std(within, ddof=1) / np.sqrt(len(within))),
    )


@cache
def _few(data: Path, quick: bool) -> tuple[list[SiteComplex], np.ndarray, list] | None:
    """The first two proteins of each cluster, their clusters, and what they teach."""
    folder = data / "binding" / "fep_plus" / ("jacs_set" if quick else "")
    files = sorted(folder.rglob("*_protein.pdb.gz"))
    if not files:
        return None
    sequences = [tuple(read_protein(file).sequences.values()) for file in files]
    clusters = protein_clusters(sequences, IDENTITY)
    kept = [k for k in range(len(files)) if (clusters[:k] == clusters[k]).sum() < 2]
    sets = [each for k in kept if (each := site_complex(files[k])) is not None]
    examples = [SiteForest().examples(each.protein.atoms, each.positions) for each in sets]
    return sets, clusters[kept], examples


def _without_kin(few, sequences) -> SiteForestModel:
    """A forest of all clusters that have no kin among the ``sequences`` of proteins to be tested."""
    sets, clusters, examples = few
    kin = {
        int(cluster)
        for cluster, each in zip(clusters, sets)
        for chain in each.protein.sequences.values()
        for other in sequences
        if len(chain) >= 40 and any(sequence_identity(chain, own) >= IDENTITY for own in other)
    }
    kept = [k for k in range(len(sets)) if clusters[k] not in kin]
    return SiteForest().fit_examples([examples[k] for k in kept], clusters[kept].tolist())


def _over_clusters(values: np.ndarray, clusters: np.ndarray) -> tuple[float, float | None]:
    """Mean over clusters of means over proteins, and its standard error."""
    means = np.array([values[clusters == k].mean() for k in np.unique(clusters)])
    spread = float(means.std(ddof=1) / np.sqrt(len(means))) if len(means) > 1 else None
    return float(means.mean()), spread


def _absent() -> Row:
    return Row("binding sites", None, "", target="data are not here; see `thalweg bench --help`")
