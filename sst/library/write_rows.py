"""Writing the index of a library: every INSERT, UPDATE and DELETE is here; `rows` reads."""

import os
import sqlite3
from collections.abc import Collection, Iterator

import numpy as np

from sst.files import Sample
from sst.library import changes, rows
from sst.library.changes import Changes
from sst.library.database import transaction
from sst.library.embed_files import EmbeddedFile
from sst.search import similarity
from sst.types import Skipped


def remove_gone(db: sqlite3.Connection, found: Changes) -> tuple[list[Sample], int]:
    """Takes what is gone out of the index, except what is the same file under a new name.

    Returns:
        The files that are still to be decoded, and the count of those that were only renamed.
    """
    todo, moved = changes.split_moved(found)
    removed = ((path,) for path in found.gone.keys() - found.kept)
    with transaction(db):
        db.executemany("UPDATE OR REPLACE files SET path = ? WHERE path = ?", moved)
        db.executemany("DELETE FROM files WHERE path = ?", removed)
        db.execute("DELETE FROM missing")
        db.executemany(
            "INSERT INTO missing SELECT path FROM files WHERE path = ?",
            ((path,) for path in found.kept),
        )
        if todo or len(moved) < len(found.gone) or found.marked:
            db.execute("DELETE FROM facts")
    return todo, len(moved)


def store_file(
    db: sqlite3.Connection, sample: Sample, file: EmbeddedFile, known: Collection[str]
) -> set[str]:
    """Puts a file in the place of what the index holds of it, inside the caller's transaction.

    Args:
        db: the index.
        sample: the file as it lies in its folder.
        file: its sounds and their vectors, or why there are none.
        known: digests whose vectors the index holds already.

    Returns:
        The digests that were not known.
    """
    path = os.fsencode(sample.path)
    why: tuple[str | None, str | None] = (None, None)
    if isinstance(file, Skipped):
        why = file.reason, file.detail
    elif file[-1][0].left_out:
        why = None, file[-1][0].left_out
    row = (path, *changes.identity(sample), *why)
    db.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)", row)
    if isinstance(file, Skipped):
        return set()
    vectors = {sound.digest: vector for sound, vector in file if vector is not None}
    db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", _vector_rows(vectors))
    sounds = (
        (path, number, sound.clip.onset_s, sound.end_s, sound.digest)
        for number, (sound, _) in enumerate(file, 1)
    )
    db.executemany("INSERT INTO sounds VALUES (?, ?, ?, ?, ?)", sounds)
    return vectors.keys() - known


def store_distances(db: sqlite3.Connection) -> None:
    """Measures the distances between the sounds of the index, and stores their quantiles."""
    measured = similarity.distance_quantiles(rows.read_distinct_vectors(db))._asdict()
    facts = [(name, quantiles.tobytes()) for name, quantiles in measured.items()]
    with transaction(db):
        db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts)


def _vector_rows(vectors: dict[str, np.ndarray]) -> Iterator[tuple[str, int, bytes]]:
    """Yields rows of the table of vectors: digest, checksum, numbers."""
    for digest, vector in vectors.items():
        blob = np.ascontiguousarray(vector, "<f4").tobytes()
        yield digest, rows.checksum(digest, blob), blob
