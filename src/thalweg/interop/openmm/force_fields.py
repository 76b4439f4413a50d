"""Force field files of OpenMM: finding them, and saying which residue they do not know and why."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import openmm.app as app

from thalweg.interop.openmm.build_checks import BuildError
from thalweg.interop.openmm.checked_xml import force_field_documents

SHIPPED = Path(app.__file__).resolve().parent / "data"
"""Folder of the force field files that come with OpenMM."""

ADD_HYDROGENS = "set add_hydrogens = true"

WATER = ("HOH", "WAT", "SOL", "TIP3", "NA", "CL", "K")


def available_force_fields() -> list[str]:
    """Names of the force field files that come with OpenMM.

    Examples
    --------
    >>> "amber14/protein.ff14SB.xml" in available_force_fields()
    True
    """
    return sorted(str(path.relative_to(SHIPPED)) for path in SHIPPED.rglob("*.xml"))


def load_force_field(files: Sequence[str]) -> app.ForceField:
    """OpenMM's ``ForceField`` of the named files, or a `BuildError` that lists names close to a wrong one.

    A name of `available_force_fields` is always OpenMM's own file. Other names are paths, to files that may hold no
    program (`thalweg.interop.openmm.checked_xml`).
    """
    if isinstance(files, str) or not files:
        raise BuildError(
            f'forcefield = {files!r}; give a list such as ["amber14/protein.ff14SB.xml", "implicit/obc2.xml"]'
        )
    available = available_force_fields()
    for name in files:
        if name not in available and not Path(name).is_file():
            raise BuildError(f'there is no force field file "{name}"; {_closest(name, available)}')
    paths = [SHIPPED / name if name in available else Path(os.path.abspath(name)) for name in files]
    documents = force_field_documents(paths, SHIPPED)
    try:
        return app.ForceField(*documents)
    except Exception as error:
        raise BuildError(f"OpenMM cannot load {', '.join(files)}: {error}") from error


def explain_no_template(
    act: Callable,
    field: app.ForceField,
    topology: app.Topology,
    files: Sequence[str],
    adding_hydrogens: bool = False,
):
    """The result of ``act()``; where OpenMM finds no template for a residue, a `BuildError` saying why.

    Residues that the force field does not know at all are named before those that are incomplete, and where hydrogens
    are being added, those that lack only them are not named.
    """
    try:
        return act()
    except Exception as error:  # OpenMM raises bare Exceptions too
        strangers = field.getUnmatchedResidues(topology) if "No template found" in str(error) else []
        strangers.sort(key=lambda residue: bool(_candidates(residue, field)))
        reasons = (_why(residue, field) for residue in strangers)
        found = [reason for reason in reasons if not (adding_hydrogens and reason.endswith(ADD_HYDROGENS))]
        if not found:
            raise BuildError(f"OpenMM cannot apply {', '.join(files)} to this structure: {error}") from error
        raise BuildError(f"{found[0]} (force field: {', '.join(files)})") from error


def has_implicit_solvent(field: app.ForceField) -> bool:
    """Whether ``field`` has a generalized Born solvent, as a force or, in OpenMM's own files, made by a script."""
    makers = [type(generator).__name__ for generator in field.getGenerators()] + field._scripts
    return any("GB" in maker for maker in makers)


def _candidates(residue, field: app.ForceField) -> list:
    """Templates that ``residue`` is meant to match, by its name."""
    known = {template.name: template for template in field._templates.values()}
    return [known[name] for name in (residue.name, "N" + residue.name, "C" + residue.name) if name in known]


def _why(residue, field: app.ForceField) -> str:
    """Why ``residue`` matches no template of ``field`` and what to do about it."""
    named = f"residue {residue.name} {residue.id}"
    candidates = _candidates(residue, field)
    if residue.name in WATER and not candidates:
        return f"{named}: the force field has no water or ions; add amber14/tip3p.xml, say, or remove them"
    atoms = list(residue.atoms())
    loose = len(atoms) > 1 and not list(residue.internal_bonds())
    if not candidates:
        near = _closest(residue.name, [template.name for template in field._templates.values()])
        bonds = " and, as it has no bonds, CONECT records to the structure" if loose else ""
        return (
            f"{named} is unknown to the force field; {near}; rename it, or, if it is a ligand, add a file of its "
            "parameters to forcefield (openmmforcefields makes one with GAFF or OpenFF; hydrogens must be in the "
            f"structure) or use prmtop + inpcrd from AmberTools{bonds}"
        )
    if loose:
        return (
            f"{named} has {len(atoms)} atoms and no bonds; use the standard atom names or add CONECT records"
        )
    return _difference(named, {atom.name for atom in atoms}, atoms, candidates)


def _difference(named: str, names: set[str], atoms: Sequence, candidates: Sequence) -> str:
    hydrogens = [atom for atom in atoms if atom.element is app.element.hydrogen]

    def misfit(template) -> int:
        return len(names ^ {atom.name for atom in template.atoms})

    template = min(candidates, key=misfit)
    missing = [atom for atom in template.atoms if atom.name not in names]
    heavy = [atom.name for atom in missing if atom.element is not app.element.hydrogen]
    wanted = sum(atom.element is app.element.hydrogen for atom in template.atoms)
    heavy_atoms = sum(atom.element is not app.element.hydrogen for atom in template.atoms)
    if len(hydrogens) < wanted and len(atoms) - len(hydrogens) >= heavy_atoms:
        return f"{named} has {len(hydrogens)} of {wanted} hydrogens; {ADD_HYDROGENS}"
    if heavy:
        return (
            f"{named} lacks {', '.join(heavy)}; complete the structure (PDBFixer does) or rename the residue"
        )
    extra = sorted(names - {atom.name for atom in template.atoms})
    return (
        f"{named} does not match the template {template.name} (not in it: {', '.join(extra) or 'none'}); "
        "check protonation, chain ends and bonds to its neighbors"
    )


def _closest(name: str, known: Sequence[str]) -> str:
    by_stem = {Path(entry).name: entry for entry in known}
    near = difflib.get_close_matches(name, known, 6, 0.5)
    near += [by_stem[stem] for stem in difflib.get_close_matches(Path(name).name, list(by_stem), 6, 0.5)]
    if near:
        return f"names close to it: {', '.join(dict.fromkeys(near))}"
    return f"known names: {', '.join(sorted(known)[:30])}{' ...' if len(known) > 30 else ''}"
