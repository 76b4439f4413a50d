r"""Frames of many runs, each under a bias of its own, weighed together so that no bias remains.

Every run is one ensemble of MBAR [shirts2008]. A run whose bias grew enters with the bias energy that each of its
frames had at its moment, offset included [tiwary2015]; to frames of other runs its bias is the last one. Variables may
differ from run to run: those of others are computed from positions. Errors are those of blocks several correlation
times long [chodera2007].
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from scipy.special import logsumexp

from thalweg.dynamics.engine import Bias, Recording, Variable
from thalweg.free_energies.blocks import block_labels, statistical_inefficiency
from thalweg.free_energies.difference import FreeEnergyDifference, free_energy_difference
from thalweg.free_energies.reweighting import MBAR, effective_sample_size, exponential_weights
from thalweg.learning.models import Model
from thalweg.sampling.bias.grid import BiasGrid
from thalweg.sampling.bias.umbrella import HarmonicRestraint
from thalweg.shapes import Box, Float, Int, Positions, Values

AT_ONCE = 4096
"""Frames whose values are computed at a time."""

TOO_WIDE = 1.5
"""Spread of a window's frames, in that of its restraint alone, from which on it may have two minima."""

TOO_FAR = 3.0
"""Distance of the nearest frame from the center of a window, in the same measure, from which on nobody was there."""

LARGEST_DRIFT = 1.0
"""Standard deviation, in kT, of what a bias still grew by at the frames kept, from which on it is told."""


@dataclass(frozen=True, eq=False)
class ReweightedFrames(Model):
    """Weights of frames, walk by walk.

    Attributes
    ----------
    positions : of each walk (frames, atoms, dims) [nm]
    log_weights : of each walk (frames,), normalized over all
    run : (walks,) which run a walk is of, windows of one recording counted as runs
    free_energies : (runs,) of the biased ensembles, the first at zero [kJ/mol]
    least_overlap : of the ensembles, see `MBARModel`
    effective_frames : Kish's number of frames that carry averages, were they independent
    effective_by_run : (runs,) the same of each run by itself
    members : (runs, frames) the chance of each frame to be of each run, judged by its energies
    kT : [kJ/mol]
    notes : what one should know
    """

    positions: tuple[np.ndarray, ...]
    log_weights: tuple[np.ndarray, ...]
    run: Int[np.ndarray, " walks"]
    free_energies: Float[np.ndarray, " runs"]
    least_overlap: float
    effective_frames: float
    effective_by_run: Float[np.ndarray, " runs"]
    members: Float[np.ndarray, "runs frames"]
    kT: float
    notes: tuple[str, ...] = ()

    def headline(self) -> dict[str, object]:
        """Frames, how many of them count, and whether the runs overlap."""
        return {
            "runs": len(self.free_energies),
            "frames": sum(map(len, self.log_weights)),
            "effective frames": self.effective_frames,
            "least overlap": self.least_overlap,
            "notes": len(self.notes),
        }

    def along(self, variable: Variable, box: Box | None = None) -> list[np.ndarray]:
        """Values ``(frames, values)`` of a variable along each walk."""
        return [_values(variable, walk, box).T for walk in self.positions]

    def mean(self, quantity: Sequence[np.ndarray]) -> tuple[float, float]:
        """Average without bias of one quantity along each walk, and its standard error."""
        each, logs = np.concatenate(quantity).astype(float), np.concatenate(self.log_weights)
        weights = np.exp(logs - logs.max())
        weights /= weights.sum()
        mean = float(weights @ each)
        return mean, self._error(weights * (each - mean), each)

    def difference(self, inside: Callable[[np.ndarray], np.ndarray]) -> FreeEnergyDifference:
        """``F(inside) - F(outside)``, with its error, of a region of positions ``(frames, atoms, dims)``."""
        return self.difference_of([np.asarray(inside(walk), bool) for walk in self.positions])

    def difference_of(self, inside: Sequence[np.ndarray]) -> FreeEnergyDifference:
        """``F(inside) - F(outside)``, with its error, where frames inside are told walk by walk."""
        found = free_energy_difference(
            inside, [~each for each in inside], self.log_weights, self.kT, samples=2
        )
        a, logs = np.concatenate(inside), np.concatenate(self.log_weights)
        weights = np.exp(logs - logs.max())
        shares = weights * ~a / (weights @ ~a) - weights * a / (weights @ a)
        return replace(found, error=self.kT * self._error(shares, a.astype(float)))

    def _error(self, shares: np.ndarray, quantity: np.ndarray) -> float:
        """Standard error of a number that depends on the logarithm of each frame's weight by these ``shares``.

        The weights depend on all frames through the free energies f of the ensembles: by the equations of MBAR,
        ``N_k = sum_n p_nk``, one frame more moves f by ``C^-1 (e_k(n) - p_n)`` and the number by ``psi_n = c_n - (sum_m
        c_m p_m) C^-1 (e_k(n) - p_n)``, with ``C = diag(sum_n p_n) - sum_n p_n p_n^T``. Sums of ``psi`` over blocks
        several correlation times long vary independently within each run.
        """
        members = np.asarray(self.members, float)
        curvature = np.diag(members.sum(1)) - members @ members.T
        slope = np.linalg.pinv(curvature, rcond=1e-12, hermitian=True) @ (members @ shares)
        lengths = np.array([len(walk) for walk in self.log_weights])
        of_run = np.repeat(self.run, lengths)
        influence = shares - (slope[of_run] - slope @ members)
        variance, ends = 0.0, np.cumsum(lengths)
        for number in np.unique(self.run):
            walks = [slice(ends[w] - lengths[w], ends[w]) for w in np.flatnonzero(self.run == number)]
            mean = np.mean(np.concatenate([influence[walk] for walk in walks]))
            parts = [influence[walk] - mean for walk in walks]
            correlated = max(statistical_inefficiency(x) for x in (parts, [quantity[walk] for walk in walks]))
            # at least four blocks of a run, or nothing could vary
            block = min(int(np.ceil(5 * correlated)), max(1, sum(map(len, parts)) // 4))
            labels = np.concatenate(block_labels([len(part) for part in parts], block))
            sums = np.bincount(labels, np.concatenate(parts))
            variance += (sums**2).sum() * len(sums) / max(1, len(sums) - 1)
        return float(np.sqrt(variance))


def reweighted(
    recordings: Sequence[Recording],
    biases: Sequence[Bias | None],
    kT: float,
    *,
    skip: float = 0.25,
    box: Box | None = None,
) -> ReweightedFrames:
    """Weights of the frames of all recordings.

    Parameters
    ----------
    recordings : of runs of one system at one temperature
    biases : the bias each was made under, None for none; a restraint with a window for each replica counts as one run
        for each window
    kT : [kJ/mol]
    skip : part of each run left out at its beginning, where walkers remember their start and a bias grows fast
    box : (3, 3) box vectors [nm], of all frames

    Raises
    ------
    ValueError
        If there is not one bias for each recording, or a run has no frame left.

    Examples
    --------
    >>> import jax
    >>> from thalweg.dynamics.native_engine import NativeEngine
    >>> from thalweg.dynamics.overdamped import Overdamped
    >>> from thalweg.geometry.variables import Coordinates
    >>> from thalweg.systems.state import thermal_state
    >>> from thalweg.testsystems.wells import HarmonicWell
    >>> engine = NativeEngine.for_potential(HarmonicWell(2.0), np.ones(1), Overdamped(kT=1.0, dt=0.01))
    >>> start = thermal_state(jnp.zeros((1, 1, 4)), np.ones(1), 1.0, jax.random.key(0))
    >>> held = HarmonicRestraint(Coordinates([0], dims=1), [1.0], [2.0])
    >>> frames = reweighted([engine.run(start, 4000, save_every=10, bias=held)], [held], kT=1.0)
    >>> mean, error = frames.mean([walk[:, 0, 0] ** 2 for walk in frames.positions])       # exact: 1/2
    >>> abs(mean - 0.5) < 3 * error < 0.5
    True
    """
    if len(recordings) != len(biases) or not recordings:
        raise ValueError(
            f"{len(recordings)} recordings and {len(biases)} biases; give one bias for each recording"
        )
    runs = [
        run
        for recording, bias in zip(recordings, biases, strict=True)
        for run in _runs(recording, bias, skip, box)
    ]
    notes = [note for k, run in enumerate(runs) for note in run.notes(k, kT)]
    for k, run in enumerate(runs):
        if not run.count:
            raise ValueError(
                f"run {k} has no frame left after skip={skip:g} and what is undefined; sample longer"
            )
    everywhere = [walk for run in runs for walk in run.positions]
    # windows share a variable, which is evaluated once
    variables = {id(run.bias.variable): run.bias.variable for run in runs if run.bias is not None}
    values = {key: _values(each, np.concatenate(everywhere), box) for key, each in variables.items()}
    energies = np.zeros((len(runs), sum(map(len, everywhere))))
    for k, run in enumerate(runs):
        if run.bias is not None:
            energies[k] = run.energies(values[id(run.bias.variable)])
    counts = np.array([run.count for run in runs])
    ends = np.cumsum(counts)
    for k, run in enumerate(runs):
        energies[k, ends[k] - counts[k] : ends[k]] = np.concatenate(run.recorded)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # told by the notes
        model = MBAR(kT).fit(energies, counts)
    # p_nk = N_k exp(f_k - u_kn) w_n
    members = np.log(counts)[:, None] + (model.free_energies[:, None] - energies) / kT + model.log_weights
    members = np.exp(members - logsumexp(members, axis=0)).astype(np.float32)
    lengths = [len(walk) for walk in everywhere]
    own = [exponential_weights(np.concatenate(run.recorded), kT) for run in runs]
    return ReweightedFrames(
        positions=tuple(everywhere),
        log_weights=tuple(np.split(model.log_weights, np.cumsum(lengths)[:-1])),
        run=np.repeat(np.arange(len(runs)), [len(run.positions) for run in runs]),
        free_energies=model.free_energies,
        least_overlap=model.least_overlap,
        effective_frames=effective_sample_size(model.log_weights),
        effective_by_run=np.array([effective_sample_size(logs) for logs in own]),
        members=members,
        kT=kT,
        notes=(*notes, *_window_doubts(runs, values, kT), *model.doubts),
    )


def _window_doubts(runs: Sequence[_Run], values: dict[int, np.ndarray], kT: float) -> list[str]:
    """Windows that are softer than the surface bends down: they overlap, and yet their frames stay where they came to.

    Such a window has two minima. Those who pull its walker there find it in one of them, and where all are pulled from
    one side, all look alike: no overlap and no block tells.
    """
    wide, far = [], []
    for k, run in enumerate(runs):
        if not isinstance(run.bias, HarmonicRestraint):
            continue
        widths = np.sqrt(kT / np.maximum(np.asarray(run.bias.stiffness, float), 1e-300))[:, None]
        center = np.asarray(run.bias.center, float).reshape(-1, 1)
        own, everyone = (
            np.stack([
                row - (0 if period is None else period * np.round(row / period))
                for row, period in zip(np.asarray(each, float) - center, run.bias.variable.periods)
            ]) / widths
            for each in (np.concatenate(run.values, 1), values[id(run.bias.variable)])
        )  # fmt: skip
        if (own.std(1) > TOO_WIDE).any():
            wide.append(k)
        if not (np.abs(everyone).max(0) < TOO_FAR).any():
            far.append(k)
    return [
        f"{len(each)} of {len(runs)} windows, {', '.join(map(str, each[:5]))}{', ...' if len(each) > 5 else ''}: "
        f"{what}; restrain by more, with windows closer to each other, or let windows exchange replicas"
        for each, what in (
            (wide, f"frames spread more than {TOO_WIDE:g} times as wide as the restraint alone would let them, so that "
                   "it is softer than the surface bends down there: a window with two minima"),
            (far, f"no frame of any window lies within {TOO_FAR:g} standard deviations of their centers: what lies "
                  "beyond a ridge that nobody is on is known by hops from window to window alone"),
        )
        if each
    ]  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Run:
    """Frames kept of one run, walk by walk: positions, values, bias energies as recorded and of the last bias."""

    bias: Bias | None
    state: object
    positions: list[np.ndarray]
    recorded: list[np.ndarray]
    last: list[np.ndarray]
    values: list[np.ndarray]
    undefined: tuple[str, ...]

    @property
    def count(self) -> int:
        return sum(map(len, self.recorded))

    def energies(self, values: np.ndarray) -> np.ndarray:
        """Of the last bias where its variable has these ``values`` ``(values, frames)`` [kJ/mol]."""
        energies = _energies(self.bias, self.state, values)
        # a frame at which the variable of another run is undefined has no chance under that run's bias
        return np.where(np.isfinite(energies), energies, np.nanmax(energies) + 1e4)

    def notes(self, number: int, kT: float) -> list[str]:
        told = [f"run {number}: {each}" for each in self.undefined]
        if self.bias is None or not self.count:
            return told
        if self.bias.stride is not None:
            drift = np.std(np.concatenate(self.recorded) - np.concatenate(self.last)) / kT
            if drift > LARGEST_DRIFT:
                told.append(
                    f"run {number}: its bias still grew by {drift:.1f} kT at the frames kept; skip more, sample "
                    "longer, or make a run under the bias held"
                )
        doubts = self.bias.doubts(self.state) if hasattr(self.bias, "doubts") else ()
        grid = getattr(getattr(self.bias, "bias", self.bias), "grid", None)
        if isinstance(grid, BiasGrid):
            left = np.asarray(grid.outside(jnp.asarray(np.concatenate(self.values, 1), jnp.float32)) != 0)
            doubts += grid.doubts(self.count, int(left.any(0).sum()), "frames kept")
        return told + [f"run {number}: {each}" for each in doubts]


def _runs(recording: Recording, bias: Bias | None, skip: float, box: Box | None) -> list[_Run]:
    """One run, or one for each window."""
    if isinstance(bias, HarmonicRestraint) and bias.center.ndim > 1:
        windows = bias.windows()
        return [_run(recording, window, [k], skip, box) for k, window in enumerate(windows)]
    return [_run(recording, bias, range(len(recording.valid)), skip, box)]


def _run(recording: Recording, bias: Bias | None, replicas, skip: float, box: Box | None) -> _Run:
    positions, recorded, last, kept, undefined = [], [], [], [], []
    for r in replicas:
        frames = slice(int(skip * int(recording.valid[r])), int(recording.valid[r]))
        walk, energies = recording.positions[r, frames], np.asarray(recording.bias_energy[r, frames], float)
        now, values = energies, np.zeros((0, len(walk)))
        if bias is not None:
            values = np.asarray(recording.values[r, frames]).T
            now = _energies(bias, recording.bias_state, values)
            bad = ~(np.isfinite(values).all(0) & np.isfinite(energies))
            if bad.any():
                undefined.append(
                    f"the variable {bias.variable.names} is undefined at {bad.sum()} frames, first at frame "
                    f"{frames.start + int(bad.argmax())} of replica {r} (a dihedral of atoms in a line?); left out"
                )
            walk, energies, now, values = walk[~bad], energies[~bad], now[~bad], values[:, ~bad]
        if len(walk):
            positions.append(walk)
            recorded.append(energies)
            last.append(now)
            kept.append(values)
    return _Run(bias, recording.bias_state, positions, recorded, last, kept, tuple(undefined))


def _values(variable: Variable, walk: Float[np.ndarray, "frames atoms dims"], box: Box | None) -> np.ndarray:
    """``(values, frames)``, some at a time and padded to few shapes."""
    parts = []
    for start in range(0, len(walk), AT_ONCE):
        some = walk[start : start + AT_ONCE]
        size = len(some)
        room = 1 << int(np.ceil(np.log2(size)))
        some = np.concatenate([some, np.repeat(some[-1:], room - size, axis=0)])
        values = _values_at(variable, jnp.asarray(np.moveaxis(some, 0, -1), jnp.float32), box)
        parts.append(np.asarray(values)[:, :size])
    return np.concatenate(parts, 1)


def _energies(bias: Bias, state: object, values: np.ndarray) -> np.ndarray:
    """``(frames,)`` in 64 bits."""
    parts = []
    for start in range(0, values.shape[1], AT_ONCE):
        some = values[:, start : start + AT_ONCE]
        size = some.shape[1]
        room = 1 << int(np.ceil(np.log2(size)))
        some = np.concatenate([some, np.repeat(some[:, -1:], room - size, axis=1)], 1)
        parts.append(np.asarray(_energies_at(bias, state, jnp.asarray(some, jnp.float32)), float)[:size])
    return np.concatenate(parts) if parts else np.zeros(0)


@eqx.filter_jit
def _values_at(variable: Variable, positions: Positions, box: Box | None) -> Values:
    return variable(positions, box)


@eqx.filter_jit
def _energies_at(bias: Bias, state, values: Values):
    return bias.energy(state, values)
