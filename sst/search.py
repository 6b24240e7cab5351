"""Nearest neighbours by Euclidean distance: exact in NumPy, or ScaNN, behind one `Searcher`.

Both engines end in the same exact distances, so a caller cannot tell them apart except by speed and
by the recall that was measured when the index was built.
"""

import contextlib
import dataclasses
import hashlib
import importlib.util
import json
import math
import os
import re
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sst.errors import UsageError

Engine = Literal["auto", "exact", "scann"]
ENGINES: tuple[str, ...] = ("auto", "exact", "scann")

# From here on "auto" takes ScaNN. Measured by experiments/benchmarks/search.py (rows of 64, CPU
# ms of one query, exact / ScaNN): 10,000 rows 0.06 / 0.16, 30,000 0.20 / 0.14, 100,000 1.0 / 0.28,
# 250,000 3.5 / 0.14. ScaNN wins from 30,000 on; opening its files is paid back by 450 queries there
# and by 116 at 100,000, and a library that changed pays its build (2 CPU-s at 100,000) again.
SCANN_FROM = 100_000
BRUTE_BELOW, TREE_FROM = 20_000, 200_000  # rows: ScaNN's own brute force, and its partitioned tree
TARGET_RECALL = 0.95  # of the ten nearest; an index below it is not used unless asked for by name
_MANIFEST = "MANIFEST.json"
_BLOCK = 16 * 2**20  # float32 cells of one block of distances


class IndexWarning(UserWarning):
    """Something stored was damaged and is made again; results are correct."""


class DamagedIndex(Exception):
    """A stored index that must not be loaded."""


class Plan(NamedTuple):
    """How ScaNN looks."""

    kind: Literal["brute", "hash", "tree"]
    reorder: int = 100  # candidates whose exact distance is computed
    leaves: int = 0  # partitions of the tree
    leaves_to_search: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class Searcher:
    """Finds the nearest rows of `vectors`."""

    vectors: Float[np.ndarray, "n d"]
    engine: Literal["exact", "scann"]
    recall: float  # share of the ten nearest that are found, measured on this library
    plan: Plan | None = None
    index: Any = None  # ScaNN's own object
    norms: Float[np.ndarray, " n"] = dataclasses.field(init=False)  # squared lengths of the rows

    def __post_init__(self) -> None:
        """Computes what every exact search needs."""
        norms = np.einsum("nd,nd->n", self.vectors, self.vectors)
        object.__setattr__(self, "norms", norms)

    def search(
        self, queries: Float[np.ndarray, "..."], k: int
    ) -> tuple[Int[np.ndarray, "q k"], Float[np.ndarray, "q k"]]:
        """Rows (int64) and Euclidean distances (float32), nearest first, ties by row number.

        Returns min(k, n) columns.

        Raises:
            ValueError: k < 1, queries of another width, or not finite.
        """
        queries = _checked(queries, "queries")
        n, width = self.vectors.shape
        if k < 1:
            raise ValueError(f"k={k} should be at least 1")
        if n and queries.shape[1] != width:
            raise ValueError(f"queries have {queries.shape[1]} numbers a row, the index {width}")
        k = min(k, n)
        if self.index is None or k > n // 4:  # a large share of all rows is found faster by looking
            return self._exact(queries, k)
        return self._candidates(queries, k)

    def _exact(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Distances of a block by one matrix product; whatever its rounding could have misplaced is
        ranked again by subtraction, so that identical vectors are at distance 0.0."""
        out = _empty(len(queries), k)
        if k == 0:
            return out
        largest = float(self.norms.max())
        slack = 2.0 * float(np.finfo(np.float32).eps) * (self.vectors.shape[1] + 4)
        step = max(1, _BLOCK // len(self.vectors))
        for start in range(0, len(queries), step):
            block = queries[start : start + step]
            squared = block @ self.vectors.T
            squared *= -2.0
            squared += self.norms  # the query's own length is the same in the whole row
            for i, row in enumerate(squared, start):
                reach = slack * (float(queries[i] @ queries[i]) + largest)
                limit = np.partition(row, k - 1)[k - 1] + reach
                _rank(self.vectors, queries[i], np.flatnonzero(row <= limit), k, out, i)
        return out

    def _candidates(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        assert self.plan is not None
        wide = min(k + 16, len(self.vectors))
        options: dict[str, int] = {"final_num_neighbors": wide}
        if self.plan.kind != "brute":
            options["pre_reorder_num_neighbors"] = max(self.plan.reorder, 4 * wide)
        if self.plan.kind == "tree":
            options["leaves_to_search"] = self.plan.leaves_to_search
        rows, distances = self.index.search_batched(queries, **options)
        found = np.isfinite(distances).sum(axis=1)  # ScaNN fills up with row 0 at distance NaN
        out = _empty(len(queries), k)
        for i, query in enumerate(queries):
            if found[i] < k:
                one = self._exact(query[None], k)
                out[0][i], out[1][i] = one[0][0], one[1][0]
            else:
                _rank(self.vectors, query, rows[i, : found[i]].astype(np.int64), k, out, i)
        return out


def build(
    vectors: Float[np.ndarray, "n d"], engine: Engine = "auto", plan: Plan | None = None
) -> Searcher:
    """Makes an index. "auto" is exact below `SCANN_FROM` rows, and where ScaNN is not installed
    or misses more than it may.

    Raises:
        ValueError: vectors that are not a finite matrix.
        UsageError: an unknown engine, or "scann" where it is not installed.
    """
    vectors = _checked(vectors, "vectors")
    if _engine(engine, len(vectors)) == "exact":
        return Searcher(vectors, "exact", 1.0)
    searcher = _build_scann(vectors, plan)
    if engine == "auto" and searcher.recall < TARGET_RECALL:
        return Searcher(vectors, "exact", 1.0)
    return searcher


def open_or_build(
    folder: Path, vectors: Float[np.ndarray, "n d"], engine: Engine = "auto"
) -> Searcher:
    """As `build`, but an index of the same vectors that is stored under `folder` is used again."""
    vectors = _checked(vectors, "vectors")
    if _engine(engine, len(vectors)) == "exact":
        return Searcher(vectors, "exact", 1.0)
    place = folder / f"scann-{digest(vectors)[:16]}"
    if place.exists():
        try:
            return load(place, vectors)
        except DamagedIndex as error:
            warnings.warn(f"{error}; it is built again", IndexWarning, stacklevel=2)
            shutil.rmtree(place, ignore_errors=True)
    searcher = build(vectors, engine)
    if searcher.engine == "scann":
        for old in folder.glob("scann-*"):
            shutil.rmtree(old, ignore_errors=True)
        save(searcher, place)
    return searcher


def save(searcher: Searcher, place: Path) -> None:
    """Writes ScaNN's files and a manifest of their digests as the new folder `place`."""
    if searcher.plan is None:
        raise ValueError("only a ScaNN index is stored; exact search needs none")
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=place.parent, prefix="draft-"))
    try:
        with _quiet():
            searcher.index.serialize(str(draft), relative_path=True)
        files = {p.name: _sha256(p) for p in sorted(draft.iterdir())}
        facts = {
            "vectors": digest(searcher.vectors),
            "recall": searcher.recall,
            "plan": searcher.plan._asdict(),
            "files": files,
        }
        (draft / _MANIFEST).write_text(json.dumps(facts, indent=1), encoding="utf-8")
        with contextlib.suppress(OSError):  # another process was faster: its index is as good
            draft.rename(place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def load(place: Path, vectors: Float[np.ndarray, "n d"]) -> Searcher:
    """Opens an index of exactly these vectors. Every file's digest is checked before ScaNN sees it:
    ScaNN itself believes altered files, aborts on short ones and executes `scann_docids.pkl`.

    Raises:
        DamagedIndex: altered, incomplete, with files it should not have, or of other vectors.
    """
    vectors = _checked(vectors, "vectors")
    try:
        facts = json.loads((place / _MANIFEST).read_text(encoding="utf-8"))
        files, plan = dict(facts["files"]), Plan(**facts["plan"])
        recall = float(facts["recall"])
        known = facts["vectors"] == digest(vectors)
        present = {p.name for p in place.iterdir()} - {_MANIFEST}
        intact = present == set(files) and all(
            (place / name).is_file() and _sha256(place / name) == sha for name, sha in files.items()
        )
        assets = (place / "scann_assets.pbtxt").read_text(encoding="utf-8")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedIndex(f"the search index in {place} is incomplete ({error})") from error
    if not known:
        raise DamagedIndex(f"the search index in {place} was made for other sounds")
    paths = re.findall(r'asset_path:\s*"([^"]*)"', assets)
    if not intact or "scann_docids.pkl" in present or not set(paths) <= set(files):
        raise DamagedIndex(f"the search index in {place} was altered")
    with _quiet():
        index = _scann().load_searcher(str(place.resolve()))
    return Searcher(vectors, "scann", recall, plan, index)


def digest(vectors: Float[np.ndarray, "n d"]) -> str:
    """SHA-256 of a matrix: shape and numbers."""
    sha = hashlib.sha256(repr(vectors.shape).encode())
    sha.update(np.ascontiguousarray(vectors).data)
    return sha.hexdigest()


def scann_installed() -> bool:
    """Whether ScaNN can be imported here (it has wheels for Linux only)."""
    return importlib.util.find_spec("scann") is not None


def _engine(engine: str, n: int) -> str:
    if engine not in ENGINES:
        raise UsageError(f"engine {engine!r} should be one of {', '.join(ENGINES)}")
    if engine == "scann" and not scann_installed():
        raise UsageError("ScaNN is not installed here (it needs Linux); use --engine exact")
    small = n < SCANN_FROM or not scann_installed()
    return "exact" if n == 0 or engine == "exact" or (engine == "auto" and small) else "scann"


def _checked(matrix: np.ndarray, name: str) -> np.ndarray:
    matrix = np.ascontiguousarray(matrix, np.float32)
    if matrix.ndim != 2:
        raise ValueError(f"{name} should be a matrix, not of shape {matrix.shape}")
    if not np.isfinite(matrix).all():
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
) -> None:
    difference = vectors[rows].astype(np.float64) - query
    distances = np.sqrt(np.einsum("nd,nd->n", difference, difference)).astype(np.float32)
    order = np.lexsort((rows, distances))[:k]
    out[0][i], out[1][i] = rows[order], distances[order]


def _empty(q: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((q, k), np.int64), np.zeros((q, k), np.float32)


def _build_scann(vectors: np.ndarray, plan: Plan | None) -> Searcher:
    """Follows the plan, or the smallest one of its kind that reaches the target recall."""
    plans = [plan] if plan else _plans(len(vectors))
    index = _index(vectors, plans[0])
    truth = _truth(vectors)
    for plan in plans:
        searcher = Searcher(vectors, "scann", 0.0, plan, index)
        searcher = dataclasses.replace(searcher, recall=_recall(searcher, *truth))
        if searcher.recall >= TARGET_RECALL:
            break
    return searcher


def _plans(n: int) -> list[Plan]:
    """What to try, cheapest first. A fixed share of the leaves is never right: it is measured."""
    if n < BRUTE_BELOW:
        return [Plan("brute")]
    if n < TREE_FROM:
        return [Plan("hash", reorder) for reorder in (100, 300, 1000)]
    leaves = round(math.sqrt(n))
    shares = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
    return [Plan("tree", 300, leaves, max(1, math.ceil(share * leaves))) for share in shares]


def _index(vectors: np.ndarray, plan: Plan) -> Any:
    builder = _scann().builder(vectors, 10, "squared_l2")
    if plan.kind == "tree":
        sample = min(len(vectors), 250_000)
        builder = builder.tree(plan.leaves, plan.leaves_to_search, training_sample_size=sample)
    if plan.kind == "brute":
        builder = builder.score_brute_force()
    else:
        builder = builder.score_ah(2, anisotropic_quantization_threshold=0.2).reorder(plan.reorder)
    with _quiet():
        return builder.build()


def _truth(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Up to 200 rows and the distances to the eleven nearest (the first is the row itself)."""
    n = len(vectors)
    rows = np.random.default_rng(0).choice(n, min(n, 200), replace=False)
    return vectors[rows], Searcher(vectors, "exact", 1.0).search(vectors[rows], 11)[1]


def _recall(searcher: Searcher, queries: np.ndarray, truth: np.ndarray) -> float:
    """Share of the ten nearest found. By distance, so that one of several copies is as good."""
    k = truth.shape[1]
    if k < 2:
        return 1.0
    found = searcher.search(queries, k)[1]
    return float(np.mean(found[:, 1:] <= truth[:, -1:]))


def _scann() -> ModuleType:
    """ScaNN without TensorFlow: its import costs 17 CPU-s, or fails beside another release."""
    absent = object()
    saved = sys.modules.get("tensorflow", absent)
    sys.modules["tensorflow"] = None  # type: ignore[assignment]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its generated bindings
            import scann

        return scann.scann_ops_pybind
    finally:
        if saved is absent:
            del sys.modules["tensorflow"]
        else:
            sys.modules["tensorflow"] = saved  # type: ignore[assignment]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences what ScaNN logs straight to the error stream of the process while it builds."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
