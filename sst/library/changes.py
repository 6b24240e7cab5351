"""The difference between a folder and its index: files that are new, changed, moved or missing."""

import contextlib
import os
import sqlite3
from typing import NamedTuple

from sst import files
from sst.files import Sample, Survey
from sst.library import missing
from sst.library.missing import Identity

# Skipped files that are tried again although they have not changed: what kept them may have passed.
_RETRIED = (
    "reason IN ('vanished', 'memory') OR detail LIKE '%permission%' OR detail LIKE '%input/output%'"
)


class Changes(NamedTuple):
    """The differences between a folder and its index: the work of a scan."""

    todo: list[Sample]  # new and changed files
    new: int  # of them
    gone: dict[bytes, Identity]  # files of the index that are not there, by path
    kept: set[bytes]  # of them, those that stay in the index
    marked: set[bytes]  # those that the last scan found missing
    calibrated: bool  # whether the distances were measured: the last thing a scan does


def find_changes(db: sqlite3.Connection, survey: Survey, prune: bool) -> Changes:
    """Compares what lies in the folders with what the index holds.

    Args:
        db: the index.
        survey: of the folders.
        prune: whether everything that is gone leaves the index.

    Raises:
        NothingToDo: so many files are gone that a drive is probably not mounted.
    """
    before = _indexed_files(db)
    known, incomplete = len(before), _files_without_vectors(db)
    todo, fresh = [], []
    for sample in survey.samples:
        path = os.fsencode(sample.path)
        row = before.pop(path, None)
        if row is None:
            fresh.append(sample)
        unchanged = row is not None and row[:2] == (sample.size, sample.mtime_ns) and not row[3]
        if not unchanged or path in incomplete:
            todo.append(sample)
    shut = tuple(os.fsencode(os.path.join(files.from_text(d), "")) for d in survey.closed)
    gone = {path: row[:3] for path, row in before.items() if not path.startswith(shut or (b"\0",))}
    absent = set() if prune else missing.find_unexplained(gone, fresh)
    kept = absent if missing.decide(len(absent), known) == "keep" else set()
    marked = {path for (path,) in db.execute("SELECT path FROM missing")}
    return Changes(todo, len(fresh), gone, kept, marked, is_calibrated(db))


def is_settled(changes: Changes) -> bool:
    """Tells whether the index is up to date: nothing to decode, to remove or to mark."""
    absent = changes.gone.keys() == changes.kept == changes.marked
    return absent and not changes.todo and changes.calibrated


def is_calibrated(db: sqlite3.Connection) -> bool:
    """Tells whether the distances of the library were measured since it last changed."""
    return bool(db.execute("SELECT COUNT(*) FROM facts").fetchone()[0])


def identity(sample: Sample) -> Identity:
    """Returns what a file keeps when it is renamed: size, time of change, inode."""
    with contextlib.suppress(OSError):
        return sample.size, sample.mtime_ns, os.stat(sample.path).st_ino
    return sample.size, sample.mtime_ns, -1


def split_moved(changes: Changes) -> tuple[list[Sample], list[tuple[bytes, bytes]]]:
    """Returns the files to decode, and (new path, old path) of those that were only renamed."""
    by_identity = {row: path for path, row in changes.gone.items()}
    todo, moved = [], []
    for sample in changes.todo:
        old = by_identity.pop(identity(sample), None) if by_identity else None
        if old is None:
            todo.append(sample)
        else:
            moved.append((os.fsencode(sample.path), old))
    return todo, moved


def _indexed_files(db: sqlite3.Connection) -> dict[bytes, tuple]:
    """Returns size, time, inode and whether to try again, of every file in the index."""
    query = f"SELECT path, size, mtime_ns, inode, COALESCE({_RETRIED}, 0) FROM files"
    return {row[0]: row[1:] for row in db.execute(query)}


def _files_without_vectors(db: sqlite3.Connection) -> set[bytes]:
    """Returns the files whose scan was killed between a sound and its vector."""
    found = db.execute(
        "SELECT path FROM sounds LEFT JOIN vectors v USING (digest) WHERE crc IS NULL"
    )
    return {path for (path,) in found}
