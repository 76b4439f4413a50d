"""Doors of learned potentials: a representation and a learner of one's own, each in one new file, used from a study."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from thalweg import registry
from thalweg.interop.files.configurations import write_configurations
from thalweg.learned_potentials.parametric.stillinger_weber import stillinger_weber_silicon
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.studies.tables.families import FAMILIES, LEARNERS, REPRESENTATIONS
from thalweg.studies.tables.fit_study import fit_from_table
from thalweg.studies.tables.language import StudyError, choose, parameters
from thalweg.systems.configuration import Configuration
from thalweg.units import unit

SHELLS = '''
"""A representation: how many neighbors there are in Gaussian shells."""

import equinox as eqx
import jax.numpy as jnp

from thalweg.representations import Representation, smooth_cutoff
from thalweg.units import Count, InCode, Nanometers


class Shells(Representation):
    cutoff: Nanometers = eqx.field(static=True, default=0.4)
    shells: Count = eqx.field(static=True, default=6)
    elements: InCode[tuple[int, ...] | None] = eqx.field(static=True, default=None)

    def __call__(self, environments):
        distances = environments.distances
        centers = jnp.linspace(0.4, 1.0, self.shells)[:, None, None] * self.cutoff
        width = self.cutoff / self.shells
        shells = jnp.exp(-((distances - centers) ** 2) / (2 * width**2)) * smooth_cutoff(distances, self.cutoff)
        return shells.sum(1)


def not_a_representation(cutoff: Nanometers = 0.4) -> float:
    return cutoff
'''

REPULSION = '''
"""A learner: the height of an exponential repulsion of all neighbors, by least squares of the forces."""

from dataclasses import dataclass, replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from thalweg.learned_potentials import FitInfo, FittedTerm, SiteTerm
from thalweg.representations import smooth_cutoff
from thalweg.systems import elements_of
from thalweg.units import Nanometers


class Repulsion(SiteTerm):
    elements: tuple = eqx.field(static=True)
    cutoff: float = eqx.field(static=True)
    length: float = eqx.field(static=True)
    height: np.ndarray

    def site_energies(self, environments):
        distances = environments.distances
        pairs = jnp.exp(-distances / self.length) * smooth_cutoff(distances, self.cutoff)
        return jnp.where(environments.kinds >= 0, 0.5 * self.height * pairs.sum(0), 0.0)


@dataclass(frozen=True)
class RepulsionFit:
    cutoff: Nanometers = 0.4
    length: Nanometers = 0.1

    def fit(self, configurations, *, validation=(), weights=None, seed=0, progress=None):
        unit = Repulsion(elements_of(configurations), self.cutoff, self.length, np.asarray(1.0))
        pulled = [frame for frame in configurations if frame.forces is not None]
        slopes = np.concatenate([np.ravel(forces) for forces in unit.evaluate(pulled).forces])
        forces = np.concatenate([np.ravel(frame.forces) for frame in pulled])
        height = float(slopes @ forces / (slopes @ slopes))
        return FittedTerm(replace(unit, height=np.asarray(height)), FitInfo({"height": height}))


class Nothing:
    pass
'''

SITES = np.array([[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0], [1, 1, 1], [1, 3, 3], [3, 1, 3], [3, 3, 1]]) / 4
THALWEG = Path(sys.executable).with_name("thalweg")


def silicon(count, term):
    """Frames labeled by a term."""
    random = np.random.default_rng(0)
    frames = [
        Configuration(
            np.full(8, 14),
            0.5431 * SITES + 0.01 * random.normal(size=(8, 3)),
            0.5431 * np.eye(3),
            (True,) * 3,
        )
        for _ in range(count)
    ]
    labels = term.evaluate(frames)
    return [
        replace(frame, energy=float(energy), forces=forces)
        for frame, energy, forces in zip(frames, labels.energies, labels.forces)
    ]


def command(*arguments):
    """The installed command, as a person calls it: what the arguments do not name, it does not know."""
    return subprocess.run(
        [str(THALWEG), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=os.environ | {registry.WITH: ""},
    )


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Writes a plug-in and names it for this process."""
    monkeypatch.setenv(registry.WITH, "")

    def write(name, text):
        file = tmp_path / f"{name}.py"
        file.write_text(text, "utf-8")
        registry.name_files([file])
        return file

    return write


def carried_out(folder, file, study, frames):
    """The model of a study that uses the plug-in, after it was judged again by the command that evaluates."""
    write_configurations(folder / "silicon.xyz", frames)
    data = '[data]\ntrain = ["silicon.xyz"]\nvalidation = 0.0\ntest = 0.25\n'
    (folder / "study.toml").write_text(data + study, "utf-8")
    shown = command("fit", folder / "study.toml", "--with", file, "--out", folder / "fit")
    assert shown.returncode == 0, shown.stderr
    again = command(
        "evaluate", folder / "fit", folder / "silicon.xyz", "--with", file, "--out", folder / "again"
    )
    assert again.returncode == 0, again.stderr
    report = json.loads((folder / "again" / "results" / "report.json").read_text("utf-8"))
    (mae,) = (row[2] for row in report["sets"][0]["rows"] if row[0] == "forces")
    return LearnedPotential.load(folder / "fit" / "model.thalweg"), mae


def test_a_representation_of_ones_own_is_learned_on_from_a_study(tmp_path, plugin):
    file = plugin("my_shells", SHELLS)
    frames = silicon(12, stillinger_weber_silicon())
    study = '[representation]\nkind = "Shells"\ncutoff = "3.9 Å"\n'
    potential, mae = carried_out(tmp_path, file, study, frames)
    representation = potential.terms[-1].parts[0].representation
    assert (type(representation).__name__, representation.cutoff) == ("Shells", pytest.approx(0.39))
    assert mae < 0.7 * np.mean([np.abs(frame.forces).mean() for frame in frames]) / unit("meV/Å", "force")
    resolved = (tmp_path / "fit" / "run.toml").read_text("utf-8")
    assert 'kind = "my_shells.Shells"' in resolved
    assert registry.fingerprints()["my_shells"] in resolved


@pytest.mark.long
def test_a_learner_of_ones_own_finds_the_law_behind_the_labels(tmp_path, plugin):
    file = plugin("my_repulsion", REPULSION)
    law = registry.resolve("my_repulsion.Repulsion")((14,), 0.39, 0.1, np.asarray(500.0))
    study = '[learner]\nkind = "my_repulsion.RepulsionFit"\ncutoff = "3.9 Å"\n'
    potential, mae = carried_out(tmp_path, file, study, silicon(12, law))
    assert float(potential.terms[-1].height) == pytest.approx(500.0, rel=1e-4)
    assert mae < 1e-2
    assert "Chosen: height 500" in (tmp_path / "fit" / "report.html").read_text("utf-8")
    bare = command("evaluate", tmp_path / "fit", tmp_path / "silicon.xyz", "--out", tmp_path / "bare")
    assert (bare.returncode, "--with" in bare.stderr, "Traceback" in bare.stderr) == (2, True, False)


def test_keys_and_units_of_a_plugin_are_those_of_its_signature(plugin):
    plugin("my_shells", SHELLS)
    assert set(parameters(registry.resolve("my_shells.Shells"), FAMILIES)) == {"cutoff", "shells"}
    made, table = choose(REPRESENTATIONS, {"kind": "Shells"}, "representation", FAMILIES)
    assert table == {"kind": "my_shells.Shells", "cutoff": "0.4 nm", "shells": 6}
    assert choose(REPRESENTATIONS, table, "representation", FAMILIES) == (made, table)
    with pytest.raises(StudyError, match="give at least 1"):
        choose(REPRESENTATIONS, {"kind": "Shells", "shells": 0}, "representation", FAMILIES)


def test_what_a_plugin_makes_must_be_what_the_door_asks_for(plugin):
    plugin("my_shells", SHELLS)
    plugin("my_repulsion", REPULSION)
    for family, kind, said in (
        (REPRESENTATIONS, "not_a_representation", "makes a float, which is no Representation"),
        (REPRESENTATIONS, "RepulsionFit", "makes a RepulsionFit, which is no Representation"),
        (LEARNERS, "my_repulsion.Nothing", r"makes a Nothing, which is no Learner.*\(it lacks fit\)"),
    ):
        with pytest.raises(StudyError, match=said):
            choose(family, {"kind": kind}, "learner", FAMILIES)


def test_a_plugin_that_nobody_named_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setenv(registry.WITH, "")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_shells.py").write_text(SHELLS, "utf-8")
    with pytest.raises(StudyError, match="is unknown"):
        fit_from_table(
            {"data": {"train": ["."]}, "representation": {"kind": "my_shells.Shells"}}, "a", tmp_path
        )
