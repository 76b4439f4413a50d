"""What every model and every method can do besides its own: show itself in a line or a table, be saved, answer to
familiar names with ours.

A model is shown by the numbers that matter of it, `Model.headline`: in a line where Python prints a bare object, in a
table where a notebook does. ``print(model)`` says all.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from html import escape
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from thalweg.learning.familiar_names import hint

M = TypeVar("M", bound="Model")

LONGEST = 60
"""Characters of one entry in a line."""


class _Named:
    """An object that says what it calls what is asked for by a familiar name."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or hasattr(type(self), name):
            # a property that failed by an AttributeError of its own comes here as well: let it be seen
            return object.__getattribute__(self, name)
        raise AttributeError(hint(type(self), name), name=name, obj=self)


class Method(_Named):
    """A method with ``fit(data)``, which returns its model."""


class Transforming(Method):
    """A method whose model has ``transform(data)``."""

    def fit_transform(self: Any, data: Any) -> Any:
        """The data as the model that was fitted to them sees them: ``fit(data).transform(data)``."""
        return self.fit(data).transform(data)


class Labeling(Transforming):
    """A method whose model gives every frame a state."""

    def fit_predict(self: Any, data: Any) -> Any:
        """The state of every frame: ``fit(data).transform(data)``."""
        return self.fit_transform(data)


class Model(_Named):
    """What a method found, or data it was found in: shown in short, saved and loaded.

    Examples
    --------
    >>> from thalweg.collective_variables.linear.pca import PCA
    >>> PCA(dim=1).fit(np.arange(6.0).reshape(3, 2))
    PCAModel(features=2, components=1, variance=100 %)
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # a dataclass writes its own unless the class has one
        if "__repr__" not in cls.__dict__:
            cls.__repr__ = Model.__repr__

    def headline(self) -> Mapping[str, Any]:
        """The numbers that matter, by name; all fields if the model does not say."""
        assert is_dataclass(self)
        return {each.name: getattr(self, each.name) for each in fields(self) if each.repr}

    def __repr__(self) -> str:
        entries = ", ".join(
            f"{name.replace(' ', '_')}={_in_short(value)}" for name, value in self._shown().items()
        )
        return f"{type(self).__name__}({entries})"

    def _repr_html_(self) -> str:
        """The same as a table, as notebooks show it."""
        cell = "style='text-align:left'"
        rows = "".join(
            f"<tr><th {cell}>{escape(name)}</th><td {cell}>{escape(_in_short(value))}</td></tr>"
            for name, value in self._shown().items()
        )
        return f"<table><caption><b>{escape(type(self).__name__)}</b></caption><tbody>{rows}</tbody></table>"

    def _shown(self) -> Mapping[str, Any]:
        """`headline`, or what went wrong with it: to be looked at never ends anything."""
        try:
            return self.headline()
        except Exception as error:
            return {"cannot be shown": str(error) or type(error).__name__}

    def save(self, path: str | os.PathLike) -> Path:
        """Write the model to a file that executes nothing when it is read; see `save_tree`.

        Raises
        ------
        TypeError
            If something in it cannot be kept in a file, such as a function; the message says where it is.
        """
        from thalweg.learning.storage import save_tree

        return save_tree(path, self)

    @classmethod
    def load(cls: type[M], path: str | os.PathLike) -> M:
        """The model in the file at ``path``.

        Raises
        ------
        ValueError
            If the file is damaged, of another kind, or holds something else than such a model.
        """
        from thalweg.learning.storage import load_tree

        model = load_tree(path)
        if not isinstance(model, cls):
            raise ValueError(f"{path} holds a {type(model).__name__}, wanted is a {cls.__name__}")
        return model


def _in_short(value: Any) -> str:
    """A value in a few words: numbers as they are, of arrays and objects what they are.

    Examples
    --------
    >>> _in_short(np.zeros((3, 2))), _in_short(np.array([0.25, 120.123456])), _in_short({"a": 1})
    ('array (3, 2)', '0.25, 120.1', "{'a': 1}")
    """
    if isinstance(value, np.ndarray) and value.ndim == 1 and 0 < len(value) <= 6 and value.dtype.kind in "fc":
        return ", ".join(f"{number:.4g}" for number in value)
    if hasattr(value, "shape") and hasattr(value, "dtype") and np.ndim(value):
        return f"array {tuple(value.shape)}"
    if isinstance(value, float | np.floating):
        return f"{value:.6g}"
    if isinstance(value, str | int | np.integer) or value is None:
        return str(value)
    if is_dataclass(value) or callable(value):
        text = "" if isinstance(value, Model) else repr(value)
        return text if text and len(text) <= LONGEST and "\n" not in text else type(value).__name__
    if isinstance(value, Mapping | Sequence | set):
        text = repr(value)
        short = len(text) <= LONGEST and "array" not in text
        return text if short else f"{type(value).__name__} of {len(value)}"
    return type(value).__name__
