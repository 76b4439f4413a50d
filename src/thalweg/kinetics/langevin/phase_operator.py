r"""The generator of a fitted model with inertia and memory: its time scales, exact for the model.

Functions of velocity and hidden variables are expanded in Hermite polynomials, functions of position on a grid that is
staggered: those of even total degree live in the cells, those of odd degree on the faces between, where walls make them
vanish. Streaming couples the two, exactly antisymmetric whatever the grid,

.. math:: L = G a^T - G^T a - \gamma a^T a + \sum_k (\gamma_k / \tau_k)^{1/2} (b_k^T a - a^T b_k) - b_k^T b_k / \tau_k ,

with :math:`G = (kT/m)^{1/2}\, d/dx` and lowering matrices a, b [risken1996]. Mass, friction and memory may depend on
position. The error falls as the square of the spacing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

from thalweg.testsystems.potential import Potential

Along = Callable[[np.ndarray], np.ndarray]
"""A function from positions (points,) to numbers (points,)."""


@dataclass(frozen=True)
class PhaseOperator:
    """The generator of Langevin dynamics with inertia, friction and hidden variables, in one dimension.

    Attributes
    ----------
    potential : in one dimension
    kT : [kJ/mol]
    mass : [amu], of position
    friction : without memory [1/ps], of position
    hidden : ``(gamma_k, tau_k)`` of each hidden variable, the first of position
    cells : of the grid
    degree : largest total degree of the polynomials; low friction needs more
    periodic : whether position goes around

    Examples
    --------
    >>> from thalweg.testsystems.wells import DoubleWell
    >>> flat = lambda value: lambda x: np.full(x.shape, value)
    >>> operator = PhaseOperator(DoubleWell(5.0), 1.0, flat(1.0), flat(10.0), cells=200, degree=16)
    >>> operator.timescales(1).round(0).tolist()
    [206.0]
    """

    potential: Potential
    kT: float
    mass: Along
    friction: Along
    hidden: tuple[tuple[Along, float], ...] = ()
    cells: int = 150
    degree: int = 24
    periodic: bool = False

    @cached_property
    def points(self) -> np.ndarray:
        """Centers of the cells (cells,) [nm]."""
        ((lower, upper),) = self.potential.domain
        return lower + (upper - lower) / self.cells * (np.arange(self.cells) + 0.5)

    @cached_property
    def faces(self) -> np.ndarray:
        """Places between the cells (faces,) [nm]."""
        half = 0.5 * (self.points[1] - self.points[0])
        return (self.points if self.periodic else self.points[:-1]) + half

    def populations(self) -> np.ndarray:
        """Equilibrium probability of each cell (cells,)."""
        energy = self.potential.energy(self.points[None]) / self.kT
        weights = np.exp(energy.min() - energy)
        return weights / weights.sum()

    def _derivatives(self) -> tuple[scipy.sparse.csc_array, scipy.sparse.csc_array]:
        """``G`` from cells to faces and from faces to cells, between functions times the root of the density."""
        energy = np.asarray(self.potential.energy(self.points[None])) / self.kT
        face = np.asarray(self.potential.energy(self.faces[None])) / self.kT
        h = self.points[1] - self.points[0]
        left, count = np.arange(len(face)), len(energy)
        right = (left + 1) % count

        def matrix(rows, columns, rise, speed, shape):
            values = np.concatenate([-speed, speed]) / h * np.exp(0.5 * np.concatenate(rise))
            return scipy.sparse.csc_array((values, (np.concatenate(rows), np.concatenate(columns))), shape)

        speed = np.sqrt(self.kT / self.mass(self.faces))
        rise = (energy[left] - face, energy[right] - face)
        out = matrix((left, left), (left, right), rise, speed, (len(face), count))
        # from faces to cells: of the face to the right minus that to the left, those at walls being zero
        values = np.sqrt(self.kT / self.mass(self.points)) / h
        rows = np.concatenate([right, left])
        signs = np.concatenate([-values[right], values[left]])
        rises = np.concatenate([face - energy[right], face - energy[left]])
        back = scipy.sparse.csc_array(
            (signs * np.exp(0.5 * rises), (rows, np.concatenate([left, left]))), (count, len(face))
        )
        return out, back

    @cached_property
    def generator(self) -> scipy.sparse.csc_array:
        """L [1/ps] between functions times the root of the density."""
        variables = 1 + len(self.hidden)
        indices = [
            index for index in product(range(self.degree + 1), repeat=variables) if sum(index) <= self.degree
        ]
        number = {index: k for k, index in enumerate(indices)}
        out, back = self._derivatives()
        sites = (self.points, self.faces)
        friction = [self.friction(x) for x in sites]
        memory = [[np.sqrt(rate(x) / time) for x in sites] for rate, time in self.hidden]
        blocks = [[None] * len(indices) for _ in indices]
        for index, k in number.items():
            n, odd = index[0], sum(index) % 2
            rest = sum(m / time for m, (_, time) in zip(index[1:], self.hidden))
            blocks[k][k] = scipy.sparse.diags_array(-n * friction[odd] - rest)
            up = number.get((n + 1, *index[1:]))
            if up is not None:
                streaming = np.sqrt(n + 1) * (back if odd else out)
                blocks[up][k], blocks[k][up] = streaming, -streaming.T
            for j, coupling in enumerate(memory):
                other = list(index)
                other[0], other[1 + j] = n - 1, index[1 + j] + 1
                to = number.get(tuple(other))
                if to is not None:
                    exchange = scipy.sparse.diags_array(np.sqrt(n * (index[1 + j] + 1)) * coupling[odd])
                    blocks[to][k], blocks[k][to] = exchange, -exchange
        return scipy.sparse.block_array(blocks, format="csc")

    def timescales(self, count: int = 1) -> np.ndarray:
        """The ``count`` slowest relaxation times [ps]."""
        start = np.random.default_rng(0).standard_normal(self.generator.shape[0])
        shift = 1e-5 * abs(self.generator).max()
        values = scipy.sparse.linalg.eigs(
            self.generator, count + 4, sigma=shift, v0=start, maxiter=10_000, return_eigenvectors=False
        )
        rates = np.sort(-values.real)
        return 1.0 / rates[1 : count + 1]
