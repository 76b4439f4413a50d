"""The binding sites of a structure, and a finder of sites learned from a folder of complexes: two commands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from thalweg.binding.protein_clusters import protein_clusters
from thalweg.binding.sites.pockets import BuriedPockets, Pocket, PocketFinder
from thalweg.binding.sites.site_forest import SiteForest, SiteForestModel
from thalweg.interop.complexes.proteins import ProteinStructure, read_protein
from thalweg.interop.complexes.site_files import site_complexes
from thalweg.machine.links import check_links
from thalweg.machine.versions import versions
from thalweg.report.accounting import citations
from thalweg.report.of_molecules.site_pages import SiteResults, write_site_report
from thalweg.report.page_parts import sentence
from thalweg.report.results import Diagnosis
from thalweg.report.rounding import significant
from thalweg.studies.analyzing import Told
from thalweg.studies.tables.language import StudyError
from thalweg.units import ANGSTROM

IDENTITY = 0.3
"""Proteins to learn from whose sequences are equal in more than this count as one."""

WHOLE = 5.5
"""Heavy atoms of a residue, on average, below which side chains must be missing."""


@dataclass(frozen=True)
class SiteStudy:
    """What to ask.

    Attributes
    ----------
    structure : file of a protein (PDB, mmCIF)
    model : file of a `SiteForestModel`; pockets by burial alone unless given
    chains : names of those that count; all unless given
    keep : names of residues, such as ``"HEM"``, that count as part of the protein
    first : pockets to tell at most
    """

    structure: Path
    model: Path | None = None
    chains: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    first: int = 10

    def __post_init__(self):
        if self.first < 1:
            raise StudyError(f"--first {self.first}; give one or more")


def site_study(wanted: SiteStudy, folder: Path) -> SiteResults:
    """Find the pockets of a protein and write a report into ``folder``; no pockets are a result, too.

    Raises
    ------
    StudyError
        If the structure has one atom of each residue only.
    ValueError, FileNotFoundError
        If a file is missing or damaged, there is no protein in it, or no such chain.
    """
    check_links(folder)
    finder = BuriedPockets() if wanted.model is None else SiteForestModel.load(wanted.model)
    protein = read_protein(wanted.structure, wanted.chains or None, keep=wanted.keep)
    _require_atoms(protein, wanted.structure)
    found = finder.find(protein.atoms)
    results = _results(wanted, protein, found, finder)
    write_site_report(results, folder)
    return results


def learn_sites(folder: Path, target: Path, told: Told, seed: int = 0) -> SiteForestModel:
    """A forest learned from all complexes below a folder, kin proteins weighing as one, written to ``target``.

    Raises
    ------
    StudyError
        If there are fewer than two proteins with ligands.
    ValueError, FileNotFoundError
        If a file is damaged, or there is no such folder.
    """
    method = SiteForest(seed=seed)
    examples, sequences = [], []
    for each in site_complexes(folder):
        examples.append(method.examples(each.protein.atoms, each.positions))
        sequences.append(tuple(each.protein.sequences.values()))
        told(f"{len(examples)} proteins", 0.5)
    if len(examples) < 2:
        raise StudyError(
            f"{folder} has {len(examples)} proteins with ligands, two are needed and dozens are useful: give pairs "
            "NAME_protein.pdb and NAME_ligands.sdf, or structures with their ligands inside"
        )
    model = method.fit_examples(examples, protein_clusters(sequences, IDENTITY).tolist())
    model.save(target)
    told(f"learned from {len(examples)} proteins of {model.learned_from} kinds", 1.0)
    return model


def _require_atoms(protein: ProteinStructure, path: Path) -> None:
    residues = len(set(protein.atoms.residues))
    if len(protein.atoms) < 2 * residues:
        raise StudyError(
            f"{path} has {len(protein.atoms)} atoms in {residues} residues, such as CA atoms alone; pockets need all "
            "heavy atoms: rebuild them first, with PULCHRA or another program for it"
        )


def _results(
    wanted: SiteStudy, protein: ProteinStructure, found: tuple[Pocket, ...], finder: PocketFinder
) -> SiteResults:
    by_burial = wanted.model is None
    name = "burial" if by_burial else f"the forest in {wanted.model.name}"
    keys = ["hendlich1997"] if by_burial else ["hendlich1997", "krivak2018", "breiman2001"]
    pockets = found[: wanted.first]
    residues = len(set(protein.atoms.residues))
    settings = {
        "structure": str(wanted.structure),
        "model": str(wanted.model or "none"),
        "chains": " ".join(wanted.chains) or "all",
        "kept": " ".join(wanted.keep) or "nothing",
    }
    return SiteResults(
        title=f"Binding sites of {wanted.structure.name}",
        subtitle=f"{residues} residues in {len(protein.sequences)} chains, pockets by {name}",
        protein=protein.atoms,
        pockets=pockets,
        residue_scores=finder.residue_scores(protein.atoms),
        asked=(f"Pockets of {wanted.structure.name}, its ligands and waters removed, by {name}.",),
        found=_found(pockets, len(found)),
        certainty=(_certainty(by_burial),),
        diagnoses=tuple(Diagnosis("note", sentence(note)) for note in _notes(protein, pockets)),
        provenance={"settings": settings, "versions": versions()},
        citations=citations(tuple(keys)),
    )


def _found(pockets: tuple[Pocket, ...], count: int) -> tuple[str, ...]:
    if not pockets:
        return ("No pockets: nowhere is there room for a probe that lies deep enough.",)
    best = pockets[0]
    lined = ", ".join(best.residues[:8])
    lined += f" and {len(best.residues) - 8} more" if len(best.residues) > 8 else ""
    place = ", ".join(f"{x:.1f}" for x in best.center / ANGSTROM)
    others = {1: "It is the only one."}.get(count, f"{count} pockets in all.")
    return (
        f"First pocket: {best.volume / ANGSTROM**3:.0f} Å³ about ({place}) Å, score {significant(best.score)}, "
        f"lined by {lined}.",
        others,
    )


def _certainty(by_burial: bool) -> str:
    if by_burial:
        return (
            "Burial knows no chemistry: on drug targets with their ligands removed, the first pocket holds the ligand "
            "four times of five, and no more than by counting atoms; benchmarks/results/sites.md has the figures."
        )
    return (
        "Scores are sums over points of how probable a ligand is there, as probable as in proteins like those learned "
        "from; benchmarks/results/sites.md has figures of proteins unlike them."
    )


def _notes(protein: ProteinStructure, pockets: tuple[Pocket, ...]) -> list[str]:
    """What was decided in reading, and pockets between chains."""
    notes = list(protein.notes)
    per_residue = len(protein.atoms) / len(set(protein.atoms.residues))
    if per_residue < WHOLE:
        notes.append(
            f"residues have {per_residue:.1f} heavy atoms on average: side chains are missing, "
            "and pockets are too large"
        )
    for rank, pocket in enumerate(pockets, 1):
        chains = sorted({each.partition(":")[0] for each in pocket.residues})
        if len(chains) > 1:
            notes.append(f"pocket {rank} lies between chains {', '.join(chains)}")
    return notes
