"""The whole loop by one command: 1,2-dichloroethane from GFN2-xTB to free energies, three times independently.

Every seed makes labels, a potential, a campaign and a correction of its own. Judged are how far seeds are apart at the
level, in their own errors; how much the level adds to what was learned; and what it costs. The two gauche wells are
mirror images, so that one is to be as probable as the other: that is known exactly.

The part ``kills`` is a short loop, done once in peace and once by processes of which ten are killed (SIGKILL) at random
moments, spread over the files that a loop writes: every store is to have the same digest, every free energy the same
digits.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import tomli_w
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


SHORT = STUDY | {
    "potential": {"what": ["ClCCCl"], "first": 24, "test": 10, "run": "0.1 ps"},
    "learning": {"labels": 30, "cycles": 1, "walkers": 2, "duration": "0.1 ps"},
    "dynamics": {"dt": "1 fs", "temperature": "600 K"},
    "campaign": STUDY["campaign"] | {
        "walkers": 4, "swarm": "2 ps", "drive": "2 ps", "produce": "2 ps", "segment": "1 ps", "save_every": "0.05 ps",
        "lagtime": "0.1 ps", "bias": {"kind": "Metadynamics", "stride": "0.05 ps", "bias_factor": 6.0},
    },
    "returns": {"most": 1, "outside": 0.0, "labels": 4, "judged": 30, "checked": 10, "members": 2},
}  # fmt: skip
"""A loop of a minute, with one return to the level, whose numbers mean little."""


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """A part for every seed, and all of them; ``quick`` takes short times."""
    del data
    one = {f"dichloroethane, seed {seed}": partial(seed_alone, seed, quick) for seed in SEEDS}
    return one | {
        "dichloroethane": partial(seeds_together, quick),
        "kills": partial(killed, 2 if quick else 10),
    }


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


def killed(kills: int) -> Iterator[Row]:
    """A loop in peace, and the same one killed so many times."""
    with tempfile.TemporaryDirectory() as folder:
        # both at one place: plans name the files of a potential
        home, spent = Path(folder) / "loop", _seconds_of_children()
        (Path(folder) / "study.toml").write_text(tomli_w.dumps(SHORT), encoding="utf-8")
        _life(home, None, 0.0)
        undisturbed, files = _ends(home), _files(home)
        in_peace = _seconds_of_children() - spent
        shutil.rmtree(home)
        random, dead = np.random.default_rng(0), []
        for k in range(kills):
            wanted = round(files * (k + random.random()) / kills)
            if _life(home, wanted, random.exponential(1.0)):
                dead.append(_newest(home))
        _life(home, None, 0.0)
        ends = _ends(home)
        same = [name for name in undisturbed if ends.get(name) == undisturbed[name]]
        others = sorted(set(undisturbed) - set(same))
    places = ", ".join(f"{count} in {place}" for place, count in sorted(Counter(dead).items()))
    yield Row(
        f"{len(dead)} processes killed ({places}): stores and results that end the same"
        + (f"; others: {', '.join(others)}" if others else ""),
        float(len(same)), "", target=f"all {len(undisturbed)}",
        met=len(same) == len(undisturbed) and len(dead) == kills,
    )  # fmt: skip
    both = _seconds_of_children() - spent
    yield Row("the loop with its kills", both - in_peace, "CPU s", peer="in peace", peer_value=in_peace)


def _life(home: Path, until: int | None, more: float) -> bool:
    """A process that goes on with the loop, killed ``more`` seconds after there are ``until`` files; whether it was."""
    command = [
        sys.executable,
        "-m",
        "thalweg.cli.main",
        "loop",
        str(home.with_name("study.toml")),
        "--out",
        str(home),
    ]
    with (home.with_name("said")).open("w") as said:
        # what one process compiled is not compiled again by the next
        cache = {
            "JAX_COMPILATION_CACHE_DIR": str(home.with_name("cache")),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        process = subprocess.Popen(
            command, stdout=said, stderr=said, start_new_session=True, env=os.environ | cache
        )
        begun = _files(home)
        while process.poll() is None and (until is None or _files(home) < max(until, begun + 1)):
            time.sleep(0.2)
        if until is not None:
            time.sleep(more)
        if dies := process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        if process.wait() and not dies:
            raise RuntimeError(home.with_name("said").read_text(encoding="utf-8")[-2000:])
    return dies


def _files(home: Path) -> int:
    """How many there are, not yet committed ones too."""
    return sum(len(names) for _, _, names in os.walk(home))


def _newest(home: Path) -> str:
    """The part of the loop that wrote last."""
    newest = max((path for path in home.rglob("*") if path.is_file()), key=lambda path: path.stat().st_mtime)
    return newest.relative_to(home).parts[0]


def _ends(home: Path) -> dict[str, str]:
    """Digests of what a loop leaves: its stores, and its free energies with their errors and returns."""
    stores = ("potential/campaign", "potential/repairs", "sampling-0", "sampling-1", "labels", "loop")
    found = {name: Store(home / name).digest() for name in stores if (home / name).exists()}
    report = json.loads((home / "results" / "report.json").read_text(encoding="utf-8"))
    numbers = json.dumps([report[name] for name in ("states", "times", "returns")])
    return found | {"results": hashlib.sha256(numbers.encode()).hexdigest()}


def _seconds_of_children() -> float:
    """Processor time of all processes that have ended."""
    times = os.times()
    return times.children_user + times.children_system
