"""Frames where they lie: files of a parallel file system or objects of a store, read a stretch at a time.

Addresses are paths, or what fsspec knows (``s3://``, ``gs://``, ``https://``, ``memory://``, ...; each may need a
package of its own, which fsspec names). What is sent to workers is the address, never the frames.

==================  ================================================================================================
`StoredArray`       ``.npy``: any stretch is read by itself, so that one file is many shares
`StoredFeatures`    DCD, XTC, TRR, NetCDF, ...: their readers take paths on this machine, so that a file that lies
                    elsewhere is fetched as a whole while it is read, and is one share; features are made on the fly
==================  ================================================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from thalweg.dynamics.engine import Variable
from thalweg.interop.files.trajectories import TrajectoryFile
from thalweg.interop.measured.frame_features import FeaturesAlongFile, Measurement
from thalweg.machine.reading import UnreadableFile
from thalweg.systems.topology import Topology
from thalweg.time_series.trajectories import CHUNK

AT_ONCE = 1 << 25
"""Bytes asked of a store at once; two such pieces are held."""

HEADER = 1 << 12
"""Bytes in which the header of an array ends."""


def _is_elsewhere(address: str) -> bool:
    """Whether an address is one of fsspec rather than a path.

    Examples
    --------
    >>> _is_elsewhere("s3://bucket/run.npy"), _is_elsewhere("/data/run.npy")
    (True, False)
    """
    return "://" in address or "::" in address


def stored_size(address: str) -> int:
    """Bytes of a file or object.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ImportError
        If fsspec, or what it needs for such addresses, is not installed.
    """
    if not _is_elsewhere(address):
        return Path(address).stat().st_size
    files, path = _files(address)
    return int(files.size(path))


@dataclass(frozen=True)
class StoredArray:
    """An array ``(frames, features)`` in an ``.npy`` file, wherever it lies: a block of `Trajectories`.

    Parameters
    ----------
    address : path or address of fsspec

    Raises
    ------
    FileNotFoundError
        If there is none.
    UnreadableFile
        If it is no array of real numbers with rows one after the other, or shorter than it says.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "x.npy"
    >>> np.save(path, np.arange(6.0).reshape(3, 2))
    >>> StoredArray(str(path))[1:3].tolist()
    [[2.0, 3.0], [4.0, 5.0]]
    """

    address: str
    shape: tuple[int, ...] = field(init=False)
    dtype: np.dtype = field(init=False)
    offset: int = field(init=False, repr=False)

    def __post_init__(self):
        size = stored_size(self.address)
        head = BytesIO(_bytes(self.address, 0, min(HEADER, size)))
        try:
            version = np.lib.format.read_magic(head)
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, by_columns, dtype = read[version](head)
        except (ValueError, KeyError) as error:
            raise UnreadableFile(
                f"{self.address} is no .npy array ({error}); write it by numpy.save"
            ) from error
        if dtype.kind not in "fiu" or by_columns:
            raise UnreadableFile(
                f"{self.address} holds {dtype} {'by columns' if by_columns else ''}; needed are real numbers, row by "
                "row: numpy.save(path, numpy.ascontiguousarray(x))"
            )
        needed = head.tell() + int(np.prod(shape)) * dtype.itemsize
        if size < needed:
            raise UnreadableFile(f"{self.address} has {size} bytes and says {needed}; copy it again")
        object.__setattr__(self, "shape", tuple(shape))
        object.__setattr__(self, "dtype", dtype)
        object.__setattr__(self, "offset", head.tell())

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, chosen: slice) -> np.ndarray:
        start, stop, step = chosen.indices(len(self))
        row = self.dtype.itemsize * int(np.prod(self.shape[1:]))
        data = _bytes(self.address, self.offset + start * row, self.offset + max(start, stop) * row)
        return np.frombuffer(data, self.dtype).reshape(-1, *self.shape[1:])[::step]

    def __iter__(self) -> Iterator[np.ndarray]:
        for start in range(0, len(self), CHUNK):
            yield self[start : start + CHUNK]


@dataclass(frozen=True)
class StoredFeatures:
    """Features along a trajectory file that may lie elsewhere: a `Source` of `Trajectories`.

    Parameters
    ----------
    address : path or address of fsspec
    topology : of its atoms
    features : a variable or a measurement
    frames : how many there are; found by reading it all once where None
    """

    address: str
    topology: Topology
    features: Variable | Measurement
    frames: int | None = None

    @property
    def shape(self) -> tuple[int, int] | None:
        """Frames and values, where the frames are known."""
        return None if self.frames is None else (self.frames, len(self.features.names))

    def __iter__(self) -> Iterator[np.ndarray]:
        with _fetched(self.address) as path:
            yield from FeaturesAlongFile(TrajectoryFile(path, self.topology), self.features)


@contextmanager
def _fetched(address: str) -> Iterator[Path]:
    """A path at which the file can be read: its own, or that of a copy that goes when this ends."""
    if not _is_elsewhere(address):
        yield Path(address)
        return
    files, path = _files(address)
    with TemporaryDirectory(prefix="thalweg-") as folder:
        here = Path(folder) / Path(path).name
        files.get_file(path, str(here))
        yield here


def _files(address: str) -> tuple[Any, str]:
    """The file system of fsspec that knows an address, and the path there."""
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise ImportError(f"{address} needs fsspec: pip install thalweg[cluster]") from error
    return url_to_fs(address)


def _bytes(address: str, start: int, stop: int) -> bytes:
    """Bytes ``[start, stop)`` of a file or object."""
    if not _is_elsewhere(address):
        with open(address, "rb") as file:
            file.seek(start)
            return file.read(stop - start)
    pieces = range(start // AT_ONCE, -(-stop // AT_ONCE))
    data = b"".join(_piece(address, piece) for piece in pieces)
    first = start - pieces.start * AT_ONCE
    return data[first : first + stop - start]


@lru_cache(maxsize=2)
def _piece(address: str, number: int) -> bytes:
    """One of the pieces that a store is asked for."""
    files, path = _files(address)
    return files.cat_file(path, start=number * AT_ONCE, end=(number + 1) * AT_ONCE)
