"""Charges given or in equilibrium and induced dipoles: exact answers, forces by finite differences, strains, images."""

from __future__ import annotations

from dataclasses import replace

import equinox as eqx
import jax
import numpy as np
import pytest

from thalweg.learned_potentials.long_range.charge_equilibration import (
    ChargeEquilibration,
    EquilibratedCharges,
)
from thalweg.learned_potentials.long_range.induced_dipoles import InducedDipoles
from thalweg.learned_potentials.long_range.point_charges import point_charges
from thalweg.learned_potentials.long_range.whole_frames import whole_frame
from thalweg.systems.configuration import Configuration
from thalweg.units import COULOMB

SALT = point_charges({11: 1.0, 17: -1.0})
FINE = 1e-9
"""Tolerance at which what waves leave out is too little for differences of energies to see."""

FLOWING = EquilibratedCharges(
    (11, 17), np.array([0.0, 500.0]), np.array([1400.0, 1800.0]), np.array([0.09, 0.08]), tolerance=FINE
)
SALT_TO_THE_LAST = point_charges({11: 1.0, 17: -1.0}, tolerance=FINE)
TERMS = {
    "point charges": SALT_TO_THE_LAST,
    "equilibrated charges": FLOWING,
    "induced dipoles": InducedDipoles(SALT_TO_THE_LAST, np.array([0.2e-3, 2.5e-3]), tolerance=FINE),
}
charges_of = eqx.filter_jit(lambda term, frame: term.charges(frame))
dipoles_of = eqx.filter_jit(lambda term, frame: term.dipoles(frame))
energy_of = eqx.filter_jit(lambda energy, positions, box: energy(positions, box))
each_term = pytest.mark.parametrize(
    "term",
    [
        pytest.param(term, id=name, marks=[pytest.mark.long] if name == "induced dipoles" else [])
        for name, term in TERMS.items()
    ],
)


def frame(points, numbers, box=None, **info):
    return Configuration(
        np.asarray(numbers), np.asarray(points, float), box, (box is not None,) * 3, info=info
    )


def rattled_salt(cells=1, seed=0):
    """Rock salt, eight atoms a cell, rattled and sheared."""
    lattice = 0.564
    corners = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) * lattice / 2
    points = np.concatenate([corners, corners + np.array([lattice / 2, 0, 0])])
    shifts = np.stack(np.meshgrid(*[np.arange(cells)] * 3, indexing="ij"), -1).reshape(-1, 3) * lattice
    points = (points + shifts[:, None]).reshape(-1, 3)
    points += 0.01 * np.random.default_rng(seed).normal(size=points.shape)
    strain = np.eye(3) + np.array([[0, 0.03, 0], [0, 0, -0.02], [0.01, 0, 0.02]])
    return frame(points @ strain, [11] * 4 + [17] * 4 if cells == 1 else ([11] * 4 + [17] * 4) * cells**3,
                 lattice * cells * strain)  # fmt: skip


def molecule(seed=0):
    points = 0.3 * np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.3], [0.5, 0.5, 1.2]])
    points += 0.02 * np.random.default_rng(seed).normal(size=points.shape)
    return frame(points, [11, 17, 11, 17, 17])


@each_term
def test_forces_and_stresses_are_derivatives_of_the_energy(term):
    for one in (molecule(), rattled_salt()):
        label, step = term.evaluate([one]), 1e-4
        way = np.random.default_rng(1).normal(size=one.positions.shape)
        size = np.linalg.norm(label.forces[0]) * np.linalg.norm(way)
        strain = np.random.default_rng(2).normal(size=(3, 3))
        strain = (strain + strain.T) / 10
        moved = [replace(one, positions=one.positions + s * step * way) for s in (-1, 1)]
        low, high = term.evaluate(moved).energies
        assert (high - low) / (2 * step) == pytest.approx(-(label.forces[0] * way).sum(), abs=2e-6 * size)
        if one.box is None:
            continue
        stretched = [
            replace(one, positions=one.positions @ stretch, box=one.box @ stretch)
            for stretch in (np.eye(3) - step * strain, np.eye(3) + step * strain)
        ]
        low, high = term.evaluate(stretched).energies
        slope = (high - low) / (2 * step)
        size = np.linalg.norm(label.stresses[0]) * np.linalg.norm(strain) * one.volume
        assert slope == pytest.approx((label.stresses[0] * strain).sum() * one.volume, abs=2e-6 * size)


@each_term
def test_a_supercell_has_the_energy_of_its_cells_and_atoms_may_be_wrapped_and_turned(term):
    one = rattled_salt()
    counts = np.array([2, 1, 1])
    double = frame(
        np.concatenate([one.positions, one.positions + one.box[0]]),
        [*one.numbers, *one.numbers],
        one.box * counts[:, None],
    )
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    wrapped = replace(one, positions=one.positions + np.outer(np.arange(8) % 3, one.box[1]))
    turned = replace(one, positions=one.positions @ turn, box=one.box @ turn)
    energies = term.evaluate([one, double, wrapped, turned]).energies
    expected = np.array([1, 2, 1, 1]) * energies[0]
    np.testing.assert_allclose(energies, expected, rtol=2e-5)


@pytest.mark.long
def test_a_cell_far_larger_than_the_molecule_has_its_energy_in_the_open():
    one = molecule()
    neutral = point_charges({11: 1.5, 17: -1.0})
    boxed = frame(one.positions, one.numbers, np.eye(3) * 14.0)
    for term in (neutral, InducedDipoles(neutral, np.array([0.2e-3, 2.5e-3]))):
        free, celled = term.evaluate([one, boxed]).energies
        assert celled == pytest.approx(free, rel=2e-4)


def test_rock_salt_has_its_madelung_energy():
    perfect = frame([[0, 0, 0], [0.282, 0, 0]], [11, 17], 0.282 * (np.ones((3, 3)) - np.eye(3)))
    energy = point_charges({11: 1.0, 17: -1.0}, tolerance=1e-9).evaluate([perfect]).energies[0]
    assert energy == pytest.approx(-1.74756459463318 * COULOMB / 0.282, rel=1e-8)


def test_charges_that_add_up_to_another_charge_than_the_frame_says_are_refused_and_a_said_one_is_taken():
    lone = frame(np.zeros((1, 3)), [11], np.eye(3))
    with pytest.raises(ValueError, match="add up to 1 e and the frame says 0 e"):
        SALT.evaluate([lone])
    said = frame(np.zeros((1, 3)), [11], np.eye(3), charge=1.0)
    energy = point_charges({11: 1.0}, tolerance=1e-9).evaluate([said]).energies[0]
    assert energy == pytest.approx(-2.837297479480619 / 2 * COULOMB, rel=1e-7)


def test_a_layer_is_refused():
    layer = Configuration(np.array([11, 17]), np.eye(3)[:2] * 0.3, np.eye(3), (True, True, False))
    with pytest.raises(ValueError, match="repeats along 2 of its three cell vectors"):
        SALT.evaluate([layer])


def test_two_atoms_exchange_the_charge_that_the_quadratic_form_says():
    r, (w1, w2) = 0.25, FLOWING.widths
    with jax.enable_x64(True):
        pair = whole_frame(FLOWING, frame([[0, 0, 0], [r, 0, 0]], [11, 17]))
        charges = np.asarray(charges_of(FLOWING, pair))[:2]
    from scipy.special import erf

    attraction = COULOMB * erf(r / np.sqrt(2 * (w1**2 + w2**2))) / r
    # U = (chi_1 - chi_2) q + (eta_1 + eta_2 - 2 J) q^2 / 2
    q = 500.0 / (1400.0 + 1800.0 - 2 * attraction)
    np.testing.assert_allclose(charges, [q, -q], rtol=1e-9)


def test_equilibrated_charges_add_up_to_the_charge_of_the_frame():
    with jax.enable_x64(True):
        for charge in (0.0, -1.0):
            whole = whole_frame(FLOWING, replace(molecule(), info={"charge": charge}))
            assert float(charges_of(FLOWING, whole).sum()) == pytest.approx(charge, abs=1e-10)


def test_an_ion_and_an_atom_far_away_have_the_energy_of_induction():
    alpha, r = 2.5e-3, 2.0
    ion = point_charges({11: 1.0, 17: 0.0})
    term = InducedDipoles(ion, np.array([1e-9, alpha]))
    energy = term.evaluate([frame([[0, 0, 0], [0, 0, r]], [11, 17])]).energies[0]
    assert energy == pytest.approx(-COULOMB * alpha / (2 * r**4), rel=1e-5)


@pytest.mark.long
def test_two_atoms_in_line_with_an_ion_answer_as_silberstein_said():
    alpha, d, far = 1.5e-3, 0.4, 40.0
    term = InducedDipoles(point_charges({11: 1.0, 17: 0.0}), np.array([1e-12, alpha]), damping=50.0)
    line = frame([[0, 0, 0], [far, 0, 0], [far + d, 0, 0]], [11, 17, 17])
    with jax.enable_x64(True):
        dipoles = np.asarray(dipoles_of(term, whole_frame(term, line)))[:, 1:3]
    along = 2 * alpha / (1 - 2 * alpha / d**3)
    assert dipoles[0].sum() == pytest.approx(along / (far + d / 2) ** 2, rel=1e-3)
    assert np.abs(dipoles[1:]).max() < 1e-12


@each_term
def test_in_an_engine_the_energy_is_that_of_the_labels_and_follows_atoms_replicas_and_the_box(term):
    one = rattled_salt()
    bound = term.bind(one.numbers, one.box)
    with jax.enable_x64(True):
        many = np.stack([one.positions, rattled_salt(seed=5).positions], -1)
        energies = energy_of(bound.refreshed(many, one.box), many, one.box)
        larger = energy_of(bound.refreshed(many, one.box), 1.001 * many, 1.001 * one.box)[0]
    frames = [replace(one, positions=many[..., k]) for k in range(2)]
    frames.append(replace(one, positions=1.001 * one.positions, box=1.001 * one.box))
    np.testing.assert_allclose([*energies, larger], term.evaluate(frames).energies, rtol=1e-4)


@pytest.mark.long
def test_a_large_cell_goes_over_a_mesh_and_has_the_energy_of_waves():
    big = rattled_salt(5)
    assert whole_frame(SALT, big).mesh is not None
    small = point_charges({11: 1.0, 17: -1.0}, tolerance=1e-8)
    meshed = SALT.evaluate([big])
    finer = small.evaluate([big])
    assert meshed.energies[0] == pytest.approx(finer.energies[0], rel=1e-6)
    size = np.sqrt((finer.forces[0] ** 2).mean())
    assert np.abs(meshed.forces[0] - finer.forces[0]).max() < 1e-4 * size


@pytest.mark.long
def test_a_fit_finds_the_parameters_that_made_the_charges():
    frames = []
    with jax.enable_x64(True):
        truth = EquilibratedCharges(
            (11, 17), np.array([0.0, 500.0]), np.array([1400.0, 1800.0]), np.full(2, 0.08)
        )
        for seed in range(4):
            one = molecule(seed)
            charges = np.asarray(charges_of(truth, whole_frame(truth, one)))[:5]
            frames.append(replace(one, properties={"charges": charges, "dipole": charges @ one.positions}))
        term, info = ChargeEquilibration().fit(frames)
    difference = np.diff(term.electronegativities)[0]
    assert difference == pytest.approx(500.0, rel=1e-3)
    np.testing.assert_allclose(term.hardnesses, truth.hardnesses, rtol=1e-3)
    assert "met to" in info.notes[0]
    with pytest.raises(ValueError, match="none with properties"):
        ChargeEquilibration().fit([molecule()])
