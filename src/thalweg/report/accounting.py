"""What a run took, and what to cite for it.

Beside the package: the engine, OpenMM [eastman2024], ASE [larsen2017] or BAOAB [leimkuhler2013]; metadynamics
[barducci2008] with several walkers [raiteri2006]; slow coordinates [perezhernandez2013].
"""

from __future__ import annotations

from collections.abc import Sequence

from thalweg import __version__
from thalweg.machine.reading import read_json
from thalweg.references import references
from thalweg.report.results import Cost
from thalweg.sampling.store import Store

ITSELF = f"The Thalweg authors, Thalweg {__version__}: molecular simulation and machine learning in one loop."

ANALYSIS = ("perezhernandez2013", "wu2017", "prinz2011", "efron1994")
"""Works behind time scales and states of any trajectories."""

DYNAMICS = {
    "native": ("leimkuhler2013",), "openmm": ("eastman2024", "leimkuhler2013"), "ase": ("larsen2017",),
    "lammps": ("thompson2022",),
}  # fmt: skip
FORCE_FIELDS = {"ff14SB": "maier2015", "tip3p": "jorgensen1983", "obc2": "onufriev2004"}
"""Part of a force field's or solvent's name -> its reference."""


def cost(store: Store) -> Cost:
    """Steps and simulated time of all segments, and the work that the diary has noted."""
    cards = [
        read_json(store.file(entry, "segment.json"), "what a segment says of itself")
        for entry in store.ids("segments")
    ]
    steps = [card["walkers"] * card["steps"] for card in cards]
    picoseconds = sum(count * card["dt"] for count, card in zip(steps, cards))
    notes = [note for note in store.diary() if note.get("kind") == "run"]
    return Cost(sum(steps), picoseconds * 1e-3, sum(note["seconds"] for note in notes), len(notes))


def citations(keys: Sequence[str]) -> tuple[str, ...]:
    """The package itself, then the works named by ``keys``, each once."""
    return (ITSELF, *(str(references()[key]) for key in dict.fromkeys(keys)))


def force_field_keys(names: Sequence[str]) -> list[str]:
    """Keys of the force fields whose names are known, such as ``"amber14/protein.ff14SB.xml"``.

    Examples
    --------
    >>> force_field_keys(["amber14/protein.ff14SB.xml", "implicit/obc2.xml"])
    ['maier2015', 'onufriev2004']
    """
    return [key for part, key in FORCE_FIELDS.items() if any(part in name for name in names)]
