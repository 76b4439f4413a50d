"""Plans as files: the tasks of a round, committed before any of them runs, JSON that can ask for nothing but work."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from thalweg.machine.reading import reading
from thalweg.machine.surviving import reason
from thalweg.registry import UnknownName, name_of, resolve
from thalweg.sampling.policy import Planner, Task
from thalweg.sampling.store import Store, StoreError, named, write_json

VERSION = 2
"""Of the format of plans; version 1 named modules instead of what is public."""


def planned(store: Store, policy: Planner, k: int) -> list[Task]:
    """The tasks of round ``k``, committed before any of them runs."""
    entry = f"plans/{k:05d}"
    if not store.has(entry):
        tasks = [{"id": task.id, "work": plain(task.work)} for task in policy.plan(store, k)]
        store.commit(
            entry, lambda folder: write_json(folder / "plan.json", {"version": VERSION, "tasks": tasks})
        )
    return read_plan(store.file(entry, "plan.json"))


def read_plan(path: Path) -> list[Task]:
    """The tasks of the plan in the file at ``path``.

    Raises
    ------
    StoreError
        If it is in another version of the format, or asks for what is no work.
    UnreadableFile
        If it is no plan.
    """
    advice = f"remove {path.parent} and go on: it is made again"
    with reading(path, "a plan", advice):
        plan = json.loads(path.read_text("utf-8"))
    if not isinstance(plan, dict) or plan.get("version") != VERSION:
        raise StoreError(
            f"{path} is in another version of the format of plans, of an earlier or later Thalweg; this one reads "
            f"version {VERSION}: start a new run"
        )
    with reading(path, "a plan", advice):
        tasks = [(task["id"], task["work"]) for task in plan["tasks"]]
    return [Task(named(entry), from_plain(work)) for entry, work in tasks]


def plain(work: Any) -> Any:
    """``work`` as JSON: dataclasses become objects that name their class as in `thalweg.registry`.

    Raises
    ------
    TypeError
        If something in it is not plain: an array, a function.
    UnknownName
        If a class has no public name.

    Examples
    --------
    >>> from thalweg.sampling.restarts.uncertainty import Uncertainty
    >>> plain(Uncertainty(transitions=5.0))
    {'is': 'sampling.Uncertainty', 'transitions': 5.0, 'prior': 1.0}
    >>> from_plain(plain(Uncertainty()))
    Uncertainty(transitions=10.0, prior=1.0)
    """
    if dataclasses.is_dataclass(work):
        content = {f.name: plain(getattr(work, f.name)) for f in dataclasses.fields(work) if f.init}
        return {"is": name_of(type(work))} | content
    if isinstance(work, list | tuple):
        return [plain(item) for item in work]
    if isinstance(work, dict):
        return {"is": "dict", "items": {key: plain(value) for key, value in work.items()}}
    if work is None or isinstance(work, str | int | float | bool):
        return work
    raise TypeError(f"{work!r} is no plain data; a plan holds numbers, texts, lists and dataclasses of these")


def from_plain(content: Any) -> Any:
    """The inverse of `plain`; lists come back as tuples. Nothing but dataclasses that have a name is made.

    Raises
    ------
    StoreError
        If a name is unknown, is that of no dataclass, or its fields are others or of another kind.
    """
    if isinstance(content, dict) and content.get("is") == "dict":
        if not isinstance(content.get("items"), dict):
            raise StoreError("a plan has a table without items; remove the plan and run again")
        return {key: from_plain(value) for key, value in content["items"].items()}
    if isinstance(content, dict):
        try:
            made = resolve(str(content.get("is")))
        except UnknownName as error:
            raise StoreError(f"a plan asks for what is not there: {error}") from None
        if not (isinstance(made, type) and dataclasses.is_dataclass(made)):
            raise StoreError(
                f"a plan asks for {content['is']}, which is no work; remove the plan and run again"
            )
        fields = {name: from_plain(value) for name, value in content.items() if name != "is"}
        known = [field.name for field in dataclasses.fields(made) if field.init]
        if set(fields) != set(known):
            raise StoreError(
                f"a plan gives {content['is']} the fields {', '.join(map(repr, fields))}; it has {', '.join(known)}: "
                "the plan is of another version"
            )
        try:
            return made(**fields)
        except StoreError:
            raise
        except Exception as error:
            raise StoreError(
                f"a plan gives {content['is']} what it does not take ({reason(error)}); remove the plan and run again"
            ) from error
    if isinstance(content, list):
        return tuple(from_plain(item) for item in content)
    return content
