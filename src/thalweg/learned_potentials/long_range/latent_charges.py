"""Latent charges: charges that nobody labeled, read off the surroundings, interact at all distances [cheng2025].

    E = sum_i e_i  +  sum_(i<j) q_i q_j S(r_ij) / (4 pi eps0 r_ij)  -  sum_i alpha_i |F_i|^2 / 2,
    q_i = w_z(i) . phi(f_i) + what makes sum_i q_i = Q,

``e`` of any linear learner, charges linear in features of what is bonded, ``F`` the field of the charges, ``alpha`` a
polarizability of each element. ``S`` leaves out pairs that the local part sees well: charges in a molecule would pull
at each other by hundreds of kJ/mol, which a local part had to learn to take back. Given charges, that part is one
linear fit; what it cannot express decides the charges, see `variable_projection`: few parameters, exact derivatives,
several starts. In cells by Ewald's sum, or a mesh.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse.csgraph import connected_components

from thalweg.learned_potentials.frames.forgiving import Forgiving
from thalweg.learned_potentials.linear.learner import OnePass, forces_of_some, over_elements
from thalweg.learned_potentials.long_range.coulomb import DistantCharges, coulomb_energy, fields, of_kinds
from thalweg.learned_potentials.long_range.variable_projection import Expected, fit_beside, without
from thalweg.learned_potentials.long_range.whole_frames import FrameTerm, WholeFrame
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learned_potentials.terms.learner import FitInfo, FittedTerm
from thalweg.learned_potentials.terms.term import Weights
from thalweg.potentials.electrostatics.ewald import splitting
from thalweg.potentials.electrostatics.multipoles import Multipoles
from thalweg.representations.representation import Representation
from thalweg.representations.symmetry_functions import SymmetryFunctions, radial_grid
from thalweg.shapes import Array, Float
from thalweg.systems.configuration import Configuration
from thalweg.units import COULOMB, Nanometers

USUAL_CHARGE = 0.5
"""Charges of elements are about so large [e]."""

USUAL_CHANGE = 0.25
"""So much surroundings change them [e]."""

INNER = 0.4
"""Pairs nearer than this part of the local cutoff, bonded ones mostly, do not feel each other's charges."""

USUAL_POLARIZABILITY = 1e-3
"""Of an atom [nm^3]."""

WHOLE = 0.15
"""A molecule alone whose charge is so near to a whole number has that number [e]."""

CONSERVED = 1e-3
"""Charges read off the surroundings may add up to another charge than the frame's by about so much [e]."""


class LatentChargeTerm(FrameTerm):
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
        """Latent charge of each site; of the net charge of the frame in all [e]."""
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


def _seen() -> Representation:
    return SymmetryFunctions(0.3, radial=radial_grid(0.3, 3), narrow=(), wide=())


@dataclass(frozen=True)
class LatentCharges:
    """A linear learner for what is near, and charges and polarizabilities that nobody labeled for what is far.

    Where frames are labeled with charges (``properties["charges"]``) these are a start among others, and no more.

    Parameters
    ----------
    learner : of the local part: `Linear`, `Together`, `SparseKernel`; where it is not `Forgiving`, it becomes so: what
        is near errs more, and what is far has small forces and decides
    seen : what charges depend on beside their element: by default who is bonded, at which distance
    starts : charges at random that fits begin with
    force_sites : atoms whose forces charges are fitted to at most; the local part takes all
    """

    learner: OnePass
    seen: Representation | None = None
    starts: int = 4
    force_sites: int = 2000

    def fit(
        self,
        configurations: Sequence[Configuration],
        *,
        validation: Sequence[Configuration] = (),
        weights: Weights = Weights(),  # noqa: B008
        seed: int = 0,
        progress: Callable[[str, float], None] | None = None,
    ) -> FittedTerm:
        """A `LearnedPotential` of the `LatentChargeTerm` and the learner's term for what that leaves.

        Raises
        ------
        ValueError
            If no frame has a label that is not zero, or a frame repeats in one or two directions only.
        """
        if not any(_tells(frame) for frame in configurations):
            raise ValueError("no frame has a label that is not zero; there is nothing to learn")
        configurations = [_said(frame) for frame in configurations]
        labeled = [frame for frame in configurations if frame.energy is not None or frame.forces is not None]
        few = forces_of_some(labeled, self.force_sites, seed)
        start = self.start(configurations, seed)
        term_of = partial(_with, start)
        learner = self.learner
        if learner.forgiving is None:
            learner = replace(learner, forgiving=Forgiving())
        expected = _expected(start, labeled)
        random = np.random.default_rng(seed)
        starts = [expected.drawn(random) for _ in range(self.starts)]
        whole = partial(_whole, start, labeled, expected)
        end = fit_beside(learner, term_of, expected, starts, few, weights, seed, progress, whole)
        term = jax.tree.map(np.asarray, term_of(end.parameters))
        rest = learner.fit(
            without(term, configurations),
            validation=validation,
            weights=weights,
            seed=seed,
            progress=progress,
        )
        potential = LearnedPotential(dict.fromkeys(term.elements, 0.0), (term, rest.term))
        told = ", ".join(f"{z}: {q:.2f}" for z, q in zip(term.elements, term.constants))
        note = f"Latent charges of elements in mean surroundings: {told} e."
        info = FitInfo(rest.info.chosen, rest.info.held_out, converged=end.converged, notes=(note,))
        return FittedTerm(potential, info)

    def start(self, configurations: Sequence[Configuration], seed: int = 0) -> LatentChargeTerm:
        """The term of no charges, its features scaled."""
        representation = over_elements(_seen() if self.seen is None else self.seen, configurations)
        numbers = np.concatenate([frame.numbers for frame in configurations])
        features = np.concatenate(representation.features(configurations))
        of_each = [features[numbers == z] for z in representation.elements]
        count, width = len(of_each), features.shape[1]
        means = np.stack([rows.mean(0) if len(rows) else np.zeros(width) for rows in of_each])
        sizes = np.stack([np.sqrt((rows**2).mean(0)) if len(rows) else np.zeros(width) for rows in of_each])
        nothing = np.zeros((count, width))
        return LatentChargeTerm(
            representation, np.zeros(count), nothing, means, np.where(sizes > 1e-9, sizes, 1.0), np.zeros(count),
            min(addend.part(configurations, seed).representation.cutoff for addend in self.learner.addends),
        )  # fmt: skip


def _said(frame):
    """The frame; neutral, where it says nothing of its charge."""
    return replace(frame, info={"charge": 0.0, **frame.info})


def _tells(frame):
    """Whether a label is not zero."""
    return any(
        label is not None and np.any(np.asarray(label) != 0)
        for label in (frame.energy, frame.forces, frame.stress)
    )


def _with(start: LatentChargeTerm, parameters: Float[Array, " parameters"]) -> LatentChargeTerm:
    """``start`` with constants, slopes and polarizabilities, one after the other."""
    count, width = start.slopes.shape
    constants, slopes, volumes = jnp.split(parameters, [count, count * (1 + width)])
    return replace(
        start,
        constants=constants,
        slopes=slopes.reshape(count, width),
        polarizabilities=USUAL_POLARIZABILITY * volumes,
    )


def _expected(start: LatentChargeTerm, configurations: Sequence[Configuration]) -> Expected:
    """Charges of usual sizes, which add up to those of the frames; polarizabilities that are not negative."""
    count, width = start.slopes.shape
    sums = _sums(start, configurations)
    charges = np.array([float(frame.info.get("charge", 0.0)) for frame in configurations])
    spread = np.repeat([USUAL_CHARGE, USUAL_CHANGE, 1.0], [count, count * width, count])
    return Expected(
        np.zeros(len(spread)),
        spread,
        np.repeat([-np.inf, 0.0], [count * (1 + width), count]),
        np.pad(sums, ((0, 0), (0, count))) / CONSERVED,
        charges / CONSERVED,
    )


def _whole(
    start: LatentChargeTerm,
    configurations: Sequence[Configuration],
    expected: Expected,
    parameters: np.ndarray,
) -> Expected:
    """The same, and that molecules in the open, out of sight of all others, have charges of whole numbers.

    Energies decide which; what is not near one at ``parameters`` is left as it is.
    """
    open_ones = [frame for frame in configurations if not any(frame.periodic)]
    rows = [
        (scaled[molecules == k]).sum(0)
        for frame, scaled in zip(open_ones, _scaled(start, open_ones))
        if (molecules := _molecules(frame, start.representation.cutoff)).max() > 0
        for k in range(molecules.max() + 1)
    ]
    if not rows:
        return expected
    table = np.pad(np.array(rows), ((0, 0), (0, len(start.elements))))
    charges = table @ parameters
    near = np.abs(charges - np.round(charges)) < WHOLE
    return replace(
        expected,
        rows=np.concatenate([expected.rows, table[near] / CONSERVED]),
        values=np.concatenate([expected.values, np.round(charges[near]) / CONSERVED]),
    )


def _molecules(frame, sight):
    """For each atom the number of its molecule: atoms that see each other, one after the other."""
    apart = np.linalg.norm(frame.positions[:, None] - frame.positions[None], axis=2)
    return connected_components(apart < sight, directed=False)[1]


def _sums(start, configurations):
    """Derivatives of the charge of each frame in constants and slopes."""
    return np.array([scaled.sum(0) for scaled in _scaled(start, configurations)])


def _scaled(start, configurations):
    """Derivatives of the charge of each atom of each frame in constants and slopes."""
    for frame, features in zip(configurations, start.representation.features(configurations)):
        mine = frame.numbers[:, None] == np.array(start.elements)
        scaled = mine[:, :, None] * (features[:, None] - start.means) / start.scales
        yield np.concatenate([mine, scaled.reshape(len(frame), -1)], 1)
