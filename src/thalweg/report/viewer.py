"""A molecule that can be turned, alone or beside a map of structures: chemiscope's viewers, embedded in the page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template

import numpy as np

from thalweg.report.page_parts import gzipped
from thalweg.report.results import MolecularState, ViewerMolecule

ANGSTROM_PER_NM = 10.0


def viewer(molecule: ViewerMolecule, states: Sequence[MolecularState]) -> str:
    """Script elements showing the structures of ``states`` in the page's element ``viewer``."""
    template = Template((files("thalweg.report") / "viewer.html").read_text("utf-8"))
    data = json.dumps(_dataset(molecule, states)).replace("<", "\\u003c")
    return template.substitute(chemiscope=gzipped(_chemiscope_script()), structures=data)


def map_viewer(
    molecule: ViewerMolecule | Sequence[ViewerMolecule],
    structures: np.ndarray | Sequence[np.ndarray],
    properties: Mapping[str, np.ndarray],
    shown: Sequence[str],
) -> str:
    """Script elements with a map of structures in the page's element ``viewer``: every point is one, to be turned.

    Parameters
    ----------
    molecule : elements and bonds of all structures, or of each
    structures : (points, atoms, 3), or (atoms, 3) each [nm]
    properties : (points,) each, by name with unit
    shown : names of the properties along the axes, two or three, and of that which colors the points, the last one
    """
    template = Template((files("thalweg.report") / "map_viewer.html").read_text("utf-8"))
    axes = dict(zip("xyz", shown[:-1], strict=False))
    columns = {
        name: {"target": "structure", "values": [round(float(value), 5) for value in values]}
        for name, values in properties.items()
    }
    settings = {name: {"property": axis} for name, axis in axes.items()} | {
        "color": {"property": shown[-1]},
        "palette": "cividis",
        "size": {"factor": 40},
    }
    molecules = [molecule] * len(structures) if isinstance(molecule, ViewerMolecule) else molecule
    drawn = [_structure(*each) for each in zip(molecules, structures, strict=True)]
    data = _data(drawn, columns) | {"settings": {"map": settings, "structure": [_LOOK]}}
    text = json.dumps(data).replace("<", "\\u003c")
    return template.substitute(chemiscope=gzipped(_chemiscope_script()), structures=text)


_LOOK = {"bonds": True, "spaceFilling": False, "unitCell": False, "rotation": False, "keepOrientation": True}


def _dataset(molecule: ViewerMolecule, states: Sequence[MolecularState]) -> dict:
    """The structures of states, with one property naming the state."""
    structures = [_structure(molecule, each) for state in states for each in state.structures]
    names = [state.name for state in states for _ in state.structures]
    properties = {
        "state": {"target": "structure", "values": names},
        "number": {"target": "structure", "values": list(range(1, len(names) + 1))},
    }
    return _data(structures, properties) | {"settings": {"structure": [_LOOK]}}


def _data(structures: list[dict], properties: dict) -> dict:
    """Structures and their properties in chemiscope's input format."""
    return {"meta": {"name": "structures"}, "structures": structures, "properties": properties}


def _structure(molecule: ViewerMolecule, positions: np.ndarray) -> dict:
    """One structure, coordinates in ångström."""
    x, y, z = (positions * ANGSTROM_PER_NM).round(3).T.tolist()
    return {
        "size": len(molecule.elements),
        "names": list(molecule.elements),
        "x": x,
        "y": y,
        "z": z,
        "bonds": [[int(i), int(j), 1] for i, j in molecule.bonds],
    }


def _chemiscope_script() -> str:
    """The standalone JavaScript that ships inside the chemiscope package."""
    package = find_spec("chemiscope")
    assert package is not None
    assert package.submodule_search_locations is not None
    home = Path(package.submodule_search_locations[0])
    return (home / "sphinx" / "static" / "chemiscope.min.js").read_text("utf-8")
