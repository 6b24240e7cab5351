"""Objective quality of a reconstruction, measured on audio."""

from typing import Any

import numpy as np
from jaxtyping import Float

from sst import features
from sst.config import AudioConfig
from sst.types import Wave

# The protocol of the published figures: 16 kHz, 128 bands, dB relative to the original's maximum.
PROTOCOL = AudioConfig(sample_rate=16_000, clip_seconds=30.0, n_fft=1024, hop=256, n_mels=128)
GAINS_DB = np.arange(-30.0, 30.01, 0.5)


def log_mel_l1(original: Wave, other: Float[np.ndarray, " m"], sample_rate: int) -> float:
    """In-file log-mel L1 at audio level, in dB, at the best global gain.

    Both signals are brought to 16 kHz; the mel power of both is expressed in dB relative to the
    original's maximum with a floor of -80; the mean absolute difference runs over the frames
    inside the original; `other` is scaled by the gain in -30..+30 dB that makes it smallest.

    Args:
        original: [n] mono samples, not silent.
        other: [m] mono samples; cut or zero-padded to n.
        sample_rate: of both, in Hz.
    """
    fitted = np.zeros(len(original), np.float32)
    fitted[: min(len(other), len(original))] = other[: len(original)]
    ours, theirs = (_mel_power(_at_protocol_rate(w, sample_rate)) for w in (original, fitted))
    reference = ours.max()
    target = _db(ours / reference)
    gains = 10.0 ** (GAINS_DB / 10.0)
    return min(float(np.mean(np.abs(target - _db(theirs * (g / reference))))) for g in gains)


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
