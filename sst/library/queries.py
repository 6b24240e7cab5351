"""Queries as vectors: a file, a hit in it, likes and dislikes, an interpolation."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from sst.audio.clip import canonical, resample
from sst.dsp import descriptors, features
from sst.errors import NothingToDo, UsageError
from sst.files import to_text
from sst.library import embed_files, rows
from sst.library.embed_files import Encoder
from sst.search import aspects
from sst.types import Clip, Path_, Sound


class Target(NamedTuple):
    """A sound that a query was made of."""

    digest: str
    vector: Float[np.ndarray, " e"]
    clip: Clip | None  # None where a row of the index, of that digest, holds it
    inside: bool = True  # the library: its copies there are no results


class Query(NamedTuple):
    """Search vectors: a search finds the sounds that are near to any of them."""

    vectors: Float[np.ndarray, "q e"]
    own: frozenset[str]  # digests that are no results: of the targets, and of the hits in them
    targets: tuple[Target, ...]


def of_file(encoder: Encoder, folder: Path, target: Path_, segment: int | None = None) -> Query:
    """Makes a query of a file, or of one hit of it, which may or may not be in the library.

    Args:
        encoder: the model.
        folder: of the library's index: what it holds is not decoded again.
        target: the file.
        segment: the number of a hit, from 1; the whole file by default.

    Raises:
        UsageError: there is no such file, or no such hit in it.
        NothingToDo: the file cannot be read, or is silent.
    """
    if segment is not None and encoder.segmentation is None:
        raise UsageError("--segment goes with --library-segmentation.")
    indexed = rows.read_indexed_sounds(folder, target)
    if indexed and (segment is not None or len(indexed) == 1):
        sound = indexed[_position(target, segment or 1, len(indexed))]
        return _of_indexed(sound)
    decoded = _decode(encoder, target, segment)
    hits = [sound.digest for sound in indexed]  # of a whole that the index has in parts
    (vector,) = _vectors(encoder, [decoded], target)
    query = _of_decoded(decoded, vector)
    return query._replace(own=query.own.union(hits))


def of_hits(encoder: Encoder, folder: Path, target: Path_, any_pitch: bool = False) -> list[Query]:
    """Makes a query of every hit of a file, which is decoded once at most.

    Arguments and errors as of `of_file`.
    """
    indexed = [] if any_pitch else rows.read_indexed_sounds(folder, target)
    if indexed:
        return [_of_indexed(sound) for sound in indexed]
    hits = embed_files.decode_hits_or_raise(encoder, target)
    if any_pitch:
        return [_transposed(encoder, hit, target) for hit in hits]
    vectors = _vectors(encoder, hits, target)
    return [_of_decoded(hit, vector) for vector, hit in zip(vectors, hits, strict=True)]


def at_any_pitch(encoder: Encoder, target: Path_, segment: int | None = None) -> Query:
    """Makes a query as `of_file`, but of the sound at every semitone of two octaves."""
    return _transposed(encoder, _decode(encoder, target, segment), target)


def count_hits(encoder: Encoder, folder: Path, target: Path_) -> int:
    """Counts the hits of a file.

    Raises:
        UsageError: there is no such file.
        NothingToDo: the file cannot be read, or is silent.
    """
    indexed = rows.read_indexed_sounds(folder, target)
    return len(indexed) or len(embed_files.decode_hits_or_raise(encoder, target))


def blend(parts: Sequence[tuple[Query, float]]) -> Query:
    """Returns the weighted sum of queries of one vector; negative weights are for dislikes.

    The way of Rocchio, "Relevance feedback in information retrieval", 1971, on the sphere.

    Raises:
        UsageError: a weight that is 0 or not finite, or sounds that cancel each other out.
    """
    shares = np.array([share for _, share in parts])
    if not np.isfinite(shares).all() or not shares.all():
        raise UsageError("The weights of --like and --unlike should be numbers other than 0.")
    if shares.max() < 0:
        raise UsageError("Something to be like is missing: give a target, or --like.")
    vectors = np.concatenate([query.vectors for query, _ in parts])
    own, targets = _sources([query for query, _ in parts])
    return Query(aspects.blend(vectors, shares)[None], own, targets)


def interpolate(a: Query, b: Query, steps: int) -> list[Query]:
    """Returns queries on the path from one sound to another, both ends included.

    Raises:
        UsageError: fewer than 2 steps, or two sounds that are opposites.
    """
    if steps < 2:
        raise UsageError(f"--steps {steps} should be at least 2.")
    ends, (own, targets) = np.concatenate([a.vectors, b.vectors]), _sources([a, b])
    points = np.linspace(0.0, 1.0, steps)
    return [Query(aspects.blend(ends, np.array([1 - t, t]))[None], own, targets) for t in points]


def from_outside(query: Query) -> Query:
    """Returns the query as of sounds outside the library: their copies there are results."""
    targets = tuple(target._replace(inside=False) for target in query.targets)
    return query._replace(own=frozenset(), targets=targets)


def _sources(parts: Sequence[Query]) -> tuple[frozenset[str], tuple[Target, ...]]:
    """Returns what all of some queries were made of."""
    own: frozenset[str] = frozenset().union(*(query.own for query in parts))
    return own, tuple(target for query in parts for target in query.targets)


def _of_indexed(sound: rows.IndexedSound) -> Query:
    target = Target(sound.digest, sound.vector, None)
    return Query(sound.vector[None], frozenset([sound.digest]), (target,))


def _of_decoded(sound: Sound, vector: Float[np.ndarray, " e"]) -> Query:
    target = Target(sound.digest, vector, sound.clip)
    return Query(vector[None], frozenset([sound.digest]), (target,))


def _transposed(encoder: Encoder, sound: Sound, target: Path_) -> Query:
    variants = [_at_pitch(sound, semitones, encoder) for semitones in aspects.SEMITONES]
    vectors = _vectors(encoder, variants, target)
    query = _of_decoded(sound, vectors[list(aspects.SEMITONES).index(0)])
    return query._replace(vectors=vectors)


def _position(target: Path_, segment: int, there: int) -> int:
    if not 1 <= segment <= there:
        hits = "1 hit" if there == 1 else f"{there} hits"
        raise UsageError(f"--segment {segment}: {to_text(target)} has {hits}.")
    return segment - 1


def _decode(encoder: Encoder, target: Path_, segment: int | None) -> Sound:
    if segment is None:
        return embed_files.decode_or_raise([target], encoder.audio)[0]
    hits = embed_files.decode_hits_or_raise(encoder, target)
    return hits[_position(target, segment, len(hits))]


def _vectors(encoder: Encoder, sounds: Sequence[Sound], target: Path_) -> Float[np.ndarray, "q e"]:
    vectors = embed_files.embed_sounds(encoder, sounds)
    if not np.isfinite(vectors).all():
        raise NothingToDo(f"Cannot use {to_text(target)}: the model's answer to it is not finite.")
    return vectors


def _at_pitch(sound: Sound, semitones: int, encoder: Encoder) -> Sound:
    """Returns the sound played faster or slower, at the level that it had."""
    if not semitones:
        return sound
    config = encoder.audio
    rate = config.sample_rate * 2.0 ** (semitones / 12.0)
    wave = resample(sound.clip.wave, rate, config.sample_rate)
    clip = canonical(wave, config.sample_rate, config)
    if not np.isfinite(clip.peak_db):  # all of it is above the highest frequency now
        return sound
    clip = clip._replace(peak_db=sound.clip.peak_db)
    log_mel = features.log_mel(clip.wave, config)
    return sound._replace(
        clip=clip,
        log_mel=log_mel,
        attack=features.attack(clip.wave, config),
        descriptors=descriptors.describe(clip, log_mel, config),
    )
