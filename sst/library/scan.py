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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from sst import config as configs
from sst import files
from sst.audio import decode_pool
from sst.cache import cache_root
from sst.errors import NothingToDo
from sst.library import missing as missing_files
from sst.library import rows
from sst.library.database import move_aside, opened, scan_lock, transaction
from sst.library.embed_files import Encoder, Heard, heard
from sst.search import aspects, similarity
from sst.search.searcher import DamagedIndex, IndexWarning

T = TypeVar("T")
Path_ = str | os.PathLike[str]
Progress = Callable[[int, int, int], None]  # files done, files to do, of them skipped

# Skipped files that are tried again although they have not changed: what kept them may have passed.
_RETRIED = (
    "reason IN ('vanished', 'memory') OR detail LIKE '%permission%' OR detail LIKE '%input/output%'"
)


class ScanReport(NamedTuple):
    """What a scan found and did."""

    folder: Path  # where the index is
    found: int  # files, the skipped ones too
    sounds: int  # in them: encoded + reused
    new: int  # files
    changed: int
    removed: int  # files that were in the index and have left it
    moved: int  # of them, those found again under another name
    missing: int  # known files that are not there and so many that they stay in the index
    encoded: int  # sounds that the model had to hear
    reused: int
    skipped: dict[str, int]  # reason -> files
    closed: list[str]  # folders that could not be read; what is known of them is kept
    seconds: float


def place(dirs: Sequence[Path_], encoder: Encoder) -> Path:
    """The folder of the index of these folders (in any order) for this model."""
    real = sorted({os.path.realpath(os.path.expanduser(d)) for d in dirs})
    library = hashlib.blake2b(b"\0".join(map(os.fsencode, real)), digest_size=8).hexdigest()
    model = f"{encoder.digest}-{configs.digest(encoder.audio)}-{aspects.SCHEME}"
    if encoder.cut is not None:
        model += f"-{configs.digest(encoder.cut)}-{configs.CUTS}"
    return cache_root() / "libraries" / library / model


def scan(
    encoder: Encoder,
    dirs: Sequence[Path_],
    progress: Progress | None = None,
    workers: int | None = None,
    wait_s: float = 600.0,
    prune: bool = False,
) -> ScanReport:
    """Brings the index up to date. A file of the same size and time as before is not opened.

    A kill loses at most the batch in flight. While another process scans the same library, this
    one waits up to `wait_s` seconds. What is gone leaves the index, but where more than
    `absence.ASKED` of the known files are gone they stay in it, unseen, unless `prune`.

    Raises:
        UsageError: one of `dirs` is not a folder.
        NothingToDo: no audio file in them, or more than `absence.STOPPED` of the known files are
            gone and `prune` is not given; the index stays as it was.
        ModelError: the index was written by a newer version.
        ResourceError: the cache cannot be written, or is in use for longer than `wait_s`.
    """
    job = _job(encoder, dirs, progress, workers, wait_s, prune)
    return _mended(job.folder, lambda: _scan(job))


def scanned(
    encoder: Encoder,
    dirs: Sequence[Path_],
    progress: Progress | None = None,
    workers: int | None = None,
    wait_s: float = 600.0,
    prune: bool = False,
) -> tuple[ScanReport, rows.Rows]:
    """`scan`, then `rows`; what turns out to be damaged while it is read is built again too."""
    job = _job(encoder, dirs, progress, workers, wait_s, prune)
    return _mended(job.folder, lambda: (_scan(job), rows.rows(job.folder)))


def _job(
    encoder: Encoder,
    dirs: Sequence[Path_],
    progress: Progress | None,
    workers: int | None,
    wait_s: float,
    prune: bool,
) -> "_Job":
    folder = place(dirs, encoder)
    try:
        survey = files.samples_or_raise(dirs)
    except NothingToDo as error:
        before = rows.contents(folder).files
        if not before:
            raise
        raise NothingToDo(f"{error} It held {before:,} files: is the drive mounted?") from None
    return _Job(encoder, survey, folder, progress, workers, wait_s, prune)


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
    job = _job(encoder, dirs, None, None, 0.0, prune=True)  # whatever is gone, it is counted
    with opened(job.folder) as db:
        difference = _difference(db, job)
    return difference.new, len(difference.todo) - difference.new, len(difference.gone)


class _Job(NamedTuple):
    encoder: Encoder
    survey: files.Survey
    folder: Path
    progress: Progress | None
    workers: int | None
    wait_s: float
    prune: bool


class _Difference(NamedTuple):
    todo: list[files.Sample]
    new: int
    gone: dict[bytes, missing_files.Identity]  # by path
    kept: set[bytes]  # of them, those that stay in the index
    marked: set[bytes]  # those that the last scan found missing
    measured: bool  # whether the distances of the sounds were measured: the last thing a scan does


def _scan(job: _Job) -> ScanReport:
    start = time.monotonic()
    with opened(job.folder) as db:
        difference = _difference(db, job)
        moved = encoded = 0
        if not _settled(difference):
            with scan_lock(job.folder, job.wait_s):
                difference = _difference(db, job)  # another process may have done it
                todo, moved = _forget(db, difference)
                encoded = _hear(db, job, todo) if todo else 0
                if not _measured(db):
                    _store_spread(db)
        (sounds,) = db.execute(
            "SELECT COUNT(*) FROM sounds WHERE path NOT IN (SELECT path FROM missing)"
        ).fetchone()
    held = rows.contents(job.folder)
    return ScanReport(
        folder=job.folder,
        found=held.files,
        new=difference.new,
        changed=len(difference.todo) - difference.new,
        removed=len(difference.gone) - len(difference.kept),
        moved=moved,
        missing=held.missing,
        encoded=encoded,
        sounds=sounds,
        reused=sounds - encoded,
        skipped=held.skipped,
        closed=job.survey.closed,
        seconds=time.monotonic() - start,
    )


def _settled(difference: _Difference) -> bool:
    """Whether the index says already what is there and what is missing."""
    absent = difference.gone.keys() == difference.kept == difference.marked
    return absent and not difference.todo and difference.measured


def _difference(db: sqlite3.Connection, job: _Job) -> _Difference:
    before = {
        row[0]: row[1:]
        for row in db.execute(
            f"SELECT path, size, mtime_ns, inode, COALESCE({_RETRIED}, 0) FROM files"
        )
    }
    without = db.execute(
        "SELECT path FROM sounds LEFT JOIN vectors v USING (digest) WHERE crc IS NULL"
    )
    incomplete = {path for (path,) in without}
    todo = []
    fresh = []
    known = len(before)
    for sample in job.survey.samples:
        path = os.fsencode(sample.path)
        row = before.pop(path, None)
        if row is None:
            fresh.append(sample)
        unchanged = row is not None and row[:2] == (sample.size, sample.mtime_ns) and not row[3]
        if not unchanged or path in incomplete:
            todo.append(sample)
    shut = tuple(os.fsencode(os.path.join(files.from_text(d), "")) for d in job.survey.closed)
    gone = {path: row[:3] for path, row in before.items() if not path.startswith(shut or (b"\0",))}
    absent = set() if job.prune else missing_files.unexplained(gone, fresh)
    kept = absent if missing_files.verdict(len(absent), known) == "keep" else set()
    marked = {path for (path,) in db.execute("SELECT path FROM missing")}
    return _Difference(todo, len(fresh), gone, kept, marked, _measured(db))


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
    removed = ((path,) for path in difference.gone.keys() - difference.kept)
    with transaction(db):
        db.executemany("UPDATE OR REPLACE files SET path = ? WHERE path = ?", renamed)
        db.executemany("DELETE FROM files WHERE path = ?", removed)
        db.execute("DELETE FROM missing")
        db.executemany(
            "INSERT INTO missing SELECT path FROM files WHERE path = ?",
            ((path,) for path in difference.kept),
        )
        if todo or len(renamed) < len(difference.gone) or difference.marked:
            db.execute("DELETE FROM facts")
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
            failed += sum(isinstance(one, decode_pool.Skipped) for one in batch)
            if job.progress:
                job.progress(done, len(todo), failed)
    return encoded


def _store(db: sqlite3.Connection, sample: files.Sample, one: Heard, known: set[str]) -> set[str]:
    """Puts what was heard of a file in the place of what is there; returns the new digests."""
    path = os.fsencode(sample.path)
    why: tuple[str | None, str | None] = (None, None)
    if isinstance(one, decode_pool.Skipped):
        why = one.reason, one.detail
    elif one[-1][0].left_out:
        why = None, one[-1][0].left_out
    row = (path, *_identity(sample), *why)
    db.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)", row)
    if isinstance(one, decode_pool.Skipped):
        return set()
    vectors = {sound.digest: vector for sound, vector in one if vector is not None}
    db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows.blobs(vectors))
    sounds = (
        (path, number, sound.clip.onset_s, sound.end_s, sound.digest)
        for number, (sound, _) in enumerate(one, 1)
    )
    db.executemany("INSERT INTO sounds VALUES (?, ?, ?, ?, ?)", sounds)
    return vectors.keys() - known


def _measured(db: sqlite3.Connection) -> bool:
    return bool(db.execute("SELECT COUNT(*) FROM facts").fetchone()[0])


def _store_spread(db: sqlite3.Connection) -> None:
    measured = similarity.spread(rows.different(db))._asdict()
    facts = [(name, quantiles.tobytes()) for name, quantiles in measured.items()]
    with transaction(db):
        db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts)
