"""Charge equilibration: charges flow until every atom's chemical potential is the same [rappe1991].

    U(q) = sum_i chi_i q_i + eta_i q_i^2 / 2  +  q . J q / 2,      sum_i q_i = Q,

with electronegativities ``chi``, hardnesses ``eta`` and the Coulomb matrix ``J`` of Gaussian charges, in the open or by
Ewald's sum. The charges of least energy solve a linear system; at the minimum forces need no derivative of them. What
the method cannot know is in its form: charges flow between far molecules as if between bonded atoms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from thalweg.learned_potentials.long_range.coulomb import GaussianCharges, charge_interactions, of_kinds
from thalweg.learned_potentials.long_range.whole_frames import FrameTerm, WholeFrame, side_by_side
from thalweg.learned_potentials.terms.learner import FitInfo, FittedTerm
from thalweg.learned_potentials.terms.term import Weights
from thalweg.potentials.electrostatics.ewald import splitting
from thalweg.shapes import Array, Float
from thalweg.systems.configuration import Configuration, elements_of
from thalweg.units import COULOMB, Nanometers

LARGEST = 4000
"""Atoms of one frame; the linear system is dense."""


class EquilibratedCharges(FrameTerm):
    """The energy of charges in equilibrium, zero for free neutral atoms.

    Attributes
    ----------
    elements : atomic numbers
    electronegativities : ``chi`` of each element [kJ/mol/e]
    hardnesses : ``eta``, the Coulomb energy of a Gaussian charge with itself included [kJ/mol/e^2]; positive
    widths : of the Gaussian charges [nm]
    pairs_within, tolerance : of Ewald's sum
    """

    elements: tuple[int, ...] = eqx.field(static=True)
    electronegativities: Float[Array, " elements"]
    hardnesses: Float[Array, " elements"]
    widths: Float[Array, " elements"]
    pairs_within: Nanometers = eqx.field(static=True, default=0.9)
    tolerance: float = eqx.field(static=True, default=1e-6)

    @property
    def alpha(self) -> float:
        return splitting(self.pairs_within, self.tolerance)

    @property
    def only_charges(self) -> bool:
        """The matrix is made of waves, whatever the size."""
        return False

    def check(self, numbers: np.ndarray, charge: float, periodic: bool) -> None:
        """Raise ValueError if there are more atoms than a dense system is for."""
        if len(numbers) > LARGEST:
            raise ValueError(
                f"{len(numbers)} atoms: equilibrated charges solve a dense linear system, for up to {LARGEST} atoms; "
                "use a smaller cell, or latent charges"
            )

    def charges(self, frame: WholeFrame) -> Float[Array, " sites"]:
        """Charges in equilibrium [e], differentiable in positions and parameters."""
        matrix, slopes, there = self._system(frame)
        # the charges and the chemical potential: A q + mu 1 = -chi, 1 . q = Q
        ones = there.astype(matrix.dtype)
        bordered = jnp.block([[matrix, ones[:, None]], [ones[None], jnp.zeros((1, 1), matrix.dtype)]])
        right = jnp.concatenate([-slopes, jnp.asarray(frame.charge, matrix.dtype)[None]])
        return jnp.linalg.solve(bordered, right)[:-1]

    def frame_energy(self, frame: WholeFrame) -> jax.Array:
        charges = jax.lax.stop_gradient(self.charges(jax.lax.stop_gradient(frame)))
        matrix, slopes, there = self._system(frame)
        charges = jnp.where(there, charges, 0.0)
        return slopes @ charges + 0.5 * charges @ (matrix @ charges)

    def _system(self, frame):
        """``A = J + eta``, one on the diagonal of what only fills a block, ``chi``, and which sites are atoms."""
        there = frame.kinds >= 0
        matrix = charge_interactions(frame, self.alpha, self.pairs_within, GaussianCharges(self.widths))
        diagonal = jnp.where(there, of_kinds(self.hardnesses, frame.kinds, frame.points), 1.0)
        slopes = of_kinds(self.electronegativities, frame.kinds, frame.points)
        return matrix + jnp.diag(diagonal), slopes, there


@dataclass(frozen=True)
class ChargeEquilibration:
    """Fits electronegativities and hardnesses to charges and dipoles that frames are labeled with.

    Frames have ``properties["charges"]`` [e], ``properties["dipole"]`` [e nm], or both; energies and forces are not
    looked at, since what a fitted term has of them a learner on top has not to learn.

    Parameters
    ----------
    width : of all Gaussian charges [nm]
    hardness : of all elements at the start [kJ/mol/e^2]
    trust : error of a charge [e] that one would be content with; of a dipole, this charge over 0.1 nm
    pairs_within : how far pairs are summed one by one in cells [nm]
    """

    width: Nanometers = 0.08
    hardness: float = 2500.0
    trust: float = 0.02
    pairs_within: Nanometers = 0.9

    def fit(
        self,
        configurations: Sequence[Configuration],
        *,
        validation: Sequence[Configuration] = (),
        weights: Weights = Weights(),  # noqa: B008
        seed: int = 0,
        progress: Callable[[str, float], None] | None = None,
    ) -> FittedTerm:
        """An `EquilibratedCharges` term by nonlinear least squares.

        Raises
        ------
        ValueError
            If no frame has charges or a dipole.
        """
        labeled = [f for f in configurations if "charges" in f.properties or "dipole" in f.properties]
        if not labeled:
            raise ValueError(
                f"{len(configurations)} frames given, none with properties['charges'] or ['dipole']; label them, by "
                "tight binding for example"
            )
        elements = elements_of(configurations)
        count = len(elements)
        least = (
            1.05 * COULOMB / (np.sqrt(np.pi) * self.width)
        )  # a charge's energy with itself: J + eta stays positive

        def term(x):
            # only differences of electronegativities matter; the first element's is zero
            first = jnp.zeros(1, x.dtype)
            return EquilibratedCharges(
                elements,
                1000.0 * jnp.concatenate([first, x[: count - 1]]),
                least + self.hardness * jnp.exp(x[count - 1 :]),
                np.full(count, self.width),
                self.pairs_within,
            )

        with jax.enable_x64(True):
            residuals, slopes = _residuals(term, labeled, self.trust)
            end = scipy.optimize.least_squares(residuals, np.zeros(2 * count - 1), slopes, bounds=(-5, 5))
            fitted = jax.tree.map(np.asarray, term(jnp.asarray(end.x)))
        error = float(np.sqrt(np.mean(end.fun**2)) * self.trust)
        note = f"Charges and dipoles of {len(labeled)} frames are met to {error:.3g} e (root mean square)."
        return FittedTerm(fitted, FitInfo(converged=bool(end.success), notes=(note,)))


def _residuals(term, frames, trust):
    """Deviations of charges and dipoles in units of ``trust``, and their derivatives."""
    blocks = []
    for chosen, whole in side_by_side(term(jnp.zeros(2 * len(elements_of(frames)) - 1)), frames):
        there = [len(frames[k]) for k in chosen]
        blocks.append((jax.tree.map(itemgetter(slice(len(chosen))), whole), chosen, there))

    def predicted(x, whole):
        charges = jax.vmap(term(x).charges)(whole)
        return charges, jnp.einsum("fn,fan->fa", charges, whole.points)

    values, slopes = jax.jit(predicted), jax.jit(jax.jacfwd(predicted))

    def rows(parts, labels):
        """Rows of charges and dipoles where there are labels."""
        charges, dipoles = map(np.asarray, parts)
        found = []
        for k, (frame, atoms) in enumerate(labels):
            if "charges" in frame.properties:
                found.append((charges[k][:atoms], np.asarray(frame.properties["charges"], float), trust))
            if "dipole" in frame.properties:
                found.append((dipoles[k], np.asarray(frame.properties["dipole"], float), 0.1 * trust))
        return found

    def residuals(x):
        found = [
            (value - label) / scale
            for whole, chosen, sizes in blocks
            for value, label, scale in rows(values(x, whole), [(frames[k], n) for k, n in zip(chosen, sizes)])
        ]
        return np.concatenate(found)

    def jacobian(x):
        found = [
            value / scale
            for whole, chosen, sizes in blocks
            for value, _, scale in rows(slopes(x, whole), [(frames[k], n) for k, n in zip(chosen, sizes)])
        ]
        return np.concatenate(found)

    return residuals, jacobian
