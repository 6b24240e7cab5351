"""The index of a library: what every file sounds like to one model, kept up to date file by file.

It lives in the user's cache, never in the library. Vectors are keyed by the decoded sound, so a
renamed or copied file is not encoded again; each (model, audio settings) pair has an index of its
own, so vectors of different models never meet. Nothing here imports JAX: the caller passes `embed`.
"""

import contextlib
import hashlib
import itertools
import os
import sqlite3
import time
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float

from sst import config as configs
from sst import decoding, files
from sst.compilation import cache_root
from sst.encoding import Encoder, Heard, heard
from sst.indexfile import alone, move_aside, opened, transaction
from sst.search import DamagedIndex, IndexWarning

T = TypeVar("T")
Path_ = str | os.PathLike[str]
Progress = Callable[[int, int, int], None]  # files done, files to do, of them skipped

# Skipped files that are tried again although they have not changed: what kept them may have passed.
_RETRIED = "reason IN ('vanished', 'memory') OR detail LIKE '%permission%' OR detail LIKE '%i/o%'"
_PAIRS = 20_000  # random pairs of sounds whose distances stand for all


class ScanReport(NamedTuple):
    """What a scan found and did. found = encoded + reused + all skipped."""

    folder: Path  # where the index is
    found: int
    new: int
    changed: int
    removed: int  # files that were in the index and are gone
    moved: int  # of them, those found again under another name
    encoded: int  # sounds that the model had to hear
    reused: int
    skipped: dict[str, int]  # reason -> files
    closed: list[str]  # folders that could not be read; what is known of them is kept
    seconds: float


class Rows(NamedTuple):
    """The sounds of a library, sorted by path."""

    paths: list[str]  # absolute; bytes that are no UTF-8 as surrogate escapes
    digests: list[str]
    onsets: Float[np.ndarray, " n"]  # seconds
    ends: Float[np.ndarray, " n"]  # seconds
    vectors: Float[np.ndarray, "n e"]
    distances: Float[np.ndarray, " s"]  # quantiles of the distance between two of its sounds


class Known(NamedTuple):
    """A file that the index holds unchanged."""

    digest: str
    onset_s: float
    duration_s: float
    vector: Float[np.ndarray, " e"]


def place(dirs: Sequence[Path_], encoder: Encoder) -> Path:
    """The folder of the index of these folders (in any order) for this model."""
    real = sorted({os.path.realpath(os.path.expanduser(d)) for d in dirs})
    library = hashlib.blake2b(b"\0".join(map(os.fsencode, real)), digest_size=8).hexdigest()
    model = f"{encoder.digest}-{configs.digest(encoder.audio)}"
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
            "SELECT path, digest, onset_s, duration_s, crc, vector FROM files JOIN vectors"
            " USING (digest) ORDER BY path"
        ).fetchall()
        vectors = [_vector(digest, crc, blob) for _, digest, _, _, crc, blob in found]
        onsets = np.array([row[2] for row in found], np.float32)
        durations = np.array([row[3] for row in found], np.float32)
        quantiles = np.frombuffer(_fact(db, "distances") or b"", np.float32)
    return Rows(
        [os.fsdecode(row[0]) for row in found],
        [row[1] for row in found],
        onsets,
        onsets + durations,
        np.stack(vectors) if vectors else np.zeros((0, 0), np.float32),
        quantiles,
    )


def known(folder: Path, path: Path_) -> Known | None:
    """What the index says of a file, if it holds it and size and time are unchanged."""
    full = os.path.abspath(os.path.expanduser(path))
    if not (folder / "index.sqlite").exists():
        return None
    with contextlib.suppress(DamagedIndex), opened(folder) as db:
        row = db.execute(
            "SELECT size, mtime_ns, digest, onset_s, duration_s, crc, vector FROM files"
            " JOIN vectors USING (digest) WHERE path = ?",
            (os.fsencode(full),),
        ).fetchone()
        with contextlib.suppress(OSError):
            info = os.stat(full)
            if row and row[:2] == (info.st_size, info.st_mtime_ns):
                return Known(row[2], row[3], row[4], _vector(row[2], row[5], row[6]))
    return None


def skipped(folder: Path) -> list[tuple[str, str, str]]:
    """(path, reason, detail) of every file that has no vector, sorted by path."""
    with opened(folder) as db:
        found = db.execute(
            "SELECT path, reason, detail FROM files WHERE digest IS NULL ORDER BY path"
        )
        return [(os.fsdecode(path), reason, detail) for path, reason, detail in found]


def similarity(
    distances: Float[np.ndarray, " k"], quantiles: Float[np.ndarray, " s"]
) -> Float[np.ndarray, " k"]:
    """Per cent of the library's pairs of sounds that are farther apart; 100 for distance 0.

    Where the library has no two different sounds, 100 / (1 + distance).
    """
    distances = np.asarray(distances, np.float64)
    if len(quantiles) < 2 or quantiles[-1] <= 0:
        return 100.0 / (1.0 + distances)
    grid = np.concatenate([[0.0], quantiles[quantiles > 0]])
    share = np.concatenate([[0.0], np.linspace(0, 1, len(quantiles))[quantiles > 0]])
    return 100.0 * (1.0 - np.interp(distances, grid, share))


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
                _store_distances(db)
        counts = dict(
            db.execute("SELECT reason, COUNT(*) FROM files WHERE digest IS NULL GROUP BY reason")
        )
        found = db.execute("SELECT COUNT(*) FROM files").fetchone()[0]
    return ScanReport(
        folder=job.folder,
        found=found,
        new=difference.new,
        changed=len(difference.todo) - difference.new,
        removed=len(difference.gone),
        moved=moved,
        encoded=encoded,
        reused=found - encoded - sum(counts.values()),
        skipped=counts,
        closed=job.survey.closed,
        seconds=time.monotonic() - start,
    )


def _difference(db: sqlite3.Connection, survey: files.Survey) -> _Difference:
    before = {
        row[0]: row[1:]
        for row in db.execute(
            "SELECT path, size, mtime_ns, inode, (f.digest IS NOT NULL AND v.digest IS NULL)"
            f" OR COALESCE({_RETRIED}, 0)"
            " FROM files f LEFT JOIN vectors v ON v.digest = f.digest"
        )
    }
    todo, new = [], 0
    for sample in survey.samples:
        row = before.pop(os.fsencode(sample.path), None)
        new += row is None
        if row is None or row[:2] != (sample.size, sample.mtime_ns) or row[3]:
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
            samples = todo[done : done + len(batch)]
            vectors = {
                sound.digest: vector
                for sound, vector in batch
                if vector is not None and isinstance(sound, decoding.Decoded)
            }
            with transaction(db):
                db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", _blobs(vectors))
                rows = itertools.starmap(_file_row, zip(samples, batch, strict=True))
                db.executemany("INSERT OR REPLACE INTO files VALUES (?,?,?,?,?,?,?,?,?)", rows)
            encoded += len(vectors.keys() - digests)
            digests |= vectors.keys()
            done += len(batch)
            failed += sum(isinstance(sound, decoding.Skipped) for sound, _ in batch)
            if job.progress:
                job.progress(done, len(todo), failed)
    return encoded


def _file_row(sample: files.Sample, one: Heard) -> tuple[Any, ...]:
    sound = one[0]
    size, mtime_ns, inode = _identity(sample)
    head = (os.fsencode(sample.path), size, mtime_ns, inode)
    if isinstance(sound, decoding.Decoded):
        return *head, sound.digest, sound.clip.onset_s, sound.clip.duration_s, None, None
    return *head, None, None, None, sound.reason, sound.detail


def _blobs(vectors: dict[str, np.ndarray]) -> Iterator[tuple[str, int, bytes]]:
    for digest, vector in vectors.items():
        blob = np.ascontiguousarray(vector, "<f4").tobytes()
        yield digest, zlib.crc32(blob, zlib.crc32(digest.encode())), blob


def _vector(digest: str, crc: int, blob: bytes) -> np.ndarray:
    if zlib.crc32(blob, zlib.crc32(digest.encode())) != crc:
        raise DamagedIndex("a vector fails its checksum")
    return np.frombuffer(blob, "<f4").astype(np.float32, copy=False)


def _store_distances(db: sqlite3.Connection) -> None:
    """Quantiles of the distances of random pairs of different sounds, for `similarity`."""
    found = db.execute(
        "SELECT digest, crc, vector FROM vectors WHERE digest IN (SELECT digest FROM files)"
        " ORDER BY digest"
    ).fetchall()
    quantiles = np.zeros(0, np.float32)
    if len(found) > 1:
        vectors = np.stack([_vector(*row) for row in found])
        rng = np.random.default_rng(0)
        left = rng.integers(len(vectors), size=_PAIRS)
        right = (left + rng.integers(1, len(vectors), size=_PAIRS)) % len(vectors)
        distances = np.linalg.norm(vectors[left] - vectors[right], axis=1)
        quantiles = np.quantile(distances, np.linspace(0, 1, 513)).astype(np.float32)
    with transaction(db):
        fact = ("distances", quantiles.tobytes())
        db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", fact)


def _fact(db: sqlite3.Connection, name: str) -> bytes | None:
    row = db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    return row and row[0]


def size_on_disk(folder: Path) -> int:
    """Bytes of everything under `folder`."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
