"""Induced dipoles: atoms that answer to the field of charges and of each other [thole1981].

    U = min_mu  sum_i mu_i^2 / (2 alpha_i)  +  W(q, mu) - W(q, 0),

``W`` the electrostatic energy with fields damped at short range (`Thole`). At the minimum the energy does not change
with the dipoles to first order, so that forces need no derivative of them.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.learned_potentials.long_range.coulomb import Thole, coulomb_energy, of_kinds
from thalweg.learned_potentials.long_range.whole_frames import FrameTerm, WholeFrame
from thalweg.potentials.electrostatics.ewald import splitting
from thalweg.potentials.electrostatics.multipoles import Multipoles
from thalweg.shapes import Array, Float
from thalweg.units import COULOMB, Nanometers

CONVERGED = 0.6
"""Conjugate gradients end when the residual has fallen to the precision of numbers, to this power, of the field."""


@runtime_checkable
class Charged(Protocol):
    """Whatever says which charges atoms have: `PointCharges`, `EquilibratedCharges`, `EnvironmentCharges`."""

    def charges(self, frame: WholeFrame) -> Float[Array, " sites"]:
        """Charge of each site [e]."""
        ...


class InducedDipoles(FrameTerm):
    """The energy of induction; that of the charges with each other is a term of its own.

    Attributes
    ----------
    source : term that says which charges there are
    polarizabilities : of each element of the source, as volumes [nm^3]; positive
    damping : ``a`` of `Thole`'s exponential
    pairs_within, tolerance : of Ewald's sum
    """

    source: FrameTerm
    polarizabilities: Float[Array, " elements"]
    damping: Float[Array, ""] | float = 0.39
    pairs_within: Nanometers = eqx.field(static=True, default=0.9)
    tolerance: float = eqx.field(static=True, default=1e-6)

    @property
    def elements(self) -> tuple[int, ...]:
        return self.source.elements

    @property
    def alpha(self) -> float:
        return splitting(self.pairs_within, self.tolerance)

    @property
    def only_charges(self) -> bool:
        """Never: dipoles go over waves."""
        return False

    def check(self, numbers: np.ndarray, charge: float, periodic: bool) -> None:
        self.source.check(numbers, charge, periodic)

    def frame_energy(self, frame: WholeFrame) -> jax.Array:
        charges = self.source.charges(frame)
        still = jax.lax.stop_gradient((charges, frame, self))
        dipoles = jax.lax.stop_gradient(_induced(still[2], still[1], still[0]))
        return self._induction(frame, charges, dipoles)

    def dipoles(self, frame: WholeFrame) -> Float[Array, "3 sites"]:
        """Induced dipole of each site [e nm]."""
        return _induced(self, frame, self.source.charges(frame))

    def _induction(self, frame, charges, dipoles):
        """``sum mu^2 / 2 alpha + W(q, mu) - W(q, 0)`` [kJ/mol]."""
        volumes = of_kinds(self.polarizabilities, frame.kinds, frame.points)
        safe = jnp.where(frame.kinds >= 0, volumes, 1.0)
        own = 0.5 * COULOMB * ((dipoles * dipoles).sum(0) / safe).sum()
        kernel = Thole(self.polarizabilities, self.damping)
        with_dipoles = coulomb_energy(
            frame, Multipoles(charges, dipoles), self.alpha, self.pairs_within, kernel
        )
        return (
            own
            + with_dipoles
            - coulomb_energy(frame, Multipoles(charges), self.alpha, self.pairs_within, kernel)
        )


def _induced(term, frame, charges):
    """The dipoles of least energy, by conjugate gradients in ``mu / sqrt(alpha)``."""
    volumes = of_kinds(term.polarizabilities, frame.kinds, frame.points)
    scale = jnp.sqrt(volumes / COULOMB)

    def energy(scaled):
        return (
            term._induction(frame, charges, scale * scaled)
            + 0.5 * (jnp.where(frame.kinds >= 0, 0.0, scaled) ** 2).sum()
        )

    slope = jax.grad(energy)
    start = jnp.zeros((3, len(frame.kinds)), frame.points.dtype)
    force = -slope(start)
    answer, _ = jax.scipy.sparse.linalg.cg(
        lambda x: slope(x) + force,
        force,
        tol=float(jnp.finfo(force.dtype).eps) ** CONVERGED,
        maxiter=4 * 3 * len(frame.kinds),
    )
    return scale * answer
