"""What is given away works where nothing of the checkout is: a wheel in a clean environment, used from elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
TAKEN = ("pyproject.toml", "README.md", "LICENSE")
USE = """
from thalweg.collective_variables import TICA
from thalweg.interop import alanine_dipeptide
from thalweg.references import references
import numpy as np, thalweg

walk = np.random.default_rng(0).normal(size=(500, 2)).cumsum(0)
slow = TICA(lagtime=5, dim=1).fit(walk).transform(walk)
print(slow.shape, len(alanine_dipeptide("vacuum").topology), len(references()))
print(thalweg.__file__)
"""


def shell(*command: object, folder: Path) -> str:
    """What a command prints, in an environment that knows nothing of the one of the tests."""
    kept = {"PATH", "HOME", "LANG", "TMPDIR", "XLA_FLAGS"}
    surroundings = {
        name: value for name, value in os.environ.items() if name in kept or name.startswith(("PIP_", "SSL_"))
    }
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, env=surroundings)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy, so that nothing is left in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in TAKEN:
        shutil.copy(CHECKOUT / name, folder / name)
    shutil.copytree(
        CHECKOUT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
    )
    shell(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, folder, folder=folder)
    (built,) = folder.glob("thalweg-*.whl")
    return built


@pytest.mark.long
def test_a_wheel_has_every_file_of_the_package(wheel):
    source = CHECKOUT / "src"
    beside = {
        path.relative_to(source).as_posix()
        for path in (source / "thalweg").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("thalweg/")}
    assert beside == inside


@pytest.mark.long
def test_a_wheel_works_in_a_clean_environment_from_another_folder(wheel, tmp_path):
    shell(sys.executable, "-m", "venv", tmp_path / "clean", folder=tmp_path)
    bin = tmp_path / "clean" / "bin"
    shell(
        bin / "python",
        "-m",
        "pip",
        "install",
        "-q",
        wheel,
        "-c",
        CHECKOUT / "constraints.txt",
        folder=tmp_path,
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert shell(bin / "thalweg", "--version", folder=elsewhere).startswith("thalweg ")
    assert "TICA" in shell(bin / "thalweg", "methods", folder=elsewhere)
    found, place = shell(bin / "python", "-c", USE, folder=elsewhere).splitlines()
    assert found.startswith("(500, 1) 22 ")
    assert int(found.split()[-1]) > 100
    assert Path(place).is_relative_to(tmp_path / "clean")
