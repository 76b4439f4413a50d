"""What all engines do alike around a run: check what they are given, gather chunks into one recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from thalweg.dynamics.engine import Exchanging, Recording
from thalweg.dynamics.integrator import Integrator
from thalweg.systems.state import State
from thalweg.systems.system import Constraints, System


def check_integrator(integrator: object, constraints: Constraints) -> None:
    """Raise ValueError if ``integrator`` is none, or does not keep ``constraints``."""
    name = type(integrator).__name__
    if not isinstance(integrator, Integrator):
        raise ValueError(
            f"{name} is no integrator; give one, such as Langevin(kT=2.494, dt=0.002), or any class with dt, "
            "supports_constraints, step and reach"
        )
    if len(constraints.pairs) and not integrator.supports_constraints:
        raise ValueError(
            f"{name} dynamics given with {len(constraints.pairs)} constraints, which it does not keep; "
            "use Langevin, or a system without constraints"
        )


def check_kept_box(system: System, engine: str) -> None:
    """Raise ValueError if ``system`` has a barostat, which ``engine`` does not."""
    if system.barostat is not None:
        raise ValueError(
            f"the system has a {system.barostat}, but {engine} keeps the box; use the OpenMM engine "
            '(engine = "openmm" in a study), or remove the barostat for constant volume'
        )


def check_start(state: State, steps: int, save_every: int, n_atoms: int) -> None:
    """Raise ValueError if a run cannot start; see `thalweg.dynamics.engine.Engine.run`."""
    if save_every < 1 or steps < save_every or steps % save_every:
        raise ValueError(
            f"steps={steps} with save_every={save_every} is no whole number of frames; "
            "use a positive multiple of save_every"
        )
    if state.positions.ndim != 3 or state.positions.shape[0] != n_atoms:
        raise ValueError(
            f"positions of shape {state.positions.shape} given to a system of {n_atoms} atoms; "
            "they must be (atoms, dims, replicas), replicas last"
        )
    if state.momenta.shape != state.positions.shape:
        raise ValueError(
            f"momenta of shape {state.momenta.shape} beside positions of shape {state.positions.shape}; "
            "make them with thermal_state or as zeros of the same shape"
        )
    replicas = state.positions.shape[2]
    if state.box is not None and np.shape(state.box) not in ((3, 3), (3, 3, replicas)):
        raise ValueError(
            f"a box of shape {np.shape(state.box)} beside {replicas} replicas; give (3, 3), or (3, 3, {replicas}) "
            "where each has its own"
        )
    for name, array in (("positions", state.positions), ("momenta", state.momenta)):
        bad = np.argwhere(~np.isfinite(np.asarray(array)))
        if len(bad):
            atom, _, replica = bad[0].tolist()
            raise ValueError(
                f"{name} are not finite, first at atom {atom} of replica {replica}; "
                "mend the starting structure"
            )


def check_ladder(bias: object, bias_state: object, replicas: int, integrator: object) -> None:
    """Raise ValueError if replicas cannot change places on the ladder ``bias``; nothing else is looked at."""
    if not isinstance(bias, Exchanging):
        return
    if not hasattr(integrator, "kT"):
        raise ValueError(
            f"{type(integrator).__name__} dynamics has no temperature, which replicas on a ladder need; use Langevin"
        )
    standing = np.shape(bias.rungs(bias_state))
    if standing != (replicas,):
        raise ValueError(
            f"{replicas} replicas for a ladder on which {standing[0] if standing else 1} stand; start as many"
        )


def joined(chunks: Sequence[Recording]) -> Recording:
    """Consecutive recordings as one."""
    arrays = {
        name: np.concatenate([getattr(chunk, name) for chunk in chunks], axis=1)
        for name in ("positions", "values", "energy", "bias_energy")
    }
    if chunks[0].boxes is not None:
        arrays["boxes"] = np.concatenate([chunk.boxes for chunk in chunks], axis=1)
    if chunks[0].rungs is not None:
        arrays["rungs"] = np.concatenate([chunk.rungs for chunk in chunks], axis=1)
    if chunks[0].log_path is not None:
        ends = np.cumsum(
            [np.zeros(len(chunks[0].valid)), *(chunk.log_path[:, -1:].sum(1) for chunk in chunks[:-1])],
            axis=0,
        )
        running = [end[:, None] + chunk.log_path for end, chunk in zip(ends, chunks)]
        arrays["log_path"] = np.concatenate(running, axis=1)
    return replace(chunks[-1], **arrays, valid=sum(chunk.valid for chunk in chunks))


def farewell(replica: int, step: int, dt: float, atom: str) -> str:
    """The sentence about a replica that diverged after its last sound step ``step``."""
    return (
        f"replica {replica} broke after step {step} (t = {step * dt:.6g} ps), worst at {atom}; "
        "its frames end before that. Minimize the start, or use a smaller time step"
    )
