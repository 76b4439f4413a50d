"""Gaussian process on fingerprints and descriptors [rasmussen2006], one for each task.

The covariance of two molecules is a sum of kernels with amplitudes ``v_f``, one MinMax kernel for each fingerprint and
one of scaled descriptors ``x`` (D of them) with length ``l``,

    k(i, j) = sum_f v_f minmax_f(i, j) + v_d exp(-|x_i - x_j|^2 / (2 l^2 D)) + n [i = j].

Amplitudes, length and noise ``n`` are those of largest evidence on a random part of the training set: what is of no use
gets no weight. Labels are centered and scaled. Every molecule is predicted from all others in closed form
[sundararajan2001],

    mean_i = y_i - (C^-1 y)_i / (C^-1)_ii,    variance_i = 1 / (C^-1)_ii.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

from thalweg.binding.ligands.evidence import lower_inverse, minus_log_evidence
from thalweg.binding.ligands.features import (
    LigandFeatures,
    LigandPrediction,
    in_table,
    known_labels,
    label_table,
)
from thalweg.binding.ligands.kernels import DescriptorScale, mean_squared_distances, minmax_kernel
from thalweg.learning.models import Method, Model
from thalweg.shapes import Float, Int

LEAST, MOST = np.log(1e-4), np.log(1e3)
"""Bounds of logarithms of amplitudes, length and noise."""

LARGE, NOISY = 3000, 0.02
"""More molecules than this, of at least so much noise (in variances of labels), are solved in single precision."""


@dataclass(frozen=True)
class LigandProcess(Method):
    """Settings of the process.

    Parameters
    ----------
    evidence : molecules, drawn at random, whose evidence chooses amplitudes, length and noise
    iterations : steps uphill in evidence at most
    seed : of the draw

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> counts = generator.integers(0, 3, (60, 8)).astype(np.uint8)
    >>> molecules = LigandFeatures({"counts": counts}, counts[:, :2].astype(float))
    >>> model = LigandProcess().fit(molecules, counts[:, 0] - 0.5 * counts[:, 1])
    >>> bool(np.std(model.left_out[:, 0] - counts[:, 0] + 0.5 * counts[:, 1]) < 0.3)
    True
    """

    evidence: int = 700
    iterations: int = 40
    seed: int = 0

    def fit(
        self, ligands: LigandFeatures, labels: Float[np.ndarray, " molecules *tasks"]
    ) -> LigandProcessModel:
        """The processes of all tasks.

        Raises
        ------
        ValueError
            If labels do not fit the molecules, see `label_table`.
        """
        labels = label_table(labels, len(ligands))
        scale = DescriptorScale.of(ligands.descriptors)
        x = scale(ligands.descriptors)
        kernels = [minmax_kernel(each, each) for each in ligands.counts.values()]
        squares = mean_squared_distances(x, x)
        tasks, left_out = [], []
        for task, (known, values) in enumerate(known_labels(labels)):
            places = np.random.default_rng([self.seed, task]).permutation(len(known))[: self.evidence]
            mean, spread = float(values.mean()), float(values.std()) or 1.0
            y = (values - mean) / spread
            drawn, own = (np.ix_(each, each) for each in (known[places], known))
            hyper = self._most_evident([k[drawn] for k in kernels], squares[drawn], y[places])
            # single precision is enough where noise is far above its rounding
            single = len(known) > LARGE and hyper[-1] > np.log(NOISY)
            kind = np.float32 if single else np.float64
            covariance = _covariance([k[own] for k in kernels], squares[own], hyper).astype(kind)
            covariance[np.diag_indices_from(covariance)] += np.exp(hyper[-1])
            factor = cholesky(covariance, lower=True, overwrite_a=True, check_finite=False)
            alpha = cho_solve((factor, True), y.astype(kind), check_finite=False).astype(float)
            inverse = np.diag(lower_inverse(factor)).astype(float)
            left_out.append((known, mean + spread * (y - alpha / inverse)))
            deviations = spread / np.sqrt(inverse)
            tasks.append(
                TaskProcess(known, alpha, factor.astype(np.float32), hyper, mean, spread, deviations)
            )
        return LigandProcessModel(ligands, scale, tuple(tasks), in_table(left_out, len(ligands)))

    def _most_evident(self, kernels, squares, y):
        """Logarithms of amplitudes, the length and the noise."""
        start = np.log([*[0.5 / (len(kernels) + 1)] * (len(kernels) + 1), 1.0, 0.2])
        found = minimize(
            lambda hyper: _minus_evidence(hyper, kernels, squares, y),
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=[(LEAST, MOST)] * len(start),
            options={"maxiter": self.iterations},
        )
        return found.x


@dataclass(frozen=True, eq=False)
class TaskProcess:
    """The process of one task.

    Attributes
    ----------
    known : molecules that have a label
    alpha : ``C^-1 y`` of scaled labels
    factor : lower Cholesky factor of ``C``, in single precision
    hyper : logarithms of amplitudes, the length and the noise
    mean, spread : of labels
    deviations : of each label as predicted from all others
    """

    known: Int[np.ndarray, " known"]
    alpha: Float[np.ndarray, " known"]
    factor: Float[np.ndarray, "known known"]
    hyper: Float[np.ndarray, " hyper"]
    mean: float
    spread: float
    deviations: Float[np.ndarray, " known"]


@dataclass(frozen=True, eq=False, repr=False)
class LigandProcessModel(Model):
    """Processes fitted to a training set.

    Attributes
    ----------
    left_out : (molecules, tasks) each training molecule as predicted from all others, NaN without a label
    """

    ligands: LigandFeatures
    scale: DescriptorScale
    tasks: tuple[TaskProcess, ...]
    left_out: Float[np.ndarray, "molecules tasks"]

    @property
    def left_out_deviations(self) -> Float[np.ndarray, "molecules tasks"]:
        """Claimed standard deviations of `left_out`."""
        return in_table([(each.known, each.deviations) for each in self.tasks], len(self.ligands))

    def predict(self, ligands: LigandFeatures) -> LigandPrediction:
        """Labels that other molecules are expected to have, noise included in deviations."""
        kernels = [minmax_kernel(ligands.counts[name], own) for name, own in self.ligands.counts.items()]
        squares = mean_squared_distances(
            self.scale(ligands.descriptors), self.scale(self.ligands.descriptors)
        )
        means, deviations = [], []
        for task in self.tasks:
            cross = _covariance([k[:, task.known] for k in kernels], squares[:, task.known], task.hyper)
            prior = np.exp(task.hyper[:-2]).sum() + np.exp(task.hyper[-1])
            # k** - k* C^-1 k*; the factor is kept in single precision, which is enough for an error bar
            half = solve_triangular(task.factor, cross.T.astype(np.float32), lower=True, check_finite=False)
            variance = np.maximum(prior - (half**2).sum(0), np.exp(task.hyper[-1]))
            means.append(task.mean + task.spread * (cross @ task.alpha))
            deviations.append(task.spread * np.sqrt(variance))
        return LigandPrediction(np.stack(means, 1), np.stack(deviations, 1).astype(float))


def _covariance(kernels, squares, hyper):
    """``sum_f v_f minmax_f + v_d exp(-d^2 / (2 l^2))``; ``hyper`` ends with the length and the noise."""
    found = np.exp(hyper[-3] - squares / (2 * np.exp(2 * hyper[-2])))
    for log_amplitude, kernel in zip(hyper, kernels):
        found += np.exp(log_amplitude) * kernel
    return found


def _minus_evidence(hyper, kernels, squares, y):
    """Negative logarithm of the evidence, up to a constant, and its gradient."""
    radial = np.exp(hyper[-3] - squares / (2 * np.exp(2 * hyper[-2])))
    covariance = _covariance(kernels, squares, hyper)
    covariance[np.diag_indices(len(y))] += np.exp(hyper[-1])
    value, slope = minus_log_evidence(covariance, y)
    gradient = [
        *(np.exp(v) * np.vdot(slope, kernel) for v, kernel in zip(hyper, kernels)),
        np.vdot(slope, radial),
        np.vdot(slope, radial * squares) * np.exp(-2 * hyper[-2]),
        np.exp(hyper[-1]) * np.trace(slope),
    ]
    return value, np.array(gradient, float)
