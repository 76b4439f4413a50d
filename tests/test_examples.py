"""Every example runs as it stands and leaves its figure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from thalweg.sampling.executors import ONE_THREAD

CHECKOUT = Path(__file__).parents[1]
EXAMPLES = sorted((CHECKOUT / "examples").glob("*.py"))
SECONDS = {"exact_answers"}
"""Those that take seconds; the others take a minute or two."""


def example(path):
    return pytest.param(path, id=path.stem, marks=() if path.stem in SECONDS else pytest.mark.long)


def test_there_are_examples():
    assert EXAMPLES


@pytest.mark.parametrize("example", [example(path) for path in EXAMPLES])
def test_an_example_runs_and_leaves_its_figure(example, tmp_path):
    path = os.pathsep.join(filter(None, (str(CHECKOUT / "src"), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, example],
        cwd=tmp_path,
        env=os.environ | ONE_THREAD | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    figure = tmp_path / f"{example.stem}.html"
    assert f"wrote {figure.name}" in done.stdout
    assert "Plotly.newPlot" in figure.read_text("utf-8")
