"""CPU seconds from a cold process to a result: python experiments/benchmarks/cold_start.py DIR...

--help, `generate` of one sound (compiled before, as on every call but the first), `similar` for a
file of an indexed library, and for a file that the index does not hold. Median of five.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path


def cost(*command: str) -> float:
    """Measures the CPU seconds of `sst COMMAND ...`, its children included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    line = [sys.executable, "-m", "pipelines.cli", *command]
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Prints one line per command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dirs", nargs="+")
    parser.add_argument("--model", default="model_test")
    args = parser.parse_args()
    from sst import files

    inside = str(files.find_samples(args.dirs)[0].path)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SST_CACHE_DIR"] = folder
        new = str(Path(folder) / "new.wav")
        model = ["--model", args.model]
        library = [*model, "--library-dir", *args.dirs]
        again = ["generate", "--out", new, "--overwrite", *model]
        print(f"first generate, compiling   {cost(*again):6.2f} CPU-s", flush=True)
        print(f"first scan                  {cost('library', 'scan', *library):6.2f} CPU-s")
        commands = {
            "--help": ["--help"],
            "generate": again,
            "similar, indexed target": ["similar", inside, *library],
            "similar, new target": ["similar", new, *library],
        }
        for name, command in commands.items():
            seconds = statistics.median(cost(*command) for _ in range(5))
            print(f"{name:27} {seconds:6.2f} CPU-s", flush=True)


if __name__ == "__main__":
    main()
