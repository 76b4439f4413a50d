"""Bonds that end at free atoms: how deep, how many, and what is left of a potential where no data are."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest

from thalweg.learned_potentials.linear.learner import Linear
from thalweg.learned_potentials.linear.normal_equations import NormalEquations, Sums
from thalweg.learned_potentials.linear.problem import LinearProblem
from thalweg.learned_potentials.linear.sparse_kernel import SparseKernel
from thalweg.learned_potentials.parametric.free_atoms import USUAL, FreeAtoms
from thalweg.learned_potentials.parametric.imagined_frames import (
    NEAREST,
    imagined_frames,
)
from thalweg.learned_potentials.recipe import Recipe
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learned_potentials.terms.term import Weights
from thalweg.learned_potentials.uncertainty.graded import graded
from thalweg.representations.expansions.ace import ACE
from thalweg.representations.expansions.soap import SOAP
from thalweg.representations.molecules.molecular_symmetry import bond_matrix
from thalweg.systems.configuration import Configuration
from thalweg.systems.elements import COVALENT_RADII
from thalweg.units import unit

EV = unit("eV", "energy")

FLUOROMETHANE = (
    np.array([6, 9, 1, 1, 1]),
    np.array(
        [[0, 0, 0], [0, 0, 0.138], [0.103, 0, -0.036], [-0.051, 0.089, -0.036], [-0.051, -0.089, -0.036]]
    ),
)
DEPTHS, LENGTHS, SPRING, ANGLES = {1: 420.0, 9: 450.0}, {1: 0.1092, 9: 0.138}, 9000.0, (0.178, 0.2)


def labeled(positions: np.ndarray) -> tuple[float, np.ndarray]:
    """Morse bonds of carbon and springs between what is bonded to it, which end with the bonds."""
    numbers, energy, forces = FLUOROMETHANE[0], 0.0, np.zeros((5, 3))

    def add(i, j, value, slope):
        nonlocal energy
        between = positions[i] - positions[j]
        distance = np.linalg.norm(between)
        energy += value(distance)
        forces[i] -= slope(distance) * between / distance
        forces[j] += slope(distance) * between / distance

    for i in range(1, 5):
        depth, length = DEPTHS[numbers[i]], LENGTHS[numbers[i]]
        add(
            i,
            0,
            lambda r, d=depth, l=length: d * ((1 - np.exp(-20 * (r - l))) ** 2 - 1),
            lambda r, d=depth, l=length: 40 * d * (1 - np.exp(-20 * (r - l))) * np.exp(-20 * (r - l)),
        )
        for j in range(1, i):
            rest = ANGLES[int(9 in numbers[[i, j]])]
            add(
                i,
                j,
                lambda r, s=rest: SPRING * (r - s) ** 2 * np.exp(-((r - s) ** 2) / 0.005),
                lambda r, s=rest: (
                    2 * SPRING * (r - s) * (1 - (r - s) ** 2 / 0.005) * np.exp(-((r - s) ** 2) / 0.005)
                ),
            )
    return energy, forces


def molecules(count: int, amplitude: float = 0.006) -> list[Configuration]:
    random = np.random.default_rng(0)
    numbers, places = FLUOROMETHANE
    frames = []
    for _ in range(count):
        positions = places + amplitude * random.normal(size=(5, 3))
        energy, forces = labeled(positions)
        frames.append(Configuration(numbers, positions, energy=energy, forces=forces))
    return frames


def pulled(atoms: list[int], lengths: np.ndarray, from_: int = 0) -> list[Configuration]:
    """The molecule with ``atoms`` at ``lengths`` times their distances from one of them."""
    numbers, places = FLUOROMETHANE
    frames = []
    for length in lengths:
        positions = places.copy()
        positions[atoms] = places[from_] + length * (places[atoms] - places[from_])
        frames.append(Configuration(numbers, positions))
    return frames


def test_forces_tell_how_deep_bonds_are():
    term = FreeAtoms().binding(molecules(60))
    depths = dict(zip([(1, 1), (1, 6), (6, 6), (1, 9), (6, 9), (9, 9)], term.depths))
    # the springs stiffen the bonds a little
    assert depths[1, 6] == pytest.approx(DEPTHS[1], rel=0.3)
    assert depths[6, 9] == pytest.approx(DEPTHS[9], rel=0.3)
    assert depths[1, 1] == depths[1, 9] == 0


def test_labels_are_left_as_they_are_but_for_a_constant():
    frames = molecules(60)
    labels = FreeAtoms().binding(frames).evaluate(frames)
    assert np.ptp(labels.energies) == pytest.approx(0, abs=1e-9 * abs(labels.energies[0]))
    assert np.abs(labels.forces).max() < 1e-9


def test_atoms_nearer_than_any_seen_that_are_not_bonded_feel_no_well():
    frames = molecules(60)
    term = FreeAtoms().binding(frames)
    # fluorine leans over until a hydrogen is a tenth nearer to it than ever
    seen = min(np.linalg.norm(frame.positions[2] - frame.positions[1]) for frame in frames)
    numbers, places = FLUOROMETHANE
    leaning = []
    for angle in np.linspace(0, 0.6, 60):
        turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
        positions = places.copy()
        positions[1] = turn @ places[1]
        leaning.append(Configuration(numbers, positions))
    near = [f for f in leaning if 0.93 * seen < np.linalg.norm(f.positions[2] - f.positions[1]) < seen]
    assert near
    assert max(np.abs(forces[0]).max() for forces in term.evaluate(near).forces) < 1e-9


def test_labels_do_not_pay_for_frames_nobody_computed():
    """Where imagined atoms stand among the labels and count more than all of these, they are trusted less."""
    random = np.random.default_rng(0)
    folds = tuple({"energy": Sums(2)} for _ in range(4))
    for fold in folds:
        rows = random.normal(size=(20, 2))
        fold["energy"].add(rows, rows @ [3.0, -2.0] + 0.1 * random.normal(size=20))
        fold["energy"].flush()
    imagined = Sums(2)
    imagined.add(np.array([[10.0, 0.0]]), np.zeros(1))
    imagined.flush()
    usual = Weights(energy=0.1)
    learner = Linear(ACE(cutoff=0.3, levels=(4,)))
    for times, left in ((0.01, "as they are"), (1e4, "trusted less")):
        equations = NormalEquations(folds, imagined=imagined * times)
        problem = LinearProblem((), equations, np.ones(2), (1.0,), (None,))
        found, solution = learner._solved(problem, usual)
        assert (found is problem) == (left == "as they are")
        np.testing.assert_allclose(solution.coefficients, [3.0, -2.0], atol=0.1)


def test_energies_of_isolated_atoms_decide_depths():
    frames, atoms = molecules(60), {1: -20.0, 6: 300.0, 9: 0.0}
    alone = sum(atoms[int(z)] for z in frames[0].numbers)
    above = [replace(frame, energy=frame.energy + alone) for frame in frames]
    term = FreeAtoms().binding(above, atoms)
    error = np.array([frame.energy - alone for frame in above]) - term.evaluate(above).energies
    assert abs(error.mean()) < 0.02 * sum(DEPTHS.values())


def test_atoms_far_apart_are_free_and_force_is_the_gradient():
    term = FreeAtoms().binding(molecules(12))
    apart = pulled([1, 2, 3, 4], np.array([6.0]))
    assert term.evaluate(apart).energies[0] == 0
    frame = pulled([2], np.array([1.4]))[0]
    energy = term.bind(frame.numbers)
    with jax.enable_x64(True):
        gradient = jax.grad(lambda x: energy(x).sum())(frame.positions[..., None])[..., 0]
    np.testing.assert_allclose(term.evaluate([frame]).forces[0], -np.asarray(gradient), atol=1e-6)


def test_an_atom_between_two_others_does_not_win_both():
    """Of hydrogen that has been seen with one bond, a second one costs more than it is worth."""
    frames = [
        Configuration(np.array([1, 6]), np.array([[0, 0, 0], [0, 0, r]])) for r in np.linspace(0.1, 0.12, 9)
    ]
    term = FreeAtoms().binding(frames)
    places = np.array([[0, 0, 0], [0, 0, 0.11], [0, 0, -0.11]])
    one, two = term.evaluate([Configuration(np.array([1, 6, 6][:n]), places[:n]) for n in (2, 3)]).energies
    assert one == pytest.approx(-USUAL, rel=0.02)
    assert two > one


def test_imagined_frames_are_torn_and_crushed_and_no_atoms_meet():
    frames = imagined_frames(molecules(3), 64)
    assert len(frames) == 64
    assert all(frame.energy is None and frame.forces is None for frame in frames)
    first, second = np.triu_indices(5, 1)
    distances = np.array([np.linalg.norm(f.positions[first] - f.positions[second], axis=1) for f in frames])
    radii = COVALENT_RADII[FLUOROMETHANE[0]]
    assert (distances > 0.8 * NEAREST * (radii[first] + radii[second])).all()
    bonds = np.array([bond_matrix([frame]).sum() for frame in frames])
    assert (bonds < 8).mean() > 0.4
    assert distances.min(1).max() > 0.3  # swollen until all are free


@pytest.mark.long
@pytest.mark.parametrize(
    "learner",
    [Linear(ACE(cutoff=0.4, levels=(8, 6))), SparseKernel(SOAP(cutoff=0.4, radial=4, degree=3), 60)],
    ids=["expansion", "kernel"],
)
def test_bonds_that_are_pulled_end_at_free_atoms_and_grades_say_so(learner, tmp_path):
    frames = molecules(60)
    lowest = min(frame.energy for frame in frames)
    potential = graded(Recipe(learner).fit(frames), frames)
    lengths = np.array([1.0, 1.15, 1.3, 1.5, 1.7, 2.0, 2.5, 3.0, 4.0])
    for atoms in ([1], [2], [2, 3], [1, 2, 3, 4]):
        torn = pulled(atoms, lengths)
        energies = potential.evaluate(torn).energies
        assert energies.min() > lowest - 0.3 * EV
        deep = sum(DEPTHS[int(FLUOROMETHANE[0][k])] for k in atoms)
        assert energies[-1] - lowest == pytest.approx(deep, abs=0.4 * deep)
        grades = np.array([grade.max() for grade in potential.grades(torn)])
        # free atoms have nothing left that could be graded
        assert (grades[3:-1] > 10).all()
    crushed = potential.evaluate(pulled([1, 2, 3, 4], np.array([1.0, 0.9, 0.8, 0.7, 0.6]))).energies
    assert (np.diff(crushed) > 0).all()
    again = LearnedPotential.load(potential.save(tmp_path / "model.thalweg"))
    np.testing.assert_array_equal(
        again.evaluate(frames[:3]).energies, potential.evaluate(frames[:3]).energies
    )


def test_what_has_a_cell_is_left_as_it_was_unless_asked():
    frame = molecules(1)[0]
    boxed = replace(frame, box=2 * np.eye(3), periodic=(True,) * 3)
    assert FreeAtoms().concerns([frame])
    assert not FreeAtoms().concerns([frame, boxed])
    assert FreeAtoms(crystals=True).concerns([boxed])
