"""Affinities of series of ligands by one Gaussian process over all of them [rasmussen2006].

A series is a set of ligands of one target. The covariance of two ligands is a sum of given kernels with amplitudes
``v_k`` and noise ``n``,

    C_ij = sum_k v_k K_k(i, j) + n [i = j],

some zero across series (what a substituent does in this pocket), some not (what is so in every pocket); see
`series_kernels`. One constant
inside each series lets its mean be anything. Amplitudes are those of largest evidence of all labels together: a kernel
of no use gets no weight, and small series borrow from large ones. Known ligands are predicted from all others in
closed form [sundararajan2001], which calibrates intervals (conformal, [angelopoulos2023]).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky
from scipy.optimize import minimize

from thalweg.binding.ligands.evidence import minus_log_evidence
from thalweg.learning.calibration import alarm_threshold
from thalweg.learning.models import Method, Model
from thalweg.shapes import Float, Int

LEAST, MOST = np.log(1e-5), np.log(1e3)
"""Bounds of logarithms of amplitudes and noise, over the variance of labels."""


@dataclass(frozen=True)
class AffinityProcess(Method):
    """Settings of the process.

    Parameters
    ----------
    evidence : ligands, drawn at random, whose evidence chooses amplitudes and noise
    iterations : steps uphill in evidence at most
    seed : of the draw

    Examples
    --------
    >>> x = np.linspace(-1, 1, 20)
    >>> labels = np.where(np.arange(20) == 7, np.nan, 3 * x)
    >>> model = AffinityProcess().fit({"line": np.outer(x, x)}, labels)
    >>> abs(model.means[7] - 3 * x[7]) < 0.05
    np.True_
    """

    evidence: int = 1000
    iterations: int = 40
    seed: int = 0

    def fit(
        self,
        kernels: Mapping[str, Float[np.ndarray, "ligands ligands"]],
        labels: Float[np.ndarray, " ligands"],
    ) -> AffinityProcessModel:
        """The process given labels where they are known; it says the others.

        Parameters
        ----------
        kernels : by name, each positive semidefinite, about one on its diagonal
        labels : NaN for ligands to be predicted

        Raises
        ------
        ValueError
            If sizes differ, a kernel is not finite, or fewer than ten labels are known.
        """
        labels = np.asarray(labels, float)
        known = np.flatnonzero(~np.isnan(labels))
        for name, kernel in kernels.items():
            if kernel.shape != (len(labels), len(labels)) or not np.isfinite(kernel).all():
                raise ValueError(
                    f"kernel {name!r} is {kernel.shape} or not finite; it must be ({len(labels)}, {len(labels)})"
                )
        if len(known) < 10:
            raise ValueError(f"{len(known)} labels are known; at least 10 are needed to learn from")
        stacked = np.stack([np.asarray(each, float) for each in kernels.values()])
        mean, scale = float(labels[known].mean()), float(labels[known].std()) or 1.0
        y = (labels[known] - mean) / scale
        own = stacked[:, known][:, :, known]
        drawn = np.random.default_rng(self.seed).permutation(len(y))[: self.evidence]
        asked = own[:, drawn][:, :, drawn]
        found = minimize(
            lambda logs: _minus_evidence(logs, asked, y[drawn]),
            np.log([*[1 / (len(kernels) + 1)] * len(kernels), 0.2]),
            jac=True,
            method="L-BFGS-B",
            bounds=[(LEAST, MOST)] * (len(kernels) + 1),
            options={"maxiter": self.iterations},
        )
        amplitudes, noise = np.exp(found.x[:-1]) * scale**2, float(np.exp(found.x[-1])) * scale**2
        return conditioned(kernels, labels, dict(zip(kernels, amplitudes.tolist())), noise, mean)


def conditioned(
    kernels: Mapping[str, Float[np.ndarray, "ligands ligands"]],
    labels: Float[np.ndarray, " ligands"],
    amplitudes: Mapping[str, float],
    noise: float,
    mean: float | None = None,
) -> AffinityProcessModel:
    """The process of these ``amplitudes`` and ``noise`` (squared units of labels), given labels where they are known.

    Parameters
    ----------
    mean : of labels where nothing is known; the mean of those known unless given

    Examples
    --------
    >>> x = np.linspace(-1, 1, 5)
    >>> labels = np.array([-2.0, np.nan, 0.0, 1.0, 2.0])
    >>> round(float(conditioned({"line": np.outer(x, x)}, labels, {"line": 100.0}, 1e-4, 0.0).means[1]), 2)
    -1.0
    """
    known = np.flatnonzero(~np.isnan(labels))
    mean = float(labels[known].mean()) if mean is None else mean
    y = labels[known] - mean
    total = sum(amplitudes[name] * np.asarray(each, float) for name, each in kernels.items())
    assert isinstance(total, np.ndarray)
    factor = cholesky(total[np.ix_(known, known)] + noise * np.eye(len(y)), lower=True)
    alpha, inverse = cho_solve((factor, True), y), cho_solve((factor, True), np.eye(len(y)))
    cross, prior = total[:, known], np.diag(total) + noise
    variance = np.maximum(prior - np.einsum("ij,jk,ik->i", cross, inverse, cross, optimize=True), noise)
    left_out = y - alpha / np.diag(inverse)
    return AffinityProcessModel(
        known,
        mean + cross @ alpha,
        np.sqrt(variance),
        mean + left_out,
        1 / np.sqrt(np.diag(inverse)),
        dict(amplitudes),
        noise,
        np.abs(y - left_out) * np.sqrt(np.diag(inverse)),
    )


def most_informative(
    kernels: Mapping[str, Float[np.ndarray, "ligands ligands"]],
    amplitudes: Mapping[str, float],
    noise: float,
    known: Int[np.ndarray, " known"],
    count: int,
) -> Int[np.ndarray, " count"]:
    """Ligands to measure (or simulate) next: those that leave the least variance of all others, one after another.

    Of a process with covariance ``S`` given what is known, knowing ``c`` lessens variances by
    ``sum_j S_jc^2 / (S_cc + noise)`` [cohn1996], whatever its label will be.

    Raises
    ------
    ValueError
        If fewer than ``count`` ligands are unknown.

    Examples
    --------
    >>> x = np.array([0.0, 1.0, 1.1, 1.2, 5.0])
    >>> smooth = {"smooth": np.exp(-((x[:, None] - x) ** 2))}
    >>> most_informative(smooth, {"smooth": 1.0}, 0.01, np.array([0]), 2).tolist()
    [2, 4]
    """
    total = np.sum([amplitudes[name] * each for name, each in kernels.items()], 0)
    if len(total) - len(known) < count:
        raise ValueError(f"{len(total) - len(known)} ligands are unknown; {count} cannot be chosen of them")
    cross = total[:, known]
    factor = cholesky(total[np.ix_(known, known)] + noise * np.eye(len(known)), lower=True)
    left = total - cross @ cho_solve((factor, True), cross.T)
    open_, chosen = np.setdiff1d(np.arange(len(total)), known), []
    for _ in range(count):
        gains = (left[np.ix_(open_, open_)] ** 2).sum(0) / (np.diag(left)[open_] + noise)
        best = int(open_[gains.argmax()])
        left = left - np.outer(left[:, best], left[best]) / (left[best, best] + noise)
        chosen.append(best)
        open_ = open_[open_ != best]
    return np.array(chosen, int)


@dataclass(frozen=True, eq=False, repr=False)
class AffinityProcessModel(Model):
    """The process given what is known.

    Attributes
    ----------
    known : indices of ligands that had labels
    means, deviations : (ligands,) expected labels of all, and their standard deviations, noise included
    left_out, left_out_deviations : (known,) each known ligand as predicted from all others
    amplitudes : of each kernel, in squared units of labels
    noise : variance of labels
    surprises : (known,) errors of `left_out` in units of their deviations
    """

    known: np.ndarray
    means: Float[np.ndarray, " ligands"]
    deviations: Float[np.ndarray, " ligands"]
    left_out: Float[np.ndarray, " known"]
    left_out_deviations: Float[np.ndarray, " known"]
    amplitudes: Mapping[str, float]
    noise: float
    surprises: Float[np.ndarray, " known"]

    def half_widths(self, level: float = 0.9) -> Float[np.ndarray, " ligands"]:
        """Half widths of intervals that hold a share ``level`` of labels, as they do for known ligands left out.

        Raises
        ------
        ValueError
            If too few labels are known to promise so much.
        """
        return alarm_threshold(self.surprises, 1 - level) * self.deviations


def _minus_evidence(logs, kernels, y):
    """Negative logarithm of the evidence, up to a constant, and its gradient."""
    weights = np.exp(logs)
    covariance = np.tensordot(weights[:-1], kernels, 1)
    covariance[np.diag_indices(len(y))] += weights[-1]
    value, slope = minus_log_evidence(covariance, y)
    gradient = [
        *(v * np.vdot(slope, kernel) for v, kernel in zip(weights, kernels)),
        weights[-1] * np.trace(slope),
    ]
    return value, np.array(gradient, float)
