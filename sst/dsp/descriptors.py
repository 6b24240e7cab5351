"""Measured descriptors of a sound: its envelope, pitch, duration and loudness in 31 numbers.

Each of the four is a block of one length for all sounds, made of points on circles, so that the
Euclidean distance of two blocks says how two sounds differ and never that one of them is special.
Search weighs the blocks (`sst.search.aspects`).
"""

import math

import numpy as np
from jaxtyping import Float

from sst.config import AudioConfig
from sst.dsp import pitch
from sst.types import Clip, LogMel

ENVELOPE_POINTS = 12  # from 5 ms to 2 s
SIZES = {"envelope": 2 * ENVELOPE_POINTS, "pitch": 3, "duration": 2, "loudness": 2}
SIZE = sum(SIZES.values())
RANGE_DB = 60.0  # of envelope and loudness
SHORTEST_S, LONGEST_S = 0.01, 10.0


def describe(clip: Clip, log_mel: LogMel, audio: AudioConfig) -> Float[np.ndarray, " s"]:
    """Returns [SIZE] float32: envelope, pitch, duration, loudness, each of length 1.

    Args:
        clip: the sound.
        log_mel: its spectrogram.
        audio: the transform of the spectrogram.
    """
    octaves = math.log(clip.duration_s / SHORTEST_S) / math.log(LONGEST_S / SHORTEST_S)
    blocks = (
        _envelope(log_mel, audio),
        _pitch(clip, audio),
        _arc(octaves),
        _arc((_level_db(clip) + RANGE_DB) / RANGE_DB),
    )
    return np.concatenate(blocks).astype(np.float32)


def _envelope(log_mel: LogMel, audio: AudioConfig) -> Float[np.ndarray, " e"]:
    """Samples the power from 5 ms to 2 s after the onset, in steps that grow with the time."""
    power = 10.0 * np.log10(np.sum(10.0 ** (log_mel / 10.0), axis=1))
    height = 1.0 + (power - power.max(initial=-math.inf)) / RANGE_DB
    frame_s = audio.hop / audio.sample_rate
    times = np.geomspace(0.005, 2.0, ENVELOPE_POINTS)
    heights = np.interp(times, frame_s * np.arange(len(height)), height, right=0.0)
    return _arc(heights) / math.sqrt(ENVELOPE_POINTS)


def _pitch(clip: Clip, audio: AudioConfig) -> Float[np.ndarray, " 3"]:
    """Places the sound on a hemisphere: its pole is no pitch, its rim runs from 30 Hz to 5 kHz."""
    hz, share = pitch.quick_pitch(clip.wave, audio.sample_rate)
    if not share:
        return np.array([0.0, 0.0, 1.0])
    place = math.log(hz / pitch.LOWEST_HZ) / math.log(pitch.HIGHEST_HZ / pitch.LOWEST_HZ)
    return np.array([*(share * _arc(place)), math.sqrt(1.0 - share**2)])


def _level_db(clip: Clip) -> float:
    """Returns the root mean square of the clip, in dB relative to full scale."""
    power = float(np.mean(np.square(clip.wave, dtype=np.float64)))
    return clip.peak_db + 10.0 * math.log10(max(power, 1e-12))


def _arc(place: Float[np.ndarray, " n"] | float) -> Float[np.ndarray, " m"]:
    """Returns points of a quarter of the unit circle: 0 is its start, 1 its end."""
    angle = 0.5 * math.pi * np.clip(place, 0.0, 1.0)
    return np.concatenate([np.atleast_1d(np.cos(angle)), np.atleast_1d(np.sin(angle))])
