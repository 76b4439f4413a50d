"""Variables whose values are plain numbers: no unit, no period."""

from __future__ import annotations

import equinox as eqx


class Dimensionless(eqx.Module):
    """Units and periods for the ``names`` of a subclass."""

    @property
    def units(self) -> tuple[str, ...]:
        return ("",) * len(self.names)

    @property
    def periods(self) -> tuple[float | None, ...]:
        return (None,) * len(self.names)
