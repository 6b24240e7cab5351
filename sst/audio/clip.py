"""The canonical clip of a sound: the input of every model."""

import hashlib
import math
from typing import Any

import numpy as np
import soxr
from jaxtyping import Float, Int16

from sst.audio.reader import SILENCE, BadAudio
from sst.audio.recording import head_samples
from sst.config import AudioConfig
from sst.types import Clip, Wave

ONSET, TAIL = 10 ** (-50 / 20), 10 ** (-80 / 20)  # of the peak: where a clip begins and ends
PREROLL_S, FADE_S = 0.001, 0.010


def canonical(wave: Any, sample_rate: int, audio: AudioConfig) -> Clip:
    """Makes the canonical clip of a sound of any rate, length, level and number of channels.

    Mono (the mean of the channels, or the loudest one where they cancel), without DC offset, from
    1 ms before the first sample over -50 dB of the peak to the last over -80 dB, at the rate of
    `audio`, cut at its longest clip with a fade of 10 ms, divided by its peak.

    Args:
        wave: [n] or [n, channels], floating point with full scale 1, or integers.
        sample_rate: Hz.
        audio: decides the clip's rate and longest duration.

    Returns:
        The clip; one zero sample with peak_db -inf for silence or no samples at all.

    Raises:
        BadAudio: for samples that are not finite.
    """
    mono, level = _mono(_two_dimensional(wave), sample_rate)
    peak = float(np.max(np.abs(mono), initial=0.0))
    if peak < ONSET * SILENCE or level == 0.0:
        return _silence(audio)
    loud = np.abs(mono) > ONSET * peak
    start = max(0, int(np.argmax(loud)) - round(PREROLL_S * sample_rate))
    longest = math.ceil((audio.clip_seconds + PREROLL_S) * sample_rate)
    sound = _without_tail(mono[start : start + longest])
    clip = resample(sound, sample_rate, audio.sample_rate)
    if len(clip) > audio.clip_samples:
        clip = _fade_out(clip[: audio.clip_samples], audio.sample_rate)
    top = float(np.max(np.abs(clip), initial=0.0))
    if top < TAIL * peak:  # nothing below half the new rate
        return _silence(audio)
    clip = clip / np.float32(top)
    peak_db = 20.0 * math.log10(top) + 20.0 * math.log10(level)
    return Clip(clip, peak_db, start / sample_rate, len(clip) / audio.sample_rate)


def resample(
    wave: Float[np.ndarray, "n *channels"], from_rate: float, to_rate: float
) -> Float[np.ndarray, "m *channels"]:
    """Resamples a wave.

    Args:
        wave: [n] or [n, channels].
        from_rate: Hz.
        to_rate: Hz.

    Returns:
        float32 [m] or [m, channels], m about n * to_rate / from_rate; at least one sample where
        there was one.
    """
    wave = np.ascontiguousarray(wave, np.float32)
    if from_rate == to_rate or not len(wave):
        return wave
    out = soxr.resample(wave, from_rate, to_rate, "HQ")
    return out if len(out) else wave[:1]


def to_int16(wave: Wave) -> Int16[np.ndarray, " n"]:
    """Rounds samples in [-1, 1] to 16-bit integers; clips what lies beyond."""
    return np.clip(np.rint(np.asarray(wave) * 32767.0), -32767, 32767).astype(np.int16)


def clip_digest(wave: Wave) -> str:
    """Returns 32 hexadecimal digits that clips equal to the 16-bit sample share.

    Copies without any loss have equal clips, at whatever level they are.
    """
    return hashlib.blake2b(to_int16(wave).tobytes(), digest_size=16).hexdigest()


def from_int16(samples: Int16[np.ndarray, " n"]) -> Wave:
    """Inverts `to_int16`, to within half a step: float32 in [-1, 1]."""
    return samples.astype(np.float32) / np.float32(32767.0)


def _two_dimensional(wave: Any) -> np.ndarray:
    """Returns a wave as [n, channels], floating point. Raises ValueError where it is none."""
    wave = np.asarray(wave)
    if wave.ndim not in (1, 2) or (wave.ndim == 2 and wave.shape[1] == 0):
        raise ValueError(f"a wave is [n] or [n, channels], not {wave.shape}")
    if wave.dtype.kind in "iu":
        wave = wave / np.float32(np.iinfo(wave.dtype).max)
    elif wave.dtype.kind != "f":
        raise ValueError(f"a wave holds numbers, not {wave.dtype}")
    return wave if wave.ndim == 2 else wave[:, None]


def _mono(wave: np.ndarray, sample_rate: int) -> tuple[np.ndarray, float]:
    """Mixes the channels to one, without DC offset.

    Returns:
        float32 [n] scaled so that the loudest sample of all channels was 1, and the level of that
        sample before, of full scale; one zero sample and 0 for silence.
    """
    wave = wave[: head_samples(wave, sample_rate)]
    level = max(float(np.max(wave, initial=0.0)), -float(np.min(wave, initial=0.0)))
    if not math.isfinite(level):
        raise BadAudio("non_finite", "it has samples that are not finite numbers")
    if level < np.finfo(np.float32).tiny:
        return np.zeros(1, np.float32), 0.0
    scaled = np.asarray(wave / wave.dtype.type(level), np.float32)
    channels = scaled.shape[1]
    mono = scaled @ np.full(channels, 1 / channels, np.float32)
    if channels > 1:
        energies = np.einsum("nc,nc->c", scaled, scaled)
        if float(mono @ mono) < 0.1 * float(np.max(energies)):  # the channels cancel
            mono = np.ascontiguousarray(scaled[:, int(np.argmax(energies))])
    return mono - _dc_offset(mono, sample_rate), level


def _dc_offset(mono: Wave, sample_rate: int) -> np.float32:
    """Estimates the DC offset of a recording that clearly has one, else 0.

    Clear is a stretch of 50 ms that stays flat beside zero, or a mean over a tenth of the peak; a
    kick drum has neither.
    """
    width = round(0.05 * sample_rate)
    if len(mono) < width:
        return np.float32(0)
    peak, mean = np.max(np.abs(mono)), np.mean(mono)
    blocks = mono[: len(mono) // width * width].reshape(-1, width)
    spans = blocks.max(axis=1) - blocks.min(axis=1)
    flattest = int(np.argmin(spans))
    offset = np.mean(blocks[flattest])
    if spans[flattest] < abs(offset) / 2 and abs(offset) > ONSET / 2 * peak:
        return offset
    return mean if abs(mean) > 0.1 * peak else np.float32(0)


def _without_tail(sound: Wave) -> Float[np.ndarray, " m"]:
    """Cuts a sound after its last sample over -80 dB of the peak."""
    loud = np.abs(sound) > TAIL * np.max(np.abs(sound))
    return sound[: len(sound) - int(np.argmax(loud[::-1]))]


def _fade_out(clip: Wave, sample_rate: int) -> Wave:
    n = min(len(clip), round(FADE_S * sample_rate))
    return np.concatenate([clip[: len(clip) - n], clip[len(clip) - n :] * _ramp(n)])


def _ramp(n: int) -> Wave:
    return np.linspace(1.0, 0.0, n, dtype=np.float32)


def _silence(audio: AudioConfig) -> Clip:
    return Clip(np.zeros(1, np.float32), -math.inf, 0.0, 1 / audio.sample_rate)
