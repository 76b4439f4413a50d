"""Affinities of ligands in their pockets, kept: a process over series that predicts new ligands later.

`AffinityProcess` chooses the weights of `series_kernels` once; here they are kept with the ligands that they were
chosen by, and new ligands are predicted from these in closed form. What an atom adds is the difference that
leaving it out makes: of what the ligand fills of its pocket (fields), of its numbers of atoms (composition), and of its
fingerprint [riniker2013]. Descriptors are of whole molecules, and stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.binding.affinity_process import AffinityProcess, conditioned
from thalweg.binding.complexes import TypedAtoms
from thalweg.binding.ligands.calibrated import ApplicabilityDomain
from thalweg.binding.ligands.features import LigandFeatures
from thalweg.binding.series_kernels import series_kernels
from thalweg.learning.calibration import alarm_threshold
from thalweg.learning.models import Method, Model
from thalweg.shapes import Float, Shaped

FINGERPRINT = "morgan"

OF_ATOMS = ("field in series", "composition in series", FINGERPRINT, f"{FINGERPRINT} in series")
"""Kernels that change when an atom is left out."""


@dataclass(frozen=True)
class AffinitySeries(Method):
    """Settings.

    Parameters
    ----------
    process : how weights are chosen
    outside : share of known ligands that may lie outside the applicability domain
    """

    process: AffinityProcess = AffinityProcess()  # noqa: RUF009
    outside: float = 0.05

    def fit(
        self,
        features: LigandFeatures,
        atoms: Sequence[TypedAtoms],
        series: Sequence[str],
        ligands: Sequence[str],
        labels: Float[np.ndarray, " rows"],
    ) -> AffinitySeriesModel:
        """The process given ligands in poses; rows of one ligand of one series are averaged.

        Parameters
        ----------
        features : fingerprints and descriptors of each row
        atoms : of each row in its pose; poses of one series share a frame of coordinates
        series, ligands : names of the set that each row is of, and of its ligand
        labels : [kJ/mol]

        Raises
        ------
        ValueError
            If lengths differ, or fewer than ten ligands are there.
        """
        kept = LigandFeatures({FINGERPRINT: features.counts[FINGERPRINT]}, features.descriptors)
        kernels = series_kernels(kept, atoms, series, ligands)
        energies = _of_ligands(labels, list(zip(series, ligands)))
        found = self.process.fit(kernels, energies)
        return AffinitySeriesModel(
            self,
            kept,
            tuple(atoms),
            tuple(series),
            tuple(ligands),
            energies,
            dict(found.amplitudes),
            found.noise,
            found.surprises,
            ApplicabilityDomain.of(kept, self.outside).least,
        )


@dataclass(frozen=True, eq=False, repr=False)
class AffinitySeriesModel(Model):
    """What is known, and how it counts.

    Attributes
    ----------
    method : settings
    features, atoms, series, ligands : of known rows
    energies : (ligands,) [kJ/mol], in order of appearance
    amplitudes, noise : of the process [(kJ/mol)^2]
    surprises : (ligands,) errors of known ligands, each left out, in claimed deviations
    least : similarity to the nearest known ligand from which on one is inside the domain
    """

    method: AffinitySeries
    features: LigandFeatures
    atoms: tuple[TypedAtoms, ...]
    series: tuple[str, ...]
    ligands: tuple[str, ...]
    energies: Float[np.ndarray, " ligands"]
    amplitudes: Mapping[str, float]
    noise: float
    surprises: Float[np.ndarray, " ligands"]
    least: float

    def headline(self) -> Mapping[str, object]:
        """Numbers of series and ligands, and what counts."""
        return {
            "series": len(set(self.series)),
            "ligands": len(self.energies),
            "noise": f"{np.sqrt(self.noise):.3g} kJ/mol",
        }

    def predict(
        self,
        features: LigandFeatures,
        atoms: Sequence[TypedAtoms],
        series: Sequence[str],
        level: float = 0.9,
    ) -> AffinityPredictions:
        """Free energies of new ligands in poses.

        Parameters
        ----------
        series : names of known ones, where offsets are known, or of others, where differences alone say something
        level : share of ligands that intervals are to hold

        Raises
        ------
        ValueError
            If lengths differ, or known ligands are too few for the level.
        """
        found = self._conditioned(features, atoms, series)
        place = slice(len(self.energies), None)
        domain = ApplicabilityDomain(self.features, self.least)
        nearest = domain.similarity(_kept(features))
        return AffinityPredictions(
            found.means[place],
            found.deviations[place],
            alarm_threshold(self.surprises, 1 - level) * found.deviations[place],
            nearest,
            nearest >= self.least,
            np.isin(series, self.series),
        )

    def contributions(
        self,
        features: LigandFeatures,
        atoms: TypedAtoms,
        series: str,
        without: Shaped[np.ndarray, "atoms columns"],
    ) -> Float[np.ndarray, " atoms"]:
        """What each atom adds to the free energy of a ligand [kJ/mol], negative where it helps to bind.

        Parameters
        ----------
        features, atoms, series : of the one ligand
        without : its fingerprint without each atom, see `thalweg.interop.counts_without_atoms`

        Raises
        ------
        ValueError
            If the ligand has a single atom, or fingerprints are of another number of atoms.
        """
        count = len(atoms)
        if count < 2 or len(without) != count:
            raise ValueError(
                f"{len(without)} fingerprints for a ligand of {count} atoms; one without each of two or more is needed"
            )
        left = [atoms.taken(np.arange(count) != k) for k in range(count)]
        repeated = LigandFeatures(
            {FINGERPRINT: np.concatenate([features.counts[FINGERPRINT], without])},
            np.repeat(features.descriptors, count + 1, 0),
        )
        found = self._conditioned(repeated, [atoms, *left], [series] * (count + 1))
        means = found.means[len(self.energies) :]
        return means[0] - means[1:]

    @property
    def of_atoms(self) -> float:
        """Share of the variance, noise left out, that `contributions` speak of."""
        own = sum(self.amplitudes[name] for name in OF_ATOMS)
        return own / max(sum(self.amplitudes[name] for name in self.amplitudes if name != "series"), 1e-30)

    def _conditioned(self, features, atoms, series):
        new = [f"new {k}" for k in range(len(atoms))]
        both = LigandFeatures(
            {FINGERPRINT: np.concatenate([self.features.counts[FINGERPRINT], features.counts[FINGERPRINT]])},
            np.concatenate([self.features.descriptors, features.descriptors]),
        )
        kernels = series_kernels(
            both, [*self.atoms, *atoms], [*self.series, *series], [*self.ligands, *new], FINGERPRINT
        )
        labels = np.concatenate([self.energies, np.full(len(atoms), np.nan)])
        return conditioned(kernels, labels, self.amplitudes, self.noise)


@dataclass(frozen=True, eq=False, repr=False)
class AffinityPredictions(Model):
    """What is expected of new ligands.

    Attributes
    ----------
    energies, deviations : (ligands,) free energies and their standard deviations [kJ/mol]
    half_widths : (ligands,) of intervals [kJ/mol]
    similarities : (ligands,) to the nearest known ligand
    inside : (ligands,) whether in the applicability domain
    known_series : (ligands,) whether ligands of the same series are known
    """

    energies: Float[np.ndarray, " ligands"]
    deviations: Float[np.ndarray, " ligands"]
    half_widths: Float[np.ndarray, " ligands"]
    similarities: Float[np.ndarray, " ligands"]
    inside: np.ndarray
    known_series: np.ndarray


def _kept(features: LigandFeatures) -> LigandFeatures:
    return LigandFeatures({FINGERPRINT: features.counts[FINGERPRINT]}, features.descriptors)


def _of_ligands(labels, names):
    """Means over rows of one ligand, in order of appearance."""
    place = {name: k for k, name in enumerate(dict.fromkeys(names))}
    own = np.array([place[name] for name in names])
    return np.bincount(own, np.asarray(labels, float)) / np.bincount(own)
