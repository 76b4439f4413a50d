"""Pockets of constructed atoms: known volumes and places, invariance, what is learned, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.binding.complexes import CHANNELS, TypedAtoms
from thalweg.binding.sites.judging import center_distance, ligand_distance, volume_overlap
from thalweg.binding.sites.pockets import BuriedPockets
from thalweg.binding.sites.probe_points import ProbeGrid
from thalweg.binding.sites.site_forest import SiteForest, SiteForestModel
from thalweg.binding.sites.surroundings import SURROUNDINGS, densities_around


def turned(atoms: TypedAtoms, seed: int) -> tuple[TypedAtoms, np.ndarray]:
    matrix, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    matrix *= np.sign(np.linalg.det(matrix))
    return atoms.moved(atoms.positions @ matrix.T + [3.0, -1.0, 2.0]), matrix


@pytest.mark.parametrize("radius", [0.6, 0.7, 0.8])
def test_a_closed_cavity_has_the_volume_of_its_sphere_and_is_lined_by_its_atoms(shell, radius):
    (found,) = BuriedPockets().find(shell(radius))
    # walls are made of spheres, between which a probe goes a little further
    assert found.volume == pytest.approx(4 / 3 * np.pi * (radius - 0.17) ** 3, rel=0.06)
    assert np.linalg.norm(found.center) < 0.02
    assert found.residues == ("A:ALA1",)


def test_the_larger_of_two_cavities_comes_first_and_a_ball_without_a_cavity_has_none(shell):
    both = TypedAtoms.together([shell(0.65), shell(0.8, center=(3.0, 0.0, 0.0), name="B:LEU2")])
    first, second = BuriedPockets().find(both)
    assert first.score > second.score
    assert first.residues == ("B:LEU2",)
    assert second.residues == ("A:ALA1",)
    assert BuriedPockets().find(TypedAtoms.together([shell(radius) for radius in (0.15, 0.35, 0.55)])) == ()


def test_pockets_do_not_depend_on_how_a_structure_is_turned_and_moved(shell):
    open_bowl = shell(0.8, 40.0)
    bowl = open_bowl.taken(open_bowl.positions[:, 2] < 0.3)
    moved, matrix = turned(bowl, 0)
    for own, other in zip(BuriedPockets().find(bowl), BuriedPockets().find(moved), strict=True):
        np.testing.assert_allclose(own.points @ matrix.T + [3.0, -1.0, 2.0], other.points, atol=1e-9)
        assert own.volume == pytest.approx(other.volume)


def test_burial_is_one_in_a_closed_shell_and_half_above_a_wide_plane(shell):
    closed = ProbeGrid().points(shell(0.7, 60.0))
    middle = np.linalg.norm(closed.positions, axis=1).argmin()
    assert closed.burial[middle] == closed.enclosure[middle] == 1.0
    x, y = np.meshgrid(np.arange(-2, 2.1, 0.15), np.arange(-2, 2.1, 0.15))
    flat = np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], 1)
    plane = TypedAtoms(flat, np.full(len(flat), 6), np.ones((len(flat), 8), bool))
    points = ProbeGrid().points(plane)
    near = (np.linalg.norm(points.positions[:, :2], axis=1) < 0.3) & (points.clearance < 0.23)
    # rays nearly along the plane end before they meet it
    assert 0.3 < points.burial[near].mean() <= 0.5
    assert points.enclosure[near].max() == 0.0


def test_densities_are_those_summed_one_atom_after_another():
    generator = np.random.default_rng(1)
    atoms = TypedAtoms(
        generator.normal(0, 0.6, (60, 3)),
        generator.choice([6, 7, 8], 60),
        generator.random((60, 8)) < 0.4,
        tuple(f"A:{name}{k}" for k, name in enumerate(generator.choice(["HIS", "LEU"], 60))),
    )
    places = generator.normal(0, 0.4, (5, 3))
    found = dict(zip(SURROUNDINGS, densities_around(atoms, places).T))
    gaps = np.linalg.norm(places[:, None] - atoms.positions, axis=-1)
    donors = atoms.channels[:, CHANNELS.index("donor")]
    np.testing.assert_allclose(found["donor within 0.6 nm"], np.maximum(1 - gaps / 0.6, 0) @ donors)
    his = np.array([":HIS" in each for each in atoms.residues])
    np.testing.assert_allclose(found["HIS within 1 nm"], np.maximum(1 - gaps / 1.0, 0) @ his)
    np.testing.assert_array_equal(found["atoms counted to 0.55 nm"], (gaps < 0.55).sum(1))


def test_a_forest_learns_which_of_two_equal_cavities_ligands_take_and_stays_itself_in_a_file(shell, tmp_path):
    ligand = shell(0.15, 40.0).positions
    proteins = [turned(_two_kinds(shell), seed) for seed in range(3)]
    ligands = [ligand @ matrix.T + [3.0, -1.0, 2.0] for _, matrix in proteins]
    model = SiteForest(trees=20).fit([atoms for atoms, _ in proteins[:2]], ligands[:2])
    best = model.find(proteins[2][0])[0]
    assert ligand_distance(best, ligands[2]) < 0.2
    assert center_distance(best, ligands[2]) < 0.2
    assert best.residues == ("A:PHE1",)
    scores = model.residue_scores(proteins[2][0])
    assert scores["A:PHE1"] > 0.9 > 0.1 > scores["B:LYS2"]
    again = SiteForestModel.load(model.save(tmp_path / "sites"))
    assert again.residue_scores(proteins[2][0]) == scores
    assert sum(model.importance().values()) == pytest.approx(1.0)


def _two_kinds(shell) -> TypedAtoms:
    return TypedAtoms.together([shell(0.7, name="A:PHE1"), shell(0.7, center=(2.5, 0.0, 0.0), name="B:LYS2")])


def test_overlap_is_one_for_what_is_the_same_and_zero_for_what_is_elsewhere(shell):
    (cavity,) = BuriedPockets().find(shell(0.7))
    # carbon atoms that reach as far as the cavity does
    inner = cavity.points[np.linalg.norm(cavity.points, axis=1) < 0.33]
    inside = TypedAtoms(inner, np.full(len(inner), 6), np.ones((len(inner), 8), bool))
    assert volume_overlap(cavity, inside) > 0.8
    assert volume_overlap(cavity, inside.moved(inside.positions + 3.0)) == 0.0


def test_what_cannot_be_is_refused_with_the_reason(shell):
    with pytest.raises(ValueError, match="no atoms"):
        ProbeGrid().points(shell(0.7).taken(np.arange(0)))
    apart = TypedAtoms.together([shell(0.7), *(shell(0.7, center=each) for each in 90 * np.eye(3))])
    with pytest.raises(ValueError, match="positions in nm"):
        ProbeGrid().points(apart)
    with pytest.raises(ValueError, match="one or more of each"):
        SiteForest().fit([], [])
    with pytest.raises(ValueError, match="no ligand"):
        SiteForest().fit([shell(0.7)], [np.zeros((0, 3))])
    with pytest.raises(ValueError, match="both in the same frame"):
        SiteForest().fit([shell(0.7)], [np.full((1, 3), 30.0)])
