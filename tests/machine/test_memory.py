"""What cannot fit is refused before it starts."""

from __future__ import annotations

import psutil
import pytest

from thalweg.machine.memory import available_memory, require_memory


def test_what_is_available_is_less_than_what_the_machine_has():
    assert 0 < available_memory() <= psutil.virtual_memory().total


def test_twice_the_memory_there_is_is_refused_with_both_numbers_and_half_is_not():
    there = available_memory()
    require_memory(there / 2, "half")
    with pytest.raises(
        MemoryError, match=r"kernel; use fewer frames: needs [\d,.]+ GB, [\d,.]+ GB can be had"
    ):
        require_memory(2 * there, "kernel; use fewer frames")
