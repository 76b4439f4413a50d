"""Other programs for rare events, each in a process of its own: what they choose, and what they sample.

The interpreter named by the environment variable ``THALWEG_PEERS`` runs them (this one if it is not set). WESTPA is
asked between short walks who goes on and with which weight, so that its walkers are moved by the dynamics that move
everybody's; openmm-opes brings its bias into OpenMM, which simulates one walker.

    with Peer("westpa") as peer:
        answer = peer.ask(seed=0, begins=begins, ends=ends, weights=weights)   # "parents" and their "weights"

As a script this file is the other side: ``python sampling_peers.py PEER`` answers each line of JSON by one. It imports
nothing of Thalweg.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np

BINS, TARGET = 5, 4
"""Of WESTPA: bins between the extremes along its coordinate, which have their own; walkers in each."""

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENMM_CPU_THREADS"), "1"
)


class Absent(RuntimeError):
    """A peer that is not here or does not run, with the reason."""


class Peer:
    """A peer's process, which answers questions one after the other."""

    def __init__(self, name: str):
        python = os.environ.get("THALWEG_PEERS", sys.executable)
        self.name = name
        self.process = subprocess.Popen(
            [python, __file__, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **ONE_THREAD},
        )

    def ask(self, **question: Any) -> dict[str, Any]:
        """The answer to a question; `Absent` if there is none."""
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(question), file=self.process.stdin, flush=True)
            if line := self.process.stdout.readline():
                return json.loads(line)
        said = (self.process.communicate()[1].strip().splitlines() or ["it said nothing"])[-1]
        raise Absent(f"{self.name} did not run: {said[:200]}")

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def _westpa() -> Callable[..., dict[str, Any]]:
    """Huber and Kim's weighted ensemble with minimal adaptive bins, one ensemble a seed."""
    import westpa
    from westpa.core.binning.mab import MABBinMapper
    from westpa.core.binning.mab_driver import MABDriver
    from westpa.core.segment import Segment
    from westpa.core.systems import WESTSystem

    system = WESTSystem(rc=westpa.rc)
    system.pcoord_ndim, system.pcoord_len, system.pcoord_dtype = 1, 2, np.float64
    system.bin_mapper = MABBinMapper([BINS])
    system.bin_target_counts = np.full(system.bin_mapper.nbins, TARGET)
    drivers: dict[int, MABDriver] = {}

    def next(seed, begins, ends, weights):
        if seed not in drivers:
            drivers[seed] = MABDriver(rc=westpa.rc, system=system)
            drivers[seed].rng = np.random.Generator(np.random.MT19937(seed))
        driver = drivers[seed]
        driver.new_iteration()
        driver.assign(
            [
                Segment(n_iter=1, seg_id=k, parent_id=k, weight=weight, pcoord=[[begin], [end]])
                for k, (begin, end, weight) in enumerate(zip(begins, ends, weights))
            ]
        )
        driver.construct_next()
        chosen = list(driver.next_iter_segments)
        return {
            "peer": f"westpa {version('westpa')}",
            "parents": [one.parent_id for one in chosen],
            "weights": [one.weight for one in chosen],
        }

    return next


def _openmm_opes() -> Callable[..., dict[str, Any]]:
    """OPES in OpenMM: frames of a walker on the plane of a potential, or the time of steps of alanine dipeptide."""
    import openmm
    from openmm import app, unit
    from openmm_opes import OPES

    def on_plane(energy, start, lower, upper, width, barrier, kT, dt, stride, steps, seed):
        # Brownian dynamics of a mass of one with a friction of kT has a diffusion constant of one
        temperature = kT * unit.kilojoules_per_mole / unit.MOLAR_GAS_CONSTANT_R
        integrator = openmm.BrownianIntegrator(temperature, kT / unit.picosecond, dt * unit.picoseconds)
        integrator.setRandomNumberSeed(seed + 1)
        system, topology = openmm.System(), app.Topology()
        system.addParticle(1.0)
        topology.addAtom("A", None, topology.addResidue("A", topology.addChain()))
        forces = [openmm.CustomExternalForce(text) for text in (energy, "x", "y")]
        for force in forces:
            force.addParticle(0, [])
        system.addForce(forces[0])
        axes = [app.BiasVariable(f, *ends, width, False, 101) for f, *ends in zip(forces[1:], lower, upper)]
        bias = OPES(system, axes, temperature, barrier, stride, None)
        simulation = app.Simulation(
            topology, system, integrator, openmm.Platform.getPlatformByName("Reference")
        )
        simulation.context.setPositions([[*start, 0.0]])
        frames, energies = [], []
        for _ in range(steps // stride):
            bias.step(simulation, stride)
            frames.append(list(bias.getCollectiveVariables(simulation)))
            energies.append(bias.getBiasEnergy(simulation.context).value_in_unit(unit.kilojoules_per_mole))
        told = f"openmm-opes {version('openmm-opes')}"
        return {"peer": told, "frames": frames, "bias": energies, "kernels": bias.getNumKernels()}

    def step_times(pdb, torsions, steps, platform):
        """Microseconds of a step without and with the bias, after it has grown for 10 000 steps."""
        structure, found = app.PDBFile(pdb), []
        for biased in (False, True):
            field = app.ForceField("amber14/protein.ff14SB.xml")
            system = field.createSystem(structure.topology, constraints=app.HBonds, hydrogenMass=3.0)
            axes = []
            for atoms in torsions:
                torsion = openmm.CustomTorsionForce("theta")
                torsion.addTorsion(*atoms, [])
                axes.append(app.BiasVariable(torsion, -np.pi, np.pi, 0.35, True, 101))
            bias = OPES(system, axes, 300.0, 50.0, 125, None) if biased else None
            integrator = openmm.LangevinMiddleIntegrator(300.0, 1.0, 0.004)
            simulation = app.Simulation(
                structure.topology, system, integrator, openmm.Platform.getPlatformByName(platform)
            )
            simulation.context.setPositions(structure.positions)
            step = simulation.step if bias is None else lambda n, b=bias, s=simulation: b.step(s, n)
            step(10_000)
            spent = time.process_time()
            step(steps)
            found.append(1e6 * (time.process_time() - spent) / steps)
        return {"peer": f"openmm-opes {version('openmm-opes')}", "microseconds": found}

    return lambda what, **question: {"on_plane": on_plane, "step_times": step_times}[what](**question)


PEERS = {"westpa": _westpa, "openmm-opes": _openmm_opes}
"""What answers, by the name of the program."""


def _answer(name: str) -> None:
    with contextlib.redirect_stdout(sys.stderr):
        peer = PEERS[name]()
    for line in sys.stdin:
        spent = time.process_time()
        with contextlib.redirect_stdout(sys.stderr):
            answer = peer(**json.loads(line))
        print(json.dumps(answer | {"seconds": time.process_time() - spent}), flush=True)


if __name__ == "__main__":
    _answer(sys.argv[1])
