"""The type checker of tests: as everywhere in Python, a whole number may stand where a ``float`` is asked for."""

from __future__ import annotations

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
"""What every function of the package is checked by under pytest, beside the shapes of its arrays."""
