"""The one internal system of units, and the door through which all others enter.

Inside: nm, ps, amu, kJ/mol, elementary charge, radian (those of OpenMM and MDTraj). Temperature enters as ``kT``.
Values with a unit, ``"300 K"`` or ``"2 fs"``, are read by `quantity`; nothing else in the package converts.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

BOLTZMANN = 8.31446261815324e-3
"""Boltzmann's (molar gas) constant, CODATA 2018 [kJ/mol/K]."""

COULOMB = 138.93545764438198
"""1 / (4 pi epsilon_0), CODATA 2018 [kJ nm / (mol e^2)]."""

ANGSTROM = 0.1
"""One ångström [nm]."""

ELECTRONVOLT = 96.48533212331002
"""One electronvolt per particle [kJ/mol]."""

KILOCALORIE = 4.184
"""One thermochemical kilocalorie per mole [kJ/mol]."""

HARTREE = 2625.4996394798254
"""One Hartree per particle, CODATA 2018 [kJ/mol]."""

BOHR = 0.0529177210903
"""One Bohr radius, CODATA 2018 [nm]."""

DEBYE = 0.020819433
"""One debye [e nm]."""

HBAR = 0.06350779923
"""Reduced Planck constant per mole, CODATA 2018 [kJ ps/mol]."""

WAVENUMBER = 0.1883651567
"""Angular frequency of one wavenumber, 2 pi c [rad/ps per 1/cm]."""

GIGAPASCAL = 602.214076
"""One gigapascal [kJ/mol/nm^3]."""

BAR = 0.0602214076
"""One bar [kJ/mol/nm^3]."""

MOLAR = 0.602214076
"""One mole per liter [1/nm^3]."""

GRAM_PER_CUBIC_CENTIMETER = 602.214076
"""One gram per cubic centimeter [amu/nm^3]."""

DEGREE = 0.017453292519943295
"""One degree [radian]."""

AKMA_TIME = 0.04888821
"""CHARMM's unit of time: Å sqrt(amu mol / kcal) [ps]."""

DIMENSIONS = {
    "temperature": {"K": 1.0},
    "time": {"ps": 1.0, "fs": 1e-3, "ns": 1e3, "us": 1e6, "ms": 1e9, "s": 1e12},
    "rate": {"/ps": 1.0, "1/ps": 1.0, "/fs": 1e3, "1/fs": 1e3, "/ns": 1e-3, "1/ns": 1e-3},
    "length": {"nm": 1.0, "A": ANGSTROM, "Å": ANGSTROM, "angstrom": ANGSTROM, "pm": 1e-3, "bohr": BOHR},
    "energy": {
        "kJ/mol": 1.0,
        "kcal/mol": KILOCALORIE,
        "eV": ELECTRONVOLT,
        "meV": 1e-3 * ELECTRONVOLT,
        "Ha": HARTREE,
        "Hartree": HARTREE,
        "Ry": HARTREE / 2,
    },
    "diffusion": {"nm^2/ps": 1.0, "nm^2/ns": 1e-3, "um^2/s": 1e-6, "cm^2/s": 100.0},
    "mass": {"amu": 1.0, "Da": 1.0, "dalton": 1.0},
    "concentration": {"M": MOLAR, "mM": 1e-3 * MOLAR, "mol/l": MOLAR, "/nm^3": 1.0},
    "angle": {"rad": 1.0, "deg": DEGREE, "degrees": DEGREE},
    "data": {"GB": 1.0, "MB": 1e-3, "TB": 1e3, "PB": 1e6},
}
"""Accepted units of each dimension, as multiples of the internal one."""

LONG_TIMES = (("s", 1e12), ("ms", 1e9), ("µs", 1e6), ("ns", 1e3))
"""Units of time above one picosecond [ps], the longest first."""

DIMENSIONS["force"] = {
    f"{energy}/{length}": one / other
    for energy, one in DIMENSIONS["energy"].items()
    for length, other in DIMENSIONS["length"].items()
}
DIMENSIONS["stress"] = {
    f"{energy}/{length}^3": one / other**3
    for energy, one in DIMENSIONS["energy"].items()
    for length, other in DIMENSIONS["length"].items()
} | {"GPa": GIGAPASCAL, "kbar": 1e3 * BAR, "bar": BAR, "atm": 1.01325 * BAR}

WORDS = {
    "kelvin": "K", "femtosecond": "fs", "picosecond": "ps", "nanosecond": "ns", "microsecond": "us", "µs": "us",
    "μs": "us", "millisecond": "ms", "second": "s", "nanometer": "nm", "picometer": "pm", "ångström": "Å",
    "electronvolt": "eV", "hartree": "Ha", "degree": "deg", "radian": "rad",
}  # fmt: skip
"""Units as some write them, also in the plural -> their symbols."""


class InFrames(float):
    """A time counted in frames, since the time between them was not given; no unit of time is written with it.

    Examples
    --------
    >>> type(5 * ONE_FRAME).__name__, 5 * ONE_FRAME
    ('InFrames', 5.0)
    """

    def __mul__(self, other: Any) -> Any:
        product = super().__mul__(other)
        return product if product is NotImplemented else InFrames(product)

    __rmul__ = __mul__


ONE_FRAME = InFrames(1.0)
"""The time between frames where none was given."""


@dataclass(frozen=True)
class Dimension:
    """What kind of quantity a parameter is, said in its type: ``cutoff: Nanometers``. In a study it has a unit.

    Attributes
    ----------
    name : a key of `DIMENSIONS`
    """

    name: str


@dataclass(frozen=True)
class AtLeast:
    """The least value of a parameter, in internal units: ``Annotated[int, AtLeast(1)]``.

    Quantities in studies are positive unless their type says otherwise, by this mark or by `AnySign`.
    """

    least: int | float


_Type = TypeVar("_Type")
AnySign = Annotated[_Type, AtLeast(-math.inf)]
"""A quantity that may be negative: ``shift: AnySign[Radians]``."""

InCode = Annotated[_Type, "in code only"]
"""A parameter that no file gives: ``checkpoint: InCode[Path | None]``."""

Count = Annotated[int, AtLeast(1)]
"""A whole number of at least one."""

Kelvin = Annotated[float, Dimension("temperature")]
Picoseconds = Annotated[float, Dimension("time")]
PerPicosecond = Annotated[float, Dimension("rate")]
Nanometers = Annotated[float, Dimension("length")]
SquareNanometersPerPicosecond = Annotated[float, Dimension("diffusion")]
KilojoulesPerMole = Annotated[float, Dimension("energy")]
Daltons = Annotated[float, Dimension("mass")]
Radians = Annotated[float, Dimension("angle")]
Gigabytes = Annotated[float, Dimension("data")]
KilojoulesPerMolePerCubicNanometer = Annotated[float, Dimension("stress")]
PerCubicNanometer = Annotated[float, Dimension("concentration")]
KilojoulesPerMolePerNanometer = Annotated[float, Dimension("force")]


def duration(time: float, like: float | None = None) -> str:
    """A time [ps] in the unit that suits its size; in frames if it, or a time ``like`` it, is counted in them.

    Examples
    --------
    >>> duration(12.345), duration(2.5e4), duration(1.2e6), duration(40.0, ONE_FRAME), duration(ONE_FRAME)
    ('12.35 ps', '25 ns', '1.2 µs', '40 frames', '1 frame')
    """
    if time != time:
        return "none"
    if isinstance(time if like is None else like, InFrames):
        return f"{time:.4g} frame{'' if time == 1 else 's'}"
    size = next(((name, size) for name, size in LONG_TIMES if abs(time) >= size), ("ps", 1.0))
    return f"{time / size[1]:.4g} {size[0]}"


def unit_of(time: float) -> str:
    """The unit in which a time is counted: "ps", or "frames" where the time between frames was not given.

    Examples
    --------
    >>> unit_of(2.0), unit_of(5 * ONE_FRAME)
    ('ps', 'frames')
    """
    return "frames" if isinstance(time, InFrames) else "ps"


def unit(name: str, dimension: str) -> float:
    """One ``name`` in internal units.

    Raises
    ------
    ValueError
        If no unit of that dimension, a key of `DIMENSIONS`, is called so.

    Examples
    --------
    >>> round(unit("Ha/bohr", "force") / unit("eV/Å", "force"), 4)
    51.4221
    """
    accepted = DIMENSIONS[dimension]
    name = _symbol(name, dimension)
    if name not in accepted:
        raise ValueError(f"{name!r} is no unit of {dimension} known here; use one of {', '.join(accepted)}")
    return accepted[name]


def quantity(text: str, dimension: str) -> float:
    """The value of ``text`` in internal units.

    Parameters
    ----------
    text : str
        A number and a unit, such as ``"300 K"`` or ``"2 fs"``.
    dimension : str
        A key of `DIMENSIONS`.

    Raises
    ------
    ValueError
        If the text is no number with a unit of that dimension.

    Examples
    --------
    >>> quantity("2 fs", "time"), quantity("2 femtoseconds", "time")
    (0.002, 0.002)
    """
    accepted = DIMENSIONS[dimension]
    wanted = f'a {dimension} such as "1 {next(iter(accepted))}" (units known: {", ".join(accepted)})'
    if not isinstance(text, str):
        raise ValueError(f"got {text!r} without a unit; give {wanted}")
    match = re.fullmatch(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(\S+)\s*", text)
    if match is None or (name := _symbol(match[2], dimension)) not in accepted:
        raise ValueError(f"cannot read {text!r}; give {wanted}")
    value = float(match[1]) * accepted[name]
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is beyond all numbers; give {wanted}")
    return value


def _symbol(name: str, dimension: str) -> str:
    """The symbol of a unit that is spelled out, ``name`` itself where it is none."""
    if name in DIMENSIONS[dimension]:
        return name
    return WORDS.get(name, WORDS.get(name.removesuffix("s"), name))


def whole_multiple(time: Picoseconds, step: Picoseconds, what: str) -> int:
    """How many times ``step`` makes ``time``, both in one unit.

    Raises
    ------
    ValueError
        If it is no whole number of at least one; ``what`` is what the time is called.

    Examples
    --------
    >>> whole_multiple(1.0, 0.002, "save_every")
    500
    >>> whole_multiple(1.001, 0.002, "save_every")
    Traceback (most recent call last):
    ValueError: save_every = 1.001 ps is no whole number of 0.002 ps; give a multiple of that
    """
    number = round(time / step) if math.isfinite(time / step) else 0
    if number < 1 or not math.isclose(number * step, time, rel_tol=1e-6):
        raise ValueError(f"{what} = {time:g} ps is no whole number of {step:g} ps; give a multiple of that")
    return number


def thermal_energy(temperature: float) -> float:
    """``kT`` [kJ/mol] at a temperature [K].

    Examples
    --------
    >>> round(thermal_energy(300.0), 4)
    2.4943
    """
    return BOLTZMANN * temperature
