"""The SQLite file of an index: its schema, version, transactions, lock and errors."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from sst import locks
from sst.errors import ModelError, ResourceError
from sst.search.scann_index import DamagedIndex

_VERSION = 3
_SCHEMA = """
CREATE TABLE files (
  path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER, inode INTEGER, reason TEXT, detail TEXT
) WITHOUT ROWID;
CREATE TABLE sounds (
  path BLOB, number INTEGER, onset_s REAL, end_s REAL, digest TEXT,
  PRIMARY KEY (path, number),
  FOREIGN KEY (path) REFERENCES files (path) ON UPDATE CASCADE ON DELETE CASCADE
) WITHOUT ROWID;
CREATE TABLE missing (
  path BLOB PRIMARY KEY REFERENCES files (path) ON UPDATE CASCADE ON DELETE CASCADE
) WITHOUT ROWID;
CREATE VIEW present AS SELECT * FROM files WHERE path NOT IN (SELECT path FROM missing);
CREATE TABLE vectors (digest TEXT PRIMARY KEY, crc INTEGER, vector BLOB) WITHOUT ROWID;
CREATE TABLE facts (name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
"""


@contextlib.contextmanager
def open_database(folder: Path) -> Iterator[sqlite3.Connection]:
    """Opens the database of a library; makes it if it is not there.

    Raises:
        DamagedIndex: it cannot be read, or is of an older version.
        ModelError: it is of a newer version.
        ResourceError: no room, no permission, in use.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(folder / "index.sqlite", timeout=60.0, isolation_level=None)
    except (OSError, sqlite3.OperationalError) as error:
        raise ResourceError(_unwritable(folder, error)) from error
    try:
        db.execute("PRAGMA foreign_keys = ON")
        _prepare(folder, db)
        yield db
    except sqlite3.Error as error:
        raise _translated(folder, error) from error
    finally:
        db.close()


def _prepare(folder: Path, db: sqlite3.Connection) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == _VERSION:
        return
    if version > _VERSION:
        raise ModelError(
            f"The index in {folder} was written by a newer version of this program (format"
            f" {version}, known is {_VERSION}). Update it, or set SST_CACHE_DIR to another folder."
        )
    db.execute("PRAGMA journal_mode = WAL")
    with transaction(db):
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version == _VERSION:  # another process made it meanwhile
            return
        if version or db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
            raise DamagedIndex(f"it has format {version}, this version {_VERSION}")
        for statement in _SCHEMA.split(";"):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {_VERSION}")


def _translated(folder: Path, error: sqlite3.Error) -> Exception:
    name = getattr(error, "sqlite_errorname", "SQLITE_ERROR")  # none: text that is no UTF-8
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR", "SQLITE_MISMATCH")):
        return DamagedIndex(str(error))
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return ResourceError(f"The index in {folder} is in use by another process; try again.")
    return ResourceError(_unwritable(folder, error))


def _unwritable(folder: Path, error: Exception) -> str:
    why = getattr(error, "strerror", None) or str(error)
    return f"Cannot write {folder} ({why}): set SST_CACHE_DIR to a folder with room."


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Stores all that happens inside as a whole, or not at all."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if db.in_transaction:  # a full disk has ended it already
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


@contextlib.contextmanager
def scan_lock(folder: Path, wait_s: float) -> Iterator[None]:
    """Lets one process at a time scan a library; waits `wait_s` seconds for another one.

    Raises:
        ResourceError: the other one scans longer than that, or the lock cannot be written.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locks.locked(folder / "scan.lock", wait_s))
        except locks.Locked as lock:
            raise ResourceError(
                f"The index in {folder} is in use by process {lock.holder}, which scans the"
                " library; try again when it is done."
            ) from None
        except OSError as error:
            raise ResourceError(_unwritable(folder, error)) from error
        yield


def move_aside(folder: Path) -> Path:
    """Renames a damaged file so that a new one can take its place; returns its new name."""
    aside = folder / "index.sqlite.damaged"
    for suffix in ("-wal", "-shm", ""):
        with contextlib.suppress(OSError):
            os.replace(folder / f"index.sqlite{suffix}", f"{aside}{suffix}")
    return aside
