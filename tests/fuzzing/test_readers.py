"""No damaged file ends in anything but a line for the user: no raw exception, no dead process, no hang, nothing
executed.

``THALWEG_FUZZ=3000`` tries so many inputs of each reader, ``THALWEG_FUZZ_SEED=7`` others.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest
from fuzzing.mutations import KINDS

CHILD = Path(__file__).with_name("reading_apart.py")
INPUTS = int(os.environ.get("THALWEG_FUZZ", "150"))
PATIENCE = 300.0
"""Seconds without a word after which a process waits for what never comes; one that works too long ends itself."""

NAMES = (
    "extxyz", "DCD", "XTC", "TRR", "NetCDF", "mdcrd", "lammpstrj", "GRO", "PDB", "PDB trajectory", "mmCIF", "prmtop",
    "inpcrd", "PSF", "System XML", "study", "fit study", "model", "tree", "arrays", "plan", "COLVAR", "HILLS",
)  # fmt: skip


@dataclass
class Tally:
    """What became of the inputs of one reader: numbers of those that were read and refused, and the others in words."""

    read: int = 0
    refused: int = 0
    raw: list[str] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)
    hung: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        bad = f"{len(self.raw)} raw, {len(self.dead)} dead, {len(self.hung)} hung"
        return f"{self.read} read, {self.refused} refused, {bad}"


def tried(name: str, folder: Path, inputs: int) -> Tally:
    """What becomes of so many damaged files, whoever dies or hangs started again after it."""
    tally, first = Tally(), 0
    while first < inputs:
        first = _until_stopped(name, folder, first, inputs, tally)
    return tally


def _until_stopped(name: str, folder: Path, first: int, inputs: int, tally: Tally) -> int:
    """Read from input ``first`` on in one process; the first input that is left."""
    command = [sys.executable, str(CHILD), name, str(folder), str(first), str(inputs)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        current, begun, waiting = first, False, b""
        ready = selectors.DefaultSelector()
        ready.register(process.stdout, selectors.EVENT_READ)
        while True:
            if not ready.select(PATIENCE):
                process.kill()
                tally.hung.append(f"input {current}")
                return current + 1
            part = os.read(process.stdout.fileno(), 65536)
            if not part:
                break
            *lines, waiting = (waiting + part).split(b"\n")
            for line in lines:
                _count(line.decode(errors="replace"), tally)
                current += 1
            begun = bool(waiting)
        if process.wait() == 0:
            return inputs
        assert begun or current > first, process.stderr.read().decode(errors="replace")
        hung = process.returncode == -signal.SIGPROF
        (tally.hung if hung else tally.dead).append(f"input {current} (status {process.returncode})")
        return current + 1


def _count(line: str, tally: Tally) -> None:
    number, _, said = line.partition("\t")
    if said.startswith("raw"):
        tally.raw.append(f"input {number}: {said}")
    elif said.startswith("refused"):
        tally.refused += 1
    else:
        tally.read += 1


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_whatever_happened_to_a_file_its_reader_says_so_in_a_line(name, tmp_path):
    tally = tried(name, tmp_path, INPUTS)
    print(f"{name}: {tally}")
    assert [*tally.raw, *tally.dead, *tally.hung] == []
    assert tally.read + tally.refused == INPUTS
    assert tally.refused > INPUTS // 10


def test_every_kind_of_damage_is_the_same_for_the_same_seed():
    content = b"1 2.5 3\nH 0 0 1e3\n" * 20
    for kind in KINDS:
        assert kind(content, Random(5)) == kind(content, Random(5))
        assert any(kind(content, Random(seed)) != content for seed in range(20))
