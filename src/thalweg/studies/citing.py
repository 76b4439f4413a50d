"""What to cite for a fit: the works that the docstrings of its parts name."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from thalweg.learned_potentials.linear.regularization import CrossValidated, Ridge
from thalweg.references import cited_in, references


def cited(parts: Iterable[Any]) -> list[str]:
    """Keys of the works behind ``parts`` and all they are made of, in order of appearance.

    A class speaks for itself if its docstring cites something, else its module does.

    Examples
    --------
    >>> from thalweg.learned_potentials.linear.learner import Linear
    >>> from thalweg.representations.expansions.ace import ACE
    >>> cited([Linear(ACE())])
    ['drautz2019']
    """
    keys = [key for part in parts for one in _objects(part) for key in _keys(type(one))]
    return [key for key in dict.fromkeys(keys) if key in references()]


def _objects(part: Any) -> Iterator[Any]:
    """Objects of this package inside ``part``, itself first."""
    if isinstance(part, tuple | list):
        for one in part:
            yield from _objects(one)
    elif dataclasses.is_dataclass(part) and not isinstance(part, type | CrossValidated | Ridge):
        yield part
        for field in dataclasses.fields(part):
            yield from _objects(getattr(part, field.name))


def _keys(cls: type) -> list[str]:
    return cited_in(cls.__doc__ or "") or cited_in(sys.modules[cls.__module__].__doc__ or "")
