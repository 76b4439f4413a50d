"""What an inspection of frames reports, and which frames it advises to learn from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from thalweg.learned_potentials.frames.force_consistency import ForceScale
from thalweg.learned_potentials.frames.stress_consistency import StressScale
from thalweg.systems.configuration import Configuration

SHOWN = 8
"""Frames named in a message; of more, only the first."""

Kept = Literal["repeated", "outliers", "stress", "units"]
"""What may be kept as it is against the advice of an inspection."""


@dataclass(frozen=True)
class Finding:
    """One thing found.

    Attributes
    ----------
    severity : "error", "warning" or "note"
    kind : what is the matter, in one or two words
    frames : indices of the frames concerned
    message : what was found
    places : file of each of these frames and its number there, where it came from a file
    """

    severity: str
    kind: str
    frames: tuple[int, ...]
    message: str
    places: tuple[tuple[str, int] | None, ...] = ()

    def __str__(self):
        return f"{self.severity}: {self.sentence}"

    @property
    def sentence(self) -> str:
        """What was found, and where.

        Examples
        --------
        >>> Finding("note", "single atoms", (40, 41), "one atom only", (("a.xyz", 0), ("a.xyz", 1))).sentence
        'one atom only (frames 0, 1 of a.xyz)'
        """
        if not self.frames:
            return self.message
        groups: dict[str | None, list[int]] = {}
        places = self.places or (None,) * len(self.frames)
        for k, place in zip(self.frames[:SHOWN], places):
            name, number = (None, k) if place is None else place
            groups.setdefault(name, []).append(number)
        parts = [_numbered(numbers, name) for name, numbers in groups.items()]
        rest = len(self.frames) - SHOWN
        return f"{self.message} ({'; '.join(parts)}{f'; and {rest} more' if rest > 0 else ''})"


@dataclass(frozen=True)
class Findings:
    """All that `inspect` found.

    Attributes
    ----------
    findings : worst first
    force_scale : energy differences against work of the forces, of all frames together; None if they cannot tell
    repeated : frames that are the same as an earlier one
    outliers : frames whose labels are beyond doubt of something else than these atoms
    stress_scales : by file, how stresses disagree with energies and forces where they do
    """

    findings: tuple[Finding, ...]
    force_scale: ForceScale | None
    repeated: frozenset[int]
    outliers: frozenset[int] = frozenset()
    stress_scales: Mapping[str | None, StressScale] = field(default_factory=dict)

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == "error")

    def left_out(self, keep: Collection[Kept] = ()) -> frozenset[int]:
        """Frames to leave out: those in error, repetitions and outliers, unless these are to be kept."""
        wrong = frozenset(k for finding in self.errors for k in finding.frames)
        repeated = frozenset() if "repeated" in keep else self.repeated
        return wrong | repeated | (frozenset() if "outliers" in keep else self.outliers)

    def corrected(self, frame: Configuration, keep: Collection[Kept] = ()) -> Configuration:
        """``frame`` with its stress in the unit and sign that strained frames say, or without it if they say none."""
        scale = self.stress_scales.get(frame.info.get("file"))
        if scale is None or frame.stress is None or "stress" in keep:
            return frame
        factor = scale.correction(frame.volume)
        return replace(frame, stress=None if factor is None else factor * frame.stress)

    def kept(
        self, configurations: Sequence[Configuration], keep: Collection[Kept] = ()
    ) -> list[Configuration]:
        """``configurations`` without those to leave out, stresses corrected."""
        out = self.left_out(keep)
        return [self.corrected(frame, keep) for k, frame in enumerate(configurations) if k not in out]

    def require(self) -> None:
        """Raise ValueError with all errors, if there are any."""
        if self.errors:
            raise ValueError("; ".join(map(str, self.errors)))

    def __str__(self):
        return "\n".join(map(str, self.findings)) or "nothing found"


def place_of(frame: Configuration) -> tuple[str, int] | None:
    """File of a frame and its number there; None if it is from no file."""
    file, number = frame.info.get("file"), frame.info.get("frame in file")
    return (str(file), int(str(number))) if file is not None and number is not None else None


def _numbered(numbers: Sequence[int], name: str | None) -> str:
    words = f"frame{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"
    return words if name is None else f"{words} of {name}"
