"""Files outlive moves: what was saved and planned before modules moved is loaded and resumed after, same digest."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import thalweg
from thalweg import registry

PACKAGE = Path(thalweg.__file__).parent
TOY = Path(__file__).parent / "sampling" / "toy_campaign.py"
MOVES = {
    "collective_variables/linear/vac": "collective_variables/covariances/variational",
    "collective_variables/linear/tica": "collective_variables/slowest",
    "sampling/tasks/simulate": "sampling/bias/simulating",
    "sampling/policies/markov_restarts": "sampling/restarts/markov",
}
"""Module -> where it goes."""

SAVE = """
import sys
import numpy as np
from thalweg import registry
from thalweg.collective_variables import TICA
from thalweg.learning import save_tree
from thalweg.sampling import Store, drive

x = np.cumsum(np.random.default_rng(0).normal(size=(2000, 3)), 0) % 5
save_tree(sys.argv[1] + "/model", TICA(5, dim=2).fit(x))
policy = registry.plugin("toy_campaign").RESTARTS
drive(Store(sys.argv[1] + "/run"), policy, rounds=3)
"""
GO_ON = """
import sys
import numpy as np
from thalweg import registry
from thalweg.collective_variables import TICA
from thalweg.learning import load_tree
from thalweg.sampling import Store, drive

x = np.cumsum(np.random.default_rng(0).normal(size=(2000, 3)), 0) % 5
model = load_tree(sys.argv[1] + "/model")
np.save(sys.argv[1] + "/numbers.npy", model.transform(x))
store = Store(sys.argv[1] + "/run")
drive(store, registry.plugin("toy_campaign").RESTARTS)
print(type(model).__module__, store.digest())
"""


def moved_package(folder: Path) -> Path:
    """A copy of the package in which some modules have moved and every import follows."""
    copy = folder / "src"
    shutil.copytree(PACKAGE, copy / "thalweg", ignore=shutil.ignore_patterns("__pycache__"))
    dotted = {old.replace("/", "."): new.replace("/", ".") for old, new in MOVES.items()}
    for old, new in MOVES.items():
        (copy / "thalweg" / f"{old}.py").rename(copy / "thalweg" / f"{new}.py")
    toy = copy / "toy_campaign.py"
    shutil.copy(TOY, toy)
    for file in (*copy.rglob("*.py"), *copy.rglob("*.pyi")):
        text = file.read_text("utf-8")
        room = file.parent.name
        for old, new in dotted.items():
            text = text.replace(f"thalweg.{old} import", f"thalweg.{new} import")
            if file.suffix == ".pyi" and old.startswith(f"{room}."):
                text = text.replace(f"from {old[len(room) :]} import", f"from {new[len(room) :]} import")
        file.write_text(text, "utf-8")
    return copy


def carried_out(script: str, folder: Path, package: Path, toy: Path) -> str:
    """What ``script`` prints with the package at ``package``."""
    environment = os.environ | {"PYTHONPATH": str(package), registry.WITH: str(toy)}
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.long
def test_a_model_and_a_run_from_before_a_move_are_loaded_and_resumed_after(tmp_path):
    package = moved_package(tmp_path)
    for name in ("stayed", "moved"):
        (tmp_path / name).mkdir()
        carried_out(SAVE, tmp_path / name, PACKAGE.parent, TOY)
    before = carried_out(GO_ON, tmp_path / "stayed", PACKAGE.parent, TOY).split()
    after = carried_out(GO_ON, tmp_path / "moved", package, package / "toy_campaign.py").split()
    assert before[0] == "thalweg.collective_variables.linear.vac"
    assert after[0] == "thalweg.collective_variables.covariances.variational"
    assert before[1] == after[1]
    numbers = [(tmp_path / name / "numbers.npy").read_bytes() for name in ("stayed", "moved")]
    assert numbers[0] == numbers[1]
