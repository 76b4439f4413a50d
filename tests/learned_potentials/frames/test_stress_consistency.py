"""Energies, forces and strained frames decide sign and unit of stresses, and which energy forces belong to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from thalweg.interop.files.configurations import from_atoms
from thalweg.learned_potentials.frames.embedded_pairs import coefficients_from_forces, surrogate_rows
from thalweg.learned_potentials.frames.inspection import inspect, require_sound
from thalweg.learned_potentials.frames.partner_energies import energy_of_forces
from thalweg.learned_potentials.frames.stress_consistency import RATIOS, stress_scale
from thalweg.systems.configuration import elements_of


def copper(count, strain=0.02, displacement=0.06, seed=0, numbers=("Cu",)):
    """Strained and rattled crystals of four atoms, labeled by effective-medium theory."""
    random, frames = np.random.default_rng(seed), []
    for k in range(count):
        atoms = bulk("Cu", cubic=True)
        atoms.symbols = [numbers[k % len(numbers)] for k in range(4)]
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain * random.normal(size=(3, 3))), scale_atoms=True)
        atoms.rattle(displacement, seed=1000 * seed + k)
        atoms.calc = EMT()
        atoms.get_forces()
        atoms.get_stress()
        frames.append(from_atoms(atoms))
    return frames


@pytest.fixture(scope="module")
def rattled():
    return copper(20)


def times(frames, factor):
    return [replace(frame, stress=factor * frame.stress) for frame in frames]


def test_virials_of_pairs_and_densities_are_derivatives_of_their_energies_by_strain():
    (frame,) = copper(1, numbers=("Cu", "Au"))
    elements, random = np.array(elements_of([frame])), np.random.default_rng(0)
    rows = surrogate_rows(frame, elements)
    some = random.normal(size=len(rows.energies))
    tilt = np.eye(3)[0][:, None] * np.eye(3)[1] + np.diag([0.3, 0.2, 0.1])

    def energy(step, moved=0.0):
        strained = replace(
            frame,
            positions=frame.positions @ (np.eye(3) + step * tilt) + moved,
            box=frame.box @ (np.eye(3) + step * tilt),
        )
        return surrogate_rows(strained, elements).energies @ some

    slope = (energy(1e-5) - energy(-1e-5)) / 2e-5
    assert (rows.virials @ some) @ tilt.ravel() == pytest.approx(slope, rel=1e-5)
    shift = np.zeros((4, 3))
    shift[1, 2] = 1e-6
    slope = (energy(0.0, shift) - energy(0.0, -shift)) / 2e-6
    assert (rows.forces @ some).reshape(4, 3)[1, 2] == pytest.approx(-slope, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize(("strain", "displacement"), [(0.02, 0.06), (0.02, 0.0), (0.0, 0.1), (0.05, 0.06)])
@pytest.mark.parametrize("numbers", [("Cu",), ("Cu", "Au", "Cu", "Ni")])
def test_true_stresses_pass_and_mistaken_ones_are_put_right(strain, displacement, numbers):
    frames = copper(24, strain, displacement, seed=1, numbers=numbers)
    assert stress_scale(frames).consistent
    units = [RATIOS[f"{name} read as eV/Å^3"] for name in ("GPa", "kbar", "Ha/bohr^3")]
    for factor in (-1.0, units[0], -units[1], units[2]):
        scale = stress_scale(times(frames, 1 / factor))
        assert not scale.consistent
        assert scale.correction(frames[0].volume) == pytest.approx(factor)


def test_energies_of_strain_in_place_of_stresses_are_divided_by_the_volume():
    frames = copper(20, seed=2)
    wrong = [replace(frame, stress=-frame.stress * frame.volume * 1000) for frame in frames]
    big = [replace(frame, stress=frame.stress) for frame in wrong]
    scale = stress_scale(big)
    factor = scale.correction(frames[0].volume)
    # the volume of four atoms, 47 Å^3, is no ratio of units
    assert factor * wrong[0].stress == pytest.approx(frames[0].stress, rel=1e-9)


def test_stresses_that_nothing_explains_are_left_out_and_told(rattled):
    findings = inspect(times(rattled, 7.3))
    (finding,) = [one for one in findings.findings if one.kind == "stress scale"]
    assert "no mistaken unit known here explains it; they are not learned from" in finding.message
    assert all(frame.stress is None for frame in findings.kept(times(rattled, 7.3)))
    assert findings.kept(times(rattled, 7.3), keep=("stress",))[0].stress is not None


def test_frames_of_one_file_are_corrected_and_those_of_others_stay(rattled):
    good = [replace(frame, info={"file": "a.xyz"}) for frame in rattled]
    bad = [replace(frame, info={"file": "b.xyz"}) for frame in times(copper(20, seed=3), -1.0)]
    findings = inspect([*good, *bad])
    assert "b.xyz: stresses have to be multiplied by -" in str(findings)
    kept = findings.kept([*good, *bad])
    assert kept[0].stress == pytest.approx(rattled[0].stress)
    assert kept[-1].stress == pytest.approx(-bad[-1].stress)
    with pytest.raises(ValueError, match="they have the wrong sign"):
        require_sound(bad)


def test_forces_tell_their_energy_from_another_whichever_comes_first():
    frames, random = copper(40, seed=4), np.random.default_rng(0)
    own = np.array([frame.energy for frame in frames])
    other = own + 10 * random.normal(size=40)
    assert energy_of_forces(frames, other, own).balance == pytest.approx(1, abs=0.3)
    assert energy_of_forces(frames, own, other).balance == pytest.approx(-1, abs=0.3)
    assert energy_of_forces(frames, own, other).sure
    assert energy_of_forces(frames, own, own + 5.0) is None


def test_forces_alone_teach_the_deviator_of_the_virial(rattled):
    elements = np.array(elements_of(rattled))
    rows = [surrogate_rows(frame, elements) for frame in rattled]
    learned = coefficients_from_forces(rows, rattled)
    said = np.array([(row.virials @ learned).reshape(3, 3) for row in rows])
    labeled = np.array([frame.stress * frame.volume for frame in rattled])
    traces = [np.trace(one, axis1=1, axis2=2)[:, None, None] / 3 * np.eye(3) for one in (said, labeled)]
    off = said - traces[0] - (labeled - traces[1])
    assert np.linalg.norm(off) < 0.05 * np.linalg.norm(labeled - traces[1])
