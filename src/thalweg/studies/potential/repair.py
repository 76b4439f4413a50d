"""What large displacements show to be wrong is labeled and taught, before a potential is called done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from thalweg.labeling.geometries.far_from_minimum import FarFromMinimum, far_from_minimum
from thalweg.labeling.level import Level
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.sampling.policies.label_frames import label
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.teach import parted
from thalweg.studies.analyzing import Told
from thalweg.studies.potential.beginning import Beginning
from thalweg.systems.configuration import Configuration

REPAIRS = 1
"""How often a potential is mended at most: more labels of torn molecules only make it worse elsewhere."""


@dataclass(frozen=True)
class Repaired:
    """A potential after its large displacements.

    Attributes
    ----------
    potential : taught what was wrong far out
    far : what large displacements showed at last; None where there is a cell
    labels : frames that were labeled for it
    bought : all that were, also those that only made it worse
    """

    potential: LearnedPotential
    far: FarFromMinimum | None
    labels: tuple[Configuration, ...] = ()
    bought: tuple[Configuration, ...] = ()


def repaired(
    potential: LearnedPotential,
    begun: Beginning,
    level: Level,
    store: Store,
    known: Sequence[Configuration],
    seed: int,
    told: Told,
) -> Repaired:
    """Displace a molecule by a lot, and teach ``potential`` the places where that led below the start, until none does.

    Parameters
    ----------
    store : of the labels that this takes
    known : labels it was taught, and those held out
    """
    if begun.modes is None:
        return Repaired(potential, None)
    far, taught = far_from_minimum(potential, begun.modes, level), []
    best = Repaired(potential, far)
    for k in range(REPAIRS):
        if far.holds:
            break
        told(f"{far}; teaching these places", 0.2 * (k + 1))
        new = label(far.worth_labels(), level, store).frames
        if not new:
            break
        taught += new
        fitted, held_out = parted(known)
        potential = begun.recipe.fit_with_info(
            [*fitted, *taught], validation=held_out, seed=seed, inspected=True
        ).term
        far = far_from_minimum(potential, begun.modes, level)
        # energies of torn molecules are large, and a potential that was taught them may be worse elsewhere
        assert best.far is not None
        if far.faults < best.far.faults:
            best = Repaired(potential, far, tuple(taught))
    told(str(best.far), 1.0)
    return replace(best, bought=tuple(taught))
