"""Nearest neighbours by Euclidean distance: exact in NumPy, or ScaNN, behind one `Searcher`.

Both engines end in the same exact distances, so a caller cannot tell them apart except by speed and
by the recall that was measured on this library.
"""

import dataclasses
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from sst.errors import UsageError
from sst.search import scann_index, stored_index
from sst.search.scann_index import Plan, ScannIndex

Engine = Literal["auto", "exact", "scann"]
ENGINES: tuple[str, ...] = ("auto", "exact", "scann")

# From here on "auto" takes ScaNN. Measured by experiments/benchmarks/search.py (rows of 128, CPU
# ms of one query, exact / ScaNN): 10,000 rows 0.13 / 0.15, 30,000 0.44 / 0.11, 100,000 2.2 / 0.27.
# Below, exact search is instant and misses nothing.
SCANN_FROM = 100_000
TARGET_RECALL = 0.95  # of the ten nearest; an index below it is not used unless asked for by name
AIMED_RECALL = 0.97  # measured on a few sounds of the library, so that others reach the target
REBUILD_SHARE = 0.2  # of the rows changed since ScaNN was trained: it is trained again
_BLOCK, _MIN_QUERIES = 4 * 2**20, 32  # float32 cells of a block of distances; queries in it


@dataclasses.dataclass(frozen=True, eq=False)
class Searcher:
    """Finds the nearest rows of `vectors`."""

    vectors: Float[np.ndarray, "n d"]
    engine: Literal["exact", "scann"]
    recall: float  # share of the ten nearest that are found, measured on this library
    index: ScannIndex | None = None
    order: Int[np.ndarray, " n"] | None = None  # the row at each position of the index
    norms: Float[np.ndarray, " n"] = dataclasses.field(init=False)  # squared lengths of the rows

    def __post_init__(self) -> None:
        """Computes the squared lengths of the rows."""
        norms = np.einsum("nd,nd->n", self.vectors, self.vectors)
        object.__setattr__(self, "norms", norms)

    def search(
        self,
        queries: Float[np.ndarray, "..."],
        k: int,
        factors: Float[np.ndarray, " d"] | None = None,
    ) -> tuple[Int[np.ndarray, "q k"], Float[np.ndarray, "q k"]]:
        """Finds the k nearest rows of each query, nearest first, ties by row number.

        Args:
            queries: [q, d], finite.
            k: 1 or more.
            factors: [d] weights of the squared differences, by which all rows are compared:
                ScaNN's partitions are those of the plain distance.

        Returns:
            Rows int64 and Euclidean distances float32, both [q, min(k, n)].

        Raises:
            ValueError: k < 1, queries of another width, or not finite.
        """
        queries = _check_matrix(queries, "queries")
        n, width = self.vectors.shape
        if k < 1:
            raise ValueError(f"k={k} should be at least 1")
        if n and queries.shape[1] != width:
            raise ValueError(f"queries have {queries.shape[1]} numbers a row, the index {width}")
        k = min(k, n)
        if factors is not None:
            return self._exact(queries, k, np.asarray(factors, np.float32))
        if self.index is None or k > n // 4:  # a large share of all rows is found faster by looking
            return self._exact(queries, k)
        return self._candidates(queries, k)

    def _exact(
        self, queries: np.ndarray, k: int, factors: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Compares all rows, a block of queries at a time, by one matrix product.

        Rows that its rounding could have misplaced are ranked again by subtraction, so that
        identical vectors are at distance 0.0.
        """
        out = _empty(len(queries), k)
        if k == 0:
            return out
        scale: np.ndarray | float = 1.0 if factors is None else factors
        norms = self.norms
        if factors is not None:
            norms = np.einsum("nd,nd,d->n", self.vectors, self.vectors, factors)
        largest = float(norms.max())
        slack = 2.0 * float(np.finfo(np.float32).eps) * (self.vectors.shape[1] + 4)
        step = max(_MIN_QUERIES, _BLOCK // len(self.vectors))
        for start in range(0, len(queries), step):
            block = queries[start : start + step]
            squared = (block * scale) @ self.vectors.T
            squared *= -2.0
            squared += norms  # the query's own length is the same in the whole row
            for i, row in enumerate(squared, start):
                reach = slack * (float((queries[i] * scale) @ queries[i]) + largest)
                limit = np.partition(row, k - 1)[k - 1] + reach
                _rank(self.vectors, queries[i], np.flatnonzero(row <= limit), k, out, i, scale)
        return out

    def _candidates(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        assert self.index is not None and self.order is not None
        count = min(max(self.index.plan.candidates, 4 * (k + 16)), len(self.vectors))
        out = _empty(len(queries), k)
        for i, positions in enumerate(scann_index.find_candidates(self.index, queries, count)):
            if len(positions) < k:
                one = self._exact(queries[i : i + 1], k)
                out[0][i], out[1][i] = one[0][0], one[1][0]
            else:
                _rank(self.vectors, queries[i], self.order[positions], k, out, i)
        return out


def build(
    vectors: Float[np.ndarray, "n d"], engine: Engine = "auto", plan: Plan | None = None
) -> Searcher:
    """Builds a searcher of vectors [n, d].

    "auto" is exact below `SCANN_FROM` rows, and where ScaNN is not installed or its recall is
    below `TARGET_RECALL`.

    Raises:
        ValueError: vectors that are not a finite matrix.
        UsageError: an unknown engine, or "scann" where it is not installed.
    """
    vectors = _check_matrix(vectors, "vectors")
    if _engine(engine, len(vectors)) == "exact":
        return Searcher(vectors, "exact", 1.0)
    index = scann_index.build_index(vectors, plan or scann_index.make_plans(len(vectors))[0])
    return _exact_if_poor(_tune(vectors, index, np.arange(len(vectors)), plan), engine)


def open_or_build(
    folder: Path, vectors: Float[np.ndarray, "n d"], engine: Engine = "auto"
) -> Searcher:
    """Does `build`, but uses an index again that is stored under `folder`.

    Where few vectors have changed since it was trained, it is updated instead of built.
    """
    vectors = _check_matrix(vectors, "vectors")
    if _engine(engine, len(vectors)) == "exact":
        return Searcher(vectors, "exact", 1.0)
    ids = scann_index.hash_vectors(vectors)
    place = folder / f"scann-{ids.sum():016x}-{len(ids)}"
    stored = stored_index.load(folder, place)
    searcher = _update_stored(stored, vectors, ids) if stored else None
    if searcher and searcher.index is stored:
        return _exact_if_poor(searcher, engine)
    if not searcher:
        index = scann_index.build_index(vectors, scann_index.make_plans(len(vectors))[0])
        searcher = _tune(vectors, index, np.arange(len(vectors)))
    assert searcher.index is not None
    stored_index.save(searcher.index, place)
    return _exact_if_poor(searcher, engine)


def _update_stored(
    stored: ScannIndex, vectors: Float[np.ndarray, "n d"], ids: np.ndarray
) -> Searcher | None:
    """Updates a stored index to these vectors; None where too much has changed."""
    change = scann_index.find_difference(stored.ids, ids)
    changes = int((change.order < 0).sum()) + len(change.added)
    if not changes:
        return Searcher(vectors, "scann", stored.recall, stored, change.order)
    if stored.changed + changes > REBUILD_SHARE * stored.trained:
        return None
    index, order = scann_index.update_index(stored, vectors, change)
    searcher = _tune(vectors, index, order)
    return searcher if searcher.recall >= TARGET_RECALL else None


def _exact_if_poor(searcher: Searcher, engine: Engine) -> Searcher:
    """Returns the searcher, or an exact one if "auto" chose it and its recall is too low."""
    if engine == "auto" and searcher.recall < TARGET_RECALL:
        return Searcher(searcher.vectors, "exact", 1.0)
    return searcher


def scann_is_installed() -> bool:
    """Tells whether ScaNN can be imported here."""
    return scann_index.is_installed()


def _engine(engine: str, n: int) -> str:
    if engine not in ENGINES:
        raise UsageError(f"The engine {engine!r} should be one of {', '.join(ENGINES)}.")
    if engine == "scann" and not scann_is_installed():
        raise UsageError("ScaNN is not installed here (it needs Linux): give --engine exact.")
    small = n < SCANN_FROM or not scann_is_installed()
    return "exact" if n == 0 or engine == "exact" or (engine == "auto" and small) else "scann"


def _check_matrix(matrix: np.ndarray, name: str) -> np.ndarray:
    matrix = np.ascontiguousarray(matrix, np.float32)
    if matrix.ndim != 2:
        raise ValueError(f"{name} should be a matrix, not of shape {matrix.shape}")
    if matrix.size and not np.isfinite([matrix.min(), matrix.max()]).all():
        bad = int(np.flatnonzero(~np.isfinite(matrix).all(axis=1))[0])
        raise ValueError(f"{name}: row {bad} is not finite")
    return matrix


def _rank(
    vectors: np.ndarray,
    query: np.ndarray,
    rows: np.ndarray,
    k: int,
    out: tuple[np.ndarray, np.ndarray],
    i: int,
    scale: np.ndarray | float = 1.0,
) -> None:
    difference = vectors[rows].astype(np.float64) - query
    squared = np.einsum("nd,nd->n", difference, difference * scale)
    distances = np.sqrt(squared).astype(np.float32)
    order = np.lexsort((rows, distances))[:k]
    out[0][i], out[1][i] = rows[order], distances[order]


def _empty(q: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((q, k), np.int64), np.zeros((q, k), np.float32)


def _tune(
    vectors: np.ndarray, index: ScannIndex, order: np.ndarray, plan: Plan | None = None
) -> Searcher:
    """Makes a searcher with the plan, or the cheapest one that reaches `AIMED_RECALL`."""
    truth = _ground_truth(vectors)
    for each in [plan] if plan else scann_index.make_plans(index.trained):
        index = index._replace(plan=each)
        searcher = Searcher(vectors, "scann", 0.0, index, order)
        recall = _recall(searcher, *truth)
        if recall >= AIMED_RECALL:
            break
    return dataclasses.replace(searcher, recall=recall, index=index._replace(recall=recall))


def _ground_truth(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns up to 200 rows and the distances of their eleven nearest, the row itself first."""
    n = len(vectors)
    rows = np.random.default_rng(0).choice(n, min(n, 200), replace=False)
    return vectors[rows], Searcher(vectors, "exact", 1.0).search(vectors[rows], 11)[1]


def _recall(searcher: Searcher, queries: np.ndarray, truth: np.ndarray) -> float:
    """Measures the share of the ten nearest found: by distance, so that any copy is as good."""
    k = truth.shape[1]
    if k < 2:
        return 1.0
    found = searcher.search(queries, k)[1]
    return float(np.mean(found[:, 1:] <= truth[:, -1:]))
