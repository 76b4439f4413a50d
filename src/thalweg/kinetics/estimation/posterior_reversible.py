r"""Samples of reversible transition matrices from their posterior, by strengths of paired comparisons.

With weights :math:`x_{ij} = x_{ji}`, :math:`p_{ij} = x_{ij} / x_i` and the scale-free prior :math:`1/x_{ij}`
on every pair seen [trendelkampschroer2015], the posterior is

.. math::  \prod_{i<j} x_{ij}^{s_{ij} - 1} \prod_i x_{ii}^{c_{ii} - 1}\; x_i^{-c_i},\qquad
           s_{ij} = c_{ij} + c_{ji} .

Self-transitions integrate out: :math:`p_{ii}` is drawn from a beta distribution last. What remains is a
mixture over one hidden number per state [caron2012]: given strengths :math:`e^{u_i}` all edges are
independent,

.. math::  x_{ij} \mid u \sim \Gamma\bigl(s_{ij},\; e^{u_i} + e^{u_j}\bigr),\qquad p(u) \propto e^{-F(u)} ,

where :math:`F` is the convex function whose minimum is the maximum-likelihood matrix (`reversible`). So one
samples a log-concave density of as many dimensions as states: elliptical slice steps [murray2010] about the
minimum, with the inverse graph Laplacian there as covariance, and after each the strengths once more given
the edges, :math:`e^{u_i} \mid x \sim \Gamma(\ell_i, x_i)`, which moves states with few counts quickly.

========  ================================================================
symbol    meaning
========  ================================================================
``c``     counts, ``c_i`` their row sums, ``l_i`` those to other states
``s``     ``edges.weight``
========  ================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse.linalg import SuperLU
from scipy.special import expit

from thalweg.kinetics.counts.edges import Edges
from thalweg.kinetics.estimation.factorization import factorized
from thalweg.kinetics.estimation.transition_matrix import TransitionMatrix
from thalweg.shapes import Shaped

MOST_SHRINKS = 60
"""Brackets of a slice step halve on average; after this many the point stays."""


@dataclass(frozen=True, eq=False)
class Strengths:
    """The density ``exp(-F)`` of strengths, its maximum and its Gaussian approximation there.

    Attributes
    ----------
    edges : counts as a graph
    mode : (states,), ``u`` at the maximum likelihood
    """

    edges: Edges
    mode: Shaped[np.ndarray, " states"]

    @cached_property
    def curvature(self) -> np.ndarray:
        """Second derivative of ``F`` along every edge ``(edges,)``."""
        share = expit(self.mode[self.edges.first] - self.mode[self.edges.second])
        return self.edges.weight * share * (1 - share)

    @cached_property
    def _factor(self) -> SuperLU:
        """The Laplacian at the mode without its first state, factorized."""
        edges, curvature = self.edges, self.curvature
        laplacian = edges.matrix(-curvature, edges.at_states(curvature, curvature))
        return factorized(laplacian[1:, 1:], "posterior")

    def gaussian(self, random: np.random.Generator) -> np.ndarray:
        """A deviation ``(states,)`` from the Gaussian approximation; that of the first state is zero."""
        # B^T W^{1/2} xi has the Laplacian L as covariance, so L^-1 of it has L^-1
        noise = np.sqrt(self.curvature) * random.standard_normal(len(self.curvature))
        return np.concatenate([[0.0], self._factor.solve(self.edges.at_states(noise, -noise)[1:])])

    def excess(self, deviation: np.ndarray) -> float:
        """Log of the density over its Gaussian approximation, up to a constant."""
        edges = self.edges
        strength = np.exp(self.mode + deviation)
        value = edges.weight @ np.log(strength[edges.first] + strength[edges.second])
        apart = deviation[edges.first] - deviation[edges.second]
        return float(edges.leaving @ deviation - value + 0.5 * self.curvature @ (apart * apart))


def _sampled_strengths(
    strengths: Strengths, deviation: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """One elliptical slice step: the next deviation ``(states,)`` from the mode."""
    # an ellipse through the present deviation and a Gaussian one; all of it has the Gaussian's density
    auxiliary = strengths.gaussian(random)
    # the slice: what exceeds the Gaussian decides alone; the bracket shrinks toward the present point
    level = strengths.excess(deviation) - random.standard_exponential()
    angle = random.uniform(0, 2 * np.pi)
    low, high = angle - 2 * np.pi, angle
    for _ in range(MOST_SHRINKS):
        trial = np.cos(angle) * deviation + np.sin(angle) * auxiliary
        if strengths.excess(trial) > level:
            return trial
        low, high = (angle, high) if angle < 0 else (low, angle)
        angle = random.uniform(low, high)
    return deviation


def reversible_samples(
    edges: Edges, stationary: Shaped[np.ndarray, " states"], random: np.random.Generator, warmup: int = 20
) -> Iterator[TransitionMatrix]:
    """Transition matrices from the posterior, without end.

    Parameters
    ----------
    edges : connected counts
    stationary : (states,), of the maximum-likelihood matrix
    warmup : steps before the first sample
    """
    strengths = Strengths(edges, np.log((edges.leaving + edges.staying) / stationary))
    deviation, stays = np.zeros(edges.n_states), edges.staying > 0
    for step in range(warmup + 10**18):
        deviation = _sampled_strengths(strengths, deviation, random)
        strength = np.exp(strengths.mode + deviation)
        # x_ij | u ~ Gamma(s_ij, e^{u_i} + e^{u_j})
        between = random.standard_gamma(edges.weight) / (strength[edges.first] + strength[edges.second])
        through = edges.at_states(between, between)
        if step >= warmup:
            # p_ii / (1 - p_ii) of Beta(c_ii, l_i), as a ratio of two gamma variables
            staying = np.zeros(edges.n_states)
            staying[stays] = random.standard_gamma(edges.staying[stays])
            staying[stays] *= through[stays] / random.standard_gamma(edges.leaving[stays])
            yield TransitionMatrix.from_weights(edges.matrix(between, staying))
        # e^{u_i} | x ~ Gamma(l_i, x_i); the scale of all strengths is free and fixed by the first state
        strength = random.standard_gamma(edges.leaving) / through
        deviation = np.log(strength) - strengths.mode
        deviation = deviation - deviation[0]
