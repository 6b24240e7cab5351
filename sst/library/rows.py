"""Reading the index of a library: its content as arrays, every vector by its checksum.

`write_rows` writes what is read here.
"""

import contextlib
import os
import sqlite3
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sst.library.database import open_database
from sst.search.scann_index import DamagedIndex
from sst.search.similarity import DistanceQuantiles
from sst.types import Path_


class Rows(NamedTuple):
    """The sounds of a library, sorted by path and number."""

    paths: list[str]  # absolute; bytes that are no UTF-8 as surrogate escapes
    digests: list[str]
    numbers: Int[np.ndarray, " n"]  # of the sound in its file, from 1
    onsets: Float[np.ndarray, " n"]  # seconds
    ends: Float[np.ndarray, " n"]  # seconds
    vectors: Float[np.ndarray, "n e"]
    distances: DistanceQuantiles  # of these sounds


class IndexedSound(NamedTuple):
    """A sound of a file that the index holds unchanged."""

    digest: str
    onset_s: float
    end_s: float
    vector: Float[np.ndarray, " e"]


class Contents(NamedTuple):
    """The files of a library by numbers."""

    files: int  # there at the last scan, the skipped ones too
    missing: int  # known, but not there
    size: int  # bytes of the files that are there
    skipped: dict[str, int]  # reason -> files


def index_exists(folder: Path) -> bool:
    """Tells whether there is an index in a folder."""
    return (folder / "index.sqlite").is_file()


def read_rows(folder: Path) -> Rows:
    """Reads all sounds of the index in `folder`, as the last scan left it.

    Sounds of files that are missing are left out.
    """
    with open_database(folder) as db:
        found, vectors = _read(
            db.execute(
                "SELECT path, number, onset_s, end_s, digest, crc, vector FROM sounds"
                " JOIN vectors USING (digest) WHERE path NOT IN (SELECT path FROM missing)"
                " ORDER BY path, number"
            )
        )
        names = DistanceQuantiles._fields
        distances = DistanceQuantiles(
            *(np.frombuffer(_read_fact(db, n), np.float32) for n in names)
        )
    return Rows(
        [os.fsdecode(row[0]) for row in found],
        [row[4] for row in found],
        np.array([row[1] for row in found], np.int64),
        np.array([row[2] for row in found], np.float32),
        np.array([row[3] for row in found], np.float32),
        vectors,
        distances,
    )


def read_indexed_sounds(folder: Path, path: Path_) -> list[IndexedSound]:
    """Reads the sounds of a file, if the index holds it and size and time are unchanged."""
    full = os.path.abspath(os.path.expanduser(path))
    if not index_exists(folder):
        return []
    with contextlib.suppress(DamagedIndex, OSError), open_database(folder) as db:
        info = os.stat(full)
        found = db.execute(
            "SELECT s.digest, onset_s, end_s, crc, vector FROM files JOIN sounds s USING (path)"
            " JOIN vectors USING (digest)"
            " WHERE path = ? AND size = ? AND mtime_ns = ? ORDER BY number",
            (os.fsencode(full), info.st_size, info.st_mtime_ns),
        ).fetchall()
        return [
            IndexedSound(
                digest, onset_s, end_s, np.frombuffer(_check_blob(digest, crc, blob), "<f4")
            )
            for digest, onset_s, end_s, crc, blob in found
        ]
    return []


def list_skipped(folder: Path) -> list[tuple[str, str, str]]:
    """Lists (path, reason, detail) of every file that has no vector, sorted by path."""
    with open_database(folder) as db:
        found = db.execute(
            "SELECT path, reason, detail FROM present WHERE reason IS NOT NULL ORDER BY path"
        )
        return [(os.fsdecode(path), reason, detail) for path, reason, detail in found]


def list_partly_used(folder: Path) -> list[tuple[str, str]]:
    """Lists (path, what was left out) of every file with more hits or minutes than are used."""
    with open_database(folder) as db:
        found = db.execute(
            "SELECT path, detail FROM present WHERE reason IS NULL AND detail IS NOT NULL"
            " ORDER BY path"
        )
        return [(os.fsdecode(path), detail) for path, detail in found]


def count_contents(folder: Path) -> Contents:
    """Counts what the index in `folder` holds; all zero if there is none."""
    if not index_exists(folder):
        return Contents(0, 0, 0, {})
    with open_database(folder) as db:
        files, size = db.execute("SELECT COUNT(*), COALESCE(SUM(size), 0) FROM present").fetchone()
        missing = db.execute("SELECT COUNT(*) FROM missing").fetchone()[0]
        skipped = db.execute(
            "SELECT reason, COUNT(*) FROM present WHERE reason IS NOT NULL GROUP BY reason"
            " ORDER BY reason"
        )
        return Contents(files, missing, size, dict(skipped.fetchall()))


def read_distinct_vectors(db: sqlite3.Connection) -> Float[np.ndarray, "n e"]:
    """Reads the vectors of all different sounds that are not missing, by digest."""
    found = db.execute(
        "SELECT digest, crc, vector FROM vectors WHERE digest IN (SELECT digest FROM sounds"
        " WHERE path NOT IN (SELECT path FROM missing)) ORDER BY digest"
    )
    return _read(found)[1]


def checksum(digest: str, blob: bytes) -> int:
    """Returns the CRC-32 that guards a stored vector and the digest that it belongs to."""
    return zlib.crc32(blob, zlib.crc32(digest.encode()))


def _read(rows: Iterable[tuple[Any, ...]]) -> tuple[list[list[Any]], Float[np.ndarray, "n e"]]:
    """Checks rows that end in (digest, crc, vector): returns the rest of each, and a matrix."""
    facts, numbers, widths = [], bytearray(), set()
    for *row, crc, blob in rows:
        facts.append(row)
        numbers += _check_blob(row[-1], crc, blob)
        widths.add(len(blob))
    if len(widths) > 1:
        raise DamagedIndex("its vectors are of different lengths")
    matrix = np.frombuffer(numbers, "<f4").astype(np.float32, copy=False)
    return facts, matrix.reshape(len(facts), -1 if facts else 0)


def _check_blob(digest: str, crc: int, blob: bytes) -> bytes:
    if checksum(digest, blob) != crc:
        raise DamagedIndex("a vector fails its checksum")
    return blob


def _read_fact(db: sqlite3.Connection, name: str) -> bytes:
    row = db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    return row[0] if row else b""


def measure_size(folder: Path) -> int:
    """Sums the bytes of all files under `folder`."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
