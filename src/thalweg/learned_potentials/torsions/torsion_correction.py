"""What a cheap method lacks along torsions, learned from profiles of many molecules: a Gaussian process over torsions.

The correction of a molecule is a sum over its torsions outside rings,

    d(x) = sum_t sum_{n=1}^{3} g_n(t) cos(n phi_t),    cov(g_n(t), g_n(t')) = s k(t, t'),

whose coefficients are alike for torsions of like types: ``k`` is a product over the four atoms and the bond in the
middle of factors that are one where element, number of bonded atoms and aromaticity agree, and weights between zero and
one where they do not (`ALIKE`). Whatever is no such sum (interactions through space, above all) is smooth along a
profile and knows nothing of other profiles: a second process, ``own exp((cos(phi - phi') - 1) / width^2)`` within each
profile. It keeps two dozen points of one molecule from counting as two dozen, and it makes the error bars of new
molecules what they are. White noise is third. A constant of each profile is open: covariances and labels
are less their means over profiles.

``s``, ``own`` and noise are those with which molecules left out are told best, errors and error bars. The weights are
set: fifty molecules do not decide seven of them.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.sparse import csr_array

from thalweg.geometry.internal import dihedrals
from thalweg.learned_potentials.torsions.profiles import TorsionProfile, centered, folds_by_group
from thalweg.learning.models import Method, Model
from thalweg.shapes import Float
from thalweg.units import Count

ORDERS = 3
"""Multiplicities."""

ATOM = re.compile(r"\[#(\d+)X(\d+)([aA])([+-]\d+):\d\]")
BOND = re.compile(r"\]([-=#:~]);!@\[")
"""Parts of a type as `proper_torsions` writes it; bonds in rings do not match."""

JITTER = 1e-7
"""Types that differ in charge alone are alike, and their covariance singular; this makes it regular."""

ALIKE = (0.3, 0.3, 0.55, 0.8, 0.8, 0.9, 0.5)
"""How alike torsions are that differ in element, bonded atoms or aromaticity of an inner, then of an outer atom, or in
the bond."""

WIDTH = 0.5
"""Over which what is left to a profile is smooth [rad]."""

TRIED = (0.03, 0.1, 0.3, 1.0, 3.0), (0.3, 1.0, 3.0, 10.0), (0.03, 0.1, 0.3, 1.0)
"""``s``, ``own`` and noise that are tried [(kJ/mol)^2]."""

FOLDS = 5
"""Parts of the molecules that are left out in turn."""


@dataclass(frozen=True)
class TorsionCorrectionModel(Model):
    """A correction and how unsure it is.

    Attributes
    ----------
    settings : ``s``, ``own`` and noise [(kJ/mol)^2]
    types : of torsions, in the order of ``coefficients``
    coefficients : (types, 3) mean ``g_n`` [kJ/mol]
    covariance : (3 types, 3 types) of the coefficients of training types, order by order [(kJ/mol)^2]
    profiles : number that it was learned from
    """

    settings: Float[np.ndarray, " settings"]
    types: tuple[str, ...]
    coefficients: Float[np.ndarray, "types 3"]
    covariance: Float[np.ndarray, "_ _"]
    profiles: int

    def headline(self) -> Mapping[str, Any]:
        _, own, noise = self.settings
        return {
            "profiles": self.profiles,
            "types": len(self.types),
            "left to each profile [kJ/mol]": float(np.sqrt(own)),
            "noise [kJ/mol]": float(np.sqrt(noise)),
        }

    def correction(self, profile: TorsionProfile) -> Float[np.ndarray, " points"]:
        """What to add to the baseline, less its mean over the profile [kJ/mol]."""
        return self.correction_and_error(profile)[0]

    def profile(self, profile: TorsionProfile) -> Float[np.ndarray, " points"]:
        """Corrected energies above their lowest [kJ/mol]."""
        energies = profile.baseline + self.correction(profile)
        return energies - energies.min()

    def correction_and_error(
        self, profile: TorsionProfile
    ) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]:
        """The correction and its standard deviation, both relative to the mean over the profile [kJ/mol].

        Of a molecule without any torsion like one known, the correction is zero and the error that of the baseline.
        """
        names, sums = _sums(profile)
        if not names:
            mean, variance = np.zeros(len(profile)), np.zeros((len(profile),) * 2)
        else:
            between = _likeness(names, self.types) if self.types else np.zeros((len(names), 0))
            within, here = _likeness(self.types, self.types), _likeness(names, names)
            # coefficients of new types, given those of known ones
            passed = np.linalg.solve(within + JITTER * np.eye(len(within)), between.T).T
            mean = centered(np.einsum("pta,ta->p", sums, passed @ self.coefficients))
            left = here - passed @ between.T
            strength = self.settings[0]
            variance = sum(
                strength * sums[:, :, n] @ left @ sums[:, :, n].T for n in range(ORDERS)
            ) + _quadratic(sums, passed, self.covariance)
        variance = variance + _own(profile.angles, profile.angles, self.settings)
        variance = centered(centered(variance).T)
        noise = self.settings[-1]
        return mean, np.sqrt(np.maximum(np.diag(variance), 0) + noise)


@dataclass(frozen=True)
class TorsionCorrection(Method):
    """Learns what the baseline of profiles lacks.

    Parameters
    ----------
    every : settings are chosen on each so-manyeth point of the profiles, all of which are then used
    seed : of how molecules are dealt to folds
    """

    every: Count = 3
    seed: int = 0

    def fit(self, profiles: Sequence[TorsionProfile]) -> TorsionCorrectionModel:
        """The correction of ``profiles`` with reference energies.

        Raises
        ------
        ValueError
            If there are fewer than two profiles, or one has no reference.
        """
        if len(profiles) < 2:
            raise ValueError(f"{len(profiles)} profiles; a correction of molecules needs at least two")
        types = tuple(sorted({name for each in profiles for name in _sums(each)[0]}))
        if not types:
            raise ValueError("no molecule has a torsion outside rings; there is nothing to learn")
        sums = [_over(types, each) for each in profiles]
        wanted = [each.wanted for each in profiles]
        sparse = _Labels(
            [one[:: self.every] for one in sums],
            [each.angles[:: self.every] for each in profiles],
            [centered(one[:: self.every]) for one in wanted],
        )
        groups = [each.group for each in profiles]
        if len(set(groups)) < 2:  # each molecule for itself
            groups = [str(k) for k in range(len(profiles))]
        fold_of = folds_by_group(groups, FOLDS, self.seed)
        settings = _best_left_out(types, sparse, np.repeat(fold_of, np.diff(sparse.ends)))
        whole = _Labels(sums, [each.angles for each in profiles], wanted)
        coefficients, covariance = _posterior(types, whole, settings)
        return TorsionCorrectionModel(settings, types, coefficients, covariance, len(profiles))


class _Labels:
    """Profiles side by side: sums of waves less means, (points, types) of each order, and labels."""

    def __init__(self, sums, angles, wanted):
        # few of all types are in one molecule
        whole = np.concatenate([centered(one) for one in sums])
        self.sums = [csr_array(whole[:, :, n]) for n in range(ORDERS)]
        self.values = np.concatenate(wanted)
        self.angles = angles
        self.ends = np.cumsum([0, *map(len, wanted)])

    def own(self, settings) -> np.ndarray:
        """Covariance of what is left to each profile, and noise."""
        matrix = settings[-1] * np.eye(len(self.values))
        for start, stop, angles in zip(self.ends, self.ends[1:], self.angles):
            block = _own(angles, angles, settings)
            matrix[start:stop, start:stop] += centered(centered(block).T)
        return matrix

    def covariance(self, types, settings) -> np.ndarray:
        likeness = _likeness(types, types)
        known = sum(sums @ (sums @ likeness).T for sums in self.sums)
        return self.own(settings) + settings[0] * known


def _best_left_out(types, labels, fold_of) -> np.ndarray:
    """Settings with which labels of molecules left out are most likely, one by one.

    Likelihood of all labels together would trust that profiles are smooth to the last digit, and take what is not for
    torsions.
    """
    known = labels.covariance(types, (1.0, 0.0, 0.0))
    own = labels.own((0.0, 1.0, 0.0))

    def density(settings):
        strength, share, noise = settings
        whole = strength * known + share * own + noise * np.eye(len(known))
        total = 0.0
        for fold in np.unique(fold_of):
            out = fold_of == fold
            factor = cholesky(whole[np.ix_(~out, ~out)], lower=True)
            half = solve_triangular(factor, strength * known[np.ix_(~out, out)], lower=True)
            mean = half.T @ solve_triangular(factor, labels.values[~out], lower=True)
            variance = np.diag(whole)[out] - (half**2).sum(0)
            total -= 0.5 * np.sum((labels.values[out] - mean) ** 2 / variance + np.log(variance))
        return total

    return np.array(max(itertools.product(*TRIED), key=density))


def _posterior(types, labels, settings):
    """Mean and covariance of the coefficients of all types, given the labels.

    ==========  ===================================================================
    ``prior``   ``s k(t, t')``, (orders types, orders types)
    ``cross``   covariance of coefficients with labels, (orders types, labels)
    ==========  ===================================================================
    """
    likeness, strength = _likeness(types, types), settings[0]
    cross = strength * np.concatenate([(sums @ likeness).T for sums in labels.sums])
    prior = strength * np.kron(np.eye(ORDERS), likeness)
    factor = cholesky(labels.covariance(types, settings), lower=True)
    mean = cross @ cho_solve((factor, True), labels.values)
    half = solve_triangular(factor, cross.T, lower=True)
    return mean.reshape(ORDERS, len(types)).T, prior - half.T @ half


def _quadratic(sums, passed, covariance):
    """Covariance of a profile from that of the coefficients of known types."""
    rows = np.concatenate([centered(sums[:, :, n]) @ passed for n in range(sums.shape[2])], 1)
    return rows @ covariance @ rows.T


def _sums(profile):
    """Types of torsions outside rings, and ``sum cos(n phi)`` over those of each, (points, types, orders)."""
    chosen = [k for k, name in enumerate(profile.torsions.types) if BOND.search(name)]
    names = sorted({profile.torsions.types[k] for k in chosen})
    sums = np.zeros((len(profile), len(names), ORDERS))
    if chosen:
        places = np.stack([np.asarray(frame.positions, float) for frame in profile.frames], -1)
        with jax.enable_x64(True):
            angles = np.asarray(dihedrals(jnp.asarray(places), np.asarray(profile.torsions.atoms)[chosen])).T
        cosines = np.cos(angles[..., None] * np.arange(1, ORDERS + 1))
        for column, k in enumerate(chosen):
            sums[:, names.index(profile.torsions.types[k])] += cosines[:, column]
    return names, sums


def _over(types, profile):
    """`_sums` in columns of all ``types``."""
    names, sums = _sums(profile)
    whole = np.zeros((len(profile), len(types), ORDERS))
    whole[:, [types.index(name) for name in names]] = sums
    return whole


def _likeness(first, second) -> np.ndarray:
    """``k`` of types, one for a type with itself: the sum over both ways to read a torsion, normalized."""

    def one_way(a, b):
        product = np.where(a[:, None, -1] == b[None, :, -1], 1.0, ALIKE[6])
        for atom in range(4):
            shift = 0 if atom in (1, 2) else 3
            for k in range(3):
                same = a[:, None, 3 * atom + k] == b[None, :, 3 * atom + k]
                product = product * np.where(same, 1.0, ALIKE[shift + k])
        return product

    def both(a, b):
        return one_way(a, b) + one_way(a, _reversed(b))

    a, b = _described(first), _described(second)
    # a type with itself: the diagonal alone
    sizes = [np.array([both(row[None], row[None])[0, 0] for row in each]) for each in (a, b)]
    return both(a, b) / np.sqrt(sizes[0][:, None] * sizes[1][None])


def _described(types) -> np.ndarray:
    """Element, bonded atoms and whether aromatic of four atoms, and the bond, (types, 13) int."""
    rows = []
    for name in types:
        atoms = [(int(z), int(x), int(kind == "a")) for z, x, kind, _ in ATOM.findall(name)]
        bond = BOND.search(name)
        if len(atoms) != 4 or bond is None:
            raise ValueError(f"{name!r} is no type of a torsion outside rings as proper_torsions writes it")
        rows.append([*(value for atom in atoms for value in atom), "-=#:~".index(bond.group(1))])
    return np.array(rows, int).reshape(-1, 13)


def _reversed(rows):
    return np.concatenate([rows[:, 9:12], rows[:, 6:9], rows[:, 3:6], rows[:, :3], rows[:, 12:]], 1)


def _own(first, second, settings) -> np.ndarray:
    """Covariance of what is left to a profile between its angles."""
    apart = np.asarray(first)[:, None] - np.asarray(second)[None]
    return settings[1] * np.exp((np.cos(apart) - 1) / WIDTH**2)
