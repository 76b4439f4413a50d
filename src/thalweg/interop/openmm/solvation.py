"""Water and salt around a molecule: which model, how wide, how much salt, at what pressure."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import openmm
import openmm.app as app
from openmm import unit

from thalweg.interop.openmm.build_checks import BuildError
from thalweg.interop.openmm.force_fields import explain_no_template, has_implicit_solvent, load_force_field
from thalweg.units import BAR, MOLAR


@dataclass(frozen=True)
class _WaterModel:
    """A water model.

    Attributes
    ----------
    template : the box of water that OpenMM fills with
    file : its parameters and those of ions, beside the force fields of the family amber14
    sites : particles of a molecule, virtual ones among them
    """

    template: str
    file: str
    sites: int


WATER_MODELS = {
    "tip3p": _WaterModel("tip3p", "amber14/tip3p.xml", 3),
    "tip3pfb": _WaterModel("tip3p", "amber14/tip3pfb.xml", 3),
    "spce": _WaterModel("spce", "amber14/spce.xml", 3),
    "opc3": _WaterModel("tip3p", "amber14/opc3.xml", 3),
    "tip4pew": _WaterModel("tip4pew", "amber14/tip4pew.xml", 4),
    "tip4pfb": _WaterModel("tip4pew", "amber14/tip4pfb.xml", 4),
    "opc": _WaterModel("tip4pew", "amber14/opc.xml", 4),
}
"""Water models by the names of studies."""

BoxShape = Literal["cube", "dodecahedron", "octahedron"]
"""Of a solvent box: at equal padding the two round ones hold 71 and 77 % of the cube's water."""

PADDING = 1.0
"""Solvent around a molecule where nothing else is said [nm]."""


def with_water(forcefield: Sequence[str], solvent: str) -> tuple[str, ...]:
    """``forcefield`` with the parameters of the water model ``solvent``, unless it has water of as many sites already.

    Raises
    ------
    BuildError
        If there is no such model, the force field has another water or an implicit solvent, or is of a family whose
        water must be named.
    """
    if solvent not in WATER_MODELS:
        raise BuildError(f'solvent = "{solvent}" is unknown; use one of {", ".join(WATER_MODELS)}')
    model, field = WATER_MODELS[solvent], load_force_field(forcefield)
    if has_implicit_solvent(field):
        raise BuildError(
            f'solvent = "{solvent}" together with an implicit solvent in forcefield; remove one of them'
        )
    found = field._templates.get("HOH")
    if found is None:
        if not any(name.startswith("amber14") for name in forcefield):
            raise BuildError(
                f"{', '.join(forcefield)} have no water; add the file of a water model made for them, such as "
                f"{model.file} for amber14 or charmm36/water.xml for charmm36.xml"
            )
        return (*forcefield, model.file)
    if len(found.atoms) != model.sites:
        raise BuildError(
            f"the water of {', '.join(forcefield)} has {len(found.atoms)} sites and {solvent} has {model.sites}; "
            "change solvent or the water in forcefield"
        )
    return tuple(forcefield)


def solvate(
    modeller: app.Modeller,
    field: app.ForceField,
    solvent: str,
    padding: float,
    ionic_strength: float,
    box_shape: BoxShape,
) -> None:
    """Put the molecule of ``modeller`` into a box of water and neutralizing ions.

    Parameters
    ----------
    modeller, field : molecule and force field, with the water
    solvent : a key of `WATER_MODELS`
    padding : distance of the molecule to its image at least [nm], and half the least width of the box
    ionic_strength : of sodium chloride added to what neutralizes [1/nm^3]
    box_shape : of the box
    """
    modeller.addSolvent(
        field,
        model=WATER_MODELS[solvent].template,
        padding=padding * unit.nanometer,
        boxShape=box_shape,
        ionicStrength=ionic_strength / MOLAR * unit.molar,
    )


def add_virtual_sites(modeller: app.Modeller, field: app.ForceField, files: Sequence[str]) -> None:
    """Add the particles that are no atoms, such as the fourth site of TIP4P, where templates have them."""
    if any(atom.element is None for template in field._templates.values() for atom in template.atoms):
        explain_no_template(lambda: modeller.addExtraParticles(field), field, modeller.topology, files)


def add_barostat(system: openmm.System, pressure: float | None) -> None:
    """Let ``system`` keep its ``pressure`` [kJ/mol/nm^3]; engines set the temperature of the barostat.

    Raises
    ------
    BuildError
        If it is not periodic or has a barostat.
    """
    if pressure is None:
        return
    if not system.usesPeriodicBoundaryConditions():
        raise BuildError("pressure is given for a system without a box; solvate it, or remove pressure")
    if any("Barostat" in type(force).__name__ for force in system.getForces()):
        raise BuildError("pressure is given for a System that has a barostat; remove one of them")
    system.addForce(openmm.MonteCarloBarostat(pressure / BAR, 300.0))


@contextlib.contextmanager
def seeded_draws() -> Iterator[None]:
    """OpenMM's ``Modeller`` draws from Python's global generator: seed it, then put back what was."""
    before = random.getstate()
    random.seed(0)
    try:
        yield
    finally:
        random.setstate(before)
