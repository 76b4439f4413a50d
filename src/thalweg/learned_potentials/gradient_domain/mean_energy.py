"""The mean of a Gaussian process of energies, put back under what a kernel learned of the rest, which stays in bounds.

With the prior ``E ~ GP(mu, k)`` a prediction is ``mu(x) + k(x, training) (K + noise)^-1 (y - mu)`` [rasmussen2006]; the
mean ``mu`` is an energy of its own, or nothing.

What a kernel says between its frames and where it has forgotten them is anything: a thousand kJ/mol below the mean
where a bond is pressed, say, and a molecule that falls in there stays. What is learned, ``g``, may be held in bounds:

    E = mu + c + R h((g - c) / R),   R = slack + rise,   rise = mu - min mu over the training frames,

where ``h(z) = z`` up to half the ``share``, and beyond goes to ``share`` smoothly, with two derivatives. The slack is
such that training frames, and others like them, stay as they are; elsewhere a kernel takes back no more than its share
of what the mean has risen by. A false minimum below the true one then is possible only where the mean has risen by less
than the slack, half of which is the most that it can be deep with a share of a half.
"""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.learned_potentials.parametric.force_field import ForceFieldTerm
from thalweg.learned_potentials.terms.term import Labels
from thalweg.potentials.energy import Energy, Sum
from thalweg.shapes import Array, Bool, Box, Energies, Float, Positions
from thalweg.systems.configuration import Configuration

SPARE = 1.5
"""The slack is this multiple of what training frames need."""


class KernelBound(eqx.Module):
    """How far what is learned may take energies from their mean.

    Attributes
    ----------
    share : of the rise of the mean, at most
    center : mean energy that is learned of the training frames, c [kJ/mol]
    floor : least mean energy of the process in the training frames [kJ/mol]
    slack : room where the mean has not risen [kJ/mol]
    """

    share: float
    center: float
    floor: float
    slack: float

    @staticmethod
    def of(
        share: float, learned: Float[np.ndarray, " frames"], mean: Float[np.ndarray, " frames"]
    ) -> KernelBound:
        """The one that leaves energies ``learned`` of training frames, over their ``mean``, as they are [kJ/mol]."""
        center, floor = float(np.mean(learned)), float(np.min(mean))
        needed = np.abs(learned - center) / (share / 2)
        slack = max(SPARE * float((needed - (mean - floor)).max()), float(np.sqrt((needed**2).mean())), 1.0)
        return KernelBound(share, center, floor, slack)

    def __call__(
        self, learned: Float[Array, " *shape"], mean: Float[Array, " *shape"]
    ) -> Float[Array, " *shape"]:
        """Energies, of what was ``learned`` and the ``mean`` [kJ/mol].

        Examples
        --------
        >>> bound = KernelBound(share=0.5, center=0.0, floor=0.0, slack=100.0)
        >>> bound(np.array([-200.0, -1000.0, -5000.0]), np.full(3, 900.0)).round().tolist()
        [700.0, 400.0, 399.0]
        """
        rise, half = mean - self.floor, self.share / 2
        # no less than slack + rise, and positive
        room = self.slack + (rise + jnp.sqrt(rise * rise + self.slack**2)) / 2
        part = (learned - self.center) / room
        beyond = jnp.maximum(jnp.abs(part) - half, 0)
        kept = part - jnp.sign(part) * (beyond - half * jnp.tanh(beyond / half))
        return mean + self.center + room * kept

    def labels(self, learned: Labels, mean: Labels) -> Labels:
        """Labels of what was ``learned`` and the ``mean``, put together."""
        with jax.enable_x64(True):
            energies, pull = jax.vjp(self, jnp.asarray(learned.energies), jnp.asarray(mean.energies))
            by_learned, by_mean = (np.asarray(each) for each in pull(jnp.ones_like(energies)))
        forces = tuple(
            a * f + b * g for a, f, b, g in zip(by_learned, learned.forces, by_mean, mean.forces, strict=True)
        )
        return Labels(np.asarray(energies), forces, learned.stresses)


class _BoundedEnergy(Energy):
    """What was learned and its mean, within a bound.

    Attributes
    ----------
    learned, mean : energies; no mean is zero
    bound : of the first
    """

    learned: Energy
    mean: Energy | None
    bound: KernelBound

    def __call__(self, positions: Positions, box: Box | None = None) -> Energies:
        learned = self.learned(positions, box)
        mean = jnp.zeros_like(learned) if self.mean is None else self.mean(positions, box)
        return self.bound(learned, mean)

    def refreshed(self, positions: Positions, box: Box | None = None) -> Energy:
        mean = None if self.mean is None else self.mean.refreshed(positions, box)
        return _BoundedEnergy(self.learned.refreshed(positions, box), mean, self.bound)

    def stale(self, positions: Positions, box: Box | None = None) -> Bool[Array, ""] | bool:
        return Sum((self.learned, *(() if self.mean is None else (self.mean,)))).stale(positions, box)


def over_mean(
    learned: Energy, mean: ForceFieldTerm | None, numbers: np.ndarray, bound: KernelBound | None = None
) -> Energy:
    """The energy of atoms ``numbers``: what was ``learned``, within ``bound`` if there is one, and its ``mean``."""
    below = None if mean is None else mean.bind(numbers)
    if bound is not None:
        return _BoundedEnergy(learned, below, bound)
    return learned if below is None else Sum((learned, below))


def labels_over_mean(
    learned: Labels,
    mean: ForceFieldTerm | None,
    configurations: Sequence[Configuration],
    bound: KernelBound | None = None,
) -> Labels:
    """Labels of ``configurations``: what was ``learned`` of them, within ``bound``, and those of its ``mean``."""
    below = None if mean is None else mean.evaluate(configurations)
    if bound is None:
        return learned if below is None else learned + below
    return bound.labels(learned, below or _nothing(learned))


def _nothing(like: Labels) -> Labels:
    """Labels of zero for as many frames and atoms."""
    return Labels(0 * like.energies, tuple(0 * each for each in like.forces), like.stresses)
