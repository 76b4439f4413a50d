"""Biases as PLUMED input [bonomi2009], after the lines of the variable: a campaign of ours, gone on with elsewhere.

=============================================  ==========================================
`WellTemperedMetadynamics`                     ``METAD`` on a grid, walkers in a folder
`EnhancedProbability` (`OPES`, `OPESExplore`)  ``OPES_METAD``, ``OPES_METAD_EXPLORE``
`HarmonicRestraint`, `MovingRestraint`         ``RESTRAINT``, ``MOVINGRESTRAINT``, which moves at every step
`Walls`                                        ``UPPER_WALLS``, ``LOWER_WALLS``
`SumOfBiases`                                  one after the other
`FrozenBias` of metadynamics                   ``EXTERNAL``, from a grid file
=============================================  ==========================================

What had grown comes along: deposited Gaussians as a HILLS file (`thalweg.interop.files.hills`), or the bias at the
nodes of its grid by `write_plumed_grid`, which ``METAD`` starts from (``GRID_RFILE``) and ``EXTERNAL`` stays at.
PLUMED's own units are ours. Beyond the limits of a bounded value our metadynamics has walls, which are written as
``UPPER_WALLS`` and ``LOWER_WALLS``.

GROMACS and LAMMPS take such a file by ``mdrun -plumed plumed.dat`` and ``fix plumed``.
"""

from __future__ import annotations

from functools import singledispatch
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.dynamics.engine import Bias
from thalweg.interop.formulas.plumed import plumed_input
from thalweg.machine.whole_files import write_whole
from thalweg.sampling.bias.frozen import FrozenBias
from thalweg.sampling.bias.metadynamics import MetadynamicsState, WellTemperedMetadynamics
from thalweg.sampling.bias.moving import MovingRestraint
from thalweg.sampling.bias.opes import EnhancedProbability
from thalweg.sampling.bias.sum_of_biases import SumOfBiases
from thalweg.sampling.bias.umbrella import HarmonicRestraint
from thalweg.sampling.bias.walls import Walls
from thalweg.units import BOLTZMANN


def plumed_bias_input(
    bias: Bias,
    name: str = "cv",
    periodic: bool = True,
    grid: str | None = None,
    walkers: tuple[int, int] | None = None,
    print_every: int | None = None,
) -> str:
    """A whole PLUMED input: the variable of ``bias``, and the bias.

    Parameters
    ----------
    bias : one of the module's table
    name : of the values of the variable, as in `plumed_input`
    periodic : whether nearest images are meant where the engine has a box
    grid : name of the file that `write_plumed_grid` has written, to start from what has grown; ``EXTERNAL`` needs one
    walkers : number of this walker and of all, which read each other's Gaussians in the folder ``..``
    print_every : steps between lines of ``COLVAR``; none if None

    Raises
    ------
    thalweg.interop.formulas.traced.NoFormula
        If the variable has no formula.
    ValueError
        If PLUMED has no such bias.

    Examples
    --------
    >>> from thalweg.geometry.variables import Distances
    >>> print(plumed_bias_input(HarmonicRestraint(Distances([[0, 1]]), [0.3], [500.0])))
    # cv: 0..1
    d0_1: DISTANCE ATOMS=1,2
    cv: CUSTOM ARG=d0_1 VAR=d0_1 FUNC=d0_1 PERIODIC=NO
    restraint: RESTRAINT ARG=cv AT=0.3 KAPPA=500
    """
    count = len(bias.variable.names)
    arguments = ",".join([name] if count == 1 else [f"{name}{k + 1}" for k in range(count)])
    lines = [plumed_input(bias.variable, name, periodic), *_written(bias, arguments, grid, walkers)]
    if print_every is not None:
        lines.append(f"PRINT ARG={arguments},*.bias STRIDE={print_every} FILE=COLVAR")
    return "\n".join(lines)


@singledispatch
def _written(bias: Bias, arguments: str, grid: str | None, walkers: tuple[int, int] | None) -> list[str]:
    """Lines of a bias, whose arguments have these labels."""
    raise ValueError(
        f"PLUMED has no {type(bias).__name__} that is the same; there are METAD, OPES_METAD, RESTRAINT and walls"
    )


@_written.register
def _(
    bias: HarmonicRestraint, arguments: str, grid: str | None, walkers: tuple[int, int] | None
) -> list[str]:
    if bias.center.ndim != 1:
        raise ValueError(f"{bias.center.shape[1]} windows are one file each; write those of bias.windows()")
    return [f"restraint: RESTRAINT ARG={arguments} AT={_list(bias.center)} KAPPA={_list(bias.stiffness)}"]


@_written.register
def _(
    bias: WellTemperedMetadynamics, arguments: str, grid: str | None, walkers: tuple[int, int] | None
) -> list[str]:
    low, high, bins = _limits(bias)
    keys = [
        f"ARG={arguments}",
        f"SIGMA={_list(bias.widths)}",
        f"HEIGHT={bias.height:.15g}",
        f"BIASFACTOR={bias.bias_factor:.15g}",
        f"TEMP={bias.kT / BOLTZMANN:.15g}",
        f"PACE={bias.stride}",
        f"GRID_MIN={_exact(low)}",
        f"GRID_MAX={_exact(high)}",
        f"GRID_BIN={','.join(map(str, bins))}",
        "CALC_RCT",
        "FILE=HILLS",
    ]
    keys += [] if grid is None else [f"GRID_RFILE={grid}"]
    if walkers is not None:
        keys += [
            f"WALKERS_N={walkers[1]}",
            f"WALKERS_ID={walkers[0]}",
            "WALKERS_DIR=..",
            f"WALKERS_RSTRIDE={bias.stride}",
        ]
    return [f"metad: METAD {' '.join(keys)}", *_walls(bias, arguments)]


@_written.register
def _(
    bias: EnhancedProbability, arguments: str, grid: str | None, walkers: tuple[int, int] | None
) -> list[str]:
    action = "OPES_METAD" if bias.reweighing else "OPES_METAD_EXPLORE"
    factor = "inf" if np.isinf(bias.bias_factor) else f"{bias.bias_factor:.15g}"
    keys = [
        f"ARG={arguments}",
        f"SIGMA={_list(bias.widths)}",
        f"BARRIER={bias.barrier:.15g}",
        f"BIASFACTOR={factor}",
        f"TEMP={bias.kT / BOLTZMANN:.15g}",
        f"PACE={bias.stride}",
        "FILE=KERNELS",
        "STATE_WFILE=STATE",
        f"STATE_WSTRIDE={1000 * bias.stride}",
    ]
    keys += [] if walkers is None else ["WALKERS_MPI"]
    return [f"opes: {action} {' '.join(keys)}"]


@_written.register
def _(bias: FrozenBias, arguments: str, grid: str | None, walkers: tuple[int, int] | None) -> list[str]:
    if not isinstance(bias.bias, WellTemperedMetadynamics):
        return _written(bias.bias, arguments, grid, walkers)
    if grid is None:
        raise ValueError(
            "a frozen bias is read from a grid; write one by write_plumed_grid and give its name"
        )
    return [f"metad: EXTERNAL ARG={arguments} FILE={grid}", *_walls(bias.bias, arguments)]


@_written.register
def _(bias: Walls, arguments: str, grid: str | None, walkers: tuple[int, int] | None) -> list[str]:
    if any(period is not None for period in bias.variable.periods):
        raise ValueError(f"PLUMED has no walls of a periodic value, as of {', '.join(bias.variable.names)}")
    labels, lines = np.array(arguments.split(",")), []
    for action, limits in (("UPPER_WALLS", bias.upper), ("LOWER_WALLS", bias.lower)):
        limits = np.asarray(limits, float)
        there = np.isfinite(limits)
        if there.any():
            # PLUMED's wall has no half in front of it
            kappa = np.asarray(bias.stiffness, float)[there] / 2
            keys = f"ARG={','.join(labels[there])} AT={_list(limits[there])} KAPPA={_list(kappa)}"
            lines.append(f"{action[0].lower()}wall: {action} {keys} EXP={_list(np.full(len(kappa), 2))}")
    return lines


@_written.register
def _(bias: MovingRestraint, arguments: str, grid: str | None, walkers: tuple[int, int] | None) -> list[str]:
    keys = (
        f"ARG={arguments} STEP0=0 AT0={_list(bias.start)} KAPPA0={_list(bias.stiffness)} "
        f"STEP1={bias.steps} AT1={_list(bias.stop)}"
    )
    return [f"moving: MOVINGRESTRAINT {keys}"]


@_written.register
def _(bias: SumOfBiases, arguments: str, grid: str | None, walkers: tuple[int, int] | None) -> list[str]:
    labels, lines = arguments.split(","), []
    for number, member in enumerate(bias.biases):
        own, labels = labels[: len(member.variable.names)], labels[len(member.variable.names) :]
        for line in _written(member, ",".join(own), grid, walkers):
            label, _, rest = line.partition(": ")
            if any(one.startswith(f"{label}: ") for one in lines):  # the second of a kind
                label, rest = f"{label}{number}", rest.replace("FILE=HILLS", f"FILE=HILLS{number}")
            lines.append(f"{label}: {rest}")
    return lines


def _walls(bias: WellTemperedMetadynamics, arguments: str) -> list[str]:
    """``5 kT ((s - limit) / width)^2`` beyond the limits of bounded values."""
    bounded = [k for k, wraps in enumerate(bias.grid.periodic) if not wraps]
    if not bounded:
        return []
    labels = np.array(arguments.split(","))[bounded]
    stiffness = 5 * bias.kT / np.asarray(bias.widths, float)[bounded] ** 2
    keys = f"ARG={','.join(labels)} KAPPA={_list(stiffness)} EXP={_list(np.full(len(bounded), 2))}"
    low, high = (np.asarray(limit, float)[bounded] for limit in (bias.grid.lower, bias.grid.upper))
    return [
        f"uwall: UPPER_WALLS {keys} AT={_list(high)}",
        f"lwall: LOWER_WALLS {keys} AT={_list(low)}",
    ]


def write_plumed_grid(
    path: str | Path,
    bias: WellTemperedMetadynamics,
    bias_state: MetadynamicsState,
    name: str = "cv",
    label: str = "metad",
) -> Path:
    """Write what has grown at the nodes of a grid, with its slopes, for ``GRID_RFILE`` of METAD and for ``EXTERNAL``.

    Parameters
    ----------
    path : there whole or not at all
    bias : as it was run
    bias_state : as it has grown
    name : of the values of the variable, as in `plumed_input`
    label : of the action that reads it

    Raises
    ------
    ValueError
        If the bias is of more than three values.
    """
    low, high, bins = _limits(bias)
    count, periodic = len(bins), bias.grid.periodic
    labels = [name] if count == 1 else [f"{name}{k + 1}" for k in range(count)]
    lines = [f"#! FIELDS {' '.join(labels)} {label}.bias {' '.join(f'der_{one}' for one in labels)}"]
    for k, one in enumerate(labels):
        lines += [
            f"#! SET min_{one} {low[k]:.15g}",
            f"#! SET max_{one} {high[k]:.15g}",
            f"#! SET nbins_{one} {bins[k]}",
            f"#! SET periodic_{one} {'true' if periodic[k] else 'false'}",
        ]
    axes = [
        low[k] + (high[k] - low[k]) / bins[k] * np.arange(bins[k] + (not periodic[k])) for k in range(count)
    ]
    # the first value runs fastest, and after each of its rows there is an empty line
    points = np.stack([axis.reshape(-1, order="F") for axis in np.meshgrid(*axes, indexing="ij")])
    energies, slopes = _with_slopes(bias, bias_state, points)
    table = np.column_stack([points.T, energies, slopes.T])
    for number, row in enumerate(table, 1):
        lines.append(" ".join(f"{value:.10g}" for value in row))
        if count > 1 and number % len(axes[0]) == 0:
            lines.append("")
    write_whole(Path(path), "\n".join(lines) + "\n")
    return Path(path)


def _with_slopes(
    bias: WellTemperedMetadynamics, state: MetadynamicsState, points: np.ndarray
) -> tuple[Any, Any]:
    """The sum of Gaussians at ``points`` (values, points), without walls and offset, and its gradient."""

    def total(values):
        energies = bias.grid.interpolated(state.table, values)
        return energies.sum(), energies

    slopes, energies = jax.jit(jax.grad(total, has_aux=True))(jnp.asarray(points, jnp.float32))
    return np.asarray(energies, float), np.asarray(slopes, float)


def _limits(bias: WellTemperedMetadynamics) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Limits and numbers of bins: a period about zero, as the variable is written; room beyond the limits otherwise."""
    low, high = np.asarray(bias.grid.lower, float), np.asarray(bias.grid.upper, float)
    bins = list(bias.grid.bins)
    for k, period in enumerate(bias.variable.periods):
        if period is not None:
            low[k], high[k] = -period / 2, period / 2
        else:  # where PLUMED would stop, our walls only begin
            room = (high[k] - low[k]) / 2
            low[k], high[k], bins[k] = low[k] - room, high[k] + room, 2 * bins[k]
    return low, high, bins


def _list(numbers: Any) -> str:
    return ",".join(f"{number:.7g}" for number in np.asarray(numbers, float))  # of numbers in 32 bits


def _exact(numbers: Any) -> str:
    """As the ends of periods are written, which PLUMED compares letter by letter."""
    return ",".join(f"{number:.15g}" for number in np.asarray(numbers, float))


def gromacs_lines(dt: float, kT: float, steps: int, friction: float = 1.0, save_every: int = 500) -> str:
    """Lines of an ``.mdp`` file for Langevin dynamics as ours; the input of PLUMED goes to ``mdrun -plumed``.

    Parameters
    ----------
    dt : time step [ps]
    kT : [kJ/mol]
    steps : to do
    friction : [1/ps]
    save_every : steps between frames

    Examples
    --------
    >>> print(gromacs_lines(0.002, 2.494, 1000).splitlines()[0])
    integrator = sd
    """
    given = {
        "integrator": "sd",
        "dt": f"{dt:g}",
        "nsteps": steps,
        "tc-grps": "System",
        "tau-t": f"{1 / friction:g}",
        "ref-t": f"{kT / BOLTZMANN:.6g}",
        "nstxout-compressed": save_every,
        "comm-mode": "None",
    }
    return "\n".join(f"{key} = {value}" for key, value in given.items())
