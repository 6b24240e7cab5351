"""Where ScaNN wins over exact search: python experiments/benchmarks/search.py [--sizes 10000]

For each size, CPU time in one process: to build ScaNN's index and to open a stored one, then per
query for both engines, one at a time and 200 at once; the recall of the ten nearest; and after how
many queries opening the stored index is paid back. Vectors are 64 numbers around 400 centres, as
the latents of a library are.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sst import search


def clustered(n: int, width: int, seed: int = 0) -> np.ndarray:
    """[n, width] float32 rows scattered around 400 centres."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((400, width))
    rows = centres[rng.integers(400, size=n)] + 0.5 * rng.standard_normal((n, width))
    return rows.astype(np.float32)


def cost(work: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def one_by_one(searcher: search.Searcher, queries: np.ndarray) -> float:
    """CPU milliseconds a query."""
    return 1e3 / 50 * cost(lambda: [searcher.search(query[None], 10) for query in queries[:50]])


def at_once(searcher: search.Searcher, queries: np.ndarray) -> float:
    """CPU milliseconds a query."""
    return 1e3 / len(queries) * cost(lambda: searcher.search(queries, 10))


def row(n: int, width: int) -> str:
    """The figures of one size."""
    vectors = clustered(n, width)
    queries = vectors[:200] + 0.01
    exact = search.build(vectors, "exact")
    start = time.process_time()
    scann = search.build(vectors, "scann")
    built = time.process_time() - start
    with tempfile.TemporaryDirectory() as folder:
        search.save(scann, Path(folder) / "index")
        opened = cost(lambda: search.load(Path(folder) / "index", vectors))
    single, batch = (
        [measure(searcher, queries) for searcher in (exact, scann)]
        for measure in (one_by_one, at_once)
    )
    gain = (single[0] - single[1]) / 1e3
    paid = f"{opened / gain:.0f}" if gain > 0 else "never"
    return (
        f"{n:<8}{built:8.2f}{opened:8.3f}{single[0]:10.3f}{single[1]:10.3f}"
        f"{batch[0]:10.3f}{batch[1]:10.3f}{scann.recall:8.3f}{paid:>8}"
    )


def main() -> None:
    """Prints one line per size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="+", type=int, default=[3_000, 10_000, 30_000, 100_000])
    parser.add_argument("--width", type=int, default=64)
    args = parser.parse_args()
    heads = ("build_s", "open_s", "exact_ms", "scann_ms", "exact200", "scann200", "recall", "paid")
    widths = (8, 8, 10, 10, 10, 10, 8, 8)
    heading = "".join(f"{h:>{w}}" for h, w in zip(heads, widths, strict=True))
    print(f"{'rows':<8}{heading}")
    for n in args.sizes:
        print(row(n, args.width), flush=True)


if __name__ == "__main__":
    main()
