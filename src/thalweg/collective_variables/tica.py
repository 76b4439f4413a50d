r"""Time-lagged independent component analysis, right by default for short runs started out of equilibrium.

The slowest linear combinations :math:`z_i = a_i \cdot (x - \bar x)` of the features solve

.. math::  C_{0t}\, a_i = \lambda_i\, C_{00}\, a_i, \qquad t_i = -\tau / \ln|\lambda_i|

with symmetric covariances at equilibrium [molgedey1994, perez-hernandez2013]. Averaging data with their
time reverse makes any covariances symmetric, but is wrong when runs did not start from equilibrium:
timescales then come out up to several times too short. The fit therefore estimates the operator
unsymmetrized first, weights the pairs to stationarity by it [wu2017, `stationarity`] and only then
symmetrizes. At equilibrium the weights are one and cost nothing.

Where weights cannot be had, the unsymmetrized estimate is the answer and the reason is told. The timescales
of both estimates are compared: a large ``discrepancy`` means that the features do not resolve the slow
processes or that runs are too few.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from scipy.linalg import eigh

from thalweg.collective_variables.covariance import Covariances, covariances
from thalweg.collective_variables.linear_map import project
from thalweg.collective_variables.pca import loading_signs
from thalweg.collective_variables.raw_angles import raw_angles
from thalweg.collective_variables.resampling import Estimate, independent_blocks, resample
from thalweg.collective_variables.stationarity import STATIONARY, KoopmanModel, WeightTally, koopman_model
from thalweg.collective_variables.trajectories import Trajectories, as_trajectories
from thalweg.collective_variables.whitening import whitening

MOST_NEGATIVE = 0.05
"""Share of negative weight above which stationarity weights are refused."""

FEWEST_EFFECTIVE = 0.002
"""Share of frames that must count effectively for stationarity weights to be used."""

Scaling = Literal["kinetic_map", "commute_map", "unit"]


@dataclass(frozen=True, eq=False)
class TICAModel:
    r"""Slow coordinates and their timescales.

    Attributes
    ----------
    lagtime : frames
    dt : time between frames [ps]
    mean : (features,), subtracted first
    loadings : (features, dim), from features to coordinates, slowest first, scaled as asked for
    eigenvalues : (rank,), real parts, of the estimate in use
    timescales : (rank,) [ps], of the estimate in use; NaN where an eigenvalue has no decay time
    timescales_nonreversible : (rank,) [ps], of the unsymmetrized operator
    estimate : "stationary" (data were at equilibrium), "reweighted", or "nonreversible" (the fallback)
    reason : why that estimate
    negative_weight : share of negative stationarity weight
    effective_frames : share of the frames that count effectively under the weights
    covariances : block sums the fit is made of
    notes : what one should know about the features
    """

    lagtime: int
    dt: float
    mean: np.ndarray
    loadings: np.ndarray
    eigenvalues: np.ndarray
    timescales: np.ndarray
    timescales_nonreversible: np.ndarray
    estimate: Literal["stationary", "reweighted", "nonreversible"]
    reason: str
    negative_weight: float
    effective_frames: float
    covariances: Covariances
    notes: tuple[str, ...] = field(default=())

    @property
    def discrepancy(self) -> float:
        """Relative difference of the slowest timescale from the unsymmetrized one."""
        return float(abs(self.timescales[0] / self.timescales_nonreversible[0] - 1))

    def transform(self, data: Trajectories | np.ndarray) -> Any:
        """Coordinates ``(frames, dim)`` of an array or of every trajectory."""
        return project(data, self.mean, self.loadings)

    def timescale_errors(self, samples: int = 100, seed: int = 0) -> Estimate:
        """Timescales [ps] of the first ``dim`` coordinates with block-bootstrap errors.

        Replicates solve the eigenproblem among slow directions. For reweighted data they vary the
        unsymmetrized operator, whose relative spread is taken over: weights of a replicate would need
        another pass over the data.
        """
        dim = self.loadings.shape[1]
        memory = np.nan_to_num(self.timescales[0]) / self.dt + self.lagtime
        options = {"samples": samples, "n_blocks": independent_blocks(self.covariances, memory), "seed": seed}
        if self.estimate == "stationary":
            return resample(
                self.covariances, lambda sums: _symmetrized(sums)[2][:dim], self.timescales[:dim], **options
            )
        free = resample(
            self.covariances, lambda sums: _decay_times(_unsymmetrized(sums), sums)[:dim], **options
        )
        return Estimate(
            self.timescales[:dim], free.samples * (self.timescales[:dim] / free.value), free.n_blocks
        )


@dataclass(frozen=True)
class TICA:
    """Time-lagged independent component analysis.

    Parameters
    ----------
    lagtime : int
        In frames.
    dim : int
        Number of slow coordinates to keep.
    scaling : str
        Length of the coordinates: "kinetic_map" (times the eigenvalue, so that distances are kinetic
        distances [noe2015]), "commute_map" (times the root of half the timescale over the lag time
        [noe2016]) or "unit" (variance one).
    cutoff : float
        Smallest eigenvalue of the correlation matrix of features kept, relative to the largest.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> slow = np.zeros(20000)
    >>> for t in range(1, len(slow)):
    ...     slow[t] = 0.99 * slow[t - 1] + rng.standard_normal()
    >>> x = np.stack([slow + 5 * rng.standard_normal(20000), 5 * rng.standard_normal(20000)], axis=1)
    >>> model = TICA(lagtime=10, dim=1).fit(x)
    >>> model.estimate, bool(np.abs(np.corrcoef(model.transform(x)[:, 0], slow)[0, 1]) > 0.7)
    ('stationary', True)
    """

    lagtime: int
    dim: int = 2
    scaling: Scaling = "kinetic_map"
    cutoff: float = 1e-6

    def fit(self, data: Trajectories | Sequence[Any] | np.ndarray | Covariances) -> TICAModel:
        """Slow coordinates of data, or of covariances already summed (which cannot be weighted any more).

        Raises
        ------
        ValueError
            If the lag time leaves no pairs, nothing varies, or ``dim`` is not between 1 and the rank of the
            features.
        """
        notes: tuple[str, ...] = ()
        if isinstance(data, Covariances):
            trajectories, sums = None, data
            if sums.lagtime != self.lagtime:
                raise ValueError(
                    f"covariances at lagtime={sums.lagtime} do not serve TICA at lagtime={self.lagtime}"
                )
        else:
            trajectories = as_trajectories(data)
            sums = covariances(trajectories, self.lagtime)
            notes += _warned_angles(trajectories)
        koopman = _unsymmetrized(sums, self.cutoff)
        if not 1 <= self.dim <= koopman.whitening.rank:
            raise ValueError(
                f"dim={self.dim} must lie between 1 and the rank of the features, {koopman.whitening.rank}"
            )
        solved = self._solve(sums, koopman, trajectories)
        return TICAModel(
            lagtime=self.lagtime,
            dt=sums.dt,
            timescales_nonreversible=_decay_times(koopman, sums),
            covariances=sums,
            notes=notes + koopman.whitening.notes,
            **solved,
        )

    def _solve(
        self, sums: Covariances, koopman: KoopmanModel, trajectories: Trajectories | None
    ) -> dict[str, Any]:
        """The estimate the data allow, with the reason for it."""
        if koopman.variance <= STATIONARY:
            found = self._reversible(sums)
            return found | _verdict(
                "stationary", "first and last frames of the pairs have the same distribution"
            )
        if not np.isfinite(koopman.variance):
            return self._nonreversible(koopman, sums, "the data fall into parts that do not exchange")
        if trajectories is None:
            return self._nonreversible(
                koopman, sums, "weighting needs the data, only their covariances were given"
            )
        tally = WeightTally(koopman.weights())
        weighted = covariances(trajectories, self.lagtime, n_blocks=1, reweight=tally)
        shares = {"negative_weight": tally.negative_share, "effective_frames": tally.effective_share}
        if tally.negative_share > MOST_NEGATIVE:
            reason = f"{tally.negative_share:.0%} of the stationarity weight is negative"
        elif tally.effective_share < FEWEST_EFFECTIVE:
            reason = f"stationarity weights leave {tally.effective_share:.2%} of the frames"
        else:
            found = self._reversible(weighted)
            if found["eigenvalues"][0] < 1:
                return found | _verdict("reweighted", "runs did not start from equilibrium") | shares
            reason = "stationarity weights give an eigenvalue above one"
        return self._nonreversible(koopman, sums, reason) | shares

    def _reversible(self, sums: Covariances) -> dict[str, Any]:
        """Solution with symmetric covariances."""
        mean, vectors, timescales, values = _symmetrized(sums, self.cutoff)
        if vectors.shape[1] < self.dim:
            raise ValueError(f"dim={self.dim} exceeds the rank {vectors.shape[1]} of the weighted features")
        loadings = self._scaled(vectors[:, : self.dim], values, timescales, sums)
        return {"mean": mean, "loadings": loadings, "eigenvalues": values, "timescales": timescales}

    def _nonreversible(self, koopman: KoopmanModel, sums: Covariances, reason: str) -> dict[str, Any]:
        """Solution of the unsymmetrized operator; a complex pair gives its real and imaginary part."""
        values, vectors = koopman.eigenpairs()
        real = np.where(values.imag < 0, vectors.imag, vectors.real)
        real = real / np.linalg.norm(real, axis=0)
        timescales = _decay_times(koopman, sums)
        loadings = self._scaled(
            (koopman.whitening.matrix @ real)[:, : self.dim], values.real, timescales, sums
        )
        solved = {"mean": koopman.whitening.mean, "loadings": loadings}
        return (
            solved
            | {"eigenvalues": values.real, "timescales": timescales}
            | _verdict("nonreversible", reason)
        )

    def _scaled(
        self, vectors: np.ndarray, values: np.ndarray, timescales: np.ndarray, sums: Covariances
    ) -> np.ndarray:
        """Loadings of the asked length and reproducible sign."""
        factors = {
            "unit": np.ones(self.dim),
            "kinetic_map": np.maximum(values[: self.dim], 0),
            "commute_map": np.sqrt(np.nan_to_num(timescales[: self.dim]) / (2 * self.lagtime * sums.dt)),
        }
        if self.scaling not in factors:
            raise ValueError(f"scaling={self.scaling!r} is unknown; known are {', '.join(factors)}")
        deviation = np.sqrt(np.maximum(np.diag(sums.c00), 0))[:, None]
        return vectors * loading_signs(vectors * deviation) * factors[self.scaling]


def _verdict(estimate: str, reason: str) -> dict[str, Any]:
    """Which estimate is in use, and why; weights of one unless said otherwise."""
    return {"estimate": estimate, "reason": reason, "negative_weight": 0.0, "effective_frames": 1.0}


def _unsymmetrized(sums: Covariances, cutoff: float = 1e-6) -> KoopmanModel:
    """The operator without any symmetry assumed."""
    return koopman_model(sums, whitening(sums.mean_0, sums.c00, cutoff))


def _symmetrized(sums: Covariances, cutoff: float = 1e-6) -> tuple[np.ndarray, ...]:
    """Mean, loadings of unit variance, timescales and eigenvalues of data with their reverse."""
    mean, apart = (sums.mean_0 + sums.mean_t) / 2, (sums.mean_t - sums.mean_0) / 2
    c0 = (sums.c00 + sums.ctt) / 2 + np.outer(apart, apart)
    ct = (sums.c0t + sums.c0t.T) / 2 - np.outer(apart, apart)
    whitened = whitening(mean, c0, cutoff)
    values, vectors = eigh(whitened.matrix.T @ ct @ whitened.matrix)
    values, vectors = values[::-1], vectors[:, ::-1]
    return mean, whitened.matrix @ vectors, _times(values, sums), values


def _decay_times(koopman: KoopmanModel, sums: Covariances) -> np.ndarray:
    """Timescales [ps] of the unsymmetrized operator."""
    values, _ = koopman.eigenpairs()
    return _times(np.where(values.real > 0, np.abs(values), 0.0), sums)


def _times(values: np.ndarray, sums: Covariances) -> np.ndarray:
    """Timescales [ps] of eigenvalues between zero and one, NaN for others."""
    decaying = (values > 0) & (values < 1)
    return np.where(decaying, -sums.lagtime * sums.dt / np.log(np.where(decaying, values, 0.5)), np.nan)


def _warned_angles(trajectories: Trajectories) -> tuple[str, ...]:
    """A warning, also kept as a note, if features look like raw angles."""
    found = raw_angles(trajectories)
    if not found:
        return ()
    listed = ", ".join(trajectories.name(i) for i in found[:10])
    note = f"{listed} look like raw angles that jump by a full turn; use their sine and cosine"
    warnings.warn(note, stacklevel=3)
    return (note,)
