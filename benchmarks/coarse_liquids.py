"""Coarse-grained liquids: what a step costs, and methanol and water at one site, judged by structure and pressure.

A difference of ``g`` is the root mean square over distances up to 1 nm, beside that of the halves of the reference.
Every judged run starts anew from a frame of the reference with a seed that no fit has used; spreads are over such runs,
of networks over seeds of their training too. Water is our own: rigid TIP3P with Ewald sums, whose forces on centers of
mass are sums over the molecule, so that constraints drop out. Settings were chosen on the first half of its frames.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import openmm
from ase.io import read
from openmm import app, unit

from thalweg.coarse_graining.bead_frames import BeadFrames, mapped_frames
from thalweg.coarse_graining.fitting.environments import EnvironmentForceMatching
from thalweg.coarse_graining.fitting.force_matching import ForceMatching, forces_of
from thalweg.coarse_graining.fitting.iterative_inversion import IterativeBoltzmannInversion, virial_pressure
from thalweg.coarse_graining.fitting.linear_model import LinearCoarseModel
from thalweg.coarse_graining.fitting.relative_entropy import RelativeEntropy
from thalweg.coarse_graining.interactions.functions import BSplines, Powers
from thalweg.coarse_graining.interactions.interaction import PairInteraction
from thalweg.coarse_graining.interactions.three_body import ThreeBodyInteraction
from thalweg.coarse_graining.judgement.distributions import (
    bead_angular_distribution,
    bead_radial_distribution,
)
from thalweg.coarse_graining.mapping import BeadMapping
from thalweg.coarse_graining.simulation import CoarseDynamics
from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.interop.openmm.molecules import water_box
from thalweg.learned_potentials.linear.kernels import GaussianKernel
from thalweg.learned_potentials.linear.sparse_kernel import SparseKernel
from thalweg.learned_potentials.networks.element_networks import Network
from thalweg.learned_potentials.networks.gradient_training import GradientTraining
from thalweg.learning.optimizers import Adam
from thalweg.learning.schedules import Cosine
from thalweg.learning.trainer import Trainer
from thalweg.potentials.energy import Energy
from thalweg.report.benchmark import Row
from thalweg.representations.symmetry_functions import SymmetryFunctions, angular_grid, radial_grid
from thalweg.systems.state import thermal_state
from thalweg.units import ANGSTROM, BOLTZMANN, KILOCALORIE

BINS = 50
"""Of radial distributions, up to 1 nm."""

SEEDS = range(2)
"""Of the runs that judge a model."""

FITS = CoarseDynamics(length=10.0, dt=0.01, friction=2.0, save_every=0.1, skip=0.25)
JUDGED = CoarseDynamics(length=16.0, dt=0.01, friction=2.0, save_every=0.25, skip=0.25)

RUNS = Path(tempfile.gettempdir()) / "thalweg-coarse-liquids"
"""Where the reference of water, and the pairs to beat, are kept between parts."""

MOLECULES = 400
"""Of water."""

REACH = 0.43
"""Of angles and surroundings [nm], to the end of the first shell."""

PAIRS = PairInteraction(BSplines(0.23, 0.8, 24, True), 0.8, np.ones(MOLECULES, int))
SEEN = PairInteraction(BSplines(0.23, 1.0, 16, True), 1.0, np.ones(MOLECULES, int))
ANGLES = ThreeBodyInteraction(Powers(0.0, 1.0, tuple(range(5))), REACH, MOLECULES, (0.15, 0.4))
SURROUNDINGS = SymmetryFunctions(REACH, radial_grid(REACH, 6, 0.24), (), angular_grid(REACH, 3, (1, 4), 0.2))


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Each part alone; ``quick`` takes fewer frames, shorter runs and one seed."""
    folder = data / "coarse_graining" / "methanol_mscg"
    return {
        "speed": lambda: speed(quick),
        "methanol/inversion": lambda: methanol(folder, "iterative Boltzmann inversion", quick),
        "methanol/entropy": lambda: methanol(folder, "relative entropy", quick),
        "water/pairs": lambda: water_pairs(quick),
        "water/angles": lambda: water_angles(quick),
        "water/kernel": lambda: water_kernel(quick),
        "water/network": lambda: water_network(quick),
    }


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def speed(quick: bool) -> Iterator[Row]:
    """Steps of one-site beads at the density of methanol, cutoff 1 nm."""
    for cells in (8,) if quick else (8, 16):
        count, spacing = cells**3, 14.1 ** (-1 / 3)
        pairs = PairInteraction(BSplines(0.25, 1.0, 14, True), 1.0, np.ones(count, int))
        r = np.linspace(0.25, 1.0, 200)
        wanted = np.minimum(4 * ((0.3 / r) ** 12 - (0.3 / r) ** 6), 40.0)
        c = np.linalg.lstsq(pairs.functions.design(r)[0].T, wanted, rcond=None)[0]
        grid = np.stack(np.meshgrid(*3 * [np.arange(cells)], indexing="ij"), -1).reshape(-1, 3)
        masses = np.full(count, 32.0)
        engine = NativeEngine.for_potential(
            pairs.energy(c, count), masses, Langevin(kT=2.5, dt=0.005, friction=2.0)
        )
        x = jnp.asarray((grid + 0.5) * spacing, jnp.float32)[..., None]
        box = jnp.asarray(np.eye(3) * cells * spacing, jnp.float32)
        run = engine.run(
            thermal_state(x, masses, 2.5, jax.random.key(0), box), 100 if quick else 300, save_every=100
        )
        steps = 100 if quick else 500
        began = time.process_time()
        engine.run(run.state, steps, save_every=100)
        spent = time.process_time() - began
        yield Row(f"{count:,} one-site beads, cutoff 1 nm", steps / spent, "steps/s of processor time")


def methanol(folder: Path, way: str, quick: bool) -> Iterator[Row]:
    """One site of methanol from the 20 frames of MS-CG's example, at 1 bar."""
    if not folder.is_dir():
        yield Row("methanol", None, "", target="data are not here; see `thalweg bench --help`")
        return
    frames = _methanol(folder / "MeOH_example.dat.gz")
    pairs = PairInteraction(BSplines(0.26, 1.0, 18, True), 1.0, np.ones(frames.positions.shape[1], int))
    half = len(frames) // 2
    halves = _difference(pairs, frames[:half], frames[half:])
    began = time.process_time()
    fit, judged = (replace(one, length=1.0) if quick else one for one in (FITS, JUDGED))
    if way == "relative entropy":
        start = ForceMatching((pairs,)).fit(frames).coefficients
        model = RelativeEntropy(
            (pairs,),
            start=start,
            dynamics=fit,
            rounds=1 if quick else 14,
            least_effective=0.0,
            longest_step=5.0,
            pressure=1.0,
        ).fit(frames)
    else:
        model = IterativeBoltzmannInversion(
            pairs,
            fit,
            rounds=1 if quick else 16,
            damping=1.0,
            settled=halves / 2,
            pressure=1.0,
            bins=BINS,
        ).fit(frames)
    spent = time.process_time() - began
    found, bars = [], []
    for seed in SEEDS:
        drawn = judged.run(model.energy(), frames, seed=1000 + seed)
        found.append(_difference(pairs, frames, drawn))
        bars.append(virial_pressure(pairs, model.coefficients, drawn))
    name = f"methanol, one site, {way}"
    value, bar = float(np.mean(found)), float(np.mean(bars))
    yield Row(
        f"{name}: difference of g", value, "", _error(found), "<= that of halves", value <= halves,
        "halves of the reference", halves,
    )  # fmt: skip
    met = max(abs(each - 1.0) for each in bars) <= 50
    yield Row(f"{name}: pressure", bar, "bar", _error(bars), "within 50 of 1, each seed", met)
    yield Row(f"{name}: processor time of the fit", spent, "s")


def water_pairs(quick: bool) -> Iterator[Row]:
    """Pairs by forces, and pairs that have the liquid's radial distribution: those that others are to beat."""
    frames = _water(quick)
    began = time.process_time()
    model = ForceMatching((PAIRS,)).fit(_spaced(frames, 4 if quick else 50))
    spent = time.process_time() - began
    yield from _water_rows("pairs by forces", [model.energy()], frames, spent, quick)
    energy = _pairs_to_beat(frames, quick)
    yield from _water_rows("pairs by iterative inversion", [energy], frames, None, quick, beat=False)


def water_angles(quick: bool) -> Iterator[Row]:
    """Pairs and functions of angles, by forces."""
    frames = _water(quick)
    began = time.process_time()
    model = _with_angles(frames, quick)
    spent = time.process_time() - began
    yield from _water_rows("pairs and angles by forces", [model.energy()], frames, spent, quick)
    yield from _with_right_pairs("pairs and angles by forces", [model.energy()], frames, quick)


def water_kernel(quick: bool) -> Iterator[Row]:
    """Kernels of surroundings and the pairs that go with angles, by forces: GAP-CG."""
    frames = _water(quick)
    began = time.process_time()
    learner = SparseKernel(SURROUNDINGS, 20 if quick else 300, GaussianKernel(), folds=2)
    model = EnvironmentForceMatching(learner, _pairs_beside_angles(frames, quick)).fit(
        _spaced(frames, 4 if quick else 25)
    )
    spent = time.process_time() - began
    yield from _water_rows("kernels of surroundings by forces", [model.energy()], frames, spent, quick)
    yield from _with_right_pairs("kernels of surroundings by forces", [model.energy()], frames, quick)


def water_network(quick: bool) -> Iterator[Row]:
    """Networks of surroundings and the pairs that go with angles, by forces: DeePCG."""
    frames = _water(quick)
    began = time.process_time()
    prior = _pairs_beside_angles(frames, quick)
    training = GradientTraining(Trainer(1 if quick else 15, Adam(1e-2), Cosine(0.01, 0.01), average=0.98), 1)
    energies = [
        EnvironmentForceMatching(Network(SURROUNDINGS, (24, 24), training=training), prior, seed)
        .fit(_spaced(frames, 4 if quick else 40))
        .energy()
        for seed in SEEDS
    ]
    spent = (time.process_time() - began) / len(energies)
    yield from _water_rows("networks of surroundings by forces", energies, frames, spent, quick)
    yield from _with_right_pairs("networks of surroundings by forces", energies, frames, quick)


def _with_right_pairs(name: str, energies: list[Energy], frames: BeadFrames, quick: bool) -> Iterator[Row]:
    """The same models with pairs added by relative entropy, so that the radial distribution is the reference's."""
    began = time.process_time()
    fit = CoarseDynamics(0.3 if quick else 5.0, 0.005, 2.0, save_every=0.05, skip=0.2)
    refined = [
        RelativeEntropy(
            (PAIRS,),
            prior=energy,
            dynamics=fit,
            rounds=1 if quick else 6,
            least_effective=0.0,
            longest_step=5.0,
            seed=seed,
        )
        .fit(frames)
        .energy()
        for seed, energy in enumerate(energies)
    ]
    spent = (time.process_time() - began) / len(energies)
    yield from _water_rows(f"{name}, then pairs by relative entropy", refined, frames, spent, quick)


def _with_angles(frames: BeadFrames, quick: bool) -> LinearCoarseModel:
    return ForceMatching((PAIRS, ANGLES)).fit(_spaced(frames, 4 if quick else 50))


def _pairs_beside_angles(frames: BeadFrames, quick: bool) -> Energy:
    """The pair functions of the fit with angles, for what sees the angles by itself."""
    coefficients = _with_angles(frames, quick).coefficients[: len(PAIRS.names)]
    return PAIRS.energy(coefficients, MOLECULES)


def _pairs_to_beat(frames: BeadFrames, quick: bool) -> Energy:
    """Pairs whose radial distribution is that of the reference, from a file where they stand already."""
    file = RUNS / ("pairs-quick.npz" if quick else "pairs.npz")
    if not file.is_file():
        fit = CoarseDynamics(0.5 if quick else 5.0, 0.005, 2.0, save_every=0.05, skip=0.2)
        IterativeBoltzmannInversion(PAIRS, fit, rounds=1 if quick else 10, settled=0.01, bins=BINS).fit(
            frames
        ).save(file)
    return LinearCoarseModel.load(file).energy()


def _water_rows(
    name: str, energies: list[Energy], frames: BeadFrames, spent: float | None, quick: bool, beat: bool = True
) -> Iterator[Row]:
    """What models of one kind reach; each is judged by as many runs as there are seeds for it."""
    half = len(frames) // 2
    runs = [
        _judged(energies[seed % len(energies)], frames, 1000 + seed, quick)
        for seed in (range(1) if quick else SEEDS)
    ]
    apart = [_difference(SEEN, frames, run) for run in runs]
    bent = [_bent(frames, run) for run in runs]
    wanted, rival = (None, None), (np.inf, np.inf)
    if beat:
        run = _judged(_pairs_to_beat(frames, quick), frames, 2000, quick)
        rival = _difference(SEEN, frames, run), _bent(frames, run)
        wanted = "<= pairs by inversion", "<= half of pairs by inversion"
    what, g, theta = f"water, one site, {name}", float(np.mean(apart)), float(np.mean(bent))
    yield Row(
        f"{what}: difference of g", g, "", _error(apart), wanted[0], g <= rival[0] if beat else None,
        "halves of the reference", _difference(SEEN, frames[:half], frames[half:]),
    )  # fmt: skip
    yield Row(
        f"{what}: difference of the density of angles", theta, "1/rad", _error(bent), wanted[1],
        theta <= 0.5 * rival[1] if beat else None, "halves of the reference", _bent(frames[:half], frames[half:]),
    )  # fmt: skip
    if not quick:
        others = frames[3::100]
        forces = others.needed_forces()
        left = np.mean([np.mean((forces - forces_of(one, others)) ** 2) for one in energies])
        share = float(left / np.mean(forces**2))
        yield Row(f"{what}: share of the squared force left, five other frames", share, "")
    if spent is not None:
        yield Row(f"{what}: processor time of a fit", spent, "s")


def _judged(energy: Energy, frames: BeadFrames, seed: int, quick: bool) -> BeadFrames:
    return CoarseDynamics(0.3 if quick else 8.0, 0.005, 2.0, save_every=0.1, skip=0.25).run(
        energy, frames, seed
    )


def _bent(one: BeadFrames, other: BeadFrames) -> float:
    """Root mean square difference of densities of the angle between two neighbors within 0.35 nm [1/rad]."""
    a, b = (bead_angular_distribution(SEEN, frames, 0.35, 45)[1] for frames in (one, other))
    return float(np.sqrt(np.mean((a - b) ** 2)))


def _spaced(frames: BeadFrames, count: int) -> BeadFrames:
    return frames[:: max(1, len(frames) // count)]


def _methanol(file: Path) -> BeadFrames:
    """20 frames of 1,000 molecules with forces, 300 K."""
    images = read(file, index=":", format="lammps-dump-text")
    scale = KILOCALORIE / ANGSTROM
    x = np.stack([image.get_positions() for image in images]) * ANGSTROM
    f = np.stack([image.get_forces() for image in images]) * scale
    boxes = np.stack([np.asarray(image.cell) for image in images]) * ANGSTROM
    n = x.shape[1]
    return BeadFrames(
        x, BOLTZMANN * 300, f, boxes, kinds=np.ones(n, int), masses=np.full(n, 32.042), molecules=np.arange(n)
    )


def _difference(pairs: PairInteraction, one: BeadFrames, other: BeadFrames) -> float:
    """Root mean square difference of two radial distributions."""
    a, b = (bead_radial_distribution(pairs, frames, BINS)[1] for frames in (one, other))
    return float(np.sqrt(np.mean((a - b) ** 2)))


def _error(values: list[float]) -> float | None:
    return None if len(values) < 2 else float(np.std(values, ddof=1) / np.sqrt(len(values)))


def _water(quick: bool) -> BeadFrames:
    """Centers of mass of 400 rigid TIP3P waters at 300 K and 0.997 g/ml, every 0.1 ps, with forces on them."""
    file = RUNS / ("water-quick.npz" if quick else "water.npz")
    kT = BOLTZMANN * 300
    if not file.is_file():
        x, f, box, masses = _dynamics_of_water(1.0 if quick else 50.0)
        molecules = [list(range(3 * k, 3 * k + 3)) for k in range(MOLECULES)]
        mapping = BeadMapping.centers_of_mass(
            molecules, masses, names=["W"] * MOLECULES, kinds=[1] * MOLECULES, molecules=range(MOLECULES)
        )
        held = np.array([[m[a], m[b]] for m in molecules for a, b in ((0, 1), (0, 2), (1, 2))])
        boxes = np.broadcast_to(box, (len(x), 3, 3))
        frames = mapped_frames(mapping, x, kT, forces=f, boxes=boxes, force_map="basic", held=held)
        RUNS.mkdir(exist_ok=True)
        frames.save(file)
    return BeadFrames.load(file)


def _dynamics_of_water(length: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Positions and forces of atoms [nm, kJ/mol/nm], the box and masses, after 8 ps that are left out."""
    start = water_box(MOLECULES)
    box = np.asarray(start.box, float)
    topology = app.Topology()
    topology.setPeriodicBoxVectors(box)
    chain = topology.addChain()
    for _ in range(MOLECULES):
        residue = topology.addResidue("HOH", chain)
        oxygen = topology.addAtom("O", app.element.oxygen, residue)
        for name in ("H1", "H2"):
            topology.addBond(oxygen, topology.addAtom(name, app.element.hydrogen, residue))
    system = app.ForceField("amber14/tip3p.xml").createSystem(
        topology, nonbondedMethod=app.PME, nonbondedCutoff=0.9, constraints=app.HBonds, rigidWater=True
    )
    integrator = openmm.LangevinMiddleIntegrator(300, 2.0, 0.002)
    integrator.setRandomNumberSeed(1)
    simulation = app.Simulation(
        topology, system, integrator, openmm.Platform.getPlatformByName("CPU"), {"Threads": "1"}
    )
    simulation.context.setPositions(np.asarray(start.positions))
    simulation.minimizeEnergy(maxIterations=200)
    simulation.context.setVelocitiesToTemperature(300, 1)
    simulation.step(4000)
    positions, forces = [], []
    for _ in range(round(length / 0.1)):
        simulation.step(50)
        state = simulation.context.getState(positions=True, forces=True)
        positions.append(state.getPositions(asNumpy=True).value_in_unit_system(unit.md_unit_system))
        forces.append(state.getForces(asNumpy=True).value_in_unit_system(unit.md_unit_system))
    masses = [
        system.getParticleMass(k).value_in_unit_system(unit.md_unit_system)
        for k in range(system.getNumParticles())
    ]
    return np.array(positions), np.array(forces), box, np.array(masses)
