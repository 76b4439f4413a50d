"""Recipes for molecules: gradient-domain kernels as published, a local one that errs less, and polynomials.

A model of one molecule is of these atoms in this order; its energy knows nothing of other molecules. `fchl19` alone is
of environments, which all molecules of its elements have. A quantum
baseline is composed by the caller: ``local_gradient_domain(baseline=(TightBinding(),))``. Without one, kernels fall
back to bonds, angles and repulsion fitted to the same frames (`ValencePairs`), which keeps the molecule whole where it
has not been yet, and lowers errors. Core repulsion is off unless given: a few dozen frames of one molecule do not have
the shortest distances that the next frames will have, and it would disturb those.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thalweg.learned_potentials.gradient_domain.gradient_domain import GradientDomain
from thalweg.learned_potentials.gradient_domain.hessian_kernel import Gaussian, Matern52, Matern72
from thalweg.learned_potentials.gradient_domain.kernel_solvers import ClosedForm, ProjectedProcess, Solver
from thalweg.learned_potentials.gradient_domain.site_gradient_domain import SiteGradientDomain
from thalweg.learned_potentials.linear.polynomials import PolynomialFit
from thalweg.learned_potentials.parametric.core_repulsion import CoreRepulsion
from thalweg.learned_potentials.parametric.valence_pairs import ValencePairs
from thalweg.learned_potentials.recipe import Recipe
from thalweg.learned_potentials.terms.term import Term
from thalweg.representations.fchl import FCHL19
from thalweg.units import InCode, Nanometers


def sgdml(
    widths: Sequence[float] = (5.0, 10.0, 20.0),
    noises: Sequence[float] = (1e-10,),
    solver: Solver = ClosedForm(),  # noqa: B008
    permutations: np.ndarray | None = None,
    baseline: InCode[Sequence[Term]] = (),
    core_repulsion: InCode[CoreRepulsion | None] = None,
    mean: ValencePairs | None = None,
) -> Recipe:
    """Symmetric gradient-domain learning as published: Matérn 5/2 on all inverse distances alike [chmiela2018].

    Unlike there, permutations come from the bond graph, energies are fitted too, and widths are chosen by leaving out.
    ``mean`` is what to fall back to; there was none.

    Examples
    --------
    >>> sgdml().learner.widths
    (5.0, 10.0, 20.0)
    """
    learner = GradientDomain(
        (Matern52(),),
        (float("inf"),),
        (0.0,),
        tuple(widths),
        tuple(noises),
        solver,
        permutations,
        mean=mean,
        share=None if mean is None else 0.5,
    )
    return Recipe(learner, tuple(baseline), core_repulsion=core_repulsion)


def global_gradient_domain(
    widths: Sequence[float] = (2.0, 4.0, 8.0),
    noises: Sequence[float] = (1e-5, 1e-6, 1e-8),
    solver: Solver = ClosedForm(),  # noqa: B008
    permutations: np.ndarray | None = None,
    baseline: InCode[Sequence[Term]] = (),
    core_repulsion: InCode[CoreRepulsion | None] = None,
    mean: ValencePairs | None = ValencePairs(),  # noqa: B008
) -> Recipe:
    """One Gaussian on all inverse distances relative to their means: as cheap as sGDML in simulations, and better.

    ``mean`` is used where there is no ``baseline``.
    """
    learner = GradientDomain(
        reaches=(float("inf"),),
        relatives=(0.5, 1.0),
        widths=tuple(widths),
        noises=tuple(noises),
        solver=solver,
        permutations=permutations,
        mean=None if baseline else mean,
    )
    return Recipe(learner, tuple(baseline), core_repulsion=core_repulsion)


def local_gradient_domain(
    reaches: Sequence[Nanometers] = (0.1, 0.15),
    relatives: Sequence[float] = (1.0, 1.5, 2.0),
    widths: Sequence[float] = (0.5, 1.0, 2.0, 4.0),
    noises: Sequence[float] = (1e-6, 1e-7, 1e-8, 1e-9),
    solver: Solver = ClosedForm(),  # noqa: B008
    permutations: np.ndarray | None = None,
    baseline: InCode[Sequence[Term]] = (),
    core_repulsion: InCode[CoreRepulsion | None] = None,
    mean: ValencePairs | None = ValencePairs(),  # noqa: B008
    choosing: int = 1200,
    remembered: int = 9000,
) -> Recipe:
    """A kernel around each atom, which sees near pairs best: the most accurate with few frames, and ``atoms`` times the
    work of a global kernel in simulations.

    How smooth the energy is, as of a Gaussian or a Matérn covariance, is chosen as all else is, on about ``choosing``
    force components; with many frames a few thousand choose better. ``mean`` is used where there is no ``baseline``.
    About ``remembered`` force components answer for uncertainties: where these are a small part of all, deviations far
    from the training frames come out too small beside those near them; all (``10**6``) cost the work and memory of the
    fit once more, when the first deviation is asked for.
    """
    learner = GradientDomain(
        (Gaussian(), Matern72(), Matern52()),
        reaches=tuple(reaches),
        relatives=tuple(relatives),
        widths=tuple(widths),
        noises=tuple(noises),
        solver=solver,
        permutations=permutations,
        mean=None if baseline else mean,
        choosing=choosing,
        remembered=remembered,
    )
    return Recipe(learner, tuple(baseline), core_repulsion=core_repulsion)


def fchl19(
    cutoff: Nanometers = 0.8,
    widths: Sequence[float] = (2.0, 4.0, 6.0),
    noises: Sequence[float] = (1e-8, 1e-9, 1e-10),
    solver: ClosedForm | ProjectedProcess = ClosedForm(),  # noqa: B008
    baseline: InCode[Sequence[Term]] = (),
    core_repulsion: InCode[CoreRepulsion | None] = None,
    mean: ValencePairs | None = None,
    choosing: int = 2700,
    remembered: int = 9000,
) -> Recipe:
    """FCHL19 environments in a Gaussian kernel and its derivatives at all training frames [christensen2020].

    Unlike there, neighbors vanish smoothly at the cutoff, features are combined into the fifty to hundred that matter,
    and width and noise are chosen by leaving frames out, on about ``choosing`` force components. About ``remembered``
    answer for uncertainties. ``mean`` is what one molecule falls back to; there was none.

    Examples
    --------
    >>> fchl19().learner.representation.cutoff
    0.8
    """
    learner = SiteGradientDomain(
        FCHL19(cutoff=cutoff),
        widths=tuple(widths),
        noises=tuple(noises),
        solver=solver,
        choosing=choosing,
        remembered=remembered,
        mean=mean,
    )
    return Recipe(learner, tuple(baseline), core_repulsion=core_repulsion)


def pip(
    degree: int = 3,
    lengths: Sequence[Nanometers] = (0.1, 0.2),
    size: int | None = 4000,
    permutations: np.ndarray | None = None,
    baseline: InCode[Sequence[Term]] = (),
    core_repulsion: InCode[CoreRepulsion | None] = None,
) -> Recipe:
    """Permutationally invariant polynomials in Morse variables, energies and forces by least squares [braams2009]."""
    return Recipe(
        PolynomialFit(degree, tuple(lengths), size=size, permutations=permutations),
        tuple(baseline),
        core_repulsion=core_repulsion,
    )
