"""Linear algebra on one thread.

Matrices here are small and calls many: threads of BLAS wait for each other in a spin, which on a busy
machine costs more processor time than the work itself. Parallel work belongs to whole processes instead.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache, wraps
from typing import ParamSpec, TypeVar

from threadpoolctl import ThreadpoolController

P = ParamSpec("P")
R = TypeVar("R")


@cache
def _libraries() -> ThreadpoolController:
    """The BLAS libraries of this process, looked up at first use."""
    import scipy.linalg  # noqa: F401  (its BLAS must be loaded before libraries are looked up)

    return ThreadpoolController().select(user_api="blas")


def one_thread() -> AbstractContextManager:
    """Hold BLAS at one thread inside a ``with`` block.

    Examples
    --------
    >>> with one_thread():
    ...     {library["num_threads"] for library in _libraries().info()}
    {1}
    """
    return _libraries().limit(limits=1)


def on_one_thread(function: Callable[P, R]) -> Callable[P, R]:
    """The function, with BLAS held at one thread while it runs."""

    @wraps(function)
    def held(*args: P.args, **kwargs: P.kwargs) -> R:
        with one_thread():
            return function(*args, **kwargs)

    return held
