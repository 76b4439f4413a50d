"""OpenMM as an engine: its platforms and forces, our biases and energies through a ``PythonForce``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import singledispatch
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import openmm

from thalweg.dynamics.engine import Bias, Observer, Recording
from thalweg.dynamics.in_turn import BiasForce, Broken, run_in_turn
from thalweg.dynamics.integrator import Integrator
from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.overdamped import Overdamped
from thalweg.dynamics.recording import check_integrator
from thalweg.dynamics.velocity_verlet import VelocityVerlet
from thalweg.interop.openmm.checked_xml import deserialized
from thalweg.potentials.energy import Energy, energy_and_forces
from thalweg.systems.state import State
from thalweg.systems.system import System
from thalweg.units import BOLTZMANN

SMALL = 350
SMALL_IN_SOLVENT = 170
"""Atoms up to which the Reference platform, with no threads to wait for, is the fastest on a processor."""

GRAPHICS = ("CUDA", "HIP", "OpenCL")
"""Platforms taken before any processor platform where they are there and the system is not small."""

TOLERANCE = 1e-3
"""Difference between OpenMM's forces and ours, relative to their size, that 32-bit numbers may explain."""

BIAS_GROUP = 31
NOT_THE_BIAS = 0xFFFFFFFF ^ (1 << BIAS_GROUP)
"""Force group of the bias, and the mask of all others, whose energy is recorded."""

CONSTRAINT_TOLERANCE = 1e-6
"""Relative, of constrained distances."""


class OpenMMEngine:
    """Runs the OpenMM ``System`` that a system was built from.

    Replicas take turns in one context. OpenMM's energy and forces are compared with our translation before
    anything runs. Forces that remove the motion of the center of mass are taken out, since Langevin dynamics
    samples it.

    Langevin dynamics is OpenMM's ``LangevinMiddleIntegrator``, which samples configurations as BAOAB does;
    velocity Verlet and Euler-Maruyama are written as custom integrators. A Python bias costs some 50 us a
    step: for small molecules the native engine is the fast one.

    Parameters
    ----------
    system : System with ``openmm_xml``
    integrator : Langevin, VelocityVerlet, Overdamped, or another that `openmm_integrator` has been taught
    platform : name of an OpenMM platform; None takes the fastest for the size
    added : an energy of ours beside OpenMM's forces, such as a restraint or a learned correction

    Raises
    ------
    ValueError
        If the system does not come from OpenMM or changes its box, the platform is not there, the integrator
        does not keep constraints or has no counterpart in OpenMM, or OpenMM's energy is not ours.
    """

    def __init__(
        self,
        system: System,
        integrator: Integrator,
        platform: str | None = None,
        added: Callable | None = None,
    ):
        if system.openmm_xml is None:
            raise ValueError(
                "this system was not built from an OpenMM System (its openmm_xml is None); build it with "
                "thalweg.interop.openmm.build.build_system, or run it with NativeEngine"
            )
        check_integrator(integrator, system.constraints)
        openmm_integrator(integrator)
        self.system, self.integrator, self.added = system, integrator, added
        self._openmm = _at_constant_volume(deserialized(system.openmm_xml))
        self.platform = _fastest(self._openmm) if platform is None else _present(platform)
        _compare(system, self._openmm)

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
        """Advance all replicas by ``steps``; see `thalweg.dynamics.engine.Engine.run`."""

        def walker(seed: int, force: BiasForce) -> _Context:
            own = [] if bias is None else [_python_force(force, BIAS_GROUP)]
            if self.added is not None:
                own.append(_python_force(_OnAtoms(self.added, state.box), 0))
            return _Context(self, seed, own, state.box)

        return run_in_turn(
            walker,
            self.system,
            self.integrator,
            state,
            steps,
            save_every=save_every,
            bias=bias,
            bias_state=bias_state,
            observers=observers,
        )


class _Context:
    """The walker: one OpenMM context that replicas use in turn."""

    def __init__(self, engine: OpenMMEngine, seed: int, own: list[openmm.Force], box):
        system = openmm.XmlSerializer.clone(engine._openmm)
        for force in own:
            system.addForce(force)
        if box is not None:
            system.setDefaultPeriodicBoxVectors(*np.asarray(box, float))
        self.system = engine.system
        self.masses = np.asarray(self.system.masses, float)[:, None]
        integrator = openmm_integrator(engine.integrator)
        integrator.setRandomNumberSeed(seed)
        integrator.setConstraintTolerance(CONSTRAINT_TOLERANCE)
        platform = openmm.Platform.getPlatform(engine.platform)
        self.context = openmm.Context(system, integrator, platform)

    def advance(self, positions, momenta, steps):
        context = self.context
        context.setPositions(positions)
        context.setVelocities(
            np.divide(momenta, self.masses, out=np.zeros_like(momenta), where=self.masses > 0)
        )
        try:
            context.applyConstraints(CONSTRAINT_TOLERANCE)
            context.getIntegrator().step(steps)
            after = context.getState(positions=True, velocities=True)
            energy = context.getState(energy=True, groups=NOT_THE_BIAS).getPotentialEnergy()
        except openmm.OpenMMException as trouble:
            raise Broken(self._culprit(positions)) from trouble
        velocities = after.getVelocities(asNumpy=True)._value
        return after.getPositions(asNumpy=True)._value, self.masses * velocities, energy._value

    def _culprit(self, positions) -> str:
        """The atom under the greatest strain at the last sound ``positions``."""
        self.context.setPositions(positions)
        forces = self.context.getState(forces=True).getForces(asNumpy=True)._value
        atom = int((forces**2).sum(1).argmax())
        return f"atom {atom} ({self.system.topology.label(atom)})"


class _OnAtoms:
    """An energy of ours as OpenMM wants it."""

    def __init__(self, energy: Callable, box):
        self.energy, self.box = energy, box

    def __call__(self, positions: np.ndarray) -> tuple[float, np.ndarray]:
        positions = jnp.asarray(positions, jnp.float32)
        if isinstance(self.energy, Energy):
            self.energy = self.energy.refreshed(positions, self.box)
        energy, forces = _energy_and_forces(self.energy, positions, self.box)
        return float(energy), np.asarray(forces, float)


_energy_and_forces = eqx.filter_jit(energy_and_forces)


def _python_force(function: Callable, group: int) -> openmm.PythonForce:
    """A force from ``function(positions) -> energy, forces``; OpenMM's units are ours."""
    force = openmm.PythonForce(lambda state: function(state.getPositions(asNumpy=True)._value))
    force.setForceGroup(group)
    return force


@singledispatch
def openmm_integrator(integrator: Integrator) -> openmm.Integrator:
    """The same dynamics in OpenMM, new at every call.

    An integrator of your own joins by ``@openmm_integrator.register`` above a function of one in its own file, that
    takes it and returns an ``openmm.CustomIntegrator``.

    Raises
    ------
    ValueError
        If OpenMM has no such dynamics.
    """
    raise ValueError(
        f"OpenMM's engine has no {type(integrator).__name__} dynamics; use Langevin, or the native engine"
    )


@openmm_integrator.register
def _(integrator: Langevin) -> openmm.Integrator:
    return openmm.LangevinMiddleIntegrator(integrator.kT / BOLTZMANN, integrator.friction, integrator.dt)


@openmm_integrator.register
def _(integrator: VelocityVerlet) -> openmm.Integrator:
    steps = openmm.CustomIntegrator(integrator.dt)
    steps.addPerDofVariable("free", 0)
    steps.addUpdateContextState()
    steps.addComputePerDof("v", "v + dt/2 * f/m")
    steps.addComputePerDof("x", "x + dt*v")
    steps.addComputePerDof("free", "x")
    steps.addConstrainPositions()
    steps.addComputePerDof("v", "v + dt/2 * f/m + (x - free)/dt")
    steps.addConstrainVelocities()
    return steps


@openmm_integrator.register
def _(integrator: Overdamped) -> openmm.Integrator:
    steps = openmm.CustomIntegrator(integrator.dt)
    steps.addGlobalVariable("mobility", integrator.diffusion / integrator.kT)
    steps.addGlobalVariable("width", float(np.sqrt(2 * integrator.diffusion * integrator.dt)))
    steps.addComputePerDof("x", "x + mobility*dt*f + width*gaussian")
    return steps


def _at_constant_volume(system: openmm.System) -> openmm.System:
    """``system`` without motion removers; refused if it has a barostat."""
    for k in reversed(range(system.getNumForces())):
        force = system.getForce(k)
        if isinstance(force, openmm.CMMotionRemover):
            system.removeForce(k)
        elif "Barostat" in type(force).__name__:
            raise ValueError(
                f"the OpenMM System has a {type(force).__name__}, but engines keep the box; remove it"
            )
    return system


def _present(platform: str) -> str:
    known = [openmm.Platform.getPlatform(k).getName() for k in range(openmm.Platform.getNumPlatforms())]
    if platform not in known:
        raise ValueError(f"platform {platform!r} is not in this OpenMM; there are {', '.join(known)}")
    return platform


def _fastest(system: openmm.System) -> str:
    """Name of the platform that is fastest for the size of ``system``."""
    solvent = any(isinstance(f, (openmm.GBSAOBCForce, openmm.CustomGBForce)) for f in system.getForces())
    if system.getNumParticles() <= (SMALL_IN_SOLVENT if solvent else SMALL):
        return "Reference"
    known = {openmm.Platform.getPlatform(k).getName() for k in range(openmm.Platform.getNumPlatforms())}
    return next((name for name in GRAPHICS if name in known), "CPU")


def _compare(system: System, openmm_system: openmm.System) -> None:
    """Raise ValueError unless OpenMM's energy and forces at the system's positions are ours."""
    platform = openmm.Platform.getPlatform(_fastest(openmm_system))
    context = openmm.Context(openmm_system, openmm.VerletIntegrator(1e-3), platform)
    context.setPositions(system.positions)
    if system.box is not None:
        context.setPeriodicBoxVectors(*np.asarray(system.box, float))
    theirs = context.getState(energy=True, forces=True)
    forces = theirs.getForces(asNumpy=True)._value
    positions = jnp.asarray(system.positions, jnp.float32)
    box = None if system.box is None else jnp.asarray(system.box, jnp.float32)
    energy, ours = _energy_and_forces(system.energy.refreshed(positions, box), positions, box)
    scale = 1.0 + np.sqrt((forces**2).mean())
    off = float(np.abs(np.asarray(ours) - forces).max() / scale)
    gap = float(energy) - theirs.getPotentialEnergy()._value
    if not (off < TOLERANCE and abs(gap) < TOLERANCE * scale * np.sqrt(len(forces))):
        raise ValueError(
            f"OpenMM and our translation disagree: energies by {gap:.4g} kJ/mol, forces by up to "
            f"{off:.2g} of their size; run it on one engine only, and report the force field"
        )
