"""Potentials taught on some molecules and tried on others: across size and composition, and with bonds pulled.

Frames are taken from simulations at 500 K by GFN2-xTB, which labels them too (extra ``quantum``) and says what energies
isolated atoms have; nothing is downloaded. A fifth of each set is only tested on. Across sizes a local model should
need no molecules longer than those from which on the neighborhoods of atoms repeat; between compositions it meets
neighborhoods that it never saw. Where bonds are pulled, of molecules of revised MD17 too, it never saw anything like
it, and should fall back to free atoms and say so; errors of frames like the taught ones should be as without.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import ase
import ase.build
import ase.units
import numpy as np
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution

from thalweg.interop.files.configurations import from_atoms, read_configurations
from thalweg.interop.quantum.tight_binding import TightBinding
from thalweg.learned_potentials.frames.errors import errors
from thalweg.learned_potentials.learning_curve import transfer_matrix
from thalweg.learned_potentials.linear.extrapolation import LABELED
from thalweg.learned_potentials.linear.learner import Linear
from thalweg.learned_potentials.linear.sparse_kernel import SparseKernel
from thalweg.learned_potentials.parametric.imagined_frames import hanging_on
from thalweg.learned_potentials.recipe import Recipe
from thalweg.learned_potentials.recipes.linear import gaussian_approximation
from thalweg.learned_potentials.uncertainty.graded import graded
from thalweg.report.benchmark import Row
from thalweg.representations.expansions.ace import ACE
from thalweg.representations.expansions.soap import SOAP
from thalweg.representations.molecules.molecular_symmetry import bond_matrix
from thalweg.systems.configuration import Configuration
from thalweg.units import unit

log = logging.getLogger(__name__)

EV, MEV, MEV_PER_ANGSTROM = unit("eV", "energy"), unit("meV", "energy"), unit("meV/Å", "force")

KELVIN = 500.0

SIZES = {"butane": (4,), "ethane to butane": (2, 3, 4), "hexane": (6,)}
"""Carbons of the alkanes of each set."""

COMPOSITIONS = {
    "ethanol": ("CH3CH2OH",),
    "dimethyl ether": ("CH3OCH3",),
    "methanol and ethane": ("CH3OH", "C2H6"),
}
"""Molecules of each set, by their names in ASE."""

PULLED = ("CH3CH2OH", "C6H6", "H2CO")
"""Molecules whose bonds are pulled, by their names in ASE."""

LOCAL = {
    "expansion": Linear(ACE(cutoff=0.4, levels=(12, 10, 8))),
    "kernel": SparseKernel(SOAP(cutoff=0.4), 200),
}
"""Learners that are to fall back."""

DRAWN = {"toluene": 100, "aspirin": 100, "malonaldehyde": 100, "ethanol": 50}
"""Frames of revised MD17 that are taught, drawn from its training frames."""

TRIED, DRAW = 40, 77
"""Frames tried, drawn from its test frames, and the seed of both draws."""

LENGTHS = np.array([1.0, 1.1, 1.2, 1.35, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0])
"""Multiples of bonds."""

HOLE, BOUND, COST = 0.5, 1.0, 0.05
"""Pulled molecules are no further below those taught, and pulled apart at least so far above them [eV]. Errors of
frames like the taught ones are larger by this fraction at most, or by one standard error."""

UNPAIRED = {1: 1, 6: 2, 8: 2}
"""Electrons of isolated atoms."""


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Parts by name; ``quick`` takes few frames."""
    public = {
        f"pulled/{molecule}/{name}": partial(pulled_apart, name, partial(drawn, data, molecule, quick))
        for molecule in (list(DRAWN)[:1] if quick else DRAWN)
        for name in LOCAL
    }
    try:
        import tblite.ase  # noqa: F401
    except ImportError:
        skipped = Row("transfer", None, "", target="skipped: needs tblite")
        return {"transfer": lambda: iter([skipped]), **public}
    return {
        "size": partial(across_sizes, quick),
        "composition": partial(across_compositions, quick),
        **{f"pulled/{name}": partial(pulled_apart, name, partial(halves, quick)) for name in LOCAL},
        **public,
    }


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def across_sizes(quick: bool) -> Iterator[Row]:
    """Alkanes of different lengths."""
    names = list(SIZES)[:2] if quick else SIZES
    sets = {name: simulated([alkane(carbons) for carbons in SIZES[name]], quick) for name in names}
    yield from taught_and_tried("alkanes", sets, quick)


def across_compositions(quick: bool) -> Iterator[Row]:
    """Isomers, and the fragments of one of them."""
    sets = {
        name: simulated([ase.build.molecule(molecule) for molecule in molecules], quick)
        for name, molecules in COMPOSITIONS.items()
    }
    yield from taught_and_tried("compositions", sets, quick)


def pulled_apart(
    name: str, sets: Callable[[], Mapping[str, tuple[list[Configuration], list[Configuration]]]]
) -> Iterator[Row]:
    """Every bond of some molecules pulled to four times its length, by a learner with and without free atoms.

    An atom is pulled, or one side of the bond where that is not in a ring. ``sets`` has the frames that are taught and
    tried of each molecule.
    """
    learner, molecules = LOCAL[name], sets()
    holes, ends, grades = [], [], []
    for molecule, (taught, tried) in molecules.items():
        potential = graded(Recipe(learner).fit(taught), taught)
        plain = Recipe(learner, fall_back=None).fit(taught)
        test = f"{molecule}, {name}, {len(taught)} frames"
        yield from _costs(test, errors(potential, tried), errors(plain, tried))
        lowest = min(frame.energy for frame in taught)
        without = []
        for bond in np.argwhere(bond_matrix(taught[:1])).tolist():
            torn = pulled(taught[0], *bond)
            energies = (potential.evaluate(torn).energies - lowest) / EV
            without.append(float((plain.evaluate(torn).energies.min() - lowest) / EV))
            holes.append(float(energies.min()))
            ends.append(float(energies[-1]))
            grades += [float(each.max()) for each in potential.grades(torn[4:])]
        yield Row(f"{test}: {len(without)} bonds pulled without free atoms: lowest", min(without), "eV")
    test = f"{len(ends)} bonds of {', '.join(molecules)} pulled, {name}"
    yield Row(f"{test}: lowest", min(holes), "eV", None, f">= -{HOLE}", min(holes) >= -HOLE)
    yield Row(f"{test}: lowest end", min(ends), "eV", None, f">= {BOUND}", min(ends) >= BOUND)
    yield Row(f"{test}: highest end", max(ends), "eV")
    flagged = float(np.mean(np.array(grades) > LABELED))
    yield Row(f"{test}: graded above {LABELED:g} from half longer on", flagged, "", None, "all", flagged == 1)


def _costs(test, ours, plain):
    """Errors with free atoms beside those without, of the same frames."""
    for label, row, one, unit_ in (
        ("forces", "forces", MEV_PER_ANGSTROM, "meV/Å"),
        ("energies", "energy_per_atom", MEV, "meV/atom"),
    ):
        error, without = getattr(ours, row), getattr(plain, row)
        limit = without.mae + max(COST * without.mae, without.mae_standard_error)
        yield Row(
            f"{test}: {label}",
            error.mae / one,
            unit_,
            error.mae_standard_error / one,
            target=f"<= {limit / one:.3g}",
            met=error.mae <= limit,
            peer="without free atoms",
            peer_value=without.mae / one,
            ratio=without.mae / error.mae,
        )


def halves(quick: bool) -> dict[str, tuple[list[Configuration], list[Configuration]]]:
    """Every other frame of simulations, and the others."""
    sets = {}
    for molecule in PULLED[:1] if quick else PULLED:
        frames = simulated([ase.build.molecule(molecule)], quick)
        sets[molecule] = (frames[::2], frames[1::2])
    return sets


def drawn(
    data: Path, molecule: str, quick: bool
) -> dict[str, tuple[list[Configuration], list[Configuration]]]:
    """Frames of one molecule of revised MD17."""
    folder, random = data / "potentials" / "rmd17", np.random.default_rng(DRAW)
    count = 20 if quick else DRAWN[molecule]
    taught, tried = (
        [frames[k] for k in random.choice(len(frames), number, replace=False)]
        for kind, number in (("train", count), ("test", TRIED))
        for frames in [read_configurations(folder / f"{molecule}_{kind}_01.extxyz.gz")]
    )
    return {molecule: (taught, tried)}


def pulled(frame: Configuration, i: int, j: int) -> list[Configuration]:
    """``frame`` with the bond from atom ``j`` to ``i`` at `LENGTHS` times its length."""
    along = frame.positions[i] - frame.positions[j]
    side, torn = hanging_on(frame, i, j), []
    for length in LENGTHS:
        positions = frame.positions.copy()
        positions[side] += (length - 1) * along
        torn.append(Configuration(frame.numbers, positions))
    return torn


def taught_and_tried(title: str, sets: Mapping[str, list[Configuration]], quick: bool) -> Iterator[Row]:
    """Errors of the forces and of the energies per atom for each pair of sets."""
    atoms = {
        z: float(TightBinding(unpaired=unpaired).evaluate([atom(z)]).energies[0])
        for z, unpaired in UNPAIRED.items()
    }
    recipe = replace(gaussian_approximation(points=60 if quick else 600), references=atoms)
    found = transfer_matrix(recipe, sets, progress=told)
    forces = found.values("forces") / MEV_PER_ANGSTROM
    energies = found.values("energy per atom") / MEV
    spread = (
        found.standard_errors("forces") / MEV_PER_ANGSTROM,
        found.standard_errors("energy per atom") / MEV,
    )
    for i, taught in enumerate(found.names):
        for j, tried in enumerate(found.names):
            test = f"{title}, {round(0.8 * len(sets[taught]))} frames of {taught}, tried on {tried}"
            yield Row(f"{test}: forces", float(forces[i, j]), "meV/Å", float(spread[0][i, j]))
            yield Row(f"{test}: energies", float(energies[i, j]), "meV/atom", float(spread[1][i, j]))


def simulated(molecules: Sequence[ase.Atoms], quick: bool) -> list[Configuration]:
    """Frames of simulations by GFN2-xTB, in equal parts, 20 fs apart after half a picosecond."""
    from tblite.ase import TBLite

    frames, count = [], (15 if quick else 240) // len(molecules)
    for seed, atoms in enumerate(molecules):
        atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
        rng = np.random.default_rng(seed)
        MaxwellBoltzmannDistribution(atoms, temperature_K=KELVIN, rng=rng)
        dynamics = Langevin(
            atoms,
            1.0 * ase.units.fs,
            temperature_K=KELVIN,
            friction=0.01 / ase.units.fs,
            rng=rng,
            fixcm=False,
        )
        dynamics.run(500)
        for _ in range(count):
            dynamics.run(20)
            frames.append(from_atoms(atoms))
    return frames


def atom(number: int) -> Configuration:
    """An atom alone."""
    return Configuration(np.array([number]), np.zeros((1, 3)))


def alkane(carbons: int) -> ase.Atoms:
    """A stretched alkane with tetrahedral angles and usual bonds."""
    along, across, up = 1.53 * np.sqrt(2 / 3), 1.53 * np.sqrt(1 / 12), 1.09 * np.sqrt(2 / 3)
    chain = np.array([[k * along, (-1) ** k * across, 0.0] for k in range(carbons)])
    points, symbols = list(chain), ["C"] * carbons
    for k, carbon in enumerate(chain):
        outwards = (-1) ** k * 1.09 * np.sqrt(1 / 3)
        points += [carbon + np.array([0.0, outwards, side * up]) for side in (-1, 1)]
    for end, before in ((chain[0], chain[1]), (chain[-1], chain[-2])):
        points.append(end + 1.09 / 1.53 * (end - before) * np.array([1.0, -1.0, 1.0]))
    return ase.Atoms(symbols + ["H"] * (2 * carbons + 2), np.array(points))


def told(message: str, fraction: float) -> None:
    log.info("%3.0f %%: %s", 100 * fraction, message)
