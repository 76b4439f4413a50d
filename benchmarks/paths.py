"""Paths between minima: bands, strings and dimers beside ASE's on the Müller-Brown surface and on molecules; transition
path sampling, strings of walkers and paths found by reinforcement learning beside exact answers.

Calls are arrangements whose energy and forces were asked for; those of ASE are counted by the calculator. ASE's band
climbs from its first step, with the improved tangent (its default, ``aseneb``, in a row of its own). Barriers of one
molecule by several methods are of the same ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import ase
import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.mep import NEB, DimerControl, MinModeAtoms, MinModeTranslate
from ase.optimize import FIRE as FIREOfASE

from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.overdamped import Overdamped
from thalweg.geometry.composed_variables import Composed
from thalweg.geometry.torsions import backbone_dihedrals
from thalweg.geometry.variables import Coordinates, Dihedrals
from thalweg.interop.files.configurations import to_atoms
from thalweg.interop.openmm.molecules import alanine_dipeptide
from thalweg.interop.quantum.levels import level_of
from thalweg.kinetics.reactions.regions import Intervals
from thalweg.labeling.geometries.torsion_scans import turned
from thalweg.report.benchmark import Row
from thalweg.sampling.apparatus import Apparatus
from thalweg.sampling.paths.dimer import Dimer
from thalweg.sampling.paths.elastic_band import NudgedElasticBand
from thalweg.sampling.paths.finite_temperature_string import FiniteTemperatureString
from thalweg.sampling.paths.initial_path import straight_path
from thalweg.sampling.paths.optimizers import FIRE
from thalweg.sampling.paths.path_search import PathSearch
from thalweg.sampling.paths.reaction_path import ReactionPath
from thalweg.sampling.paths.string_in_variables import StringInVariables
from thalweg.sampling.paths.string_method import StringMethod
from thalweg.sampling.paths.transition_path_sampling import TransitionPathSampling
from thalweg.systems.configuration import Configuration
from thalweg.systems.elements import SYMBOLS
from thalweg.testsystems.chain import chain_committor, chain_stationary_distribution
from thalweg.testsystems.euler_chain import EulerChain
from thalweg.testsystems.muller_brown import MullerBrown, WithHarmonicDimensions
from thalweg.testsystems.narrowing import WithNarrowingDimension
from thalweg.testsystems.wells import DoubleWell, TripleWell2D
from thalweg.units import ANGSTROM, ELECTRONVOLT, thermal_energy

WELLS = ((-0.558, 1.442), (-0.05, 0.467), (0.6235, 0.028))
HEIGHTS = (-40.6648, -72.2489)
STARTS = (((-0.75, 0.65), (1.0, -1.0)), ((0.1, 0.4), (1.0, -1.0)))
"""Where dimers start, and which way."""

FORCE = 0.5
"""Largest force left on the surface."""

IMAGES = 9
SEEDS = 3

ASE_STEPS = 300
ASE_FORCE = 0.05
"""Largest force left on an atom of a molecule [eV/Å], for all that are compared."""


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Each part alone."""
    return {
        "surface": surface,
        "alanine": alanine,
        "molecules": molecules,
        "transition paths": partial(transition_paths, 1 if quick else SEEDS),
        "strings of walkers": partial(strings_of_walkers, 1 if quick else SEEDS),
        "alanine string": partial(alanine_string, 1 if quick else 2),
        "path search": partial(path_search, 1 if quick else 5),
    }


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def surface() -> Iterator[Row]:
    """Saddles of the Müller-Brown surface."""
    methods = {
        "band, L-BFGS": NudgedElasticBand(IMAGES, tolerance=FORCE),
        "band, FIRE": NudgedElasticBand(IMAGES, tolerance=FORCE, descent=FIRE(longest=0.05)),
        "string and dimer": StringMethod(15, tolerance=FORCE),
    }
    for step, height in enumerate(HEIGHTS):
        ends = WELLS[step : step + 2]
        peer, asked = _band_of_ase(ends, "improvedtangent")
        for name, method in methods.items():
            path = method.connect(MullerBrown(), *ends)
            told = f"Müller-Brown, saddle {step + 1}, {name}"
            yield _error(f"{told}: error of its height", path.energies.max() - height, path.converged)
            yield _calls(told, path.calls, asked, "NEB of ASE, FIRE, improvedtangent")
        yield Row(
            f"Müller-Brown, saddle {step + 1}, NEB of ASE: error of its height", abs(peer - height), "kJ/mol"
        )
        old, _ = _band_of_ase(ends, "aseneb")
        told = f"Müller-Brown, saddle {step + 1}, NEB of ASE, its default tangent: error of its height"
        yield Row(told, abs(old - height), "kJ/mol")
        start, mode = STARTS[step]
        saddle = Dimer(tolerance=FORCE).climb(MullerBrown(), start, mode)
        told = f"Müller-Brown, saddle {step + 1}, dimer"
        yield _error(f"{told}: error of its height", saddle.energy - height, saddle.converged)
        peer, asked = _dimer_of_ase(start, mode)
        yield _calls(told, saddle.calls, asked, f"dimer of ASE (error {abs(peer - height):.1e})")


def alanine() -> Iterator[Row]:
    """From C7eq to C7ax in vacuum, ff14SB."""
    system = alanine_dipeptide("vacuum", constraints="none")
    numbers = np.array([SYMBOLS.index(symbol) for symbol in system.topology.elements])
    start = Configuration(numbers, np.asarray(system.positions, float))
    end = start
    for name, degrees in (("phi", 60.0), ("psi", -40.0)):
        torsion = tuple(int(atom) for atom in backbone_dihedrals(system.topology)[name][0])
        end = Configuration(numbers, turned(end, torsion, np.radians(degrees)))
    found = {}
    for name, method in {
        "band": NudgedElasticBand(15, order="given", iterations=2000),
        "string": StringMethod(25, order="given", iterations=20000),
    }.items():
        begun = time.process_time()
        found[name] = path = method.connect(system.energy, start, end)
        spent, told = time.process_time() - begun, f"alanine dipeptide, vacuum, C7eq to C7ax, {name}"
        why = "converged" if path.converged else "converged; " + "; ".join(path.notes)
        yield Row(f"{told}: barrier", path.barrier, "kJ/mol", target=why, met=path.converged)
        yield Row(f"{told}: calls", float(path.calls), "")
        yield Row(f"{told}: time", spent, "CPU s")
    off = abs(found["band"].barrier - found["string"].barrier)
    yield Row(
        "alanine dipeptide: barrier of band and string apart", off, "kJ/mol", target="<= 0.5", met=off <= 0.5
    )
    top = Configuration(numbers, found["band"].saddle)
    tangent = found["band"].positions[found["band"].highest + 1] - found["band"].saddle
    saddle = Dimer().climb(system.energy, top, mode=tangent)
    yield Row(
        "alanine dipeptide: negative curvatures at the band's saddle, by the dimer",
        float((saddle.curvatures < 0).sum()),
        "",
        target="1",
        met=saddle.converged,
    )


def molecules() -> Iterator[Row]:
    """HCN to HNC and the proton of malonaldehyde at GFN2-xTB."""
    level = level_of("gfn2")
    tolerance = ASE_FORCE * ELECTRONVOLT / ANGSTROM
    for name, (start, end) in {"HCN to HNC": _hydrogen_cyanide(), "malonaldehyde": _malonaldehyde()}.items():
        band = NudgedElasticBand(IMAGES, tolerance=tolerance)
        path = band.connect(level, start, end)
        told = f"{name}, GFN2-xTB, band"
        yield Row(f"{told}: barrier", path.barrier, "kJ/mol", target="converged", met=path.converged)
        yield Row(f"{told}: barrier back", path.barrier_back, "kJ/mol")
        first = band.prepare(level, path.frames()[0], path.frames()[-1])
        peer, asked, done = _molecule_of_ase(level, path, first.positions)
        yield Row(
            f"{told}: its barrier beside ASE's",
            path.barrier,
            "kJ/mol",
            peer=f"ASE {ase.__version__}" + ("" if done else f", not converged after {ASE_STEPS} steps"),
            peer_value=peer,
            target="within 0.5 where ASE's converges",
            met=abs(peer - path.barrier) <= 0.5 if done else None,
        )
        yield _calls(
            told, path.calls, asked, "NEB of ASE, FIRE, improvedtangent, same guess, ends not counted"
        )
        top = path.frames()[path.highest].unlabeled
        tangent = path.positions[path.highest + 1] - path.positions[path.highest - 1]
        saddle = Dimer(tolerance=tolerance).climb(level, top, mode=tangent)
        yield Row(
            f"{name}, GFN2-xTB, negative curvatures at the saddle, by the dimer",
            float((saddle.curvatures < 0).sum()),
            "",
            target="1",
            met=saddle.converged,
        )


def transition_paths(seeds: int) -> Iterator[Row]:
    """How long paths over a double well last, beside the exact Euler chain of the same steps."""
    well, dt = DoubleWell(3.0), 0.01
    a, b = Intervals((-np.inf,), (-0.8,)), Intervals((0.8,), (np.inf,))
    chain = EulerChain(well, ((-2.0, 2.0),), 400, dt=dt)
    matrix, x = chain.transition_matrix(), np.ravel(chain.points)
    q = chain_committor(matrix, x < -0.8, x > 0.8)
    weight = chain_stationary_distribution(matrix)
    # mean number of steps between the sets: sum of pi q (1 - q) over the flux
    exact = dt * (weight * q * (1 - q)).sum() / ((weight[x < -0.8] @ matrix[x < -0.8]) @ q)
    engine = NativeEngine.for_potential(well, np.ones(1), Overdamped(kT=1.0, dt=dt))
    apparatus = Apparatus(engine, Coordinates([0], dims=1), np.zeros((1, 1)), np.ones(1), kT=1.0)
    for shooting in ("two-way", "aimless"):
        for seed in range(seeds):
            begun = time.process_time()
            found = TransitionPathSampling(
                a, b, chains=64, moves=24, shooting=shooting, offset=4, longest=10.0, save_every=dt, seed=seed
            ).sample(apparatus)
            mean, error = found.mean_duration
            told = f"double well 3 kT, {shooting} shooting, seed {seed}: mean duration of a path"
            met = abs(mean - exact) <= 3 * error
            yield Row(told, mean, "ps", error, "within 3 errors", met, "exact chain", exact)
            yield Row(
                f"double well 3 kT, {shooting} shooting, seed {seed}: time",
                time.process_time() - begun,
                "CPU s",
            )


def strings_of_walkers(seeds: int) -> Iterator[Row]:
    """Two strings where entropy moves the way off that of least energy: from y = 0 to y = -2/15, exactly straight."""
    well, floor = DoubleWell(4.0), -2 / 15
    narrowing = WithNarrowingDimension(
        WithHarmonicDimensions(well, 1, 30.0), growth=(0.0, 8.0), stiffness=100.0
    )
    engine = NativeEngine.for_potential(narrowing, np.ones(1), Overdamped(kT=1.0, dt=5e-4))
    plane = Composed(lambda values: values[:2], Coordinates([0], dims=3), ("x", "y"))
    apparatus = Apparatus(engine, plane, np.array([[-1.0, 0.0, 0.0]]), np.ones(1), kT=1.0)
    settings: dict[str, Any] = {"pull": 0.9, "save_every": 0.01}
    for seed in range(seeds):
        springs = StringInVariables(
            (60.0, 60.0), images=15, moves=60, step=1.0, equilibrate=0.05, average=0.25, produce=8.0, seed=seed,
            **settings,
        )  # fmt: skip
        cells = FiniteTemperatureString(
            (1.0, 1.0), images=9, walkers=16, moves=16, average=0.3, produce=4.0, seed=seed, **settings
        )
        for name, method in {"string in variables": springs, "finite-temperature string": cells}.items():
            begun = time.process_time()
            path = method.connect(apparatus, plane, [[-1.0, 0.0], [0.0, 0.2], [1.0, 0.0]])
            told = f"narrowing double well, {name}, seed {seed}"
            off = float(np.abs(path.images[:, 1] - floor).max())
            yield Row(
                f"{told}: farthest image off the exact path", off, "nm", target="<= 0.07", met=off <= 0.07
            )
            exact = (
                _cells(narrowing, path.images)
                if name.startswith("finite")
                else np.asarray(narrowing.free_energy(path.images.T, 1.0))
            )
            away = np.abs(path.free_energy - (exact - exact[0]))[1:] / path.errors[1:]
            yield Row(
                f"{told}: farthest free energy off the exact one",
                float(away.max()),
                "errors",
                target="<= 4",
                met=bool(away.max() <= 4),
            )
            top = int(exact.argmax())
            yield Row(
                f"{told}: free energy at the top",
                float(path.free_energy[top]),
                "kJ/mol",
                float(path.errors[top]),
                peer="exact integral",
                peer_value=float(exact[top] - exact[0]),
            )
            yield Row(f"{told}: time", time.process_time() - begun, "CPU s")


def alanine_string(seeds: int) -> Iterator[Row]:
    """From C7eq to C7ax in vacuum, ff14SB, 300 K, in phi and psi."""
    system, kT = alanine_dipeptide("vacuum"), thermal_energy(300.0)
    backbone = backbone_dihedrals(system.topology)
    torsions = Dihedrals([tuple(int(atom) for atom in backbone[name][0]) for name in ("phi", "psi")])
    engine = NativeEngine(system, Langevin(kT=kT, dt=0.002, friction=5.0))
    masses, positions = np.asarray(system.masses, float), np.asarray(system.positions, float)
    apparatus = Apparatus(engine, torsions, positions, masses, kT, constraints=system.constraints)
    found = []
    for seed in range(seeds):
        begun = time.process_time()
        string = StringInVariables(
            (200.0, 200.0), walkers=2, equilibrate=0.2, average=0.8, produce=16.0, pull=7.2, seed=seed
        )
        path = string.connect(apparatus, torsions, np.radians([[-82.0, 70.0], [65.0, -50.0]]))
        barrier, error = path.barrier
        found.append((barrier, error))
        told = f"alanine dipeptide, vacuum, string in phi and psi, seed {seed}"
        yield Row(
            f"{told}: barrier of the path in two variables",
            barrier,
            "kJ/mol",
            error,
            peer="metadynamics, barrier of F(phi), one variable",
            peer_value=38.9,
        )
        phi = float(np.degrees(path.images[path.highest, 0]))
        yield Row(f"{told}: phi at the top", phi, "degrees")
        yield Row(f"{told}: drift", path.drift, "distances between images")
        yield Row(f"{told}: time", time.process_time() - begun, "CPU s")
    if len(found) > 1:
        (first, one), (second, two) = found
        apart, error = abs(first - second), float(np.hypot(one, two))
        yield Row(
            "alanine dipeptide, string in phi and psi: barriers of two seeds apart",
            apart,
            "kJ/mol",
            error,
            "within 3 errors",
            apart <= 3 * error,
        )


def path_search(seeds: int) -> Iterator[Row]:
    """First paths by reinforcement learning, then a band, beside a band from a straight line."""
    cases = {
        "Müller-Brown": (MullerBrown(), WELLS[0], WELLS[2], 0.12, HEIGHTS[0], FORCE),
        "triple well": (TripleWell2D(), (-1.048, -0.042), (1.048, -0.042), 0.2, -1.647, 0.05),
    }
    for name, (potential, start, end, push, height, tolerance) in cases.items():
        band, right, calls = NudgedElasticBand(21, tolerance=tolerance), [], []
        for seed in range(seeds):
            begun = time.process_time()
            found = PathSearch(push, pushes=40, seed=seed).connect(
                potential, Coordinates([0], dims=2), start, end
            )
            path = band.relax(potential, found.positions)
            right.append(path.converged and abs(path.energies.max() - height) <= 0.01)
            calls.append(found.calls)
            told = f"{name}, search and band, seed {seed}"
            yield Row(
                f"{told}: highest point of the path",
                float(path.energies.max()),
                "kJ/mol",
                peer="lowest saddle that must be crossed",
                peer_value=height,
            )
            yield Row(f"{told}: tries that arrived in the last round", float(100 * found.arrived[-1]), "%")
            yield Row(f"{told}: time", time.process_time() - begun, "CPU s")
        yield Row(
            f"{name}, search and band: seeds that find the lowest way",
            float(100 * np.mean(right)),
            "%",
            target="all",
            met=all(right),
        )
        straight = band.connect(potential, start, end)
        yield Row(
            f"{name}: energies asked for by the search, beside a band from a straight line",
            float(np.mean(calls)),
            "",
            peer=f"band alone, highest point {straight.energies.max():.3f} kJ/mol",
            peer_value=float(straight.calls),
            ratio=straight.calls / float(np.mean(calls)),
        )


def _cells(narrowing: WithNarrowingDimension, images: np.ndarray) -> np.ndarray:
    """Free energies of the cells of images, by sums on a grid."""
    x, y = (each.ravel() for each in np.meshgrid(np.linspace(-2, 2, 401), np.linspace(-1.8, 1.4, 321)))
    weight = np.exp(-narrowing.free_energy(np.stack([x, y]), 1.0))
    own = ((np.stack([x, y], 1)[:, None] - images) ** 2).sum(-1).argmin(1)
    return -np.log(np.bincount(own, weight, len(images)))


def _error(told: str, error: float, converged: bool) -> Row:
    return Row(
        told,
        abs(float(error)),
        "kJ/mol",
        target="<= 1e-3",
        met=bool(abs(error) <= 1e-3 and converged),
        peer="exact",
    )


def _calls(told: str, calls: int, asked: int, peer: str) -> Row:
    return Row(f"{told}: calls", float(calls), "", peer=peer, peer_value=float(asked), ratio=asked / calls)


class _Counted(Calculator):
    """Counts what is asked of a function from positions [Å] to energies [eV] and forces [eV/Å]."""

    implemented_properties: ClassVar = ["energy", "forces"]

    def __init__(self, function: Callable, counter: list[int]):
        super().__init__()
        self.function, self.counter = function, counter

    def calculate(
        self, atoms: Any = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        self.counter[0] += 1
        energy, forces = self.function(self.atoms.positions)
        self.results = {"energy": energy, "forces": forces}


def _muller_brown(positions: np.ndarray) -> tuple[float, np.ndarray]:
    x = positions[0, :2]
    forces = np.zeros((1, 3))
    forces[0, :2] = -MullerBrown().gradient(x[:, None])[:, 0]
    return float(MullerBrown().energy(x)), forces


def _band_of_ase(ends: tuple, tangent: str) -> tuple[float, int]:
    """Height of the saddle by ASE's band, and calls."""
    counter = [0]
    line = straight_path(np.array([ends[0]]), np.array([ends[1]]), IMAGES)
    images = [ase.Atoms("H", [[*x[0], 0.0]], calculator=_Counted(_muller_brown, counter)) for x in line]
    band = NEB(images, k=1000.0, climb=True, method=tangent)
    FIREOfASE(band, logfile=None, maxstep=0.05).run(fmax=FORCE, steps=1000)
    return max(image.get_potential_energy() for image in images), counter[0]


def _dimer_of_ase(start: tuple, mode: tuple) -> tuple[float, int]:
    counter = [0]
    atoms = ase.Atoms("H", [[*start, 0.0]], calculator=_Counted(_muller_brown, counter))
    along = np.array([[*mode, 0.0]]) / np.linalg.norm(mode)
    control = DimerControl(
        initial_eigenmode_method="displacement",
        displacement_method="vector",
        logfile=None,
        eigenmode_logfile=None,
    )
    pair = MinModeAtoms(atoms, control, eigenmodes=[along], random_seed=0)
    MinModeTranslate(pair, logfile=None).run(fmax=FORCE, steps=500)
    return float(atoms.get_potential_energy()), counter[0]


def _molecule_of_ase(level: Any, path: ReactionPath, guess: np.ndarray) -> tuple[float, int, bool]:
    """Barrier by ASE's band from the same guess, calls, and whether it converged."""
    counter = [0]
    like = path.frames()[0].unlabeled

    def function(positions: np.ndarray) -> tuple[float, np.ndarray]:
        frame = level.label(Configuration(like.numbers, positions * ANGSTROM))
        return frame.energy / ELECTRONVOLT, frame.forces * ANGSTROM / ELECTRONVOLT

    images = []
    for x in guess:
        atoms = to_atoms(Configuration(like.numbers, x))
        atoms.calc = _Counted(function, counter)
        images.append(atoms)
    band = NEB(images, k=0.1, climb=True, method="improvedtangent", remove_rotation_and_translation=True)
    done = bool(FIREOfASE(band, logfile=None).run(fmax=ASE_FORCE, steps=ASE_STEPS))
    energies = [image.get_potential_energy() for image in images]
    return (max(energies) - energies[0]) * ELECTRONVOLT, counter[0] - 2, done


def _hydrogen_cyanide() -> tuple[Configuration, Configuration]:
    numbers = np.array([1, 6, 7])
    first = np.array([[-0.107, 0, 0], [0, 0, 0], [0.115, 0, 0]])
    return Configuration(numbers, first), Configuration(
        numbers, first * 0 + [[0.217, 0, 0], [0, 0, 0], [0.117, 0, 0]]
    )


def _malonaldehyde() -> tuple[Configuration, Configuration]:
    """The enol with its proton at one oxygen, and its mirror image with the proton at the other."""
    numbers = np.array([8, 6, 6, 6, 8, 1, 1, 1, 1])
    left = ANGSTROM * np.array(
        [
            [-1.30, 1.15, 0.0], [-1.20, -0.17, 0.0], [0.0, -0.83, 0.0], [1.23, -0.12, 0.0], [1.28, 1.12, 0.0],
            [-0.37, 1.46, 0.0], [-2.16, -0.67, 0.0], [0.03, -1.91, 0.0], [2.15, -0.75, 0.0],
        ]
    )  # fmt: skip
    mirror = left[[4, 3, 2, 1, 0, 5, 8, 7, 6]] * [-1, 1, 1]
    return Configuration(numbers, left), Configuration(numbers, mirror)
