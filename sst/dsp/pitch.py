"""The pitch of a sound, frame by frame, and the pitch error of another version of it.

Normalised cross-correlation (Talkin, "A robust algorithm for pitch tracking", 1995): a stretch of
20 ms is compared with the stretches that follow it. For a periodic sound that decays exponentially
it is exactly 1 at the period, which makes it the right one for drums. Of the peaks behind the first
change of sign the earliest that comes near the highest is the period (McLeod and Wyvill, "A smarter
way to find pitch", 2005); so a missing fundamental is found, and noise has none.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from sst.types import Wave

RATE = 44_100  # Hz: every sound is brought to it
LOWEST_HZ, HIGHEST_HZ = 30.0, 5_000.0
WINDOW = 882  # samples that are compared: 20 ms
HOP = 220  # 5 ms
CLEAR = 0.85  # correlation of a frame that has a clear pitch
PRESENT = 0.6  # of one that has still some; noise stays below 0.3
NEAR = 0.85  # of the highest peak: the earliest that is so high is the period
QUIET = 10 ** (-30 / 20)  # of the loudest frame: below, a frame does not count
STEADY = 3 / 12  # octaves in 5 ms: a glide from 250 to 50 Hz in a tenth of a second stays below
QUICK_S, QUICK_HOP, QUICK_CLEAR = 0.5, 882, 0.75  # of `quick_pitch`
SHARE = 0.35  # of all loudness: what the frames with a pitch carry in a sound with a clear one


class Contour(NamedTuple):
    """The pitch over time; one row for every 5 ms."""

    hz: Float[np.ndarray, " t"]  # nan where there is no pitch
    weight: Float[np.ndarray, " t"]  # root mean square of the frame, 0 where it is quiet


def contour(wave: Wave, sample_rate: int, least: float = CLEAR) -> Contour:
    """Tracks the pitch from 30 Hz to 5 kHz, in frames where a neighbour has nearly the same.

    Args:
        wave: [n] mono samples, any level.
        sample_rate: Hz.
        least: correlation, at most 1, from which a frame has a pitch.

    Returns:
        ceil(n * 44,100 / sample_rate / 220) frames.
    """
    frames = _frames(_resample(wave, sample_rate), HOP)
    weight = _weights(frames)
    hz = np.full(len(frames), np.nan)
    loud = weight > 0.0
    if loud.any():
        hz[loud] = _periods_to_hz(_correlation(frames[loud]), least)
    near = np.abs(np.diff(np.log2(hz))) < STEADY
    hz[~(np.append(near, False) | np.append(False, near))] = np.nan
    return Contour(hz, weight)


def pitch_hz(wave: Wave, sample_rate: int) -> float:
    """Estimates the pitch of a sound: the median over its frames, weighted by their level.

    Args:
        wave: [n] mono samples, any level.
        sample_rate: Hz.

    Returns:
        Hz; nan if the frames that have a pitch carry less than 35 % of the loudness.
    """
    hz, weight = contour(wave, sample_rate)
    clear = np.isfinite(hz)
    if not _is_clear(hz, weight):
        return math.nan
    return weighted_median(hz[clear], weight[clear])


def quick_pitch(wave: Wave, sample_rate: int) -> tuple[float, float]:
    """Estimates the pitch from a frame every 20 ms of the first half second.

    Args:
        wave: [n] mono samples, any level.
        sample_rate: Hz.

    Returns:
        The weighted median in Hz, and the share of the loudness with a pitch, in [0, 1]; nan and 0
        where there is none.
    """
    start = wave[: math.ceil(QUICK_S * sample_rate)]
    frames = _frames(_resample(start, sample_rate), QUICK_HOP)
    weight = _weights(frames)
    if not weight.any():
        return math.nan, 0.0
    hz = np.full(len(frames), np.nan)
    hz[weight > 0.0] = _periods_to_hz(_correlation(frames[weight > 0.0]), QUICK_CLEAR)
    clear = np.isfinite(hz)
    if not clear.any():
        return math.nan, 0.0
    share = float(weight[clear].sum() / weight.sum())
    return weighted_median(hz[clear], weight[clear]), min(share, 1.0)


def pitch_error_cents(original: Wave, other: Float[np.ndarray, " m"], sample_rate: int) -> float:
    """Measures the pitch error of another version of a sound, in cents.

    The median over the frames in which the original has a clear pitch, weighted by their loudness,
    of |1200 log2 of the ratio| at the same time: what a drum's pitch glides through is compared
    point by point, and how fast the other decays does not count. The other needs no clear pitch,
    but one at all, else a little noise on the right pitch would count as none.

    Args:
        original: [n] mono samples.
        other: [m] mono samples; cut or zero-padded to n.
        sample_rate: of both, in Hz.

    Returns:
        cents, >= 0; nan: the original has no clear pitch; inf: in more than half of those frames
        the other has no pitch at all.
    """
    hz, weight = contour(original, sample_rate)
    if not _is_clear(hz, weight):
        return math.nan
    fitted = np.zeros(len(original), np.float32)
    fitted[: min(len(other), len(original))] = other[: len(original)]
    if not np.isfinite(fitted).all():
        return math.inf
    clear = np.isfinite(hz)
    theirs = contour(fitted, sample_rate, least=PRESENT).hz
    cents = np.abs(1200.0 * np.log2(theirs[clear] / hz[clear]))
    return weighted_median(np.where(np.isnan(cents), np.inf, cents), weight[clear])


def weighted_median(values: Float[np.ndarray, " n"], weights: Float[np.ndarray, " n"]) -> float:
    """Returns the smallest value up to which half of the weight lies."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, 0.5 * reached[-1])])


def _is_clear(hz: np.ndarray, weight: np.ndarray) -> bool:
    return bool(weight[np.isfinite(hz)].sum() > SHARE * weight.sum())


def _resample(wave: Wave, sample_rate: int) -> np.ndarray:
    import soxr

    x = np.asarray(wave, np.float64)
    return x if sample_rate == RATE else soxr.resample(x, sample_rate, RATE, quality="HQ")


def _weights(frames: np.ndarray) -> np.ndarray:
    """Returns [t]: root mean square of each frame, 0 where it is quiet."""
    weight = np.sqrt(np.mean(np.square(frames[:, :WINDOW]), axis=1))
    weight[weight < QUIET * weight.max(initial=0.0)] = 0.0
    return weight


def _frames(wave: np.ndarray, hop: int) -> np.ndarray:
    """Returns [t, window + longest lag]: a frame every `hop` samples, zeros behind the end."""
    span = WINDOW + math.ceil(RATE / LOWEST_HZ)
    padded = np.pad(wave, (0, span))
    count = max(1, math.ceil(len(wave) / hop))
    return np.lib.stride_tricks.sliding_window_view(padded, span)[::hop][:count]


def _correlation(frames: np.ndarray) -> np.ndarray:
    """Correlates the first 20 ms of each frame with the 20 ms `lag` samples later: [t, lags]."""
    import scipy.fft

    span = frames.shape[1]
    n_fft = scipy.fft.next_fast_len(span, real=True)
    spectrum = scipy.fft.rfft(frames, n_fft, axis=1)
    head = scipy.fft.rfft(frames[:, :WINDOW], n_fft, axis=1)
    cross = scipy.fft.irfft(np.conj(head) * spectrum, n_fft, axis=1)[:, : span - WINDOW]
    running = np.cumsum(np.pad(np.square(frames), ((0, 0), (1, 0))), axis=1)
    energy = running[:, WINDOW:-1] - running[:, : span - WINDOW]
    # A floor 60 dB below the loudest frame: rounding noise in silence is not a tone.
    floor = 1e-6 * energy[:, 0].max()
    return cross / np.sqrt((energy[:, :1] + floor) * (np.maximum(energy, 0.0) + floor))


def _periods_to_hz(correlation: np.ndarray, least: float) -> np.ndarray:
    """Converts the period of each row to Hz: [t], nan where none is clear."""
    inner = correlation[:, 1:-1]
    hills = np.cumsum(inner < 0.0, axis=1)  # a new number wherever it is negative: 0 is the lag 0
    peaks = np.where((inner > correlation[:, :-2]) & (inner >= correlation[:, 2:]), inner, -1.0)
    peaks[hills == 0] = -1.0
    highest = peaks.max(axis=1)
    first = np.argmax(peaks >= NEAR * highest[:, None], axis=1)
    # Noise makes many peaks on one hill: the top of the hill is meant.
    same = hills == hills[np.arange(len(hills)), first][:, None]
    tops = 1 + np.argmax(np.where(same, peaks, -1.0), axis=1)
    lags = np.array(
        [_peak_lag(row, lag) for row, lag in zip(correlation, tops.tolist(), strict=True)]
    )
    hz = RATE / np.maximum(lags, 1.0)
    return np.where((highest >= least) & (hz >= LOWEST_HZ) & (hz <= HIGHEST_HZ), hz, np.nan)


def _peak_lag(row: np.ndarray, lag: int) -> float:
    """Refines the lag of a peak to fractions of a sample.

    Three samples give it exactly for a pure tone; a parabola through an eighth of a period averages
    out the noise of longer periods.
    """
    reach = min(max(1, round(lag / 16)), len(row) - 1 - lag)
    y = row[lag - reach : lag + reach + 1]
    if reach == 1:
        turn = math.acos(min(max((y[0] + y[2]) / (2.0 * max(y[1], 1e-9)), -0.999), 0.999999))
        offset = math.atan((y[2] - y[0]) / (2.0 * max(y[1], 1e-9) * math.sin(turn))) / turn
    else:
        j = np.arange(-reach, reach + 1.0)
        squares = j**2 - np.mean(j**2)
        slope, curve = y @ j / (j @ j), y @ squares / (squares @ squares)
        offset = -slope / (2.0 * curve) if curve < 0.0 else 0.0
    return float(lag + min(max(offset, -reach), reach))
