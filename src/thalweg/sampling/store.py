"""A folder of committed entries, each there whole or not at all, and never changed afterwards.

An entry, named ``kind/name`` as in ``segments/s0-r1-drive-0``, is a folder of files. It is written in a
hidden folder, a manifest with the SHA-256 of each file is added, every byte is forced to disk, and one rename
makes it visible. Killed at any moment, a writer leaves either the entry or a hidden folder that the next
campaign removes. Wall times go to the diary in ``log/``, which the digest leaves out: two stores made by the
same campaign have the same digest, whatever happened on the way.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
UNFINISHED = ".unfinished"
LOG = "log"


ENTRY = re.compile(r"\w[\w.-]*/\w[\w.-]*")
"""What entries are called."""


class StoreError(RuntimeError):
    """A store cannot be used or written; the message says what is kept and what to do."""


class Store:
    """The entries under ``path``; opening it makes the folder if there is none.

    Examples
    --------
    >>> import tempfile
    >>> store = Store(Path(tempfile.mkdtemp()) / "campaign")
    >>> _ = store.commit("models/m0", lambda folder: (folder / "a.txt").write_text("1"))
    >>> store.has("models/m0"), store.ids("models"), store.file("models/m0", "a.txt").read_text()
    (True, ['models/m0'], '1')
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        with self._explained("be opened"):
            self.path.mkdir(parents=True, exist_ok=True)

    def folder(self, entry: str) -> Path:
        """Where an entry is, or will be.

        Raises
        ------
        StoreError
            If ``entry`` is no ``kind/name``: no entry is outside the store.
        """
        return self.path / named(entry)

    def has(self, entry: str) -> bool:
        return (self.folder(entry) / MANIFEST).exists()

    def ids(self, kind: str = "*") -> list[str]:
        """Names of all committed entries, or of those of one kind, sorted."""
        return sorted(str(m.parent.relative_to(self.path)) for m in self.path.glob(f"{kind}/*/{MANIFEST}"))

    def commit(self, entry: str, write: Callable[[Path], Any]) -> Path:
        """The folder of ``entry``, after ``write(folder)`` has filled it; one that exists is left as it is.

        Raises
        ------
        StoreError
            If the disk is full or cannot be written. Nothing of the entry is left then.
        """
        final = self.folder(entry)
        if self.has(entry):
            return final
        draft = self.path / UNFINISHED / f"{socket.gethostname()}:{os.getpid()}:{entry.replace('/', ':')}"
        with self._explained(f"take {entry}"):
            try:
                shutil.rmtree(draft, ignore_errors=True)
                draft.mkdir(parents=True)
                write(draft)
                names = sorted(str(f.relative_to(draft)) for f in draft.rglob("*") if f.is_file())
                write_json(draft / MANIFEST, {name: sha256(draft / name) for name in names})
                for name in [*names, MANIFEST, "."]:
                    _force_to_disk(draft / name)
                final.parent.mkdir(exist_ok=True)
                try:
                    os.rename(draft, final)
                except OSError as error:
                    if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                        raise
                _force_to_disk(final.parent)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        return final

    def file(self, entry: str, name: str) -> Path:
        """Path of one file of an entry, after comparing it with the manifest.

        Raises
        ------
        StoreError
            If the entry or file is missing, or the file is not what was committed.
        """
        if not self.has(entry):
            raise StoreError(
                f"{self.path} holds no {entry}; it has {', '.join(self.ids()) or 'no entry at all'}"
            )
        problem = self._problem(entry, name, self._manifest(entry).get(name))
        if problem:
            raise StoreError(
                f"{problem}; remove the folder {self.folder(entry)} and run again to make it anew"
            )
        return self.folder(entry) / name

    def problems(self) -> list[str]:
        """What is wrong with committed files: missing, changed, or in no manifest; every byte is read."""
        found = []
        for entry in self.ids():
            manifest = self._manifest(entry)
            present = {
                str(f.relative_to(self.folder(entry))) for f in self.folder(entry).rglob("*") if f.is_file()
            }
            found += [
                f"{entry}/{name} was never committed" for name in sorted(present - {*manifest, MANIFEST})
            ]
            found += filter(None, (self._problem(entry, name, digest) for name, digest in manifest.items()))
        return found

    def digest(self) -> str:
        """SHA-256 over the names and bytes of all committed files."""
        total = hashlib.sha256()
        for entry in self.ids():
            for file in sorted(f for f in self.folder(entry).rglob("*") if f.is_file()):
                total.update(f"{file.relative_to(self.path)} {sha256(file)}\n".encode())
        return total.hexdigest()

    def note(self, **record: Any) -> None:
        """Append one line to the diary, ``log/diary.jsonl``."""
        with self._explained("note what it did"):
            (self.path / LOG).mkdir(exist_ok=True)
            with open(self.path / LOG / "diary.jsonl", "a") as diary:
                diary.write(json.dumps(record, sort_keys=True) + "\n")

    def diary(self) -> list[dict[str, Any]]:
        """All notes, oldest first; a line cut short by a kill is left out."""
        path = self.path / LOG / "diary.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("}")]

    @contextmanager
    def campaign(self) -> Iterator[Store]:
        """Hold the store for one campaign; the system lets go of it when the process ends, however it ends.

        What earlier, dead writers left unfinished is removed.

        Raises
        ------
        StoreError
            If another process holds it.
        """
        with self._explained("be locked"):
            lock = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.read(lock, 100).decode() or "another process"
                raise StoreError(
                    f"{self.path} is in use by {holder}; wait for it, stop it, or use another folder"
                ) from None
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
            self._sweep()
            yield self
        finally:
            os.close(lock)

    def _sweep(self):
        for draft in (self.path / UNFINISHED).glob("*"):
            host, pid = draft.name.split(":")[:2]
            if host == socket.gethostname() and not _alive(int(pid)):
                shutil.rmtree(draft, ignore_errors=True)

    def _manifest(self, entry):
        try:
            return json.loads((self.folder(entry) / MANIFEST).read_text())
        except ValueError:
            raise StoreError(
                f"the manifest of {entry} is damaged; remove {self.folder(entry)} and run again"
            ) from None

    def _problem(self, entry, name, digest):
        path = self.folder(entry) / name
        if digest is None:
            return f"{entry} was committed without a file {name}"
        if not path.exists():
            return f"{entry}/{name} is missing"
        if sha256(path) != digest:
            return f"{entry}/{name} is not what was committed (its SHA-256 differs)"
        return None

    @contextmanager
    def _explained(self, act):
        try:
            yield
        except OSError as error:
            kept = f"{len(self.ids())} entries committed before are kept, nothing is half-written"
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                reason, advice = "the disk is full", "free some space and run the same command again"
            elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
                reason, advice = "the folder cannot be written", "give a folder you may write to"
            else:
                reason, advice = str(error), "see to that and run the same command again"
            raise StoreError(f"{self.path} cannot {act}: {reason}; {kept}; {advice}") from error


def named(entry: str) -> str:
    """``entry``, if it can be one.

    Raises
    ------
    StoreError
        If it is no ``kind/name``, as from a plan that leads out of the store.
    """
    if not isinstance(entry, str) or not ENTRY.fullmatch(entry):
        raise StoreError(
            f"{entry!r} is no entry of a store, which is called kind/name; remove the plan that names it"
        )
    return entry


def write_json(path: Path, content: Any) -> None:
    """Write JSON the one way that gives the same bytes for the same content."""
    path.write_text(json.dumps(content, sort_keys=True, indent=1) + "\n")


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _force_to_disk(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
