r"""Memory kernels from correlation functions: Volterra's equation of a variable, and Mori's of many functions.

The generalized Langevin equation with the free-energy force, multiplied by :math:`v(0)` and averaged, is

.. math:: \dot C(t) = -\langle v(0) F'(x_t) \rangle / m - \int_0^t K(s)\, C(t - s)\, ds, \qquad
          C(t) = \langle v(0) v(t) \rangle ,

an equation of the first kind for K, whose solution amplifies noise. Integrated by parts it is one of the second kind
for the running friction :math:`\Gamma(t) = \int_0^t K` [kowalik2019],

.. math:: C(0)\, \Gamma(t) = -\dot C(t) - \langle v(0) F'(x_t) \rangle / m - \int_0^t \Gamma(s)\, \dot C(t - s)\, ds .

It needs equilibrium data with steps short against the motion; `UnderdampedLangevin` needs neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from thalweg.kinetics.langevin.likelihoods.splines import SplineAxis, Splines
from thalweg.kinetics.langevin.profiles import Profile
from thalweg.learning.models import Model
from thalweg.shapes import Float
from thalweg.time_series.trajectories import Trajectories, TrajectoryData, as_trajectories

INTERVALS = 16
"""Knots of the free energy, from which the mean force is taken."""

SHARE = 0.5
"""Largest length of a kernel, as a part of that of the longest trajectory."""


@dataclass(frozen=True, eq=False)
class VolterraKernel(Model):
    """The memory of one variable from its correlation functions.

    Attributes
    ----------
    times : (times,) [ps]
    running : (times,) friction up to each time, the integral of the kernel [1/ps]
    samples : (samples, times) of it, trajectories resampled
    mass : of the variable [amu], from its velocities
    kT : [kJ/mol]
    """

    times: Float[np.ndarray, " times"]
    running: Float[np.ndarray, " times"]
    samples: Float[np.ndarray, "samples times"]
    mass: float
    kT: float

    @property
    def friction(self) -> Profile:
        """Running friction with its errors."""
        return Profile(self.times, self.running, self.samples.std(axis=0, ddof=1), "running friction [1/ps]")

    @property
    def kernel(self) -> Profile:
        """The kernel ``K(t)`` [1/ps^2] between the times, with its errors."""
        dt = self.times[1] - self.times[0]
        values, spread = np.diff(self.running) / dt, np.diff(self.samples, axis=1) / dt
        middle = 0.5 * (self.times[1:] + self.times[:-1])
        return Profile(middle, values, spread.std(axis=0, ddof=1), "memory kernel [1/ps^2]")

    def headline(self) -> dict[str, object]:
        """Friction at the end, and its length."""
        last = self.friction
        return {
            "friction": float(last.values[-1]),
            "error": float(last.errors[-1]),
            "length": float(self.times[-1]),
            "mass": self.mass,
        }


def volterra_kernel(
    data: TrajectoryData, kT: float, length: float, velocities: bool = False, samples: int = 50
) -> VolterraKernel:
    """The memory kernel of one variable in equilibrium.

    Parameters
    ----------
    data : one column of positions (unwrapped), or two, the second being velocities
    kT : [kJ/mol]
    length : of the kernel [ps]
    velocities : whether there is a column of them
    samples : for errors, by resampling trajectories (pieces of them where they are few)

    Raises
    ------
    ValueError
        If the kernel would be longer than half the longest trajectory, or columns do not fit.
    """
    trajectories = as_trajectories(data)
    wanted = 2 if velocities else 1
    if trajectories.n_features != wanted:
        raise ValueError(
            f"velocities={velocities} needs {wanted} column(s), the data have {trajectories.n_features}; "
            "give one variable at a time"
        )
    dt = float(trajectories.dt)
    count, longest = round(length / dt), int(trajectories.lengths.max())
    if not 2 <= count <= SHARE * longest:
        raise ValueError(
            f"a kernel of {length:g} ps is {count} frames; it must have at least 2 and at most half of the longest "
            f"trajectory, {int(SHARE * longest)} frames = {SHARE * longest * dt:g} ps: ask for a shorter one or give "
            "longer trajectories"
        )
    x, v, a = _motion(trajectories, velocities, dt)
    kept = [k for k, each in enumerate(x) if len(each) > count]
    x, v, a = ([each[k] for k in kept] for each in (x, v, a))
    slope = _mean_force(x, kT)
    mass = kT / _mean_square_velocity(x, v, velocities, dt)
    pieces = _pieced(list(zip(v, a, slope)), count, 20)
    sums = np.array([_correlated(*each, count) for each in pieces])
    random = np.random.default_rng(0)
    draws = random.multinomial(len(sums), np.full(len(sums), 1.0 / len(sums)), samples)
    running = _second_kind(sums.sum(axis=0), mass, dt)
    spread = np.array([_second_kind(np.tensordot(draw, sums, 1), mass, dt) for draw in draws])
    return VolterraKernel(dt * np.arange(count + 1), running, spread, mass, kT)


def _motion(trajectories: Trajectories, velocities: bool, dt: float) -> tuple[list, list, list]:
    """Positions, velocities and accelerations, by central differences where not given."""
    x, v, a = [], [], []
    for k, n in enumerate(trajectories.lengths):
        block = np.concatenate(list(trajectories.windows(k, [(0, int(n))])))
        if n < 3:
            continue
        position = block[:, 0]
        x.append(position[1:-1])
        if velocities:
            v.append(block[1:-1, 1])
            a.append((block[2:, 1] - block[:-2, 1]) / (2.0 * dt))
        else:
            v.append((position[2:] - position[:-2]) / (2.0 * dt))
            a.append((position[2:] - 2.0 * position[1:-1] + position[:-2]) / dt**2)
    return x, v, a


def _mean_square_velocity(x: list[np.ndarray], v: list[np.ndarray], given: bool, dt: float) -> float:
    """``<v^2>``, extrapolated from displacements of one and two steps where velocities are not given."""
    if given:
        return float(np.mean(np.concatenate(v) ** 2))
    one, two = (
        np.mean(np.concatenate([(each[k:] - each[:-k]) ** 2 for each in x])) / (k * dt) ** 2 for k in (1, 2)
    )
    return float((4.0 * one - two) / 3.0)


def _mean_force(x: list[np.ndarray], kT: float) -> list[np.ndarray]:
    """``F'`` along trajectories in equilibrium, from ``<F' phi'> = kT <phi''>`` in splines."""
    everything = np.concatenate(x)
    lower, upper = np.quantile(everything, [0.001, 0.999])
    splines = Splines((SplineAxis(float(lower), float(upper), INTERVALS),), ((0,),))
    thin = everything[:: max(1, len(everything) // 200_000)][:, None]
    slopes = splines.derivatives(thin, (0,))
    matrix = slopes.T @ slopes / len(thin)
    stiff = matrix + 1e-6 * np.trace(matrix) / len(matrix) * (
        splines.penalties(3)[0] + 1e-3 * np.eye(len(matrix))
    )
    c = np.linalg.solve(stiff, kT * splines.derivatives(thin, (0, 0)).mean(axis=0))
    return [splines.derivatives(each[:, None], (0,)) @ c for each in x]


def _pieced(series: list[tuple[np.ndarray, ...]], count: int, fewest: int) -> list[tuple[np.ndarray, ...]]:
    """At least so many pieces, each several times the length of the kernel where there is enough."""
    total = sum(len(each[0]) for each in series)
    length = max(4 * count, total // max(fewest, len(series)))
    found = []
    for each in series:
        parts = max(1, len(each[0]) // length)
        edges = np.linspace(0, len(each[0]), parts + 1).astype(int)
        found += [tuple(column[i:j] for column in each) for i, j in pairwise(edges) if j - i > count]
    return found


def _correlated(v: np.ndarray, a: np.ndarray, slope: np.ndarray, count: int) -> np.ndarray:
    """Sums ``(4, times)`` of v v, v a, v F' and of pairs, up to ``count`` steps apart."""
    size = 2 ** int(np.ceil(np.log2(2 * len(v))))
    start = np.conj(np.fft.rfft(v, size))
    parts = [np.fft.irfft(start * np.fft.rfft(each, size), size)[: count + 1] for each in (v, a, slope)]
    return np.stack([*parts, len(v) - np.arange(count + 1.0)])


def _second_kind(sums: np.ndarray, mass: float, dt: float) -> np.ndarray:
    """Running friction by the trapezoidal rule."""
    velocity, change, force = sums[:3] / sums[3]
    force = force / mass
    change = change.copy()
    change[0] = 0.0
    running = np.zeros(len(velocity))
    for n in range(1, len(running)):
        past = dt * (running[1:n] @ change[n - 1 : 0 : -1])
        running[n] = -(change[n] + force[n] + past) / velocity[0]
    return running


def mori_zwanzig(
    series: list[Float[np.ndarray, "frames functions"]], length: int
) -> Float[np.ndarray, "steps functions functions"]:
    r"""Operators of the discrete Mori-Zwanzig equation of functions along trajectories.

    .. math:: g_{t+1} = \sum_{s=0}^{h} \Omega_s\, g_{t-s} + W_{t}, \qquad
              C_{n+1} = \sum_{s=0}^{n} \Omega_s C_{n-s}, \quad C_n = \langle g_n g_0^T \rangle ,

    solved for one :math:`\Omega` after the other [lin2021]: the first is the Markov part, the others are memory, and
    all vanish beyond it.

    Parameters
    ----------
    series : functions of the variables along each trajectory, with the constant if they have a mean
    length : h + 1, number of operators

    Raises
    ------
    ValueError
        If the memory is as long as the longest trajectory or longer, or functions depend on each other.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> x = [0.0]
    >>> for _ in range(20000):
    ...     x.append(0.9 * x[-1] + random.standard_normal())
    >>> mori_zwanzig([np.array(x)[:, None]], 3)[:, 0, 0].round(1).tolist()
    [0.9, 0.0, -0.0]
    """
    longest = max(len(each) for each in series)
    if length >= longest:
        raise ValueError(
            f"a memory of {length} steps needs trajectories of more than {length + 1} frames; the longest has {longest}"
        )
    correlations = []
    for n in range(length + 1):
        pairs = [(each[n:], each[: len(each) - n]) for each in series if len(each) > n]
        total = sum(len(a) for a, _ in pairs)
        correlations.append(np.asarray(sum(a.T @ b for a, b in pairs)) / total)
    size = len(correlations[0])
    if np.linalg.matrix_rank(correlations[0]) < size:
        raise ValueError(f"the {size} functions depend on each other; leave some out")
    inverse = np.linalg.inv(correlations[0])
    operators: list[np.ndarray] = []
    for n in range(length):
        rest = correlations[n + 1] - sum(
            (operators[s] @ correlations[n - s] for s in range(n)), np.zeros_like(inverse)
        )
        operators.append(rest @ inverse)
    return np.array(operators)
