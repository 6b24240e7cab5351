"""Objective quality of a reconstruction, measured on audio.

Each metric takes one original and one other wave and gives one number: `math.nan` where it does
not apply to this original, `math.inf` where what it measures was there and is lost.
"""

import math
from typing import Any

import numpy as np
from jaxtyping import Float

from sst.config import AudioConfig
from sst.dsp import features
from sst.dsp.envelopes import (
    attack_error_ms,
    attack_ms,
    decay_error_octaves,
    decay_ms,
    level_db,
    level_error_db,
)
from sst.dsp.pitch import pitch_error_cents, pitch_hz
from sst.types import Wave

__all__ = [
    "attack_error_ms",
    "attack_ms",
    "decay_error_octaves",
    "decay_ms",
    "level_db",
    "level_error_db",
    "level_hole_db",
    "log_mel_l1",
    "path_smoothness",
    "pitch_error_cents",
    "pitch_hz",
    "stft_distance",
]

# The protocol of the published figures: 16 kHz, 128 bands, dB relative to the original's maximum.
PROTOCOL = AudioConfig(sample_rate=16_000, clip_seconds=30.0, n_fft=1024, hop=256, n_mels=128)
GAINS_DB = np.arange(-30.0, 30.01, 0.5)
STFT_WINDOWS = (512, 1024, 2048)  # samples at 22,050 Hz; other rates take windows as long
STFT_FLOOR_DB = -80.0  # below the original's largest magnitude of each window
DB_PER_NEPER = 20.0 / math.log(10.0)


def log_mel_l1(original: Wave, other: Float[np.ndarray, " m"], sample_rate: int) -> float:
    """Returns the in-file log-mel L1 at audio level, in dB, at the best global gain.

    Both signals are brought to 16 kHz; the mel power of both is expressed in dB relative to the
    original's maximum with a floor of -80; the mean absolute difference runs over the frames
    inside the original; `other` is scaled by the gain in -30..+30 dB that makes it smallest.

    Args:
        original: [n] mono samples, not silent.
        other: [m] mono samples; cut or zero-padded to n.
        sample_rate: of both, in Hz.
    """
    waves = (original, features.fix_length(other, len(original)))
    ours, theirs = (_mel_power(_at_protocol_rate(w, sample_rate)) for w in waves)
    reference = ours.max()
    target = _db(ours / reference)
    gains = 10.0 ** (GAINS_DB / 10.0)
    return min(float(np.mean(np.abs(target - _db(theirs * (g / reference))))) for g in gains)


def stft_distance(original: Wave, other: Float[np.ndarray, " m"], sample_rate: int) -> float:
    """Returns the multi-resolution STFT distance at the best global gain.

    Spectral convergence (the norm of the difference of the magnitudes over the norm of the
    original's) plus the mean absolute difference of their natural logarithms (Yamamoto, Song and
    Kim, "Parallel WaveGAN", 2020), averaged over Hann windows of 23, 46 and 93 ms. Logarithms have
    a floor 80 dB below the original's maximum; frames run over the original's length; `other` is
    scaled by the gain in -30..+30 dB, in steps of 0.5, that makes the distance smallest.

    Args:
        original: [n] mono samples.
        other: [m] mono samples; cut or zero-padded to n.
        sample_rate: of both, in Hz.

    Returns:
        >= 0, about 1 to 2 for a fair reconstruction; nan: the original is silent; inf: the other
        has samples that are not finite.
    """
    if not np.any(original):
        return math.nan
    if not np.isfinite(other).all():
        return math.inf
    scale = np.float32(1.0 / np.max(np.abs(original)))
    waves = (scale * original, scale * features.fix_length(other, len(original)))
    pairs = [_magnitudes(*waves, _samples(window, sample_rate)) for window in STFT_WINDOWS]

    def distance(gain_db: float) -> float:
        return sum(pair(gain_db) for pair in pairs) / len(pairs)

    # Every 3 dB, then every half around the best: the distance has one valley.
    coarse = min(GAINS_DB[::6], key=distance)
    return float(min(distance(g) for g in GAINS_DB[np.abs(GAINS_DB - coarse) < 3.0]))


def path_smoothness(features: Float[np.ndarray, "s f"]) -> float:
    """Returns the largest over the mean step (Euclidean) along an interpolation of `s` sounds.

    Returns:
        1 for even steps, up to s - 1 for one jump; nan for fewer than 3 sounds or no motion.
    """
    steps = np.linalg.norm(np.diff(np.asarray(features, np.float64), axis=0), axis=1)
    if len(steps) < 2 or not np.any(steps):
        return math.nan
    return float(steps.max() / steps.mean())


def level_hole_db(levels: Float[np.ndarray, " s"]) -> float:
    """Returns the fall of the level below the straight line between an interpolation's ends.

    Args:
        levels: [s] dB at even steps, as `level_db` gives them.

    Returns:
        dB, >= 0; nan for fewer than 3 sounds or a silent end; inf for silence in between.
    """
    levels = np.asarray(levels, np.float64)
    if len(levels) < 3 or not np.isfinite(levels[[0, -1]]).all():
        return math.nan
    line = np.linspace(levels[0], levels[-1], len(levels))
    return float(max(0.0, np.max(line - levels)))


def _samples(window: int, sample_rate: int) -> int:
    """Returns the power of two that lasts about as long as `window` samples at 22,050 Hz."""
    return 2 ** round(math.log2(window * sample_rate / 22_050))


def _magnitudes(original: Wave, other: Wave, n_fft: int) -> Any:
    """Makes a function from a gain in dB to the distance of two waves in one window size."""
    ours, theirs = (_magnitude(wave, n_fft) for wave in (original, other))
    floor = np.log(ours.max()) + STFT_FLOOR_DB / DB_PER_NEPER
    log_ours, log_theirs = (np.log(np.maximum(m, 1e-30)) for m in (ours, theirs))
    target = np.maximum(log_ours, floor)
    squares, product = np.vdot(theirs, theirs), np.vdot(ours, theirs)
    energy = np.vdot(ours, ours)

    def distance(gain_db: float) -> float:
        gain = 10.0 ** (gain_db / 20.0)
        difference = energy - 2.0 * gain * product + gain**2 * squares
        convergence = math.sqrt(max(0.0, difference) / energy)
        shifted = np.maximum(log_theirs + np.float32(gain_db / DB_PER_NEPER), floor)
        return convergence + float(np.mean(np.abs(target - shifted)))

    return distance


def _magnitude(wave: Wave, n_fft: int) -> Any:
    import scipy.fft

    half = n_fft // 2
    padded = np.pad(wave, half)
    framed = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[:: n_fft // 4]
    return np.abs(scipy.fft.rfft(framed * features.window(n_fft), axis=-1))


def _at_protocol_rate(wave: Wave, sample_rate: int) -> Float[np.ndarray, " m"]:
    import soxr

    if sample_rate == PROTOCOL.sample_rate:
        return wave
    return soxr.resample(wave, sample_rate, PROTOCOL.sample_rate, quality="HQ")


def _mel_power(wave: Wave) -> Any:
    import scipy.fft

    spectrum = scipy.fft.rfft(features.frames(wave, PROTOCOL), axis=-1)
    return np.square(np.abs(spectrum)) @ features.mel_basis(PROTOCOL).T


def _db(power: np.ndarray) -> np.ndarray:
    return 10.0 * np.log10(np.maximum(power, 10.0 ** (PROTOCOL.floor_db / 10.0)))
