"""A molecule that can be turned: representative structures for chemiscope's viewer, embedded in the page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template

from thalweg.report.page_parts import gzipped
from thalweg.report.results import MolecularState, ViewerMolecule

ANGSTROM_PER_NM = 10.0


def viewer(molecule: ViewerMolecule, states: Sequence[MolecularState]) -> str:
    """Script elements showing the structures of ``states`` in the page's element ``viewer``."""
    template = Template((files("thalweg.report") / "viewer.html").read_text("utf-8"))
    data = json.dumps(_dataset(molecule, states)).replace("<", "\\u003c")
    return template.substitute(chemiscope=gzipped(_chemiscope_script()), structures=data)


def _dataset(molecule: ViewerMolecule, states: Sequence[MolecularState]) -> dict:
    """The structures in chemiscope's input format: coordinates in ångström, one property naming the state."""
    structures, names = [], []
    for state in states:
        for positions in state.structures:
            x, y, z = (positions * ANGSTROM_PER_NM).round(3).T.tolist()
            structures.append(
                {
                    "size": len(molecule.elements),
                    "names": list(molecule.elements),
                    "x": x,
                    "y": y,
                    "z": z,
                    "bonds": [[int(i), int(j), 1] for i, j in molecule.bonds],
                }
            )
            names.append(state.name)
    return {
        "meta": {"name": "representative structures"},
        "structures": structures,
        "properties": {
            "state": {"target": "structure", "values": names},
            "number": {"target": "structure", "values": list(range(1, len(names) + 1))},
        },
        "settings": {
            "structure": [
                {
                    "bonds": True,
                    "spaceFilling": False,
                    "unitCell": False,
                    "rotation": False,
                    "keepOrientation": True,
                }
            ]
        },
    }


def _chemiscope_script() -> str:
    """The standalone JavaScript that ships inside the chemiscope package."""
    package = find_spec("chemiscope")
    assert package is not None
    assert package.submodule_search_locations is not None
    home = Path(package.submodule_search_locations[0])
    return (home / "sphinx" / "static" / "chemiscope.min.js").read_text("utf-8")
