"""Stillinger and Weber's potential [stillinger1985], with known parameters or fitted to energies and forces.

    E = sum_i o_i + sum_{i<j} A (B / r^4 - 1) e^(w / (r - c))
        + sum_i sum_{j<k} sqrt(L_ij L_ik) (cos t_jik - cos t_0)^2 e^(v_ij / (r_ij - c)) e^(v_ik / (r_ik - c)),

zero with all derivatives at the cutoff ``c``. Parameters belong to pairs of elements. The sum over pairs of neighbors
is done through moments, ``M_0 = sum_j g_j``, ``M_1 = sum_j g_j u_j``, ``M_2 = sum_j g_j u_j u_j``:

    sum_{j<k} g_j g_k (u_j . u_k - x)^2 = (M_2 : M_2 - 2 x M_1 . M_1 + x^2 M_0^2 - (1 - x)^2 sum_j g_j^2) / 2,

so that its cost grows with the number of neighbors, not with that of pairs of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from thalweg.learned_potentials.parametric.few_parameters import best_fit, nearest_distances, require_frames
from thalweg.learned_potentials.parametric.pair_terms import of_pairs, pair_kinds
from thalweg.learned_potentials.terms.learner import FittedTerm
from thalweg.learned_potentials.terms.local import SiteTerm
from thalweg.learned_potentials.terms.term import Weights
from thalweg.representations.environments import Environments
from thalweg.shapes import Array, Float
from thalweg.systems.configuration import Configuration, elements_of
from thalweg.units import KilojoulesPerMole, Nanometers

TETRAHEDRAL = -1.0 / 3.0
"""Cosine of the angle between the bonds of diamond."""

GONE = 80.0
"""Exponents below minus this many are taken as this many: nothing in 32 bits."""


class StillingerWeberTerm(SiteTerm):
    """The fitted or known potential.

    Attributes
    ----------
    elements : atomic numbers
    cutoff : c [nm]
    cosine : cos t_0, of the angle that costs nothing
    strength : A of each pair of elements, in the order of `pair_kinds` [kJ/mol]
    core : B [nm^4]
    width : w [nm]
    stiffness : L [kJ/mol]
    angle_width : v [nm]
    offsets : energy of each element alone [kJ/mol]
    """

    elements: tuple[int, ...] = eqx.field(static=True)
    cutoff: float = eqx.field(static=True)
    cosine: float = eqx.field(static=True)
    strength: Float[Array, " pairs"]
    core: Float[Array, " pairs"]
    width: Float[Array, " pairs"]
    stiffness: Float[Array, " pairs"]
    angle_width: Float[Array, " pairs"]
    offsets: Float[Array, " elements"]

    def site_energies(self, environments: Environments) -> Float[Array, " sites"]:
        """Half of the two-body energies of a site's pairs, its three-body energy, and that of the atom alone [kJ/mol].

        =================  ==============================================================
        ``A, B, w, L, v``  ``strength, core, width, stiffness, angle_width`` of each pair
        ``u_j, g_j``       ``(x, y, z)``, ``g``, (neighbors, sites)
        ``g_j u_j``        ``(gx, gy, gz)``; ``M_1 . M_1`` is ``first``
        ``M_2 : M_2``      ``like + 2 unlike``, squares of like and unlike components
        =================  ==============================================================
        """
        kinds, distances = environments.kinds, environments.distances
        pairs = pair_kinds(kinds, environments.neighbor_kinds)
        strength, core, width, stiffness, angle_width = (
            of_pairs(table, pairs, distances)
            for table in (self.strength, self.core, self.width, self.stiffness, self.angle_width)
        )

        def falling(length):
            gap = jnp.maximum(self.cutoff - distances, length / GONE)
            return jnp.where(distances < self.cutoff, jnp.exp(-length / gap), 0.0)

        # half of the two-body energy of each pair: A (B / r^4 - 1) e^(w / (r - c))
        two_body = 0.5 * (strength * (core / distances**4 - 1) * falling(width)).sum(0)
        # g_j = sqrt(L) e^(v / (r - c)) and u_j = (x, y, z); M_1 . M_1, and M_2 : M_2 from like and unlike axes
        g = jnp.sqrt(stiffness) * falling(angle_width)
        x, y, z = environments.vectors / distances
        gx, gy, gz = g * x, g * y, g * z
        first = gx.sum(0) ** 2 + gy.sum(0) ** 2 + gz.sum(0) ** 2
        like = (gx * x).sum(0) ** 2 + (gy * y).sum(0) ** 2 + (gz * z).sum(0) ** 2
        unlike = (gx * y).sum(0) ** 2 + (gx * z).sum(0) ** 2 + (gy * z).sum(0) ** 2
        # sum over ordered pairs of neighbors, those of a neighbor with itself off
        itself = (1 - self.cosine) ** 2 * (g * g).sum(0)
        squares = like + 2 * unlike - 2 * self.cosine * first + self.cosine**2 * g.sum(0) ** 2
        alone = jnp.asarray(self.offsets, distances.dtype)[kinds]
        return jnp.where(kinds >= 0, two_body + 0.5 * (squares - itself) + alone, 0.0)


def stillinger_weber_silicon() -> StillingerWeberTerm:
    """Silicon as published [stillinger1985].

    Examples
    --------
    >>> a = 0.54309
    >>> points = [[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0], [1, 1, 1], [1, 3, 3], [3, 1, 3], [3, 3, 1]]
    >>> cell = Configuration(np.full(8, 14), a / 4 * np.array(points), a * np.eye(3), (True,) * 3)
    >>> energy = stillinger_weber_silicon().evaluate([cell]).energies[0] / 8 / 96.4853
    >>> round(float(energy), 3)
    -4.336
    """
    energy, length, cutoff = 209.2, 0.20951, 0.377118
    return StillingerWeberTerm(
        (14,),
        cutoff,
        TETRAHEDRAL,
        strength=np.array([7.049556277 * energy]),
        core=np.array([0.6022245584 * length**4]),
        width=np.array([length]),
        stiffness=np.array([21.0 * energy]),
        angle_width=np.array([1.2 * length]),
        offsets=np.zeros(1),
    )


@dataclass(frozen=True)
class StillingerWeber:
    """Fits a `StillingerWeberTerm`.

    Parameters
    ----------
    cutoff : [nm]; it lies between the first and the second shell of neighbors
    cosine : of the angle that costs nothing
    strengths : strengths to start from [kJ/mol]; the best end wins
    """

    cutoff: Nanometers = 0.377
    cosine: float = TETRAHEDRAL
    strengths: tuple[KilojoulesPerMole, ...] = (300.0, 2000.0)

    def fit(
        self,
        configurations: Sequence[Configuration],
        *,
        validation: Sequence[Configuration] = (),
        weights: Weights = Weights(),  # noqa: B008
        seed: int = 0,
        progress: Callable[[str, float], None] | None = None,
    ) -> FittedTerm:
        """A `StillingerWeberTerm`; see `thalweg.learned_potentials.terms.learner.Learner`."""
        require_frames(configurations)
        elements = elements_of(configurations)
        near = nearest_distances(configurations, elements, self.cutoff)
        starts = [
            {
                "strength": np.full(len(near), strength),
                "core": near**4,
                "width": near,
                "stiffness": np.full(len(near), 2 * strength),
                "angle_width": near,
            }
            for strength in self.strengths
        ]

        def term(parameters, offsets):
            return StillingerWeberTerm(elements, self.cutoff, self.cosine, **parameters, offsets=offsets)

        return best_fit(term, starts, configurations, weights, progress)
