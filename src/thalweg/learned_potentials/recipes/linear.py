"""Recipes that are linear in their coefficients: an expansion, a kernel, or both together.

Fitted in closed form, in one pass over the labels; regularization is chosen by frames left out. They know how unsure
they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from thalweg.learned_potentials.frames.forgiving import Forgiving
from thalweg.learned_potentials.linear.kernels import DotProduct
from thalweg.learned_potentials.linear.learner import Linear, Together
from thalweg.learned_potentials.linear.regularization import STRENGTHS, Balanced
from thalweg.learned_potentials.linear.sparse_kernel import SparseKernel
from thalweg.learned_potentials.recipe import Recipe
from thalweg.learned_potentials.terms.term import Term, Weights
from thalweg.representations.expansions.ace import ACE
from thalweg.representations.expansions.bispectrum import Bispectrum
from thalweg.representations.expansions.moment_tensors import MomentTensors
from thalweg.representations.expansions.quadratic import Quadratic
from thalweg.representations.expansions.soap import SOAP
from thalweg.representations.radial import Agnesi
from thalweg.units import InCode, Nanometers, unit

FORCES_FIRST = Weights(energy=2 * unit("meV", "energy"), force=30 * unit("meV/Å", "force"))
"""Errors that one is content with where frames are hot and strained: 2 meV and 30 meV/Å."""


def expansion(
    cutoff: Nanometers = 0.5,
    levels: Sequence[int] = (16, 14, 12, 11),
    degrees: Sequence[int] = (0, 8, 6, 4),
    baseline: InCode[Sequence[Term]] = (),
    weights: InCode[Weights] = FORCES_FIRST,
) -> Recipe:
    """Linear atomic cluster expansion up to five bodies [drautz2019]."""
    representation = ACE(cutoff=cutoff, levels=tuple(levels), degrees=tuple(degrees))
    return Recipe(Linear(representation, smoothness=2.0), tuple(baseline), weights=weights)


def gaussian_approximation(
    cutoff: Nanometers = 0.5,
    radial: int = 8,
    degree: int = 6,
    smearing: Nanometers = 0.05,
    points: int = 1000,
    baseline: InCode[Sequence[Term]] = (),
    weights: InCode[Weights] = FORCES_FIRST,
) -> Recipe:
    """Gaussian approximation potential: a sparse kernel on the SOAP power spectrum [bartok2010, bartok2013]."""
    representation = SOAP(cutoff=cutoff, radial=radial, degree=degree, smearing=smearing)
    return Recipe(SparseKernel(representation, points, DotProduct(4)), tuple(baseline), weights=weights)


def expansion_with_kernel(
    neighbors: int = 26,
    levels: Sequence[int] = (12, 18, 14, 10),
    points: int = 400,
    kernel_neighbors: tuple[int, int] = (60, 24),
    force_sites: int | None = 14_000,
    baseline: InCode[Sequence[Term]] = (),
    weights: InCode[Weights] = FORCES_FIRST,
) -> Recipe:
    """An expansion of up to five bodies and kernels on two power spectra, one far and one sharp, fitted as one.

    Cutoffs are where atoms of the training frames have so many neighbors on average, and the weight of energies is
    chosen on frames left out, so that one recipe does for all crystals. Radial functions are finest where neighbors
    are, by `Agnesi`; most functions go to three and four bodies. Frames of large forces are forgiven more.
    Forces of ``force_sites`` atoms at most are used, some minutes' work; None for all. There are ``points`` in each
    kernel.
    """
    far, near = kernel_neighbors
    learners = (
        Linear(ACE(levels=tuple(levels), radial_scale=Agnesi()), smoothness=2.0, neighbors=neighbors),
        SparseKernel(SOAP(), points, DotProduct(4), neighbors=far),
        SparseKernel(SOAP(degree=8, smearing=0.04), points, DotProduct(4), neighbors=near),
    )
    return Recipe(
        Together(learners, Balanced(strengths=STRENGTHS[3:]), forgiving=Forgiving(), force_sites=force_sites),
        tuple(baseline),
        weights=weights,
    )


def moment_tensors(
    cutoff: Nanometers = 0.5,
    level: int = 14,
    step: int = 1,
    baseline: InCode[Sequence[Term]] = (),
    weights: InCode[Weights] = FORCES_FIRST,
) -> Recipe:
    """Moment tensor potential [shapeev2016] with fixed radial functions."""
    return Recipe(
        Linear(MomentTensors(cutoff=cutoff, level=level, step=step)), tuple(baseline), weights=weights
    )


def snap(
    cutoff: Nanometers = 0.5,
    twojmax: int = 6,
    order: int = 1,
    baseline: InCode[Sequence[Term]] = (),
    weights: InCode[Weights] = FORCES_FIRST,
) -> Recipe:
    """Spectral neighbor analysis potential [thompson2015], of first or second ``order`` in the bispectrum.

    Raises
    ------
    ValueError
        If the order is neither one nor two.
    """
    if order not in (1, 2):
        raise ValueError(f"order={order}; the bispectrum enters linearly (1) or with its products (2)")
    bispectrum = Bispectrum(cutoff=cutoff, twojmax=twojmax)
    representation = bispectrum if order == 1 else Quadratic(bispectrum)
    return Recipe(Linear(representation), tuple(baseline), weights=weights)
