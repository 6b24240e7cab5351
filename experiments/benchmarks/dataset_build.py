"""Files per CPU-second from audio files to features, and to a finished data set.

    python experiments/benchmarks/dataset_build.py FOLDER [--sample-rate 22050] [--repeats 3]

CPU time is user and system time of this process and of all its children, imports left out of the
parent's share and left in the workers'. The best of the repeats is reported. One thread per
process, as the workers have: with more, the small matrix products of the features spin.
"""

import argparse
import contextlib
import io
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tfds_builders"))

from sample_library.sample_library_dataset_builder import Builder, SampleLibraryConfig  # noqa: E402

from sst import files  # noqa: E402
from sst.audio import decode_pool
from sst.audio.clip import canonical
from sst.audio.reader import BadAudio
from sst.audio.recording import read_wave
from sst.config import AudioConfig  # noqa: E402
from sst.dsp import features


def cpu_s() -> float:
    """Returns the CPU seconds of this process and its finished children."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


def in_process(paths: list[Path], config: AudioConfig) -> None:
    """Decodes and computes features in this process, which the workers are compared with."""
    for path in paths:
        try:
            wave, sample_rate, _ = read_wave(path)
            features.log_mel(canonical(wave, sample_rate, config).wave, config)
        except BadAudio:
            continue


def isolated(paths: list[Path], config: AudioConfig) -> None:
    """Decodes and computes features in killable processes."""
    for _ in decode_pool.decode_many(paths, config):
        pass


def build(folder: Path, sample_rate: int) -> None:
    """Builds the whole data set in a temporary directory."""
    with tempfile.TemporaryDirectory() as data_dir:
        config = SampleLibraryConfig(
            name="benchmark", sample_dirs=[str(folder)], sample_rate=sample_rate
        )
        with contextlib.redirect_stdout(io.StringIO()):  # TFDS's own words
            Builder(data_dir=data_dir, config=config).download_and_prepare()


def measure(work: Callable[[], None], repeats: int) -> tuple[float, float]:
    """Returns (CPU seconds, seconds) of the cheapest run."""
    runs = []
    for _ in range(repeats):
        cpu, wall = cpu_s(), time.monotonic()
        work()
        runs.append((cpu_s() - cpu, time.monotonic() - wall))
    return min(runs)


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sample-rate", type=int, default=22_050)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    paths = [sample.path for sample in files.find_samples([given.folder])]
    config = AudioConfig.at_rate(given.sample_rate)
    rows = {
        "decode + features, no isolation": lambda: in_process(paths, config),
        "decode + features, isolated": lambda: isolated(paths, config),
        "whole build": lambda: build(given.folder, given.sample_rate),
    }
    print(f"{len(paths):,} files, {given.sample_rate} Hz, best of {given.repeats}")
    print(f"{'':34}{'CPU-s':>8}{'wall s':>8}{'files/CPU-s':>13}{'cores':>7}")
    for name, work in rows.items():
        cpu, wall = measure(work, given.repeats)
        print(f"{name:34}{cpu:8.2f}{wall:8.2f}{len(paths) / cpu:13.0f}{cpu / wall:7.2f}")


if __name__ == "__main__":
    main()
