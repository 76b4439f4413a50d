"""What all tests share: the folder of public data sets, and programs that are compiled once in a run.

Most of the time of a run goes into compilation, and two workers and the next run meet the same programs. Compiled
programs are kept in the virtual environment, apart for every processor and version of JAX; JAX itself tells programs,
compilers and flags apart. Without a virtual environment they are kept for the run alone, and a folder named by
``JAX_COMPILATION_CACHE_DIR`` is used instead of either.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import util
from pathlib import Path
from types import ModuleType

import jax
import pytest

from thalweg.cli.surroundings import data_folder
from thalweg.machine import make_room_for_programs

PROGRAMS = pytest.StashKey[str]()
"""The folder of compiled programs that this process made and removes."""

MOST_PROGRAMS = 2e9
"""Bytes of kept programs beyond which the older half is removed at the end of a run: old code asks for them no more."""


def kept_programs() -> Path | None:
    """Where compiled programs lie from run to run; None outside of a virtual environment that can be written to."""
    if sys.prefix == sys.base_prefix or not os.access(sys.prefix, os.W_OK):
        return None
    try:
        # programs are compiled for the instructions of this processor, which the keys of JAX do not know
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = "".join(
            sorted({line for line in lines if line.startswith(("flags", "model name", "Features"))})
        )
    except OSError:
        processor = platform.processor()
    told = f"{jax.__version__} {jax.lib.__version__} {platform.machine()} {processor}"
    return Path(sys.prefix) / "compiled-for-tests" / hashlib.sha256(told.encode()).hexdigest()[:16]


def pytest_configure(config: pytest.Config) -> None:
    """Workers are told the folder by the process that started them (`pytest_configure_node`)."""
    told = getattr(config, "workerinput", {}).get("programs") or os.environ.get("JAX_COMPILATION_CACHE_DIR")
    if told is None and (kept := kept_programs()):
        kept.mkdir(parents=True, exist_ok=True)
        told = str(kept)
    elif told is None:
        told = config.stash[PROGRAMS] = tempfile.mkdtemp(prefix="thalweg-programs-")
    jax.config.update("jax_compilation_cache_dir", told)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    # commands and killed programs that tests start share them
    os.environ |= {"JAX_COMPILATION_CACHE_DIR": told, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item):
    """A worker compiles more programs than a process may hold; tests that are quick add few."""
    began = time.perf_counter()
    result = yield
    if time.perf_counter() - began > 0.5:
        make_room_for_programs()
    return result


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node) -> None:
    """Called by pytest-xdist before it starts a worker."""
    node.workerinput["programs"] = jax.config.jax_compilation_cache_dir


def pytest_unconfigure(config: pytest.Config) -> None:
    if PROGRAMS in config.stash:
        shutil.rmtree(config.stash[PROGRAMS], ignore_errors=True)
    elif not hasattr(config, "workerinput") and (kept := kept_programs()) and kept.is_dir():
        # another run may remove the same ones
        with contextlib.suppress(FileNotFoundError):
            oldest = sorted(kept.iterdir(), key=lambda path: path.stat().st_mtime)
            if sum(path.stat().st_size for path in oldest) > MOST_PROGRAMS:
                for path in oldest[: len(oldest) // 2]:
                    path.unlink(missing_ok=True)


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
