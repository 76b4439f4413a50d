"""Slow variables: answers beside exact ones by every method that applies, seeds, alanine dipeptide, training speed.

Data are simulated from model potentials whose time scales are exact (`thalweg.testsystems`); ``z`` is the difference
from the exact answer in standard errors that the method itself claims. Published scores of alanine dipeptide are those
of the same data and splits, measured with deeptime.
"""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import combinations
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from deeptime.markov import pcca

from thalweg.collective_variables.bases.kernels import Landmarks
from thalweg.collective_variables.bases.polynomials import Polynomials
from thalweg.collective_variables.covariances.covariance import covariances
from thalweg.collective_variables.interpretation.symbolic_regression import SymbolicRegression
from thalweg.collective_variables.linear.dynamic_modes import EDMD
from thalweg.collective_variables.linear.integrated_vac import IntegratedVAC
from thalweg.collective_variables.linear.kernel_tica import KernelTICA
from thalweg.collective_variables.linear.tica import TICA
from thalweg.collective_variables.linear.vac import VAC
from thalweg.collective_variables.linear.vamp import VAMP
from thalweg.collective_variables.neural.slow_networks import DCCA, SRV, VDE, TimeLaggedAutoencoder, VAMPnet
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.overdamped import Overdamped
from thalweg.geometry.composed_variables import SineCosine
from thalweg.geometry.torsions import backbone_dihedrals
from thalweg.geometry.variables import Coordinates, Dihedrals, Distances
from thalweg.interop.files.trajectories import TrajectoryFile, read_topology
from thalweg.interop.measured.frame_features import FeaturesAlongFile
from thalweg.kinetics.macrostates.pcca import metastable_sets
from thalweg.kinetics.markov_state_model import MarkovStateModel
from thalweg.kinetics.pipeline import MarkovPipeline
from thalweg.kinetics.states.clustering import KMeans
from thalweg.kinetics.validation.bootstrap import timescale_errors
from thalweg.report.benchmark import Row
from thalweg.systems.state import thermal_state
from thalweg.testsystems.chain import chain_stationary_distribution, hop_chain, sampled_states
from thalweg.testsystems.chain import timescales as chain_timescales
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.muller_brown import MullerBrown
from thalweg.testsystems.wells import DoubleWell, PrinzPotential, QuadrupleWell, TripleWell1D, TripleWell2D
from thalweg.time_series.accelerated import accelerated, unbiasing_weights
from thalweg.time_series.cross_validation import ShuffleSplit, cross_validate
from thalweg.time_series.trajectories import Trajectories

SYSTEMS = {
    "Prinz": (Generator(PrinzPotential(), ((-1.2, 1.2),), 200), 1e-3, 50, 2, (40, 5000)),
    "triple well in 1D": (
        Generator(TripleWell1D(), ((-0.5, 6.8),), 200, 0.28125, 0.28125),
        5.0,
        10,
        2,
        (20, 20000),
    ),
    "triple well in 2D": (
        Generator(TripleWell2D(), ((-2.0, 2.0), (-1.5, 2.5)), (60, 60), 0.59405, 0.59405),
        0.05,
        10,
        2,
        (20, 10000),
    ),
    "quadruple well in 2D": (
        Generator(QuadrupleWell(), ((-2.0, 2.0), (-2.0, 2.0)), (60, 60), 0.25, 0.25),
        0.5,
        10,
        2,
        (20, 10000),
    ),
    "Müller-Brown / 20": (
        Generator(MullerBrown(20.0), ((-2.0, 1.6), (-0.9, 2.5)), (62, 60), ceiling=25.0),
        0.02,
        10,
        1,
        (20, 10000),
    ),
}
"""Generator, time between frames, lag time in frames, processes that are asked for, runs and their frames."""

WELLS = 0.15
"""Relative error allowed for short runs that do not start from equilibrium."""


class LoweredBarrier:
    """A Gaussian of -``depth`` at the top, which does not grow."""

    variable, stride = Coordinates([0], dims=1), None

    def __init__(self, depth: float):
        self.depth = depth

    def init(self):
        return jnp.zeros(())

    def energy(self, bias_state, values):
        return -self.depth * jnp.exp(-2 * values[0] ** 2)

    def update(self, bias_state, values):
        return bias_state


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """All parts; ``quick`` takes Prinz's potential and few seeds."""
    names = list(SYSTEMS)[:1] if quick else list(SYSTEMS)
    return {f"exact/{name}": partial(exact_times, name, quick) for name in names} | {
        "networks": partial(networks, quick),
        "short runs": partial(short_runs, quick),
        "four wells": partial(four_wells, SRV, quick),
        "four wells, VAMPnet": partial(four_wells, VAMPnet, quick),
        "biased": partial(biased, quick),
        "biased files": partial(biased_files, data),
        "alanine": partial(alanine, data, quick),
        "peptide": partial(peptide, data),
        "workers": partial(workers, quick),
        "epochs": partial(epochs, quick),
    }


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def exact_times(name: str, quick: bool) -> Iterator[Row]:
    """Time scales from simulations that start at equilibrium."""
    generator, dt, lag, count, (runs, frames) = SYSTEMS[name]
    exact = generator.timescales(count)
    data = Trajectories(generator.sample(runs, frames // (5 if quick else 1), dt, seed=1), dt=dt)
    kernels = Landmarks(40 if data.n_features == 1 else 120)
    pipeline = MarkovPipeline(MarkovStateModel(lag, n_processes=count), KMeans(100))
    methods = {
        "VAC, kernels": VAC(lag, count, kernels, cutoff=1e-5),
        "VAMP, kernels": VAMP(lag, count, kernels, cutoff=1e-5),
        "kernel TICA": KernelTICA(lag, count, landmarks=60),
        "SRV": SRV(lagtime=lag, dim=count, restarts=1),
        "Markov model, 100 states": pipeline,
    }
    for label, method in methods.items():
        model = method.fit(data)
        estimate = timescale_errors(model.markov) if method is pipeline else model.timescale_errors()
        for k in range(count):
            value, error = float(estimate.value[k]), float(estimate.error[k])
            z = (value - exact[k]) / error
            test = f"{name}: t{k + 2} by {label} (z = {z:+.1f})"
            yield Row(test, value, "ps", error, f"{exact[k]:.4g} within 3 errors", bool(abs(z) < 3))


def networks(quick: bool) -> Iterator[Row]:
    """The slowest time of Prinz's potential by every kind of network."""
    generator, dt, lag, _, (runs, frames) = SYSTEMS["Prinz"]
    exact = float(generator.timescales(1)[0])
    data = Trajectories(generator.sample(runs, frames // (5 if quick else 1), dt, seed=2), dt=dt)
    for kind in (VAMPnet, SRV, DCCA, TimeLaggedAutoencoder, VDE):
        model = kind(lagtime=lag, dim=1, restarts=1).fit(data)
        estimate = model.timescale_errors()
        value, error = float(estimate.value[0]), float(estimate.error[0])
        z = (value - exact) / error
        test = f"Prinz: t2 by {kind.__name__} (z = {z:+.1f})"
        yield Row(test, value, "ps", error, f"{exact:.4g} within 3 errors", bool(abs(z) < 3))


def short_runs(quick: bool) -> Iterator[Row]:
    """The slowest time of Prinz's potential from runs of half its length that start in one well."""
    generator = SYSTEMS["Prinz"][0]
    exact, seeds = float(generator.timescales(1)[0]), range(2 if quick else 6)
    kernels = Landmarks(30)
    methods = {
        "VAC, kernels": lambda data: VAC(50, 1, kernels, cutoff=1e-5).fit(data).timescales[0],
        "VAMP, kernels": lambda data: VAMP(50, 1, kernels, cutoff=1e-5).fit(data).timescales[0],
        "EDMD, kernels": lambda data: EDMD(50, kernels, cutoff=1e-5).fit(data).timescales[1],
        "integrated over lags": lambda data: IntegratedVAC(20, 120, 1, kernels).fit(data).timescales[0],
        "VAMPnet": lambda data: VAMPnet(lagtime=50, dim=2, restarts=1).fit(data).timescales[0],
    }
    found: dict[str, list[float]] = {label: [] for label in methods}
    for seed in seeds:
        runs = generator.sample(500, 417, 1e-3, start=lambda x: np.abs(x[0] + 0.22) < 0.02, seed=seed)
        data = Trajectories(runs, dt=1e-3)
        for label, method in methods.items():
            found[label].append(float(method(data)))
    for label, values in found.items():
        mean = float(np.mean(values))
        yield Row(
            f"Prinz, 500 runs of t2/2 from one well, mean of {len(values)}: t2 by {label}",
            mean,
            "ps",
            float(np.std(values, ddof=1)),
            f"within 15 % of {exact:.3f}",
            bool(abs(mean / exact - 1) < WELLS),
        )


def four_wells(kind: type, quick: bool) -> Iterator[Row]:
    """Networks of one kind on the chain of four wells, over seeds."""
    points = np.linspace(-1, 1, 100)
    chain = hop_chain(PrinzPotential(), points)
    exact = 1 + float(np.exp(-200 / chain_timescales(chain, 3)).sum())
    states = sampled_states(chain, 20, 25_000, chain_stationary_distribution(chain), np.random.default_rng(0))
    data = Trajectories([points[run][:, None] for run in states])
    scores, seconds = [], []
    for seed in range(2 if quick else 20):
        started = time.process_time()
        model = kind(lagtime=100, dim=3, restarts=1, seed=seed).fit(data)
        seconds.append(time.process_time() - started)
        scores.append(_score_in_chain(model, chain, points))
    reached = float(np.mean(np.array(scores) >= 0.99 * exact))
    name = f"hop chain of four wells, {kind.__name__}, {len(scores)} seeds, no restarts"
    yield Row(
        f"{name}: VAMP-2 in the exact chain",
        float(np.median(scores)),
        "",
        float(np.std(scores)),
        f">= 3.42 of {exact:.4f}",
        bool(np.median(scores) >= 3.42),
    )
    yield Row(f"{name}: reach 99 % of the exact score", 100 * reached, "%", None, ">= 95 %", reached >= 0.95)
    yield Row(f"{name}: a fit", float(np.mean(seconds)), "CPU s")


def _score_in_chain(model, chain: np.ndarray, points: np.ndarray, lag: int = 100) -> float:
    """VAMP-2 score of a model's coordinates under the exact transition matrix, the constant included."""
    weights = chain_stationary_distribution(chain)
    values = np.asarray(model.transform(points[:, None]))
    values = values - weights @ values
    later = np.linalg.matrix_power(chain, lag) @ values
    c0, ct = values.T @ (weights[:, None] * values), values.T @ (weights[:, None] * later)
    return 1 + float(np.trace(np.linalg.solve(c0, ct) @ np.linalg.solve(c0, ct.T)))


def alanine(data: Path, quick: bool) -> Iterator[Row]:
    """Scores of alanine dipeptide at 10 ps, half of ten trajectories held out, five times."""
    folder = data / "kinetics" / "alanine_msmb"
    if not folder.is_dir():
        yield Row("alanine dipeptide, 100 ns: scores", None, "", target=f"skipped: no data in {folder}")
        return
    angles, distances = _alanine(folder)
    cases = (
        ("TICA, 45 distances", TICA(10, 4), distances, 1.945),
        ("TICA, sines and cosines", TICA(10, 4), angles, 1.939),
        ("kernel TICA, sines and cosines", KernelTICA(10, 4, landmarks=200), angles, 1.963),
        ("SRV, sines and cosines", SRV(lagtime=10, dim=3, restarts=1), angles, 1.963),
        ("VAMPnet, sines and cosines", VAMPnet(lagtime=10, dim=3, restarts=1), angles, 1.963),
    )
    started = time.process_time()
    KernelTICA(10, 2).fit(angles)
    seconds = time.process_time() - started
    test = f"kernel TICA, {angles.n_frames} frames, 300 landmarks, width chosen: a fit"
    yield Row(test, seconds, "CPU s", target="<= 180", met=seconds <= 180)
    for label, method, frames, published in cases[:2] if quick else cases:
        found = cross_validate(method, frames, ShuffleSplit(5), parts=10)
        yield Row(
            f"alanine dipeptide, 10 ps, {label}: VAMP-2 held out",
            found.mean,
            "",
            found.error,
            f">= {published} within an error",
            bool(found.mean >= published - found.error),
            "same data and splits, published",
            published,
            found.mean / published,
        )


def _alanine(folder: Path) -> tuple[Trajectories, Trajectories]:
    """Sines and cosines of the backbone, and distances of heavy atoms, named."""
    topology = read_topology(folder / "ala2.pdb")
    torsions = backbone_dihedrals(topology)
    heavy = [k for k, element in enumerate(topology.elements) if element != "H"]
    waves = SineCosine(Dihedrals(np.concatenate([torsions["phi"], torsions["psi"]]), topology))
    pairs = Distances(list(combinations(heavy, 2)), topology)
    files = [TrajectoryFile(path, topology) for path in sorted(folder.glob("*.dcd"))]
    angles, distances = (
        Trajectories(
            [np.concatenate(list(FeaturesAlongFile(file, each))) for file in files], names=each.names
        )
        for each in (waves, pairs)
    )
    return angles, distances


def peptide(data: Path) -> Iterator[Row]:
    """Alanine dipeptide beside what others find: the slowest time by every basis, sets of deeptime, a formula.

    The published time is that of a Markov model of a 30 x 30 grid of both angles at 10 ps, the same data.
    """
    folder = data / "kinetics" / "alanine_msmb"
    if not folder.is_dir():
        yield Row("alanine dipeptide, 100 ns", None, "", target=f"skipped: no data in {folder}")
        return
    angles, published = _alanine(folder)[0], 239.4
    methods = {
        "VAC, waves of angles": VAC(10, 1, Polynomials(4)),
        "EDMD, kernels": EDMD(10, Landmarks(100), cutoff=1e-6),
        "VAMP, kernels": VAMP(10, 1, Landmarks(100), cutoff=1e-6),
        "kernel TICA": KernelTICA(10, 1),
        "DCCA": DCCA(lagtime=10, dim=1),
        "SRV": SRV(lagtime=10, dim=1),
        "VAMPnet": VAMPnet(lagtime=10, dim=1),
        "time-lagged autoencoder": TimeLaggedAutoencoder(lagtime=10, dim=1),
        "variational dynamics encoder": VDE(lagtime=10, dim=1),
    }
    for label, method in methods.items():
        model = method.fit(angles)
        estimate, first = model.timescale_errors(), int(isinstance(method, EDMD))
        value, error = float(estimate.value[first]), float(estimate.error[first])
        z = (value - published) / error
        yield Row(
            f"alanine dipeptide, 10 ps: t2 by {label} (z = {z:+.1f})",
            value,
            "ps",
            error,
            f"{published} within 3 errors",
            bool(abs(z) < 3),
            "Markov model of a grid, published",
            published,
            value / published,
        )
        if label == "kernel TICA":
            front = SymbolicRegression().fit(angles, lambda x, model=model: model.transform(x)[:, :1])
            left = float(front.errors[front.formulas.index(front.best)] / front.variance)
            yield Row(f"alanine dipeptide: slowest function as {front.best}, variance left", left, "")
    pipeline = MarkovPipeline(MarkovStateModel(10), KMeans(100), TICA(10, 4))
    model = pipeline.fit(angles)
    ours = metastable_sets(model.markov, 2).memberships[model.markov.active.states]
    theirs = pcca(model.markov.fit.matrix.toarray(), 2).memberships
    weights = model.markov.fit.stationary_distribution
    apart = min(float(weights @ np.abs(ours - theirs[:, order]).max(axis=1)) for order in ([0, 1], [1, 0]))
    yield Row(
        "alanine dipeptide: memberships of PCCA+ beside deeptime's, mean difference",
        apart,
        "",
        None,
        "<= 0.01",
        apart <= 0.01,
    )


def biased(quick: bool) -> Iterator[Row]:
    """A double well whose barrier a bias has lowered: its unbiased time by weights of paths, noted by the engine."""
    potential, kT, dt, save, lag, walkers = DoubleWell(), 1.0, 2e-3, 10, 10, 60
    exact = float(Generator(potential, ((-2.0, 2.0),), 400, kT).timescales(1)[0])
    engine = NativeEngine.for_potential(potential, np.ones(1), Overdamped(kT, dt, 1.0))
    start = thermal_state(
        jnp.resize(jnp.array([-1.0, 1.0]), (1, 1, walkers)), np.ones(1), kT, jax.random.key(0)
    )
    run = engine.run(start, 10_000 if quick else 100_000, save_every=save, bias=LoweredBarrier(1.0))
    runs = [x[:, 0].astype(float) for x in run.positions]
    weights, basis = unbiasing_weights(list(run.bias_energy), kT), Landmarks(20)
    cases = (
        ("the bias ignored", Trajectories(runs, run.dt_frames), None),
        ("weights of paths", Trajectories(runs, run.dt_frames, weights, log_path=list(run.log_path)), 0.15),
    )
    for label, data, target in cases:
        value = float(VAC(lag, 1, basis, cutoff=1e-5).fit(data).timescales[0])
        test = f"double well, barrier lowered by a bias, {label}: t2"
        if target is None:
            yield Row(test, value, "ps", target=f"not {exact:.4g}")
        else:
            yield Row(
                test, value, "ps", None, f"within 15 % of {exact:.4g}", bool(abs(value / exact - 1) < target)
            )


def biased_files(data: Path) -> Iterator[Row]:
    """Runs of PLUMED under OPES on one coordinate: the unbiased slowest function, beside that of the exact generator.

    Müller-Brown at 0.15 with unit mass and friction 10 as in the input beside the files, nearly overdamped. Along y the
    bias is flat on much of the way and speeds the crossing itself up, which accelerated time cannot undo.
    """
    folder = data / "kinetics" / "mlcolvar_muller"
    if not folder.is_dir():
        skipped = f"skipped: no data in {folder}; get them from the tutorials of luigibonati/mlcolvar"
        yield Row("Müller-Brown, PLUMED files", None, "", target=skipped)
        return
    generator = Generator(MullerBrown(1 / 0.15), ((-1.3, 1.0), (-0.6, 2.3)), (90, 110), 1.0, 0.1, 25.0)
    exact, slowest = generator.eigenfunctions(2)[1], float(generator.timescales(1)[0])
    points, weights = generator.points.T, generator.stationary_distribution
    left = generator.probability(lambda x: x[1] > 0.8)
    for axis, dt in (("x", 20.0), ("y", 1.0)):
        with gzip.open(folder / f"muller-brown_biased_opes-{axis}_COLVAR.gz", "rt") as file:
            columns = file.readline().split()[2:]
            table = dict(zip(columns, np.loadtxt(file, unpack=True)))
        run = np.column_stack([table["p.x"], table["p.y"]])[500:]
        bias = table["opes.bias"][500:]
        share = unbiasing_weights([bias], 1.0)[0]
        where = f"Müller-Brown, OPES along {axis}"
        found = float(share[run[:, 1] > 0.8].sum() / share.sum())
        yield Row(f"{where}: population of the upper well", found, "", target=f"exact {left:.4f}")
        frames = accelerated(Trajectories([run], dt=dt, names=["x", "y"]), [bias], 1.0)
        for method in (TICA(5, dim=1), VAC(5, 1, Polynomials(8)), KernelTICA(5, dim=1), SRV(5, dim=1)):
            model = method.fit(frames)
            values = np.asarray(model.transform(points), float)[:, 0]
            both = np.cov(values, exact, aweights=weights)
            agreement = float(abs(both[0, 1]) / np.sqrt(both[0, 0] * both[1, 1]))
            name = f"{where}, {type(method).__name__} at lag 5"
            yield Row(f"{name}: correlation with the exact slowest function", agreement, "")
            yield Row(f"{name}: t2", float(model.timescales[0]), "", target=f"exact {slowest:.4g}")


def workers(quick: bool) -> Iterator[Row]:
    """Wall time of TICA with two workers beside one, the library's own threads held at one."""
    frames = 100_000 if quick else 1_000_000
    data = Trajectories([np.random.default_rng(0).standard_normal((frames, 100), np.float32)])
    alone, together = [], []
    with ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            for times, executor in ((alone, None), (together, pool)):
                started = time.perf_counter()
                covariances(data, 10, executor=executor)
                times.append(time.perf_counter() - started)
    ratio = min(alone) / min(together)
    test = f"covariances of {frames:.0e} x 100, two workers beside one"
    yield Row(
        test, min(together), "s of wall time", None, "ratio >= 1", ratio >= 1, "one worker", min(alone), ratio
    )


PEER = """
import time, numpy as np, torch
torch.set_num_threads(1)
from torch import nn
from torch.utils.data import DataLoader
from deeptime.decomposition.deep import VAMPNet
from deeptime.util.data import TrajectoryDataset
x = np.random.default_rng(0).standard_normal((250_001, 30)).astype(np.float32)
widths = (30, 100, 100, 100)
hidden = [part for a, b in zip(widths, widths[1:]) for part in (nn.Linear(a, b), nn.ELU())]
lobe = nn.Sequential(*hidden, nn.Linear(100, 5))
net = VAMPNet(lobe=lobe, learning_rate=1e-3)
loader = DataLoader(TrajectoryDataset(1, x), batch_size=10_000, shuffle=True)
times = []
for _ in range(2):
    start = time.process_time()
    net.fit(loader, n_epochs=1)
    times.append(time.process_time() - start)
print(min(times))
"""
"""An epoch of deeptime's VAMPNet, for the interpreter named by ``THALWEG_PEERS``."""


def epochs(quick: bool) -> Iterator[Row]:
    """Processor time of an epoch of a VAMPnet: 250,000 pairs of 30 features, three layers of 100."""
    x = np.random.default_rng(0).standard_normal((250_001 if not quick else 25_001, 30)).astype(np.float32)
    settings = {
        "lagtime": 1,
        "dim": 5,
        "hidden": (100, 100, 100),
        "batch": 10_000,
        "restarts": 1,
        "held_out": 0.05,
    }
    stamps: list[float] = []
    steps = 5 * (len(x) // 10_000)
    VAMPnet(**settings, steps=steps, progress=lambda *_: stamps.append(time.process_time())).fit(
        Trajectories([x])
    )
    ours = float(np.diff(stamps).min()) / 0.9
    test = "VAMPnet epoch, 250,000 pairs of 30 features, 3 x 100"
    if quick:
        yield Row(test, ours, "CPU s", target="ratio >= 2.5")
        return
    python = os.environ.get("THALWEG_PEERS", sys.executable)
    try:
        answer = subprocess.run([python, "-c", PEER], capture_output=True, text=True, timeout=600, check=True)
        theirs = float(answer.stdout.strip().splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        reason = str(getattr(error, "stderr", "") or error).strip().splitlines()[-1]
        yield Row(test, ours, "CPU s", target=f"ratio >= 2.5; deeptime: {reason}")
        return
    ratio = theirs / ours
    yield Row(test, ours, "CPU s", None, "ratio >= 2.5", ratio >= 2.5, "deeptime VAMPNet", theirs, ratio)
