"""Formulas of many numbers that share their parts, and how they are written for other programs.

A formula is a number, an `Input`, an `Affine` combination of formulas, or an `Apply` of a function. What is used twice
is the same object twice, so that a network is as large as its weights. Written out, each part that is long or used
more than once becomes a named `Step`; steps are in the language of the Lepton library, which OpenMM, PLUMED and
Colvars share.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite

SHORT = 60
"""Characters up to which a part used once is written in place."""


@dataclass(frozen=True, eq=False)
class Input:
    """The number of an input, counted from 0."""

    number: int


@dataclass(frozen=True, eq=False)
class Affine:
    """``constant + sum_k coefficient_k formula_k``."""

    constant: float
    terms: tuple[tuple[float, Input | Apply], ...]


@dataclass(frozen=True, eq=False)
class Apply:
    """A function, or one of the operators ``*``, ``/``, ``^``, of formulas."""

    function: str
    arguments: tuple[Formula, ...]


Formula = float | Input | Affine | Apply


@dataclass(frozen=True)
class Step:
    """A named part: ``name = text``, where the text may name inputs and earlier steps.

    Attributes
    ----------
    name : of the part
    text : the formula
    uses : names of the inputs and steps in the text
    linear : constant and coefficients by name, where the part is nothing but a linear combination; else None
    """

    name: str
    text: str
    uses: tuple[str, ...]
    linear: tuple[float, dict[str, float]] | None


def combined(constant: float, terms: Sequence[tuple[float, Formula]]) -> Formula:
    """``constant + sum coefficient * formula``, with combinations of combinations made flat.

    Examples
    --------
    >>> x = Input(0)
    >>> combined(1.0, [(2.0, combined(3.0, [(0.5, x)])), (-1.0, x)])
    7.0
    """
    constant, found = float(constant), {}
    for coefficient, formula in terms:
        if isinstance(formula, Affine):
            constant += coefficient * formula.constant
            inner = formula.terms
        elif isinstance(formula, Input | Apply):
            inner = ((1.0, formula),)
        else:
            constant += coefficient * formula
            inner = ()
        for factor, part in inner:
            before = found.get(id(part), (0.0, part))[0]
            found[id(part)] = before + coefficient * factor, part
    kept = tuple((factor, part) for factor, part in found.values() if factor)
    if not kept:
        return constant
    if constant == 0.0 and len(kept) == 1 and kept[0][0] == 1.0:
        return kept[0][1]
    return Affine(constant, kept)


def times(a: Formula, b: Formula) -> Formula:
    """``a b``."""
    if isinstance(a, float | int):
        return combined(0.0, [(float(a), b)])
    if isinstance(b, float | int):
        return combined(0.0, [(float(b), a)])
    return Apply("*", (a, b))


def quotient(a: Formula, b: Formula) -> Formula:
    """``a / b``."""
    return combined(0.0, [(1.0 / float(b), a)]) if isinstance(b, float | int) else Apply("/", (a, b))


def with_floats(part: Formula | int | bool) -> Formula:
    """A formula, numbers of any kind as float."""
    return float(part) if isinstance(part, float | int) else part


def expanded_size(outputs: Sequence[Formula]) -> int:
    """How many symbols the outputs have when every part is written out in place, as parsers without sharing do."""
    sizes: dict[int, int] = {}
    for formula in _in_order(outputs):
        sizes[id(formula)] = 1 + sum(sizes.get(id(part), 1) for part in _parts(formula))
    return sum(sizes.get(id(output), 1) for output in outputs)


def ordered_parts(
    outputs: Sequence[Formula], inputs: Sequence[str], names: Sequence[str], prefix: str = "s"
) -> list[Step]:
    """The parts of some outputs in an order in which each uses only inputs and parts before it.

    Parameters
    ----------
    outputs : what is wanted
    inputs : names of the inputs
    names : of the outputs; each gets a step of its own
    prefix : of the names of other parts

    Examples
    --------
    >>> half = Apply("tanh", (combined(1.0, [(0.5, Input(0))]),))
    >>> [f"{step.name} = {step.text}" for step in ordered_parts([half, times(half, half)], ["d"], ["u", "v"])]
    ['s1 = tanh(1+0.5*d)', 'u = s1', 'v = s1*s1']

    Raises
    ------
    ValueError
        If a number in a formula is not finite.
    """
    # parts used more than once, or long, get a step of their own; others are written where they are used
    ordered = _in_order(outputs)
    uses: dict[int, int] = {}
    for formula in ordered:
        for part in _parts(formula):
            uses[id(part)] = uses.get(id(part), 0) + 1
    for output in outputs:
        uses[id(output)] = uses.get(id(output), 0) + 1
    # of each part: its text, the names it uses, and whether it needs parentheses inside another
    written: dict[int, tuple[str, tuple[str, ...], bool]] = {}
    found: list[Step] = []

    def text_of(part: Formula, bare: bool) -> tuple[str, tuple[str, ...]]:
        if isinstance(part, float | int):
            return _number(part, bare), ()
        text, used, compound = written[id(part)]
        return (text if bare or not compound else f"({text})"), used

    for formula in ordered:
        if isinstance(formula, Input):
            written[id(formula)] = inputs[formula.number], (inputs[formula.number],), False
            continue
        text, used, compound = _written(formula, text_of)
        if uses[id(formula)] > 1 or len(text) > SHORT:
            name = f"{prefix}{len(found) + 1}"
            found.append(Step(name, text, used, _linear(formula, text_of)))
            text, used, compound = name, (name,), False
        written[id(formula)] = text, used, compound
    for name, output in zip(names, outputs):
        text, used = text_of(output, True)
        linear = _linear(output, text_of) if isinstance(output, Affine) and text not in used else None
        found.append(Step(name, text, used, linear))
    return found


def one_line(written: Sequence[Step]) -> str:
    """Steps as one expression of Lepton: the last one, then the definitions of what it uses, latest first.

    Examples
    --------
    >>> half = Apply("tanh", (combined(1.0, [(0.5, Input(0))]),))
    >>> one_line(ordered_parts([times(half, half)], ["d"], ["u"]))
    's1*s1;s1=tanh(1+0.5*d)'
    """
    *before, last = written
    return ";".join([last.text, *(f"{step.name}={step.text}" for step in reversed(before))])


def _parts(formula: Formula) -> Iterator[Formula]:
    if isinstance(formula, Affine):
        yield from (part for _, part in formula.terms)
    elif isinstance(formula, Apply):
        yield from formula.arguments


def _in_order(outputs: Sequence[Formula]) -> list[Input | Affine | Apply]:
    """All parts that are no plain numbers, each once, after those it is made of."""
    ordered, known = [], set()
    pending = [(output, False) for output in reversed(outputs)]
    while pending:
        formula, ready = pending.pop()
        if isinstance(formula, float | int) or id(formula) in known:
            continue
        if ready:
            known.add(id(formula))
            ordered.append(formula)
        else:
            pending.append((formula, True))
            pending += [(part, False) for part in _parts(formula)]
    return ordered


def _written(formula: Affine | Apply, text_of) -> tuple[str, tuple[str, ...], bool]:
    """Text, names used, and whether it needs brackets inside another."""
    if isinstance(formula, Affine):
        pieces = [_number(formula.constant, True)] if formula.constant else []
        used: tuple[str, ...] = ()
        for coefficient, part in formula.terms:
            text, names = text_of(part, False)
            factor = {1.0: "", -1.0: "-"}.get(coefficient, f"{_number(coefficient, True)}*")
            pieces.append(f"{factor}{text}")
            used += names
        return "+".join(pieces).replace("+-", "-"), _once(used), True
    operator = formula.function in ("*", "/", "^")
    parts = [text_of(part, not operator) for part in formula.arguments]
    texts, used = [text for text, _ in parts], _once(sum((names for _, names in parts), ()))
    if operator:
        return formula.function.join(texts), used, True
    return f"{formula.function}({','.join(texts)})", used, False


def _linear(formula: Formula, text_of) -> tuple[float, dict[str, float]] | None:
    """Constant and coefficients of a combination of names."""
    if not isinstance(formula, Affine):
        return None
    parts = [(coefficient, *text_of(part, False)) for coefficient, part in formula.terms]
    if any(used != (text,) for _, text, used in parts):
        return None
    return formula.constant, {text: coefficient for coefficient, text, _ in parts}


def _number(value: float, bare: bool) -> str:
    if not isfinite(value):
        raise ValueError(f"a formula holds the number {value}; only finite ones can be written")
    text = f"{value:.15g}"
    return text if bare or value >= 0 else f"({text})"


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
