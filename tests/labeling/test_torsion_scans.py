"""Relaxed torsion scans against energies whose profile is known in closed form."""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.geometry.internal import angles, dihedrals
from thalweg.labeling.geometries.torsion_scans import minimum_at_angle, torsion_scan, turned
from thalweg.labeling.level import LabelFailed
from thalweg.systems.configuration import Configuration

PEROXIDE = Configuration(
    np.array([1, 8, 8, 1]),
    np.array([[-0.01, 0.095, 0.0], [0.0, 0.0, 0.0], [0.14, 0.0, 0.0], [0.15, 0.09, 0.03]]),
)
CHAIN = (0, 1, 2, 3)


def _springs(x):
    """Bonds and angles that a torsion can turn without straining."""
    rows = np.array([[0, 1, 2], [1, 2, 3]])
    lengths = jnp.linalg.norm(x[1:] - x[:-1], axis=1)
    return 2e5 * jnp.sum((lengths - jnp.array([0.097, 0.145, 0.097])) ** 2) + 300 * jnp.sum(
        (angles(x, rows) - 1.75) ** 2
    )


def _torsional(phi):
    return 3.0 * (1 + jnp.cos(phi)) + 5.0 * jnp.cos(2 * phi) + 1.0 * jnp.sin(phi)


_value = jax.jit(jax.value_and_grad(lambda x: _springs(x) + _torsional(dihedrals(x, np.array([CHAIN]))[0])))


class Asked:
    """What a level says besides labels."""

    def check(self, frame): ...

    def provenance(self):
        return {}

    def seconds(self, frame):
        return 1e-3


@dataclass(frozen=True)
class Springs(Asked):
    """Bonds, angles and a torsion; it fails at the ``failing`` angle [degrees]."""

    failing: float = 1e3
    name: str = "springs"

    def label(self, frame):
        with jax.enable_x64(True):
            phi = float(dihedrals(jnp.asarray(frame.positions), np.array([CHAIN]))[0])
            if abs(np.degrees(phi) - self.failing) < 1:
                raise LabelFailed("no")
            energy, gradient = _value(jnp.asarray(frame.positions))
        return replace(frame, energy=float(energy), forces=-np.asarray(gradient))


def test_where_nothing_else_depends_on_the_torsion_the_profile_is_the_torsional_energy():
    scan = torsion_scan(PEROXIDE, CHAIN, Springs(), points=3, force=0.1)
    exact = np.asarray(_torsional(scan.angles))
    np.testing.assert_allclose(scan.profile, exact - exact.min(), atol=2e-5)
    assert np.nanmax(scan.hysteresis) < 1e-4
    assert not scan.notes


def test_every_frame_of_a_scan_is_at_its_angle_exactly():
    scan = torsion_scan(PEROXIDE, CHAIN, Springs(), points=3)
    with jax.enable_x64(True):
        found = [
            float(dihedrals(jnp.asarray(frame.positions), np.array([CHAIN]))[0]) for frame in scan.frames
        ]
    np.testing.assert_allclose(np.exp(1j * np.array(found)), np.exp(1j * scan.angles), atol=1e-9)


def test_an_angle_at_which_the_level_fails_is_told_and_the_others_stand():
    scan = torsion_scan(PEROXIDE, CHAIN, Springs(failing=0.0), points=4)
    assert np.isnan(scan.energies[np.abs(scan.angles) < 1e-9]).all()
    assert np.isfinite(scan.energies).sum() == 3
    assert any("1 of 4 angles have no energy" in note for note in scan.notes)


def test_two_conformers_find_the_lower_of_two_branches_and_what_was_driven_one_way_does_not_hide():
    """A second coordinate, the length of the middle bond, has two wells; the torsion decides which is lower."""

    def energy(x):
        u = (jnp.linalg.norm(x[2] - x[1]) - 0.145) / 0.01
        phi = dihedrals(x, np.array([CHAIN]))[0]
        return _springs(x) - 2e5 * (0.01 * u) ** 2 + 20 * (u**2 - 1) ** 2 + 4 * u * jnp.cos(phi)

    value = jax.jit(jax.value_and_grad(energy))

    @dataclass(frozen=True)
    class TwoWells(Asked):
        name: str = "two wells"

        def label(self, frame):
            with jax.enable_x64(True):
                height, gradient = value(jnp.asarray(frame.positions))
            return replace(frame, energy=float(height), forces=-np.asarray(gradient))

    long = replace(
        PEROXIDE,
        positions=PEROXIDE.positions + np.array([[0, 0, 0], [0, 0, 0], [0.016, 0, 0], [0.016, 0, 0]]),
    )
    scan = torsion_scan([PEROXIDE, long], CHAIN, TwoWells(), points=4)
    lengths = np.array([np.linalg.norm(frame.positions[2] - frame.positions[1]) for frame in scan.frames])
    assert lengths[np.abs(scan.angles) < 0.1] < 0.14  # u = -1 is lower at cis, u = 1 at trans
    assert lengths[-1] > 0.15
    assert np.nanmax(scan.hysteresis) == pytest.approx(8.0, abs=0.5)
    assert any("different minima" in note for note in scan.notes)


def test_a_whole_group_turns_with_its_atom():
    ethane = Configuration(
        np.array([6, 6, 1, 1, 1, 1, 1, 1]),
        np.array(
            [
                [0, 0, 0], [0.153, 0, 0], [-0.04, 0.1, 0], [-0.04, -0.05, 0.09], [-0.04, -0.05, -0.09],
                [0.193, 0.1, 0], [0.193, -0.05, 0.09], [0.193, -0.05, -0.09],
            ]
        ),
    )  # fmt: skip
    moved = turned(ethane, (2, 0, 1, 5), np.pi / 3)
    np.testing.assert_allclose(moved[:5], ethane.positions[:5], atol=1e-12)
    before, after = (np.linalg.norm(x[5:, None] - x[None, 5:], axis=2) for x in (ethane.positions, moved))
    np.testing.assert_allclose(after, before, atol=1e-9)


@pytest.mark.parametrize(
    ("torsion", "points", "words"), [((0, 1, 2, 7), 12, "four different"), ((0, 1, 2, 3), 2, "three")]
)
def test_what_cannot_be_scanned_is_said(torsion, points, words):
    with pytest.raises(ValueError, match=words):
        torsion_scan(PEROXIDE, torsion, Springs(), points=points)


def test_labels_that_do_not_suffice_are_an_error():
    with pytest.raises(RuntimeError, match="forces are still"):
        minimum_at_angle(PEROXIDE, CHAIN, 1.0, Springs(), force=1e-6, steps=3)
