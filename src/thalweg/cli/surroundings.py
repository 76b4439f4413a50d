"""What the process is told before NumPy and JAX load: threads, and where compiled programs are kept.

Everything goes through environment variables, so that worker processes inherit it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from thalweg.sampling.executors import ONE_THREAD


def prepare() -> None:
    """Set threads and the compilation cache where the user has not set them."""
    for name, value in ONE_THREAD.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache_folder() / "jax"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # XLA takes its own tuning hints for missing features


def cache_folder() -> Path:
    """The user's cache folder for Thalweg, by the custom of the system."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "thalweg"
    if sys.platform == "win32":
        return (
            Path(os.environ.get("LOCALAPPDATA", str(Path.home() / "AppData" / "Local"))) / "thalweg" / "Cache"
        )
    return Path(os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))) / "thalweg"


def data_folder() -> Path:
    """The folder of public data sets: ``THALWEG_DATA``, or ``../shared/data`` beside the checkout."""
    return Path(os.environ.get("THALWEG_DATA", "../shared/data"))
