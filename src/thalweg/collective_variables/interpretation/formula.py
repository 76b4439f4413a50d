r"""Formulas that people can read: a link of a sum of products of simple functions of single features.

.. math::  f(x) = g\Big( c_0 + \sum_k c_k \prod_{j} u_{kj}(x_{i_{kj}}) \Big)

The functions :math:`u` are powers, roots, logarithms, sines and cosines of angles, exponentials, steps and bumps;
the link :math:`g` is the identity, or squeezes into the interval from zero to one as a committor does. A formula
evaluates frames, NumPy or JAX, with gradients; its text can be read back by `evaluated`, by OpenMM and by PLUMED.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from scipy import special

from thalweg.collective_variables.bases.linear_map import function_values

Link = Literal["identity", "logistic", "probit"]


class UnaryFunction(NamedTuple):
    """A function of one feature.

    Attributes
    ----------
    cost : what it adds to the complexity of a formula: the symbols it is written with, its constants included
    values : of the array module, the feature and the constants
    text : with ``{x}`` for the feature and ``{a}``, ``{b}`` for the constants
    """

    cost: int
    values: Callable[..., Any]
    text: str


KINDS: dict[str, UnaryFunction] = {
    "linear": UnaryFunction(1, lambda xp, x: x, "{x}"),
    "square": UnaryFunction(2, lambda xp, x: x * x, "{x}^2"),
    "cube": UnaryFunction(2, lambda xp, x: x * x * x, "{x}^3"),
    "inverse": UnaryFunction(2, lambda xp, x: 1 / x, "(1/{x})"),
    "root": UnaryFunction(2, lambda xp, x: xp.sqrt(x), "sqrt({x})"),
    "logarithm": UnaryFunction(2, lambda xp, x: xp.log(x), "log({x})"),
    "sine": UnaryFunction(2, lambda xp, x: xp.sin(x), "sin({x})"),
    "cosine": UnaryFunction(2, lambda xp, x: xp.cos(x), "cos({x})"),
    "sine of twice": UnaryFunction(3, lambda xp, x: xp.sin(2 * x), "sin(2*{x})"),
    "cosine of twice": UnaryFunction(3, lambda xp, x: xp.cos(2 * x), "cos(2*{x})"),
    "exponential": UnaryFunction(3, lambda xp, x, a: xp.exp(a * x), "exp({a}*{x})"),
    "step": UnaryFunction(5, lambda xp, x, a, b: _expit(xp, a * (x - b)), "(1/(1+exp({a}*({b}-{x}))))"),
    "bump": UnaryFunction(5, lambda xp, x, a, b: xp.exp(-((a * (x - b)) ** 2)), "exp(-1*({a}*({b}-{x}))^2)"),
}
"""The functions of one feature, by name."""

LINKS: dict[str, UnaryFunction] = {
    "identity": UnaryFunction(0, lambda xp, x: x, "{x}"),
    "logistic": UnaryFunction(3, lambda xp, x: _expit(xp, x), "1/(1+exp(-1*({x})))"),
    "probit": UnaryFunction(3, lambda xp, x: 0.5 * (1 + _erf(xp, x)), "0.5*(1+erf({x}))"),
}
"""Outermost functions, by name."""


class Factor(NamedTuple):
    """A function of one feature with its constants.

    Attributes
    ----------
    kind : name of the function
    feature : index of its argument
    constants : inside the function
    """

    kind: str
    feature: int
    constants: tuple[float, ...] = ()


@dataclass(frozen=True)
class Formula:
    """A formula of features, itself a function of frames.

    Attributes
    ----------
    link : outermost function, "identity", "logistic" or "probit"
    constant : c_0
    terms : coefficient and factors of every product
    features : names of all features

    Examples
    --------
    >>> q = Formula("logistic", 0.5, ((2.0, (Factor("sine", 1),)),), ("d", "phi ALA2"))
    >>> q.text, q.complexity
    ('1/(1+exp(-1*(0.5+2*sin(phi_ALA2))))', 8)
    >>> q(np.zeros((1, 2))).round(4).tolist()
    [[0.6225]]
    """

    link: Link
    constant: float
    terms: tuple[tuple[float, tuple[Factor, ...]], ...]
    features: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the one value it has."""
        return ("formula",)

    @property
    def complexity(self) -> int:
        """Number of symbols it is written with, brackets apart."""
        terms = (sum(KINDS[f.kind].cost for f in factors) + len(factors) + 1 for _, factors in self.terms)
        return 1 + LINKS[self.link].cost + sum(terms)

    @property
    def used(self) -> tuple[int, ...]:
        """The features in it, in order."""
        return tuple(sorted({factor.feature for _, factors in self.terms for factor in factors}))

    @property
    def variables(self) -> dict[str, str]:
        """For each name in the text, the name of the feature it stands for."""
        short = identifiers(self.features)
        return {short[k]: self.features[k] for k in self.used}

    @property
    def text(self) -> str:
        """The formula with all digits; its variables are the names of features as `identifiers`."""
        return self.written(15)

    def written(self, digits: int) -> str:
        """The formula with numbers rounded to ``digits`` digits."""
        short = identifiers(self.features)
        parts = [_number(self.constant, digits)]
        for coefficient, factors in self.terms:
            texts = []
            for factor in factors:
                constants = dict(zip("ab", (_number(value, digits) for value in factor.constants)))
                texts.append(KINDS[factor.kind].text.format(x=short[factor.feature], **constants))
            parts.append("*".join([_number(coefficient, digits), *texts]))
        return LINKS[self.link].text.format(x="+".join(parts).replace("+-", "-"))

    def __call__(self, frames: Any) -> Any:
        """Values ``(frames, 1)`` of frames ``(frames, features)``, NumPy or JAX."""
        xp = frames.__array_namespace__()
        total = 0 * frames[:, 0] + self.constant
        for coefficient, factors in self.terms:
            product = coefficient
            for factor in factors:
                product = product * factor_values(xp, factor, frames)
            total = total + product
        return LINKS[self.link].values(xp, total)[:, None]

    def transform(self, data: Any) -> Any:
        """Values ``(frames, 1)`` of an array or of every trajectory."""
        return function_values(data, self)

    def __str__(self) -> str:
        return self.written(4)


def factor_values(xp: Any, factor: Factor, frames: Any) -> Any:
    """Values ``(frames,)`` of a factor."""
    return KINDS[factor.kind].values(xp, frames[:, factor.feature], *factor.constants)


def identifiers(names: Sequence[str]) -> tuple[str, ...]:
    """Names of letters, digits and underscores for names of any kind, all different.

    Parameters
    ----------
    names : of any kind

    Examples
    --------
    >>> identifiers(["cos phi ALA2", "cos phi-ALA2", "3..4"])
    ('cos_phi_ALA2', 'cos_phi_ALA2_', 'x3_4')
    """
    short_names: list[str] = []
    for name in names:
        short = re.sub(r"[^0-9A-Za-z]+", "_", name).strip("_") or "x"
        short = short if short[0].isalpha() else f"x{short}"
        while short in short_names:
            short += "_"
        short_names.append(short)
    return tuple(short_names)


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}g}"


def _expit(xp: Any, x: Any) -> Any:
    return special.expit(x) if xp is np else jax.nn.sigmoid(x)


def _erf(xp: Any, x: Any) -> Any:
    return special.erf(x) if xp is np else jax.scipy.special.erf(x)
