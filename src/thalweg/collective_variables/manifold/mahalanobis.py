r"""Mahalanobis distances: as far as diffusion that depends on the place takes time.

.. math::  d(x, y)^2 = \tfrac12 (x - y)^T \left(D(x)^{-1} + D(y)^{-1}\right) (x - y)

With these distances a diffusion map has the generator of
:math:`\dot x = -D \nabla U / kT + \nabla\cdot D + \sqrt{2 D}\, \xi`, as collective variables of molecules obey, whose
diffusion is measured at each place [evans2023].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Mahalanobis:
    """Distances measured by a diffusion tensor that depends on the place.

    Parameters
    ----------
    diffusion : of frames ``(n, features)`` the tensors ``(n, features, features)``, in their array namespace

    Examples
    --------
    >>> import numpy as np
    >>> metric = Mahalanobis(lambda x: np.eye(2) * (4 + 0 * x[:, :1, None]))
    >>> metric.between(np.zeros((1, 2)), np.array([[0.0, 2.0]]))
    array([[1.]])
    """

    diffusion: Callable[[Any], Any]

    def embedded(self, x: Any) -> None:
        """None: such distances are those of no flat space."""

    def between(self, x: Any, y: Any) -> Any:
        """Distances ``(n, m)`` of frames ``(n, features)`` from frames ``(m, features)``."""
        xp = x.__array_namespace__()
        y = xp.asarray(y, dtype=x.dtype)
        apart = x[:, None, :] - y[None, :, :]
        here, there = (xp.linalg.inv(self.diffusion(place)) for place in (x, y))
        squares = xp.einsum("nmi,nij,nmj->nm", apart, here, apart) + xp.einsum(
            "nmi,mij,nmj->nm", apart, there, apart
        )
        return xp.sqrt(xp.maximum(squares / 2, 0.0))
