"""Files that a library scan indexes per CPU second.

python experiments/benchmarks/library_scan.py DIR...

Each scan is a process of its own with an empty cache, decoding workers included: the first compiles
the encoder, the second finds it compiled, the third finds the library unchanged. Prints CPU and
wall seconds, and how many cores were busy.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sst import cache as caches


def scan(dirs: list[str], model: str) -> tuple[float, float]:
    """Measures CPU and wall seconds of `sst library scan`, start of Python included."""
    command = [sys.executable, "-m", "pipelines.infer", "library", "scan", "--model", model]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([*command, "--library-dir", *dirs], check=True, stdout=subprocess.DEVNULL)
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - start
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def main() -> None:
    """Prints one line per scan."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dirs", nargs="+")
    parser.add_argument("--model", default="model_test")
    args = parser.parse_args()
    from sst import files

    n = len(files.find_samples(args.dirs))
    with tempfile.TemporaryDirectory() as cache:
        os.environ["SST_CACHE_DIR"] = cache
        for what in ("cold", "compiled", "unchanged"):
            if what == "compiled":
                libraries = caches.cache_root() / "libraries"
                libraries.rename(Path(cache) / "before")
            cpu, wall = scan(args.dirs, args.model)
            rate = f"{n / cpu:.0f} files per CPU-s, {cpu / wall:.1f} cores busy"
            print(f"{what:10} {n} files  {cpu:6.2f} CPU-s  {wall:6.2f} s  {rate}", flush=True)


if __name__ == "__main__":
    main()
