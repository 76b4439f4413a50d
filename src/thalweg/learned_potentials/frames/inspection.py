"""What is wrong with labeled frames, before a model is taught them.

Errors make a frame useless (labels that are no numbers, atoms on top of each other), or all frames (forces that are
not the gradient of the energies, with the factor and the units that explain it; energies or lengths in other units);
warnings ask for a look (duplicates, outliers, contacts far closer than bonds, forces that do not add up to zero).
Labels that are beyond doubt of something else, and stresses of another sign or unit, are named: `Findings.kept` leaves
the former out and corrects the latter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from thalweg.learned_potentials.frames.absolute_units import lengths_in_bohr, unit_of_energies
from thalweg.learned_potentials.frames.duplicates import contacts, duplicates
from thalweg.learned_potentials.frames.embedded_pairs import coefficients_from_forces, surrogate_rows
from thalweg.learned_potentials.frames.findings import Finding, Findings, place_of
from thalweg.learned_potentials.frames.force_consistency import force_scale
from thalweg.learned_potentials.frames.gross_outliers import gross_outliers
from thalweg.learned_potentials.frames.pair_consistency import pair_scale
from thalweg.learned_potentials.frames.stress_consistency import StressScale, stress_scale
from thalweg.systems.configuration import Configuration, elements_of
from thalweg.systems.elements import COVALENT_RADII, SYMBOLS
from thalweg.units import unit

COINCIDENT = 1e-3
"""Atoms nearer than this are on top of each other [nm]."""

CLOSE = 0.5
"""Atoms nearer than this fraction of the sum of their covalent radii are worth a look."""

FAR_ENERGY = 12.0
"""Energies per atom further than this many robust standard deviations from the median are outliers."""

FAR_FORCE = 8.0
"""Forces more than this many times the 95th percentile of their element are outliers."""

NET = 0.05
"""A net force or torque above this fraction of what random forces of that size would have is worth a look."""

MOST_ATOMS = 30000
"""Energies of more atoms are not held against their forces one by one: it takes too long."""

MEV = unit("meV", "energy")


def inspect(configurations: Sequence[Configuration]) -> Findings:
    """Everything that looks wrong with ``configurations``.

    Frames are told apart by ``info["file"]`` where forces and stresses are compared with energies, so that one file in
    other units shows, and are named by file and ``info["frame in file"]`` where they have these.

    Examples
    --------
    >>> frame = Configuration(np.array([1, 1]), np.array([[0.0, 0, 0], [0, 0, 0.074]]), energy=float("nan"))
    >>> print(inspect([frame]))
    error: the energy is not a number (frame 0)
    """
    findings = list(_unusable(configurations))
    bad = {k for finding in findings if finding.severity == "error" for k in finding.frames}
    sound = [k for k in range(len(configurations)) if k not in bad]
    findings += _contacts(configurations, sound)
    bad = {k for finding in findings if finding.severity == "error" for k in finding.frames}
    sound = [k for k in sound if k not in bad]
    groups = [tuple(sound[k] for k in group) for group in duplicates([configurations[k] for k in sound])]
    findings += _repetitions(configurations, groups)
    off, strong = _energies_off(configurations, sound), _force_outliers(configurations, sound)
    energetic = _energy_outliers(configurations, off)
    findings += [*energetic, *strong]
    off = _less_forces(configurations, off, {k for finding in strong for k in finding.frames})
    suspects = [k for finding in (*energetic, *_energy_outliers(configurations, off)) for k in finding.frames]
    wrong = _gross(configurations, sound, off, suspects, strong)
    findings += wrong
    outliers = frozenset(k for finding in wrong for k in finding.frames)
    # what is beyond doubt wrong does not witness against the others
    sound = [k for k in sound if k not in outliers]
    findings += _unbalanced(configurations, sound)
    files = _by_file(configurations, sound)
    scale, mismatches = _scales(configurations, sound, files)
    units = list(_units(configurations, files))
    stresses = {} if mismatches or units else _stress_scales(configurations, files)
    findings += [*mismatches, *units, *_told_stresses(configurations, files, stresses)]
    ranks = ("error", "warning", "note")
    placed = [replace(one, places=tuple(place_of(configurations[k]) for k in one.frames)) for one in findings]
    return Findings(
        tuple(sorted(placed, key=lambda finding: ranks.index(finding.severity))),
        scale,
        frozenset(k for group in groups for k in group[1:]),
        outliers,
        stresses,
    )


def require_sound(configurations: Sequence[Configuration]) -> None:
    """Refuse frames that no model can be fitted to: the errors of `inspect` that take little time to find.

    Raises
    ------
    ValueError
        If there are no frames, some have no atoms, labels that are not numbers or of the wrong shape, or forces are
        not the gradient of the energies, or stresses not their derivative by strain, by a factor that mistaken units or
        a wrong sign explain.
    """
    if not len(configurations):
        raise ValueError("there are no frames; give at least one")
    Findings(tuple(_unusable(configurations)), None, frozenset()).require()
    scale = force_scale(configurations)
    if scale is not None and not scale.consistent and (scale.readings or scale.low < 0):
        raise ValueError(f"{scale}; convert the forces, or leave out energies or forces")
    strained = stress_scale(configurations)
    if strained is not None and not strained.consistent and (strained.readings or strained.low < 0):
        raise ValueError(f"{strained}; inspect(frames).kept(frames) multiplies them, or leave them out")


def _unusable(frames) -> Iterator[Finding]:
    """Frames that break whatever uses them."""
    empty = tuple(k for k, f in enumerate(frames) if not len(f))
    if empty:
        yield Finding("error", "empty frames", empty, "no atoms")
    single = tuple(k for k, f in enumerate(frames) if len(f) == 1)
    if single:
        yield Finding("note", "single atoms", single, "one atom only")
    unlabeled = tuple(
        k for k, f in enumerate(frames) if f.energy is None and f.forces is None and f.stress is None
    )
    if unlabeled:
        yield Finding("warning", "no labels", unlabeled, "neither energy nor forces nor stress")
    yield from _broken_arrays(frames)
    broken = tuple(k for k, f in enumerate(frames) if f.energy is not None and not np.isfinite(f.energy))
    if broken:
        yield Finding("error", "not a number", broken, "the energy is not a number")
    flat = tuple(k for k, f in enumerate(frames) if any(f.periodic) and not f.volume > 0)
    if flat:
        yield Finding("error", "cells", flat, "periodic without a cell that has a volume")


def _broken_arrays(frames) -> Iterator[Finding]:
    """Positions, forces and stresses of a wrong shape, or that are not all numbers."""
    for name, words in (("positions", "positions are"), ("forces", "forces are"), ("stress", "stress is")):
        shape = {"stress": (3, 3)}.get(name)
        values = [
            (k, np.asarray(getattr(f, name), float), shape or (len(f), 3))
            for k, f in enumerate(frames)
            if getattr(f, name) is not None
        ]
        wrong = tuple(k for k, value, wanted in values if value.shape != wanted)
        if wrong:
            yield Finding("error", "shapes", wrong, f"the {words} not of the shape of the atoms")
        broken = tuple(
            k for k, value, wanted in values if value.shape == wanted and not np.isfinite(value).all()
        )
        if broken:
            yield Finding("error", "not a number", broken, f"the {words} not all numbers")


def _contacts(frames, sound) -> Iterator[Finding]:
    coincident, close, closest = [], [], (np.inf, "")
    for k in sound:
        frame = frames[k]
        reach = max(2 * CLOSE * COVALENT_RADII[frame.numbers].max(), 2 * COINCIDENT)
        i, j, distances = contacts(frame, float(reach))
        if not len(distances):
            continue
        if distances.min() < COINCIDENT:
            coincident.append(k)
            continue
        ratio = distances / (COVALENT_RADII[frame.numbers[i]] + COVALENT_RADII[frame.numbers[j]])
        worst = int(np.argmin(ratio))
        if ratio[worst] < CLOSE:
            close.append(k)
            pair = "-".join(SYMBOLS[frame.numbers[atom]] for atom in (i[worst], j[worst]))
            closest = min(closest, (float(ratio[worst]), f"{pair} {distances[worst]:.4f} nm"))
    if coincident:
        yield Finding("error", "coincident atoms", tuple(coincident), "atoms on top of each other")
    if close:
        yield Finding(
            "warning", "close atoms", tuple(close), f"atoms much closer than a bond, at least {closest[1]}"
        )


def _repetitions(frames, groups) -> Iterator[Finding]:
    if groups:
        copies = tuple(k for group in groups for k in group[1:])
        yield Finding("warning", "duplicates", copies, f"{len(copies)} frames repeat earlier ones")
    apart = [group for group in groups if _spread(frames, group) > MEV]
    if apart:
        worst = max(_spread(frames, group) for group in apart) / MEV
        message = f"the same geometry has energies up to {worst:.4g} meV per atom apart"
        yield Finding("warning", "contradictions", tuple(k for group in apart for k in group), message)


def _spread(frames, group):
    energies = [frames[k].energy for k in group if frames[k].energy is not None]
    return np.ptp(energies) / len(frames[group[0]]) if energies else 0.0


def _energies_off(frames, sound) -> dict[int, float]:
    """Energies per atom less what composition explains, of the frames that have one [kJ/mol]; none of very few."""
    labeled = [k for k in sound if frames[k].energy is not None and len(frames[k]) > 1]
    if len(labeled) < 10:
        return {}
    elements = elements_of([frames[k] for k in labeled])
    counts = np.array([[np.count_nonzero(frames[k].numbers == z) for z in elements] for k in labeled], float)
    per_atom = np.array([frames[k].energy for k in labeled]) / counts.sum(1)
    off = _unexplained(counts / counts.sum(1, keepdims=True), per_atom)
    return dict(zip(labeled, off.tolist()))


def _less_forces(frames, off, strong) -> dict[int, float]:
    """``off`` less what the forces of all but ``strong`` frames explain, where there are forces and not too many atoms.

    Labels of one frame that do not belong together stand out more than energies do.
    """
    pulled = [k for k in off if frames[k].forces is not None and k not in strong]
    if not pulled or len(pulled) < len(off) - len(strong) or sum(len(frames[k]) for k in off) > MOST_ATOMS:
        return off
    elements = np.array(elements_of([frames[k] for k in off]))
    rows = {k: surrogate_rows(frames[k], elements) for k in off}
    if sum(3 * len(frames[k]) for k in pulled) < 2 * len(rows[pulled[0]].energies):
        return off
    learned = coefficients_from_forces([rows[k] for k in pulled], [frames[k] for k in pulled])
    known = [[np.mean(frames[k].numbers == z) for z in elements] for k in off]
    explained = [[rows[k].energies @ learned / len(frames[k])] for k in off]
    if all(any(frames[k].periodic) for k in off):
        explained = [[one, frames[k].volume / len(frames[k])] for k, (one,) in zip(off, explained)]
    columns = np.concatenate([np.array(known), np.array(explained)], 1)
    left = _unexplained(columns / np.linalg.norm(columns, axis=0), np.array(list(off.values())))
    return dict(zip(off, left.tolist()))


def _energy_outliers(frames, off) -> list[Finding]:
    if not off:
        return []
    labeled, values = np.array(list(off)), np.array(list(off.values()))
    # 1.4826 median |off| is the standard deviation of a normal distribution, whatever outliers do
    scale = max(1.4826 * np.median(np.abs(values)), MEV)
    far = np.flatnonzero(np.abs(values) > FAR_ENERGY * scale)
    if not len(far):
        return []
    worst = np.abs(values[far]).max() / MEV
    message = f"energies up to {worst:.4g} meV per atom from the others, whose spread is {scale / MEV:.4g}"
    return [Finding("warning", "energy outliers", tuple(labeled[far].tolist()), message)]


def _gross(frames, sound, off, energetic, strong) -> list[Finding]:
    """Suspects that frames alike contradict; of them nothing is learned unless they are asked to be kept."""
    forceful = [k for finding in strong for k in finding.frames]
    wrong = gross_outliers(
        [frames[k] for k in sound],
        [sound.index(k) for k in energetic],
        [sound.index(k) for k in forceful],
        lambda chosen: np.array([off.get(sound[k], np.nan) for k in chosen]),
    )
    if not wrong:
        return []
    message = "labels that contradict those of frames which look the same"
    return [Finding("warning", "gross outliers", tuple(sound[k] for k in wrong), message)]


def _force_outliers(frames, sound) -> list[Finding]:
    labeled = [k for k in sound if frames[k].forces is not None]
    if len(labeled) < 10:
        return []
    sizes = np.concatenate([np.linalg.norm(frames[k].forces, axis=1) for k in labeled])
    numbers = np.concatenate([frames[k].numbers for k in labeled])
    owners = np.repeat(labeled, [len(frames[k]) for k in labeled])
    limits = {z: FAR_FORCE * np.quantile(sizes[numbers == z], 0.95) for z in np.unique(numbers)}
    far = sizes > np.maximum(np.array([limits[z] for z in numbers]), unit("eV/Å", "force"))
    if not far.any():
        return []
    worst = sizes[far].max() / unit("eV/Å", "force")
    message = f"forces up to {worst:.4g} eV/Å, more than {FAR_FORCE:.0f} times the 95th percentile"
    return [Finding("warning", "force outliers", tuple(np.unique(owners[far]).tolist()), message)]


def _unexplained(known, per_atom):
    """Energies per atom less their median and what ``known`` columns explain, by least absolute deviations."""
    weights = np.ones(
        len(per_atom)
    )  # iteratively reweighted least squares: 1 / |off| makes squares absolute values
    for _ in range(30):
        root = np.sqrt(weights)
        solution = np.linalg.lstsq(known * root[:, None], per_atom * root, rcond=1e-8)[0]
        off = per_atom - known @ solution
        weights = 1 / np.maximum(np.abs(off), 1e-3 * MEV)
    return off - np.median(off)


def _unbalanced(frames, sound) -> Iterator[Finding]:
    """Frames whose forces move or turn the whole; external fields and bad rotations of a code show here."""
    with_force, with_torque, worst = [], [], [0.0, 0.0]
    for k in sound:
        frame = frames[k]
        size = 0.0 if frame.forces is None else np.sqrt((np.asarray(frame.forces) ** 2).sum())
        if len(frame) < 2 or size < np.sqrt(len(frame)) * unit("meV/Å", "force"):
            continue
        # relative to sqrt(sum |F|^2) and sqrt(sum |r x F|^2), what sums of random forces would be
        net = np.linalg.norm(frame.forces.sum(0)) / size
        arms = frame.positions - frame.positions.mean(0)
        lever = np.sqrt((np.cross(arms, frame.forces) ** 2).sum())
        torque = np.linalg.norm(np.cross(arms, frame.forces).sum(0)) / (lever or 1.0)
        if net > NET:
            with_force.append(k)
            worst[0] = max(worst[0], net)
        if torque > NET and not any(frame.periodic):
            with_torque.append(k)
            worst[1] = max(worst[1], torque)
    for name, concerned, most in (("force", with_force, worst[0]), ("torque", with_torque, worst[1])):
        if concerned:
            message = f"a net {name} of up to {100 * most:.3g} % of what forces that do not add up would have"
            yield Finding("warning", f"net {name}", tuple(concerned), message)


def _by_file(frames, sound) -> dict[str | None, list[int]]:
    """Sound frames of each file."""
    files: dict[str | None, list[int]] = {}
    for k in sound:
        files.setdefault(frames[k].info.get("file"), []).append(k)
    return files


def _scales(frames, sound, files):
    """Energies against forces, of all frames together and of each file alone; by pairs where frames are far apart."""
    scale, mismatches = force_scale([frames[k] for k in sound]), []
    for name, members in files.items():
        alone = scale if len(files) == 1 else force_scale([frames[k] for k in members])
        if alone is None:
            alone = pair_scale([frames[k] for k in members])
        if alone is not None and not alone.consistent:
            mismatches.append(Finding("error", "force scale", (), f"{_of(name)}{alone}"))
    return scale, mismatches


def _units(frames, files) -> Iterator[Finding]:
    """Files whose energies or lengths are in other units as nature tells them."""
    for name, members in files.items():
        chosen = [frames[k] for k in members]
        if energies := unit_of_energies(chosen):
            message = f"total energies are those of the atoms if they are in {energies}, but were read as eV"
            yield Finding("error", "units", (), f"{_of(name)}{message}")
        if apart := lengths_in_bohr(chosen):
            message = (
                f"nearest atoms are {apart:.3g} times the length of a bond apart, as if bohr were read as Å"
            )
            yield Finding("error", "units", (), f"{_of(name)}{message}")


def _stress_scales(frames, files) -> dict[str | None, StressScale]:
    """By file, how stresses disagree with energies and forces where they do."""
    scales = {name: stress_scale([frames[k] for k in members]) for name, members in files.items()}
    return {name: scale for name, scale in scales.items() if scale is not None and not scale.consistent}


def _told_stresses(frames, files, scales) -> Iterator[Finding]:
    for name, scale in scales.items():
        strained = [frames[k] for k in files[name] if frames[k].stress is not None]
        known = all(scale.correction(frame.volume) is not None for frame in strained)
        done = "they are multiplied by it" if known else "they are not learned from"
        yield Finding("warning", "stress scale", (), f"{_of(name)}{scale}; {done}")


def _of(name):
    return "" if name is None else f"{name}: "
