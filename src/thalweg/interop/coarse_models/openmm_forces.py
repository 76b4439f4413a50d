"""Linear coarse models as forces of OpenMM [eastman2024]: the same functions, in its language of expressions.

Powers and waves are written out. A spline is a table of the polynomial of each interval, read without interpolation, so
that energies and forces are ours to the last digits in double precision; beyond both ends a straight line goes on.
Products are one force of as many beads as both coordinates have. Kernels and networks have no such form.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openmm

from thalweg.coarse_graining.bead_frames import BeadFrames
from thalweg.coarse_graining.fitting.linear_model import LinearCoarseModel
from thalweg.coarse_graining.interactions.functions import AngleWaves, BSplines, CoordinateFunctions, Powers
from thalweg.coarse_graining.interactions.interaction import (
    ROLES,
    BondedInteraction,
    PairInteraction,
)
from thalweg.learning.models import Model
from thalweg.machine.whole_files import write_whole


def openmm_system(model: Model, frames: BeadFrames) -> openmm.System:
    """An OpenMM system with the forces of ``model``, of the masses and, where there is one, the box of ``frames``.

    Raises
    ------
    ValueError
        If the model has a prior, kernels or networks, which have no expression.

    Examples
    --------
    >>> from thalweg.coarse_graining import BoltzmannInversion, BondedInteraction, InternalCoordinate, Powers
    >>> x = np.zeros((500, 2, 3))
    >>> x[:, 1, 0] = np.random.default_rng(0).normal(0.15, 0.01, 500)
    >>> bond = BondedInteraction(InternalCoordinate("distance", [[0, 1]], Powers(0.15, 0.01)), name="bond")
    >>> frames = BeadFrames(x, kT=2.5)
    >>> openmm_system(BoltzmannInversion((bond,)).fit(frames), frames).getForce(0).getName()
    'bond'
    """
    linear = exportable(model, "OpenMM")
    system = openmm.System()
    for mass in np.asarray(frames.masses):
        system.addParticle(float(mass))
    if frames.boxes is not None:
        system.setDefaultPeriodicBoxVectors(*(openmm.Vec3(*row) for row in frames.boxes[-1].tolist()))
    at = 0
    for one in linear.interactions:
        own = linear.coefficients[at : at + len(one.names)]
        at += len(one.names)
        if isinstance(one, PairInteraction):
            made = [_pairs(one, own, frames.boxes is not None)]
        else:
            assert isinstance(one, BondedInteraction)
            made = _bonded(one, own, frames.boxes is not None)
        for force in made:
            force.setName(one.name)
            system.addForce(force)
    return system


def write_openmm(model: Model, frames: BeadFrames, folder: Path) -> None:
    """Write ``system.xml``, and ``start.xyz`` [Å] with the last frame.

    Raises
    ------
    ValueError
        As `openmm_system`.
    """
    system = openmm_system(model, frames)
    write_whole(folder / "system.xml", openmm.XmlSerializer.serialize(system))
    lines = [str(len(frames.names)), "beads, in Å"]
    lines += [
        f"{name} {x:.6f} {y:.6f} {z:.6f}" for name, (x, y, z) in zip(frames.names, 10 * frames.positions[-1])
    ]
    write_whole(folder / "start.xyz", "\n".join(lines) + "\n")


def exportable(model: Model, program: str) -> LinearCoarseModel:
    """The model, if other programs have forms for all that is in it.

    Raises
    ------
    ValueError
        If not; says what has none.
    """
    advice = f"{program} has no form for it; run the model here, in the native engine, or fit functions of coordinates"
    if not isinstance(model, LinearCoarseModel):
        raise ValueError(f"a {type(model).__name__} is a network; {advice}")
    if model.prior is not None:
        raise ValueError(f"the model stands on a prior, {type(model.prior).__name__}; {advice}")
    for one in model.interactions:
        if not isinstance(one, BondedInteraction | PairInteraction):
            raise ValueError(f"the interaction {one.names[0]!r} is a {type(one).__name__}; {advice}")
    return model


def _bonded(one: BondedInteraction, coefficients: np.ndarray, periodic: bool) -> list[openmm.Force]:
    """Forces of an interaction, one for each way in which its coordinates share beads."""
    alike: dict[tuple[int, ...], list[list[int]]] = {}
    for row in np.concatenate([each.terms for each in one.coordinates], axis=1).tolist():
        order = list(dict.fromkeys(row))
        alike.setdefault(tuple(order.index(bead) for bead in row), []).append(order)
    table = np.asarray(coefficients, float).reshape([len(each.functions.names) for each in one.coordinates])
    found = []
    for places, rows in alike.items():
        text, tables = _Text(), [f"p{place + 1}" for place in places]
        names = []
        for each in one.coordinates:
            roles, tables = tables[: ROLES[each.kind]], tables[ROLES[each.kind] :]
            names.append(text.defined(f"{each.kind}({', '.join(roles)})"))
        energy = text.sum([each.functions for each in one.coordinates], table, names)
        force = openmm.CustomCompoundBondForce(len(rows[0]), text.whole(energy))
        text.add_tables(force)
        for row in rows:
            force.addBond(row, [])
        force.setUsesPeriodicBoundaryConditions(periodic)
        found.append(force)
    return found


def _pairs(one: PairInteraction, coefficients: np.ndarray, boxed: bool) -> openmm.CustomNonbondedForce:
    text = _Text()
    force = openmm.CustomNonbondedForce(text.whole(text.potential(one.functions, coefficients, "r")))
    text.add_tables(force)
    kinds = np.asarray(one.kinds)
    for _ in kinds:
        force.addParticle([])
    force.addInteractionGroup(*(np.flatnonzero(kinds == kind).tolist() for kind in one.between))
    if one.molecules is not None:
        first, second = np.triu_indices(len(kinds), 1)
        same = np.asarray(one.molecules)[first] == np.asarray(one.molecules)[second]
        for a, b in zip(first[same].tolist(), second[same].tolist()):
            force.addExclusion(a, b)
    periodic = boxed and one.periodic
    force.setNonbondedMethod(force.CutoffPeriodic if periodic else force.CutoffNonPeriodic)
    force.setCutoffDistance(one.cutoff)
    return force


class _Text:
    """An expression of OpenMM being written, with what it defines and the tables it reads."""

    def __init__(self) -> None:
        self.definitions: list[str] = []
        self.tables: dict[str, np.ndarray] = {}

    def defined(self, expression: str) -> str:
        """A name for a part."""
        name = f"v{len(self.definitions)}"
        self.definitions.append(f"{name} = {expression}")
        return name

    def whole(self, energy: str) -> str:
        """The energy and then what it is made of, the latest first, since parts name earlier ones."""
        return "; ".join([energy, *reversed(self.definitions)])

    def add_tables(self, force: openmm.CustomCompoundBondForce | openmm.CustomNonbondedForce) -> None:
        for name, values in self.tables.items():
            force.addTabulatedFunction(name, openmm.Discrete1DFunction(values.tolist()))

    def sum(self, functions: Sequence[CoordinateFunctions], table: np.ndarray, names: Sequence[str]) -> str:
        """``sum_ab c_ab f_a(q) g_b(p)``, as in `ProductSum`."""
        if len(functions) == 1:
            return self.potential(functions[0], table, names[0])
        parts = [
            f"({self.potential(functions[0], single, names[0])})*({self.sum(functions[1:], row, names[1:])})"
            for single, row in zip(np.eye(len(table)), table)
        ]
        return " + ".join(parts)

    def potential(self, functions: CoordinateFunctions, c: np.ndarray, q: str) -> str:
        """``sum_k c_k f_k(q)``.

        Raises
        ------
        ValueError
            If the functions have no expression.
        """
        if isinstance(functions, Powers):
            z = self.defined(f"({q} - {functions.center!r})/{functions.scale!r}")
            terms = [f"{float(each)!r}*{z}^{n}" for each, n in zip(c, functions.degrees) if each]
        elif isinstance(functions, AngleWaves):
            waves = [f"{f}({n}*{q})" for n in range(1, functions.highest + 1) for f in ("cos", "sin")]
            terms = [f"{float(each)!r}*{wave}" for each, wave in zip(c, waves) if each]
        elif isinstance(functions, BSplines):
            return self._spline(functions, c, q)
        else:
            raise ValueError(
                f"functions of type {type(functions).__name__} have no expression; use Powers, AngleWaves or BSplines"
            )
        return " + ".join(terms) or "0"

    def _spline(self, functions: BSplines, c: np.ndarray, q: str) -> str:
        # the polynomial of each interval in its own place from 0 to 1, through as many points as it has powers
        places = np.linspace(0, 1, functions.degree + 1)
        q_of = functions.start + functions.width * (np.arange(functions.intervals) + places[:, None])
        powers = np.linalg.solve(
            np.vander(places, increasing=True), np.tensordot(c, functions.design(q_of)[0], 1)
        )
        s = self.defined(f"({q} - {functions.start!r})/{functions.width!r}")
        k = self.defined(f"min(max(floor({s}), 0), {powers.shape[1] - 1})")
        u = self.defined(f"min(max({s} - {k}, 0), 1)")
        called = []
        for row in powers:
            name = f"t{len(self.tables)}"
            self.tables[name] = row
            called.append(f"{name}({k})")
        value, slope = called[-1], "0"
        for each in called[-2::-1]:
            slope = f"(({slope})*{u} + {value})"
            value = f"({each} + {u}*{value})"
        return f"{value} + {slope}*({s} - {k} - {u})"
