"""Gradient-domain learning: a Gaussian process of a molecule's energy conditioned on its forces.

With ``K`` the covariance of all training labels (`hessian_kernel`) and ``F`` their values, the coefficients
``a = (K + noise)^-1 F`` give forces ``F(x) = K(x, training) a`` that are minus the gradient of

    E(x) = constant + sum_{frames, permutations, c} 2 k'(|d|_c^2) <d, z>_c,   d = x - x_frame,   z = J_frame a_frame,

which costs as much per point as a distance; where all frames have energies these are fitted too and add
``height k``. The constant is the mean of what training energies leave. The process has a mean energy, fitted to the
same frames first (`ValencePairs`): the kernel learns what it leaves, and far from all frames it is what remains. On the
way there a kernel says anything, and so it is held in bounds (`KernelBound`).

Settings are chosen among candidates, one after the other, by the error that leaving out one frame at a time would give,
known in closed form, on some of the training frames; nothing else is looked at.

Source: [chmiela2017]; symmetric form and contraction [chmiela2018]; leaving out one at a time [rasmussen2006].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve, lapack

from thalweg.learned_potentials.gradient_domain.hessian_kernel import (
    Covariance,
    Gaussian,
    Prior,
    noise_variances,
)
from thalweg.learned_potentials.gradient_domain.kernel_solvers import (
    ClosedForm,
    ConjugateGradients,
    ProjectedProcess,
    affordable,
)
from thalweg.learned_potentials.gradient_domain.mean_energy import KernelBound
from thalweg.learned_potentials.gradient_domain.observations import LabelCovariance, Observed, ObservedLabels
from thalweg.learned_potentials.gradient_domain.term import GradientDomainTerm
from thalweg.learned_potentials.parametric.valence_pairs import ValencePairs
from thalweg.learned_potentials.recipe import remainder
from thalweg.learned_potentials.terms.learner import FittedTerm
from thalweg.learned_potentials.terms.term import Weights
from thalweg.representations.molecules.molecular_symmetry import molecular_symmetry, same_atoms
from thalweg.shapes import Float, Int
from thalweg.systems.configuration import Configuration
from thalweg.units import Nanometers

PASSES = 2
"""How often each setting is chosen at most."""

UNIT = 0.1
"""Inverse distances that are not relative to mean ones are multiplied by this [nm]."""


@dataclass(frozen=True)
class GradientDomain:
    """Learns the forces of one molecule with a kernel on inverse distances.

    Parameters
    ----------
    covariances : candidates for that of energies: `Gaussian`, `Matern52`, `Matern72`
    reaches : candidates for the length over which an atom's energy sees its surroundings [nm]: the covariance has one
        component per atom ``c``, in which the pair ``ij`` weighs ``exp(-(mean r_ci + mean r_cj) / reach)``; infinity is
        one component that weighs all pairs alike
    relatives : candidates for the power of a pair's mean distance that multiplies its inverse distance: 0 is
        ``0.1 nm / r``, which pays most attention to bonds; 1 is ``mean(r) / r``, which treats all pairs alike
    widths : candidates for the width of the kernel, in units of the descriptor
    noises : candidates for the variance added to each force component, relative to its prior variance
    solver : `ClosedForm`, `ProjectedProcess` or `ConjugateGradients`; where the covariance matrix of the first does not
        fit into memory, the second is taken with as many frames as do
    permutations : of like atoms, a group; from the bond graph if None
    choosing : at most about this many force components are used to choose
    remembered : about how many force components are kept to answer for uncertainties, which are exact where these are
        those of all frames
    mean : settings of an energy to fall back to far from all frames; None for a constant, as above a good baseline
    share : of what the mean has risen by that the kernel may take back, or add, far from all frames; None for any

    Examples
    --------
    >>> frames = [Configuration(np.array([8, 1, 1]), np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1 + d, 0]]), energy=d,
    ...     forces=np.array([[0, 1.0, 0], [0, 0, 0], [0, -1.0, 0]])) for d in (0.0, 0.01, 0.02)]
    >>> term = GradientDomain().fit(frames).term
    >>> len(term.prior.group), term.evaluate(frames).energies.shape
    (2, (3,))
    """

    covariances: tuple[Covariance, ...] = (Gaussian(),)
    reaches: tuple[Nanometers, ...] = (0.1, 0.2)
    relatives: tuple[float, ...] = (0.5, 1.0)
    widths: tuple[float, ...] = (0.5, 1.0)
    noises: tuple[float, ...] = (1e-5, 1e-6)
    solver: ClosedForm | ProjectedProcess | ConjugateGradients = ClosedForm()  # noqa: RUF009
    permutations: np.ndarray | None = None
    choosing: int = 800
    remembered: int = 9000
    mean: ValencePairs | None = ValencePairs()  # noqa: RUF009
    share: float | None = 0.5

    def fit(
        self,
        configurations: Sequence[Configuration],
        *,
        validation: Sequence[Configuration] = (),
        weights: Weights = Weights(),  # noqa: B008
        seed: int = 0,
        progress: Callable[[str, float], None] | None = None,
    ) -> FittedTerm:
        """A `GradientDomainTerm` for the molecule in ``configurations``, of which those with forces are used.

        Energies are fitted where all these frames have them and the solver can; else they set the constant.
        ``validation`` and ``weights`` are not used: noise decides what labels are worth.

        ==================  ===========================================================================
        ``K``               covariance of ``observed`` under ``prior``
        ``F``               ``values``, (labels,): forces along directions, then energies
        ``a``               ``solution``, (labels,); its forces are ``coefficients`` (frames, atoms, 3)
        ``F^T a / labels``  ``variance``, the scale of ``K`` that makes the labels most likely
        ==================  ===========================================================================

        Raises
        ------
        ValueError
            If frames are of different atoms, or forces are missing.
        MemoryError
            If not even the covariances of a few frames would fit; says how large they would be.
        """
        report = progress or (lambda message, fraction: None)
        numbers = same_atoms(configurations)
        frames = [frame for frame in configurations if frame.forces is not None]
        if not frames:
            raise ValueError(
                "none of the frames has forces; gradient-domain learning learns from forces only"
            )
        if len(numbers) < 2:
            raise ValueError("a molecule of one atom has no distances; there is nothing to learn")
        group = self.permutations if self.permutations is not None else molecular_symmetry(frames)
        mean = None if self.mean is None else self.mean.fit(frames, group)
        # the kernel learns what the mean energy leaves
        frames = frames if mean is None else remainder(frames, mean.evaluate(frames))
        positions = np.array([frame.positions for frame in frames], float)
        forces = np.array([frame.forces for frame in frames], float)
        report(f"{len(group)} permutations of like atoms", 0.0)
        energies = _centered_energies(frames)
        observed = ObservedLabels.internal(positions, energies is not None)
        solver, notes = affordable(self.solver, len(frames), observed.size)
        values, distances = observed.labels(forces, energies), mean_distances(positions, group)
        chosen = self._choice(observed, values, distances, group, seed, report)
        covariance, reach, relative, width, noise = chosen
        kind = type(covariance).__name__
        report(f"{kind}, reach {reach:g} nm, relative {relative:g}, width {width:g}, noise {noise:g}", 0.2)
        prior = self._prior(distances, group, *chosen[:-1])
        # a = (K + noise)^-1 F
        solved = solver.solve(prior, observed, values, noise, report)
        solution = solved.coefficients
        coefficients, heights = observed.forces(solution), observed.heights(solution)
        # a projected process has coefficients at its landmarks only
        used = np.flatnonzero(np.abs(coefficients).max((1, 2)) > 0)
        variance = float(values @ solution) / len(values)
        term = GradientDomainTerm.of(
            numbers,
            prior,
            positions[used],
            coefficients[used],
            heights[used],
            variance,
            noise,
            self.remembered,
            mean,
        )
        settings = {"covariance": kind, "reach": reach, "relative": relative, "width": width, "noise": noise}
        term = _in_bounds(_with_constant(term, configurations), frames, self.share)
        return FittedTerm(term, solved.info(settings, notes))

    def _prior(self, distances, group, covariance, reach, relative, width):
        return Prior(
            covariance, relative_scale(distances, relative) / width, nearness(distances, reach), group
        )

    def _choice(self, observed, labels, distances, group, seed, report):
        frames, atoms, _ = observed.positions.shape
        chosen = frames_that_choose(frames, 3 * atoms, self.choosing, seed)
        return best_settings(
            (self.covariances, self.reaches, self.relatives, self.widths, self.noises),
            lambda *settings: self._prior(distances, group, *settings),
            observed[chosen],
            labels[observed.rows(chosen)],
            report,
        )


def _centered_energies(frames):
    """Energies (frames,) less their mean, which the constant makes good; None unless all ``frames`` have one."""
    energies = [frame.energy for frame in frames]
    return None if any(e is None for e in energies) else np.array(energies, float) - np.mean(energies)


def _with_constant(term, configurations):
    """``term`` with the mean of what it leaves of the energies that there are."""
    labeled = [frame for frame in configurations if frame.energy is not None]
    if not labeled:
        return term
    left = np.array([frame.energy for frame in labeled]) - term.evaluate(labeled).energies
    return replace(term, constant=float(left.mean()))


def _in_bounds(term, frames, share):
    """``term``, which takes back a ``share`` of what its mean has risen by at most, and leaves training ``frames``."""
    if share is None:
        return term
    learned = term.learned(frames).energies
    mean = np.zeros(len(frames)) if term.mean is None else term.mean.evaluate(frames).energies
    return replace(term, bound=KernelBound.of(share, learned, mean))


def frames_that_choose(frames: int, size: float | int, choosing: int, seed: int) -> np.ndarray:
    """Numbers of about as many frames as have ``choosing`` labels, of ``size`` each; four at least."""
    count = min(frames, max(4, int(choosing // size)))
    return np.random.default_rng(seed).permutation(frames)[:count]


def best_settings(
    candidates: Sequence[Sequence[Any]],
    prior: Callable[..., LabelCovariance],
    observed: Observed,
    labels: np.ndarray,
    report: Callable[[str, float], None],
) -> tuple[Any, ...]:
    """Settings with the least product of mean force and energy error of frames left out.

    Each is chosen with the others at the best so far, or their middle, and once more while that changes anything,
    `PASSES` times in all.

    Parameters
    ----------
    candidates : for each setting, of which the last is the noise
    prior : called with all settings but the noise
    observed, labels : of the frames that choose
    """
    best = [values[len(values) // 2] for values in candidates]
    errors, matrices = {}, {}  # of one matrix at a time: noise is the last to change

    def error(settings):
        if settings not in errors:
            if settings[:-1] not in matrices:
                matrices.clear()
                matrices[settings[:-1]] = prior(*settings[:-1]).joint_covariance(observed, observed)
            left_out = leave_one_out_errors(matrices[settings[:-1]], observed, labels, settings[-1])
            sizes = [np.abs(np.concatenate([np.ravel(each) for each in kind])).mean() for kind in left_out]
            errors[settings] = float(np.prod(sizes))
            report(f"{settings}: {errors[settings]:.4g}", 0.2 * min(1, len(errors) / 10))
        return errors[settings]

    for _ in range(PASSES):
        before = tuple(best)
        for k, values in enumerate(candidates):
            if len(values) > 1:
                best[k] = min(values, key=lambda value: error((*best[:k], value, *best[k + 1 :])))
        if tuple(best) == before:
            break
    return tuple(best)


def mean_distances(
    positions: Float[np.ndarray, "frames atoms 3"], group: Int[np.ndarray, "order atoms"]
) -> Float[np.ndarray, "atoms atoms"]:
    """Mean distances of all pairs over frames at ``positions`` [nm] and permutations of ``group`` [nm]."""
    distances = np.linalg.norm(positions[:, :, None] - positions[:, None], axis=-1).mean(0)
    return np.mean([distances[np.ix_(permutation, permutation)] for permutation in group], 0)


def relative_scale(
    distances: Float[np.ndarray, "atoms atoms"], power: float
) -> Float[np.ndarray, "atoms atoms"]:
    """``unit (mean r_ij / unit)^power`` [nm] of mean ``distances`` [nm], zero on the diagonal."""
    atoms = len(distances)
    return UNIT * ((distances + np.eye(atoms)) / UNIT) ** power * (1 - np.eye(atoms))


def nearness(
    distances: Float[np.ndarray, "atoms atoms"], reach: float
) -> Float[np.ndarray, "components atoms atoms"]:
    """Weights of pairs ``ij`` in the component of atom ``c``; a single one, of ones, if ``reach`` [nm] is infinite."""
    atoms = len(distances)
    if np.isinf(reach):
        return np.ones((1, atoms, atoms)) - np.eye(atoms)
    return np.exp(-(distances[:, :, None] + distances[:, None]) / reach) * (1 - np.eye(atoms))


def leave_one_out_errors(
    matrix: Float[np.ndarray, "labels labels"],
    observed: Observed,
    labels: Float[np.ndarray, " labels"],
    noise: float,
) -> tuple[Sequence[np.ndarray] | np.ndarray, ...]:
    """Errors of the forces and energies of each frame when fitted to all others, ``(K^-1)_ff^-1 (K^-1 y)_f``.

    ``matrix`` is a joint covariance of what was ``observed``, of which the lower triangle counts; infinite errors where
    it is not positive definite with ``noise``. Closed form: [rasmussen2006].

    Returns
    -------
    (atoms, 3) of each frame, and (frames,) where energies were observed.
    """
    noisy = matrix.copy()
    noisy[np.diag_indices(len(noisy))] += noise_variances(matrix, observed, noise)
    try:
        factor, _ = cho_factor(noisy, lower=True, overwrite_a=True, check_finite=False)
    except np.linalg.LinAlgError:
        errors = np.full(len(labels), np.inf)
    else:
        coefficients = cho_solve((factor, True), labels, check_finite=False)
        inverse = lapack.dpotri(factor, lower=1)[0]  # its lower triangle
        errors = np.empty(len(labels))
        for k in range(len(observed)):
            own = observed.rows(np.array([k]))
            block = np.tril(inverse[np.ix_(own, own)])
            errors[own] = np.linalg.solve(block + np.tril(block, -1).T, coefficients[own])
    return (observed.forces(errors), *([observed.heights(errors)] if observed.energies else []))
