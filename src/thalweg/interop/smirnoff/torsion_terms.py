"""Torsion terms as a SMIRNOFF force field file [mobley2018], and as a force of an OpenMM ``System``.

A written file has nothing but ``ProperTorsions``: OpenFF's toolkit reads it after a whole force field, whose terms it
takes the place of where its types match, ``ForceField("openff-2.2.1.offxml", "torsions.offxml")``. Aromatic are
bonds that RDKit calls so; where its model and that of the file differ, a torsion keeps the terms it had.
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import openmm
from openmm import unit

from thalweg.learned_potentials.torsions.fourier_terms import HIGHEST, PHASES, FourierTerms
from thalweg.learned_potentials.torsions.profiles import ProperTorsions
from thalweg.machine.whole_files import write_whole

FORM = "k*(1+cos(periodicity*theta-phase))"

VALUE = re.compile(r"\s*([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)\s*\*\s*kilojoule\s*/\s*mole\s*")
"""An energy as it is written here."""


def write_offxml(path: str | Path, terms: FourierTerms) -> Path:
    """Write torsion terms to an ``.offxml`` file, whole or not at all; terms that are zero are left out.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    root = ElementTree.Element("SMIRNOFF", version="0.3", aromaticity_model="OEAroModel_MDL")
    section = ElementTree.SubElement(
        root, "ProperTorsions", version="0.4", potential=FORM, default_idivf="1.0"
    )
    for number, (smirks, row) in enumerate(zip(terms.types, terms.amplitudes), start=1):
        entry = {"smirks": smirks, "id": f"t{number}"}
        present = [n for n in range(1, HIGHEST + 1) if row[n - 1]] or [1]
        for place, n in enumerate(present, start=1):
            entry |= {
                f"periodicity{place}": str(n),
                f"phase{place}": f"{float(np.degrees(PHASES[n - 1]))!r} * degree",
                f"k{place}": f"{float(row[n - 1])!r} * kilojoule / mole",
                f"idivf{place}": "1.0",
            }
        ElementTree.SubElement(section, "Proper", entry)
    ElementTree.indent(root)
    text = '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"
    write_whole(path, text)
    return Path(path)


def read_offxml(path: str | Path) -> FourierTerms:
    """Torsion terms in a file that `write_offxml` wrote.

    Raises
    ------
    ValueError
        If it is no such file: another format, document types, other units or phases.
    """
    text = Path(path).read_bytes().decode("utf-8", errors="strict")
    if re.search(r"<!\s*(DOCTYPE|ENTITY)", text, re.IGNORECASE):
        raise ValueError(f"{path} defines a document type; remove it")
    try:
        root = ElementTree.fromstring(text.partition("?>")[2] if text.startswith("<?xml") else text)
    except ElementTree.ParseError as error:
        raise ValueError(f"{path} is no XML: {error}") from None
    sections = root.findall("ProperTorsions")
    if root.tag != "SMIRNOFF" or len(sections) != 1 or sections[0].get("potential") != FORM:
        raise ValueError(f"{path} holds no torsions of the form {FORM} in the SMIRNOFF format")
    types, rows = [], []
    for entry in sections[0].findall("Proper"):
        types.append(entry.get("smirks", ""))
        rows.append(_amplitudes(entry, path))
    values = np.array(rows, float).reshape(-1, HIGHEST)
    return FourierTerms(tuple(types), values, values, (False,) * len(types), 0.0, float("nan"))


def torsion_force(terms: FourierTerms, torsions: ProperTorsions) -> openmm.PeriodicTorsionForce:
    """The torsions of a molecule with these terms, as a force of OpenMM."""
    force = openmm.PeriodicTorsionForce()
    for atoms, row in zip(torsions.atoms, terms.amplitudes_of(torsions)):
        for n, value in enumerate(row, start=1):
            if value:
                force.addTorsion(*map(int, atoms), n, float(PHASES[n - 1]), float(value))
    return force


def with_torsions(
    system: openmm.System, terms: FourierTerms, torsions: ProperTorsions, first: int = 0
) -> openmm.System:
    """A copy of ``system`` in which a molecule has these torsion terms in place of those of its proper torsions.

    Parameters
    ----------
    first : number of the molecule's first atom in the system

    Raises
    ------
    ValueError
        If the system has fewer atoms than the molecule.
    """
    if first + int(np.max(torsions.atoms, initial=0)) >= system.getNumParticles():
        raise ValueError(
            f"the molecule has atoms up to {first + int(torsions.atoms.max())}, the system {system.getNumParticles()} "
            "particles; give the system of this molecule, or its first atom"
        )
    copy = openmm.XmlSerializer.clone(system)
    proper = {_either_way(*four) for four in (np.asarray(torsions.atoms) + first).tolist()}
    for force in copy.getForces():
        if isinstance(force, openmm.PeriodicTorsionForce):
            for k in range(force.getNumTorsions()):
                a, b, c, d, n, phase, _ = force.getTorsionParameters(k)
                if _either_way(a, b, c, d) in proper:
                    force.setTorsionParameters(k, a, b, c, d, n, phase, 0.0 * unit.kilojoules_per_mole)
    moved = ProperTorsions(np.asarray(torsions.atoms) + first, torsions.types, torsions.start)
    copy.addForce(torsion_force(terms, moved))
    return copy


def write_system(path: str | Path, system: openmm.System) -> Path:
    """Write an OpenMM ``System`` as XML, whole or not at all; OpenMM reads it back.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    write_whole(path, openmm.XmlSerializer.serialize(system))
    return Path(path)


def _either_way(a, b, c, d):
    """A torsion read from the end where it is lower."""
    return min((a, b, c, d), (d, c, b, a))


def _amplitudes(entry, path):
    """The terms of one type; each of its phases is the one that terms have here."""
    row, place = np.zeros(HIGHEST), 1
    while f"k{place}" in entry.attrib:
        n = int(entry.get(f"periodicity{place}", "0"))
        value = VALUE.fullmatch(entry.get(f"k{place}", ""))
        phase = entry.get(f"phase{place}", "").partition("*")[0].strip()
        if not 1 <= n <= HIGHEST or value is None or entry.get(f"idivf{place}") != "1.0":
            raise ValueError(f"{path} has a term of {entry.get('smirks')} that was not written here")
        if float(phase) != np.degrees(PHASES[n - 1]):
            raise ValueError(
                f"{path} has phase {phase} of multiplicity {n}; known are 0 for odd ones, 180 for even"
            )
        row[n - 1] = float(value.group(1))
        place += 1
    return row
