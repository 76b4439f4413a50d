"""A classifier of chains: exact free energies of a model of neighbors, and of chains longer than any it saw."""

from dataclasses import replace

import numpy as np
import pytest

from thalweg.coarse_graining import AnnealedNoise, ChainDensityRatio, PriorChains, UniformAngles

KAPPA = 2.0


def chain(residues, frames, seed):
    """Angles of a ring-less XY chain, ``F = -KAPPA sum cos(a_{i+1} - a_i)`` in kT, exactly."""
    rng = np.random.default_rng(seed)
    first = rng.uniform(-np.pi, np.pi, (frames, 1))
    steps = rng.vonmises(0.0, KAPPA, (frames, residues - 1))
    angles = np.concatenate([first, first + steps.cumsum(1)], 1)
    return np.mod(angles + np.pi, 2 * np.pi)[..., None] - np.pi


def correlation(chains, apart):
    """``<cos(a_{i + apart} - a_i)>``; ``(I1 / I0)^apart`` exactly."""
    flat = chains.reshape(-1, *chains.shape[-2:])[..., 0]
    return np.cos(flat[:, apart:] - flat[:, :-apart]).mean()


@pytest.mark.long
def test_chains_of_two_lengths_tell_the_energy_and_the_correlations_of_a_longer_one():
    model = ChainDensityRatio(kT=1.0, window=1, hidden=(48, 48), epochs=40, members=2, block=1).fit(
        [chain(3, 8000, 0), chain(4, 8000, 1)]
    )
    assert model.lengths == (3, 4)
    x = chain(7, 2000, 2)
    exact = -KAPPA * np.cos(np.diff(x[..., 0], axis=1)).sum(1)
    found = model.energy(x)
    apart = (found - found.mean()) - (exact - exact.mean())
    assert apart.std() < 0.35 * exact.std()
    drawn = model.sample(7, count=300, sweeps=120, every=10)
    assert drawn.shape[2:] == (7, 1)
    rise = 0.6978  # I1(2) / I0(2)
    for k in (1, 2, 3):
        assert correlation(drawn, k) == pytest.approx(rise**k, abs=0.06)


def test_ends_without_an_angle_stay_without():
    x = chain(3, 600, 0).repeat(2, axis=2)
    x[:, 0, 0] = x[:, -1, 1] = np.nan
    model = ChainDensityRatio(kT=1.0, window=1, hidden=(8,), epochs=1, members=2, block=1).fit([x])
    drawn = model.sample(4, count=5, sweeps=4, every=2)
    assert np.isnan(drawn[:, :, 0, 0]).all()
    assert np.isnan(drawn[:, :, -1, 1]).all()
    assert np.isnan(drawn).sum() == 2 * drawn[..., 0, 0].size
    assert np.isfinite(model.energy(x)).all()
    assert (model.error(x) >= 0).all()


def test_what_cannot_be_learned_from_is_said():
    x = chain(3, 100, 0)
    hole = x.copy()
    hole[3, 1] = np.nan
    method = ChainDensityRatio(kT=1.0)
    with pytest.raises(ValueError, match="nowhere else"):
        method.fit([hole])
    with pytest.raises(ValueError, match="as many angles"):
        method.fit([x, x.repeat(2, axis=2)])
    with pytest.raises(ValueError, match="at least one array"):
        method.fit([])


STIFF = 60.0


def stiff(residues, frames, seed):
    """Neighbors within a seventh of a radian of each other, anywhere: fakes of single angles hardly ever look so."""
    rng = np.random.default_rng(seed)
    first = rng.uniform(-np.pi, np.pi, (frames, 1))
    angles = np.concatenate([first, first + rng.vonmises(0.0, STIFF, (frames, residues - 1)).cumsum(1)], 1)
    return np.mod(angles + np.pi, 2 * np.pi)[..., None] - np.pi


def wrong(model, x, kappa):
    """Deviation [kT] of differences of free energy between conformations from the exact ones."""
    apart = model.energy(x) + kappa * np.cos(np.diff(x[..., 0], axis=1)).sum(1)
    return (apart - apart.mean()).std()


METHOD = ChainDensityRatio(kT=1.0, window=1, hidden=(32, 32), epochs=12, members=1, block=1)


@pytest.mark.long
def test_noise_in_steps_tells_apart_what_overlaps_too_little():
    x, trained = stiff(4, 2000, 2), replace(METHOD, hidden=(48, 48), epochs=30)
    found = [
        wrong(replace(trained, fakes=fakes, seed=seed).fit([stiff(4, 8000, seed)]), x, STIFF)
        for fakes in (UniformAngles(), AnnealedNoise((0.15, 0.4, 1.0)))
        for seed in range(2)
    ]
    assert np.mean(found[2:]) < 0.75 * np.mean(found[:2])


@pytest.mark.long
def test_what_a_prior_knows_need_not_be_learned_from_few_frames():
    known = METHOD.fit([chain(3, 8000, 0)])
    few, x = [chain(3, 150, 1)], chain(3, 2000, 2)
    with_prior = wrong(replace(METHOD, fakes=PriorChains(known)).fit(few), x, KAPPA)
    assert with_prior < 0.6 * wrong(METHOD.fit(few), x, KAPPA)


def test_fakes_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="that grow"):
        AnnealedNoise((0.4, 0.2))
    small = replace(METHOD, hidden=(8,), epochs=1)
    prior = small.fit([chain(3, 600, 0)])
    with pytest.raises(ValueError, match="1 angles a residue"):
        replace(small, fakes=PriorChains(prior)).fit([chain(3, 600, 0).repeat(2, axis=2)])
