"""Deposited Gaussians as PLUMED's METAD writes them: read from a finished run, gone on with here, and written.

A ``HILLS`` file has a line for each Gaussian: time, center, widths, height, bias factor. PLUMED writes heights of
well-tempered runs multiplied by ``gamma / (gamma - 1)``, so that their sum is the free energy; here they are as they
act. Walkers write a file each, and all of their Gaussians act on all. A run that was gone on with names its columns
again, and every line counts, also those from before the restart whose frames were made again: PLUMED keeps them in its
bias. Newer versions cut Gaussians off at ``sqrt(12.5)`` widths, stretched so that they end at zero: ``kerneltype
stretched-gaussian``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from thalweg.dynamics.engine import Variable
from thalweg.interop.files.colvar import plumed_columns, plumed_number
from thalweg.interop.files.evidence_of_files import check_given_once
from thalweg.machine.reading import UnreadableFile, reading
from thalweg.machine.whole_files import write_whole
from thalweg.sampling.bias.grid import BiasGrid
from thalweg.sampling.bias.metadynamics import MetadynamicsState, WellTemperedMetadynamics
from thalweg.shapes import Float
from thalweg.units import Picoseconds

ADVICE = "give a file that PLUMED's METAD wrote, complete"
CUT = 6.25
"""Half the squared distance, in widths, at which a stretched Gaussian ends."""

FAR = 6.0
"""Distance, in widths, beyond which an unstretched Gaussian is left out: 2e-8 of its height."""

KERNELS = {"gaussian": False, "stretched-gaussian": True}
"""Whether a kernel of that name is stretched."""

BEYOND = 3.0
"""How far the limits of a bounded value are beyond the outermost centers, in widths."""


@dataclass(frozen=True, eq=False)
class Hills:
    """Gaussians of one run, of all its walkers, in order of time.

    Attributes
    ----------
    names : of the values
    periods : of the values, None where not periodic
    lower : lower end of each period, None where not periodic
    clock : (hills,) times [ps, in PLUMED's own units]
    centers, widths : (hills, values)
    heights : (hills,) as they act [kJ/mol, in PLUMED's own units]
    bias_factor : ``gamma``; None of metadynamics that is not well-tempered
    stretched : whether Gaussians are cut off and stretched

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "HILLS"
    >>> head = "#! FIELDS time d sigma_d height biasf\\n#! SET multivariate false\\n#! SET kerneltype gaussian\\n"
    >>> _ = file.write_text(head + "1 0.5 0.1 2.0 5\\n")
    >>> found = read_hills(file)
    >>> found.heights.tolist(), found.potential(np.array([[0.5, 0.6]])).round(3).tolist()
    ([1.6], [1.6, 0.97])
    """

    names: tuple[str, ...]
    periods: tuple[float | None, ...]
    lower: tuple[float | None, ...]
    clock: Float[np.ndarray, " hills"]
    centers: Float[np.ndarray, "hills values"]
    widths: Float[np.ndarray, "hills values"]
    heights: Float[np.ndarray, " hills"]
    bias_factor: float | None
    stretched: bool = False

    def __len__(self) -> int:
        return len(self.clock)

    def potential(self, values: Float[np.ndarray, "values points"]) -> Float[np.ndarray, " points"]:
        """The sum of all Gaussians [kJ/mol] at ``values``."""
        total = np.zeros(values.shape[1])
        for center, width, height in zip(self.centers, self.widths, self.heights):
            apart = [
                _nearest(x - c, period) / w for x, c, w, period in zip(values, center, width, self.periods)
            ]
            total += height * self._kernel(0.5 * sum(x**2 for x in apart))
        return total

    def on(
        self,
        variable: Variable,
        kT: float,
        stride: int,
        lower: Sequence[float] | None = None,
        upper: Sequence[float] | None = None,
        bias_factor: float | None = None,
    ) -> tuple[WellTemperedMetadynamics, MetadynamicsState]:
        """The bias that these Gaussians make, on its grid, to be reweighted with, looked at or gone on with here.

        Its first and further Gaussians have the height of the highest and the widths of the last one. ``free_energy``
        of the bias is that of the run.

        Parameters
        ----------
        variable : ours, whose values are those of the file in the same order and units
        kT : of the run [kJ/mol]
        stride : steps between further deposits
        lower, upper : (values,) limits of the grid where values are not periodic; beyond the outermost centers if None
        bias_factor : that of the file if None; needed where the run was not well-tempered

        Raises
        ------
        ValueError
            If the variable has other values or periods, no bias factor is known, or limits leave Gaussians out.
        """
        self._check(variable)
        factor = self.bias_factor if bias_factor is None else bias_factor
        if factor is None:
            raise ValueError(
                "the run was not well-tempered, and no bias that grows here is anything else; give bias_factor to go "
                "on with, such as 10, or take potential() as it is"
            )
        low, high = self._limits(lower, upper)
        bias = WellTemperedMetadynamics(
            variable, low, high, self.widths[-1], float(self.heights.max()), factor, kT, stride
        )
        state = MetadynamicsState(jnp.asarray(self._table(bias.grid), jnp.float32), jnp.zeros(()))
        # a deposit of nobody adds nothing and reckons the offset
        return bias, bias.update(state, jnp.full((len(self.names), 1), jnp.nan))

    def _kernel(self, half_square: np.ndarray) -> np.ndarray:
        if not self.stretched:
            return np.exp(-half_square)
        end = np.exp(-CUT)
        return np.where(half_square < CUT, (np.exp(-half_square) - end) / (1 - end), 0.0)

    def _check(self, variable: Variable) -> None:
        ours = tuple(variable.periods)
        same = len(ours) == len(self.periods) and all(
            a is b if a is None or b is None else abs(a - b) < 1e-4 * abs(b)
            for a, b in zip(ours, self.periods)
        )
        if not same:
            raise ValueError(
                f"the variable {', '.join(variable.names)} has the periods {list(ours)}, the file "
                f"{', '.join(self.names)} with {list(self.periods)}; give the variable that was biased"
            )

    def _limits(self, lower, upper) -> tuple[np.ndarray, np.ndarray]:
        """Limits of the grid: of a periodic value its period."""
        room = BEYOND * self.widths.max(0)
        low = self.centers.min(0) - room if lower is None else np.array(lower, float)
        high = self.centers.max(0) + room if upper is None else np.array(upper, float)
        for k, (period, start) in enumerate(zip(self.periods, self.lower)):
            if period is not None and start is not None:
                low[k], high[k] = start, start + period
            elif out := np.count_nonzero((self.centers[:, k] < low[k]) | (self.centers[:, k] > high[k])):
                raise ValueError(
                    f"{out} of {len(self)} Gaussians are outside {low[k]:g} to {high[k]:g} of {self.names[k]}; widen "
                    "the limits, or leave them out"
                )
        return low, high

    def _table(self, grid: BiasGrid) -> np.ndarray:
        """The sum at the nodes of ``grid``, each Gaussian where it is not nothing."""
        nodes = [np.asarray(grid.nodes(axis), float) for axis in range(len(self.names))]
        table = np.zeros(grid.shape)
        reach = np.sqrt(2 * CUT) if self.stretched else FAR
        for center, width, height in zip(self.centers, self.widths, self.heights):
            apart = [_nearest(x - c, p) / w for x, c, w, p in zip(nodes, center, width, self.periods)]
            near = [np.flatnonzero(np.abs(x) < reach) for x in apart]
            half_squares = [0.5 * x[k] ** 2 for x, k in zip(apart, near)]
            half_square = np.asarray(sum(np.meshgrid(*half_squares, indexing="ij", sparse=True)))
            table[np.ix_(*near)] += height * self._kernel(half_square)
        return table


def read_hills(*paths: str | Path) -> Hills:
    """The Gaussians in HILLS files: of one run, a file for each of its walkers.

    Raises
    ------
    UnreadableFile
        If a file is damaged or given twice, files have other values, bias factors or kernels, or Gaussians are adaptive
        with correlations.
    """
    if not paths:
        raise ValueError("no file was given; give the HILLS of every walker")
    check_given_once(paths)
    found = [_read(Path(path)) for path in paths]
    for path, one in zip(paths, found):
        for what in ("names", "periods", "bias_factor", "stretched"):
            if getattr(one, what) != getattr(found[0], what):
                raise UnreadableFile(
                    f"{path}: {what.replace('_', ' ')} {getattr(one, what)}, in {paths[0]} {getattr(found[0], what)}; "
                    "give files of one run"
                )
    arrays = {
        name: np.concatenate([getattr(one, name) for one in found])
        for name in ("clock", "centers", "widths", "heights")
    }
    order = np.argsort(arrays["clock"], kind="stable")
    first = found[0]
    return Hills(
        first.names,
        first.periods,
        first.lower,
        bias_factor=first.bias_factor,
        stretched=first.stretched,
        **{name: array[order] for name, array in arrays.items()},
    )


def write_hills(path: str | Path, hills: Hills) -> Path:
    """Write Gaussians as PLUMED reads them again on ``RESTART``; ``path``, there whole or not at all.

    Examples
    --------
    >>> import tempfile
    >>> one = Hills(("d",), (None,), (None,), np.ones(1), np.ones((1, 1)), np.ones((1, 1)), np.ones(1), 2.0)
    >>> print(write_hills(Path(tempfile.mkdtemp()) / "HILLS", one).read_text().splitlines()[-1].split())
    ['1', '1', '1', '2', '2']
    """
    factor = hills.bias_factor
    # as PLUMED writes it: the sum of what stands there is the free energy
    scale = 1.0 if factor is None else factor / (factor - 1)
    names = " ".join((*hills.names, *(f"sigma_{name}" for name in hills.names)))
    lines = [
        f"#! FIELDS time {names} height biasf",
        "#! SET multivariate false",
        f"#! SET kerneltype {'stretched-gaussian' if hills.stretched else 'gaussian'}",
    ]
    for name, period, low in zip(hills.names, hills.periods, hills.lower):
        if period is not None and low is not None:
            lines += [f"#! SET min_{name} {low:.15g}", f"#! SET max_{name} {low + period:.15g}"]
    table = np.column_stack(
        [hills.clock, hills.centers, hills.widths, scale * hills.heights, np.full(len(hills), factor or 1.0)]
    )
    lines += [" ".join(f"{number:.12g}" for number in row) for row in table]
    write_whole(Path(path), "\n".join(lines) + "\n")
    return Path(path)


def hills_of(
    bias: WellTemperedMetadynamics,
    values: Float[np.ndarray, "walkers deposits values"],
    dt: Picoseconds,
    name: str = "cv",
) -> Hills:
    """The Gaussians of a run of ours that began without any.

    Parameters
    ----------
    bias : as the run had it
    values : where every walker stood at each deposit: those of a `Recording` with a frame at every deposit
    dt : time step [ps]
    name : of the values in PLUMED, as `plumed_input` writes them
    """
    tempered = bias.kT * (bias.bias_factor - 1)
    state, heights = bias.init(), []
    for standing in np.moveaxis(np.asarray(values, np.float32), 1, 0):
        here = np.asarray(bias.grid.interpolated(state.table, jnp.asarray(standing.T)), float)
        heights.append(bias.height * np.exp(-here / tempered))
        state = bias.update(state, jnp.asarray(standing.T))
    walkers, deposits, count = values.shape
    periods = tuple(bias.variable.periods)
    return Hills(
        names=(name,) if count == 1 else tuple(f"{name}{k + 1}" for k in range(count)),
        periods=periods,
        lower=tuple(None if period is None else -period / 2 for period in periods),
        clock=np.repeat(bias.stride * dt * np.arange(1, deposits + 1), walkers),
        centers=np.moveaxis(np.asarray(values, float), 1, 0).reshape(-1, count),
        widths=np.tile(np.asarray(bias.widths, float), (walkers * deposits, 1)),
        heights=np.concatenate(heights),
        bias_factor=bias.bias_factor,
    )


def _nearest(apart: np.ndarray, period: float | None) -> np.ndarray:
    return apart if period is None else apart - period * np.round(apart / period)


def _read(path: Path) -> Hills:
    with reading(path, "a HILLS file", ADVICE):
        lines = path.read_text("utf-8").split("\n")
        fields, settings, rows = plumed_columns(path, lines)
    if fields is None or not rows:
        raise UnreadableFile(f"{path} has no Gaussians under a line of FIELDS; {ADVICE}")
    if settings.get("multivariate", "false") != "false":
        raise UnreadableFile(
            f"{path} has Gaussians with correlated widths (multivariate {settings['multivariate']}), which are not "
            "read; use widths of each value alone"
        )
    names = tuple(name for name in fields[1:] if f"sigma_{name}" in fields)
    wanted = ("time", *names, *(f"sigma_{name}" for name in names), "height", "biasf")
    if not names or fields != wanted:
        raise UnreadableFile(
            f"{path} has the columns {' '.join(fields)}; Gaussians have time, values, a sigma_ of each, height, biasf"
        )
    kernel = settings.get("kerneltype", "gaussian").lower()
    if kernel not in KERNELS:
        raise UnreadableFile(f"{path} has kernels {kernel}; known are {', '.join(KERNELS)}")
    table = np.array(rows)
    if len(bad := np.argwhere(~np.isfinite(table))):
        raise UnreadableFile(f"{path}: {fields[bad[0, 1]]} of Gaussian {bad[0, 0]} is not finite; {ADVICE}")
    clock, centers, widths, heights, factors = np.split(
        table, np.cumsum([1, len(names), len(names), 1]), axis=1
    )
    if (widths <= 0).any() or len(np.unique(factors)) > 1:
        raise UnreadableFile(
            f"{path}: {'a width is not positive' if (widths <= 0).any() else 'the bias factor changes on the way'}; "
            f"{ADVICE}"
        )
    factor = float(factors[0, 0]) if factors[0, 0] > 1 else None
    ends = [_ends(path, settings, name) for name in names]
    return Hills(
        names,
        tuple(None if end is None else end[1] - end[0] for end in ends),
        tuple(None if end is None else end[0] for end in ends),
        clock[:, 0],
        centers,
        widths,
        heights[:, 0] * (1.0 if factor is None else (factor - 1) / factor),
        factor,
        KERNELS[kernel],
    )


def _ends(path: Path, settings: dict[str, str], name: str) -> tuple[float, float] | None:
    """Where a periodic value begins and ends; None of one that is not."""
    given = settings.get(f"min_{name}"), settings.get(f"max_{name}")
    if given[0] is None or given[1] is None:
        return None
    with reading(path, "a HILLS file", ADVICE):
        low, high = plumed_number(given[0]), plumed_number(given[1])
    if not (np.isfinite([low, high]).all() and high > low):
        raise UnreadableFile(f"{path}: {name} from {given[0]} to {given[1]} is no period; {ADVICE}")
    return low, high
