"""Typed atoms of gnina and libmolgrid: records of three coordinates and one of 28 types of smina [koes2013]."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from thalweg.binding.complexes import CHANNELS, TypedAtoms
from thalweg.machine.reading import reading
from thalweg.units import ANGSTROM

RECORD = np.dtype([("position", "<f4", 3), ("type", "<i4")])

TYPES = (
    (1, ""), (1, ""), (6, "hydrophobic"), (6, ""), (6, "hydrophobic aromatic"), (6, "aromatic"), (7, ""), (7, "donor"),
    (7, "donor acceptor"), (7, "acceptor"), (8, ""), (8, "donor"), (8, "donor acceptor"), (8, "acceptor"),
    (16, "hydrophobic"), (16, "acceptor"), (15, ""), (9, "hydrophobic"), (17, "hydrophobic"), (35, "hydrophobic"),
    (53, "hydrophobic"), (12, "metal"), (25, "metal"), (30, "metal"), (20, "metal"), (26, "metal"), (0, "metal"),
    (5, ""),
)  # fmt: skip
"""Atomic number and channels of each type; 0 for a metal of which no more is known. Charges are not among them."""


def read_gnina_types(path: str | Path) -> TypedAtoms:
    """The heavy atoms of a ``.gninatypes`` file, which may be compressed (``.gz``).

    Raises
    ------
    UnreadableFile
        If the file is cut off or has types beyond the 28.
    """
    with reading(path, "a file of gnina's typed atoms"):
        content = Path(path).read_bytes()
        content = gzip.decompress(content) if str(path).endswith(".gz") else content
        if len(content) % RECORD.itemsize:
            raise ValueError(f"{len(content)} bytes are no whole number of records of {RECORD.itemsize}")
        records: np.ndarray = np.frombuffer(content, dtype=RECORD)
        if len(records) and not 0 <= records["type"].min() <= records["type"].max() < len(TYPES):
            raise ValueError(
                f"types run from {records['type'].min()} to {records['type'].max()}, known are 0 to 27"
            )
    heavy = records[records["type"] > 1]
    numbers = np.array([TYPES[k][0] for k in heavy["type"]], int)
    channels = [[name == "any" or name in TYPES[k][1].split() for name in CHANNELS] for k in heavy["type"]]
    return TypedAtoms(
        heavy["position"].astype(float) * ANGSTROM,
        numbers,
        np.array(channels, bool).reshape(-1, len(CHANNELS)),
    )
