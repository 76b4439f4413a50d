"""Fakes from a density known before: what a model of other data or shorter chains lacks is learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.coarse_graining.density_ratio.chain_density import ChainDensity
from thalweg.coarse_graining.density_ratio.fakes import FakeLadder, MeanOfMembers, lacking
from thalweg.free_energies.landscapes.encoding import Marginals

CONFORMATIONS, SWEEPS, EVERY = 200, 200, 10
"""Walks that fakes are taken from, sweeps of each, and sweeps between two."""


@dataclass(frozen=True)
class PriorChains:
    """Monte Carlo of a density known before.

    Parameters
    ----------
    prior : the density; of as many angles a residue
    seed : of its Monte Carlo

    Raises
    ------
    ValueError
        In fitting, if chains have another number of angles a residue.
    """

    prior: ChainDensity
    seed: int = 0

    def ladder(self, chains: Sequence[np.ndarray], angles: Marginals) -> FakeLadder:
        if (wide := {each.shape[2] for each in chains}) != {self.prior.angles}:
            raise ValueError(
                f"the prior is of {self.prior.angles} angles a residue, chains are of {sorted(wide)}"
            )

        found = {}
        for residues in sorted({each.shape[1] for each in chains}):
            walks = self.prior.sample(residues, CONFORMATIONS, SWEEPS, EVERY, seed=self.seed)
            found[residues] = walks.reshape(-1, *walks.shape[2:]).astype(np.float32)

        def drawn(frames, count, generator):
            pool = found[frames.shape[1]]
            return [lacking(pool[generator.integers(len(pool), size=count)], frames)]

        return FakeLadder(1, drawn, MeanOfMembers(self.prior.members))
