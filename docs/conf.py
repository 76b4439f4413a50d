"""Sphinx settings: pages in Markdown, one page of reference per room from its face, and the works cited."""

from __future__ import annotations

import importlib
import re
from collections import Counter
from pathlib import Path

from thalweg import __version__
from thalweg.references import references
from thalweg.registry import ROOMS

project = "Thalweg"
author = copyright = "the Thalweg authors"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "Thalweg"
default_role = "code"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
autodoc_typehints = "none"
autodoc_member_order = "groupwise"
autodoc_default_options = {"members": True, "undoc-members": True}
napoleon_google_docstring = False
napoleon_use_ivar = True
suppress_warnings = [
    "ref.python"
]  # what stands where a type may stand is prose here: "features : names of ..."

PAGES = Path(__file__).parent / "_api"
NAME = re.compile(r"(?<![`:\w])`(\w+)`(?!`)")
CITATION = re.compile(r"\[([a-z]+[0-9]{4}[a-z]?)\]")


def room_page(room: str) -> str:
    """The page of a room: what its face says, and everything on it."""
    name = f"thalweg.{room}"
    return f"{name}\n{'=' * len(name)}\n\n.. automodule:: {name}\n"


def references_page() -> str:
    """All works that docstrings cite, each with a place to link to."""
    works = "\n".join(f".. _{key}:\n\n**{key}**\n    {work}\n" for key, work in references().items())
    return f"References\n==========\n\n{works}"


def write_pages(app) -> None:
    """Write the pages that are made from the package, where they differ from what is there."""
    PAGES.mkdir(exist_ok=True)
    index = "Rooms\n=====\n\n.. toctree::\n   :maxdepth: 1\n\n" + "".join(f"   {room}\n" for room in ROOMS)
    pages = {room: room_page(room) for room in ROOMS} | {"rooms": index, "references": references_page()}
    for name, text in pages.items():
        path = PAGES / f"{name}.rst"
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
    for path in PAGES.iterdir():
        if path.stem not in pages:
            path.unlink()


def link_docstrings(app, what, name, thing, options, lines) -> None:
    """``[key]`` in a docstring becomes a link to the work, a back-ticked name that is on a face one to its page."""
    for number, line in enumerate(lines):
        cited = CITATION.sub(r":ref:`[\1] <\1>`", line)
        lines[number] = NAME.sub(lambda found: app.links.get(found[1], found[0]), cited)


def skip_member(app, what, name, thing, skip, options) -> bool | None:
    """Leave out what scikit-learn puts on its estimators, whose docstrings link into its own pages."""
    return True if re.fullmatch(r"set_\w+_request", name) else None


def links() -> dict[str, str]:
    """Name -> link to it, for names that are on the face of one room."""
    on_faces = [(name, room) for room in ROOMS for name in importlib.import_module(f"thalweg.{room}").__all__]
    count = Counter(name for name, _ in on_faces)
    return {name: f":py:obj:`{name} <thalweg.{room}.{name}>`" for name, room in on_faces if count[name] == 1}


def setup(app) -> dict[str, bool]:
    app.links = links()
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-skip-member", skip_member)
    app.connect("autodoc-process-docstring", link_docstrings)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
