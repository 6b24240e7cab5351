"""Is a sound found again by a worse copy of itself?"""

import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from sst.audio.clip import canonical
from sst.config import AudioConfig
from sst.dsp import features
from sst.evaluation import figures
from sst.evaluation.sounds import Sounds, at_level
from sst.evaluation.systems import System
from sst.types import Wave

LEAD_S = 0.005  # of silence
CUT = 0.9  # of the sound is left
LOW_RATE = 16_000  # Hz
MP3_RATES = (16_000, 22_050, 24_000, 32_000, 44_100, 48_000)  # Hz, of those that it knows
NOISE = 10 ** (-40 / 20)  # of the peak


def measure(
    systems: Mapping[str, System], sounds: Sounds, config: AudioConfig, seed: int
) -> dict[str, Any]:
    """A row for every system with vectors: the share of copies whose nearest sound is their own.

    Args:
        systems: by name.
        sounds: the originals, among which the copies are looked up.
        config: the transform of the model.
        seed: of the noise.
    """
    searchers = {name: system for name, system in systems.items() if system.embed is not None}
    rows: dict[str, Any] = {
        name: {"title": system.title, "note": system.note, "figures": {}}
        for name, system in searchers.items()
    }
    originals = {name: embed(system, sounds) for name, system in searchers.items()}
    for kind, worsen in KINDS.items():
        copies = copied(sounds, worsen, config, seed)
        for name, system in searchers.items():
            nearest = cdist(embed(system, copies), originals[name]).argmin(axis=1)
            found = (nearest == np.arange(sounds.size)).astype(float)
            rows[name]["figures"][kind] = figures.over_files(found, sounds.packs, "mean", seed)
    return rows


def embed(system: System, sounds: Sounds) -> np.ndarray:
    """The vectors of a system that has them."""
    assert system.embed is not None
    return np.asarray(system.embed(sounds), np.float64)


def copied(sounds: Sounds, worsen: "Worsen", config: AudioConfig, seed: int) -> Sounds:
    """The sounds after `worsen`, heard as files would be."""
    rng = np.random.default_rng(seed)
    clips = [
        canonical(worsen(wave, config.sample_rate, rng), config.sample_rate, config)
        for wave in sounds.waves
    ]
    waves = [at_level(clip.wave, clip.peak_db) for clip in clips]
    heard = features.of_clips(clips, config)
    return sounds._replace(waves=waves, **heard._asdict())


Worsen = Callable[[Wave, int, np.random.Generator], Wave]


def quieter(wave: Wave, _rate: int, _rng: np.random.Generator) -> Wave:
    """A tenth of the level, which 16 bits hold with a tenth of the steps."""
    return np.round(0.1 * wave * 32767).astype(np.float32) / np.float32(32767)


def shifted(wave: Wave, rate: int, _rng: np.random.Generator) -> Wave:
    """Some silence before, and the end cut off."""
    return np.concatenate(
        [np.zeros(round(LEAD_S * rate), np.float32), wave[: max(1, round(CUT * len(wave)))]]
    )


def resampled(wave: Wave, rate: int, _rng: np.random.Generator) -> Wave:
    """At a lower rate and back."""
    import soxr

    return np.asarray(soxr.resample(soxr.resample(wave, rate, LOW_RATE), LOW_RATE, rate))


def compressed(wave: Wave, rate: int, _rng: np.random.Generator) -> Wave:
    """Written as MP3 and read again."""
    import soundfile
    import soxr

    coded_rate = rate if rate in MP3_RATES else max(MP3_RATES)
    file = io.BytesIO()
    soundfile.write(file, soxr.resample(wave, rate, coded_rate), coded_rate, format="MP3")
    file.seek(0)
    return np.asarray(soxr.resample(soundfile.read(file, dtype="float32")[0], coded_rate, rate))


def noisy(wave: Wave, _rate: int, rng: np.random.Generator) -> Wave:
    """With white noise under it."""
    noise = NOISE * float(np.abs(wave).max(initial=0.0)) * rng.standard_normal(len(wave))
    return np.asarray(wave + noise, np.float32)


KINDS: dict[str, Worsen] = {
    "quieter": quieter,
    "shifted": shifted,
    "resampled": resampled,
    "compressed": compressed,
    "noisy": noisy,
}
