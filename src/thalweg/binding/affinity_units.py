"""Affinities as tables have them, as standard free energies of binding.

A dissociation (or inhibition) constant ``K`` and its negative decadic logarithm, in moles per liter, are

    Delta G = kT ln(K / 1 M) = -kT ln(10) pK

A concentration of half inhibition (IC50) is no constant: it depends on the assay, and counts here as if it were one, so
that differences within one assay are right and the offset is not.
"""

from __future__ import annotations

import numpy as np

from thalweg.units import KILOCALORIE, thermal_energy

ROOM = 298.15
"""Temperature at which constants become free energies [K]."""

CONCENTRATIONS = {
    "M": 1.0,
    "mM": 1e-3,
    "uM": 1e-6,
    "µM": 1e-6,
    "μM": 1e-6,
    "nM": 1e-9,
    "pM": 1e-12,
    "fM": 1e-15,
}
"""Units of constants [mol/l]."""

LOGARITHMS = ("pKd", "pKi", "pIC50", "pK")

ENERGIES = {"kJ/mol": 1.0, "kcal/mol": KILOCALORIE}


def binding_free_energy(value: float, unit: str, temperature: float = ROOM) -> float:
    """The free energy [kJ/mol] that a measured affinity says.

    Parameters
    ----------
    value : the affinity
    unit : one of `CONCENTRATIONS`, `LOGARITHMS` and `ENERGIES`
    temperature : of the measurement [K]

    Raises
    ------
    ValueError
        If the unit is unknown, a constant is not above zero, or the affinity is one that no molecule has.

    Examples
    --------
    >>> [round(binding_free_energy(*each), 2) for each in ((1.0, "nM"), (9.0, "pKd"), (-12.28, "kcal/mol"))]
    [-51.37, -51.37, -51.38]
    """
    if unit in ENERGIES:
        energy = value * ENERGIES[unit]
    elif unit in LOGARITHMS:
        energy = -thermal_energy(temperature) * np.log(10) * value
    elif unit in CONCENTRATIONS:
        if not value > 0:
            raise ValueError(f"{value:g} {unit} is no concentration; leave out what is not measured")
        energy = thermal_energy(temperature) * np.log(value * CONCENTRATIONS[unit])
    else:
        known = ", ".join(dict.fromkeys((*CONCENTRATIONS, *LOGARITHMS, *ENERGIES)))
        raise ValueError(f"{unit!r} is no unit of affinity; give one of {known}")
    if not -120 < energy < 20:
        raise ValueError(
            f"{value:g} {unit} is a free energy of {energy:.0f} kJ/mol, which no small molecule has; is the unit right?"
        )
    return float(energy)
