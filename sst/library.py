"""The index of a library: what every file sounds like to one model, kept up to date file by file.

It lives in the user's cache, never in the library. Vectors are keyed by the decoded sound, so a
renamed or copied file is not encoded again; each (model, audio settings) pair has an index of its
own, so vectors of different models never meet. Nothing here imports JAX: the caller passes `embed`.
"""

import contextlib
import hashlib
import os
import sqlite3
import time
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float, Int

from sst import config as configs
from sst import decoding, files, nearness
from sst.compilation import cache_root
from sst.encoding import Encoder, Heard, heard
from sst.indexfile import alone, move_aside, opened, transaction
from sst.nearness import Spread
from sst.search import DamagedIndex, IndexWarning

T = TypeVar("T")
Path_ = str | os.PathLike[str]
Progress = Callable[[int, int, int], None]  # files done, files to do, of them skipped

# Skipped files that are tried again although they have not changed: what kept them may have passed.
_RETRIED = "reason IN ('vanished', 'memory') OR detail LIKE '%permission%' OR detail LIKE '%i/o%'"


class ScanReport(NamedTuple):
    """What a scan found and did."""

    folder: Path  # where the index is
    found: int  # files, the skipped ones too
    sounds: int  # in them: encoded + reused
    new: int  # files
    changed: int
    removed: int  # files that were in the index and are gone
    moved: int  # of them, those found again under another name
    encoded: int  # sounds that the model had to hear
    reused: int
    skipped: dict[str, int]  # reason -> files
    closed: list[str]  # folders that could not be read; what is known of them is kept
    seconds: float


class Rows(NamedTuple):
    """The sounds of a library, sorted by path and number."""

    paths: list[str]  # absolute; bytes that are no UTF-8 as surrogate escapes
    digests: list[str]
    numbers: Int[np.ndarray, " n"]  # of the sound in its file, from 1
    onsets: Float[np.ndarray, " n"]  # seconds
    ends: Float[np.ndarray, " n"]  # seconds
    vectors: Float[np.ndarray, "n e"]
    spread: Spread


class Known(NamedTuple):
    """A sound of a file that the index holds unchanged."""

    digest: str
    onset_s: float
    end_s: float
    vector: Float[np.ndarray, " e"]


def place(dirs: Sequence[Path_], encoder: Encoder) -> Path:
    """The folder of the index of these folders (in any order) for this model."""
    real = sorted({os.path.realpath(os.path.expanduser(d)) for d in dirs})
    library = hashlib.blake2b(b"\0".join(map(os.fsencode, real)), digest_size=8).hexdigest()
    model = f"{encoder.digest}-{configs.digest(encoder.audio)}"
    if encoder.cut is not None:
        model += f"-{configs.digest(encoder.cut)}"
    return cache_root() / "libraries" / library / model


def scan(
    encoder: Encoder,
    dirs: Sequence[Path_],
    progress: Progress | None = None,
    workers: int | None = None,
    wait_s: float = 600.0,
) -> ScanReport:
    """Brings the index up to date. A file of the same size and time as before is not opened.

    A kill loses at most the batch in flight. While another process scans the same library, this
    one waits up to `wait_s` seconds.

    Raises:
        UsageError: one of `dirs` is not a folder.
        NothingToDo: no audio file in them; the index stays as it was.
        ResourceError: the cache cannot be written, or is in use for longer than `wait_s`.
    """
    job = _job(encoder, dirs, progress, workers, wait_s)
    return _mended(job.folder, lambda: _scan(job))


def scanned(
    encoder: Encoder,
    dirs: Sequence[Path_],
    progress: Progress | None = None,
    workers: int | None = None,
    wait_s: float = 600.0,
) -> tuple[ScanReport, Rows]:
    """`scan`, then `rows`; what turns out to be damaged while it is read is built again too."""
    job = _job(encoder, dirs, progress, workers, wait_s)
    return _mended(job.folder, lambda: (_scan(job), rows(job.folder)))


def _job(
    encoder: Encoder,
    dirs: Sequence[Path_],
    progress: Progress | None,
    workers: int | None,
    wait_s: float,
) -> "_Job":
    survey = files.samples_or_raise(dirs)
    return _Job(encoder, survey, place(dirs, encoder), progress, workers, wait_s)


def _mended(folder: Path, work: Callable[[], T]) -> T:
    """The result of `work`, with a new index if the present one turns out to be damaged."""
    try:
        return work()
    except DamagedIndex as error:
        aside = move_aside(folder)
        warnings.warn(
            f"The index was damaged ({error}); it is built again. The old one is {aside}",
            IndexWarning,
            stacklevel=4,
        )
        return work()


def pending(encoder: Encoder, dirs: Sequence[Path_]) -> tuple[int, int, int]:
    """How many files are new, changed and gone since the last scan; changes nothing."""
    job = _job(encoder, dirs, None, None, 0.0)
    with opened(job.folder) as db:
        difference = _difference(db, job.survey)
    return difference.new, len(difference.todo) - difference.new, len(difference.gone)


def rows(folder: Path) -> Rows:
    """All sounds of the index in `folder`, as `scan` left it."""
    with opened(folder) as db:
        found = db.execute(
            "SELECT path, digest, number, onset_s, end_s, crc, vector FROM sounds"
            " JOIN vectors USING (digest) ORDER BY path, number"
        ).fetchall()
        vectors = [_vector(row[1], *row[5:]) for row in found]
        facts = (_fact(db, name) or b"" for name in Spread._fields)
        spread = Spread(*(np.frombuffer(fact, np.float32) for fact in facts))
    return Rows(
        [os.fsdecode(row[0]) for row in found],
        [row[1] for row in found],
        np.array([row[2] for row in found], np.int64),
        np.array([row[3] for row in found], np.float32),
        np.array([row[4] for row in found], np.float32),
        np.stack(vectors) if vectors else np.zeros((0, 0), np.float32),
        spread,
    )


def known(folder: Path, path: Path_) -> list[Known]:
    """The sounds of a file, if the index holds it and size and time are unchanged; else none."""
    full = os.path.abspath(os.path.expanduser(path))
    if not (folder / "index.sqlite").exists():
        return []
    with contextlib.suppress(DamagedIndex, OSError), opened(folder) as db:
        info = os.stat(full)
        found = db.execute(
            "SELECT s.digest, onset_s, end_s, crc, vector FROM files JOIN sounds s USING (path)"
            " JOIN vectors USING (digest)"
            " WHERE path = ? AND size = ? AND mtime_ns = ? ORDER BY number",
            (os.fsencode(full), info.st_size, info.st_mtime_ns),
        ).fetchall()
        return [Known(row[0], row[1], row[2], _vector(row[0], row[3], row[4])) for row in found]
    return []


def skipped(folder: Path) -> list[tuple[str, str, str]]:
    """(path, reason, detail) of every file that has no vector, sorted by path."""
    with opened(folder) as db:
        found = db.execute(
            "SELECT path, reason, detail FROM files WHERE reason IS NOT NULL ORDER BY path"
        )
        return [(os.fsdecode(path), reason, detail) for path, reason, detail in found]


class _Job(NamedTuple):
    encoder: Encoder
    survey: files.Survey
    folder: Path
    progress: Progress | None
    workers: int | None
    wait_s: float


class _Difference(NamedTuple):
    todo: list[files.Sample]
    new: int
    gone: dict[bytes, tuple[int, int, int]]  # path -> size, mtime_ns, inode


def _scan(job: _Job) -> ScanReport:
    start = time.monotonic()
    with opened(job.folder) as db:
        difference = _difference(db, job.survey)
        moved = encoded = 0
        if difference.todo or difference.gone:
            with alone(job.folder, job.wait_s):
                difference = _difference(db, job.survey)  # another process may have done it
                todo, moved = _forget(db, difference)
                encoded = _hear(db, job, todo)
                _store_spread(db)
        counts = dict(
            db.execute(
                "SELECT reason, COUNT(*) FROM files WHERE reason IS NOT NULL GROUP BY reason"
            )
        )
        sounds = db.execute("SELECT COUNT(*) FROM sounds").fetchone()[0]
        found = db.execute("SELECT COUNT(*) FROM files").fetchone()[0]
    return ScanReport(
        folder=job.folder,
        found=found,
        new=difference.new,
        changed=len(difference.todo) - difference.new,
        removed=len(difference.gone),
        moved=moved,
        encoded=encoded,
        sounds=sounds,
        reused=sounds - encoded,
        skipped=counts,
        closed=job.survey.closed,
        seconds=time.monotonic() - start,
    )


def _difference(db: sqlite3.Connection, survey: files.Survey) -> _Difference:
    before = {
        row[0]: row[1:]
        for row in db.execute(
            f"SELECT path, size, mtime_ns, inode, COALESCE({_RETRIED}, 0) FROM files"
        )
    }
    lost = db.execute(
        "SELECT path FROM sounds LEFT JOIN vectors v USING (digest) WHERE crc IS NULL"
    )
    incomplete = {path for (path,) in lost}
    todo, new = [], 0
    for sample in survey.samples:
        path = os.fsencode(sample.path)
        row = before.pop(path, None)
        new += row is None
        unchanged = row is not None and row[:2] == (sample.size, sample.mtime_ns) and not row[3]
        if not unchanged or path in incomplete:
            todo.append(sample)
    shut = tuple(os.fsencode(os.path.join(files.from_text(d), "")) for d in survey.closed)
    gone = {path: row[:3] for path, row in before.items() if not path.startswith(shut or (b"\0",))}
    return _Difference(todo, new, gone)


def _forget(db: sqlite3.Connection, difference: _Difference) -> tuple[list[files.Sample], int]:
    """Takes what is gone out of the index, except what is the same file under a new name."""
    by_identity = {row: path for path, row in difference.gone.items()}
    todo, renamed = [], []
    for sample in difference.todo:
        old = by_identity.pop(_identity(sample), None) if by_identity else None
        if old is None:
            todo.append(sample)
        else:
            renamed.append((os.fsencode(sample.path), old))
    with transaction(db):
        db.executemany("UPDATE OR REPLACE files SET path = ? WHERE path = ?", renamed)
        db.executemany("DELETE FROM files WHERE path = ?", ((path,) for path in difference.gone))
    return todo, len(renamed)


def _identity(sample: files.Sample) -> tuple[int, int, int]:
    with contextlib.suppress(OSError):
        return sample.size, sample.mtime_ns, os.stat(sample.path).st_ino
    return sample.size, sample.mtime_ns, -1


def _hear(db: sqlite3.Connection, job: _Job, todo: list[files.Sample]) -> int:
    """Decodes and encodes what is new, a transaction per batch; returns the sounds encoded."""
    digests = {row[0] for row in db.execute("SELECT digest FROM vectors")}
    encoded = done = failed = 0
    paths = [sample.path for sample in todo]
    with contextlib.closing(heard(job.encoder, paths, digests.__contains__, job.workers)) as stream:
        for batch in stream:
            with transaction(db):
                for sample, one in zip(todo[done : done + len(batch)], batch, strict=True):
                    fresh = _store(db, sample, one, digests)
                    encoded += len(fresh)
                    digests |= fresh
            done += len(batch)
            failed += sum(isinstance(one, decoding.Skipped) for one in batch)
            if job.progress:
                job.progress(done, len(todo), failed)
    return encoded


def _store(db: sqlite3.Connection, sample: files.Sample, one: Heard, known: set[str]) -> set[str]:
    """Puts what was heard of a file in the place of what is there; returns the new digests."""
    path = os.fsencode(sample.path)
    why = (one.reason, one.detail) if isinstance(one, decoding.Skipped) else (None, None)
    row = (path, *_identity(sample), *why)
    db.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)", row)
    if isinstance(one, decoding.Skipped):
        return set()
    vectors = {sound.digest: vector for sound, vector in one if vector is not None}
    db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", _blobs(vectors))
    sounds = (
        (path, number, clip.onset_s, clip.onset_s + clip.duration_s, sound.digest)
        for number, (sound, _) in enumerate(one, 1)
        for clip in [sound.clip]
    )
    db.executemany("INSERT INTO sounds VALUES (?, ?, ?, ?, ?)", sounds)
    return vectors.keys() - known


def _blobs(vectors: dict[str, np.ndarray]) -> Iterator[tuple[str, int, bytes]]:
    for digest, vector in vectors.items():
        blob = np.ascontiguousarray(vector, "<f4").tobytes()
        yield digest, zlib.crc32(blob, zlib.crc32(digest.encode())), blob


def _vector(digest: str, crc: int, blob: bytes) -> np.ndarray:
    if zlib.crc32(blob, zlib.crc32(digest.encode())) != crc:
        raise DamagedIndex("a vector fails its checksum")
    return np.frombuffer(blob, "<f4").astype(np.float32, copy=False)


def _store_spread(db: sqlite3.Connection) -> None:
    found = db.execute(
        "SELECT digest, crc, vector FROM vectors WHERE digest IN (SELECT digest FROM sounds)"
        " ORDER BY digest"
    ).fetchall()
    vectors = np.stack([_vector(*row) for row in found]) if found else np.zeros((0, 0), np.float32)
    measured = nearness.spread(vectors)._asdict()
    facts = [(name, quantiles.tobytes()) for name, quantiles in measured.items()]
    with transaction(db):
        db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts)


def _fact(db: sqlite3.Connection, name: str) -> bytes | None:
    row = db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    return row and row[0]


def size_on_disk(folder: Path) -> int:
    """Bytes of everything under `folder`."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
