"""What conformations of chains are told from: fakes of a known density, alike enough that telling them apart teaches.

Where real and fake hardly overlap a classifier is right whatever it says about the free energy. Noise that grows in
steps leads from one to the other through densities that do overlap, and the logarithms of the odds add up [rhodes2020].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.free_energies.landscapes.encoding import Marginals


@dataclass(frozen=True)
class FakeLadder:
    """Densities from that of the data down to a known one.

    Attributes
    ----------
    steps : densities below that of the data; a classifier tells each from the next
    drawn : of frames, a count and a generator, as many conformations of each of these densities
    known : logarithm of the last density ``(frames,)``, of ``(frames, residues, angles)``; up to a constant of a length
    """

    steps: int
    drawn: Callable[[np.ndarray, int, np.random.Generator], list[np.ndarray]]
    known: Callable[[Any], jax.Array]


@runtime_checkable
class Fakes(Protocol):
    """A way to make fakes."""

    def ladder(self, chains: Sequence[np.ndarray], angles: Marginals) -> FakeLadder:
        """For ``chains``, arrays ``(frames, residues, angles)``, whose single angles have the densities ``angles``."""
        ...


class ProductOfMarginals:
    """Each angle with its own distribution, independent of all others: what is left to learn is how they depend.

    Examples
    --------
    >>> ProductOfMarginals().ladder([], Marginals(*np.ones((3, 2, 1), np.float32), (2 * np.pi,))).steps
    1
    """

    def ladder(self, chains: Sequence[np.ndarray], angles: Marginals) -> FakeLadder:
        def drawn(frames, count, generator):
            return [lacking(independent_angles(angles, count, frames.shape[1], generator), frames)]

        return FakeLadder(1, drawn, AnglesAlone(angles))


class UniformAngles:
    """Any angle anywhere.

    Examples
    --------
    >>> angles = Marginals(*np.ones((3, 2, 1), np.float32), (2 * np.pi,))
    >>> UniformAngles().ladder([], angles).drawn(np.zeros((5, 3, 1)), 4, np.random.default_rng(0))[0].shape
    (4, 3, 1)
    """

    def ladder(self, chains: Sequence[np.ndarray], angles: Marginals) -> FakeLadder:
        return FakeLadder(
            1, lambda frames, count, generator: [_uniform(frames, count, generator)], _nowhere_more
        )


@dataclass(frozen=True)
class AnnealedNoise:
    """Conformations with ever more noise, uniform ones at last: where angles depend strongly on each other.

    Parameters
    ----------
    widths : deviations of the noise, growing [rad]

    Raises
    ------
    ValueError
        If widths are not positive and growing.

    Examples
    --------
    >>> AnnealedNoise((0.2, 0.8)).ladder([], Marginals(*np.ones((3, 2, 1), np.float32), (2 * np.pi,))).steps
    3
    """

    widths: tuple[float, ...] = (0.15, 0.4, 1.0)

    def __post_init__(self):
        if not self.widths or min(self.widths) <= 0 or list(self.widths) != sorted(set(self.widths)):
            raise ValueError(f"noise needs positive widths that grow [rad]; got {self.widths}")

    def ladder(self, chains: Sequence[np.ndarray], angles: Marginals) -> FakeLadder:
        def drawn(frames, count, generator):
            found = []
            for width in self.widths:
                some = frames[generator.integers(len(frames), size=count)]
                found.append((some + width * generator.standard_normal(some.shape)).astype(np.float32))
            return [*found, _uniform(frames, count, generator)]

        return FakeLadder(len(self.widths) + 1, drawn, _nowhere_more)


class AnglesAlone(eqx.Module):
    """``sum ln p_0`` of all angles there are."""

    angles: Marginals

    def __call__(self, chains: Any) -> jax.Array:
        known = ~jnp.isnan(chains)
        values = jnp.where(known, chains, 0.0)
        logs = self.angles.log_densities(values.reshape(-1, values.shape[-1])).reshape(values.shape)
        return (logs * known).sum((1, 2))


class MeanOfMembers(eqx.Module):
    """The mean of the logarithms of several densities."""

    members: tuple[Callable[[Any], jax.Array], ...]

    def __call__(self, chains: Any) -> jax.Array:
        return jnp.stack([member(chains) for member in self.members]).mean(0)


def _nowhere_more(chains: Any) -> jax.Array:
    """The logarithm of a uniform density, up to its constant: zero."""
    return jnp.zeros(chains.shape[0])


def independent_angles(
    angles: Marginals, count: int, residues: int, generator: np.random.Generator
) -> np.ndarray:
    """``(count, residues, angles)`` drawn one by one from the densities ``angles``."""
    return angles.sample(count * residues, generator).reshape(count, residues, -1)


def _uniform(frames: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    return lacking(generator.uniform(-np.pi, np.pi, (count, *frames.shape[1:])), frames)


def lacking(fakes: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Fakes without the angles that the frames have not."""
    return np.where(np.isnan(frames[:1]), np.nan, fakes).astype(np.float32)
