r"""Reversible artificial dynamics on frames in no order: the walk of a diffusion map as a Markov model.

A diffusion map knows the flow :math:`S_{ij}` between frames in equilibrium and their populations :math:`w_i`. With a
time step :math:`h` no longer than the shortest stay at a frame,

.. math::  P = 1 - h\, W^{-1} (D - S), \qquad D_{ii} = \sum_j S_{ij}, \quad W = \mathrm{diag}(w)

is a chain with these populations in detailed balance whose states are the frames: committors (those of target measure
diffusion maps [banisch2020] [evans2023], if frames carry weights), passage times, fluxes and metastable sets are those
of any `MarkovModel`. Time is that of diffusion with the map's coefficient, set by the map's slowest rate.

It is the dynamics of diffusion in the map's metric, not that of the simulation that made the frames.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array, diags_array

from thalweg.collective_variables.manifold.diffusion_map import DiffusionMapModel
from thalweg.kinetics.known_chain import known_chain
from thalweg.kinetics.markov_state_model import MarkovModel


def artificial_dynamics(model: DiffusionMapModel, n_processes: int = 5) -> MarkovModel:
    """The walk on the points of a map as a Markov model, whose states are the points.

    Parameters
    ----------
    model : a fitted map
    n_processes : number of slow processes to compute when asked for

    Examples
    --------
    >>> from thalweg.collective_variables.manifold.diffusion_map import DiffusionMap
    >>> frames = np.random.default_rng(0).standard_normal((300, 1))
    >>> chain = artificial_dynamics(DiffusionMap(dim=1).fit(frames))
    >>> bool(np.allclose(chain.stationary_distribution, 1 / 300, rtol=0.05))
    True
    """
    walk = model.walk
    rates = np.asarray(walk.flow.sum(axis=1)).ravel() / walk.mass
    step = 1.0 / rates.max()
    moving = diags_array(step / walk.mass) @ walk.flow
    matrix = csr_array(moving + diags_array(1.0 - step * rates))
    # the step for D = 1 on the graph, in the time in which the slowest mode has the rate of the map
    lag = step * model.eigenvalues[0] / model.rates[0]
    return known_chain(matrix, lag, n_processes, walk.mass / walk.mass.sum())
