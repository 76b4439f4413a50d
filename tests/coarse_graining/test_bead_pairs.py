"""Pairs of beads in loops that run: lists, all pairs and rows of fits are one energy."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from thalweg.coarse_graining import (
    BeadFrames,
    BondedInteraction,
    BSplines,
    CoarseDynamics,
    InternalCoordinate,
    PairInteraction,
    Powers,
    RelativeEntropy,
    TruncatedPowers,
)
from thalweg.coarse_graining.fitting.relative_entropy import _Drawn
from thalweg.coarse_graining.interactions import bead_pairs
from thalweg.potentials import energy_and_forces
from thalweg.units import BAR

CUTOFF = 0.6
SPLINES = BSplines(0.2, CUTOFF, 9, zero_at_end=True)


def liquid(cells, spacing, seed=0):
    """Beads about a cubic lattice ``(beads, 3)`` and their box [nm]."""
    places = np.stack(np.meshgrid(*3 * [np.arange(cells)], indexing="ij"), -1).reshape(-1, 3)
    x = (places.astype(float) + 0.5) * spacing + np.random.default_rng(seed).normal(0, 0.03, places.shape)
    return x, np.eye(3) * cells * spacing


def drawn(names):
    return np.random.default_rng(1).normal(size=len(names))


@pytest.mark.parametrize("way", ["one kind", "two kinds", "molecules", "two replicas"])
def test_lists_all_pairs_and_rows_of_fits_are_one_energy(way, monkeypatch):
    x, box = liquid(7, 0.36)
    kinds = np.where(np.arange(len(x)) % 3 == 0, 2, 1) if way == "two kinds" else np.ones(len(x), int)
    between = (1, 2) if way == "two kinds" else (1, 1)
    molecules = np.arange(len(x)) // 2 if way == "molecules" else None
    pairs = PairInteraction(SPLINES, CUTOFF, kinds, between, molecules)
    frames = np.stack([x, liquid(7, 0.36, seed=5)[0]]) if way == "two replicas" else x[None]
    c = drawn(pairs.names)
    sums, rows = pairs.rows(frames, np.broadcast_to(box, (len(frames), 3, 3)))
    found = {}
    with jax.enable_x64(True):
        moved = np.moveaxis(frames, 0, -1)
        for name, pays in (("all", np.inf), ("list", 0.0)):
            monkeypatch.setattr(bead_pairs, "PAYS", pays)
            energy = pairs.energy(c, len(x)).refreshed(moved, box)
            assert (energy.neighbors is None) == (name == "all")
            found[name] = [np.asarray(each) for each in energy_and_forces(energy, moved, box)]
    for energies, forces in found.values():
        np.testing.assert_allclose(energies, sums @ c, rtol=1e-9)
        np.testing.assert_allclose(np.moveaxis(forces, -1, 0), rows @ c, rtol=1e-7, atol=1e-7)


def test_a_list_that_no_longer_holds_answers_nothing_and_says_so(monkeypatch):
    monkeypatch.setattr(bead_pairs, "PAYS", 0.0)
    x, box = liquid(6, 0.36)
    pairs = PairInteraction(SPLINES, CUTOFF, np.ones(len(x), int))
    energy = pairs.energy(drawn(pairs.names), len(x)).refreshed(x[..., None], box)
    away = x.copy()
    away[0] += 0.2
    with jax.enable_x64(True):
        assert not energy.stale(x[..., None], box)
        assert energy.stale(away[..., None], box)
        assert np.isnan(energy(away[..., None], box)).all()
        assert np.isfinite(energy.refreshed(away[..., None], box)(away[..., None], box)).all()


def test_large_boxes_get_a_list_and_small_ones_do_not():
    for cells, listed in ((4, False), (8, True)):
        x, box = liquid(cells, 0.36)
        pairs = PairInteraction(SPLINES, CUTOFF, np.ones(len(x), int))
        energy = pairs.energy(drawn(pairs.names), len(x)).refreshed(x[..., None], box)
        assert (energy.neighbors is not None) == listed


def test_a_spline_of_truncated_powers_is_the_spline():
    c = drawn(SPLINES.names)
    potential = SPLINES.potential(c)
    assert isinstance(potential, TruncatedPowers)
    q = np.linspace(0.1, 0.7, 300)
    with jax.enable_x64(True):
        values, slopes = jax.jvp(potential, (q,), (np.ones_like(q),))
        curvature = jax.vmap(jax.grad(jax.grad(potential)))(np.array([0.1, 0.35, 0.65]))
    wanted = SPLINES.design(q)
    np.testing.assert_allclose(values, c @ wanted[0], atol=1e-10)
    np.testing.assert_allclose(slopes, c @ wanted[1], atol=1e-9)
    step = 1e-6
    steep = [
        c @ np.diff(SPLINES.design(np.array([r - step, r + step]))[1])[:, 0] / 2 / step
        for r in (0.1, 0.35, 0.65)
    ]
    np.testing.assert_allclose(curvature, steep, rtol=1e-4, atol=1e-4)


def test_a_liquid_runs_with_a_list_as_it_does_without(monkeypatch):
    x, box = liquid(6, 0.36)
    pairs = PairInteraction(SPLINES, CUTOFF, np.ones(len(x), int))
    r = np.linspace(0.2, CUTOFF, 100)
    c = np.linalg.lstsq(SPLINES.design(r)[0].T, 30 * np.exp(-((r / 0.25) ** 4)), rcond=None)[0]
    start = BeadFrames(
        x[None], 2.5, boxes=box[None], kinds=np.ones(len(x), int), masses=np.full(len(x), 30.0)
    )
    runs = []
    for pays in (0.0, np.inf):
        monkeypatch.setattr(bead_pairs, "PAYS", pays)
        dynamics = CoarseDynamics(length=0.2, dt=0.004, save_every=0.02, skip=0.0)
        runs.append(dynamics.run(pairs.energy(c, len(x)), start).positions)
    # one noise, forces alike but for rounding
    np.testing.assert_allclose(runs[0], runs[1], atol=1e-3)


def test_the_pressure_of_reweighted_frames_has_the_gradient_that_steps_take():
    rng = np.random.default_rng(0)
    sums, virials, at = rng.normal(size=(200, 4)), rng.normal(size=(200, 4)), rng.normal(size=4)
    drawn = _Drawn(sums, at, 2.5, virials, 30.0)
    c = at + 0.1 * rng.normal(size=4)
    _, slope = drawn.pressure(c)
    ahead, behind = (
        np.array([drawn.pressure(c + sign * 1e-5 * unit)[0] for unit in np.eye(4)]) for sign in (1, -1)
    )
    np.testing.assert_allclose(slope, (ahead - behind) * BAR / 2e-5, rtol=1e-5)


def test_a_step_at_a_pressure_goes_where_the_pressure_is_and_no_further_than_it_forbids():
    rng = np.random.default_rng(1)
    root = rng.normal(size=(5, 5))
    covariance, slope, kT = root @ root.T, rng.normal(size=5), 2.5
    method = RelativeEntropy((), longest_step=1e9)
    step, _ = method._step(1e-3 * rng.normal(size=5), covariance, kT, (slope, 0.7))
    assert slope @ step == pytest.approx(0.7)
    # where the relative entropy cannot fall without leaving the pressure, there is no step, and nothing to make up for
    step, forced = method._step(3.0 * slope, covariance, kT, (slope, 0.0))
    np.testing.assert_allclose(step, 0, atol=1e-9)
    np.testing.assert_allclose(forced, 3.0 * slope, rtol=1e-9)


def test_a_pressure_is_asked_for_of_pairs():
    bond = BondedInteraction(InternalCoordinate("distance", [[0, 1]], Powers(0.3)), name="bond")
    frames = BeadFrames(np.array([[[0.0, 0, 0], [0.3, 0, 0]]]), 2.5)
    with pytest.raises(ValueError, match="pairs alone"):
        RelativeEntropy((bond,), pressure=1.0)._virials(frames)
    pairs = PairInteraction(SPLINES, CUTOFF, np.ones(2, int))
    with pytest.raises(ValueError, match="needs the volume"):
        pairs.virials(frames.positions, None)


def test_boxes_that_do_not_do_are_said():
    x, box = liquid(6, 0.36)
    pairs = PairInteraction(SPLINES, CUTOFF, np.ones(len(x), int))
    energy = pairs.energy(drawn(pairs.names), len(x))
    with pytest.raises(ValueError, match="no box"):
        energy.refreshed(x[..., None], None)
    long = replace(pairs, cutoff=1.2)
    for ask in (
        lambda: long.energy(drawn(pairs.names), len(x)).refreshed(x[..., None], box),
        lambda: long.distances(x, box),
    ):
        with pytest.raises(ValueError, match=r"exceeds half the smallest width of the box, 1\.0800 nm"):
            ask()
    with pytest.raises(ValueError, match="box"):
        CoarseDynamics().run(energy, BeadFrames(x[None], 2.5))
    x[3] = x[2]
    with pytest.raises(ValueError, match="beads 2 and 3 lie on top of each other"):
        pairs.distances(x, box)
