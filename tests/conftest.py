"""What all tests share: the folder of public data sets, and programs that are compiled once in a run.

Most of the time of a run goes into compilation, and two workers meet the same programs. They share a folder of compiled
programs that is made for the run and removed after it; a folder named by ``JAX_COMPILATION_CACHE_DIR`` is used instead.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from importlib import util
from pathlib import Path
from types import ModuleType

import jax
import pytest

from thalweg.cli.surroundings import data_folder

PROGRAMS = pytest.StashKey[str]()
"""The folder of compiled programs that this process made and removes."""


def pytest_configure(config: pytest.Config) -> None:
    """Workers are told the folder by the process that started them (`pytest_configure_node`)."""
    told = getattr(config, "workerinput", {}).get("programs") or os.environ.get("JAX_COMPILATION_CACHE_DIR")
    if told is None:
        told = config.stash[PROGRAMS] = tempfile.mkdtemp(prefix="thalweg-programs-")
    jax.config.update("jax_compilation_cache_dir", told)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node) -> None:
    """Called by pytest-xdist before it starts a worker."""
    node.workerinput["programs"] = jax.config.jax_compilation_cache_dir


def pytest_unconfigure(config: pytest.Config) -> None:
    if PROGRAMS in config.stash:
        shutil.rmtree(config.stash[PROGRAMS], ignore_errors=True)


@pytest.fixture(scope="session")
def data_set() -> Callable[..., Path]:
    """``data_set("potentials", "rmd17")``: that part of the public data; where it is absent, the test is skipped."""

    def found(*parts: str) -> Path:
        path = data_folder().joinpath(*parts).resolve()
        if not path.exists():
            pytest.skip(f"no {path}; set THALWEG_DATA to the folder of public data sets")
        return path

    return found


@pytest.fixture(scope="session")
def failing_disk() -> ModuleType:
    """Disks that fail at a chosen operation; see ``machine/failing_disk.py``."""
    path = Path(__file__).parent / "machine" / "failing_disk.py"
    spec = util.spec_from_file_location("failing_disk", path)
    module = util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
