"""Which of two energies in a file the forces belong to.

With smeared occupations a code prints an energy extrapolated to zero smearing and the free energy, whose gradient the
forces are; other files keep energies of two methods. Let ``r_a, r_b`` be energies per atom less an energy learned from
the forces (`embedded_pairs`) and what composition and volume explain, and ``delta = r_a - r_b``. Where forces belong to
``b``, ``r_b`` knows nothing of ``delta``, so that

    t = sum (r_a + r_b) delta / sum delta^2

is 1, and it is -1 where they belong to ``a``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.learned_potentials.frames.embedded_pairs import coefficients_from_forces, surrogate_rows
from thalweg.shapes import Float
from thalweg.systems.configuration import Configuration, elements_of

FRAMES = 300
"""Frames that are looked at."""

SURE = 3.0
"""Standard errors that ``t`` is away from zero where something is said."""


LARGEST = 3.0
"""A larger ``t`` says that the difference goes along with what pairs and densities cannot describe, no more."""


@dataclass(frozen=True)
class Partner:
    """What forces say of two energies.

    Attributes
    ----------
    balance : ``t``: about 1 where forces belong to the second, -1 where to the first
    error : its standard error
    misfits : root mean square of what each leaves, per atom [kJ/mol]
    """

    balance: float
    error: float
    misfits: tuple[float, float]

    @property
    def sure(self) -> bool:
        """Whether forces decide: no more than twice or thrice is left of either for other reasons."""
        return SURE * self.error < abs(self.balance) < LARGEST


def energy_of_forces(
    configurations: Sequence[Configuration],
    first: Float[np.ndarray, " frames"],
    second: Float[np.ndarray, " frames"],
) -> Partner | None:
    """To which of two energies [kJ/mol] the forces of ``configurations`` belong.

    Returns
    -------
    None where there are too few forces, or energies differ by a constant per element only.
    """
    chosen = [k for k, frame in enumerate(configurations) if frame.forces is not None and len(frame) > 1]
    chosen = chosen[:: max(1, len(chosen) // FRAMES)]
    frames = [configurations[k] for k in chosen]
    elements = np.array(elements_of(frames))
    if len(frames) < 8 + 2 * len(elements):
        return None
    rows = [surrogate_rows(frame, elements) for frame in frames]
    learned = coefficients_from_forces(rows, frames)
    atoms = np.array([len(frame) for frame in frames])
    known = [np.array([row.energies @ learned for row in rows]) / atoms]
    known += [np.array([np.count_nonzero(frame.numbers == z) for frame in frames]) / atoms for z in elements]
    if all(any(frame.periodic) for frame in frames):
        volumes = np.array([frame.volume for frame in frames]) / atoms
        known += [volumes, volumes**2]
    basis = np.linalg.svd(_standardized(np.array(known).T), full_matrices=False)
    span = basis[0][:, basis[1] > 1e-8 * basis[1][0]]
    left = [
        energies - span @ (span.T @ energies) for energies in (first[chosen] / atoms, second[chosen] / atoms)
    ]
    delta = left[0] - left[1]
    size = float(delta @ delta)
    if not size > 1e-10 * max(float(one @ one) for one in left) or np.sqrt(size / len(frames)) < 1e-4:
        return None
    together = left[0] + left[1]
    balance = float(together @ delta) / size
    # of a mean of products of two that know nothing of each other
    noise = together - balance * delta
    error = float(np.sqrt((noise**2 * delta**2).sum()) / size)
    misfits = [float(np.sqrt((one**2).mean())) for one in left]
    return Partner(balance, error, (misfits[0], misfits[1]))


def _standardized(columns):
    """Columns of unit size."""
    return columns / np.maximum(np.linalg.norm(columns, axis=0), 1e-300)
