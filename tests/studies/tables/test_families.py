"""Families of potentials from a study to a model that evaluates, through the command line."""

from __future__ import annotations

import json
from dataclasses import replace

import equinox as eqx
import numpy as np
import pytest
from typer.testing import CliRunner

from thalweg.cli.main import app
from thalweg.interop.files.configurations import write_configurations
from thalweg.interop.quantum.tight_binding import TightBinding
from thalweg.learned_potentials.gradient_domain.term import GradientDomainTerm
from thalweg.learned_potentials.parametric.pair_terms import morse
from thalweg.learned_potentials.recipes.linear import expansion_with_kernel
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.learned_potentials.uncertainty.committee import CommitteeTerm
from thalweg.studies.tables.fit_study import fit_from_table
from thalweg.systems.configuration import Configuration

WATER = np.array([[0.0, 0.0, 0.0], [0.0757, 0.0586, 0.0], [-0.0757, 0.0586, 0.0]])
NUMBERS = np.array([8, 1, 1])
BONDS = morse((1, 8), [20.0, 450.0, 5.0], [20.0, 22.0, 20.0], [0.15, 0.096, 0.3], cutoff=0.5)


def molecules(count, seed, known=()):
    """Water molecules of Morse bonds on top of what is ``known``."""
    random = np.random.default_rng(seed)
    frames = [Configuration(NUMBERS, WATER + 0.004 * random.normal(size=(3, 3))) for _ in range(count)]
    labels = LearnedPotential({1: 0.0, 8: 0.0}, (BONDS, *known)).evaluate(frames)
    return [
        replace(frame, energy=float(energy), forces=forces)
        for frame, energy, forces in zip(frames, labels.energies, labels.forces)
    ]


def fitted(folder, study, frames):
    """The potential of a study, and its force errors on held-out frames [meV/Å]."""
    write_configurations(folder / "water.xyz", frames)
    data = '[data]\ntrain = ["water.xyz"]\nvalidation = 0.2\ntest = 0.2\n'
    (folder / "study.toml").write_text(data + study, "utf-8")
    shown = CliRunner().invoke(app, ["fit", str(folder / "study.toml"), "--out", str(folder / "fit")])
    assert shown.exit_code == 0, shown.output
    report = json.loads((folder / "fit" / "results" / "report.json").read_text("utf-8"))
    (mae,) = [
        row[2]
        for each in report["sets"]
        if each["name"] == "test"
        for row in each["rows"]
        if row[0] == "forces"
    ]
    return LearnedPotential.load(folder / "fit" / "model.thalweg"), mae


def test_a_committee_of_gradient_domain_kernels_learns_a_molecule_and_knows_its_errors(tmp_path):
    study = '[learner]\nkind = "sGDML"\n[committee]\nmembers = 2\n'
    potential, mae = fitted(tmp_path, study, molecules(30, 0))
    term = potential.terms[-1]
    assert isinstance(term, CommitteeTerm)
    assert all(isinstance(member, GradientDomainTerm) for member in term.members)
    assert mae < 20
    assert potential.calibration is not None


@pytest.mark.long
def test_members_of_a_shallow_committee_of_schnet_share_their_messages(tmp_path):
    study = """
    [messages]
    kind = "SchNet"
    layers = 1
    width = 8
    radial = 6
    cutoff = "3 Å"
    [learner]
    kind = "LearnedMessages"
    epochs = 3
    [committee]
    kind = "shallow"
    members = 2
    """
    potential, mae = fitted(tmp_path, study, molecules(10, 1))
    first, second = potential.terms[-1].members
    assert eqx.tree_equal(first.representation, second.representation)
    assert np.isfinite(mae)
    assert (potential.spread(molecules(1, 2)).energies > 0).all()


def test_a_quantum_baseline_leaves_only_the_difference_to_learn(tmp_path):
    pytest.importorskip("tblite")
    study = '[learner]\nkind = "sGDML"\n[[baseline]]\nkind = "GFN2"\n'
    potential, mae = fitted(tmp_path, study, molecules(15, 3, (TightBinding(),)))
    assert any(isinstance(term, TightBinding) for term in potential.terms)
    assert mae < 20


def test_papers_bring_their_weights_and_core_and_a_baseline_is_what_kernels_fall_back_to(tmp_path):
    def study(learner, **more):
        given = {"data": {"train": ["."]}, "learner": learner, **more}
        found = fit_from_table(given, "water", tmp_path)
        rest = {key: value for key, value in found.table.items() if key not in ("title", "seed")}
        again = fit_from_table(rest, "water", tmp_path)
        assert (again.learner, again.weights, again.core_repulsion) == (
            found.learner,
            found.weights,
            found.core_repulsion,
        )
        return found

    crystal, molecule = study({"kind": "ExpansionWithKernel"}), study({"kind": "LocalGradientDomain"})
    assert crystal.weights == expansion_with_kernel().weights != molecule.weights
    assert crystal.core_repulsion is not None
    assert molecule.core_repulsion is None
    assert study({"kind": "GAP"}, weights={"energy": "3 meV"}).weights.energy == pytest.approx(0.2894559966)
    assert molecule.learner.mean is not None
    assert study({"kind": "LocalGradientDomain"}, baseline=[{"kind": "GFN2"}]).learner.mean is None
