r"""Rates between two wells of a fitted model of one variable, by every route, in one table.

===================  ====================================================================================
exact generator      :math:`k_{AB} = p_B / t_2` with the slowest relaxation time of the model
simulation           transitions between the bottoms of the wells per time spent coming from A
reactive flux        :math:`\kappa\, k_{TST}`, the transmission coefficient from runs off the barrier [chandler1978]
transition state     :math:`k_{TST} = \langle |v| \rangle_\ddagger\, e^{-\beta F(x_\ddagger)} / 2 \int_A e^{-\beta F}`
Kramers              friction without memory at the barrier, well and barrier parabolic [kramers1940]
Grote-Hynes          the same with the kernel at the frequency of the crossing [grote1980]
turnover             Grote-Hynes times :math:`\Upsilon(\delta_A) \Upsilon(\delta_B) / \Upsilon(\delta_A + \delta_B)`
                     with the energy lost in each well on the way over the barrier [melnikov1986, pollak1989]
===================  ====================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize

from thalweg.kinetics.langevin.inertial import UnderdampedModel
from thalweg.kinetics.langevin.overdamped import OverdampedModel
from thalweg.kinetics.langevin.simulation import Tables, advanced, thermal
from thalweg.learning.models import Model
from thalweg.testsystems.generator import Generator
from thalweg.time_series.resampling import plus_minus

FINE = 4001
"""Points of quadrature along the variable."""


@dataclass(frozen=True, eq=False)
class RatesTable(Model):
    """Rates by route.

    Attributes
    ----------
    forward, backward : [1/ps] from the left to the right well and back, by route
    errors : of ``forward`` [1/ps]: of the sampling of a route, and of the parameters where they were drawn
    barrier : height from the left and from the right [kJ/mol]
    wells, top : positions of the bottoms and of the barrier
    """

    forward: dict[str, float]
    backward: dict[str, float]
    errors: dict[str, float]
    barrier: tuple[float, float]
    wells: tuple[float, float]
    top: float

    def headline(self) -> dict[str, object]:
        """The exact rate and the barrier."""
        first = next(iter(self.forward))
        return {
            "forward": plus_minus(self.forward[first], self.errors.get(first, np.nan)),
            "backward": self.backward[first],
            "barrier": self.barrier[0],
            "routes": len(self.forward),
        }

    def __str__(self) -> str:
        lines = [
            f"wells at {self.wells[0]:.4g} and {self.wells[1]:.4g}, barrier {self.barrier[0]:.3g} at {self.top:.4g}"
        ]
        lines.append(f"{'route':20} {'forward [1/ps]':>24} {'backward [1/ps]':>18}")
        for name, rate in self.forward.items():
            shown = plus_minus(rate, self.errors.get(name, np.nan)).replace(" (no error bar)", "")
            lines.append(f"{name:20} {shown:>24} {self.backward[name]:18.4g}")
        return "\n".join(lines)


@dataclass(frozen=True)
class _Wells:
    """Two wells and the barrier between them, on a fine grid."""

    x: np.ndarray
    energy: np.ndarray
    left: int
    top: int
    right: int
    kT: float

    @property
    def populations(self) -> tuple[float, float]:
        """Shares of equilibrium on either side of the barrier."""
        weights = np.exp(-(self.energy - self.energy.min()) / self.kT)
        left = float(weights[: self.top].sum() / weights.sum())
        return left, 1.0 - left

    def curvature(self, at: int) -> float:
        """``|F''|`` there, from a parabola through what lies within half a kT, at least a hundredth of the range."""
        near = np.abs(self.energy - self.energy[at]) < 0.5 * self.kT
        low, high = at, at
        while low > 0 and near[low - 1]:
            low -= 1
        while high < len(near) - 1 and near[high + 1]:
            high += 1
        least = len(self.x) // 200
        span = slice(max(0, min(low, at - least)), max(high, at + least) + 1)
        return abs(2.0 * float(np.polyfit(self.x[span], self.energy[span], 2)[0]))


def _wells(potential: Any, kT: float) -> _Wells:
    """The two wells with the highest barrier between them.

    Raises
    ------
    ValueError
        If there are no two wells.
    """
    axis = potential.splines.axes[0]
    x = np.linspace(axis.lower, axis.upper, FINE)
    energy = np.asarray(potential.energy(x[None]))
    inner = np.arange(1, FINE - 1)
    minima = inner[(energy[inner] <= energy[inner - 1]) & (energy[inner] < energy[inner + 1])]
    minima = np.unique(np.concatenate([minima, [0] if energy[0] < energy[1] else []]).astype(int))
    if energy[-1] < energy[-2]:
        minima = np.append(minima, FINE - 1)
    best = None
    for a in minima:
        for b in minima[minima > a]:
            top = a + int(energy[a:b].argmax())
            height = energy[top] - max(energy[a], energy[b])
            if best is None or height > best[0]:
                best = height, a, top, b
    if best is None or best[0] < 0.5 * kT:
        found = 0.0 if best is None else best[0] / kT
        raise ValueError(
            f"the free energy has no two wells: its highest barrier is {found:.2g} kT; rates need at least 0.5 kT"
        )
    return _Wells(x, energy, int(best[1]), int(best[2]), int(best[3]), kT)


def rates_table(
    model: OverdampedModel | UnderdampedModel, replicas: int = 200, seed: int = 0, samples: int = 10
) -> RatesTable:
    """Rates between the two wells of a model of one variable, by every route it knows.

    Parameters
    ----------
    replicas : of simulations
    samples : of parameters from their posterior, for the error of the exact rate

    Raises
    ------
    ValueError
        If the model has several variables, or no two wells.
    """
    if model.dims > 1:
        raise ValueError(f"rates by all routes are for one variable, the model has {model.dims}")
    wells = _wells(model.potential, model.kT)
    random = np.random.default_rng(seed)
    found = model.timescales(1, samples, seed)
    time, spread = float(found.value[0]), float(found.error[0])
    p_a, p_b = wells.populations
    forward = {"exact generator": p_b / time}
    errors = {"exact generator": p_b / time * spread / time}
    if isinstance(model, OverdampedModel):
        _overdamped(model, wells, forward)
    else:
        tables = model.tables()
        step = _step(tables)
        rate, error = _counted(tables, wells, forward["exact generator"], step, replicas, random)
        forward["simulation"], errors["simulation"] = rate, error
        tst = _transition_state(tables, wells)
        kappa, kappa_error = _transmission(tables, wells, step, 20 * replicas, random)
        forward["reactive flux"], errors["reactive flux"] = kappa * tst, kappa_error * tst
        forward["transition state"] = tst
        _analytic(tables, wells, forward)
    backward = {name: rate * p_a / p_b for name, rate in forward.items()}
    height = wells.energy[wells.top]
    return RatesTable(
        forward,
        backward,
        errors,
        (float(height - wells.energy[wells.left]), float(height - wells.energy[wells.right])),
        (float(wells.x[wells.left]), float(wells.x[wells.right])),
        float(wells.x[wells.top]),
    )


def _overdamped(model: OverdampedModel, wells: _Wells, forward: dict[str, float]) -> None:
    """Transition-path theory between the bottoms, and Kramers' rate of strong friction."""
    operator: Generator = model.operator()
    left, right = wells.x[wells.left], wells.x[wells.right]
    flux = operator.rate(lambda x: x[0] <= left, lambda x: x[0] >= right)
    forward["reactive flux"] = flux.forward
    diffusion = float(model.diffusion_at(np.array([[wells.x[wells.top]]]))[0, 0, 0])
    curved = np.sqrt(wells.curvature(wells.left) * wells.curvature(wells.top))
    height = wells.energy[wells.top] - wells.energy[wells.left]
    forward["Kramers"] = float(diffusion * curved / (2.0 * np.pi * wells.kT) * np.exp(-height / wells.kT))


def _step(tables: Tables) -> float:
    """A step [ps] a tenth of the fastest motion."""
    stiff = np.sqrt(np.abs(np.gradient(tables.force, tables.points)).max() / tables.mass.min())
    exchange = np.sqrt((tables.hidden / tables.times[:, None]).max(initial=0.0))
    quick = max(stiff, tables.friction.max(), exchange, 1.0 / tables.times.min(initial=np.inf))
    return float(0.15 / quick)


def _boltzmann(wells: _Wells, count: int, random: np.random.Generator) -> np.ndarray:
    """Positions from equilibrium."""
    weights = np.exp(-(wells.energy - wells.energy.min()) / wells.kT)
    return random.choice(wells.x, count, p=weights / weights.sum())


def _counted(
    tables: Tables, wells: _Wells, expected: float, dt: float, replicas: int, random: np.random.Generator
) -> tuple[float, float]:
    """Transitions from the bottom of the left well to that of the right per time spent coming from the left."""
    left, right = wells.x[wells.left], wells.x[wells.right]
    phases = thermal(tables, _boltzmann(wells, replicas, random), random)
    # about two hundred transitions, in a simulation not too long
    steps = int(min(200.0 / (expected * dt * replicas * wells.populations[0]), 60_000))
    origin = np.where(phases.x < wells.x[wells.top], 0, 1)
    spent, crossed = 0.0, 0
    for _ in range(max(steps, 1000)):
        phases = advanced(tables, phases, dt, random)
        spent += dt * float((origin == 0).sum())
        arrived = (origin == 0) & (phases.x >= right)
        crossed += int(arrived.sum())
        origin = np.where(phases.x >= right, 1, np.where(phases.x <= left, 0, origin))
    return crossed / spent, np.sqrt(max(crossed, 1)) / spent


def _transition_state(tables: Tables, wells: _Wells) -> float:
    """``<|v|> / 2`` times the density at the barrier over the population of the left well."""
    weights = np.exp(-(wells.energy - wells.energy.min()) / wells.kT)
    width = wells.x[1] - wells.x[0]
    mass = float(tables.at(tables.mass, wells.x[[wells.top]])[0])
    speed = np.sqrt(2.0 * wells.kT / (np.pi * mass))
    return float(0.5 * speed * weights[wells.top] / (weights[: wells.top].sum() * width))


def _transmission(
    tables: Tables, wells: _Wells, dt: float, runs: int, random: np.random.Generator
) -> tuple[float, float]:
    """``kappa = <v(0) theta(x_t - x_top)> / <v theta(v)>`` once recrossings are over, and its error."""
    phases = thermal(tables, np.full(runs, wells.x[wells.top]), random)
    speed = phases.v
    mass = float(tables.at(tables.mass, wells.x[[wells.top]])[0])
    settle = (wells.x[wells.left], wells.x[wells.right])
    side = np.zeros(runs)
    for _ in range(20_000):
        phases = advanced(tables, phases, dt, random)
        side = np.where(
            side != 0, side, np.where(phases.x <= settle[0], -1, np.where(phases.x >= settle[1], 1, 0))
        )
        if (side != 0).mean() > 0.995:
            break
    side = np.where(side != 0, side, np.sign(phases.x - wells.x[wells.top]))
    each = speed * (side > 0) / np.sqrt(wells.kT / (2.0 * np.pi * mass))
    return float(each.mean()), float(each.std() / np.sqrt(runs))


def _analytic(tables: Tables, wells: _Wells, forward: dict[str, float]) -> None:
    """Kramers, Grote-Hynes, and the turnover formula."""
    top = wells.x[[wells.top]]
    mass = float(tables.at(tables.mass, top)[0])
    white = float(tables.at(tables.friction, top)[0])
    hidden = [float(tables.at(rate, top)[0]) for rate in tables.hidden]
    bottom, barrier = (np.sqrt(wells.curvature(k) / mass) for k in (wells.left, wells.top))
    height = wells.energy[wells.top] - wells.energy[wells.left]
    harmonic = bottom / (2.0 * np.pi) * np.exp(-height / wells.kT)
    total = white + sum(hidden)
    kramers = np.sqrt(total**2 / 4.0 + barrier**2) - total / 2.0
    forward["Kramers"] = float(kramers / barrier * harmonic)

    # lambda (lambda + K(lambda)) = omega_b^2 with the Laplace transform of the kernel
    def balance(rate):
        laplace = white + sum(g / (1.0 + rate * t) for g, t in zip(hidden, tables.times))
        return rate * (rate + laplace) - barrier**2

    crossing = scipy.optimize.brentq(balance, 0.0, barrier)
    forward["Grote-Hynes"] = float(crossing / barrier * harmonic)
    losses = [_energy_loss(tables, wells, side) / wells.kT for side in (-1, 1)]
    factor = _depopulation(losses[0]) * _depopulation(losses[1]) / _depopulation(sum(losses))
    forward["turnover"] = forward["Grote-Hynes"] * float(factor)


def _energy_loss(tables: Tables, wells: _Wells, side: int) -> float:
    """Energy [kJ/mol] lost in a well along the motion from the barrier and back: ``m int int K v v' / 1``.

    The motion is that without friction, begun a tenth of a kT below the top, where it takes a finite time.
    """
    mass = float(tables.at(tables.mass, wells.x[[wells.top]])[0])
    energy = wells.energy - wells.energy[wells.top] + 0.1 * wells.kT
    end = wells.top
    while 0 < end < len(energy) - 1 and (energy[end] < 0 or abs(end - wells.top) < len(energy) // 10):
        end += side
    inside = np.arange(wells.top, end, side)
    speed = np.sqrt(np.maximum(-2.0 * energy[inside] / mass, 1e-12))
    keep = energy[inside] < 0
    time = np.cumsum(np.where(keep, np.abs(wells.x[1] - wells.x[0]) / speed, 0.0))
    t = np.linspace(0.0, 2.0 * time[-1], 4001)
    half = np.interp(np.minimum(t, 2.0 * time[-1] - t), time, np.where(keep, speed, 0.0))
    v = np.where(t < time[-1], half, -half)
    step = t[1] - t[0]
    place = wells.x[inside][keep]
    loss = float(np.mean(tables.at(tables.friction, place))) * np.sum(v**2) * step
    for rate, tau in zip(tables.hidden, tables.times):
        # the response z of one exponential to v: dz/dt = -z / tau + v
        keep_one, z, total = np.exp(-step / tau), 0.0, 0.0
        for value in v:
            z = keep_one * z + (1.0 - keep_one) * tau * value
            total += z * value * step
        loss += float(np.mean(tables.at(rate, place))) / tau * total
    return mass * loss


def _depopulation(loss: float) -> float:
    """Mel'nikov's factor of an energy loss [kT]: small where energy is exchanged too slowly, one where it is not."""
    y = np.linspace(-60.0, 60.0, 24001)
    scale = y**2 + 0.25
    inner = np.log1p(-np.exp(-np.minimum(max(loss, 1e-9) * scale, 700.0)))
    return float(np.exp(np.trapezoid(inner / scale, y) / (2.0 * np.pi)))
