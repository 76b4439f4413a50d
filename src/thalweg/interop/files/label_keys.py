"""Under which names a file keeps its energies, forces and stresses.

Every group writes its labels under names of its own (``energy``, ``REF_energy``, ``dft_forces``, ``virials``). The
plain name wins; otherwise the only name that says the kind of label is taken, or the one of the same family as the
forces (``dft_energy`` beside ``dft_forces``), and where several are left, the caller is asked. What was taken in the
place of what is said in a log message.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence

log = logging.getLogger(__name__)

PLAIN = {
    "energy": ("energy", "free_energy"),
    "forces": ("forces", "force"),
    "stress": ("stress",),
    "virial": ("virial", "virials"),
}
"""Names that win, best first."""

WORDS = {
    "energy": {"energy", "energies", "toten", "etot"},
    "forces": {"force", "forces"},
    "stress": {"stress", "stresses"},
    "virial": {"virial", "virials"},
}
"""Words of which a name must have one to say the kind of label."""

OTHERWISE = set(
    "atomization binding correction cohesive committee cutoff d3 dispersion error formation interaction isolated "
    "kinetic max per pred predicted relative shift sigma std uncertainty unit units var variance weight zero".split()
)
"""Words that say it is another quantity."""


def label_keys(given: Mapping[str, str | None], names: Sequence[str], path: str) -> dict[str, str | None]:
    """The name of each kind of label: the plain one, or the only one; of several energies, that of the forces.

    Examples
    --------
    >>> names = ["mp2_energy", "dft_energy", "dft_forces"]
    >>> label_keys({"energy": None, "forces": None}, names, "file")
    {'energy': 'dft_energy', 'forces': 'dft_forces'}
    """
    wanted = dict(given)
    if wanted["energy"] is None:
        wanted["energy"] = _of_the_family(names, wanted["forces"])
    return {kind: _label_key(kind, key, names, path) for kind, key in wanted.items()}


def energy_names(names: Sequence[str]) -> list[str]:
    """Those of ``names`` that may be energies, the plain ones first."""
    found = [name for name in names if _says("energy", name)]
    return sorted(found, key=lambda name: (name not in PLAIN["energy"], name))


def _of_the_family(names, forces):
    """The energy that shares its prefix with the only forces there are, where these are not plainly named."""
    pulls = [forces] if forces else [name for name in names if _says("forces", name)]
    if len(pulls) != 1 or pulls[0] in PLAIN["forces"]:
        return None
    family = _rest(pulls[0], "forces")
    alike = [name for name in names if _says("energy", name) and _rest(name, "energy") == family]
    return alike[0] if len(alike) == 1 else None


def _rest(name, kind):
    return tuple(word for word in _words(name) if word not in WORDS[kind])


def _label_key(kind: str, given: str | None, names: Sequence[str], path: str) -> str | None:
    """The name of one kind of label among those that occur in a file; None if it has no such label.

    Parameters
    ----------
    kind : "energy", "forces", "stress" or "virial"
    given : the name the caller wants, or None to look for it
    names : all names in the file

    Raises
    ------
    ValueError
        If the name given does not occur, or several could be meant.

    Examples
    --------
    >>> _label_key("energy", None, ["config_type", "REF_energy", "energy_sigma"], "file")
    'REF_energy'
    """
    if given is not None:
        if given not in names:
            raise ValueError(
                f"{path} has no {given!r}; it has {', '.join(sorted(names)) or 'no values at all'}"
            )
        return given
    found = sorted(name for name in names if _says(kind, name))
    for plain in PLAIN[kind]:
        if plain in found:
            others = [name for name in found if name not in PLAIN[kind]]
            if others:
                log.warning("%s: %s is %r; there is also %s", path, kind, plain, ", ".join(others))
            return plain
    if len(found) > 1:
        raise ValueError(f"{path} has {', '.join(found)}, any of which may be meant; say {kind}_key=...")
    if found:
        log.info("%s: %s is %r", path, kind, found[0])
    return found[0] if found else None


def _words(name):
    """Words of a name, in lower case: ``dftEnergy`` and ``DFT-energy`` have the same."""
    return [word.lower() for word in re.split(r"[_\-.\s:]+|(?<=[a-z0-9])(?=[A-Z])", name) if word]


def _says(kind, name):
    words = set(_words(name))
    return bool(words & WORDS[kind]) and not words & OTHERWISE
