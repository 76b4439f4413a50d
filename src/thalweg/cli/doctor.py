"""Whether this machine can run Thalweg: what is there, what is missing, and what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from thalweg.cli.surroundings import cache_folder, data_folder
from thalweg.report.benchmark import processor_name

NEEDED = ("jax", "equinox", "numpy", "scipy", "openmm", "mdtraj", "ase", "vesin", "plotly", "chemiscope")
OPTIONAL = {"deeptime": "compare", "pytest": "test", "sphinx": "docs"}
"""Optional package -> the extra that installs it."""

SPACE_NEEDED = 1e9
"""Free disk space below which a run is likely to fail [bytes]."""


@dataclass(frozen=True)
class Check:
    """One line of the diagnosis: ``ok`` is None for what is good to know but not needed."""

    subject: str
    ok: bool | None
    says: str


def findings() -> Iterator[Check]:
    """All checks, needed ones first."""
    yield _python()
    for package in NEEDED:
        yield _package(package)
    yield _checked("OpenMM platforms", _openmm_platforms)
    yield _checked("JAX devices", _jax_devices)
    yield _checked("JAX computes", _jax_computes)
    yield _checked("writing here", lambda: _writable(Path.cwd()))
    yield _checked("compilation cache", lambda: _writable(cache_folder()))
    yield _checked("disk space", _disk_space)
    yield Check("processor", None, f"{processor_name()}, {os.cpu_count()} cores")
    for package, extra in OPTIONAL.items():
        known = find_spec(package) is not None
        yield Check(
            package, None, version(package) if known else f"not installed (pip install 'thalweg[{extra}]')"
        )
    data = data_folder()
    there = (
        f"{data.resolve()}"
        if data.is_dir()
        else f"not found at {data.resolve()}; set THALWEG_DATA (benchmarks only)"
    )
    yield Check("data folder", None, there)


def _python() -> Check:
    good = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Check("Python", good, platform.python_version() + ("" if good else "; use 3.11, 3.12 or 3.13"))


def _package(package: str) -> Check:
    try:
        return Check(package, True, version(package))
    except PackageNotFoundError:
        return Check(package, False, "not installed; run: pip install thalweg")


def _checked(subject: str, look: Callable[[], str]) -> Check:
    """What ``look`` says; a failure, whatever it is, is the finding."""
    try:
        return Check(subject, True, look())
    except Exception as error:
        return Check(subject, False, f"{type(error).__name__}: {error}")


def _openmm_platforms() -> str:
    from thalweg.interop.openmm.platforms import available_platforms

    return ", ".join(available_platforms())


def _jax_devices() -> str:
    import jax

    return ", ".join(str(device) for device in jax.devices())


def _jax_computes() -> str:
    import jax
    import jax.numpy as jnp

    value = float(jax.jit(lambda x: (x * x).sum())(jnp.arange(4.0)))
    if value != 14.0:
        raise ArithmeticError(f"0 + 1 + 4 + 9 gave {value}; reinstall jaxlib")
    return "yes"


def _writable(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder):
        return str(folder)


def _disk_space() -> str:
    free = shutil.disk_usage(Path.cwd()).free
    if free < SPACE_NEEDED:
        raise OSError(28, f"{free / 1e9:.2f} GB free here; a run needs {SPACE_NEEDED / 1e9:.0f} GB or more")
    return f"{free / 1e9:.0f} GB free"
