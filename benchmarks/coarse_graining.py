"""Coarse-graining: potentials of beads judged by free energies, beside what other programs and published tables say.

A divergence is that of Jensen and Shannon [nat] between histograms of two torsions, 24 bins each, of the reference and
of the model's own dynamics, which start from frames of the reference and are no shorter than what makes their halves
agree (``own floor``). Where networks are trained or dynamics are run, spreads are standard errors over seeds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import numpy as np
from ase.io import read

from thalweg.coarse_graining.bead_frames import BeadFrames
from thalweg.coarse_graining.density_ratio.chain_density import ChainDensityRatio
from thalweg.coarse_graining.fitting.boltzmann_inversion import BoltzmannInversion
from thalweg.coarse_graining.fitting.denoising import denoised
from thalweg.coarse_graining.fitting.force_matching import ForceMatching
from thalweg.coarse_graining.fitting.linear_model import LinearCoarseModel
from thalweg.coarse_graining.fitting.network import NetworkForceMatching
from thalweg.coarse_graining.fitting.relative_entropy import RelativeEntropy
from thalweg.coarse_graining.interactions.functions import AngleWaves, BSplines, Powers
from thalweg.coarse_graining.interactions.interaction import (
    BondedInteraction,
    Interaction,
    InternalCoordinate,
    PairInteraction,
)
from thalweg.coarse_graining.interactions.kernel import KernelPoints
from thalweg.coarse_graining.judgement.comparison import compare_surfaces
from thalweg.coarse_graining.judgement.distributions import jensen_shannon
from thalweg.coarse_graining.simulation import CoarseDynamics
from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.temperature import thermal_start
from thalweg.free_energies.landscapes.density_classifier import DensityClassifier
from thalweg.interop.openmm.molecules import peptide
from thalweg.report.benchmark import Row
from thalweg.units import ANGSTROM, BOLTZMANN, KILOCALORIE

KCAL_PER_ANGSTROM = KILOCALORIE / ANGSTROM
SEEDS = range(3)
PHI, PSI = ([[0, 1, 2, 3]], [[1, 2, 3, 4]])
SURFACE = (
    InternalCoordinate("dihedral", PHI, AngleWaves(1)),
    InternalCoordinate("dihedral", PSI, AngleWaves(1)),
)
DYNAMICS = CoarseDynamics(length=40.0, replicas=200, save_every=0.4)


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Each part alone; ``quick`` takes fewer frames and one seed."""
    return {
        "methanol": lambda: methanol(data / "coarse_graining" / "methanol_mscg"),
        "alanine/forces": lambda: of_alanine(alanine_forces, data, quick),
        "alanine/entropy": lambda: of_alanine(alanine_entropy, data, quick),
        "alanine/kernel": lambda: of_alanine(alanine_kernel, data, quick),
        "alanine/network": lambda: of_alanine(alanine_network, data, quick),
        "alanine/classifier": lambda: of_alanine(alanine_classifier, data, quick),
        "alanine/noise": lambda: of_alanine(alanine_noise, data, quick),
        "asp7": lambda: heptapeptide(data / "coarse_graining" / "asp7", quick),
        "lengths": lambda: lengths(quick),
        "speed": lambda: speed(quick),
    }


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def methanol(folder: Path) -> Iterator[Row]:
    """One site of methanol: the force of the published program's example, and what it costs."""
    if not folder.is_dir():
        yield _absent()
        return
    frames = _dump(folder / "MeOH_example.dat.gz")
    table = np.loadtxt(folder / "1_1.dat")
    r, published = table[:, 0] * ANGSTROM, table[:, 1]
    # their resolution and start: 0.7 Å from the shortest distance on; forces of theirs are splines of degree five
    splines = BSplines(0.2852369, 1.0, 10, degree=5)
    began = time.process_time()
    model = ForceMatching((PairInteraction(splines, 1.0, frames.kinds),)).fit(frames)
    spent = time.process_time() - began
    force = -(model.coefficients @ splines.design(r)[1]) / KCAL_PER_ANGSTROM
    inside = (r >= 0.32) & (r <= 0.98)
    alike = float(np.corrcoef(force[inside], published[inside])[0, 1])
    apart = float(np.sqrt(np.mean((force - published)[inside] ** 2)))
    name = "methanol, one site, 20 frames of 1,000"
    yield Row(
        f"{name}: correlation of forces, 3.2 to 9.8 Å",
        alike,
        "",
        target="> 0.998",
        met=alike > 0.998,
        peer="MS-CG",
    )
    yield Row(f"{name}: difference from the peer's force", apart, "kcal/mol/Å", peer="MS-CG")
    yield Row(f"{name}: processor time of the fit", spent, "s", target="<= 5", met=spent <= 5)
    yield Row(
        f"{name}: share of squared force that no pair force explains", model.info["of mean squared force"], ""
    )


def of_alanine(part: Callable[[BeadFrames, bool], Iterator[Row]], data: Path, quick: bool) -> Iterator[Row]:
    """A part on the five beads, where these are at hand."""
    frames = _alanine(data)
    yield from [_absent()] if frames is None else part(frames, quick)


def alanine_forces(frames: BeadFrames, quick: bool) -> Iterator[Row]:
    """Five beads of alanine dipeptide by matched forces, with and without a coupling of both torsions."""
    for name, terms in TERMS.items():
        model = ForceMatching(terms(frames)).fit(frames)
        target = 0.04 if terms is _with_products else None
        yield from _judged(f"alanine, forces matched: {name}", model, frames, quick, target)


def alanine_entropy(frames: BeadFrames, quick: bool) -> Iterator[Row]:
    """The same beads by relative entropy, begun from inverted distributions; no forces used."""
    for name, coupled in (("bonds, angles, torsions", 0), ("and their coupling", 3)):
        began = time.process_time()
        model = _entropy(frames, coupled, quick)
        spent = time.process_time() - began
        what = f"alanine, relative entropy: {name}"
        yield from _judged(what, model, frames, quick, target=0.035)
        yield Row(f"{what}: processor time", spent, "s")
        yield Row(
            f"{what}: worst mean of a function", model.info["worst mean [standard errors]"], "standard errors"
        )


def alanine_kernel(frames: BeadFrames, quick: bool) -> Iterator[Row]:
    """A Gaussian process of all internal coordinates on top of the linear terms, denoised forces."""
    kernels = KernelPoints(_coordinates(), frames, points=50 if quick else 300, length=3.0)
    began = time.process_time()
    model = ForceMatching((*_five_beads(frames, 3), kernels)).fit(denoised(frames))
    spent = time.process_time() - began
    yield from _judged("alanine, forces matched: kernels, denoised", model, frames, quick, target=0.035)
    yield Row("alanine, forces matched: kernels, denoised: processor time of the fit", spent, "s")


def alanine_network(frames: BeadFrames, quick: bool) -> Iterator[Row]:
    """Networks of all internal coordinates on top of inverted bonds and angles, five seeds."""
    springs = [one for one in _five_beads(frames, 0) if one.coordinates[0].kind != "dihedral"]
    prior = BoltzmannInversion(springs).fit(frames).energy()
    found = []
    for seed in [0] if quick else range(5):
        method = NetworkForceMatching(_coordinates(), prior, epochs=2 if quick else 60, seed=seed)
        model = method.fit(denoised(frames, copies=3, seed=seed))
        dynamics = replace(DYNAMICS, length=4.0) if quick else DYNAMICS
        found.append(compare_surfaces(SURFACE, frames, dynamics.run(model.energy(), frames, seed=seed)))
    name, divergences = "alanine, forces matched: networks, denoised", [each.divergence for each in found]
    value = float(np.mean(divergences))
    yield Row(
        f"{name}: divergence of the surface", value, "nat", _error(divergences), "<= 0.035", value <= 0.035,
        "halves of the reference", found[0].floor,
    )  # fmt: skip
    yield Row(f"{name}: error of the surface", float(np.mean([each.error for each in found])), "kT")


def alanine_classifier(frames: BeadFrames, quick: bool) -> Iterator[Row]:
    """Both torsions by a classifier of real against fake frames: half of the frames judges what the other taught."""
    angles = np.concatenate([one.values(frames.positions) for one in SURFACE], 1)
    halves, edges = np.split(angles, 2), np.linspace(-np.pi, np.pi, 25)
    # densities of the classifier averaged over each bin
    fine = np.linspace(-np.pi, np.pi, 24 * 4, endpoint=False) + np.pi / (24 * 4)
    points = np.stack(np.meshgrid(fine, fine, indexing="ij"), -1).reshape(-1, 2)
    kT, found, counted = frames.kT, [], []
    began = time.process_time()
    for seed, (taught, judge) in enumerate((halves, halves[::-1])):
        known = np.histogram2d(*judge.T, (edges, edges))[0]
        counts = np.histogram2d(*taught.T, (edges, edges))[0]
        counted.append(_surface_error(known, counts))
        method = DensityClassifier(kT=kT, periods=(2 * np.pi,) * 2, epochs=3 if quick else 30, seed=seed)
        density = np.exp(-np.asarray(method.fit([taught]).energy(points), float) / kT)
        # on the bins that a histogram can be judged on, so that both are: others, it has no answer for
        density = density.reshape(24, 4, 24, 4).mean((1, 3))
        found.append(_surface_error(known, np.where(counts > 0, density, 0.0)))
    spent = (time.process_time() - began) / len(found)
    value = float(np.mean(found))
    yield Row(
        "alanine, classifier of both torsions, 5,000 frames: error of the surface on 5,000 others", value, "kT",
        _error(found), "<= 0.2", value <= 0.2, "histogram of the same frames", float(np.mean(counted)),
    )  # fmt: skip
    yield Row("alanine, classifier of both torsions: processor time", spent, "s")


def _surface_error(known: np.ndarray, density: np.ndarray) -> float:
    """Root mean square difference of free energies [kT], weighted by ``known``, bins both have seen."""
    both = (known > 0) & (density > 0)
    weights = known[both] / known[both].sum()
    apart = np.log(density[both] / known[both])
    return float(np.sqrt(weights @ (apart - weights @ apart) ** 2))


def alanine_noise(frames: BeadFrames, quick: bool) -> Iterator[Row]:
    """A tenth of the frames, with forces as they are and mixed with noise."""
    few = frames[::10]
    for name, some in (
        ("1,000 frames", few),
        ("1,000 frames, denoised", denoised(few, copies=10)),
        ("10,000 frames, denoised", denoised(frames)),
    ):
        model = ForceMatching(_with_products(frames)).fit(some)
        target = 0.04 if some is not few else None
        yield from _judged(f"alanine, forces matched: {name}", model, frames, quick, target)


def heptapeptide(folder: Path, quick: bool) -> Iterator[Row]:
    """Heptaaspartate: Monte Carlo on a convolutional classifier against dynamics in water."""
    if not folder.is_dir():
        yield _absent()
        return
    chain, bins = _heptapeptide(folder), 12
    half = len(chain) // 2
    rng = np.random.default_rng(0)
    alone = chain.copy()
    for column in alone.reshape(len(chain), -1).T:
        rng.shuffle(column)
    name = "Asp7, two torsions of a residue"
    yield Row(f"{name}: halves of dynamics", _of_residues(chain[:half], chain[half:], bins), "nat")
    yield Row(f"{name}: independent torsions", _of_residues(chain, alone, bins), "nat")
    found, neighbors, costs = [], [], []
    for seed in [0] if quick else range(2):
        began = time.process_time()
        method = ChainDensityRatio(kT=BOLTZMANN * 300, seed=seed, members=2, epochs=5 if quick else 30)
        model = method.fit([chain])
        drawn = model.sample(7, count=500, sweeps=200, every=10, seed=seed).reshape(-1, 7, 2)
        costs.append(time.process_time() - began)
        found.append(_of_residues(chain, drawn, bins))
        neighbors.append(_of_neighbors(chain, drawn, bins))
    value = float(np.mean(found))
    yield Row(f"{name}: Monte Carlo on the classifier", value, "nat", _error(found), "< 0.02", value < 0.02)
    yield Row(
        "Asp7, torsions on both sides of a peptide bond: Monte Carlo on the classifier",
        float(np.mean(neighbors)), "nat", _error(neighbors), peer="halves of dynamics",
        peer_value=_of_neighbors(chain[:half], chain[half:], bins),
    )  # fmt: skip
    yield Row("Asp7: processor time of fit and Monte Carlo", float(np.mean(costs)), "s", _error(costs))


def lengths(quick: bool) -> Iterator[Row]:
    """Alanine chains of three to nine residues in implicit water at 400 K: the longest three from the others alone."""
    kT, sizes = BOLTZMANN * 400, range(3, 5) if quick else range(3, 10)
    began = time.process_time()
    chains = {n: _alanine_chain(n, kT, 2.0 if quick else 200.0) for n in sizes}
    spent = time.process_time() - began
    known = [n for n in sizes if n <= (3 if quick else 6)]
    yield Row(f"alanine chains of {sizes[0]} to {sizes[-1]} residues: processor time of dynamics", spent, "s")
    models = []
    for seed in [0] if quick else range(2):
        method = ChainDensityRatio(kT=kT, seed=seed, members=2, epochs=2 if quick else 60)
        models.append(method.fit([chains[n] for n in known]))
    for n in (n for n in sizes if n not in known):
        half = len(chains[n]) // 2
        found, apart = [], []
        for seed, model in enumerate(models):
            drawn = model.sample(n, count=300, sweeps=40 if quick else 200, every=10, seed=seed)
            drawn = drawn.reshape(-1, n, 2)
            found.append(_of_residues(chains[n], drawn, 12))
            apart.append(_of_neighbors(chains[n], drawn, 12))
        value = float(np.mean(found))
        name = f"alanine chain of {n} from {known[0]} to {known[-1]}"
        yield Row(
            f"{name}: torsions of a residue", value, "nat", _error(found), "< 0.05", value < 0.05,
            "halves of dynamics", _of_residues(chains[n][:half], chains[n][half:], 12),
        )  # fmt: skip
        yield Row(
            f"{name}: torsions on both sides of a peptide bond", float(np.mean(apart)), "nat", _error(apart), None,
            None, "halves of dynamics", _of_neighbors(chains[n][:half], chains[n][half:], 12),
        )  # fmt: skip


def _alanine_chain(residues: int, kT: float, length: float) -> np.ndarray:
    """``(frames, residues, phi and psi)`` of 16 walks [ps] of a capped chain, frames of all walks in order of time."""
    system = peptide("A" * residues, solvent="obc2", hydrogen_mass=3.0)
    engine = NativeEngine(system, Langevin(kT=kT, dt=0.004, friction=1.0))
    start = thermal_start(system, kT, jax.random.key(residues), replicas=16)
    every = 125
    run = engine.run(start, every * round(length / 0.004 / every), save_every=every)
    assert not run.diverged
    walks = run.positions[:, run.positions.shape[1] // 10 :]
    x = np.moveaxis(walks, 1, 0).reshape(-1, *walks.shape[2:])
    names = np.array(system.topology.names)
    carbonyl, nitrogen, alpha = (np.flatnonzero(names == name) for name in ("C", "N", "CA"))
    # C of the first cap and of residues, N of residues and of the last cap, whose carbon is no carbonyl
    carbonyl = carbonyl[: residues + 1]
    phi = np.stack([carbonyl[:-1], nitrogen[:-1], alpha, carbonyl[1:]], 1)
    psi = np.stack([nitrogen[:-1], alpha, carbonyl[1:], nitrogen[1:]], 1)
    angles = [InternalCoordinate("dihedral", rows, AngleWaves(1)).values(x) for rows in (phi, psi)]
    return np.stack(angles, -1)


def speed(quick: bool) -> Iterator[Row]:
    """Matching the forces of a hundred thousand frames of ten beads, in parts that are read once."""
    count, beads = (2_000 if quick else 100_000), 10
    interactions: list[Interaction] = [
        BondedInteraction(
            InternalCoordinate("distance", [[k, k + 1] for k in range(9)], Powers(0.38, 0.02)), name="bond"
        ),
        BondedInteraction(
            InternalCoordinate("angle", [[k, k + 1, k + 2] for k in range(8)], BSplines(1.0, 2.8, 10)),
            name="angle",
        ),
        BondedInteraction(
            InternalCoordinate("dihedral", [[k, k + 1, k + 2, k + 3] for k in range(7)], AngleWaves(4)),
            name="torsion",
        ),
        BondedInteraction(
            InternalCoordinate(
                "distance", [[i, j] for i in range(10) for j in range(i + 4, 10)], BSplines(0.3, 1.5, 12)
            ),
            name="pair",
        ),
    ]

    def parts() -> Iterator[BeadFrames]:
        rng = np.random.default_rng(0)
        for _ in range(10):
            steps = rng.normal(size=(count // 10, beads, 3))
            steps *= 0.38 / np.linalg.norm(steps, axis=2, keepdims=True)
            yield BeadFrames(np.cumsum(steps, 1), 2.5, rng.normal(size=steps.shape))

    began = time.process_time()
    model = ForceMatching(interactions).fit(parts())
    spent = time.process_time() - began
    yield Row(
        f"{count:,} frames of ten beads, {len(model.coefficients)} functions, read once: processor time",
        spent,
        "s",
        target="<= 60",
        met=spent <= 60,
    )


def _judged(
    name: str, model: LinearCoarseModel, frames: BeadFrames, quick: bool, target: float | None
) -> Iterator[Row]:
    dynamics = replace(DYNAMICS, length=4.0) if quick else DYNAMICS
    seeds = [0] if quick else SEEDS
    found = [
        compare_surfaces(SURFACE, frames, dynamics.run(model.energy(), frames, seed=seed)) for seed in seeds
    ]
    divergence = float(np.mean([each.divergence for each in found]))
    met = None if target is None else divergence <= target
    yield Row(
        f"{name}: divergence of the surface", divergence, "nat", _error([each.divergence for each in found]),
        None if target is None else f"<= {target}", met, "halves of the reference", found[0].floor,
    )  # fmt: skip
    yield Row(f"{name}: own floor", float(np.mean([each.own_floor for each in found])), "nat")
    yield Row(f"{name}: error of the surface", float(np.mean([each.error for each in found])), "kT")
    yield (
        Row(
            f"{name}: squared residual left out, of the squared force",
            model.info.get("mean squared residual of frames left out", np.nan)
            / float((frames.needed_forces() ** 2).mean()),
            "",
        )
        if "strength" in model.info
        else Row(f"{name}: simulations", float(model.info["simulations"]), "")
    )


def _entropy(frames: BeadFrames, coupled: int, quick: bool) -> LinearCoarseModel:
    single = _five_beads(frames, 0)
    interactions = _five_beads(frames, coupled)
    inverted = BoltzmannInversion(single).fit(frames).coefficients
    start = np.zeros(sum(len(one.names) for one in interactions))
    start[: len(inverted)] = inverted
    dynamics = CoarseDynamics(length=4.0 if quick else 30.0, replicas=150, save_every=0.3)
    return RelativeEntropy(interactions, start=start, dynamics=dynamics, rounds=2 if quick else 12).fit(
        frames
    )


def _coordinates() -> list[InternalCoordinate]:
    """Bonds, angles and torsions of five beads, all that there are."""
    bonds = InternalCoordinate("distance", [[k, k + 1] for k in range(4)], Powers(0.0))
    angles = InternalCoordinate("angle", [[k, k + 1, k + 2] for k in range(3)], Powers(0.0))
    return [bonds, angles, InternalCoordinate("dihedral", [*PHI, *PSI], Powers(0.0))]


def _five_beads(frames: BeadFrames, coupled: int) -> tuple[Interaction, ...]:
    found: list[Interaction] = []
    for kind, width, place in (("distance", 2, "bond"), ("angle", 3, "angle")):
        for k in range(6 - width):
            beads = [list(range(k, k + width))]
            q = InternalCoordinate(kind, beads, Powers(0.0)).values(frames.positions)
            functions = Powers(float(q.mean()), float(q.std()))
            found.append(
                BondedInteraction(InternalCoordinate(kind, beads, functions), name=f"{place} {k + 1}")
            )
    found += [
        BondedInteraction(InternalCoordinate("dihedral", beads, AngleWaves(3)), name=n)
        for beads, n in ((PHI, "phi"), (PSI, "psi"))
    ]
    if coupled:
        both = (InternalCoordinate("dihedral", beads, AngleWaves(coupled)) for beads in (PHI, PSI))
        found.append(BondedInteraction(*both, name="map"))
    return tuple(found)


def _with_products(frames: BeadFrames) -> tuple[Interaction, ...]:
    """Products of each angle with the torsions it is in, and of neighboring angles, besides."""

    def bend(k, degrees=(1, 2)):
        beads = [[k, k + 1, k + 2]]
        q = InternalCoordinate("angle", beads, Powers(0.0)).values(frames.positions)
        return InternalCoordinate("angle", beads, Powers(float(q.mean()), float(q.std()), degrees))

    phi, psi = (InternalCoordinate("dihedral", beads, AngleWaves(2)) for beads in (PHI, PSI))
    pairs = [(bend(0), phi), (bend(1), phi), (bend(1), psi), (bend(2), psi)]
    pairs += [(bend(k, (1,)), bend(k + 1, (1,))) for k in range(2)]
    return (
        *_five_beads(frames, 3),
        *(BondedInteraction(*both, name=f"product {k}") for k, both in enumerate(pairs)),
    )


TERMS = {
    "bonds, angles, torsions": partial(_five_beads, coupled=0),
    "and the coupling of torsions": partial(_five_beads, coupled=3),
    "and products of angles and torsions": _with_products,
}
"""Chosen, as the width of the noise, among six variants on these frames."""


def _alanine(data: Path) -> BeadFrames | None:
    folder = data / "kinetics" / "cgnet_ala2"
    if not folder.is_dir():
        return None
    x = np.load(folder / "ala2_coordinates.npy").astype(float) * ANGSTROM
    f = np.load(folder / "ala2_forces.npy").astype(float) * KCAL_PER_ANGSTROM
    return BeadFrames(
        x, BOLTZMANN * 300, f, names=("C", "N", "CA", "C", "N"), masses=np.array([12, 14, 12, 12, 14.0])
    )


def _dump(file: Path) -> BeadFrames:
    images = read(file, index=":", format="lammps-dump-text")
    x = np.stack([image.get_positions() for image in images]) * ANGSTROM
    f = np.stack([image.get_forces() for image in images]) * KCAL_PER_ANGSTROM
    boxes = np.stack([np.asarray(image.cell) for image in images]) * ANGSTROM
    beads = x.shape[1]
    return BeadFrames(x, BOLTZMANN * 300, f, boxes, kinds=np.ones(beads, int), molecules=np.arange(beads))


def _heptapeptide(folder: Path) -> np.ndarray:
    """``(frames, 7 residues, phi and psi)``; the first residue has no phi, the last no psi."""
    table = np.genfromtxt(folder / "asp7.csv.gz", delimiter=",", names=True)
    chain = np.full((len(table), 7, 2), np.nan)
    for k in range(6):
        chain[:, k + 1, 0], chain[:, k, 1] = table[f"phi{k}"], table[f"psi{k}"]
    return chain


def _of_residues(a: np.ndarray, b: np.ndarray, bins: int) -> float:
    """Mean divergence of the two torsions of a residue, residues that have both."""
    return float(np.mean([_divergence(a[:, k], b[:, k], bins) for k in range(1, a.shape[1] - 1)]))


def _of_neighbors(a: np.ndarray, b: np.ndarray, bins: int) -> float:
    """The same of psi of one residue and phi of the next."""

    def across(x, k):
        return np.stack([x[:, k, 1], x[:, k + 1, 0]], 1)

    return float(np.mean([_divergence(across(a, k), across(b, k), bins) for k in range(a.shape[1] - 1)]))


def _divergence(a, b, bins):
    edges = np.linspace(-np.pi, np.pi, bins + 1)
    return jensen_shannon(*(np.histogram2d(*each.T, (edges, edges))[0] for each in (a, b)))


def _error(values) -> float | None:
    return None if len(values) < 2 else float(np.std(values, ddof=1) / np.sqrt(len(values)))


def _absent() -> Row:
    return Row("coarse-graining", None, "", target="data are not here; see `thalweg bench --help`")
