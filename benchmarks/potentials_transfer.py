"""Potentials taught on some molecules and tried on others: across size and across composition.

Frames are taken from simulations at 500 K by GFN2-xTB, which labels them too (extra ``quantum``) and says what energies
isolated atoms have; nothing is downloaded. A fifth of each set is only tested on. Across sizes a local model should
need no molecules longer than those from which on the neighborhoods of atoms repeat; between compositions it meets
neighborhoods that it never saw.
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

from thalweg.interop.files.configurations import from_atoms
from thalweg.interop.quantum.tight_binding import TightBinding
from thalweg.learned_potentials.learning_curve import transfer_matrix
from thalweg.learned_potentials.recipes.linear import gaussian_approximation
from thalweg.report.benchmark import Row
from thalweg.systems.configuration import Configuration
from thalweg.units import unit

log = logging.getLogger(__name__)

MEV, MEV_PER_ANGSTROM = unit("meV", "energy"), unit("meV/Å", "force")

KELVIN = 500.0

SIZES = {"butane": (4,), "ethane to butane": (2, 3, 4), "hexane": (6,)}
"""Carbons of the alkanes of each set."""

COMPOSITIONS = {
    "ethanol": ("CH3CH2OH",),
    "dimethyl ether": ("CH3OCH3",),
    "methanol and ethane": ("CH3OH", "C2H6"),
}
"""Molecules of each set, by their names in ASE."""

UNPAIRED = {1: 1, 6: 2, 8: 2}
"""Electrons of isolated atoms."""


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Parts by name; ``quick`` takes few frames."""
    del data
    try:
        import tblite.ase  # noqa: F401
    except ImportError:
        return {"transfer": lambda: iter([Row("transfer", None, "", target="skipped: needs tblite")])}
    return {"size": partial(across_sizes, quick), "composition": partial(across_compositions, quick)}


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
