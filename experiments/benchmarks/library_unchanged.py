"""Cost of opening an unchanged library.

python experiments/benchmarks/library_unchanged.py [--files 50000]

Writes that many small files into folders of 500, fills an index with made-up sounds for them, then
measures CPU seconds and the largest memory of processes of their own, without the import of NumPy:
scanning the unchanged library, reading all its sounds to search them as well, and the same after
one file was added and after one folder was renamed.
"""

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sst.config import AudioConfig
from sst.library import scan as library_scan
from sst.library.embed_files import Encoder
from sst.search import searcher
from sst.types import NOTHING, Clip, Sound

WIDTH = 160
ENCODER = Encoder("0" * 12, AudioConfig(), lambda features: np.zeros((0, 0), np.float32))

CLIP = Clip(np.ones(1, np.float32), 0.0, 0.0, 0.5)


def write(folder: Path, n: int) -> None:
    """Writes n files that differ."""
    for i in range(n):
        pack = folder / f"Pack {i // 500:03d}" / f"kind {i % 10}"
        if i % 500 < 10:
            pack.mkdir(parents=True)
        (pack / f"sound {i:06d}.wav").write_bytes(i.to_bytes(8, "little"))


def made_up(encoder: Any, paths: list[str], *_: Any) -> Iterator[list[Any]]:
    """Yields made-up sounds in place of decoded ones: one a file, of one of 2,000 kinds."""
    shape = np.random.default_rng(0)
    kinds = shape.standard_normal((2000, WIDTH), dtype=np.float32)
    directions = 0.3 * shape.standard_normal((12, WIDTH), dtype=np.float32)
    for start in range(0, len(paths), 128):
        batch = []
        for path in paths[start : start + 128]:
            number = int.from_bytes(Path(path).read_bytes(), "little")
            rng = np.random.default_rng(number)
            sound = Sound(path, CLIP, CLIP.wave[None], NOTHING, f"{number:032x}", 22_050, 1, 0.5)
            offset = rng.standard_normal(12, dtype=np.float32) @ directions
            batch.append([(sound, kinds[rng.integers(2000)] + offset)])
        yield batch


def scan(folder: Path) -> None:
    """Scans the library as `library scan` does."""
    library_scan.scan(ENCODER, [folder])


def session(folder: Path) -> None:
    """Opens the library as `similar` does, and searches it once."""
    report, rows = library_scan.scan_and_read(ENCODER, [folder])
    searcher.open_or_build(report.folder, rows.vectors).search(rows.vectors[:1], 10)


def measured(work: Callable[[Path], None], folder: Path) -> tuple[float, float]:
    """Measures CPU seconds and MB of a process that does only this work."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_measure, (work, folder))


def _measure(work: Callable[[Path], None], folder: Path) -> tuple[float, float]:
    library_scan.embed_files = made_up  # type: ignore[assignment]
    searcher.build(np.zeros((20, 4), np.float32)).search(np.zeros((1, 4)), 1)
    start = time.process_time()
    work(folder)
    return time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Prints one line per measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=50_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["SST_CACHE_DIR"] = f"{temporary}/cache"
        folder = Path(temporary) / "Samples"
        write(folder, args.files)

        def line(what: str, work: Callable[[Path], None]) -> None:
            cpu, megabytes = measured(work, folder)
            print(f"{what:26}{cpu:8.2f} CPU-s{megabytes:8.0f} MB", flush=True)

        print(f"{args.files:,} files, vectors of {WIDTH}")
        line("first (sounds made up)", scan)
        line("unchanged", scan)
        line("first searched", session)
        line("unchanged, then searched", session)
        (folder / "new.wav").write_bytes(args.files.to_bytes(8, "little"))
        line("one new", session)
        (folder / "Pack 000").rename(folder / "Pack 000, renamed")
        line("500 renamed", session)


if __name__ == "__main__":
    main()
