"""How wrong predicted properties are on held-out frames, and whether the deviations they claim are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.learning.models import Model
from thalweg.units import ANGSTROM, DEBYE, ELECTRONVOLT

SHOWN = {
    "dipole": (DEBYE, "D"),
    "polarizability": (ANGSTROM**3, "Å^3"),
    "charges": (1.0, "e"),
    "shieldings": (1.0, "ppm"),
    "gap": (ELECTRONVOLT, "eV"),
    "ionization_energy": (ELECTRONVOLT, "eV"),
}
"""Units in which errors of properties are shown."""


@dataclass(frozen=True)
class PropertyErrors(Model):
    """Errors of the components of a property, in its internal unit.

    Attributes
    ----------
    name : its name
    frames, count : frames and numbers compared
    mae, rmse, largest : mean absolute, root mean square and largest error
    typical : root mean square of the labels about their mean
    coverage_68, coverage_95 : part of the errors within 1 and 1.96 claimed deviations
    """

    name: str
    frames: int
    count: int
    mae: float
    rmse: float
    largest: float
    typical: float
    coverage_68: float
    coverage_95: float

    @property
    def unit(self) -> tuple[float, str]:
        """The unit errors are shown in, as a multiple of the internal one and by name."""
        return SHOWN.get(self.name, (1.0, ""))

    def headline(self) -> Mapping[str, object]:
        size, name = self.unit
        return {
            "property": self.name,
            "frames": self.frames,
            "MAE": f"{self.mae / size:.3g} {name}".strip(),
            "RMSE": f"{self.rmse / size:.3g} {name}".strip(),
            "within one deviation": f"{self.coverage_68:.0%}",
        }

    def __str__(self) -> str:
        size, name = self.unit
        return (
            f"{self.name} of {self.frames} frames: MAE {self.mae / size:.3g} {name}, RMSE {self.rmse / size:.3g} "
            f"{name}, labels spread by {self.typical / size:.3g} {name}; {self.coverage_68:.0%} of errors within one "
            f"deviation, {self.coverage_95:.0%} within two"
        )


def property_errors(
    name: str,
    known: Sequence[np.ndarray],
    predicted: Sequence[np.ndarray],
    deviations: Sequence[np.ndarray],
) -> PropertyErrors:
    """Compare ``predicted`` labels, whose claimed standard deviations are ``deviations``, with ``known`` ones.

    Examples
    --------
    >>> one = [np.array([1.0, 2.0])]
    >>> print(property_errors("dipole", one, [np.array([1.1, 2.0])], [np.array([0.2, 0.2])]).mae)
    0.05
    """
    labels, found, claimed = (
        np.concatenate([np.ravel(each) for each in values]) for values in (known, predicted, deviations)
    )
    off = np.abs(found - labels)
    return PropertyErrors(
        name,
        len(known),
        len(labels),
        round(float(off.mean()), 15),
        float(np.sqrt((off**2).mean())),
        float(off.max()),
        float(labels.std()),
        float((off <= claimed).mean()),
        float((off <= 1.96 * claimed).mean()),
    )
