"""Coarse models of peptides whose reference is made here: mean forces of held beads, and a helix that folds.

Part ``alanine/mean forces``: five beads of alanine dipeptide in OBC2 (ff14SB, 300 K), by forces of 10,000 frames, by
those of 1,000 and by forces averaged while 200 frames are held, all judged by the same dynamics of all atoms.

Parts ``helix/...``: Ac-Ala8-NHMe in OBC2 at 400 K as eight alpha carbons. *Folded* is a helix in the middle: the three
inner torsions of four alpha carbons between 20 and 90 degrees, fixed before any model was made. The reference is plain
dynamics from an extended chain and from a helix, which are to agree. It is kept in a temporary folder, since all parts
ask for it; ``helix/reference`` makes it anew. Interactions, and the width of the prior of relative entropy, were chosen
on an earlier, shorter run of the same peptide.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import coarse_graining
import numpy as np

from thalweg.coarse_graining.bead_frames import BeadFrames
from thalweg.coarse_graining.fitting.boltzmann_inversion import BoltzmannInversion
from thalweg.coarse_graining.fitting.denoising import denoised
from thalweg.coarse_graining.fitting.force_matching import ForceMatching
from thalweg.coarse_graining.fitting.linear_model import LinearCoarseModel
from thalweg.coarse_graining.fitting.relative_entropy import RelativeEntropy
from thalweg.coarse_graining.fitting.temperatures import TemperatureForceMatching
from thalweg.coarse_graining.interactions.functions import AngleWaves, BSplines, CoordinateFunctions, Powers
from thalweg.coarse_graining.interactions.interaction import (
    BondedInteraction,
    InternalCoordinate,
)
from thalweg.coarse_graining.judgement.distributions import jensen_shannon
from thalweg.coarse_graining.judgement.dynamics import compare_dynamics
from thalweg.coarse_graining.mapping import BeadMapping
from thalweg.coarse_graining.reference import AtomicDynamics, HeldDynamics
from thalweg.coarse_graining.simulation import CoarseDynamics
from thalweg.free_energies.difference import FreeEnergyDifference, agreement, free_energy_difference
from thalweg.interop.openmm.molecules import alanine_dipeptide, peptide
from thalweg.interop.openmm.relaxation import relaxed
from thalweg.kinetics.validation.acceleration import TimescaleRatios
from thalweg.report.benchmark import Row
from thalweg.units import BOLTZMANN

SEEDS = range(2)
RESIDUES = 8
KT = BOLTZMANN * 400
HELIX = np.radians([-57.0, -47.0])
SINGLE = 3
"""Interactions of one coordinate of bonded beads, which come first."""

FITTED: dict[tuple[bool, int], LinearCoarseModel] = {}
"""Models of least relative entropy by whether quick, and seed."""

TORSIONS = (20.0, 90.0)
"""Of four alpha carbons in a helix [degrees]."""

INNER = slice(1, RESIDUES - 4)
"""Torsions that are to be those of a helix."""

ATOMS = AtomicDynamics(length=400.0, dt=0.004, friction=1.0, replicas=32, save_every=1.0, skip=0.3)
BEADS = CoarseDynamics(length=200.0, dt=0.006, friction=2.0, replicas=100, save_every=2.0, skip=0.3)
MASS = 71.08
"""Of a bead: a residue of alanine [amu]."""

KEPT = Path(tempfile.gettempdir()) / "thalweg-coarse-peptide"
ALANINE = AtomicDynamics(length=1000.0, dt=0.004, friction=1.0, replicas=32, save_every=2.0, skip=0.1)
HELD = HeldDynamics(AtomicDynamics(length=10.0, dt=0.002, friction=5.0, save_every=0.05, skip=0.1))


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Each part alone; ``quick`` takes short runs and one seed."""
    del data
    return {
        "alanine/mean forces": partial(mean_forces, quick),
        "alanine/temperatures": partial(temperatures, quick),
        "helix/reference": partial(helix_reference, quick),
        "helix/inversion": partial(helix_model, "inverted distributions", _by_inversion, quick),
        "helix/forces": partial(helix_model, "forces matched, denoised", _by_forces, quick),
        "helix/entropy": partial(helix_model, "relative entropy", _by_entropy, quick),
        "helix/dynamics": partial(helix_dynamics, quick),
        "helix/speed": partial(helix_speed, quick),
    }


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def mean_forces(quick: bool) -> Iterator[Row]:
    """Alanine's surface by forces of frames, and by forces averaged while few frames are held."""
    kT = BOLTZMANN * 300
    system, mapping = _alanine()
    plan = replace(ALANINE, length=40.0, replicas=8) if quick else ALANINE
    began = time.process_time()
    atoms = plan.run(system, kT)
    frames = atoms.on_beads(mapping)
    yield Row("alanine, all atoms: processor time", time.process_time() - began, "s")
    count = min(len(frames), 10_000)
    rng = np.random.default_rng(0)
    many = frames[np.sort(rng.choice(len(frames), count, replace=False))]
    began = time.process_time()
    starts = atoms.positions[_spread_over(frames, 20 if quick else 200, rng)]
    held = HELD.run(system, mapping, kT, starts)
    spent = time.process_time() - began
    for name, some in (
        (f"{count:,} frames", many),
        (f"{count // 10:,} frames", many[::10]),
        (f"{len(starts)} held frames", held),
    ):
        model = ForceMatching(coarse_graining._with_products(frames)).fit(some)
        target = 0.04 if some is held else None
        yield from coarse_graining._judged(f"alanine, forces matched: {name}", model, frames, quick, target)
    simulated = len(starts) * HELD.dynamics.length
    yield Row(
        f"alanine, {len(starts)} held frames: simulated", simulated, "ps", peer="the free runs",
        peer_value=plan.length * plan.replicas,
    )  # fmt: skip
    yield Row(f"alanine, {len(starts)} held frames: processor time", spent, "s")


def temperatures(quick: bool) -> Iterator[Row]:
    """Alanine at 450 K by forces of 350 and 550 K, with and without an entropy part, beside forces of 450 K itself."""
    system, mapping = _alanine()
    plan = replace(ALANINE, length=20.0 if quick else 300.0, replicas=8 if quick else 16)
    frames = {T: plan.run(system, BOLTZMANN * T, seed=T).on_beads(mapping) for T in (350, 450, 550)}
    middle = frames[450]
    terms = coarse_graining._with_products(middle)
    sets = [denoised(frames[T]) for T in (350, 550)]
    between = TemperatureForceMatching(ForceMatching(terms)).fit(sets).at(middle.kT)
    for name, model in (
        ("forces of 450 K", ForceMatching(terms).fit(denoised(middle))),
        ("energy and entropy of 350 and 550 K", between),
        ("forces of 350 K taken as they are", ForceMatching(terms).fit(sets[0])),
    ):
        yield from coarse_graining._judged(f"alanine at 450 K by {name}", model, middle, quick, None)


def helix_reference(quick: bool) -> Iterator[Row]:
    """Plain dynamics of all atoms from both sides."""
    began = time.process_time()
    frames = _simulated(quick)
    spent = time.process_time() - began
    walks = np.split(folded(frames.positions), np.cumsum(frames.lengths)[:-1])
    half = len(walks) // 2
    found = [_difference(walks[:half]), _difference(walks[half:])]
    for start, each in zip(("an extended chain", "a helix"), found):
        yield _free_energy(f"Ac-Ala8-NHMe, all atoms from {start}", each)
    told = [each for each in found if each is not None and np.isfinite(each.error)]
    words = agreement(told) if len(told) == 2 else "too little to agree"
    yield replace(
        _free_energy(f"Ac-Ala8-NHMe, all atoms from both ({words})", _difference(walks)),
        target="both starts agree within 3 errors",
        met="estimates agree" in words,
    )
    yield Row("Ac-Ala8-NHMe, all atoms: processor time", spent, "s")


def helix_model(name: str, fit: Callable, quick: bool) -> Iterator[Row]:
    """Eight alpha carbons: is there a helix, how often, and is the rest as it was?"""
    frames = _reference(quick)
    walks = np.split(folded(frames.positions), np.cumsum(frames.lengths)[:-1])
    known = _difference(walks)
    found, divergences, costs = [], [], []
    for seed in [0] if quick else SEEDS:
        began = time.process_time()
        model = fit(frames, quick, seed)
        costs.append(time.process_time() - began)
        drawn = (replace(BEADS, length=10.0) if quick else BEADS).run(model.energy(), frames, seed=seed)
        own = np.split(folded(drawn.positions), np.cumsum(drawn.lengths)[:-1])
        each = _difference(own)
        found.append(each)
        divergences.append(_divergence(frames.positions, drawn.positions))
        apart = np.nan if each is None or known is None else abs(each.value - known.value) / KT
        yield replace(
            _free_energy(f"Ac-Ala8-NHMe, {name}, seed {seed}", each),
            target="within 1 kT of all atoms",
            met=bool(apart < 1),
            peer="all atoms",
            peer_value=None if known is None else known.value,
        )
    half = len(frames) // 2
    yield Row(
        f"Ac-Ala8-NHMe, {name}: divergence of two neighboring torsions, mean over the chain",
        float(np.mean(divergences)), "nat", coarse_graining._error(divergences), None, None, "halves of all atoms",
        _divergence(*np.split(frames.positions[: 2 * half], 2)),
    )  # fmt: skip
    yield Row(f"Ac-Ala8-NHMe, {name}: processor time of the fit", float(np.mean(costs)), "s")


def helix_dynamics(quick: bool) -> Iterator[Row]:
    """How much faster the helix of beads comes and goes."""
    frames = _reference(quick)
    torsions = InternalCoordinate(
        "dihedral", [list(range(k, k + 4)) for k in range(RESIDUES - 3)], Powers(0.0)
    )
    for seed in [0] if quick else SEEDS:
        model = _by_entropy(frames, quick, seed)
        drawn = (replace(BEADS, length=10.0) if quick else BEADS).run(model.energy(), frames, seed=seed)
        ratios = TimescaleRatios(lag=5.0, processes=2, states=60, samples=100, seed=seed)
        each = compare_dynamics([torsions], frames, drawn, (ATOMS.save_every, BEADS.save_every), ratios)
        for k in range(2):
            name = f"Ac-Ala8-NHMe, seed {seed}: process {k + 1}"
            for of, values, errors in (
                ("all atoms", each.reference, each.reference_errors),
                ("beads", each.model, each.model_errors),
            ):
                finite = bool(np.isfinite(values[k]))
                yield Row(
                    f"{name}, time scale of {of}",
                    float(values[k]) if finite else None,
                    "ps",
                    float(errors[k]),
                )
            said = each.shortcomings[k]
            factor = float(each.factors[k])
            yield Row(
                f"{name}, acceleration",
                None if said else factor,
                "",
                None if said else factor * float(each.log_errors[k]),
                target=f"none: {said}" if said else None,
            )
        if each.one_factor is not None:
            yield Row(
                f"Ac-Ala8-NHMe, seed {seed}: probability that one factor fits both", each.probability, ""
            )


def helix_speed(quick: bool) -> Iterator[Row]:
    """Processor time of a nanosecond of one replica, beads beside atoms."""
    frames = _reference(quick)
    model = _by_forces(frames, quick, 0).energy()
    system, _ = _peptide()
    costs = {}
    short = replace(BEADS, length=2.0 if quick else 20.0)
    short.run(model, frames)
    began = time.process_time()
    short.run(model, frames, seed=1)
    costs["beads"] = (time.process_time() - began) / (short.length * short.replicas) * 1000
    atoms = replace(ATOMS, length=1.0 if quick else 4.0)
    atoms.run(system, KT)
    began = time.process_time()
    atoms.run(system, KT, seed=1)
    costs["atoms"] = (time.process_time() - began) / (atoms.length * atoms.replicas) * 1000
    ratio = costs["atoms"] / costs["beads"]
    yield Row(
        "Ac-Ala8-NHMe, a nanosecond of eight beads: processor time", costs["beads"], "s", None, ">= 10 times quicker",
        ratio >= 10, "all atoms, the same engine", costs["atoms"], ratio,
    )  # fmt: skip


def folded(positions: np.ndarray) -> np.ndarray:
    """Whether the middle of alpha carbons ``(frames, beads, 3)`` is a helix."""
    torsions = np.degrees(_torsions(positions))[:, INNER]
    return np.all((torsions > TORSIONS[0]) & (torsions < TORSIONS[1]), axis=1)


def _torsions(positions: np.ndarray) -> np.ndarray:
    return InternalCoordinate(
        "dihedral", [list(range(k, k + 4)) for k in range(RESIDUES - 3)], Powers(0.0)
    ).values(positions)


def _divergence(a: np.ndarray, b: np.ndarray) -> float:
    """Of each two neighboring torsions, on average."""
    edges = np.linspace(-np.pi, np.pi, 25)
    first, second = _torsions(a), _torsions(b)
    found = [
        jensen_shannon(*(np.histogram2d(x[:, k], x[:, k + 1], (edges, edges))[0] for x in (first, second)))
        for k in range(first.shape[1] - 1)
    ]
    return float(np.mean(found))


def _difference(walks: list[np.ndarray]) -> FreeEnergyDifference | None:
    """Free energy of folding of plain walks; None where one of the sides was never visited."""
    if all(walk.all() for walk in walks) or not any(walk.any() for walk in walks):
        return None
    return free_energy_difference(walks, [~walk for walk in walks], [np.zeros(len(w)) for w in walks], KT)


def _free_energy(name: str, each: FreeEnergyDifference | None) -> Row:
    doubts = "; never on both sides" if each is None else f"; {each}" if each.shortcomings else ""
    return Row(
        f"{name}: folding free energy{doubts}",
        None if each is None else each.value,
        "kJ/mol",
        None if each is None else each.error,
    )


def _alanine():
    system = alanine_dipeptide("obc2", hydrogen_mass=3.0)
    backbone = [k for k, name in enumerate(system.topology.names) if name in ("C", "N", "CA")][:5]
    return system, BeadMapping.slices(backbone, system.masses, names=("C", "N", "CA", "C", "N"))


def _peptide():
    system = peptide("A" * RESIDUES, "obc2", hydrogen_mass=3.0)
    return system, BeadMapping.per_residue(system.topology, system.masses)


def _simulated(quick: bool) -> BeadFrames:
    """The reference, made now and kept."""
    system, mapping = _peptide()
    phi, psi = map(float, HELIX)
    helix = relaxed(peptide("A" * RESIDUES, "obc2", hydrogen_mass=3.0, phi=phi, psi=psi)).positions
    plan = replace(ATOMS, length=8.0, replicas=4) if quick else ATOMS
    half = plan.replicas // 2
    starts = np.stack([relaxed(system).positions] * half + [helix] * half)
    frames = plan.run(system, KT, starts=starts).on_beads(mapping)
    KEPT.mkdir(exist_ok=True)
    np.savez(_kept(quick), positions=frames.positions, forces=frames.needed_forces(), lengths=frames.lengths)
    return replace(frames, masses=np.full(RESIDUES, MASS))


def _kept(quick: bool) -> Path:
    return KEPT / f"helix{'-quick' if quick else ''}.npz"


def _reference(quick: bool) -> BeadFrames:
    if not _kept(quick).exists():
        return _simulated(quick)
    with np.load(_kept(quick)) as kept:
        return BeadFrames(
            kept["positions"], KT, kept["forces"], lengths=tuple(map(int, kept["lengths"])),
            masses=np.full(RESIDUES, MASS),
        )  # fmt: skip


def _interactions(frames: BeadFrames) -> tuple[BondedInteraction, ...]:
    """All residues alike: bonds, angles, torsions and neighboring ones together, and distances along the chain."""

    def along(
        kind: str, width: int, functions: CoordinateFunctions, terms: int | None = None, first: int = 0
    ):
        count = terms or RESIDUES - width + 1
        return InternalCoordinate(
            kind, [list(range(first + k, first + k + width)) for k in range(count)], functions
        )

    def apart(least: int, most: int, end: float):
        pairs = [[i, j] for i in range(RESIDUES) for j in range(i + least, min(i + most, RESIDUES - 1) + 1)]
        return InternalCoordinate("distance", pairs, BSplines(0.35, end, 8))

    bonds = along("distance", 2, Powers(0.0)).values(frames.positions)
    angles = along("angle", 3, Powers(0.0)).values(frames.positions)
    bend = BSplines(float(angles.min()), float(angles.max()), 7)
    neighbors = [along("dihedral", 4, AngleWaves(2), RESIDUES - 4, first) for first in (0, 1)]
    return (
        BondedInteraction(along("distance", 2, Powers(float(bonds.mean()), float(bonds.std()))), name="bond"),
        BondedInteraction(along("angle", 3, bend), name="angle"),
        BondedInteraction(along("dihedral", 4, AngleWaves(4)), name="torsion"),
        BondedInteraction(*neighbors, name="neighbors"),
        BondedInteraction(apart(4, 4, 1.5), name="four apart"),
        BondedInteraction(apart(5, RESIDUES, 2.5), name="farther"),
    )


def _by_inversion(frames: BeadFrames, quick: bool, seed: int):
    """Bonds, angles and torsions, each by its own distribution."""
    del quick, seed
    return BoltzmannInversion(_interactions(frames)[:SINGLE]).fit(frames)


def _by_forces(frames: BeadFrames, quick: bool, seed: int):
    del quick
    return ForceMatching(_interactions(frames)).fit(denoised(frames, seed=seed))


def _by_entropy(frames: BeadFrames, quick: bool, seed: int):
    """All interactions, begun from inverted distributions; kept for other parts of one call."""
    if (quick, seed) not in FITTED:
        FITTED[quick, seed] = _least_entropy(frames, quick, seed)
    return FITTED[quick, seed]


def _least_entropy(frames: BeadFrames, quick: bool, seed: int) -> LinearCoarseModel:
    interactions = _interactions(frames)
    inverted = BoltzmannInversion(interactions[:SINGLE]).fit(frames).coefficients
    start = np.zeros(sum(len(one.names) for one in interactions))
    start[: len(inverted)] = inverted
    dynamics = replace(BEADS, length=6.0) if quick else BEADS
    method = RelativeEntropy(
        interactions, start=start, dynamics=dynamics, rounds=1 if quick else 8, prior_width=1.0, seed=seed
    )
    return method.fit(frames)


def _spread_over(frames: BeadFrames, count: int, rng: np.random.Generator) -> np.ndarray:
    """Frames drawn evenly over the torsions they visited."""
    values = np.concatenate([one.values(frames.positions) for one in coarse_graining.SURFACE], 1)
    edges = np.linspace(-np.pi, np.pi, 25)
    cells = np.digitize(values[:, 0], edges) * 100 + np.digitize(values[:, 1], edges)
    _, which, sizes = np.unique(cells, return_inverse=True, return_counts=True)
    shares = 1 / sizes[which]
    return rng.choice(len(frames), min(count, len(frames)), replace=False, p=shares / shares.sum())
