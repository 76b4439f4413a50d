"""A disk that writes down what is asked of it, fails at a chosen operation, and knows what a power cut may leave.

It stands for the module `os` in `thalweg.machine.disk`, so that it sees every operation of a campaign, a fit or a
report below one folder. Operations are numbered. What the disk may hold after the power went before operation k follows
from the operations before it by the rules of POSIX: bytes of a file are sure after an ``fsync`` of the file, names in a
folder after an ``fsync`` of the folder, and of all others any part may be there.
"""

from __future__ import annotations

import errno
import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from thalweg.machine import disk

ROOT = 0
"""The number of the folder that is watched; each file and folder in it has another."""

Image = dict[str, bytes | None]
"""What a disk holds: the bytes of each file, None for a folder."""


class PowerCut(BaseException):
    """Nothing after this reaches the disk."""


@dataclass(frozen=True)
class Change:
    """One step of what the disk holds.

    Attributes
    ----------
    kind : "make", "move", "drop" (names) or "write", "cut" (bytes), or "force", which makes either sure
    node : the number of the file or folder
    place, source : folder number and name, now and before
    offset, data : what is written where; ``offset`` is the length after a "cut"
    folder : whether a folder is made
    """

    kind: str
    node: int
    place: tuple[int, str] | None = None
    source: tuple[int, str] | None = None
    offset: int = 0
    data: bytes = b""
    folder: bool = False


@dataclass(frozen=True)
class Fault:
    """An error of the disk at operation ``at``, or at all from it on."""

    error: int
    at: int
    lasting: bool = False

    def strikes(self, number: int, allocates: bool) -> bool:
        due = number >= self.at if self.lasting else number == self.at
        return due and (allocates or self.error != errno.ENOSPC)


class FailingDisk:
    """The operating system below ``root``; elsewhere the real one.

    Parameters
    ----------
    root : an empty folder
    fault : an error that it gives
    cut : the operation before which the power goes
    """

    def __init__(self, root: Path, fault: Fault | None = None, cut: int | None = None):
        self.root, self.fault, self.cut = os.fspath(root), fault, cut
        self.operations: list[str] = []
        self.allocating: list[bool] = []
        self.changes: list[Change] = []
        self.known_at: list[int] = []
        self._nodes: dict[tuple[int, str], int] = {}
        self._last_node = ROOT
        self._handles: dict[int, tuple[int, str]] = {}
        self._lock = threading.RLock()
        self._dark = False

    def __getattr__(self, name):
        return getattr(os, name)

    @contextmanager
    def installed(self) -> Iterator[FailingDisk]:
        """In the place of the real one."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(disk, "os", self)
            yield self

    # what the layer asks of the operating system

    def stat(self, path):
        return self._asked("look for", path, os.stat)

    def scandir(self, path):
        return self._asked("list", path, os.scandir)

    def open(self, path, flags, mode=0o777):
        if not self._is_inside(path):
            return os.open(path, flags, mode)
        with self._lock:
            new = bool(flags & os.O_CREAT) and not os.path.lexists(path)
            self._step("make" if new else "open", path, allocates=new)
            handle = os.open(path, flags, mode)
            if new:
                node = self._new_node(path)
                self.changes.append(Change("make", node, self._place(path)))
            else:
                node = self._node(path)
                if flags & os.O_TRUNC:
                    self.changes.append(Change("cut", node))
            self._handles[handle] = node, os.fspath(path)
            return handle

    def close(self, handle):
        self._handles.pop(handle, None)
        os.close(handle)

    def pwrite(self, handle, data, offset):
        if handle not in self._handles:
            return os.pwrite(handle, data, offset)
        node, path = self._handles[handle]
        data = bytes(data)
        with self._lock:
            try:
                self._step("write", path, allocates=True)
            except OSError:
                self._write(handle, node, data[: len(data) // 2], offset)
                raise
            self._write(handle, node, data, offset)
            return len(data)

    def ftruncate(self, handle, length):
        node, path = self._handles[handle]
        with self._lock:
            self._step("cut", path)
            os.ftruncate(handle, length)
            self.changes.append(Change("cut", node, offset=length))

    def fsync(self, handle):
        if handle not in self._handles:
            return
        node, path = self._handles[handle]
        with self._lock:
            self._step("force", path, allocates=True)
            self.changes.append(Change("force", node))

    def mkdir(self, path, mode=0o777):
        if not self._is_inside(path):
            return os.mkdir(path, mode)
        with self._lock:
            self._step("make folder", path, allocates=True)
            os.mkdir(path, mode)
            self.changes.append(Change("make", self._new_node(path), self._place(path), folder=True))

    def replace(self, path, target):
        if not self._is_inside(path):
            return os.replace(path, target)
        with self._lock:
            self._step("move", target, allocates=True)
            node = self._node(path) if os.path.lexists(path) else None
            os.replace(path, target)
            source, place = self._place(path), self._place(target)
            self._nodes[place] = self._nodes.pop(source)
            self.changes.append(Change("move", node, place, source))

    def unlink(self, path):
        self._removed(path, os.unlink)

    def rmdir(self, path):
        self._removed(path, os.rmdir)

    # what a power cut may leave

    def images(self, before: int) -> list[Image]:
        """All different kinds of what may be on the disk when the power goes before operation ``before``.

        All that was written; the last bytes torn; nothing that is not sure; only unsure bytes lost; only unsure names
        lost; and one half of what is not sure, picked by chance.
        """
        done = self.changes[: self.known_at[before] if before < len(self.known_at) else len(self.changes)]
        names, content = _unsure(done)
        chance = random.Random(before)
        losses = [set(), names | content, content, names]
        losses.append({k for k in sorted(names | content) if chance.random() < 0.5})
        found = [_replayed(done, lost) for lost in losses]
        if done and done[-1].kind == "write":
            found.append(_replayed(done, set(), torn=len(done) - 1))
        return [image for k, image in enumerate(found) if image not in found[:k]]

    # how it is kept

    def _step(self, what, path, allocates=False):
        if self._dark:
            raise PowerCut
        number = len(self.operations)
        if number == self.cut:
            self._dark = True
            raise PowerCut
        self.operations.append(f"{what} {os.fspath(path)}")
        self.allocating.append(allocates)
        self.known_at.append(len(self.changes))
        if self.fault is not None and self.fault.strikes(number, allocates):
            raise OSError(self.fault.error, os.strerror(self.fault.error), os.fspath(path))

    def _asked(self, what, path, ask):
        if self._is_inside(path):
            with self._lock:
                self._step(what, path)
        return ask(path)

    def _removed(self, path, remove):
        if not self._is_inside(path):
            return remove(path)
        with self._lock:
            self._step("remove", path)
            node = self._node(path) if os.path.lexists(path) else None
            remove(path)
            self.changes.append(Change("drop", node, self._place(path)))
            del self._nodes[self._place(path)]

    def _write(self, handle, node, data, offset):
        os.pwrite(handle, data, offset)
        self.changes.append(Change("write", node, offset=offset, data=data))

    def _is_inside(self, path):
        return os.path.abspath(path).startswith(self.root + os.sep) or os.path.abspath(path) == self.root

    def _place(self, path):
        above, name = os.path.split(os.path.abspath(path))
        return self._node(above), name

    def _new_node(self, path):
        place = self._place(path)
        self._last_node += 1
        self._nodes[place] = self._last_node
        return self._last_node

    def _node(self, path):
        """The number of what is at ``path``; a file that a library wrote by itself counts as written just now."""
        path = os.path.abspath(path)
        if path == self.root:
            return ROOT
        place = self._place(path)
        if place not in self._nodes:
            folder, node = os.path.isdir(path), self._new_node(path)
            self.changes.append(Change("make", node, place, folder=folder))
            if not folder:
                self.changes.append(Change("write", node, data=Path(path).read_bytes()))
        return self._nodes[place]


def restored(image: Image, folder: Path) -> Path:
    """``folder``, holding ``image``."""
    folder.mkdir(parents=True)
    for name, content in sorted(image.items()):
        if content is None:
            (folder / name).mkdir()
        else:
            (folder / name).write_bytes(content)
    return folder


def _unsure(changes):
    """Numbers of the changes of names, and of bytes, that no later ``force`` made sure."""
    names, content, forced = set(), set(), set()
    for k in range(len(changes) - 1, -1, -1):
        change = changes[k]
        if change.kind == "force":
            forced.add(change.node)
        elif change.kind in ("write", "cut"):
            if change.node not in forced:
                content.add(k)
        elif change.place[0] not in forced:
            names.add(k)
    return names, content


def _replayed(changes, lost, torn=None) -> Image:
    names: dict[tuple[int, str], int] = {}
    content: dict[int, bytearray] = {}
    folders = {ROOT}
    for k, change in enumerate(changes):
        if change.kind == "make":
            if change.folder:
                folders.add(change.node)
            else:
                content[change.node] = bytearray()
        if k in lost or change.kind == "force":
            continue
        if change.kind in ("write", "cut"):
            file = content[change.node]
            if change.kind == "cut":
                del file[change.offset :]
                continue
            data = change.data[: len(change.data) // 2] if k == torn else change.data
            file.extend(bytes(max(0, change.offset - len(file))))
            file[change.offset : change.offset + len(data)] = data
            continue
        for gone in (change.source, change.place if change.kind == "drop" else None):
            if gone is not None and names.get(gone) == change.node:
                del names[gone]
        if change.kind != "drop":
            names[change.place] = change.node
    return dict(_walked(ROOT, "", names, content, folders))


def _walked(node, path, names, content, folders):
    for (above, name), child in names.items():
        if above == node:
            where = f"{path}{name}"
            if child in folders:
                yield where, None
                yield from _walked(child, f"{where}/", names, content, folders)
            else:
                yield where, bytes(content[child])
