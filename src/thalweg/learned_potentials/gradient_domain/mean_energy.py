"""The mean of a Gaussian process of energies, put back under what a kernel learned of the rest.

With the prior ``E ~ GP(mu, k)`` a prediction is ``mu(x) + k(x, training) (K + noise)^-1 (y - mu)`` [rasmussen2006]; the
mean ``mu`` is an energy of its own, or nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thalweg.learned_potentials.parametric.force_field import ForceFieldTerm
from thalweg.learned_potentials.terms.term import Labels
from thalweg.potentials.energy import Energy, Sum
from thalweg.systems.configuration import Configuration


def over_mean(learned: Energy, mean: ForceFieldTerm | None, numbers: np.ndarray) -> Energy:
    """The energy of atoms ``numbers``: what was ``learned`` and its ``mean``."""
    return learned if mean is None else Sum((learned, mean.bind(numbers)))


def labels_over_mean(
    learned: Labels, mean: ForceFieldTerm | None, configurations: Sequence[Configuration]
) -> Labels:
    """Labels of ``configurations``: what was ``learned`` of them and those of its ``mean``."""
    return learned if mean is None else learned + mean.evaluate(configurations)
