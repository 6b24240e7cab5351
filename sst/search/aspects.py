"""What a search vector is made of, and how its parts are weighed.

A vector is five blocks side by side: the timbre, which the model hears, and four that are measured:
envelope, pitch, loudness and duration. Each block has one length for all sounds, so that an aspect
says how two sounds differ and never that one of them is special. The default weights are in the
vectors: their plain Euclidean distance is the default one. Other weights scale the differences, and
so need no other vectors.
"""

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from sst.config import AudioConfig
from sst.dsp import pitch
from sst.errors import UsageError
from sst.types import Clip, LogMel

ASPECTS = ("timbre", "envelope", "pitch", "duration", "loudness")
SCHEME = 1  # of the vectors: another one for other blocks, units or default weights
# Chosen on 47 drum machines that the shipped model has not heard: by pitch more of the same kind is
# found, by duration hardly any. Loudness breaks ties: a quieter copy of a sound is that sound.
DEFAULT_WEIGHTS = {
    "timbre": 1.0,
    "envelope": 0.05,
    "pitch": 0.1,
    "duration": 0.01,
    "loudness": 0.0001,
}
# Squared lengths of the blocks: with them two sounds of a drum library are, by every aspect alone,
# about as far apart as they are by timbre (1.4 in the median).
_UNITS = {"envelope": 7.0, "pitch": 2.0, "duration": 20.0, "loudness": 70.0}
_POINTS = 12  # of the envelope, from 5 ms to 2 s
_SIZES = {"envelope": 2 * _POINTS, "pitch": 3, "duration": 2, "loudness": 2}
SIZE = sum(_SIZES.values())  # numbers beside the timbre
RANGE_DB = 60.0  # of envelope and loudness
SHORTEST_S, LONGEST_S = 0.01, 10.0
SEMITONES = tuple(range(-12, 13))  # that a search without pitch tries


def describe(clip: Clip, log_mel: LogMel, audio: AudioConfig) -> Float[np.ndarray, " s"]:
    """The measured blocks of a sound, with the default weights.

    Args:
        clip: the sound.
        log_mel: its spectrogram.
        audio: the transform of the spectrogram.

    Returns:
        [SIZE] float32: envelope, pitch, duration, loudness.
    """
    blocks = {
        "envelope": _envelope(log_mel, audio),
        "pitch": _pitch(clip, audio),
        "duration": _arc(math.log(clip.duration_s / SHORTEST_S) / math.log(LONGEST_S / SHORTEST_S)),
        "loudness": _arc((_level_db(clip) + RANGE_DB) / RANGE_DB),
    }
    scaled = [math.sqrt(DEFAULT_WEIGHTS[n] * _UNITS[n]) * block for n, block in blocks.items()]
    return np.concatenate(scaled).astype(np.float32)


def factors(wanted: Mapping[str, float], size: int) -> Float[np.ndarray, " d"]:
    """What the squared differences of vectors of `size` numbers are multiplied by.

    Args:
        wanted: weights of some aspects; the others keep their default. 1 counts an aspect as much
            as the timbre, 0 leaves it out.
        size: of the whole vectors.

    Returns:
        [size] float32.

    Raises:
        UsageError: an aspect that is none, a weight that is negative or not finite, all weights 0.
    """
    for name, weight in wanted.items():
        if name not in ASPECTS:
            raise UsageError(f"No aspect {name!r}; there are {', '.join(ASPECTS)}.")
        if not 0.0 <= weight < math.inf:
            raise UsageError(f"The weight {weight:g} of {name} should be 0 or more.")
    weights = DEFAULT_WEIGHTS | dict(wanted)
    if not any(weights.values()):
        raise UsageError("All aspects have weight 0: nothing is left to compare.")
    sizes = {"timbre": size - SIZE} | _SIZES
    shares = [weights[name] / DEFAULT_WEIGHTS[name] for name in sizes]
    return np.repeat(np.array(shares, np.float32), list(sizes.values()))


def between(
    vectors: Float[np.ndarray, "n d"], shares: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " d"]:
    """The weighted sum of vectors, each block brought back to its length.

    Args:
        vectors: of the sounds, n > 0.
        shares: their weights, negative for what is to be unlike.

    Raises:
        UsageError: the sounds cancel each other out.
    """
    total = np.asarray(shares, np.float64) @ vectors
    out = np.array(vectors[0], np.float64)
    sizes = [vectors.shape[1] - SIZE, *_SIZES.values()]
    for block in np.split(np.arange(vectors.shape[1]), np.cumsum(sizes)[:-1]):
        wanted, there = np.linalg.norm(vectors[0, block]), np.linalg.norm(total[block])
        if there < 1e-6 * wanted:
            raise UsageError("These sounds cancel each other out: change their weights.")
        out[block] = total[block] * (wanted / there)
    return out.astype(np.float32)


def _envelope(log_mel: LogMel, audio: AudioConfig) -> np.ndarray:
    """The course of the power, 5 ms to 2 s after the onset, in steps that grow with the time."""
    power = 10.0 * np.log10(np.sum(10.0 ** (log_mel / 10.0), axis=1))
    height = 1.0 + (power - power.max(initial=-math.inf)) / RANGE_DB
    frame_s = audio.hop / audio.sample_rate
    times = np.geomspace(0.005, 2.0, _POINTS)
    heights = np.interp(times, frame_s * np.arange(len(height)), height, right=0.0)
    return _arc(heights) / math.sqrt(_POINTS)


def _pitch(clip: Clip, audio: AudioConfig) -> np.ndarray:
    """A point on a hemisphere: its pole is no pitch, its rim goes from 30 Hz to 5 kHz."""
    hz, share = pitch.glance(clip.wave, audio.sample_rate)
    if not share:
        return np.array([0.0, 0.0, 1.0])
    place = math.log(hz / pitch.LOWEST_HZ) / math.log(pitch.HIGHEST_HZ / pitch.LOWEST_HZ)
    return np.array([*(share * _arc(place)), math.sqrt(1.0 - share**2)])


def _level_db(clip: Clip) -> float:
    """Root mean square of the clip, in dB relative to full scale."""
    power = float(np.mean(np.square(clip.wave, dtype=np.float64)))
    return clip.peak_db + 10.0 * math.log10(max(power, 1e-12))


def _arc(place: Float[np.ndarray, " n"] | float) -> np.ndarray:
    """Points of a quarter of the unit circle: 0 at its start, 1 at its end."""
    angle = 0.5 * math.pi * np.clip(place, 0.0, 1.0)
    return np.concatenate([np.atleast_1d(np.cos(angle)), np.atleast_1d(np.sin(angle))])
