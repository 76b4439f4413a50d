"""Whether a process is there."""

from __future__ import annotations

import os


def is_alive(process: int) -> bool:
    """Whether a process of this number runs on this machine.

    Examples
    --------
    >>> is_alive(os.getpid())
    True
    """
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
