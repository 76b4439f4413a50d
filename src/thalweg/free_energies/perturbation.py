"""From one energy to another: what a free-energy difference becomes under a dearer one, asked about some frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thalweg.shapes import Float, Int

NEEDED_SHARE = 0.1
"""Share of the frames that must carry the weight for the perturbation to be trusted."""

SAMPLES = 400
"""Bootstrap samples."""


@dataclass(frozen=True)
class Perturbation:
    """What to add to a free-energy difference, and how much it can be trusted.

    Attributes
    ----------
    value, error : what to add, and its standard error [kJ/mol]
    share : of the frames that carry the weight, in the state that has the least
    frames : asked about, in both states
    """

    value: float
    error: float
    share: float
    frames: int

    @property
    def shortcomings(self) -> tuple[str, ...]:
        """What is missing for the number to be trusted; empty if nothing."""
        if self.share >= NEEDED_SHARE:
            return ()
        return (
            f"the energies differ so much that {100 * self.share:.2g} % of the frames carry the weight, "
            f"{100 * NEEDED_SHARE:.0f} % needed",
        )

    def __str__(self) -> str:
        return "; ".join(self.shortcomings) or f"{self.value:+.2f} ± {self.error:.2f} kJ/mol"


def perturbation(
    added_a: Float[np.ndarray, " frames_a"],
    added_b: Float[np.ndarray, " frames_b"],
    kT: float,
    seed: int = 0,
) -> Perturbation:
    """What ``F_A - F_B`` changes by when the energy does [zwanzig1954].

    ``-kT ln <exp(-dU / kT)>_A + kT ln <exp(-dU / kT)>_B``, over frames of the old energy's ensemble in either state.
    The error is that of independent frames, by bootstrap.

    Parameters
    ----------
    added_a, added_b : new less old energy of frames drawn from the old ensemble within A and within B [kJ/mol]
    kT : [kJ/mol]

    Raises
    ------
    ValueError
        If a state has fewer than two frames, or an energy is not finite.

    Examples
    --------
    >>> rng = np.random.default_rng(0)                     # of a Gaussian, -kT ln <exp(-x / kT)> = mean - var / 2 kT
    >>> print(perturbation(rng.normal(3.0, 0.5, 4000), rng.normal(1.0, 0.5, 4000), kT=2.5))
    +1.99 ± 0.01 kJ/mol
    """
    states = [np.asarray(added_a, float), np.asarray(added_b, float)]
    for name, added in zip("ab", states):
        if len(added) < 2 or not np.isfinite(added).all():
            raise ValueError(
                f"state {name} has {len(added)} frames with {np.isfinite(added).sum()} finite energies; give two or "
                "more, all finite"
            )
    rng = np.random.default_rng(seed)
    drawn = [_free(added[rng.integers(0, len(added), (SAMPLES, len(added)))], kT) for added in states]
    weights = [np.exp(-(added - added.min()) / kT) for added in states]
    return Perturbation(
        value=float(_free(states[0], kT) - _free(states[1], kT)),
        error=float(np.std(drawn[0] - drawn[1], ddof=1)),
        share=float(min(w.sum() ** 2 / (w @ w) / len(w) for w in weights)),
        frames=sum(map(len, states)),
    )


def systematic_draw(
    log_weights: Float[np.ndarray, " frames"], count: int, seed: int = 0
) -> Int[np.ndarray, " count"]:
    """Numbers of ``count`` frames drawn by their weights, as evenly as that goes; one of great weight comes repeatedly.

    Examples
    --------
    >>> systematic_draw(np.log([0.1, 0.4, 0.1, 0.4]), 5).tolist()
    [1, 1, 2, 3, 3]
    """
    weights = np.exp(log_weights - np.max(log_weights))
    ends = np.cumsum(weights) / weights.sum()
    places = (np.random.default_rng(seed).random() + np.arange(count)) / count
    return np.minimum(np.searchsorted(ends, places), len(weights) - 1)


def _free(added: np.ndarray, kT: float) -> np.ndarray | np.floating:
    """``-kT ln <exp(-dU / kT)>`` over the last axis."""
    least = added.min(-1, keepdims=True)
    return least[..., 0] - kT * np.log(np.exp(-(added - least) / kT).mean(-1))
