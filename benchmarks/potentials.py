"""Learned potentials, everything: crystals, molecules, networks, water, transfer; each is one of its own, too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import potentials_crystals
import potentials_molecules
import potentials_networks
import potentials_transfer

from thalweg.report.benchmark import Row


def rows(data: Path, quick: bool) -> Iterator[Row]:
    yield from potentials_crystals.rows(data, quick)
    yield from potentials_molecules.rows(data, quick)
    yield from potentials_networks.rows(data, quick)
    yield from potentials_transfer.rows(data, quick)
