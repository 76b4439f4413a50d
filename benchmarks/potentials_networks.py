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
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from thalweg.dynamics.stability import LIMIT
from thalweg.interop.files.configurations import read_configurations
from thalweg.interop.measured.radial_distribution import radial_distribution
from thalweg.learned_potentials.frames.errors import errors
from thalweg.learned_potentials.learning_curve import learning_curve, transfer_matrix
from thalweg.learned_potentials.recipes.molecular import local_gradient_domain
from thalweg.learned_potentials.recipes.networks import learned_messages
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.report.benchmark import Row
from thalweg.representations.messages.dtnn import DTNN
from thalweg.representations.messages.embedded_density import EmbeddedDensity
from thalweg.representations.messages.messages import Messages
from thalweg.representations.messages.painn import PaiNN
from thalweg.representations.messages.schnet import SchNet
from thalweg.studies.model_dynamics import Plan, judgment, simulate
from thalweg.systems.configuration import Configuration
from thalweg.units import thermal_energy, unit

log = logging.getLogger(__name__)

KELVIN = 330.0
"""Temperature of the water."""

MEV, MEV_PER_ANGSTROM = unit("meV", "energy"), unit("meV/Å", "force")

KINDS: dict[str, tuple[Messages, float, int, tuple[float, float] | None]] = {
    "SchNet": (SchNet(), 3e-3, 300, (3.5, 16.9)),
    "DTNN": (DTNN(), 3e-3, 300, None),
    "PaiNN": (PaiNN(), 2e-3, 120, (2.7, 10.0)),
}
"""Messages, learning rate, epochs, and published errors on ethanol: energy [meV], force [meV/Å]."""


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Parts by name; ``quick`` takes a few frames and epochs, and leaves the water out."""
    found = {f"ethanol/{name}": partial(ethanol, data, name, quick) for name in KINDS}
    if not quick:
        found["water"] = partial(water, data)
    return found | {"curve": partial(curve, data, quick), "transfer": partial(transfer, data, quick)}


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


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


def water(data: Path) -> Iterator[Row]:
    """Water from 320 frames, 80 held out, by an embedded density; 20 ps at constant temperature from one of the frames.

    Two picoseconds come before these. The radial distribution is compared with that of all frames of the data; its
    error is that of the mean of five stretches. Momenta of a BAOAB step of 1 fs show O-H bonds a tenth too cold, to
    order dt^2, and so all of them some 3 %; positions do not.
    """
    folder = data / "potentials" / "deepmd_water"
    if not folder.is_dir():
        where = "github.com/deepmodeling/deepmd-kit examples/water/data"
        yield Row("water", None, "", target=f"skipped: {folder} is not there; get it from {where}")
        return
    frames = [frame for k in range(3) for frame in read_configurations(folder / f"data_{k}.extxyz.gz")]
    testing = read_configurations(folder / "data_3.extxyz.gz")
    recipe = learned_messages(EmbeddedDensity(), epochs=20, frames=1, rate=3e-3)
    started = time.process_time()
    potential = recipe.fit(frames, progress=told)
    seconds = time.process_time() - started
    force = errors(potential, testing).forces.rmse / MEV_PER_ANGSTROM
    name = "water, 320 frames, embedded density"
    yield Row(f"{name}: forces, RMSE", force, "meV/Å", target="<= 60", met=force <= 60)
    yield Row(f"{name}: fit", seconds, "CPU s")
    yield from liquid(name, potential, frames + testing)


def liquid(name: str, potential: LearnedPotential, frames: list[Configuration]) -> Iterator[Row]:
    """What the liquid looks like, and whether it keeps its energy."""
    start = frames[0]
    started = time.process_time()
    course = simulate(potential, start, Plan(KELVIN, 22.0, 1e-3, save_every=0.02), told)
    seconds = time.process_time() - started
    lasted = float(course.times[course.whole[0] - 1]) if course.whole[0] else 0.0
    yield Row(f"{name}: NVT at {KELVIN:g} K, 1 fs", lasted, "ps", target="22 ps", met=not course.broken)
    yield Row(f"{name}: NVT, a step of {len(start)} atoms", 1e6 * seconds / 22000, "us")
    heat = course.kinetic[0, 100:] * 2 / (3 * len(start)) / thermal_energy(1.0)
    spread = float(np.std([part.mean() for part in np.array_split(heat, 5)], ddof=1) / np.sqrt(5))
    yield Row(f"{name}: kinetic temperature", float(heat.mean()), "K", spread, target=f"{KELVIN:g} K")
    still = Plan(KELVIN, 1.0, 5e-4, constant_energy=True, save_every=0.02)
    drift = judgment(simulate(potential, start, still, told), start, still, potential)["drift_kT_per_atom_ps"]
    yield Row(f"{name}: drift at 0.5 fs", drift, "kT/atom/ps", target=f"<= {LIMIT:g}", met=drift <= LIMIT)

    def distribution(positions):
        return radial_distribution(start.numbers, positions, start.box, (8, 8))

    seen = course.positions[0, 100 : course.whole[0]]
    ours, theirs = distribution(seen), distribution(np.array([frame.positions for frame in frames]))
    parts = np.array([distribution(part).peak for part in np.array_split(seen, 5)])
    for k, (what, one, scale) in enumerate((("position", "Å", 1 / unit("Å", "length")), ("height", "", 1.0))):
        yield Row(
            f"{name}: O-O distribution, {what} of the first peak",
            scale * ours.peak[k],
            one,
            scale * float(parts[:, k].std(ddof=1)) / np.sqrt(5),
            peer=f"{len(frames)} frames of the data",
            peer_value=scale * theirs.peak[k],
            ratio=ours.peak[k] / theirs.peak[k],
        )
    beyond = ours.radii > 0.23
    off = float(np.abs(ours.values - theirs.values)[beyond].mean())
    yield Row(f"{name}: O-O distribution, mean difference from 2.3 Å", off, "")


def curve(data: Path, quick: bool) -> Iterator[Row]:
    """How errors fall with frames, on a quarter of the test frames; errors of the mean over random draws."""
    train, test = rmd17(data, "ethanol")
    sizes, splits = ((20, 40), 2) if quick else ((50, 100, 200), 3)
    found = learning_curve(
        local_gradient_domain(), train, sizes, splits=splits, test=test[::4], progress=told
    )
    name = f"ethanol, local gradient-domain kernel, {splits} draws"
    spread = found.standard_error("forces") / MEV_PER_ANGSTROM
    for size, mean, error in zip(found.sizes, found.mean("forces") / MEV_PER_ANGSTROM, spread):
        yield Row(f"{name} of {size} frames: forces", float(mean), "meV/Å", float(error))
    yield Row(f"{name}: force error falls as frames to the power", found.exponent("forces"), "")


def transfer(data: Path, quick: bool) -> Iterator[Row]:
    """Acetylacetone, taught at one temperature and tried at another."""
    folder, count = data / "potentials" / "acac", 25 if quick else 125
    sets = {
        f"{kelvin} K": read_configurations(folder / f"train_{kelvin}K.extxyz.gz")[:count]
        for kelvin in (300, 600)
    }
    found = transfer_matrix(local_gradient_domain(), sets, progress=told)
    for taught, row in zip(found.names, found.values("forces") / MEV_PER_ANGSTROM):
        for tried, value in zip(found.names, row):
            yield Row(
                f"acetylacetone, {round(0.8 * count)} frames at {taught}: forces at {tried}", value, "meV/Å"
            )


def rmd17(data: Path, molecule: str):
    """Training and test frames of split 01."""
    folder = data / "potentials" / "rmd17"
    return tuple(
        read_configurations(folder / f"{molecule}_{part}_01.extxyz.gz") for part in ("train", "test")
    )


def told(message: str, fraction: float) -> None:
    log.info("%3.0f %%: %s", 100 * fraction, message)
