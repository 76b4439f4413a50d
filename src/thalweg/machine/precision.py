"""Products of matrices in 32 bits that are 32 bits.

Graphics processors multiply matrices of 32 bits faster if they round the factors to 10 bits of mantissa, a relative
error of 5e-4, and JAX lets them unless told otherwise. A force is then no longer the gradient of its energy, and
energies no longer differ by what moves atoms. Whoever computes energies, forces or variables of positions, or trains
what gives them, asks here first. Processors always keep 32 bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import jax


@contextmanager
def full_precision() -> Iterator[None]:
    """Keep all bits of factors inside a ``with`` block, or in a function below this as a decorator.

    Does nothing where the setting ``jax_default_matmul_precision`` of JAX says what is wanted.

    Examples
    --------
    >>> with full_precision():
    ...     jax.config.jax_default_matmul_precision
    'highest'
    >>> with jax.default_matmul_precision("tensorfloat32"), full_precision():
    ...     jax.config.jax_default_matmul_precision
    'tensorfloat32'
    """
    if jax.config.jax_default_matmul_precision is not None:  # ty: ignore[missing-attribute]
        yield
        return
    with jax.default_matmul_precision("highest"):
        yield
