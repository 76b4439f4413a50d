"""Progress where nobody watches: a line now and then, also while the work is silent."""

from __future__ import annotations

import io
import time

from rich.console import Console

from thalweg.studies.progress import _lines, watched


def test_a_log_says_that_silent_work_goes_on():
    text = io.StringIO()
    with _lines(Console(file=text), quiet=0.05) as log:
        log("fitting, 0 %: normal equations of 9,168 coefficients, 10 GB")
        time.sleep(0.3)
    lines = text.getvalue().splitlines()
    assert "9,168 coefficients, 10 GB" in lines[0]
    assert any("still, after" in line for line in lines[1:])


def test_short_work_leaves_no_line():
    text = io.StringIO()
    with watched(Console(file=text)) as progress:
        progress("fitting")("rows", 0.5)
    assert not text.getvalue().strip()
