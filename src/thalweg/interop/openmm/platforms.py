"""Where OpenMM can compute on this machine, and where it is quickest to."""

from __future__ import annotations

import openmm

SMALL = 350
SMALL_IN_SOLVENT = 170
SMALL_WITH_PME = 50
"""Atoms up to which the Reference platform, with no threads to wait for, is the fastest on a processor."""

GRAPHICS = ("CUDA", "HIP", "OpenCL")
"""Platforms taken before any processor platform where they are there and the system is not small."""

THREADS, DETERMINISTIC = "Threads", "DeterministicForces"
"""Properties of platforms: a processor gives the same numbers twice with one thread, a graphics card if told to."""


def available_platforms() -> tuple[str, ...]:
    """Names of OpenMM's platforms that loaded, slowest first.

    Examples
    --------
    >>> "Reference" in available_platforms()
    True
    """
    found = (openmm.Platform.getPlatform(i) for i in range(openmm.Platform.getNumPlatforms()))
    return tuple(platform.getName() for platform in sorted(found, key=lambda platform: platform.getSpeed()))


def fastest_platform(system: openmm.System, graphics: bool = True) -> str:
    """Name of the platform that is fastest for ``system``; ``graphics`` are left out if asked.

    Examples
    --------
    >>> fastest_platform(openmm.System())
    'Reference'
    """
    small = min((_small_with(force) for force in system.getForces()), default=SMALL)
    if system.getNumParticles() <= small:
        return "Reference"
    known = available_platforms()
    return next((name for name in GRAPHICS if graphics and name in known), "CPU")


def reproducible(platform: openmm.Platform, threads: int = 1) -> dict[str, str]:
    """Settings with which ``platform`` gives the same numbers each time, if ``threads`` is one."""
    known = platform.getPropertyNames()
    if THREADS in known:
        return {THREADS: str(threads)}
    return {DETERMINISTIC: "true"} if DETERMINISTIC in known else {}


def _small_with(force: openmm.Force) -> int:
    if isinstance(force, openmm.NonbondedForce) and force.getNonbondedMethod() >= force.Ewald:
        return SMALL_WITH_PME
    return SMALL_IN_SOLVENT if isinstance(force, openmm.GBSAOBCForce | openmm.CustomGBForce) else SMALL
