"""What is observed of frames whose energy is a sum over sites: forces and energies, as functionals of a site's energy.

With ``e_z(f)`` the energy of a site of element ``z`` with features ``f``,

    E = sum_i e(f_i),     D^T F = - sum_i (D^T df_i/dx) de/df,

so that all a covariance of labels needs of a frame are the features of its sites and the derivatives of these along the
directions ``D`` in which forces are seen: those that change the shape of a free molecule (`observations`), all in a
cell. Frames may be of different atoms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from thalweg.learned_potentials.gradient_domain.observations import internal_directions
from thalweg.representations.derivatives import with_derivatives
from thalweg.representations.environments import Neighborhoods
from thalweg.representations.principal_features import PrincipalFeatures
from thalweg.shapes import Float, Int
from thalweg.systems.configuration import Configuration


@dataclass(frozen=True)
class ObservedFrame:
    """One frame.

    Attributes
    ----------
    features : of the sites of each element, (sites, combinations)
    pulls : minus their derivatives along each direction, (directions, sites, combinations) of each element [1/nm]
    directions : (components, directions), orthonormal
    """

    features: tuple[Float[np.ndarray, "_ _"], ...]
    pulls: tuple[Float[np.ndarray, "directions _ _"], ...]
    directions: Float[np.ndarray, "components directions"]

    @property
    def size(self) -> int:
        """Forces seen."""
        return self.directions.shape[1]

    @property
    def signature(self) -> tuple[int, ...]:
        """Frames of the same can be worked on together."""
        return (self.size, *map(len, self.features))


@dataclass(frozen=True)
class SiteObservations:
    """Labels of frames as a vector: forces of all frames, then their energies if these are observed.

    Attributes
    ----------
    frames : what is seen of each
    energies : whether these are observed, too
    """

    frames: tuple[ObservedFrame, ...]
    energies: bool
    starts: np.ndarray = field(init=False, repr=False)

    def __post_init__(self):
        object.__setattr__(self, "starts", np.cumsum([0, *(frame.size for frame in self.frames)]))

    @staticmethod
    def of(
        described: PrincipalFeatures,
        configurations: Sequence[Configuration],
        directions: Sequence[np.ndarray],
        energies: bool,
    ) -> SiteObservations:
        """Forces of ``configurations`` along ``directions`` of each, see `shape_directions` and `all_directions`."""
        observed: list = [None] * len(configurations)
        for chosen, near, pulls in with_derivatives(described.representation, configurations):
            starts = np.searchsorted(near.frames, np.arange(len(chosen) + 1))
            # of each element: its sites, their combinations (f - center) V, and (df/dr_ij) V of their pairs
            sites, changes = [], []
            for kind, (center, vectors) in enumerate(zip(described.centers, described.vectors)):
                mine = np.flatnonzero(near.kinds == kind)
                of_pairs = pulls.of(mine)
                sites.append((mine, (pulls.features[mine] - center) @ vectors))
                changes.append((*of_pairs[:2], of_pairs[2] @ vectors))
            for place, k in enumerate(chosen):
                # R_i = -D^T df_i/dx, (directions, sites, combinations)
                span = slice(starts[place], starts[place + 1])
                features = tuple(values[(mine >= span.start) & (mine < span.stop)] for mine, values in sites)
                slopes = tuple(
                    _by_position(span, near, mine, *each) for (mine, _), each in zip(sites, changes)
                )
                pulls_of_frame = tuple(
                    np.ascontiguousarray((directions[k].T @ -each).transpose(1, 0, 2)) for each in slopes
                )
                observed[k] = ObservedFrame(features, pulls_of_frame, np.asarray(directions[k], float))
        return SiteObservations(tuple(observed), energies)

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, chosen: np.ndarray | Sequence[int]) -> SiteObservations:
        """Of some of the frames."""
        return SiteObservations(tuple(self.frames[k] for k in chosen), self.energies)

    @property
    def components(self) -> int:
        """Forces of all frames."""
        return int(self.starts[-1])

    @property
    def count(self) -> int:
        """All labels."""
        return self.components + self.energies * len(self)

    def rows(self, chosen: Int[np.ndarray, " chosen"]) -> Int[np.ndarray, " labels"]:
        """Where the labels of frames ``chosen`` stand."""
        forces = [np.arange(self.starts[k], self.starts[k + 1]) for k in chosen]
        return np.concatenate([*forces, self.components + np.asarray(chosen)] if self.energies else forces)

    def labels(
        self, forces: Sequence[np.ndarray], energies: Float[np.ndarray, " frames"] | None = None
    ) -> Float[np.ndarray, " labels"]:
        """Forces, (atoms, 3) of each frame, and energies (frames,) as a vector."""
        along = [frame.directions.T @ np.ravel(one) for frame, one in zip(self.frames, forces, strict=True)]
        return np.concatenate([*along, energies] if self.energies else along)

    def forces(self, labels: Float[np.ndarray, " labels"]) -> tuple[np.ndarray, ...]:
        """The forces in a vector of labels, (atoms, 3) of each frame."""
        parts = np.split(labels[: self.components], self.starts[1:-1])
        return tuple(
            (frame.directions @ part).reshape(-1, 3) for frame, part in zip(self.frames, parts, strict=True)
        )

    def heights(self, labels: Float[np.ndarray, " labels"]) -> Float[np.ndarray, " frames"]:
        """The energies in a vector of labels; zeros where none are observed."""
        return labels[self.components :] if self.energies else np.zeros(len(self))


def all_directions(configurations: Sequence[Configuration]) -> list[np.ndarray]:
    """Every force component of every frame."""
    return [np.eye(3 * len(frame)) for frame in configurations]


def shape_directions(configurations: Sequence[Configuration]) -> list[np.ndarray]:
    """Directions that neither move nor turn a free molecule; all where there is a cell.

    Examples
    --------
    >>> atom = Configuration(np.array([1]), np.zeros((1, 3)))
    >>> pair = Configuration(np.array([1, 1]), np.array([[0, 0, 0], [0.1, 0, 0]]))
    >>> [one.shape for one in shape_directions([atom, pair])]
    [(3, 0), (6, 1)]
    """
    return [
        np.eye(3 * len(frame))
        if any(frame.periodic)
        else internal_directions(np.asarray(frame.positions, float)[None])[0]
        if len(frame) > 1
        else np.zeros((3, 0))
        for frame in configurations
    ]


def _by_position(
    span: slice,
    near: Neighborhoods,
    mine: np.ndarray,
    centers: np.ndarray,
    slots: np.ndarray,
    changes: np.ndarray,
) -> np.ndarray:
    """Derivatives of the sites ``mine`` of a frame, which spans the block's sites ``span``, in the positions of its
    atoms, (sites, components, combinations), from those in the vectors of pairs."""
    own = mine[(mine >= span.start) & (mine < span.stop)]
    part = slice(*np.searchsorted(centers, [span.start, span.stop]))
    centers, slots, changes = centers[part], slots[part], changes[part]
    atoms, pairs = span.stop - span.start, np.arange(len(centers))
    # df_i/dr_ij goes to neighbor j with plus, to center i with minus: rows are (site, atom)
    rows = atoms * np.searchsorted(own, centers) - span.start
    rows = np.concatenate([rows + near.partners[slots, centers], rows + centers])
    signs = np.concatenate([np.ones(len(pairs)), -np.ones(len(pairs))])
    sums = sparse.csr_matrix((signs, (rows, np.tile(pairs, 2))), (atoms * len(own), len(pairs)))
    width = changes.shape[-1]
    return (sums @ changes.reshape(len(pairs), 3 * width)).reshape(len(own), 3 * atoms, width)
