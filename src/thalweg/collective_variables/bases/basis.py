r"""Bases: what a slow or smooth variable is a linear combination of.

.. math::  \psi(x) = \sum_j b_j\, \varphi_j(x)

The variational methods of this room differ in the basis :math:`\varphi` alone: the features themselves (PCA,
TICA, DMD), products of them, waves of angles, kernels at landmarks (kernel TICA), indicators of sets (Markov
models), or a network. A `Basis` says what is wanted; fitted to data it gives `Functions`, which evaluate frames. The
constant is never among them: every method adds it by itself.

Functions are written in the array namespace of what they are given, so that they take NumPy arrays when data are
averaged and JAX arrays, with gradients, when they drive a simulation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from thalweg.time_series.trajectories import CHUNK, Trajectories


@runtime_checkable
class Functions(Protocol):
    """Functions of a frame: ``(frames, features)`` to ``(frames, functions)``, NumPy or JAX.

    Attributes
    ----------
    names : one per function
    """

    @property
    def names(self) -> Sequence[str]: ...

    def __call__(self, frames: Any) -> Any: ...


@runtime_checkable
class Basis(Protocol):
    """A kind of functions, to be fitted to the region that data lie in."""

    def fit(self, data: Trajectories) -> Functions:
        """The functions."""
        ...


@dataclass(frozen=True)
class Identity:
    """The features as they are.

    Attributes
    ----------
    names : of the features
    """

    names: tuple[str, ...]

    def __call__(self, frames: Any) -> Any:
        return frames


@dataclass(frozen=True)
class Features:
    """The features themselves as a basis: linear methods.

    Examples
    --------
    >>> Features().fit(Trajectories([np.zeros((5, 2))])).names
    ('feature 0', 'feature 1')
    """

    def fit(self, data: Trajectories) -> Identity:
        """The functions, fitted to data."""
        return Identity(feature_names(data))


@dataclass(frozen=True)
class SideBySide:
    """Several bases side by side, such as features and kernels.

    Parameters
    ----------
    bases : whose functions stand one after the other

    Examples
    --------
    >>> both = SideBySide((Features(), Features())).fit(Trajectories([np.ones((5, 2))]))
    >>> both(np.ones((3, 2))).shape
    (3, 4)
    """

    bases: tuple[Basis, ...]

    def fit(self, data: Trajectories) -> Joined:
        """The functions, fitted to data."""
        return Joined(tuple(basis.fit(data) for basis in self.bases))


@dataclass(frozen=True, eq=False)
class Joined:
    """The functions of several bases, one after the other.

    Attributes
    ----------
    parts : functions of frames, of each basis
    """

    parts: tuple[Functions, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """One of each function."""
        return tuple(name for part in self.parts for name in part.names)

    def __call__(self, frames: Any) -> Any:
        return frames.__array_namespace__().concat([part(frames) for part in self.parts], axis=1)


@dataclass(frozen=True)
class Then:
    """Functions of functions: a basis in what another one sees, such as polynomials of a learned variable.

    Parameters
    ----------
    first : basis of the frames
    second : basis of what the functions of the first see

    Examples
    --------
    >>> twice = Then(Features(), Features()).fit(Trajectories([np.ones((5, 2))]))
    >>> twice(np.ones((3, 2))).shape
    (3, 2)
    """

    first: Basis
    second: Basis

    def fit(self, data: Trajectories) -> Chained:
        """The functions, fitted to data."""
        inner = self.first.fit(data)
        return Chained(inner, self.second.fit(along(data, inner)))


@dataclass(frozen=True, eq=False)
class Chained:
    """``outer(inner(x))``.

    Attributes
    ----------
    inner : functions of frames
    outer : functions of their values
    """

    inner: Functions
    outer: Functions

    @property
    def names(self) -> tuple[str, ...]:
        """One of each function."""
        return tuple(self.outer.names)

    def __call__(self, frames: Any) -> Any:
        return self.outer(self.inner(frames))


def feature_names(data: Trajectories) -> tuple[str, ...]:
    """Names of the features, numbered where they have none."""
    return tuple(f"feature {k}" for k in range(data.n_features)) if data.names is None else tuple(data.names)


def along(data: Trajectories, functions: Functions) -> Trajectories:
    """Trajectories of function values, evaluated frame by frame whenever they are read; nothing is stored.

    Parameters
    ----------
    data : trajectories of features
    functions : of a fitted basis

    Examples
    --------
    >>> data = Trajectories([np.zeros((5, 2)), np.zeros((4, 2))])
    >>> along(data, Features().fit(data)) is data
    True
    """
    if isinstance(functions, Identity):
        return data
    blocks = [_Evaluated(data, k, functions) for k in range(len(data))]
    return replace(data, blocks=blocks, names=tuple(functions.names))


@dataclass(frozen=True, eq=False)
class _Evaluated:
    """Function values of one trajectory: a source whose shape is known and whose frames are evaluated once."""

    data: Trajectories
    trajectory: int
    functions: Functions
    shape: tuple[int, int] = field(init=False)

    def __post_init__(self):
        shape = int(self.data.lengths[self.trajectory]), len(self.functions.names)
        object.__setattr__(self, "shape", shape)

    def __iter__(self) -> Iterator[np.ndarray]:
        length = self.shape[0]
        spans = [(start, min(start + CHUNK, length)) for start in range(0, length, CHUNK)]
        for frames in self.data.windows(self.trajectory, spans):
            yield np.asarray(self.functions(frames))
