"""Recall and precision of the doctor on injected defects.

python -m experiments.benchmarks.doctor FOLDER

Every file of a folder is copied into a library of its own; one in `--every` gets one defect, in
turn. Recall is the share of a defect's files that are found with it. Precision is over all files:
of those found with a fault, how many got it here. Libraries have faults of their own, which count
against it: how many untouched files of the folder are found is the last column.
"""

import argparse
import collections
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile as sf

from sst import files
from sst.audio.reader import BadAudio
from sst.audio.recording import read_wave
from sst.library import doctor
from sst.library import session as library_session

Wave = np.ndarray  # [n, channels], peak 1
STRAYS = 3  # more would be a kind of their own


def main() -> None:
    """Prints a table, a row per defect."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="model_test")
    parser.add_argument("--every", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["SST_CACHE_DIR"] = cache
        root = Path(cache) / given.folder.resolve().name
        expected = injected(files.find_samples([given.folder]), root, given.every)
        before = found(given.folder, given.model)
        after = found(root, given.model)
    report(expected, before, after)


def injected(samples: list[files.Sample], root: Path, every: int) -> dict[str, str]:
    """Copies a library with defects; file name below `root` -> defect, for those that have one."""
    rng, expected = np.random.default_rng(0), {}
    order = [int(row) for row in rng.permutation(len(samples))]
    chosen = order[: len(samples) // every]
    for turn, row in enumerate(order):
        defect = list(DEFECTS)[turn % len(DEFECTS)] if turn < len(chosen) else ""
        if defect == "outlier" and turn >= STRAYS * len(DEFECTS):
            defect = ""
        sample = samples[row]
        target = root / sample.relative
        if defect == "mislabelled":
            target = elsewhere(sample, samples, root, rng)
        target.parent.mkdir(parents=True, exist_ok=True)
        made = DEFECTS.get(defect, plain)(Path(sample.path), target, rng)
        if defect and made:
            expected[os.fspath(made)] = defect
    return expected


def plain(source: Path, target: Path, rng: np.random.Generator) -> Path:
    """Copies the file as it is."""
    shutil.copyfile(source, target)
    return target


def elsewhere(sample: files.Sample, samples: list, root: Path, rng: np.random.Generator) -> Path:
    """Chooses a path in the folder of another kind, in the same pack where that has one."""
    others = [s for s in samples if s.label and s.label != sample.label]
    pack = [s for s in others if s.relative.split("/")[0] == sample.relative.split("/")[0]]
    other = (pack or others)[rng.integers(len(pack or others))]
    return (root / other.relative).parent / f"moved_{Path(sample.path).name}"


def written(change: Callable[[Wave, int], Wave]) -> Callable:
    """Makes a defect of the waveform: the file as 16-bit WAV after `change`."""

    def defect(source: Path, target: Path, rng: np.random.Generator) -> Path | None:
        try:
            wave, rate, _ = read_wave(source)
        except BadAudio:
            return None
        changed = change(wave / np.max(np.abs(wave)), rate)
        path = target.with_name(f"changed_{target.stem}.wav")
        sf.write(path, changed, rate, subtype="PCM_16")
        return path

    return defect


def at_energy(share: float) -> Callable[[Wave, int], Wave]:
    """Makes a change that cuts what comes after this share of the energy."""

    def change(wave: Wave, rate: int) -> Wave:
        energy = np.cumsum(np.square(wave).sum(axis=1))
        end = int(np.searchsorted(energy, share * energy[-1]))
        return wave[: max(end, round(0.02 * rate))]

    return change


def stray(wave: Wave, rate: int) -> Wave:
    """Makes a sound that no drum library has: a swelling chord, a siren or a bass drone."""
    time = np.arange(2 * rate) / rate
    tones = sum(np.sin(2 * np.pi * hz * time) for hz in (311.0, 887.0, 2017.0))
    siren = np.sin(2 * np.pi * 900 * time - 60 * np.cos(2 * np.pi * 1.5 * time))
    drone = (110 * time) % 1 - 0.5 + (111.3 * time) % 1 - 0.5
    kinds = 0.2 * np.sin(np.pi * time / 2) ** 2 * tones, 0.5 * siren, 0.4 * drone
    return kinds[len(wave) % 3][:, None]


def garbage(source: Path, target: Path, rng: np.random.Generator) -> Path:
    """Writes bytes that are no audio."""
    target.write_bytes(rng.bytes(5_000))
    return target


def shortened(source: Path, target: Path, rng: np.random.Generator) -> Path | None:
    """Writes a WAV file without its last third, as after a broken download."""
    path = written(lambda wave, rate: wave)(source, target, rng)
    if path:
        content = path.read_bytes()
        path.write_bytes(content[: len(content) * 2 // 3])
    return path


def renamed(source: Path, target: Path, rng: np.random.Generator) -> Path | None:
    """Writes a WAV file with the suffix of AIFF."""
    path = written(lambda wave, rate: wave)(source, target, rng)
    if path is None:
        return None
    other = path.with_suffix(".aiff")
    path.rename(other)
    return other


DEFECTS: dict[str, Callable] = {
    "broken": garbage,
    "truncated": shortened,
    "silent": written(lambda wave, rate: np.zeros_like(wave)),
    "clipped, 6 dB": written(lambda wave, rate: np.clip(2.0 * wave, -1, 1)),
    "clipped, 3 dB, then halved": written(lambda wave, rate: 0.5 * np.clip(1.41 * wave, -1, 1)),
    "offset, 2 %": written(lambda wave, rate: 0.9 * wave + 0.02),
    "cut_off, half of the energy": written(at_energy(0.5)),
    "cut_off, a fifth of the energy": written(at_energy(0.8)),
    "wrong_suffix": renamed,
    "mislabelled": plain,
    "outlier": written(stray),
}


def found(folder: Path, model: str) -> dict[str, set[str]]:
    """Returns the faults of each path."""
    session = library_session.open_session(library_session.load_encoder(model), [folder])
    faults: dict[str, set[str]] = collections.defaultdict(set)
    for finding in doctor.examine(files.find_samples([folder]), session.rows):
        faults[finding.path].add(finding.fault)
    return faults


def report(expected: dict[str, str], before: dict, after: dict) -> None:
    """Prints the table."""
    print(
        "| defect | injected | recall | found in all | of them injected | in the untouched folder |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for defect in DEFECTS:
        fault = defect.split(",")[0]
        own = [path for path, what in expected.items() if what == defect]
        hits = sum(fault in after.get(path, ()) for path in own)
        all_ = [path for path, faults in after.items() if fault in faults]
        good = sum(expected.get(path, "").split(",")[0] == fault for path in all_)
        untouched = sum(fault in faults for faults in before.values())
        recall = hits / len(own) if own else float("nan")
        precision = good / len(all_) if all_ else float("nan")
        cells = [len(own), f"{recall:.2f}", len(all_), f"{precision:.2f}", untouched]
        print(f"| {defect} | {' | '.join(map(str, cells))} |")


if __name__ == "__main__":
    main()
