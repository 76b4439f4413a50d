"""A relaxed scan of one torsion of a molecule given by its SMILES: one command, one folder, resumable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from thalweg.interop.files.configurations import write_configurations
from thalweg.interop.quantum.levels import level_of
from thalweg.interop.rdkit.conformers import conformers
from thalweg.interop.rdkit.mmff import MMFF94
from thalweg.interop.rdkit.torsion_types import turnable_torsion
from thalweg.labeling.geometries.torsion_scans import JUMP, TorsionScan, minimum_at_angle, torsion_scan
from thalweg.labeling.level import Level
from thalweg.learning.storage import load_tree, save_tree, tree_digest
from thalweg.machine.links import check_links
from thalweg.machine.versions import versions
from thalweg.report.accounting import citations
from thalweg.report.of_molecules.torsions import TorsionResults, write_torsion_report
from thalweg.report.results import Diagnosis
from thalweg.report.rounding import significant
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.label import DIGITS, asked
from thalweg.studies.analyzing import Told
from thalweg.studies.tables.language import StudyError
from thalweg.systems.configuration import Configuration
from thalweg.units import DEGREE

RELAXED = "relaxed.tree"
"""A minimum at one angle."""

CITED = {
    "GFN2-xTB": "bannwarth2019",
    "GFN1-xTB": "grimme2017",
    "MMFF94": "halgren1996",
    "MMFF94s": "halgren1996",
}


@dataclass(frozen=True)
class TorsionStudy:
    """What to scan.

    Attributes
    ----------
    smiles : of the molecule
    level : as `level_of` takes it, or mmff94 or mmff94s
    torsion : its four atoms, in the order of the SMILES from zero, hydrogens after them; empty for the one about the
        bond nearest to the middle
    points : angles
    conformers : that it begins from, at most
    seed : of conformers
    """

    smiles: str
    level: str = "gfn2"
    torsion: tuple[int, ...] = ()
    points: int = 24
    conformers: int = 3
    seed: int = 0

    def __post_init__(self):
        if len(self.torsion) not in (0, 4):
            raise StudyError(f"--torsion has {len(self.torsion)} atoms; give four, such as 0-1-2-3")
        if self.points < 3 or self.conformers < 1:
            raise StudyError("--points is at least three, and --conformers at least one")


def torsion_study(wanted: TorsionStudy, folder: Path, progress: Callable[[str], Told]) -> TorsionResults:
    """Scan a torsion, keep every relaxation in the store ``labels/`` of ``folder``, and write frames and a report.

    A second call pays for nothing that is there; a kill loses the relaxation in flight.

    Raises
    ------
    ValueError
        If the SMILES or a setting is wrong, or the level cannot be asked about these atoms.
    """
    check_links(folder)
    told = progress("making conformers")
    starts = conformers(wanted.smiles, wanted.conformers, wanted.seed)
    found = wanted.torsion or turnable_torsion(wanted.smiles)
    torsion = (found[0], found[1], found[2], found[3])
    level = _level(wanted)
    level.check(starts[0])
    told(f"{len(starts)} conformers", 1.0)
    watch = progress(f"relaxing by {level.name}")
    expected = wanted.points * (len(starts) + 2)
    kept = _Kept(Store(folder / "labels"), lambda done: watch(f"{done} relaxed", min(done / expected, 1.0)))
    scan = torsion_scan(starts, torsion, level, wanted.points, relax=kept)
    watch("done", 1.0)
    write_configurations(folder / "scan.xyz", [frame for frame in scan.frames if frame is not None])
    scan.save(folder / "scan.tree")
    results = _results(wanted, scan, level, _beside(wanted, starts, torsion, level))
    write_torsion_report(results, folder)
    return results


class _Kept:
    """Relaxations, failed ones too, that are looked up where they were made before."""

    def __init__(self, store: Store, told: Callable[[int], None]):
        self.store, self.told, self.done = store, told, 0

    def __call__(
        self,
        frame: Configuration,
        torsion: tuple[int, int, int, int],
        angle: float,
        level: Level,
        force: float,
    ) -> Configuration:
        entry = f"relaxations/{tree_digest((level, asked(frame), torsion, angle, force))[:DIGITS]}"
        if not self.store.has(entry):
            try:
                relaxed = minimum_at_angle(asked(frame), torsion, angle, level, force)
            except RuntimeError as error:
                relaxed = str(error)
            self.store.commit(entry, lambda folder: save_tree(folder / RELAXED, relaxed))
        self.done += 1
        self.told(self.done)
        found = load_tree(self.store.file(entry, RELAXED))
        if isinstance(found, str):
            raise RuntimeError(found)
        return found


def _level(wanted: TorsionStudy) -> Level:
    plain = wanted.level.lower()
    if plain in ("mmff94", "mmff94s"):
        return MMFF94(wanted.smiles, "MMFF94s" if plain.endswith("s") else "MMFF94")
    return level_of(wanted.level)


def _beside(wanted, starts, torsion, level) -> TorsionScan | None:
    """The same by MMFF94, where it has parameters and is not what was asked for."""
    if isinstance(level, MMFF94):
        return None
    try:
        return torsion_scan(starts, torsion, MMFF94(wanted.smiles), wanted.points)
    except ValueError:
        return None


def _results(
    wanted: TorsionStudy, scan: TorsionScan, level: Level, beside: TorsionScan | None
) -> TorsionResults:
    atoms = "-".join(map(str, scan.torsion))
    degrees = np.round(scan.angles / DEGREE)
    lowest, highest = (degrees[int(pick(scan.energies))] for pick in (np.nanargmin, np.nanargmax))
    found = [
        f"The lowest energy is at {lowest:.0f} degrees, the highest, {significant(float(np.nanmax(scan.profile)))} "
        f"kJ/mol above it, at {highest:.0f}."
    ]
    profiles = [(scan.level, scan.profile)]
    if beside is not None:
        apart = scan.energies - beside.energies
        error = float(np.sqrt(np.nanmean((apart - np.nanmean(apart)) ** 2)))
        found.append(
            f"{beside.level} at its own minima differs by {significant(error)} kJ/mol, root mean square."
        )
        profiles.append((beside.level, beside.profile))
    largest = float(np.nanmax(scan.hysteresis, initial=0.0))
    keys = ["qiu2020", "riniker2015", CITED.get(level.name, "sun2020")]
    return TorsionResults(
        title=f"Torsion {atoms} of {wanted.smiles}",
        subtitle=f"{scan.level}, {len(scan.angles)} angles",
        angles=degrees,
        profiles=tuple(profiles),
        hysteresis=scan.hysteresis,
        asked=(f"{scan.level} about {len(scan.angles)} angles, from up to {wanted.conformers} conformers.",),
        found=tuple(found),
        certainty=(
            "The angle is held exactly; all else is at the lowest minimum that conformers and both neighbors led to.",
            f"Geometries from the two neighbors differ by at most {significant(largest)} kJ/mol after relaxation.",
        ),
        diagnoses=tuple(
            Diagnosis("warning" if largest > JUMP or "no energy" in note else "note", f"{note}.")
            for note in scan.notes
        ),
        provenance={
            "settings": {
                "smiles": wanted.smiles,
                "torsion": atoms,
                "points": str(wanted.points),
                "conformers": str(wanted.conformers),
                "seed": str(wanted.seed),
            },
            "level": dict(level.provenance()),
            "versions": versions(),
        },
        citations=citations(tuple(dict.fromkeys(keys))),
    )
