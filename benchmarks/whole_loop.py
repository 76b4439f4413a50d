"""The whole loop by one command: 1,2-dichloroethane from GFN2-xTB to free energies, three times independently.

Every seed makes labels, a potential, a campaign and a correction of its own. Judged are how far seeds are apart at the
level, in their own errors; how much the level adds to what was learned; and what it costs. The two gauche wells are
mirror images, so that one is to be as probable as the other: that is known exactly.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console

from thalweg.report.benchmark import Row
from thalweg.report.of_runs.loop_page import LoopResults
from thalweg.sampling.store import Store
from thalweg.studies.runs.whole_loop import whole_loop
from thalweg.studies.tables.loop_study import loop_study_from_table

SEEDS = (1, 2, 3)
HOUR = 3600.0

TORSION = "Cl1-C2-C3-Cl4 MOL1"
STUDY = {
    "title": "1,2-dichloroethane",
    "potential": {"what": ["ClCCCl"]},
    "dynamics": {"dt": "1 fs"},
    "features": {"kind": "TorsionFeatures", "select": "rotatable"},
    "campaign": {
        "kind": "SlowVariableLoop", "walkers": 16, "cycles": 1, "swarm": "20 ps", "drive": "40 ps", "produce": "60 ps",
        "segment": "20 ps", "save_every": "0.2 ps", "lagtime": "1 ps",
        "bias": {"kind": "Metadynamics", "height": "1 kJ/mol", "bias_factor": 8.0, "stride": "0.2 ps"},
    },
    "execution": {"workers": 1},
    "states": {
        "gauche+": {TORSION: ["0 deg", "120 deg"]},
        "gauche-": {TORSION: ["-120 deg", "0 deg"]},
        "trans": {TORSION: ["120 deg", "-120 deg"]},
    },
}  # fmt: skip


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """A part for every seed, and all of them; ``quick`` takes short times."""
    del data
    one = {f"dichloroethane, seed {seed}": partial(seed_alone, seed, quick) for seed in SEEDS}
    return one | {"dichloroethane": partial(seeds_together, quick)}


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    yield from parts(data, quick)["dichloroethane"]()


def seed_alone(seed: int, quick: bool) -> Iterator[Row]:
    """One whole loop."""
    results, calls, seconds = _looped(seed, quick)
    yield from _of_seed(seed, results, calls, seconds)


def seeds_together(quick: bool) -> Iterator[Row]:
    """Three of them, and how far they are apart."""
    found = []
    for seed in SEEDS:
        results, calls, seconds = _looped(seed, quick)
        yield from _of_seed(seed, results, calls, seconds)
        found.append(results)
    for k, state in enumerate(found[0].states):
        values, errors = (
            np.array([getattr(one.states[k], name) for one in found]) for name in ("value", "error")
        )
        off = np.abs(values[:, None] - values) / np.sqrt(errors[:, None] ** 2 + errors**2)
        name = f"{state.name} against the rest"
        yield Row(
            f"{name}: mean of {len(SEEDS)} seeds", float(values.mean()), "kJ/mol", float(values.std(ddof=1))
        )
        yield Row(
            f"{name}: seeds apart, in their errors, at most",
            float(off.max()),
            "",
            target="<= 3",
            met=off.max() <= 3,
        )


def _looped(seed: int, quick: bool) -> tuple[LoopResults, int, float]:
    """Results, labels paid, and processor time."""
    table = {**STUDY, "potential": STUDY["potential"] | {"seed": seed}}
    table["campaign"] = STUDY["campaign"] | {"seeds": [10 * seed, 10 * seed + 1]}
    if quick:
        table["campaign"] |= {"swarm": "4 ps", "drive": "10 ps", "produce": "10 ps", "segment": "10 ps"}
        table["returns"] = {"judged": 60, "checked": 30, "members": 2}
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "loop"
        results = whole_loop(loop_study_from_table(table), home, Console(quiet=True), lambda name: _silent)
        calls = sum(
            len(Store(home / where).ids("labels"))
            for where in ("potential/campaign", "potential/repairs", "labels")
            if (home / where).exists()
        )
    return results, calls, time.process_time() - began


def _silent(message: str, fraction: float) -> None:
    pass


def _of_seed(seed: int, results: LoopResults, calls: int, seconds: float) -> Iterator[Row]:
    name, last = f"seed {seed}", results.returns[-1]
    for state in results.states:
        yield Row(f"{name}: {state.name} against the rest, at the level", state.value, "kJ/mol", state.error)
        yield Row(f"{name}: {state.name}, error that labels leave", state.labels_error, "kJ/mol")
        if state.added is not None:
            yield Row(
                f"{name}: {state.name}, added by the level", state.added.value, "kJ/mol", state.added.error
            )
    plus, minus = results.states[0], results.states[1]
    off = abs(plus.value - minus.value) / float(np.hypot(plus.error, minus.error))
    yield Row(f"{name}: mirror images apart, in their errors", off, "", target="<= 3", met=off <= 3)
    yield Row(f"{name}: ensemble outside of the envelope", 100 * last.outside, "%")
    yield Row(f"{name}: labels in all", float(calls), "")
    yield Row(f"{name}: the whole loop", seconds, "CPU s", target="an hour", met=seconds <= HOUR)
