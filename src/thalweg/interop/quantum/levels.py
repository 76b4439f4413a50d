"""Levels of theory by the names people write: ``gfn2``, ``PBE0-D3BJ/def2-SVP``, ``CCSD(T)/cc-pVTZ``."""

from __future__ import annotations

from thalweg.interop.quantum.molecular_orbitals import DISPERSION, MolecularOrbitals
from thalweg.interop.quantum.tight_binding import METHODS, TightBinding
from thalweg.labeling.level import Level

SHORT = {"".join(each for each in name.lower() if each.isalnum()): name for name in METHODS}


def level_of(name: str, charge: int = 0, unpaired: int = 0) -> Level:
    """The level that is written ``name``.

    Parameters
    ----------
    name : a tight-binding method (``"gfn2"``, ``"GFN1-xTB"``), or a method of PySCF and a basis with a slash between
        them, dispersion after the method: ``"B3LYP-D3BJ/def2-TZVP"``; a solvent after ``in``
    charge, unpaired : total charge [e] and unpaired electrons of frames that do not say theirs

    Raises
    ------
    ValueError
        If it is neither.

    Examples
    --------
    >>> level_of("gfn2").name, level_of("PBE0-D3BJ/def2-SVP in water").name
    ('GFN2-xTB', 'PBE0-D3BJ/def2-SVP in water')
    >>> level_of("PBE0")
    Traceback (most recent call last):
        ...
    ValueError: 'PBE0' is no level of theory; give gfn2, gfn1, ipea1, or a method and a basis as in PBE0/def2-SVP
    """
    plain = "".join(each for each in name.lower() if each.isalnum())
    for short, method in SHORT.items():
        if plain and plain in (short, short.removesuffix("xtb")):
            return TightBinding(method, charge=charge, unpaired=unpaired)
    before, _, solvent = name.partition(" in ")
    method, slash, basis = before.strip().partition("/")
    if not (method and slash and basis):
        raise ValueError(
            f"{name!r} is no level of theory; give gfn2, gfn1, ipea1, or a method and a basis as in PBE0/def2-SVP"
        )
    functional, _, last = method.rpartition("-")
    dispersion = last.lower() if functional and last.lower() in DISPERSION else ""
    return MolecularOrbitals(
        functional if dispersion else method,
        basis,
        dispersion,
        solvent.strip(),
        charge=charge,
        unpaired=unpaired,
        properties=() if method.upper() in ("MP2", "CCSD", "CCSD(T)") else ("dipole",),
    )
