"""What an inspection of frames reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from thalweg.learned_potentials.frames.force_consistency import ForceScale
from thalweg.systems.configuration import Configuration

SHOWN = 8
"""Frames named in a message; of more, only the first."""


@dataclass(frozen=True)
class Finding:
    """One thing found.

    Attributes
    ----------
    severity : "error", "warning" or "note"
    kind : what is the matter, in one or two words
    frames : indices of the frames concerned
    message : what was found
    """

    severity: str
    kind: str
    frames: tuple[int, ...]
    message: str

    def __str__(self):
        names = ", ".join(map(str, self.frames[:SHOWN])) + (", ..." if len(self.frames) > SHOWN else "")
        place = f" (frame{'s' * (len(self.frames) > 1)} {names})" if self.frames else ""
        return f"{self.severity}: {self.message}{place}"


@dataclass(frozen=True)
class Findings:
    """All that `inspect` found.

    Attributes
    ----------
    findings : worst first
    force_scale : energy differences against work of the forces, of all frames together; None if they cannot tell
    repeated : frames that are the same as an earlier one
    """

    findings: tuple[Finding, ...]
    force_scale: ForceScale | None
    repeated: frozenset[int]

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == "error")

    def kept(self, configurations: Sequence[Configuration]) -> list[Configuration]:
        """``configurations`` without frames in error and without repetitions."""
        left_out = {k for finding in self.errors for k in finding.frames} | self.repeated
        return [frame for k, frame in enumerate(configurations) if k not in left_out]

    def require(self) -> None:
        """Raise ValueError with all errors, if there are any."""
        if self.errors:
            raise ValueError("; ".join(map(str, self.errors)))

    def __str__(self):
        return "\n".join(map(str, self.findings)) or "nothing found"
