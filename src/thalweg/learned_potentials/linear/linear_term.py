"""A fitted linear potential, ``E = sum_i c_z(i) . phi(f_i)``, and how unsure it is.

With ``A = G + lambda Lambda`` a prediction ``x . c`` has the variance

    noise  x^T A^-1 x,

to which a sparse kernel adds what it cannot express (`off_points`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import reduce
from itertools import pairwise
from operator import add

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from scipy.linalg import solve_triangular

from thalweg.learned_potentials.linear.design import Part, Rows, design_rows
from thalweg.learned_potentials.linear.extrapolation import ActiveSet, required
from thalweg.learned_potentials.linear.off_points import Sparse, off_points
from thalweg.learned_potentials.terms.local import SiteTerm
from thalweg.learned_potentials.terms.term import Labels, NoUncertainty, Spread
from thalweg.potentials.energy import Energy, Sum
from thalweg.representations.environments import Environments
from thalweg.shapes import Array, Float, Int
from thalweg.systems.configuration import Configuration

KEPT = 4000
"""Up to this many coefficients the posterior is kept with the model."""


class PlainFeatures(eqx.Module):
    """``phi(f) = f``: the features themselves."""

    count: int = eqx.field(static=True)
    elements: int = eqx.field(static=True)

    @property
    def sizes(self) -> tuple[int, ...]:
        return (self.count,) * self.elements

    def values(self, kind: int, features: Float[np.ndarray, "sites features"]) -> np.ndarray:
        return features

    def pushed(
        self,
        kind: int,
        features: Float[np.ndarray, "sites features"],
        owners: np.ndarray,
        pulls: Float[np.ndarray, "pairs 3 features"],
    ) -> np.ndarray:
        return pulls

    def energies(
        self,
        features: Float[Array, "features sites"],
        kinds: Int[Array, " sites"],
        coefficients: Float[Array, " coefficients"],
    ) -> Float[Array, " sites"]:
        """Energy of each site."""
        rows = jnp.asarray(coefficients, features.dtype).reshape(self.elements, self.count) @ features
        if self.elements == 1:
            return rows[0]
        return sum(jnp.where(kinds == kind, row, 0) for kind, row in enumerate(rows))


class LinearTerm(SiteTerm):
    """A fitted linear potential.

    Attributes
    ----------
    parts : representations and the functions of their features, see `design.SiteBasis`
    coefficients : (coefficients,) [kJ/mol per function], part after part, in each element after element
    factor : upper Cholesky factor of ``A``, or None where the posterior was not kept
    noise : variance of a label in units of its squared weight
    active : the sites that span the training set, or None before `with_active_set`
    priors : prior variance of each part in units of its own ``Lambda^-1``; empty where it is not known
    """

    parts: tuple[Part, ...]
    coefficients: Float[Array, " coefficients"]
    factor: Float[Array, "coefficients coefficients"] | None
    noise: float
    active: ActiveSet | None = None
    priors: tuple[float, ...] = ()

    @property
    def elements(self) -> tuple[int, ...]:
        return self.parts[0].representation.elements

    @property
    def cutoff(self) -> float:
        return max(part.representation.cutoff for part in self.parts)

    def site_energies(self, environments: Environments) -> Float[Array, " sites"]:
        energies = sum(
            part.basis.energies(part.representation(environments), environments.kinds, coefficients)
            for part, coefficients in zip(self.parts, self._shares(self.coefficients))
        )
        return jnp.where(environments.kinds >= 0, energies, 0)

    def bind(
        self, numbers: np.ndarray, box: np.ndarray | None = None, periodic: Sequence[bool] | None = None
    ) -> Energy:
        bound = tuple(SiteTerm.bind(part, numbers, box, periodic) for part in self._apart)
        return Sum(bound) if len(bound) > 1 else bound[0]

    def evaluate(self, configurations: Sequence[Configuration]) -> Labels:
        return reduce(add, (SiteTerm.evaluate(part, configurations) for part in self._apart))

    def _shares(self, coefficients):
        """Those of each part."""
        ends = np.cumsum([sum(part.basis.sizes) for part in self.parts])
        return [coefficients[start:stop] for start, stop in pairwise([0, *ends])]

    @property
    def _apart(self):
        """Each part alone, which looks no further than it sees.

        Without the posterior, whose numbers would make every fit a program of its own to compile.
        """
        return tuple(
            LinearTerm((part,), share, None, 1.0)
            for part, share in zip(self.parts, self._shares(self.coefficients))
        )

    def spread(self, configurations: Sequence[Configuration]) -> Spread:
        """Standard deviations of the posterior.

        Raises
        ------
        NoUncertainty
            If the posterior was not kept, because there are more than `KEPT` coefficients.
        """
        if self.factor is None:
            raise NoUncertainty(
                f"the posterior of these {len(self.coefficients)} coefficients was not kept (the limit is {KEPT}); "
                "fit fewer, or a committee"
            )
        energies, forces = np.zeros(len(configurations)), [np.zeros((0, 3))] * len(configurations)
        for block in self.rows(configurations):
            energies[block.frames] = self._variances(block.energies)
            for k, rows in zip(block.frames, block.forces):
                forces[k] = self._variances(rows).reshape(-1, 3)
        for part, prior in zip(self.parts, self.priors):
            if isinstance(part.basis, Sparse):
                unknown = off_points(part, configurations)
                energies += prior * unknown[0]
                forces = [known + prior * more for known, more in zip(forces, unknown[1])]
        return Spread(np.sqrt(energies), tuple(np.sqrt(each) for each in forces))

    def with_active_set(self, configurations: Sequence[Configuration]) -> LinearTerm:
        """The same with the active set of training ``configurations``, so that it knows when it extrapolates."""
        return replace(self, active=ActiveSet.of(self.parts, configurations))

    def grades(self, configurations: Sequence[Configuration]) -> tuple[np.ndarray, ...]:
        """D-optimality grade of every atom, ``(atoms,)`` per frame, see `extrapolation`.

        Raises
        ------
        NoUncertainty
            If there is no active set yet.
        """
        return required(self.active).grades(self.parts, configurations)

    def rows(self, configurations: Sequence[Configuration]) -> Iterator[Rows]:
        """Rows of the least-squares problem, see `design.design_rows`."""
        return design_rows(self.parts, configurations)

    def _variances(self, rows):
        """``noise x^T A^-1 x = noise |U^-T x|^2`` of each row, with ``A = U^T U``."""
        whitened = solve_triangular(np.asarray(self.factor), rows.T, trans="T", lower=False)
        return self.noise * (whitened * whitened).sum(0)
