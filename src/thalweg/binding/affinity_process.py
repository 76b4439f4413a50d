"""Affinities of series of ligands by one Gaussian process over all of them [rasmussen2006].

A series is a set of ligands of one target. The covariance of two ligands is a sum of given kernels with amplitudes
``v_k`` and noise ``n``,

    C_ij = sum_k v_k K_k(i, j) + n [i = j],

some zero across series (what a substituent does in this pocket), some not (what is so in every pocket). One constant
inside each series lets its mean be anything. Amplitudes are those of largest evidence of all labels together: a kernel
of no use gets no weight, and small series borrow from large ones. Known ligands are predicted from all others in
closed form [sundararajan2001], which calibrates intervals (conformal, [angelopoulos2023]).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky
from scipy.optimize import minimize

from thalweg.binding.complexes import TypedAtoms
from thalweg.learning.calibration import alarm_threshold
from thalweg.learning.models import Method, Model
from thalweg.shapes import Float

LEAST, MOST = np.log(1e-5), np.log(1e3)
"""Bounds of logarithms of amplitudes and noise, over the variance of labels."""


@dataclass(frozen=True)
class AffinityProcess(Method):
    """Settings of the process.

    Parameters
    ----------
    iterations : steps uphill in evidence at most

    Examples
    --------
    >>> x = np.linspace(-1, 1, 20)
    >>> labels = np.where(np.arange(20) == 7, np.nan, 3 * x)
    >>> model = AffinityProcess().fit({"line": np.outer(x, x)}, labels)
    >>> abs(model.means[7] - 3 * x[7]) < 0.05
    np.True_
    """

    iterations: int = 40

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
        found = minimize(
            lambda logs: _minus_evidence(logs, own, y),
            np.log([*[1 / (len(kernels) + 1)] * len(kernels), 0.2]),
            jac=True,
            method="L-BFGS-B",
            bounds=[(LEAST, MOST)] * (len(kernels) + 1),
            options={"maxiter": self.iterations},
        )
        amplitudes, noise = np.exp(found.x[:-1]), float(np.exp(found.x[-1]))
        factor = cholesky(np.tensordot(amplitudes, own, 1) + noise * np.eye(len(y)), lower=True)
        alpha, inverse = cho_solve((factor, True), y), cho_solve((factor, True), np.eye(len(y)))
        cross = np.tensordot(amplitudes, stacked[:, :, known], 1)
        prior = np.tensordot(amplitudes, np.diagonal(stacked, axis1=1, axis2=2), 1) + noise
        variance = np.maximum(prior - np.einsum("ij,jk,ik->i", cross, inverse, cross, optimize=True), noise)
        left_out = y - alpha / np.diag(inverse)
        return AffinityProcessModel(
            known,
            mean + scale * (cross @ alpha),
            scale * np.sqrt(variance),
            mean + scale * left_out,
            scale / np.sqrt(np.diag(inverse)),
            dict(zip(kernels, (scale**2 * amplitudes).tolist())),
            scale**2 * noise,
            np.abs(y - left_out) * np.sqrt(np.diag(inverse)),
        )


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
    try:
        factor = cholesky(covariance, lower=True)
    except LinAlgError:
        return 1e10, np.zeros_like(logs)
    alpha = cho_solve((factor, True), y)
    value = 0.5 * y @ alpha + np.log(np.diag(factor)).sum()
    # d/dv = -1/2 tr((alpha alpha^T - C^-1) K)
    slope = 0.5 * (cho_solve((factor, True), np.eye(len(y))) - np.outer(alpha, alpha))
    gradient = [
        *(v * np.vdot(slope, kernel) for v, kernel in zip(weights, kernels)),
        weights[-1] * np.trace(slope),
    ]
    return value, np.array(gradient, float)


def within(
    kernel: Float[np.ndarray, "rows rows"], series: Sequence[Hashable]
) -> Float[np.ndarray, "rows rows"]:
    """A kernel that is zero between ligands of different series.

    Examples
    --------
    >>> within(np.ones((3, 3)), ["a", "a", "b"]).astype(int).tolist()
    [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    """
    names = list(dict.fromkeys(series))
    place = np.array([names.index(each) for each in series])
    return np.where(place[:, None] == place, kernel, 0.0)


def of_ligands(
    kernel: Float[np.ndarray, "rows rows"], ligands: Sequence[Hashable]
) -> Float[np.ndarray, "ligands ligands"]:
    """A kernel between rows as one between ligands, in order of appearance: the mean over their rows.

    Examples
    --------
    >>> of_ligands(np.diag([1.0, 3.0, 5.0]), ["x", "x", "y"]).tolist()
    [[1.0, 0.0], [0.0, 5.0]]
    """
    names = list(dict.fromkeys(ligands))
    share = np.zeros((len(names), len(kernel)))
    share[[names.index(each) for each in ligands], np.arange(len(kernel))] = 1.0
    share /= share.sum(1, keepdims=True)
    return share @ kernel @ share.T


def linear_kernel(values: Float[np.ndarray, "rows features"]) -> Float[np.ndarray, "rows rows"]:
    """Mean product of features, each less its mean and over its deviation; features that do not vary are left out."""
    spread = values.std(0)
    scaled = (values - values.mean(0))[:, spread > 1e-9] / spread[spread > 1e-9]
    return scaled @ scaled.T / max(scaled.shape[1], 1)


def field_kernel(
    ligands: Sequence[TypedAtoms], series: Sequence[Hashable], width: float = 0.1
) -> Float[np.ndarray, "rows rows"]:
    """How much ligands in one pocket fill the same space with the same channels, one with itself; zero across series.

    Overlap of Gaussians of a ``width`` [nm] about all atoms of each channel, over the geometric mean of both
    self-overlaps: a comparison of molecular fields [cramer1988] without a grid, between poses that share a frame of
    coordinates.

    Examples
    --------
    >>> carbon = TypedAtoms(np.zeros((1, 3)), np.array([6]), np.ones((1, 8), bool))
    >>> field_kernel([carbon, carbon.moved(np.array([[0.2, 0.0, 0.0]]))], ["a", "a"]).round(3).tolist()
    [[1.0, 0.368], [0.368, 1.0]]
    """
    found = np.zeros((len(ligands), len(ligands)))
    for name in dict.fromkeys(series):
        rows = [k for k, each in enumerate(series) if each == name]
        own = [ligands[k] for k in rows]
        positions = np.concatenate([each.positions for each in own])
        channels = np.concatenate([each.channels for each in own]).astype(float)
        starts = np.cumsum([0, *(len(each) for each in own)])[:-1]
        squares = (positions**2).sum(1)[:, None] + (positions**2).sum(1) - 2 * positions @ positions.T
        overlap = np.exp(-np.maximum(squares, 0) / (4 * width**2)) * (channels @ channels.T)
        sums = np.add.reduceat(np.add.reduceat(overlap, starts, 0), starts, 1)
        found[np.ix_(rows, rows)] = sums / np.sqrt(np.outer(np.diag(sums), np.diag(sums)))
    return found
