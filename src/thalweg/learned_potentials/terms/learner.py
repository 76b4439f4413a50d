"""What learns a term from labels, and what it tells of the way there.

A `Learner` is a settings object; its `Learner.fit` returns the term and a `FitInfo`: which settings were chosen,
errors on frames left out, the least-squares problem with its Pareto front, the course of a training. Whoever wants to
know looks there, and fits nothing again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from thalweg.learned_potentials.terms.term import Term, Weights
from thalweg.learning.trainer import History
from thalweg.systems.configuration import Configuration
from thalweg.units import unit


@runtime_checkable
class LeastSquares(Protocol):
    """A convex problem that can be solved for other weights at once."""

    def front(self, weights: Weights) -> Sequence[Any]:
        """The Pareto front of energies against forces around ``weights``, a `FrontPoint` each."""
        ...


Crossed = tuple[tuple[Term, np.ndarray], ...]
"""Terms of the settings of a fit, each with the numbers of frames that it was not taught; no frame is there twice."""


@dataclass(frozen=True)
class FitInfo:
    """How a fit went.

    Attributes
    ----------
    chosen : settings chosen among candidates, or found by rule
    held_out : root mean square residuals of training frames left out, by label, as `Weights` weigh them: of energies
        per square root of the number of atoms [kJ/mol], of force components [kJ/mol/nm], of stress times volume
    problem : what was solved, where it is one of least squares, to ask for its Pareto front
    histories : courses of trainings, by their seeds
    members : of a committee, in order
    converged : whether what iterates came to its end
    notes : more, in sentences
    crossed : makes `Crossed` terms, where that takes no second fit

    Examples
    --------
    >>> print(*FitInfo(chosen={"width": 2.0, "noise": 1e-8}, notes=("The cutoff was given.",)).in_words(), sep=" ")
    Chosen: width 2, noise 1e-08. The cutoff was given.
    """

    chosen: Mapping[str, float | str] = field(default_factory=dict)
    held_out: Mapping[str, float] = field(default_factory=dict)
    problem: LeastSquares | None = None
    histories: Mapping[int, History] = field(default_factory=dict)
    members: tuple[FitInfo, ...] = ()
    converged: bool = True
    notes: tuple[str, ...] = ()
    crossed: Callable[[], Crossed] | None = field(default=None, repr=False, compare=False)

    @staticmethod
    def of_members(members: Sequence[FitInfo]) -> FitInfo:
        """That of a committee; its Pareto front is that of the first member which has one."""
        return FitInfo(
            problem=next((member.problem for member in members if member.problem is not None), None),
            histories={seed: one for member in members for seed, one in member.histories.items()},
            members=tuple(members),
            converged=all(member.converged for member in members),
        )

    def in_words(self) -> tuple[str, ...]:
        """All of it, in sentences."""
        said = []
        if self.chosen:
            said.append(f"Chosen: {', '.join(_setting(*one) for one in self.chosen.items())}.")
        if self.held_out:
            said.append(
                "Root mean square errors of frames left out: "
                f"{', '.join(_error(label, value) for label, value in self.held_out.items())}."
            )
        said += [_course(seed, history) for seed, history in self.histories.items() if not self.members]
        if not self.converged and not self.members:
            said.append("It did not converge: give it more iterations.")
        members = [
            f"Member {k + 1}. {' '.join(words)}"
            for k, member in enumerate(self.members)
            if (words := member.in_words())
        ]
        return (*said, *self.notes, *members)


class FittedTerm(NamedTuple):
    """A fitted term, or a whole potential, and how the fit went."""

    term: Term
    info: FitInfo


@runtime_checkable
class Learner(Protocol):
    """Settings of one family of terms; `fit` learns one from labels."""

    def fit(
        self,
        configurations: Sequence[Configuration],
        *,
        validation: Sequence[Configuration] = (),
        weights: Weights = Weights(),  # noqa: B008
        seed: int = 0,
        progress: Callable[[str, float], None] | None = None,
    ) -> FittedTerm:
        """A term for ``configurations``, whose labels are what remains after references and baselines.

        Missing labels are None. ``progress(message, fraction)`` is called now and then.
        """
        ...


@runtime_checkable
class Resumable(Protocol):
    """A learner whose fit takes long and goes on after an interruption."""

    def with_checkpoints(self, folder: Path) -> Learner:
        """The same, leaving what it needs to go on in ``folder``, and going on from there: a file for each seed."""
        ...


@dataclass(frozen=True)
class Imagined:
    """Frames in which every atom should have next to no energy of what is learned.

    Attributes
    ----------
    frames : without labels
    trust : what it may have [kJ/mol]; None for what the learner can do without cost
    """

    frames: tuple[Configuration, ...]
    trust: float | None


@runtime_checkable
class Vanishing(Protocol):
    """A learner that can leave frames to what it is added to."""

    def vanishing(self, imagined: Imagined) -> Learner:
        """The same, which learns next to no energy of the atoms of ``imagined`` frames."""
        ...


SHOWN = {
    "energy": ("energies", "meV/√atoms", unit("meV", "energy")),
    "force": ("forces", "meV/Å", unit("meV/Å", "force")),
    "stress": ("stress times volume", "meV/√atoms", unit("meV", "energy")),
}
"""What the residuals that `Weights` weigh are called, and their units in sentences."""


def _setting(name: str, value: float | str) -> str:
    return f"{name} {value}" if isinstance(value, str) else f"{name} {value:g}"


def _error(label: str, value: float) -> str:
    name, shown, one = SHOWN[label]
    return f"{name} {value / one:.3g} {shown}"


def _course(seed: int, history: History) -> str:
    end = ", when patience ended" if history.stopped else ""
    undone = int(history.undone.sum())
    lost = f", {undone} undone" if undone else ""
    return f"Seed {seed}: {len(history.training)} epochs{end}{lost}; weights are those after epoch {history.best + 1}."
