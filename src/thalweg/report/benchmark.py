"""Benchmark rows: what was measured, against which target, beside which peer.

A benchmark is a module ``benchmarks/<name>.py`` of the checkout with one function,
``rows(data: Path, quick: bool) -> Iterator[Row]``; nothing in its table is typed by hand.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of a benchmark table.

    Attributes
    ----------
    test : what was measured, such as ``"alanine dipeptide, OBC2, 32 replicas"``
    value : the measured number, or None where the row was skipped (``met`` is then None too)
    unit : unit of ``value``, ``spread`` and ``peer_value``
    spread : standard error or half range over repeats, in the same unit, or None
    target : the target in words, such as ``"ratio >= 2"``, or why the row was skipped
    met : whether the target is reached; None where there is no target
    peer : the program compared with and its version, or ``"exact"``, ``"published"``, or None
    peer_value : the peer's number, in the same unit
    ratio : peer over ours or ours over peer, whichever makes larger better; None without a peer

    Examples
    --------
    >>> Row("counts, 1e7 steps", 0.05, "s", target="ratio >= 10", met=True, peer_value=0.85, ratio=17.0).met
    True
    """

    test: str
    value: float | None
    unit: str
    spread: float | None = None
    target: str | None = None
    met: bool | None = None
    peer: str | None = None
    peer_value: float | None = None
    ratio: float | None = None
