"""What the numbers in a file of configurations mean."""

from __future__ import annotations

from dataclasses import dataclass

from thalweg.units import unit


@dataclass(frozen=True)
class FileUnits:
    """Units of a file; those of ASE unless said otherwise.

    Parameters
    ----------
    energy, length : names such as "eV", "Ha", "kcal/mol"; "Å", "bohr", "nm". Virials are energies
    force, stress : names such as "Ha/bohr", "GPa"; made of ``energy`` and ``length`` unless given
    """

    energy: str = "eV"
    length: str = "Å"
    force: str | None = None
    stress: str | None = None

    @property
    def factors(self) -> dict[str, float]:
        """One of each unit in internal units, by kind of label (and ``length``)."""
        return {
            "length": unit(self.length, "length"),
            "energy": unit(self.energy, "energy"),
            "virial": unit(self.energy, "energy"),
            "forces": unit(self.force or f"{self.energy}/{self.length}", "force"),
            "stress": unit(self.stress or f"{self.energy}/{self.length}^3", "stress"),
        }
