"""A Gaussian process with kernels of the substituents' constants and of cores (AffinityProcess)."""

import numpy as np

from thalweg.binding.affinity_process import AffinityProcess


def fit(given: dict) -> dict:
    """What was measured; the process needs the ligands asked beside it."""
    return given


def answer(model: dict, asked: dict) -> dict:
    """Means of the process at the ligands asked."""
    constants = np.concatenate([model["constants"], asked["constants"]])
    scaled = constants / constants.std(axis=0)
    core = np.concatenate([model["core"], asked["core"]])
    apart = (scaled[:, None] - scaled) ** 2
    kernels = {
        "core": (core[:, None] == core).astype(float),
        "first site": np.exp(-apart[..., :3].sum(axis=-1) / 8),
        "second site": np.exp(-apart[..., 3:].sum(axis=-1) / 8),
        "both": np.exp(-apart.sum(axis=-1) / 16),
    }
    labels = np.concatenate([model["affinities"], np.full(len(asked["core"]), np.nan)])
    return {"affinities": AffinityProcess().fit(kernels, labels).means[len(model["core"]) :]}
