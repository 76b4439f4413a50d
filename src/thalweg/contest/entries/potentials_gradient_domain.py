"""A kernel on inverse distances (GradientDomain), its settings chosen on the frames given."""

import numpy as np

from thalweg.learned_potentials.gradient_domain.gradient_domain import GradientDomain
from thalweg.systems.configuration import Configuration


def fit(given: dict) -> object:
    """The term of the frames; no two atoms of the molecule change places."""
    frames = [
        Configuration(given["numbers"], positions, energy=float(energy), forces=forces)
        for positions, energy, forces in zip(given["positions"], given["energies"], given["forces"])
    ]
    return given["numbers"], GradientDomain(permutations=np.arange(len(given["numbers"]))[None]).fit(
        frames
    ).term


def answer(model: tuple, asked: dict) -> dict:
    """Its forces."""
    numbers, term = model
    frames = [Configuration(numbers, positions) for positions in asked["positions"]]
    return {"forces": np.stack(term.evaluate(frames).forces)}
