"""What each primitive operation of JAX becomes on arrays of formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.interop.formulas.formulas import Apply, Formula, combined, quotient, times, with_floats


def is_symbolic(value: Any) -> bool:
    """Whether an array holds formulas rather than numbers."""
    return isinstance(value, np.ndarray) and value.dtype.kind == "O"


def elementwise(rule: Callable, values: list) -> np.ndarray:
    """A rule for single formulas, for each entry of arrays."""
    arrays = np.broadcast_arrays(*[np.asarray(value, object) for value in values])
    found = np.empty(arrays[0].shape, object)
    for place in np.ndindex(found.shape):
        found[place] = rule(*[array[place] for array in arrays])
    return found


def _linear(coefficients: np.ndarray, array: np.ndarray) -> np.ndarray:
    """``coefficients @ array`` of numbers ``(m, n)`` and formulas ``(n,)``."""
    found = np.empty(len(coefficients), object)
    for k, row in enumerate(coefficients):
        found[k] = combined(0.0, [(float(c), part) for c, part in zip(row, array.tolist()) if c])
    return found


def _sum_along(values: list, parameters: dict) -> np.ndarray:
    return _reduced(values[0], parameters["axes"], lambda parts: combined(0.0, [(1.0, p) for p in parts]))


def _largest(function: str) -> Callable:
    def rule(values: list, parameters: dict) -> np.ndarray:
        return _reduced(values[0], parameters["axes"], lambda parts: _chain(function, parts))

    return rule


def _reduced(array: np.ndarray, axes: tuple[int, ...], together: Callable) -> np.ndarray:
    kept = [axis for axis in range(array.ndim) if axis not in axes]
    rows = array.transpose(*kept, *axes).reshape(*[array.shape[axis] for axis in kept], -1)
    found = np.empty(rows.shape[:-1], object)
    for place in np.ndindex(found.shape):
        found[place] = together(rows[place].tolist())
    return found


def _chain(function: str, parts: list) -> Formula:
    value = parts[0]
    for part in parts[1:]:
        value = _called(function)(value, part)
    return value


def _dot(values: list, parameters: dict) -> np.ndarray:
    """A product of two arrays, contracted and batched over any axes."""
    (left_sum, right_sum), (left_batch, right_batch) = parameters["dimension_numbers"]
    # both sides as (batch, free axes, summed axes), each flat; free and batch axes keep their shapes for the end
    sides = []
    for array, batch, summed in zip(values, (left_batch, right_batch), (left_sum, right_sum)):
        array = np.asarray(array, object)
        free = [axis for axis in range(array.ndim) if axis not in (*batch, *summed)]
        shape = [[array.shape[axis] for axis in axes] for axes in (batch, free, summed)]
        sides.append((array.transpose(*batch, *free, *summed).reshape(-1, *_sizes(shape)), shape))
    (left, (batch, rows, _)), (right, (_, columns, _)) = sides
    left, right = (side.reshape(int(np.prod(batch)), *side.shape[-2:]) for side in (left, right))
    found = np.empty((left.shape[0], left.shape[1], right.shape[1]), object)
    for b, i, j in np.ndindex(found.shape):
        found[b, i, j] = combined(0.0, [_term(x, y) for x, y in zip(left[b, i], right[b, j])])
    return found.reshape((*batch, *rows, *columns))


def _sizes(shape: list[list[int]]) -> tuple[int, int]:
    return int(np.prod(shape[1])), int(np.prod(shape[2]))


def _term(x: Formula, y: Formula) -> tuple[float, Formula]:
    if isinstance(x, float | int):
        return float(x), y
    if isinstance(y, float | int):
        return float(y), x
    return 1.0, times(x, y)


def _scattered(values: list, parameters: dict) -> np.ndarray:
    """Updates added to the places that fixed indices say."""
    start, indices, updates = values
    shape, count = np.shape(start), np.size(updates)
    coefficients = _membership(shape, indices, np.shape(updates), parameters)
    into = _linear(coefficients, np.asarray(updates, object).reshape(count))
    return elementwise(_add, [start, into.reshape(shape)])


def _scattered_extreme(function: str) -> Callable:
    def rule(values: list, parameters: dict) -> np.ndarray:
        start, indices, updates = values
        owned = _membership(np.shape(start), indices, np.shape(updates), parameters)
        parts = np.asarray(updates, object).ravel()
        found = np.asarray(start, object).ravel().copy()
        for k, row in enumerate(owned):
            given = parts[row != 0].tolist()
            own = [] if isinstance(found[k], float | int) and abs(found[k]) > 1e300 else [found[k]]
            found[k] = _chain(function, own + given)
        return found.reshape(np.shape(start))

    return rule


def _membership(shape, indices, update_shape, parameters) -> np.ndarray:
    """Which update ``(places, updates)`` goes to which place."""
    count = int(np.prod(update_shape))

    def placed(updates):
        return jax.lax.scatter_add(
            jnp.zeros(shape),
            jnp.asarray(indices),
            updates.reshape(update_shape),
            parameters["dimension_numbers"],
            mode=parameters["mode"],
        ).ravel()

    return np.asarray(jax.vmap(placed, out_axes=1)(jnp.eye(count)))


def _chosen(values: list, parameters: dict) -> np.ndarray:
    """``cases[which]``, where the choice between two may depend on a condition."""
    which, *cases = values
    if not is_symbolic(which):
        arrays = [np.asarray(case, object) for case in cases]
        found = np.empty(arrays[0].shape, object)
        picks = np.broadcast_to(np.asarray(which).astype(int), found.shape)
        for place in np.ndindex(found.shape):
            found[place] = arrays[picks[place]][place]
        return found
    return elementwise(_select, [which, *cases])


def _select(condition: Formula, no: Formula, yes: Formula) -> Formula:
    if isinstance(condition, float | int | bool):
        return yes if condition else no
    return yes if yes is no else Apply("select", (condition, yes, no))


def _add(a: Formula, b: Formula) -> Formula:
    return combined(0.0, [(1.0, a), (1.0, b)])


def _subtract(a: Formula, b: Formula) -> Formula:
    return combined(0.0, [(1.0, a), (-1.0, b)])


def _called(function: str) -> Callable:
    """A function by name, worked out at once where all is known."""

    def rule(*arguments: Formula) -> Formula:
        if all(isinstance(argument, float | int) for argument in arguments):
            return float(KNOWN[function](*arguments))
        finite = tuple(
            with_floats(argument) for argument in arguments if argument not in NEUTRAL.get(function, ())
        )
        return finite[0] if len(finite) < len(arguments) else Apply(function, finite)

    return rule


def _power(base: Formula, exponent: Formula) -> Formula:
    if isinstance(base, float | int) and isinstance(exponent, float | int):
        return float(base) ** float(exponent)
    return base if exponent == 1 else Apply("^", (base, with_floats(exponent)))


def _whole_power(values: list, parameters: dict) -> np.ndarray:
    exponent = parameters["y"]
    return elementwise(lambda base: _power(base, float(exponent)), values)


def _same(values: list, parameters: dict) -> np.ndarray:
    return values[0]


def _not_below(a: Formula, b: Formula) -> Formula:
    return _called("step")(_subtract(a, b))


def _above(a: Formula, b: Formula) -> Formula:
    return _subtract(1.0, _not_below(b, a))


NEUTRAL = {"max": (-np.inf,), "min": (np.inf,)}
"""Numbers that change nothing; reductions start with them."""

KNOWN: dict[str, Callable] = {
    "exp": np.exp, "log": np.log, "tanh": np.tanh, "sqrt": np.sqrt, "sin": np.sin, "cos": np.cos, "tan": np.tan,
    "abs": abs, "max": max, "min": min, "atan2": np.arctan2, "step": lambda x: float(x >= 0),
    "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh,
}  # fmt: skip
"""Functions with the same name in Lepton, and their values."""

ELEMENTWISE: dict[str, Callable] = {
    **{
        name: _called(name)
        for name in ("exp", "log", "tanh", "sqrt", "sin", "cos", "tan", "abs", "max", "min")
    },
    **{name: _called(name) for name in ("asin", "acos", "atan", "atan2", "sinh", "cosh")},
    "add": _add,
    "add_any": _add,
    "sub": _subtract,
    "mul": times,
    "div": quotient,
    "neg": lambda a: combined(0.0, [(-1.0, a)]),
    "square": lambda a: _power(a, 2.0),
    "rsqrt": lambda a: quotient(1.0, _called("sqrt")(a)),
    "pow": _power,
    "logistic": lambda a: quotient(1.0, _add(1.0, _called("exp")(combined(0.0, [(-1.0, a)])))),
    "exp2": lambda a: _called("exp")(times(float(np.log(2.0)), a)),
    "expm1": lambda a: _subtract(_called("exp")(a), 1.0),
    "log1p": lambda a: _called("log")(_add(1.0, a)),
    "ge": _not_below,
    "gt": _above,
    "le": lambda a, b: _not_below(b, a),
    "lt": lambda a, b: _above(b, a),
}
"""What each operation on single numbers becomes."""

RULES: dict[str, Callable] = {
    "reduce_sum": _sum_along,
    "reduce_max": _largest("max"),
    "reduce_min": _largest("min"),
    "dot_general": _dot,
    "integer_pow": _whole_power,
    "select_n": _chosen,
    "scatter-add": _scattered,
    "scatter_add": _scattered,
    "scatter-max": _scattered_extreme("max"),
    "scatter_max": _scattered_extreme("max"),
    "scatter-min": _scattered_extreme("min"),
    "scatter_min": _scattered_extreme("min"),
    "convert_element_type": _same,
    "stop_gradient": _same,
    "copy": _same,
    "copy_p": _same,
}
