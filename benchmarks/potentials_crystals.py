"""Potentials of solids: silicon, copper and molybdenum (Zuo et al. 2020), and speed.

Errors are mean absolute ones on the official test frames, with their standard errors over these; regularization is
chosen on folds of the training frames, and the recipe is one for all elements. Seconds are processor time of whole fits
on one thread, compilation included. Energies are told apart by kinds of frames, too: slabs, each the only one of its
kind, whose errors are those of extrapolation and decide the mean; hot frames, whose forces are large; and all others.
Published errors: GAP and MTP (Zuo et al. 2020), ACE (arXiv 2309.03161), network
(its published coefficients on the test frames).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import ase.build
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from potential_peers import measure

from thalweg.interop.files.configurations import from_atoms, read_configurations
from thalweg.learned_potentials.frames.errors import errors_of
from thalweg.learned_potentials.parametric.stillinger_weber import stillinger_weber_silicon
from thalweg.learned_potentials.recipes.linear import (
    expansion,
    expansion_with_kernel,
    gaussian_approximation,
    moment_tensors,
)
from thalweg.learned_potentials.recipes.networks import behler_parrinello
from thalweg.potentials.energy import energy_and_forces
from thalweg.report.benchmark import Row
from thalweg.units import unit

MEV, MEV_PER_ANGSTROM = unit("meV", "energy"), unit("meV/Å", "force")

ELEMENTS = ("Si", "Cu", "Mo")

GAP = {"Si": (2.91, 70), "Cu": (0.46, 10), "Mo": (2.24, 90)}
"""Energy [meV/atom] and force [meV/Å] errors of GAP (Zuo et al. 2020)."""

MTP = {"Si": (2.21, 60)}
ACE = {"Si": (2.59, 66)}
"""About 1000 functions (arXiv 2309.03161)."""

NETWORK = {"Si": (5.59, 109)}
"""Of the published coefficients, evaluated on the test frames."""

BOTH = {"energy": 1.5, "force": 50.0}
"""Targets for the mean over the three elements [meV/atom, meV/Å]."""

SECONDS = 180.0

ROOMY, HOT = 1.3, 0.5
"""Slabs have more than so many times the median volume per atom; hot frames more than so large a part of the forces
that one frame in twenty exceeds."""

LABELS, UNITS = ("energy", "force"), ("meV/atom", "meV/Å")

FAMILIES = {
    "Gaussian approximation": (gaussian_approximation(), "GAP, published", GAP["Si"]),
    "moment tensors": (moment_tensors(), "MTP, published", MTP["Si"]),
    "expansion": (expansion(), "ACE, published", ACE["Si"]),
    "Behler-Parrinello": (behler_parrinello(nearest=0.15, epochs=60), "network, published", NETWORK["Si"]),
}
"""Recipe of each family, and its published errors."""

TIMED = {
    "SOAP kernel, 300 points": (gaussian_approximation(points=300), 25.0),
    "expansion": (expansion(), 60.0),
    "expansion and kernel": (expansion_with_kernel(), None),
}
"""Recipes whose speed is measured, and targets [us/atom]."""


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """All parts; ``quick`` takes a tenth of the frames."""
    folder = data / "potentials" / "mlearn"
    found: dict[str, Callable[[], Iterator[Row]]] = {}
    if folder.is_dir():
        found |= {f"mlearn/{element}": partial(one_element, folder, element, quick) for element in ELEMENTS}
        found["mlearn/mean"] = partial(mean_of_elements, folder, quick)
        found |= {f"families/{name}": partial(families, folder, name, quick) for name in FAMILIES}
    else:
        where = "github.com/materialsvirtuallab/mlearn"
        found["mlearn"] = lambda: iter([skipped("mlearn Si, Cu, Mo", folder, where)])
    return found | {f"speed/{name}": partial(speed, name, quick) for name in TIMED}


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def skipped(test, folder, where):
    return Row(test, None, "", target=f"skipped: {folder} is not there; get it from {where}")


def fitted(recipe, training, testing):
    """Mean absolute errors of a recipe on ``testing`` and their standard errors over frames, energies per atom [meV]
    and forces [meV/Å], processor seconds of the fit, and energy errors of `kinds` of frames with their numbers."""
    started = time.process_time()
    potential = recipe.fit(training)
    seconds = time.process_time() - started
    predicted = potential.evaluate(testing)
    found = errors_of(testing, predicted)
    shown = (found.energy_per_atom, MEV), (found.forces, MEV_PER_ANGSTROM)
    off = np.abs([e - frame.energy for e, frame in zip(predicted.energies, testing)])
    off /= MEV * np.array([len(frame) for frame in testing])
    parted = {
        kind: (float(off[own].mean()), int(own.sum())) for kind, own in kinds(training, testing).items()
    }
    return *((each.mae / one, each.mae_standard_error / one) for each, one in shown), seconds, parted


def kinds(training, testing):
    """Which ``testing`` frames are slabs, hot or neither, measured by ``training`` frames; kinds with no frame are left
    out."""

    def measures(frames):
        forces = [np.sqrt(np.mean(np.square(frame.forces))) for frame in frames]
        return np.array([frame.volume / len(frame) for frame in frames]), np.array(forces)

    (volumes, forces), (volume, force) = measures(training), measures(testing)
    slabs = volume > ROOMY * np.median(volumes)
    hot = ~slabs & (force > HOT * np.quantile(forces, 0.95))
    found = {"slabs": slabs, "hot": hot, "others": ~slabs & ~hot}
    return {kind: own for kind, own in found.items() if own.any()}


@cache
def measured(
    folder: Path, element: str, quick: bool
) -> tuple[tuple[float, float], tuple[float, float], float, dict[str, tuple[float, int]]]:
    """Errors and seconds of the one recipe on one element, fitted once, and energy errors of `kinds` of frames."""
    training, testing = frames_of(folder, element, quick)
    return fitted(expansion_with_kernel(), training, testing)


def frames_of(folder: Path, element: str, quick: bool):
    """Training and test frames of an element."""
    training, testing = (
        read_configurations(folder / f"{element}_{part}.extxyz.gz") for part in ("train", "test")
    )
    return (training[::10], testing[::4]) if quick else (training, testing)


def one_element(folder: Path, element: str, quick: bool) -> Iterator[Row]:
    """The recipe for all elements on one of them."""
    energy, force, seconds, parted = measured(folder, element, quick)
    name = f"{element}, expansion and kernel"
    for label, (ours, spread), theirs, unit_ in zip(LABELS, (energy, force), GAP[element], UNITS):
        yield Row(
            f"{name}: {label}", ours, unit_, spread, None, None, "GAP, published", *versus(theirs, ours)
        )
    for kind, (ours, count) in parted.items():
        yield Row(f"{name}: energy of {count} {kind}", ours, "meV/atom")
    met = None if quick else seconds <= SECONDS
    yield Row(f"{name}: fit", seconds, "s", None, f"<= {SECONDS:.0f}", met)


def mean_of_elements(folder: Path, quick: bool) -> Iterator[Row]:
    """Means over the elements, each fitted if it was not in this run."""
    found = [measured(folder, element, quick) for element in ELEMENTS]
    for k, (label, unit_) in enumerate(zip(LABELS, UNITS)):
        mean, target = float(np.mean([each[k][0] for each in found])), BOTH[label]
        spread = float(np.sqrt(np.sum([each[k][1] ** 2 for each in found])) / len(found))
        published = float(np.mean([GAP[element][k] for element in ELEMENTS]))
        yield Row(
            f"mean of three elements: {label}",
            mean,
            unit_,
            spread,
            f"<= {target}",
            None if quick else mean <= target,
            "GAP, published",
            *versus(published, mean),
        )


def versus(theirs, ours):
    """The last two columns: the peer's number and how many times ours goes into it."""
    return theirs, theirs / ours


def families(folder: Path, name: str, quick: bool) -> Iterator[Row]:
    """A family on silicon beside its own published numbers."""
    training, testing = frames_of(folder, "Si", quick)
    recipe, peer, published = FAMILIES[name]
    if quick and name == "Behler-Parrinello":
        recipe = behler_parrinello(nearest=0.15, epochs=3)
    energy, force, seconds, _ = fitted(recipe, training, testing)
    for label, (ours, spread), theirs, unit_ in zip(LABELS, (energy, force), published, UNITS):
        met = None if quick else ours <= 1.3 * theirs
        test = f"Si, {name}: {label} (fit {seconds:.0f} s)"
        yield Row(test, ours, unit_, spread, f"<= {1.3 * theirs:.3g}", met, peer, *versus(theirs, ours))


def speed(name: str, quick: bool) -> Iterator[Row]:
    """Energy and forces of 512 silicon atoms on one thread, neighbor list renewed every 20 calls, beside peers."""
    atoms = ase.build.bulk("Si", cubic=True).repeat(2 if quick else 4)
    atoms.rattle(0.1, seed=0)
    frame = from_atoms(atoms)
    training = []
    for seed in range(4):
        cell = ase.build.bulk("Si", cubic=True).repeat(2)
        cell.rattle(0.15, seed=seed)
        training.append(from_atoms(cell))
    recipe, target = TIMED[name]
    potential = recipe.fit([labeled(one) for one in training])
    cost = microseconds(potential, frame)
    said = f"<= {target:.0f}" if target else None
    met = None if target is None or quick else cost <= target
    for peer in ("quippy", "snap", "mace"):
        answer = peer_speed(peer, atoms, quick)
        theirs = answer.get("microseconds")
        described = answer.get("what", f"{peer}: {answer.get('reason')}")
        ratio = None if theirs is None else theirs / cost
        test = f"Si, {len(frame)} atoms, {name}"
        yield Row(test, cost, "us/atom", None, said, met, described, theirs, ratio)


MEASURED: dict[str, dict] = {}
"""What peers answered in this run."""


def peer_speed(name: str, atoms: ase.Atoms, quick: bool) -> dict:
    """What a peer takes for the same atoms, measured once."""
    if name not in MEASURED:
        MEASURED[name] = (
            {"reason": "quick"} if quick else measure(name, atoms.numbers, atoms.positions, atoms.cell.array)
        )
    return MEASURED[name]


def labeled(frame):
    """The frame with the energy and forces of Stillinger-Weber silicon; what they are does not change the cost."""
    said = stillinger_weber_silicon().evaluate([frame])
    return replace(frame, energy=float(said.energies[0]), forces=said.forces[0])


def microseconds(potential, frame, calls: int = 20) -> float:
    """Processor time per atom of an energy and its forces in 32 bits, with one renewal of lists per ``calls``."""
    energy = potential.bind(frame.numbers, frame.box)
    positions, box = jnp.asarray(frame.positions, jnp.float32), jnp.asarray(frame.box, jnp.float32)
    energy = energy.refreshed(positions, box)
    evaluate = eqx.filter_jit(energy_and_forces)
    jax.block_until_ready(evaluate(energy, positions, box))
    rounds = []
    for _ in range(5):
        started = time.process_time()
        energy = energy.refreshed(positions + 0.06 * (len(rounds) % 2), box)
        for _ in range(calls):
            jax.block_until_ready(evaluate(energy, positions, box))
        rounds.append((time.process_time() - started) / calls)
    return 1e6 * min(rounds) / len(frame)
