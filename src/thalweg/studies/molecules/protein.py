"""A protein's trajectories from one run file: the model chosen by score, its long-lived sets, where to begin anew, the
motion that goes with a function, pockets that open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from thalweg.binding.complexes import TypedAtoms
from thalweg.binding.sites.pockets import BuriedPockets
from thalweg.binding.sites.pockets_in_states import PocketTracking, opening_free_energy, overlapping_volumes
from thalweg.binding.sites.site_forest import SiteForestModel
from thalweg.collective_variables.linear.functional_modes import FunctionalModeModel, FunctionalModes
from thalweg.geometry.evaluation import evaluate
from thalweg.geometry.residues import protein_residues, residue_of_atoms
from thalweg.geometry.superposition import SuperposedCoordinates, mean_structure
from thalweg.interop.complexes.proteins import read_protein
from thalweg.interop.files.evidence_of_files import time_between_frames
from thalweg.interop.files.trajectories import TrajectoryFile, positions_at, write_trajectory
from thalweg.kinetics.macrostates.pcca import MetastableSets, metastable_sets
from thalweg.kinetics.markov_state_model import MarkovStateModel
from thalweg.kinetics.model_scan import ModelScan
from thalweg.kinetics.pipeline import PipelineModel
from thalweg.machine.links import check_links
from thalweg.machine.versions import versions
from thalweg.report.accounting import citations
from thalweg.report.drawing import drawn_choice
from thalweg.report.of_molecules.protein_pages import (
    FunctionFound,
    LongLivedSet,
    PocketInSets,
    ProteinResults,
    StartsFound,
    write_protein_report,
)
from thalweg.report.of_runs.drawn_structures import drawn_atoms, molecule, turned_onto
from thalweg.report.of_runs.free_energies import Weighted, variable_surface
from thalweg.report.page_parts import sentence
from thalweg.report.results import Diagnosis, ModelChoice, Surface
from thalweg.report.rounding import significant
from thalweg.sampling.chimeras import chimeras
from thalweg.studies.analyses import Analyses
from thalweg.studies.analyzing import Told, measured, opened_trajectories
from thalweg.studies.tables.language import StudyError
from thalweg.studies.tables.protein_study import FunctionAsked, PocketsAsked, ProteinStudy, Starts
from thalweg.systems.topology import Topology
from thalweg.time_series.cross_validation import ShuffleSplit
from thalweg.time_series.trajectories import Trajectories
from thalweg.units import ANGSTROM, thermal_energy, whole_multiple

SHOWN = 3
"""Slow processes that models are scored by."""

NEAR = 0.25
"""Residues of a pocket of the structure given over those of either, from which on a site is in that structure."""

CITED = ("schen2019", "mcgibbon2015", "perezhernandez2013", "deuflhard2005")


def protein_study(asked: ProteinStudy, folder: Path, progress: Callable[[str], Told]) -> ProteinResults:
    """Carry out a study and write its page into ``folder``, where one that was stopped goes on.

    Raises
    ------
    ValueError, FileNotFoundError
        If a file or a setting is wrong; the message says which.
    """
    check_links(folder)
    kT = thermal_energy(asked.trajectories.temperature)
    atoms, files = opened_trajectories(asked.files, asked.path(asked.trajectories.topology))
    dt, notes = time_between_frames(files, asked.trajectories.dt)
    data = {name: measured(name, files, atoms, dt, folder, progress) for name in asked.model.features}
    model, choice, used = _chosen(asked, data, dt, folder, progress)
    run = _Run(
        asked, atoms, files, data[used], model, metastable_sets(model.markov, asked.model.sets), kT, dt
    )
    analyses = Analyses()
    landscape = analyses("the landscape", run.landscape, None)
    starts = function = pockets = None
    if asked.starts is not None:
        starts = analyses("places to begin anew", lambda: run.starts(asked.starts, folder), None)
    if asked.function is not None:
        function = analyses("the function", lambda: run.function(asked.function), None)
    if asked.pockets is not None:
        told = progress("looking for pockets")
        pockets = analyses("pockets", lambda: run.pockets(asked.pockets, told), None)
    drawn = drawn_atoms(atoms)
    _, structures = run.representatives
    sets = run.described(structures[:, drawn])
    results = ProteinResults(
        title=asked.title,
        subtitle=f"{len(atoms)} atoms, {data[used].n_frames} frames of {len(files)} trajectories",
        choice=choice,
        landscape=landscape,
        sets=sets,
        molecule=molecule(atoms, drawn),
        starts=starts,
        function=function,
        pockets=pockets,
        asked=(
            f"{len(choice.candidates)} Markov models at {asked.table['model']['lag']}, scored on halves of the "
            f"trajectories left out ({asked.model.splits} divisions).",
        ),
        found=(
            f"The simplest of the best: {choice.candidates[choice.chosen].name}.",
            f"Long-lived sets, populations: {', '.join(f'{100 * each.population:.0f} %' for each in sets)}.",
            *_told_starts(starts),
            *_told_function(function),
            *_told_pockets(pockets),
        ),
        certainty=_certainty(choice, model),
        diagnoses=tuple(Diagnosis("warning", sentence(note)) for note in dict.fromkeys(notes))
        + tuple(Diagnosis("warning", f"{file.told}.") for file in files if file.told)
        + _worth_nothing(choice)
        + tuple(Diagnosis("note", sentence(note)) for note in run.notes())
        + analyses.diagnoses(),
        provenance={
            "settings": {
                f"{name}, {key}": ", ".join(map(str, value)) if isinstance(value, list) else str(value)
                for name, own in asked.table.items()
                if isinstance(own, dict)
                for key, value in own.items()
                if value != []
            },
            "versions": versions(),
        },
        citations=citations(
            (
                *CITED,
                *(("hub2009", "krivobokova2012") if function else ()),
                *(("hendlich1997", "meller2023") if pockets else ()),
            )
        ),
    )
    write_protein_report(results, folder)
    return results


def _chosen(
    asked: ProteinStudy,
    data: dict[str, Trajectories],
    dt: float,
    folder: Path,
    progress: Callable[[str], Told],
) -> tuple[PipelineModel, ModelChoice, str]:
    """The simplest of the best models, all that were tried, and the name of its features."""
    wanted = asked.model
    lag = whole_multiple(wanted.lag, dt, "[model] lag")
    lags = tuple(whole_multiple(each, dt, "[model] tica_lags") for each in wanted.tica_lags) or (lag,)
    scan = ModelScan(
        MarkovStateModel(lag, n_processes=SHOWN),
        lags,
        wanted.dims,
        clusterings=wanted.clusterings,
        n_states=wanted.states,
        splits=ShuffleSplit(wanted.splits),
    )
    table = scan.run(data, folder / "scan", progress("scoring models"))
    best = table.simplest.combination
    score = f"VAMP-2 score of {SHOWN + 1} functions, held out"
    choice = drawn_choice(
        table,
        score,
        lambda one: (
            f"{one.features}, {one.dim} slow at {significant(one.lagtime * dt * 1e-3)} ns, "
            f"{one.n_states} by {one.clustering}"
        ),
    )
    return scan.pipeline(best).fit(data[best.features]), choice, best.features


@dataclass(frozen=True, eq=False)
class _Run:
    """What all parts of the study look at."""

    asked: ProteinStudy
    atoms: Topology
    files: list[TrajectoryFile]
    data: Trajectories
    model: PipelineModel
    sets: MetastableSets
    kT: float
    dt: float

    @property
    def coordinates(self) -> list[np.ndarray]:
        """Slow coordinates of every trajectory."""
        return [np.asarray(each, float) for each in self.model.reduction.transform(self.data).blocks]

    @property
    def microstates(self) -> list[np.ndarray]:
        return list(self.model.markov.trajectories.blocks)

    @property
    def members(self) -> list[np.ndarray]:
        """The long-lived set of every frame, -1 for none."""
        return [self.sets.assignments[own] for own in self.microstates]

    @property
    def weights(self) -> list[np.ndarray]:
        """Of every frame: the population of its state over the frames in it."""
        own = self.microstates
        seen = np.bincount(np.concatenate(own), minlength=self.model.markov.n_states)
        each = self.model.markov.stationary_distribution / np.maximum(seen, 1)
        return [each[states] for states in own]

    @property
    def representatives(self) -> tuple[list[tuple[int, int]], np.ndarray]:
        """Of each long-lived set the frame nearest to its mean: its place, and all positions."""
        places = [self.places[k] for k in self._nearest()]
        return places, self._positions(places)

    @property
    def places(self) -> list[tuple[int, int]]:
        """Trajectory and frame of every frame."""
        return [(k, frame) for k, own in enumerate(self.microstates) for frame in range(len(own))]

    def _nearest(self) -> list[int]:
        values, members = np.concatenate(self.coordinates), np.concatenate(self.members)
        found = []
        for k in range(len(self.sets.populations)):
            own = np.flatnonzero(members == k)
            if len(own):
                gaps = np.linalg.norm(values[own] - np.average(values[own], axis=0), axis=1)
                found.append(int(own[gaps.argmin()]))
        return found

    def _positions(self, places: list[tuple[int, int]]) -> np.ndarray:
        """Of frames in any order, ``(frames, atoms, 3)``."""
        order = sorted(range(len(places)), key=lambda k: places[k])
        found, _ = positions_at(self.files, [places[k] for k in order])
        return found[np.argsort(order)]

    def landscape(self) -> Surface | None:
        values = [each[:, :2] for each in self.coordinates]
        if values[0].shape[1] < 2:
            return None
        with np.errstate(divide="ignore"):
            logs = [np.log(each) for each in self.weights]
        frames = Weighted((0,) * len(values), logs, logs, self.kT, self.dt)
        return variable_surface("slow coordinates", ("slow 1", "slow 2"), values, frames)

    def described(self, structures: np.ndarray) -> tuple[LongLivedSet, ...]:
        """The sets that have frames, with a structure of each."""
        members = np.concatenate(self.members)
        seen = [k for k in range(len(self.sets.populations)) if (members == k).any()]
        turned = turned_onto(structures[0], structures)
        return tuple(
            LongLivedSet(f"set {k + 1}", float(self.sets.populations[k]), int((members == k).sum()), each)
            for k, each in zip(seen, turned)
        )

    def starts(self, wanted: Starts, folder: Path) -> StartsFound:
        """Frames of every set and far from each other, and combinations of parts of the sets' structures."""
        values, chosen = np.concatenate(self.coordinates), self._nearest()
        gaps = np.min([np.linalg.norm(values - values[k], axis=1) for k in chosen], axis=0)
        while len(chosen) < min(wanted.count, len(values)):
            chosen.append(int(gaps.argmax()))
            gaps = np.minimum(gaps, np.linalg.norm(values - values[chosen[-1]], axis=1))
        places, members = [self.places[k] for k in chosen], np.concatenate(self.members)[chosen]
        positions = self._positions(places)
        results = folder / "results"
        results.mkdir(parents=True, exist_ok=True)
        write_trajectory(results / "starts.pdb", positions, self.atoms)
        rows = [
            (self.files[file].path.name, frame, int(own) + 1) for (file, frame), own in zip(places, members)
        ]
        if not wanted.fragments:
            return StartsFound(tuple(rows), 0, 0)
        parts = [_residues(each, self.atoms, "[starts] fragments") for each in wanted.fragments]
        found = chimeras(self._positions(self.representatives[0]), self.atoms, parts)
        if len(found.positions):
            write_trajectory(results / "chimeras.pdb", found.positions, self.atoms)
        return StartsFound(tuple(rows), len(found.positions), found.tried)

    def function(self, wanted: FunctionAsked) -> FunctionFound:
        """The motion of CA atoms that goes with a function."""
        residue = residue_of_atoms(self.atoms)
        carbons = np.array([k for k, name in enumerate(self.atoms.names) if name == "CA"], int)
        frames = [np.concatenate([chunk.positions[:, carbons] for chunk in file]) for file in self.files]
        kept = np.ones(len(carbons), bool)
        if wanted.values is not None:
            values = np.loadtxt(self.asked.path(wanted.values), ndmin=1)
            if len(values) != self.data.n_frames:
                raise StudyError(
                    f"{wanted.values} has {len(values)} numbers for {self.data.n_frames} frames; give one of each"
                )
            function = np.split(values[:, None], np.cumsum([len(each) for each in frames])[:-1])
            name = f"function in {Path(wanted.values).name}"
        else:
            groups = [_residues(each, self.atoms, "[function] between") for each in wanted.between]
            first, second = (np.isin(residue[carbons], own) for own in groups)
            function = [
                np.linalg.norm(each[:, first].mean(1) - each[:, second].mean(1), axis=1)[:, None]
                for each in frames
            ]
            name = f"distance of residues {wanted.between[0]} and {wanted.between[1]} [nm]"
            near = {
                k + step for own in groups for k in own for step in range(-wanted.beside, wanted.beside + 1)
            }
            kept = ~np.isin(residue[carbons], list(near))
        reference = np.zeros((len(self.atoms), 3))
        reference[carbons[kept]] = mean_structure(np.concatenate(frames)[:, kept])
        inside = SuperposedCoordinates(reference, carbons[kept].tolist(), topology=self.atoms)
        whole = []
        for each in frames:
            positions = np.zeros((len(each), len(self.atoms), 3), np.float32)
            positions[:, carbons] = each
            whole.append(evaluate(inside, positions))
        model: FunctionalModeModel = FunctionalModes().fit(
            Trajectories(whole, dt=self.dt, names=inside.names), function
        )
        labels = [self.atoms.residue(int(k)) for k in carbons[kept]]
        return FunctionFound(
            name,
            model.correlation,
            model.held_out_error,
            model.probability,
            model.predictable,
            model.components,
            model.amplitudes(labels),
        )

    def pockets(self, wanted: PocketsAsked, told: Told) -> tuple[PocketInSets, ...]:
        """Sites over frames evenly spread, in each set and in all."""
        finder = (
            BuriedPockets() if wanted.model is None else SiteForestModel.load(self.asked.path(wanted.model))
        )
        protein, heavy = self._protein()
        chosen = np.unique(
            np.linspace(0, self.data.n_frames - 1, min(wanted.frames, self.data.n_frames)).round().astype(int)
        )
        places = [self.places[k] for k in chosen]
        positions = self._positions(places)
        found = []
        for number, frame in enumerate(positions, 1):
            found.append(finder.find(protein.moved(frame[heavy].astype(float))))
            told(f"{number} of {len(positions)} frames", number / len(positions))
        members = np.concatenate(self.members)[chosen]
        states = np.concatenate(self.microstates)[chosen]
        seen = np.bincount(states, minlength=self.model.markov.n_states)
        weights = (self.model.markov.stationary_distribution / np.maximum(seen, 1))[states]
        runs = np.array([file for file, _ in places])
        before = finder.find(protein)
        sites = []
        for site in PocketTracking().fit(found).sites[: wanted.first]:
            is_open = site.is_open(wanted.volume * ANGSTROM**3)
            energy = opening_free_energy(
                [is_open[runs == k] for k in np.unique(runs)],
                self.kT,
                [weights[runs == k] for k in np.unique(runs)],
            )
            shares = tuple(
                float(is_open[members == k].mean()) if (members == k).any() else float("nan")
                for k in range(len(self.sets.populations))
            )
            given = float(overlapping_volumes([before], site.core, NEAR)[0])
            sites.append(
                PocketInSets(site.core, shares, energy, float(np.median(site.volumes[site.is_open()])), given)
            )
        return tuple(sites)

    def _protein(self) -> tuple[TypedAtoms, np.ndarray]:
        """Typed atoms of the structure given, and which atoms of the frames they are."""
        path = self.asked.path(self.asked.trajectories.topology)
        protein = read_protein(path).atoms
        own = np.isin(residue_of_atoms(self.atoms), protein_residues(self.atoms))
        heavy = np.intersect1d(np.flatnonzero(own), self.atoms.heavy_atoms)
        if len(heavy) != len(protein):
            raise StudyError(
                f"{path} has {len(protein)} heavy atoms of a protein, the frames {len(heavy)}; pockets need a PDB or "
                "mmCIF file of the very atoms of the frames"
            )
        return protein, heavy

    def notes(self) -> list[str]:
        """What speaks against the model and the sets."""
        found = [self.sets.told] if self.sets.told else []
        if not self.model.markov.active.complete:
            found.append(f"Markov model: {self.model.markov.active}")
        return found


def _residues(text: str, atoms: Topology, where: str) -> list[int]:
    """Places in the file of residues ``"10-20"`` or ``"A:10-20"`` by their numbers.

    Raises
    ------
    StudyError
        If there are none.
    """
    chain, _, numbers = text.rpartition(":")
    first, _, last = numbers.partition("-")
    residue = residue_of_atoms(atoms)
    try:
        low, high = int(first), int(last or first)
    except ValueError:
        raise StudyError(f'{where} "{text}" are no residues; give "10-20" or "A:10-20"') from None
    wanted = (np.array(atoms.residue_ids) >= low) & (np.array(atoms.residue_ids) <= high)
    if chain:
        wanted &= np.array(["ABCDEFGHIJKLMNOPQRSTUVWXYZ"[k % 26] for k in atoms.chains]) == chain
    wanted &= np.isin(residue, protein_residues(atoms))
    if not wanted.any():
        raise StudyError(
            f'{where} "{text}" fits no residue of the protein; numbers go from {min(atoms.residue_ids)} to '
            f"{max(atoms.residue_ids)}"
        )
    return np.unique(residue[wanted]).tolist()


def _told_starts(found: StartsFound | None) -> tuple[str, ...]:
    if found is None:
        return ()
    more = f", {found.chimeras} of {found.tried} chimeras fit" if found.tried else ""
    return (f"{len(found.frames)} structures to begin anew are in results/starts.pdb{more}.",)


def _told_function(found: FunctionFound | None) -> tuple[str, ...]:
    if found is None:
        return ()
    said = "goes with a motion" if found.predictable else "goes with no motion that could be told from chance"
    first = f"; {', '.join(found.ranking.names[:4])} move most" if found.predictable else ""
    held_out = f"{found.correlation:.3f} ± {found.error:.2g}"
    return (f"The {found.name} {said}: correlation {held_out} on data left out{first}.",)


def _told_pockets(found: tuple[PocketInSets, ...] | None) -> tuple[str, ...]:
    if not found:
        return () if found is None else ("No pockets in the frames looked at.",)
    hidden = [each for each in found if not each.given]
    if not hidden:
        return (f"{len(found)} sites, all of which the structure given has, too.",)
    best = hidden[0]
    return (
        f"{len(hidden)} of {len(found)} sites are absent from the structure given; the most frequent, about "
        f"{', '.join(best.core[:4])}, is open with a probability of {significant(best.energy.probability)}.",
    )


def _worth_nothing(choice: ModelChoice) -> tuple[Diagnosis, ...]:
    """A warning if the model in use scores no better than the constant function alone, which has a score of one."""
    best = choice.candidates[choice.chosen]
    if best.score - np.nan_to_num(best.error) > 1.0:
        return ()
    return (
        Diagnosis(
            "warning",
            f"On trajectories left out the model scores {best.score:.2f}, no better than one without slow functions "
            "(1): states and populations are of these trajectories alone. Give longer ones, or fewer states.",
        ),
    )


def _certainty(choice: ModelChoice, model: PipelineModel) -> tuple[str, ...]:
    best = choice.candidates[choice.chosen]
    resolved = [each for each in model.markov.processes[:SHOWN] if each.resolved]
    seen = (
        f"{len(resolved)} of {SHOWN} slow processes were crossed often enough to be told."
        if resolved
        else "No slow process was crossed often enough to be told; populations are as the trajectories have them."
    )
    error = f" ± {best.error:.2f}" if np.isfinite(best.error) else ", of one division alone,"
    training = f", {best.training:.2f} in training" if np.isfinite(best.training) else ""
    return (f"Score {best.score:.2f}{error} on halves left out{training}.", seen)
