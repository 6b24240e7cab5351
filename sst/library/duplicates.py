"""The copies in a library: which files hold one sound, and which of them is the best to keep."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sst import files
from sst.audio.audio import to_int16
from sst.audio.decode_pool import Decoded, Skipped, decode_many
from sst.config import AudioConfig
from sst.search import waveform_match
from sst.types import Wave

AUDIO = AudioConfig()
LOSSY = (".mp3", ".ogg")
HEARD_RATE = 44_100  # Hz; what is beyond is not heard
Progress = Callable[[int, int, int], None]  # files done, files to do, of them skipped


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


def find(
    dirs: Sequence[str | os.PathLike[str]],
    progress: Progress | None = None,
    workers: int | None = None,
) -> CopyReport:
    """Listens to every file, and once more to those that may be copies. Needs no model or index.

    The best of a group is the one of the highest rate as far as that is heard (44.1 kHz), without
    loss before with it, then of the highest rate at all, with the most channels, the longest, and
    the first by name.

    Raises:
        UsageError: one of `dirs` is not a folder.
        NothingToDo: no audio file in them.
    """
    samples = files.samples_or_raise(dirs).samples
    heard, skipped = _heard(samples, progress, workers)
    paths = [samples[one.row].path for one in heard]

    def waves(rows: Sequence[int]) -> Iterator[Wave]:
        for sound in decode_many([paths[row] for row in rows], AUDIO, workers):
            yield sound.clip.wave if isinstance(sound, Decoded) else np.zeros(1, np.float32)

    looks = np.array([one.look for one in heard], np.float32).reshape(len(heard), -1)
    clusters = waveform_match.clusters(
        [one.clip_digest for one in heard], looks, waves, AUDIO.sample_rate
    )
    members: dict[int, list[_Heard]] = {}
    for one, cluster in zip(heard, clusters, strict=True):
        members.setdefault(cluster, []).append(one)
    groups = [_group(group, samples) for group in members.values() if len(group) > 1]
    return CopyReport(sorted(groups), len(samples), skipped)


class _Heard(NamedTuple):
    row: int  # of the sample
    clip_digest: str  # equal for copies without any loss
    digest: str  # equal for equal samples in the file
    look: np.ndarray
    sample_rate: int
    channels: int
    duration_s: float


def _heard(
    samples: Sequence[files.Sample], progress: Progress | None, workers: int | None
) -> tuple[list[_Heard], dict[str, int]]:
    found, skipped = [], dict[str, int]()
    stream = decode_many([sample.path for sample in samples], AUDIO, workers)
    for row, sound in enumerate(stream):
        if isinstance(sound, Skipped):
            skipped[sound.reason] = skipped.get(sound.reason, 0) + 1
        else:
            found.append(_described(row, sound))
        if progress and (row % 64 == 63 or row + 1 == len(samples)):
            progress(row + 1, len(samples), sum(skipped.values()))
    return found, skipped


def _described(row: int, sound: Decoded) -> _Heard:
    wave = to_int16(sound.clip.wave).tobytes()
    return _Heard(
        row,
        hashlib.blake2b(wave, digest_size=16).hexdigest(),
        sound.digest,
        waveform_match.thumbnail(sound.log_mel, AUDIO),
        sound.sample_rate,
        sound.channels,
        sound.clip.duration_s,
    )


def _group(group: list[_Heard], samples: Sequence[files.Sample]) -> list[Copy]:
    def quality(one: _Heard) -> tuple:
        path = samples[one.row].path
        lossy = Path(path).suffix.lower() in LOSSY
        rate = one.sample_rate
        length = round(one.duration_s, 3)
        return -min(rate, HEARD_RATE), lossy, -rate, -one.channels, -length, str(path)

    best, *others = sorted(group, key=quality)
    return [_copy(best, "best", samples)] + [
        _copy(one, "identical" if one.digest == best.digest else "copy", samples) for one in others
    ]


def _copy(one: _Heard, what: str, samples: Sequence[files.Sample]) -> Copy:
    sample = samples[one.row]
    return Copy(
        os.fspath(sample.path), what, one.sample_rate, one.channels, one.duration_s, sample.size
    )
