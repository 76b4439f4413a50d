"""Numbers as people print them: as many digits as the error allows."""

from __future__ import annotations

import math


def with_error(value: float, error: float, unit: str = "") -> str:
    """``value ± error unit``, the error to two significant digits and the value to the same place.

    Examples
    --------
    >>> with_error(9.5134, 0.1187, "kJ/mol")
    '9.51 ± 0.12 kJ/mol'
    >>> with_error(238.2, 6.4, "ps")
    '238.2 ± 6.4 ps'
    >>> with_error(1234.5, 61.0, "ps")
    '1234 ± 61 ps'
    >>> with_error(3.14159, math.nan)
    '3.14 (error unknown)'
    """
    unit = f" {unit}" if unit else ""
    if not math.isfinite(value):
        return "not available"
    if not math.isfinite(error) or error < 0:
        return f"{significant(value, 3)}{unit} (error unknown)"
    if error == 0:
        return f"{significant(value, 6)} ± 0{unit}"
    decimals = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{decimals}f} ± {error:.{decimals}f}{unit}"


def significant(value: float, digits: int = 3) -> str:
    """``value`` to a number of significant digits, without an exponent where that stays readable.

    Examples
    --------
    >>> significant(0.0123456), significant(43210.0), significant(2.5e-7), significant(1.6e7)
    ('0.0123', '43210', '2.5e-07', '16000000')
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    exponent = math.floor(math.log10(abs(value)))
    if not -4 <= exponent < 9:
        return f"{value:.{digits}g}"
    return f"{value:.{max(0, digits - 1 - exponent)}f}"
