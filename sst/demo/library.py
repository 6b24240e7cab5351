"""The demo library: 240 labelled sounds of eighteen packs, in the files that packs come in.

`sounds` makes them, `write` writes them, `sounds_of` makes any number of sounds of a machine.
"""

import csv
import io
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sst import atomic
from sst.demo import machines, truth, voices
from sst.demo.machines import Machine
from sst.demo.packs import PACKS, Pack

VERSION = 1  # counts up where the demo library comes to hold other sounds
TRUTH_FILE = "truth.csv"
FORMATS = {
    ".wav": "WAV",
    ".flac": "FLAC",
    ".ogg": "OGG",
    ".aif": "AIFF",
    ".aiff": "AIFF",
    ".mp3": "MP3",
}
# Sounds of each kind in a pack; other kinds give one of each voice.
SOUNDS_PER_KIND = {"kick": 2, "snare": 2, "hat_closed": 2, "tom": 2, "hand_drum": 2, "tonal": 2}
LAYERED_KINDS = ("kick", "snare", "tom")


class DemoSound(NamedTuple):
    """A sound with the path of its file and its ground truth."""

    path: str  # MACHINE/KIND/name.suffix, relative, with slashes
    wave: np.ndarray  # float32 [n, channels]
    sample_rate: int  # Hz
    subtype: str  # of the file, in the words of libsndfile
    truth: truth.Truth


def sounds(names: Collection[str] = ()) -> Iterator[DemoSound]:
    """Yields the sounds of the demo library, or of the machines of these names.

    They are always the same and in the same order.
    """
    for pack in PACKS:
        for kind in pack.machine.kinds if not names or pack.machine.name in names else ():
            yield from _sounds_of_kind(pack, kind)


def _sounds_of_kind(pack: Pack, kind: str) -> Iterator[DemoSound]:
    """Yields the sounds of one kind of a pack, its voices in turn."""
    own = pack.machine.voices_of(kind)
    for i in range(count_takes(pack, kind)):
        for layer in (kind in LAYERED_KINDS and pack.layers) or (None,):
            yield _sound(pack, own[i % len(own)], i // len(own), layer)


def count_takes(pack: Pack, kind: str) -> int:
    """Returns how many sounds of a kind a pack has; velocity layers of one sound count once."""
    own = len(pack.machine.voices_of(kind))
    if pack.takes or (pack.layers and kind in LAYERED_KINDS):
        return max(pack.takes, 1) * own
    return max(SOUNDS_PER_KIND.get(kind, 1), own)


def sounds_of(
    machine: Machine, count: int, seed: int = 0, rate: int = 44_100
) -> Iterator[DemoSound]:
    """Yields `count` sounds of a machine, its voices in turn, of random velocity 0.4 .. 1.

    The same machine and seed give the same sounds, another seed gives others.
    """
    pack = Pack(machine, rate=rate)
    for i in range(count):
        velocity = round(float(machines.seeded_generator(seed, i).uniform(0.4, 1.0)), 2)
        take = 100_000 * (seed + 1) + i // len(machine.voices)
        yield _sound(pack, machine.voices[i % len(machine.voices)], take, velocity)


def _sound(pack: Pack, voice: str, take: int, layer: float | None) -> DemoSound:
    """Makes one sound of a pack; without a layer its velocity lies a little below 1."""
    rng = machines.seeded_generator(pack.machine.name, pack.machine.seed, voice, take, "file")
    velocity = layer or round(float(rng.uniform(0.85, 1.0)), 2)
    wave, pitch_hz = machines.make_sound(
        pack.machine, voice, take, rate=pack.rate, velocity=velocity
    )
    onset = round(rng.uniform(0.3, 1.0) * pack.lead_s * pack.rate)
    wave = np.pad(10 ** (pack.level_db / 20) * wave, ((onset, 0), (0, 0))).astype(np.float32)
    kind = voices.VOICES[voice].kind
    label = f"{voice}_{take + 1}" + (f"_v{round(100 * layer):03d}" if layer else "")
    facts = truth.measure(wave, pack.rate, onset, kind, voice, velocity, pitch_hz)
    path = f"{pack.machine.name}/{kind}/{label}{pack.suffix}"
    return DemoSound(path, wave, pack.rate, pack.subtype, facts)


def write(folder: str | os.PathLike, made: Iterable[DemoSound] | None = None) -> list[Path]:
    """Writes sounds, by default the whole demo library, into a folder; returns their paths.

    Each file appears whole or not at all, and replaces one of the same name. All files but Ogg
    Vorbis have the same bytes on every call. `TRUTH_FILE` beside them has the ground truth of each.

    Raises:
        OSError: the folder cannot be written.
    """
    written, facts = [], []
    for sound in sounds() if made is None else made:
        path = Path(folder) / sound.path
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_file(path, sound)
        written.append(path)
        facts.append((sound.path, *sound.truth))
    _write_truth(Path(folder) / TRUTH_FILE, facts)
    return written


def cached(root: Path) -> Path:
    """Returns the folder of the demo library below `root`, and writes it if it is missing.

    Raises:
        OSError: it cannot be written.
    """
    whole = root / f"demo-{VERSION}"
    if not whole.is_dir():
        with atomic.directory(whole) as fresh:
            write(fresh / "demo")
    return whole / "demo"


def _write_file(path: Path, sound: DemoSound) -> None:
    from sst.audio import wav  # Imported here: making sounds needs no file format.

    form, channels = FORMATS[path.suffix.lower()], sound.wave.shape[1]
    with (
        atomic.draft(path) as fresh,
        wav.open_new(fresh, sound.sample_rate, channels, sound.subtype, form) as file,
    ):
        file.write(sound.wave)


def _write_truth(path: Path, facts: Iterable[tuple]) -> None:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("path", *truth.Truth._fields))
    writer.writerows(facts)
    atomic.write_text(path, table.getvalue())
