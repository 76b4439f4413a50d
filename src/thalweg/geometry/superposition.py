"""Distances from reference structures, after optimal superposition, as variables."""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from thalweg.geometry.alignment import rmsd
from thalweg.geometry.constant_tables import Rows
from thalweg.geometry.lengths import Lengths
from thalweg.shapes import Array, Box, Float, Positions, Values


class RMSD(Lengths):
    """Root mean square deviations [nm] of some atoms from references, after superposing the same atoms on each.

    Parameters
    ----------
    references : (atoms of the system, 3) positions [nm], or several such, ``(references, atoms of the system, 3)``
    atoms : indices of the atoms compared; all if None
    weights : one weight for each of them; equal if None
    labels : one for each of several references, such as ``("apo", "bound")``; numbers if None

    Molecules must be whole: the box is not used. For derivatives see `thalweg.geometry.alignment`.

    Raises
    ------
    ValueError
        If fewer than three atoms are compared, or there is not one label for each reference.

    Examples
    --------
    >>> structure = np.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.0, 0.2, 0.0]], np.float32)
    >>> to_both = RMSD(np.stack([structure, 2 * structure]), labels=("small", "large"))
    >>> to_both.names, bool(to_both(jnp.asarray(structure) + 1.0)[0] < 1e-6)
    (('rmsd from small', 'rmsd from large'), True)
    """

    members: tuple[int, ...] = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)
    references: Float[Array, "references members 3"]
    weights: Float[Array, " members"] | None

    def __init__(
        self,
        references: Float[Array, "atoms 3"] | Float[Array, "references atoms 3"],
        atoms: np.ndarray | Sequence[int] | None = None,
        weights: Float[Array, " members"] | None = None,
        labels: Sequence[str] | None = None,
    ):
        structures = np.asarray(references)
        one = structures.ndim == 2 and labels is None
        structures = structures.reshape(-1, *structures.shape[-2:])
        members = np.arange(structures.shape[1]) if atoms is None else np.asarray(atoms, int)
        if len(members) < 3:
            raise ValueError(f"a superposition needs at least three atoms, got {len(members)}")
        labels = [str(k) for k in range(len(structures))] if labels is None else labels
        if len(labels) != len(structures):
            raise ValueError(f"{len(labels)} labels for {len(structures)} references; give one each")
        self.members = tuple(members.tolist())
        self.names = ("rmsd",) if one else tuple(f"rmsd from {label}" for label in labels)
        self.references = structures[:, members]
        self.weights = weights

    @property
    def atoms(self) -> Rows:
        return (self.members,) * len(self.names)

    def __call__(self, positions: Positions, box: Box | None = None) -> Values:
        moving = positions[np.array(self.members)]
        return jnp.stack([rmsd(moving, reference, self.weights) for reference in self.references])
