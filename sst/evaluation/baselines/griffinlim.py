"""Griffin-Lim: a waveform from a mel spectrogram, with phases found by iteration.

The published protocol: 16 kHz, 1024/256, 128 bands. The bands are spread over the frequency bins by
the pseudo-inverse of the mel basis that made them, negative power is cut, and the phase is found by
projections between the spectrograms of that magnitude and those that a signal can have (Griffin and
Lim, 1984), from random phases.
"""

import functools
from typing import Any

import numpy as np
import scipy.fft
from jaxtyping import Float

from sst.config import AudioConfig
from sst.dsp import features
from sst.evaluation.metrics import PROTOCOL
from sst.types import LogMel, Wave

ITERATIONS = 60
MIN_POWER = 1e-10  # power that a frequency bin keeps, relative to the loudest band
SEED = 0  # of the first phases: the same sound comes back the same


def reconstruct(wave: Wave, sample_rate: int, iterations: int = ITERATIONS) -> Wave:
    """Reconstructs a sound from its own mel spectrogram: the upper bound of this inversion.

    Args:
        wave: [n] mono samples, n >= 1.
        sample_rate: of the wave, in Hz.
        iterations: of Griffin-Lim.

    Returns:
        [n] float32 at the same rate, without what lies above 8 kHz, at about the wave's level;
        silence for silence.
    """
    narrow = resample(wave, sample_rate, PROTOCOL.sample_rate)
    power = np.square(np.abs(scipy.fft.rfft(features.frames(narrow, PROTOCOL), axis=-1)))
    mel = power @ features.mel_basis(PROTOCOL).T
    loudest = float(mel.max(initial=0.0))
    restored = invert(features.to_db(mel, PROTOCOL.floor_db), PROTOCOL, iterations, len(narrow))
    restored = restored * np.float32(np.sqrt(loudest))
    return features.fix_length(resample(restored, PROTOCOL.sample_rate, sample_rate), len(wave))


def invert(log_mel: LogMel, audio: AudioConfig, iterations: int, n_samples: int) -> Wave:
    """Estimates the waveform of a log-mel spectrogram.

    Args:
        log_mel: [t, n_mels] dB relative to its loudest cell, which is taken to have power 1;
            cells at `audio.floor_db` are silence.
        audio: the transform.
        iterations: of Griffin-Lim, 0 or more.
        n_samples: length of the result; what the frames do not cover is silent.

    Returns:
        [n_samples] float32.
    """
    mel = np.where(log_mel <= audio.floor_db, 0.0, 10.0 ** (log_mel / 10.0)).astype(np.float32)
    if not mel.any():
        return np.zeros(n_samples, np.float32)
    magnitude = np.sqrt(np.maximum(mel @ _inverse_basis(audio).T, MIN_POWER))
    rng = np.random.default_rng(SEED)
    turns = rng.uniform(0.0, 2 * np.pi, magnitude.shape).astype(np.float32)
    spectrum = magnitude * np.exp(1j * turns)
    for _ in range(iterations):
        consistent = _stft(_istft(spectrum, audio), audio)
        spectrum = magnitude * (consistent / np.maximum(np.abs(consistent), np.float32(1e-16)))
    return features.fix_length(_istft(spectrum, audio), n_samples)


def resample(wave: Wave, from_hz: int, to_hz: int) -> Wave:
    """Resamples a wave, float32; rates in Hz."""
    wave = np.asarray(wave, np.float32)
    if from_hz == to_hz or not len(wave):
        return wave
    import soxr

    return soxr.resample(wave, from_hz, to_hz, quality="HQ")


@functools.lru_cache(maxsize=4)
def _inverse_basis(audio: AudioConfig) -> Float[np.ndarray, "f m"]:
    return np.linalg.pinv(features.mel_basis(audio))


def _stft(wave: Wave, audio: AudioConfig) -> Any:
    return scipy.fft.rfft(features.frames(wave, audio), axis=-1)


def _istft(spectrum: Any, audio: AudioConfig) -> Wave:
    """Inverts the centred transform by least squares: [(t - 1) * hop] samples, at least 1."""
    frames = scipy.fft.irfft(spectrum, n=audio.n_fft, axis=-1) * features.window(audio.n_fft)
    half = audio.n_fft // 2
    end = half + max((len(spectrum) - 1) * audio.hop, 1)
    return (_overlap_add(frames, audio) / _energy(len(spectrum), audio))[half:end]


@functools.lru_cache(maxsize=256)
def _energy(n_frames: int, audio: AudioConfig) -> Wave:
    windows = np.tile(np.square(features.window(audio.n_fft)), (n_frames, 1))
    return np.maximum(_overlap_add(windows, audio), np.float32(1e-3))


def _overlap_add(frames: Any, audio: AudioConfig) -> Wave:
    per_frame, hop = audio.n_fft // audio.hop, audio.hop
    parts = frames.reshape(len(frames), per_frame, hop)
    total = np.zeros((len(frames) + per_frame - 1, hop), np.float32)
    for i in range(per_frame):
        total[i : i + len(frames)] += parts[:, i]
    return total.ravel()
