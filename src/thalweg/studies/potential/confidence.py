"""An envelope of confidence from files: made of a model and the frames it was taught, asked about new ones, drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from thalweg.interop.files.configurations import read_labeled
from thalweg.learned_potentials.confidence.envelope import Envelope, verdict_of
from thalweg.learned_potentials.frames.duplicates import contacts
from thalweg.learned_potentials.frames.errors import residuals
from thalweg.learned_potentials.uncertainty.calibrated import root_mean_squares
from thalweg.learning.calibration import roc_area
from thalweg.learning.splits import random_split
from thalweg.machine.links import check_links
from thalweg.machine.versions import versions
from thalweg.machine.whole_files import is_vacant
from thalweg.report.accounting import citations
from thalweg.report.of_potentials.envelopes import EnvelopeResults, write_envelope_report
from thalweg.report.results import Diagnosis, ViewerMolecule
from thalweg.report.rounding import significant
from thalweg.studies.analyzing import Told
from thalweg.studies.evaluating import load_potential
from thalweg.studies.tables.language import StudyError
from thalweg.systems.configuration import Configuration
from thalweg.systems.elements import COVALENT_RADII, SYMBOLS
from thalweg.units import unit

ENVELOPE = "envelope.thalweg"
"""The envelope in its folder."""

DRAWN = 1000
"""Training frames on the map, at most."""

BOND = 1.25
"""Atoms nearer than this multiple of the sum of their covalent radii are drawn bonded."""

MEV_PER_ANGSTROM = unit("meV/Å", "force")


@dataclass(frozen=True)
class EnvelopeStudy:
    """What to ask.

    Attributes
    ----------
    model : a model, or the folder of a fit
    new : files of frames, labeled or not
    train : file of the frames it was taught
    held_out : file of labeled frames like these that it was not taught
    limit : multiple of the usual force error that is too much
    """

    model: Path
    new: tuple[Path, ...]
    train: Path
    held_out: Path
    limit: float = 3.0


def envelope_study(asked: EnvelopeStudy, folder: Path, progress: Callable[[str], Told]) -> EnvelopeResults:
    """Make the envelope, ask it about all frames, and write the page and ``envelope.thalweg`` into ``folder``.

    Raises
    ------
    StudyError
        If the folder is not empty, or a file holds no frames.
    ValueError
        If the model or a file cannot be read, or held-out frames cannot calibrate it.
    """
    check_links(folder)
    if not is_vacant(folder):
        raise StudyError(f"{folder} is there and is not an empty folder; give another --out, or remove it")
    potential = load_potential(asked.model)
    sets = {"training": _frames(asked.train), "held out": _frames(asked.held_out)}
    sets |= {str(path): _frames(path) for path in asked.new}
    told = progress("making the envelope")
    envelope = Envelope.of(potential, sets["training"], sets["held out"], limit=asked.limit)
    told("made", 0.6)
    shown = random_split(len(sets["training"]), [min(DRAWN, len(sets["training"]))])[0]
    sets["training"] = [sets["training"][k] for k in np.sort(shown)]
    results = _results(asked, envelope, sets)
    told("asked", 1.0)
    write_envelope_report(results, folder)
    envelope.save(folder / ENVELOPE)
    return results


def _frames(path: Path) -> list[Configuration]:
    frames = list(read_labeled(path).frames)
    if not frames:
        raise StudyError(f"{path} holds no frames")
    return frames


def _results(
    asked: EnvelopeStudy, envelope: Envelope, sets: dict[str, list[Configuration]]
) -> EnvelopeResults:
    frames = [frame for some in sets.values() for frame in some]
    names = [name for name, some in sets.items() for _ in some]
    expected, odds = envelope.score(frames), envelope.probabilities(frames)
    verdicts = [
        "" if name == "training" else verdict_of(one, envelope.inside) for name, one in zip(names, odds)
    ]
    coordinates, explained = _on_map(envelope, sets["training"], frames)
    errors = _errors(envelope, frames, expected) / MEV_PER_ANGSTROM
    limit = envelope.limit * envelope.usual / MEV_PER_ANGSTROM
    found, certainty = [], [f"The usual force error is {significant(limit / envelope.limit)} meV/Å (RMS)."]
    for name in list(sets)[1:]:
        own = [one for one, of in zip(verdicts, names) if of == name]
        counts = ", ".join(f"{own.count(each)} {each}" for each in ("inside", "border", "outside"))
        found.append(f"{name}: of {len(own)} frames {counts}.")
    judged = np.isfinite(errors) & (np.array(verdicts) != "")
    bad = errors[judged] > limit
    if bad.any() and not bad.all():
        area = roc_area(np.minimum(expected[judged], 1e12), bad)
        caught = np.mean(np.array(verdicts)[judged][bad] != "inside")
        certainty.append(
            f"By their labels {bad.sum()} of {len(bad)} frames have more than {significant(limit)} meV/Å; "
            f"{100 * caught:.0f} % of these are not inside (area under the ROC {area:.3f})."
        )
    return EnvelopeResults(
        title=f"Envelope of {asked.model.name}",
        subtitle=f"{len(frames)} frames, {len(asked.new)} new files",
        sets=tuple(names),
        places=tuple(k for some in sets.values() for k in range(len(some))),
        coordinates=coordinates,
        explained=explained,
        expected=expected / MEV_PER_ANGSTROM,
        probabilities=odds,
        verdicts=tuple(verdicts),
        errors=errors,
        limit=limit,
        molecules=tuple(_drawn(frame) for frame in frames),
        structures=tuple(np.asarray(frame.positions, float) for frame in frames),
        asked=(
            f"Where {asked.model} may be believed: outside is a force error of more than {envelope.limit:g} times the "
            f"usual one more probable than not, inside at most {100 * envelope.inside:.0f} %.",
        ),
        found=tuple(found),
        certainty=tuple(certainty),
        diagnoses=tuple(Diagnosis("warning", note) for note in envelope.notes),
        provenance={
            "files": {
                "model": str(asked.model),
                "training": str(asked.train),
                "held out": str(asked.held_out),
            },
            "versions": versions(),
        },
        citations=citations(("bigi2024", "schran2020", "christensen2020")),
    )


def _on_map(
    envelope: Envelope, training: Sequence[Configuration], frames: Sequence[Configuration]
) -> tuple[np.ndarray, tuple[float, float]]:
    """Places of ``frames`` in the two directions in which ``training`` frames differ most, and their shares.

    A frame is the mean of its environments' features by element; frames with unknown elements go to the far corner.
    """
    known = set(envelope.environments.representation.elements)
    drawn = [set(map(int, frame.numbers)) <= known for frame in frames]
    rows = _means(envelope, [*training, *(frame for frame, one in zip(frames, drawn) if one)])
    base = rows[: len(training)]
    center = base.mean(0)
    _, sizes, axes = np.linalg.svd(base - center, full_matrices=False)
    axes = np.vstack([axes, np.zeros((2, rows.shape[1]))])[:2]
    shares = np.append(sizes**2, [0.0, 0.0])[:2] / max(np.sum(sizes**2), 1e-300)
    places = np.empty((len(frames), 2))
    found = (rows[len(training) :] - center) @ axes.T
    places[drawn] = found
    places[~np.array(drawn)] = found.max(0) if len(found) else 0.0
    return places, (float(shares[0]), float(shares[1]))


def _means(envelope: Envelope, frames: Sequence[Configuration]) -> np.ndarray:
    """Mean features of the atoms of each element, side by side, (frames, elements * features)."""
    representation = envelope.environments.representation
    rows = []
    for frame, own in zip(frames, representation.features(frames)):
        numbers = np.asarray(frame.numbers)
        parts = [own[numbers == z].mean(0) if z in numbers else 0 * own[0] for z in representation.elements]
        rows.append(np.concatenate(parts))
    return np.array(rows)


def _errors(envelope: Envelope, frames: Sequence[Configuration], expected: np.ndarray) -> np.ndarray:
    """Root mean square force error of each frame that has a label and known elements, NaN of others."""
    errors = np.full(len(frames), np.nan)
    some = [k for k in range(len(frames)) if np.isfinite(expected[k]) and frames[k].forces is not None]
    if some:
        chosen = [frames[k] for k in some]
        errors[some] = root_mean_squares(residuals(chosen, envelope.potential.evaluate(chosen)).forces)
    return errors


def _drawn(frame: Configuration) -> ViewerMolecule:
    i, j, distances = contacts(frame, 0.3)
    radii = COVALENT_RADII[np.asarray(frame.numbers)]
    bonded = distances < BOND * (radii[i] + radii[j])
    apart = np.linalg.norm(frame.positions[i] - frame.positions[j], axis=1) < 1.01 * distances + 1e-9
    bonds = np.stack([i[bonded & apart], j[bonded & apart]], 1)
    return ViewerMolecule(tuple(SYMBOLS[z] for z in frame.numbers), bonds)
