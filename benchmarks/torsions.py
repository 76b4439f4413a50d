"""Torsions: profiles of molecules that a correction never saw, refitted terms, and scans against other optimizers.

Errors of profiles are root mean squares over all points, each profile less its mean. OpenFF's scans: 53 one-dimensional
scans (B3LYP-D3BJ) of 24 points with geometries, those that reach beyond 30 kcal/mol (ring torsions, broken bonds) left
out; cheap energies are of the same geometries. Scaffolds are Bemis and Murcko's, molecules without rings their own; a
split deals them to five folds, each predicted from the other four. TorsionNet500 has no geometries: a random subset of
molecules is scanned here in MMFF94, relaxed by GFN2-xTB at each angle, and what was learned from OpenFF's scans is
applied; molecules in which elements leave open which atoms the torsion is of are left out.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from thalweg.interop.quantum.levels import level_of
from thalweg.interop.rdkit.conformers import conformers
from thalweg.interop.rdkit.mmff import MMFF94, molecule_in_order
from thalweg.interop.rdkit.torsion_types import proper_torsions, scaffold
from thalweg.labeling.geometries.torsion_scans import minimum_at_angle, torsion_scan
from thalweg.labeling.level import LabelFailed
from thalweg.learned_potentials.torsions.fourier_terms import TorsionFit
from thalweg.learned_potentials.torsions.profiles import (
    TorsionProfile,
    centered,
    folds_by_group,
    profile_error,
)
from thalweg.learned_potentials.torsions.torsion_correction import TorsionCorrection
from thalweg.report.benchmark import Row
from thalweg.systems.configuration import Configuration
from thalweg.units import ANGSTROM, KILOCALORIE

HIGHEST = 30.0
"""Scans that reach higher are left out [kcal/mol]."""

FOLDS = 5
SPLITS = 3

MOLECULES = 6
"""Of TorsionNet500 whose geometries are made, drawn by ``SEED``; each takes about ten seconds."""

SEED = 0


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Each part alone; ``quick`` takes one split and two molecules."""
    return {
        "openff": lambda: openff(data, 1 if quick else SPLITS),
        "torsionnet": lambda: torsionnet(data, 2 if quick else MOLECULES),
        "refit": lambda: refit(data, 1 if quick else SPLITS),
        "scan": lambda: scan(12 if quick else 24),
    }


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def openff(data: Path, splits: int) -> Iterator[Row]:
    """GFN2-xTB with a correction learned from other scaffolds."""
    scans = _scans(data)
    if scans is None:
        yield _absent("OpenFF torsion drives")
        return
    profiles = _profiles(scans, _gfn2(data))
    reference = [each.reference for each in profiles]
    fields = [_mmff(each).terms(profile.frames).sum(1) for each, profile in zip(scans, profiles)]
    test = f"OpenFF, {len(profiles)} scans"
    mmff = profile_error(fields, reference) / KILOCALORIE
    gfn2 = profile_error([each.baseline for each in profiles], reference) / KILOCALORIE
    yield Row(f"{test}: MMFF94", mmff, "kcal/mol", peer="notes, MMFF94s", peer_value=1.70)
    yield Row(f"{test}: GFN2-xTB", gfn2, "kcal/mol", peer="notes", peer_value=0.72)
    began = time.process_time()
    errors, means, inside = [], [], []
    for seed in range(splits):
        found, bars = _left_out(profiles, seed)
        errors.append(profile_error(found, reference) / KILOCALORIE)
        means.append(profile_error(found, reference, of_means=True) / KILOCALORIE)
        away = np.concatenate([np.abs(centered(a - b)) for a, b in zip(found, reference)])
        inside.append([np.mean(away < times * np.concatenate(bars)) for times in (1.0, 1.96)])
    seconds = (time.process_time() - began) / (splits * FOLDS)
    value = float(np.mean(errors))
    yield Row(
        f"{test}: GFN2-xTB corrected, scaffolds left out",
        value,
        "kcal/mol",
        spread=float(np.ptp(errors) / 2),
        target="<= 0.60",
        met=value <= 0.60,
    )
    yield Row(f"{test}: the same, mean of profiles' errors", float(np.mean(means)), "kcal/mol")
    for name, share, nominal in zip(("one", "1.96"), np.mean(inside, 0), (68.3, 95.0)):
        near = abs(100 * share - nominal) <= 5
        yield Row(
            f"{test}: inside {name} standard deviations",
            100 * share,
            "%",
            target=f"{nominal:g} ± 5",
            met=near,
        )
    yield Row(f"{test}: a fit", seconds, "CPU s")


def torsionnet(data: Path, count: int) -> Iterator[Row]:
    """Profiles of TorsionNet500 on geometries made here."""
    file, scans = data / "potentials" / "torsionnet500" / "energies.json.gz", _scans(data)
    if not file.is_file() or scans is None:
        yield _absent("TorsionNet500")
        return
    model = TorsionCorrection().fit(_profiles(scans, _gfn2(data)))
    known = json.loads(gzip.decompress(file.read_bytes()))
    names = np.random.default_rng(SEED).permutation(sorted(known))
    made, reference, fields, failed = [], [], [], 0
    for name in names:
        if len(made) == count:
            break
        four = _torsion_of(known[name])
        if four is None:
            continue
        try:
            profile, energies, field = _made(known[name], four)
        except (ValueError, RuntimeError):
            failed += 1
            continue
        made.append(profile)
        reference.append(energies)
        fields.append(field)
    test = f"TorsionNet500, {len(made)} molecules by seed {SEED}"
    found = [model.correction_and_error(each) for each in made]
    corrected = [each.baseline + change for each, (change, _) in zip(made, found)]
    gfn2 = profile_error([each.baseline for each in made], reference) / KILOCALORIE
    for name, energies in (
        ("MMFF94, its own geometries", fields),
        ("GFN2-xTB", [each.baseline for each in made]),
        ("GFN2-xTB corrected by OpenFF's scans", corrected),
    ):
        value = profile_error(energies, reference) / KILOCALORIE
        own = name.startswith("GFN2-xTB corrected")
        yield Row(
            f"{test}: {name}",
            value,
            "kcal/mol",
            target="below GFN2-xTB" if own else None,
            met=value < gfn2 if own else None,
        )
        lowest = [np.abs((a - a.min()) - (b - b.min())) for a, b in zip(energies, reference)]
        mean = float(np.mean(np.concatenate(lowest))) / KILOCALORIE
        yield Row(f"{test}: {name}, MAE from the minimum", mean, "kcal/mol")
    bars = np.concatenate([bar for _, bar in found])
    away = np.concatenate([np.abs(centered(a - b)) for a, b in zip(corrected, reference)])
    yield Row(f"{test}: inside 1.96 standard deviations", 100 * float(np.mean(away < 1.96 * bars)), "%")
    yield Row(f"{test}: molecules whose scan failed", failed, "")


def refit(data: Path, splits: int) -> Iterator[Row]:
    """MMFF94's torsion terms refitted."""
    scans = _scans(data)
    if scans is None:
        yield _absent("OpenFF torsion drives")
        return
    terms = [_mmff(each).terms(_frames(each)) for each in scans]
    # MMFF94 but for torsions, whose terms are those fitted
    profiles = _profiles(scans, [each.sum(1) - each[:, 4] for each in terms])
    reference = [each.reference for each in profiles]
    before = profile_error([each.sum(1) for each in terms], reference) / KILOCALORIE
    model = TorsionFit().fit(profiles)
    after = profile_error([_with_terms(model, each) for each in profiles], reference) / KILOCALORIE
    test = f"OpenFF, {len(profiles)} scans, MMFF94"
    yield Row(f"{test}: as it is", before, "kcal/mol")
    yield Row(
        f"{test}: torsions refitted to these", after, "kcal/mol", target="halved", met=after <= 0.5 * before
    )
    errors = []
    for seed in range(splits):
        fold_of = folds_by_group([each.group for each in profiles], FOLDS, seed)
        found: list = [None] * len(profiles)
        for fold in range(FOLDS):
            learned = TorsionFit().fit([each for each, own in zip(profiles, fold_of) if own != fold], seed)
            for k in np.flatnonzero(fold_of == fold):
                found[k] = _with_terms(learned, profiles[k])
        errors.append(profile_error(found, reference) / KILOCALORIE)
    value = float(np.mean(errors))
    yield Row(
        f"{test}: torsions refitted to other scaffolds",
        value,
        "kcal/mol",
        spread=float(np.ptp(errors) / 2),
        target="no worse than as it is",
        met=value <= before,
    )


def scan(points: int) -> Iterator[Row]:
    """Scans in MMFF94 beside RDKit's own optimizer with a stiff restraint, and what hysteresis is found."""
    for smiles, four in (("CCCC", (0, 1, 2, 3)), ("CCC(=O)NC", (1, 2, 4, 5)), ("OCC(=O)OC", (0, 1, 2, 4))):
        level, starts = MMFF94(smiles), conformers(smiles, 5)
        began = time.process_time()
        ours = torsion_scan(starts, four, level, points, force=0.5)
        seconds = time.process_time() - began
        theirs = np.array(
            [_by_rdkit(level, ours.frames, four, angle) for angle in np.degrees(ours.angles)], float
        )
        higher = float(np.max(ours.energies - theirs)) / KILOCALORIE
        test = f"{smiles}, MMFF94, {points} angles"
        yield Row(
            f"{test}: above RDKit's restrained minimum at most",
            higher,
            "kcal/mol",
            target="<= 0.01",
            met=higher <= 0.01,
            peer="RDKit, restraint 1e5 kcal/mol/rad^2, from all our geometries",
        )
        yield Row(f"{test}: largest hysteresis", float(np.nanmax(ours.hysteresis)) / KILOCALORIE, "kcal/mol")
        yield Row(f"{test}: the scan, {ours.relaxations} relaxations", seconds, "CPU s")


def _with_terms(model, profile):
    positions = np.stack([frame.positions for frame in profile.frames])
    return profile.baseline + model.energies(profile.torsions, positions)


def _left_out(profiles: Sequence[TorsionProfile], seed: int):
    """Energies and error bars of each profile by a correction of the other folds."""
    fold_of = folds_by_group([each.group for each in profiles], FOLDS, seed)
    found: list = [None] * len(profiles)
    bars: list = [None] * len(profiles)
    for fold in range(FOLDS):
        model = TorsionCorrection().fit([each for each, own in zip(profiles, fold_of) if own != fold])
        for k in np.flatnonzero(fold_of == fold):
            change, bars[k] = model.correction_and_error(profiles[k])
            found[k] = profiles[k].baseline + change
    return found, bars


@cache
def _scans(data: Path):
    """OpenFF's scans; None where they are absent."""
    file = data / "potentials" / "openff_torsiondrives" / "torsion_scans.json.gz"
    if not file.is_file():
        return None
    scans = json.loads(gzip.decompress(file.read_bytes()))
    return [each for each in scans if np.ptp(each["E"]) < HIGHEST]


@cache
def _gfn2(data: Path):
    """Energies of all scans' geometries by GFN2-xTB."""
    level = level_of("gfn2")
    return [np.array([level.label(frame).energy for frame in _frames(each)]) for each in _scans(data)]


def _frames(scan) -> tuple[Configuration, ...]:
    molecule = molecule_in_order(scan["mapped"])
    numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()])
    charge = sum(atom.GetFormalCharge() for atom in molecule.GetAtoms())
    return tuple(Configuration(numbers, np.array(x) * ANGSTROM, info={"charge": charge}) for x in scan["X"])


def _mmff(scan) -> MMFF94:
    return MMFF94(scan["mapped"])


def _profiles(scans, baselines) -> list[TorsionProfile]:
    return [
        TorsionProfile(
            _frames(each),
            np.radians(np.array(each["grid"], float).ravel()),
            np.array(each["E"]) * KILOCALORIE,
            np.asarray(baseline, float),
            proper_torsions(each["mapped"]),
            scaffold(each["smi"]),
        )
        for each, baseline in zip(scans, baselines)
    ]


def _torsion_of(entry) -> tuple[int, int, int, int] | None:
    """The torsion in the order of the SMILES, if its elements leave but one, up to symmetry; else None."""
    from rdkit import Chem

    molecule = molecule_in_order(entry["smiles"])
    wanted = [entry["atoms"][k] for k in entry["torsion_atom_indices"]]
    ranks = list(Chem.CanonicalRankAtoms(molecule, breakTies=False))
    found = {}
    for four in proper_torsions(entry["smiles"]).atoms.tolist():
        bond = molecule.GetBondBetweenAtoms(four[1], four[2])
        if bond.IsInRing() or bond.GetBondTypeAsDouble() != 1:
            continue
        for way in (tuple(four), tuple(four[::-1])):
            if [molecule.GetAtomWithIdx(k).GetSymbol() for k in way] == wanted:
                key = tuple(ranks[k] for k in way)
                found.setdefault(min(key, key[::-1]), way)
    return next(iter(found.values())) if len(found) == 1 else None


def _made(entry, four):
    """A profile with GFN2-xTB's energies at its own minima, the published energies, and MMFF94's at its own."""
    smiles = entry["smiles"]
    known = np.array(entry["dft_energy_profile"], float)
    field = torsion_scan(conformers(smiles, 5), four, MMFF94(smiles), len(known), force=5.0)
    wanted = {round(np.degrees(angle)) % 360: k for k, angle in enumerate(field.angles)}
    order = [wanted[round(angle) % 360] for angle in known[:, 0]]
    level = level_of("gfn2")
    frames = tuple(
        minimum_at_angle(replace(field.frames[k].unlabeled), four, float(field.angles[k]), level, force=20.0)
        for k in order
    )
    energies = np.array([frame.energy for frame in frames])
    profile = TorsionProfile(frames, field.angles[order], None, energies, proper_torsions(smiles), smiles)
    return profile, known[:, 1] * KILOCALORIE, field.energies[order]


def _by_rdkit(level: MMFF94, starts, four, degrees: float) -> float:
    """Lowest energy by RDKit's optimizer with the torsion restrained, from all ``starts`` [kJ/mol]."""
    from rdkit.Chem import Conformer, rdForceFieldHelpers

    molecule = molecule_in_order(level.smiles)
    lowest = np.inf
    for start in starts:
        conformer = Conformer(molecule.GetNumAtoms())
        conformer.SetPositions(start.positions / ANGSTROM)
        molecule.RemoveAllConformers()
        molecule.AddConformer(conformer)
        properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(molecule)
        field = rdForceFieldHelpers.MMFFGetMoleculeForceField(molecule, properties, nonBondedThresh=1e6)
        field.MMFFAddTorsionConstraint(*four, False, degrees, degrees, 1e5)
        for _ in range(20):
            if not field.Minimize(maxIts=1000, forceTol=1e-5, energyTol=1e-9):
                break
        positions = np.array(molecule.GetConformer().GetPositions()) * ANGSTROM
        # from a geometry of another angle the stiff restraint may throw atoms on top of each other
        with suppress(LabelFailed):
            lowest = min(lowest, float(level.label(replace(start, positions=positions)).energy))
    return lowest


def _absent(name: str) -> Row:
    return Row(name, None, "", target="skipped: the data are not there", met=None)
