"""Overdamped Langevin dynamics on a grid: a reversible generator whose answers are exact for that grid.

The Fokker-Planck operator of ``dx = -D/kT grad U dt + sqrt(2 D) dW`` in a box with reflecting walls is
discretized by finite volumes: hops between neighbouring cells i and j of a rectangular grid at the rates

``L_ij = D / h^2 exp(-(U_ij - U_i) / kT)``,    ``pi_i ~ exp(-U_i / kT)``,

with h the spacing, U_i the energy at the center of a cell and U_ij at the center of the face between two, as
in the square-root approximation [lie2013] with the energy of the face in place of the mean. The chain is
reversible with respect to pi for any grid, and its spectrum and boundary-value solutions converge as h^2 with
an even expansion in h, so that `extrapolated` gains two more orders. The face energy makes the error some ten
times smaller than the mean does: with 200 cells Prinz's slowest time scale is 0.83406, with 400 0.83404,
extrapolated 0.834033 (exact 0.834033).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.linalg
import scipy.ndimage
import scipy.sparse
import scipy.sparse.linalg

from thalweg.testsystems.boundary_values import Boundary, Region, fractions
from thalweg.testsystems.chain import sampled_states
from thalweg.testsystems.potential import Domain, Potential

DENSE_CELLS = 4000
"""Largest number of cells of which a dense transition matrix is made (128 MB)."""


@dataclass(frozen=True)
class Generator:
    """The generator of overdamped Langevin dynamics in a potential, on a grid.

    Attributes
    ----------
    potential : Potential
    domain : ``(lower, upper)`` [nm] of each dimension; the walls reflect
    shape : number of cells along each dimension (one number in one dimension)
    kT : [kJ/mol]
    diffusion : diffusion coefficient D [nm^2/ps]

    Raises
    ------
    ValueError
        If shape, domain and potential differ in dimensions, or the energy spans more than 700 kT in the
        domain.

    Examples
    --------
    >>> from thalweg.testsystems.wells import PrinzPotential
    >>> generator = Generator(PrinzPotential(), ((-1.2, 1.2),), 200)
    >>> generator.timescales(3).round(3).tolist()
    [0.834, 0.127, 0.065]
    """

    potential: Potential
    domain: Domain
    shape: int | tuple[int, ...]
    kT: float = 1.0
    diffusion: float = 1.0

    def __post_init__(self):
        if not len(self.cells) == len(self.domain) == self.potential.dims:
            raise ValueError(
                f"shape {self.shape} is for {len(self.cells)} dimensions, domain {self.domain} for "
                f"{len(self.domain)}, the potential for {self.potential.dims}; give one cell count and one "
                "interval per dimension"
            )
        span = np.ptp(self.reduced_energy)
        if not span < 700:
            raise ValueError(
                f"the energy spans {span:.3g} kT in the domain {self.domain}; give a domain below 700 kT"
            )

    @property
    def cells(self) -> tuple[int, ...]:
        """Number of cells along each dimension."""
        return (self.shape,) if isinstance(self.shape, int) else tuple(self.shape)

    @property
    def size(self) -> int:
        """Number of all cells."""
        return int(np.prod(self.cells))

    @property
    def spacing(self) -> np.ndarray:
        """Width of a cell (dims,) [nm]."""
        lower, upper = np.transpose(self.domain)
        return (upper - lower) / self.cells

    @cached_property
    def points(self) -> np.ndarray:
        """Centers of the cells (dims, cells) [nm], the last dimension running fastest."""
        axes = [a + h * (np.arange(n) + 0.5) for (a, _), h, n in zip(self.domain, self.spacing, self.cells)]
        return np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")])

    @cached_property
    def reduced_energy(self) -> np.ndarray:
        """``U / kT`` at the centers (cells,)."""
        return self.potential.energy(self.points) / self.kT

    @cached_property
    def stationary_distribution(self) -> np.ndarray:
        """Equilibrium probability of each cell (cells,)."""
        weights = np.exp(self.reduced_energy.min() - self.reduced_energy)
        return weights / weights.sum()

    @cached_property
    def neighbors(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pairs of neighbouring cells ``(first, second)`` and the dimension along which they touch."""
        index = np.arange(self.size).reshape(self.cells)
        first, second, along = [], [], []
        for d, n in enumerate(self.cells):
            first.append(np.take(index, range(n - 1), axis=d).ravel())
            second.append(np.take(index, range(1, n), axis=d).ravel())
            along.append(np.full(first[-1].size, d))
        return np.concatenate(first), np.concatenate(second), np.concatenate(along)

    def hop_rates(self, origin: np.ndarray, step: np.ndarray, along: np.ndarray) -> np.ndarray:
        """Rates [1/ps] from cells ``origin`` across ``step`` [nm] (signed, at most a spacing) along
        dimensions ``along``.

        ``D / (h |step|) exp(-(U_mid - U_origin) / kT)`` with U_mid the energy half a step away.
        """
        middle = self.points[:, origin]
        middle[along, np.arange(origin.size)] += step / 2
        rise = self.potential.energy(middle) / self.kT - self.reduced_energy[origin]
        return self.diffusion / (self.spacing[along] * np.abs(step)) * np.exp(-rise)

    @cached_property
    def rate_matrix(self) -> scipy.sparse.csc_array:
        """The generator L (cells, cells) [1/ps]: hop rates from row to column, rows summing to zero."""
        first, second, along = self.neighbors
        step = self.spacing[along]
        forth, back = self.hop_rates(first, step, along), self.hop_rates(second, -step, along)
        rows, columns = np.concatenate([first, second]), np.concatenate([second, first])
        hops = scipy.sparse.csc_array(
            (np.concatenate([forth, back]), (rows, columns)), (self.size, self.size)
        )
        return hops - scipy.sparse.diags_array(hops.sum(axis=1), format="csc")

    @cached_property
    def symmetric(self) -> scipy.sparse.csc_array:
        """``-pi^(1/2) L pi^(-1/2)``, symmetric with eigenvalues >= 0 [1/ps]."""
        root = np.exp(-0.5 * (self.reduced_energy - self.reduced_energy.min()))
        scaled = scipy.sparse.diags_array(root) @ self.rate_matrix @ scipy.sparse.diags_array(1.0 / root)
        return -0.5 * (scaled + scaled.T).tocsc()

    def spectrum(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The ``count`` smallest rates of relaxation (count,) [1/ps], zero first, and eigenfunctions (count,
        cells).

        Eigenfunctions are orthonormal in the stationary distribution, the first is one, the others positive
        at the cell where they are largest in magnitude.
        """
        if self.potential.dims == 1:
            diagonal, off = self.symmetric.diagonal(), self.symmetric.diagonal(1)
            rates, vectors = scipy.linalg.eigh_tridiagonal(
                diagonal, off, select="i", select_range=(0, count - 1)
            )
        else:
            shift = -1e-3 * self.diffusion / np.ptp(self.points, axis=1).max() ** 2
            start = np.sqrt(self.stationary_distribution) + 1.0 / self.size
            rates, vectors = scipy.sparse.linalg.eigsh(self.symmetric, count, sigma=shift, v0=start)
        functions = (vectors / np.sqrt(self.stationary_distribution)[:, None]).T
        return rates, functions

    def timescales(self, count: int) -> np.ndarray:
        """The ``count`` slowest relaxation times [ps], slowest first."""
        return 1.0 / self.spectrum(count + 1)[0][1:]

    def eigenfunctions(self, count: int) -> np.ndarray:
        """The ``count`` slowest eigenfunctions (count, cells), the constant one first."""
        return self.spectrum(count)[1]

    def committor(self, in_a: Region, in_b: Region) -> np.ndarray:
        """Probability (cells,) to reach B before A: ``L q = 0`` outside both, 0 in A and 1 in B.

        Boundaries of regions given as functions are located along the grid lines, so that the error stays of
        order h^2 for sets of any shape; regions given as masks end at cell centers, which is exact for the
        chain itself.
        """
        return Boundary(self, (in_a, in_b)).solution((0.0, 1.0), source=0.0)

    def mean_first_passage_time(self, target: Region, start: Region | None = None) -> np.ndarray | float:
        """Mean time [ps] to reach ``target``, ``-L m = 1`` outside: from each cell (cells,), or averaged over
        ``start``.

        The average is over the stationary distribution within ``start``.
        """
        times = Boundary(self, (target,)).solution((0.0,), source=1.0)
        return times if start is None else self.mean(times, start)

    def rate(self, in_a: Region, in_b: Region) -> Rates:
        """Reactive flux and rates between A and B by transition-path theory [vandeneijnden2006]."""
        boundary = Boundary(self, (in_a, in_b))
        committor = boundary.solution((0.0, 1.0), source=0.0)
        flux = boundary.flux_into(1, committor)
        last_in_b = self.stationary_distribution @ committor
        return Rates(flux, forward=float(flux / (1.0 - last_in_b)), backward=float(flux / last_in_b))

    def probability(self, region: Region) -> float:
        """Equilibrium probability of a region, cells on its boundary counted by the part inside."""
        return float(self.stationary_distribution @ fractions(self, region))

    def mean(self, values: np.ndarray, region: Region) -> float:
        """Equilibrium mean of ``values`` (cells,) within a region."""
        weights = self.stationary_distribution * fractions(self, region)
        return float(weights @ values / weights.sum())

    def free_energy_difference(self, region: Region) -> float:
        """``F(region) - F(rest) = -kT ln(p / (1 - p))`` [kJ/mol]."""
        p = self.probability(region)
        return -self.kT * float(np.log(p / (1.0 - p)))

    def at(self, x: np.ndarray) -> np.ndarray:
        """Index (frames,) of the cell that holds each of ``x`` (frames, dims) [nm].

        Raises
        ------
        ValueError
            If a point lies outside the domain.
        """
        position = np.floor((np.asarray(x, float) - np.transpose(self.domain)[0]) / self.spacing).astype(int)
        if np.any(position < 0) or np.any(position >= self.cells):
            raise ValueError(
                f"points outside the domain {self.domain} have no cell; clip them or widen the domain"
            )
        return np.ravel_multi_index(position.T, self.cells)

    def interpolated(self, values: np.ndarray, x: np.ndarray) -> np.ndarray:
        """``values`` (cells,) at points ``x`` (frames, dims) [nm], by cubic splines, flat at the walls."""
        position = (np.asarray(x, float) - np.transpose(self.domain)[0]) / self.spacing - 0.5
        return scipy.ndimage.map_coordinates(values.reshape(self.cells), position.T, order=3, mode="reflect")

    def transition_matrix(self, lag: float) -> np.ndarray:
        """``exp(lag L)`` (cells, cells) for a lag time [ps].

        By uniformization [jensen1953] for a short time, then repeated squaring: sums and products of positive
        numbers only, so small probabilities keep their digits.

        Raises
        ------
        ValueError
            If there are more than `DENSE_CELLS` cells.
        """
        if self.size > DENSE_CELLS:
            raise ValueError(
                f"{self.size} cells make too large a dense matrix; use a grid of at most {DENSE_CELLS} cells"
            )
        fastest = -self.rate_matrix.diagonal().min()
        squarings = max(0, int(np.ceil(np.log2(2.0 * fastest * lag))))
        expected = fastest * lag / 2**squarings
        jump = scipy.sparse.eye_array(self.size, format="csc") + self.rate_matrix / fastest
        term = np.exp(-expected) * scipy.sparse.eye_array(self.size, format="csc")
        series = term
        for k in range(1, 13):
            term = term @ jump * (expected / k)
            series = series + term
        matrix = series.toarray()
        for _ in range(squarings):
            matrix = matrix @ matrix
        return matrix / matrix.sum(axis=1, keepdims=True)

    def sample(
        self, n_trajectories: int, n_frames: int, lag: float, start: Region | None = None, seed: int = 0
    ) -> list[np.ndarray]:
        """Trajectories of the discretized process, exact at any lag time: arrays (frames, dims) [nm].

        Cells follow ``transition_matrix(lag)``; a point is drawn uniformly within its cell. The first frame
        is drawn from the stationary distribution, within the region ``start`` if given.
        """
        weights = self.stationary_distribution * (1.0 if start is None else fractions(self, start))
        generator = np.random.default_rng(seed)
        states = sampled_states(self.transition_matrix(lag), n_trajectories, n_frames, weights, generator)
        points = self.points.T[states]
        points += self.spacing * (generator.random(points.shape) - 0.5)
        return list(points)


@dataclass(frozen=True)
class Rates:
    """Flux and rates of the reaction from A to B in equilibrium.

    Attributes
    ----------
    flux : reactive trajectories from A to B per time [1/ps]
    forward : flux per time spent coming last from A, ``k_AB`` [1/ps]
    backward : flux per time spent coming last from B, ``k_BA`` [1/ps]
    """

    flux: float
    forward: float
    backward: float


def extrapolated(
    quantity: Callable[[Generator], np.ndarray | float], generator: Generator
) -> np.ndarray | float:
    """A quantity at vanishing grid spacing by Richardson's extrapolation [richardson1911] from two grids.

    ``(4 Q(h) - Q(2h)) / 3``, of order h^4 for timescales and boundary values on smooth potentials.

    Examples
    --------
    >>> from thalweg.testsystems.wells import PrinzPotential
    >>> generator = Generator(PrinzPotential(), ((-1.2, 1.2),), 400)
    >>> extrapolated(lambda g: g.timescales(2), generator).round(5).tolist()
    [0.83403, 0.12677]
    """
    halved = tuple(n // 2 for n in generator.cells)
    coarse = replace(generator, shape=halved if len(halved) > 1 else halved[0])
    return (4.0 * quantity(generator) - quantity(coarse)) / 3.0
