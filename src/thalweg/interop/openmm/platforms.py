"""Where OpenMM can compute on this machine."""

from __future__ import annotations

import openmm


def available_platforms() -> tuple[str, ...]:
    """Names of OpenMM's platforms that loaded, slowest first.

    Examples
    --------
    >>> "Reference" in available_platforms()
    True
    """
    found = (openmm.Platform.getPlatform(i) for i in range(openmm.Platform.getNumPlatforms()))
    return tuple(platform.getName() for platform in sorted(found, key=lambda platform: platform.getSpeed()))
