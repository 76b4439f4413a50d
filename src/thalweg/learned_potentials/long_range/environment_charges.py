"""Charges read off surroundings, the energy they have far apart, and what their field induces.

    E = sum_(i<j) q_i q_j S(r_ij) / (4 pi eps0 r_ij)  -  sum_i alpha_i |F_i|^2 / 2,
    q_i = w_z(i) . phi(f_i) + what makes sum_i q_i = Q,

charges linear in features of what is bonded, ``F`` their field, ``alpha`` a polarizability of each element. ``S``
leaves out pairs that a local part sees well: charges in a molecule would pull at each other by hundreds of kJ/mol,
which a local part had to learn to take back. In cells by Ewald's sum, or a mesh.

Charges come from labels of energies (`LatentCharges`) or of charges and dipoles (`LabeledCharges`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.learned_potentials.linear.learner import over_elements
from thalweg.learned_potentials.long_range.coulomb import DistantCharges, coulomb_energy, fields, of_kinds
from thalweg.learned_potentials.long_range.whole_frames import FrameTerm, WholeFrame
from thalweg.potentials.electrostatics.ewald import splitting
from thalweg.potentials.electrostatics.multipoles import Multipoles
from thalweg.representations.representation import Representation
from thalweg.shapes import Array, Float
from thalweg.systems.configuration import Configuration
from thalweg.units import COULOMB, Nanometers

USUAL_CHANGE = 0.25
"""Surroundings change charges by about so much [e]."""

CONSERVED = 1e-3
"""Charges read off the surroundings may add up to another charge than the frame's by about so much [e]."""

INNER = 0.4
"""Pairs nearer than this part of the local cutoff, bonded ones mostly, do not feel each other's charges."""


class EnvironmentCharges(FrameTerm):
    """The energy of charges read off surroundings, and of the dipoles that their field induces.

    Attributes
    ----------
    representation : with elements filled in
    constants : charge of each element in mean surroundings [e]
    slopes : what features change of it, each in units of ``scales`` from ``means`` [e]
    means, scales : of features, element by element
    polarizabilities : of each element, as volumes [nm^3]
    near : up to where the local part sees; pairs count in full from there on [nm]
    tolerance : of Ewald's sum
    """

    representation: Representation
    constants: Float[Array, " elements"]
    slopes: Float[Array, "elements features"]
    means: Float[Array, "elements features"]
    scales: Float[Array, "elements features"]
    polarizabilities: Float[Array, " elements"]
    near: Nanometers = eqx.field(static=True, default=0.5)
    tolerance: float = eqx.field(static=True, default=1e-6)

    @property
    def elements(self) -> tuple[int, ...]:
        return self.representation.elements

    @property
    def pairs_within(self) -> float:
        return max(self.near, self.representation.cutoff)

    @property
    def alpha(self) -> float:
        return splitting(self.pairs_within, self.tolerance)

    @property
    def unsaid_charge(self) -> float:
        """NaN: in the open the whole number next to the sum of what surroundings say."""
        return float("nan")

    @property
    def kernel(self) -> DistantCharges:
        """``S(r) / r``."""
        return DistantCharges(INNER * self.near, self.near)

    def charges(self, frame: WholeFrame) -> Float[Array, " sites"]:
        """Charge of each site; of the net charge of the frame in all [e]."""
        there = frame.kinds >= 0
        bare = self.bare_charges(frame)
        total = jnp.where(jnp.isnan(frame.charge), jnp.round(bare.sum()), frame.charge)
        missing = (total - bare.sum()) / there.sum()
        return jnp.where(there, bare + missing, 0.0)

    def bare_charges(self, frame: WholeFrame) -> Float[Array, " sites"]:
        """What each site reads off its surroundings, before all are made to add up [e]."""
        features = self.representation(frame.environments)
        bare = of_kinds(self.constants, frame.kinds, frame.points)
        for kind in range(len(self.elements)):
            means, slopes = self.means[kind], self.slopes[kind] / self.scales[kind]
            changes = jnp.asarray(slopes, features.dtype) @ (
                features - jnp.asarray(means, features.dtype)[:, None]
            )
            bare = bare + jnp.where(frame.kinds == kind, changes, 0.0)
        return bare

    def frame_energy(self, frame: WholeFrame) -> jax.Array:
        charges, how = self.charges(frame), (self.alpha, self.pairs_within, self.kernel)
        field = fields(frame, charges, *how)
        volumes = of_kinds(self.polarizabilities, frame.kinds, frame.points)
        induced = -0.5 / COULOMB * (volumes * (field * field).sum(0)).sum()
        return coulomb_energy(frame, Multipoles(charges), *how) + induced

    def by_parameter(
        self, configurations: Sequence[Configuration]
    ) -> Iterator[Float[np.ndarray, "atoms parameters"]]:
        """For each frame, what each constant and each slope, element by element, adds to the charge of each atom."""
        for frame, features in zip(configurations, self.representation.features(configurations)):
            mine = frame.numbers[:, None] == np.array(self.elements)
            scaled = mine[:, :, None] * (features[:, None] - self.means) / self.scales
            yield np.concatenate([mine, scaled.reshape(len(frame), -1)], 1)


def no_charges(
    configurations: Sequence[Configuration], seen: Representation, near: Nanometers
) -> EnvironmentCharges:
    """The term of no charges, with features scaled as they vary over ``configurations``.

    Parameters
    ----------
    seen : what charges depend on beside their element
    near : up to where a local part sees [nm]
    """
    representation = over_elements(seen, configurations)
    numbers = np.concatenate([frame.numbers for frame in configurations])
    features = np.concatenate(representation.features(configurations))
    of_each = [features[numbers == z] for z in representation.elements]
    count, width = len(of_each), features.shape[1]
    means = np.stack([rows.mean(0) if len(rows) else np.zeros(width) for rows in of_each])
    sizes = np.stack([np.sqrt((rows**2).mean(0)) if len(rows) else np.zeros(width) for rows in of_each])
    nothing = np.zeros((count, width))
    scales = np.where(sizes > 1e-9, sizes, 1.0)
    return EnvironmentCharges(representation, np.zeros(count), nothing, means, scales, np.zeros(count), near)
