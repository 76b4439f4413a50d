"""Doors of campaigns: a policy, learner, basis, bias, features and an integrator, each in one new file, in a study."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from thalweg import registry
from thalweg.cli.main import app
from thalweg.sampling.store import Store
from thalweg.studies.runs.running import study_of
from thalweg.studies.tables.language import StudyError
from thalweg.studies.tables.study import from_table

POLICY = '''
"""A policy: walks from the start structure that know nothing of each other."""

from dataclasses import dataclass
from typing import ClassVar

from thalweg.sampling import ApparatusRecipe, CampaignRecord, Simulate, Task, Walkers
from thalweg.units import Count, Picoseconds, whole_multiple


@dataclass(frozen=True)
class PlainWalks:
    cites: ClassVar[tuple[str, ...]] = ("bowman2010",)

    recipe: ApparatusRecipe
    seeds: tuple[int, ...] = (1, 2)
    walkers: Count = 8
    length: Picoseconds = 100.0
    save_every: Picoseconds = 1.0
    lagtime: Picoseconds = 10.0
    rounds: ClassVar[int] = 1

    def plan(self, store, round):
        frames = whole_multiple(self.length, self.save_every, "length")
        return [
            Task(entry, Simulate(self.recipe, self.walkers, frames, self.save_every, seed))
            for entry, seed in zip(self.needed(), self.seeds)
        ]

    def needed(self):
        return [f"segments/s{seed}" for seed in self.seeds]

    def evidence(self, store):
        return CampaignRecord(tuple(Walkers(k, (entry,)) for k, entry in enumerate(self.needed())), self.lagtime)

    def variable(self, store):
        return None

    def cost(self):
        return len(self.seeds) * self.walkers * self.length

    def in_words(self):
        return (f"Plain walks of {self.length:g} ps.",)
'''

INTEGRATOR = '''
"""An integrator: Langevin dynamics by the OBABO splitting, without constraints."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from thalweg.dynamics import Phase, thermal_reach
from thalweg.units import KilojoulesPerMole, PerPicosecond, Picoseconds


class OBABO(eqx.Module):
    kT: KilojoulesPerMole
    dt: Picoseconds
    friction: PerPicosecond = 1.0
    supports_constraints: ClassVar[bool] = False

    def step(self, phase, forces_at, bonds, noise):
        keep = jnp.exp(-self.friction * self.dt / 2)
        width = jnp.sqrt((1 - keep**2) * self.kT * bonds.masses)[:, None, None]
        before, after = noise((2, *phase.momenta.shape), phase.momenta.dtype)
        momenta = keep * phase.momenta + width * before + self.dt / 2 * phase.forces
        positions = phase.positions + self.dt * bonds.velocities(momenta)
        forces = forces_at(positions)
        return Phase(positions, keep * (momenta + self.dt / 2 * forces) + width * after, forces)

    def reach(self, masses):
        return thermal_reach(masses, self.kT, self.dt)
'''

LEARNER = '''
"""A learner: the one feature that remembers itself longest."""

from dataclasses import dataclass

import numpy as np

from thalweg.time_series import Trajectories
from thalweg.units import Count


@dataclass(frozen=True)
class Persistence:
    lagtime: Count

    def fit(self, data):
        walks = [walk - np.mean(walk, axis=0) for walk in data.blocks]
        kept = sum((walk[: -self.lagtime] * walk[self.lagtime :]).sum(0) for walk in walks)
        return OneFeature(int(np.argmax(kept / sum((walk**2).sum(0) for walk in walks))))


@dataclass(frozen=True)
class OneFeature:
    column: int

    def transform(self, frames):
        return frames[:, self.column : self.column + 1]
'''

BASIS = '''
"""A basis: the cosine of every feature, shifted to where the data are."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Cosines:
    stretch: float = 1.0

    def fit(self, data):
        return CosineFunctions(np.concatenate(data.blocks).mean(0), self.stretch)


@dataclass(frozen=True, eq=False)
class CosineFunctions:
    center: np.ndarray
    stretch: float

    @property
    def names(self):
        return tuple(f"cos {i}" for i in range(len(self.center)))

    def __call__(self, frames):
        xp = frames.__array_namespace__()
        return xp.cos(self.stretch * (frames - xp.asarray(self.center, dtype=frames.dtype)) + 0.5)
'''

BIAS = '''
"""A bias: a ramp that pushes a variable up, never updated."""

from dataclasses import dataclass
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from thalweg.units import KilojoulesPerMole


@dataclass(frozen=True)
class Ramp:
    cites: ClassVar[tuple[str, ...]] = ("torrie1977",)
    slope: KilojoulesPerMole = 1.0

    def on(self, variable, limits, kT, dt):
        return RampBias(variable, self.slope)


class RampBias(eqx.Module):
    variable: object
    slope: float
    stride = None

    def init(self):
        return ()

    def energy(self, bias_state, values):
        return -self.slope * jnp.tanh(values[0])

    def update(self, bias_state, values):
        return bias_state
'''

FEATURES = '''
"""Features: distances of all heavy atoms to the first one."""

from dataclasses import dataclass

import numpy as np

from thalweg.geometry import Distances


@dataclass(frozen=True)
class FromFirst:
    def variable(self, topology):
        heavy = np.flatnonzero(np.asarray(topology.elements) != "H")
        return Distances([[int(heavy[0]), int(k)] for k in heavy[1:]], topology)

    def bounds(self, system, variable):
        return None
'''

LOOP = """
kind = "SlowVariableLoop"
walkers = 4
cycles = 1
swarm = "10 ps"
drive = "4 ps"
produce = "4 ps"
segment = "10 ps"
save_every = "0.2 ps"
lagtime = "1 ps"
states = 10
"""
SWARM = """
kind = "MarkovRestarts"
walkers = 4
swarms = 1
length = "10 ps"
save_every = "0.2 ps"
lagtime = "1 ps"
"""
DOORS = {
    "PlainWalks": (
        POLICY,
        "[campaign]\nkind = 'PlainWalks'\nwalkers = 4\nlength = '10 ps'\nsave_every = '0.2 ps'\nlagtime = '1 ps'\n",
    ),
    "OBABO": (
        INTEGRATOR,
        f"[campaign]{SWARM}[dynamics]\ndt = '1 fs'\nintegrator = {{kind = 'mine.OBABO'}}\n",
    ),
    "Persistence": (LEARNER, f"[campaign]{LOOP}[campaign.learner]\nkind = 'Persistence'\n"),
    "Cosines": (
        BASIS,
        f"[campaign]{LOOP}[campaign.learner]\nkind = 'VAC'\ndim = 1\n"
        "basis = {kind = 'mine.Cosines', stretch = 0.5}\n",
    ),
    "Ramp": (BIAS, f"[campaign]{LOOP}[campaign.bias]\nkind = 'mine.Ramp'\nslope = '2 kJ/mol'\n"),
    "FromFirst": (FEATURES, f"[features]\nkind = 'mine.FromFirst'\n[campaign]{SWARM}"),
}
"""Name of what is added -> the one new file, and the tables of a study that use it."""

COMMON = """
[system]
molecule = "alanine_dipeptide"
constraints = "none"
[execution]
workers = 1
[report]
clusters = 5
sets = 2
"""


@pytest.fixture
def written(tmp_path, monkeypatch):
    """``written(name)``: the folder with ``mine.py`` and ``study.toml``; nothing is named by the user yet."""
    monkeypatch.setenv(registry.WITH, "")

    def write(name: str) -> Path:
        plugin, tables = DOORS[name]
        (tmp_path / "mine.py").write_text(plugin)
        (tmp_path / "study.toml").write_text(tables + COMMON)
        return tmp_path

    return write


def thalweg(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """The installed command, run in ``folder``."""
    command = [str(Path(sys.executable).parent / "thalweg"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)


@pytest.mark.parametrize("name", DOORS)
def test_a_study_may_name_what_a_file_of_the_user_adds_and_nothing_without_it(written, name):
    folder = written(name)
    table = tomllib.loads((folder / "study.toml").read_text())
    with pytest.raises(StudyError, match="is unknown"):
        from_table(table)
    registry.name_files([folder / "mine.py"])
    study = from_table(table)
    assert f"mine.{name}" in json.dumps(study.tables)
    assert from_table(study.tables).tables == study.tables


@pytest.mark.long
@pytest.mark.parametrize("name", DOORS)
def test_one_new_file_adds_a_method_that_the_installed_command_runs_and_resumes(written, name):
    folder = written(name)
    shown = thalweg(folder, "run", "study.toml", "--with", "mine.py", "--out", "run")
    assert shown.returncode == 0, shown.stderr
    assert (folder / "run" / "report.html").is_file()
    digest = Store(folder / "run").digest()

    refused = thalweg(folder, "resume", "run")
    assert refused.returncode == 2
    assert (
        "was made with the plug-in mine.py; name yours: thalweg resume run --with mine.py" in refused.stderr
    )

    assert thalweg(folder, "resume", "run", "--with", "mine.py").returncode == 0
    assert Store(folder / "run").digest() == digest

    (folder / "mine.py").write_text(DOORS[name][0] + "\n# changed\n")
    assert "was made with another mine.py" in thalweg(folder, "resume", "run", "--with", "mine.py").stderr


def test_a_run_folder_cannot_name_a_plugin(written):
    folder = written("PlainWalks")
    (folder / "run").mkdir()
    tables = 'plugins = {mine = "0"}\n[campaign]\nkind = "mine.PlainWalks"\n' + COMMON
    (folder / "run" / "run.toml").write_text(tables)
    (folder / "run" / "mine.py").write_text("raise SystemExit('executed')")
    with pytest.raises(StudyError, match=r"was made with the plug-in mine\.py; name yours"):
        study_of(folder / "run")


@pytest.mark.parametrize("name", DOORS)
def test_methods_lists_what_a_file_adds(written, name):
    folder = written(name)
    shown = CliRunner().invoke(app, ["methods", "--with", str(folder / "mine.py")])
    assert shown.exit_code == 0, shown.output
    assert f"mine.{name}" in shown.stdout
