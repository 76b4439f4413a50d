"""Gradient-domain learning with sums over sites: every training frame's forces in a kernel of environments.

The energy of a site is a Gaussian process of its features and the process is conditioned on forces, as one of inverse
distances is (`gradient_domain`): the same solvers, noise and choice by leaving out, with another covariance
(`site_covariance`). A model then is a sum of kernels and of their derivatives at all sites of all training frames,
where a sparse kernel has some hundred chosen ones. Frames may be of different molecules, or have cells, and like atoms
need no permutations.

Source: [christensen2020], there with FCHL19; conditioning on derivatives [rasmussen2006].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from thalweg.learned_potentials.frames.reference_energies import fitted_references
from thalweg.learned_potentials.gradient_domain.gradient_domain import best_settings, frames_that_choose
from thalweg.learned_potentials.gradient_domain.hessian_kernel import Covariance, Gaussian
from thalweg.learned_potentials.gradient_domain.kernel_solvers import (
    ClosedForm,
    ProjectedProcess,
    Solver,
    affordable,
)
from thalweg.learned_potentials.gradient_domain.site_covariance import SitePrior
from thalweg.learned_potentials.gradient_domain.site_observations import SiteObservations, shape_directions
from thalweg.learned_potentials.gradient_domain.site_term import KernelSites, SiteGradientDomainTerm
from thalweg.learned_potentials.linear.learner import over_elements
from thalweg.learned_potentials.parametric.valence_pairs import ValencePairs
from thalweg.learned_potentials.recipe import remainder
from thalweg.learned_potentials.terms.learner import FittedTerm
from thalweg.learned_potentials.terms.term import Weights
from thalweg.representations.environments import element_kinds
from thalweg.representations.molecules.molecular_symmetry import molecular_symmetry, same_atoms
from thalweg.representations.principal_features import PrincipalFeatures
from thalweg.representations.representation import Representation
from thalweg.systems.configuration import Configuration


@dataclass(frozen=True)
class SiteGradientDomain:
    """Learns forces with a kernel of environments, expanded in its derivatives at all training frames.

    Parameters
    ----------
    representation : what sites are described by, of their own neighbors only
    covariance : of a site's energy: `Gaussian`, `Matern52`, `Matern72`
    widths : candidates for the width of the kernel, in units of the typical distance of features
    noises : candidates for the variance added to each force component, relative to its prior variance
    solver : `ClosedForm`, or `ProjectedProcess` where the covariance matrix does not fit
    choosing : at most about this many force components are used to choose
    remembered : about how many force components are kept to answer for uncertainties, which are exact where these are
        those of all frames
    mean : settings of an energy of one molecule to fall back to far from all frames; None for that of its atoms, as for
        frames of unlike atoms
    lost : part of how features differ that may be left out, see `PrincipalFeatures`

    Examples
    --------
    >>> from thalweg.representations.fchl import FCHL19
    >>> frames = [Configuration(np.array([8, 1, 1]), np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1 + d, 0]]), energy=d,
    ...     forces=np.array([[0, 1.0, 0], [0, 0, 0], [0, -1.0, 0]])) for d in (0.0, 0.01, 0.02)]
    >>> SiteGradientDomain(FCHL19(radial=4, angular=4)).fit(frames).term.evaluate(frames).energies.shape
    (3,)
    """

    representation: Representation
    covariance: Covariance = Gaussian()  # noqa: RUF009
    widths: tuple[float, ...] = (2.0, 4.0, 8.0)
    noises: tuple[float, ...] = (1e-7, 1e-8, 1e-9)
    solver: Solver = ClosedForm()  # noqa: RUF009
    choosing: int = 800
    remembered: int = 9000
    mean: ValencePairs | None = None
    lost: float = 1e-7

    def __post_init__(self):
        if not isinstance(self.solver, ClosedForm | ProjectedProcess):
            raise ValueError(
                f"{type(self.solver).__name__} multiplies with covariances of inverse distances, without forming them; "
                "for sites use ClosedForm(), or ProjectedProcess() of few frames"
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
        """A `SiteGradientDomainTerm` for the elements in ``configurations``, of which frames with forces are used.

        Energies are fitted where all these have them; else they set energies of atoms only. ``validation`` and
        ``weights`` are not used: noise decides what labels are worth.

        ==================  =============================================================
        ``K``               covariance of ``observed`` under ``prior``
        ``y``               ``values``, (labels,): forces along directions, then energies
        ``a``               ``solution``, (labels,)
        ``y^T a / labels``  the scale of ``K`` that makes the labels most likely
        ==================  =============================================================

        Raises
        ------
        ValueError
            If no frame has forces, the representation passes messages, or there is a ``mean`` of different atoms.
        MemoryError
            If the covariance matrix would not fit; says how large it would be.
        """
        report = progress or (lambda message, fraction: None)
        frames = [frame for frame in configurations if frame.forces is not None]
        if not frames:
            raise ValueError(
                "none of the frames has forces; gradient-domain learning learns from forces only"
            )
        # the kernel learns what a mean energy, or else energies of atoms, leave
        mean = None
        if self.mean is not None:
            same_atoms(configurations)
            mean = self.mean.fit(frames, molecular_symmetry(frames))
            configurations = remainder(configurations, mean.evaluate(configurations))
            frames = [frame for frame in configurations if frame.forces is not None]
        representation = over_elements(self.representation, configurations)
        offsets = _energies_of_atoms(configurations, representation.elements)
        directions = shape_directions(frames)
        sizes = np.array([along.shape[1] for along in directions])
        described = PrincipalFeatures.fit(representation, frames, self.lost)
        # pulls of all frames, (directions, sites, combinations) each, stay in memory beside the matrix
        combinations = max(vectors.shape[1] for vectors in described.vectors)
        pulls_bytes = 8.0 * combinations * float(sizes @ np.array(list(map(len, frames))))
        solver, notes = affordable(self.solver, len(frames), int(np.ceil(sizes.mean())), pulls_bytes)
        energies = None
        if all(frame.energy is not None for frame in frames):
            energies = np.array([frame.energy for frame in frames]) - _sums(frames, representation, offsets)
        observed = SiteObservations.of(described, frames, directions, energies is not None)
        values = observed.labels([frame.forces for frame in frames], energies)
        counts = ", ".join(str(vectors.shape[1]) for vectors in described.vectors)
        report(f"{counts} combinations of features", 0.05)
        chosen = frames_that_choose(len(frames), float(sizes.mean()), self.choosing, seed)
        width, noise = best_settings(
            (self.widths, self.noises),
            lambda width: SitePrior(self.covariance, width),
            observed[chosen],
            values[observed.rows(chosen)],
            report,
        )
        report(f"width {width:g}, noise {noise:g}", 0.2)
        prior = SitePrior(self.covariance, width)
        # a = (K + noise)^-1 y
        solved = solver.solve(prior, observed, values, noise, report)
        solution = solved.coefficients
        sites = _with_offsets(
            KernelSites.of(described, prior, observed, solution, offsets),
            configurations,
            representation.elements,
        )
        landmarks = np.linspace(0, len(frames) - 1, max(2, int(self.remembered // sizes.mean()))).astype(int)
        term = SiteGradientDomainTerm(
            sites,
            described,
            prior,
            tuple(replace(frames[k], stress=None, info={}) for k in np.unique(landmarks)),
            max(float(values @ solution) / len(values), 1e-300),
            noise,
            observed.energies,
            mean,
        )
        return FittedTerm(term, solved.info({"width": width, "noise": noise}, notes))


def _energies_of_atoms(configurations, elements) -> np.ndarray:
    """What an atom of each element contributes to the energies on average."""
    references = fitted_references(configurations)
    return np.array([references.get(z, 0.0) for z in elements])


def _with_offsets(sites, configurations, elements):
    """``sites`` with energies of atoms that make good what they leave of the energies that there are."""
    labeled = [frame for frame in configurations if frame.energy is not None]
    if not labeled:
        return sites
    left = _energies_of_atoms(remainder(labeled, sites.evaluate(labeled)), elements)
    return replace(sites, offsets=sites.offsets + left)


def _sums(frames, representation, offsets) -> np.ndarray:
    return np.array(
        [offsets[element_kinds(frame.numbers, representation.elements)].sum() for frame in frames]
    )
