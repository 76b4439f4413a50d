"""A fitted free energy as a potential: what every engine runs, and every exact answer of `testsystems` is asked of."""

from __future__ import annotations

import equinox as eqx
import numpy as np

from thalweg.kinetics.langevin.likelihoods.splines import Splines
from thalweg.shapes import Array
from thalweg.testsystems.potential import Domain, ModelEnergies, Potential

WALL = 400.0
"""Curvature [kT per squared range] with which a free energy rises beyond the frames, on top of its slope there."""


class FittedFreeEnergy(Potential):
    """A free energy [kJ/mol] of the variables of trajectories.

    Beyond the frames it goes on in a straight line and a parabola that keeps simulations near them.

    Attributes
    ----------
    splines : the functions
    coefficients : (functions,)
    kT : [kJ/mol]
    """

    splines: Splines = eqx.field(static=True)
    coefficients: np.ndarray
    kT: float = eqx.field(static=True)

    @property
    def domain(self) -> Domain:
        """The range of the frames and a twentieth beyond; one period of a periodic variable."""
        margin = [0.0 if axis.periodic else 0.05 * (axis.upper - axis.lower) for axis in self.splines.axes]
        return tuple((axis.lower - wide, axis.upper + wide) for axis, wide in zip(self.splines.axes, margin))

    def energy(self, x: Array) -> ModelEnergies:
        """Free energies ``(*points,)`` of ``x`` ``(variables, *points)``, in the library of ``x``."""
        xp = x.__array_namespace__()
        points = xp.moveaxis(x.reshape(x.shape[0], -1), 0, 1)
        coefficients = xp.asarray(self.coefficients, dtype=points.dtype)
        total = self.splines.derivatives(points, ()) @ coefficients
        for k, axis in enumerate(self.splines.axes):
            if not axis.periodic:
                out = (points[:, k] - xp.clip(points[:, k], axis.lower, axis.upper)) / (
                    axis.upper - axis.lower
                )
                total = total + 0.5 * WALL * self.kT * out**2
        return total.reshape(x.shape[1:])

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """``dF/dx`` ``(variables, *points)`` of a NumPy array."""
        points = x.reshape(x.shape[0], -1).T
        slopes = []
        for k, axis in enumerate(self.splines.axes):
            slope = self.splines.derivatives(points, (k,)) @ np.asarray(self.coefficients)
            if not axis.periodic:
                span = axis.upper - axis.lower
                out = points[:, k] - np.clip(points[:, k], axis.lower, axis.upper)
                slope = slope + WALL * self.kT * out / span**2
            slopes.append(slope)
        return np.stack(slopes).reshape(x.shape)


class KnownFreeEnergy(Potential):
    """A fitted free energy raised where the data do not know it, by its variance over kT less one kT.

    A model of several variables says something of corners that no trajectory ever saw. Its wells there, and still more
    those of parameters drawn from its posterior, are nobody's: motion in and out of them must not count.

    Attributes
    ----------
    fitted : the free energy
    mean : (functions,) of F over the frames, from which differences are known
    covariance : (functions, functions) of the coefficients
    """

    fitted: FittedFreeEnergy
    mean: np.ndarray
    covariance: np.ndarray

    @property
    def domain(self) -> Domain:
        """As of the fitted free energy."""
        return self.fitted.domain

    def energy(self, x: Array) -> ModelEnergies:
        """Free energies ``(*points,)`` of ``x`` ``(variables, *points)``, a NumPy array."""
        x = np.asarray(x)
        rows = self.fitted.splines.derivatives(x.reshape(x.shape[0], -1).T, ()) - self.mean
        variance = np.einsum("np,np->n", rows @ self.covariance, rows).reshape(x.shape[1:])
        kT = self.fitted.kT
        return self.fitted.energy(x) + np.maximum(variance / kT - kT, 0.0)
