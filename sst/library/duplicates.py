"""Duplicates in a library: which files hold one sound, and which of them is the best to keep."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from sst import files
from sst.audio.clip import clip_digest
from sst.audio.decode_pool import decode_many
from sst.config import AudioConfig
from sst.errors import NothingToDo, plural
from sst.files import Sample
from sst.search import waveform_match
from sst.types import Progress, Skipped, Sound, Wave

AUDIO = AudioConfig()
LOSSY = (".mp3", ".ogg")
AUDIBLE_RATE = 44_100  # Hz; what is beyond is not heard


class Copy(NamedTuple):
    """One file of a group."""

    path: str  # absolute; bytes that are no UTF-8 as surrogate escapes
    what: str  # "best"; "identical": the same samples as the best; "copy": the same sound
    sample_rate: int  # Hz
    channels: int
    duration_s: float  # at most the two seconds that are compared
    size: int  # bytes


class CopyReport(NamedTuple):
    """The groups of files that hold one sound, each with the best first."""

    groups: list[list[Copy]]
    found: int  # files
    skipped: dict[str, int]  # reason -> files


class _File(NamedTuple):
    """A decoded file without its arrays, for there may be many files."""

    sample: Sample
    clip_digest: str  # equal for copies without any loss
    digest: str  # equal for equal samples in the file
    thumbnail: Float[np.ndarray, " c"]
    sample_rate: int
    channels: int
    duration_s: float


def find_duplicates(
    dirs: Sequence[str | os.PathLike[str]],
    progress: Progress | None = None,
    workers: int | None = None,
) -> CopyReport:
    """Decodes every file, and once more those that may be copies. Needs no model or index.

    The best of a group is the one of the highest rate as far as that is heard (44.1 kHz), without
    loss before with it, then of the highest rate at all, with the most channels, the longest, and
    the first by name.

    Raises:
        UsageError: one of `dirs` is not a folder.
        NothingToDo: no audio file in them, or none that can be used.
    """
    samples = files.samples_or_raise(dirs).samples
    found, skipped = _decode(samples, progress, workers)
    if not found:
        reasons = ", ".join(f"{count} {reason}" for reason, count in skipped.items())
        raise NothingToDo(f"0 of {plural(len(samples), 'file')} could be used: {reasons}.")

    def waves(rows: Sequence[int]) -> Iterator[Wave]:
        for sound in decode_many([found[row].sample.path for row in rows], AUDIO, workers):
            yield sound.clip.wave if isinstance(sound, Sound) else np.zeros(1, np.float32)

    thumbnails = np.array([file.thumbnail for file in found], np.float32).reshape(len(found), -1)
    digests = [file.clip_digest for file in found]
    clusters = waveform_match.find_clusters(digests, thumbnails, waves, AUDIO.sample_rate)
    members: dict[int, list[_File]] = {}
    for file, cluster in zip(found, clusters, strict=True):
        members.setdefault(cluster, []).append(file)
    groups = [_group(group) for group in members.values() if len(group) > 1]
    return CopyReport(sorted(groups), len(samples), skipped)


def _decode(
    samples: Sequence[Sample], progress: Progress | None, workers: int | None
) -> tuple[list[_File], dict[str, int]]:
    """Returns the usable files, and how many are skipped for each reason."""
    found: list[_File] = []
    skipped: dict[str, int] = {}
    paths = [sample.path for sample in samples]
    stream = decode_many(paths, AUDIO, workers, measure=("thumbnail",))
    for done, (sample, sound) in enumerate(zip(samples, stream, strict=True), 1):
        if isinstance(sound, Skipped):
            skipped[sound.reason] = skipped.get(sound.reason, 0) + 1
        else:
            found.append(_file(sample, sound))
        if progress and (done % 64 == 0 or done == len(samples)):
            progress(done, len(samples), sum(skipped.values()))
    return found, skipped


def _file(sample: Sample, sound: Sound) -> _File:
    return _File(
        sample,
        clip_digest(sound.clip.wave),
        sound.digest,
        sound.thumbnail,
        sound.sample_rate,
        sound.channels,
        sound.clip.duration_s,
    )


def _group(group: list[_File]) -> list[Copy]:
    """Returns the files of one sound, the best first."""
    best, *others = sorted(group, key=_quality)
    return [_copy(best, "best")] + [
        _copy(file, "identical" if file.digest == best.digest else "copy") for file in others
    ]


def _quality(file: _File) -> tuple:
    path, rate = file.sample.path, file.sample_rate
    lossy = Path(path).suffix.lower() in LOSSY
    length = round(file.duration_s, 3)
    return -min(rate, AUDIBLE_RATE), lossy, -rate, -file.channels, -length, path


def _copy(file: _File, what: str) -> Copy:
    path, size = file.sample.path, file.sample.size
    return Copy(path, what, file.sample_rate, file.channels, file.duration_s, size)
