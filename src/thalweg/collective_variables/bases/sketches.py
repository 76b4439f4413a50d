r"""Sketches: fewer numbers a frame, or fewer bits a number, with an error that is known beforehand.

==================  =================================================================================================
`RandomProjection`  combinations of features with random signs; squared distances between :math:`n` frames are kept to
                    :math:`1 \pm \varepsilon` with :math:`\dim \ge (4 + 2\beta) \ln n / (\varepsilon^2/2 -
                    \varepsilon^3/3)`, with probability :math:`1 - n^{-\beta}` [achlioptas2003]. Eigenvalues of TICA
                    interlace: none is above that of the features, whose slowest combinations may be lost.
`Quantization`      whole numbers of 8 or 16 bits: each feature is right to half a step :math:`h_i`. With :math:`V` the
                    modes of TICA of the features, :math:`V^T C_0 V = 1`, and :math:`\delta = \| |V|^T h \|`, both
                    matrices of the problem change by :math:`\eta = 2\delta + \delta^2` at most in those coordinates,
                    and so every eigenvalue by :math:`2 \eta / (1 - \eta)` at most (Weyl).
==================  =================================================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy.optimize import brentq

from thalweg.collective_variables.bases.basis import Functions, along
from thalweg.shapes import Shaped
from thalweg.time_series.one_pass import DataPass, Share, Sums
from thalweg.time_series.trajectories import CHUNK


@dataclass(frozen=True)
class AlongPass:
    """A pass over functions of the frames, which are made share by share and stored nowhere.

    Parameters
    ----------
    functions : of a frame
    one_pass : over their values

    Examples
    --------
    >>> from thalweg.time_series.histogram_pass import HistogramPass
    >>> from thalweg.time_series.one_pass import gathered, shares
    >>> sums = AlongPass(RandomProjection(3, 1), HistogramPass((np.array([-9.0, 0.0, 9.0]),)))
    >>> float(gathered(sums, shares(np.eye(3))).sum())
    3.0
    """

    functions: Functions
    one_pass: DataPass

    def of(self, share: Share) -> Sums:
        """The sum over a share of function values."""
        return self.one_pass.of(replace(share, data=along(share.data, self.functions)))

    def merged(self, first: Sums, second: Sums) -> Sums:
        """The sum over both."""
        return self.one_pass.merged(first, second)

    def result(self, total: Sums) -> Any:
        """What the pass tells of the function values."""
        return self.one_pass.result(total)


@dataclass(frozen=True)
class RandomProjection:
    """Combinations of features with random signs, functions of a frame as those of a `Basis`.

    Parameters
    ----------
    features : how many there are
    dim : combinations
    seed : of the signs

    Examples
    --------
    >>> RandomProjection(1000, 400)(np.ones((2, 1000))).shape
    (2, 400)
    """

    features: int
    dim: int
    seed: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """One per combination."""
        return tuple(f"random combination {k}" for k in range(self.dim))

    @cached_property
    def matrix(self) -> Shaped[np.ndarray, "features dim"]:
        """Signs over the root of ``dim``."""
        signs = np.random.default_rng(self.seed).integers(0, 2, (self.features, self.dim))
        return ((2.0 * signs - 1) / np.sqrt(self.dim)).astype(np.float32)

    def __call__(self, frames: Any) -> Any:
        return frames @ self.matrix

    def distortion(self, frames: int, failure: float = 0.01) -> float:
        r"""Relative error :math:`\varepsilon` of squared distances between so many ``frames``, none of which is worse.

        Parameters
        ----------
        frames : how many
        failure : probability that one is worse

        Raises
        ------
        ValueError
            If that is above one.

        Examples
        --------
        >>> round(RandomProjection(10000, 2000).distortion(1000), 2)
        0.21
        """
        needed = 4 * np.log(frames) - 2 * np.log(failure)  # (4 + 2 beta) ln n with n^-beta the failure

        def excess(error: float) -> float:
            return self.dim * (error**2 / 2 - error**3 / 3) - needed

        if excess(1.0) < 0:
            raise ValueError(
                f"dim={self.dim} keeps no distance between {frames} frames; {int(np.ceil(6 * needed))} and more do"
            )
        return float(brentq(excess, 1e-9, 1.0))


@dataclass(frozen=True, eq=False)
class Quantization:
    """Features as whole numbers of few bits.

    Attributes
    ----------
    lowest : (features,) value of the smallest whole number
    step : (features,) between two
    bits : 8 or 16

    Examples
    --------
    >>> angles = Quantization.between(np.array([-np.pi]), np.array([np.pi]), bits=8)
    >>> codes = angles.codes(np.array([[1.0]]))
    >>> codes.dtype, bool(abs(angles.frames(codes)[0, 0] - 1.0) <= angles.error[0])
    (dtype('uint8'), True)
    """

    lowest: Shaped[np.ndarray, " features"]
    step: Shaped[np.ndarray, " features"]
    bits: int

    @classmethod
    def between(
        cls,
        lowest: Shaped[np.ndarray, " features"],
        highest: Shaped[np.ndarray, " features"],
        bits: int = 16,
    ) -> Quantization:
        """One for features between bounds.

        Raises
        ------
        ValueError
            If the bits are others, or no number lies between the bounds.
        """
        if bits not in (8, 16):
            raise ValueError(f"bits={bits}; whole numbers of 8 or of 16 bits are kept")
        low, high = np.asarray(lowest, float), np.asarray(highest, float)
        if not (np.isfinite(low).all() and np.isfinite(high).all() and (high > low).all()):
            raise ValueError("bounds must be finite and the highest above the lowest, for every feature")
        return cls(low, (high - low) / (2**bits - 1), bits)

    @property
    def error(self) -> np.ndarray:
        """The most that a feature is off ``(features,)``."""
        return self.step / 2

    def codes(self, frames: Shaped[np.ndarray, "frames features"]) -> Shaped[np.ndarray, "frames features"]:
        """Whole numbers, to be written to a file.

        Raises
        ------
        ValueError
            If a feature is out of bounds, where the error would be unbounded.
        """
        numbers = np.rint((frames - self.lowest) / self.step)
        out = (numbers < 0) | (numbers > 2**self.bits - 1)
        if out.any():
            frame, feature = np.argwhere(out)[0]
            raise ValueError(
                f"feature {feature} is {frames[frame, feature]} in frame {frame}, out of bounds "
                f"{self.lowest[feature]} and {self.lowest[feature] + (2**self.bits - 1) * self.step[feature]}; "
                "widen them"
            )
        return numbers.astype(np.uint8 if self.bits == 8 else np.uint16)

    def frames(self, codes: Shaped[np.ndarray, "frames features"]) -> Shaped[np.ndarray, "frames features"]:
        """Features in float32."""
        return (self.lowest + codes * self.step).astype(np.float32)

    def eigenvalue_error(self, modes: Shaped[np.ndarray, "features modes"]) -> float:
        """The most that an eigenvalue of TICA, data averaged with their time reverse, can be off.

        Parameters
        ----------
        modes : all of them, ``model.modes.vectors``, of unit variance

        Returns
        -------
        infinite where steps are so coarse that nothing can be said
        """
        delta = float(np.linalg.norm(self.error @ np.abs(modes)))
        eta = 2 * delta + delta**2
        return 2 * eta / (1 - eta) if eta < 1 else float("inf")


@dataclass(frozen=True, eq=False)
class QuantizedFrames:
    """Features kept as whole numbers, made real when they are read: a block of `Trajectories`.

    Parameters
    ----------
    codes : (frames, features) of `Quantization.codes`, an array or a file that can be sliced
    quantization : what they mean

    Examples
    --------
    >>> unit = Quantization.between(np.zeros(1), np.ones(1), bits=8)
    >>> QuantizedFrames(unit.codes(np.array([[0.0], [1.0]])), unit)[:].tolist()
    [[0.0], [1.0]]
    """

    codes: Any
    quantization: Quantization

    @property
    def shape(self) -> tuple[int, int]:
        """Frames and features."""
        return self.codes.shape

    @property
    def dtype(self) -> np.dtype:
        """Of the features."""
        return np.dtype(np.float32)

    def __getitem__(self, chosen: slice) -> np.ndarray:
        return self.quantization.frames(self.codes[chosen])

    def __iter__(self) -> Iterator[np.ndarray]:
        for start in range(0, self.shape[0], CHUNK):
            yield self[start : start + CHUNK]
