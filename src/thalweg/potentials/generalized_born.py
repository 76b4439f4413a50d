"""Generalized Born solvation: energies of Born radii, which follow from all pairs [still1990].

Each atom's Born radius ``B`` measures how deep it is buried, from a sum over the other atoms; the solvation energy
is a function of the radii:

    B_i = b(I_i; i),   I_i = sum_j h(r_ij; i, j),
    U   = sum_i s(B_i; i) + sum_{i<j} g(r_ij, B_i, B_j; i, j).

Models differ in the four functions (`thalweg.potentials.obc`, `thalweg.potentials.born_formulas`). The chain rule
through the radii is written once, here:

    dU/dx = sum over pairs of d/dx [ g + w_i h(r; i, j) + w_j h(r; j, i) ] at fixed B and w,
    w_i   = (ds/dB_i + sum_j dg/dB_i) db/dI_i.
"""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp

from thalweg.potentials.explicit_gradient import ExplicitGradient, per_replica
from thalweg.potentials.pairs import AllPairs, needed_box, square
from thalweg.shapes import Array, Box, Energies, Float, Positions


class GeneralizedBorn(ExplicitGradient):
    """``U = sum_i s(B_i) + sum_{i<j} g(r, B_i, B_j)`` with ``B_i = b(sum_j h(r_ij))``.

    Attributes
    ----------
    integral : ``h(r, own, partner)``, from distances and the parameters of both atoms
    born_radius : ``b(I, parameters)`` [nm]
    self_energy : ``s(B, parameters)`` [kJ/mol]
    pair_energy : ``g(r, B_own, B_partner, own, partner)`` [kJ/mol], the same from either side
    parameters : (atoms,) arrays, handed to all four
    pairs : the pairs that count
    periodic : whether atoms see each other's nearest image
    """

    integral: Callable
    born_radius: Callable
    self_energy: Callable
    pair_energy: Callable
    parameters: tuple[Float[Array, " atoms"], ...]
    pairs: AllPairs
    periodic: bool = eqx.field(static=True, default=False)

    def energy_and_gradient(self, positions: Positions, box: Box | None) -> tuple[Energies, Positions]:
        box = needed_box(box) if self.periodic else None
        single = [per_replica(p, positions[:, 0]) for p in self.parameters]
        # I_i and B_i = b(I_i), with db/dI
        _, integrals = self.pairs.total(self._descreening, positions, self.parameters, box)
        radii, widening = _with_slope(lambda i: self.born_radius(i, single), integrals)
        # s and ds/dB, g and sum_j dg/dB, and w_i = (ds/dB_i + sum_j dg/dB_i) db/dI_i
        alone, self_slope = _with_slope(lambda b: self.self_energy(b, single), radii)
        together, pair_slopes = self.pairs.total(self._screening, positions, (radii, *self.parameters), box)
        weights = (self_slope + pair_slopes) * widening
        # sum over pairs of d/dx [g + w_i h(r; i, j) + w_j h(r; j, i)] at fixed B and w
        _, gradient = self.pairs.total(self._pull, positions, (radii, weights, *self.parameters), box)
        return alone.sum(0) + together, gradient

    def _descreening(self, displacement, own, partner):
        r = jnp.sqrt(square(displacement))
        return None, self.integral(r, own, partner), self.integral(r, partner, own)

    def _screening(self, displacement, own, partner):
        r = jnp.sqrt(square(displacement))
        born = jnp.broadcast_to(own[0], r.shape), partner[0]
        energy, back = jax.vjp(lambda b, c: self.pair_energy(r, b, c, own[1:], partner[1:]), *born)
        return energy, *back(jnp.ones_like(energy))

    def _pull(self, displacement, own, partner):
        (born, weight, *own), (partner_born, partner_weight, *partner) = own, partner
        r = jnp.sqrt(square(displacement))

        def energy(r):
            descreening = weight * self.integral(r, own, partner) + partner_weight * self.integral(
                r, partner, own
            )
            return self.pair_energy(r, born, partner_born, own, partner) + descreening

        slope = _with_slope(energy, r)[1] / r
        gradient = jnp.stack([slope * d for d in displacement], 2)
        return None, gradient, -gradient


def _with_slope(function, x):
    return jax.jvp(function, (x,), (jnp.ones_like(x),))
