"""Whether stresses are the derivative of the energies by strain, and if not, by which factor and with which sign.

Two witnesses know. Between two frames of the same atoms in different cells ``h`` (rows) at fractional coordinates
``s``, energies change by the work of forces and stresses,

    dE = -1/2 sum_a,b F . (ds h) + 1/2 sum_a,b V S : h^-1 dh + O(3),

which decides where cells differ more than atoms are displaced. And an energy of pairs and densities learned from the
forces alone (`embedded_pairs`) has a virial: its deviator is what the forces say it is, close to exactly, while its
trace also depends on the volume and is left out. Labels are compared with either; the slope is one where stress is
``dU/d(strain) / V``, positive under tension.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.learned_potentials.frames.embedded_pairs import (
    SurrogateRows,
    coefficients_from_forces,
    surrogate_rows,
)
from thalweg.systems.configuration import Configuration, elements_of
from thalweg.units import ANGSTROM, unit

ASE = unit("eV/Å^3", "stress")

RATIOS = {
    "GPa read as eV/Å^3": unit("GPa", "stress") / ASE,
    "kbar read as eV/Å^3": 0.1 * unit("GPa", "stress") / ASE,
    "bar read as eV/Å^3": 1e-4 * unit("GPa", "stress") / ASE,
    "Ha/bohr^3 read as eV/Å^3": unit("Ha/bohr^3", "stress") / ASE,
    "Rydberg/bohr^3 read as eV/Å^3": unit("Ha/bohr^3", "stress") / ASE / 2,
    "kcal/mol/Å^3 read as eV/Å^3": unit("kcal/mol/Å^3", "stress") / ASE,
    "energies of strain read as stresses": None,
}
"""What stresses have to be multiplied by if they are in the first unit and were taken for the second; None is one over
the volume [1/Å^3]."""

CLEAR = 0.6
"""Squared correlation below which nothing is said."""

PASSED = 1.5
"""A slope that differs from one by less than this factor passes."""

SLACK = 0.3
"""A unit explains a slope if it is this close to its bracket: strains of a few percent bend the energy."""

EXACT, OFF = 0.05, 0.1
"""Of two units that explain a slope one is taken that is nearer than the first, if the other is beyond the second."""

FRAMES = 150
"""Frames that are looked at."""

ATOMS = 10000
"""Atoms that an energy is learned for."""

FEWEST = 8
"""Frames with a stress that it takes to say something."""

STRAINED = 0.25
"""Strains weigh as displacements of this many nearest distances, where near pairs of frames are chosen."""


@dataclass(frozen=True)
class StressScale:
    """Stresses against energies and forces.

    Attributes
    ----------
    low, high : bracket of the slope of what energies and forces say on the stresses
    correlation : between the two
    frames : how many were compared
    volume : of the frames, in the middle [nm^3]
    """

    low: float
    high: float
    correlation: float
    frames: int
    volume: float

    @property
    def factor(self) -> float:
        """What stresses have to be multiplied by: the middle of the bracket (logarithmic)."""
        return float(np.sign(self.low) * np.sqrt(abs(self.low * self.high)))

    @property
    def consistent(self) -> bool:
        """Whether the slope may be one, or so near to it that no mistaken unit explains it."""
        return self.low > 0 and self._reaches(1.0, PASSED - 1)

    @property
    def readings(self) -> dict[str, float]:
        """Mistaken units that would explain the size of the factor, nearest first, and their ratios."""
        named = {
            words: 1 / (self.volume / ANGSTROM**3) if ratio is None else ratio
            for words, ratio in RATIOS.items()
        }
        named = {words: ratio for words, ratio in named.items() if self._reaches(ratio)}
        return dict(sorted(named.items(), key=lambda one: abs(np.log(abs(self.factor) / one[1]))))

    def correction(self, volume: float) -> float | None:
        """The exact factor for a frame of this ``volume`` [nm^3], with its sign; None if no one cause explains it."""
        sign = float(np.sign(self.low))
        if self._reaches(1.0, PASSED - 1):
            return sign
        far = [(abs(np.log(abs(self.factor) / size)), words) for words, size in self.readings.items()]
        if not far or (len(far) > 1 and not far[0][0] < EXACT < OFF < far[1][0]):
            return None
        ratio = RATIOS[far[0][1]]
        return sign * (ANGSTROM**3 / volume if ratio is None else ratio)

    def _reaches(self, size, slack=SLACK):
        low, high = sorted((abs(self.low), abs(self.high)))
        return low / (1 + slack) <= size <= high * (1 + slack)

    def __str__(self):
        wrong = self.low < 0
        if wrong and self._reaches(1.0, PASSED - 1):
            cause = "they have the wrong sign"
        else:
            readings = list(self.readings)
            cause = f"as if {readings[0]}" if readings else "no mistaken unit known here explains it"
            cause += f" (or {readings[1]})" if len(readings) > 1 else ""
            cause += ", with the wrong sign" if wrong else ""
        return (
            f"stresses have to be multiplied by {self.factor:.4g} to agree with energies and forces (between "
            f"{self.low:.4g} and {self.high:.4g}, from {self.frames} frames): {cause}"
        )


def stress_scale(configurations: Sequence[Configuration], seed: int = 0) -> StressScale | None:
    """What stresses have to be multiplied by to agree with energies and forces, by the clearer of two witnesses.

    Returns
    -------
    None where the frames cannot tell: too few with stresses, neither strained nor with forces.
    """
    frames = [frame for frame in configurations if _usable(frame)]
    if len(frames) > FRAMES:
        chosen = np.random.default_rng(seed).permutation(len(frames))[:FRAMES]
        frames = [frames[k] for k in chosen]
    if len(frames) < FEWEST:
        return None
    found = [scale for witness in (_by_strain, _by_forces) if (scale := witness(frames)) is not None]
    return max(found, key=lambda scale: abs(scale.correlation), default=None)


def _usable(frame):
    if frame.stress is None or not all(frame.periodic) or not frame.volume > 0:
        return False
    values = [frame.positions, frame.stress, *([] if frame.forces is None else [frame.forces])]
    return (
        np.shape(frame.stress) == (3, 3)
        and (frame.forces is None or np.shape(frame.forces) == np.shape(frame.positions))
        and (frame.energy is None or np.isfinite(frame.energy))
        and all(np.isfinite(value).all() for value in values)
    )


def _scale(said, labeled, frames, weights=1.0) -> StressScale | None:
    """Slopes of what is ``said`` on what is ``labeled``, of their inverse; None where they hardly correlate."""
    across, of_labels, of_said = (
        float((weights * a * b).sum()) for a, b in ((said, labeled), (labeled, labeled), (said, said))
    )
    if not (of_labels > 0 and of_said > 0 and across**2 > CLEAR * of_labels * of_said):
        return None
    volume = float(np.median([frame.volume for frame in frames]))
    correlation = across / np.sqrt(of_labels * of_said)
    return StressScale(across / of_labels, of_said / across, correlation, len(frames), volume)


def _by_forces(frames) -> StressScale | None:
    """Deviators of labeled virials against those of pairs and densities learned from the forces."""
    frames = [frame for frame in frames if frame.forces is not None]
    if len(frames) < FEWEST:
        return None
    elements = np.array(elements_of(frames))
    frames = _within(frames, ATOMS)
    rows: list[SurrogateRows] = [surrogate_rows(frame, elements) for frame in frames]
    if sum(row.forces.shape[0] for row in rows) < 2 * rows[0].forces.shape[1]:
        return None
    learned = coefficients_from_forces(rows, frames)
    missed = [np.ravel(frame.forces) - row.forces @ learned for frame, row in zip(frames, rows)]
    # forces of symmetric frames are noise, and pairs and densities cannot say what they do not describe
    if np.linalg.norm(np.concatenate(missed)) > np.sqrt(1 - CLEAR) * np.linalg.norm(
        np.concatenate([np.ravel(frame.forces) for frame in frames])
    ):
        return None
    atoms = np.array([len(frame) for frame in frames])[:, None]
    labeled = _deviators(np.array([np.ravel(frame.stress) * frame.volume for frame in frames]) / atoms)
    return _scale(_deviators(np.array([row.virials @ learned for row in rows]) / atoms), labeled, frames)


def _within(frames, atoms):
    """The first of ``frames`` that have no more ``atoms`` together; two at least."""
    return frames[: max(2, int((np.cumsum([len(frame) for frame in frames]) <= atoms).sum()))]


def _deviators(tensors):
    """Tensors (frames, 9) without their traces."""
    return tensors - np.outer(tensors[:, [0, 4, 8]].mean(1), np.eye(3).ravel())


def _by_strain(frames) -> StressScale | None:
    """Energy differences less the work of forces, against the work of stresses, between near frames of other cells."""
    groups: dict[bytes, list[Configuration]] = {}
    for frame in frames:
        if frame.energy is not None:
            groups.setdefault(frame.numbers.tobytes(), []).append(frame)
    parts = [_works(group) for group in groups.values() if len(group) > 1]
    if not parts:
        return None
    left, work, distance = (np.concatenate(column) for column in zip(*parts))
    if len(work) < FEWEST:
        return None
    near = np.sort(distance)[max(FEWEST, len(distance) // 10) - 1]
    usual = [max(float(np.median(np.abs(side))), 1e-12) for side in (work, left)]
    weights = (
        1 / (1 + (distance / (near or 1.0)) ** 6) / (1 + (work / usual[0]) ** 2 + (left / usual[1]) ** 2)
    )
    used = [frame for group in groups.values() if len(group) > 1 for frame in group]
    return _scale(left, work, used, weights)


def _works(frames):
    """``dE`` less the work of forces, the work of stresses [kJ/mol], and the distance of all pairs of ``frames``.

    ===========  ==========================================================================
    ``s, h``     ``fractions`` (frames, atoms, 3), ``cells`` (frames, 3, 3)
    ``ds``       ``moved`` (pairs, atoms, 3), to the nearest images and without their mean
    ``h^-1 dh``  ``strains`` (pairs, 3, 3), by either cell
    ===========  ==========================================================================
    """
    cells = np.array([frame.box for frame in frames])
    fractions = np.array([frame.positions for frame in frames]) @ np.linalg.inv(cells)
    forces = np.array(
        [np.zeros((len(frame), 3)) if frame.forces is None else frame.forces for frame in frames]
    )
    known = np.array([frame.forces is not None for frame in frames])
    virials = np.array([frame.stress * frame.volume for frame in frames])
    energies = np.array([frame.energy for frame in frames])
    a, b = np.triu_indices(len(frames), 1)
    moved = fractions[b] - fractions[a]
    moved -= moved[:, :1]
    moved -= np.round(moved)
    moved -= moved.mean(1, keepdims=True)
    change = cells[b] - cells[a]
    ends = ((forces[k] * (moved @ cells[k])).sum((1, 2)) for k in (a, b))
    of_forces = -sum(ends) / 2
    strains = [np.linalg.inv(cells[k]) @ change for k in (a, b)]
    of_stresses = sum((virials[k] * strain).sum((1, 2)) for k, strain in zip((a, b), strains)) / 2
    displaced = np.sqrt(((moved @ cells[a]) ** 2).sum(2).mean(1))
    strained = np.sqrt(((strains[0] + strains[0].swapaxes(1, 2)) ** 2).sum((1, 2))) / 2
    # frames without forces count where nothing but the cell has changed
    counted = (strained > 1e-6) & ((known[a] & known[b]) | (displaced < 1e-5))
    spacing = STRAINED * np.array([frame.volume / len(frame) for frame in frames])[a] ** (1 / 3)
    distance = displaced + spacing * strained
    return (energies[b] - energies[a] - of_forces)[counted], of_stresses[counted], distance[counted]
