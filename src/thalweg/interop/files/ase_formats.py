"""Which of ASE's formats are read: those whose readers take in text and numbers, and do nothing else.

ASE chooses a reader by the name and the first bytes of a file. Some readers do more than read: they unpickle, start
another program, or connect to a server. None of these is used for a file that may come from anywhere.
"""

from __future__ import annotations

from pathlib import Path

from ase.io.formats import UnknownFileTypeError, filetype

READABLE = (
    "abinit-in", "abinit-out", "aims", "aims-output", "castep-castep", "castep-geom", "castep-md", "cfg", "cif",
    "cjson", "cp2k-dcd", "cp2k-restart", "crystal", "cube", "db", "dftb", "dlp-history", "dlp4", "dmol-arc",
    "dmol-car", "dmol-incoor", "elk", "eon", "espresso-in", "espresso-out", "extxyz", "gaussian-in",
    "gaussian-out", "gen", "gpaw-out", "gpumd", "gromacs", "gromos", "json", "lammps-data",
    "lammps-dump-binary", "lammps-dump-text", "magres", "mol", "nwchem-in", "nwchem-out", "octopus-in",
    "onetep-in", "onetep-out", "orca-output", "proteindatabank", "qbox", "res", "rmc6f", "runnerdata", "sdf",
    "siesta-xv", "struct", "struct_out", "traj", "turbomole", "turbomole-gradient", "v-sim", "vasp", "vasp-out",
    "vasp-xdatcar", "vasp-xml", "xsd", "xsf", "xtd", "xyz",
)  # fmt: skip
"""Not among them: ``bundletrajectory`` (may be pickled), ``gpw`` and ``castep-cell`` (make calculators),
``gamess-us-out`` and ``-punch`` (know a shell), ``mysql`` and ``postgresql`` (connect), what other packages add."""


def readable_format(path: Path, given: str | None = None) -> str:
    """The format to read ``path`` in, ``given`` or found as ASE does.

    Raises
    ------
    ValueError
        If it is none of `READABLE`, or cannot be told.

    Examples
    --------
    >>> readable_format(Path("OUTCAR"))
    'vasp-out'
    """
    try:
        kind = given or filetype(str(path.absolute()))
    except UnknownFileTypeError as error:
        raise ValueError(
            f"{path}: the format cannot be told ({error}); give one by format = ..., or write extended XYZ"
        ) from None
    if kind not in READABLE:
        raise ValueError(
            f"{path} is in the format {kind!r}, which is not read here, since its reader may do more than read or is "
            "none of ASE's own; convert it to extended XYZ, with ase convert say"
        )
    return kind
