"""Cost of search, exact and by ScaNN: python experiments/benchmarks/search.py [--sizes 10000]

For each size, CPU seconds: to make ScaNN's index, to open a stored one, and to bring a stored one
up to date after one new sound, with measuring its recall and storing it again; CPU milliseconds of
one query for exact search and for ScaNN; the recall of the ten nearest on queries that are not in
the library; bytes per sound, beside the vectors, of ScaNN's files and of the memory that opening
them takes (in a process of its own); and after how many queries opening has paid.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from sst.search import scann_index
from sst.search import searcher as searchers

QUERIES = 200


def like_sounds(n: int, width: int, seed: int = 0) -> np.ndarray:
    """Draws [n, width] float32 rows like the vectors of a library, but harder to search.

    They are of 2,000 kinds of sound, each spread along 12 directions, all with a falling spectrum.
    Their dimension by maximum likelihood is 17; that of 3,729 real sounds is 5.
    """
    shape = np.random.default_rng(0)  # the same kinds for every seed
    falling = ((1 + np.arange(width)) ** -0.5).astype(np.float32)
    centres = shape.standard_normal((2000, width), dtype=np.float32) * falling
    directions = shape.standard_normal((64, 12, width), dtype=np.float32) * falling / 12**0.5
    rng = np.random.default_rng((seed, n))
    kinds = rng.integers(2000, size=n)
    rows = centres[kinds]
    for group in range(64):
        chosen = np.flatnonzero(kinds % 64 == group)
        rows[chosen] += (
            0.7 * rng.standard_normal((len(chosen), 12), dtype=np.float32) @ directions[group]
        )
    for part in np.array_split(rows, max(1, n // 50_000)):
        part += 0.03 * rng.standard_normal(part.shape, dtype=np.float32) * falling
    return rows


def cost(work: Callable[[], object]) -> float:
    """Measures the CPU seconds of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def one_by_one(searcher: searchers.Searcher, queries: np.ndarray, times: int) -> float:
    """Measures the CPU milliseconds of a query, one at a time."""
    searcher.search(queries[:1], 10)
    return 1e3 / times * cost(lambda: [searcher.search(q[None], 10) for q in queries[:times]])


def recall(searcher: searchers.Searcher, queries: np.ndarray, truth: np.ndarray) -> float:
    """Returns the share of the ten nearest that are found."""
    found, _ = searcher.search(queries, 10)
    return float(np.mean([len(set(f) & set(t)) / 10 for f, t in zip(found, truth, strict=True)]))


def memory(place: Path, rows: Path) -> float:
    """Measures the bytes per vector that a process grows by when it opens an index."""
    code = (
        "import sys, pathlib, numpy as np\n"
        "from sst.search import searcher, scann_index\n"
        "import threadpoolctl; threadpoolctl.threadpool_limits(1)\n"
        "def resident(): return 4096 * int(open('/proc/self/statm').read().split()[1])\n"
        "rows = np.load(sys.argv[2]); rows.sum(); tiny = scann_index.build_index(rows[:500],"
        " scann_index.Plan('hash')); ids = scann_index.hash_vectors(rows); before = resident()\n"
        "found = searcher.open_or_build(pathlib.Path(sys.argv[1]), rows, 'scann')\n"
        "found.search(rows[:100], 10); print((resident() - before) / len(rows))"
    )
    command = [sys.executable, "-c", code, str(place), str(rows)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def row(n: int, width: int) -> str:
    """Formats the figures of one size."""
    vectors = like_sounds(n + 1, width)
    queries = like_sounds(QUERIES, width, seed=1)
    exact = searchers.build(vectors[:n], "exact")
    truth = exact.search(queries, 10)[0]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "index"
        built = cost(lambda: searchers.open_or_build(folder, vectors[:n], "scann"))
        opened = cost(lambda: searchers.open_or_build(folder, vectors[:n], "scann"))
        scann = searchers.open_or_build(folder, vectors[:n], "scann")
        stored = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / n
        np.save(Path(temporary) / "rows.npy", vectors[:n])
        resident = memory(folder, Path(temporary) / "rows.npy")
        changed = cost(lambda: searchers.open_or_build(folder, vectors, "scann"))
    times = max(5, min(QUERIES, 10_000_000 // n))
    slow, fast = one_by_one(exact, queries, times), one_by_one(scann, queries, QUERIES)
    paid = f"{opened / (slow - fast) * 1e3:.0f}" if slow > fast else "never"
    return (
        f"{n:<10,}{built:8.2f}{opened:8.3f}{changed:9.3f}{slow:10.3f}{fast:10.3f}"
        f"{recall(scann, queries, truth):8.3f}{stored:8.0f}{resident:8.0f}{paid:>8}"
    )


def main() -> None:
    """Prints one line per size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="+", type=int, default=[10_000, 30_000, 100_000])
    parser.add_argument("--width", type=int, default=128)
    args = parser.parse_args()
    threadpool_limits(1)  # threads that wait for each other would count as work
    scann_index.build_index(like_sounds(500, args.width), scann_index.Plan("hash"))  # imports ScaNN
    print("rows        make_s  open_s change_s  exact_ms  scann_ms  recall  disk_B   mem_B    paid")
    for n in args.sizes:
        print(row(n, args.width), flush=True)


if __name__ == "__main__":
    main()
