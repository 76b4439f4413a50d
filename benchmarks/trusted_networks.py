"""Whether networks of slow variables may be trusted: white noise, runs that start in one well, runs at equilibrium.

In white noise there is nothing slow, yet a network learns it by heart; runs half as long as the slowest relaxation
time, all from one well, know that time badly; runs at equilibrium know it, and a note there is a false alarm. Exact
answers are those of `thalweg.testsystems`. Seeds are those of the data and of the networks, 0, 1, 2 and so on.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.collective_variables.memberships.deep_markov import DeepMarkovModel
from thalweg.collective_variables.neural.slow_networks import DCCA, SRV, VDE, TimeLaggedAutoencoder, VAMPnet
from thalweg.report.benchmark import Row
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.wells import PrinzPotential
from thalweg.time_series.trajectories import Trajectories

TRAINING: dict[str, Any] = {
    "hidden": (16,),
    "steps": 150,
    "restarts": 2,
    "batch": 1024,
    "learning_rate": 0.02,
}
"""Small networks, of which hundreds can be trained."""

RIGHT = 0.15
"""Relative error up to which a time is right."""

PRINZ = Generator(PrinzPotential(), ((-1.2, 1.2),), 100)
DT = 0.01
HALF = 42
"""Frames of a run that lasts half the slowest time of Prinz's potential."""


def learners(lagtime: int, seed: int) -> dict[str, Any]:
    """Every network that quotes a time."""
    settings = TRAINING | {"seed": seed}
    return {
        "VAMPnet": VAMPnet(lagtime, dim=1, **settings),
        "VAMPnet, memberships": VAMPnet(lagtime, dim=1, output="memberships", **settings),
        "SRV": SRV(lagtime, dim=1, **settings),
        "DCCA": DCCA(lagtime, dim=1, **settings),
        "TimeLaggedAutoencoder": TimeLaggedAutoencoder(lagtime, **settings),
        "VDE": VDE(lagtime, **settings),
        "DeepMarkovModel": DeepMarkovModel(lagtime, states=2, **settings),
    }


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Each kind of data by itself."""
    return {
        "white noise": partial(white_noise, 3 if quick else 20),
        "one well": partial(one_well, 2 if quick else 10),
        "equilibrium": partial(equilibrium, 2 if quick else 5),
    }


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def noise(seed: int) -> Trajectories:
    """800 frames of 30 features without memory."""
    return Trajectories([np.random.default_rng(seed).standard_normal((800, 30))])


def from_one_well(seed: int, runs: int) -> Trajectories:
    """Runs of half the slowest time, from one well."""
    return Trajectories(
        PRINZ.sample(runs, HALF, DT, start=lambda x: np.abs(x[0] + 0.22) < 0.05, seed=seed), dt=DT
    )


def at_equilibrium(seed: int) -> Trajectories:
    """Ten long runs."""
    return Trajectories(PRINZ.sample(10, 8000, DT, seed=seed), dt=DT)


def fitted(method: Any, data: Trajectories) -> tuple[float, tuple[str, ...], float]:
    """Slowest time [ps], what is told, and seconds of the processor."""
    began = time.process_time()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        model = method.fit(data)
    told = (*model.notes, *(str(each.message) for each in warned))
    return float(model.timescales[0]), told, time.process_time() - began


def found(
    seeds: int, lagtime: int, data_of: Callable[[int], Trajectories]
) -> dict[str, list[tuple[float, tuple[str, ...], float]]]:
    """What every learner says of the data of every seed."""
    answers: dict[str, list[tuple[float, tuple[str, ...], float]]] = {}
    for seed in range(seeds):
        data = data_of(seed)
        for name, method in learners(lagtime, seed).items():
            answers.setdefault(name, []).append(fitted(method, data))
    return answers


def white_noise(seeds: int) -> Iterator[Row]:
    """Share of fits that claim no time beyond the lag without a note."""
    lagtime = 5
    for name, answers in found(seeds, lagtime, noise).items():
        honest = np.mean([bool(told) or not value > lagtime for value, told, _ in answers])
        beyond = sum(value > lagtime for value, _, _ in answers)
        yield Row(
            f"white noise, 800 x 30, lag 5, {seeds} seeds: {name}, no time beyond the lag ({beyond} seeds) without a "
            "note",
            100 * float(honest),
            "%",
            target=">= 95 %",
            met=bool(honest >= 0.95),
        )


def one_well(seeds: int) -> Iterator[Row]:
    """Share of fits that are right or told."""
    exact = float(PRINZ.timescales(1)[0])
    for runs in (400, 3000):
        for name, answers in found(seeds, 10, partial(from_one_well, runs=runs)).items():
            values = np.array([value for value, _, _ in answers])
            right = np.abs(values / exact - 1) < RIGHT
            told = np.array([bool(notes) for _, notes, _ in answers])
            yield Row(
                f"Prinz, {runs} runs of t2/2 from one well, {seeds} seeds: {name}, right or refused "
                f"({right.sum()} right, {told.sum()} refused, times {np.nanmin(values):.3g} to "
                f"{np.nanmax(values):.3g} for {exact:.3g} ps)",
                100 * float((right | told).mean()),
                "%",
                target="100 %",
                met=bool((right | told).all()),
            )


def equilibrium(seeds: int) -> Iterator[Row]:
    """Share of fits that are right and without a note."""
    exact = float(PRINZ.timescales(1)[0])
    for name, answers in found(seeds, 10, at_equilibrium).items():
        values = np.array([value for value, _, _ in answers])
        right = np.abs(values / exact - 1) < RIGHT
        told = np.array([bool(notes) for _, notes, _ in answers])
        yield Row(
            f"Prinz, 10 runs at equilibrium, {seeds} seeds: {name}, right ({right.sum()}) without a note "
            f"({told.sum()} false alarms; {np.median([seconds for *_, seconds in answers]):.2g} CPU s a fit)",
            100 * float((right & ~told).mean()),
            "%",
            target="100 %",
            met=bool((right & ~told).all()),
        )
