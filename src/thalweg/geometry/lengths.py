"""Variables whose values are lengths: in nanometers, without a period."""

from __future__ import annotations

import equinox as eqx


class Lengths(eqx.Module):
    """Units and periods for the ``names`` of a subclass."""

    @property
    def units(self) -> tuple[str, ...]:
        return ("nm",) * len(self.names)

    @property
    def periods(self) -> tuple[float | None, ...]:
        return (None,) * len(self.names)
