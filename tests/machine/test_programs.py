"""Compiled programs are let go before the system grants no more memory maps."""

from __future__ import annotations

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from thalweg.machine.programs import make_room_for_programs

linux = pytest.mark.skipif(sys.platform != "linux", reason="counts the memory maps of Linux")


def maps() -> int:
    return len(Path("/proc/self/maps").read_text().splitlines())


@linux
def test_programs_are_forgotten_when_maps_run_short_and_compiled_again_when_called():
    square = jax.jit(lambda x: x**2)
    kept = [square(jnp.ones(n)) for n in range(1, 30)]
    before = maps()
    granted = int(Path("/proc/sys/vm/max_map_count").read_text())
    assert not make_room_for_programs(most=2 * before / granted)
    assert make_room_for_programs(most=0.5 * before / granted)
    assert maps() < before - 29
    assert [float(square(jnp.full(n, 3.0))[0]) for n in (1, 29)] == [9.0, 9.0]
    assert all(float(one.sum()) == one.size for one in kept)
