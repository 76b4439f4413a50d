"""Whether energies and forces of frames far apart can belong together: by pair energies learned from the forces alone.

Where no two frames are near each other, work between them (`force_consistency`) says nothing. But most of what forces
say, a sum over pairs of atoms says too: of functions ``g_n`` of the distance in each pair of elements,

    U = sum_{i<j} sum_n c_n g_n(r_ij),    c = argmin sum_i |F_i + dU/dx_i|^2 + ridge,

and energies per atom, less what composition explains, should rise with ``U`` about one to one. The slope is bracketed
as there. What is not between pairs changes it: over crystals, melts and molecules it was seen from 0.3 to 2.7, and from
0.7 where the correlation allows a verdict. So only a slope beyond `FAR`, either way, is taken for mistaken units, of
which the likely ones are named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import vesin

from thalweg.learned_potentials.frames.force_consistency import CLEAR, RATIOS
from thalweg.systems.configuration import Configuration, elements_of

FAR = 8.0
"""A slope further from one than this factor is not that of pairs alone."""

LOOSE = 3.0
"""Mistaken units within this factor of the slope are named."""

CUTOFF, CLOSEST = 0.5, 0.08
"""Reach of the pairs, and center of their first function [nm]."""

FUNCTIONS = 10
RIDGE = 1e-6

FRAMES = 150
"""Frames that are looked at."""

SPARE = 8
"""Frames there must be beyond one per element."""


@dataclass(frozen=True)
class PairScale:
    """How energies rise with pair energies learned from the forces.

    Attributes
    ----------
    low, high : bracket of the slope
    frames : number of frames
    """

    low: float
    high: float
    frames: int

    @property
    def factor(self) -> float:
        """About what forces have to be multiplied by: the middle of the bracket (logarithmic)."""
        return float(np.sign(self.low) * np.sqrt(abs(self.low * self.high)))

    @property
    def consistent(self) -> bool:
        """Whether what is not between pairs may explain the slope."""
        return self.low > 0 and self.high > 1 / FAR and self.low < FAR

    @property
    def readings(self) -> tuple[str, ...]:
        """Mistaken units near the factor, nearest first."""
        named = RATIOS | {
            " read as ".join(words.split(" read as ")[::-1]): 1 / r for words, r in RATIOS.items()
        }
        far = {words: abs(np.log(abs(self.factor) / ratio)) for words, ratio in named.items()}
        return tuple(words for words in sorted(far, key=far.get) if far[words] < np.log(LOOSE))

    def __str__(self):
        if self.low < 0:
            cause = "forces seem to have the wrong sign"
        else:
            cause = (
                f"as if {', or '.join(self.readings[:3])}"
                if self.readings
                else "no mistaken unit explains it"
            )
        return (
            f"energies change some {self.factor:.2g} times as much as forces say (by pair energies learned from the "
            f"forces of {self.frames} frames, good to a factor of {LOOSE:g}): {cause}"
        )


def pair_scale(configurations: Sequence[Configuration], seed: int = 0) -> PairScale | None:
    """How energies rise with pair energies that the forces call for.

    Returns
    -------
    None where the frames cannot tell: too few with energies and forces, or hardly a correlation.
    """
    frames = [f for f in configurations if f.energy is not None and f.forces is not None and len(f) > 1]
    if len(frames) > FRAMES:
        chosen = np.random.default_rng(seed).permutation(len(frames))[:FRAMES]
        frames = [frames[k] for k in chosen]
    elements = np.array(elements_of(frames))
    if len(frames) < SPARE + len(elements):
        return None
    pair_energies = _pair_energies(frames, elements)
    # per atom, and less what composition explains
    counts = np.array([[np.count_nonzero(f.numbers == z) for z in elements] for f in frames], float)
    atoms = counts.sum(1)
    composition = np.linalg.qr(counts / atoms[:, None])[0]
    pairs, labels = (
        energies / atoms - composition @ (composition.T @ (energies / atoms))
        for energies in (pair_energies, np.array([f.energy for f in frames]))
    )
    # slope of E on U, and the inverse of that of U on E
    across, of_pairs, of_labels = pairs @ labels, pairs @ pairs, labels @ labels
    if not (of_pairs > 0 and of_labels > 0) or across**2 < CLEAR * of_pairs * of_labels:
        return None
    return PairScale(float(across / of_pairs), float(of_labels / across), len(frames))


def _pair_energies(frames, elements):
    """``U`` of each frame (frames,), with ``c = argmin |F + dU/dx|^2 + ridge`` over all."""
    values, normal, right = [], 0.0, 0.0
    for frame in frames:
        functions, forces = _rows(frame, elements)
        values.append(functions)
        normal, right = normal + forces.T @ forces, right + forces.T @ np.ravel(frame.forces)
    # the ridge is relative: functions enter in units in which the diagonal of the normal matrix is one
    size = np.sqrt(np.diag(normal))
    used = size > 0
    scaled = normal[np.ix_(used, used)] / size[used, None] / size[used]
    solution = np.linalg.solve(scaled + RIDGE * np.eye(len(scaled)), right[used] / size[used]) / size[used]
    return np.array(values)[:, used] @ solution


def _rows(frame, elements):
    """Pair functions of a frame, summed, ``(functions,)``, and their forces, ``(3 atoms, functions)``."""
    periodic = any(frame.periodic)
    box = np.asarray(frame.box, float) if periodic else np.zeros((3, 3))
    flags = [bool(flag) for flag in frame.periodic] if periodic else False
    search = vesin.NeighborList(cutoff=CUTOFF, full_list=False, n_threads=1)
    i, j, distances, steps = search.compute(np.asarray(frame.positions, float), box, flags, "ijdD")
    i, j = i.astype(int), j.astype(int)
    kinds = np.searchsorted(elements, frame.numbers)
    pairs = np.minimum(kinds[i], kinds[j]) * len(elements) + np.maximum(kinds[i], kinds[j])
    values, slopes = _functions(distances[:, None])
    sums = np.zeros((len(elements) ** 2, FUNCTIONS))
    forces = np.zeros((len(frame), 3, len(elements) ** 2, FUNCTIONS))
    for kind in np.unique(pairs):
        of_kind = pairs == kind
        sums[kind] = values[of_kind].sum(0)
        # -dg/dx_i = g' (x_j - x_i) / r, and the opposite on j
        pulls = (steps[of_kind] / distances[of_kind, None])[:, :, None] * slopes[of_kind, None, :]
        np.add.at(forces[:, :, kind], i[of_kind], pulls)
        np.add.at(forces[:, :, kind], j[of_kind], -pulls)
    return sums.ravel(), forces.reshape(3 * len(frame), -1)


def _functions(distances):
    """Gaussians that end smoothly at the cutoff, and their derivatives, ``(pairs, functions)``."""
    centers, width = np.linspace(CLOSEST, CUTOFF, FUNCTIONS, retstep=True)
    away = (distances - centers) / width
    gaussian, ratio = np.exp(-(away**2) / 2), distances / CUTOFF
    end = (1 - ratio**2) ** 2
    return gaussian * end, gaussian * (-away / width * end - 4 * ratio / CUTOFF * (1 - ratio**2))
