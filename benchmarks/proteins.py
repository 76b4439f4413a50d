"""Proteins: modes that go with a function, residues of a switch, contacts that come together.

Constructed modes are of relaxing positions of 50 atoms in six runs of mixed lengths, 12,000 frames in all; the
function is of four atoms, with noise. The real motion is TEM-1 beta-lactamase (M182T), 100 short runs of five frames
10 ns apart: the function is a distance between two parts of the protein, which, with two residues to either side, are
left out of the features and of the superposition. Both distances were chosen before anything was fitted. Residues are
numbered as in the file; Ambler's numbers are 25 more up to 213, 26 more up to 226 and 27 more from there on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import numpy as np

from thalweg.collective_variables.interpretation.importance import (
    Importance,
    gradient_importance,
    loading_importance,
)
from thalweg.collective_variables.interpretation.ranking import StabilitySelection
from thalweg.collective_variables.linear.functional_modes import FunctionalModes
from thalweg.collective_variables.linear.kernel_tica import KernelTICA
from thalweg.collective_variables.linear.least_squares_paths import PrincipalComponents
from thalweg.collective_variables.linear.pca import PCA
from thalweg.collective_variables.linear.sparse_tica import SparseTICA
from thalweg.collective_variables.linear.tica import TICA
from thalweg.collective_variables.neural.autoencoders import VariationalAutoencoder
from thalweg.collective_variables.neural.boltzmann_machine import (
    BoltzmannMachineModel,
    ContrastiveDivergence,
    PersistentChains,
    RestrictedBoltzmannMachine,
)
from thalweg.collective_variables.neural.functional_network import FunctionalNetwork
from thalweg.geometry.evaluation import evaluate
from thalweg.geometry.residue_distances import ResidueDistances
from thalweg.geometry.residues import residue_pairs
from thalweg.geometry.superposition import SuperposedCoordinates, mean_structure
from thalweg.interop.files.trajectories import TrajectoryFile, read_topology
from thalweg.report.benchmark import Row
from thalweg.systems.topology import Topology
from thalweg.testsystems.activation import ActivationSwitch
from thalweg.time_series.cross_validation import Folds
from thalweg.time_series.trajectories import Trajectories

SEEDS = 5
SWITCH_SEEDS = 3
LAG = 20
"""Frames, of the slow coordinates of the switch."""

HELICES = (range(193, 200), range(245, 262))
"""Helices 11 and 12 (Ambler 218 to 224 and 272 to 288), between which TEM-1's hidden pocket opens."""

LOOP = (range(136, 155), range(44, 49))
"""The omega loop (Ambler 161 to 179) and the residues about the serine of the active site (69 to 73)."""

BESIDE = 2
"""Residues to either side of those of the function that are left out, too."""

CONTACT = 0.45
"""Nearest heavy atoms of two residues in contact [nm]."""


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Each part alone; ``quick`` takes one seed of each."""
    seeds = 1 if quick else SEEDS
    switches = 1 if quick else SWITCH_SEEDS
    return {
        "functional modes/constructed": lambda: constructed(seeds, 10 if quick else 100),
        "functional modes/motion": lambda: motion(data, 1 if quick else 3),
        **{f"switch residues/{name}": partial(switch_residues, name, switches) for name in _ways()},
        "contacts/known": lambda: known_contacts(switches),
        "contacts/TEM-1": lambda: protein_contacts(data),
    }


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def constructed(seeds: int, functions: int) -> Iterator[Row]:
    """A known mode behind noise, and functions without a part in the motion."""
    for noise, said in (
        (1 / 3, "one part noise to three of the function"),
        (3.0, "three parts noise to one"),
    ):
        found, seconds = [], []
        for seed in range(seeds):
            began = time.process_time()
            found.append(_recovered(seed, noise))
            seconds.append(time.process_time() - began)
        modes, values, predictable = np.array(found).T
        for what, each in (("mode", modes), ("function without its noise", values)):
            yield _row(
                f"{said}: correlation with the known {what}", each, "", "> 0.95 for each", each.min() > 0.95
            )
        yield _row(f"{said}: called predictable", predictable, "", "1 for each", predictable.min() == 1)
        yield _row(f"{said}: a fit", np.array(seconds), "CPU s")
    wrong = []
    for seed in range(functions):
        runs, slow = (
            _relaxing(seed, (200, 150, 250), 20, 5)[0],
            _relaxing(10_000 + seed, (200, 150, 250), 20, 20)[0],
        )
        model = FunctionalModes(most=8, samples=2, seed=seed).fit(runs, [run[:, :1] for run in slow])
        wrong.append(model.predictable)
    share, error = float(np.mean(wrong)), float(np.sqrt(0.05 * 0.95 / functions))
    yield Row(
        f"{functions} functions without a part, four times slower: called predictable",
        share,
        "",
        spread=error,
        target="<= 0.05 within three standard errors",
        met=share <= 0.05 + 3 * error,
    )


def _relaxing(
    seed: int, lengths: tuple[int, ...], atoms: int, memory: float
) -> tuple[list[np.ndarray], np.ndarray]:
    """Runs of positions that relax within ``memory`` frames, and their covariance, which is the same for all seeds."""
    random, size = np.random.default_rng(seed), 3 * atoms
    shape = np.random.default_rng(7).standard_normal((size, size)) / np.sqrt(size)
    scale = shape * (0.02 + 0.2 * 0.9 ** np.arange(size))
    keep, runs = np.exp(-1 / memory), []
    for length in lengths:
        noise = random.standard_normal((length, size))
        for frame in range(1, length):
            noise[frame] = keep * noise[frame - 1] + np.sqrt(1 - keep**2) * noise[frame]
        runs.append(noise @ scale.T)
    return runs, scale @ scale.T


def _recovered(seed: int, noise: float) -> tuple[float, float, bool]:
    """Correlations of modes and of functions, and the verdict, for the known function with noise."""
    runs, covariance = _relaxing(seed, (4000, 1000, 2500, 500, 3000, 1000), 50, 5)
    direction = np.zeros(len(covariance))
    direction[[9, 10, 33, 35, 90, 120]] = 1.0, -0.5, -1.0, 0.7, 0.8, -0.6
    deviation, random = np.sqrt(direction @ covariance @ direction), np.random.default_rng(100 + seed)
    function = [
        (run @ direction + noise * deviation * random.standard_normal(len(run)))[:, None] for run in runs
    ]
    model = FunctionalModes(most=40, samples=20, shifts=19).fit(Trajectories(runs), function)
    exact = covariance @ direction
    cosine = model.ensemble @ exact / np.sqrt((model.ensemble @ model.ensemble) * (exact @ exact))
    # the correlation of both functions over all frames there can be, from the exact covariance
    own = model.loadings[:, 0]
    alike = own @ exact / (deviation * np.sqrt(own @ covariance @ own))
    return float(cosine), float(alike), model.predictable


def motion(data: Path, seeds: int) -> Iterator[Row]:
    """What of TEM-1's motion goes with distances that are withheld from the features."""
    found = _tem1(data)
    if found is None:
        yield _absent("TEM-1's runs")
        return
    topology, runs = found
    for name, groups in (("helices 11 and 12", HELICES), ("omega loop and active site", LOOP)):
        carbons = [k for k, each in enumerate(topology.names) if each == "CA"]
        residues = [topology.residue_ids[k] for k in carbons]
        first, second = (
            [atom for atom, residue in zip(carbons, residues) if residue in group] for group in groups
        )
        function = [
            np.linalg.norm(run[:, first].mean(axis=1) - run[:, second].mean(axis=1), axis=1)[:, None]
            for run in runs
        ]
        near = {
            residue + step for group in groups for residue in group for step in range(-BESIDE, BESIDE + 1)
        }
        kept = [atom for atom, residue in zip(carbons, residues) if residue not in near]
        frames = _superposed(runs, kept, topology)
        test = f"TEM-1, distance of {name}"
        spread = float(np.concatenate(function).std())
        yield Row(f"{test}: standard deviation", spread, "nm")
        began = time.process_time()
        model = FunctionalModes().fit(frames, function)
        seconds = time.process_time() - began
        yield Row(
            f"{test}: correlation on runs left out, {model.components} directions of {frames.n_features} features",
            model.correlation,
            "",
            spread=model.held_out_error,
            target="more than functions without a part, in 95 of 100 cases",
            met=model.predictable,
        )
        yield Row(f"{test}: functions without a part that do as well", model.probability, "", target="<= 0.05",
                  met=model.probability <= 0.05)  # fmt: skip
        yield Row(f"{test}: correlation in the fit", model.training, "")
        principal = FunctionalModes(path=PrincipalComponents()).fit(frames, function)
        yield Row(
            f"{test}: the same by {principal.components} principal components",
            principal.correlation,
            "",
            spread=principal.held_out_error,
        )
        ranking = model.amplitudes([topology.residue(atom) for atom in kept])
        for place in range(3):
            yield Row(
                f"{test}: moves most, {place + 1}: {ranking.names[place]}",
                float(ranking.values[place]),
                "nm",
                spread=float(ranking.spread[place]),
            )
        yield Row(f"{test}: a fit with its errors and verdict", seconds, "CPU s")
        components = PCA(dim=20).fit(frames).transform(frames)
        nonlinear = [
            FunctionalNetwork(hidden=(16,), steps=300, restarts=1, seed=seed)
            .fit(components, function)
            .correlation
            for seed in range(seeds)
        ]
        yield _row(f"{test}: a network of 20 components, on 15 % of the runs", np.array(nonlinear), "")


def _ways() -> dict[str, Callable[[Trajectories], Importance]]:
    """Importance of the features of a slow or large coordinate, by name."""

    def loadings(method) -> Callable[[Trajectories], Importance]:
        return lambda part: loading_importance(method.fit(part), part)

    def gradients(method) -> Callable[[Trajectories], Importance]:
        return lambda part: gradient_importance(method.fit(part).transform, part, most=1000)

    return {
        "TICA": loadings(TICA(LAG, dim=1)),
        "sparse TICA": loadings(SparseTICA(LAG, dim=1)),
        "principal component": loadings(PCA(dim=1)),
        "kernel TICA": gradients(KernelTICA(LAG, dim=1, landmarks=50, factors=(1.0,))),
        "variational autoencoder": gradients(
            VariationalAutoencoder(dim=1, hidden=(32,), steps=300, restarts=1)
        ),
    }


def switch_residues(name: str, seeds: int) -> Iterator[Row]:
    """The residues of a model switch, by loadings or by gradients."""
    model, importance = ActivationSwitch(), _ways()[name]
    named, wrong, first, seconds = [], [], [], []
    for seed in range(seeds):
        runs = Trajectories(model.sample(10, 2000, seed=seed).torsions, names=model.names)
        began = time.process_time()
        found = StabilitySelection(pairs=4, coordinate=0).rank(runs, importance, model.members)
        seconds.append(time.process_time() - began)
        named.append(len(set(found.named) & set(model.named)))
        wrong.append(len(set(found.named) - set(model.named)))
        first.append(len(set(found.names[:4]) & set(model.named)))
    test = f"switch of 4 of 40 residues, {name}"
    judged = name != "principal component"
    yield _row(
        f"{test}: of the switch, named", np.array(named), "",
        "4 for each" if judged else None, min(named) == 4 if judged else None,
    )  # fmt: skip
    yield _row(
        f"{test}: of others, named", np.array(wrong), "",
        "<= 0.8 on average, the bound" if judged else None, np.mean(wrong) <= 0.8 if judged else None,
    )  # fmt: skip
    yield _row(f"{test}: of the switch, among the first four", np.array(first), "")
    yield _row(f"{test}: ranking by 9 fits", np.array(seconds), "CPU s")


def known_contacts(seeds: int) -> Iterator[Row]:
    """Restricted Boltzmann machines beside a known one."""
    coupling = 3.0 * np.repeat(np.eye(3), 4, axis=0)
    known = BoltzmannMachineModel(coupling, -coupling.sum(axis=1) / 2, -coupling.sum(axis=0) / 2)
    all_frames = ((np.arange(1 << 12)[:, None] >> np.arange(12)) & 1).astype(float)
    logs = -known.free_energy(all_frames) - known.log_partition()
    chances = np.exp(logs)
    mean = chances @ all_frames
    alone = all_frames @ np.log(mean) + (1 - all_frames) @ np.log(1 - mean)
    yield Row(
        "three sites of four contacts: independent contacts miss", float(chances @ (logs - alone)), "nat"
    )
    for name, chains in (
        ("persistent chains", PersistentChains()),
        ("contrastive divergence", ContrastiveDivergence()),
    ):
        missed, sites = [], []
        for seed in range(seeds):
            frames = all_frames[
                np.random.default_rng(seed).choice(len(chances), 20_000, p=chances / chances.sum())
            ]
            found = RestrictedBoltzmannMachine(hidden=3, chains=chains, seed=seed).fit(frames)
            missed.append(chances @ (logs + found.free_energy(all_frames) + found.log_partition()))
            values = np.abs(found.loadings)
            own = {tuple(sorted(np.argsort(-values[:, k])[:4].tolist())) for k in range(3)}
            sites.append(len(own & {tuple(range(4 * k, 4 * k + 4)) for k in range(3)}))
        persistent = isinstance(chains, PersistentChains)
        yield _row(
            f"three sites of four contacts, {name}: relative entropy", np.array(missed), "nat",
            "<= 0.02 for each" if persistent else None, max(missed) <= 0.02 if persistent else None,
        )  # fmt: skip
        yield _row(
            f"three sites of four contacts, {name}: sites named",
            np.array(sites),
            "",
            "3 for each",
            min(sites) == 3,
        )


def protein_contacts(data: Path) -> Iterator[Row]:
    """Contacts of TEM-1 that come and go: held-out likelihoods beside those of independent contacts."""
    found = _tem1(data)
    if found is None:
        yield _absent("TEM-1's runs")
        return
    topology, runs = found
    pairs = residue_pairs(topology)
    near = [evaluate(ResidueDistances(pairs, topology), run[:1])[0] for run in runs[:10]]
    pairs = pairs[np.min(near, axis=0) < 1.0]
    variable = ResidueDistances(pairs, topology)
    touching = [(evaluate(variable, run) < CONTACT).astype(float) for run in runs]
    share = np.concatenate(touching).mean(axis=0)
    changing = (share > 0.1) & (share < 0.9)
    names = [str(name) for name, kept in zip(variable.names, changing) if kept]
    touching = [each[:, changing] for each in touching]
    test = f"TEM-1, {len(names)} contacts that come and go"
    gains, training = {4: [], 16: []}, {4: [], 16: []}
    for fitted, held in Folds(5).divide(len(touching)):
        shown, left = ([touching[k] for k in chosen] for chosen in (fitted, held))
        mean = np.clip(np.concatenate(shown).mean(axis=0), 1e-3, 1 - 1e-3)

        def alone(frames: list[np.ndarray], mean: np.ndarray = mean) -> float:
            x = np.concatenate(frames)
            return float((x @ np.log(mean) + (1 - x) @ np.log(1 - mean)).mean())

        for hidden in gains:
            model = RestrictedBoltzmannMachine(hidden=hidden, penalty=0.001).fit(shown)
            gains[hidden].append(model.log_likelihood(left) - alone(left))
            training[hidden].append(model.log_likelihood(shown) - alone(shown))
    for hidden, each in gains.items():
        gain, error = np.mean(each), np.std(each, ddof=1) / np.sqrt(len(each))
        yield Row(
            f"{test}, {hidden} units: log-likelihood of a frame of runs left out, beyond independent contacts",
            float(gain),
            "nat",
            spread=float(error),
            target="> 0 by two standard errors over folds",
            met=bool(gain > 2 * error),
        )
        yield Row(f"{test}, {hidden} units: the same in training", float(np.mean(training[hidden])), "nat")
    frames = Trajectories(touching, names=names)
    whole = RestrictedBoltzmannMachine(hidden=4, penalty=0.001).fit(frames)
    importance = loading_importance(whole, frames)
    for unit in range(4):
        order = np.argsort(-importance.values[:, unit])[:3]
        first = ", ".join(names[k] for k in order)
        yield Row(
            f"{test}, unit {unit + 1} of 4 is of {first}", float(importance.shares[order, unit].sum()), ""
        )


@cache
def _tem1(data: Path) -> tuple[Topology, list[np.ndarray]] | None:
    """Topology and positions [nm] of every run."""
    folder = data / "binding" / "tem1_trajectories"
    if not folder.is_dir():
        return None
    topology = read_topology(folder / "M182T_Blac.pdb.gz")
    files = sorted(folder.glob("*.xtc"))
    return topology, [
        np.concatenate([chunk.positions for chunk in TrajectoryFile(file, topology)]) for file in files
    ]


def _superposed(runs: list[np.ndarray], atoms: list[int], topology: Topology) -> Trajectories:
    """Coordinates of atoms superposed on their mean structure."""
    reference = np.zeros((len(topology), 3))
    reference[atoms] = mean_structure(np.concatenate(runs)[:, atoms])
    variable = SuperposedCoordinates(reference, atoms, topology=topology)
    return Trajectories([evaluate(variable, run) for run in runs], dt=10_000.0, names=variable.names)


def _row(test: str, values: np.ndarray, unit: str, target: str | None = None, met: bool | None = None) -> Row:
    """Mean over seeds, with half the range."""
    values = np.asarray(values, float)
    spread = float(np.ptp(values) / 2) if len(values) > 1 else None
    return Row(
        test, float(values.mean()), unit, spread=spread, target=target, met=None if met is None else bool(met)
    )


def _absent(what: str) -> Row:
    return Row(what, None, "", target="data are not here; see `thalweg bench --help`")
