"""Hits: which of the near sounds a search shows, with copies folded, and what it says of each."""

import collections
import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sst.errors import UsageError
from sst.library.copies import Comparison
from sst.library.queries import Query
from sst.library.rows import Rows
from sst.search import aspects
from sst.search import similarity as similarities


class Hit(NamedTuple):
    """A sound of the library, as near as `distance` to the target."""

    path: str  # absolute; bytes that are no UTF-8 as surrogate escapes
    onset_s: float
    end_s: float
    distance: float  # Euclidean
    similarity: float  # per cent of the library's pairs of sounds that are farther apart
    band: similarities.Band
    copies: int = 0  # places of the same sound in the library that are not shown


class Choice(NamedTuple):
    """Which of the near sounds are shown."""

    num_similar: int = 10
    include_self: bool = False  # the target itself and its copies
    keep_duplicates: bool = False  # every place of one sound
    per_folder: int | None = None  # at most so many of one folder
    aspects: Mapping[str, float] = {}  # weights other than the default ones


class ChosenRow(NamedTuple):
    """A row of the index that is shown."""

    row: int
    distance: float  # Euclidean
    same: bool  # as a target: the target itself, or a copy of it
    copies: int = 0  # rows of the same sound that are not shown


DEFAULT = Choice()


def check(choice: Choice) -> None:
    """Raises UsageError for a choice that no search could make."""
    if choice.num_similar < 1:
        raise UsageError(f"--num-similar {choice.num_similar} should be at least 1.")
    if choice.per_folder is not None and choice.per_folder < 1:
        raise UsageError(f"--per-folder {choice.per_folder} should be at least 1.")
    aspects.factors(choice.aspects, aspects.SIZE + 1)


def choose(
    rows: Rows,
    compare: Comparison,
    found: Int[np.ndarray, " k"],
    distances: Float[np.ndarray, " k"],
    query: Query,
    choice: Choice,
) -> list[ChosenRow]:
    """Chooses the rows that are shown, one for all copies of a sound.

    Args:
        rows: of the index.
        compare: of these rows.
        found: the near rows, nearest first.
        distances: of these.
        query: what was looked for.
        choice: what is shown, and how many.
    """
    chosen: list[ChosenRow] = []
    folders: collections.Counter[str] = collections.Counter()
    for row, distance in zip(found.tolist(), distances.tolist(), strict=True):
        same = [t for t in query.targets if compare.holds(row, t.digest, t.vector, t.clip)]
        own = rows.digests[row] in query.own or any(target.inside for target in same)
        if own and not choice.include_self:
            continue
        shown = None if choice.keep_duplicates else _find_copy(compare, chosen, row)
        if shown is not None:
            chosen[shown] = chosen[shown]._replace(copies=chosen[shown].copies + 1)
            continue
        folder = os.path.dirname(rows.paths[row])
        if choice.per_folder is not None and folders[folder] >= choice.per_folder:
            continue
        if len(chosen) == choice.num_similar:
            break
        folders[folder] += 1
        chosen.append(ChosenRow(row, distance, bool(same)))
    return chosen


def make_hits(
    rows: Rows, chosen: Sequence[ChosenRow], quantiles: similarities.DistanceQuantiles
) -> list[Hit]:
    """Makes a hit of every chosen row.

    Args:
        rows: of the index.
        chosen: by `choose`.
        quantiles: of the library's distances by the weights that the rows were chosen by.
    """
    distances = np.array([one.distance for one in chosen])
    shares = similarities.similarity(distances, quantiles.pairs)
    bands = similarities.bands(distances, quantiles.nearest)
    return [
        Hit(
            rows.paths[one.row],
            float(rows.onsets[one.row]),
            float(rows.ends[one.row]),
            one.distance,
            float(share),
            "same sound" if one.same else band,
            one.copies,
        )
        for one, share, band in zip(chosen, shares, bands, strict=True)
    ]


def nothing_close(hits: Sequence[Hit]) -> bool:
    """Tells whether even the best of the hits is farther than the library's sounds are apart."""
    return all(hit.band == "weak" for hit in hits)


def _find_copy(compare: Comparison, chosen: Sequence[ChosenRow], row: int) -> int | None:
    """Returns the place in `chosen` of a row that holds the same sound as `row`."""
    same = (place for place, one in enumerate(chosen) if compare.same_sound(one.row, row))
    return next(same, None)
