"""Long range: sums of charges beside exact constants and OpenMM, and binding beyond the cutoff of local models.

`madelung`: salts, forces beside finite differences, a mesh beside waves, both beside OpenMM's own Ewald sum. `charge
pairs`: ten pairs of charged molecules by a density functional (`data/potentials/lode_charge_pairs`), the eight nearest
distances of each learned, the five furthest asked. `charged dimer`: two molecules by Hartree-Fock, learned up to
0.7 nm, asked up to 1.5 nm. (GFN2-xTB is no teacher here: its charges interact as 1 / sqrt(r^2 + a^2), which is 36 meV
below Coulomb's law for two ammonium ions at 0.75 nm.) `S66x8 tails`: the two furthest of eight distances by charges of
GFN2-xTB. `cost`: processor time of energies and forces of salt, one thread. Nothing is chosen by what is asked.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
from scipy.sparse.csgraph import connected_components

from thalweg.interop.files.configurations import read_configurations
from thalweg.interop.quantum.levels import level_of
from thalweg.interop.rdkit.conformers import conformers
from thalweg.labeling.geometries.relaxation import nearest_minimum
from thalweg.learned_potentials.frames.errors import residuals
from thalweg.learned_potentials.linear.learner import Linear, Together
from thalweg.learned_potentials.long_range.charge_equilibration import ChargeEquilibration
from thalweg.learned_potentials.long_range.labeled_charges import LabeledCharges
from thalweg.learned_potentials.long_range.latent_charges import LatentCharges
from thalweg.learned_potentials.long_range.point_charges import point_charges
from thalweg.learned_potentials.recipe import remainder
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learned_potentials.terms.learner import Learner
from thalweg.learned_potentials.terms.term import Term, Weights
from thalweg.report.benchmark import Row
from thalweg.representations.expansions.ace import ACE
from thalweg.representations.expansions.lode import LODE
from thalweg.systems.configuration import Configuration, elements_of
from thalweg.units import COULOMB, unit

MEV = unit("meV", "energy")
FACES = np.ones((3, 3)) - np.eye(3)
SALTS = {
    "NaCl": ([1, 0, 0], FACES, 1.0, 1.7475645946331822),
    "CsCl": ([1, 1, 1], 2 * np.eye(3), np.sqrt(3), 1.7626747730709883),
    "ZnS": ([0.5, 0.5, 0.5], FACES, np.sqrt(3) / 2, 1.6380550533887911),
}
"""Place of the second ion and cell, in half lattice constants, distance of neighbors, and Madelung's constant."""

TEACHER = "hf/def2-svp"
"""Of the charged dimer."""

BOND = 0.2
"""Atoms further apart are of different molecules, in dimers at twice their distance [nm]."""

NEAR = 8
"""Distances of each pair of molecules that are learned, of thirteen."""

LOCAL = ACE(cutoff=0.5, levels=(8, 6))
FAR = LODE(cutoff=4.0, degree=1)
REPRESENTATIONS = {
    "potentials": LODE(cutoff=4.0, degree=0),
    "potentials and fields": FAR,
    "potentials and fields, near functions up to 0.3 nm": LODE(cutoff=4.0, degree=1, near=0.3, radial=4),
    "potentials, fields and their gradients": LODE(cutoff=4.0, degree=2),
}
"""Far features tried on the two furthest distances that are learned, from the six before; the best goes on."""


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """All parts; ``quick`` takes one seed and small cells."""
    seeds = range(1 if quick else 3)
    return {
        "madelung": madelung,
        "charge pairs": lambda: charge_pairs(data),
        "charged dimer": lambda: charged_dimer(seeds),
        "S66x8 tails": lambda: tails(data),
        "cost": lambda: cost((4, 5) if quick else (5, 8, 11)),
    }


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def madelung() -> Iterator[Row]:
    """Constants of salts, forces, a mesh, and OpenMM."""
    term = point_charges({11: 1.0, 17: -1.0}, tolerance=1e-9)
    for name, (place, cell, nearest, constant) in SALTS.items():
        ions = np.array([[0, 0, 0], place]) * 0.3
        energy = term.evaluate([Configuration(np.array([11, 17]), ions, 0.3 * cell, (True,) * 3)]).energies[0]
        off = abs(-energy * 0.3 * nearest / COULOMB / constant - 1)
        yield Row(
            f"{name}: Madelung's constant off", off, "", target="<= 1e-6", met=off <= 1e-6, peer="exact"
        )
    salt = rattled_salt(3)
    exact = term.evaluate([salt])
    way = np.random.default_rng(0).normal(size=salt.positions.shape)
    moved = [replace(salt, positions=salt.positions + s * 1e-4 * way) for s in (-2, -1, 1, 2)]
    values = term.evaluate(moved).energies
    slope = (8 * (values[2] - values[1]) - (values[3] - values[0])) / 12e-4
    off = abs(slope / -(exact.forces[0] * way).sum() - 1)
    yield Row("forces and finite differences apart", off, "", target="<= 1e-6", met=off <= 1e-6)
    usual = point_charges({11: 1.0, 17: -1.0})
    meshed = usual.evaluate([rattled_salt(5)])
    summed = term.evaluate([rattled_salt(5)])
    off = _relative(meshed.forces[0], summed.forces[0])
    yield Row("1000 ions: forces of default settings off", off, "", target="<= 1e-4", met=off <= 1e-4)
    peer = f"OpenMM {version('openmm')} Ewald"
    energy, forces = _by_openmm(salt)
    off = _relative(exact.forces[0], forces)
    yield Row("216 ions: forces apart", off, "", target="<= 1e-5", met=off <= 1e-5, peer=peer)
    off = abs(exact.energies[0] / energy - 1)
    yield Row("216 ions: energies apart", off, "", target="<= 1e-6", met=off <= 1e-6, peer=peer)


def charge_pairs(data: Path) -> Iterator[Row]:
    """Interaction energies of pairs further apart than those learned."""
    file = data / "potentials" / "lode_charge_pairs" / "charge-charge.extxyz.gz"
    if not file.exists():
        yield Row("charged molecules", None, "meV", target=f"{file} is not there")
        return
    near, far = _nearest_and_rest(_interactions(read_configurations(file)), NEAR)
    yield Row("spread of the energies asked", float(np.std([frame.energy for frame in far])) / MEV, "meV")
    weights = Weights(energy=0.02, force=1e6)
    nearer, next_ones = _nearest_and_rest(near, NEAR - 2)
    tried = {
        name: _mean_error(Linear(far_features).fit(nearer, weights=weights).term, next_ones)
        for name, far_features in REPRESENTATIONS.items()
    }
    best = min(tried, key=tried.get)
    yield Row(f"LODE of {best}: the two furthest distances learned, from those before", tried[best], "meV")
    for name, features in {"local, 0.5 nm": LOCAL, f"LODE of {best}": REPRESENTATIONS[best]}.items():
        error = _mean_error(Linear(features).fit(near, weights=weights).term, far)
        aim = {} if features is LOCAL else {"target": "<= 10", "met": error <= 10}
        yield Row(f"{name}: mean absolute error of the distances asked", error, "meV", **aim)


def charged_dimer(seeds: Sequence[int]) -> Iterator[Row]:
    """Binding curves of two molecules, learned from random orientations up to 0.7 nm, asked up to 1.5 nm."""
    for name, first, second in (
        ("two ammonium ions", "[NH4+]", "[NH4+]"),
        ("ammonium and water", "[NH4+]", "O"),
    ):
        bodies = [_relaxed(first), _relaxed(second)]
        alone = _labeled(bodies, properties=("dipole", "polarizability"))
        physics = _physics(alone)
        errors = defaultdict(list)
        for seed in seeds:
            random = np.random.default_rng(seed)
            frames = [_dimer(bodies, r, random) for r in random.uniform(0.33, 0.7, 60)]
            known = _bound(_labeled(frames), alone)
            asked = _bound(_labeled([_dimer(bodies, r, random) for r in np.linspace(0.75, 1.5, 31)]), alone)
            for model, (baseline, learner) in _models(physics).items():
                rest = remainder(known, baseline.evaluate(known))
                learned = learner.fit(rest, weights=Weights(energy=0.05, force=3.0), seed=seed).term
                errors[model].append(_mean_error(learned, remainder(asked, baseline.evaluate(asked))))
        yield Row(
            f"{name}: energies asked, root mean square", float(np.sqrt(np.mean([f.energy**2 for f in asked]))) / MEV,
            "meV",
        )  # fmt: skip
        for model, found in errors.items():
            local = model.startswith("local,")
            yield Row(
                f"{name}, {model}: mean absolute error", float(np.mean(found)), "meV",
                spread=float(np.ptp(found) / 2), target=None if local else "<= 10",
                met=None if local else float(np.mean(found)) <= 10,
            )  # fmt: skip


def _models(physics: LearnedPotential) -> dict[str, tuple[LearnedPotential, Learner]]:
    """What is known before, and what learns the rest."""
    nothing = replace(physics, terms=())
    return {
        "local, 0.5 nm": (nothing, Linear(LOCAL)),
        "expansion and LODE": (nothing, Together((Linear(LOCAL), Linear(FAR)))),
        "latent charges": (nothing, LatentCharges(Linear(LOCAL))),
        "charges and polarizabilities of the molecules alone": (physics, Linear(LOCAL)),
    }


def _physics(molecules: Sequence[Configuration]) -> LearnedPotential:
    """Charges and polarizabilities that molecules are labeled with; what nears say is a learner's."""
    return LearnedPotential(
        dict.fromkeys(elements_of(molecules), 0.0), (LabeledCharges(near=LOCAL.cutoff).fit(molecules).term,)
    )


def tails(data: Path) -> Iterator[Row]:
    """How much 66 dimers bind less at 2 than at 1.5 equilibrium distances, by terms that saw no energy of them.

    Charges, dipoles and polarizabilities of molecules, and charges of dimers that touch, are those of GFN2-xTB; no
    energy of a dimer is seen. The labels' functional has no dispersion and a small basis.
    """
    file = data / "potentials" / "comp6_s66x8" / "s66x8.extxyz.gz"
    if not file.exists():
        yield Row("S66x8", None, "meV", target=f"{file} is not there")
        return
    groups = defaultdict(list)
    for frame in read_configurations(file):
        groups[frame.info.get("config")].append(frame)
    pairs = [frames[-2:] for frames in groups.values()]
    truth = np.array([far.energy - near.energy for near, far in pairs]) / MEV
    yield Row("S66x8: from 1.5 to 2 distances, root mean square", float(np.sqrt((truth**2).mean())), "meV")
    ends = [[frames[k] for frames in pairs] for k in range(2)]
    alone = _labeled([part for frame in ends[1] for part in _molecules(frame)], "gfn2", ("polarizability",))
    touching = _labeled(
        [Configuration(f.numbers, f.positions) for frames in groups.values() for f in frames[:-2:2]],
        "gfn2",
        (),
    )
    charges = [replace(f, properties={"charges": f.properties["charges"]}) for f in touching]
    for name, learner in {
        "equilibrated charges": ChargeEquilibration(),
        "charges and polarizabilities of surroundings": LabeledCharges(near=0.3),
    }.items():
        term = learner.fit([*alone, *charges]).term
        found = (term.evaluate(ends[1]).energies - term.evaluate(ends[0]).energies) / MEV
        error = float(np.sqrt(((found - truth) ** 2).mean()))
        yield Row(f"S66x8: the same by {name}, error", error, "meV", target="<= 10", met=error <= 10)
    labels = [
        _labeled([Configuration(frame.numbers, frame.positions) for frame in frames], "gfn2", ())
        for frames in ends
    ]
    found = np.array([far.energy - near.energy for near, far in zip(*labels)]) / MEV
    error = float(np.sqrt(((found - truth) ** 2).mean()))
    yield Row("S66x8: the same by GFN2-xTB itself, error", error, "meV")


def cost(cells: Sequence[int]) -> Iterator[Row]:
    """Processor time per ion of energies, forces and stresses by a mesh, lists of neighbors included."""
    term, seconds = point_charges({11: 1.0, 17: -1.0}), {}
    for count in cells:
        salt = rattled_salt(count)
        term.evaluate([salt])  # compiled
        began = time.process_time()
        term.evaluate([salt])
        seconds[len(salt)] = (time.process_time() - began) / len(salt)
        yield Row(f"{len(salt)} ions: energy and forces", 1e6 * seconds[len(salt)], "CPU µs/ion")
    few, many = min(seconds), max(seconds)
    ratio = seconds[many] / seconds[few]
    expected = np.log(many) / np.log(few)
    yield Row(
        f"cost per ion, {many} over {few}", ratio, "", target=f"n log n: <= 1.3 x {expected:.2f}",
        met=bool(ratio <= 1.3 * expected),
    )  # fmt: skip


def rattled_salt(cells: int) -> Configuration:
    """Rock salt of ``cells``^3 cubic cells, rattled."""
    corners = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) * 0.282
    points = np.concatenate([corners, corners + np.array([0.282, 0, 0])])
    shifts = np.stack(np.meshgrid(*[np.arange(cells)] * 3, indexing="ij"), -1).reshape(-1, 1, 3) * 0.564
    points = (points + shifts).reshape(-1, 3)
    points += 0.01 * np.random.default_rng(0).normal(size=points.shape)
    return Configuration(
        np.tile([11] * 4 + [17] * 4, cells**3), points, 0.564 * cells * np.eye(3), (True,) * 3
    )


def _by_openmm(salt: Configuration) -> tuple[float, np.ndarray]:
    """Energy and forces of unit charges by OpenMM's reference platform."""
    import openmm

    system, force = openmm.System(), openmm.NonbondedForce()
    system.setDefaultPeriodicBoxVectors(*salt.box)
    for z in salt.numbers:
        system.addParticle(1.0)
        force.addParticle(1.0 if z == 11 else -1.0, 0.1, 0.0)
    force.setNonbondedMethod(openmm.NonbondedForce.Ewald)
    force.setCutoffDistance(0.8)
    force.setEwaldErrorTolerance(1e-7)
    force.setUseDispersionCorrection(False)
    system.addForce(force)
    context = openmm.Context(
        system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference")
    )
    context.setPositions(salt.positions)
    state = context.getState(getEnergy=True, getForces=True)
    per = openmm.unit.kilojoules_per_mole
    forces = state.getForces(asNumpy=True).value_in_unit(per / openmm.unit.nanometer)
    return float(state.getPotentialEnergy().value_in_unit(per)), np.asarray(forces)


def _interactions(frames: Sequence[Configuration]) -> list[Configuration]:
    """Energies less those of the two molecules alone; boxes are vacuum and go."""
    return [
        Configuration(
            f.numbers, f.positions, info=f.info,
            energy=f.energy - sum(float(f.info[key]) for key in ("energyA", "energyB")) * unit("eV", "energy"),
        )
        for f in frames
    ]  # fmt: skip


def _nearest_and_rest(frames: Sequence[Configuration], count: int) -> tuple[list, list]:
    """The nearest ``count`` distances of each pair of molecules and the others; pairs come one after another."""
    groups, before = [], np.inf
    for frame in frames:
        distance = float(frame.info["distance"])
        if distance < before:
            groups.append([])
        groups[-1].append(frame)
        before = distance
    near = [frame for group in groups for frame in group[:count]]
    return near, [frame for group in groups for frame in group[count:]]


@cache
def _relaxed(smiles: str) -> Configuration:
    return nearest_minimum(conformers(smiles)[0], level_of("gfn2"))


def _dimer(bodies: Sequence[Configuration], distance: float, random: np.random.Generator) -> Configuration:
    """Two rigid molecules, each turned at random, with heavy atoms this far apart [nm]."""
    points = []
    for k, body in enumerate(bodies):
        turn = np.linalg.qr(random.normal(size=(3, 3)))[0]
        center = body.positions[np.argmax(body.numbers)]
        points.append((body.positions - center) @ (turn * np.linalg.det(turn)) + [k * distance, 0, 0])
    charge = sum(float(body.info.get("charge", 0)) for body in bodies)
    return Configuration(
        np.concatenate([body.numbers for body in bodies]), np.concatenate(points), info={"charge": charge}
    )


def _labeled(
    frames: Sequence[Configuration], level: str = TEACHER, properties: tuple[str, ...] = ("dipole",)
) -> list[Configuration]:
    level = replace(level_of(level), properties=properties)
    return [level.label(frame) for frame in frames]


def _molecules(frame: Configuration) -> list[Configuration]:
    """The molecules of a frame in the open, alone."""
    apart = np.linalg.norm(frame.positions[:, None] - frame.positions[None], axis=2)
    count, of = connected_components(apart < BOND, directed=False)
    return [Configuration(frame.numbers[of == k], frame.positions[of == k]) for k in range(count)]


def _bound(frames: Sequence[Configuration], alone: Sequence[Configuration]) -> list[Configuration]:
    """Energies of binding, and forces, which are none on the molecules alone."""
    free = sum(body.energy for body in alone)
    return [replace(frame, energy=frame.energy - free, properties={}) for frame in frames]


def _mean_error(term: Term, frames: Sequence[Configuration]) -> float:
    """Mean absolute error of energies [meV]."""
    return float(np.mean(np.abs(residuals(frames, term.evaluate(frames)).energies))) / MEV


def _relative(forces: np.ndarray, truth: np.ndarray) -> float:
    return float(np.sqrt(((forces - truth) ** 2).mean() / (truth**2).mean()))
