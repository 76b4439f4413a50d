"""Properties of molecules: they turn as molecules do, and known ones are found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from thalweg.learned_potentials.properties.left_out_labels import left_out
from thalweg.learned_potentials.properties.property_kernel import PropertyKernel, PropertyModel
from thalweg.learned_potentials.properties.readouts import (
    AttentionPooled,
    Dipole,
    PerAtom,
    Polarizability,
    Pooled,
    Readout,
    Summed,
)
from thalweg.representations.fchl import FCHL19
from thalweg.systems.configuration import Configuration

SMALL = FCHL19(cutoff=0.5, radial=6, angular=4)
CHARGES = {8: -0.8, 1: 0.4}


def water(seed: int, count: int) -> list[Configuration]:
    """Bent, turned and shifted molecules whose charges, dipoles and polarizabilities are functions of bond lengths."""
    draws = np.random.default_rng(seed)
    shape = np.array([[0.0, 0.0, 0.0], [0.0757, 0.0586, 0.0], [-0.0757, 0.0586, 0.0]])
    frames = []
    for turn in Rotation.random(count, rng=draws):
        x = turn.apply(shape + 0.005 * draws.normal(size=(3, 3))) + draws.normal(size=3)
        bonds = x[1:] - x[0]
        lengths = np.linalg.norm(bonds, axis=1)
        charges = np.array([-4.0 * lengths.sum(), *(4.0 * lengths)])
        tensor = 0.001 * np.eye(3) + sum(r * np.outer(b, b) / r**2 for b, r in zip(bonds, lengths)) * 0.01
        properties = {
            "charges": charges,
            "dipole": charges @ x,
            "polarizability": tensor,
            "gap": np.array(100.0 * lengths.mean()),
        }
        frames.append(Configuration(np.array([8, 1, 1]), x, properties=properties))
    return frames


READOUTS = [
    Dipole(),
    Polarizability(),
    PerAtom("charges"),
    Summed("gap"),
    Pooled("gap"),
    AttentionPooled("gap"),
]


@pytest.fixture(scope="module", params=READOUTS, ids=lambda readout: type(readout).__name__)
def model(request) -> PropertyModel:
    return PropertyKernel(request.param, SMALL).fit(water(1, 60))


def test_functions_of_bond_lengths_are_found(model):
    errors = model.errors(water(2, 40))
    assert errors.rmse < 0.03 * errors.typical
    assert str(errors).startswith(model.name)


def test_error_bars_are_the_noise_of_labels_where_there_is_nothing_else():
    def noisy(seed, count):
        noise = np.random.default_rng(seed + 10).normal(scale=0.1, size=count)
        return [
            replace(x, properties={"gap": np.array(x.properties["gap"] + more)})
            for x, more in zip(water(seed, count), noise)
        ]

    found = PropertyKernel(Pooled("gap"), SMALL).fit(noisy(1, 100))
    errors = found.errors(noisy(2, 300))
    assert np.mean(found.deviations(water(2, 20))) == pytest.approx(0.1, rel=0.3)
    assert 0.55 < errors.coverage_68 < 0.8
    assert 0.88 < errors.coverage_95 < 0.99


def test_a_property_turns_with_the_molecule_and_forgets_where_it_is(model):
    frame = water(3, 1)[0]
    turn = Rotation.random(rng=np.random.default_rng(4)).as_matrix() @ np.diag([1.0, 1.0, -1.0])
    moved = replace(frame, positions=frame.positions @ turn.T + 0.7)
    before, after = model.predict([frame, moved])
    expected = {(): before, (3,): turn @ before if before.shape == (3,) else before}.get(before.shape)
    if before.shape == (3, 3):
        expected = turn @ before @ turn.T
    if model.name == "charges":
        expected = before
    assert after == pytest.approx(expected, abs=1e-8 * np.abs(before).max())


def test_like_atoms_may_change_places(model):
    frame = water(3, 1)[0]
    swapped = replace(frame, numbers=frame.numbers[[0, 2, 1]], positions=frame.positions[[0, 2, 1]])
    before, after = model.predict([frame, swapped])
    assert after == pytest.approx(before[[0, 2, 1]] if model.name == "charges" else before, abs=1e-9)


def test_a_model_of_a_file_predicts_the_same(model, tmp_path):
    again = PropertyModel.load(model.save(tmp_path / "model"))
    frames = water(5, 2)
    assert again.predict(frames)[1] == pytest.approx(model.predict(frames)[1], rel=1e-12)
    assert isinstance(again.readout, Readout)


def test_many_labels_are_projected_on_some_and_still_fit():
    few = replace(PropertyKernel(Dipole(), SMALL), largest=90).fit(water(1, 60))
    assert "of 60 labels 30 are in the kernel" in few.notes[0]
    errors = few.errors(water(2, 40))
    assert errors.rmse < 0.05 * errors.typical


def test_labels_left_out_are_missed_as_by_a_fit_without_them():
    draws = np.random.default_rng(0).normal(size=(12, 12))
    matrix, y = draws @ draws.T + np.eye(12), np.arange(12.0)
    own, rest = np.arange(4, 8), np.r_[0:4, 8:12]
    errors, deviations = left_out(np.linalg.inv(matrix), y, np.repeat([0, 1, 2], 4))
    across = matrix[np.ix_(own, rest)] @ np.linalg.inv(matrix[np.ix_(rest, rest)])
    assert errors[own] == pytest.approx(y[own] - across @ y[rest])
    variance = np.diag(matrix[np.ix_(own, own)] - across @ matrix[np.ix_(rest, own)])
    assert deviations[own] ** 2 == pytest.approx(variance)


def test_the_dipole_of_an_ion_moves_with_its_charge():
    frames = [
        replace(x, info={"charge": 1}, properties={"dipole": x.properties["dipole"] + x.positions.mean(0)})
        for x in water(1, 40)
    ]
    found = PropertyKernel(Dipole(), SMALL).fit(frames)
    frame = replace(frames[0], positions=frames[0].positions + 2.0)
    before, after = found.predict([frames[0], frame])
    assert after - before == pytest.approx(np.full(3, 2.0))
    assert any("origin of coordinates" in note for note in found.notes)


def test_charges_add_up_to_the_total():
    found = PropertyKernel(PerAtom("charges"), SMALL).fit(water(1, 30))
    ion = replace(water(2, 1)[0], info={"charge": -1})
    assert found.predict([ion])[0].sum() == pytest.approx(-1.0)


def test_a_mean_over_atoms_does_not_grow_with_the_molecule_and_a_sum_does(model):
    """Two molecules far from each other have the gap of one, and twice the energy of one."""
    if model.name != "gap":
        pytest.skip("of scalars")
    frame = water(3, 1)[0]
    both = Configuration(np.tile(frame.numbers, 2), np.concatenate([frame.positions, frame.positions + 50.0]))
    one, two = model.predict([frame, both])
    factor = 2 if isinstance(model.readout, Summed) else 1
    assert two == pytest.approx(factor * one, rel=1e-6)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda frames: [replace(x, properties={}) for x in frames],
            "none of 6 frames has the property 'dipole'",
        ),
        (lambda frames: frames[:3], "too few"),
        (lambda frames: [replace(x, properties={"dipole": np.zeros(2)}) for x in frames], "shape"),
        (lambda frames: [replace(x, properties={"dipole": np.full(3, np.nan)}) for x in frames], "finite"),
        (lambda frames: [replace(x, box=np.eye(3), periodic=(True,) * 3) for x in frames], "periodic"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused(change, told):
    with pytest.raises(ValueError, match=told):
        PropertyKernel(Dipole(), SMALL).fit(change(water(1, 6)))


def test_an_element_that_was_not_learned_is_refused():
    found = PropertyKernel(Pooled("gap"), SMALL).fit(water(1, 20))
    with pytest.raises(ValueError, match="not among the elements"):
        found.predict([Configuration(np.array([6, 1]), np.eye(3)[:2] * 0.1)])
