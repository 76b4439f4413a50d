"""A folder of committed entries, each there whole or not at all, and never changed afterwards.

An entry, named ``kind/name`` as in ``segments/s0-r1-drive-0``, is a folder of files. It is written in a
hidden folder, a manifest with the SHA-256 of each file is added, every byte is forced to disk, and one rename
makes it visible. Killed at any moment, a writer leaves either the entry or a hidden folder that the next
campaign removes. Wall times go to the diary in ``log/``, which the digest leaves out: two stores made by the
same campaign have the same digest, whatever happened on the way.

A campaign writes under a lease, a hidden folder that is its alone. The next campaign takes that folder away by one
rename, so that a worker of an earlier one that is still at work, on this machine or another, finds nothing to rename:
it cannot add an entry any more.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from thalweg.machine import disk
from thalweg.machine.processes import is_alive
from thalweg.machine.whole_files import FOREIGN, write_whole

MANIFEST = "manifest.json"
UNFINISHED = ".unfinished"
DAMAGED = ".damaged"
LOCK = ".lock"
BEGUN = ".begun"
LOG = "log"
LEASE = "lease-"


ENTRY = re.compile(r"\w[\w.-]*/\w[\w.-]*")
"""What entries are called."""

LOOSE = re.compile(r"(?P<host>[^:]+):(?P<process>\d+):.*")
"""What drafts are called that were written outside a campaign."""


class StoreError(RuntimeError):
    """A store cannot be used or written; the message says what is kept and what to do."""


class Store:
    """The entries under ``path``; opening it makes the folder if there is none.

    Parameters
    ----------
    path : the folder
    lease : of the campaign that a worker writes for (see `campaign`); None to write outside any campaign

    Examples
    --------
    >>> import tempfile
    >>> store = Store(Path(tempfile.mkdtemp()) / "campaign")
    >>> _ = store.commit("models/m0", lambda folder: (folder / "a.txt").write_text("1"))
    >>> store.has("models/m0"), store.ids("models"), store.file("models/m0", "a.txt").read_text()
    (True, ['models/m0'], '1')
    """

    def __init__(self, path: str | os.PathLike, lease: str | None = None):
        self.path = Path(path)
        self.lease = lease
        if lease is None:
            with self._explained("be opened"):
                disk.make_folder(self.path)

    def folder(self, entry: str) -> Path:
        """Where an entry is, or will be.

        Raises
        ------
        StoreError
            If ``entry`` is no ``kind/name``: no entry is outside the store.
        """
        return self.path / named(entry)

    def has(self, entry: str) -> bool:
        """Whether ``entry`` is committed."""
        with self._explained(f"look for {entry}"):
            return disk.exists(self.folder(entry) / MANIFEST)

    def ids(self, kind: str = "*") -> list[str]:
        """Names of all committed entries, or of those of one kind, sorted."""
        with self._explained("be listed"):
            return self._ids(kind)

    def commit(self, entry: str, write: Callable[[Path], Any]) -> Path:
        """The folder of ``entry``, after ``write(folder)`` has filled it; one that exists is left as it is.

        Raises
        ------
        StoreError
            If the disk is full or cannot be written, if another campaign has taken the store, or if a folder without
            manifest is in the way. Nothing of the entry is left then.
        """
        final = self.folder(entry)
        if self.has(entry):
            return final
        with self._explained(f"take {entry}"):
            draft = self._draft(entry)
            try:
                write(draft)
                self._seal(draft)
                disk.make_folder(final.parent)
                self._reveal(draft, final)
            finally:
                _discard(draft)
            disk.force(final.parent)
            disk.force(self.path)
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
        with self._explained(f"read {entry}"):
            problem = self._problem(entry, name, self._manifest(entry).get(name))
        if problem:
            raise StoreError(f"{problem}; run the campaign again: it is set aside and made anew")
        return self.folder(entry) / name

    def problems(self) -> list[str]:
        """What is wrong with the store, damage first, then what was never committed; every byte is read."""
        damaged = [problem for problems in self.damage().values() for problem in problems]
        return damaged + self.strangers()

    def damage(self) -> dict[str, list[str]]:
        """Entries whose committed files are missing or changed, and what is wrong with each; every byte is read."""
        found = {}
        with self._explained("be looked through"):
            for entry in self._folders():
                try:
                    manifest = self._manifest(entry)
                except StoreError as damaged:
                    found[entry] = [str(damaged)]
                    continue
                problems = [self._problem(entry, name, digest) for name, digest in manifest.items()]
                found[entry] = [problem for problem in problems if problem]
        return {entry: problems for entry, problems in found.items() if problems}

    def strangers(self) -> list[str]:
        """Files that no campaign has put there; they are ignored everywhere."""
        with self._explained("be looked through"):
            return [f"{name} is no part of the store and is ignored" for name in self._foreign()]

    def set_aside(self, entry: str) -> Path:
        """Take a damaged entry out of the store, to be made again; where its files are from then on.

        Examples
        --------
        >>> import tempfile
        >>> store = Store(tempfile.mkdtemp())
        >>> folder = store.commit("models/m0", lambda folder: (folder / "a.txt").write_text("1"))
        >>> _ = (folder / "a.txt").write_text("2")
        >>> store.damage()
        {'models/m0': ['models/m0/a.txt is not what was committed (its SHA-256 differs)']}
        >>> store.set_aside("models/m0").relative_to(store.path), store.ids()
        (PosixPath('.damaged/models:m0-0'), [])
        """
        aside = self.path / DAMAGED
        with self._explained(f"set {entry} aside"):
            disk.make_folder(aside)
            before = len([place for place in disk.listing(aside) if place.name.startswith(_flat(entry))])
            place = aside / f"{_flat(entry)}{before}"
            disk.move(self.folder(entry), place)
            disk.force(self.folder(entry).parent)
            disk.force(aside)
        return place

    def digest(self) -> str:
        """SHA-256 over the names and bytes of all committed files."""
        total = hashlib.sha256()
        with self._explained("be read"):
            for entry in self._ids():
                for name in sorted([*self._manifest(entry), MANIFEST]):
                    total.update(f"{entry}/{name} {sha256(self.folder(entry) / name)}\n".encode())
        return total.hexdigest()

    def bind(self, name: str, digest: str) -> None:
        """Remember the ``digest`` of what the store was begun for, called ``name``; refuse another from then on.

        Raises
        ------
        StoreError
            If the store was begun for another.

        Examples
        --------
        >>> import tempfile
        >>> store = Store(tempfile.mkdtemp())
        >>> store.bind("study", "1a2b")
        >>> store.bind("study", "1a2b")
        >>> store.bind("study", "3c4d")
        Traceback (most recent call last):
        ...
        thalweg.sampling.store.StoreError: ... was begun for another study (1a2b, not 3c4d); use another folder, or go
        on with that one
        """
        file = self.path / BEGUN / name
        with self._explained(f"be bound to its {name}"):
            if not disk.exists(file):
                disk.make_folder(file.parent)
                write_whole(file, digest + "\n")
                disk.force(self.path)
            begun = disk.read_bytes(file).decode(errors="replace").strip()
        if begun != digest:
            raise StoreError(
                f"{self.path} was begun for another {name} ({begun[:12]}, not {digest[:12]}); use another folder, or "
                "go on with that one"
            )

    def note(self, **record: Any) -> None:
        """Append one line to the diary, ``log/diary.jsonl``."""
        with self._explained("note what it did"):
            disk.make_folder(self.path / LOG)
            disk.append(self.path / LOG / "diary.jsonl", json.dumps(record, sort_keys=True))

    def diary(self) -> list[dict[str, Any]]:
        """All notes, oldest first; a line cut short by a kill is left out."""
        path = self.path / LOG / "diary.jsonl"
        with self._explained("be read"):
            lines = disk.read_bytes(path).split(b"\n") if disk.exists(path) else []
        notes = []
        for line in lines:
            with suppress(ValueError):
                notes.append(json.loads(line))
        return notes

    @contextmanager
    def campaign(self) -> Iterator[Store]:
        """The store, held for one campaign with a lease; the system lets go when the process ends, however it ends.

        Whatever earlier campaigns left unfinished is removed, and what their workers still write is refused.

        Raises
        ------
        StoreError
            If another process holds it.
        """
        with ExitStack() as stack:
            stack.enter_context(self.locked())
            with self._explained("be locked"):
                self._sweep()
                held = Store(self.path, LEASE + secrets.token_hex(8))
                disk.make_folder(self.path / UNFINISHED / held.lease)
            stack.callback(_end, self.path / UNFINISHED / held.lease)
            yield held

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from this store; the system lets go when the process ends, however it ends.

        Raises
        ------
        StoreError
            If another process holds it.
        """
        holder = f"process {os.getpid()} on {socket.gethostname()}"
        with ExitStack() as stack:
            with self._explained("be locked"):
                try:
                    stack.enter_context(disk.locked(self.path / LOCK, holder))
                except disk.Held as other:
                    raise StoreError(
                        f"{self.path} is in use by {other}; wait for it, stop it, or use another folder"
                    ) from None
            yield

    def _draft(self, entry):
        """A new hidden folder; under a lease there is none any more once that was revoked."""
        tail = f"{secrets.token_hex(4)}:{entry.replace('/', ':')}"
        hidden = self.path / UNFINISHED
        if self.lease is None:
            disk.make_folder(hidden)
            draft = hidden / f"{socket.gethostname()}:{os.getpid()}:{tail}"
        else:
            draft = hidden / self.lease / tail
        disk.make_new_folder(draft)
        return draft

    @staticmethod
    def _seal(draft):
        """Add the manifest and force all to disk, folders after what is in them."""
        names = _names(draft)
        disk.write(draft / MANIFEST, _json({name: sha256(draft / name) for name in names}))
        for name in [*names, MANIFEST]:
            disk.force(draft / name)
        folders = {parent for name in names for parent in Path(name).parents} | {Path(".")}
        for folder in sorted(folders, key=lambda path: len(path.parts), reverse=True):
            disk.force(draft / folder)

    def _reveal(self, draft, final):
        try:
            disk.move(draft, final)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            if not disk.exists(final / MANIFEST):
                raise StoreError(
                    f"{final} is there without a {MANIFEST}, so it was not made by a campaign or has lost it; remove "
                    "it and run again"
                ) from None

    def _sweep(self):
        for draft in disk.listing(self.path / UNFINISHED):
            loose = LOOSE.fullmatch(draft.name)
            if draft.name.startswith(LEASE):
                _revoke(draft)
            elif loose and loose["host"] == socket.gethostname() and not is_alive(int(loose["process"])):
                _discard(draft)

    def _ids(self, kind="*"):
        kinds = disk.listing(self.path) if kind == "*" else [self.path / kind]
        entries = (entry for folder in kinds for entry in disk.listing(folder))
        names = ((f"{entry.parent.name}/{entry.name}", entry) for entry in entries)
        return sorted(
            name for name, entry in names if ENTRY.fullmatch(name) and disk.exists(entry / MANIFEST)
        )

    def _folders(self):
        """Committed entries, and folders beside them that have lost their manifest."""
        entries = self._ids()
        beside = [
            path
            for kind in {Path(entry).parent for entry in entries}
            for path in disk.listing(self.path / kind)
        ]
        names = (f"{path.parent.name}/{path.name}" for path in beside if path.is_dir())
        return sorted({*entries, *(name for name in names if ENTRY.fullmatch(name))})

    def _foreign(self):
        """Files that others left beside kinds and entries, and in entries."""
        entries = self._ids()
        kinds = sorted({Path(entry).parent for entry in entries})
        places = [Path("."), Path(UNFINISHED), *kinds]
        beside = [place / path.name for place in places for path in disk.listing(self.path / place)]
        found = [
            str(path)
            for path in beside
            if FOREIGN.fullmatch(path.name) or (path.parent in kinds and (self.path / path).is_file())
        ]
        for entry in entries:
            own = {*self._manifest(entry), MANIFEST}
            found += [f"{entry}/{name}" for name in _names(self.folder(entry)) if name not in own]
        return found

    def _manifest(self, entry):
        try:
            manifest = json.loads(disk.read_bytes(self.folder(entry) / MANIFEST))
            if isinstance(manifest, dict):
                return manifest
        except FileNotFoundError:
            raise StoreError(f"{entry} has lost its {MANIFEST}") from None
        except ValueError:
            pass
        raise StoreError(
            f"the manifest of {entry} is damaged; run the campaign again: it is set aside and made anew"
        ) from None

    def _problem(self, entry, name, digest):
        path = self.folder(entry) / name
        if digest is None:
            return f"{entry} was committed without a file {name}"
        if not disk.exists(path):
            return f"{entry}/{name} is missing"
        if sha256(path) != digest:
            return f"{entry}/{name} is not what was committed (its SHA-256 differs)"
        return None

    @contextmanager
    def _explained(self, act):
        try:
            yield
        except OSError as error:
            raise StoreError(f"{self.path} cannot {act}: {self._reason(error)}") from error

    def _reason(self, error):
        """What went wrong, what is kept and what to do."""
        try:
            kept = f"{len(self._ids())} entries committed before are kept, nothing is half-written"
            if self.lease is not None and not disk.exists(self.path / UNFINISHED / self.lease):
                return f"its campaign is over or was replaced by another, so this comes too late; {kept}"
        except OSError:
            kept = "what was committed before is kept"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            reason, advice = "the disk is full", "free some space and go on"
        elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            reason, advice = "the folder cannot be written", "give a folder you may write to"
        else:
            reason, advice = str(error), "see to that and go on"
        return f"{reason}; {kept}; {advice}"


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
    disk.write(path, _json(content))


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with disk.opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flat(entry):
    """Beginning of the names under which ``entry`` is set aside."""
    return f"{entry.replace('/', ':')}-"


def _json(content):
    return json.dumps(content, sort_keys=True, indent=1) + "\n"


def _names(folder):
    return sorted(str(path.relative_to(folder)) for path in disk.files(folder))


def _revoke(lease):
    """Take a lease away at once, then remove what was written under it."""
    revoked = lease.with_name(f"{LEASE}revoked-{secrets.token_hex(4)}")
    with suppress(FileNotFoundError):
        disk.move(lease, revoked)
    _discard(revoked)


def _end(lease):
    """Revoke the lease of a campaign that is over, as far as that goes: the next campaign tries again."""
    with suppress(OSError):
        _revoke(lease)


def _discard(draft):
    """Remove a draft as far as that goes: the next campaign tries again."""
    with suppress(OSError):
        disk.remove_tree(draft)
