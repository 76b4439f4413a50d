"""Room for compiled programs, kept before the system has none left.

Each program that XLA compiled for the processor holds some 25 maps of memory, of which Linux grants a process 65,530
(``vm.max_map_count``). Beyond some 2,600 programs the next compilation ends the process with a segmentation fault,
which no ``except`` can catch. A session that fits or runs many systems of different size gets there. Whoever begins
long work that compiles asks here first; programs that are still in use are compiled again, once.
"""

from __future__ import annotations

from pathlib import Path

import jax

MOST = 0.5
"""Part of the maps of a process beyond which compiled programs are let go."""

LIMIT = Path("/proc/sys/vm/max_map_count")
"""Where Linux says how many maps a process may have; there is no such file elsewhere."""


def make_room_for_programs(most: float = MOST) -> bool:
    """Let JAX forget its compiled programs if this process has used more than ``most`` of its maps of memory.

    Returns whether it did. Does nothing on systems other than Linux.

    Examples
    --------
    >>> make_room_for_programs(most=1.0)
    False
    """
    try:
        granted = int(LIMIT.read_text())
        with Path("/proc/self/maps").open("rb") as maps:
            taken = sum(1 for _ in maps)
    except OSError:
        return False
    if taken <= most * granted:
        return False
    jax.clear_caches()
    return True
