"""From files to vectors: decoded on all cores while the model encodes in batches."""

import concurrent.futures
import contextlib
import itertools
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from sst import decoding, features
from sst.config import AudioConfig
from sst.errors import NothingToDo, UsageError
from sst.files import to_text
from sst.types import Features

BATCH = 128  # files
Embed = Callable[[Features], np.ndarray]


class Encoder(NamedTuple):
    """A model as a library sees it. `embed` is called only when there is a sound to encode."""

    digest: str
    audio: AudioConfig
    embed: Embed  # -> float32 [b, e]


Heard = tuple[decoding.Decoded | decoding.Skipped, np.ndarray | None]


def heard(
    encoder: Encoder,
    paths: Sequence[str | os.PathLike[str]],
    has: Callable[[str], bool] = lambda digest: False,
    workers: int | None = None,
) -> Generator[list[Heard], None, None]:
    """Decodes files on all cores while the model encodes: batches of (decoded, vector) in order.

    No vector for what is skipped, and for sounds whose digest `has` says is known. A sound that
    occurs twice is encoded once.
    """
    done: dict[str, np.ndarray] = {}
    stream = decoding.decode_many([Path(p) for p in paths], encoder.audio, workers=workers)
    # The decoding is what goes to another thread: XLA's programs for the CPU have been seen to
    # crash in a thread that did not compile them.
    closing = contextlib.closing(stream)  # type: ignore[type-var]  # a generator
    with closing, concurrent.futures.ThreadPoolExecutor(1) as thread:
        coming = thread.submit(_batch, stream)
        while batch := coming.result():
            coming = thread.submit(_batch, stream)
            yield _embed(encoder, batch, has, done)


def _batch(stream: Iterator[decoding.Decoded | decoding.Skipped]) -> list[Any]:
    return list(itertools.islice(stream, BATCH))


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
) -> Iterator[decoding.Decoded | decoding.Skipped]:
    """The sounds of files in order; silence is skipped like what cannot be read.

    Raises:
        UsageError: the offset is no time after the start.
    """
    if not 0.0 <= offset_s < float("inf"):
        raise UsageError(f"An offset of {offset_s:g} s should be a number of seconds from 0 up.")
    files = [Path(path) for path in paths]
    return map(_audible, decoding.decode_many(files, audio, workers, offset_s=offset_s))


def decoded_or_raise(
    paths: Sequence[str | os.PathLike[str]], audio: AudioConfig, offset_s: float = 0.0
) -> list[decoding.Decoded]:
    """The sounds of files that a person named one by one, each from `offset_s` on.

    Raises:
        UsageError: there is no such file, or the offset is no time after the start.
        NothingToDo: it cannot be read, is silent, or ends before the offset.
    """
    full = [existing(path) for path in paths]
    sounds: list[decoding.Decoded] = []
    for sound in decoded(full, audio, 1, offset_s):
        if isinstance(sound, decoding.Skipped):
            raise NothingToDo(f"Cannot use {to_text(sound.path)}: {sound.detail}.")
        sounds.append(sound)
    return sounds


def features_of(sounds: Sequence[decoding.Decoded], audio: AudioConfig) -> Features:
    """What a model hears of decoded sounds."""
    return features.of_clips([s.clip for s in sounds], audio, [s.log_mel for s in sounds])


def embed_sounds(encoder: Encoder, sounds: Sequence[decoding.Decoded]) -> Float[np.ndarray, "b e"]:
    """The vectors of decoded sounds, one call of the model."""
    return np.asarray(encoder.embed(features_of(sounds, encoder.audio)), np.float32)


def _embed(
    encoder: Encoder, batch: list[Any], has: Callable[[str], bool], done: dict[str, np.ndarray]
) -> list[Heard]:
    """Vectors for those of a batch that need one. Silence and what is not finite gets none."""
    batch = [_audible(sound) for sound in batch]
    sounds = {sound.digest: sound for sound in batch if isinstance(sound, decoding.Decoded)}
    wanted = [s for digest, s in sounds.items() if digest not in done and not has(digest)]
    if wanted:
        done.update(zip((s.digest for s in wanted), embed_sounds(encoder, wanted), strict=True))
    return [_heard(sound, done) for sound in batch]


def _heard(sound: decoding.Decoded | decoding.Skipped, done: dict[str, np.ndarray]) -> Heard:
    vector = done.get(sound.digest) if isinstance(sound, decoding.Decoded) else None
    if vector is None or np.isfinite(vector).all():
        return sound, vector
    return decoding.Skipped(
        sound.path, "non_finite", "the model's answer to it is not finite"
    ), None


def _audible(sound: decoding.Decoded | decoding.Skipped) -> decoding.Decoded | decoding.Skipped:
    """Silence has no neighbours: whatever is near it would be noise."""
    if isinstance(sound, decoding.Decoded) and not np.isfinite(sound.clip.peak_db):
        return decoding.Skipped(sound.path, "silent", "it is silent")
    return sound
