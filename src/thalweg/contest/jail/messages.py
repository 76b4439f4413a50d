"""Arrays between judge and entry, over a pipe: eight bytes of length, then an ``.npz`` file of that length.

What an entry sends may be anything. Its length is compared with a limit before it is read, names, types and shapes with
what was asked before memory is taken for them, and objects, which would have to be unpickled, are refused.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from typing import IO, BinaryIO

import numpy as np

HEAD = struct.Struct(">Q")
READY = {"ready": np.ones(1)}
"""What an entry's process says when it has loaded the file, and when ``fit`` is done."""


class Refused(Exception):
    """An entry that is not scored; the message is the cause, in words for the board."""


def send(stream: BinaryIO | IO[bytes], arrays: Mapping[str, np.ndarray]) -> None:
    """Write ``arrays`` to ``stream``; numbers and texts only."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    data = buffer.getbuffer()
    stream.write(HEAD.pack(len(data)))
    stream.write(data)
    stream.flush()


def received(stream: BinaryIO | IO[bytes], most: int) -> bytes:
    """The next message; empty where the stream has ended.

    Raises
    ------
    Refused
        If it is longer than ``most`` bytes, or breaks off.
    """
    head = stream.read(HEAD.size)
    if not head:
        return b""
    if len(head) < HEAD.size:
        raise Refused("answer breaks off")
    (length,) = HEAD.unpack(head)
    if length > most:
        raise Refused(f"answer of {length:,} bytes, more than the {most:,} allowed")
    data = stream.read(length)
    if len(data) < length:
        raise Refused("answer breaks off")
    return data


def arrays_in(data: bytes) -> dict[str, np.ndarray]:
    """The arrays of a message that can be trusted, as an entry's process reads what the judge sends."""
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def checked(data: bytes, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """The arrays of a message that cannot be trusted, as 64-bit numbers.

    Raises
    ------
    Refused
        Unless it holds exactly the arrays of ``shapes``, of numbers, finite and of these shapes.

    Examples
    --------
    >>> buffer = io.BytesIO()
    >>> np.savez(buffer, energies=np.array([1.0, np.nan]))
    >>> checked(buffer.getvalue(), {"energies": (2,)})
    Traceback (most recent call last):
    thalweg.contest.jail.messages.Refused: energies: 1 of 2 numbers are not finite
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            names = sorted(member.filename.removesuffix(".npy") for member in members)
            if names != sorted(shapes):
                raise Refused(
                    f"answer holds {', '.join(names)[:200] or 'nothing'}; asked for {', '.join(shapes)}"
                )
            if any(member.compress_type != zipfile.ZIP_STORED for member in members):
                raise Refused("answer is compressed; send arrays as numpy.savez does")
            return {name: _array(archive.read(f"{name}.npy"), name, shape) for name, shape in shapes.items()}
    except Refused:
        raise
    except Exception as error:
        raise Refused(f"answer is no file of arrays ({type(error).__name__})") from error


def _array(data: bytes, name: str, shape: tuple[int, ...]) -> np.ndarray:
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):
        raise Refused(f"{name}: version {version} of NumPy's format; numbers are stored in version (1, 0)")
    given, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.kind not in "iufb":
        raise Refused(f"{name}: numbers are asked for, not {'Python objects' if dtype.hasobject else dtype}")
    if given != shape:
        raise Refused(f"{name}: shape {given}; asked for {shape}")
    count = int(np.prod(shape, dtype=np.int64))
    values = np.frombuffer(data, dtype, count, offset=stream.tell()).astype(np.float64)
    if bad := int((~np.isfinite(values)).sum()):
        raise Refused(f"{name}: {bad} of {count} numbers are not finite")
    return values.reshape(shape, order="F" if fortran else "C")
