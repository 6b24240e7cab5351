"""Scanning a library: its index holds every file's sounds as one model embeds them.

The index lives in the user's cache, never in the library. Vectors are keyed by the decoded sound,
so a renamed or copied file is not embedded again; each pair of a model and audio settings has an
index of its own, so vectors of different models never meet. `write_rows` writes the rows and `rows`
reads them. Nothing here imports JAX: the caller passes `embed`.
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
from sst.cache import cache_root
from sst.errors import NothingToDo
from sst.files import Sample
from sst.library import changes, rows, write_rows
from sst.library.changes import Changes
from sst.library.database import move_aside, open_database, scan_lock, transaction
from sst.library.embed_files import Encoder, embed_files
from sst.search import aspects
from sst.search.scann_index import DamagedIndex
from sst.search.stored_index import IndexWarning
from sst.types import Path_, Progress, Skipped

T = TypeVar("T")


class ScanReport(NamedTuple):
    """The result of a scan, by numbers."""

    folder: Path  # where the index is
    found: int  # files, the skipped ones too
    sounds: int  # in them: embedded + reused
    new: int  # files
    changed: int
    removed: int  # files that were in the index and have left it
    moved: int  # of them, those found again under another name
    missing: int  # known files that are not there and so many that they stay in the index
    embedded: int  # sounds that the model had to embed
    reused: int
    skipped: dict[str, int]  # reason -> files
    closed: list[str]  # folders that could not be read; what is known of them is kept
    seconds: float


class ScanOptions(NamedTuple):
    """Options of a scan."""

    progress: Progress | None = None
    workers: int | None = None  # decoding processes; as many as cores by default
    wait_s: float = 600.0  # for another process that scans the same library
    prune: bool = False  # whether files that are gone leave the index, however many they are


class _Job(NamedTuple):
    encoder: Encoder
    survey: files.Survey
    folder: Path
    options: ScanOptions


_DEFAULT = ScanOptions()


def index_folder(dirs: Sequence[Path_], encoder: Encoder) -> Path:
    """Returns the folder of the index of these folders (in any order) for this model."""
    real = sorted({os.path.realpath(os.path.expanduser(d)) for d in dirs})
    library = hashlib.blake2b(b"\0".join(map(os.fsencode, real)), digest_size=8).hexdigest()
    model = f"{encoder.digest}-{configs.digest(encoder.audio)}-{aspects.VECTOR_VERSION}"
    if encoder.segmentation is not None:
        model += f"-{configs.digest(encoder.segmentation)}-{configs.SEGMENTER_VERSION}"
    return cache_root() / "libraries" / library / model


def scan(encoder: Encoder, dirs: Sequence[Path_], options: ScanOptions = _DEFAULT) -> ScanReport:
    """Brings the index up to date. A file of the same size and time as before is not opened.

    A kill loses at most the batch in flight. While another process scans the same library, this
    one waits up to `options.wait_s` seconds. What is gone leaves the index, but where more than
    `missing.KEEP_SHARE` of the known files are gone they stay in it, unseen, unless
    `options.prune`.

    Raises:
        UsageError: one of `dirs` is not a folder.
        NothingToDo: no audio file in them, or more than `missing.STOP_SHARE` of the known files
            are gone and `options.prune` is not given; the index stays as it was.
        ModelError: the index was written by a newer version.
        ResourceError: the cache cannot be written, or is in use for longer than `options.wait_s`.
    """
    job = _Job(*_survey(encoder, dirs), options)
    return _rebuilt_if_damaged(job.folder, lambda: _scan(job))


def scan_and_read(
    encoder: Encoder, dirs: Sequence[Path_], options: ScanOptions = _DEFAULT
) -> tuple[ScanReport, rows.Rows]:
    """Does `scan`, then `rows`; what turns out to be damaged while it is read is built again."""
    job = _Job(*_survey(encoder, dirs), options)
    return _rebuilt_if_damaged(job.folder, lambda: (_scan(job), rows.read_rows(job.folder)))


def count_pending(encoder: Encoder, dirs: Sequence[Path_]) -> tuple[int, int, int]:
    """Counts the files that are new, changed and gone since the last scan; changes nothing."""
    _, survey, folder = _survey(encoder, dirs)
    with open_database(folder) as db:
        found = changes.find_changes(db, survey, prune=True)  # whatever is gone, it is counted
    return found.new, len(found.todo) - found.new, len(found.gone)


def _survey(encoder: Encoder, dirs: Sequence[Path_]) -> tuple[Encoder, files.Survey, Path]:
    folder = index_folder(dirs, encoder)
    try:
        return encoder, files.samples_or_raise(dirs), folder
    except NothingToDo as error:
        before = rows.count_contents(folder).files
        if not before:
            raise
        raise NothingToDo(f"{error} It held {before:,} files: is the drive mounted?") from None


def _rebuilt_if_damaged(folder: Path, work: Callable[[], T]) -> T:
    """Returns the result of `work`, with a new index if the present one is damaged."""
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


def _scan(job: _Job) -> ScanReport:
    start = time.monotonic()
    with open_database(job.folder) as db:
        found = changes.find_changes(db, job.survey, job.options.prune)
        moved = embedded = 0
        if not changes.is_settled(found):
            with scan_lock(job.folder, job.options.wait_s):
                # Another process may have done it meanwhile.
                found = changes.find_changes(db, job.survey, job.options.prune)
                moved, embedded = _update(db, job, found)
        (sounds,) = db.execute(
            "SELECT COUNT(*) FROM sounds WHERE path NOT IN (SELECT path FROM missing)"
        ).fetchone()
    held = rows.count_contents(job.folder)
    return ScanReport(
        folder=job.folder,
        found=held.files,
        new=found.new,
        changed=len(found.todo) - found.new,
        removed=len(found.gone) - len(found.kept),
        moved=moved,
        missing=held.missing,
        embedded=embedded,
        sounds=sounds,
        reused=sounds - embedded,
        skipped=held.skipped,
        closed=job.survey.closed,
        seconds=time.monotonic() - start,
    )


def _update(db: sqlite3.Connection, job: _Job, found: Changes) -> tuple[int, int]:
    """Carries the changes out; returns the files moved and the sounds embedded."""
    todo, moved = write_rows.remove_gone(db, found)
    embedded = _embed_new(db, job, todo) if todo else 0
    if not changes.is_calibrated(db):
        write_rows.store_distances(db)
    return moved, embedded


def _embed_new(db: sqlite3.Connection, job: _Job, todo: list[Sample]) -> int:
    """Decodes and embeds what is new, a transaction per batch; returns the sounds embedded."""
    digests = {row[0] for row in db.execute("SELECT digest FROM vectors")}
    embedded = done = skipped = 0
    paths = [sample.path for sample in todo]
    stream = embed_files(job.encoder, paths, digests.__contains__, job.options.workers)
    with contextlib.closing(stream):
        for batch in stream:
            with transaction(db):
                for sample, file in zip(todo[done : done + len(batch)], batch, strict=True):
                    fresh = write_rows.store_file(db, sample, file, digests)
                    embedded += len(fresh)
                    digests |= fresh
            done += len(batch)
            skipped += sum(isinstance(file, Skipped) for file in batch)
            if job.options.progress:
                job.options.progress(done, len(todo), skipped)
    return embedded
