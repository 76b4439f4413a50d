"""One call that compares a coarse model with its reference, by what is asked of it: surfaces, not the loss."""

from __future__ import annotations

from collections.abc import Mapping as Table
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.coarse_graining.bead_frames import BeadFrames
from thalweg.coarse_graining.interactions.interaction import InternalCoordinate
from thalweg.coarse_graining.judgement.distributions import histogram, jensen_shannon
from thalweg.learning.models import Model
from thalweg.shapes import Float


@dataclass(frozen=True)
class SurfaceComparison(Model):
    """A free-energy surface of the model beside that of the reference.

    Attributes
    ----------
    reference, model : histograms over the same bins
    divergence : Jensen-Shannon divergence of the two [nat]
    floor : that of the halves of the reference: what a perfect model would show against as few frames
    own_floor : that of the halves of the model's frames: what its own sampling leaves open
    error : root mean square difference of free energies, weighted by the reference, bins both have seen [kT]
    missed : share of the reference in bins that the model never visits
    """

    reference: Float[np.ndarray, " *bins"]
    model: Float[np.ndarray, " *bins"]
    divergence: float
    floor: float
    own_floor: float
    error: float
    missed: float

    def headline(self) -> Table[str, Any]:
        return {
            "divergence [nat]": self.divergence,
            "floor [nat]": self.floor,
            "own floor [nat]": self.own_floor,
            "error [kT]": self.error,
            "missed": self.missed,
        }


def compare_surfaces(
    coordinates: Sequence[InternalCoordinate], reference: BeadFrames, model: BeadFrames, bins: int = 24
) -> SurfaceComparison:
    """Compare the joint distribution of ``coordinates``.

    Raises
    ------
    ValueError
        If temperatures differ: free energies of two temperatures are not compared.
    """
    if abs(reference.kT - model.kT) > 1e-6 * reference.kT:
        raise ValueError(
            f"reference and model are at kT of {reference.kT:.4f} and {model.kT:.4f} kJ/mol; compare at one temperature"
        )
    p, q = (histogram(coordinates, frames, bins) for frames in (reference, model))
    floor, own_floor = (
        jensen_shannon(
            histogram(coordinates, frames[: len(frames) // 2], bins),
            histogram(coordinates, frames[len(frames) // 2 :], bins),
        )
        for frames in (reference, model)
    )
    p_share, q_share = p / p.sum(), q / q.sum()
    both = (p > 0) & (q > 0)
    apart = np.log(q_share[both] / p_share[both])
    weights = p_share[both] / max(p_share[both].sum(), 1e-300)
    apart = apart - weights @ apart
    return SurfaceComparison(
        p,
        q,
        jensen_shannon(p, q),
        floor,
        own_floor,
        float(np.sqrt(weights @ apart**2)) if both.any() else float("nan"),
        float(p_share[~(q > 0)].sum()),
    )
