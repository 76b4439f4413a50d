"""Latent charges: charges that nobody labeled, read off the surroundings, interact at all distances [cheng2025].

    E = sum_i e(f_i)  +  sum_(i<j) q_i q_j erf(a r_ij) / (4 pi eps0 r_ij),     q_i = q(f_i) + what makes sum_i q_i = Q,

with two readouts ``e`` and ``q`` of one local representation ``f``, trained together on energies and forces. In cells
the second sum is over waves alone, since smeared charges need no others: Ewald's for small cells, a mesh for large.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.learned_potentials.long_range.coulomb import coulomb_energy
from thalweg.learned_potentials.long_range.whole_frames import FrameTerm, WholeFrame, side_by_side
from thalweg.learned_potentials.networks.element_networks import ElementNetworks, Network
from thalweg.learned_potentials.networks.gradient_training import GradientTraining
from thalweg.learned_potentials.terms.learner import FitInfo, FittedTerm
from thalweg.learned_potentials.terms.term import Weights
from thalweg.learning.perceptron import Perceptron
from thalweg.learning.trainer import is_parameter
from thalweg.potentials.electrostatics.multipoles import Multipoles
from thalweg.representations.representation import Representation
from thalweg.shapes import Array, Float
from thalweg.systems.configuration import Configuration
from thalweg.units import Nanometers

FIRST_CHARGE = 0.3
"""Charges are about so large before training [e]: at zero nothing would pull at them."""


class LatentChargeTerm(FrameTerm):
    """Energies of sites and of charges, both read off the same features.

    Attributes
    ----------
    representation : with elements filled in
    energies, readout : called with features ``(features, sites)`` and kinds; energies [kJ/mol] and charges [e]
    smearing : ``s`` of ``a = 1 / (s sqrt(2))`` [nm]
    tolerance : of Ewald's sum
    """

    representation: Representation
    energies: eqx.Module
    readout: eqx.Module
    smearing: Nanometers = eqx.field(static=True, default=0.1)
    tolerance: float = eqx.field(static=True, default=1e-5)

    @property
    def elements(self) -> tuple[int, ...]:
        return self.representation.elements

    @property
    def pairs_within(self) -> float:
        return self.representation.cutoff

    @property
    def alpha(self) -> float:
        return 1 / (sqrt(2) * self.smearing)

    def charges(self, frame: WholeFrame) -> Float[Array, " sites"]:
        """Latent charge of each site; of the net charge of the frame in all [e]."""
        return self._charges(self.representation(frame.environments), frame)

    def _charges(self, features, frame):
        there = frame.kinds >= 0
        bare = jnp.where(there, self.readout(features, frame.kinds), 0.0)
        missing = (frame.charge - bare.sum()) / there.sum()
        return jnp.where(there, bare + missing, 0.0)

    def frame_energy(self, frame: WholeFrame) -> jax.Array:
        features = self.representation(frame.environments)
        sites = jnp.where(frame.kinds >= 0, self.energies(features, frame.kinds), 0.0)
        return sites.sum() + coulomb_energy(
            frame, Multipoles(self._charges(features, frame)), self.alpha, self.pairs_within
        )


@dataclass(frozen=True)
class LatentCharges:
    """Two networks per element on a fixed representation: one for energies, one for charges.

    Parameters
    ----------
    representation : of environments; its elements may be left open
    widths : of the hidden layers
    smearing : of the charges [nm]: the shorter, the more waves a cell needs; what it leaves out at short range the
        energies of sites learn
    training : how they are trained
    """

    representation: Representation
    widths: tuple[int, ...] = (16, 16)
    smearing: Nanometers = 0.1
    training: GradientTraining = GradientTraining()  # noqa: RUF009

    def start(self, configurations: Sequence[Configuration], seed: int) -> LatentChargeTerm:
        """The untrained term."""
        local = Network(self.representation, self.widths).start(configurations, seed)
        energies = local.readout
        return LatentChargeTerm(
            local.representation, energies, _charge_readout(energies, self.widths, seed), self.smearing
        )

    def fit(
        self,
        configurations: Sequence[Configuration],
        *,
        validation: Sequence[Configuration] = (),
        weights: Weights = Weights(),  # noqa: B008
        seed: int = 0,
        progress: Callable[[str, float], None] | None = None,
    ) -> FittedTerm:
        """The `LatentChargeTerm` of the best epoch, and the course of the training.

        Raises
        ------
        ValueError
            If no frame has a label that is not zero, or a frame repeats in one or two directions only.
        """
        training, aside = self.training.split(configurations, validation, seed)
        start = _settled(self.start([*training, *aside], seed), training)
        batches = _batches(start, training, weights, self.training.frames)
        null = sum(batch.null for batch in batches) / len(batches)
        if not null > 0:
            raise ValueError("no frame has a label that is not zero; there is nothing to learn")
        trainable = jax.tree.map(lambda _: False, start)
        trainable = eqx.tree_at(
            lambda term: (term.energies, term.readout),
            trainable,
            jax.tree.map(is_parameter, (start.energies, start.readout)),
        )
        trained = self.training.trainer.fit(
            start,
            _RelativeFrameError(np.asarray(null, np.float32)),
            batches,
            held_out=_batches(start, aside, weights, self.training.frames),
            trainable=trainable,
            seed=seed,
            checkpoint=self.training.file(seed),
            progress=progress,
        )
        return FittedTerm(_settled(trained.model, training), FitInfo(histories={seed: trained.history}))

    def with_checkpoints(self, folder: Path) -> LatentCharges:
        """See `thalweg.learned_potentials.terms.learner.Resumable`."""
        return replace(self, training=replace(self.training, checkpoint=folder))


def _settled(term: LatentChargeTerm, configurations: Sequence[Configuration]) -> LatentChargeTerm:
    """The term with the constants of elements that fit energies best.

    Charges have energies of hundreds of kJ/mol within a molecule, which steps of training follow late; of constants the
    least squares are known.
    """
    labeled = [frame for frame in configurations if frame.energy is not None]
    if not labeled:
        return term
    off = np.array([frame.energy for frame in labeled]) - term.evaluate(labeled).energies
    counts = np.array([[np.sum(frame.numbers == z) for z in term.elements] for frame in labeled], float)
    root = np.sqrt([len(frame) for frame in labeled])
    constants = np.linalg.lstsq(counts / root[:, None], off / root, rcond=None)[0]
    shift = term.energies.shift + constants / np.asarray(term.energies.scale)
    return eqx.tree_at(lambda t: t.energies.shift, term, jnp.asarray(shift, term.energies.shift.dtype))


def _charge_readout(like: ElementNetworks, widths: tuple[int, ...], seed: int) -> ElementNetworks:
    """Networks for charges on the features that those for energies see."""
    keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), 1), len(like.networks) + 1)
    layers = (like.means.shape[1], *widths, 1)
    nonlinearity = like.networks[0].nonlinearity
    return replace(
        like,
        networks=tuple(Perceptron.init(layers, key, nonlinearity, last=0.1) for key in keys[1:]),
        shift=jax.random.normal(keys[0], like.shift.shape, jnp.float32),
        scale=np.asarray(FIRST_CHARGE, np.float32),
    )


class _LabeledFrames(eqx.Module):
    """Frames of one shape with their labels, missing ones zero and of no weight.

    Attributes
    ----------
    frames : side by side on the first axis
    energies, forces, virials : labels; virials are stresses times volumes [kJ/mol]
    energy_weights, force_weights, virial_weights : what squares are multiplied with
    strained : whether any frame has a stress
    """

    frames: WholeFrame
    energies: Float[Array, " frames"]
    forces: Float[Array, "frames 3 sites"]
    virials: Float[Array, "frames 3 3"]
    energy_weights: Float[Array, " frames"]
    force_weights: Float[Array, " frames"]
    virial_weights: Float[Array, " frames"]
    strained: bool = eqx.field(static=True)

    @property
    def null(self) -> float:
        """Weighted squares of the labels."""
        forces = (self.forces**2).sum((1, 2))
        virials = (self.virials**2).sum((1, 2))
        return float(
            (
                self.energy_weights * self.energies**2
                + self.force_weights * forces
                + self.virial_weights * virials
            ).sum()
        )


class _RelativeFrameError(eqx.Module):
    """``chi^2`` of a batch of whole frames over that of a term that says zero, on average."""

    null: Float[Array, ""]

    def __call__(self, term: FrameTerm, batch: _LabeledFrames) -> jax.Array:
        def energy(points, strain, frame):
            moved = replace(frame, points=points)
            return term.frame_energy(moved.strained(strain) if batch.strained else moved)

        def of_one(frame):
            still = jnp.zeros((3, 3), frame.points.dtype)
            return jax.value_and_grad(energy, (0, 1))(frame.points, still, frame)

        energies, (gradients, virials) = jax.vmap(of_one)(batch.frames)
        # sites that only fill a block have neither gradient nor label
        error = batch.energy_weights * (energies - batch.energies) ** 2
        error += batch.force_weights * ((gradients + batch.forces) ** 2).sum((1, 2))
        error += batch.virial_weights * ((virials - batch.virials) ** 2).sum((1, 2))
        return error.sum() / self.null


def _batches(
    term: FrameTerm, configurations: Sequence[Configuration], weights: Weights, most: int
) -> list[_LabeledFrames]:
    """Labeled frames of one shape in blocks of up to ``most``."""
    return [
        _labeled([configurations[k] for k in chosen], frames, weights)
        for chosen, frames in side_by_side(term, configurations, most)
    ]


def _labeled(configurations, frames, weights):
    count, sites = frames.points.shape[0], frames.points.shape[2]
    energies, forces = np.zeros(count, np.float32), np.zeros((count, 3, sites), np.float32)
    virials, of_each = np.zeros((count, 3, 3), np.float32), np.zeros((3, count), np.float32)
    for k, frame in enumerate(configurations):
        if frame.energy is not None:
            energies[k], of_each[0, k] = frame.energy, 1 / (len(frame) * weights.energy**2)
        if frame.forces is not None:
            forces[k, :, : len(frame)], of_each[1, k] = frame.forces.T, 1 / weights.force**2
        if frame.stress is not None:
            virials[k] = frame.stress * frame.volume
            of_each[2, k] = 1 / (len(frame) * weights.stress**2)
    strained = bool(of_each[2].any())
    return _LabeledFrames(_single(frames), energies, forces, virials, *of_each, strained)


def _single(frames):
    """The same in 32 bits."""
    return jax.tree.map(
        lambda leaf: leaf.astype(np.float32) if np.issubdtype(leaf.dtype, np.floating) else leaf, frames
    )
