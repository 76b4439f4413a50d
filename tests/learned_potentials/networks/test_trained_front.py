"""The front of a network: what trainings with other weights give on frames left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from thalweg.learned_potentials.networks.trained_front import TrainedFront, left_out_errors
from thalweg.learned_potentials.terms.term import Labels, Weights
from thalweg.systems.configuration import Configuration


@dataclass(frozen=True)
class Off:
    """Right but for the same error of every energy and of every force component."""

    energy: float
    force: float

    def bind(self, numbers, box=None, periodic=None): ...

    def evaluate(self, configurations):
        return Labels(
            np.array([frame.energy + self.energy for frame in configurations]),
            tuple(frame.forces + self.force for frame in configurations),
            tuple(np.full((3, 3), np.nan) for _ in configurations),
        )


@pytest.fixture
def frames():
    random = np.random.default_rng(0)
    return [
        Configuration(
            np.full(4, 18), random.random((4, 3)), energy=random.random(), forces=random.random((4, 3))
        )
        for _ in range(5)
    ]


def test_errors_are_those_that_weights_weigh(frames):
    found = left_out_errors(Off(0.6, -3.0), frames)
    assert found == pytest.approx({"energy": 0.6 / np.sqrt(4), "force": 3.0})


def test_a_front_trades_energies_for_forces_and_leaves_out_what_is_beaten(frames):
    def retrained(weights):
        ratio = weights.energy / 0.1
        return Off(1.5, 25.0) if ratio == 10.0 else Off(0.2 * ratio**0.5, 10.0 * ratio**-0.5)

    points = TrainedFront(Off(0.2, 10.0), retrained, frames).front(Weights())
    assert sorted(point.weights.energy for point in points) == pytest.approx([0.01, 0.03, 0.1, 0.3])
    errors = np.array([[point.held_out["energy"], point.held_out["force"]] for point in points])
    order = np.argsort(errors[:, 0])
    assert (np.diff(errors[order, 1]) < 0).all()


def test_without_frames_left_out_there_is_no_front():
    assert TrainedFront(Off(0.0, 0.0), lambda weights: Off(0.0, 0.0), []).front(Weights()) == []
