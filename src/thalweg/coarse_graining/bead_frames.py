"""Frames of beads: what every way of coarse-graining learns from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from thalweg.coarse_graining.mapping import BeadMapping, ForceMap, held_together
from thalweg.learning.models import Model
from thalweg.shapes import Bool, Float, Int
from thalweg.systems.configuration import Configuration


@dataclass(frozen=True)
class BeadFrames(Model):
    """Positions of beads at one temperature, with forces where they are known.

    Attributes
    ----------
    positions : (frames, beads, 3) [nm]
    kT : thermal energy [kJ/mol]
    forces : (frames, beads, 3) mapped forces [kJ/mol/nm], or None
    boxes : (frames, 3, 3) box vectors [nm], or None
    weights : (frames,) how much each frame counts, of reweighted data; None where all count alike
    lengths : frames of each trajectory, in order; correlated frames stay together where frames are left out
    kinds : (beads,) int from 1; beads of one kind interact alike
    names : (beads,) names
    masses : (beads,) [amu]
    molecules : (beads,) int, the molecule of each bead

    Raises
    ------
    ValueError
        If shapes do not fit, a number is not finite, or beads lie on top of each other.
    """

    positions: Float[np.ndarray, "frames beads 3"]
    kT: float
    forces: Float[np.ndarray, "frames beads 3"] | None = None
    boxes: Float[np.ndarray, "frames 3 3"] | None = None
    weights: Float[np.ndarray, " frames"] | None = None
    lengths: tuple[int, ...] = ()
    kinds: Int[np.ndarray, " beads"] | None = None
    names: tuple[str, ...] = ()
    masses: Float[np.ndarray, " beads"] | None = None
    molecules: Int[np.ndarray, " beads"] | None = None

    def __post_init__(self):
        frames, beads = self.positions.shape[:2]
        fill = {
            "lengths": self.lengths or (frames,),
            "kinds": np.arange(1, beads + 1) if self.kinds is None else np.asarray(self.kinds, int),
            "names": self.names or tuple(f"B{k + 1}" for k in range(beads)),
            "masses": np.ones(beads) if self.masses is None else np.asarray(self.masses, float),
            "molecules": np.zeros(beads, int) if self.molecules is None else np.asarray(self.molecules, int),
        }
        for name, value in fill.items():
            object.__setattr__(self, name, value)
        _check(self)

    def headline(self) -> dict[str, object]:
        return {
            "frames": len(self.positions),
            "beads": self.positions.shape[1],
            "forces": self.forces is not None,
            "kT [kJ/mol]": self.kT,
        }

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, chosen: slice | Int[np.ndarray, " _"] | Bool[np.ndarray, " _"]) -> BeadFrames:
        """The ``chosen`` frames, by a slice, indices or a mask, as one trajectory."""
        index = np.arange(len(self))[chosen]
        return replace(
            self,
            positions=self.positions[index],
            forces=None if self.forces is None else self.forces[index],
            boxes=None if self.boxes is None else self.boxes[index],
            weights=None if self.weights is None else self.weights[index],
            lengths=(len(index),),
        )

    def needed_forces(self) -> Float[np.ndarray, "frames beads 3"]:
        """The forces, for what cannot do without.

        Raises
        ------
        ValueError
            If there are none; says which methods do without.
        """
        if self.forces is None:
            raise ValueError(
                "these frames have no forces; matching forces needs them. BoltzmannInversion, RelativeEntropy, "
                "IterativeBoltzmannInversion and ChainDensityRatio learn from positions alone"
            )
        return self.forces

    def blocks(self, count: int) -> Int[np.ndarray, " frames"]:
        """The block of each frame, ``count`` of them, made of stretches of trajectories in order of time."""
        return np.minimum(np.arange(len(self)) * count // max(len(self), 1), count - 1)

    def in_parts(self, frames: int) -> Iterator[BeadFrames]:
        """Stretches of at most so many ``frames``."""
        for start in range(0, len(self), frames):
            yield self[start : start + frames]

    def configurations(self) -> list[Configuration]:
        """Each frame as labeled atoms of element numbers ``kinds``, for `thalweg.learned_potentials`."""
        boxed = self.boxes is not None
        return [
            Configuration(
                np.asarray(self.kinds),
                self.positions[k],
                None if self.boxes is None else self.boxes[k],
                (boxed, boxed, boxed),
                forces=None if self.forces is None else self.forces[k],
            )
            for k in range(len(self))
        ]


def mapped_frames(
    mapping: BeadMapping,
    positions: Float[np.ndarray, "frames atoms 3"],
    kT: float,
    *,
    forces: Float[np.ndarray, "frames atoms 3"] | None = None,
    boxes: Float[np.ndarray, "frames 3 3"] | None = None,
    weights: Float[np.ndarray, " frames"] | None = None,
    lengths: Sequence[int] = (),
    force_map: ForceMap | str = "optimal",
    held: Int[np.ndarray, "pairs 2"] | None = None,
) -> BeadFrames:
    """Frames of atoms as frames of beads.

    Parameters
    ----------
    forces : on atoms [kJ/mol/nm], without those of constraints; None where they were not kept
    force_map : how forces push beads: ``"optimal"``, ``"basic"``, or a `ForceMap`
    held : pairs of atoms that were held at fixed distances; found by `held_together` where None

    Raises
    ------
    ValueError
        If a given force map is biased for this mapping.
    """
    on_beads = None
    if forces is not None:
        pairs = held_together(positions, boxes) if held is None else np.asarray(held, int)
        if force_map == "optimal":
            force_map = ForceMap.optimal(mapping, forces, pairs)
        elif force_map == "basic":
            force_map = ForceMap.basic(mapping, pairs)
        elif isinstance(force_map, str):
            raise ValueError(f'a force map is "optimal", "basic" or a ForceMap; got {force_map!r}')
        _check_map(force_map, mapping, pairs)
        on_beads = force_map(forces)
    return BeadFrames(
        mapping.positions(positions, boxes),
        kT,
        on_beads,
        boxes,
        weights,
        tuple(lengths),
        mapping.kinds,
        mapping.names,
        mapping.masses,
        mapping.molecules,
    )


def joined_frames(parts: Sequence[BeadFrames]) -> BeadFrames:
    """Frames of several runs of the same beads, one after another.

    Raises
    ------
    ValueError
        If temperatures or beads differ, or some have forces, boxes or weights and others none.
    """
    if not parts:
        raise ValueError("there are no frames to join; give at least one set")
    first = parts[0]
    if temperatures := sorted({round(part.kT, 9) for part in parts})[1:]:
        raise ValueError(
            f"frames of kT {first.kT:.4f} and {temperatures[-1]:.4f} kJ/mol cannot be one set: the free energy of "
            "beads differs between temperatures; fit each by itself"
        )
    if any(not np.array_equal(np.asarray(part.kinds), np.asarray(first.kinds)) for part in parts):
        raise ValueError("these sets are of different beads; fit one potential to each, or map them alike")
    columns = {}
    for name in ("forces", "boxes", "weights"):
        present = [getattr(part, name) is not None for part in parts]
        if len(set(present)) > 1:
            raise ValueError(f"some sets have {name} and some do not; give {name} for all or for none")
        columns[name] = np.concatenate([getattr(part, name) for part in parts]) if present[0] else None
    lengths = tuple(n for part in parts for n in part.lengths)
    return replace(
        first, positions=np.concatenate([part.positions for part in parts]), lengths=lengths, **columns
    )


def _check_map(force_map: ForceMap, mapping: BeadMapping, pairs):
    bias = force_map.bias(mapping)
    if bias > 1e-6:
        raise ValueError(
            f"this force map is biased: W C^T differs from one by {bias:.3g}, and mean forces would not be those of "
            "the beads; use ForceMap.optimal"
        )
    dense = force_map.weights.tocsc()
    for i, j in pairs:
        if np.abs(dense[:, [i]].toarray() - dense[:, [j]].toarray()).max() > 1e-6:
            raise ValueError(
                f"atoms {i} and {j} were held at a fixed distance, and this force map takes them with different "
                "weights: the force that held them is missing from the frames, and what is mapped is biased; use "
                "ForceMap.optimal"
            )


def _check(frames: BeadFrames):
    count, beads = frames.positions.shape[:2]
    if count == 0:
        raise ValueError("there are no frames; give at least one")
    for name, shape in (
        ("forces", frames.positions.shape),
        ("boxes", (count, 3, 3)),
        ("weights", (count,)),
        ("kinds", (beads,)),
        ("masses", (beads,)),
        ("molecules", (beads,)),
    ):
        value = getattr(frames, name)
        if value is None:
            continue
        if np.shape(value) != shape:
            raise ValueError(
                f"{count} frames of {beads} beads need {name} of shape {shape}; got {np.shape(value)}"
            )
        if not np.isfinite(value).all():
            raise ValueError(f"{name} hold numbers that are not finite; leave those frames out")
    if not np.isfinite(frames.positions).all():
        raise ValueError("positions hold numbers that are not finite; leave those frames out")
    if sum(frames.lengths) != count:
        raise ValueError(
            f"lengths of trajectories sum to {sum(frames.lengths)}, and there are {count} frames"
        )
    if frames.kT <= 0:
        raise ValueError(f"kT must be positive [kJ/mol]; got {frames.kT}")
    if frames.weights is not None and ((frames.weights < 0).any() or not frames.weights.sum() > 0):
        raise ValueError("weights must not be negative, and not all zero")
    probe = frames.positions[0]
    if beads > 1 and len(np.unique(np.round(probe, 6), axis=0)) < beads:
        raise ValueError("two beads lie on top of each other in the first frame; map them apart")
