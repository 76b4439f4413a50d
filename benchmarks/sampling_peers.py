"""Other programs for rare events, each in a process of its own: what they choose, and what they sample.

The interpreter named by the environment variable ``THALWEG_PEERS`` runs them (this one if it is not set). WESTPA is
asked between short walks who goes on and with which weight, so that its walkers are moved by the dynamics that move
everybody's; openmm-opes brings its bias into OpenMM, which simulates.

    with Peer("westpa") as peer:
        answer = peer.ask(seed=0, begins=begins, ends=ends, weights=weights)   # "parents" and their "weights"

As a script this file is the other side: ``python sampling_peers.py PEER`` answers each line of JSON by one. It imports
nothing of Thalweg.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np

BINS, TARGET = 5, 4
"""Of WESTPA: bins between the extremes along its coordinate, which have their own; walkers in each."""

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENMM_CPU_THREADS"), "1"
)


class Absent(RuntimeError):
    """A peer that is not here or does not run, with the reason."""


class Peer:
    """A peer's process, which answers questions one after the other."""

    def __init__(self, name: str):
        python = os.environ.get("THALWEG_PEERS", sys.executable)
        self.name = name
        self.process = subprocess.Popen(
            [python, __file__, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **ONE_THREAD},
        )

    def ask(self, **question: Any) -> dict[str, Any]:
        """The answer to a question; `Absent` if there is none."""
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(question), file=self.process.stdin, flush=True)
            if line := self.process.stdout.readline():
                return json.loads(line)
        said = (self.process.communicate()[1].strip().splitlines() or ["it said nothing"])[-1]
        raise Absent(f"{self.name} did not run: {said[:200]}")

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def _westpa() -> Callable[..., dict[str, Any]]:
    """Huber and Kim's weighted ensemble with minimal adaptive bins, one ensemble a seed."""
    import westpa
    from westpa.core.binning.mab import MABBinMapper
    from westpa.core.binning.mab_driver import MABDriver
    from westpa.core.segment import Segment
    from westpa.core.systems import WESTSystem

    system = WESTSystem(rc=westpa.rc)
    system.pcoord_ndim, system.pcoord_len, system.pcoord_dtype = 1, 2, np.float64
    system.bin_mapper = MABBinMapper([BINS])
    system.bin_target_counts = np.full(system.bin_mapper.nbins, TARGET)
    drivers: dict[int, MABDriver] = {}

    def next(seed, begins, ends, weights):
        if seed not in drivers:
            drivers[seed] = MABDriver(rc=westpa.rc, system=system)
            drivers[seed].rng = np.random.Generator(np.random.MT19937(seed))
        driver = drivers[seed]
        driver.new_iteration()
        driver.assign(
            [
                Segment(n_iter=1, seg_id=k, parent_id=k, weight=weight, pcoord=[[begin], [end]])
                for k, (begin, end, weight) in enumerate(zip(begins, ends, weights))
            ]
        )
        driver.construct_next()
        chosen = list(driver.next_iter_segments)
        return {
            "peer": f"westpa {version('westpa')}",
            "parents": [one.parent_id for one in chosen],
            "weights": [one.weight for one in chosen],
        }

    return next


PEERS = {"westpa": _westpa}
"""What answers, by the name of the program."""


def _answer(name: str) -> None:
    with contextlib.redirect_stdout(sys.stderr):
        peer = PEERS[name]()
    for line in sys.stdin:
        spent = time.process_time()
        with contextlib.redirect_stdout(sys.stderr):
            answer = peer(**json.loads(line))
        print(json.dumps(answer | {"seconds": time.process_time() - spent}), flush=True)


if __name__ == "__main__":
    _answer(sys.argv[1])
