"""Whether what is told around an estimate may be trusted: error bars, "flat from", noise, starts, damaged files.

The truth is known in each: chains whose transition matrices were drawn at random, Prinz's potential by its generator,
two states seen through noise, the chain of alanine dipeptide's torsions seen through fewer states. Networks of slow
variables are those of ``trusted_networks`` beside this file. Seeds of data are none that a test of the project uses.
"""

from __future__ import annotations

import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import trusted_networks
from deeptime.decomposition import TICA as DeeptimeTICA

from thalweg.collective_variables.bases.kernels import Landmarks
from thalweg.collective_variables.linear.dynamic_modes import DMD, EDMD
from thalweg.collective_variables.linear.integrated_vac import IntegratedVAC
from thalweg.collective_variables.linear.kernel_tica import KernelTICA
from thalweg.collective_variables.linear.sparse_tica import SparseTICA
from thalweg.collective_variables.linear.tica import TICA
from thalweg.collective_variables.linear.vac import VAC
from thalweg.collective_variables.linear.vamp import VAMP
from thalweg.kinetics.markov_state_model import MarkovStateModel
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories
from thalweg.kinetics.validation.bootstrap import timescale_errors
from thalweg.kinetics.validation.implied_timescales import ImpliedTimescales
from thalweg.report.benchmark import Row
from thalweg.testsystems.chain import lumped_timescales, rough_chain, sampled_states, timescales
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.wells import PrinzPotential
from thalweg.time_series.trajectories import Trajectories

FRESH = 70_000
"""First seed of all data here."""

PRINZ = Generator(PrinzPotential(), ((-1.2, 1.2),), 60)
SHORT = 0.92
"""Share of the true time below which a lag is no lag from which it is flat."""
RIGHT = 0.15
"""Relative error up to which a time is right."""


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Each kind of trust by itself; ``quick`` tries a tenth."""
    share = 10 if quick else 1
    found: dict[str, Callable[[], Iterator[Row]]] = {
        "error bars": partial(random_chains, 200 // share),
        "coverage": partial(coverage, 1000 // share),
        "flat": partial(flat, data, 40 // share),
        "white noise": partial(white_noise, 20 // share),
        "one well": partial(one_well, 20 // share),
        "TICA": partial(tica, (300,) if quick else (300, 1000, 3000, 5000)),
    }
    networks = trusted_networks.parts(data, quick)
    return found | {f"networks/{name}": networks[name] for name in networks}


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


# error bars


def random_chains(count: int) -> Iterator[Row]:
    """Chains of 20 to 600 states, 1e4 to 1e6 frames, roughness of 0.5 to 3 kT, lags of 1 to 50 frames."""
    without = unsampled = 0
    for seed in range(FRESH, FRESH + count):
        random = np.random.default_rng(seed)
        size, frames = int(random.integers(20, 601)), int(10 ** random.uniform(4, 6))
        chain = rough_chain(random, size, random.uniform(0.5, 3))
        path = sampled_states(chain, 1, frames, np.full(size, 1 / size), random)[0]
        model = MarkovStateModel(int(random.choice([1, 5, 20, 50])), n_processes=2).fit([path])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimate = timescale_errors(model, 20, seed=seed)
        sampled = model.processes[0].sampled
        unsampled += not sampled
        without += bool(sampled and not (np.isfinite(estimate.error[0]) and not estimate.told))
    yield Row(
        f"{count} random chains, 20 to 600 states, 1e4 to 1e6 frames: slowest time sampled ({count - unsampled}) but "
        "without a bar",
        without,
        "",
        target="0",
        met=without == 0,
    )


def coverage(replicas: int) -> Iterator[Row]:
    """Runs of 120 relaxation times of Prinz's potential in 60 states."""
    exact, chain = float(PRINZ.timescales(1)[0]), PRINZ.transition_matrix(0.01)
    start = PRINZ.stationary_distribution
    covered = []
    for seed, path in enumerate(
        sampled_states(chain, replicas, 10_000, start, np.random.default_rng(FRESH)), FRESH
    ):
        model = MarkovStateModel(5, n_processes=1).fit(DiscreteTrajectories([path], dt=0.01, n_states=60))
        if model.processes[0].resolved:
            low, high = timescale_errors(model, 60, seed=seed).interval()[:, 0]
            covered.append(bool(low < exact < high))
    share = 100 * float(np.mean(covered))
    error = float(np.sqrt(share * (100 - share) / len(covered)))
    yield Row(
        f"Prinz, {len(covered)} runs of 120 relaxation times: 95 % intervals of t2 that hold it",
        share,
        "%",
        error,
        "93 to 97",
        bool(93 <= share <= 97),
    )


# flat from


def flat(data: Path, seeds: int) -> Iterator[Row]:
    """How often a scan calls times flat from a lag at which the exact one is 8 % short, or finds none to be flat."""
    noisy = [_noisy_states(seed) for seed in range(FRESH, FRESH + seeds)]
    lumped = [_lumped_prinz(seed) for seed in range(FRESH, FRESH + seeds)]
    for name, scans in {"two states seen through noise": noisy, "Prinz in 8 states": lumped}.items():
        yield from _judged(name, scans)
    folder = data / "kinetics" / "alanine_msmb"
    if folder.is_dir():
        yield from _judged("chain of alanine dipeptide seen through fewer states", list(_alanine(folder)))


def _judged(name: str, scans: list[tuple[Any, dict[int, float], float]]) -> Iterator[Row]:
    begins = [(scan.flat_from[0], exact, slowest) for scan, exact, slowest in scans]
    said = sum(bool(np.isfinite(begin)) for begin, *_ in begins)
    wrong = sum(bool(np.isfinite(b) and exact[round(b)] < SHORT * slowest) for b, exact, slowest in begins)
    yield Row(
        f"{name}, {len(scans)} scans: called flat ({said}) from a lag where the exact time is 8 % short",
        100 * wrong / len(scans),
        "%",
        target="<= 5",
        met=wrong <= len(scans) / 20,
    )


def _noisy_states(seed: int) -> tuple[Any, dict[int, float], float]:
    """Hops with a chance of 0.001 seen with one frame of ten misread: exact times follow from the error's share."""
    random, lags = np.random.default_rng(seed), (50, 100, 200)
    side = np.cumsum(random.random(30_000) < 0.001) % 2
    seen = np.where(random.random(30_000) < 0.1, 1 - side, side)
    scan = ImpliedTimescales(lags, n_processes=1, samples=30).fit([seen])
    slowest = -1 / np.log(1 - 2 * 0.001)
    return scan, {lag: -lag / np.log((1 - 0.2) ** 2 * np.exp(-lag / slowest)) for lag in lags}, slowest


def _lumped_prinz(seed: int) -> tuple[Any, dict[int, float], float]:
    """Eight states of equal width, four of them across borders of wells."""
    lags, states = (2, 5, 10, 20, 40), np.arange(60) * 8 // 60
    chain, pi = PRINZ.transition_matrix(0.01), PRINZ.stationary_distribution
    path = sampled_states(chain, 1, 40_000, pi, np.random.default_rng(seed))[0]
    scan = ImpliedTimescales(lags, n_processes=1, samples=30).fit([states[path]])
    return scan, dict(zip(lags, lumped_timescales(chain, pi, states, lags))), timescales(chain, 1)[0]


def _alanine(folder: Path) -> Iterator[tuple[Any, dict[int, float], float]]:
    """Walks of the chain of one picosecond on a grid of torsions, with few crossings."""
    import mdtraj

    runs = [mdtraj.load(path, top=folder / "ala2.pdb") for path in sorted(folder.glob("*.dcd"))]
    angles = [np.hstack([mdtraj.compute_phi(run)[1], mdtraj.compute_psi(run)[1]]) for run in runs]
    cells = [np.floor((each + np.pi) / (2 * np.pi) * 30).astype(int).clip(0, 29) for each in angles]
    model = MarkovStateModel(1).fit(
        DiscreteTrajectories([c[:, 0] * 30 + c[:, 1] for c in cells], n_states=900)
    )
    active = np.flatnonzero(model.stationary_distribution)
    pi, chain = model.stationary_distribution[active], model.fit.matrix.toarray()
    slowest, random = timescales(chain, 1)[0], np.random.default_rng(FRESH)
    phi, psi = active // 30, active % 30
    for seen in (phi // 3 * 10 + psi // 3, phi // 6 * 5 + psi // 6, psi // 5):
        states = np.unique(seen, return_inverse=True)[1]
        for lags in ((1, 2, 5, 10, 20), (5, 10, 20, 50)):
            exact = dict(zip(lags, lumped_timescales(chain, pi, states, lags)))
            for frames in (10_000, 30_000):
                for walk in sampled_states(chain, 10, frames, pi, random):
                    scan = ImpliedTimescales(lags, n_processes=1).fit(DiscreteTrajectories([states[walk]]))
                    yield scan, exact, slowest


# slow variables where there are none, and where they are hardly seen


def learners(lagtime: int, basis: Any = None) -> dict[str, Any]:
    """Every linear learner that quotes a time, on features or on kernels at landmarks."""
    if basis is None:
        return {
            "TICA": TICA(lagtime, 1),
            "VAMP": VAMP(lagtime, 1),
            "kernel TICA": KernelTICA(lagtime, 1, landmarks=40),
            "IntegratedVAC": IntegratedVAC(max(lagtime // 2, 1), 2 * lagtime, 1),
            "SparseTICA": SparseTICA(lagtime, 1),
            "EDMD": EDMD(lagtime),
            "DMD": DMD(lagtime),
        }
    return {
        "VAC": VAC(lagtime, 1, basis, cutoff=1e-5),
        "VAMP": VAMP(lagtime, 1, basis, cutoff=1e-5),
        "IntegratedVAC": IntegratedVAC(max(lagtime // 2, 1), 2 * lagtime, 1, basis),
        "EDMD": EDMD(lagtime, basis, cutoff=1e-5),
    }


def slowest(method: Any, data: Any) -> tuple[float, bool]:
    """The slowest time but that of the constant, and whether anything is told of it."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        model = method.fit(data)
    time_of = model.timescales[1 if np.isinf(model.timescales[0]) else 0]
    return float(time_of), bool(model.notes or warned)


def white_noise(seeds: int) -> Iterator[Row]:
    """Fits of white noise that claim no time beyond the lag without a note."""
    for name, method in learners(5).items():
        found = [
            slowest(method, np.random.default_rng(seed).standard_normal((800, 30)))
            for seed in range(FRESH, FRESH + seeds)
        ]
        honest = float(np.mean([told or not value > 5 for value, told in found]))
        yield Row(
            f"white noise, 800 x 30, lag 5, {seeds} seeds: {name}, no time beyond the lag without a note",
            100 * honest,
            "%",
            target=">= 95",
            met=honest >= 0.95,
        )


def one_well(seeds: int) -> Iterator[Row]:
    """500 runs of half the slowest time of Prinz's potential, all from one well."""
    exact = float(PRINZ.timescales(1)[0])
    half = round(exact / 2 / 0.01)
    found: dict[str, list[tuple[float, bool]]] = {}
    for seed in range(FRESH, FRESH + seeds):
        runs = PRINZ.sample(500, half, 0.01, start=lambda x: np.abs(x[0] + 0.22) < 0.03, seed=seed)
        data = Trajectories(runs, dt=0.01)
        for name, method in learners(5, Landmarks(30)).items():
            found.setdefault(name, []).append(slowest(method, data))
    for name, each in found.items():
        values = np.array([value for value, _ in each])
        right, told = np.abs(values / exact - 1) <= RIGHT, np.array([one for _, one in each])
        yield Row(
            f"Prinz, 500 runs of t2/2 from one well, {seeds} seeds: {name} on kernels, right ({right.sum()}) or told "
            f"({told.sum()}), times {values.min():.3g} to {values.max():.3g} for {exact:.3g} ps",
            100 * float((right | told).mean()),
            "%",
            target="100",
            met=bool((right | told).all()),
        )


# many features


def tica(sizes: tuple[int, ...]) -> Iterator[Row]:
    """Time and memory of TICA of 20,000 frames beside deeptime's, in one process."""
    peer = f"deeptime {version('deeptime')}"
    for features in sizes:
        x = np.random.default_rng(FRESH).standard_normal((20_000, features))
        x[1:, :5] += 0.9 * x[:-1, :5]
        runs = (partial(TICA(10, 2).fit, x), partial(DeeptimeTICA(lagtime=10, dim=2).fit_fetch, x))
        # the large ones take minutes, beside which what a first call costs is nothing
        repeats = 3 if features <= 1000 else 1
        seconds = np.array([[_seconds(run) for run in runs] for _ in range(repeats)])
        peaks = [_peak(run) / x.nbytes for run in runs]
        name = f"TICA, 20,000 x {features}"
        ours, theirs = seconds.min(axis=0)
        spread = float(np.ptp(seconds[:, 0]) / 2)
        yield Row(
            name,
            float(ours),
            "CPU s",
            spread,
            "ratio > 1",
            bool(ours < theirs),
            peer,
            float(theirs),
            theirs / ours,
        )
        met, ratio = peaks[0] <= 2 * peaks[1], peaks[1] / peaks[0]
        yield Row(
            f"{name}: memory beyond the data",
            peaks[0],
            "of the data",
            None,
            "<= twice the peer's",
            met,
            peer,
            peaks[1],
            ratio,
        )


def _seconds(run: Callable) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


def _peak(run: Callable) -> float:
    tracemalloc.start()
    run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return float(peak)
