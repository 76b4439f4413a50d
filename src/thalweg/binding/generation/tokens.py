"""Strings of symbols as short rows of tokens: pairs that stand side by side most often become one [sennrich2016].

Symbols are what a notation of molecules is made of, such as ``c``, ``[nH]`` and ``(`` of SMILES. A third as many tokens
as symbols say the same, rings and chains being tokens of their own, so that networks have a third as much to read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.shapes import Int

PAD, START, END = 0, 1, 2
"""Tokens that are no symbol: what fills up, what a string begins after and what it ends with."""

FIRST = 3
"""Token of the first symbol."""


@dataclass(frozen=True)
class TokenAlphabet:
    """Symbols, and pairs that were merged.

    Attributes
    ----------
    symbols : tokens from `FIRST` on
    merges : pairs of tokens, in the order in which they were merged, the tokens after those of symbols
    """

    symbols: tuple[str, ...]
    merges: tuple[tuple[int, int], ...] = ()

    @staticmethod
    def of(strings: Sequence[Sequence[str]], merges: int = 300) -> TokenAlphabet:
        """All symbols of these strings, and the most frequent pairs, at most so many.

        Raises
        ------
        ValueError
            If there is no symbol.

        Examples
        --------
        >>> TokenAlphabet.of(["CCO", "CCN"], merges=1)
        TokenAlphabet(symbols=('C', 'N', 'O'), merges=((3, 3),))
        """
        symbols = tuple(sorted({symbol for each in strings for symbol in each}))
        if not symbols:
            raise ValueError("there are no strings; give at least one with a symbol")
        plain = TokenAlphabet(symbols)
        row, pairs = plain._in_a_row(strings), []
        for token in range(len(plain), len(plain) + merges):
            inside = (row[:-1] >= FIRST) & (row[1:] >= FIRST)
            codes = row[:-1][inside] * token + row[1:][inside]
            if not len(codes):
                break
            counts = np.bincount(codes)
            if counts.max() < 2:
                break
            pair = divmod(int(counts.argmax()), token)
            pairs.append(pair)
            row = _merged(row, pair, token)
        return TokenAlphabet(symbols, tuple(pairs))

    def __len__(self) -> int:
        """Tokens, those that are no symbols included."""
        return FIRST + len(self.symbols) + len(self.merges)

    def tokens(self, strings: Sequence[Sequence[str]]) -> list[Int[np.ndarray, " tokens"]]:
        """Each string as tokens, without `START` and `END`.

        Raises
        ------
        ValueError
            If a string has a symbol that is not in the alphabet.

        Examples
        --------
        >>> [each.tolist() for each in TokenAlphabet(("C", "O"), ((3, 3),)).tokens(["CCO", "CCC"])]
        [[5, 4], [5, 3]]
        """
        if not len(strings):
            return []
        row = self._in_a_row(strings)
        for token, pair in enumerate(self.merges, FIRST + len(self.symbols)):
            row = _merged(row, pair, token)
        return np.split(row[row != END], np.cumsum(np.diff(np.flatnonzero(row == END), prepend=-1) - 1)[:-1])

    def strings(self, rows: Int[np.ndarray, "strings length"]) -> list[tuple[str, ...]]:
        """Symbols of rows of tokens, each up to its `END`.

        Examples
        --------
        >>> TokenAlphabet(("C", "O"), ((3, 3),)).strings(np.array([[5, 4, END, PAD]]))
        [('C', 'C', 'O')]
        """
        written: list[tuple[str, ...]] = [()] * FIRST + [(each,) for each in self.symbols]
        for first, second in self.merges:
            written.append(written[first] + written[second])
        found = []
        for row in rows.tolist():
            own = row[: row.index(END)] if END in row else row
            found.append(tuple(symbol for token in own for symbol in written[token]))
        return found

    def _in_a_row(self, strings: Sequence[Sequence[str]]) -> np.ndarray:
        """Tokens of symbols of all strings one after another, each followed by `END`."""
        number = {symbol: k for k, symbol in enumerate(self.symbols, FIRST)}
        try:
            return np.array([k for each in strings for k in (*map(number.__getitem__, each), END)], np.int64)
        except KeyError as error:
            raise ValueError(
                f"the symbol {error.args[0]!r} was in no string that the alphabet was made of; leave such "
                "strings out"
            ) from None


def _merged(row: np.ndarray, pair: tuple[int, int], token: int) -> np.ndarray:
    """The row with ``token`` in place of each pair, from left to right."""
    starts = np.flatnonzero((row[:-1] == pair[0]) & (row[1:] == pair[1]))
    if pair[0] == pair[1] and len(starts):
        # of a run of equals every second pair is taken
        begins = np.r_[True, np.diff(starts) > 1]
        run = np.maximum.accumulate(np.where(begins, np.arange(len(starts)), 0))
        starts = starts[(np.arange(len(starts)) - run) % 2 == 0]
    merged = row.copy()
    merged[starts] = token
    return np.delete(merged, starts + 1)
