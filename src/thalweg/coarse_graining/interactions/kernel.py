"""A Gaussian process of the internal coordinates of a molecule, as one more sum of functions.

    Phi_m(x) = exp( -|f(x) - f(x_m)|^2 / (2 l^2) ),

with ``f`` the coordinates of all beads concerned, angles by cosine and sine and lengths in deviations of the frames,
and ``x_m`` some of the frames. Fitted to forces by `ForceMatching` this is a Gaussian approximation potential of beads
[john2017], sparse, with derivatives as labels; noise of instantaneous forces is averaged by the sums. Signs of
dihedrals are seen, so that it knows left from right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.coarse_graining.bead_frames import BeadFrames
from thalweg.coarse_graining.interactions.interaction import COORDINATES, InternalCoordinate, coordinate_value
from thalweg.learning.splits import farthest_points
from thalweg.potentials.energy import Energy
from thalweg.potentials.internal_coordinates import internal
from thalweg.shapes import Box, Energies, Float, Int, Positions, Values

CANDIDATES = 5000
"""Frames that points are chosen among, about."""


@dataclass(frozen=True, init=False)
class KernelPoints:
    """Kernels at points of the space of several coordinates.

    Parameters
    ----------
    coordinates : whose terms are all seen at once; their functions do not matter
    frames : that points are taken from, far from each other, and deviations
    points : how many
    length : ``l``, in deviations of a length or an angle of three beads; waves of dihedrals count twice as much
    name : begins the names of coefficients

    Examples
    --------
    >>> from thalweg.coarse_graining.interactions.functions import Powers
    >>> x = np.random.default_rng(0).normal(size=(50, 4, 3))
    >>> torsion = InternalCoordinate("dihedral", [[0, 1, 2, 3]], Powers(0.0))
    >>> kernels = KernelPoints([torsion], BeadFrames(x, 2.5), points=6)
    >>> kernels.rows(x, None)[1].shape
    (50, 4, 3, 6)
    """

    seen: SeenCoordinates
    points: Float[np.ndarray, "points features"]
    length: float
    name: str

    def __init__(
        self,
        coordinates: Sequence[InternalCoordinate],
        frames: BeadFrames,
        points: int = 200,
        length: float = 1.0,
        name: str = "kernel",
    ):
        seen = SeenCoordinates.of(coordinates, frames)
        features = _features(seen, np.moveaxis(np.asarray(frames.positions, float), 0, -1)).T
        some = features[:: max(1, len(features) // CANDIDATES)]
        object.__setattr__(self, "seen", seen)
        object.__setattr__(self, "points", some[farthest_points(some, points)])
        object.__setattr__(self, "length", float(length))
        object.__setattr__(self, "name", name)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{self.name} {k + 1}" for k in range(len(self.points)))

    def rows(
        self,
        positions: Float[np.ndarray, "frames beads 3"],
        boxes: Float[np.ndarray, "frames 3 3"] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        if boxes is not None:
            raise ValueError("kernels are of one molecule; give its frames without boxes")
        x = np.moveaxis(np.asarray(positions, float), 0, -1)
        features, slopes = (np.asarray(each) for each in features_and_slopes(self.seen, x))
        apart = features.T[:, None] - self.points
        kernels = np.exp(-0.5 * (apart**2).sum(2) / self.length**2)
        # -dPhi/dx = Phi (f - f_m) / l^2 . df/dx, slopes (features, beads, 3, frames)
        along = kernels[..., None] * apart / self.length**2
        forces = np.einsum("fmk,kbcf->fbcm", along, slopes, optimize=True)
        return kernels, forces

    def energy(self, coefficients: Float[np.ndarray, " functions"], beads: int) -> Energy:
        return KernelEnergy(self.seen, self.points, np.asarray(coefficients, float), self.length)


class SeenCoordinates(eqx.Module):
    """Internal coordinates as numbers of like size.

    Attributes
    ----------
    kinds : of the coordinates
    atoms : for each, (roles, terms) int
    centers, scales : for each, (terms,); those of dihedrals are not used
    """

    kinds: tuple[str, ...] = eqx.field(static=True)
    atoms: tuple[Int[np.ndarray, "_ _"], ...]
    centers: tuple[Float[np.ndarray, " _"], ...]
    scales: tuple[Float[np.ndarray, " _"], ...]

    @staticmethod
    def of(coordinates: Sequence[InternalCoordinate], frames: BeadFrames) -> SeenCoordinates:
        """Those of ``frames``."""
        values = [one.values(frames.positions, frames.boxes) for one in coordinates]
        return SeenCoordinates(
            tuple(one.kind for one in coordinates),
            tuple(one.terms.T for one in coordinates),
            tuple(q.mean(0) for q in values),
            tuple(np.maximum(q.std(0), 1e-9) for q in values),
        )

    def __call__(self, positions: Positions) -> Values:
        """Numbers of ``positions`` (beads, 3, *replicas)."""
        found = []
        for kind, atoms, center, scale in zip(self.kinds, self.atoms, self.centers, self.scales):
            q = coordinate_value(kind, internal(COORDINATES[kind], positions, atoms, None).value)
            if kind == "dihedral":
                found += [2 * jnp.cos(q), 2 * jnp.sin(q)]
            else:
                shape = (-1, *(1,) * (q.ndim - 1))
                found.append((q - center.reshape(shape)) / scale.reshape(shape))
        return jnp.concatenate(found, 0)


class KernelEnergy(Energy):
    """What coefficients make of `KernelPoints`."""

    seen: SeenCoordinates
    points: Float[np.ndarray, "points features"]
    coefficients: Float[np.ndarray, " points"]
    length: float = eqx.field(static=True)

    def __call__(self, positions: Positions, box: Box | None = None) -> Energies:
        positions = jnp.asarray(positions)
        replicas = positions.shape[2:]
        features = self.seen(positions.reshape(*positions.shape[:2], -1)).astype(positions.dtype)
        points = jnp.asarray(self.points, positions.dtype)
        # |f - f_m|^2 by products, one row of replicas
        squared = (points**2).sum(1)[:, None] - 2 * points @ features + (features**2).sum(0)
        kernels = jnp.exp(-0.5 * squared / self.length**2)
        return (jnp.asarray(self.coefficients, positions.dtype) @ kernels).reshape(replicas)


@eqx.filter_jit
def _seen(seen, positions):
    return seen(positions)


@eqx.filter_jit
def _slopes(seen, positions):
    def one(x):
        return seen(x[..., None])[:, 0]

    values = seen(positions)
    return values, jax.vmap(jax.jacfwd(one), in_axes=-1, out_axes=-1)(positions)


def _features(seen, positions):
    with jax.enable_x64(True):
        return np.asarray(_seen(seen, jnp.asarray(positions)))


def features_and_slopes(seen, positions):
    """``f`` (features, frames) and ``df/dx`` (features, beads, 3, frames)."""
    with jax.enable_x64(True):
        return tuple(np.asarray(each) for each in _slopes(seen, jnp.asarray(positions)))
