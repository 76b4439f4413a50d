"""Sphinx settings: pages in Markdown, reference from docstrings."""

from thalweg import __version__

project = "Thalweg"
author = copyright = "the Thalweg authors"
version = release = __version__
extensions = [
    "myst_parser",
    "sphinx.ext.apidoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "Thalweg"
default_role = "code"
myst_enable_extensions = ["dollarmath"]
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_ivar = True
suppress_warnings = ["ref.python"]
apidoc_modules = [
    {"path": "../src/thalweg", "destination": "_api", "separate_modules": True, "include_private": False}
]
