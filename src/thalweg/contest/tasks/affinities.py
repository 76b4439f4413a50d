"""Affinities: learn the affinity of ligands of one series to a target, and say that of ligands not measured.

Ligands are a core with two substituents, as SMILES and as the substituents' constants (lipophilicity ``pi``, Hammett's
``sigma`` and molar refractivity ``MR`` [hansch1973]). A target is drawn anew for each problem: each site has a width
and a best value of these constants, of which it likes ligands near; cores add their own part, the two sites meet in one
product, and what was measured has noise. The entry learns from 120 ligands; the others of the series are asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from thalweg.contest.rules.task import Arrays, Ask, EntryLimits, Score, bootstrapped
from thalweg.shapes import Float

SUBSTITUENTS = (
    ("", "", 0.0, 0.0, 1.03),
    ("C", "C", 0.56, -0.17, 5.65),
    ("CC", "CC", 1.02, -0.15, 10.30),
    ("CO", "OC", -0.02, -0.27, 7.87),
    ("F", "F", 0.14, 0.06, 0.92),
    ("Cl", "Cl", 0.71, 0.23, 6.03),
    ("Br", "Br", 0.86, 0.23, 8.88),
    ("FC(F)(F)", "C(F)(F)F", 0.88, 0.54, 5.02),
    ("N#C", "C#N", -0.57, 0.66, 6.33),
    ("N", "N", -1.23, -0.66, 5.42),
    ("O", "O", -0.67, -0.37, 2.85),
    ("CC(=O)", "C(C)=O", -0.55, 0.50, 11.18),
    ("CS(=O)(=O)", "S(C)(=O)=O", -1.63, 0.72, 13.49),
    ("CN(C)", "N(C)C", 0.18, -0.83, 15.55),
)
"""SMILES before and behind what carries it, pi, sigma of the para position, and MR [hansch1973]."""

CORES = ("{}c1ccc({})cc1", "{}c1ccc({})cn1", "{}c1ccc({})s1", "{}c1ccc2cc({})ccc2c1")
GIVEN, NOISE = 120, 0.3
"""Ligands measured, and the standard deviation of a measurement [pK units]."""


@dataclass(frozen=True)
class AffinitiesTask:
    """The task; see the module."""

    name: str = "affinities"
    title: str = "Predict affinities of a series of ligands from 120 measured ones"
    gets: Mapping[str, str] = field(
        default_factory=lambda: {
            "smiles": "fit and answer: (ligands,) text",
            "core": "fit and answer: (ligands,), number of the core",
            "constants": "fit and answer: (ligands, 6), pi, sigma and MR / 10 of each substituent",
            "affinities": "fit: (ligands,), measured, in pK units",
        }
    )
    gives: Mapping[str, str] = field(default_factory=lambda: {"affinities": "(ligands,), in pK units"})
    scored: str = "root mean square error of ligands not given, without noise of measurement, 0 at best"
    unit: str = "pK units"
    larger_is_better: bool = False
    problems: int = 4
    limits: EntryLimits = EntryLimits()  # noqa: RUF009

    def problem(self, seed: np.random.SeedSequence) -> DrawnSeries:
        """A target drawn from ``seed``, and which ligands are measured."""
        random = np.random.default_rng(seed)
        places = np.array(
            list(product(range(len(CORES)), range(len(SUBSTITUENTS)), range(len(SUBSTITUENTS))))
        )
        table = np.array([row[2:] for row in SUBSTITUENTS]) / (1.0, 1.0, 10.0)
        constants = np.concatenate([table[places[:, 1]], table[places[:, 2]]], axis=1)
        smiles = np.array([_smiles(*each) for each in places.tolist()])
        best, narrow = random.uniform(-0.7, 0.7, 6), random.uniform(0.5, 1.5, 6)
        likes = -0.5 * ((constants - best) * narrow) ** 2
        meeting = np.tanh(constants[:, :3] @ random.normal(size=3)) * np.tanh(
            constants[:, 3:] @ random.normal(size=3)
        )
        cores = random.normal(scale=0.6, size=len(CORES))[places[:, 0]]
        affinities = 7.0 + likes.sum(axis=1) + cores + random.normal(scale=0.8) * meeting
        order = random.permutation(len(places))
        noise = NOISE * random.standard_normal(GIVEN)
        return DrawnSeries(
            smiles[order], places[order, 0].astype(float), constants[order], affinities[order], noise
        )


@dataclass(frozen=True, eq=False)
class DrawnSeries:
    """One draw: the first ligands are given, the others asked.

    Attributes
    ----------
    smiles : (ligands,)
    core : (ligands,) its number
    constants : (ligands, 6)
    affinities : (ligands,) exact [pK units]
    noise : (given,) of the measurements
    """

    smiles: np.ndarray
    core: Float[np.ndarray, " ligands"]
    constants: Float[np.ndarray, "ligands 6"]
    affinities: Float[np.ndarray, " ligands"]
    noise: Float[np.ndarray, " given"]

    @property
    def given(self) -> Arrays:
        """Measured ligands."""
        return {**self._ligands(slice(GIVEN)), "affinities": self.affinities[:GIVEN] + self.noise}

    def play(self, ask: Ask) -> Score:
        """Ask for the affinities of the others."""
        exact = self.affinities[GIVEN:]
        answered = ask(self._ligands(slice(GIVEN, None)), {"affinities": exact.shape})["affinities"]
        squares = (np.clip(answered, -1e100, 1e100) - exact) ** 2
        return bootstrapped(lambda ligands: float(np.sqrt(squares[ligands].mean())), len(exact))

    def _ligands(self, which: slice) -> dict[str, np.ndarray]:
        return {"smiles": self.smiles[which], "core": self.core[which], "constants": self.constants[which]}


def _smiles(core: int, first: int, second: int) -> str:
    """A ligand as SMILES; no substituent is a hydrogen, which is not written.

    Examples
    --------
    >>> _smiles(0, 1, 0), _smiles(1, 8, 4)
    ('Cc1ccccc1', 'N#Cc1ccc(F)cn1')
    """
    before, behind = SUBSTITUENTS[first][0], SUBSTITUENTS[second][1]
    return CORES[core].format(before, behind).replace("()", "")
