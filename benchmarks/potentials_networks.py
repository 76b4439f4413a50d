"""Potentials of networks: what they reach for which work; what the water they make looks like; what frames teach.

Errors are mean absolute, on the official test frames of split 01 of revised MD17, of models that never saw them; of the
1000 training frames 50 choose the epoch. Seconds are processor time of whole fits on one thread, compilation included.
Published errors: SchNet (Schütt et al. 2018) and PaiNN (Schütt et al. 2021) with 1000 frames of the first, noisier
MD17. For the deep tensor neural network (Schütt et al. 2017) there is none to compare with: it was taught 50,000
energies of other molecules, and no forces.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

from thalweg.interop.configurations import read_configurations
from thalweg.potentials.learned.errors import errors
from thalweg.potentials.learned.network_recipes import learned_messages
from thalweg.report.benchmark import Row
from thalweg.representations.dtnn import DTNN
from thalweg.representations.embedded_density import EmbeddedDensity
from thalweg.representations.messages import Messages
from thalweg.representations.painn import PaiNN
from thalweg.representations.schnet import SchNet
from thalweg.units import unit

log = logging.getLogger(__name__)

MEV, MEV_PER_ANGSTROM = unit("meV", "energy"), unit("meV/Å", "force")

KINDS: dict[str, tuple[Messages, float, int, tuple[float, float] | None]] = {
    "SchNet": (SchNet(), 5e-3, 450, (3.5, 16.9)),
    "DTNN": (DTNN(), 5e-3, 450, None),
    "PaiNN": (PaiNN(), 2e-3, 200, (2.7, 10.0)),
}
"""Messages, learning rate, epochs, and published errors on ethanol: energy [meV], force [meV/Å]."""


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """All parts; ``quick`` takes a few frames and epochs, and leaves the water out."""
    for name in KINDS:
        yield from ethanol(data, name, quick)
    folder = data / "potentials" / "deepmd_water"
    if quick:
        yield Row("water, 320 frames, embedded density", None, "meV/Å", target="skipped: takes five minutes")
    elif folder.is_dir():
        yield water(folder)
    else:
        where = "github.com/deepmodeling/deepmd-kit examples/water/data"
        yield Row("water", None, "", target=f"skipped: {folder} is not there; get it from {where}")


def ethanol(data: Path, name: str, quick: bool) -> Iterator[Row]:
    """950 frames of ethanol to learn from, 50 to choose the epoch."""
    train, test = rmd17(data, "ethanol")
    messages, rate, epochs, published = KINDS[name]
    if quick:
        train, test, epochs = train[:50], test[::10], 5
    started = time.process_time()
    potential = learned_messages(messages, epochs, rate=rate).fit(train, progress=told)
    seconds = time.process_time() - started
    found = errors(potential, test)
    test_name = f"ethanol, {len(train)} frames, {name}"
    ours = {"forces": found.forces.mae / MEV_PER_ANGSTROM, "energies": found.energy.mae / MEV}
    for label, one, place in (("forces", "meV/Å", 1), ("energies", "meV", 0)):
        if published is None:
            yield Row(f"{test_name}: {label}", ours[label], one, target="none published for ethanol")
            continue
        limit = 1.3 * published[place]
        yield Row(
            f"{test_name}: {label}",
            ours[label],
            one,
            target=f"<= {limit:.3g}",
            met=None if quick else ours[label] <= limit,
            peer=f"{name} on MD17, published",
            peer_value=published[place],
            ratio=published[place] / ours[label],
        )
    yield Row(f"{test_name}: fit", seconds, "CPU s")


def water(folder: Path) -> Row:
    """Water from 320 frames, 80 held out, by an embedded density."""
    frames = [frame for k in range(3) for frame in read_configurations(folder / f"data_{k}.extxyz.gz")]
    testing = read_configurations(folder / "data_3.extxyz.gz")
    started = time.process_time()
    potential = learned_messages(EmbeddedDensity(), epochs=40, frames=1, rate=3e-3).fit(frames, progress=told)
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


def rmd17(data: Path, molecule: str):
    """Training and test frames of split 01."""
    folder = data / "potentials" / "rmd17"
    return tuple(
        read_configurations(folder / f"{molecule}_{part}_01.extxyz.gz") for part in ("train", "test")
    )


def told(message: str, fraction: float) -> None:
    log.info("%3.0f %%: %s", 100 * fraction, message)
