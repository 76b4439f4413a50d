"""Null model: the two directions of largest variance, whatever their time scale."""

import numpy as np


def fit(given: dict) -> tuple[np.ndarray, np.ndarray]:
    """Mean and directions."""
    frames = given["features"].reshape(-1, given["features"].shape[-1])
    mean = frames.mean(axis=0)
    return mean, np.linalg.svd(np.cov(frames - mean, rowvar=False))[0][:, :2]


def answer(model: tuple, asked: dict) -> dict:
    """Projections of the frames."""
    mean, directions = model
    return {"coordinates": (asked["features"] - mean) @ directions}
