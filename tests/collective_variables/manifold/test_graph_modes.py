"""Slow modes of graphs: iterations find what a dense solve finds, without the modes of few points."""

import numpy as np
import scipy
from scipy.sparse import csr_array

from thalweg.collective_variables.manifold.graph_modes import ALL_AT_ONCE, graph_modes


def chain_with_stragglers(points=700, stragglers=3):
    """Flow and mass of a chain, on which single points hang that are seldom left."""
    flow = np.zeros((points + stragglers,) * 2)
    flow[np.arange(points - 1), np.arange(1, points)] = 1.0
    flow[np.arange(stragglers) * 100, points + np.arange(stragglers)] = 2e-6 * (1 + np.arange(stragglers))
    return flow + flow.T, np.ones(points + stragglers)


def test_modes_of_a_chain_are_found_and_those_of_single_points_passed_over():
    flow, mass = chain_with_stragglers()
    assert len(mass) > ALL_AT_ONCE
    place = np.clip(np.arange(len(mass)), 0, 699)
    rough = np.cos(np.pi * np.arange(1, 8) * (place[:, None] + 20.0) / 730)
    found = graph_modes(csr_array(flow), mass, 2, rough, carriers=5, iterations=400, tolerance=1e-8)
    values, vectors = scipy.linalg.eigh(np.diag(flow.sum(axis=1)) - flow, subset_by_index=(0, 12))
    carried = 1 / (vectors**4).sum(axis=0) >= 5
    np.testing.assert_allclose(found.eigenvalues[:2], values[carried][1:3], rtol=1e-4)
    assert found.lone == int((~carried[: np.flatnonzero(carried)[2]]).sum()) > 0
