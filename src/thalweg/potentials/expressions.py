"""Energies written as text: OpenMM's algebraic expressions, read safely and evaluated by JAX.

An expression is a formula followed by definitions, ``"0.5*k*dr^2; dr = max(0, r-r0)"``; a definition may use those
after it. Text is cut into numbers, names and operators, everything else is refused; nothing of it is ever executed.
Evaluated on arrays it is ordinary differentiable array code.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable, Mapping

import equinox as eqx
import jax
import jax.numpy as jnp

from thalweg.shapes import Array, Float

TOKEN = re.compile(r"\s*(?:(\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?)|([A-Za-z_]\w*)|([-+*/^(),=]))")

FUNCTIONS: Mapping[str, Callable] = {
    "sqrt": jnp.sqrt, "exp": jnp.exp, "log": jnp.log,
    "sin": jnp.sin, "cos": jnp.cos, "tan": jnp.tan, "asin": jnp.arcsin, "acos": jnp.arccos, "atan": jnp.arctan,
    "atan2": jnp.arctan2, "sinh": jnp.sinh, "cosh": jnp.cosh, "tanh": jnp.tanh,
    "sec": lambda x: 1 / jnp.cos(x), "csc": lambda x: 1 / jnp.sin(x), "cot": lambda x: 1 / jnp.tan(x),
    "erf": jax.scipy.special.erf, "erfc": jax.scipy.special.erfc,
    "square": lambda x: x * x, "cube": lambda x: x * x * x, "recip": lambda x: 1 / x,
    "min": jnp.minimum, "max": jnp.maximum, "abs": jnp.abs, "floor": jnp.floor, "ceil": jnp.ceil,
    "step": lambda x: jnp.where(x >= 0, 1.0, 0.0), "delta": lambda x: jnp.where(x == 0, 1.0, 0.0),
    "select": lambda condition, yes, no: jnp.where(condition != 0, yes, no),
}  # fmt: skip
"""Functions every expression may use; ``step(x)`` is 1 from 0 on, ``select(c, a, b)`` is a unless c is 0."""

OPERATORS: Mapping[type[ast.AST], Callable] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.USub: lambda a: -a,
    ast.UAdd: lambda a: a,
}


class ExpressionError(ValueError):
    """An expression that cannot be read, or uses a name nobody gave."""


class Expression(eqx.Module):
    """An algebraic expression, callable with a mapping from the names of its variables to arrays.

    Attributes
    ----------
    text : the expression
    functions : further functions by name, such as tabulated ones

    Raises
    ------
    ExpressionError
        If the text cannot be read.

    Examples
    --------
    >>> wall = Expression("0.5*k*d^2; d = max(0, r - r0)")
    >>> sorted(wall.variables)
    ['k', 'r', 'r0']
    >>> float(wall({"k": 100.0, "r": 1.2, "r0": 1.0}).round(4))
    2.0
    """

    text: str = eqx.field(static=True)
    functions: dict[str, Callable] = eqx.field(default_factory=dict)

    def __check_init__(self):
        unknown = _called(self.text) - set(FUNCTIONS) - set(self.functions)
        if unknown:
            known = ", ".join(sorted({*FUNCTIONS, *self.functions}))
            raise ExpressionError(
                f"unknown function {', '.join(sorted(unknown))} in {self.text!r}; known are {known}"
            )

    @property
    def variables(self) -> set[str]:
        """Names that must be given a value."""
        main, definitions = _parsed(self.text)
        return {
            node.id
            for tree in (main, *definitions.values())
            for node in _values(tree)
            if node.id not in definitions
        }

    def __call__(self, values: Mapping[str, Array | float]) -> jax.Array:
        main, definitions = _parsed(self.text)
        known = dict(values)

        def value(node):
            match node:
                case ast.Constant():
                    return node.value
                case ast.Name():
                    if node.id not in known:
                        known[node.id] = value(definitions[node.id])
                    return known[node.id]
                case ast.BinOp(left, ast.Pow(), right):
                    return _power(value(left), value(right))
                case ast.BinOp(left, operator, right):
                    return OPERATORS[type(operator)](value(left), value(right))
                case ast.UnaryOp(operator, operand):
                    return OPERATORS[type(operator)](value(operand))
                case ast.Call(function, arguments):
                    name = function.id
                    return (self.functions.get(name) or FUNCTIONS[name])(*map(value, arguments))

        return jnp.asarray(value(main))


def _power(base, exponent):
    if isinstance(exponent, float) and exponent.is_integer():
        return base ** int(exponent)
    return jnp.power(base, exponent)


@functools.lru_cache(maxsize=1024)
def _parsed(text: str):
    """The syntax tree of the formula and of each definition."""
    statements = [part for part in text.split(";") if part.strip()]
    if not statements:
        raise ExpressionError("an empty expression; give a formula such as '0.5*k*(r-r0)^2'")
    definitions = {}
    for statement in statements[1:]:
        name, equals, formula = statement.partition("=")
        if not equals or not re.fullmatch(r"\s*[A-Za-z_]\w*\s*", name):
            raise ExpressionError(
                f"expected a definition 'name = formula' but found {statement.strip()!r} in {text!r}"
            )
        definitions.setdefault(name.strip(), _tree(formula, text))
    return _tree(statements[0], text), definitions


def _tree(formula: str, text: str) -> ast.expr:
    """The formula as a syntax tree of numbers, names, calls and arithmetic only; names as written."""
    tokens, at, formula = [], 0, formula.strip()
    while at < len(formula):
        token = TOKEN.match(formula, at)
        if token is None or token[3] == "=":
            raise ExpressionError(f"cannot read {formula[at:]!r} in the expression {text!r}")
        number, name, operator = token.groups()
        tokens.append(
            f"{float(number)!r}" if number else f"n_{name}" if name else operator.replace("^", "**")
        )
        at = token.end()
    try:
        tree = ast.parse(" ".join(tokens), mode="eval").body
    except SyntaxError as error:
        raise ExpressionError(f"cannot read the formula {formula!r} of the expression {text!r}") from error
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = node.id[2:]
        elif isinstance(node, ast.Call) and not isinstance(node.func, ast.Name):
            raise ExpressionError(f"only a function's name can be called in the expression {text!r}")
        elif isinstance(node, ast.Tuple):
            raise ExpressionError(f"a comma outside a function call in the expression {text!r}")
    return tree


def _called(text: str) -> set[str]:
    main, definitions = _parsed(text)
    trees = (main, *definitions.values())
    calls = [node.func for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {name.id for name in calls if isinstance(name, ast.Name)}


def _values(tree: ast.expr) -> list[ast.Name]:
    """The names in ``tree`` that stand for values, not functions."""
    functions = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return [node for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in functions]


class Discrete(eqx.Module):
    """A table looked up by whole numbers, one argument per dimension."""

    table: Float[Array, "..."]

    def __call__(self, *indices: jax.Array) -> jax.Array:
        entry = tuple(jnp.round(index).astype(int) for index in indices)
        return jnp.asarray(self.table, jnp.result_type(indices[0]))[entry]


def energy_of(expression: Expression, values: Mapping[str, Array | float], like: jax.Array) -> jax.Array:
    """The expression's value broadcast to the shape and precision of ``like``, even where it is a constant."""
    return jnp.broadcast_to(expression(values), like.shape).astype(like.dtype)
