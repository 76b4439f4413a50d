"""Readouts: how functions of atoms' environments make a property of a molecule.

A property is linear in functions ``g_n`` of the invariant features ``f_i`` of its sites,

    y = sum_i sum_n  g_n(f_i) T_in,

and its readout says what the tensors ``T_in`` are:

====================  ========================================================================================
`PerAtom`             one: the property is the atom's own (charges, shieldings)
`Summed`              one, over all atoms: it grows with the molecule (an energy)
`Pooled`              one over the number of atoms: it does not (a gap, an ionization energy)
`AttentionPooled`     weights that add up to one, learned from features: it lives on a part of the molecule
`Dipole`              places of atoms about their centroid (charges, which then need not add up to anything) and
                      vectors to neighbors (atomic dipoles)
`Polarizability`      the identity and traceless tensors of neighbors
====================  ========================================================================================

A sum over atoms is wrong for an intensive property of molecules of different sizes [chen2023]; a pooled readout is
wrong for an extensive one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np

from thalweg.learned_potentials.properties.neighbor_tensors import NeighborTensors, flattened, unflattened
from thalweg.systems.configuration import Configuration
from thalweg.units import InCode, Nanometers

SCORED = 8
"""Features, the principal ones of each element, that attention looks at."""


@runtime_checkable
class Readout(Protocol):
    """What a `PropertyKernel` learns, and the tensors it learns functions for."""

    @property
    def name(self) -> str:
        """Its name among `Configuration.properties`."""
        ...

    def shape(self, frame: Configuration) -> tuple[int, ...]:
        """Shape of the label of ``frame``."""
        ...

    def over(self, elements: Sequence[int], frames: Sequence[Configuration]) -> Readout:
        """This readout for molecules of ``elements``, with tensors scaled as they are in ``frames``."""
        ...

    def tensors(
        self, frames: Sequence[Configuration], kinds: np.ndarray, features: Sequence[np.ndarray]
    ) -> np.ndarray:
        """``T`` of all atoms, ``(sites, channels, components)``.

        ``features`` are those of the sites of each kind, in their order.
        """
        ...

    def owners(self, frames: Sequence[Configuration]) -> np.ndarray:
        """Which row of the labels each site contributes to, ``(sites,)``."""
        ...

    def rows(self, frames: Sequence[Configuration]) -> np.ndarray:
        """What is learned of the labels, ``(rows, components)``."""
        ...

    def labels(self, rows: np.ndarray, frames: Sequence[Configuration]) -> list[np.ndarray]:
        """Labels of each frame of what was learned."""
        ...

    def deviations(self, rows: np.ndarray, frames: Sequence[Configuration]) -> list[np.ndarray]:
        """Standard deviations of labels, in their shape, of those of what was learned."""
        ...


@dataclass(frozen=True)
class PerAtom:
    """A scalar of each atom: ``"shieldings"``, or ``"charges"``, which are shifted alike to add up to the total."""

    name: str

    def shape(self, frame: Configuration) -> tuple[int, ...]:
        return (len(frame),)

    def over(self, elements: Sequence[int], frames: Sequence[Configuration]) -> PerAtom:
        return self

    def tensors(
        self, frames: Sequence[Configuration], kinds: np.ndarray, features: Sequence[np.ndarray]
    ) -> np.ndarray:
        return np.ones((len(kinds), 1, 1))

    def owners(self, frames: Sequence[Configuration]) -> np.ndarray:
        return np.arange(sum(map(len, frames)))

    def rows(self, frames: Sequence[Configuration]) -> np.ndarray:
        return np.concatenate([frame.properties[self.name] for frame in frames])[:, None]

    def labels(self, rows: np.ndarray, frames: Sequence[Configuration]) -> list[np.ndarray]:
        parts = np.split(rows[:, 0], np.cumsum([len(frame) for frame in frames])[:-1])
        if self.name != "charges":
            return parts
        return [each - each.mean() + total_charge(frame) / len(frame) for each, frame in zip(parts, frames)]

    def deviations(self, rows: np.ndarray, frames: Sequence[Configuration]) -> list[np.ndarray]:
        return np.split(rows[:, 0], np.cumsum([len(frame) for frame in frames])[:-1])


@dataclass(frozen=True)
class _OfMolecule:
    """A scalar of a whole molecule, whatever its atoms count."""

    name: str

    def shape(self, frame: Configuration) -> tuple[int, ...]:
        return ()

    def over(self, elements: Sequence[int], frames: Sequence[Configuration]) -> Readout:
        return self

    def owners(self, frames: Sequence[Configuration]) -> np.ndarray:
        return frames_of_sites(frames)

    def rows(self, frames: Sequence[Configuration]) -> np.ndarray:
        return _scalars(self.name, frames)

    def labels(self, rows: np.ndarray, frames: Sequence[Configuration]) -> list[np.ndarray]:
        return [np.array(value) for value in rows[:, 0]]

    def deviations(self, rows: np.ndarray, frames: Sequence[Configuration]) -> list[np.ndarray]:
        return [np.array(value) for value in rows[:, 0]]


@dataclass(frozen=True)
class Summed(_OfMolecule):
    """A scalar that is a sum over atoms."""

    def tensors(
        self, frames: Sequence[Configuration], kinds: np.ndarray, features: Sequence[np.ndarray]
    ) -> np.ndarray:
        return np.ones((len(kinds), 1, 1))


@dataclass(frozen=True)
class Pooled(_OfMolecule):
    """A scalar that is a mean over atoms: it does not grow with the molecule."""

    def tensors(
        self, frames: Sequence[Configuration], kinds: np.ndarray, features: Sequence[np.ndarray]
    ) -> np.ndarray:
        owners = frames_of_sites(frames)
        return (1 / np.bincount(owners))[owners][:, None, None]


@dataclass(frozen=True)
class AttentionPooled(_OfMolecule):
    """A scalar that is a weighted mean over atoms, weights ``softmax_i(b_a + s_a . f_i)`` within each molecule.

    Parameters
    ----------
    name : its name
    scores : ``(b_a, s_a)`` of each element, (1 + `SCORED`,) each; made likely by the labels unless given
    """

    scores: InCode[tuple[np.ndarray, ...] | None] = None

    def over(self, elements: Sequence[int], frames: Sequence[Configuration]) -> Readout:
        if self.scores is not None:
            return self
        return replace(self, scores=tuple(np.zeros(1 + SCORED) for _ in elements))

    def tensors(
        self, frames: Sequence[Configuration], kinds: np.ndarray, features: Sequence[np.ndarray]
    ) -> np.ndarray:
        score = np.empty(len(kinds))
        for kind, (weights, columns) in enumerate(zip(self.scores, features)):
            score[kinds == kind] = attention_inputs(columns) @ weights
        owners = frames_of_sites(frames)
        highest = np.full(len(frames), -np.inf)
        np.maximum.at(highest, owners, score)
        raised = np.exp(score - highest[owners])
        return (raised / np.bincount(owners, raised)[owners])[:, None, None]


@dataclass(frozen=True)
class Dipole:
    """A dipole moment [e nm]: charges at atoms, less their mean, and atomic dipoles; of molecules.

    A charged molecule has the dipole of its total charge at the centroid of its atoms besides, so that labels and
    predictions are about the origin of coordinates.

    Parameters
    ----------
    radial, cutoff : of the vectors to neighbors, see `NeighborTensors`
    """

    radial: int = 4
    cutoff: Nanometers = 0.5
    neighbors: InCode[NeighborTensors | None] = None
    scales: InCode[tuple[float, float]] = (1.0, 1.0)

    @property
    def name(self) -> str:
        return "dipole"

    def shape(self, frame: Configuration) -> tuple[int, ...]:
        if any(frame.periodic):
            raise ValueError("the dipole of a periodic cell is not defined; give molecules without a cell")
        return (3,)

    def over(self, elements: Sequence[int], frames: Sequence[Configuration]) -> Dipole:
        neighbors = NeighborTensors(tuple(elements), 1, self.radial, self.cutoff)
        scales = (_typical(_about_centroid(frames)[:, None]), _typical(neighbors.of(frames)))
        return replace(self, neighbors=neighbors, scales=scales)

    def tensors(
        self, frames: Sequence[Configuration], kinds: np.ndarray, features: Sequence[np.ndarray]
    ) -> np.ndarray:
        places = _about_centroid(frames)[:, None] / self.scales[0]
        return np.concatenate([places, self.neighbors.of(frames) / self.scales[1]], axis=1)

    def owners(self, frames: Sequence[Configuration]) -> np.ndarray:
        return frames_of_sites(frames)

    def rows(self, frames: Sequence[Configuration]) -> np.ndarray:
        return np.array([frame.properties["dipole"] for frame in frames]) - _monopoles(frames)

    def labels(self, rows: np.ndarray, frames: Sequence[Configuration]) -> list[np.ndarray]:
        return list(rows + _monopoles(frames))

    def deviations(self, rows: np.ndarray, frames: Sequence[Configuration]) -> list[np.ndarray]:
        return list(rows)


@dataclass(frozen=True)
class Polarizability:
    """A polarizability volume [nm^3], a symmetric tensor summed over atoms.

    Parameters
    ----------
    radial, cutoff : of the tensors of neighbors, see `NeighborTensors`
    """

    radial: int = 4
    cutoff: Nanometers = 0.5
    neighbors: InCode[NeighborTensors | None] = None
    scale: InCode[float] = 1.0

    @property
    def name(self) -> str:
        return "polarizability"

    def shape(self, frame: Configuration) -> tuple[int, ...]:
        return (3, 3)

    def over(self, elements: Sequence[int], frames: Sequence[Configuration]) -> Polarizability:
        neighbors = NeighborTensors(tuple(elements), 2, self.radial, self.cutoff)
        return replace(self, neighbors=neighbors, scale=_typical(neighbors.of(frames)))

    def tensors(
        self, frames: Sequence[Configuration], kinds: np.ndarray, features: Sequence[np.ndarray]
    ) -> np.ndarray:
        identity = np.broadcast_to(flattened(np.eye(3)) / np.sqrt(3), (len(kinds), 1, 6))
        return np.concatenate([identity, self.neighbors.of(frames) / self.scale], axis=1)

    def owners(self, frames: Sequence[Configuration]) -> np.ndarray:
        return frames_of_sites(frames)

    def rows(self, frames: Sequence[Configuration]) -> np.ndarray:
        return flattened(np.array([frame.properties["polarizability"] for frame in frames]))

    def labels(self, rows: np.ndarray, frames: Sequence[Configuration]) -> list[np.ndarray]:
        return list(unflattened(rows))

    def deviations(self, rows: np.ndarray, frames: Sequence[Configuration]) -> list[np.ndarray]:
        return list(unflattened(rows))


def total_charge(frame: Configuration) -> float:
    """``info["charge"]`` of a frame [e], zero where it says nothing."""
    return float(np.asarray(frame.info.get("charge", 0.0)).reshape(()))


def frames_of_sites(frames: Sequence[Configuration]) -> np.ndarray:
    """The number of its frame for each atom."""
    return np.repeat(np.arange(len(frames)), [len(frame) for frame in frames])


def attention_inputs(features: np.ndarray) -> np.ndarray:
    """What attention sees of sites: one, and the first `SCORED` features, zero where there are fewer."""
    seen = np.zeros((len(features), 1 + SCORED))
    seen[:, 0] = 1.0
    count = min(SCORED, features.shape[1])
    seen[:, 1 : 1 + count] = features[:, :count]
    return seen


def _scalars(name, frames):
    return np.array([float(np.asarray(frame.properties[name]).reshape(())) for frame in frames])[:, None]


def _about_centroid(frames):
    """Places of all atoms less the centroid of their molecule [nm]."""
    return np.concatenate([frame.positions - np.mean(frame.positions, axis=0) for frame in frames])


def _monopoles(frames):
    """Dipoles of total charges at centroids [e nm]."""
    return np.array([total_charge(frame) * np.mean(frame.positions, axis=0) for frame in frames])


def _typical(tensors):
    """Root mean square length of all channels of a site together."""
    return float(np.sqrt((tensors**2).sum((1, 2)).mean())) or 1.0
