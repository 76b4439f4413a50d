"""OpenMM as an engine: its platforms and forces, our biases and energies through a ``PythonForce``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import singledispatch
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import openmm

from thalweg.dynamics.engine import Bias, Exchanging, Observer, Recording
from thalweg.dynamics.in_turn import BiasForce, Broken, Place, run_in_turn
from thalweg.dynamics.integrator import Integrator
from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.overdamped import Overdamped
from thalweg.dynamics.recording import check_integrator
from thalweg.dynamics.velocity_verlet import VelocityVerlet
from thalweg.interop.openmm.checked_xml import deserialized
from thalweg.interop.openmm.platforms import available_platforms, fastest_platform, reproducible
from thalweg.interop.openmm.system import is_barostat
from thalweg.potentials.energy import Energy, energy_and_forces
from thalweg.systems.box import reduced_box
from thalweg.systems.state import State
from thalweg.systems.system import System
from thalweg.units import BOLTZMANN

BIAS_GROUP = 31
NOT_THE_BIAS = 0xFFFFFFFF ^ (1 << BIAS_GROUP)
"""Force group of the bias, and the mask of all others, whose energy is recorded."""

CONSTRAINT_TOLERANCE = 1e-6
"""Relative, of constrained distances."""


class OpenMMEngine:
    """Runs the OpenMM ``System`` that a system was built from: all that OpenMM knows, such as PME and virtual sites.

    Replicas take turns in one context. Forces that remove the motion of the center of mass are taken out, since
    Langevin dynamics samples it.

    A barostat has the temperature of the integrator, and every replica a box and a context of its own. How far its
    trial moves go is not kept with the state: at each `run` it begins with 1 % of the volume and adapts from there, so
    that a run is a function of the state alone.

    Langevin dynamics is OpenMM's ``LangevinMiddleIntegrator``, which samples configurations as BAOAB does;
    velocity Verlet and Euler-Maruyama are written as custom integrators. A Python bias costs some 0.15 ms a
    step: for small molecules the native engine is the fast one.

    Parameters
    ----------
    system : System with ``openmm_xml``
    integrator : Langevin, VelocityVerlet, Overdamped, or another that `openmm_integrator` has been taught
    platform : name of an OpenMM platform; None takes the fastest for the size
    threads : of the CPU platform; with more than one, large systems go faster and no run can be had again exactly
    added : an energy of ours beside OpenMM's forces, such as a restraint or a learned correction

    Raises
    ------
    ValueError
        If the system does not come from OpenMM, the platform is not there, the integrator does not keep constraints or
        has no counterpart in OpenMM, or has no temperature for a barostat, or there is a second thermostat.
    """

    def __init__(
        self,
        system: System,
        integrator: Integrator,
        platform: str | None = None,
        added: Callable | None = None,
        threads: int = 1,
    ):
        if system.openmm_xml is None:
            raise ValueError(
                "this system was not built from an OpenMM System (its openmm_xml is None); build it with "
                "thalweg.interop.openmm.build.build_system, or run it with NativeEngine"
            )
        check_integrator(integrator, system.constraints)
        openmm_integrator(integrator)
        self.system, self.integrator, self.added, self.threads = system, integrator, added, threads
        self._openmm = _in_the_bath_of(integrator, deserialized(system.openmm_xml))
        self.platform = fastest_platform(self._openmm) if platform is None else _present(platform)

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

        if isinstance(bias, Exchanging) and not hasattr(openmm_integrator(self.integrator), "setTemperature"):
            raise ValueError(
                f"{type(self.integrator).__name__} dynamics keeps one temperature in OpenMM; use Langevin where "
                "replicas change places"
            )

        def walker(seed: int, force: BiasForce) -> _Contexts:
            periodic = state.box is not None

            def own() -> list[openmm.Force]:
                forces = [_python_force(force, BIAS_GROUP, periodic)] if force.acts else []
                if self.added is not None:
                    forces.append(_python_force(_OnAtoms(self.added), 0, periodic))
                return forces

            return _Contexts(self, seed, own)

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


class _Contexts:
    """The walker: one OpenMM context that replicas use in turn, or one for each where each has its barostat."""

    def __init__(self, engine: OpenMMEngine, seed: int, own: Callable[[], list[openmm.Force]]):
        self.engine, self.seed, self.own = engine, seed, own
        self.system = engine.system
        self.masses = np.asarray(self.system.masses, float)[:, None]
        self.contexts: dict[int, openmm.Context] = {}

    def advance(self, replica: int, place: Place, steps: int) -> Place:
        turn = replica if self.system.barostat is not None else 0
        if turn not in self.contexts:
            self.contexts[turn] = self._made(turn, place)
        context = self.contexts[turn]
        moving = self.masses > 0
        velocities = np.divide(place.momenta, self.masses, out=np.zeros_like(place.momenta), where=moving)
        try:
            _put(context, place.positions, place.box)
            if place.kT is not None:
                context.getIntegrator().setTemperature(place.kT / BOLTZMANN)
            context.setVelocities(velocities)
            context.applyConstraints(CONSTRAINT_TOLERANCE)
            context.computeVirtualSites()
            context.getIntegrator().step(steps)
            after = context.getState(positions=True, velocities=True)
            energy = context.getState(energy=True, groups=NOT_THE_BIAS).getPotentialEnergy()._value
        except openmm.OpenMMException as trouble:
            raise Broken(self._culprit(context, place, trouble)) from trouble
        box = None if place.box is None else after.getPeriodicBoxVectors(asNumpy=True)._value
        momenta = self.masses * after.getVelocities(asNumpy=True)._value
        return Place(after.getPositions(asNumpy=True)._value, momenta, box, energy)

    def _made(self, turn: int, place: Place) -> openmm.Context:
        """A context whose noise, and that of a barostat, follow from the seed and the replica."""
        system = openmm.XmlSerializer.clone(self.engine._openmm)
        for force in self.own():
            system.addForce(force)
        if place.box is not None:
            system.setDefaultPeriodicBoxVectors(*reduced_box(place.box))
        random = np.random.default_rng([self.seed, turn])
        for force in filter(is_barostat, system.getForces()):
            force.setRandomNumberSeed(int(random.integers(1, 2**31 - 1)))
        integrator = openmm_integrator(self.engine.integrator)
        integrator.setRandomNumberSeed(self.seed if turn == 0 else int(random.integers(1, 2**31 - 1)))
        integrator.setConstraintTolerance(CONSTRAINT_TOLERANCE)
        platform = openmm.Platform.getPlatform(self.engine.platform)
        return openmm.Context(system, integrator, platform, reproducible(platform, self.engine.threads))

    def _culprit(self, context: openmm.Context, place: Place, trouble: Exception) -> str:
        """The atom under the greatest strain at the last sound ``place``, or a box that has shrunk too far."""
        if "box size" in str(trouble):
            return (
                f"its box, which has shrunk to less than twice the cutoff; begin with more solvent: {trouble}"
            )
        _put(context, place.positions, place.box)
        forces = context.getState(forces=True).getForces(asNumpy=True)._value
        atom = int((forces**2).sum(1).argmax())
        return f"atom {atom} ({self.system.topology.label(atom)})"


def _put(context: openmm.Context, positions: np.ndarray, box: np.ndarray | None) -> None:
    if box is not None:
        context.setPeriodicBoxVectors(*reduced_box(box))
    context.setPositions(positions)


class _OnAtoms:
    """An energy of ours as OpenMM wants it."""

    def __init__(self, energy: Callable):
        self.energy = energy

    def __call__(self, positions: np.ndarray, box: np.ndarray | None) -> tuple[float, np.ndarray]:
        positions = jnp.asarray(positions, jnp.float32)
        cell = None if box is None else jnp.asarray(box, jnp.float32)
        if isinstance(self.energy, Energy):
            self.energy = self.energy.refreshed(positions, cell)
        energy, forces = _energy_and_forces(self.energy, positions, cell)
        return float(energy), np.asarray(forces, float)


_energy_and_forces = eqx.filter_jit(energy_and_forces)


def _python_force(function: Callable, group: int, periodic: bool) -> openmm.PythonForce:
    """A force from ``function(positions, box) -> energy, forces``; OpenMM's units are ours."""

    def of_state(state):
        box = state.getPeriodicBoxVectors(asNumpy=True)._value if periodic else None
        return function(state.getPositions(asNumpy=True)._value, box)

    force = openmm.PythonForce(of_state)
    force.setUsesPeriodicBoundaryConditions(periodic)
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
    steps.addUpdateContextState()
    steps.addComputePerDof("x", "x + mobility*dt*f + width*gaussian")
    return steps


def _in_the_bath_of(integrator: Integrator, system: openmm.System) -> openmm.System:
    """``system`` without motion removers, its barostats at the temperature of ``integrator``.

    Raises
    ------
    ValueError
        If it has a second thermostat, or a barostat and no bath to go with.
    """
    for k in reversed(range(system.getNumForces())):
        force = system.getForce(k)
        kind = type(force).__name__
        if isinstance(force, openmm.CMMotionRemover):
            system.removeForce(k)
        elif isinstance(force, openmm.AndersenThermostat):
            raise ValueError(
                f"the OpenMM System has an {kind} beside {type(integrator).__name__} dynamics; remove it: the "
                "integrator keeps the temperature"
            )
        elif is_barostat(force):
            kT = getattr(integrator, "kT", None)
            if kT is None:
                raise ValueError(
                    f"{type(integrator).__name__} dynamics has no temperature, which the {kind} of the OpenMM System "
                    "needs; use Langevin, or remove the barostat"
                )
            force.setDefaultTemperature(kT / BOLTZMANN)
    return system


def _present(platform: str) -> str:
    if platform not in (known := available_platforms()):
        raise ValueError(f"platform {platform!r} is not in this OpenMM; there are {', '.join(known)}")
    return platform
