"""Recall and precision of the search for copies. python -m experiments.benchmarks.duplicates FOLDER

One file in `--every` gets one copy of each kind, written into a library with all the files, and the
whole search for duplicates runs on it. Recall is the share of copies in the group of their
original. Whatever else stands in one group, files of the folder that were not made here, is listed:
some libraries hold copies of their own. The nearest other files are what the waveform check has
refused. CPU seconds are those of the search, workers included.
"""

import argparse
import collections
import itertools
import re
import resource
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr

from sst import files
from sst.audio import decode_pool
from sst.audio.reader import BadAudio
from sst.audio.recording import read_wave
from sst.dsp.thumbnail import thumbnail
from sst.library import duplicates
from sst.search import waveform_match
from sst.types import Skipped, Sound

Wave = np.ndarray  # [n, channels]
Copy = tuple[Wave, int, str, str]  # samples, Hz, suffix, subtype
MP3_128 = {22_050: 0.25, 44_100: 0.66, 48_000: 0.66}  # Hz -> libsndfile's level of about 128 kbit/s


def main() -> None:
    """Prints a table of recall per kind of copy, and what else was put together."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=4)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        made = library(given.folder, Path(place), given.every)
        start = cpu_s()
        report = duplicates.find_duplicates([place])
        spent = cpu_s() - start
    group_of = {
        Path(copy.path).name: number for number, group in enumerate(report.groups) for copy in group
    }
    print("| copy | files | recall |")
    print("| --- | --- | --- |")
    for kind in KINDS:
        own = [(name, source) for name, (source, what) in made.items() if what == kind]
        found = [group_of.get(name, -1) == group_of.get(source, -2) for name, source in own]
        print(f"| {kind} | {len(own)} | {np.mean(found):.3f} |")
    others(report, made)
    refused(given.folder)
    print(f"{report.found} files searched in {spent:.1f} CPU-s")


def library(folder: Path, place: Path, every: int) -> dict[str, tuple[str, str]]:
    """Writes files under new names, and copies of some: copy -> its original and kind."""
    made, rng = {}, np.random.default_rng(0)
    for number, sample in enumerate(files.find_samples([folder])):
        name = f"{number:05d}_{'_'.join(sample.relative.split('/')[-2:])}"
        shutil.copyfile(sample.path, place / name)
        if number % every:
            continue
        try:
            wave, rate, _ = read_wave(sample.path)
        except BadAudio:
            continue
        for kind, change in KINDS.items():
            if kind == "mono of stereo" and wave.shape[1] == 1:
                continue
            changed, new_rate, suffix, subtype = change(wave, rate, rng)
            word = re.sub(r"\W+", "_", kind)
            copy = f"{number:05d}_{word}{suffix}"
            write(place / copy, changed, new_rate, suffix, subtype)
            made[copy] = name, kind
    return made


def write(path: Path, wave: Wave, rate: int, suffix: str, subtype: str) -> None:
    """Writes a file; MP3 at about 128 kbit/s."""
    if suffix != ".mp3":
        sf.write(path, wave, rate, subtype=subtype)
        return
    level = MP3_128.get(rate, 0.6)
    with sf.SoundFile(
        path, "w", rate, wave.shape[1], bitrate_mode="CONSTANT", compression_level=level
    ) as file:
        file.write(wave)


def _mp3(wave: Wave, rate: int, rng: np.random.Generator) -> Copy:
    coded = rate if rate in MP3_128 else 44_100
    return (wave if coded == rate else soxr.resample(wave, rate, coded)), coded, ".mp3", ""


def _noisy(wave: Wave, rate: int, rng: np.random.Generator) -> Copy:
    level = 10 ** (-60 / 20) * np.max(np.abs(wave))
    return wave + level * rng.standard_normal(wave.shape), rate, ".wav", "PCM_24"


def _dithered(wave: Wave, rate: int, rng: np.random.Generator) -> Copy:
    triangle = rng.random(wave.shape) - rng.random(wave.shape)
    return 0.9 * wave + triangle / 32768, rate, ".wav", "PCM_16"


KINDS: dict[str, Callable[[Wave, int, np.random.Generator], Copy]] = {
    "a third of the level": lambda w, r, g: (0.3 * w, r, ".wav", "PCM_16"),
    "16 kHz": lambda w, r, g: (0.9 * soxr.resample(w, r, 16_000), 16_000, ".wav", "PCM_16"),
    "MP3, 128 kbit/s": _mp3,
    "2 ms cut off the start": lambda w, r, g: (w[round(0.002 * r) :], r, ".flac", "PCM_16"),
    "mono of stereo": lambda w, r, g: (w.mean(axis=1, keepdims=True), r, ".wav", "PCM_24"),
    "noise at -60 dB": _noisy,
    "16 bits with dither": _dithered,
}


def others(report: duplicates.CopyReport, made: dict) -> None:
    """Prints the files of the folder that are grouped with other files of it."""
    pairs = collections.Counter[bool]()
    joined = []
    for group in report.groups:
        names = sorted({made.get(Path(c.path).name, (Path(c.path).name, ""))[0] for c in group})
        joined += [names] if len(names) > 1 else []
        for one, other in itertools.combinations([Path(c.path).name for c in group], 2):
            pairs[made.get(one, (one, ""))[0] == made.get(other, (other, ""))[0]] += 1
    share = pairs[True] / max(1, pairs.total())
    print(f"pairs in one group: {pairs.total()}, of one original {share:.3f}")
    for names in joined:
        print("  together:", ", ".join(names))


def refused(folder: Path) -> None:
    """Prints the number of candidates among the files, and of those that are copies."""
    sounds = [s for s in decoded(folder) if isinstance(s, Sound)]
    looks = np.stack([thumbnail(s.log_mel, duplicates.AUDIO) for s in sounds])
    near = waveform_match.near_pairs(looks)
    same = sum(
        waveform_match.same_sound(sounds[i].clip, sounds[j].clip, duplicates.AUDIO.sample_rate)
        for i, j in near
    )
    print(
        f"candidates among the {len(sounds)} files themselves: {len(near)}, taken for one: {same}"
    )


def decoded(folder: Path) -> Iterator[Sound | Skipped]:
    """Decodes all files of a folder."""
    return decode_pool.decode_many([s.path for s in files.find_samples([folder])], duplicates.AUDIO)


def cpu_s() -> float:
    """Returns the CPU seconds of this process and its finished children."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


if __name__ == "__main__":
    main()
