"""The contest: our own entries, methods and null models, judged on withheld problems, and hostile ones beside them.

The secret is drawn when the first part runs and kept, and is published with the rows: with it everybody can make the
same problems and check every row, whose page is made by ``thalweg contest board benchmarks/results/contest``.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import psutil

from thalweg.contest.board import Board
from thalweg.contest.entry import Entry, own_entries
from thalweg.contest.jail.protection import LIMITS_ONLY, strongest
from thalweg.contest.judging import PUBLIC, judge
from thalweg.contest.listing import TASKS, task_named
from thalweg.contest.rules.task import ContestTask
from thalweg.machine.whole_files import write_whole
from thalweg.report.benchmark import Row

BOARD = Path("benchmarks/results/contest")
SECRET = BOARD / "secret.txt"
HOSTILE = {
    "hostile_nan": "import numpy as np\ndef fit(given): return 0\n"
    "def answer(model, asked): return {'affinities': np.full(len(asked['core']), np.nan)}",
    "hostile_reader": "import os\ndef fit(given):\n"
    f"    for path in ({str(SECRET.resolve())!r}, f'/proc/{{os.getppid()}}/environ'):\n"
    "        if data := open(path, 'rb').read(): return data\n"
    "def answer(model, asked): raise SystemExit('has read')",
    "hostile_forever": "def fit(given):\n    while True: pass",
    "hostile_writer": "import os\ndef fit(given):\n    open('/tmp/written_elsewhere', 'w').write('here')",
    "hostile_printer": "def fit(given):\n    while True: print('x' * 10**6)",
    "hostile_children": "import os\ndef fit(given):\n    while True:\n"
    "        try: os.fork()\n        except OSError: pass",
}


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Each task with all our entries, and hostile ones; ``quick`` plays public problems of two cheap tasks."""
    del data
    tasks = TASKS if not quick else (task_named("affinities"), task_named("sampling-policies"))
    return {task.name: partial(own_rows, task, quick) for task in tasks} | {
        "hostile": partial(hostile_rows, quick)
    }


def own_rows(task: ContestTask, quick: bool) -> Iterator[Row]:
    """Our entries, the null model first."""
    entries = sorted(own_entries(task.name), key=lambda entry: not entry.words.startswith("Null model"))
    null = None
    for entry in entries:
        row = judge(task, entry, _secret(quick))
        if not quick:
            Board(BOARD).add(row)
        if row.value is None or row.error is None:
            yield Row(f"{task.name}: {entry.name}", None, task.unit, target=f"refused: {row.cause}")
            continue
        if null is None:
            null = row
            yield Row(f"{task.name}: {entry.name}, null model", row.value, task.unit, row.error)
        else:
            gain = (row.value - null.value) * (1 if task.larger_is_better else -1)
            met = gain > 3 * np.hypot(row.error, null.error)
            target = "better than the null model by three standard errors"
            yield Row(f"{task.name}: {entry.name}", row.value, task.unit, row.error, target, bool(met))
        said = f"{task.name}: {entry.name}, processor time of all problems"
        yield Row(said, row.cpu, "s", target="<= 120 s", met=row.cpu <= 120)


def hostile_rows(quick: bool) -> Iterator[Row]:
    """Entries that cheat or spoil, behind what walls there are and behind none: refused, and nothing left of them."""
    task, before = task_named("affinities"), _processes()
    for protection in (strongest(), LIMITS_ONLY):
        for name, code in HOSTILE.items():
            if not protection.files and name in ("hostile_reader", "hostile_writer"):
                continue  # nothing is promised there
            row = judge(task, Entry(name, code.encode()), _secret(quick), protection)
            if not quick and protection.files:
                Board(BOARD).add(replace(row, cause=row.cause.replace(str(SECRET.resolve()), SECRET.name)))
            left = len(_processes() - before)
            said = f"{name}, {protection.name}: {row.cause.replace(str(SECRET.resolve()), SECRET.name)[:90]}"
            yield Row(
                said,
                float(left),
                "processes left",
                target="refused, none left",
                met=bool(row.cause) and not left,
            )


def _secret(quick: bool) -> bytes:
    if quick:
        return PUBLIC
    if not SECRET.is_file():
        BOARD.mkdir(parents=True, exist_ok=True)
        write_whole(SECRET, secrets.token_hex(32))
    return SECRET.read_bytes().strip()


def _processes() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """All parts."""
    for part in parts(data, quick).values():
        yield from part()
