"""A made-up report with every section filled, for tests of the page and its files."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.report.results import (
    Axis,
    Candidate,
    ChapmanKolmogorov,
    Convergence,
    Cost,
    Diagnosis,
    ModelChoice,
    MolecularState,
    ReportedNumber,
    ReportedTimescales,
    Results,
    RoundsVisited,
    Surface,
    VariableMeaning,
    ViewerMolecule,
)


@pytest.fixture(scope="session")
def everything() -> Results:
    """Results of a simulation that never happened: two wells on a torus, two time scales, two seeds."""
    rng = np.random.default_rng(7)
    angles = np.linspace(-175, 175, 36)
    x, y = np.meshgrid(np.radians(angles), np.radians(angles), indexing="ij")
    energy = 18 * (1 - np.cos(x + 1.2)) * 0.7 + 8 * (1 - np.cos(y - 2.3))
    energy = np.where(energy > 38, np.nan, energy - energy.min())
    phi = Axis("phi", "deg", angles, 360.0)
    psi = Axis("psi", "deg", angles, 360.0)
    seeds = tuple(energy + rng.normal(0, 0.4, energy.shape) for _ in range(2))
    surface = Surface("backbone dihedrals", phi, psi, energy, 0.2 + 0.03 * energy, seeds)

    lags = np.array([1.0, 2, 5, 10, 20, 50])
    slow = np.stack([240 * (1 - np.exp(-lags)), np.full(6, 25.0)], axis=1)
    scan = ReportedTimescales(lags, slow, 0.93 * slow, 1.07 * slow, 10.0, (True, False))

    times = 10.0 * np.arange(1, 6)
    stay = 0.5 + 0.5 * np.exp(-times / 240)
    kernel = np.stack([np.stack([stay, 1 - stay], -1), np.stack([1 - stay, stay], -1)], 1)
    test = ChapmanKolmogorov(times, kernel, kernel + 0.004, np.full(kernel.shape, 0.006))

    elements = ("C", "O", "N", "H")
    shape = np.array([[0, 0, 0], [0.12, 0, 0], [-0.06, 0.11, 0], [-0.16, 0.11, 0]], float)
    bonds = np.array([[0, 1], [0, 2], [2, 3]])
    states = tuple(
        MolecularState(
            name,
            ReportedNumber(name, population, error),
            frames,
            {"phi [deg]": f"{center:.0f}"},
            np.stack([shape + rng.normal(0, 0.005, shape.shape) for _ in range(copies)]),
        )
        for name, population, error, frames, center, copies in (
            ("C7eq / C5", 0.76, 0.02, 7600, -82, 2),
            ("alpha-R", 0.22, 0.02, 2200, -70, 1),
            ("left-handed", 0.021, 0.002, 210, 57, 1),
        )
    )
    values = rng.normal(size=(400, 2))
    physical = np.stack([80 * values[:, 0], 90 * values[:, 1]], axis=1)
    learned = VariableMeaning(
        ("slow 1", "slow 2"),
        ("phi", "psi"),
        np.array([[0.97, 0.31], [0.22, 0.93]]),
        values,
        physical,
        ("deg", "deg"),
    )
    rounds = RoundsVisited("phi", "psi", "deg", (1, 3, 5), tuple(np.full((4, 2), 10.0 * k) for k in range(3)))
    time = np.array([1.0, 2, 3, 4, 6, 8])
    course = Convergence(
        "free energy of the left-handed basin",
        "kJ/mol",
        "simulated time [ns]",
        time,
        np.stack([9.5 + 2 / time, 9.4 - 1.5 / time], axis=1),
        np.stack([0.9 / np.sqrt(time), 0.8 / np.sqrt(time)], axis=1),
    )
    return Results(
        title="Alanine dipeptide <ACE-ALA-NME>",
        subtitle="22 atoms, ff14SB with OBC2 solvent, 300 K, two seeds",
        simulated=(
            "8.0 ns of 22 atoms with 32 replicas in 12 rounds.",
            "The slow variable was learned from 45 distances.",
        ),
        found=(
            "The left-handed basin lies 9.5 ± 0.1 kJ/mol above the rest.",
            "The slowest process takes 240 ± 8 ps.",
        ),
        certainty=("Both seeds agree within two standard errors.",),
        estimates=(
            ReportedNumber(
                "free energy of 0 < phi < 126 deg against the rest",
                9.51,
                0.12,
                "kJ/mol",
                ((9.45, 0.16), (9.6, 0.17)),
            ),
            ReportedNumber("slowest time scale", 240.1, 8.3, "ps"),
        ),
        diagnoses=(
            Diagnosis(
                "warning", "Process 2 was seen 3 times only: too few to give its time scale as a number."
            ),
            Diagnosis("note", "4 of 36 states were visited only under bias."),
        ),
        choice=ModelChoice(
            "VAMP-2 score of 4 functions at 10 ps, held out",
            (
                Candidate("torsions, 2 slow, 200 states", "torsions", 1.968, 0.006, 1.97),
                Candidate("torsions, 2 slow, 50 states", "torsions", 1.966, 0.006, 1.968),
                Candidate("distances, 2 slow, 50 states", "distances", 1.951, 0.007, 1.953),
                Candidate(
                    "distances, 90 slow, 50 states",
                    "distances",
                    float("nan"),
                    float("nan"),
                    float("nan"),
                    "dim=90 must lie between 1 and 45",
                ),
            ),
            chosen=1,
        ),
        surfaces=(surface,),
        timescales=scan,
        chapman_kolmogorov=test,
        states=states,
        molecule=ViewerMolecule(elements, bonds),
        learned=learned,
        rounds=rounds,
        convergence=(course,),
        cost=Cost(4_000_000, 8.0, 512.0, 48),
        provenance={
            "settings": {"dt": "2 fs"},
            "versions": {"thalweg": "0.1.0"},
            "data": {"digest": "ab" * 32},
        },
        citations=("Someone, A method, J. Methods 1, 1 (2020).",),
    )
