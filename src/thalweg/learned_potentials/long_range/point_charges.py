"""Point charges that belong to elements: ``U = sum_(i<j) q_i q_j / (4 pi eps0 r_ij)``, the oldest model of a salt."""

from __future__ import annotations

from collections.abc import Mapping

import equinox as eqx
import jax
import numpy as np

from thalweg.learned_potentials.long_range.coulomb import BareCharges, coulomb_energy, of_kinds
from thalweg.learned_potentials.long_range.whole_frames import FrameTerm, WholeFrame
from thalweg.potentials.electrostatics.ewald import splitting
from thalweg.potentials.electrostatics.multipoles import Multipoles
from thalweg.shapes import Array, Float
from thalweg.units import Nanometers

NEUTRAL = 1e-4
"""Net charges up to this much are rounding [e]."""


class PointCharges(FrameTerm):
    """The Coulomb energy of fixed charges.

    Attributes
    ----------
    elements : atomic numbers
    values : charge of each element [e]
    pairs_within : how far pairs are summed one by one in cells, see `thalweg.potentials.electrostatics.ewald` [nm]
    tolerance : of Ewald's sum
    """

    elements: tuple[int, ...] = eqx.field(static=True)
    values: Float[Array, " elements"]
    pairs_within: Nanometers = eqx.field(static=True, default=0.9)
    tolerance: float = eqx.field(static=True, default=1e-6)

    @property
    def alpha(self) -> float:
        return splitting(self.pairs_within, self.tolerance)

    def check(self, numbers: np.ndarray, charge: float, periodic: bool) -> None:
        """Raise ValueError if a cell has a net charge that its frame does not say."""
        table = dict(zip(self.elements, np.asarray(self.values, float)))
        total = sum(table.get(int(z), 0.0) for z in numbers)
        if periodic and abs(total - charge) > NEUTRAL:
            raise ValueError(
                f"the charges of this cell add up to {total:.4g} e and the frame says {charge:g} e; give charges that "
                "add up to its charge, or write info['charge'] of a frame that is charged: a uniform background then "
                "makes its cell neutral"
            )

    def charges(self, frame: WholeFrame) -> Float[Array, " sites"]:
        """Charge of each site [e]."""
        return of_kinds(self.values, frame.kinds, frame.points)

    def frame_energy(self, frame: WholeFrame) -> jax.Array:
        return coulomb_energy(
            frame, Multipoles(self.charges(frame)), self.alpha, self.pairs_within, BareCharges()
        )


def point_charges(
    values: Mapping[int, float], pairs_within: Nanometers = 0.9, tolerance: float = 1e-6
) -> PointCharges:
    """Charges [e] by atomic number as a term.

    Examples
    --------
    >>> from thalweg.systems.configuration import Configuration
    >>> pair = Configuration(np.array([11, 17]), np.array([[0, 0, 0], [1.0, 0, 0]]))
    >>> point_charges({11: 1.0, 17: -1.0}).evaluate([pair]).energies.round(4).tolist()
    [-138.9355]
    """
    elements = tuple(sorted(values))
    return PointCharges(elements, np.array([values[z] for z in elements], float), pairs_within, tolerance)
