"""Files to search vectors: decoded on all cores while the model embeds in batches."""

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
from sst.dsp.features import pad
from sst.errors import NothingToDo, UsageError
from sst.files import existing_file, to_text
from sst.search import aspects
from sst.types import Features, Skipped, Sound

BATCH_SIZE = 128  # sounds that wait for the model; a file of many hits may bring more
Embed = Callable[[Features], np.ndarray]
DecodedFile = list[Sound] | Skipped
EmbeddedFile = list[tuple[Sound, np.ndarray | None]] | Skipped  # None where the vector is known


class Encoder(NamedTuple):
    """A model as a library sees it. `embed` is called only when there is a sound to embed."""

    digest: str
    audio: AudioConfig
    embed: Embed  # -> float32 [b, t], the timbre
    # How files are cut into hits; None: a file is one sound.
    segmentation: SegmentConfig | None = None


def embed_files(
    encoder: Encoder,
    paths: Sequence[str | os.PathLike[str]],
    has: Callable[[str], bool] = lambda digest: False,
    workers: int | None = None,
) -> Generator[list[EmbeddedFile], None, None]:
    """Decodes files on all cores while the model embeds; yields batches of files, in order.

    A file is a list of its sounds with their vectors, or `Skipped`. A sound that occurs twice is
    embedded once.

    Args:
        encoder: the model.
        paths: files.
        has: tells whether the vector of a digest is known already: then it is None.
        workers: decoding processes; as many as cores by default.
    """
    done: dict[str, np.ndarray] = {}
    stream = _decode_files(encoder, [Path(p) for p in paths], workers)
    # The decoding is what goes to another thread: XLA's programs for the CPU have been seen to
    # crash in a thread that did not compile them.
    with contextlib.closing(stream), concurrent.futures.ThreadPoolExecutor(1) as thread:
        coming = thread.submit(_take_batch, stream)
        while batch := coming.result():
            coming = thread.submit(_take_batch, stream)
            yield _embed_batch(encoder, batch, has, done)


def embed_sounds(encoder: Encoder, sounds: Sequence[Sound]) -> Float[np.ndarray, "b e"]:
    """Returns the search vectors of sounds, timbre and descriptors, by one call of the model."""
    timbre = np.asarray(encoder.embed(features_of(sounds, encoder.audio)), np.float32)
    described = np.stack([sound.descriptors for sound in sounds])
    return np.concatenate([timbre, aspects.apply_weights(described)], axis=1)


def features_of(sounds: Sequence[Sound], audio: AudioConfig) -> Features:
    """Returns the input of a model: sounds padded to one length."""
    return Features(
        pad([sound.log_mel for sound in sounds], audio),
        np.array([len(sound.log_mel) for sound in sounds], np.int32),
        np.array([sound.clip.peak_db for sound in sounds], np.float32),
        np.array([sound.attack for sound in sounds], np.float32),
    )


def decode(
    paths: Sequence[str | os.PathLike[str]],
    audio: AudioConfig,
    workers: int | None = None,
    offset_s: float = 0.0,
) -> Iterator[Sound | Skipped]:
    """Decodes files in order, with descriptors; silence is skipped like what cannot be read.

    Raises:
        UsageError: the offset is negative or not finite.
    """
    if not 0.0 <= offset_s < float("inf"):
        raise UsageError(f"An offset of {offset_s:g} s should be a number of seconds from 0 up.")
    files = [Path(path) for path in paths]
    return decode_pool.decode_many(
        files, audio, workers, offset_s=offset_s, measure=("descriptors",)
    )


def decode_or_raise(
    paths: Sequence[str | os.PathLike[str]], audio: AudioConfig, offset_s: float = 0.0
) -> list[Sound]:
    """Decodes files that a user named one by one, each from `offset_s` on.

    Raises:
        UsageError: there is no such file, or the offset is negative or not finite.
        NothingToDo: it cannot be read, is silent, or ends before the offset.
    """
    full = [existing_file(path) for path in paths]
    sounds: list[Sound] = []
    for sound in decode(full, audio, 1, offset_s):
        if isinstance(sound, Skipped):
            raise NothingToDo(f"Cannot use {to_text(sound.path)}: {sound.detail}.")
        sounds.append(sound)
    return sounds


def decode_hits_or_raise(encoder: Encoder, path: str | os.PathLike[str]) -> list[Sound]:
    """Decodes the hits of a file that a user named, cut as `encoder.segmentation` says.

    Raises:
        UsageError: there is no such file.
        NothingToDo: it cannot be read, or is silent.
    """
    (file,) = _decode_files(encoder, [existing_file(path)], workers=1)
    if isinstance(file, Skipped):
        raise NothingToDo(f"Cannot use {to_text(path)}: {file.detail}.")
    return file


def _decode_files(
    encoder: Encoder, paths: list[Path], workers: int | None
) -> Generator[DecodedFile, None, None]:
    """Decodes every file to its hits, or to one sound."""
    if encoder.segmentation is not None:
        hits = decode_pool.decode_hits(
            paths, encoder.audio, encoder.segmentation, workers, measure=("descriptors",)
        )
        with contextlib.closing(hits):  # type: ignore[type-var]
            yield from hits
        return
    stream = decode_pool.decode_many(paths, encoder.audio, workers, measure=("descriptors",))
    with contextlib.closing(stream):  # type: ignore[type-var]
        for sound in stream:
            yield sound if isinstance(sound, Skipped) else [sound]


def _take_batch(stream: Iterator[DecodedFile]) -> list[DecodedFile]:
    batch: list[DecodedFile] = []
    size = 0
    for file in stream:
        batch.append(file)
        size += len(file) if isinstance(file, list) else 1
        if size >= BATCH_SIZE:
            break
    return batch


def _embed_batch(
    encoder: Encoder,
    batch: list[DecodedFile],
    has: Callable[[str], bool],
    done: dict[str, np.ndarray],
) -> list[EmbeddedFile]:
    """Embeds the sounds of a batch whose vector is not known."""
    sounds = {s.digest: s for file in batch if isinstance(file, list) for s in file}
    unknown = [s for digest, s in sounds.items() if digest not in done and not has(digest)]
    if unknown:
        done.update(zip((s.digest for s in unknown), embed_sounds(encoder, unknown), strict=True))
    return [_with_vectors(file, done) for file in batch]


def _with_vectors(file: DecodedFile, done: dict[str, np.ndarray]) -> EmbeddedFile:
    if isinstance(file, Skipped):
        return file
    pairs = [(sound, done.get(sound.digest)) for sound in file]
    finite = [(s, v) for s, v in pairs if v is None or np.isfinite(v).all()]
    if finite:
        return finite
    return Skipped(file[0].path, "non_finite", "the model's answer to it is not finite")
