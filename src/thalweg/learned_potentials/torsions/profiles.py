"""Torsion profiles: energies along one torsion of one molecule, known up to a constant of each profile.

Reference and cheap energies of a molecule differ by thousands of kJ/mol that no one needs, and that nothing about other
molecules tells. Everything about a profile is therefore relative to the mean over its points: labels, predictions and
errors; a constant of each profile stays open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.shapes import Float, Int
from thalweg.systems.configuration import Configuration


@dataclass(frozen=True)
class ProperTorsions:
    """Torsions of a molecule, each with its type and the terms that it has in a force field.

    Attributes
    ----------
    atoms : (torsions, 4), bonded in a row
    types : what torsions share terms, such as SMIRKS
    start : (torsions, 6) ``k_n`` of ``sum_n k_n (1 + cos(n phi - phase_n))`` [kJ/mol], phases as in `FourierTerms`
    """

    atoms: Int[np.ndarray, "torsions 4"]
    types: tuple[str, ...]
    start: Float[np.ndarray, "torsions 6"]


@dataclass(frozen=True)
class TorsionProfile:
    """Points along a torsion.

    Attributes
    ----------
    frames : of one molecule, atoms in one order
    angles : (points,) of the torsion [rad]
    reference : (points,) energies to be learned [kJ/mol]; None where they are to be predicted
    baseline : (points,) energies of the cheap method that is corrected [kJ/mol]
    group : profiles of one group are of like molecules, of one scaffold, say, and are left out together
    torsions : of the molecule
    """

    frames: tuple[Configuration, ...]
    angles: Float[np.ndarray, " points"]
    reference: Float[np.ndarray, " points"] | None
    baseline: Float[np.ndarray, " points"]
    torsions: ProperTorsions
    group: str = ""

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def wanted(self) -> Float[np.ndarray, " points"]:
        """What the baseline lacks, less its mean [kJ/mol].

        Raises
        ------
        ValueError
            If there are no reference energies.
        """
        if self.reference is None:
            raise ValueError("a profile has no reference energies to learn from; label its frames first")
        return centered(self.reference - self.baseline)


def centered(values: Float[np.ndarray, "points ..."]) -> Float[np.ndarray, "points ..."]:
    """Less the mean over points.

    Examples
    --------
    >>> centered(np.array([1.0, 2.0, 6.0])).tolist()
    [-2.0, -1.0, 3.0]
    """
    return values - values.mean(0)


def profile_error(
    predicted: Sequence[np.ndarray], reference: Sequence[np.ndarray], of_means: bool = False
) -> float:
    """Root mean square error of profiles, each less its mean, over all points [kJ/mol].

    Parameters
    ----------
    of_means : take the error of each profile and return their mean instead

    Examples
    --------
    >>> profile_error([np.array([5.0, 7.0])], [np.array([0.0, 0.0])])
    1.0
    """
    each = [centered(np.asarray(a) - np.asarray(b)) for a, b in zip(predicted, reference, strict=True)]
    if of_means:
        return float(np.mean([np.sqrt(np.mean(one**2)) for one in each]))
    return float(np.sqrt(np.mean(np.concatenate(each) ** 2)))


def folds_by_group(groups: Sequence[str], folds: int, seed: int = 0) -> Int[np.ndarray, " profiles"]:
    """A fold for each profile at random, the same for all of one group.

    Examples
    --------
    >>> folds_by_group(["a", "b", "a"], 2).tolist()
    [0, 1, 0]
    """
    names = sorted(set(groups))
    order = np.random.default_rng(seed).permutation(len(names))
    fold_of = {name: int(place) % folds for name, place in zip(names, np.argsort(order))}
    return np.array([fold_of[group] for group in groups])
