"""No file makes the package import, call or execute anything outside its registry: every reader is tried with files
that would leave a mark if it did."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.resources import files
from pathlib import Path

import ase.io
import numpy as np
import openmm
import openmm.app as app
import pytest
import tomli_w
from ase.db import connect
from typer.testing import CliRunner

from thalweg import registry
from thalweg.cli import main
from thalweg.collective_variables.interpretation.formula_text import evaluated
from thalweg.interop.files import ase_formats
from thalweg.interop.files.configurations import read_configurations
from thalweg.interop.files.trajectories import TrajectoryFile, read_topology
from thalweg.interop.measured.frame_features import FeaturesAlongFile
from thalweg.interop.openmm.build import build_system
from thalweg.interop.openmm.checked_xml import deserialized
from thalweg.interop.openmm.force_fields import load_force_field
from thalweg.interop.openmm.molecules import alanine_dipeptide
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learning import checkpoint
from thalweg.learning.storage import load_tree
from thalweg.machine.arrays import stored_arrays
from thalweg.potentials.expressions import Expression
from thalweg.sampling.apparatus import ApparatusRecipe, ArrayFiles
from thalweg.sampling.plans import from_plain, planned
from thalweg.sampling.segment import Segment, final_state
from thalweg.sampling.store import BEGUN, MANIFEST, Store, StoreError, sha256
from thalweg.studies.runs.running import begin

PEPTIDE = files("thalweg.testsystems") / "structures" / "alanine_dipeptide.pdb"
THALWEG = Path(sys.executable).parent / "thalweg"

FOREIGN_NAMES = (
    "os.system", "os:system", "posix.system", "subprocess.run", "builtins.exec", "builtins.eval",
    "numpy.load", "importlib.import_module", "thalweg.learning.storage:os.system",
    "thalweg.registry.importlib", "learning.storage", "learning.os", "sampling.json", "interop.__builtins__",
    "interop.__getattr__", "machine.whole_files", "cli.main", "mine.Policy", "../mine.Policy",
    "sampling.ApparatusRecipe.build", "jax.pure_callback",
)  # fmt: skip
"""Names that lie on no face: other packages, modules inside this one, what a face carries without offering it."""


class Mark:
    """Python that would be executed, in the forms in which files could carry it; executed, it writes ``path``."""

    def __init__(self, path: Path):
        self.path = path
        self.program = f"open({str(path)!r}, 'w').close()"

    def __reduce__(self):
        return exec, (self.program,)

    @property
    def pickled(self) -> bytes:
        return pickle.dumps(self)

    def is_left(self) -> bool:
        """Whether the program ran; a mark is taken away as it is seen."""
        there = self.path.exists()
        self.path.unlink(missing_ok=True)
        return there


@pytest.fixture
def mark(tmp_path):
    """A program of a file, which must not have run when the test ends."""
    mark = Mark(tmp_path / "executed")
    yield mark
    assert not mark.is_left()


@contextlib.contextmanager
def refused(*kinds: type[Exception], match: str | None = None):
    """One sentence of our own, on one line."""
    with pytest.raises(kinds or (ValueError,), match=match) as caught:
        yield
    assert str(caught.value)
    assert "\n" not in str(caught.value).strip()
    tail = caught.tb
    while tail.tb_next is not None:
        tail = tail.tb_next
    assert tail.tb_frame.f_globals["__name__"].split(".")[0] == "thalweg"


# Names


@pytest.mark.parametrize("name", FOREIGN_NAMES)
def test_a_name_that_lies_on_no_face_is_no_name(name):
    with refused(registry.UnknownName):
        registry.resolve(name)
    assert registry.found(name) is None


@pytest.mark.parametrize("name", FOREIGN_NAMES)
def test_no_plan_makes_or_calls_what_lies_on_no_face(name, mark):
    with refused(StoreError):
        from_plain({"is": name, "command": mark.program})
    with refused(ValueError):
        ApparatusRecipe(name, {"command": mark.program}).build()


@pytest.mark.parametrize("name", FOREIGN_NAMES)
def test_no_model_makes_what_lies_on_no_face(name, tmp_path):
    for read in (load_tree, LearnedPotential.load):
        with refused(ValueError):
            read(model(tmp_path / "model.thalweg", {"is": name, "fields": {}}))


def model(path: Path, tree, arrays=()) -> Path:
    """A model file that says ``tree``, with members ``arrays`` of the bytes given."""
    with zipfile.ZipFile(path, "w") as archive:
        said = {"format": "thalweg tree", "version": 2, "written_by": "0", "tree": tree}
        archive.writestr("tree.json", json.dumps(said))
        for k, data in enumerate(arrays):
            archive.writestr(f"arrays/{k}.npy", data)
    return path


def test_functions_and_what_is_no_dataclass_are_not_made_by_a_model(tmp_path):
    for name in (
        "sampling.read_plan",
        "interop.read_configurations",
        "learning.load_tree",
        "potentials.Energy",
    ):
        with refused(ValueError):
            load_tree(model(tmp_path / "model.thalweg", {"is": name, "fields": {"path": "/etc/passwd"}}))


@pytest.mark.parametrize(
    "text", ["__import__('os')", "exec(x)", "().__class__", "x.__class__", "x if x else x", "open(x)"]
)
def test_a_formula_is_arithmetic_and_nothing_else(text):
    with refused(ValueError):
        evaluated(text, {"x": 1.0})
    with refused(ValueError):
        Expression(text)({"x": 1.0})


# Arrays


def objects(mark: Mark) -> np.ndarray:
    return np.array([mark], dtype=object)


def test_arrays_of_objects_would_be_executed_where_pickles_are_allowed(mark, tmp_path):
    np.save(tmp_path / "a.npy", objects(mark), allow_pickle=True)
    np.load(tmp_path / "a.npy", allow_pickle=True)
    assert mark.is_left()


def test_no_stored_array_is_unpickled(mark, tmp_path):
    np.savez(tmp_path / "a.npz", name=objects(mark), places=objects(mark), leaf0=objects(mark))
    np.save(tmp_path / "walker-000.npy", objects(mark), allow_pickle=True)
    (tmp_path / "pickle.npz").write_bytes(mark.pickled)
    along = FeaturesAlongFile.__new__(FeaturesAlongFile)
    for read in (
        lambda: stored_arrays(tmp_path / "a.npz").__enter__(),
        lambda: stored_arrays(tmp_path / "pickle.npz").__enter__(),
        lambda: checkpoint.restored(tmp_path / "a.npz", np.zeros(1), "run"),
        lambda: checkpoint.entry(tmp_path / "a.npz", "log"),
        lambda: ArrayFiles().read(tmp_path, 0, 0),
        lambda: along.opened(tmp_path / "walker-000.npy"),
        lambda: load_tree(tmp_path / "pickle.npz"),
        lambda: load_tree(
            model(tmp_path / "m", {"is": "array", "number": 0}, [(tmp_path / "walker-000.npy").read_bytes()])
        ),
    ):
        with refused(ValueError):
            read()


def test_no_number_of_a_model_is_looked_at_as_an_object(tmp_path):
    np.save(tmp_path / "a.npy", np.array([1, 2], np.uint64))
    for said in ({"dtype": "O"}, {"dtype": "os.system"}, {"number": "../../a"}, {"number": None}):
        tree = {"is": "array", "number": 0} | said
        with refused(ValueError):
            load_tree(model(tmp_path / "m", tree, [(tmp_path / "a.npy").read_bytes()]))


def test_no_frame_of_a_segment_is_unpickled(mark, tmp_path):
    store = Store(tmp_path / "run")

    def write(folder):
        (folder / "segment.json").write_text("{}")
        for name in ("frames.npz", "state.npz"):
            np.savez(folder / name, alive=objects(mark), features=objects(mark))

    store.commit("segments/a", write)
    for read in (Segment.read, final_state):
        with refused(ValueError):
            read(store, "segments/a")


# Force fields and systems of OpenMM

FORCE_FIELDS = {
    "a script": "<ForceField><Script>{program}</Script></ForceField>",
    "a script at the start": "<ForceField><InitializationScript>{program}</InitializationScript></ForceField>",
    "an expression": '<ForceField><NonbondedForce coulomb14scale="1" lj14scale="1" '
    'useDispersionCorrection="{program}"/></ForceField>',
    "an expression of Lennard-Jones": '<ForceField><LennardJonesForce lj14scale="1" '
    'useDispersionCorrection="{program}"/></ForceField>',
    "an included file": '<ForceField><Include file="below/script.xml"/></ForceField>',
    "an entity": '<!DOCTYPE f [<!ENTITY a "Script">]><ForceField><Info>&a;</Info></ForceField>',
    "an entity of a file": '<!DOCTYPE f [<!ENTITY a SYSTEM "/etc/hostname">]><ForceField><Info>&a;</Info></ForceField>',
}


def force_field(folder: Path, text: str, mark: Mark) -> Path:
    (folder / "below").mkdir(exist_ok=True)
    (folder / "below" / "script.xml").write_text(
        FORCE_FIELDS["a script at the start"].format(program=mark.program)
    )
    (folder / "mine.xml").write_text(text.format(program=mark.program))
    return folder / "mine.xml"


@pytest.mark.parametrize("text", FORCE_FIELDS.values(), ids=FORCE_FIELDS)
def test_a_force_field_with_a_program_is_refused(text, mark, tmp_path):
    file = force_field(tmp_path, text, mark)
    with refused(ValueError, match=r"refused|remove it"):
        load_force_field([str(file)])
    with refused(ValueError, match=r"refused|remove it"):
        build_system(pdb=str(PEPTIDE), forcefield=["amber14/protein.ff14SB.xml", str(file)])


@pytest.mark.parametrize("name", ["a script at the start", "an expression", "an included file"])
def test_openmm_itself_executes_these_force_fields(name, mark, tmp_path):
    app.ForceField(str(force_field(tmp_path, FORCE_FIELDS[name], mark)))
    assert mark.is_left()


def test_a_file_of_the_working_folder_does_not_take_the_place_of_openmm_s_own(mark, tmp_path, monkeypatch):
    (tmp_path / "amber14").mkdir()
    shutil.copy(
        force_field(tmp_path, FORCE_FIELDS["a script at the start"], mark), tmp_path / "amber14" / "tip3p.xml"
    )
    monkeypatch.chdir(tmp_path)
    assert "HOH" in load_force_field(["amber14/tip3p.xml"])._templates
    app.ForceField("amber14/tip3p.xml")
    assert mark.is_left()


def test_force_fields_that_include_openmm_s_own_or_neighbors_give_the_same_field(tmp_path):
    (tmp_path / "ions.xml").write_text('<ForceField><Include file="amber14/tip3p.xml"/></ForceField>')
    (tmp_path / "all.xml").write_text(
        '<ForceField><Include file="ions.xml"/><Include file="amber14/protein.ff14SB.xml"/></ForceField>'
    )
    found = load_force_field([str(tmp_path / "all.xml"), "amber14/tip3p.xml"])
    plain = app.ForceField("amber14/protein.ff14SB.xml", "amber14/tip3p.xml")
    assert set(found._templates) == set(plain._templates)
    assert set(found._atomTypes) == set(plain._atomTypes)


def python_force(mark: Mark) -> str:
    system = openmm.XmlSerializer.deserialize(alanine_dipeptide().openmm_xml)
    system.addForce(openmm.PythonForce(print))
    text = openmm.XmlSerializer.serialize(system)
    return re.sub(r'function="[0-9a-f]*"', f'function="{mark.pickled.hex()}"', text)


def test_a_system_with_a_python_force_is_refused_before_it_is_made(mark, tmp_path):
    text = python_force(mark)
    (tmp_path / "system.xml").write_text(text)
    with refused(ValueError, match="PythonForce"):
        build_system(xml=str(tmp_path / "system.xml"), pdb=str(PEPTIDE))
    with refused(ValueError, match="PythonForce"):
        deserialized(text)
    with contextlib.suppress(Exception):
        openmm.XmlSerializer.deserialize(text)
    assert mark.is_left()


def test_a_force_of_no_known_kind_is_refused_before_it_is_made(tmp_path):
    for kind in ("PlumedForce", "TorchForce", "os.system", ""):
        text = alanine_dipeptide().openmm_xml.replace('type="HarmonicBondForce"', f'type="{kind}"')
        (tmp_path / "system.xml").write_text(text)
        with refused(ValueError, match="none of OpenMM's own"):
            build_system(xml=str(tmp_path / "system.xml"), pdb=str(PEPTIDE))


def test_a_system_hidden_from_one_parser_is_hidden_from_both(mark, tmp_path):
    """OpenMM's own parser looks past junk before a quote; what it gets is what was checked."""
    text = python_force(mark).replace('type="PythonForce"', 'type=junk"PythonForce"')
    (tmp_path / "system.xml").write_text(text)
    with refused(ValueError):
        build_system(xml=str(tmp_path / "system.xml"), pdb=str(PEPTIDE))


# Frames


def test_no_format_of_ase_that_is_read_unpickles_imports_or_starts_anything(tmp_path):
    """What readers are made of; ``traj`` alone mentions pickles, of its predecessor, which the next test tries."""
    import inspect
    import warnings

    doubtful = re.compile(
        r"\beval\(|\bexec\(|pickle|__import__|import_module|os\.system|subprocess|Popen|urlopen|np\.load\b"
    )
    found = {}
    for name in ase_formats.READABLE:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = ase.io.formats.ioformats[name].module
        said = set(doubtful.findall(inspect.getsource(module)))
        if said:
            found[name] = said
    assert found == {"traj": {"pickle"}}


@pytest.mark.parametrize(
    "name", ["frames.traj", "frames.db", "frames.json", "frames.xyz", "OUTCAR", "frames.gpw", "a"]
)
def test_pickles_are_no_frames(name, mark, tmp_path):
    (tmp_path / name).write_bytes(mark.pickled)
    with pytest.raises(Exception):  # noqa: B017, PT011 - ASE's own errors are of many kinds; the mark is what counts
        read_configurations(tmp_path / name)


def test_formats_that_do_more_than_read_are_refused(mark, tmp_path):
    bundle = tmp_path / "old.bundle"
    bundle.mkdir()
    (bundle / "metadata.json").write_text('{"format": "BundleTrajectory", "backend": "pickle"}')
    (bundle / "frames").write_bytes(mark.pickled)
    (tmp_path / "a.dat").write_bytes(mark.pickled)
    with refused(ValueError, match="folder without type.raw"):
        read_configurations(bundle)
    for kind in (
        "bundletrajectory",
        "gpw",
        "castep-cell",
        "gamess-us-punch",
        "mysql",
        "postgresql",
        "os.system",
    ):
        with refused(ValueError, match=kind):
            read_configurations(tmp_path / "a.dat", format=kind)


def test_what_a_database_names_is_not_made(mark, tmp_path):
    with connect(tmp_path / "a.json") as database:
        database.write(ase.Atoms("H"), data={"note": 1})
    text = (tmp_path / "a.json").read_text()
    for name in ("os.system", "subprocess.run", "builtins.exec"):
        other = text.replace(
            '"note": 1', f'"note": {{"__ase_objtype__": "{name}", "command": "{mark.path}"}}'
        )
        (tmp_path / "b.json").write_text(
            other.replace(
                '"unique_id"', f'"calculator": "{name}", "calculator_parameters": {{}}, "unique_id"'
            )
        )
        with contextlib.suppress(ValueError):
            read_configurations(tmp_path / "b.json")


def test_no_array_of_a_deepmd_folder_is_unpickled(mark, tmp_path):
    (tmp_path / "set.000").mkdir()
    (tmp_path / "type.raw").write_text("0")
    (tmp_path / "type_map.raw").write_text("H")
    np.save(tmp_path / "set.000" / "coord.npy", objects(mark), allow_pickle=True)
    with refused(ValueError, match="Python objects"):
        read_configurations(tmp_path)


@pytest.mark.parametrize("suffix", [".h5", ".hdf5", ".lh5", ".H5"])
def test_hdf5_which_is_read_with_pickles_is_refused(suffix, mark, tmp_path):
    path = tmp_path / f"walk{suffix}"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + mark.pickled)
    with refused(ValueError, match="mdconvert"):
        read_topology(path)
    with refused(ValueError, match="mdconvert"):
        TrajectoryFile(path, alanine_dipeptide().topology)


# The command line: studies, and folders received from someone else

STUDY = """
[system]
molecule = "alanine_dipeptide"

[dynamics]
engine = "openmm"
platform = "Reference"

[campaign]
kind = "MarkovRestarts"
seeds = [1]
walkers = 1
swarms = 1
length = "1 ps"
save_every = "0.1 ps"
lagtime = "0.2 ps"

[execution]
workers = 1
"""


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """The folder of a run that was begun and has planned its first round."""
    folder = tmp_path_factory.mktemp("begun")
    (folder / "study.toml").write_text(STUDY)
    study = begin(folder / "study.toml", folder / "run")
    planned(Store(folder / "run"), study.campaign, 0)
    return folder / "run"


@pytest.fixture
def run(begun, tmp_path):
    """A copy of that folder, as if it came from someone else."""
    return Path(shutil.copytree(begun, tmp_path / "run"))


def said(*arguments: object) -> str:
    """What the command line answers, in one line and with exit status 2."""
    shown = CliRunner().invoke(main.app, [str(argument) for argument in arguments])
    assert shown.exit_code == 2, shown.output
    return one_line(shown.output)


def said_by_command(*arguments: object, folder: Path) -> str:
    """The same of the installed command, in a process of its own."""
    command = [str(THALWEG), *map(str, arguments)]
    shown = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert shown.returncode == 2, shown.stdout + shown.stderr
    assert "Traceback" not in shown.stderr
    return one_line(shown.stderr)


def one_line(text: str) -> str:
    errors = [line for line in text.strip().splitlines() if "error:" in line]
    assert len(errors) == 1, text
    assert text.strip().splitlines()[-1] == errors[0], text
    return errors[0]


def rewrite(entry: Path, name: str, text: str) -> None:
    """Change a file of an entry and make its manifest agree, as someone would who means it."""
    (entry / name).write_text(text)
    manifest = json.loads((entry / MANIFEST).read_text())
    (entry / MANIFEST).write_text(json.dumps(manifest | {name: sha256(entry / name)}))


def plan_with(run: Path, change) -> None:
    """Give ``run`` a plan whose tasks have gone through ``change``."""
    plan = json.loads((run / "plans" / "00000" / "plan.json").read_text())
    plan["tasks"] = [change(task) for task in plan["tasks"]]
    rewrite(run / "plans" / "00000", "plan.json", json.dumps(plan))


def with_factory(name: str, settings: dict):
    def change(task):
        task["work"]["recipe"] = {
            "is": "sampling.ApparatusRecipe",
            "factory": name,
            "settings": {"is": "dict", "items": settings},
        }
        return task

    return change


def test_a_plan_whose_apparatus_is_made_by_os_system_is_refused_on_resuming(run, mark, tmp_path):
    plan_with(run, with_factory("os:system", {"command": f"touch {mark.path}"}))
    assert '"os:system" is no name of Thalweg' in said_by_command("resume", run, folder=tmp_path)


@pytest.mark.parametrize(
    "name", ["os.system", "studies.begin", "interop.read_configurations", "learning.save_tree"]
)
def test_a_plan_calls_no_function_that_makes_no_apparatus(name, run, mark):
    plan_with(
        run, with_factory(name, {"path": str(mark.path), "tree": None, "command": f"touch {mark.path}"})
    )
    assert "is no name" in (answer := said("resume", run)) or "makes no apparatus" in answer


def test_the_work_of_a_plan_is_work_inside_the_store(run, mark):
    for change, answer in (
        (lambda task: {**task, "work": {"is": "os.system", "command": f"touch {mark.path}"}}, "os.system"),
        (lambda task: {**task, "work": {"is": "interop.read_topology", "path": str(mark.path)}}, "no work"),
        (lambda task: {**task, "id": "../../executed"}, "no entry of a store"),
        (lambda task: {**task, "id": str(mark.path)}, "no entry of a store"),
    ):
        saved = (run / "plans" / "00000" / "plan.json").read_text()
        plan_with(run, change)
        assert answer in said("resume", run)
        rewrite(run / "plans" / "00000", "plan.json", saved)


def test_frames_of_objects_in_a_run_are_refused_by_its_report(run, mark):
    study = tomllib.loads((run / "run.toml").read_text())
    store, seeds = Store(run), study["campaign"]["seeds"]

    def write(folder):
        (folder / "segment.json").write_text(json.dumps({"diverged": {}}))
        np.savez(folder / "frames.npz", features=objects(mark), valid=objects(mark))

    plan = json.loads((run / "plans" / "00000" / "plan.json").read_text())
    for task in plan["tasks"]:
        store.commit(task["id"], write)
    assert len(plan["tasks"]) == len(seeds)
    assert "holds Python objects" in said("report", run)


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("features", "kind"),
        ("campaign", "kind"),
        ("campaign", "rule"),
        ("dynamics", "integrator"),
        ("system", "molecule"),
    ],
)
@pytest.mark.parametrize(
    "name", ["os.system", "os:system", "builtins.exec", "subprocess.Popen", "mine.Policy"]
)
def test_no_table_of_a_run_or_study_names_what_lies_on_no_face(table, key, name, run, tmp_path):
    content = tomllib.loads((run / "run.toml").read_text())
    value = {"kind": name} if key in ("rule", "integrator") else name
    content.setdefault(table, {})[key] = value
    (run / "run.toml").write_text(tomli_w.dumps(content))
    assert name in said("resume", run)
    content.pop("versions")
    (tmp_path / "study.toml").write_text(tomli_w.dumps(content))
    assert name in said("run", tmp_path / "study.toml", "--out", tmp_path / "other")


@pytest.mark.parametrize("key", ["learner", "representation", "baseline", "committee"])
def test_no_table_of_a_fit_names_what_lies_on_no_face(key, tmp_path):
    ase.io.write(tmp_path / "a.xyz", ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.7]]))
    learner = {"kind": "Linear", "representation": {"kind": "ACE", "cutoff": "5 Å"}}
    content = {"data": {"train": ["a.xyz"]}, "learner": learner}
    if key == "representation":
        content["learner"][key] = {"kind": "os.system"}
    else:
        content[key] = [{"kind": "os.system"}] if key == "baseline" else {"kind": "os.system"}
    (tmp_path / "fit.toml").write_text(tomli_w.dumps(content))
    assert "os.system" in said("fit", tmp_path / "fit.toml", "--out", tmp_path / "fit")


def test_a_run_folder_whose_force_field_has_a_script_is_refused(run, mark, tmp_path):
    (run / "inputs").mkdir()
    shutil.copy(PEPTIDE, run / "inputs" / "peptide.pdb")
    shutil.copy(
        force_field(tmp_path, FORCE_FIELDS["a script at the start"], mark), run / "inputs" / "mine.xml"
    )
    content = tomllib.loads((run / "run.toml").read_text())
    content["system"] = {
        "pdb": "inputs/peptide.pdb",
        "forcefield": ["amber14/protein.ff14SB.xml", "inputs/mine.xml"],
    }
    (run / "run.toml").write_text(tomli_w.dumps(content))
    shutil.rmtree(run / "plans")
    shutil.rmtree(run / BEGUN)
    assert "InitializationScript" in said("resume", run)


def test_a_run_folder_whose_files_lie_elsewhere_is_refused(run, tmp_path):
    for outside in ("/etc/hostname.pdb", "../peptide.pdb", "inputs/../../peptide.pdb"):
        content = tomllib.loads((run / "run.toml").read_text())
        content["system"] = {"pdb": outside, "forcefield": ["amber14/protein.ff14SB.xml"]}
        (run / "run.toml").write_text(tomli_w.dumps(content))
        for command in ("resume", "report", "export"):
            assert "a run keeps its files in inputs" in said(command, run)


@pytest.mark.parametrize("place", [".lock", "log", "results", "report.html", "segments", "topology.pdb"])
def test_a_run_folder_with_a_link_out_of_it_is_refused(place, run, tmp_path):
    """A lock would be emptied and the diary written on, wherever they are."""
    precious = tmp_path / "precious"
    precious.write_text("ours")
    (run / place).unlink(missing_ok=True)
    (run / place).symlink_to(precious if place in (".lock", "report.html", "topology.pdb") else tmp_path)
    before = sorted(tmp_path.iterdir())
    for command in ("resume", "report", "export"):
        assert "is a link out of the folder" in said(command, run)
    assert precious.read_text() == "ours"
    assert sorted(tmp_path.iterdir()) == before


def test_what_is_written_into_a_folder_of_results_stays_there(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "results").symlink_to(tmp_path)
    ase.io.write(tmp_path / "a.xyz", ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.7]]))
    before = sorted(tmp_path.iterdir())
    for command in (
        ("fit", "--train", tmp_path / "a.xyz"),
        ("evaluate", tmp_path / "a.xyz", tmp_path / "a.xyz"),
        ("analyze", tmp_path / "walk.dcd", "--topology", PEPTIDE, "--dt", "1 ps"),
    ):
        assert "is a link out of the folder" in said(*command, "--out", tmp_path / "out")
    assert sorted(tmp_path.iterdir()) == before


SHADOWS = ("multiprocessing", "random", "json", "thalweg", "numpy", "jax", "openmm", "site", "sitecustomize")

POOL = """
import contextlib, pathlib, sys
from thalweg.sampling.executors import processes
from thalweg.studies.runs.running import working_in

if __name__ == "__main__":
    enter = {"guarded": working_in, "plain": contextlib.chdir}[sys.argv[1]]
    with enter(pathlib.Path(sys.argv[2])), processes(1)() as pool:
        print(pool.submit(abs, -1).result())
"""


@pytest.mark.parametrize(("guard", "executed"), [("guarded", False), ("plain", True)])
def test_workers_import_nothing_from_the_folder_of_a_run(guard, executed, mark, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    for name in SHADOWS:
        (folder / f"{name}.py").write_text(mark.program)
    (tmp_path / "pool.py").write_text(POOL)
    command = [sys.executable, str(tmp_path / "pool.py"), guard, str(folder)]
    free = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    shown = subprocess.run(command, env=free, capture_output=True, text=True, timeout=300)
    assert mark.is_left() is executed
    assert (shown.stdout.strip() == "1") is not executed, shown.stderr


COMMANDS = {
    "evaluate a model": ("evaluate", "{model}", "{frames}"),
    "simulate with a model": ("md", "{model}", "{frames}"),
    "evaluate a fit": ("evaluate", "{fit}", "{frames}"),
    "analyze HDF5": ("analyze", "{hdf5}", "--topology", "{pdb}", "--dt", "1 ps"),
    "analyze with HDF5": ("analyze", "{dcd}", "--topology", "{hdf5}", "--dt", "1 ps"),
    "resume": ("resume", "{run}"),
    "report": ("report", "{run}"),
    "export": ("export", "{run}"),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_what_a_stranger_sent_is_refused_by_the_installed_command(command, run, mark, tmp_path):
    np.save(tmp_path / "a.npy", objects(mark), allow_pickle=True)
    evil = {"is": "tuple", "items": [{"is": "os.system", "fields": {"command": f"touch {mark.path}"}}]}
    (tmp_path / "fit").mkdir()
    model(
        tmp_path / "fit" / "model.thalweg", {"is": "array", "number": 0}, [(tmp_path / "a.npy").read_bytes()]
    )
    ase.io.write(tmp_path / "frames.xyz", ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.7]]))
    (tmp_path / "walk.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + mark.pickled)
    content = tomllib.loads((run / "run.toml").read_text())
    content["features"] = {"kind": "os.system", "command": f"touch {mark.path}"}
    (run / "run.toml").write_text(tomli_w.dumps(content))
    places = {
        "model": model(tmp_path / "sent.thalweg", evil),
        "fit": tmp_path / "fit",
        "frames": tmp_path / "frames.xyz",
        "hdf5": tmp_path / "walk.h5",
        "pdb": PEPTIDE,
        "dcd": tmp_path / "walk.dcd",
        "run": run,
    }
    assert said_by_command(*(word.format(**places) for word in command), folder=tmp_path)
