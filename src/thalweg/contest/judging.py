"""A judgment: an entry plays every problem that a seed makes, each in a process of its own, and gets a row."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import numpy as np

from thalweg import __version__
from thalweg.contest.board import BoardRow
from thalweg.contest.entry import Entry
from thalweg.contest.jail.jail import confined
from thalweg.contest.jail.messages import Refused
from thalweg.contest.jail.protection import Protection, strongest
from thalweg.contest.rules.task import ContestTask, Score, over_problems

PUBLIC = b""
"""The seed that is no secret, of problems to practice on."""

SHORTEST = 16
"""Bytes of a secret: fewer could be found by trying all and comparing with its digest."""


def judge(
    task: ContestTask,
    entry: Entry,
    secret: bytes = PUBLIC,
    protection: Protection | None = None,
    progress: Callable[[str, float], None] = lambda what, part: None,
) -> BoardRow:
    """Judge ``entry``; nothing that it does is raised here, all of it becomes its row.

    The answers exist in this process alone. It makes each problem from ``secret`` and gives the entry's process what is
    asked and nothing else.

    Parameters
    ----------
    secret : of the withheld problems; the default are the public ones, to practice on
    protection : what the entry runs behind; the strongest that is to be had by default
    progress : is told what is done and how much of all that is

    Raises
    ------
    ValueError
        If the secret is too short.
    """
    if secret != PUBLIC and len(secret) < SHORTEST:
        raise ValueError(
            f"a secret of {len(secret)} bytes can be guessed; give at least {SHORTEST}, made at random"
        )
    protection = strongest() if protection is None else protection
    scores: list[Score] = []
    cpu, memory, cause = 0.0, 0, ""
    for number, seed in enumerate(seeds(task, secret)):
        progress(f"{entry.name}: problem {number + 1} of {task.problems}", number / task.problems)
        problem = task.problem(seed)
        with confined(entry.code, task.limits, protection) as running:
            try:
                running.fit(problem.given)
                with np.errstate(all="ignore"):
                    scores.append(problem.play(running.ask))
            except Refused as refusal:
                cause = str(refusal)
            except (ArithmeticError, ValueError, np.linalg.LinAlgError) as error:
                cause = f"answer cannot be scored ({type(error).__name__})"
        cpu, memory = cpu + running.usage.cpu, max(memory, running.usage.memory)
        if not cause and not np.isfinite([scores[-1].value, scores[-1].error]).all():
            cause = "answer cannot be scored"
        if cause:
            break
    mean = None if cause else over_problems(tuple(scores))
    return BoardRow(
        task.name, entry.name, entry.digest, entry.words, datetime.now(UTC).isoformat(), __version__,
        commitment(secret), protection.in_words(), () if cause else tuple(score.value for score in scores),
        None if mean is None else mean.value, None if mean is None else mean.error,
        round(cpu, 2), memory, _in_a_line(cause),
    )  # fmt: skip


def seeds(task: ContestTask, secret: bytes) -> Sequence[np.random.SeedSequence]:
    """One for each problem; those of two tasks have nothing in common.

    Examples
    --------
    >>> from thalweg.contest.tasks.affinities import AffinitiesTask
    >>> len(seeds(AffinitiesTask(), PUBLIC))
    4
    """
    entropy = hashlib.sha256(task.name.encode() + b"\0" + secret).digest()
    return np.random.SeedSequence(int.from_bytes(entropy, "big")).spawn(task.problems)


def commitment(secret: bytes) -> str:
    """What may be published of a secret before it is: its SHA-256; ``"public"`` for the public seed."""
    return hashlib.sha256(secret).hexdigest() if secret != PUBLIC else "public"


def _in_a_line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:300]
