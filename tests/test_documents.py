"""What pages show works: their Python runs, their commands and studies are read, their links and names lead somewhere.

The Python of a page runs from top to bottom in one namespace and one folder, where files of the names it reads lie. A
block that begins with ``# name.py`` or ``# name.toml`` is a file of that name. A block that cannot run everywhere says
so in its first line, which the reader sees as well.
"""

from __future__ import annotations

import builtins
import importlib
import inspect
import os
import re
import sys
import tomllib
import types
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import typer

from thalweg import registry
from thalweg.cli.main import app
from thalweg.interop import read_topology, read_trajectory, write_configurations, write_trajectory
from thalweg.learned_potentials import LearnedPotential, stillinger_weber_silicon
from thalweg.learning.familiar_names import FAMILIAR
from thalweg.studies import fit_from_table, load, potential_study_from_table, swarm_study_from_table
from thalweg.studies.tables.coarse_study import coarse_study_from_table
from thalweg.studies.tables.loop_study import loop_study_from_table
from thalweg.studies.tables.protein_study import protein_study_from_table
from thalweg.systems import Configuration

CHECKOUT = Path(__file__).parents[1]
PAGES = [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^    .*\n)+", re.MULTILINE)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"\]\(([^)\s]+)\)")
FILE = re.compile(r"# (\w+\.(?:py|toml))\n")
NOT_RUN = "# not run by the tests: "
PROGRAMS = {
    "ASE", "DISTANCE", "TORSION", "COMBINE", "CUSTOM", "SocketClient", "RUN", "metad", "rbias", "TYR1", "MET5",
}  # fmt: skip
"""Names that pages speak of and that are other programs', or stand for something of the reader's."""


@dataclass(frozen=True)
class Block:
    """Code on a page; ``line`` is where it begins."""

    page: Path
    line: int
    language: str
    text: str


def blocks(page: Path, *languages: str) -> list[Block]:
    text = page.read_text("utf-8")
    return [
        Block(page, text[: found.start()].count("\n") + 1, found[1], found[2])
        for found in FENCED.finditer(text)
        if found[1] in languages
    ]


def prose(page: Path) -> str:
    return FENCED.sub("", page.read_text("utf-8"))


def with_python() -> list[object]:
    """Pages with Python."""
    return [pytest.param(page, id=page.stem) for page in PAGES if blocks(page, "python")]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """A folder with files of the names that pages read: a peptide, walks of it, labeled silicon, a potential of it."""
    folder = tmp_path_factory.mktemp("prepared")
    random = np.random.default_rng(0)
    peptide = files("thalweg.testsystems") / "structures" / "met_enkephalin.pdb"
    for name in ("protein.pdb", "peptide.pdb"):
        (folder / name).write_bytes(peptide.read_bytes())
    topology = read_topology(folder / "protein.pdb")
    start = read_trajectory(folder / "protein.pdb", topology).positions
    for name in ("run-1.xtc", "run-2.xtc"):
        steps = random.normal(scale=0.002, size=(60, *start.shape[1:]))
        write_trajectory(folder / name, start + steps.cumsum(0), topology)
    frames = silicon(200, random)
    write_configurations(folder / "frames.xyz", frames)
    return folder


def silicon(count: int, random: np.random.Generator) -> list[Configuration]:
    """Distorted cells of eight atoms, with labels of a known potential."""
    sites = (
        np.array([[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0], [1, 1, 1], [1, 3, 3], [3, 1, 3], [3, 3, 1]]) / 4
    )
    cell, truth = 0.5431 * np.eye(3), LearnedPotential({14: 0.0}, (stillinger_weber_silicon(),))
    places = sites @ cell + random.normal(scale=0.01, size=(count, 8, 3))
    frames = [Configuration(np.full(8, 14), points, cell, (True,) * 3) for points in places]
    labels = truth.evaluate(frames)
    return [
        replace(frame, energy=float(energy), forces=forces)
        for frame, energy, forces in zip(frames, labels.energies, labels.forces)
    ]


@pytest.fixture
def folder(prepared, tmp_path, monkeypatch) -> Path:
    """A folder to work in, with the prepared files, where files of a page can be imported and named by the user."""
    for path in prepared.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv(registry.WITH, raising=False)
    return tmp_path


def laid(page: Path, folder: Path) -> list[Path]:
    """The files that a page shows, written to ``folder``."""
    written = []
    for block in blocks(page, "python", "toml"):
        if name := FILE.match(block.text):
            written.append(folder / name[1])
            written[-1].write_text(block.text, "utf-8")
    return written


@pytest.mark.long
@pytest.mark.parametrize("page", with_python())
def test_python_of_a_page_runs(page, folder, monkeypatch):
    mine = [path.stem for path in laid(page, folder)]
    module = types.ModuleType(f"page_{page.stem.replace('-', '_')}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for block in blocks(page, "python"):
        if not FILE.match(block.text) and not block.text.startswith(NOT_RUN):
            exec(compile("\n" * block.line + block.text, page, "exec"), vars(module))
    for name in mine:
        sys.modules.pop(name, None)


def test_few_blocks_are_not_run_and_they_say_why():
    marked = [b for page in PAGES for b in blocks(page, "python") if b.text.startswith(NOT_RUN)]
    assert len(marked) <= 2
    assert all(len(block.text.split("\n")[0]) > len(NOT_RUN) + 10 for block in marked)


@pytest.mark.parametrize(
    "block", [pytest.param(b, id=f"{b.page.stem}:{b.line}") for page in PAGES for b in blocks(page, "toml")]
)
def test_a_study_on_a_page_is_read(block, folder, monkeypatch):
    plugins = [path for path in laid(block.page, folder) if path.suffix == ".py"]
    monkeypatch.setenv(registry.WITH, os.pathsep.join(map(str, plugins)))
    table = tomllib.loads(block.text)
    if "data" in table:
        assert fit_from_table(table, block.page.stem).learner is not None
    elif "potential" in table and "campaign" in table:
        assert loop_study_from_table(table).sampling["campaign"]["kind"]
    elif "potential" in table:
        assert potential_study_from_table(table).potential.what
    elif "binding" in table:
        assert swarm_study_from_table(table).binding.shell
    elif "mapping" in table:
        assert coarse_study_from_table(table).mapping is not None
    elif "trajectories" in table:
        assert protein_study_from_table(table).model.features
    else:
        study = folder / "as_on_the_page.toml"
        study.write_text(block.text, "utf-8")
        assert load(study).campaign is not None


def commands(page: Path) -> list[list[str]]:
    """Words of each command of this package that a page shows, its comment or explanation left out."""
    text = page.read_text("utf-8")
    shown = [b.text for b in blocks(page, "", "sh", "bash", "console")] + INDENTED.findall(prose(page))
    lines = [line.strip() for part in shown for line in part.replace("\\\n", " ").split("\n")]
    lines += [code for code in INLINE.findall(text) if code.startswith("thalweg ")]
    found = []
    for line in lines:
        if line.startswith("thalweg "):
            code = re.split(r"\s{2,}|\s#", re.sub(r"\s+(?=--)", " ", line))[0]
            first, *others = code.split(" | ")
            found += [first.split()[1:], *(other.split() for other in others)]
    return found


@cache
def known_commands() -> dict[str, set[str]]:
    """Name of each command, such as ``"affinity fit"`` -> its options."""
    groups = {
        name: getattr(own, "commands", {"": own})
        for name, own in typer.main.get_command(app).commands.items()
    }
    return {
        f"{name} {below}".strip(): {option for parameter in command.params for option in parameter.opts}
        for name, group in groups.items()
        for below, command in group.items()
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_of_a_page_exist(page):
    for name, *words in commands(page):
        if name == "--version":
            continue
        if any(known.startswith(f"{name} ") for known in known_commands()):
            name = " ".join([name, *words[:1]])
        assert name in known_commands(), f"there is no command thalweg {name}"
        options = {word.split("=")[0] for word in words if word.startswith("--")}
        assert options <= known_commands()[name] | {"--help"}, f"thalweg {name} has no {options}"


@cache
def known_names() -> frozenset[str]:
    """Names on faces, of their parameters and attributes, and of Python."""
    names = set(dir(builtins)) | PROGRAMS | set(registry.ROOMS)
    names |= {name for row in FAMILIAR for name in row.theirs.split()}
    for room in registry.ROOMS:
        face = importlib.import_module(f"thalweg.{room}")
        for name in face.__all__:
            thing = getattr(face, name)
            names |= {name, *dir(thing)}
            if callable(thing) and not (isinstance(thing, type) and issubclass(thing, Exception)):
                names |= set(inspect.signature(thing).parameters)
    return frozenset(names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_back_ticked_names_of_a_page_are_there(page):
    """Calls, attributes, names with capitals or underscores; words, file names and values are not looked up."""
    shown = " ".join(block.text for block in blocks(page, "python", "toml"))
    unknown = []
    for code in INLINE.findall(prose(page)):
        called = re.match(r"([A-Za-z_][\w.]*)(?:\(|$)", code)
        if called is None or Path(code).suffix in {
            ".md",
            ".toml",
            ".py",
            ".pyi",
            ".xtc",
            ".html",
            ".thalweg",
            ".cff",
        }:
            continue
        parts = [part for part in called[1].removeprefix("thalweg.").split(".") if part]
        looks_like_code = re.search(r"[A-Z_]|\(|\.", code) is not None
        there = all(part in known_names() or re.search(rf"\b{part}\b", shown) for part in parts)
        if looks_like_code and not there and not (CHECKOUT / "src" / "thalweg" / "/".join(parts)).exists():
            unknown.append(code)
    assert not unknown


@pytest.mark.parametrize("page", [*PAGES, CHECKOUT / "CHANGELOG.md"], ids=lambda page: page.stem)
def test_links_of_a_page_lead_somewhere(page):
    for target in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            assert re.fullmatch(r"https://[\w.-]+\.[a-z]{2,}(/\S*)?|mailto:\S+@\S+", target), target
        else:
            assert (page.parent / target.partition("#")[0]).exists(), target


def test_every_page_is_in_the_table_of_contents():
    contents = (CHECKOUT / "docs" / "index.md").read_text("utf-8")
    assert all(
        f"\n{page.stem}\n" in contents
        for page in PAGES
        if page.parent.name == "docs" and page.stem != "index"
    )
