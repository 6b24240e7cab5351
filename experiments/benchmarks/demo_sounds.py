"""The demo sounds beside real drum machines, kind by kind, and the time to make 1,000 of them.

python -m experiments.benchmarks.demo_sounds FOLDER [--sounds 1000]

FOLDER holds `Machine/machine-class/file`; a class is an abbreviation of
`experiments/drum_classes.json`. Percussion of the class `perc` goes by its file name. Prints a
Markdown table: median (10 % .. 90 %) of each figure, the real sounds above ours.
"""

import argparse
import itertools
import json
import re
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import scipy.fft
import soundfile as sf

from sst.demo import library, machines

RENAMED = {"closed_hat": "hat_closed", "open_hat": "hat_open"}
NAMES = (
    (r"conga|bongo|tabla|timbal|djembe", "hand_drum"),
    (r"clave|wblk|wood|blocks|stick|click", "rim"),
    (r"bel|marim|kalimb|vibes|xylo|pluck|bass|piano|plunk|gamelan|digichim", "tonal"),
)
FIGURES = (
    "centroid Hz",
    "roll-off 85 % Hz",
    "attack ms",
    "decay -20 dB ms",
    "crest dB",
    "flatness",
)


def main() -> None:
    """Prints the table and the time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sounds", type=int, default=1000)
    arguments = parser.parse_args()
    start = time.process_time()
    ours, count = made_figures(arguments.sounds)
    real = real_figures(arguments.folder)
    print_table(real, ours)
    print(f"\n{count} sounds beside real ones, {time.process_time() - start:.1f} CPU-s in all")
    start = time.process_time()
    made = sum(1 for _ in many_sounds(arguments.sounds))
    print(f"{made} sounds made in {time.process_time() - start:.1f} CPU-s")


def many_sounds(count: int):
    """Yields `count` sounds of machines that the demo library does not contain."""
    each = 25
    sounds = (
        library.sounds_of(machines.random_machine(seed), each, seed)
        for seed in range(-(-count // each))
    )
    return itertools.islice(itertools.chain.from_iterable(sounds), count)


def made_figures(count: int):
    """Returns the figures of the demo library's sounds and of `count` more, by kind."""
    rows, total = defaultdict(list), 0
    for sound in itertools.chain(library.sounds(), many_sounds(count)):
        total += 1
        rows[sound.truth.kind].append(figures(sound.wave.mean(axis=1), sound.sample_rate))
    return rows, total


def real_figures(folder: Path):
    """Returns the figures of each file whose kind is known, by kind."""
    path = Path(__file__).parent.parent / "drum_classes.json"
    classes = {k: RENAMED.get(v, v) for k, v in json.loads(path.read_text()).items()}
    rows = defaultdict(list)
    for file in sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".wav", ".flac"}):
        kind = classes.get(file.parent.name.rsplit("-", 1)[-1]) or kind_by_name(file.stem)
        if kind:
            wave, rate = sf.read(file, always_2d=True)
            if np.abs(wave).max(initial=0.0) > 1e-3:
                rows[kind].append(figures(wave.mean(axis=1), rate))
    return rows


def kind_by_name(name: str) -> str | None:
    """Returns the kind that a file name of mixed percussion speaks of."""
    return next((kind for pattern, kind in NAMES if re.search(pattern, name.lower())), None)


def figures(wave: np.ndarray, rate: int) -> list[float]:
    """Returns the six figures of one mono sound, in the order of `FIGURES`."""
    peak = np.abs(wave).max() + 1e-12
    loud = np.flatnonzero(np.abs(wave) > 1e-3 * peak)
    wave = wave[loud[0] : loud[-1] + 1] / peak
    level = np.abs(wave)
    attack = np.argmax(level >= 0.5) - np.argmax(level >= 0.05)
    decay = np.flatnonzero(level >= 0.1)[-1] - np.argmax(level)
    power = np.abs(scipy.fft.rfft(wave)) ** 2
    hz = np.linspace(0, rate / 2, len(power))
    audible = (hz > 20) & (hz < 11_000)
    flat = banded(power[audible])
    rolloff = hz[np.searchsorted(np.cumsum(power), 0.85 * power.sum())]
    return [
        float((hz * power).sum() / power.sum()),
        float(rolloff),
        1e3 * attack / rate,
        1e3 * decay / rate,
        float(-20 * np.log10(np.sqrt(np.mean(wave**2)))),
        float(np.exp(np.mean(np.log(flat + 1e-12 * flat.max()))) / flat.mean()),
    ]


def banded(power: np.ndarray, bands: int = 64) -> np.ndarray:
    """Returns the mean power of equally wide bands, so that length does not decide flatness."""
    edges = np.linspace(0, len(power), bands + 1).astype(int)[:-1]
    return np.add.reduceat(power, np.minimum(edges, len(power) - 1)) / max(1, len(power) / bands)


def print_table(real, ours) -> None:
    """Prints two rows per kind: real, then made."""
    print("| kind | sounds | " + " | ".join(FIGURES) + " | outside |")
    print("| --- " * (len(FIGURES) + 3) + "|")
    for kind in sorted(ours):
        theirs = np.quantile(real[kind], [0.1, 0.5, 0.9], axis=0) if real.get(kind) else None
        if theirs is not None:
            print(row(f"{kind}, real", len(real[kind]), theirs, ""))
        made = np.quantile(ours[kind], [0.1, 0.5, 0.9], axis=0)
        print(row(f"{kind}, ours", len(ours[kind]), made, outside(made, theirs)))


def outside(made: np.ndarray, real: np.ndarray | None) -> str:
    """Returns the figures whose median lies outside the real 10 .. 90 % range."""
    if real is None:
        return ""
    off = (made[1] < real[0]) | (made[1] > real[2])
    return ", ".join(name for name, far in zip(FIGURES, off, strict=True) if far)


def row(label: str, count: int, quantiles: np.ndarray, note: str) -> str:
    """Returns one row of the table."""
    cells = [f"{mid:.3g} ({low:.3g} .. {high:.3g})" for low, mid, high in quantiles.T]
    return f"| {label} | {count} | " + " | ".join(cells) + f" | {note} |"


if __name__ == "__main__":
    main()
