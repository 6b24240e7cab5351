"""An index of ScaNN (Guo et al. 2020): built, updated, saved and loaded, with checksums.

ScaNN keeps four bits for every two numbers of a vector and proposes candidates; their distances are
computed by `sst.search.searcher` from the vectors themselves, so neither memory nor files hold
these twice.

ScaNN knows a row by its position only, and fills the place of a deleted row with its last one. Its
Python wrapper would keep names of rows in a pickle, which must not be loaded; here `ids` says what
lies at each position: a number made from the vector, so that a stored index finds its rows again in
whatever order the library lists them.
"""

import contextlib
import importlib.util
import json
import math
import os
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt64

from sst import atomic

TREE_FROM = 200_000  # rows: from here on only some partitions are looked into
MANIFEST = "MANIFEST.json"
_IDS = "ids.npy"
_FORMAT = 2


class DamagedIndex(Exception):
    """Something stored that must not be loaded."""


class Plan(NamedTuple):
    """Parameters of a search with ScaNN."""

    kind: Literal["hash", "tree"]
    candidates: int = 200  # whose exact distance is computed
    leaves: int = 0  # partitions of the tree
    leaves_to_search: int = 0


class Difference(NamedTuple):
    """The difference between the rows of an index and those of a matrix."""

    order: Int[np.ndarray, " n"]  # for each position of the index its row, -1 where it is gone
    added: Int[np.ndarray, " a"]  # rows that the index does not hold


class ScannIndex(NamedTuple):
    """ScaNN's own object, and the id of the vector at each of its positions."""

    native: Any
    plan: Plan
    ids: UInt64[np.ndarray, " n"]
    trained: int  # rows when it was made
    changed: int = 0  # rows put in and taken out since
    recall: float = 0.0  # share of the ten nearest that are found, as last measured


def is_installed() -> bool:
    """Tells whether ScaNN can be imported here (it has wheels for Linux only)."""
    return importlib.util.find_spec("scann") is not None


def make_plans(n: int) -> list[Plan]:
    """Returns the plans to try for n rows, cheapest first; all search one and the same index.

    No fixed share of the leaves suits every library, so the recall of each plan is measured.
    """
    if n < TREE_FROM:
        return [Plan("hash", candidates) for candidates in (100, 300, 1000)]
    leaves = round(math.sqrt(n))
    shares = (0.01, 0.02, 0.04, 0.08, 0.2, 0.5, 1.0)
    return [Plan("tree", 200, leaves, max(1, math.ceil(share * leaves))) for share in shares]


def build_index(vectors: Float[np.ndarray, "n d"], plan: Plan) -> ScannIndex:
    """Builds an index of float32 vectors [n, d]."""
    builder = _scann().builder(vectors, 10, "squared_l2")
    if plan.kind == "tree":
        sample = min(len(vectors), 100_000)
        builder = builder.tree(plan.leaves, plan.leaves_to_search, training_sample_size=sample)
    builder = builder.score_ah(2, anisotropic_quantization_threshold=0.2)
    with _quiet():
        native = builder.build()
    return ScannIndex(native, plan, hash_vectors(vectors), len(vectors))


def find_candidates(
    index: ScannIndex, queries: Float[np.ndarray, "q d"], count: int
) -> list[Int[np.ndarray, " c"]]:
    """Finds the positions of about `count` rows that may be near each query."""
    options = {"final_num_neighbors": count}
    if index.plan.kind == "tree":
        options["leaves_to_search"] = index.plan.leaves_to_search
    positions, distances = index.native.search_batched(queries, **options)
    # ScaNN fills up with position 0 at distance NaN
    return [row[np.isfinite(d)] for row, d in zip(positions, distances, strict=True)]


def hash_vectors(vectors: Float[np.ndarray, "n d"]) -> UInt64[np.ndarray, " n"]:
    """Hashes the bits of each vector to a number (multilinear: Carter & Wegman 1979).

    Two vectors of one number would cost a little recall after an update, nothing else.
    """
    factors = np.random.default_rng(0).integers(2**63, size=vectors.shape[1], dtype=np.uint64)
    bits = np.ascontiguousarray(vectors, np.float32).view(np.uint32)
    return np.einsum("nd,d->n", bits, 2 * factors + 1, dtype=np.uint64, casting="unsafe")


def find_difference(ids: UInt64[np.ndarray, " n"], target: UInt64[np.ndarray, " m"]) -> Difference:
    """Compares the ids of an index with those that it should have; equal ids count singly."""
    _, positions, rows = np.intersect1d(
        _numbered(ids), _numbered(target), assume_unique=True, return_indices=True
    )
    order = np.full(len(ids), -1, np.int64)
    order[positions] = rows
    return Difference(order, np.setdiff1d(np.arange(len(target)), rows, assume_unique=True))


def _numbered(ids: np.ndarray) -> np.ndarray:
    """Makes equal ids different: the second of a value, the third, ..."""
    order = np.argsort(ids, kind="stable")
    ordered = ids[order]
    copy = np.arange(len(ids)) - np.searchsorted(ordered, ordered)
    numbered = np.empty_like(ids)
    numbered[order] = ordered + copy.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return numbered


def update_index(
    index: ScannIndex, vectors: Float[np.ndarray, "m d"], change: Difference
) -> tuple[ScannIndex, Int[np.ndarray, " m"]]:
    """Updates an index to other vectors: returns it, and the row at each of its positions.

    ScaNN's object is changed in place: `index` must not be used again.
    """
    ids, order = index.ids.copy(), change.order.copy()
    gone = np.flatnonzero(order < 0)[::-1]  # from the end, so that no row moves twice
    if len(gone):
        index.native.searcher.delete(gone.tolist())
    n = len(ids)
    for position in gone:
        n -= 1
        ids[position], order[position] = ids[n], order[n]
    if len(change.added):
        new = np.ascontiguousarray(vectors[change.added])
        index.native.searcher.upsert([None] * len(new), new, 256)
    ids = np.concatenate([ids[:n], hash_vectors(vectors[change.added])])
    total = index.changed + len(gone) + len(change.added)
    return index._replace(ids=ids, changed=total), np.concatenate([order[:n], change.added])


def save(index: ScannIndex, place: Path) -> None:
    """Writes ScaNN's files, the ids and a manifest of their digests as the new folder `place`.

    Where another process was faster, its index stays: it is as good.
    """
    with atomic.directory(place) as draft:
        with _quiet():
            index.native.serialize(str(draft), relative_path=True)
        np.save(draft / _IDS, index.ids)
        facts = {
            "format": _FORMAT,
            "plan": index.plan._asdict(),
            "trained": index.trained,
            "changed": index.changed,
            "recall": index.recall,
            "files": {p.name: atomic.sha256(p) for p in sorted(draft.iterdir())},
        }
        (draft / MANIFEST).write_text(json.dumps(facts, indent=1), encoding="utf-8")


def load(place: Path) -> ScannIndex:
    """Loads a stored index.

    Every file's digest is checked before ScaNN sees it: ScaNN itself believes altered files,
    aborts on short ones and executes `scann_docids.pkl`.

    Raises:
        DamagedIndex: altered, incomplete, of another format, or with files it should not have.
    """
    try:
        facts = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
        if facts.get("format") != _FORMAT:
            raise DamagedIndex(f"the search index in {place} is of another version")
        files, plan = dict(facts["files"]), Plan(**facts["plan"])
        numbers = int(facts["trained"]), int(facts["changed"]), float(facts["recall"])
        present = {p.name for p in place.iterdir()} - {MANIFEST}
        intact = present == set(files) and all(
            (place / name).is_file() and atomic.sha256(place / name) == sha
            for name, sha in files.items()
        )
        assets = (place / "scann_assets.pbtxt").read_text(encoding="utf-8")
        ids = np.load(place / _IDS) if intact else np.zeros(0, np.uint64)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedIndex(f"the search index in {place} is incomplete ({error})") from error
    paths = re.findall(r'asset_path:\s*"([^"]*)"', assets)
    if not intact or "scann_docids.pkl" in present or not set(paths) <= set(files):
        raise DamagedIndex(f"the search index in {place} was altered")
    try:
        with _quiet():
            native = _scann().load_searcher(str(place.resolve()))
    except (RuntimeError, ValueError) as error:  # written by another version of ScaNN
        raise DamagedIndex(f"the search index in {place} cannot be read ({error})") from error
    if native.size() != len(ids):
        raise DamagedIndex(f"the search index in {place} does not fit its list of rows")
    return ScannIndex(native, plan, ids, *numbers)


def _scann() -> ModuleType:
    """Imports ScaNN without TensorFlow, which costs 17 CPU-s or fails beside another release."""
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
