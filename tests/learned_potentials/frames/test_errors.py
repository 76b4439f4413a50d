"""Errors are what they say: of known residuals, per atom, per element, by distance."""

from __future__ import annotations

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.learned_potentials.frames.errors import (
    Error,
    errors,
    errors_of,
    residuals,
    worse_than_none,
)
from thalweg.learned_potentials.terms.term import Labels
from thalweg.learned_potentials.uncertainty.distance_to_training import (
    distances_to_training,
    errors_by_distance,
)
from thalweg.representations.radial import smooth_cutoff
from thalweg.representations.representation import Representation
from thalweg.systems.configuration import Configuration
from thalweg.units import ELECTRONVOLT

RNG = np.random.default_rng(0)


class Crowding(Representation):
    """How crowded an atom is, seen through two cutoffs."""

    elements: tuple[int, ...] | None = eqx.field(static=True, default=None)
    cutoff: float = eqx.field(static=True, default=0.4)

    def __call__(self, environments):
        distances = environments.distances
        return jnp.stack([smooth_cutoff(distances, reach).sum(0) for reach in (0.4, 0.3)])


def test_errors_of_known_residuals():
    frames = [
        Configuration(np.array([8, 1]), RNG.random((2, 3)), energy=1.0, forces=np.zeros((2, 3))),
        Configuration(np.array([1]), RNG.random((1, 3)), energy=None, forces=np.ones((1, 3))),
        Configuration(np.array([8, 8, 8, 8]), RNG.random((4, 3)), energy=-1.0),
    ]
    forces = (np.array([[3.0, 0, 0], [0, -4.0, 0]]), np.ones((1, 3)), np.full((4, 3), 1e9))
    predicted = Labels(np.array([3.0, 1e9, -2.0]), forces, (np.full((3, 3), np.nan),) * 3)
    found = errors_of(frames, predicted)
    assert found.energy == Error(1.5, np.sqrt(2.5), 2.0, 2, 0.5)
    assert found.energy_per_atom == Error((1 + 0.25) / 2, np.sqrt((1 + 0.0625) / 2), 1.0, 2, 0.375)
    assert found.forces.mae == pytest.approx(7 / 9)
    assert found.forces.rmse == pytest.approx(5 / 3)
    assert found.forces_by_element[8].mae == pytest.approx(1.0)
    assert found.forces_by_element[1].mae == pytest.approx(4 / 6)
    assert found.stress is None
    assert residuals(frames, predicted).energies == (2.0, None, -1.0)


def test_tables_are_in_the_units_of_papers():
    frame = Configuration(
        np.array([14]), np.zeros((1, 3)), np.eye(3), (True,) * 3, 0.0, np.zeros((1, 3)), np.zeros((3, 3))
    )
    forces = (np.full((1, 3), ELECTRONVOLT * 10 * 0.05),)
    predicted = Labels(np.array([ELECTRONVOLT * 2e-3]), forces, (np.full((3, 3), 602.214076),))
    rows = {name: (unit, mae) for name, unit, mae, *_ in errors_of([frame], predicted).rows()}
    assert rows["energy per atom"] == ("meV", pytest.approx(2.0))
    assert rows["forces"] == ("meV/Å", pytest.approx(50.0))
    assert rows["forces on Si"] == ("meV/Å", pytest.approx(50.0))
    assert rows["stress"] == ("GPa", pytest.approx(1.0))


def test_frames_without_labels_have_no_errors(learner, molecules):
    term = learner.fit(molecules(5)).term
    found = errors(term, [Configuration(np.array([1, 1]), RNG.random((2, 3)))])
    assert (found.energy, found.forces, found.forces_by_element) == (None, None, {})


def test_errors_by_distance_find_what_grows_with_it():
    far = [RNG.random(50) for _ in range(4)]
    off = [each[:, None] * np.ones(3) for each in far]
    groups = errors_by_distance(far, [*off[:3], None], 5)
    assert sum(error.count for _, error in groups) == 3 * 50 * 3
    for distance, error in groups:
        assert error.mae == pytest.approx(distance)
    assert [distance for distance, _ in groups] == sorted(distance for distance, _ in groups)


def test_training_frames_are_at_no_distance_and_strangers_infinitely_far(molecules):
    train, others = molecules(6), molecules(3, 0.03, seed=1)
    stranger = molecules(1, numbers=(6, 1, 1, 7))
    far = distances_to_training(Crowding(), train, [train[2], *others, *stranger])
    assert far[0].max() < 1e-5
    assert all(each.max() > 1e-2 for each in far[1:])
    assert np.isinf(far[-1]).tolist() == [False, False, False, True]


def test_distances_without_atoms_have_no_errors():
    assert errors_by_distance([np.zeros(0)], [np.zeros((0, 3))]) == []


def test_a_model_worse_than_none_is_told_for_energies_forces_and_stresses(molecules):
    frames = [
        replace(frame, stress=stress)
        for frame, stress in zip(molecules(20), 100 * np.random.default_rng(0).normal(size=(20, 3, 3)))
    ]

    def said(factor):
        mean = np.mean([frame.energy for frame in frames])
        return Labels(
            np.array([mean + factor * (frame.energy - mean) for frame in frames]),
            tuple(factor * frame.forces for frame in frames),
            tuple(factor * frame.stress for frame in frames),
        )

    assert worse_than_none(frames, said(0.5)) == {}
    assert set(worse_than_none(frames, said(-1.0))) == {"energy per atom", "forces", "stress"}
    still = [replace(frame, forces=0 * frame.forces) for frame in frames]
    assert "forces" not in worse_than_none(still, said(-1.0))
