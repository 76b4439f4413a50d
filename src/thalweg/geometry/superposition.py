"""Distances from reference structures, and positions, after optimal superposition, as variables."""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from thalweg.geometry.alignment import optimal_rotation, rmsd, superposed
from thalweg.geometry.constant_tables import Rows
from thalweg.geometry.lengths import Lengths
from thalweg.geometry.torsions import atoms_name
from thalweg.machine.precision import full_precision
from thalweg.shapes import Array, Box, Float, Positions, Values
from thalweg.systems.topology import Topology


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


class SuperposedCoordinates(Lengths):
    """Cartesian coordinates [nm] of some atoms after superposition on a reference: what is left of motion inside.

    Parameters
    ----------
    reference : (atoms of the system, 3) positions [nm], such as the `mean_structure`
    atoms : indices of the atoms whose coordinates are given
    fitted : indices of the atoms that are superposed, such as those of a rigid core; those of ``atoms`` if None
    weights : one weight for each atom superposed; equal if None
    topology : gives the coordinates names people recognize

    Molecules must be whole: the box is not used. Not to be trusted where atoms superposed lie on a line.

    Raises
    ------
    ValueError
        If fewer than three atoms are superposed.

    Examples
    --------
    >>> structure = np.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.0, 0.2, 0.0]], np.float32)
    >>> turned = jnp.asarray(structure)[:, jnp.array([1, 2, 0])] + 1.0
    >>> inside = SuperposedCoordinates(structure, [1, 2])
    Traceback (most recent call last):
    ...
    ValueError: a superposition needs at least three atoms, got 2; give others by fitted
    >>> inside = SuperposedCoordinates(structure, [1], fitted=[0, 1, 2])
    >>> inside.names, (np.abs(inside(turned)).round(3) + 0.0).tolist()
    (('1 x', '1 y', '1 z'), [0.10000000149011612, 0.0, 0.0])
    """

    members: tuple[int, ...] = eqx.field(static=True)
    fitted: tuple[int, ...] = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)
    target: Float[Array, "fitted 3"]
    center: Float[Array, "3"]
    weights: Float[Array, " fitted"]

    def __init__(
        self,
        reference: Float[Array, "atoms 3"],
        atoms: np.ndarray | Sequence[int],
        fitted: np.ndarray | Sequence[int] | None = None,
        weights: Float[Array, " fitted"] | None = None,
        topology: Topology | None = None,
    ):
        self.members = tuple(np.asarray(atoms, int).tolist())
        self.fitted = self.members if fitted is None else tuple(np.asarray(fitted, int).tolist())
        if len(self.fitted) < 3:
            raise ValueError(
                f"a superposition needs at least three atoms, got {len(self.fitted)}; give others by fitted"
            )
        self.names = tuple(f"{atoms_name(topology, [a])} {axis}" for a in self.members for axis in "xyz")
        share = np.ones(len(self.fitted)) if weights is None else np.asarray(weights, float)
        share = share / share.sum()
        structure = np.asarray(reference, float)[list(self.fitted)]
        center = share @ structure
        self.weights = share.astype(np.float32)
        self.center = center.astype(np.float32)
        self.target = (structure - center).astype(np.float32)

    @property
    def atoms(self) -> Rows:
        """All atoms superposed and the one that is asked for: a coordinate depends on all of them."""
        return tuple((*self.fitted, atom) for atom in self.members for _ in range(3))

    def __call__(self, positions: Positions, box: Box | None = None) -> Values:
        weights = jnp.asarray(self.weights, positions.dtype)
        core = positions[np.array(self.fitted)]
        origin = jnp.tensordot(weights, core, 1)
        rotation = optimal_rotation(core - origin, jnp.asarray(self.target, positions.dtype), weights)
        inside = jnp.einsum("ij...,aj...->ai...", rotation, positions[np.array(self.members)] - origin)
        center = self.center.reshape(3, *(1,) * (positions.ndim - 2))
        return (inside + center).reshape(-1, *positions.shape[2:])


@full_precision()
def mean_structure(
    frames: Float[Array, "frames atoms 3"], weights: Float[Array, " frames"] | None = None, rounds: int = 20
) -> Float[np.ndarray, "atoms 3"]:
    """The mean of frames superposed on it, ``(atoms, 3)`` [nm], by superposing again until it stays.

    Parameters
    ----------
    frames : (frames, atoms, 3) [nm], molecules whole; the first one is where it begins
    weights : (frames,), equal if None
    rounds : superpositions at most

    Raises
    ------
    ValueError
        If there are fewer than three atoms.

    Examples
    --------
    >>> structure = np.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.0, 0.2, 0.0]], np.float32)
    >>> mean = mean_structure(np.stack([structure, structure[:, [1, 2, 0]] + 1.0]))
    >>> bool(rmsd(jnp.asarray(mean), structure) < 1e-5)
    True
    """
    if frames.shape[1] < 3:
        raise ValueError(f"a superposition needs at least three atoms, got {frames.shape[1]}")
    positions = jnp.moveaxis(jnp.asarray(frames, jnp.float32), 0, -1)
    share = np.ones(len(frames)) if weights is None else np.asarray(weights, float)
    share = jnp.asarray(share / share.sum(), jnp.float32)
    mean = positions[..., 0] - positions[..., 0].mean(axis=0)
    for _ in range(rounds):
        before, mean = mean, superposed(positions, mean) @ share
        if float(jnp.abs(mean - before).max()) < 1e-6:
            break
    return np.asarray(mean, float)
