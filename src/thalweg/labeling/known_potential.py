"""A potential that is known, fitted or empirical, as a level of theory: the truth of a test, or a teacher."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from thalweg import __version__
from thalweg.labeling.level import LabelFailed, geometry_trouble
from thalweg.learned_potentials.properties.property_kernel import PropertyModel
from thalweg.learned_potentials.terms.term import Term
from thalweg.systems.configuration import Configuration


@dataclass(frozen=True)
class KnownPotential:
    """Labels by a term of a potential, or by a whole one.

    Parameters
    ----------
    term : what says energies, forces and stresses
    called : its name in the files that hold the labels
    properties : models of dipoles and what else labels shall have
    """

    term: Term
    called: str
    properties: tuple[PropertyModel, ...] = ()

    @property
    def name(self) -> str:
        """What it is called."""
        return self.called

    def provenance(self) -> Mapping[str, str]:
        return {"program": "Thalweg", "version": __version__, "level": self.called}

    def check(self, frame: Configuration) -> None:
        """Whether the potential knows the elements.

        Raises
        ------
        ValueError
            If not.
        """
        self.term.bind(frame.numbers, frame.box, frame.periodic)

    def seconds(self, frame: Configuration) -> float:
        return 1e-3 + 1e-5 * len(frame)

    def label(self, frame: Configuration) -> Configuration:
        """Energy, forces, and stress where there is a cell.

        Raises
        ------
        LabelFailed
            If atoms are on top of each other, or the potential gives no numbers.
        """
        if trouble := geometry_trouble(frame):
            raise LabelFailed(trouble)
        labels = self.term.evaluate([frame])
        energy, forces, stress = float(labels.energies[0]), labels.forces[0], labels.stresses[0]
        if not (np.isfinite(energy) and np.isfinite(forces).all()):
            raise LabelFailed(f"{self.called} gives no numbers for this geometry")
        labeled = replace(frame, energy=energy, forces=forces, stress=stress if any(frame.periodic) else None)
        for model in self.properties:
            (labeled,) = model.labeled([labeled])
        return labeled
