"""Charges and polarizabilities from labels of them: the electrostatics of physics-based potentials [bereau2018].

Charges that surroundings say are fitted to labeled charges and, more tightly, to labeled dipoles of molecules, which
decide what is felt far away; polarizabilities of elements add up to those of molecules. Both are linear least squares.
What such a term leaves of energies is short-ranged, and a learner's: take it as its baseline.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.optimize

from thalweg.learned_potentials.long_range.environment_charges import (
    CONSERVED,
    USUAL_CHANGE,
    EnvironmentCharges,
    no_charges,
)
from thalweg.learned_potentials.terms.learner import FitInfo, FittedTerm
from thalweg.learned_potentials.terms.term import Weights
from thalweg.representations.expansions.ace import ACE
from thalweg.representations.representation import Representation
from thalweg.systems.configuration import Configuration
from thalweg.units import Nanometers


@dataclass(frozen=True)
class LabeledCharges:
    """Fits `EnvironmentCharges` to charges, dipoles and polarizabilities that frames are labeled with.

    Frames have ``properties["charges"]`` [e], ``properties["dipole"]`` [e nm], or both, and may have
    ``properties["polarizability"]`` [nm^3]; energies and forces are not looked at. Take molecules alone, with dipoles,
    and some that touch, without: what surroundings say of a molecule that touches another has been seen, too, then.

    Parameters
    ----------
    near : up to where the learner on top sees; pairs of charges count in full from there on [nm]
    seen : what charges depend on beside their element, without products of many neighbors
    trust : error of a charge [e] that one would be content with
    dipole_trust : of a dipole [e nm]

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.systems import Configuration
    >>> water = Configuration(
    ...     np.array([8, 1, 1]),
    ...     np.array([[0, 0, 0], [0.0757, 0.0586, 0], [-0.0757, 0.0586, 0]]),
    ...     properties={"charges": np.array([-0.8, 0.4, 0.4]), "polarizability": 1.4e-3 * np.eye(3)},
    ... )
    >>> term = LabeledCharges().fit([water]).term
    >>> term.constants.round(3).tolist(), term.polarizabilities.sum().round(5).item() <= 1.4e-3
    ([0.4, -0.8], True)
    """

    near: Nanometers = 0.5
    seen: Representation = ACE(cutoff=0.3, levels=(6, 4))  # noqa: RUF009
    trust: float = 0.02
    dipole_trust: float = 2e-4

    def fit(
        self,
        configurations: Sequence[Configuration],
        *,
        validation: Sequence[Configuration] = (),
        weights: Weights = Weights(),  # noqa: B008
        seed: int = 0,
        progress: Callable[[str, float], None] | None = None,
    ) -> FittedTerm:
        """An `EnvironmentCharges` term; its polarizabilities are zero where no frame has one.

        Raises
        ------
        ValueError
            If no frame has charges or a dipole.
        """
        labeled = [f for f in configurations if "charges" in f.properties or "dipole" in f.properties]
        if not labeled:
            raise ValueError(
                f"{len(configurations)} frames given, none with properties['charges'] or ['dipole']; label them, by "
                "tight binding for example, or learn charges from energies: LatentCharges"
            )
        start = no_charges(configurations, self.seen, self.near)
        rows, values = self._equations(start, labeled)
        found = np.linalg.lstsq(rows, values)[0]
        count, width = start.slopes.shape
        volumes, polar = _polarizabilities(start.elements, configurations)
        term = replace(
            start,
            constants=found[:count],
            slopes=found[count:].reshape(count, width),
            polarizabilities=volumes,
        )
        charges, dipoles = _errors(term, labeled)
        notes = [f"{name} are met to {off:.3g} {unit} (root mean square)." for name, off, unit in (
            ("Charges", charges, "e"), ("Dipoles", dipoles, "e nm"), ("Polarizabilities", polar, "nm^3"),
        ) if off is not None]  # fmt: skip
        return FittedTerm(term, FitInfo(notes=tuple(notes)))

    def _equations(self, start, frames):
        """Least squares for constants and slopes: labels, sums of charges, and slopes of usual sizes."""
        count, width = start.slopes.shape
        rows, values = [], []
        for frame, parts in zip(frames, start.by_parameter(frames)):
            rows.append(parts.sum(0)[None] / CONSERVED)
            values.append([float(frame.info.get("charge", 0.0)) / CONSERVED])
            if "charges" in frame.properties:
                rows.append(parts / self.trust)
                values.append(np.asarray(frame.properties["charges"], float) / self.trust)
            if "dipole" in frame.properties:
                rows.append(frame.positions.T @ parts / self.dipole_trust)
                values.append(np.asarray(frame.properties["dipole"], float) / self.dipole_trust)
        usual = np.eye(count * (1 + width))[count:] / USUAL_CHANGE
        return np.concatenate([*rows, usual]), np.concatenate([*values, np.zeros(count * width)])


def _polarizabilities(
    elements: Sequence[int], configurations: Sequence[Configuration]
) -> tuple[np.ndarray, float | None]:
    """Volumes of elements, none negative, that add up to those of molecules [nm^3], and by how much they do not."""
    labeled = [frame for frame in configurations if "polarizability" in frame.properties]
    if not labeled:
        return np.zeros(len(elements)), None
    counts = np.array([[np.sum(frame.numbers == z) for z in elements] for frame in labeled], float)
    means = np.array([np.trace(frame.properties["polarizability"]) / 3 for frame in labeled])
    volumes, off = scipy.optimize.nnls(counts, means)
    return volumes, float(off / np.sqrt(len(labeled)))


def _errors(term: EnvironmentCharges, frames: Sequence[Configuration]) -> tuple[float | None, float | None]:
    """Root mean square errors of labeled charges [e] and dipoles [e nm]; None where there are none."""
    parameters = np.concatenate([term.constants, term.slopes.ravel()])
    charges, dipoles = [], []
    for frame, parts in zip(frames, term.by_parameter(frames)):
        found = parts @ parameters
        found += (float(frame.info.get("charge", 0.0)) - found.sum()) / len(found)
        if "charges" in frame.properties:
            charges.extend(found - frame.properties["charges"])
        if "dipole" in frame.properties:
            dipoles.extend(found @ frame.positions - frame.properties["dipole"])
    return tuple(float(np.sqrt(np.mean(np.square(each)))) if each else None for each in (charges, dipoles))
