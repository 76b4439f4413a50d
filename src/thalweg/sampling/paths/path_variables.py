r"""Progress along a path and distance from it, as variables [branduardi2007].

.. math::

   s(x) = \frac{\sum_{k=1}^{n} \frac{k-1}{n-1}\, e^{-\lambda D_k(x)}}{\sum_k e^{-\lambda D_k(x)}}, \qquad
   z(x) = -\frac{1}{\lambda} \ln \sum_k e^{-\lambda D_k(x)}

=================  ===============================================================================================
:math:`D_k`        squared distance from image k: mean over atoms after superposition [nm^2], or squares of the
                   differences of values, each in its own width, shortest around a period
:math:`\lambda`    ``sharpness``; by default 2.3 over the mean squared distance of neighbors, so that a neighbor
                   counts a tenth
=================  ===============================================================================================

``s`` runs from 0 to 1. ``z`` is about the squared distance from the path, and somewhat negative on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.geometry.alignment import rmsd
from thalweg.geometry.constant_tables import Rows
from thalweg.shapes import Array, Box, Float, Positions, Shaped, Values

UNEVEN = 2.0
"""Longest over shortest step between images beyond which s and z are told to be rough."""


class PathVariables(eqx.Module):
    """``s`` and ``z`` of a path, made by `along_frames` or `along_values`.

    Attributes
    ----------
    images : (images, values), of the ``variable``; or (images, members, 3) frames [nm]
    variable : what the images are values of; None where they are frames
    members : atoms compared, where they are frames
    widths : (values,), one unit of distance in each of the values
    sharpness : ``lambda``
    """

    images: Float[Array, " images *shape"]
    variable: Callable | None
    members: tuple[int, ...] = eqx.field(static=True)
    widths: Float[Array, " values"] | None
    sharpness: float

    @property
    def names(self) -> tuple[str, ...]:
        return ("s", "z")

    @property
    def units(self) -> tuple[str, ...]:
        return ("", "nm^2" if self.variable is None else "")

    @property
    def periods(self) -> tuple[float | None, ...]:
        return (None, None)

    @property
    def atoms(self) -> Rows:
        if self.variable is None:
            return (self.members,) * 2
        return (tuple(sorted({atom for row in self.variable.atoms for atom in row})),) * 2

    def squares(self, positions: Positions, box: Box | None = None) -> Float[Array, " images *replicas"]:
        """Squared distances from all images."""
        if self.variable is None:
            moving = jnp.asarray(positions)[np.array(self.members)]
            images = jnp.asarray(self.images, moving.dtype)
            return jnp.stack([rmsd(moving, image) ** 2 for image in images])
        values = self.variable(positions, box)
        off = values[None] - jnp.asarray(self.images, values.dtype).reshape(
            *self.images.shape, *(1,) * (values.ndim - 1)
        )
        return self._squares_of(off)

    def of_values(self, values: Float[Array, " values *points"]) -> Float[Array, " both *points"]:
        """``s`` and ``z`` of values of the variable, where the path is one of values."""
        images = jnp.asarray(self.images, values.dtype)
        off = values[None] - images.reshape(*images.shape, *(1,) * (values.ndim - 1))
        return self._of_squares(self._squares_of(off))

    def __call__(self, positions: Positions, box: Box | None = None) -> Values:
        return self._of_squares(self.squares(positions, box))

    def _squares_of(self, off: Array) -> Array:
        """Squares of differences ``(images, values, *points)``, shortest around a period."""
        parts = []
        for column, period in enumerate(self.variable.periods):
            part = off[:, column]
            part = part if period is None else part - period * jnp.round(part / period)
            parts.append((part / jnp.asarray(self.widths, off.dtype)[column]) ** 2)
        return sum(parts)

    def _of_squares(self, squares: Array) -> Values:
        logs = -self.sharpness * squares
        at = jnp.linspace(0.0, 1.0, len(squares), dtype=squares.dtype)
        weights = jax.nn.softmax(logs, axis=0)
        s = jnp.tensordot(at, weights, 1)
        return jnp.stack([s, -jax.nn.logsumexp(logs, axis=0) / self.sharpness])


def along_frames(
    frames: Shaped[np.ndarray, "images atoms 3"],
    atoms: Sequence[int] | None = None,
    sharpness: float | None = None,
) -> PathVariables:
    """Path variables of frames, compared after superposition.

    Parameters
    ----------
    frames : at about equal distances along the path, molecules whole [nm]
    atoms : that are superposed and compared; all if None
    sharpness : ``lambda`` [1/nm^2]; from the distances of neighbors if None

    Raises
    ------
    ValueError
        If there are fewer than three frames or atoms, or neighbors are the same or at very different distances.

    Examples
    --------
    >>> x = np.array([[0.0, 0, 0], [0.1, 0, 0], [0, 0.2, 0], [0, 0, 0.1]], np.float32)
    >>> path = along_frames(np.stack([x * (1 + 0.1 * k) for k in range(5)]))
    >>> [round(float(each), 2) for each in path(jnp.asarray(1.2 * x) + 0.3)][:1]
    [0.5]
    """
    frames = np.asarray(frames)
    members = tuple(range(frames.shape[1])) if atoms is None else tuple(int(atom) for atom in atoms)
    if len(members) < 3:
        raise ValueError(f"a superposition needs at least three atoms, got {len(members)}")
    _require_several(frames)
    images = jnp.asarray(frames[:, list(members)], float)
    steps = np.array([float(rmsd(a, b)) ** 2 for a, b in zip(images[1:], images[:-1], strict=True)])
    return PathVariables(images, None, members, None, _sharpness(steps, sharpness))


def along_values(
    variable: Callable,
    values: Shaped[np.ndarray, "images values"],
    widths: Sequence[float] | None = None,
    sharpness: float | None = None,
) -> PathVariables:
    """Path variables of a string in the values of a variable.

    Parameters
    ----------
    variable : any `thalweg.dynamics.engine.Variable`; periods are minded
    values : of images at about equal distances
    widths : (values,), what counts as one unit in each; one for all if None
    sharpness : ``lambda``; from the distances of neighbors if None

    Raises
    ------
    ValueError
        If shapes do not fit, widths are not positive, or neighbors are the same or at very different distances.

    Examples
    --------
    >>> from thalweg.geometry.variables import Dihedrals
    >>> path = along_values(Dihedrals([[0, 1, 2, 3]]), np.array([[2.9], [3.1], [-2.9832]]))
    >>> [round(float(each), 2) for each in path.of_values(jnp.array([3.1]))][:1]
    [0.5]
    """
    values = np.asarray(values, float)
    names = len(variable.periods)
    if values.ndim != 2 or values.shape[1] != names:
        raise ValueError(
            f"images of shape {values.shape} for a variable of {names} values; give (images, {names})"
        )
    _require_several(values)
    units = np.ones(names) if widths is None else np.asarray(widths, float)
    if units.shape != (names,) or not (units > 0).all():
        raise ValueError(f"widths={widths} must be {names} positive numbers")
    off = np.diff(values, axis=0)
    for column, period in enumerate(variable.periods):
        if period is not None:
            off[:, column] -= period * np.round(off[:, column] / period)
    steps = ((off / units) ** 2).sum(1)
    return PathVariables(jnp.asarray(values), variable, (), jnp.asarray(units), _sharpness(steps, sharpness))


def _require_several(images: np.ndarray) -> None:
    if len(images) < 3 or not np.isfinite(images).all():
        raise ValueError(f"{len(images)} images of a path; give at least three, of finite numbers")


def _sharpness(squares: np.ndarray, given: float | None) -> float:
    """``lambda``, from squared distances of neighbors if it is not given."""
    if given is not None:
        if not given > 0:
            raise ValueError(f"sharpness = {given:g} must be positive")
        return float(given)
    longest, shortest = np.sqrt(squares.max()), np.sqrt(squares.min())
    if shortest == 0 or longest > UNEVEN * shortest:
        raise ValueError(
            f"neighbors of the path are between {shortest:.3g} and {longest:.3g} apart; spread images evenly, or give "
            "the sharpness that is wanted"
        )
    return float(2.3 / squares.mean())
