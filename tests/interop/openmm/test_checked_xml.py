"""What OpenMM would follow to memory that is not there is found in a serialized ``System`` before OpenMM reads it."""

from __future__ import annotations

from xml.etree import ElementTree

import openmm
import pytest

from thalweg.interop.openmm.build_checks import BuildError
from thalweg.interop.openmm.checked_xml import require_computable, system_document


def bonded_system() -> openmm.System:
    """Six particles with an angle, forces around forces, and a grid of two torsions."""
    system = openmm.System()
    for _ in range(6):
        system.addParticle(1.0)
    angle = openmm.HarmonicAngleForce()
    angle.addAngle(0, 1, 2, 2.0, 100.0)
    bond = openmm.HarmonicBondForce()
    bond.addBond(0, 1, 0.1, 10.0)
    around = openmm.CustomCVForce("2*a")
    around.addCollectiveVariable("a", openmm.HarmonicBondForce(bond))
    between = openmm.ATMForce("u0+u1")
    between.addForce(openmm.HarmonicBondForce(bond))
    for _ in range(6):
        between.addParticle(openmm.Vec3(0, 0, 0.1))
    torsions = openmm.AmoebaTorsionTorsionForce()
    torsions.addTorsionTorsion(0, 1, 2, 3, 4, 1, 0)
    angles = range(-180, 181, 60)
    torsions.setTorsionTorsionGrid(0, [[[float(x), float(y), 0, 0, 0, 0] for y in angles] for x in angles])
    for force in (angle, around, between, torsions):
        system.addForce(force)
    return system


def number(path: str, name: str, text: str):
    return lambda root: root.find(path).set(name, text)


def without(path: str, child: str):
    return lambda root: root.find(path).remove(root.find(path).find(child))


def few_points(root: ElementTree.Element) -> None:
    grid = root.find(".//TorsionTorsionGrid")
    for row in (grid, *grid):
        for last in list(row)[5:]:
            row.remove(last)


DAMAGES = {
    "no such particle": (number(".//Angle", "p2", "6"), "an? Angle with p2 = '6'; particles are numbered 0 to 5"),
    "a negative one": (number(".//Angle", "p2", "-1"), "Angle with p2 = '-1'"),
    "one beyond integers": (number(".//Angle", "p2", "2147483648"), "Angle with p2 = '2147483648'"),
    "a bond in a variable": (number(".//CollectiveVariable/Force//Bond", "p1", "7"), "Bond with p1 = '7'"),
    "an empty variable": (without(".//CollectiveVariable", "Force"), "CollectiveVariable without its one force"),
    "an empty transfer": (without(".//Forces/Force/Forces/Force", "Force"), "Force without its one force"),
    "a row is gone": (without(".//TorsionTorsionGrid", "RowNode"), "TorsionTorsionGrid with rows or columns missing"),
    "a column is gone": (without(".//RowNode", "ColumnNode"), "TorsionTorsionGrid with rows or columns missing"),
    "too few rows": (few_points, "TorsionTorsionGrid of 5 x 5 points; OpenMM needs 7 each way"),
}  # fmt: skip


def test_forces_around_forces_are_read(tmp_path):
    (tmp_path / "system.xml").write_text(openmm.XmlSerializer.serialize(bonded_system()))
    system = system_document(tmp_path / "system.xml")
    names = [type(force).__name__ for force in system.getForces()]
    assert names == ["HarmonicAngleForce", "CustomCVForce", "ATMForce", "AmoebaTorsionTorsionForce"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_leads_nowhere_is_refused_before_openmm_follows_it(damage, tmp_path):
    change, told = DAMAGES[damage]
    root = ElementTree.fromstring(openmm.XmlSerializer.serialize(bonded_system()))
    change(root)
    (tmp_path / "system.xml").write_bytes(ElementTree.tostring(root))
    with pytest.raises(BuildError, match=told):
        system_document(tmp_path / "system.xml")


def test_angles_of_other_files_are_looked_at_too():
    system = bonded_system()
    system.getForce(0).addAngle(0, 99, 2, 2.0, 100.0)
    with pytest.raises(BuildError, match=r"angle between particles \[0, 99, 2\]; they are numbered 0 to 5"):
        require_computable(system, "chain.prmtop")
