"""A session over one library: similar sounds. It starts without JAX and loads the model late."""

import contextlib
import functools
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sst.config import SegmentConfig
from sst.errors import NothingToDo
from sst.library import queries, scan
from sst.library import rows as index_rows
from sst.library.copies import Comparison
from sst.library.embed_files import Encoder
from sst.library.hits import DEFAULT, Choice, Hit, check, choose, make_hits
from sst.library.queries import Query
from sst.model import export_format
from sst.search import aspects
from sst.search import searcher as searchers
from sst.search import similarity as similarities
from sst.types import Features, Path_, Progress


class Session(NamedTuple):
    """A library that is up to date and ready to be searched."""

    encoder: Encoder
    report: scan.ScanReport
    rows: index_rows.Rows
    searcher: searchers.Searcher


def load_encoder(name: Path_, segmentation: SegmentConfig | None = None) -> Encoder:
    """Loads a model as an `Encoder`. JAX is imported when the first sound is embedded."""
    saved = export_format.load_model(export_format.find_model(name))

    @functools.cache
    def loaded() -> Any:
        from sst import inference

        return inference.load(name)

    def embed(features: Features) -> np.ndarray:
        from sst import inference

        return np.asarray(inference.embed_features(loaded(), features))

    return Encoder(saved.digest, saved.config.audio, embed, segmentation)


def open_session(
    encoder: Encoder,
    dirs: Sequence[Path_],
    engine: searchers.Engine = "auto",
    progress: Progress | None = None,
    workers: int | None = None,
    prune: bool = False,
) -> Session:
    """Brings the library's index up to date and makes it searchable.

    Raises:
        UsageError: a folder that is none, an unknown engine.
        NothingToDo: no audio in the folders, none that can be read, or most of what was known is
            gone and `prune` is not given.
    """
    options = scan.ScanOptions(progress, workers, prune=prune)
    report, rows = scan.scan_and_read(encoder, dirs, options)
    if not rows.paths:
        _, _, detail = index_rows.list_skipped(report.folder)[0]
        raise NothingToDo(
            f"0 of {report.found} files could be used; the first: {detail}."
            " Is this a network drive that is offline?"
        )
    searcher = searchers.open_or_build(report.folder, rows.vectors, engine)
    return Session(encoder, report, rows, searcher)


def find(session: Session, target: Path_, choice: Choice = DEFAULT) -> list[Hit]:
    """Finds the sounds nearest to a file, which may or may not be in the library.

    Raises:
        UsageError: there is no such file, or a choice that cannot be made.
        NothingToDo: the file cannot be read, or is silent.
    """
    check(choice)
    return find_nearest(session, make_query(session, target, choice), choice)


def make_query(
    session: Session, target: Path_, choice: Choice, segment: int | None = None
) -> Query:
    """Makes a query of a file, or of one hit of it; at any pitch if pitch weighs 0."""
    if _any_pitch(choice):
        found = queries.at_any_pitch(session.encoder, target, segment)
    else:
        found = queries.of_file(session.encoder, session.report.folder, target, segment)
    return _from_outside(session, found, target)


def make_blend(session: Session, parts: Sequence[tuple[Path_, float]]) -> Query:
    """Makes a query of files that are liked, and disliked ones with negative weights.

    Raises:
        UsageError: there is no such file, or weights that make no query.
        NothingToDo: a file cannot be read, or is silent.
    """
    return queries.blend([(_make_plain_query(session, file), weight) for file, weight in parts])


def _make_plain_query(session: Session, target: Path_) -> Query:
    """Makes a query of a whole file, at its own pitch."""
    found = queries.of_file(session.encoder, session.report.folder, target)
    return _from_outside(session, found, target)


def make_hit_queries(session: Session, target: Path_, choice: Choice) -> list[Query]:
    """Makes a query, as `make_query` does, of every hit of a file."""
    folder, any_pitch = session.report.folder, _any_pitch(choice)
    found = queries.of_hits(session.encoder, folder, target, any_pitch)
    return [_from_outside(session, hit, target) for hit in found]


def _any_pitch(choice: Choice) -> bool:
    return choice.aspects.get("pitch") == 0.0


def _from_outside(session: Session, query: Query, target: Path_) -> Query:
    """Returns the query without sounds of its own where the target is no file of the library.

    So a file outside that has a copy in the library finds it.
    """
    rows = session.rows
    same = (path for path, own in zip(rows.paths, rows.digests, strict=True) if own in query.own)
    with contextlib.suppress(OSError):
        if any(os.path.samefile(path, target) for path in same):
            return query
    return queries.from_outside(query)


def find_nearest(
    session: Session,
    query: Query,
    choice: Choice = DEFAULT,
    quantiles: similarities.DistanceQuantiles | None = None,
) -> list[Hit]:
    """Finds the sounds nearest to a query, one for all copies of it, nearest first.

    Args:
        session: the library.
        query: what to look for.
        choice: what counts, and what is shown.
        quantiles: of the library by the weights of the choice, where they are known already.

    Raises:
        UsageError: a choice that cannot be made.
    """
    compare = Comparison(session.rows, session.encoder.audio)
    return _find(session, query, choice, quantiles or distance_quantiles(session, choice), compare)


def _find(
    session: Session,
    query: Query,
    choice: Choice,
    quantiles: similarities.DistanceQuantiles,
    compare: Comparison,
) -> list[Hit]:
    """Finds as `find_nearest`; several calls with one `compare` decode a sound once."""
    check(choice)
    reach, there = choice.num_similar + 16, len(session.rows.paths)
    while True:
        rows, distances = _candidates(session, query, choice, reach)
        chosen = choose(session.rows, compare, rows, distances, query, choice)
        if len(chosen) >= choice.num_similar or reach >= there:
            return make_hits(session.rows, chosen, quantiles)
        reach *= 8


def interpolate(
    session: Session, a: Path_, b: Path_, steps: int, choice: Choice = DEFAULT
) -> list[Hit]:
    """Finds different sounds, each near its point on the path from one file to another.

    Raises:
        UsageError: there is no such file, or fewer than 2 steps.
        NothingToDo: a file cannot be read, or is silent.
    """
    start, end = (_make_plain_query(session, target) for target in (a, b))
    points = queries.interpolate(start, end, steps)
    quantiles = distance_quantiles(session, choice)
    places = zip(session.rows.paths, session.rows.onsets.tolist(), strict=True)
    row_of = {place: row for row, place in enumerate(places)}
    compare = Comparison(session.rows, session.encoder.audio)
    found: dict[int, Hit] = {}
    taken: list[int] = []
    for step in (0, steps - 1, *range(1, steps - 1)):  # the ends choose first
        enough = choice._replace(num_similar=len(found) + 1)
        for hit in _find(session, points[step], enough, quantiles, compare):
            row = row_of[hit.path, hit.onset_s]
            same = (compare.same_sound(one, row) for one in taken)
            if not (row in taken if choice.keep_duplicates else any(same)):
                found[step] = hit
                taken.append(row)
                break
    return [found[step] for step in sorted(found)]


def _candidates(
    session: Session, query: Query, choice: Choice, reach: int
) -> tuple[Int[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """Returns rows and distances, nearest first, by the nearest of the query's vectors."""
    width = session.rows.vectors.shape[1]
    factors = aspects.factors(choice.aspects, width) if choice.aspects else None
    rows, distances = session.searcher.search(query.vectors, reach, factors)
    order = np.argsort(distances, axis=None, kind="stable")
    rows, distances = rows.ravel()[order], distances.ravel()[order]
    _, first = np.unique(rows, return_index=True)
    kept = np.sort(first)
    return rows[kept], distances[kept]


def distance_quantiles(session: Session, choice: Choice) -> similarities.DistanceQuantiles:
    """Returns the library's own distances by the weights of the choice."""
    rows = session.rows
    if not choice.aspects:
        return rows.distances
    _, first = np.unique(rows.digests, return_index=True)
    different = rows.vectors[np.sort(first)]
    return similarities.distance_quantiles(
        different, aspects.factors(choice.aspects, different.shape[1])
    )
