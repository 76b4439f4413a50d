"""What is cheap to try against the judge is refused with its cause, costs no more than its limits, leaves nothing."""

from __future__ import annotations

import os
from dataclasses import replace

import psutil
import pytest

from thalweg.contest.entry import Entry
from thalweg.contest.jail.protection import LIMITS_ONLY, strongest
from thalweg.contest.judging import judge
from thalweg.contest.rules.task import EntryLimits
from thalweg.contest.tasks.affinities import AffinitiesTask

SMALL = EntryLimits(
    cpu=2.0, wall=20.0, memory=150_000_000, processes=8, files=8_000_000, answer=100_000, printed=100_000
)
TASK = replace(AffinitiesTask(), problems=1, limits=SMALL)
ANSWER = (
    "import numpy as np\ndef fit(given): return 0\ndef answer(model, asked):\n    n = len(asked['core'])\n"
)
HOSTILE = {
    "not numbers": (ANSWER + "    return {'affinities': np.full(n, np.nan)}", "664 of 664 numbers are not finite"),
    "one infinite": (ANSWER + "    return {'affinities': np.r_[np.inf, np.zeros(n - 1)]}", "1 of 664"),
    "wrong shape": (ANSWER + "    return {'affinities': np.zeros(n + 1)}", "shape (665,); asked for (664,)"),
    "wrong name": (ANSWER + "    return {'energies': np.zeros(n)}", "answer holds energies; asked for affinities"),
    "text": (ANSWER + "    return {'affinities': np.full(n, '7')}", "numbers are asked for"),
    "large answer": (ANSWER + "    return {'affinities': np.zeros(10**6)}", "more than the 100,000 allowed"),
    "objects": (
        "import io, struct, numpy as np, zipfile, os\n"
        "def fit(given):\n"
        "    data = io.BytesIO(); np.savez(data, ready=np.array([print], dtype=object))\n"
        "    for pipe in range(3, 10):\n"
        "        try: os.write(pipe, struct.pack('>Q', len(data.getvalue())) + data.getvalue())\n"
        "        except OSError: pass\n",
        "not Python objects",
    ),
    "a shape that would fill the memory": (
        "import io, os, struct, zipfile\n"
        "def fit(given):\n"
        "    head = b\"{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999999,), }\\n\"\n"
        "    array = b'\\x93NUMPY\\x01\\x00' + struct.pack('<H', len(head)) + head\n"
        "    data = io.BytesIO()\n"
        "    with zipfile.ZipFile(data, 'w') as file: file.writestr('ready.npy', array)\n"
        "    for pipe in range(3, 10):\n"
        "        try: os.write(pipe, struct.pack('>Q', len(data.getvalue())) + data.getvalue())\n"
        "        except OSError: pass\n",
        "shape (9999999999999,); asked for (1,)",
    ),
    "a length that would fill the memory": (
        "import os\nfor pipe in range(3, 10):\n    try: os.write(pipe, b'\\x7f' * 8)\n    except OSError: pass\n",
        "more than the 100,000 allowed",
    ),
    "ends at once": ("import os\nos._exit(0)", "ended without an answer"),
    "no functions": ("x = 1", "the file defines no function fit"),
    "no Python": ("def fit(", "SyntaxError"),
    "runs for ever": ("def fit(given):\n    while True: pass", "more than 2 s of processor time"),
    "many children": (
        "import os, time\ndef fit(given):\n    while True:\n        try: os.fork()\n        except OSError: pass",
        "took|had more than",
    ),
    "all memory": (
        "import numpy as np\ndef fit(given):\n    held = []\n    while True: held.append(np.ones(10**7))",
        "more than 0.15 GB of memory",
    ),
    "prints without end": ("def fit(given):\n    while True: print('x' * 10**5)", "printed more than 0.1 MB"),
    "fills the disk": (
        "def fit(given):\n    for k in range(10**6): open(f'f{k}', 'wb').write(b'x' * 10**6)",
        "wrote more than 8 MB",
    ),
}  # fmt: skip


def refused(code: str, protection=None) -> str:
    """The cause for which an entry is refused; nothing of it may be left."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    row = judge(TASK, Entry("hostile", code.encode()), protection=protection)
    left = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
    assert left == []
    assert row.value is None
    assert row.values == ()
    assert row.cpu < 2 * SMALL.cpu + 1
    return row.cause


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_entry_is_refused_with_its_cause(name):
    code, cause = HOSTILE[name]
    found = refused(code)
    assert any(part in found for part in cause.split("|")), found


@pytest.mark.parametrize("name", ["many children", "runs for ever", "prints without end"])
def test_limits_hold_without_any_wall(name):
    code, cause = HOSTILE[name]
    found = refused(code, LIMITS_ONLY)
    assert any(part in found for part in cause.split("|")), found


@pytest.mark.parametrize("protection", [None, LIMITS_ONLY], ids=["strongest", "limits only"])
def test_a_child_that_leaves_its_parent_is_ended_too(protection):
    code = (
        "import os, time\ndef fit(given):\n    if os.fork() == 0:\n        os.setsid()\n"
        "        if os.fork() == 0: time.sleep(1000)\n        os._exit(0)\n    os.wait()\n    raise SystemExit('gone')"
    )
    assert "gone" in refused(code, protection)


def test_sleeping_ends_by_the_clock():
    task = replace(TASK, limits=replace(SMALL, wall=1.5))
    row = judge(task, Entry("sleeper", b"import time\ndef fit(given): time.sleep(1000)"))
    assert "by the clock" in row.cause


@pytest.fixture
def walled() -> None:
    if not strongest().whole:
        pytest.skip(f"this machine has no walls: {strongest().in_words()}")


@pytest.mark.usefixtures("walled")
def test_other_files_can_neither_be_read_nor_written(tmp_path):
    secret, mark = tmp_path / "seed", tmp_path / "mark"
    secret.write_text("withheld")
    assert "withheld" not in (cause := refused(f"raise SystemExit(open({str(secret)!r}).read())"))
    assert "Error" in cause
    assert "Error" in refused(f"open({str(mark)!r}, 'w').write('here')")
    assert not mark.exists()


@pytest.mark.usefixtures("walled")
def test_the_judge_can_not_be_looked_into():
    judge_ = os.getpid()
    for what in ("mem", "environ", "cmdline"):
        assert "No such file" in refused(f"raise SystemExit(open('/proc/{judge_}/{what}', 'rb').read(100))")
    assert "ProcessLookupError" in refused(f"import os\nos.kill({judge_}, 0)")


@pytest.mark.usefixtures("walled")
def test_there_is_no_network():
    assert "Network is unreachable" in refused("import socket\nsocket.create_connection(('10.0.0.1', 80), 2)")


def test_the_environment_of_the_judge_stays_with_it(monkeypatch):
    monkeypatch.setenv("CONTEST_SECRET", "withheld")
    assert "withheld" not in refused("import os\nraise SystemExit(str(dict(os.environ)))")
