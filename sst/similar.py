"""Similar sounds: a session over one library that starts without JAX and loads the model late."""

import functools
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from sst import encoding, library, modelfile, search
from sst.encoding import Encoder
from sst.errors import NothingToDo, UsageError
from sst.files import to_text
from sst.types import Features

Path_ = str | os.PathLike[str]


class Hit(NamedTuple):
    """A sound of the library, as near as `distance` to the target."""

    path: str  # absolute; bytes that are no UTF-8 as surrogate escapes
    onset_s: float
    end_s: float
    distance: float  # Euclidean
    similarity: float  # per cent of the library's pairs of sounds that are farther apart


class Session(NamedTuple):
    """A library that is up to date and ready to be searched."""

    encoder: Encoder
    report: library.ScanReport
    rows: library.Rows
    searcher: search.Searcher


def encoder(name: Path_) -> Encoder:
    """The search side of a model. JAX is imported when the first sound is encoded, not before."""
    saved = modelfile.load_model(modelfile.find_model(name))

    @functools.cache
    def loaded() -> Any:
        from sst import inference

        return inference.load(name)

    def embed(heard: Features) -> np.ndarray:
        from sst import inference

        return np.asarray(inference.embed_features(loaded(), heard))

    return Encoder(saved.digest, saved.config.audio, embed)


def open_session(
    encoder: Encoder,
    dirs: Sequence[Path_],
    engine: search.Engine = "auto",
    progress: library.Progress | None = None,
    workers: int | None = None,
) -> Session:
    """Brings the library's index up to date and makes it searchable.

    Raises:
        UsageError: a folder that is none, an unknown engine.
        NothingToDo: no audio in the folders, or none that can be read.
    """
    report, rows = library.scanned(encoder, dirs, progress, workers)
    if not rows.paths:
        _, _, detail = library.skipped(report.folder)[0]
        raise NothingToDo(
            f"0 of {report.found} files could be used; the first: {detail}."
            " Is this a network drive that is offline?"
        )
    searcher = search.open_or_build(report.folder, rows.vectors, engine)
    return Session(encoder, report, rows, searcher)


def find(
    session: Session, target: Path_, num_similar: int = 10, include_self: bool = False
) -> list[Hit]:
    """The sounds nearest to a file, which may or may not be in the library.

    The file itself, and every copy of it, is left out unless `include_self`.

    Raises:
        UsageError: there is no such file, or num_similar < 1.
        NothingToDo: the file cannot be read, or is silent.
    """
    if num_similar < 1:
        raise UsageError(f"--num-similar {num_similar} should be at least 1.")
    digest, vector = _target(session, target)
    rows = session.rows
    own = np.array([other == digest for other in rows.digests])
    wanted = num_similar if include_self else num_similar + int(own.sum())
    found, distances = session.searcher.search(vector[None], wanted)
    kept = np.ones(len(found[0]), bool) if include_self else ~own[found[0]]
    found, distances = found[0][kept][:num_similar], distances[0][kept][:num_similar]
    shares = library.similarity(distances, rows.distances)
    return [
        Hit(rows.paths[i], float(rows.onsets[i]), float(rows.ends[i]), float(d), float(s))
        for i, d, s in zip(found, distances, shares, strict=True)
    ]


def _target(session: Session, target: Path_) -> tuple[str, np.ndarray]:
    """The digest and vector of a file: from the index where it holds this sound, else encoded."""
    known = library.known(session.report.folder, target)
    if known is not None:
        return known.digest, known.vector
    (sound,) = encoding.decoded_or_raise([target], session.encoder.audio)
    if sound.digest in session.rows.digests:
        return sound.digest, session.rows.vectors[session.rows.digests.index(sound.digest)]
    vector = encoding.embed_sounds(session.encoder, [sound])[0]
    if not np.isfinite(vector).all():
        raise NothingToDo(f"Cannot use {to_text(target)}: the model's answer to it is not finite.")
    return sound.digest, vector
