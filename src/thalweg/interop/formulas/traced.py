"""The formula of a JAX function: traced, then written with numbers and elementary functions.

Any differentiable function of a few numbers can be taken apart, however it was written or learned: a linear map, a
polynomial, kernels at landmarks, a perceptron. Its trace is a list of primitive operations on arrays; here the same
operations are carried out on arrays of `Formula`. Operations that only move entries about are carried out on the
places of entries, so that each needs no rule of its own.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from thalweg.interop.formulas.formulas import Formula, Input, with_floats
from thalweg.interop.formulas.rules import ELEMENTWISE, RULES, elementwise, is_symbolic

MOVES = frozenset(
    (
        *(
            "broadcast_in_dim",
            "reshape",
            "squeeze",
            "expand_dims",
            "transpose",
            "rev",
            "concatenate",
            "stack",
        ),
        *("unstack", "split", "slice", "dynamic_slice", "gather"),
    )
)
"""Operations that only move entries about."""

LOOPS = frozenset(("while", "scan", "cond"))
"""Operations whose inner traces are not simply carried out."""


class NoFormula(ValueError):
    """A function that uses an operation no formula is known for."""


def formulas(function: Callable, inputs: int) -> list[Formula]:
    """Formulas of the values of ``function``, which takes ``(inputs,)`` and gives ``(values,)``.

    Raises
    ------
    NoFormula
        If the function is not made of elementary functions, or has a loop of unknown length.

    Examples
    --------
    >>> from thalweg.interop.formulas.formulas import ordered_parts
    >>> value = formulas(lambda x: jnp.tanh(x[:1] - 2.0 * x[1:]), 2)
    >>> ordered_parts(value, ["a", "b"], ["v"])[0].text
    'tanh(a-2*b)'
    """
    with jax.enable_x64(True):
        trace = jax.make_jaxpr(function)(jax.ShapeDtypeStruct((inputs,), jnp.float64))
        (found,) = _carried_out(trace.jaxpr, trace.consts, [_symbols(inputs)])
    return [with_floats(part) for part in np.ravel(found).tolist()]


def _symbols(count: int) -> np.ndarray:
    array = np.empty(count, object)
    array[:] = [Input(k) for k in range(count)]
    return array


def _carried_out(jaxpr: core.Jaxpr, constants: list, arguments: list) -> list:
    """Values of a trace; arrays of dtype object hold formulas, all others are known numbers."""
    known = dict(zip(jaxpr.constvars, constants)) | dict(zip(jaxpr.invars, arguments))

    def value(variable):
        return variable.val if isinstance(variable, core.Literal) else known[variable]

    for equation in jaxpr.eqns:
        values = [value(variable) for variable in equation.invars]
        known |= dict(zip(equation.outvars, _one(equation, values)))
    return [value(variable) for variable in jaxpr.outvars]


def _one(equation: core.JaxprEqn, values: list) -> list:
    name, parameters = equation.primitive.name, equation.params
    inner = next((parameters[key] for key in ("jaxpr", "call_jaxpr", "fun_jaxpr") if key in parameters), None)
    if inner is not None and name not in LOOPS:
        closed = isinstance(inner, core.ClosedJaxpr)
        return _carried_out(inner.jaxpr if closed else inner, inner.consts if closed else [], values)
    if not any(is_symbolic(value) for value in values):
        found = equation.primitive.bind(*map(jnp.asarray, values), **parameters)
        return [np.asarray(each) for each in (found if equation.primitive.multiple_results else [found])]
    if name in ELEMENTWISE:
        return [elementwise(ELEMENTWISE[name], values)]
    if name in MOVES:
        return _moved(equation, values)
    if name in RULES:
        return [RULES[name](values, parameters)]
    raise NoFormula(
        f"the operation {name} has no formula; known are sums, products, elementary functions and maxima. Use the "
        "variable through a Python force or a JAX function"
    )


def _moved(equation: core.JaxprEqn, values: list) -> list[np.ndarray]:
    """An operation that only moves entries, carried out on their places in the list of all entries."""
    places, entries = [], []
    for value in values:
        if is_symbolic(value) or equation.primitive.name in ("concatenate", "stack"):
            array = np.asarray(value, object)
            places.append(jnp.arange(array.size).reshape(array.shape) + len(entries))
            entries += array.ravel().tolist()
        else:
            places.append(jnp.asarray(value))
    moved = equation.primitive.bind(*places, **equation.params)
    listed = np.empty(len(entries), object)
    listed[:] = entries
    return [listed[np.asarray(each)] for each in (moved if equation.primitive.multiple_results else [moved])]
