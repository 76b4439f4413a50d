"""Bands and dimers: saddles of the Müller-Brown surface, curved paths, molecules whose atoms were mixed up."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from thalweg.labeling.known_potential import KnownPotential
from thalweg.labeling.level import LabelFailed
from thalweg.learned_potentials.parametric.pair_terms import morse
from thalweg.report.drawing import figure
from thalweg.sampling.paths.dimer import Dimer
from thalweg.sampling.paths.elastic_band import NudgedElasticBand, improved_tangents
from thalweg.sampling.paths.ends import matched_ends, nearest_images
from thalweg.sampling.paths.initial_path import pair_potential, straight_path
from thalweg.sampling.paths.optimizers import FIRE
from thalweg.sampling.paths.reaction_path import ReactionPath
from thalweg.sampling.paths.rigid_motion import Freedom
from thalweg.sampling.paths.string_method import StringMethod
from thalweg.systems.configuration import Configuration
from thalweg.testsystems.muller_brown import MullerBrown, WithHarmonicDimensions
from thalweg.testsystems.stationary_points import stationary_points

WELLS = ([-0.558, 1.442], [-0.05, 0.467], [0.6235, 0.028])
SADDLES = ([-0.8220, 0.6243], [0.2125, 0.2930])
HEIGHTS = (-40.6648, -72.2489)

METHANE = 0.109 * np.array([[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)


def methane(order=(0, 1, 2, 3, 4), turned=0.0):
    c, s = np.cos(turned), np.sin(turned)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return Configuration(np.array([6, 1, 1, 1, 1])[list(order)], METHANE[list(order)] @ turn)


@pytest.mark.parametrize("descent", [None, FIRE(longest=0.05)], ids=["L-BFGS", "FIRE"])
@pytest.mark.parametrize("step", [0, 1])
def test_a_climbing_band_ends_at_the_saddle_of_the_surface(step, descent):
    band = NudgedElasticBand(images=9, tolerance=0.5, descent=descent)
    path = band.connect(MullerBrown(), WELLS[step], WELLS[step + 1])
    assert path.converged, path.notes
    assert path.energies.max() == pytest.approx(HEIGHTS[step], abs=1e-3)
    np.testing.assert_allclose(path.saddle[0], SADDLES[step], atol=1e-3)


def test_a_band_over_two_barriers_tells_the_minimum_between_and_goes_on_from_its_file(tmp_path):
    short = NudgedElasticBand(images=15, tolerance=0.5, iterations=5)
    path = short.connect(MullerBrown(), WELLS[0], WELLS[2])
    assert not path.converged
    assert "not converged: the largest force is" in str(path)
    path.save(tmp_path / "path")
    whole = NudgedElasticBand(tolerance=0.5).relax(MullerBrown(), ReactionPath.load(tmp_path / "path"))
    assert whole.converged
    assert len(whole.energies) == 15
    assert whole.barrier == pytest.approx(HEIGHTS[0] - stationary_points(MullerBrown()).energies[0], abs=1e-2)
    assert any("are minima between the ends" in note for note in whole.notes)
    assert "length of the path" in figure(whole).layout.xaxis.title.text


def test_the_profile_goes_through_images_with_the_slopes_of_their_forces():
    path = NudgedElasticBand(images=9, tolerance=0.5).connect(MullerBrown(), *WELLS[:2])
    at, energies = path.profile(4001)
    np.testing.assert_allclose(np.interp(path.lengths, at, energies), path.energies, atol=1e-2)
    assert energies.max() == pytest.approx(path.energies.max(), abs=0.3)
    assert path.frames()[path.highest].energy == path.energies.max()


def test_where_the_path_goes_hangs_on_no_spring_where_it_bends():
    paths = [
        NudgedElasticBand(images=21, spring=k, tolerance=0.5, climbing=False).connect(
            MullerBrown(), *WELLS[:2]
        )
        for k in (300.0, 3000.0)
    ]
    soft, stiff = (path.positions[:, 0] for path in paths)
    apart = np.linalg.norm(soft[:, None] - stiff[None], axis=-1)
    assert all(path.converged for path in paths)
    # the same curve: every image of one lies within a few thousandths of a chord of the other
    chords = (
        np.interp(np.linspace(0, 20, 2001), np.arange(21), stiff[:, 0]),
        np.interp(np.linspace(0, 20, 2001), np.arange(21), stiff[:, 1]),
    )
    off = np.linalg.norm(soft[:, None] - np.stack(chords, 1)[None], axis=-1).min(1)
    assert off.max() < 0.01 < apart.min(1).max()


def test_the_improved_tangent_points_to_the_higher_neighbor_and_to_both_at_an_extremum():
    after, before = np.array([[[1.0, 0.0]]] * 3), np.array([[[0.0, 1.0]]] * 3)
    tangents = improved_tangents(after, before, np.array([0.0, 1.0, 2.0, 1.0, 0.5]))[:, 0]
    np.testing.assert_allclose(tangents, [[1, 0], [1 / np.sqrt(2)] * 2, [0, 1]])
    # a maximum of whose neighbors the next one is higher: weights 3 and 1
    lone = improved_tangents(after[:1], before[:1], np.array([0.0, 3.0, 2.0]))[0, 0]
    np.testing.assert_allclose(lone, np.array([3, 1]) / np.sqrt(10))


def test_ends_not_at_minima_are_relaxed_or_told():
    path = NudgedElasticBand(images=5, iterations=1).connect(MullerBrown(), [-0.5, 1.4], WELLS[1])
    assert "the start was relaxed: 9.9" in path.notes[0]
    assert path.energies[0] == pytest.approx(-146.6995, abs=1e-3)
    kept = NudgedElasticBand(images=5, ends="keep", iterations=1).connect(
        MullerBrown(), [-0.5, 1.4], WELLS[1]
    )
    assert "the start is no minimum" in kept.notes[0]
    np.testing.assert_allclose(kept.positions[0, 0], [-0.5, 1.4])
    with pytest.raises(ValueError, match="the ends are the same arrangement"):
        NudgedElasticBand(tolerance=0.01).connect(MullerBrown(), [-0.5, 1.4], WELLS[0])


def test_atoms_in_another_order_are_refused_with_the_pairs_or_put_in_order():
    swapped = methane((0, 2, 1, 3, 4), turned=0.3)
    with pytest.raises(
        ValueError, match=r"changed places between the ends: \d \(H\) ends where \d started, \d \(H\)"
    ):
        matched_ends(methane(), swapped)
    # matched and turned back they are one arrangement, so the ends must differ in something else
    stretched = Configuration(swapped.numbers, 1.05 * swapped.positions)
    ends = matched_ends(methane(), stretched, order="match")
    np.testing.assert_allclose(ends.end.positions, 1.05 * METHANE, atol=1e-9)
    with pytest.raises(
        ValueError, match=r"2 atoms of the ends are different elements \(0: C and H, 1: H and C\)"
    ):
        matched_ends(methane(), methane((1, 0, 2, 3, 4)))
    listed = Configuration(
        *(getattr(methane((1, 0, 4, 2, 3), 2.0), name) for name in ("numbers", "positions"))
    )
    longer = Configuration(listed.numbers, 1.05 * listed.positions)
    ends = matched_ends(methane(), longer, order="match")
    np.testing.assert_array_equal(ends.end.numbers, methane().numbers)
    np.testing.assert_allclose(
        np.linalg.norm(ends.end.positions - methane().positions, axis=1)[1:], 0.05 * 0.109, atol=1e-9
    )


def test_an_atom_across_the_cell_edge_takes_the_short_way():
    box, numbers = np.diag([1.0, 1.0, 1.0]), np.array([18, 18])
    ends = [
        Configuration(numbers, np.array([[0.1, 0.1, 0.1], [x, 0.5, 0.5]]), box, (True,) * 3)
        for x in (0.95, 0.05)
    ]
    placed = matched_ends(*ends, fixed=(0,))
    assert placed.end.positions[1, 0] == pytest.approx(1.05)
    assert "1 atoms of the end were moved by whole cell vectors" in placed.notes[0]
    skewed = Configuration(
        numbers, ends[0].positions, np.array([[1.0, 0, 0], [0.5, 0.9, 0], [0, 0, 1.0]]), (True,) * 3
    )
    step = nearest_images(np.array([[0.76, 0.46, 0.0]]), skewed)
    images = [
        [0.76, 0.46, 0] + a * skewed.box[0] + b * skewed.box[1] for a in range(-2, 2) for b in range(-2, 2)
    ]
    exact = min(images, key=np.linalg.norm)
    np.testing.assert_allclose(step[0], exact, atol=1e-12)
    with pytest.raises(ValueError, match="fixed atoms"):
        matched_ends(*ends, fixed=(1,))


def test_a_molecule_is_neither_shifted_nor_turned_by_what_is_left_of_forces():
    frame = methane()
    rng = np.random.default_rng(0)
    left = Freedom.of(frame).projected(rng.normal(size=(1, 5, 3)), frame.positions[None])[0]
    np.testing.assert_allclose(left.sum(0), 0, atol=1e-12)
    np.testing.assert_allclose(
        np.cross(frame.positions - frame.positions.mean(0), left).sum(0), 0, atol=1e-12
    )


def test_forces_of_the_pair_potential_are_minus_its_gradient():
    start, end = METHANE, METHANE[[0, 2, 3, 1, 4]]
    path = straight_path(start, end, 3) + 0.01 * np.random.default_rng(1).normal(size=(3, 5, 3))
    path[[0, 2]] = start, end
    surface = pair_potential(path, methane())
    _, forces = surface(path[1:2])
    for atom, axis in ((1, 0), (3, 2)):
        step = np.zeros_like(path[1:2])
        step[0, atom, axis] = 1e-6
        slope = (surface(path[1:2] + step)[0] - surface(path[1:2] - step)[0])[0] / 2e-6
        assert forces[0, atom, axis] == pytest.approx(-slope, rel=1e-5)


def cluster():
    """Four argon-like atoms: a rhombus whose long diagonal has no bond becomes the one with the other diagonal."""
    level = KnownPotential(morse((18,), [10.0], [12.0], [0.38], cutoff=1.0), called="Morse")
    half, height = 0.19, 0.19 * np.sqrt(3)
    return level, np.array([[-half, 0, 0], [half, 0, 0], [0, height, 0], [0, height / 3, height * 0.943]])


@pytest.mark.long
def test_an_atom_of_a_cluster_moves_from_face_to_face_by_bands_of_a_potential():
    level, tetrahedron = cluster()
    five = np.vstack([tetrahedron, [[0.0, 0.11, -0.31]]])
    other = np.vstack([tetrahedron, [[0.36, 0.29, 0.21]]])
    frames = [Configuration(np.full(5, 18), x) for x in (five, other)]
    path = NudgedElasticBand(images=9, tolerance=1.0, order="given").connect(level, *frames)
    assert path.converged
    assert path.barrier > 1.0
    assert path.barrier == pytest.approx(path.barrier_back, abs=0.05)
    saddle = Dimer(tolerance=0.5).climb(
        level,
        Configuration(frames[0].numbers, path.saddle),
        mode=path.positions[path.highest + 1] - path.saddle,
    )
    assert saddle.converged, saddle.notes
    assert saddle.energy - path.energies[0] == pytest.approx(path.barrier, abs=0.01)


def test_a_level_that_fails_on_the_way_leaves_the_path_so_far():
    known, tetrahedron = cluster()
    asked = []

    def label(frame):
        asked.append(frame)
        if len(asked) > 40:
            raise LabelFailed("the cycle does not converge")
        return known.label(frame)

    parts = {name: getattr(known, name) for name in ("name", "check", "provenance", "seconds")}
    failing = SimpleNamespace(label=label, **parts)
    frames = [Configuration(np.full(4, 18), x) for x in (tetrahedron, tetrahedron * [1, 1, -1])]
    path = NudgedElasticBand(images=7, ends="keep", order="given").connect(failing, *frames)
    assert not path.converged
    assert "moves, where the level failed: the cycle does not converge" in str(path)
    assert np.isfinite(path.energies).all()
    assert len(path.frames()) == 7


@pytest.mark.parametrize(
    ("start", "mode", "height"), [([-0.75, 0.65], [1, -1], HEIGHTS[0]), ([0.1, 0.4], [1, -1], HEIGHTS[1])]
)
def test_a_dimer_climbs_to_the_saddle_and_proves_it_by_one_negative_curvature(start, mode, height):
    saddle = Dimer(tolerance=0.1).climb(MullerBrown(), start, mode)
    assert saddle.converged
    assert (saddle.curvatures < 0).tolist() == [True, False]
    assert saddle.energy == pytest.approx(height, abs=1e-4)


def test_a_dimer_in_ten_dimensions_finds_its_axis_from_nothing_and_a_minimum_is_no_saddle():
    surface = WithHarmonicDimensions(MullerBrown(), 8, 100.0)
    saddle = Dimer(tolerance=0.1).climb(surface, [-0.75, 0.65, *[0.1] * 8])
    assert saddle.converged
    assert saddle.energy == pytest.approx(HEIGHTS[0], abs=1e-4)
    assert abs(saddle.mode[0, :2]) @ abs(saddle.mode[0, :2]) == pytest.approx(1.0, abs=1e-6)
    stuck = Dimer(iterations=1).climb(MullerBrown(), WELLS[0])
    assert not stuck.converged
    assert "no curvature is negative: a minimum" in str(stuck)


@pytest.mark.parametrize("step", [0, 1])
def test_a_string_ends_at_the_saddle_of_the_surface_with_images_at_equal_distances(step):
    path = StringMethod(images=15, tolerance=0.5).connect(MullerBrown(), WELLS[step], WELLS[step + 1])
    assert path.converged, path.notes
    assert path.energies.max() == pytest.approx(HEIGHTS[step], abs=1e-3)
    # all but those beside the saddle, which took the place of the highest image
    steps = np.delete(np.diff(path.lengths), [path.highest - 1, path.highest])
    np.testing.assert_allclose(steps, steps.mean(), rtol=0.02)
