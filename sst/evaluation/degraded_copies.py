"""Search for a sound by a degraded copy of itself: quieter, shifted, resampled, MP3 or noisy."""

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

Degrade = Callable[[Wave, int, np.random.Generator], Wave]  # wave, Hz, generator -> wave
SILENCE_S = 0.005  # of silence before a shifted copy
KEPT_SHARE = 0.9  # of a shifted sound
LOW_RATE_HZ = 16_000
MP3_RATES_HZ = (16_000, 22_050, 24_000, 32_000, 44_100, 48_000)  # that MP3 has
NOISE_LEVEL = 10 ** (-40 / 20)  # of the peak


def measure(
    systems: Mapping[str, System], sounds: Sounds, config: AudioConfig, seed: int
) -> dict[str, Any]:
    """Returns a row for every system with vectors: the share of copies whose original is nearest.

    Args:
        systems: by name.
        sounds: the originals, among which the copies are looked up.
        config: the transform of the model.
        seed: of the noise and the intervals.
    """
    searchers = {name: system for name, system in systems.items() if system.embed is not None}
    rows: dict[str, Any] = {name: system.row({}) for name, system in searchers.items()}
    originals = {name: embed(system, sounds) for name, system in searchers.items()}
    for kind, change in KINDS.items():
        copies = degrade(sounds, change, config, seed)
        for name, system in searchers.items():
            nearest = cdist(embed(system, copies), originals[name]).argmin(axis=1)
            found = (nearest == np.arange(sounds.size)).astype(float)
            rows[name]["figures"][kind] = figures.over_files(found, sounds.packs, "mean", seed)
    return rows


def embed(system: System, sounds: Sounds) -> np.ndarray:
    """Returns the search vectors [n, e] of a system that has them, float64."""
    assert system.embed is not None
    return np.asarray(system.embed(sounds), np.float64)


def degrade(sounds: Sounds, change: Degrade, config: AudioConfig, seed: int) -> Sounds:
    """Returns the sounds after a change, made canonical again as the sounds of files are."""
    rng = np.random.default_rng(seed)
    clips = [
        canonical(change(wave, config.sample_rate, rng), config.sample_rate, config)
        for wave in sounds.waves
    ]
    waves = [at_level(clip.wave, clip.peak_db) for clip in clips]
    computed = features.of_clips(clips, config)._asdict()
    return sounds._replace(waves=waves, descriptors=None, **computed)


def lower_level(wave: Wave, _rate: int, _rng: np.random.Generator) -> Wave:
    """Returns the sound at a tenth of its level, rounded to 16 bits."""
    return np.round(0.1 * wave * 32767).astype(np.float32) / np.float32(32767)


def shift(wave: Wave, rate: int, _rng: np.random.Generator) -> Wave:
    """Returns the sound with `SILENCE_S` of silence before it and its end cut off."""
    return np.concatenate(
        [
            np.zeros(round(SILENCE_S * rate), np.float32),
            wave[: max(1, round(KEPT_SHARE * len(wave)))],
        ]
    )


def resample(wave: Wave, rate: int, _rng: np.random.Generator) -> Wave:
    """Returns the sound after resampling to `LOW_RATE_HZ` and back."""
    import soxr

    return np.asarray(soxr.resample(soxr.resample(wave, rate, LOW_RATE_HZ), LOW_RATE_HZ, rate))


def compress(wave: Wave, rate: int, _rng: np.random.Generator) -> Wave:
    """Returns the sound after MP3 of medium quality; a little longer, as MP3 pads it."""
    import soundfile
    import soxr

    coded_rate = rate if rate in MP3_RATES_HZ else max(MP3_RATES_HZ)
    file = io.BytesIO()
    soundfile.write(file, soxr.resample(wave, rate, coded_rate), coded_rate, format="MP3")
    file.seek(0)
    return np.asarray(soxr.resample(soundfile.read(file, dtype="float32")[0], coded_rate, rate))


def add_noise(wave: Wave, _rate: int, rng: np.random.Generator) -> Wave:
    """Returns the sound with white noise 40 dB below its peak."""
    noise = NOISE_LEVEL * float(np.abs(wave).max(initial=0.0)) * rng.standard_normal(len(wave))
    return np.asarray(wave + noise, np.float32)


KINDS: dict[str, Degrade] = {
    "quieter": lower_level,
    "shifted": shift,
    "resampled": resample,
    "compressed": compress,
    "noisy": add_noise,
}
