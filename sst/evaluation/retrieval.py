"""Cross-pack retrieval: precision of the nearest neighbours of a sound in other packs.

Each sound is a query once. Sounds of its own group (pack, machine) never count; a neighbour is
relevant when its class is the query's. Precision at 1 and 10 and the mean average precision are
averaged within each class first and then over the classes, so that a frequent class does not rule.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

MIN_RELEVANT = 10  # sounds of its class in other groups, for a query to count
BATCH_SIZE = 512  # queries whose distances are in memory


class ClassScore(NamedTuple):
    """Means over the queries of one class."""

    p1: float
    p10: float
    map: float
    n: int  # queries


class Retrieval(NamedTuple):
    """The figures, and the values behind them; nan where no query counts."""

    p1: float
    p10: float
    map: float
    per_class: dict[str, ClassScore]
    query_rows: Int[np.ndarray, " q"]  # which rows were queries
    query_p1: Float[np.ndarray, " q"]
    query_p10: Float[np.ndarray, " q"]
    query_ap: Float[np.ndarray, " q"]
    query_weight: Float[np.ndarray, " q"]  # the weighted mean of a query_ array is the figure above


def score(
    embeddings: Float[np.ndarray, "n e"],
    groups: Sequence[Any] | np.ndarray,
    classes: Sequence[Any] | np.ndarray,
) -> Retrieval:
    """Computes precision at 1 and 10 and mean average precision by Euclidean distance.

    Args:
        embeddings: [n, e] finite; for cosine similarity, of norm 1.
        groups: [n] the pack of each row.
        classes: [n] its kind.

    Raises:
        ValueError: the lengths differ, or an embedding is not finite.
    """
    embeddings = np.asarray(embeddings, np.float64)
    groups, classes = np.asarray(groups), np.asarray(classes)
    if not len(embeddings) == len(groups) == len(classes):
        raise ValueError(f"{len(embeddings)} rows, {len(groups)} groups, {len(classes)} classes")
    if not np.isfinite(embeddings).all():
        raise ValueError("an embedding is not finite")
    rows, scores = [], []
    for row, distances in enumerate(_distances(embeddings)):
        foreign = groups != groups[row]
        relevant = (classes == classes[row])[foreign]
        if relevant.sum() >= MIN_RELEVANT:
            rows.append(row)
            scores.append(_of_query(relevant[np.argsort(distances[foreign], kind="stable")]))
    return _summary(np.array(rows, int), np.array(scores).reshape(-1, 3), classes)


def _distances(embeddings: np.ndarray) -> Any:
    """Yields one row of squared distances [n] at a time."""
    from scipy.spatial.distance import cdist

    for start in range(0, len(embeddings), BATCH_SIZE):
        yield from cdist(embeddings[start : start + BATCH_SIZE], embeddings, "sqeuclidean")


def _of_query(relevant: np.ndarray) -> tuple[float, float, float]:
    """Returns P@1, P@10 and average precision of neighbours in order, nearest first."""
    precision = np.cumsum(relevant) / np.arange(1, len(relevant) + 1)
    average = (precision * relevant).sum() / relevant.sum()
    return float(relevant[0]), float(relevant[:10].mean()), float(average)


def _summary(rows: np.ndarray, scores: np.ndarray, classes: np.ndarray) -> Retrieval:
    kinds = classes[rows]
    names, numbers, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    per_class = {}
    for name, count in zip(names, counts, strict=True):
        p1, p10, ap = scores[kinds == name].mean(axis=0)
        per_class[str(name)] = ClassScore(float(p1), float(p10), float(ap), int(count))
    weight = 1.0 / counts[numbers] if len(rows) else np.zeros(0)
    p1, p10, ap = weight @ scores / len(names) if len(rows) else np.full(3, math.nan)
    each = (scores[:, 0], scores[:, 1], scores[:, 2])
    return Retrieval(float(p1), float(p10), float(ap), per_class, rows, *each, weight)
