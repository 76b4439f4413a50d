"""Real spherical harmonics of many vectors, and how two of them couple to a third.

Components are ordered ``m = -l .. l`` within each degree, sine-like before cosine-like, and normalized to
``int |Y_lm|^2 dOmega = 1``; there is no Condon-Shortley phase. With ``Q_l^m`` the associated Legendre functions
divided by ``sin(theta)^m``,

    Y_lm = N_lm Q_l^|m|(z) s_|m|(x, y)  for m < 0,    N_lm Q_l^m(z) c_m(x, y)  for m >= 0,

where ``c_m + i s_m = (x + iy)^m``; all by recursion, free of trigonometric functions and of divisions.
"""

from __future__ import annotations

from functools import lru_cache
from math import factorial, pi, sqrt

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.shapes import Array, Float


def spherical_harmonics(unit: Float[Array, " 3 *shape"], degree: int) -> jax.Array:
    """All ``Y_lm`` up to ``degree`` of unit vectors, ``((degree + 1)^2, *shape)``, in the order ``l^2 + l + m``."""
    x, y, z = unit
    # c_m + i s_m = (x + iy)^m
    cosine, sine = [jnp.ones_like(x)], [jnp.zeros_like(x)]
    for _ in range(degree):
        c, s = cosine[-1], sine[-1]
        cosine.append(x * c - y * s)
        sine.append(x * s + y * c)
    harmonics: list = [None] * (degree + 1) ** 2
    for m in range(degree + 1):
        # Q_m^m = (2m - 1)!!, (l - m) Q_l^m = (2l - 1) z Q_(l-1)^m - (l + m - 1) Q_(l-2)^m
        legendre = [float(np.prod(np.arange(2 * m - 1, 0, -2))) * jnp.ones_like(z)]
        for l in range(m + 1, degree + 1):
            before = legendre[-2] if l - m >= 2 else 0.0
            legendre.append(((2 * l - 1) * z * legendre[-1] - (l + m - 1) * before) / (l - m))
        for l, function in zip(range(m, degree + 1), legendre):
            scaled = _norm(l, m) * function
            harmonics[l * l + l + m] = scaled * cosine[m]
            if m:
                harmonics[l * l + l - m] = scaled * sine[m]
    return jnp.stack(harmonics)


@lru_cache
def coupling(l1: int, l2: int, l3: int) -> np.ndarray:
    """Real coupling coefficients ``C[m1, m2, m3]``: ``sum C a_m1 b_m2`` rotates like degree ``l3``.

    Rows are orthonormal: ``sum_{m1 m2} C[m1, m2, m3] C[m1, m2, m3'] = delta``. Where ``l1 + l2 + l3`` is odd the
    product is a pseudotensor: it does not change sign under inversion as a degree of its parity should.
    """
    matrices = [_to_complex(l) for l in (l1, l2, l3)]
    complex_table = np.zeros((2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1), complex)
    for m1 in range(-l1, l1 + 1):
        for m2 in range(max(-l2, -l3 - m1), min(l2, l3 - m1) + 1):
            complex_table[m1 + l1, m2 + l2, m1 + m2 + l3] = clebsch_gordan(l1, m1, l2, m2, l3, m1 + m2)
    # from complex harmonics to real ones; what remains is real up to one phase for all entries
    first, second, third = matrices
    table = np.einsum("abc,ax,by,cz->xyz", complex_table, first, second, third.conj())
    phase = table.ravel()[np.argmax(np.abs(table))]
    return np.real(table / (phase / abs(phase)))


@lru_cache
def _norm(l, m):
    return sqrt((2 * l + 1) / (4 * pi) * factorial(l - m) / factorial(l + m) * (2 if m else 1))


def _to_complex(l):
    """``U[mu, m]``: complex harmonic ``mu`` (Condon-Shortley) as combination of the real ones ``m``."""
    matrix = np.zeros((2 * l + 1, 2 * l + 1), complex)
    matrix[l, l] = 1
    for m in range(1, l + 1):
        matrix[l + m, [l + m, l - m]] = np.array([1, 1j]) * (-1) ** m / sqrt(2)
        matrix[l - m, [l + m, l - m]] = np.array([1, -1j]) / sqrt(2)
    return matrix


def clebsch_gordan(j1: float, m1: float, j2: float, m2: float, j: float, m: float) -> float:
    """``<j1 m1 j2 m2 | j m>`` by Racah's formula, of whole or half numbers with ``m = m1 + m2``.

    Examples
    --------
    >>> round(clebsch_gordan(0.5, 0.5, 0.5, -0.5, 1, 0) ** 2, 12), round(clebsch_gordan(1, 1, 1, -1, 0, 0) ** 2, 12)
    (0.5, 0.333333333333)
    """
    if not abs(j1 - j2) <= j <= j1 + j2:
        return 0.0

    def f(number):
        return factorial(int(number))

    before = sqrt(
        (2 * j + 1) * f(j + j1 - j2) * f(j - j1 + j2) * f(j1 + j2 - j) / f(j1 + j2 + j + 1)
        * f(j + m) * f(j - m) * f(j1 - m1) * f(j1 + m1) * f(j2 - m2) * f(j2 + m2)
    )  # fmt: skip
    total = 0.0
    for k in range(int(max(0, j2 - j - m1, j1 - j + m2)), int(min(j1 + j2 - j, j1 - m1, j2 + m2)) + 1):
        total += (-1) ** k / (
            f(k)
            * f(j1 + j2 - j - k)
            * f(j1 - m1 - k)
            * f(j2 + m2 - k)
            * f(j - j2 + m1 + k)
            * f(j - j1 - m2 + k)
        )
    return before * total
