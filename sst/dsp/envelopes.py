"""Attack, decay and level of a sound, from the envelope of its amplitude.

The envelope is the root of the squared samples, smoothed by a Hann window: it has no phase, does
not look ahead of the onset further than half its window, and needs no cut-off frequency.

The functions that end in `error` compare a sound with another version of it: `math.nan` where the
original has nothing to compare, `math.inf` where the other one has lost it.
"""

import math

import numpy as np
from jaxtyping import Float

from sst.types import Wave

ATTACK_LEVELS = (0.05, 0.50)  # of the envelope's peak
ATTACK_WIDTH_S = 0.001  # of the smoothing window, where it is half as high as in its middle
DECAY_LEVEL = 10 ** (-20 / 20)
DECAY_WIDTH_S = 0.010  # one period of the ripple that a tone of 50 Hz has
LEVEL_WIDTH = 256  # samples: 6 to 16 ms


def attack_ms(wave: Wave, sample_rate: int) -> float:
    """Measures the attack: the time in which the envelope rises from 5 % to 50 % of its peak.

    Args:
        wave: [n] mono samples, any level.
        sample_rate: Hz.

    Returns:
        ms, > 0; a sudden onset measures about 0.6 ms, the rise of the smoothing window, and a
        bass that starts from zero the rise of its first half wave. nan for silence.
    """
    envelope = _envelope(wave, round(ATTACK_WIDTH_S * sample_rate))
    peak = float(envelope.max())
    if peak == 0.0:
        return math.nan
    start, end = (_first_crossing(envelope, level * peak) for level in ATTACK_LEVELS)
    return 1000.0 * (end - start) / sample_rate


def attack_error_ms(original: Wave, other: Float[np.ndarray, " m"], sample_rate: int) -> float:
    """Returns |difference of the attacks| in ms; nan: the original is silent; inf: the other is."""
    return _difference(
        attack_ms(original, sample_rate), _measure_other(attack_ms, other, sample_rate)
    )


def decay_ms(wave: Wave, sample_rate: int) -> float:
    """Measures the decay: from the peak of the envelope to where it is last 20 dB below.

    A sound that stops before it has fallen so far decays where it stops.

    Args:
        wave: [n] mono samples, any level.
        sample_rate: Hz.

    Returns:
        ms, > 0; a click measures about 8 ms, half the smoothing window. nan for silence.
    """
    envelope = _envelope(wave, round(DECAY_WIDTH_S * sample_rate))
    peak = int(np.argmax(envelope))
    if envelope[peak] == 0.0:
        return math.nan
    falling = envelope[peak:][::-1]
    last = len(falling) - 1 - _first_crossing(falling, DECAY_LEVEL * envelope[peak])
    return 1000.0 * last / sample_rate


def decay_error_octaves(original: Wave, other: Float[np.ndarray, " m"], sample_rate: int) -> float:
    """Returns |log2 of the decays' ratio|; nan: the original is silent; inf: the other is."""
    theirs = _measure_other(decay_ms, other, sample_rate)
    return _difference(math.log2(decay_ms(original, sample_rate)), math.log2(theirs))


def level_db(wave: Wave) -> float:
    """Measures the level: root mean square of the active part, in dB relative to full scale.

    Active is where the envelope is within 20 dB of its peak: so the level of an exponential decay
    does not depend on how long it is, nor on silence around it.

    Args:
        wave: [n] mono samples.

    Returns:
        dB; -3 for a sine of full scale, -inf for silence.
    """
    envelope = _envelope(wave, LEVEL_WIDTH)[LEVEL_WIDTH : LEVEL_WIDTH + len(wave)]
    peak = envelope.max(initial=0.0)
    if peak == 0.0:
        return -math.inf
    active = np.asarray(wave, np.float64)[envelope >= DECAY_LEVEL * peak]
    return 10.0 * math.log10(max(float(np.mean(np.square(active))), 1e-30))


def level_error_db(original: Wave, other: Float[np.ndarray, " m"]) -> float:
    """Returns |difference of the levels| in dB; nan: the original is silent; inf: the other is."""
    ours, theirs = level_db(original), _measure_other(level_db, other)
    return _difference(ours if math.isfinite(ours) else math.nan, theirs)


def _envelope(wave: Wave, width: int) -> Float[np.ndarray, " m"]:
    """Returns [n + 2 width], from `width` samples before the wave on; exactly 0 for silence."""
    import scipy.signal

    x = np.asarray(wave, np.float64)
    power = np.pad(np.square(x), 2 * width)
    hann = 0.5 + 0.5 * np.cos(np.pi * np.arange(-width, width + 1) / max(width, 1))
    smooth = scipy.signal.oaconvolve(power, hann / hann.sum(), mode="same")[width:-width]
    # The transform leaves noise of 1e-16 of the peak, which would be an envelope of -160 dB.
    return np.sqrt(np.where(smooth > 1e-13 * smooth.max(initial=0.0), smooth, 0.0))


def _first_crossing(envelope: Float[np.ndarray, " n"], level: float) -> float:
    """Returns where the envelope first reaches `level`, in samples, interpolated linearly."""
    i = int(np.argmax(envelope >= level))
    if i == 0:
        return 0.0
    return i - (envelope[i] - level) / (envelope[i] - envelope[i - 1])


def _measure_other(measure, wave: np.ndarray, *arguments: int) -> float:  # type: ignore[no-untyped-def]
    """Applies a measure to the other sound; inf where that is silent or not finite."""
    if not np.isfinite(wave).all() or not np.any(wave):
        return math.inf
    return measure(wave, *arguments)


def _difference(ours: float, theirs: float) -> float:
    return math.nan if math.isnan(ours) else abs(ours - theirs)
