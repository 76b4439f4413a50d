"""Landlock, a lock that a Linux process puts on itself: from then on it and its children see only the folders named.

It needs no rights and no other program, Linux 5.13 or later. Rights that a kernel does not know yet are not asked for.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Sequence
from functools import cache

CREATE, ADD_RULE, RESTRICT = 444, 445, 446
"""Numbers of the system calls, the same on all processors."""

EXECUTE, READ_FILE, READ_FOLDER = 1 << 0, 1 << 2, 1 << 3
SEEING = EXECUTE | READ_FILE | READ_FOLDER
DEVICES = 1 << 1 | READ_FILE
ALL = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
"""Rights over files that each version of Landlock handles."""

OF_FILES = EXECUTE | 1 << 1 | READ_FILE | 1 << 14 | 1 << 15
"""Rights that a rule on a single file may grant."""

NO_NEW_PRIVILEGES, VERSION = 38, 1


@cache
def version() -> int:
    """Version of Landlock that the kernel has; 0 where there is none."""
    if sys.platform != "linux":
        return 0
    return max(0, _libc().syscall(CREATE, None, 0, VERSION))


def confine(readable: Sequence[str], writable: Sequence[str]) -> None:
    """Let this process read and run what is below ``readable``, do anything below ``writable``, and nothing else.

    Raises
    ------
    OSError
        If the kernel has no Landlock or refuses.
    """
    libc, rights = _libc(), ALL[min(version(), 5) or 1]
    handled = struct.pack("Q", rights)
    lock = _done(libc.syscall(CREATE, handled, len(handled), 0))
    for path in readable:
        _allow(lock, path, DEVICES if path.startswith("/dev/") else SEEING)
    for path in writable:
        _allow(lock, path, rights)
    _done(libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    _done(libc.syscall(RESTRICT, lock, 0))
    os.close(lock)


def _allow(lock: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # not on this system
    if not os.path.isdir(path):
        rights &= OF_FILES
    _done(
        _libc().syscall(ADD_RULE, lock, 1, struct.pack("=Qi", rights & ALL[min(version(), 5) or 1], place), 0)
    )
    os.close(place)


def _done(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"Landlock: {os.strerror(number)}")
    return result


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
