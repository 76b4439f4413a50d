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
    check_temperatures(reference, model)
    (p, p_halves), (q, q_halves) = (
        (
            histogram(coordinates, frames, bins),
            [histogram(coordinates, half, bins) for half in halves_of_frames(frames)],
        )
        for frames in (reference, model)
    )
    return _compared(p, q, p_halves, q_halves)


def compare_values(
    reference: Float[np.ndarray, "frames variables"],
    model: Float[np.ndarray, "some variables"],
    ranges: Sequence[tuple[float, float]],
    bins: int = 24,
    weights: Float[np.ndarray, " frames"] | None = None,
) -> SurfaceComparison:
    """The same of values of any variables; those beyond ``ranges`` count in the bins at the ends.

    Parameters
    ----------
    reference, model : in order of time, of which halves are taken
    ranges : least and largest value of each variable
    weights : of the reference's frames

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(2, 20000, 1))
    >>> found = compare_values(x[0], x[1], [(-3.0, 3.0)])
    >>> bool(found.divergence < 0.001 < compare_values(x[0], 1 + x[1], [(-3.0, 3.0)]).divergence)
    True
    """
    low, high = np.array(ranges, float).T

    def counted(values, own):
        return np.histogramdd(np.clip(values, low, high), bins, ranges, weights=own)[0]

    def counts(values, own):
        middle = len(values) // 2
        parts = (slice(middle), slice(middle, None))
        return counted(values, own), [counted(values[k], None if own is None else own[k]) for k in parts]

    (p, p_halves), (q, q_halves) = counts(reference, weights), counts(model, None)
    return _compared(p, q, p_halves, q_halves)


def _compared(
    p: Float[np.ndarray, " *bins"],
    q: Float[np.ndarray, " *bins"],
    p_halves: Sequence[Float[np.ndarray, " *bins"]],
    q_halves: Sequence[Float[np.ndarray, " *bins"]],
) -> SurfaceComparison:
    """Histograms of reference and model, with those of their halves."""
    p_share, q_share = p / p.sum(), q / q.sum()
    both = (p > 0) & (q > 0)
    apart = np.log(q_share[both] / p_share[both])
    weights = p_share[both] / max(p_share[both].sum(), 1e-300)
    apart = apart - weights @ apart
    return SurfaceComparison(
        p,
        q,
        jensen_shannon(p, q),
        jensen_shannon(*p_halves),
        jensen_shannon(*q_halves),
        float(np.sqrt(weights @ apart**2)) if both.any() else float("nan"),
        float(p_share[~(q > 0)].sum()),
    )


def halves_of_frames(frames: BeadFrames) -> tuple[BeadFrames, BeadFrames]:
    """The first and the second half of the frames."""
    return frames[: len(frames) // 2], frames[len(frames) // 2 :]


def check_temperatures(reference: BeadFrames, model: BeadFrames) -> None:
    """Refuse frames of two temperatures."""
    if abs(reference.kT - model.kT) > 1e-6 * reference.kT:
        raise ValueError(
            f"reference and model are at kT of {reference.kT:.4f} and {model.kT:.4f} kJ/mol; compare at one temperature"
        )
