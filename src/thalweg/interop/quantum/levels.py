"""Levels of theory by the names people write: ``gfn2``, ``PBE0-D3BJ/def2-SVP``, ``CCSD(T)/cc-pVTZ``."""

from __future__ import annotations

from thalweg.interop.ase.named_calculator import NamedCalculator
from thalweg.interop.quantum.molecular_orbitals import DISPERSION, MolecularOrbitals
from thalweg.interop.quantum.tight_binding import METHODS, TightBinding
from thalweg.labeling.level import Level

SHORT = {"".join(each for each in name.lower() if each.isalnum()): name for name in METHODS}


def level_of(name: str, charge: int = 0, unpaired: int = 0) -> Level:
    """The level that is written ``name``.

    Parameters
    ----------
    name : a tight-binding method (``"gfn2"``, ``"GFN1-xTB"``), or a method of PySCF and a basis with a slash between
        them, dispersion after the method: ``"B3LYP-D3BJ/def2-TZVP"``; a solvent after ``in``; or a calculator of ASE
        and its settings, ``"ase:lj(sigma=2.5, epsilon=0.01)"``
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
    if name.startswith("ase:"):
        return _calculator_of(name.removeprefix("ase:"))
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


def _calculator_of(text: str) -> NamedCalculator:
    """``"lj(sigma=2.5)"`` as a calculator: numbers where they are numbers, words otherwise."""
    name, _, inside = text.partition("(")
    settings = []
    for part in filter(None, (each.strip() for each in inside.removesuffix(")").split(","))):
        key, equals, value = part.partition("=")
        if not equals:
            raise ValueError(f"{part!r} in ase:{text} is no setting; write ase:{name}(key=value, ...)")
        settings.append((key.strip(), _number_or_word(value.strip())))
    return NamedCalculator(name.strip(), tuple(settings))


def _number_or_word(text: str) -> float | int | bool | str:
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text
