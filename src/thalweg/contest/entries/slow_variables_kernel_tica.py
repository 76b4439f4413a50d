"""Kernel TICA with 200 Gaussian kernels at landmarks, their width chosen by cross-validation (KernelTICA)."""

import numpy as np

from thalweg.collective_variables.linear.kernel_tica import KernelTICA
from thalweg.collective_variables.linear.vac import VACModel


def fit(given: dict) -> VACModel:
    """Two slow coordinates of the runs."""
    return KernelTICA(lagtime=int(given["lagtime"][0]), dim=2, landmarks=200).fit(list(given["features"]))


def answer(model: VACModel, asked: dict) -> dict:
    """The coordinates of the frames."""
    return {"coordinates": np.asarray(model.transform(asked["features"]))}
