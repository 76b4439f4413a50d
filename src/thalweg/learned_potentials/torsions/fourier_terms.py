"""Torsion terms of a force field, refitted to profiles: linear least squares, held to where they start.

All torsions of one type share ``k_n`` in

    E = sum_torsions sum_{n=1}^{6} k_n (1 + cos(n phi - phase_n)),    phase_n = 0 for odd n, pi for even n,

and any of them may be negative. With ``E_0`` the force field without torsions, profiles ask for

    min_k  sum_profiles sum_i w_i (E_i^ref - E_0,i - (X k)_i - constant)^2  +  strength |k - k_start|^2,

where ``w = exp(-(E^ref - min) / softness)`` makes low energies count more, as populations do, and the constant of each
profile is free. Types that no profile has keep their terms exactly. The strength is the one that predicts groups of
molecules left out best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.geometry.internal import dihedrals
from thalweg.learned_potentials.torsions.profiles import (
    ProperTorsions,
    TorsionProfile,
    centered,
    folds_by_group,
)
from thalweg.learning.models import Method, Model
from thalweg.shapes import Float
from thalweg.units import Count, KilojoulesPerMole

HIGHEST = 6
"""Highest multiplicity."""

PHASES = np.pi * (1 - np.arange(1, HIGHEST + 1) % 2)
"""Phase of each multiplicity [rad]."""

STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
"""Strengths tried."""


@dataclass(frozen=True)
class FourierTerms(Model):
    """Torsion terms by type.

    Attributes
    ----------
    types : names, such as SMIRKS
    amplitudes : (types, 6) ``k_n`` [kJ/mol]
    start : (types, 6) where they began
    fitted : which types the profiles have
    strength : by which they were held to their start
    held_out : root mean square error of groups left out, weighted as the fit is [kJ/mol]; NaN with one group
    """

    types: tuple[str, ...]
    amplitudes: Float[np.ndarray, "types 6"]
    start: Float[np.ndarray, "types 6"]
    fitted: tuple[bool, ...]
    strength: float
    held_out: float

    def headline(self) -> Mapping[str, Any]:
        changed = np.abs(self.amplitudes - self.start).max(initial=0.0)
        return {
            "types": len(self.types),
            "fitted": sum(self.fitted),
            "largest change [kJ/mol]": float(changed),
            "strength": self.strength,
            "error left out [kJ/mol]": self.held_out,
        }

    def amplitudes_of(self, torsions: ProperTorsions) -> Float[np.ndarray, "torsions 6"]:
        """``k_n`` of torsions of a molecule; those of unknown types keep their own [kJ/mol]."""
        place = {name: k for k, name in enumerate(self.types)}
        rows = [
            own if name not in place else self.amplitudes[place[name]]
            for name, own in zip(torsions.types, torsions.start)
        ]
        return np.array(rows, float).reshape(-1, HIGHEST)

    def energies(
        self, torsions: ProperTorsions, positions: Float[np.ndarray, "frames atoms 3"]
    ) -> Float[np.ndarray, " frames"]:
        """Energy of the torsions of a molecule in frames [kJ/mol]."""
        return np.einsum("ftn,tn->f", torsion_waves(torsions, positions), self.amplitudes_of(torsions))


@dataclass(frozen=True)
class TorsionFit(Method):
    """Refits torsion terms; profiles have the force field without its torsions as ``baseline``.

    Parameters
    ----------
    softness : energies above the minimum of a profile count less by ``exp(-E / softness)`` [kJ/mol]
    strengths : candidates for how strongly terms are held to their start, per profile point of weight one
    folds : parts of the groups left out to choose among these
    """

    softness: KilojoulesPerMole = 20.0
    strengths: Sequence[float] = STRENGTHS
    folds: Count = 5

    def fit(self, profiles: Sequence[TorsionProfile], seed: int = 0) -> FourierTerms:
        """Terms of all types that occur.

        Raises
        ------
        ValueError
            If a profile has no reference energies, or there are none.
        """
        if not profiles:
            raise ValueError("there are no profiles to fit terms to; give at least one")
        types, start = _starts(profiles)
        rows = [_rows(each, types, start, self.softness) for each in profiles]
        x, y = (np.concatenate([each[k] for each in rows]) for k in (0, 1))
        products = x @ x.T
        folds = folds_by_group([each.group for each in profiles], self.folds, seed)
        fold_of = np.repeat(folds, [len(each) for each in profiles])
        strength, held_out = self.strengths[0], float("nan")
        if len(set(folds)) > 1:
            losses = [_left_out(products, y, fold_of, each) for each in self.strengths]
            strength = self.strengths[int(np.argmin(losses))]
            held_out = float(np.sqrt(min(losses) / sum(each[2] for each in rows)))
        change = (x.T @ _dual(products, y, strength)).reshape(start.shape)
        return FourierTerms(types, start + change, start, (True,) * len(types), strength, held_out)


def torsion_waves(
    torsions: ProperTorsions, positions: Float[np.ndarray, "frames atoms 3"]
) -> Float[np.ndarray, "frames torsions 6"]:
    """``1 + cos(n phi - phase_n)`` of each torsion in each frame."""
    with jax.enable_x64(True):
        places = jnp.asarray(np.moveaxis(np.asarray(positions, float), 0, -1))
        angles = np.asarray(dihedrals(places, np.asarray(torsions.atoms))).T
    return 1 + np.cos(angles[..., None] * np.arange(1, HIGHEST + 1) - PHASES)


def _starts(profiles):
    """Types that occur, and the mean terms they start from."""
    found: dict[str, list[np.ndarray]] = {}
    for each in profiles:
        for name, own in zip(each.torsions.types, each.torsions.start):
            found.setdefault(name, []).append(own)
    types = tuple(sorted(found))
    return types, np.array([np.mean(found[name], 0) for name in types])


def _rows(profile, types, start, softness):
    """Rows of a profile, what the start leaves of their labels, both times the root of weights; the sum of these."""
    place = {name: k for k, name in enumerate(types)}
    of_torsions = torsion_waves(profile.torsions, np.stack([frame.positions for frame in profile.frames]))
    columns = np.zeros((len(profile), len(types), HIGHEST))
    for t, name in enumerate(profile.torsions.types):
        columns[:, place[name]] += of_torsions[:, t]
    x = columns.reshape(len(profile), -1)
    left = profile.wanted - centered(x @ start.ravel())
    above = profile.reference - profile.reference.min()
    weights = np.exp(-above / softness)
    # the free constant: less the weighted mean
    x = (x - weights @ x / weights.sum()) * np.sqrt(weights)[:, None]
    y = (left - weights @ left / weights.sum()) * np.sqrt(weights)
    return x, y, float(weights.sum())


def _dual(products, y, strength):
    """``(X X^T + strength)^-1 y``: the change of terms is ``X^T`` times this. There are fewer points than terms."""
    return np.linalg.solve(products + strength * np.eye(len(y)), y)


def _left_out(products, y, fold_of, strength):
    """Weighted squared error of folds left out."""
    total = 0.0
    for fold in sorted(set(fold_of)):
        rest, own = fold_of != fold, fold_of == fold
        found = products[np.ix_(own, rest)] @ _dual(products[np.ix_(rest, rest)], y[rest], strength)
        total += float(np.sum((y[own] - found) ** 2))
    return total
