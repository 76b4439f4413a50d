"""Time series: speed beside deeptime and scikit-learn, and answers and error bars beside exact ones.

Speeds are processor seconds in this one process on one thread, the best of alternating repeats. Qualities
are known answers: Prinz's potential, whose timescales are exact, and 100 ns of alanine dipeptide from the
data folder. Answers of every other method for slow variables are in the benchmark of these (`slow_variables`).
"""

from __future__ import annotations

import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import jax
import numpy as np
from deeptime.decomposition import TICA as DeeptimeTICA
from deeptime.markov import TransitionCountEstimator, TransitionCountModel, pcca
from deeptime.markov.hmm import DiscreteOutputModel, GaussianOutputModel, MaximumLikelihoodHMM
from deeptime.markov.hmm import HiddenMarkovModel as DeeptimeHMM
from deeptime.markov.hmm._hmm_bindings import util as deeptime_recursion
from deeptime.markov.msm import MaximumLikelihoodMSM
from deeptime.markov.tools.estimation import tmatrix_sampler
from scipy.sparse import csr_array, csr_matrix
from sklearn.cluster import KMeans as ScikitKMeans

from thalweg.collective_variables.linear.tica import TICA
from thalweg.geometry.composed_variables import SineCosine
from thalweg.geometry.torsions import backbone_dihedrals
from thalweg.geometry.variables import Dihedrals
from thalweg.interop.files.trajectories import TrajectoryFile, read_topology
from thalweg.interop.measured.frame_features import FeaturesAlongFile
from thalweg.kinetics.cores.core_set_model import CoreSets
from thalweg.kinetics.cores.coring import cores_of_sets
from thalweg.kinetics.counts.active_set import active_set
from thalweg.kinetics.counts.counting import Effective, Sliding
from thalweg.kinetics.counts.counts import transition_counts
from thalweg.kinetics.estimation.reversible import Reversible
from thalweg.kinetics.estimation.spectrum import spectrum
from thalweg.kinetics.hidden.bootstrap import hidden_timescale_errors
from thalweg.kinetics.hidden.forward_backward import forward_backward
from thalweg.kinetics.hidden.hidden_markov_model import HiddenMarkovModel
from thalweg.kinetics.hidden.lanes import lanes
from thalweg.kinetics.hidden.most_likely_path import most_likely_path
from thalweg.kinetics.hidden.observations import RUN_IN
from thalweg.kinetics.hidden.outputs import DiscreteOutput
from thalweg.kinetics.hidden.recursion import Workspace
from thalweg.kinetics.macrostates.lumping import hummer_szabo
from thalweg.kinetics.macrostates.pcca import metastable_sets
from thalweg.kinetics.macrostates.quasi_markov import QuasiMarkov
from thalweg.kinetics.markov_state_model import MarkovStateModel
from thalweg.kinetics.states.clustering import KMeans
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories
from thalweg.kinetics.validation.bootstrap import bootstrap, timescale_errors
from thalweg.kinetics.validation.implied_timescales import ImpliedTimescales
from thalweg.kinetics.validation.posterior import posterior_timescales, sampled_models
from thalweg.report.benchmark import Row
from thalweg.testsystems.chain import sampled_states, timescales
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.wells import ObliqueDoubleWell, PrinzPotential
from thalweg.time_series.resampling import Estimate
from thalweg.time_series.trajectories import Trajectories

DEEPTIME, SCIKIT = f"deeptime {version('deeptime')}", f"scikit-learn {version('scikit-learn')}"


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """All parts, speeds first; ``quick`` takes smaller systems and fewer replicas."""
    return {
        "counting": _counting,
        "reversible": partial(_reversible, quick),
        "TICA": _tica,
        "clustering": partial(_clustering, quick),
        "short runs": _short_runs,
        "error bars": partial(_error_bars, quick),
        "posterior": partial(_posterior, quick),
        "hidden speed": partial(_hidden_speed, quick),
        "hidden double well": partial(_hidden_double_well, quick),
        "few states": _few_states,
        "alanine": partial(_alanine, data),
    }


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


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
    prinz = Generator(PrinzPotential(), ((-1.15, 1.15),), 100)
    start, random = prinz.stationary_distribution, np.random.default_rng(0)
    path = sampled_states(prinz.transition_matrix(0.001), 1, 10**6, start, random)[0].astype(np.int32)
    yield _speed(
        "effective transition counts, 1e+06 steps, 100 states, lag 100",
        lambda: Effective().count([path], 100),
        lambda: TransitionCountEstimator(100, "effective").fit_fetch(path),
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
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "x.npy"
        np.save(file, x)
        started = time.process_time()
        TICA(lagtime=10).fit(np.load(file, mmap_mode="r"))
        minutes = (time.process_time() - started) / 60 / (x.nbytes / 1e12)
    yield Row(f"{name}, from a file: one pass", minutes, "CPU min per terabyte")
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
    replicas = 24 if quick else 200
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


def _posterior(quick: bool) -> Iterator[Row]:
    """Speed of sampling, and what bars from numbers of counts are worth beside the spread of replicas."""
    prinz, lag = Generator(PrinzPotential(), ((-1.15, 1.15),), 100), 0.01
    chain, start = prinz.transition_matrix(lag), prinz.stationary_distribution
    path = sampled_states(chain, 1, 40000, start, np.random.default_rng(0))[0]
    model = MarkovStateModel(1).fit([path])
    dense, number = model.active.restrict(model.counts.matrix).toarray(), 200
    sampler = tmatrix_sampler(dense, reversible=True)
    yield _speed(
        f"{number} samples of reversible matrices, {len(dense)} states",
        lambda: list(islice(sampled_models(model), number)),
        lambda: [sampler.sample() for _ in range(number)],
        DEEPTIME,
        3,
    )
    exact, edges, replicas = prinz.timescales(1)[0], np.arange(4, 100, 4), 12 if quick else 48
    lag = 0.002
    fine = prinz.transition_matrix(lag)
    runs = sampled_states(fine, replicas, 20000, start, np.random.default_rng(1))
    bars: dict[str, list[float]] = {"sliding counts": [], "effective counts": [], "block bootstrap": []}
    found, covered = [], dict.fromkeys(bars, 0)
    for k, states in enumerate(np.searchsorted(edges, runs, side="right")):
        data = DiscreteTrajectories([states], dt=lag, n_states=25)
        for name, counting in (("sliding counts", Sliding()), ("effective counts", Effective())):
            model = MarkovStateModel(50, n_processes=1, counting=counting).fit(data)
            estimates = {name: posterior_timescales(model, 60, seed=k)}
            if name == "sliding counts":
                found.append(model.timescales[0])
                estimates["block bootstrap"] = timescale_errors(model, 60, seed=k)
            for kind, estimate in estimates.items():
                low, high = estimate.interval()[:, 0]
                bars[kind].append(float(estimate.error[0]))
                covered[kind] += low < exact < high
    for kind, claimed in bars.items():
        row = _calibration(
            f"{kind}, one run of 40 ps, lag 0.1 ps = 50 frames", np.array(found), np.array(claimed)
        )
        share = f"covers in {100 * covered[kind] / replicas:.0f} % of {replicas}"
        if kind != "block bootstrap":
            row = replace(row, target="too small by nature; bootstrap is the default", met=None)
        yield replace(row, test=f"{row.test}; {share}")


def _noisy_chain(frames: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A chain of three hidden states, what it shows as a number, and that in 32 bins."""
    chain = np.array([[0.99, 0.005, 0.005], [0.01, 0.98, 0.01], [0.005, 0.005, 0.99]])
    random = np.random.default_rng(0)
    hidden = sampled_states(chain, 1, frames, np.full(3, 1 / 3), random)[0]
    shown = hidden + 0.4 * random.standard_normal(frames)
    return chain, shown, np.digitize(shown, np.linspace(-1, 3, 31))


def _hidden_speed(quick: bool) -> Iterator[Row]:
    lengths = (200_000,) if quick else (20_000, 200_000, 1_000_000)
    jax.config.update("jax_enable_compilation_cache", False)  # first calls compile, whatever was run before
    for hidden in (2, 3, 5, 10):
        for frames in lengths:
            yield from _recursion(hidden, frames)
    for frames in lengths:
        yield from _iterations(frames)


def _iterations(frames: int) -> Iterator[Row]:
    """Expectation and maximization, likelihoods and all, from the same start."""
    _, shown, bins = _noisy_chain(frames)
    steps = 10
    for kind, data in (("discrete", bins), ("Gaussian", shown[:, None])):
        method = HiddenMarkovModel(3, restarts=1, tolerance=-np.inf, max_iterations=0)
        begin = method.fit([data])
        if isinstance(begin.output, DiscreteOutput):
            their_output = DiscreteOutputModel(begin.output.probabilities)
        else:
            widths = np.sqrt(begin.output.covariances.ravel())
            their_output = GaussianOutputModel(3, begin.output.means.ravel(), widths)
        begun = DeeptimeHMM(begin.transition_matrix, their_output)
        peer = MaximumLikelihoodHMM(begun, lagtime=1, maxit=steps, accuracy=1e-300, reversible=True)
        flat = np.ascontiguousarray(data.reshape(frames))
        method.improved(begin, begin.observed, 1)
        yield _speed(
            f"{steps} iterations of a reversible hidden Markov model, {frames:.0e} frames, {kind} output",
            lambda m=method, b=begin: m.improved(b, b.observed, steps),
            lambda p=peer, f=flat: p.fit(f),
            DEEPTIME,
            1,
            repeats=5,
        )


@dataclass(frozen=True)
class _Likelihoods:
    """An output that hands out likelihoods ``(groups, hidden, places)``; what is observed is the number of a group."""

    given: np.ndarray

    def relative(self, observed: np.ndarray, out: np.ndarray | None = None):
        np.copyto(out, self.given[observed[0]])
        return out, np.zeros(out.shape[1])

    def tally(self, observed: np.ndarray, memberships: np.ndarray):
        return np.zeros(0)

    def refitted(self, tally: np.ndarray):
        return self

    def permuted(self, order: np.ndarray):
        return self


def _recursion(hidden: int, frames: int) -> Iterator[Row]:
    """From likelihoods to memberships and transitions, and to the most likely path.

    Both begin with likelihoods in their own order. Calls follow each other as in an iteration. Compilation is in the
    first call, whose wall time is in the name of the row.
    """
    chain = np.full((hidden, hidden), 0.02 / (hidden - 1))
    np.fill_diagonal(chain, 0.98)
    even, random = np.full(hidden, 1 / hidden), np.random.default_rng(0)
    shown = sampled_states(chain, 1, frames, even, random)[0] + 0.4 * random.standard_normal(frames)
    likelihood = np.exp(-((shown[:, None] - np.arange(hidden)) ** 2) / 0.32)
    likelihood /= likelihood.max(axis=1, keepdims=True)
    cut, workspace = lanes(np.array([frames]), 1, 40, RUN_IN), Workspace(hidden)
    output, numbers = _Likelihoods(cut.laid(likelihood.T)), np.arange(len(cut.frames))[:, None]
    repeats, calls = 25, 1 + 200_000 // frames
    alpha, beta, gamma, counts = (np.empty((n, hidden)) for n in (frames, frames, frames, hidden))

    def theirs():
        deeptime_recursion.forward(chain, likelihood, even, alpha_out=alpha, T=frames)
        deeptime_recursion.backward(chain, likelihood, beta_out=beta, T=frames)
        deeptime_recursion.state_probabilities(alpha, beta, gamma_out=gamma, T=frames)
        deeptime_recursion.transition_counts(alpha, beta, chain, likelihood, counts_out=counts, T=frames)

    def ours():
        return forward_backward(cut, output, numbers, chain, even, even, workspace=workspace)

    def path():
        return most_likely_path(cut, output, numbers, chain, even, even)[0]

    name = f"{frames:.0e} frames, {hidden} hidden states"
    for kind, mine, peers, target in (
        ("forward-backward with memberships and transitions", ours, theirs, 3),
        ("most likely path", path, lambda: deeptime_recursion.viterbi(chain, likelihood, even), 1),
    ):
        start = time.perf_counter()
        mine()
        first = time.perf_counter() - start
        row = _speed(f"{kind}, {name}", _often(mine, calls), _often(peers, calls), DEEPTIME, target, repeats)
        yield replace(
            row,
            test=f"{row.test} (first call {first:.1f} s)",
            value=row.value / calls,
            spread=row.spread / calls,
            peer_value=row.peer_value / calls,
        )


def _often(run: Callable, calls: int) -> Callable:
    """So many calls in a row."""
    return lambda: [run() for _ in range(calls)] and None


def _hidden_double_well(quick: bool) -> Iterator[Row]:
    generator = Generator(ObliqueDoubleWell(), ((-1.8, 1.8), (-2.0, 2.0)), (28, 28), kT=2.0)
    exact, dt = float(generator.timescales(1)[0]), 0.02
    runs = generator.sample(20, 4000 if quick else 20000, dt, seed=1)
    cells = [
        np.clip((x[:, 0] + 1.8) / 0.36, 0, 9).astype(int) * 3
        + np.clip((x[:, 1] + 2) * 0.75, 0, 2).astype(int)
        for x in runs
    ]
    data = DiscreteTrajectories(cells, dt=dt, n_states=30)
    kinds = (
        ("30 cells, lag 0.2 ps", HiddenMarkovModel(2, 10, restarts=1), data),
        ("Gaussian output, lag 0.4 ps", HiddenMarkovModel(2, 20, restarts=1), Trajectories(runs, dt=dt)),
    )
    for kind, method, seen in kinds:
        estimate = hidden_timescale_errors(method.fit(seen), samples=20)
        yield _beside(f"oblique double well, hidden Markov model, {kind}", estimate, exact, target=2)
    plain = timescale_errors(MarkovStateModel(10, n_processes=1).fit(data), samples=20)
    yield _beside("oblique double well, Markov model of the same 30 cells, lag 0.2 ps", plain, exact, None)
    chain, replicas = np.array([[0.98, 0.02], [0.04, 0.96]]), 8 if quick else 24
    states = sampled_states(chain, replicas, 5000, np.array([2 / 3, 1 / 3]), np.random.default_rng(0))
    flips = np.random.default_rng(1).random(states.shape) < 0.1
    found, claimed, covered = [], [], 0
    for k, path in enumerate(np.where(flips, 1 - states, states)):
        model = HiddenMarkovModel(2, restarts=1).fit([path])
        estimate = hidden_timescale_errors(model, samples=25, seed=k)
        low, high = estimate.interval()[:, 0]
        found.append(model.timescales[0])
        claimed.append(float(estimate.error[0]))
        covered += low < timescales(chain, 1)[0] < high
    kind = f"hidden Markov model; 95 % intervals cover in {covered} of {replicas}"
    yield _calibration(kind, np.array(found), np.array(claimed))


def _beside(test: str, estimate: Estimate, exact: float, target: float | None) -> Row:
    """A timescale with its error beside the exact one."""
    value, error = float(estimate.value[0]), float(estimate.error[0])
    z = (value - exact) / error
    return Row(
        test=f"{test}: t2, z = {z:+.1f}",
        value=value,
        unit="ps",
        spread=error,
        target=f"{exact:.4g}" if target is None else f"within {target:g} errors of {exact:.4g}",
        met=None if target is None else bool(abs(z) <= target),
        peer="exact",
        peer_value=exact,
    )


def _few_states() -> Iterator[Row]:
    """Four wells of Prinz's potential as four states: what recrossings cost, and three remedies."""
    prinz = Generator(PrinzPotential(), ((-1.15, 1.15),), 60)
    exact, lag = float(prinz.timescales(1)[0]), 0.01
    start, random = prinz.stationary_distribution, np.random.default_rng(0)
    paths = sampled_states(prinz.transition_matrix(lag), 20, 20000, start, random)
    data = DiscreteTrajectories(list(paths), dt=lag, n_states=60)
    fine = MarkovStateModel(1, n_processes=3).fit(data)
    wells = np.repeat(np.arange(4), 15)
    four = DiscreteTrajectories([wells[b] for b in data.blocks], dt=lag)
    name = "Prinz's potential, four wells"
    plain = timescale_errors(MarkovStateModel(10, n_processes=3).fit(four), samples=40)
    yield _beside(f"{name}, Markov model at lag 0.1 ps", plain, exact, None)
    memory = QuasiMarkov(1, 10).fit(four).timescale_errors(40)
    yield _beside(f"{name}, quasi-Markov model of 0.1 ps memory", memory, exact, 2)
    cores = cores_of_sets(metastable_sets(fine, 4), 0.85)
    milestoned = CoreSets(10, cores).fit(data).timescale_errors(40)
    yield _beside(f"{name}, milestoning at lag 0.1 ps", milestoned, exact, 2)
    projected = bootstrap(fine, lambda m: hummer_szabo(m, wells).timescales, samples=40)
    yield _beside(f"{name}, Hummer-Szabo projection of 60 states at lag 0.01 ps", projected, exact, 2)


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
    yield from _alanine_two_states(grid)
    side = DiscreteTrajectories([(a[:, 0] > 0).astype(int) for a in angles], dt=1.0)
    process = MarkovStateModel(1, n_processes=1).fit(side).processes[0]
    yield Row(
        test="alanine dipeptide, 100 ns: crossings into phi > 0",
        value=float(process.forward),
        unit="crossings",
        target="under-sampled, no timescale",
        met=process.timescale is None,
    )


def _alanine_two_states(grid: DiscreteTrajectories) -> Iterator[Row]:
    """The same process from two states, at lag times of 1 and 5 ps."""
    sets = metastable_sets(MarkovStateModel(10).fit(grid), 2)
    two = DiscreteTrajectories([np.maximum(sets.assignments[b], 0) for b in grid.blocks], dt=1.0)
    name = "alanine dipeptide, 100 ns, two states"
    plain = timescale_errors(MarkovStateModel(5, n_processes=1).fit(two), samples=40)
    yield _beside(f"{name}, Markov model at lag 5 ps", plain, 239.0, None)
    memory = QuasiMarkov(1, 5).fit(two).timescale_errors(40)
    yield _beside(f"{name}, quasi-Markov model of 5 ps memory", memory, 239.0, 2)
    milestoned = CoreSets(1, cores_of_sets(sets, 0.9)).fit(grid).timescale_errors(40)
    yield _beside(f"{name}, milestoning at lag 1 ps", milestoned, 239.0, 2)
    hidden = hidden_timescale_errors(HiddenMarkovModel(2, 5, restarts=1).fit(grid), samples=15)
    yield _beside(f"{name}, hidden Markov model at lag 5 ps", hidden, 239.0, 2)


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
