"""LAMMPS [thompson2022] as an engine: whatever it knows of energies, behind the usual interface, with our biases.

LAMMPS runs blocks that end where a frame or a deposit is due; each begins by building its neighbor lists anew. It runs
in one process, the pip wheel on one core.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import singledispatch
from typing import Any

import numpy as np

from thalweg.dynamics.engine import Bias, Exchanging, Observer, Recording
from thalweg.dynamics.in_turn import BiasForce, Broken, Place, run_in_turn
from thalweg.dynamics.integrator import Integrator
from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.recording import check_integrator
from thalweg.dynamics.velocity_verlet import VelocityVerlet
from thalweg.interop.lammps.driver import ENERGY_UNITS, cell_of
from thalweg.interop.lammps.lammps_input import LAMMPSInput, unwrapped
from thalweg.machine.surviving import reason
from thalweg.systems.state import State
from thalweg.systems.system import System
from thalweg.units import ANGSTROM, BOLTZMANN

PICOSECOND = {"metal": 1.0, "real": 1000.0}
"""One picosecond in the unit of time of LAMMPS's systems of units."""

FIX = "thalweg_bias"


class LAMMPSEngine:
    """Runs what a script and a data file of LAMMPS describe.

    Langevin dynamics is ``fix langevin`` with ``fix nve``, whose configurations are wrong by order dt, as those of ASE
    are; the volume stays. Bonds are free.

    Parameters
    ----------
    system : as `LAMMPSInput.system` gives it
    integrator : Langevin or VelocityVerlet
    given : script and data

    Raises
    ------
    ValueError
        If LAMMPS has no such integrator.
    """

    def __init__(self, system: System, integrator: Integrator, given: LAMMPSInput):
        check_integrator(integrator, system.constraints)
        _fixes(integrator, 1, 1.0)
        self.system, self.integrator, self.given = system, integrator, given

    def run(
        self,
        state: State,
        steps: int,
        *,
        save_every: int,
        bias: Bias | None = None,
        bias_state: Any = None,
        observers: Sequence[Observer] = (),
    ) -> Recording:
        """Advance all replicas by ``steps``; see `thalweg.dynamics.engine.Engine.run`.

        Raises
        ------
        ValueError
            If replicas are to change places.
        """
        if isinstance(bias, Exchanging):
            raise ValueError("LAMMPS keeps one temperature; let replicas change places in another engine")
        return run_in_turn(
            lambda seed, force: _Instance(self, seed, force),
            self.system,
            self.integrator,
            state,
            steps,
            save_every=save_every,
            bias=bias,
            bias_state=bias_state,
            observers=observers,
        )


class _Instance:
    """The walker: one LAMMPS that replicas use in turn, a new one after one that has broken."""

    def __init__(self, engine: LAMMPSEngine, seed: int, force: BiasForce):
        self.engine, self.force, self.lammps = engine, force, None
        self.random = np.random.default_rng(seed)

    def advance(self, replica: int, place: Place, steps: int) -> Place:
        lammps = self.lammps = self._made() if self.lammps is None else self.lammps
        cell, _ = cell_of(lammps)
        if place.box is not None and not np.allclose(place.box, cell * ANGSTROM, atol=1e-5):
            raise ValueError(
                f"the state has the box {place.box.tolist()} nm and the data file {(cell * ANGSTROM).tolist()} nm; "
                "LAMMPS keeps its own: start from the system of the data file"
            )
        masses, speed = self.engine.system.masses[:, None], PICOSECOND[lammps.extract_global("units")]
        _scatter(lammps, "x", place.positions / ANGSTROM)
        _scatter(lammps, "image", np.zeros(place.positions.shape, np.int32))
        _scatter(lammps, "v", place.momenta / masses / (ANGSTROM * speed))
        try:
            lammps.command(f"run {steps}")
        except Exception as trouble:
            self.lammps = None
            raise Broken(f"an atom of which LAMMPS says: {reason(trouble)}") from trouble
        velocities = np.array(lammps.gather_atoms("v", 1, 3)[:]).reshape(-1, 3) * (ANGSTROM * speed)
        energy = lammps.get_thermo("pe") * ENERGY_UNITS[lammps.extract_global("units")]
        return Place(unwrapped(lammps, cell) * ANGSTROM, masses * velocities, place.box, energy)

    def _made(self) -> Any:
        lammps = self.engine.given.opened()
        picosecond = PICOSECOND[lammps.extract_global("units")]
        lammps.command(f"timestep {self.engine.integrator.dt * picosecond:.17g}")
        for fix in _fixes(self.engine.integrator, int(self.random.integers(1, 2**31 - 1)), picosecond):
            lammps.command(fix)
        if self.force.acts:
            lammps.command(f"fix {FIX} all external pf/callback 1 1")
            lammps.set_fix_external_callback(FIX, self._act, lammps)
        return lammps

    def _act(
        self, lammps: Any, step: int, atoms: int, tags: np.ndarray, positions: np.ndarray, forces: np.ndarray
    ) -> None:
        """What LAMMPS calls at every step: forces of the bias are written into ``forces``."""
        order = np.argsort(tags)
        cell, periodic = cell_of(lammps)
        packed = np.array(lammps.numpy.extract_atom("image")[:atoms]).ravel()
        images = np.stack([(packed & 1023) - 512, (packed >> 10 & 1023) - 512, (packed >> 20) - 512], 1)
        places = (positions + images @ cell)[order] * ANGSTROM
        box = cell * ANGSTROM if all(periodic) else None
        forces[order] = self.force(places, box)[1] * (ANGSTROM / ENERGY_UNITS[lammps.extract_global("units")])


def _scatter(lammps: Any, name: str, values: np.ndarray) -> None:
    """Give all atoms, by tag, three numbers each."""
    whole = values.dtype.kind == "i"
    kind = ctypes.c_int if whole else ctypes.c_double
    flat = (kind * values.size)(*values.ravel().tolist())
    lammps.scatter_atoms(name, 0 if whole else 1, 3, flat)


@singledispatch
def _fixes(integrator: Integrator, seed: int, picosecond: float) -> tuple[str, ...]:
    """Commands for the same dynamics, with noise from ``seed``.

    Raises
    ------
    ValueError
        If LAMMPS has no such dynamics.
    """
    raise ValueError(
        f"LAMMPS's engine has no {type(integrator).__name__} dynamics; use Langevin, or the native engine"
    )


@_fixes.register
def _(integrator: VelocityVerlet, seed: int, picosecond: float) -> tuple[str, ...]:
    return ("fix thalweg_move all nve",)


@_fixes.register
def _(integrator: Langevin, seed: int, picosecond: float) -> tuple[str, ...]:
    kelvin, damping = integrator.kT / BOLTZMANN, picosecond / integrator.friction
    noise = seed % 900_000_000 + 1  # LAMMPS takes no larger ones
    bath = f"fix thalweg_bath all langevin {kelvin:.17g} {kelvin:.17g} {damping:.17g} {noise}"
    return ("fix thalweg_move all nve", bath)
