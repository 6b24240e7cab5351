"""Hits as files of their own, and recordings with a marker at every hit: for samplers and editors.

Samples are copied as they are: the rate, the channels and the depth of the source. Sources are only
read.
"""

import contextlib
import errno
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile as sf
from jaxtyping import Num

from sst import atomic
from sst.audio import containers, wav
from sst.audio.reader import BadAudio, open_audio, read_block, skip
from sst.errors import UsageError
from sst.files import to_text

BLOCK = 2**22  # samples times channels copied at once
LONGEST_NAME = 200  # bytes of the name of a source that its slices keep
_BYTES = {"PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}
_KEPT = _BYTES.keys()
_SAME_DEPTH = {"PCM_S8": "PCM_U8", "ULAW": "PCM_16", "ALAW": "PCM_16"}
_OTHER = "PCM_24"  # for what a lossy decoder computes


class Slice(NamedTuple):
    """A part of a file, seconds."""

    start_s: float
    end_s: float


class Plan(NamedTuple):
    """The files to write of one source."""

    source: Path
    slices: list[Slice]
    targets: list[Path]  # one for each slice
    marked: Path | None  # the whole source, with markers


class Report(NamedTuple):
    """The files written, and the sources skipped."""

    files: list[Path]
    skipped: list[tuple[Path, str]]  # sources, and why


def make_plans(
    rows: Iterable[tuple[str | os.PathLike[str], float, float]], folder: Path, markers: bool = True
) -> list[Plan]:
    """Plans the files of slices: NAME_001.wav and so on, and NAME_markers.wav.

    Sources of one name get NAME-2, NAME-3, ... in the order of their paths.

    Args:
        rows: (path, start, end in seconds), of any number of files.
        folder: where all of them go.
        markers: whether the whole sources are written too.
    """
    ordered = sorted((os.fspath(path), start, end) for path, start, end in rows)
    taken: set[str] = set()
    made = []
    for path, group in itertools.groupby(ordered, key=lambda row: row[0]):
        slices = [Slice(start, end) for _, start, end in group]
        name = _free_name(Path(path).stem, taken)
        digits = max(3, len(str(len(slices))))
        targets = [folder / f"{name}_{i:0{digits}}.wav" for i in range(1, len(slices) + 1)]
        made.append(
            Plan(Path(path), slices, targets, folder / f"{name}_markers.wav" if markers else None)
        )
    return made


def write(
    plan: Sequence[Plan],
    overwrite: bool = False,
    progress: Callable[[int, int], None] = lambda done, to_do: None,
) -> Report:
    """Writes what is planned; each file is whole or not there. A bad source is skipped.

    Args:
        plan: of `make_plans`.
        overwrite: whether files that are there may be replaced.
        progress: called with the sources done and to do.

    Raises:
        UsageError: a file is there already or is one of the sources; nothing has been written.
        OSError: the folder is missing, full or closed.
    """
    targets = [file for one in plan for file in (*one.targets, one.marked) if file is not None]
    sources = {os.path.realpath(one.source) for one in plan}
    if own := [file for file in targets if os.path.realpath(file) in sources]:
        raise UsageError(f"{to_text(own[0])} is a source itself; choose another folder.")
    there = [] if overwrite else [file for file in targets if os.path.lexists(file)]
    if there:
        raise UsageError(f"{to_text(there[0])} exists already; --overwrite replaces it.")
    report = Report([], [])
    for done, one in enumerate(plan):
        progress(done, len(plan))
        try:
            report.files.extend(_write_source(one))
        except BadAudio as bad:
            report.skipped.append((one.source, bad.detail))
    progress(len(plan), len(plan))
    return report


def write_slice(source: str | os.PathLike[str], part: Slice, target: Path) -> None:
    """Writes one slice of one file, whole or not at all; replaces what is at `target`.

    Raises:
        BadAudio: the source cannot be used.
        OSError: the folder is missing, full or closed.
    """
    for _ in _write_source(Plan(Path(source), [part], [target], None)):
        pass


def _free_name(stem: str, taken: set[str]) -> str:
    """Returns the name of a source, numbered where it is taken; adds it to `taken`."""
    stem = os.fsdecode(os.fsencode(stem)[:LONGEST_NAME])
    numbered = (f"{stem}-{i}" for i in itertools.count(2))
    # Names that differ in case only are one name on some systems.
    name = next(n for n in itertools.chain([stem], numbered) if n.casefold() not in taken)
    taken.add(name.casefold())
    return name


def _write_source(plan: Plan) -> Iterator[Path]:
    """Writes all slices of one source in one pass, and its copy with markers in another."""
    with open_audio(plan.source) as (source, _):
        at = 0
        for part, target in zip(plan.slices, plan.targets, strict=True):
            start, end = (round(time * source.samplerate) for time in part)
            if start < at:
                source.seek(0)
                at = 0
            skip(source, start - at)
            at = start + _copy(source, target, end - start)
            yield target
    if plan.marked is not None:
        with open_audio(plan.source) as (source, _):
            starts = [round(part.start_s * source.samplerate) for part in plan.slices]
            labels = [os.fsencode(target.stem) for target in plan.targets]
            chunks = containers.make_marker_chunks(starts, labels)
            _copy(source, plan.marked, source.frames, chunks)
            yield plan.marked


def _copy(source: sf.SoundFile, target: Path, samples: int, chunks: bytes = b"") -> int:
    """Writes the next samples of an open file as a WAV file; returns how many there were."""
    subtype = _subtype(source.subtype)
    if samples * source.channels * _BYTES[subtype] > containers.LARGEST_WAV:
        raise BadAudio("unsupported", "as a WAV file it would be larger than 4 GB")
    done = 0
    with atomic.draft(target) as draft:
        with _wav(draft, source, subtype) as copy:
            for block in _blocks(source, samples):
                copy.write(block)
                done += len(block)
        with open(draft, "r+b") as file:
            containers.append(file, chunks)
    return done


def _blocks(source: sf.SoundFile, samples: int) -> Iterator[Num[np.ndarray, "n channels"]]:
    """Yields the next samples in the type that keeps them as they are."""
    exact = source.subtype in _KEPT or source.subtype in _SAME_DEPTH
    dtype = {"FLOAT": "float32", "DOUBLE": "float64"}.get(source.subtype, "int32")
    while samples > 0:
        length = min(samples, max(1, BLOCK // source.channels))
        block = read_block(source, length, dtype if exact else "float32")
        yield block if exact else np.clip(block, -1.0, 1.0)
        samples = samples - length if len(block) == length else 0


@contextlib.contextmanager
def _wav(path: Path, like: sf.SoundFile, subtype: str) -> Iterator[sf.SoundFile]:
    """Opens a new WAV file of the rate and channels of another. Raises OSError where it cannot."""
    try:
        with wav.open_new(path, like.samplerate, like.channels, subtype) as file:
            yield file
    except sf.LibsndfileError:
        raise OSError(errno.EIO, "no permission or no room", str(path)) from None


def _subtype(source: str) -> str:
    """Returns the subtype that stores the samples of the source without loss."""
    return source if source in _KEPT else _SAME_DEPTH.get(source, _OTHER)
