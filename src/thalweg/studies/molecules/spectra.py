"""The infrared spectrum of a molecule, by dynamics and by normal modes: one command, one folder, resumable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from thalweg.interop.files.configurations import read_labeled
from thalweg.interop.quantum.levels import level_of
from thalweg.interop.rdkit.conformers import conformers
from thalweg.labeling.geometries.normal_modes import normal_modes
from thalweg.labeling.geometries.relaxation import nearest_minimum
from thalweg.labeling.known_potential import KnownPotential
from thalweg.labeling.level import Level
from thalweg.learned_potentials.properties.property_kernel import PropertyModel
from thalweg.learned_potentials.terms.term import Term
from thalweg.learning.storage import load_tree, save_tree, tree_digest
from thalweg.machine.links import check_links
from thalweg.machine.versions import versions
from thalweg.report.accounting import citations
from thalweg.report.of_molecules.spectrum_pages import SpectrumResults, write_spectrum_report
from thalweg.report.page_parts import sentence
from thalweg.report.results import Diagnosis
from thalweg.report.rounding import significant
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.label import DIGITS, asked
from thalweg.spectra.harmonic import HarmonicSpectrum, harmonic_spectrum
from thalweg.spectra.property_trajectories import property_trajectories
from thalweg.spectra.time_correlation import Infrared, Spectrum
from thalweg.studies.analyzing import Told
from thalweg.studies.evaluating import load_potential
from thalweg.studies.tables.language import StudyError
from thalweg.systems.configuration import Configuration
from thalweg.time_series.trajectories import Trajectories
from thalweg.units import quantity

RUN, MINIMUM = "dipoles.tree", "minimum.tree"
"""Dipoles along a run, and the minimum that runs start from, in their entries."""

STARTS = 3
"""Conformers of a SMILES, of whose minima the lowest is taken, at most."""

STEP, SEEN, BEGIN = 0.0005, 0.002, 0.5
"""Of dynamics, time between dipoles, and before the first [ps]."""

DAYS = 2.0
"""Time of one core beyond which runs are refused."""

VISIBLE = 200.0
"""Below this the molecule turns [1/cm]."""

CITED = {"GFN2-xTB": "bannwarth2019", "GFN1-xTB": "grimme2017"}


@dataclass(frozen=True)
class SpectrumStudy:
    """What to ask.

    Attributes
    ----------
    what : a SMILES, or a file whose first frame is the molecule
    level : as `level_of` takes it: what gives dipoles, and forces where there is no potential
    potential : file of a fitted potential, whose forces move the atoms
    dipole : file of a fitted `PropertyModel` that gives dipoles instead of the level
    temperature, duration : of each run, with unit
    runs : independent ones
    charge, unpaired : total charge [e] and unpaired electrons, where SMILES or file do not say
    seed : of conformers, momenta and noise
    """

    what: str
    level: str = "gfn2"
    potential: Path | None = None
    dipole: Path | None = None
    temperature: str = "300 K"
    duration: str = "5 ps"
    runs: int = 4
    charge: int = 0
    unpaired: int = 0
    seed: int = 0

    def __post_init__(self):
        if self.runs < 1:
            raise StudyError(f"--runs {self.runs}; give one or more, four for error bars of runs")
        if self.dipole is not None and self.potential is None:
            raise StudyError("--dipole goes with --potential, whose frames it was learned from")


def spectrum_study(wanted: SpectrumStudy, folder: Path, progress: Callable[[str], Told]) -> SpectrumResults:
    """Relax a molecule, run dynamics, and write ``spectrum.thalweg``, ``modes.thalweg`` and a report into ``folder``.

    Each run is kept in the store ``runs/`` of the folder when it is over; a second call goes on after those.

    Raises
    ------
    StudyError
        If the level is too dear for dynamics, or the molecule has a cell.
    ValueError, FileNotFoundError
        If a file, a SMILES or a setting is wrong, or the level cannot be asked about these atoms.
    """
    check_links(folder)
    forces, moments = _levels(wanted)
    starts = _starts(wanted)
    for level in (forces, moments):
        level.check(starts[0])
    _require_time(wanted, forces, moments, starts[0])
    store = Store(folder / "runs")
    told = progress("relaxing")
    minimum = _minimum(store, starts, forces)
    harmonic = harmonic_spectrum(normal_modes(minimum, forces), moments)
    told("relaxed", 1.0)
    dipoles = _dipoles(store, wanted, minimum, forces, moments, progress(f"dynamics by {forces.name}"))
    spectrum = Infrared(quantity(wanted.temperature, "temperature"), step=STEP).fit(dipoles)
    results = _results(wanted, forces, moments, spectrum, harmonic)
    write_spectrum_report(results, folder)
    spectrum.save(folder / "spectrum.thalweg")
    harmonic.save(folder / "modes.thalweg")
    return results


def _levels(wanted: SpectrumStudy) -> tuple[Level, Level]:
    """What gives forces, and what gives dipoles."""
    if wanted.potential is None:
        level = level_of(wanted.level, wanted.charge, wanted.unpaired)
        if not isinstance(level, Term):
            raise StudyError(
                f"{level.name} is too dear to be asked at every step; give gfn2, or a potential that learned from it "
                "by --potential"
            )
        return level, level
    potential = load_potential(wanted.potential)
    if wanted.dipole is None:
        moments = level_of(wanted.level, wanted.charge, wanted.unpaired)
        return KnownPotential(potential, wanted.potential.name), moments
    known = KnownPotential(potential, wanted.potential.name, (PropertyModel.load(wanted.dipole),))
    return known, known


def _starts(wanted: SpectrumStudy) -> list[Configuration]:
    """Conformers of a SMILES, or the first frame of a file."""
    path = Path(wanted.what)
    if not path.exists():
        if path.suffix:
            raise FileNotFoundError(2, "there is no such file, and it is no SMILES", wanted.what)
        return conformers(wanted.what, STARTS, wanted.seed)
    frames = read_labeled(path).frames
    if not frames:
        raise StudyError(f"{path} holds no frames")
    if any(frames[0].periodic):
        raise StudyError(f"{path} has a cell, whose dipole is not one number; give a molecule")
    return [frames[0].unlabeled]


def _require_time(wanted: SpectrumStudy, forces: Level, moments: Level, frame: Configuration) -> None:
    """Refuse what would take days, with the number."""
    time = quantity(wanted.duration, "time")
    seconds = wanted.runs * (
        (time + BEGIN) / STEP * forces.seconds(frame) + time / SEEN * moments.seconds(frame)
    )
    if seconds > DAYS * 86400:
        raise StudyError(
            f"{wanted.runs} runs of {wanted.duration} would take some {seconds / 86400:.0f} days by {forces.name} with "
            f"dipoles by {moments.name}, more than {DAYS:g}; give a shorter --duration, or learn a potential and a "
            "dipole and give both"
        )


def _minimum(store: Store, starts: Sequence[Configuration], level: Level) -> Configuration:
    """The lowest of the minima nearest to the ``starts``, relaxed once."""
    entry = f"minima/{tree_digest((level, tuple(map(asked, starts))))[:DIGITS]}"
    if not store.has(entry):
        found = [nearest_minimum(asked(start), level) for start in starts]
        lowest = min(found, key=lambda frame: frame.energy)
        store.commit(entry, lambda folder: save_tree(folder / MINIMUM, lowest))
    return load_tree(store.file(entry, MINIMUM))


def _dipoles(
    store: Store,
    wanted: SpectrumStudy,
    minimum: Configuration,
    forces: Level,
    moments: Level,
    told: Told,
) -> Trajectories:
    """Dipoles along each run, of which those that are in the store are not run again."""
    blocks = []
    for seed in range(wanted.seed, wanted.seed + wanted.runs):
        blocks.append(_run(store, wanted, minimum, forces, moments, seed))
        told(f"{len(blocks)} of {wanted.runs} runs", len(blocks) / wanted.runs)
    return Trajectories(blocks, dt=SEEN)


def _run(
    store: Store,
    wanted: SpectrumStudy,
    minimum: Configuration,
    forces: Level,
    moments: Level,
    seed: int,
) -> np.ndarray:
    """Dipoles along one run, (frames, 3) [e nm]."""
    temperature, time = quantity(wanted.temperature, "temperature"), quantity(wanted.duration, "time")
    settings = (forces, moments, asked(minimum), temperature, time, BEGIN, SEEN, STEP, seed)
    entry = f"dynamics/{tree_digest(settings)[:DIGITS]}"
    if not store.has(entry):
        term = forces.term if isinstance(forces, KnownPotential) else forces
        of = partial(_moments, moments)
        run = property_trajectories(
            minimum, term, of, temperature, 1, time, BEGIN, SEEN, STEP, seed=seed
        ).blocks[0]
        store.commit(entry, lambda folder: save_tree(folder / RUN, np.asarray(run)))
    return load_tree(store.file(entry, RUN))


def _moments(level: Level, frames: Sequence[Configuration]) -> list[np.ndarray]:
    """Dipoles of frames, all at once where a model says them."""
    if isinstance(level, KnownPotential):
        return list(level.properties[0].predict(frames))
    return [level.label(frame).properties["dipole"] for frame in frames]


def _results(
    wanted: SpectrumStudy, forces: Level, moments: Level, spectrum: Spectrum, harmonic: HarmonicSpectrum
) -> SpectrumResults:
    both = forces.name if forces is moments else f"{forces.name}, dipoles by {moments.name}"
    path = Path(wanted.what)
    keys = ["ramirez2004", "welch1967", "percival1993"]
    keys += [CITED[level.name] for level in (forces, moments) if level.name in CITED]
    settings = {
        "what": wanted.what,
        "temperature": wanted.temperature,
        "duration": wanted.duration,
        "runs": str(wanted.runs),
        "time step": f"{1000 * STEP:g} fs",
        "seed": str(wanted.seed),
    }
    return SpectrumResults(
        title=f"Infrared spectrum of {path.name if path.exists() else wanted.what}",
        subtitle=f"{both}, {wanted.temperature}, {wanted.runs} runs of {wanted.duration}",
        spectrum=spectrum,
        harmonic=harmonic,
        asked=(f"Absorption by {wanted.runs} runs of {wanted.duration} at {wanted.temperature} by {both}.",),
        found=_found(spectrum, harmonic),
        certainty=(
            f"The spectrum is as good as a mean of {spectrum.independent_pieces:.0f} independent pieces: a maximum is "
            f"a band where it is {significant(spectrum.least_ratio)} times as high as the dips beside it.",
            "Nuclei are classical: bands of hydrogens lie some tens of wavenumbers too high.",
        ),
        diagnoses=tuple(Diagnosis("warning", sentence(note)) for note in spectrum.notes),
        provenance={
            "settings": settings,
            "forces": dict(forces.provenance()),
            "dipoles": dict(moments.provenance()),
            "versions": versions(),
        },
        citations=citations(tuple(dict.fromkeys(keys))),
    )


def _found(spectrum: Spectrum, harmonic: HarmonicSpectrum) -> tuple[str, ...]:
    """Bands of dynamics, the strongest normal modes, and the intensity of both."""
    bands = [
        f"{peak:.0f} ± {error:.0f}" if error >= 0.5 else f"{peak:.0f}"
        for peak, error in zip(spectrum.peaks(), spectrum.peak_errors())
        if peak > VISIBLE
    ]
    strongest = ", ".join(
        f"{harmonic.wavenumbers[k]:.0f} ({harmonic.intensities[k]:.0f} km/mol)"
        for k in np.sort(np.argsort(-harmonic.intensities)[:4])
    )
    value, error = spectrum.intensity(VISIBLE, spectrum.wavenumbers[-1])
    spread = f" ± {significant(error)}" if np.isfinite(error) else ""
    lines = significant(float(harmonic.intensities[harmonic.wavenumbers > VISIBLE].sum()))
    return (
        f"Bands of dynamics above {VISIBLE:g} 1/cm: {', '.join(bands)}."
        if bands
        else f"Dynamics has no bands above {VISIBLE:g} 1/cm that are no chance.",
        f"Strongest normal modes: {strongest}.",
        f"Intensity above {VISIBLE:g} 1/cm: {significant(value)}{spread} km/mol; of the normal modes {lines}.",
    )
