"""Permutationally invariant polynomials of the Morse variables of a molecule, for any group of permutations.

A permutation of like atoms permutes pairs of atoms, so it permutes monomials of pair variables. The sum over monomials
of one orbit is invariant, and these sums span all invariant polynomials up to their degree (monomial symmetrization):

    p_a(y) = sum_{monomials m in orbit a} prod_k y_{m_k},   y_ij = exp(-r_ij / length) - center_ij.

Variables are counted from their mean over the training frames, averaged over the group, which keeps the functions
invariant and makes them far less alike. Orbits under the full permutation group of like atoms are fewer and larger
than under the automorphisms of the bond graph; both are right.

Source: [braams2009]; symmetrization of monomials [xie2010].
"""

from __future__ import annotations

from itertools import combinations_with_replacement
from math import comb

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.representations.molecules.inverse_distances import permuted_pairs
from thalweg.representations.molecules.morse_variables import morse_variables
from thalweg.shapes import Array, Float, Int, Positions

MOST = 500_000
"""More monomials than this are refused."""


class InvariantPolynomials(eqx.Module):
    """Sums of monomials over orbits of a group.

    Attributes
    ----------
    factors : (monomials, degree) variables multiplied; the number of pairs stands for a factor of one
    orbits : (monomials,) polynomial each monomial belongs to, ascending
    length : decay length of the Morse variables [nm]
    center : (pairs,) what is taken off them
    count : number of polynomials
    """

    factors: Int[Array, "monomials degree"]
    orbits: Int[Array, " monomials"]
    length: float
    center: Float[Array, " pairs"]
    count: int = eqx.field(static=True)

    @staticmethod
    def of(group: Int[np.ndarray, "order atoms"], degree: int, length: float = 0.1) -> InvariantPolynomials:
        """All polynomials up to ``degree`` that are invariant under ``group``.

        Raises
        ------
        ValueError
            If there would be too many monomials; says how many.

        Examples
        --------
        >>> water = np.array([[0, 1, 2], [0, 2, 1]])
        >>> InvariantPolynomials.of(water, 2).count  # 1, two of degree 1, four of degree 2
        7
        """
        group = np.asarray(group, int)
        pairs = group.shape[1] * (group.shape[1] - 1) // 2
        count = comb(pairs + degree, degree)
        if count > MOST:
            raise ValueError(
                f"polynomials of degree {degree} in {pairs} variables have {count} monomials, more than {MOST}; "
                "use a lower degree or a smaller molecule"
            )
        factors = np.array(list(combinations_with_replacement(range(pairs + 1), degree)), int).reshape(
            count, degree
        )
        # a monomial as one number, its sorted factors as digits; the least over the group names its orbit
        places = (pairs + 1) ** np.arange(degree)[::-1]
        least = np.full(count, np.iinfo(np.int64).max)
        for permutation in group:
            permuted = np.append(permuted_pairs(permutation), pairs)[factors]
            least = np.minimum(least, np.sort(permuted, axis=1) @ places)
        orbits = np.unique(least, return_inverse=True)[1]
        order = np.argsort(orbits, kind="stable")
        return InvariantPolynomials(
            factors[order].astype(np.int32),
            orbits[order].astype(np.int32),
            float(length),
            np.zeros(pairs),
            int(orbits.max()) + 1,
        )

    def centered(
        self, positions: Float[np.ndarray, "atoms 3 frames"], group: np.ndarray
    ) -> InvariantPolynomials:
        """These polynomials with variables counted from their mean over ``positions`` and ``group``."""
        mean = np.asarray(morse_variables(positions, self.length)).mean(-1)
        center = np.mean([mean[permuted_pairs(permutation)] for permutation in group], 0)
        return eqx.tree_at(lambda polynomials: polynomials.center, self, center)

    def kept(self, chosen: np.ndarray) -> InvariantPolynomials:
        """Only the polynomials ``chosen``, in ascending order."""
        chosen = np.unique(chosen)
        among = np.isin(self.orbits, chosen)
        orbits = np.searchsorted(chosen, np.asarray(self.orbits)[among]).astype(np.int32)
        return InvariantPolynomials(
            np.asarray(self.factors)[among], orbits, self.length, self.center, len(chosen)
        )

    def monomials(self, positions: Positions) -> Float[Array, " monomials *replicas"]:
        """Values of all monomials at ``positions`` ``(atoms, 3, *replicas)`` [nm]."""
        y = morse_variables(positions, self.length)
        center = jnp.asarray(self.center, y.dtype).reshape(-1, *(1,) * (y.ndim - 1))
        y = jnp.concatenate([y - center, jnp.ones_like(y[:1])])
        product = jnp.ones((len(self.factors), *y.shape[1:]), y.dtype)
        for k in range(self.factors.shape[1]):
            product = product * y[self.factors[:, k]]
        return product

    def __call__(self, positions: Positions) -> Float[Array, " polynomials *replicas"]:
        """Values of all polynomials at ``positions`` ``(atoms, 3, *replicas)`` [nm]."""
        return jax.ops.segment_sum(
            self.monomials(positions), jnp.asarray(self.orbits), self.count, indices_are_sorted=True
        )
