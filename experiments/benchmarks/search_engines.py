"""Our search beside other engines at equal recall.

python experiments/benchmarks/search_engines.py [--size 1000000] \\
    [--engines exact scann hnswlib]  # needs `pip install -e .[bench]`

Each engine gets the same vectors, and queries that are not among them, one at a time on one core;
its effort is raised until it finds 95 % of the ten nearest. CPU seconds to make the index, median
milliseconds of one query, the recall, and the bytes that the index takes per vector beside it.
"""

import argparse
import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from search import like_sounds
from threadpoolctl import threadpool_limits

from sst.search import searcher as searchers

TARGET = 0.95
LINKS, EFFORT_TO_MAKE = 16, 100  # of the graphs
EFFORTS = (10, 20, 40, 80, 160, 320, 640)


class Engine(NamedTuple):
    """An index that is ready for queries."""

    find: Callable[[np.ndarray, int], Any]  # a query [d], effort -> the numbers of ten rows
    efforts: Sequence[int]
    extra: float  # bytes per vector beside it


def exact(rows: np.ndarray) -> Engine:
    """Builds our exact search in NumPy."""
    searcher = searchers.build(rows, "exact")
    return Engine(lambda q, _: searcher.search(q[None], 10)[0][0], [0], searcher.norms.itemsize)


def jax(rows: np.ndarray) -> Engine:
    """Compiles one program of JAX: distances and the ten least."""
    import jax as jax_
    import jax.numpy as jnp

    @jax_.jit
    def nearest(rows: Any, norms: Any, query: Any) -> Any:
        return jax_.lax.top_k(2.0 * (rows @ query) - norms, 10)[1]

    placed = jnp.asarray(rows)
    norms = jnp.sum(placed * placed, axis=1)
    return Engine(lambda q, _: np.asarray(nearest(placed, norms, q)), [0], norms.itemsize)


def scann(rows: np.ndarray) -> Engine:
    """Builds our search with ScaNN, which measures its own effort."""
    from sst.search import scann_index

    searcher = searchers.build(rows, "scann")
    assert searcher.index is not None
    with tempfile.TemporaryDirectory() as folder:
        scann_index.save(searcher.index, Path(folder) / "index")
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    return Engine(lambda q, _: searcher.search(q[None], 10)[0][0], [0], size / len(rows))


def faiss(rows: np.ndarray, recipe: str, effort: str) -> Engine:
    """Builds an index of FAISS by its recipe; `effort` names the parameter of its effort."""
    import faiss as faiss_

    index = faiss_.index_factory(rows.shape[1], recipe)
    hnsw = recipe.startswith("HNSW")
    space = faiss_.ParameterSpace()
    if hnsw:
        space.set_index_parameter(index, "efConstruction", EFFORT_TO_MAKE)
    index.train(rows[:100_000])
    index.add(rows)
    if recipe.endswith("RFlat"):
        index.k_factor = 20  # of 200 candidates the exact distance is computed, as in ours
    size = faiss_.serialize_index(index).nbytes

    def find(query: np.ndarray, much: int) -> Any:
        if effort:
            space.set_index_parameter(index, effort, much)
        return index.search(query[None], 10)[1][0]

    return Engine(find, EFFORTS if effort else [0], size / len(rows) - rows[0].nbytes)


def hnswlib(rows: np.ndarray) -> Engine:
    """Builds a graph by the library of its inventors (Malkov & Yashunin 2018)."""
    import hnswlib as hnswlib_

    index = hnswlib_.Index("l2", rows.shape[1])
    index.init_index(len(rows), M=LINKS, ef_construction=EFFORT_TO_MAKE)
    index.add_items(rows, num_threads=os.cpu_count())

    def find(query: np.ndarray, much: int) -> Any:
        index.set_ef(much)
        return index.knn_query(query[None], k=10, num_threads=1)[0][0]

    return Engine(find, EFFORTS, _stored(index.save_index) / len(rows) - rows[0].nbytes)


def usearch(rows: np.ndarray) -> Engine:
    """Builds a graph by USearch."""
    from usearch.index import Index

    index = Index(
        ndim=rows.shape[1],
        metric="l2sq",
        dtype="f32",
        connectivity=LINKS,
        expansion_add=EFFORT_TO_MAKE,
    )
    index.add(np.arange(len(rows)), rows, threads=os.cpu_count())

    def find(query: np.ndarray, much: int) -> Any:
        index.expansion_search = much
        return index.search(query, 10, threads=1).keys

    return Engine(find, EFFORTS, _stored(index.save) / len(rows) - rows[0].nbytes)


def _stored(save: Callable[[str], object]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        save(f"{folder}/index")
        return sum(path.stat().st_size for path in Path(folder).iterdir())


def engines(n: int, width: int) -> dict[str, Callable[[np.ndarray], Engine]]:
    """Returns the functions that build each engine for n rows."""
    inverted = f"IVF{round(n**0.5)},PQ{width // 2}x4fs,RFlat"
    return {
        "exact": exact,
        "scann": scann,
        "jax": jax,
        "faiss-flat": lambda rows: faiss(rows, "Flat", ""),
        "faiss-ivfpq": lambda rows: faiss(rows, inverted, "nprobe"),
        "faiss-hnsw": lambda rows: faiss(rows, f"HNSW{LINKS},Flat", "efSearch"),
        "hnswlib": hnswlib,
        "usearch": usearch,
    }


def measured(engine: Engine, queries: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Measures median milliseconds and recall at the least effort that suffices."""
    for effort in engine.efforts:
        times, hits = [], 0
        engine.find(queries[0], effort)
        for query, expected in zip(queries, truth, strict=True):
            start = time.perf_counter()
            found = engine.find(query, effort)
            times.append(time.perf_counter() - start)
            hits += len(set(map(int, found)) & set(expected.tolist()))
        recall = hits / truth.size
        if recall >= TARGET:
            break
    return 1e3 * float(np.median(times)), recall


def main() -> None:
    """Prints one line per engine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--engines", nargs="+")
    args = parser.parse_args()
    rows, queries = like_sounds(args.size, args.width), like_sounds(200, args.width, seed=1)
    truth = searchers.build(rows, "exact").search(queries, 10)[0]
    makers = engines(args.size, args.width)
    print(f"{args.size:,} rows of {args.width}\nengine        make_s  query_ms  recall  extra_B")
    for name in args.engines or makers:
        start = time.process_time()
        engine = makers[name](rows)
        took = time.process_time() - start
        with _one_core():
            ms, recall = measured(engine, queries, truth)
        print(f"{name:12}{took:8.1f}{ms:10.3f}{recall:8.3f}{engine.extra:9.0f}", flush=True)


@contextlib.contextmanager
def _one_core() -> Any:
    """Binds all threads of the process to one core, those that engines start included."""
    before = {
        int(thread): os.sched_getaffinity(int(thread)) for thread in os.listdir("/proc/self/task")
    }
    core = min(os.sched_getaffinity(0))
    with threadpool_limits(1):
        for thread in before:
            os.sched_setaffinity(thread, {core})
        try:
            yield
        finally:
            for thread, cores in before.items():
                with contextlib.suppress(ProcessLookupError):
                    os.sched_setaffinity(thread, cores)


if __name__ == "__main__":
    main()
