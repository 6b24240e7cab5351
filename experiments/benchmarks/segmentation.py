"""Hits found in long files: python -m experiments.benchmarks.segmentation [FOLDER] [--model NAME]

FOLDER holds a folder per pack of one-shots, the demo samples by default. From each pack sequences
are made whose onsets are known: `apart`, hits of -12 to 0 dB that decay before the next, with gaps;
`overlapping`, one every 0.1 to 0.5 s whatever the tails do; `noisy`, these with white noise 20 dB
below. Printed, beside librosa and the rule of SampleVAE (librosa with backtracking at 16 kHz on
files longer than 2 s, an onset in the first half second moved to 0): precision, recall and F1
within 30 ms with each onset used once, how far starts are off, how many hits are found in the
one-shots alone, of which each is one (or so it should be), and the speed.

Then whether a hit of a sequence finds its own one-shot first among all of FOLDER, with the vectors
of the model: hits as found and cut by SST; cut at the true onset and the next one; and as
SampleVAE, 2 s from each true onset. A hit that was not found counts as not first.
"""

import argparse
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from sst.audio import onsets as onset_detection
from sst.audio.clip import canonical
from sst.audio.reader import BadAudio
from sst.audio.recording import read_wave
from sst.cache import cache_root
from sst.config import AudioConfig, SegmentConfig
from sst.demo import library
from sst.dsp import features
from sst.types import Clip, Wave

RATE = 44_100
TOLERANCE_S = 0.03
PREROLL_S = 0.001  # that a canonical clip has before its attack
KINDS = ("apart", "overlapping", "noisy")
Detector = Callable[[Wave], np.ndarray]  # -> seconds


class Shot(NamedTuple):
    """A one-shot."""

    pack: str
    wave: Wave  # canonical, at RATE


class Sequence(NamedTuple):
    """A recording whose hits are known."""

    wave: Wave
    onsets: Float[np.ndarray, " n"]  # seconds
    shots: np.ndarray  # [n] which one-shot each hit is


def one_shots(folder: Path) -> list[Shot]:
    """Reads all sounds below `folder`, by pack; equal ones once."""
    config = AudioConfig(sample_rate=RATE, clip_seconds=4.0)
    found: dict[bytes, Shot] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        try:
            wave, rate, _ = read_wave(path)
        except BadAudio:
            continue
        clip = canonical(wave, rate, config)
        if clip.duration_s > 0.01:
            pack = path.relative_to(folder).parts[0]
            found.setdefault(clip.wave.tobytes(), Shot(pack, clip.wave))
    return list(found.values())


def sequence(
    shots: list[Shot], chosen: np.ndarray, kind: str, rng: np.random.Generator
) -> Sequence:
    """Makes a recording of the chosen one-shots, one after the other."""
    at, starts = round(rng.uniform(0.05, 0.5) * RATE), []
    levels = 10 ** (-rng.uniform(0, 12, len(chosen)) / 20)
    for i in chosen:
        starts.append(at)
        if kind == "apart":
            at += len(shots[i].wave) + round(rng.uniform(0.03, 0.25) * RATE)
        else:
            at += round(rng.choice([0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5]) * RATE)
    ends = [start + len(shots[i].wave) for start, i in zip(starts, chosen, strict=True)]
    wave = np.zeros(max(ends) + RATE // 4, np.float32)
    for start, end, i, level in zip(starts, ends, chosen, levels, strict=True):
        wave[start:end] += level * shots[i].wave
    if kind == "noisy":
        noise = rng.standard_normal(len(wave)).astype(np.float32)
        wave += 0.1 * np.sqrt(np.mean(wave**2)) * noise
    onsets = np.array(starts) / RATE + PREROLL_S
    return Sequence(0.9 * wave / np.max(np.abs(wave)), onsets, chosen)


def matches(true: np.ndarray, found: np.ndarray) -> list[tuple[int, int]]:
    """Matches sorted onsets: as many pairs (true, found) within the tolerance as there can be."""
    pairs, i, j = [], 0, 0
    while i < len(true) and j < len(found):
        if abs(found[j] - true[i]) <= TOLERANCE_S:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif found[j] < true[i]:
            j += 1
        else:
            i += 1
    return pairs


def ours(wave: Wave) -> np.ndarray:
    """Finds onsets by this project, in seconds, with its defaults."""
    return np.array([s.start for s in onset_detection.split(wave, RATE, SegmentConfig())]) / RATE


def by_librosa(wave: Wave, backtrack: bool) -> np.ndarray:
    """Finds onsets by librosa, in seconds, with its defaults."""
    import librosa

    return librosa.onset.onset_detect(y=wave, sr=RATE, backtrack=backtrack, units="time")


def as_samplevae(wave: Wave) -> np.ndarray:
    """Finds onsets as SampleVAE takes them from librosa, in seconds."""
    import librosa

    low = librosa.resample(wave, orig_sr=RATE, target_sr=16_000)
    if len(low) <= 2 * 16_000:
        return np.zeros(1)
    rise = librosa.onset.onset_strength(y=low, sr=16_000, hop_length=256)
    found = librosa.onset.onset_detect(
        onset_envelope=rise, sr=16_000, hop_length=256, backtrack=True
    )
    times = librosa.frames_to_time(found, sr=16_000, hop_length=256)
    if len(times) and times[0] < 0.5:
        times[0] = 0.0
    return times if len(times) else np.zeros(1)


DETECTORS: dict[str, Detector] = {
    "SST": ours,
    "librosa": functools.partial(by_librosa, backtrack=False),
    "librosa, backtracked": functools.partial(by_librosa, backtrack=True),
    "SampleVAE's rule": as_samplevae,
}


def onset_line(detect: Detector, sequences: list[Sequence]) -> str:
    """Formats precision, recall, F1, and the errors of the starts that were matched."""
    hit = true = made = 0
    errors: list[float] = []
    for one in sequences:
        found = detect(one.wave)
        pairs = matches(one.onsets, found)
        hit, true, made = hit + len(pairs), true + len(one.onsets), made + len(found)
        errors += [found[j] - one.onsets[i] for i, j in pairs]
    low, median, high = 1e3 * np.percentile(errors, [5, 50, 95])
    f1 = 2 * hit / (true + made)
    errors_ms = f"{median:6.1f} ({low:.1f} to {high:.1f})"
    return f"{hit / made:9.3f}{hit / true:9.3f}{f1:9.3f}  {errors_ms}"


def speed(detect: Detector, sequences: list[Sequence]) -> float:
    """Measures the seconds of sound segmented in a CPU-second, with everything loaded."""
    start = time.process_time()
    for one in sequences:
        detect(one.wave)
    return sum(len(one.wave) for one in sequences) / RATE / (time.process_time() - start)


def cut_hits(one: Sequence, how: str) -> list[tuple[int, int, int]]:
    """Returns (which one-shot, first sample, end) of each hit that is found."""
    starts = np.round((one.onsets - PREROLL_S) * RATE).astype(int)
    if how == "SST":
        found = onset_detection.split(one.wave, RATE, SegmentConfig())
        pairs = matches(one.onsets, np.array([s.start for s in found]) / RATE)
        return [(one.shots[i], *found[j]) for i, j in pairs]
    ends = starts + 2 * RATE
    if how == "to the next onset":
        ends = np.append(starts[1:], len(one.wave))
    return list(zip(one.shots, starts, ends, strict=True))


def vectors(model: Any, waves: list[Wave]) -> Float[np.ndarray, "n e"]:
    """Computes the search vectors of sounds at RATE."""
    from sst import inference

    config = model.config.audio
    clips: list[Clip] = [canonical(wave, RATE, config) for wave in waves]
    blocks = [clips[i : i + 128] for i in range(0, len(clips), 128)]
    return np.concatenate(
        [np.asarray(inference.embed_features(model, features.of_clips(b, config))) for b in blocks]
    )


def own_first(model: Any, shots: list[Shot], sequences: list[Sequence], how: str) -> float:
    """Returns the share of all hits whose nearest one-shot is their own."""
    from sst.search import searcher

    found = [(i, one.wave[a:b]) for one in sequences for i, a, b in cut_hits(one, how)]
    gallery = searcher.build(vectors(model, [shot.wave for shot in shots]), "exact")
    nearest, _ = gallery.search(vectors(model, [wave for _, wave in found]), 1)
    first = np.sum(nearest[:, 0] == np.array([i for i, _ in found]))
    return float(first) / sum(len(one.onsets) for one in sequences)


def main() -> None:
    """Prints the two tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", help="default: the demo sounds")
    parser.add_argument("--model", default="model_test")
    parser.add_argument("--per-pack", type=int, default=4, help="sequences of each kind")
    parser.add_argument("--hits", type=int, default=16, help="in each sequence")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    folder = args.folder or library.cached(cache_root())
    shots = one_shots(folder)
    packs = sorted({shot.pack for shot in shots})
    of_pack = [[i for i, shot in enumerate(shots) if shot.pack == pack] for pack in packs]
    sequences: dict[str, list[Sequence]] = {
        kind: [
            sequence(shots, rng.choice(ids, args.hits), kind, rng)
            for ids in of_pack
            for _ in range(args.per_pack)
        ]
        for kind in KINDS
    }
    print(f"{len(shots)} one-shots of {len(packs)} packs; {len(sequences['apart'])} of each kind")
    print(f"{'':24}{'':13}{'precision':>9}{'recall':>9}{'F1':>9}  start off by, ms (5 to 95 %)")
    for name, detect in DETECTORS.items():
        for kind in KINDS:
            print(f"{name:24}{kind:13}{onset_line(detect, sequences[kind])}", flush=True)
        counts = np.array([len(detect(shot.wave)) for shot in shots])
        print(
            f"{name:24}a one-shot is {counts.mean():.2f} hits; one: {np.mean(counts == 1):.3f};"
            f" {speed(detect, sequences['noisy']):.0f} s of sound in a CPU-second",
            flush=True,
        )
    from sst import inference

    model = inference.load(args.model)
    print(f"\nits own one-shot comes first ({args.model})")
    for how in ("SST", "to the next onset", "2 s"):
        shares = [own_first(model, shots, sequences[kind], how) for kind in KINDS]
        cells = (f"{kind:>13} {share:.3f}" for kind, share in zip(KINDS, shares, strict=True))
        print(f"{how:24}{''.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
