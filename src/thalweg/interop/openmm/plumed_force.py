"""PLUMED's own bias inside OpenMM, without openmm-plumed: a ``PythonForce`` that asks the kernel [bonomi2009].

It needs the ``plumed`` wrapper of pip and a kernel that ``PLUMED_KERNEL`` names. Units agree: nm, kJ/mol, ps. PLUMED is
told OpenMM's step, and what grows does so once a step, however often forces or energies are asked for.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import openmm

from thalweg.units import KilojoulesPerMole, Picoseconds

LOG = "plumed.log"
"""File that PLUMED writes its own account to."""


def plumed_force(
    text: str,
    masses: np.ndarray,
    dt: Picoseconds,
    kT: KilojoulesPerMole,
    periodic: bool = False,
    restart: bool = False,
    log: str = LOG,
) -> openmm.PythonForce:
    """A force to be added to an ``openmm.System``, which acts as the PLUMED input ``text`` says.

    Parameters
    ----------
    text : as `plumed_bias_input` writes it, or any other input
    masses : (atoms,) [amu]
    dt : time step [ps]
    kT : of the bath [kJ/mol]
    periodic : whether the system has a box
    restart : whether files such as HILLS are read and gone on with
    log : file that PLUMED writes its account to

    Raises
    ------
    ImportError
        If there is no wrapper or no kernel; says how to get them.
    """
    force = openmm.PythonForce(
        _Asked(_kernel(), text, np.asarray(masses, float), dt, kT, periodic, restart, log)
    )
    force.setUsesPeriodicBoundaryConditions(periodic)
    return force


def _kernel() -> Any:
    """A new instance of PLUMED."""
    try:
        import plumed

        return plumed.Plumed()
    except (ImportError, RuntimeError) as trouble:
        raise ImportError(
            f"PLUMED is not there (PLUMED_KERNEL is {os.environ.get('PLUMED_KERNEL', 'not set')}); pip install plumed, "
            "and set PLUMED_KERNEL to the libplumedKernel.so of a build of PLUMED"
        ) from trouble


class _Asked:
    """What the force calls: positions in, energy and forces out."""

    def __init__(
        self,
        kernel: Any,
        text: str,
        masses: np.ndarray,
        dt: float,
        kT: float,
        periodic: bool,
        restart: bool,
        log: str,
    ):
        self.kernel, self.masses, self.periodic, self.last = kernel, masses, periodic, None
        count = len(masses)
        self.charges, self.forces = np.zeros(count), np.zeros((count, 3))
        self.box, self.virial, self.energy = np.zeros((3, 3)), np.zeros((3, 3)), np.zeros(1)
        settings = (("setNatoms", count), ("setMDEngine", "OpenMM"), ("setTimestep", dt), ("setKbT", kT))
        for command, value in (*settings, ("setRestart", int(restart)), ("setLogFile", log)):
            kernel.cmd(command, value)
        kernel.cmd("init")
        for line in text.splitlines():
            kernel.cmd("readInputLine", line)

    def __call__(self, state: Any) -> tuple[float, np.ndarray]:
        kernel, step = self.kernel, int(state.getStepCount())
        positions = np.ascontiguousarray(state.getPositions(asNumpy=True)._value, float)
        if self.periodic:
            self.box[:] = state.getPeriodicBoxVectors(asNumpy=True)._value
        self.forces[:], self.virial[:] = 0.0, 0.0
        for command, value in (
            ("setStep", step), ("setMasses", self.masses), ("setCharges", self.charges), ("setBox", self.box),
            ("setPositions", positions), ("setForces", self.forces), ("setVirial", self.virial),
        ):  # fmt: skip
            kernel.cmd(command, value)
        kernel.cmd("prepareCalc")
        kernel.cmd("performCalcNoUpdate")
        if step != self.last:  # what is asked for twice at a step grows once
            kernel.cmd("update")
        self.last = step
        kernel.cmd("getBias", self.energy)
        return float(self.energy[0]), self.forces.copy()
