"""From files to vectors: decoded on all cores while the model encodes in batches."""

import concurrent.futures
import contextlib
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from sst.audio import decode_pool
from sst.config import AudioConfig, SegmentConfig
from sst.dsp import features
from sst.errors import NothingToDo, UsageError
from sst.files import to_text
from sst.search import aspects
from sst.types import Features

BATCH = 128  # sounds that wait for the model; a file of many hits may bring more
Embed = Callable[[Features], np.ndarray]


class Encoder(NamedTuple):
    """A model as a library sees it. `embed` is called only when there is a sound to encode."""

    digest: str
    audio: AudioConfig
    embed: Embed  # -> float32 [b, t], the timbre
    cut: SegmentConfig | None = None  # how files are cut into hits; None: a file is one sound


Heard = list[tuple[decode_pool.Decoded, np.ndarray | None]] | decode_pool.Skipped  # of one file


def heard(
    encoder: Encoder,
    paths: Sequence[str | os.PathLike[str]],
    has: Callable[[str], bool] = lambda digest: False,
    workers: int | None = None,
) -> Generator[list[Heard], None, None]:
    """Decodes files on all cores while the model encodes: batches of files, in order.

    A file is its sounds, each with its vector, or why it is skipped. No vector for sounds whose
    digest `has` says is known. A sound that occurs twice is encoded once.
    """
    done: dict[str, np.ndarray] = {}
    stream = _sounds(encoder, [Path(p) for p in paths], workers)
    # The decoding is what goes to another thread: XLA's programs for the CPU have been seen to
    # crash in a thread that did not compile them.
    with contextlib.closing(stream), concurrent.futures.ThreadPoolExecutor(1) as thread:
        coming = thread.submit(_batch, stream)
        while batch := coming.result():
            coming = thread.submit(_batch, stream)
            yield _embed(encoder, batch, has, done)


File = list[decode_pool.Decoded] | decode_pool.Skipped


def _sounds(
    encoder: Encoder, paths: list[Path], workers: int | None
) -> Generator[File, None, None]:
    """The sounds of every file: its hits, or the file as one sound."""
    if encoder.cut is not None:
        hits = decode_pool.decode_hits(paths, encoder.audio, encoder.cut, workers=workers)
        with contextlib.closing(hits):  # type: ignore[type-var]
            yield from hits
        return
    stream = decode_pool.decode_many(paths, encoder.audio, workers=workers)
    with contextlib.closing(stream):  # type: ignore[type-var]
        for sound in map(_audible, stream):
            yield sound if isinstance(sound, decode_pool.Skipped) else [sound]


def _batch(stream: Iterator[File]) -> list[File]:
    batch: list[File] = []
    size = 0
    for file in stream:
        batch.append(file)
        size += len(file) if isinstance(file, list) else 1
        if size >= BATCH:
            break
    return batch


def existing(path: str | os.PathLike[str]) -> Path:
    """The path of a file that a person named.

    Raises:
        UsageError: it is a folder, or not there.
    """
    file = Path(path).expanduser()
    if file.is_dir():
        raise UsageError(f"{to_text(file)} is a folder; give an audio file.")
    if not os.path.lexists(file):
        raise UsageError(f"No file {to_text(file)}. (Looked from {to_text(os.getcwd())}.)")
    return file


def decoded(
    paths: Sequence[str | os.PathLike[str]],
    audio: AudioConfig,
    workers: int | None = None,
    offset_s: float = 0.0,
) -> Iterator[decode_pool.Decoded | decode_pool.Skipped]:
    """The sounds of files in order; silence is skipped like what cannot be read.

    Raises:
        UsageError: the offset is no time after the start.
    """
    if not 0.0 <= offset_s < float("inf"):
        raise UsageError(f"An offset of {offset_s:g} s should be a number of seconds from 0 up.")
    files = [Path(path) for path in paths]
    return map(_audible, decode_pool.decode_many(files, audio, workers, offset_s=offset_s))


def decoded_or_raise(
    paths: Sequence[str | os.PathLike[str]], audio: AudioConfig, offset_s: float = 0.0
) -> list[decode_pool.Decoded]:
    """The sounds of files that a person named one by one, each from `offset_s` on.

    Raises:
        UsageError: there is no such file, or the offset is no time after the start.
        NothingToDo: it cannot be read, is silent, or ends before the offset.
    """
    full = [existing(path) for path in paths]
    sounds: list[decode_pool.Decoded] = []
    for sound in decoded(full, audio, 1, offset_s):
        if isinstance(sound, decode_pool.Skipped):
            raise NothingToDo(f"Cannot use {to_text(sound.path)}: {sound.detail}.")
        sounds.append(sound)
    return sounds


def hits_or_raise(encoder: Encoder, path: str | os.PathLike[str]) -> list[decode_pool.Decoded]:
    """The hits of a file that a person named, cut as `encoder.cut` says.

    Raises:
        UsageError: there is no such file.
        NothingToDo: it cannot be read, or is silent.
    """
    (file,) = _sounds(encoder, [existing(path)], workers=1)
    if isinstance(file, decode_pool.Skipped):
        raise NothingToDo(f"Cannot use {to_text(path)}: {file.detail}.")
    return file


def features_of(sounds: Sequence[decode_pool.Decoded], audio: AudioConfig) -> Features:
    """What a model hears of decoded sounds."""
    return features.of_clips([s.clip for s in sounds], audio, [s.log_mel for s in sounds])


def embed_sounds(
    encoder: Encoder, sounds: Sequence[decode_pool.Decoded]
) -> Float[np.ndarray, "b e"]:
    """The search vectors of decoded sounds, timbre and aspects, by one call of the model."""
    timbre = np.asarray(encoder.embed(features_of(sounds, encoder.audio)), np.float32)
    measured = [aspects.describe(sound.clip, sound.log_mel, encoder.audio) for sound in sounds]
    return np.concatenate([timbre, np.stack(measured)], axis=1)


def _embed(
    encoder: Encoder, batch: list[File], has: Callable[[str], bool], done: dict[str, np.ndarray]
) -> list[Heard]:
    """Vectors for those of a batch that need one. What is not finite gets none."""
    sounds = {s.digest: s for file in batch if isinstance(file, list) for s in file}
    wanted = [s for digest, s in sounds.items() if digest not in done and not has(digest)]
    if wanted:
        done.update(zip((s.digest for s in wanted), embed_sounds(encoder, wanted), strict=True))
    return [_heard(file, done) for file in batch]


def _heard(file: File, done: dict[str, np.ndarray]) -> Heard:
    if isinstance(file, decode_pool.Skipped):
        return file
    pairs = [(sound, done.get(sound.digest)) for sound in file]
    finite = [(s, v) for s, v in pairs if v is None or np.isfinite(v).all()]
    if finite:
        return finite
    return decode_pool.Skipped(file[0].path, "non_finite", "the model's answer to it is not finite")


def _audible(
    sound: decode_pool.Decoded | decode_pool.Skipped,
) -> decode_pool.Decoded | decode_pool.Skipped:
    """Silence has no neighbours: whatever is near it would be noise."""
    if isinstance(sound, decode_pool.Decoded) and not np.isfinite(sound.clip.peak_db):
        return decode_pool.Skipped(sound.path, "silent", "it is silent")
    return sound
