"""Time series: speed beside deeptime and scikit-learn, and answers and error bars beside exact ones.

Speeds are processor seconds in this one process on one thread, the best of alternating repeats. Qualities
are known answers: Prinz's potential, whose timescales are exact, and 100 ns of alanine dipeptide from the
data folder.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
from deeptime.decomposition import TICA as DeeptimeTICA
from deeptime.markov import TransitionCountEstimator, TransitionCountModel, pcca
from deeptime.markov.msm import MaximumLikelihoodMSM
from scipy.sparse import csr_array, csr_matrix
from sklearn.cluster import KMeans as ScikitKMeans
from threadpoolctl import threadpool_limits

from thalweg.collective_variables.tica import TICA
from thalweg.collective_variables.trajectories import Trajectories
from thalweg.geometry.torsions import backbone_dihedrals
from thalweg.geometry.variables import Dihedrals, SineCosine
from thalweg.interop.frame_features import FeaturesAlongFile
from thalweg.interop.mdtraj_files import TrajectoryFile, read_topology
from thalweg.kinetics.active_set import active_set
from thalweg.kinetics.bootstrap import timescale_errors
from thalweg.kinetics.clustering import KMeans
from thalweg.kinetics.counts import transition_counts
from thalweg.kinetics.discrete_trajectories import DiscreteTrajectories
from thalweg.kinetics.implied_timescales import ImpliedTimescales
from thalweg.kinetics.markov_state_model import MarkovStateModel
from thalweg.kinetics.pcca import metastable_sets
from thalweg.kinetics.reversible import Reversible
from thalweg.kinetics.spectrum import spectrum
from thalweg.report.benchmark import Row
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.wells import PrinzPotential

DEEPTIME, SCIKIT = f"deeptime {version('deeptime')}", f"scikit-learn {version('scikit-learn')}"


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Speeds, then qualities; ``quick`` takes smaller systems and fewer replicas."""
    with threadpool_limits(1):
        yield from _counting()
        yield from _reversible(quick)
        yield from _tica()
        yield from _clustering(quick)
        yield from _short_runs()
        yield from _error_bars(quick)
        yield from _alanine(data)


def _speed(test: str, ours: Callable, theirs: Callable, peer: str, target: float, repeats: int = 3) -> Row:
    """Best times of alternating repeats."""
    times = np.array([(_seconds(ours), _seconds(theirs)) for _ in range(repeats)])
    best, other = times.min(axis=0)
    return Row(
        test=test,
        value=float(best),
        unit="s",
        spread=float(np.ptp(times[:, 0]) / 2) if repeats > 1 else None,
        target=f"ratio >= {target:g}",
        met=bool(other / best >= target),
        peer=peer,
        peer_value=float(other),
        ratio=float(other / best),
    )


def _seconds(run: Callable) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def _counting() -> Iterator[Row]:
    steps = 10**7
    walk = np.cumsum(np.random.default_rng(0).integers(-13, 14, steps))
    states = np.abs(walk % 2000 - 1000).clip(0, 999).astype(np.int32)
    name = f"transition counts, {steps:.0e} steps, 1000 states"
    for sparse, kind in ((True, "sparse"), (False, "dense")):
        yield _speed(
            f"{name}, {kind} in deeptime",
            lambda: transition_counts([states], 1, n_blocks=1),
            lambda sparse=sparse: TransitionCountEstimator(1, "sliding", sparse=sparse).fit_fetch(states),
            DEEPTIME,
            10,
        )


def _walk(side: int, walkers: int, steps: int, kT: float = 0.35, dt: float = 0.01) -> DiscreteTrajectories:
    """Brownian walkers in a quadruple well, ``side`` squared square states."""
    random = np.random.default_rng(1)
    x = random.choice([-1.0, 1.0], (2, walkers))
    path = np.empty((steps, walkers), np.int32)
    for n in range(steps):
        x = x - 4 * dt * x * (x**2 - 1) + np.sqrt(2 * kT * dt) * random.standard_normal(x.shape)
        place = np.clip((x + 1.75) / 3.5 * side, 0, side - 1).astype(np.int32)
        path[n] = place[0] * side + place[1]
    return DiscreteTrajectories(list(path.T), n_states=side**2)


def _reversible(quick: bool) -> Iterator[Row]:
    for side, walkers, steps in ((32, 50, 20000),) if quick else ((32, 50, 20000), (73, 50, 100000)):
        counts = transition_counts(_walk(side, walkers, steps), 1)
        counts = active_set(counts.matrix).restrict(counts.matrix)
        size = f"{counts.shape[0]} states, {counts.nnz} counts"
        model = TransitionCountModel(csr_matrix(counts))
        fits: dict[str, csr_array] = {}

        def ours(counts=counts, fits=fits):
            fits["ours"] = Reversible().fit(counts).matrix

        def theirs(model=model, fits=fits):
            method = MaximumLikelihoodMSM(reversible=True, sparse=True)
            fits["deeptime"] = csr_array(method.fit_from_counts(model).fetch_model().transition_matrix)

        yield _speed(f"reversible transition matrix, {size}", ours, theirs, DEEPTIME, 100, repeats=2)
        gain = _likelihood(counts, fits["ours"]) - _likelihood(counts, fits["deeptime"])
        yield Row(
            test=f"log-likelihood gained over deeptime, {size}",
            value=gain,
            unit="nat",
            target=">= -1e-3",
            met=bool(gain >= -1e-3),
            peer=DEEPTIME,
        )
    model = MarkovStateModel(1).fit(_walk(32, 50, 20000))
    dense = model.fit.matrix.toarray()
    yield _speed(
        f"PCCA+, {len(dense)} states, 4 sets",
        lambda: (spectrum(model.fit, 4), metastable_sets(model, 4)),
        lambda: pcca(dense, 4),
        DEEPTIME,
        20,
    )


def _likelihood(counts: csr_array, matrix: csr_array) -> float:
    entries = counts.tocoo()
    return float(entries.data @ np.log(np.asarray(matrix[entries.row, entries.col]).ravel()))


def _tica() -> Iterator[Row]:
    frames, features = 10**6, 100
    x = np.random.default_rng(0).standard_normal((frames, features), np.float32)
    x[1:, :5] += 0.9 * x[:-1, :5]
    name = f"TICA, {frames:.0e} x {features} float32"
    yield _speed(
        name,
        lambda: TICA(lagtime=10).fit(x),
        lambda: DeeptimeTICA(lagtime=10, dim=2).fit_fetch(x),
        DEEPTIME,
        5,
    )
    peaks = []
    for run in (lambda: TICA(lagtime=10).fit(x), lambda: DeeptimeTICA(lagtime=10, dim=2).fit_fetch(x)):
        tracemalloc.start()
        run()
        peaks.append(100 * tracemalloc.get_traced_memory()[1] / x.nbytes)
        tracemalloc.stop()
    yield Row(
        test=f"{name}: memory on top of the data",
        value=peaks[0],
        unit="% of the data",
        target="<= 10",
        met=bool(peaks[0] <= 10),
        peer=DEEPTIME,
        peer_value=peaks[1],
        ratio=peaks[1] / peaks[0],
    )


def _clustering(quick: bool) -> Iterator[Row]:
    frames, clusters = (10**5, 100) if quick else (10**6, 500)
    random = np.random.default_rng(0)
    centers = 3 * random.standard_normal((60, 10))
    x = (centers[random.integers(0, 60, frames)] + random.standard_normal((frames, 10))).astype(np.float32)
    inertia = {}

    def ours():
        inertia["ours"] = KMeans(clusters, max_iterations=10).fit(x).radius ** 2 * frames

    def theirs():
        inertia["theirs"] = ScikitKMeans(clusters, n_init=1, max_iter=10, random_state=0).fit(x).inertia_

    name = f"k-means, {frames:.0e} x 10, {clusters} clusters, 10 iterations"
    yield _speed(f"{name}, with start", ours, theirs, SCIKIT, 1, repeats=1)
    yield Row(
        test=f"{name}: inertia",
        value=inertia["ours"],
        unit="",
        target="ratio >= 0.99",
        met=bool(inertia["theirs"] / inertia["ours"] >= 0.99),
        peer=SCIKIT,
        peer_value=float(inertia["theirs"]),
        ratio=float(inertia["theirs"] / inertia["ours"]),
    )


def _landmarks(x: np.ndarray) -> np.ndarray:
    """Gaussians along the line of Prinz's potential."""
    return np.exp(-((x - np.linspace(-1.2, 1.2, 20)) ** 2) / (2 * 0.15**2))


def _short_runs() -> Iterator[Row]:
    generator = Generator(PrinzPotential(), ((-1.2, 1.2),), 200)
    exact = float(generator.timescales(1)[0])
    seeds = range(12)
    for well in (-0.22, 0.268):
        found, claimed, others = [], [], []
        for seed in seeds:
            runs = generator.sample(
                500, 417, 1e-3, start=lambda x, w=well: np.abs(x[0] - w) < 0.02, seed=seed
            )
            features = [_landmarks(x) for x in runs]
            model = TICA(lagtime=50, dim=1).fit(Trajectories(features, dt=1e-3))
            found.append(model.timescales[0])
            claimed.append(float(model.timescale_errors(50).error[0]))
            theirs = DeeptimeTICA(lagtime=50, dim=1).fit_fetch([f.astype(float) for f in features])
            others.append(float(theirs.timescales(lagtime=50)[0]) * 1e-3)
        mean = float(np.mean(found))
        yield Row(
            test=f"t2 of 500 runs of t2/2 from the well at {well} of Prinz's potential, mean of {len(found)}",
            value=mean,
            unit="ps",
            spread=float(np.std(found, ddof=1)),
            target=f"within 15 % of {exact:.3f}",
            met=bool(abs(mean / exact - 1) < 0.15),
            peer=DEEPTIME,
            peer_value=float(np.mean(others)),
        )
        yield _calibration(f"TICA, 500 runs from {well}", np.array(found), np.array(claimed))


def _calibration(test: str, found: np.ndarray, claimed: np.ndarray) -> Row:
    ratio = float(np.mean(claimed) / np.std(found, ddof=1))
    return Row(
        test=f"claimed error of t2 over spread of {len(found)} replicas: {test}",
        value=ratio,
        unit="",
        spread=ratio / np.sqrt(2 * (len(found) - 1)),
        target="0.85 to 1.15 within two standard errors",
        met=bool(abs(ratio - 1) < 0.15 + 2 * ratio / np.sqrt(2 * (len(found) - 1))),
    )


def _error_bars(quick: bool) -> Iterator[Row]:
    generator = Generator(PrinzPotential(), ((-1.2, 1.2),), 100)
    exact, lag = float(generator.timescales(1)[0]), 0.01
    replicas = 24 if quick else 96
    edges = np.linspace(-1.2, 1.2, 26)[1:-1]
    for count, frames in ((1, 4000), (10, 1600), (100, 160)):
        runs = generator.sample(count * replicas, frames, lag, seed=1)
        found, claimed, covered = [], [], 0
        for k in range(replicas):
            states = [np.digitize(x[:, 0], edges) for x in runs[k * count : (k + 1) * count]]
            model = MarkovStateModel(5, n_processes=2).fit(DiscreteTrajectories(states, dt=lag))
            estimate = timescale_errors(model, samples=50, seed=k)
            low, high = estimate.interval()[:, 0]
            found.append(model.timescales[0])
            claimed.append(float(estimate.error[0]))
            covered += low < exact < high
        kind = f"Markov model, {count} runs of {frames * lag:g} ps"
        yield _calibration(kind, np.array(found), np.array(claimed))
        share = 100 * covered / replicas
        yield Row(
            test=f"95 % intervals of t2 that cover the exact value: {kind}",
            value=share,
            unit="%",
            spread=float(np.sqrt(share * (100 - share) / replicas)),
            target="90 to 97",
            met=bool(90 - 2 * 100 / replicas <= share <= 97 + 2 * 100 / replicas),
        )


def _alanine(data: Path) -> Iterator[Row]:
    folder = data / "kinetics" / "alanine_msmb"
    name = "alanine dipeptide, 100 ns, 30 x 30 grid of phi and psi"
    if not folder.is_dir():
        yield Row(test=name, value=None, unit="ps", target=f"skipped: no data in {folder}")
        return
    topology = read_topology(folder / "ala2.pdb")
    torsions = backbone_dihedrals(topology)
    variable = Dihedrals(np.concatenate([torsions["phi"], torsions["psi"]]), topology)
    files = [TrajectoryFile(path, topology) for path in sorted(folder.glob("*.dcd"))]
    yield _files_and_arrays(files, SineCosine(variable))
    angles = [np.concatenate(list(FeaturesAlongFile(file, variable))) for file in files]
    cells = [np.floor((a + np.pi) / (2 * np.pi) * 30).astype(int).clip(0, 29) for a in angles]
    grid = DiscreteTrajectories([c[:, 0] * 30 + c[:, 1] for c in cells], dt=1.0, n_states=900)
    scan = ImpliedTimescales([5, 10, 20, 50]).fit(grid)
    for k, lag in enumerate(scan.lags):
        low, high = scan.intervals[:, k, 0]
        yield Row(
            test=f"{name}: t2 at lag {lag:g} ps",
            value=float(scan.timescales[k, 0]),
            unit="ps",
            spread=float(scan.errors[k, 0]),
            target="234 to 243 in whole ps",
            met=bool(233.5 <= scan.timescales[k, 0] <= 243.5 and low < 239 < high and scan.resolved[k, 0]),
        )
    side = DiscreteTrajectories([(a[:, 0] > 0).astype(int) for a in angles], dt=1.0)
    process = MarkovStateModel(1, n_processes=1).fit(side).processes[0]
    yield Row(
        test="alanine dipeptide, 100 ns: crossings into phi > 0",
        value=float(process.forward),
        unit="crossings",
        target="under-sampled, no timescale",
        met=process.timescale is None,
    )


def _files_and_arrays(files: list[TrajectoryFile], variable: SineCosine) -> Row:
    """TICA of a variable along files, read chunk by chunk, and of the same numbers as arrays."""
    sources = [FeaturesAlongFile(file, variable) for file in files]
    arrays = [np.concatenate(list(source)) for source in sources]
    ours, whole = (
        TICA(lagtime=10, dim=1).fit(Trajectories(data, dt=1.0)).timescales[0] for data in (sources, arrays)
    )
    return Row(
        test="alanine dipeptide, 100 ns, TICA of sines and cosines: t2 from DCD files over t2 from arrays",
        value=float(abs(ours / whole - 1)),
        unit="relative difference",
        target="<= 1e-10",
        met=bool(abs(ours / whole - 1) <= 1e-10),
    )
