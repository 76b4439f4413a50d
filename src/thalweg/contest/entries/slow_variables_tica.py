"""TICA: the slowest linear combinations of the features."""

import numpy as np

from thalweg.collective_variables.linear.tica import TICA
from thalweg.collective_variables.linear.vac import VACModel


def fit(given: dict) -> VACModel:
    """Two slow coordinates of the runs."""
    return TICA(lagtime=int(given["lagtime"][0]), dim=2).fit(list(given["features"]))


def answer(model: VACModel, asked: dict) -> dict:
    """The coordinates of the frames."""
    return {"coordinates": np.asarray(model.transform(asked["features"]))}
