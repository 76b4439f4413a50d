"""Covariances of forces when energies are a Gaussian process of scaled inverse distances: a kernel's Hessian.

With ``x_ij = s_ij / |r_i - r_j|``, energies of two geometries of a molecule have the covariance

    sum_permutations sum_c k(q_c),   q_c = sum_ij w_cij (x_ij - x'_ij)^2,

over permutations of like atoms of the second and over components ``c``: one that weighs all pairs alike is the
kernel of [chmiela2017] and [chmiela2018]; one per atom that weighs pairs by their nearness to it makes the energy a sum
of functions of local environments, as in [bartok2010]. Forces are derivatives of energies, so theirs is, with
``d = x - x'``,

    cov(F, F') = sum_permutations sum_c -4 k''(q_c) (J^T w_c d)(J'^T w_c d)^T - 2 k'(q_c) J^T w_c J',   J = dx/dr,

and ``cov(E, F') = sum 2 k'(q_c) d^T w_c J'``. Blocks of frames are computed with the first frame's index last and
never form ``J``, only its entries per pair. Rows and columns are what is observed of the frames (`observations`):
forces along directions, then energies. Covariance functions: [rasmussen2006].
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.learned_potentials.gradient_domain.observations import Observed, ObservedLabels
from thalweg.shapes import Array, Float, Int

CHUNK = 16
"""Frames worked on side by side."""


def _numbers(q: Array):
    """What computes with ``q``: NumPy keeps it and its precision, JAX differentiates."""
    return np if isinstance(q, np.ndarray) else jnp


class Gaussian(eqx.Module):
    """``k(q) = exp(-q / 2)``: for energies without kinks the smoothest choice, and the hungriest for precision."""

    def derivatives(self, q: Float[Array, " *shape"]) -> tuple[Array, Array, Array]:
        """``k, k', k''`` at squared distances ``q``."""
        value = _numbers(q).exp(-q / 2)
        return value, -value / 2, value / 4


class Matern52(eqx.Module):
    """``k = (1 + t + t^2 / 3) exp(-t)``, ``t = sqrt(5 q)``: twice differentiable energies."""

    def derivatives(self, q: Float[Array, " *shape"]) -> tuple[Array, Array, Array]:
        """``k, k', k''`` at squared distances ``q``."""
        t = _numbers(q).sqrt(5 * q + 1e-30)
        decay = _numbers(q).exp(-t)
        return (1 + t + t * t / 3) * decay, -(5 / 6) * (1 + t) * decay, (25 / 12) * decay


class Matern72(eqx.Module):
    """``k = (1 + t + 2 t^2 / 5 + t^3 / 15) exp(-t)``, ``t = sqrt(7 q)``: energies differentiable three times."""

    def derivatives(self, q: Float[Array, " *shape"]) -> tuple[Array, Array, Array]:
        """``k, k', k''`` at squared distances ``q``."""
        t = _numbers(q).sqrt(7 * q + 1e-30)
        decay = _numbers(q).exp(-t)
        value = (1 + t + 0.4 * t * t + t**3 / 15) * decay
        return value, -0.7 * (1 + t + t * t / 3) * decay, (49 / 60) * (1 + t) * decay


Covariance = Gaussian | Matern52 | Matern72


class Prior(eqx.Module):
    """What is believed of a molecule's energy before any label is seen.

    Attributes
    ----------
    covariance : of energies, as a function of squared distances
    scale : (atoms, atoms) symmetric factors ``s_ij`` [nm], unchanged by the group, in units in which the width of the
        kernel is one
    parts : (components, atoms, atoms) symmetric weights of pairs, unchanged as a whole by the group
    group : permutations of like atoms, (order, atoms)
    """

    covariance: Covariance
    scale: Float[np.ndarray, "atoms atoms"]
    parts: Float[np.ndarray, "components atoms atoms"]
    group: Int[np.ndarray, "order atoms"]

    def blocks(self, of: Callable) -> Callable:
        """``of`` (`_force_blocks` or `_energy_blocks`) as a function of two chunks of frames."""
        group = np.asarray(self.group, np.int32)
        both_ways = jnp.asarray(group), jnp.asarray(np.argsort(group, 1).astype(np.int32))
        rest = self.covariance, jnp.asarray(self.scale, float), jnp.asarray(self.parts, float), both_ways
        return lambda first, second: of(*rest, first, second)

    def joint_covariance(self, first: ObservedLabels, second: ObservedLabels) -> np.ndarray:
        """Covariances of all that is observed of ``first``, forces before energies, with what is of ``second``.

        Where ``first`` is ``second`` only what is on and below the diagonal means anything.
        """
        rows, columns = first.components, second.components
        matrix = np.zeros((first.count, second.count))
        force_covariance(self, first, second, matrix[:rows, :columns])
        if first.energies:
            energies, matrix[rows:, :columns] = energy_covariance(self, first, second)
            matrix[rows:, columns:] = energies[:, : second.count - columns]
        if second.energies and first is not second:
            matrix[:rows, columns:] = energy_covariance(self, second, first)[1].T
        return matrix


def _scaled_inverse_distances(points, scale):
    """``x_ij = scale_ij / r_ij`` (atoms, atoms, frames) and its derivatives by ``r_i`` (atoms, atoms, 3, frames)."""
    atoms = len(scale)
    same = jnp.eye(atoms)[:, :, None]
    vectors = points[:, None] - points[None]
    inverse = (1 - same) / jnp.sqrt((vectors * vectors).sum(2) + same)
    return scale[:, :, None] * inverse, -(scale[:, :, None] * inverse**3)[:, :, None] * vectors


@eqx.filter_jit
def _force_blocks(covariance, scale, parts, group, first, second):
    """Covariances of forces of frames ``second`` (atoms, 3, B) with those of ``first`` (atoms, 3, A): (B, ..., A).

    ============================  ============================================================================
    ``x, x'``                     ``x`` (atoms, atoms, A) of the first frames, ``y`` of one second frame
    ``dx_ij/dr_i, dx'_ij/dr'_i``  ``g`` (atoms, atoms, 3, A) and ``h`` (atoms, atoms, 3)
    ``d``                         ``delta`` (atoms, atoms, A), atoms named as in the second frame
    ``w_c``                       ``parts`` (components, atoms, atoms), ``by_atom`` (atoms, components, atoms)
    ``k', k''``                   ``slope``, ``curve`` (components, A)
    ``J'^T w_c d``                ``v`` (atoms, components, 3, A)
    ``4 k'' J^T w_c d``           ``u``, atoms named as in the first frame
    ============================  ============================================================================
    """
    x, g = _scaled_inverse_distances(first, scale)
    y, h = _scaled_inverse_distances(second, scale)
    atoms, by_atom = len(scale), parts.swapaxes(0, 1)

    def column(one):
        y, h = one
        start = jnp.zeros((atoms, 3, atoms, 3, first.shape[-1]))

        def add(total, permutations):
            forth, back = permutations
            permuted = g[:, back]
            delta = x[back][:, back] - y[:, :, None]
            # each pair stands twice in the sum over atoms, so that q is half of it
            _, slope, curve = covariance.derivatives(jnp.tensordot(parts, delta * delta) / 2)
            slopes = jnp.tensordot(parts, 2 * slope, (0, 0))[forth]
            v = _by_atom(by_atom, delta[:, :, None] * h[:, :, :, None])
            u = _by_atom(by_atom[forth], delta[forth][:, :, None] * permuted) * (4 * curve)[:, None]
            # -2 k' J^T w_c J': of atom i of the first frame and atom j of the second, which stands for atom back[j]
            # of the first, by the pair they share; where i is that atom, minus the sum over its pairs
            pairs = permuted[:, :, :, None] * (h[forth][:, :, None, :, None] * slopes[:, :, None, None])
            same = jax.nn.one_hot(forth, atoms)[:, None, :, None, None]
            total += pairs.transpose(0, 2, 1, 3, 4) - same * pairs.sum(1)[:, :, None]
            return total - sum(u[:, c, :, None, None] * v[:, c] for c in range(len(parts))), None

        return jax.lax.scan(add, start, group)[0]

    return jax.lax.map(column, (y.transpose(2, 0, 1), h.transpose(3, 0, 1, 2)))


def _by_atom(by_atom, pairs):
    """``sum_j parts_cij pairs_ijx`` with atom ``i`` of the parts first, frames last: (atoms, components, 3, frames)."""
    summed = by_atom @ pairs.reshape(*pairs.shape[:2], -1)
    return summed.reshape(*summed.shape[:2], *pairs.shape[2:])


@eqx.filter_jit
def _energy_blocks(covariance, scale, parts, group, first, second):
    """Covariances of energies of ``first`` with forces of ``second``: (B, atoms, 3, A); and with energies (B, A)."""
    x, _ = _scaled_inverse_distances(first, scale)
    y, h = _scaled_inverse_distances(second, scale)
    by_atom = parts.swapaxes(0, 1)

    def column(one):
        y, h = one

        def add(total, permutations):
            back = permutations[1]
            delta = x[back][:, back] - y[:, :, None]
            value, slope, _ = covariance.derivatives(jnp.tensordot(parts, delta * delta) / 2)
            v = _by_atom(by_atom, delta[:, :, None] * h[:, :, :, None])
            return (total[0] + value.sum(0), total[1] + (2 * slope[:, None] * v).sum(1)), None

        start = (jnp.zeros(first.shape[-1]), jnp.zeros((*h.shape[::2], first.shape[-1])))
        return jax.lax.scan(add, start, group)[0]

    return jax.lax.map(column, (y.transpose(2, 0, 1), h.transpose(3, 0, 1, 2)))


def force_covariance(
    prior: Prior, first: ObservedLabels, second: ObservedLabels, matrix: np.ndarray | None = None
) -> np.ndarray:
    """Covariance matrix of forces along all directions of frames, 64 bits, (rows, columns).

    ``matrix`` is filled if given. Where ``first`` is ``second`` only what is on and below the diagonal of frames is
    computed.
    """
    rows, columns = len(first.positions), len(second.positions)
    if matrix is None:
        matrix = np.empty((rows * first.size, columns * second.size))
    view = matrix.reshape(rows, first.size, columns, second.size)
    for a, b, block in _blocks(prior, _force_blocks, first, second, lower=first is second):
        # (columns, components, components, rows) of frames and of their forces along directions
        view[a, :, b] = second.along_directions(
            b, first.along_directions(a, block.transpose(3, 0, 2, 1)).transpose(1, 0, 3, 2)
        ).transpose(1, 2, 0, 3)
    return matrix


def energy_covariance(
    prior: Prior, first: ObservedLabels, second: ObservedLabels
) -> tuple[np.ndarray, np.ndarray]:
    """Covariances of the energies of ``first`` with energies (rows, columns) and forces of ``second``, which stand in
    columns as in `force_covariance`."""
    rows, columns = len(first.positions), len(second.positions)
    energies, forces = np.empty((rows, columns)), np.empty((rows, columns, second.size))
    for a, b, (with_energies, with_forces) in _blocks(prior, _energy_blocks, first, second):
        energies[a, b] = with_energies.T
        forces[a, b] = second.along_directions(b, with_forces.transpose(0, 2, 1)).transpose(1, 0, 2)
    return energies, forces.reshape(rows, -1)


def prior_variances(
    prior: Prior, frames: Float[np.ndarray, "frames atoms 3"]
) -> tuple[np.ndarray, np.ndarray]:
    """Variances of energies (frames,) and of all force components (frames, atoms x 3) before any data."""
    energies, forces = np.empty(len(frames)), np.empty((len(frames), 3 * frames.shape[1]))
    with jax.enable_x64(True):
        force_block, energy_block = prior.blocks(_force_blocks), prior.blocks(_energy_blocks)
        for k, frame in enumerate(frames):
            alone = jnp.asarray(frame, float)[:, :, None]
            forces[k] = np.diag(np.asarray(force_block(alone, alone)).reshape(forces.shape[1], -1))
            energies[k] = float(energy_block(alone, alone)[0][0, 0])
    return energies, forces


def noise_variances(
    matrix: Float[np.ndarray, "labels labels"], observed: Observed, noise: float
) -> Float[np.ndarray, " labels"]:
    """What to add to the diagonal of a joint covariance of what was ``observed``.

    ``noise`` relative to the mean prior variance of a force; energies get what such a force does over 0.1 nm.
    """
    variances = np.full(len(matrix), max(noise, 1e-12) * np.diag(matrix)[: observed.components].mean())
    variances[observed.components :] *= 0.01
    return variances


def _blocks(prior, of, first, second, lower=False):
    """Slices of the frames of ``first`` and ``second`` and what ``of`` says of them, columns first and rows last."""
    with jax.enable_x64(True):
        evaluate = prior.blocks(of)
        for b, second_chunk in _chunks(second.positions):
            for a, first_chunk in _chunks(first.positions):
                if not lower or a.stop > b.start:
                    padded = evaluate(first_chunk, second_chunk)
                    yield a, b, jax.tree.map(partial(_trimmed, a.stop - a.start, b.stop - b.start), padded)


def _trimmed(rows, columns, block):
    """A block without filler, atoms and axes as one axis of components."""
    shape = block.shape
    pairs = [shape[k] * shape[k + 1] for k in range(1, len(shape) - 1, 2)]
    return np.asarray(block).reshape(shape[0], *pairs, shape[-1])[:columns, ..., :rows]


def _chunks(frames):
    """Slices and frames of a chunk, frames last, the last chunk filled up with copies of its first frame."""
    for start in range(0, len(frames), CHUNK):
        chunk = frames[start : start + CHUNK]
        filler = np.repeat(chunk[:1], CHUNK - len(chunk), 0)
        stop = start + len(chunk)
        yield slice(start, stop), jnp.asarray(np.concatenate([chunk, filler]).transpose(1, 2, 0))
