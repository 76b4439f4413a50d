"""Two networks whose gradient is fitted to the instantaneous forces, averaged (MeanForceNetwork)."""

import numpy as np

from thalweg.free_energies.landscapes.landscape import NetworkLandscape
from thalweg.free_energies.landscapes.mean_force_network import MeanForceNetwork


def fit(given: dict) -> NetworkLandscape:
    """The surface; frames are independent."""
    method = MeanForceNetwork(
        kT=1.0, periods=(None, None), hidden=(32,), epochs=60, patience=15, members=2, block=1
    )
    return method.fit([given["positions"]], [given["forces"]])


def answer(model: NetworkLandscape, asked: dict) -> dict:
    """Its free energy."""
    return {"energies": np.asarray(model.energy(asked["positions"]), float)}
