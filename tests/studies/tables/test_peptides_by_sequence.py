"""A peptide's sequence in ``[system]`` of a study."""

import numpy as np
import pytest

from thalweg.studies.tables.language import StudyError
from thalweg.studies.tables.study import PeptideOfSequence, from_table, read_system

LOOP = {"kind": "SlowVariableLoop"}


def test_a_sequence_is_a_peptide_in_implicit_water_and_reads_back():
    study = from_table({"system": {"sequence": "AAAAA", "phi": "-57 deg"}, "campaign": LOOP})
    assert study.system == PeptideOfSequence(sequence="AAAAA", phi=np.radians(-57.0))
    assert study.system.solvent == "obc2"
    assert from_table(study.tables).system == study.system


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"sequence": ""}, r"\[system\] the sequence is empty; give one-letter codes"),
        (
            {"sequence": "ABA"},
            r"\[system\] 'B', residue 2 of the sequence 'ABA', is no amino acid; known: A C",
        ),
        ({"sequence": ["A"]}, "sequence must be a text"),
        ({"sequence": "A", "phi": "3 nm"}, "phi: cannot read '3 nm'"),
        ({"sequence": "A", "molecule": "alanine_dipeptide"}, 'has no key "sequence"'),
        ({"sequence": "A", "solvent": "water"}, "solvent = 'water'; Known: "),
    ],
)
def test_what_is_no_peptide_is_said(table, message):
    with pytest.raises(StudyError, match=message):
        read_system(table)


def test_walkers_begin_at_the_torsions_that_a_study_gives():
    pytest.importorskip("rdkit")
    system = {"sequence": "AAAAA", "phi": "-57 deg", "psi": "-47 deg", "hydrogen_mass": "3 amu"}
    apparatus = from_table({"system": system, "campaign": LOOP}).campaign.recipe.build()
    phi, psi = np.split(np.degrees(apparatus.features.angles(apparatus.positions)), 2)
    assert (np.abs(phi + 65) < 15).all()
    assert (np.abs(psi + 40) < 15).all()
