"""Ridge regression on the core and on the constants of the substituents and their squares (Hansch analysis)."""

import numpy as np
from sklearn.linear_model import RidgeCV


def fit(given: dict) -> RidgeCV:
    """Contributions of the parts."""
    return RidgeCV(alphas=np.logspace(-3, 2, 12)).fit(_parts(given), given["affinities"])


def answer(model: RidgeCV, asked: dict) -> dict:
    """Their sums."""
    return {"affinities": model.predict(_parts(asked))}


def _parts(ligands: dict) -> np.ndarray:
    """Indicators of cores, and constants with their squares."""
    cores = (ligands["core"][:, None] == np.arange(4)).astype(float)
    return np.concatenate([cores, ligands["constants"], ligands["constants"] ** 2], axis=1)
