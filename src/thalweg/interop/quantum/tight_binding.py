"""GFN2-xTB and its relatives through tblite: a quantum baseline of a tenth of a millisecond per atom.

A model that learns only what a semi-empirical method leaves needs several times fewer labels; simulations with it pay
for the method at every step. Needs the extra ``quantum`` (tblite). tblite works in hartree and bohr; units end here.

Source: [bannwarth2019] (GFN2), [grimme2017] (GFN1).
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.labeling.level import LabelFailed, charge_and_unpaired, formula, geometry_trouble
from thalweg.learned_potentials.terms.term import Labels
from thalweg.potentials.explicit_gradient import ExplicitGradient
from thalweg.shapes import Box, Energies, Positions
from thalweg.systems.configuration import Configuration
from thalweg.systems.elements import SYMBOLS
from thalweg.units import BOHR, HARTREE, Kelvin, thermal_energy

METHODS = ("GFN2-xTB", "GFN1-xTB", "IPEA1-xTB")
"""Methods that tblite has."""

HEAVIEST = 86
"""Elements have parameters up to radon."""

FIELD = 1e-3
"""Strength of the electric fields that polarizabilities are differences by [hartree / (e bohr)]."""

STARTS: tuple[dict[str, float], ...] = ({}, {"guess": 1, "mixer-damping": 0.1, "max-iter": 1000})
"""How a self-consistent cycle is begun and damped; the next where one fails."""


@dataclass(frozen=True)
class TightBinding:
    """A tight-binding method as a term; same atoms, same numbers, nothing kept between frames.

    Parameters
    ----------
    method : one of `METHODS`; GFN2-xTB has no periodic form in some versions of tblite, GFN1-xTB has
    charge : total charge [e]
    unpaired : number of unpaired electrons
    accuracy : factor on the thresholds of self-consistency; smaller is tighter
    electronic_temperature : of the occupations [K]
    properties : what molecules are asked for besides energy, forces, dipole and charges: ``"polarizability"`` (six
        calculations more), ``"gap"`` between occupied and empty orbitals, and ``"ionization_energy"`` by the highest
        occupied one, both of them rough

    Raises
    ------
    ValueError
        If the method or a property is unknown.

    Examples
    --------
    >>> TightBinding("AM1")
    Traceback (most recent call last):
        ...
    ValueError: method='AM1' is unknown to tblite; use one of GFN2-xTB, GFN1-xTB, IPEA1-xTB
    """

    method: str = "GFN2-xTB"
    charge: float = 0.0
    unpaired: int = 0
    accuracy: float = 1.0
    electronic_temperature: Kelvin = 300.0
    properties: tuple[str, ...] = ()

    PROPERTIES: ClassVar[tuple[str, ...]] = ("polarizability", "gap", "ionization_energy")

    def __post_init__(self):
        if strange := set(self.properties) - set(self.PROPERTIES):
            raise ValueError(
                f"properties {sorted(strange)} are not among those of this level, {', '.join(self.PROPERTIES)}"
            )
        if self.method not in METHODS:
            raise ValueError(f"method={self.method!r} is unknown to tblite; use one of {', '.join(METHODS)}")

    @property
    def name(self) -> str:
        """As one writes it."""
        return self.method

    def provenance(self) -> Mapping[str, str]:
        version = importlib.metadata.version("tblite")
        settings = {
            "accuracy": f"{self.accuracy:g}",
            "electronic temperature [K]": f"{self.electronic_temperature:g}",
        }
        return {"program": "tblite", "version": version, "level": self.name} | settings

    def check(self, frame: Configuration) -> None:
        """Whether tblite has these elements, and their electrons pair.

        Raises
        ------
        ValueError
            If not.
        ImportError
            If tblite is not installed.
        """
        _tblite()
        charge_and_unpaired(frame, self.charge, self.unpaired)
        if max(frame.numbers) > HEAVIEST:
            raise ValueError(
                f"{self.method} has elements up to {SYMBOLS[HEAVIEST]}, and {formula(frame)} has others; take a "
                "density functional"
            )

    def seconds(self, frame: Configuration) -> float:
        return 0.01 + 1e-4 * len(frame) ** 2

    def label(self, frame: Configuration) -> Configuration:
        """Energy, forces, stress of periodic frames, dipole of molecules and charges.

        Raises
        ------
        LabelFailed
            If atoms are on top of each other, or the self-consistent cycle fails from any start.
        """
        if trouble := geometry_trouble(frame):
            raise LabelFailed(trouble)
        charge, unpaired = charge_and_unpaired(frame, self.charge, self.unpaired)
        own = replace(self, charge=charge, unpaired=unpaired)
        failed = ""
        for start in STARTS:
            calculator = own.calculator(frame.numbers, frame.positions, frame.box, frame.periodic)
            for setting, value in start.items():
                calculator.set(setting, value)
            try:
                result = calculator.singlepoint()
                break
            except RuntimeError as error:
                failed = str(error)
        else:
            raise LabelFailed(f"tblite did not converge from any of {len(STARTS)} starts ({failed})")
        solid = any(frame.periodic)
        properties = {"charges": np.array(result.get("charges"))}
        if not solid:
            properties["dipole"] = np.array(result.get("dipole")) * BOHR
            properties |= own._further(frame, result)
        return replace(
            frame,
            energy=float(result.get("energy")) * HARTREE,
            forces=-np.array(result.get("gradient")) * HARTREE / BOHR,
            stress=np.array(result.get("virial")) * HARTREE / frame.volume if solid else None,
            properties=properties,
        )

    def _further(self, frame, result) -> dict[str, np.ndarray]:
        """What else is asked for of a molecule."""
        found = {}
        occupied = np.asarray(result.get("orbital-occupations")) > 0.5 * (1 + (self.unpaired == 0))
        levels = np.asarray(result.get("orbital-energies")) * HARTREE
        if "gap" in self.properties:
            found["gap"] = np.array(levels[~occupied].min() - levels[occupied].max())
        if "ionization_energy" in self.properties:
            found["ionization_energy"] = np.array(-levels[occupied].max())
        if "polarizability" in self.properties:
            found["polarizability"] = self._polarizability(frame)
        return found

    def _polarizability(self, frame) -> np.ndarray:
        """``alpha_ij = d mu_i / d E_j`` (3, 3) as a volume [nm^3], by central differences."""
        from tblite import library

        def dipole(field):
            calculator = self.calculator(frame.numbers, frame.positions)
            # the interface hands the numbers on as they come, and its library wants their address
            calculator.add("electric-field", library.ffi.cast("double*", field.ctypes.data))
            try:
                return np.array(calculator.singlepoint().get("dipole"))
            except RuntimeError as error:
                raise LabelFailed(f"tblite did not converge in an electric field ({error})") from error

        axes = FIELD * np.eye(3)
        columns = [(dipole(axis.copy()) - dipole(-axis)) / (2 * FIELD) for axis in axes]
        tensor = np.stack(columns, axis=1)
        return (tensor + tensor.T) / 2 * BOHR**3

    def bind(
        self, numbers: np.ndarray, box: np.ndarray | None = None, periodic: Sequence[bool] | None = None
    ) -> TightBindingEnergy:
        """The energy of atoms ``numbers`` for engines; every call leaves the compiled program for tblite.

        Raises
        ------
        ImportError
            If tblite is not installed.
        """
        _tblite()
        x, y, z = (box is not None,) * 3 if periodic is None else map(bool, periodic)
        return TightBindingEnergy(self, tuple(int(number) for number in numbers), (x, y, z))

    def evaluate(self, configurations: Sequence[Configuration]) -> Labels:
        """Energies, forces, and stresses of periodic frames.

        Raises
        ------
        ImportError
            If tblite is not installed.
        RuntimeError
            If the self-consistent cycle of a frame fails; says which.
        """
        energies, forces, stresses = [], [], []
        calculator = None
        for k, frame in enumerate(configurations):
            before = configurations[k - 1] if k else None
            periodic = tuple(bool(flag) for flag in frame.periodic)
            if calculator is None or not _same_system(frame, before):
                calculator = self.calculator(frame.numbers, frame.positions, frame.box, periodic)
            energy, force, virial = _single_point(
                calculator, frame.positions, frame.box if any(periodic) else None, f"frame {k}"
            )
            energies.append(energy)
            forces.append(force)
            stresses.append(virial / frame.volume if any(periodic) else np.full((3, 3), np.nan))
        return Labels(np.array(energies, float), tuple(forces), tuple(stresses))

    def calculator(
        self,
        numbers: Sequence[int] | np.ndarray,
        positions: np.ndarray,
        box: np.ndarray | None = None,
        periodic: Sequence[bool] = (False, False, False),
    ) -> Any:
        """tblite's calculator of a system at ``positions`` [nm] in ``box`` [nm]."""
        cell = {}
        if any(periodic):
            cell = {"lattice": np.asarray(box, float) / BOHR, "periodic": np.array(periodic)}
        calculator = _tblite().Calculator(
            self.method,
            np.asarray(numbers, int),
            np.asarray(positions, float) / BOHR,
            charge=float(self.charge),
            uhf=int(self.unpaired),
            **cell,
        )
        calculator.set("verbosity", 0)
        calculator.set("accuracy", self.accuracy)
        calculator.set("temperature", thermal_energy(self.electronic_temperature) / HARTREE)
        return calculator


class TightBindingEnergy(ExplicitGradient):
    """A tight-binding energy of given atoms that a compiled loop calls back to; replicas are done one after another.

    Attributes
    ----------
    term : the method
    numbers : atomic numbers
    periodic : which cell vectors repeat
    """

    term: TightBinding
    numbers: tuple[int, ...]
    periodic: tuple[bool, bool, bool]

    def energy_and_gradient(self, positions: Positions, box: Box | None) -> tuple[Energies, Positions]:
        replicas = positions.shape[2:]
        shapes = (
            jax.ShapeDtypeStruct(replicas, positions.dtype),
            jax.ShapeDtypeStruct(positions.shape, positions.dtype),
        )
        if any(self.periodic) and box is None:
            raise ValueError("this energy is of a periodic system; give the box")
        cell = jnp.zeros((3, 3), positions.dtype) if box is None else box
        return jax.pure_callback(self._on_host, shapes, positions, cell, vmap_method="sequential")

    def _on_host(self, positions, box):
        """Energies and gradients of all replicas, in the precision of ``positions``."""
        positions, box = np.asarray(positions), np.asarray(box, float)
        flat = positions.reshape(*positions.shape[:2], -1).astype(float)
        cell = box if any(self.periodic) else None
        energies, gradients = np.empty(flat.shape[2]), np.empty(flat.shape)
        calculator = self.term.calculator(self.numbers, flat[..., 0], cell, self.periodic)
        for r in range(flat.shape[2]):
            energies[r], force, _ = _single_point(calculator, flat[..., r], cell, f"replica {r}")
            gradients[..., r] = -force
        return (
            energies.reshape(positions.shape[2:]).astype(positions.dtype),
            gradients.reshape(positions.shape).astype(positions.dtype),
        )


def _single_point(calculator, positions, box, name):
    """Energy [kJ/mol], forces [kJ/mol/nm] and stress times volume [kJ/mol] from a fresh start of the density."""
    lattice = None if box is None else np.asarray(box, float) / BOHR
    try:
        calculator.update(np.asarray(positions, float) / BOHR, lattice)
        result = calculator.singlepoint()
    except RuntimeError as error:
        raise RuntimeError(
            f"tblite failed for {name}: {error}; atoms may be too close, or charge and spin wrong"
        ) from error
    energy, gradient = float(result.get("energy")), np.asarray(result.get("gradient"))
    return energy * HARTREE, -gradient * HARTREE / BOHR, np.asarray(result.get("virial")) * HARTREE


def _same_system(one, other):
    """Whether a calculator made for ``other`` can be used for ``one``."""
    return np.array_equal(one.numbers, other.numbers) and tuple(one.periodic) == tuple(other.periodic)


def _tblite():
    try:
        import tblite.interface
    except ImportError as error:
        raise ImportError(
            "GFN2-xTB needs tblite, which is not installed; pip install 'thalweg[quantum]'"
        ) from error
    return tblite.interface
