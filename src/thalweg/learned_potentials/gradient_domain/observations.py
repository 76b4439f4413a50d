"""What is observed of a molecule in some frames: forces along the directions in which its shape changes, and energies.

Neither moving nor turning a free molecule changes its energy, so of ``3 n`` force components six (five of a straight
molecule) say nothing. Forces are therefore seen along an orthonormal basis ``D`` of what is left,

    D^T F,   D = null space of (translations, r x translations),

which is exact: a kernel of distances has no covariance elsewhere. The matrix of 9 atoms is a fifth smaller for it and
its factorization takes half as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from thalweg.shapes import Float, Int


@runtime_checkable
class Observed(Protocol):
    """Labels of frames as a vector: forces of all frames, then their energies if these are observed."""

    energies: bool

    @property
    def components(self) -> int:
        """Forces of all frames."""
        ...

    @property
    def count(self) -> int:
        """All labels."""
        ...

    def __len__(self) -> int:
        """Number of frames."""
        ...

    def __getitem__(self, chosen: np.ndarray) -> Observed:
        """Of some of the frames."""
        ...

    def rows(self, chosen: Int[np.ndarray, " chosen"]) -> Int[np.ndarray, " labels"]:
        """Where the labels of frames ``chosen`` stand."""
        ...

    def forces(self, labels: Float[np.ndarray, " labels"]) -> Sequence[np.ndarray] | np.ndarray:
        """The forces in a vector of labels, (atoms, 3) of each frame."""
        ...

    def heights(self, labels: Float[np.ndarray, " labels"]) -> Float[np.ndarray, " frames"]:
        """The energies in a vector of labels; zeros where none are observed."""
        ...


@runtime_checkable
class LabelCovariance(Protocol):
    """What is believed of energies before any label is seen: covariances of what is observed."""

    def joint_covariance(self, first: Observed, second: Observed) -> np.ndarray:
        """Covariances of all that is observed of ``first``, forces before energies, with what is of ``second``.

        Where ``first`` is ``second`` only what is on and below the diagonal means anything.
        """
        ...


@dataclass(frozen=True)
class ObservedLabels:
    """Labels of frames as a vector: forces of all frames, then their energies if these are observed.

    Attributes
    ----------
    positions : (frames, atoms, 3) [nm]
    directions : (frames, components, directions), orthonormal; None where force components are seen as they are
    energies : whether these are observed, too
    """

    positions: Float[np.ndarray, "frames atoms 3"]
    directions: Float[np.ndarray, "frames components directions"] | None
    energies: bool

    @staticmethod
    def internal(positions: Float[np.ndarray, "frames atoms 3"], energies: bool) -> ObservedLabels:
        """Of the shape: rigid motions are left out."""
        return ObservedLabels(positions, internal_directions(positions), energies)

    @property
    def size(self) -> int:
        """Forces per frame."""
        return 3 * self.positions.shape[1] if self.directions is None else self.directions.shape[2]

    @property
    def components(self) -> int:
        """Forces of all frames."""
        return len(self.positions) * self.size

    @property
    def count(self) -> int:
        """All labels."""
        return self.components + self.energies * len(self.positions)

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, chosen: np.ndarray | slice) -> ObservedLabels:
        """Of some of the frames."""
        directions = None if self.directions is None else self.directions[chosen]
        return ObservedLabels(self.positions[chosen], directions, self.energies)

    def rows(self, chosen: Int[np.ndarray, " chosen"]) -> Int[np.ndarray, " labels"]:
        """Where the labels of frames ``chosen`` stand."""
        forces = (np.asarray(chosen)[:, None] * self.size + np.arange(self.size)).ravel()
        return np.concatenate([forces, self.components + np.asarray(chosen)]) if self.energies else forces

    def along_directions(self, chosen: slice, blocks: np.ndarray) -> np.ndarray:
        """Force components on the last axis of ``blocks``, (frames, ..., components), along the directions."""
        if self.directions is None:
            return blocks
        flat = blocks.reshape(len(blocks), -1, blocks.shape[-1])
        return (flat @ self.directions[chosen]).reshape(*blocks.shape[:-1], self.size)

    def labels(
        self,
        forces: Float[np.ndarray, "frames atoms 3"],
        energies: Float[np.ndarray, " frames"] | None = None,
    ) -> Float[np.ndarray, " labels"]:
        """Forces (frames, atoms, 3) and energies (frames,) as a vector."""
        along = self.along_directions(slice(None), forces.reshape(len(forces), 1, -1)).ravel()
        return np.concatenate([along, energies]) if self.energies else along

    def forces(self, labels: Float[np.ndarray, " labels"]) -> Float[np.ndarray, "frames atoms 3"]:
        """The forces in a vector of labels, as components (frames, atoms, 3)."""
        along = labels[: self.components].reshape(len(self.positions), self.size, 1)
        return (along if self.directions is None else self.directions @ along).reshape(self.positions.shape)

    def heights(self, labels: Float[np.ndarray, " labels"]) -> Float[np.ndarray, " frames"]:
        """The energies in a vector of labels; zeros where none are observed."""
        return labels[self.components :] if self.energies else np.zeros(len(self.positions))


def internal_directions(positions: Float[np.ndarray, "frames atoms 3"]) -> np.ndarray:
    """Orthonormal directions that neither move nor turn a molecule, (frames, 3 atoms, directions).

    As many as in the frame that has most, so that a straight molecule loses none.

    Examples
    --------
    >>> water = np.array([[[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]]])
    >>> internal_directions(water).shape, internal_directions(water[:, :2]).shape
    ((1, 9, 3), (1, 6, 1))
    """
    frames, atoms, _ = positions.shape
    arms = positions - positions.mean(1, keepdims=True)
    lengths = np.sqrt((arms * arms).sum(2, keepdims=True).mean(1, keepdims=True))
    # three translations and three rotations about the center, r x e_k over the size of the molecule
    motions = np.zeros((frames, atoms, 3, 6))
    motions[..., :3] = np.eye(3)
    for k, axis in enumerate(np.eye(3)):
        motions[..., 3 + k] = np.cross(axis, arms / lengths)
    # the rigid motions span the leading left singular vectors; the others are orthogonal to them
    left, sizes, _ = np.linalg.svd(motions.reshape(frames, 3 * atoms, 6))
    rigid = int((sizes > 1e-6).sum(1).min())
    return left[:, :, rigid:]
