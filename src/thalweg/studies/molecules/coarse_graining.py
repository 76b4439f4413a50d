"""A coarse model from one run file: frames mapped, a potential fitted, simulated, judged, written for other programs.

=======================  =======================================================================
``frames.thalweg``       frames of beads
``model.thalweg``        the potential; `Model.load` gives it back, with the same energies
``simulated.thalweg``    frames of the model's own dynamics
``comparison.thalweg``   what these say beside the reference
``card.json``            what the model was fitted to, and where it holds
``exports/``             the model for other programs
=======================  =======================================================================

Each is kept as soon as it is there, so that the same command goes on where it was stopped and ends at the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.coarse_graining.bead_frames import BeadFrames
from thalweg.coarse_graining.fitting.boltzmann_inversion import BoltzmannInversion
from thalweg.coarse_graining.fitting.denoising import denoised
from thalweg.coarse_graining.fitting.force_matching import ForceMatching
from thalweg.coarse_graining.fitting.iterative_inversion import IterativeBoltzmannInversion
from thalweg.coarse_graining.fitting.linear_model import LinearCoarseModel
from thalweg.coarse_graining.fitting.network import NetworkCoarseModel, NetworkForceMatching
from thalweg.coarse_graining.fitting.relative_entropy import RelativeEntropy
from thalweg.coarse_graining.interactions.interaction import BondedInteraction, Interaction
from thalweg.coarse_graining.judgement.models import ModelComparison, compare_models
from thalweg.kinetics.validation.acceleration import TimescaleRatios
from thalweg.learning.storage import load_tree, save_tree
from thalweg.machine import disk
from thalweg.machine.links import check_links
from thalweg.machine.versions import versions
from thalweg.machine.whole_files import write_whole
from thalweg.report.accounting import citations
from thalweg.report.json_values import jsonable
from thalweg.report.of_molecules.coarse_pages import CoarseResults, write_coarse_report
from thalweg.report.page_parts import sentence
from thalweg.report.results import Diagnosis
from thalweg.studies.analyzing import Told
from thalweg.studies.molecules.coarse_frames import Mapped, mapped_study
from thalweg.studies.tables.coarse_study import CoarseMethod, CoarseStudy
from thalweg.studies.tables.language import StudyError
from thalweg.units import BOLTZMANN

CoarseModel = LinearCoarseModel | NetworkCoarseModel

CITED = {
    ForceMatching: ("izvekov2005", "noid2008", "kramer2023"),
    RelativeEntropy: ("shell2008",),
    BoltzmannInversion: ("tschop1998",),
    IterativeBoltzmannInversion: ("reith2003",),
    NetworkForceMatching: ("wang2019", "kramer2023"),
}
"""Works that each method rests on."""

PROGRAMS = {"openmm": "OpenMM", "lammps": "LAMMPS"}
"""Programs a model is written for, by what they are called in a study."""

MOST_FUNCTIONS = 4000
"""Functions a model may be a sum of: memory and time grow with the square and the cube of their number."""

BELOW_FLOOR = 2.0
"""A divergence up to so many times that of the halves of the reference cannot be told from none."""


def _silence(_: str) -> Told:
    return lambda text, share: None


def coarse_study(
    asked: CoarseStudy, folder: Path, progress: Callable[[str], Told] = _silence
) -> CoarseResults:
    """Carry out a study and write its page into ``folder``, where one that was stopped goes on.

    Raises
    ------
    ValueError, FileNotFoundError
        If a file or a setting is wrong, or the folder holds another study; the message says which.
    RuntimeError
        If the model's dynamics break in every replica.
    """
    check_links(folder)
    disk.make_folder(folder)
    _same_study(asked, folder)

    told = progress("reading and mapping")
    reference = Mapped(
        **_kept(folder / "frames.thalweg", lambda: vars(mapped_study(asked, asked.trajectories, told)))
    )
    frames = reference.frames
    told("done", 1.0)
    _check_number(asked.interactions.count(reference.bonds, frames), frames)
    interactions = asked.interactions.of(reference.bonds, frames)
    fitting = progress("fitting")
    method = _method(asked, reference, interactions, fitting)
    fitting(type(method).__name__, 0.0)
    model: CoarseModel = _kept(folder / "model.thalweg", lambda: _fitted(asked, method, frames))
    fitting("done", 1.0)
    simulating = progress("simulating the model")
    simulating("dynamics", 0.0)
    drawn = _kept(
        folder / "simulated.thalweg",
        lambda: asked.simulation.run(model.energy(), frames, seed=asked.seed),
    )
    simulating("done", 1.0)
    judging = progress("judging")
    comparison = _kept(folder / "comparison.thalweg", lambda: _compared(asked, reference, drawn))
    transferred = {}
    for k, other in enumerate(asked.transfer):
        found = mapped_study(asked, other)
        judging(f"transfer to {found.frames.kT / BOLTZMANN:g} K", k / len(asked.transfer))
        own = asked.simulation.run(model.energy(), found.frames, seed=asked.seed)
        transferred[f"{found.frames.kT / BOLTZMANN:.4g} K"] = _compared(
            asked, replace(found, bonds=reference.bonds), own
        )
    judging("done", 1.0)
    exported = _exported(asked, model, frames, folder)
    card = _card(asked, method, model, frames, comparison, folder)
    write_whole(folder / "card.json", json.dumps(jsonable(card), indent=1) + "\n")
    results = CoarseResults(
        title=asked.title,
        subtitle=f"{frames.positions.shape[1]} beads, {len(frames)} frames at {frames.kT / BOLTZMANN:.4g} K",
        asked=(f"A potential of {frames.positions.shape[1]} beads by {type(method).__name__}.",),
        found=tuple(sentence(each) for each in comparison.in_words()),
        certainty=_certainty(comparison, model),
        diagnoses=tuple(
            Diagnosis("warning" if serious else "note", sentence(text))
            for serious, text in _doubts(asked, reference, model, comparison, exported)
        ),
        provenance={"settings": _settings(asked), "versions": versions()},
        citations=citations(
            (*CITED[type(method)], "lin1991", *(("nuske2019",) if comparison.dynamics else ()))
        ),
        card=card,
        model=model,
        comparison=comparison,
        transferred=transferred,
        kT=frames.kT,
    )
    write_coarse_report(results, folder)
    return results


def _kept(path: Path, make: Callable[[], Any]) -> Any:
    """What is in the file, made first if it is not there."""
    if not disk.exists(path):
        save_tree(path, make())
    return load_tree(path)


def _same_study(asked: CoarseStudy, folder: Path) -> None:
    """Refuse to go on in the folder of another study."""
    seen = [
        [str(path), path.stat().st_size, path.stat().st_mtime_ns]
        for given in (asked.trajectories, *asked.transfer)
        for path in asked.files(given)
        if path.is_file()
    ]
    text = json.dumps({"study": jsonable(dict(asked.table)), "files": seen}, indent=1, sort_keys=True) + "\n"
    file = folder / "study.json"
    if disk.exists(file) and disk.exists(folder / "frames.thalweg"):
        before = json.loads(file.read_text("utf-8"))
        now = json.loads(text)
        if before != now:
            changed = [key for key in now["study"] if before["study"].get(key) != now["study"][key]]
            raise StudyError(
                f"{folder} holds another study: {'its files' if not changed else ', '.join(changed)} changed since; "
                "give another --out, or remove that folder"
            )
        return
    write_whole(file, text)


def _method(
    asked: CoarseStudy, reference: Mapped, interactions: tuple[Interaction, ...], told: Told
) -> CoarseMethod:
    """The method asked for, or the right one: forces if there are any, else positions of a molecule or of a liquid."""
    frames, made = reference.frames, asked.model
    if made is None:
        if frames.forces is not None:
            made = ForceMatching(())
        elif (
            frames.boxes is not None and not len(reference.bonds) and len(set(np.asarray(frames.kinds))) == 1
        ):
            (pairs,) = asked.interactions.pairs(frames).values()
            made = IterativeBoltzmannInversion(pairs)
        else:
            made = RelativeEntropy(())
    if isinstance(made, ForceMatching | NetworkForceMatching):
        frames.needed_forces()
    bonded = [one for one in interactions if isinstance(one, BondedInteraction) and len(one.coordinates) == 1]
    if isinstance(made, ForceMatching):
        return replace(made, interactions=interactions)
    if isinstance(made, BoltzmannInversion):
        return replace(made, interactions=[one for one in bonded if not one.name.startswith("pair ")])
    if isinstance(made, NetworkForceMatching):
        springs = [one for one in bonded if one.name.startswith(("bond", "angle"))]
        prior = BoltzmannInversion(springs).fit(frames).energy()
        seen = tuple(asked.interactions.coordinates(reference.bonds, frames).values())
        return replace(made, coordinates=seen, prior=prior, progress=told)
    if isinstance(made, IterativeBoltzmannInversion):
        pairs = asked.interactions.pairs(frames)
        if len(pairs) != 1 or len(reference.bonds):
            raise StudyError(
                f"[model] IterativeBoltzmannInversion is of one kind of bead that is not bonded; these have "
                f"{len(pairs)} kinds of pairs and {len(reference.bonds)} bonds: take RelativeEntropy, or "
                "ForceMatching with forces"
            )
        return replace(made, pairs=next(iter(pairs.values())), progress=_rounds(told, made.rounds))
    return replace(
        made,
        interactions=interactions,
        start=_start(interactions, frames),
        progress=_rounds(told, made.rounds),
    )


def _check_number(number: int, frames: BeadFrames) -> None:
    """Refuse more functions than are fitted in a sensible time, or than frames could tell apart."""
    most = min(MOST_FUNCTIONS, 3 * frames.positions.shape[1] * len(frames))
    if number > most:
        kinds = len(np.unique(np.asarray(frames.kinds)))
        raise StudyError(
            f"{number:,} functions of beads of {kinds} kinds, and {len(frames):,} frames are fitted by {most:,} at "
            "most: let residues be of one kind ([mapping] alike = true), give [interactions] coupled = 0 and fewer "
            "waves and splines, or more frames"
        )


def _start(interactions: tuple[Interaction, ...], frames: BeadFrames) -> np.ndarray:
    """Coefficients to begin with: inverted distributions of bonds, angles and torsions, zero for the rest."""
    found = []
    for one in interactions:
        single = isinstance(one, BondedInteraction) and len(one.coordinates) == 1
        if single and not one.name.startswith("pair "):
            found.append(BoltzmannInversion([one]).fit(frames).coefficients)
        else:
            found.append(np.zeros(len(one.names)))
    return np.concatenate(found)


def _rounds(told: Told, rounds: int) -> Callable[[str], None]:
    done = [0]

    def tell(text: str) -> None:
        done[0] += 1
        told(text, min(done[0] / rounds, 1.0))

    return tell


def _fitted(asked: CoarseStudy, method: CoarseMethod, frames: BeadFrames) -> CoarseModel:
    """The model; forces of molecules with noise, which smooths stiff coordinates: these are fitted again without."""
    smoothed = isinstance(method, ForceMatching | NetworkForceMatching) and frames.boxes is None
    if not (smoothed and asked.forces.copies):
        return method.fit(frames)
    model = method.fit(denoised(frames, asked.forces.sigma, asked.forces.copies, asked.seed))
    return model if isinstance(method, NetworkForceMatching) else _stiffened(method, model, frames)


def _stiffened(method: ForceMatching, model: LinearCoarseModel, frames: BeadFrames) -> LinearCoarseModel:
    """Bonds and angles matched to frames as they are, all else as it is."""
    sizes = [len(one.names) for one in model.interactions]
    stiff = np.array([getattr(one, "name", "").startswith(("bond", "angle")) for one in model.interactions])
    if not stiff.any():
        return model
    own = np.repeat(stiff, sizes)
    rest = replace(
        model,
        interactions=tuple(one for one, chosen in zip(model.interactions, stiff) if not chosen),
        coefficients=model.coefficients[~own],
        errors=model.errors[~own],
    )
    springs = tuple(one for one, chosen in zip(model.interactions, stiff) if chosen)
    again = replace(method, interactions=springs, prior=rest.energy()).fit(frames)
    coefficients, errors = model.coefficients.copy(), model.errors.copy()
    coefficients[own], errors[own] = again.coefficients, again.errors
    return replace(model, coefficients=coefficients, errors=errors)


def _compared(asked: CoarseStudy, reference: Mapped, drawn: BeadFrames) -> ModelComparison:
    wanted, frames = asked.judgement, reference.frames
    if wanted.lag is not None and reference.dt is None:
        raise StudyError(
            "[judgement] lag asks for time scales, and no file says the time between its frames; give [trajectories] dt"
        )
    times = None if reference.dt is None else (reference.dt, asked.simulation.save_every)
    ratios = None
    if wanted.lag is not None:
        ratios = TimescaleRatios(wanted.lag, wanted.processes, states=wanted.states, seed=asked.seed)
    pairs = asked.interactions.pairs(frames) if frames.boxes is not None else None
    coordinates = asked.interactions.coordinates(reference.bonds, frames)
    return compare_models(
        coordinates, frames, drawn, times=times, ratios=ratios, pairs=pairs, bins=wanted.bins
    )


def _exported(asked: CoarseStudy, model: CoarseModel, frames: BeadFrames, folder: Path) -> dict[str, str]:
    """Why a program could not be written for, by its name; empty where it was."""
    found = {}
    for program in asked.export:
        try:
            _write_for(program, model, frames, folder / "exports" / program)
            found[program] = ""
        except ValueError as error:
            found[program] = str(error)
    return found


def _write_for(program: str, model: CoarseModel, frames: BeadFrames, folder: Path) -> None:
    from thalweg.interop.coarse_models.lammps_tables import write_lammps
    from thalweg.interop.coarse_models.openmm_forces import write_openmm

    disk.make_folder(folder)
    {"openmm": write_openmm, "lammps": write_lammps}[program](model, frames, folder)


def _card(
    asked: CoarseStudy,
    method: CoarseMethod,
    model: CoarseModel,
    frames: BeadFrames,
    comparison: ModelComparison,
    folder: Path,
) -> dict[str, Any]:
    """What a user of the model must know of it."""
    surface = comparison.surface.comparison if comparison.surface else None
    return {
        "title": asked.title,
        "beads": list(frames.names),
        "masses [amu]": np.asarray(frames.masses).tolist(),
        "valid at [K]": round(frames.kT / BOLTZMANN, 3),
        "method": type(method).__name__,
        "fitted to": f"{len(frames)} frames of {len(frames.lengths)} trajectories",
        "forces were used": isinstance(method, ForceMatching | NetworkForceMatching),
        "fit": dict(model.info),
        "divergence of the surface [nat]": surface.divergence if surface else None,
        "of halves of the reference [nat]": surface.floor if surface else None,
        "error of the surface [kT]": surface.error if surface else None,
        "missed share of the reference": surface.missed if surface else None,
        "units": "nm, kJ/mol, ps, amu",
        "digest": hashlib.sha256((folder / "model.thalweg").read_bytes()).hexdigest(),
    }


def _certainty(comparison: ModelComparison, model: CoarseModel) -> tuple[str, ...]:
    said = []
    if comparison.surface is not None:
        one = comparison.surface.comparison
        near = one.divergence <= BELOW_FLOOR * one.floor
        said.append(
            "The surface is as near to the reference as its halves are to each other."
            if near
            else f"The surface is {one.divergence / max(one.floor, 1e-12):.1f} times as far from the reference as its "
            "halves are from each other: the model is wrong by more than chance."
        )
        said.append(f"The model's own halves differ by {one.own_floor:.4f} nat.")
    if isinstance(model, LinearCoarseModel) and np.isfinite(model.errors).any():
        with np.errstate(divide="ignore", invalid="ignore"):
            sure = np.abs(model.coefficients) > 2 * model.errors
        said.append(
            f"{int(sure.sum())} of {len(sure)} coefficients are more than two standard errors from zero."
        )
    return tuple(said)


def _doubts(
    asked: CoarseStudy,
    reference: Mapped,
    model: CoarseModel,
    comparison: ModelComparison,
    exported: dict[str, str],
) -> list[tuple[bool, str]]:
    """What speaks against the model, and whether that is serious."""
    found = [(False, each) for each in reference.notes]
    if reference.frames.forces is None:
        found.append(
            (
                False,
                "the frames have no forces: RelativeEntropy, BoltzmannInversion and IterativeBoltzmannInversion learn "
                "from positions alone; ForceMatching and NetworkForceMatching need forces",
            )
        )
    if model.info.get("settled") is False:
        found.append((True, "the fit had not settled after its last round; give [model] more rounds"))
    surface = comparison.surface.comparison if comparison.surface else None
    if surface and surface.divergence > BELOW_FLOOR * surface.floor:
        found.append(
            (
                True,
                "the free energy is not that of the reference; give finer functions, [interactions] kernels, or "
                'kind = "RelativeEntropy"',
            )
        )
    if surface and surface.missed > 0.01:
        found.append(
            (True, f"the model never visits where {100 * surface.missed:.0f} % of the reference are")
        )
    for program, why in exported.items():
        found.append((bool(why), why or f"the model for {PROGRAMS[program]} is in exports/{program}"))
    if asked.judgement.lag is None:
        found.append((False, "time scales were not compared; [judgement] lag asks for them"))
    return found


def _settings(asked: CoarseStudy) -> dict[str, str]:
    return {
        f"{name}, {key}": json.dumps(jsonable(value)) if isinstance(value, list | dict) else str(value)
        for name, own in asked.table.items()
        if isinstance(own, dict)
        for key, value in own.items()
        if value != []
    }
