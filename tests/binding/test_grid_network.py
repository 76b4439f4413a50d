"""A network on grids: it learns what a grid shows, forgets orientations, and says which atoms it goes by."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.binding.complexes import CHANNELS, Complex, TypedAtoms
from thalweg.binding.grid_network import GridNetwork
from thalweg.binding.voxels import VoxelGrid

GRID = VoxelGrid(points=10, spacing=0.12)


def made(seed: int) -> tuple[Complex, float]:
    """A ligand of two to eight atoms in a random pocket; the label is their number."""
    generator = np.random.default_rng(seed)
    count = int(generator.integers(2, 9))
    channels = np.zeros((12 + count, len(CHANNELS)), bool)
    channels[:, -1] = True
    channels[:, 0] = generator.random(12 + count) < 0.5
    positions = generator.normal(0, 0.2, (12 + count, 3))
    positions[12:] *= 0.8
    positions[12:] -= positions[12:].mean(0)
    numbers = np.full(12 + count, 6)
    return (
        Complex(
            TypedAtoms(positions[:12], numbers[:12], channels[:12]),
            TypedAtoms(np.clip(positions[12:], -0.55, 0.55), numbers[12:], channels[12:]),
        ),
        float(count),
    )


@pytest.fixture(scope="module")
def fitted():
    complexes, labels = zip(*(made(seed) for seed in range(64)))
    settings = GridNetwork(grid=GRID, widths=(8, 8, 8), epochs=60, batch=16, members=1, orientations=4)
    return settings.fit(complexes, np.array(labels))


@pytest.mark.long
def test_it_learns_how_many_atoms_a_ligand_has_and_says_so_of_others(fitted):
    complexes, labels = zip(*(made(seed) for seed in range(100, 140)))
    found, _ = fitted.predict(complexes)
    assert np.corrcoef(found, labels)[0, 1] > 0.9


@pytest.mark.long
def test_atoms_of_the_ligand_are_what_it_goes_by_and_atoms_out_of_reach_add_nothing(fitted):
    complex, _ = made(200)
    far = complex.protein.positions.copy()
    far[0] += 50.0
    protein, ligand = fitted.contributions(Complex(complex.protein.moved(far), complex.ligand))
    assert protein[0] == 0.0
    assert ligand.mean() > 3 * np.abs(protein).mean()


def test_probabilities_are_between_zero_and_one_and_depend_on_no_atom_out_of_reach():
    complexes, counts = zip(*(made(seed) for seed in range(8)))
    settings = GridNetwork("class", GRID, widths=(4, 4), epochs=2, batch=8, members=2, orientations=2)
    model = settings.fit(complexes, (np.array(counts) > np.median(counts)).astype(float))
    found, scatter = model.predict(complexes)
    assert ((found > 0) & (found < 1)).all()
    assert (scatter > 0).all()
    far = complexes[0].protein.positions.copy()
    far[0] += 50.0
    protein, ligand = model.contributions(Complex(complexes[0].protein.moved(far), complexes[0].ligand))
    assert protein[0] == 0.0 != protein[1]
    assert (ligand != 0.0).all()


def test_labels_that_do_not_fit_are_refused():
    complexes = [made(0)[0], made(1)[0]]
    with pytest.raises(ValueError, match="as many finite labels"):
        GridNetwork(grid=GRID).fit(complexes, np.array([1.0]))
    with pytest.raises(ValueError, match="0 and 1"):
        GridNetwork("class", grid=GRID).fit(complexes, np.array([1.0, 2.0]))
