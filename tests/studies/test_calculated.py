"""Studies whose energies another program calculates, through ASE's engine."""

import ase.build
import ase.io
import numpy as np
import pytest
from ase.calculators.emt import EMT
from rich.console import Console

from thalweg.interop.files.trajectories import read_topology, read_trajectory
from thalweg.sampling.segment import Segment
from thalweg.studies.runs.running import begin, carry_out
from thalweg.studies.tables.language import StudyError
from thalweg.studies.tables.study import from_table
from thalweg.units import ANGSTROM, ELECTRONVOLT


def study(start, **system):
    return {
        "system": {"level": "ase:emt", "start": str(start)} | system,
        "dynamics": {"engine": "ase", "dt": "2 fs", "temperature": "300 K"},
        "features": {"kind": "DistanceFeatures", "separation": 1},
        "campaign": {
            "kind": "MarkovRestarts", "seeds": [1], "walkers": 2, "swarms": 2, "length": "40 fs",
            "save_every": "4 fs", "lagtime": "8 fs", "states": 3,
        },
        "execution": {"workers": 1, "executor": {"kind": "processes"}},
    }  # fmt: skip


@pytest.fixture(scope="module")
def copper(tmp_path_factory):
    """Four atoms that repeat, one out of its place."""
    file = tmp_path_factory.mktemp("copper") / "copper.xyz"
    atoms = ase.build.bulk("Cu", cubic=True)
    atoms.positions[0] += 0.2
    ase.io.write(file, atoms)
    return file


def written(table, path):
    import tomli_w

    path.write_text(tomli_w.dumps(table))
    return path


@pytest.mark.long
def test_a_study_names_a_calculator_and_every_frame_has_its_energy_in_the_cell(copper, tmp_path):
    runs = [tmp_path / "first", tmp_path / "second"]
    stores = [
        carry_out(begin(written(study(copper), tmp_path / "study.toml"), run), run, Console(quiet=True))
        for run in runs
    ]
    assert stores[0].digest() == stores[1].digest()
    segment = Segment.read(stores[0], "segments/s1-swarm-0001")
    assert segment.card["engine"] == "ase"
    assert segment.energy.shape == (2, 10)
    stored = read_trajectory(
        stores[0].folder("segments/s1-swarm-0001") / "walker-000.dcd", read_topology(runs[0] / "topology.pdb")
    )
    cell = np.asarray(stored.box).reshape(-1, 3, 3)[0] / ANGSTROM
    np.testing.assert_allclose(cell, 3.61 * np.eye(3), atol=1e-3)
    atoms = ase.Atoms("Cu4", stored.positions[-1] / ANGSTROM, cell=cell, pbc=True, calculator=EMT())
    assert atoms.get_potential_energy() * ELECTRONVOLT == pytest.approx(segment.energy[0, -1], abs=0.05)
    assert np.ptp(segment.energy) > 0.5


def test_what_cannot_be_calculated_is_told(copper, tmp_path):
    with pytest.raises(StudyError, match='use engine = "ase"'):
        build(study(copper) | {"dynamics": {"engine": "native"}})
    with pytest.raises(StudyError, match="ASE knows no calculator 'emx'"):
        build(study(copper, level="ase:emx"))
    slab = ase.Atoms("Cu2", [[0, 0, 0], [1.3, 1.3, 1.8]], cell=[2.6, 2.6, 12.0], pbc=(True, True, False))
    ase.io.write(tmp_path / "slab.xyz", slab)
    with pytest.raises(ValueError, match="repeats along 2 of its three vectors"):
        build(study(tmp_path / "slab.xyz"))


def build(table):
    return from_table(table).campaign.recipe.build()
