"""Replica exchange where the answer is known, variables beside Colvars and PLUMED, a peptide in explicit water.

Seeds 0, 1, 2 wherever data are drawn. Rows of LAMMPS are skipped, with a word, where it is not installed.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from importlib.resources import files
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import norm

from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.temperature import thermal_start
from thalweg.free_energies.difference import free_energy_difference
from thalweg.free_energies.reweighting import MBAR
from thalweg.geometry.composed_variables import Concatenate, Contacts, Logarithms, SineCosine
from thalweg.geometry.coordination import CoordinationNumbers
from thalweg.geometry.variables import Angles, Coordinates, Dihedrals, Distances, RadiusOfGyration
from thalweg.interop.files.hills import hills_of, read_hills, write_hills
from thalweg.interop.files.trajectories import read_topology, read_trajectory
from thalweg.interop.formulas.colvars import colvars_input
from thalweg.interop.lammps.driver import open_lammps
from thalweg.interop.openmm.engine import OpenMMEngine
from thalweg.interop.openmm.molecules import WaterAround, alanine_dipeptide
from thalweg.interop.openmm.relaxation import relaxed
from thalweg.report.benchmark import Row
from thalweg.sampling.bias.metadynamics import WellTemperedMetadynamics
from thalweg.sampling.bias.umbrella import HarmonicRestraint
from thalweg.sampling.exchange.ladder import Ladder
from thalweg.sampling.exchange.mixing import LadderMixing
from thalweg.systems.state import thermal_state
from thalweg.testsystems.wells import DoubleWell, HarmonicWell
from thalweg.units import thermal_energy

SEEDS = (0, 1, 2)
PEPTIDE = files("thalweg.testsystems") / "structures" / "alanine_dipeptide.pdb"

LAMMPS_INPUT = """
units real
atom_style atomic
atom_modify map array
boundary f f f
region box block -100 100 -100 100 -100 100
create_box 1 box
mass 1 12.0
pair_style zero 5.0
pair_coeff * *
"""


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """All parts; ``quick`` takes one seed and shorter runs."""
    return {
        "double well": partial(double_well, quick),
        "windows": partial(windows, quick),
        "alanine": partial(alanine, quick),
        "hills": partial(hills, quick),
        "colvars": colvars,
        "explicit water": partial(explicit_water, quick),
    }


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def double_well(quick: bool) -> Iterator[Row]:
    """Populations at four temperatures, acceptance, and crossings beside the same steps without exchange."""
    well, kT, copies = DoubleWell(barrier=8.0, tilt=0.5), np.array([1.0, 1.6, 2.6, 4.0]), 16
    engine = NativeEngine.for_potential(well, np.ones(1), Langevin(kT=1.0, dt=0.03))
    steps, grid = (10_000 if quick else 40_000), np.linspace(-3, 3, 4001)
    exact = [_difference(well, grid, one) for one in kT]
    worst, bars, gained, trips = [], [], [], []
    for seed in SEEDS[: 1 if quick else 3]:
        start = thermal_state(jnp.full((1, 1, 4 * copies), -1.0), np.ones(1), 1.0, jax.random.key(seed))
        run = engine.run(start, steps, save_every=20, bias=Ladder(kT, 20, copies=copies, seed=seed))
        alone = engine.run(start, steps, save_every=20)
        late = slice(steps // 200, None)
        right, rungs, energy = run.positions[:, late, 0, 0] > 0, run.rungs[:, late], run.energy[:, late]
        ladder = Ladder(kT, 20)
        model = MBAR(1.0).fit(
            ladder.relative(energy.reshape(-1), np.zeros((0, energy.size)), 1.0),
            np.bincount(rungs.reshape(-1)),
        )
        base = model.log_weights.reshape(rungs.shape)
        for one, answer in zip(kT, exact):
            logs = base - (1 / one - 1) * energy
            found = free_energy_difference(list(right), list(~right), list(logs), one)
            worst.append(abs(found.value - answer) / found.error)
            bars.append(found.error)
        coldest = [
            run.positions[4 * c : 4 * c + 4, :, 0, 0].T[(run.rungs[4 * c : 4 * c + 4] == 0).T]
            for c in range(copies)
        ]
        per_step = _crossings(coldest) / (steps * copies)
        gained.append(per_step / max(_crossings(alone.positions[:, :, 0, 0]) / (steps * 4 * copies), 1e-9))
        mixing = LadderMixing.of(run.bias_state)
        trips.append(mixing.round_trips / mixing.expected)
    yield Row(
        "free energies at four temperatures, largest error", float(max(worst)), "bars", target="< 4",
        met=max(worst) < 4, peer="exact",
    )  # fmt: skip
    yield Row("their bars, largest", float(max(bars)), "kJ/mol", peer="exact")
    yield Row(
        "changes of well in the frames of the lowest temperature, a step, over those without exchange",
        float(np.mean(gained)), "",
        spread=float(np.ptp(gained) / 2), target="> 1", met=min(gained) > 1,
    )  # fmt: skip
    yield Row(
        "round trips over those of energies without memory", float(np.mean(trips)), "",
        spread=float(np.ptp(trips) / 2),
    )  # fmt: skip


def _difference(well: DoubleWell, grid: np.ndarray, kT: float) -> float:
    density = np.exp(-well.energy(grid[None]) / kT)
    return float(-kT * np.log(density[grid > 0].sum() / density[grid < 0].sum()))


def _crossings(walks) -> int:
    found = 0
    for walk in walks:
        side = np.sign(walk) * (np.abs(walk) > 0.5)
        found += np.count_nonzero(np.diff(side[side != 0]))
    return found


def windows(quick: bool) -> Iterator[Row]:
    """Acceptance of umbrella windows on a harmonic oscillator, known in closed form."""
    stiffness, apart, copies, steps = 4.0, 0.7, 48, (4000 if quick else 20_000)
    x = Coordinates([0], dims=1)
    biases = [HarmonicRestraint(x, [center], [stiffness]) for center in (-apart, 0.0, apart)]
    engine = NativeEngine.for_potential(HarmonicWell(), np.ones(1), Langevin(kT=1.0, dt=0.2))
    exact, off = 2 * norm.cdf(-stiffness * apart * np.sqrt(2 / (stiffness + 1)) / 2), []
    for seed in SEEDS[: 1 if quick else 3]:
        start = thermal_state(jnp.zeros((1, 1, 3 * copies)), np.ones(1), 1.0, jax.random.key(seed))
        run = engine.run(start, steps, save_every=20, bias=Ladder(1.0, 20, biases, copies, seed))
        state = run.bias_state
        off.append(np.abs(np.asarray(state.chance / state.tried) - exact).max())
    yield Row(
        "acceptance of windows, largest deviation", float(max(off)), "", target="< 0.02", met=max(off) < 0.02,
        peer="exact", peer_value=float(exact),
    )  # fmt: skip


def alanine(quick: bool) -> Iterator[Row]:
    """The left-handed basin of alanine dipeptide in vacuum, from temperatures up to 1000 K."""
    system, kT = alanine_dipeptide(), thermal_energy(300.0)
    phi = Dihedrals([[4, 6, 8, 14]], system.topology)
    engine = NativeEngine(system, Langevin(kT=kT, dt=0.002))
    temperatures = np.geomspace(300.0, 1000.0, 6)
    ladder_kT, copies = np.array([thermal_energy(t) for t in temperatures]), 4
    frames, found, spent, trips, rates = (100 if quick else 600), [], [], [], []
    for seed in SEEDS[: 1 if quick else 2]:
        began = time.process_time()
        ladder = Ladder(ladder_kT, 500, copies=copies, seed=seed)
        start = thermal_start(system, kT, jax.random.key(seed), replicas=6 * copies)
        run = engine.run(start, 500 * frames, save_every=500, bias=ladder)
        spent.append(time.process_time() - began)
        late = slice(frames // 10, None)
        energy, rungs = run.energy[:, late], run.rungs[:, late]
        model = MBAR(kT).fit(
            ladder.relative(energy.reshape(-1), np.zeros((0, energy.size)), kT),
            np.bincount(rungs.reshape(-1)),
        )
        angles = np.stack([np.asarray(phi(np.moveaxis(x, 0, -1)))[0] for x in run.positions[:, late]])
        left = (angles > 0) & (angles < np.radians(126))
        logs = list(model.log_weights.reshape(rungs.shape))
        found.append(free_energy_difference(list(left), list(~left), logs, kT))
        mixing = LadderMixing.of(run.bias_state)
        trips.append(mixing.round_trips)
        rates.append(mixing.rates.min())
    values, bars = np.array([one.value for one in found]), np.array([one.error for one in found])
    off = np.abs(values - 8.69).max()
    yield Row(
        f"alanine dipeptide, vacuum, 300 to 1000 K, {24 * frames / 1000:g} ns a seed: free energy of 0 < phi < 126 deg",
        float(values.mean()), "kJ/mol", spread=float(max(np.ptp(values) / 2, bars.max())),
        target="within 1 kJ/mol and 3 bars of 8.69", met=bool(off < 1 and (np.abs(values - 8.69) < 3 * bars).all()),
        peer="long metadynamics", peer_value=8.69,
    )  # fmt: skip
    yield Row("its shortcomings", float(sum(len(one.shortcomings) for one in found)), "", target="none told")
    yield Row("round trips a seed, fewest", float(min(trips)), "")
    yield Row("acceptance of the rarest pair", float(min(rates)), "", target="> 0.2", met=min(rates) > 0.2)
    yield Row("processor time a seed", float(np.mean(spent)), "s", target="<= 1200", met=max(spent) <= 1200)


def hills(quick: bool) -> Iterator[Row]:
    """A run of ours written as Gaussians and read again: the bias, its offset, and how long reading takes."""
    bias = WellTemperedMetadynamics(Coordinates([0], dims=1), -2.0, 2.0, 0.15, 0.4, 6.0, 1.0, stride=50)
    engine = NativeEngine.for_potential(DoubleWell(4.0, 0.5), np.ones(1), Langevin(kT=1.0, dt=0.02))
    start = thermal_state(jnp.full((1, 1, 4), -1.0), np.ones(1), 1.0, jax.random.key(0))
    run = engine.run(start, 50 * (100 if quick else 1000), save_every=50, bias=bias)
    with tempfile.TemporaryDirectory() as folder:
        path = write_hills(Path(folder) / "HILLS", hills_of(bias, run.values, 0.02))
        began = time.process_time()
        read = read_hills(path)
        again, state = read.on(bias.variable, 1.0, 50, lower=[-2.0], upper=[2.0])
        seconds = time.process_time() - began
    off = float(np.abs(np.asarray(state.table - run.bias_state.table)).max())
    yield Row(
        f"{len(read)} Gaussians written and read: bias, largest difference", off, "kJ/mol", target="< 0.005",
        met=off < 0.005,
    )  # fmt: skip
    yield Row("the same: offset", abs(float(state.offset - run.bias_state.offset)), "kJ/mol")
    yield Row("reading them", seconds, "s")
    assert again.grid.bins == bias.grid.bins


def _variables(topology) -> dict[str, object]:
    torsions = SineCosine(Dihedrals([[4, 6, 8, 14], [6, 8, 14, 16]], topology))
    pairs = Distances([[0, 8], [4, 16], [5, 18]], topology)
    return {
        "distances": pairs,
        "angle": Angles([[6, 8, 14]]),
        "dihedral": Dihedrals([[4, 6, 8, 14]]),
        "sines and cosines": torsions,
        "coordinates": Coordinates([3]),
        "contacts": Contacts(pairs, 0.4),
        "logarithms": Logarithms(pairs),
        "coordination": CoordinationNumbers([8, 18], [0, 4, 5], 0.3),
        "gyration": RadiusOfGyration(np.array([12.0, 16.0, 14.0]), [4, 5, 6]),
        "side by side": Concatenate(torsions, pairs),
    }


def colvars() -> Iterator[Row]:
    """Values and forces of variables by Colvars in LAMMPS, beside ours."""
    try:
        lammps = open_lammps()
    except ImportError as missing:
        yield Row("variables beside Colvars", None, "", target=str(missing))
        return
    version = f"Colvars in LAMMPS {lammps.version()}"
    lammps.close()
    topology = read_topology(PEPTIDE)
    x = read_trajectory(PEPTIDE, topology).positions[0].astype(float)
    x = x + np.random.default_rng(4).normal(scale=0.01, size=x.shape)
    for name, variable in _variables(topology).items():
        with jax.enable_x64(True):
            values = np.asarray(variable(jnp.asarray(x)))
            slopes = np.asarray(jax.jacrev(variable)(jnp.asarray(x)))
        found, forces = _of_colvars(variable, values, x)
        off = max(
            np.abs(found - values).max(), np.abs(forces - slopes).max() / max(1.0, np.abs(slopes).max())
        )
        yield Row(f"{name}: value and force", float(off), "", target="< 1e-5", met=off < 1e-5, peer=version)


def _of_colvars(variable, values: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values, and gradients read off the forces of a spring on each."""
    labels = ["cv"] if len(values) == 1 else [f"cv{k + 1}" for k in range(len(values))]
    slopes = []
    with tempfile.TemporaryDirectory() as folder:
        for label, value in zip(labels, values):
            spring = f"harmonic {{\n colvars {label}\n forceConstant 1.0\n centers {value - 1.0:.17g}\n}}\n"
            text = f"colvarsTrajFrequency 1\n{colvars_input(variable)}\n{spring}"
            (Path(folder) / "colvars.in").write_text(text)
            lammps = open_lammps()
            lammps.commands_string(LAMMPS_INPUT)
            lammps.create_atoms(len(x), list(range(1, len(x) + 1)), [1] * len(x), (10 * x).ravel().tolist())
            lammps.commands_string(f"fix cv all colvars {folder}/colvars.in output {folder}/out\nrun 0")
            order = np.argsort(lammps.numpy.extract_atom("id")[: len(x)])
            slopes.append(-10 * lammps.numpy.extract_atom("f")[: len(x)][order].copy())
            lammps.close()
        row = (Path(folder) / "out.colvars.traj").read_text().splitlines()[-1].split()
    return np.array(row[1:], float), np.array(slopes)


def explicit_water(quick: bool) -> Iterator[Row]:
    """Alanine dipeptide in TIP3P with PME under metadynamics of phi, gone on with in the middle."""
    water = WaterAround(padding=0.9, cutoff=0.9)
    system, kT = relaxed(alanine_dipeptide("tip3p", water=water)), thermal_energy(300.0)
    bias = WellTemperedMetadynamics(
        Dihedrals([[4, 6, 8, 14]], system.topology), -np.pi, np.pi, 0.35, 1.2, 8.0, kT, stride=250
    )
    engine = OpenMMEngine(system, Langevin(kT=kT, dt=0.002))
    steps = 500 if quick else 5000
    state = thermal_start(system, kT, jax.random.key(0), replicas=1)
    began = time.process_time()
    first = engine.run(state, steps, save_every=250, bias=bias)
    second = engine.run(first.state, steps, save_every=250, bias=bias, bias_state=first.bias_state)
    seconds = time.process_time() - began
    plain = time.process_time()
    engine.run(replace(second.state), steps // 5, save_every=steps // 5)
    plain = (time.process_time() - plain) * 5
    kept = float(jnp.abs(second.bias_state.table).max()) > float(jnp.abs(first.bias_state.table).max())
    deposits = 2 * steps // 250
    yield Row(
        f"alanine dipeptide in {(len(system.masses) - 22) // 3} TIP3P with PME, metadynamics of phi, "
        f"{2 * steps * 0.002:g} ps in two runs: {deposits} deposits, none lost",
        float(kept), "", target="1", met=kept and not second.diverged,
    )  # fmt: skip
    yield Row(
        "a step with the bias over one without",
        seconds / 2 / plain,
        "",
        target="<= 1.5",
        met=seconds / 2 / plain <= 1.5,
    )
    yield Row("steps a second of processor time", 2 * steps / seconds, "1/s")
