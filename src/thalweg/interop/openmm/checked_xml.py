"""XML from elsewhere, given to OpenMM only in a form that can hold no program.

Two kinds of OpenMM's XML can: a force field may carry scripts, which OpenMM executes, and an expression that it
evaluates; a serialized ``System`` may carry a ``PythonForce``, which is unpickled. Files are therefore parsed here,
refused if they hold such a thing, and handed on as written anew from what was parsed, so that nothing hides in what
one parser reads otherwise than the other. Document types are refused too: no such file needs entities.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import openmm

from thalweg.interop.openmm.build_checks import BuildError

SCRIPTS = ("Script", "InitializationScript")
"""Elements of a force field that OpenMM executes."""

EVALUATED = "useDispersionCorrection"
"""Attribute of a force field that OpenMM evaluates as Python."""

PICKLED = "PythonForce"
"""The force whose function is kept pickled."""

PLAIN = re.compile(r"True|False|[01]")

OF_PARTICLES = ("Angle", "Bond", "Constraint", "Exception", "Exclusion", "Torsion")
"""Elements of a serialized system whose attributes ``p1``, ``p2``, ... are numbers of particles."""

SMALLEST_GRID = 7
"""Rows and columns of a grid of two torsions without which OpenMM's splines read beyond it."""

HOLDERS = ("CollectiveVariable", "Force")
"""Elements that stand around a force of another force; OpenMM reads through one that is empty into nowhere."""


def force_field_documents(paths: Sequence[Path], shipped: Path) -> list[str | io.StringIO]:
    """What to give to OpenMM's ``ForceField`` for the files at ``paths``, in their order, each once.

    Files that come with OpenMM are given by their path; others as text without includes, followed by what they include.

    Parameters
    ----------
    paths : absolute paths
    shipped : folder of the files that come with OpenMM

    Raises
    ------
    BuildError
        If a file is no XML, holds a program, or includes one that is neither beside it nor comes with OpenMM.
    """
    documents: dict[Path, str | io.StringIO] = {}
    waiting = list(paths)
    while waiting:
        file = waiting.pop(0)
        if file in documents:
            continue
        if file.is_relative_to(shipped):
            documents[file] = str(file)
            continue
        root = _parsed(file)
        _check_force_field(root, file)
        for entry in root.findall("Include"):
            waiting.append(_included(entry.get("file", ""), file, shipped))
            root.remove(entry)
        documents[file] = io.StringIO(ElementTree.tostring(root, encoding="unicode"))
    return list(documents.values())


def included_neighbors(file: Path, shipped: Path) -> dict[str, Path]:
    """Files beside ``file`` that it includes, and those that they include, by the names they are included by.

    Raises
    ------
    BuildError
        If a file is no XML, or includes one that is neither beside it nor comes with OpenMM.
    """
    neighbors: dict[str, Path] = {}
    waiting = [file]
    while waiting:
        current = waiting.pop()
        for entry in _parsed(current).findall("Include"):
            name = entry.get("file", "")
            path = _included(name, current, shipped)
            if name not in neighbors and not path.is_relative_to(shipped):
                neighbors[name] = path
                waiting.append(path)
    return neighbors


def system_document(path: Path) -> openmm.System:
    """The ``System`` that OpenMM's ``XmlSerializer`` wrote into the file ``path``.

    Raises
    ------
    BuildError
        If it holds something else, a force that is none of OpenMM's own or runs Python, or one that OpenMM cannot
        compute, of particles that are not there say.
    """
    root = _parsed(path, "XML written by OpenMM's XmlSerializer")
    kind = root.get("type", root.tag)
    if kind != "System":
        raise BuildError(f"{path} holds a {kind}; serialize the System itself")
    _check_system(root, path)
    try:
        system = deserialized(ElementTree.tostring(root, encoding="unicode"))
    except openmm.OpenMMException as error:
        raise BuildError(f"{path} is not XML written by OpenMM's XmlSerializer: {error}") from None
    if not isinstance(system, openmm.System):
        raise BuildError(f"{path} holds a {type(system).__name__}; serialize the System itself")
    require_computable(system, path)
    return system


def require_computable(system: openmm.System, path: str | os.PathLike) -> None:
    """Raise a `BuildError` if the file at ``path`` made a ``system`` that OpenMM cannot compute.

    What the numbers in it refer to, particles that are not there say, is looked at when OpenMM prepares to compute,
    but for the particles of angles: those are looked at here.
    """
    particles = system.getNumParticles()
    for force in system.getForces():
        if isinstance(force, openmm.HarmonicAngleForce):
            for k in range(force.getNumAngles()):
                three = force.getAngleParameters(k)[:3]
                if not 0 <= min(three) <= max(three) < particles:
                    raise BuildError(
                        f"{path} holds an angle between particles {three}; they are numbered 0 to {particles - 1}"
                    )
    try:
        openmm.Context(system, openmm.VerletIntegrator(1e-3), openmm.Platform.getPlatform("Reference"))
    except openmm.OpenMMException as error:
        raise BuildError(
            f"{path} holds a System that OpenMM cannot compute: {error}; write it again"
        ) from None


def deserialized(xml: str) -> Any:
    """What OpenMM's ``XmlSerializer`` wrote as ``xml``, which comes from this package.

    Raises
    ------
    BuildError
        If it mentions a force that runs Python.

    Examples
    --------
    >>> deserialized(openmm.XmlSerializer.serialize(openmm.System())).getNumParticles()
    0
    """
    if PICKLED in xml:
        raise BuildError(_refusal("the serialized system", f"a {PICKLED}, a pickled function"))
    return openmm.XmlSerializer.deserialize(xml)


def _parsed(path: Path, expected: str = "XML") -> ElementTree.Element:
    """The root of an XML file without a document type; ``expected`` is what an error says it should be.

    Raises
    ------
    BuildError
        If the file is no XML or defines a document type.
    """
    builder = _WithoutDoctype(path)
    try:
        return ElementTree.parse(path, ElementTree.XMLParser(target=builder)).getroot()
    except BuildError:
        raise
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise BuildError(f"{path} is not {expected}: {error}; check the file") from None


class _WithoutDoctype(ElementTree.TreeBuilder):
    """Builds the tree of a document, and stops at the definition of its type, where entities would be defined."""

    def __init__(self, path: Path):
        super().__init__()
        self.path = path

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise BuildError(f"{self.path} defines a document type (<!DOCTYPE {name} ...>); remove it")


def _check_force_field(root: ElementTree.Element, path: Path) -> None:
    for element in root.iter():
        if element.tag in SCRIPTS:
            raise BuildError(_refusal(path, f"a <{element.tag}>, a program that OpenMM would execute"))
        value = element.get(EVALUATED)
        if value is not None and not PLAIN.fullmatch(value):
            raise BuildError(
                _refusal(path, f"{EVALUATED} = {value!r}, which OpenMM would execute; write True or False")
            )


def _check_system(root: ElementTree.Element, path: Path) -> None:
    """Refuse forces that run programs or are unknown, and what OpenMM would follow to memory that is not there."""
    particles = len(root.findall("Particles/Particle"))
    for element in root.iter():
        found = element.get("type")
        if PICKLED in (element.tag, found):
            raise BuildError(_refusal(path, f"a {PICKLED}, a pickled function that would be executed"))
        if element.tag in HOLDERS and found is None:
            if [child.tag for child in element] != ["Force"]:
                raise BuildError(f"{path} holds a {element.tag} without its one force; write it again")
        elif element.tag == "Force" and not _is_force(found or ""):
            raise BuildError(
                f"{path} holds a force of the type {found!r}, which is none of OpenMM's own; remove it"
            )
        elif element.tag in OF_PARTICLES:
            _check_particles(element, particles, path)
        elif element.tag == "TorsionTorsionGrid":
            _check_grid(element, path)


def _check_particles(element: ElementTree.Element, particles: int, path: Path) -> None:
    """Not every force looks at the numbers of its particles before it goes to them."""
    for name, text in element.items():
        of_particle = name[0] == "p" and name[1:].isdecimal()
        if of_particle and not (text.isdecimal() and len(text) < 10 and int(text) < particles):
            raise BuildError(
                f"{path} holds a {element.tag} with {name} = {text!r}; particles are numbered 0 to {particles - 1}"
            )


def _check_grid(grid: ElementTree.Element, path: Path) -> None:
    """Rows and columns are numbered from zero, all rows are of one length, and none are too few for the splines."""
    rows = [[column.get("dim") for column in row.findall("ColumnNode")] for row in grid.findall("RowNode")]
    numbers = [row.get("dim") for row in grid.findall("RowNode")]
    if (
        any(each != [str(k) for k in range(len(each))] for each in (numbers, *rows))
        or len({*map(len, rows)}) != 1
    ):
        raise BuildError(f"{path} holds a TorsionTorsionGrid with rows or columns missing; write it again")
    if min(len(rows), len(rows[0])) < SMALLEST_GRID:
        raise BuildError(
            f"{path} holds a TorsionTorsionGrid of {len(rows)} x {len(rows[0])} points; OpenMM needs {SMALLEST_GRID} "
            "each way"
        )


def _included(name: str, file: Path, shipped: Path) -> Path:
    """The file that ``file`` includes by ``name``, in the order in which OpenMM looks for it."""
    for folder in (file.parent, shipped):
        if name and (folder / name).is_file():
            return Path(os.path.abspath(folder / name))
    raise BuildError(
        f'{file} includes "{name}", which is neither beside it nor comes with OpenMM; put it there'
    )


def _is_force(name: str) -> bool:
    """Whether ``name`` is a force of OpenMM itself, and not one of a plug-in."""
    found = vars(openmm).get(name)
    return isinstance(found, type) and issubclass(found, openmm.Force) and found.__module__ == "openmm.openmm"


def _refusal(where: object, what: str) -> str:
    return f"{where} holds {what}: refused, since no file but those of OpenMM itself may run a program; remove it"
