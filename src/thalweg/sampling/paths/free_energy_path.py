"""A way between two states in the space of some variables, and the free energy along it with its error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline

from thalweg.learning.models import Model
from thalweg.shapes import Shaped


@dataclass(frozen=True, eq=False)
class FreeEnergyPath(Model):
    """A string of images in variables and what the free energy is at each.

    Attributes
    ----------
    images : (images, values); periodic values go on beyond their border
    free_energy : (images,), from zero at the first [kJ/mol]
    errors : (images,) standard errors of the differences from the first image [kJ/mol]
    names, units, periods : of the values
    found_by : the method in words
    drift : how far the string still moved between the third and the last quarter of its moves, the image that moved
        most, in distances between images
    simulated : time over all walkers, pulling included [ps]
    mean_forces : (images, values) slopes of the free energy [kJ/mol per unit of the value]; None where not measured
    metrics : (images, values, values) mean metric tensors with inverse masses; None where not measured
    passages : (images, images) how often a walker of one cell was seen in another, or in its own; None where there are
        no cells
    notes : what one should know
    """

    images: Shaped[np.ndarray, "images values"]
    free_energy: Shaped[np.ndarray, " images"]
    errors: Shaped[np.ndarray, " images"]
    names: tuple[str, ...]
    units: tuple[str, ...]
    periods: tuple[float | None, ...]
    found_by: str
    drift: float
    simulated: float
    mean_forces: Shaped[np.ndarray, "images values"] | None = None
    metrics: Shaped[np.ndarray, "images values values"] | None = None
    passages: Shaped[np.ndarray, "images images"] | None = None
    notes: tuple[str, ...] = ()

    @property
    def highest(self) -> int:
        """Which image is highest."""
        return int(np.argmax(self.free_energy))

    @property
    def barrier(self) -> tuple[float, float]:
        """Highest free energy above the first image, between images by a cubic spline, and the standard error of the
        highest image [kJ/mol].
        """
        at = np.arange(len(self.free_energy))
        between = np.linspace(0, at[-1], 50 * at[-1] + 1)
        top = CubicSpline(at, self.free_energy)(between).max()
        return float(top), float(self.errors[self.highest])

    def headline(self) -> dict[str, Any]:
        barrier, error = self.barrier
        return {
            "images": len(self.images),
            "barrier [kJ/mol]": barrier,
            "error [kJ/mol]": error,
            "drift": self.drift,
            "simulated [ps]": self.simulated,
        }

    def __str__(self) -> str:
        return "\n".join([f"path by the {self.found_by}: {self!r}", *self.notes])
