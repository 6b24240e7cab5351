"""Copies of one sound: told by their waveforms, whatever was done to the file.

Two files may hold one sound at another level, rate, polarity, number of channels or start, as MP3
or with noise under it. Their waveforms then agree once they are laid over each other, in every part
that one can hear; those of two hits of one drum do not. Nothing here needs a model.
"""

import functools
import math

import numpy as np
import scipy.fft
from jaxtyping import Complex, Float, Int

from sst import features
from sst.config import AudioConfig
from sst.types import Clip, Wave

# Measured by experiments/benchmarks/duplicates.py.
SAME = 0.95  # the likeness from which two sounds are one
COMMON = 0.6  # of the energy of each must lie in the part that both have
CORRELATED = 0.1  # below this of the waveforms as wholes, no part is compared
FINER = 4  # steps per sample when sounds are laid over each other
FLOOR = 10 ** (-50 / 10)  # of the loudest cell: what is softer is noise to one of the two
LOUDNESS = 0.25  # weight of a cell: its power to this, about as loud as it is
ABSENT = 10 ** (-20 / 10)  # of the other's energy: above some frequency one has nothing
LEAST_BAND_HZ = 4_000.0  # a copy at a lower rate or bit rate has what lies below
TRANSITION = 0.92  # below this part of a limit, the filter that made it does nothing


def same_sound(a: Clip, b: Clip, sample_rate: int) -> bool:
    """Whether two clips of this rate are one sound: their `likeness` is `SAME` or more."""
    return likeness(a.wave, b.wave, sample_rate) >= SAME


def likeness(a: Wave, b: Float[np.ndarray, " m"], sample_rate: int) -> float:
    """How much of what is heard in two sounds is one sound, from 0 to 1.

    They are laid over each other where their correlation is largest (either polarity), at one
    level. In each cell of a spectrogram, agreement is twice the common power over the sum of
    both, 1 only for equal level and phase. The result is its mean, weighted by loudness, over the
    part that both have and below the frequency from which one of them has nothing. It is 0 where
    that part holds less than `COMMON` of the energy of either, and for silence.

    Args:
        a: [n] samples.
        b: [m] samples.
        sample_rate: Hz, of both.
    """
    laid = _laid_over(a, b)
    if laid is None:
        return 0.0
    audio = AudioConfig.at_rate(sample_rate)
    one, other = (scipy.fft.rfft(features.frames(part, audio), axis=-1) for part in laid)
    powers = np.square(np.abs(one)), np.square(np.abs(other))
    top = _shared_bins(powers[0].sum(axis=0), powers[1].sum(axis=0), audio)
    gain = np.sqrt(powers[0][:, :top].sum() / powers[1][:, :top].sum())
    cells = gain * (one * np.conj(other)).real, powers[0] + gain**2 * powers[1]
    starts = _band_starts(audio)
    starts = starts[starts < top]
    shared, total = (np.add.reduceat(each[:, :top], starts, axis=1) for each in cells)
    heard = total > FLOOR * total.max()
    weight = total[heard] ** LOUDNESS
    return max(0.0, float(weight @ (2.0 * shared[heard] / total[heard]) / weight.sum()))


def _laid_over(
    a: Wave, b: Float[np.ndarray, " m"]
) -> tuple[Float[np.ndarray, " c"], Float[np.ndarray, " c"]] | None:
    """The part that two sounds have in common, the second at the place of the first.

    None where they have too little in common.
    """
    lags, norm = _overlaps(a, b)
    if not len(lags):
        return None
    n = scipy.fft.next_fast_len(len(a) + len(b), real=True)
    spectrum = scipy.fft.rfft(b, n)
    delay, correlation = _delay(scipy.fft.rfft(a, n) * np.conj(spectrum), n, lags, norm)
    if abs(correlation) < CORRELATED:
        return None
    turn = np.exp(-2j * np.pi / n * delay * np.arange(len(spectrum))).astype(np.complex64)
    moved = math.copysign(1.0, correlation) * scipy.fft.irfft(spectrum * turn, n)
    start, end = max(0, math.ceil(delay)), min(len(a), math.floor(delay + len(b)))
    return (a[start:end], moved[start:end]) if start < end else None


def _overlaps(
    a: Wave, b: Float[np.ndarray, " m"]
) -> tuple[Int[np.ndarray, " l"], Float[np.ndarray, " l"]]:
    """The delays of the second sound that leave enough in common, and the level there of both."""
    sums = [np.concatenate([[0.0], np.cumsum(np.square(w), dtype=np.float64)]) for w in (a, b)]
    lags = np.arange(1 - len(b), len(a))
    starts, ends = np.maximum(0, lags), np.minimum(len(a), lags + len(b))
    common = sums[0][ends] - sums[0][starts], sums[1][ends - lags] - sums[1][starts - lags]
    enough = [part > COMMON * own[-1] for part, own in zip(common, sums, strict=True)]
    kept = np.flatnonzero(enough[0] & enough[1])
    return lags[kept], np.sqrt(common[0][kept] * common[1][kept])


def _delay(
    cross: Complex[np.ndarray, " f"],
    n: int,
    lags: Int[np.ndarray, " l"],
    norm: Float[np.ndarray, " l"],
) -> tuple[float, float]:
    """The delay with the largest correlation coefficient of the common parts, and that.

    The correlation is looked at between the samples too: that of a bright sound swings at nearly
    half the rate, and its largest sample may be whole swings beside its largest value.
    """
    correlation = FINER * scipy.fft.irfft(cross, FINER * n)
    steps = (FINER * lags[:, None] + np.arange(FINER)).ravel()
    found = correlation[steps] / np.repeat(norm, FINER)
    best = int(np.argmax(np.abs(found)))
    step = int(steps[best])
    before, here, after = correlation[step - 1], correlation[step], correlation[step + 1]
    bend = before - 2.0 * here + after
    off = float(np.clip(0.5 * (before - after) / bend, -1.0, 1.0)) if bend else 0.0
    return (step + off) / FINER, float(found[best])


def _shared_bins(a: Float[np.ndarray, " f"], b: Float[np.ndarray, " f"], audio: AudioConfig) -> int:
    """How many bins from 0 Hz on both have: all, or up to where a lower rate has cut one."""
    tails = [np.cumsum(power[::-1], dtype=np.float64)[::-1] for power in (a, b)]
    present = np.minimum(*tails) >= ABSENT * np.maximum(*tails)
    limit = int(np.argmin(present))
    if present[limit] or limit * audio.sample_rate / audio.n_fft < LEAST_BAND_HZ:
        return len(a)  # what lacks more than that was filtered, and is another sound
    return int(TRANSITION * limit)


@functools.lru_cache(maxsize=8)
def _band_starts(audio: AudioConfig) -> np.ndarray:
    """The first bins of the bands: octaves up to 3.2 kHz, then every 1.6 kHz."""
    edges = [0, 100, 200, 400, 800, 1600, *range(3200, audio.sample_rate // 2, 1600)]
    return np.unique(np.ceil(np.array(edges) * audio.n_fft / audio.sample_rate).astype(int))
