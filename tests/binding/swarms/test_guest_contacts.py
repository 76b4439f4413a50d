"""What is measured of host and guest changes by no motion of both and by no exchange of what is alike."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from thalweg.binding.swarms.guest_contacts import CenterDistance, GuestContacts, equivalent_atoms
from thalweg.binding.swarms.placements import placements
from thalweg.systems.topology import molecules_of

UNITS = 6
RING = np.array([(3 * k, (3 * k + 3) % (3 * UNITS)) for k in range(UNITS)])
ARMS = np.array([(3 * k, 3 * k + arm) for k in range(UNITS) for arm in (1, 2)])
HOST = range(3 * UNITS)
GUEST = np.array([(0, 1), (1, 2)]) + 3 * UNITS
PAIR = molecules_of(("C", "O", "N") * UNITS + ("C", "S", "C"), np.concatenate([RING, ARMS, GUEST]))
GUESTS = [[3 * UNITS, 3 * UNITS + 1, 3 * UNITS + 2]]


def ring(seed=0):
    """A ring of six units that are nearly alike, and a guest near one of them [nm]."""
    random = np.random.default_rng(seed)
    angles = 2 * np.pi * np.arange(UNITS) / UNITS
    unit = np.array([[0.5, 0, 0], [0.6, 0, 0.1], [0.6, 0, -0.15]])
    host = [Rotation.from_rotvec([0, 0, angle]).apply(unit) for angle in angles]
    guest = np.array([[0.3, 0.1, 0.4], [0.35, 0.2, 0.45], [0.4, 0.25, 0.5]])
    return np.concatenate([*host, guest]) + random.normal(0, 0.02, (3 * UNITS + 3, 3))


def measured(positions):
    return np.asarray(GuestContacts(PAIR, HOST, GUESTS)(jnp.asarray(positions)))


def test_the_six_units_are_alike_and_so_are_both_ends_of_the_guest():
    classes = equivalent_atoms(PAIR)
    assert len(set(classes[: 3 * UNITS])) == 3
    assert classes[3 * UNITS] == classes[3 * UNITS + 2] != classes[3 * UNITS + 1]
    assert len(GuestContacts(PAIR, HOST, GUESTS).names) == 1 + 3 * 2


@pytest.mark.parametrize("turns", range(1, UNITS))
def test_contacts_are_the_same_whichever_unit_the_guest_is_at(turns):
    positions = ring()
    order = np.roll(np.arange(3 * UNITS).reshape(UNITS, 3), turns, axis=0).ravel()
    exchanged = np.concatenate([positions[order], positions[[-1, -2, -3]]])
    np.testing.assert_allclose(measured(exchanged), measured(positions), rtol=1e-5)


def test_contacts_are_the_same_wherever_both_are_turned_and_moved():
    positions = ring()
    moved = Rotation.from_rotvec([0.3, -1.2, 0.7]).apply(positions) + np.array([1.0, 2.0, -3.0])
    np.testing.assert_allclose(measured(moved), measured(positions), rtol=1e-4)


def test_contacts_are_counted_pair_by_pair():
    positions = ring()
    contacts = GuestContacts(PAIR, HOST, GUESTS, radius=0.5)
    values = dict(zip(contacts.names, np.asarray(contacts(jnp.asarray(positions)))))
    apart = np.linalg.norm(positions[1 : 3 * UNITS : 3] - positions[3 * UNITS + 1], axis=1) / 0.5
    assert values[f"O2 - S{3 * UNITS + 2}"] == pytest.approx(
        ((1 - apart**6) / (1 - apart**12)).sum(), rel=1e-4
    )


def test_like_guests_may_change_places():
    two = molecules_of(("C", "C", "O", "O"), np.array([[0, 1]]))
    contacts = GuestContacts(two, [0, 1], [[2], [3]])
    x = np.array([[0.0, 0, 0], [0.1, 0, 0], [0.4, 0, 0], [0, 0.9, 0]])
    np.testing.assert_allclose(contacts(jnp.asarray(x)), contacts(jnp.asarray(x[[0, 1, 3, 2]])), rtol=1e-6)
    assert float(contacts(jnp.asarray(x))[0]) == pytest.approx(0.35)


def test_hydrogens_are_in_no_center():
    water = molecules_of(("C", "O", "H"), np.array([[1, 2]]))
    x = np.array([[0.0, 0, 0], [0.5, 0, 0], [0.9, 0, 0]])
    assert float(CenterDistance(water, [0], [[1, 2]])(jnp.asarray(x))[0]) == pytest.approx(0.5)


def test_guests_are_set_down_evenly_and_touch_nothing():
    x = np.concatenate([ring()[: 3 * UNITS], ring()[-3:], ring()[-3:]])
    guests = np.arange(18, 24).reshape(2, 3)
    places = placements(x, HOST, guests, 200, (0.8, 1.6), seed=4)
    assert (places[:, : 3 * UNITS] == x[: 3 * UNITS]).all()
    apart = np.linalg.norm(places[:, 18:21].mean(1) - x[: 3 * UNITS].mean(0), axis=1)
    assert apart.min() > 0.8
    # the mean of r^3 in a shell is that of its ends; what touches the host is left out, so some more
    share = (apart**3 - 0.8**3) / (1.6**3 - 0.8**3)
    assert abs(share.mean() - 0.5) < 0.1
    between = np.linalg.norm(places[:, 18:21, None] - places[:, None, 21:24], axis=-1).min((1, 2))
    assert between.min() > 0.4
    # shapes stay, orientations differ
    first = places[:, 20] - places[:, 18]
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), np.linalg.norm(x[20] - x[18]), rtol=1e-9)
    assert np.abs(first.mean(0)).max() < 0.05


def test_a_shell_without_room_is_refused():
    x = ring()
    with pytest.raises(ValueError, match="no room for a guest between 0 and"):
        placements(x, HOST, GUESTS, 1, (0.0, 0.2), clearance=0.6)
