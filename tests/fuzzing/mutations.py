"""Damage that files take: bytes flipped, put in, taken out, cut off; lines swapped; numbers grown; other encodings."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

NUMBER = re.compile(rb"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?")

HUGE = (
    b"0",
    b"-1",
    b"1e308",
    b"-1e999",
    b"nan",
    b"inf",
    b"9" * 25,
    b"2147483648",
    b"18446744073709551616",
    b"1e-320",
)

FOREIGN = (
    "\ufeff",
    "é",
    "\u202e",
    "日本",
    "\x00",
    "\x85",
    "１",
    "'",
    '"',
    "\\",
    "[",
    "{",
    "#",
    "%s",
    "\t",
    "\r",
)


def mutated(content: bytes, random: Random) -> bytes:
    """``content`` with one to four kinds of damage."""
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        content = random.choice(KINDS)(content, random)
    return content


def flipped(content: bytes, random: Random) -> bytes:
    """A few bits are others, most of the time near the front, where headers are."""
    broken = bytearray(content or b"\0")
    for _ in range(random.choice((1, 1, 4, 16))):
        end = len(broken) if random.random() < 0.5 else min(len(broken), 256)
        broken[random.randrange(end)] ^= 1 << random.randrange(8)
    return bytes(broken)


def word_replaced(content: bytes, random: Random) -> bytes:
    """A word of four bytes is an extreme one, in either order."""
    word = random.choice((0, 1, -1, 2**31 - 1, -(2**31), 1 << 24, random.randrange(-(2**31), 2**31)))
    place = 4 * random.randrange(max(1, min(len(content) // 4, random.choice((40, 10**9)))))
    return (
        content[:place]
        + word.to_bytes(4, random.choice(("big", "little")), signed=True)
        + content[place + 4 :]
    )


def inserted(content: bytes, random: Random) -> bytes:
    """Some bytes come in between."""
    place = random.randrange(len(content) + 1)
    return content[:place] + random.randbytes(random.choice((1, 2, 7, 64))) + content[place:]


def deleted(content: bytes, random: Random) -> bytes:
    """Some bytes are gone."""
    place = random.randrange(len(content) + 1)
    return content[:place] + content[place + random.choice((1, 2, 4, 50, 1000)) :]


def truncated(content: bytes, random: Random) -> bytes:
    """The end is gone."""
    return content[: random.randrange(len(content) + 1)]


def doubled(content: bytes, random: Random) -> bytes:
    """A part stands there twice."""
    first, last = sorted(random.randrange(len(content) + 1) for _ in range(2))
    return content[:last] + content[first:]


def lines_swapped(content: bytes, random: Random) -> bytes:
    """Two lines have changed places, or one is twice there or gone."""
    lines = content.split(b"\n")
    first, second = random.randrange(len(lines)), random.randrange(len(lines))
    lines[first], lines[second] = lines[second], lines[first]
    if random.random() < 0.3:
        lines.insert(first, lines[second])
    if random.random() < 0.3:
        del lines[second]
    return b"\n".join(lines)


def number_replaced(content: bytes, random: Random) -> bytes:
    """A number is huge, negative, or none."""
    found = list(NUMBER.finditer(content))
    if not found:
        return content
    one = random.choice(found)
    return content[: one.start()] + random.choice(HUGE) + content[one.end() :]


def word_swapped(content: bytes, random: Random) -> bytes:
    """Two words have changed places."""
    words = re.split(rb"(\W+)", content)
    first, second = random.randrange(len(words)), random.randrange(len(words))
    words[first], words[second] = words[second], words[first]
    return b"".join(words)


def foreign(content: bytes, random: Random) -> bytes:
    """A character of another alphabet or meaning, in one of several encodings."""
    place = random.randrange(len(content) + 1)
    character = random.choice(FOREIGN)
    encoding = random.choice(("utf-8", "utf-16", "latin-1", "utf-32"))
    return content[:place] + character.encode(encoding, "replace") + content[place:]


KINDS: tuple[Callable[[bytes, Random], bytes], ...] = (
    flipped,
    word_replaced,
    inserted,
    deleted,
    truncated,
    doubled,
    lines_swapped,
    number_replaced,
    word_swapped,
    foreign,
)
