"""Potentials of networks, and water: what they reach, what it costs, and what the liquid they make looks like."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from thalweg.interop.configurations import read_configurations
from thalweg.potentials.learned.errors import errors
from thalweg.potentials.learned.network_recipes import embedded_density
from thalweg.report.benchmark import Row
from thalweg.units import unit

MEV_PER_ANGSTROM = unit("meV/Å", "force")


def rows(data: Path, quick: bool) -> Iterator[Row]:
    folder = data / "potentials" / "deepmd_water"
    if quick:
        yield Row("water, 320 frames, embedded density", None, "meV/Å", target="skipped: takes five minutes")
    elif folder.is_dir():
        yield water(folder)
    else:
        where = "github.com/deepmodeling/deepmd-kit examples/water/data"
        yield Row("water", None, "", target=f"skipped: {folder} is not there; get it from {where}")


def water(folder: Path) -> Row:
    """Water from 320 frames, 80 held out, by an embedded density."""
    frames = [frame for k in range(3) for frame in read_configurations(folder / f"data_{k}.extxyz.gz")]
    testing = read_configurations(folder / "data_3.extxyz.gz")
    started = time.process_time()
    potential = embedded_density(epochs=40).fit(frames)
    seconds = time.process_time() - started
    force = errors(potential, testing).forces.rmse / MEV_PER_ANGSTROM
    return Row(
        f"water, 320 frames, embedded density: force RMSE (fit {seconds:.0f} s)",
        force,
        "meV/Å",
        None,
        "<= 60",
        force <= 60,
    )
