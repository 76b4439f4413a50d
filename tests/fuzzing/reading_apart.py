"""Reads damaged files one after another and says of each, before it is read and after, what becomes of it.

``python reading_apart.py READER FOLDER FIRST STOP`` writes a line per input: its number and a tab when it begins, then
``read``, ``refused`` or ``raw`` and what was raised. Whoever reads these lines knows which input killed or held it.
"""

from __future__ import annotations

import os
import re
import resource
import signal
import sys
import warnings
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzzing.mutations import mutated
from fuzzing.readers import READERS

from thalweg.cli.mistakes import is_mistake, sentence

SEED = os.environ.get("THALWEG_FUZZ_SEED", "20251")
MEMORY = 8 << 30
"""Address space of this process [bytes]; a file that asks for more is damaged."""

PATIENCE = 10.0
"""Seconds of work after which a reader hangs."""

EXECUTED = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "subprocess.Popen",
    "pickle.find_class",
    "socket.connect",
)
"""Events of Python that no reader may cause."""

OF_PYTHON = re.compile(
    r"unpack|object is not|has no attribute|positional argument|list index|out of bounds|NoneType|__\w+__|not iterable"
)
"""Words of messages that Python has for programmers."""


def main(name: str, folder: Path, first: int, stop: int) -> None:
    reader = READERS[name]
    reader.write(folder)
    path = folder / reader.name
    content = path.read_bytes()
    warnings.simplefilter("ignore")
    reader.read(path)  # what is imported late is here now
    marks: list[str] = []
    sys.addaudithook(lambda event, _: marks.append(event) if event in EXECUTED else None)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for number in range(first, stop):
        path.write_bytes(mutated(content, Random(f"{SEED} {name} {number}")))
        say(f"{number}\t")
        marks.clear()
        signal.setitimer(signal.ITIMER_PROF, PATIENCE)  # ends the process
        said = outcome(reader.read, path)
        signal.setitimer(signal.ITIMER_PROF, 0)
        say(f"{f'raw executed {marks}' if marks else said}\n")


def outcome(read, path: Path) -> str:
    """What became of one input."""
    try:
        read(path)
    except Exception as error:
        told = sentence(error)
        if is_mistake(error) and "\n" not in told.strip() and not OF_PYTHON.search(told):
            return f"refused {told}"
        return f"raw {type(error).__module__}.{type(error).__name__}: {told!r} from {place(error)}"
    return "read"


def place(error: BaseException) -> str:
    """Where in this package an error came by last."""
    found, step = "", error.__traceback__
    while step is not None:
        if "thalweg" in step.tb_frame.f_code.co_filename:
            found = f"{Path(step.tb_frame.f_code.co_filename).name}:{step.tb_lineno}"
        step = step.tb_next
    return found


def say(text: str) -> None:
    os.write(1, text.encode("utf-8", "replace"))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
