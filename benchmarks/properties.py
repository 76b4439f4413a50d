"""Properties beside the energy: dipoles, polarizabilities, gaps, shieldings, and the vibrational spectra they make.

Labels are made here, by GFN2-xTB and, for shieldings, by Hartree-Fock with orbitals that carry their gauge. Every seed
has geometries of its own, and errors are on frames of another run, or of other molecules. The order of a simulated
crystal of argon is compared with that of the perfect one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from time import process_time

import numpy as np

from thalweg.interop.quantum.molecular_orbitals import MolecularOrbitals
from thalweg.interop.quantum.tight_binding import TightBinding
from thalweg.interop.rdkit.conformers import conformers
from thalweg.labeling.geometries.dynamics import dynamics_frames
from thalweg.labeling.geometries.normal_modes import normal_modes
from thalweg.labeling.geometries.relaxation import nearest_minimum
from thalweg.labeling.known_potential import KnownPotential
from thalweg.learned_potentials.parametric.pair_terms import lennard_jones
from thalweg.learned_potentials.properties.property_kernel import PropertyKernel, PropertyModel
from thalweg.learned_potentials.properties.readouts import (
    AttentionPooled,
    Dipole,
    PerAtom,
    Polarizability,
    Pooled,
    Readout,
    Summed,
)
from thalweg.learned_potentials.recipes.molecular import local_gradient_domain
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.report.benchmark import Row
from thalweg.representations.steinhardt import LocalOrder
from thalweg.spectra.harmonic import harmonic_spectrum
from thalweg.spectra.property_trajectories import property_trajectories
from thalweg.spectra.time_correlation import Infrared, Spectrum
from thalweg.systems.configuration import Configuration
from thalweg.units import ANGSTROM, DEBYE, ELECTRONVOLT

SEEDS = (1, 2, 3)

LEVEL = TightBinding(properties=("polarizability",))

MODES, DYNAMICS, TEST = 150, 100, 50
"""Frames of ethanol along normal modes and dynamics, and of another run to judge by."""

EVERY, BEGIN = 0.01, 0.3
"""Time between frames of dynamics, and before the first [ps]."""

STEP, SEEN = 0.001, 0.004
"""Of dynamics for spectra, and time between their dipoles [ps], which see up to 4170 1/cm."""

PARTNERS, LOWEST = 2.0, 200.0
"""Peaks are partners within so many resolutions; below the lowest [1/cm] the molecule turns."""

COLD = (2.0, 4.0, 8.0)
"""Temperatures of a crystal of argon [K]."""

PERFECT = {4: 0.19094, 6: 0.57452}
"""Order of the perfect crystal, twelve neighbors, by degree [steinhardt1983]."""

SMALL = (
    "CO CN C=O C#N C=C CC CCO CCN CC=O CC#N CC=C C#CC CC(=O)O CC(=O)N CC(C)O CC(C)=O COC CNC CC(C)N "
    "CCC COCC CC(=O)OC CCC=O CCCO C=CC=C C=CC=O CC(C)=C NC=O OC=O c1ccco1 c1cc[nH]c1 OCCO NCCO"
).split()

LARGE = (
    "CCCCCCO CCCCCCN CCCC(=O)CCC CCCCCC=O CCCCCC(=O)O CCCCC(=O)N CC(C)CC(C)C CCCCC#N c1ccccc1C=O c1ccccc1O "
    "CCCCC=C C=CC=CC=C CCCCOCCC NCCCCCO CCCCC(=O)OC"
).split()
"""Molecules to learn gaps of, and molecules twice their size, of hydrogen, carbon, nitrogen and oxygen."""

GEOMETRIES, RATTLE = 4, 0.003
"""Of each molecule, and how far atoms are displaced [nm]."""


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Ethanol, its spectrum, gaps, shieldings and order; ``quick`` takes one seed and short runs."""
    del data
    seeds = SEEDS[:1] if quick else SEEDS
    return {
        "ethanol": partial(ethanol, seeds),
        "spectrum": partial(spectra, 4 if quick else 12, 0.8 if quick else 2.5),
        "gap": partial(gaps, seeds),
        "shieldings": partial(shieldings, seeds, 40 if quick else 80),
        "order": order,
    }


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def ethanol(seeds: Sequence[int]) -> Iterator[Row]:
    """Errors of dipole and polarizability, and frequencies of the learned molecule."""
    off: dict[str, list[float]] = {"dipole": [], "polarizability": [], "claims": [], "modes": [], "bands": []}
    for seed in seeds:
        train, test = frames_of_ethanol(seed)
        dipole = PropertyKernel(Dipole()).fit(train, seed)
        found = dipole.errors(test)
        off["dipole"].append(found.mae / DEBYE)
        off["claims"].append(found.coverage_68)
        off["polarizability"].append(
            PropertyKernel(Polarizability()).fit(train, seed).errors(test).mae / ANGSTROM**3
        )
        teacher, learned = _modes(TightBinding()), _modes(_learned_level(seed))
        off["modes"].append(float(np.abs(teacher.wavenumbers - learned.wavenumbers).mean()))
        off["bands"].append(float(np.abs(teacher.intensities - learned.intensities).mean()))
    count = MODES + DYNAMICS
    test = f"ethanol, GFN2-xTB, {count} frames"
    yield _row(f"{test}: dipole MAE of components", off["dipole"], "D", 0.02)
    yield _row(f"{test}: dipole, errors within one deviation", off["claims"], "")
    yield _row(f"{test}: polarizability MAE of components", off["polarizability"], "Å^3")
    yield _row(f"{test}: harmonic frequencies, mean error", off["modes"], "1/cm", 10.0)
    yield _row(f"{test}: infrared intensities, mean error", off["bands"], "km/mol")


def spectra(runs: int, time: float) -> Iterator[Row]:
    """Peaks of learned dynamics with learned dipoles beside those of the teacher's own, and where they differ.

    Peaks are partners where each is the nearest of the other, no further than `PARTNERS` times the resolution; the weak
    ones of the other spectrum may be partners, too.
    """
    seed = SEEDS[0]
    minimum, potential, dipole = _minimum(), _learned(seed), _dipole(seed)
    teacher, seconds = _spectrum(minimum, TightBinding(), _dipoles_of_teacher, runs, time, seed)
    learned, ours = _spectrum(minimum, potential, dipole.predict, 2 * runs, time, seed + 10)
    test = f"ethanol at 300 K, infrared, {runs} runs of {time:g} ps"
    yield Row(f"{test}: resolution", teacher.resolution, "1/cm")
    yield Row(f"{test}: independent pieces", teacher.independent_pieces, "")
    apart, errors, alone = _partners(teacher, learned)
    yield Row(f"{test}: peaks of the teacher", float(len(apart) + alone), "")
    yield Row(f"{test}: peaks of the teacher without a partner", float(alone), "")
    yield Row(f"{test}: learned peaks without a partner", float(_partners(learned, teacher)[2]), "")
    mean = float(np.abs(apart).mean()) if len(apart) else np.inf
    yield Row(f"{test}: peaks apart, mean", mean, "1/cm", target="<= 15", met=bool(mean <= 15))
    yield Row(f"{test}: peaks apart, largest", float(np.abs(apart).max(initial=0.0)), "1/cm")
    yield Row(
        f"{test}: peaks apart, by their standard errors alone",
        float(np.sqrt(2 / np.pi) * errors.mean()),
        "1/cm",
    )
    (mine, error), (theirs, other) = learned.intensity(300, 4000), teacher.intensity(300, 4000)
    deviations = abs(mine - theirs) / np.hypot(error, other)
    yield Row(f"{test}: total intensity", mine, "km/mol", spread=error, peer="GFN2-xTB", peer_value=theirs)
    yield Row(
        f"{test}: total intensity, deviations apart", deviations, "", target="<= 2", met=bool(deviations <= 2)
    )
    yield Row(f"{test}: dynamics and dipoles of the teacher", seconds, "CPU s")
    yield Row(f"{test}: learned ones, twice the runs", ours, "CPU s")


def _partners(of: Spectrum, other: Spectrum) -> tuple[np.ndarray, np.ndarray, int]:
    """How far partners of the peaks of a spectrum are, standard errors of that, and how many peaks have none."""
    (mine, sure), (theirs, unsure) = _vibrations(of, 0.02), _vibrations(other, 0.005)
    if not len(mine) or not len(theirs):
        return np.empty(0), np.empty(0), len(mine)
    apart = theirs - mine[:, None]
    nearest = np.abs(apart).argmin(1)
    mutual = np.abs(apart).argmin(0)[nearest] == np.arange(len(mine))
    found = apart[np.arange(len(mine)), nearest]
    mutual &= np.abs(found) <= PARTNERS * of.resolution
    return found[mutual], np.hypot(sure, unsure[nearest])[mutual], int((~mutual).sum())


def _vibrations(spectrum: Spectrum, prominence: float) -> tuple[np.ndarray, np.ndarray]:
    """Peaks and their errors, but for the turning of the molecule."""
    peaks = spectrum.peaks(prominence)
    above = peaks > LOWEST
    return peaks[above], spectrum.peak_errors(prominence)[above]


def gaps(seeds: Sequence[int]) -> Iterator[Row]:
    """Gaps of molecules of the size learned from, left out one third, and of larger ones, by each readout."""
    level = TightBinding(properties=("gap",))
    readouts: dict[str, Readout] = {
        "summed": Summed("gap"),
        "pooled": Pooled("gap"),
        "attention": AttentionPooled("gap"),
    }
    errors: dict[tuple[str, str], list[float]] = {}
    for seed in seeds:
        order = np.random.default_rng(seed).permutation(SMALL)
        kept = len(order) * 2 // 3
        sets = {"train": order[:kept], "as large": order[kept:], "larger": LARGE}
        labeled = {
            name: [level.label(x) for s in of for x in _rattled(str(s), seed)] for name, of in sets.items()
        }
        for name, readout in readouts.items():
            model = PropertyKernel(readout).fit(labeled["train"], seed)
            for size in ("as large", "larger"):
                errors.setdefault((name, size), []).append(model.errors(labeled[size]).mae / ELECTRONVOLT)
        for size in ("as large", "larger"):
            known = np.array([x.properties["gap"] for x in labeled["train"]])
            found = np.array([x.properties["gap"] for x in labeled[size]])
            guess = float(np.abs(found - known.mean()).mean()) / ELECTRONVOLT
            errors.setdefault(("mean of the training set", size), []).append(guess)
    for (name, size), found in errors.items():
        yield _row(f"gap, other molecules {size} than those learned from, {name}: MAE", found, "eV")


def shieldings(seeds: Sequence[int], count: int) -> Iterator[Row]:
    """Shieldings of methanol by HF/def2-SVP, three quarters of the frames to learn from."""
    try:
        frames = _methanol(count)
    except ImportError as error:
        yield Row("methanol, HF/def2-SVP: shieldings", None, "", target=f"skipped: {error}")
        return
    errors: dict[int, list[float]] = {}
    spread = {}
    for seed in seeds:
        order = np.random.default_rng(seed).permutation(count)
        train, test = ([frames[k] for k in part] for part in np.split(order, [count * 3 // 4]))
        predicted = PropertyKernel(PerAtom("shieldings")).fit(train, seed).predict(test)
        for number in (1, 6, 8):
            mine = frames[0].numbers == number
            known = np.array([frame.properties["shieldings"][mine] for frame in test])
            found = np.array([values[mine] for values in predicted])
            errors.setdefault(number, []).append(float(np.abs(found - known).mean()))
            spread[number] = float(known.std())
    for number, name in ((1, "hydrogen"), (6, "carbon"), (8, "oxygen")):
        test = f"methanol, HF/def2-SVP, {count * 3 // 4} frames: shieldings of {name}"
        yield _row(f"{test}, spread by {spread[number]:.3g}, MAE", errors[number], "ppm")


def order() -> Iterator[Row]:
    """Steinhardt's order of an argon crystal of 108 atoms, at three temperatures and on the way to zero."""
    cells, a = 3, 0.5311
    basis = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
    corners = np.stack(np.meshgrid(*[np.arange(cells)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    positions = (corners + basis).reshape(-1, 3) * a
    box = cells * a * np.eye(3)
    frame = Configuration(np.full(len(positions), 18), positions, box, (True, True, True))
    argon = lennard_jones((18,), [0.996], [0.3405], cutoff=0.75)
    seen = {degree: LocalOrder(np.arange(len(positions)), degree, radius=0.45) for degree in PERFECT}
    means: dict[int, list[float]] = {degree: [] for degree in PERFECT}
    for temperature in COLD:
        frames = dynamics_frames(frame, argon, 20, temperature, every=0.2, begin=2.0, dt=0.01, seed=1)
        stacked = np.stack([each.positions for each in frames], -1).astype(np.float32)
        for degree, values in means.items():
            values.append(float(np.mean(seen[degree](stacked, box.astype(np.float32)))))
    for degree, values in means.items():
        for temperature, value in zip(COLD, values):
            test = f"argon crystal at {temperature:g} K: q{degree}"
            yield Row(test, value, "", peer="perfect crystal", peer_value=PERFECT[degree])
        still = float(np.polyval(np.polyfit(COLD, values, 2), 0.0))
        met = abs(still - PERFECT[degree]) <= 0.005
        test = f"argon crystal on the way to 0 K: q{degree}"
        yield Row(
            test, still, "", target="within 0.005", met=met, peer="published", peer_value=PERFECT[degree]
        )


@cache
def frames_of_ethanol(seed: int) -> tuple[list[Configuration], list[Configuration]]:
    """Labeled frames to learn from, along normal modes and dynamics at 500 K, and of another run at 300 K."""
    modes = normal_modes(_minimum(), TightBinding()).frames(MODES, 500.0, seed=seed)
    runs = [
        dynamics_frames(
            _minimum(), TightBinding(), count, temperature, every=EVERY, begin=BEGIN, seed=10 * seed + k
        )
        for k, (count, temperature) in enumerate(((DYNAMICS, 500.0), (TEST, 300.0)))
    ]
    return [LEVEL.label(x) for x in [*modes, *runs[0]]], [LEVEL.label(x) for x in runs[1]]


@cache
def _minimum() -> Configuration:
    return nearest_minimum(conformers("CCO")[0], TightBinding(accuracy=0.01), force=0.1)


@cache
def _learned(seed: int) -> LearnedPotential:
    return local_gradient_domain().fit(frames_of_ethanol(seed)[0])


@cache
def _dipole(seed: int) -> PropertyModel:
    return PropertyKernel(Dipole()).fit(frames_of_ethanol(seed)[0], seed)


def _learned_level(seed: int) -> KnownPotential:
    return KnownPotential(_learned(seed), "learned", (_dipole(seed),))


def _modes(level):
    """Harmonic spectrum at the level's own minimum."""
    minimum = nearest_minimum(_minimum(), level, force=1.0)
    return harmonic_spectrum(normal_modes(minimum, level), level)


def _spectrum(frame, term, properties, runs, time, seed) -> tuple[Spectrum, float]:
    """The spectrum, and the CPU time that its runs took."""
    began = process_time()
    data = property_trajectories(frame, term, properties, 300.0, runs, time, every=SEEN, dt=STEP, seed=seed)
    return Infrared(temperature=300.0, step=STEP).fit(data), process_time() - began


def _dipoles_of_teacher(frames: Sequence[Configuration]) -> list[np.ndarray]:
    return [TightBinding().label(frame).properties["dipole"] for frame in frames]


@cache
def _methanol(count: int) -> list[Configuration]:
    level = MolecularOrbitals("HF", "def2-SVP", properties=("dipole", "shieldings"))
    minimum = nearest_minimum(conformers("CO")[0], TightBinding())
    modes = normal_modes(minimum, TightBinding())
    return [level.label(frame) for frame in modes.frames(count, 300.0, seed=1)]


@cache
def _conformers(smiles: str) -> list[Configuration]:
    return conformers(smiles, GEOMETRIES)


def _rattled(smiles: str, seed: int) -> list[Configuration]:
    """Conformers of a molecule in a force field, displaced a little, as many as `GEOMETRIES`."""
    generator = np.random.default_rng(seed)
    found = _conformers(smiles)
    frames = [found[k % len(found)] for k in range(GEOMETRIES)]
    return [
        replace(x, positions=x.positions + RATTLE * generator.normal(size=x.positions.shape)) for x in frames
    ]


def _row(test: str, values: Sequence[float], unit: str, most: float | None = None) -> Row:
    mean = float(np.mean(values))
    spread = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
    told = None if most is None else f"<= {most:g}"
    return Row(test, mean, unit, spread=spread, target=told, met=None if most is None else bool(mean <= most))
