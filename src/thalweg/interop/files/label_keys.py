"""Under which names a file keeps its energies, forces and stresses.

Every group writes its labels under names of its own (``energy``, ``REF_energy``, ``dft_forces``, ``virials``). The
plain name wins; otherwise the only name that says the kind of label is taken, and where several do, the caller is
asked. What was taken in the place of what is said in a log message.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

log = logging.getLogger(__name__)

PLAIN = {
    "energy": ("energy", "free_energy"),
    "forces": ("forces", "force"),
    "stress": ("stress",),
    "virial": ("virial", "virials"),
}
"""Names that win, best first."""

WORDS = {
    "energy": {"energy", "energies", "toten"},
    "forces": {"force", "forces"},
    "stress": {"stress", "stresses"},
    "virial": {"virial", "virials"},
}
"""Words of which a name must have one to say the kind of label."""

OTHERWISE = set(
    "atomization binding correction cohesive committee cutoff d3 dispersion error formation interaction isolated "
    "kinetic max pred predicted relative shift sigma std uncertainty unit units var variance weight zero".split()
)
"""Words that say it is another quantity."""


def label_key(kind: str, given: str | None, names: Sequence[str], path: str) -> str | None:
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
    >>> label_key("energy", None, ["config_type", "REF_energy", "energy_sigma"], "file")
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
        raise ValueError(
            f"{path} has {', '.join(found)}, any of which may be meant; say {_parameter(kind)}=..."
        )
    if found:
        log.info("%s: %s is %r", path, kind, found[0])
    return found[0] if found else None


def _says(kind, name):
    words = set(re.split(r"[_\-.\s]+", name.lower()))
    return bool(words & WORDS[kind]) and not words & OTHERWISE


def _parameter(kind):
    return f"{kind}_key"
