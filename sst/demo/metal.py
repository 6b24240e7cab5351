"""Voices of metal: hats, cymbals, cowbells; parameters as in `drums`, `width` 0 .. 1 is stereo.

The metallic squares of analog machines are summed from partials below the Nyquist frequency, so
that nothing folds back, and their filters are gains of partials, so that nothing rings before.
"""

from typing import NamedTuple

import numpy as np

from sst.demo import signals
from sst.demo.signals import Wave

# Ratios of six oscillators without a common fundamental.
CLUSTER = np.array([1.0, 1.342, 1.511, 1.973, 2.237, 2.659])


def squares(
    rng: np.random.Generator,
    n: int,
    rate: int,
    hz: np.ndarray,
    low_hz: float,
    high_hz: float,
    width: float = 0.0,
) -> Wave:
    """Sums band-limited squares, steady, between two edges of 12 dB/octave: [n], or [n, 2]."""
    orders = np.arange(1, 140, 2)
    partials = (hz[:, None] * orders).ravel()
    gain = np.tile(1 / orders, len(hz)) / np.sqrt(
        (1 + (low_hz / partials) ** 4) * (1 + (partials / high_hz) ** 4)
    )
    phase = np.repeat(signals.spread_phase(rng, len(hz), 0.0), len(orders), 0) * np.tile(
        orders, len(hz)
    ).reshape(-1, 1)
    phase = phase + signals.spread_phase(rng, len(partials), width) * (width > 0)
    kept = (partials < 0.47 * rate) & (gain > 1e-3 * gain.max())
    gain, phase = gain[kept], phase[kept]
    rms = np.sqrt(0.5 * np.sum(gain**2))
    gains = np.repeat(gain[:, None] / rms, phase.shape[1], 1)
    wave = signals.modes(n, rate, partials[kept], np.full(len(gain), 1e6), gains, phase)
    return wave if width > 0 else wave[:, 0]


def two_stage(n: int, rate: int, decay_s: float, velocity: float, hold: float = 0.12) -> Wave:
    """Returns the envelope of struck metal [n]: a hit above a tail that is held, then falls.

    The tail is at -20 dB after `decay_s`, of which it stays up for the share `hold`.
    """
    tail = signals.decay(n, rate, (1 - hold) * decay_s, 0.0004, hold * decay_s)
    return 0.8 * tail + 0.25 * velocity * signals.decay(n, rate, 0.2 * decay_s, 0.0004)


def hat_squares(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    tune_hz: float = 320.0,
    decay_s: float = 0.05,
    cut_hz: float = 7000.0,
    hiss: float = 0.3,
    hold: float = 0.12,
    width: float = 0.0,
) -> Wave:
    """Makes an analog hat or cymbal: six detuned squares above `cut_hz`, and noise."""
    n = signals.length(decay_s, rate)
    hz = tune_hz * CLUSTER * rng.uniform(0.985, 1.015, 6)
    metal = squares(rng, n, rate, hz, cut_hz, 16_000, width)
    steam = signals.noise(rng, n, rate, cut_hz, 15_000, width)
    wave = signals.shape(metal, two_stage(n, rate, decay_s, velocity, hold))
    return wave + hiss * signals.shape(steam, two_stage(n, rate, 0.8 * decay_s, velocity, hold))


def hat_ring(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    tune_hz: float = 3000.0,
    decay_s: float = 0.06,
    hiss: float = 0.4,
    hold: float = 0.12,
    width: float = 0.0,
) -> Wave:
    """Makes a digital hat: sums and differences of two sets of sines, as a ring modulator's."""
    n = signals.length(decay_s, rate)
    one, two = tune_hz * rng.uniform(0.7, 1.5, 8), tune_hz * rng.uniform(1.2, 3.2, 8)
    hz = np.concatenate([(one[:, None] + two).ravel(), np.abs(one[:, None] - two).ravel()])
    phase = signals.spread_phase(rng, 128, width)
    gain = np.repeat((hz / hz.max())[:, None], phase.shape[1], 1) * rng.uniform(0.3, 1, (128, 1))
    metal = signals.modes(n, rate, hz, np.full(128, decay_s), gain / 5, phase)
    metal = metal if width > 0 else metal[:, 0]
    steam = signals.noise(rng, n, rate, 1.6 * tune_hz, 14_000, width)
    strike = two_stage(n, rate, decay_s, velocity, hold)
    return metal * (0.4 + 0.6 * velocity) + hiss * signals.shape(steam, strike)


def hat_modes(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    tune_hz: float = 420.0,
    decay_s: float = 0.06,
    sizzle: float = 0.4,
    bright: float = 0.6,
    hold: float = 0.12,
    width: float = 0.0,
) -> Wave:
    """Makes an acoustic hat: the ring of two plates, and the noise of their touching."""
    n = signals.length(decay_s, rate)
    ring = plate(rng, n, rate, Plate(tune_hz, decay_s, 0.35 + 0.9 * bright, 0.25, width))
    touch = signals.noise(rng, n, rate, 4000, 9000 + 6000 * velocity, width)
    strike = two_stage(n, rate, 0.8 * decay_s, velocity, hold)
    tip = signals.burst(rng, n, rate, 3000, 12_000, 0.003)
    tip = tip if ring.ndim == 1 else tip[:, None]
    return ring + 0.9 * sizzle * signals.shape(touch, strike) + 0.3 * velocity * tip


class Plate(NamedTuple):
    """The parameters of a ringing metal plate."""

    lowest_hz: float  # of its lowest mode
    decay_s: float  # of its noise at 4 kHz, of its modes at 3 kHz
    slope: float  # the gain grows with this power of frequency, up to 6 kHz
    damping: float  # the decay shortens with this power of frequency
    width: float  # of the stereo image, 0 (mono) .. 1


def plate(rng: np.random.Generator, n: int, rate: int, spec: Plate) -> Wave:
    """Makes the ring of a metal plate, RMS about 1 at the start: [n], or [n, 2] if it has width.

    A few modes stand out; the others are so dense that they are noise.
    """
    wave = 0.5 * plate_modes(rng, n, rate, spec)
    low_hz = 1.5 * spec.lowest_hz
    for high_hz in (1800, 4000, 8000, 14_000):
        gain = 0.45 * (min(high_hz, 6000) / 6000) ** spec.slope
        seconds = spec.decay_s * (high_hz / 4000) ** -spec.damping * rng.uniform(0.85, 1.15)
        band = signals.noise(rng, n, rate, low_hz, high_hz, spec.width)
        wave += signals.shape(band, gain * signals.decay(n, rate, seconds))
        low_hz = high_hz
    return wave


def plate_modes(rng: np.random.Generator, n: int, rate: int, spec: Plate) -> Wave:
    """Sums sixty modes as `plate` has them, the denser the higher, RMS about 1 at the start."""
    place = (np.arange(60) + rng.uniform(0, 1, 60)) / 60
    hz = spec.lowest_hz + (14_000 - spec.lowest_hz) * place**1.5
    phase = signals.spread_phase(rng, 60, spec.width)
    gain = np.minimum(hz / 6000, 1.0) ** spec.slope * rng.lognormal(0, 0.6, 60)
    gain *= np.where(hz > 10_000, (10_000 / hz) ** 2, 1.0) * (hz < 0.47 * rate)
    gain *= np.sqrt(2 / np.sum(gain**2))
    seconds = spec.decay_s * (hz / 3000) ** -spec.damping * rng.uniform(0.6, 1.3, 60)
    gains = np.repeat(gain[:, None], phase.shape[1], 1)
    wave = signals.modes(n, rate, hz, seconds, gains, phase)
    return wave if spec.width > 0 else wave[:, 0]


def crash(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    tune_hz: float = 350.0,
    decay_s: float = 0.7,
    bright: float = 0.5,
    bloom_s: float = 0.012,
    width: float = 0.0,
) -> Wave:
    """Makes a crash: a plate whose treble blooms after the strike, over a wash of noise."""
    n = signals.length(decay_s, rate)
    low = plate(rng, n, rate, Plate(tune_hz, decay_s, 0.2 + bright, 0.45, width))
    wash = signals.noise(rng, n, rate, 3000, 6000 + 8000 * bright, width)
    bloom = signals.decay(n, rate, 0.6 * decay_s, bloom_s / (0.3 + 0.7 * velocity))
    strike = signals.burst(rng, n, rate, 1500, 9000, 0.01)
    strike = strike if low.ndim == 1 else strike[:, None]
    rise = np.minimum(1.0, signals.decay(n, rate, 1e6, 0.3 * bloom_s) + 0.4)
    return (
        signals.shape(low, rise)
        + signals.shape(wash, bloom) * (0.3 + 0.7 * velocity)
        + (0.7 * velocity * strike)
    )


def ride(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    tune_hz: float = 420.0,
    decay_s: float = 0.6,
    ping: float = 0.5,
    bright: float = 0.5,
    width: float = 0.0,
) -> Wave:
    """Makes a ride: a ping of few clear modes over the wash of a plate."""
    n = signals.length(decay_s, rate)
    wash = plate(rng, n, rate, Plate(tune_hz, decay_s, 0.3 + bright, 0.3, width))
    hz = tune_hz * np.sort(rng.uniform(1.5, 14, 14))
    phase = signals.spread_phase(rng, 14, 0.5 * width)
    gain = np.repeat(rng.uniform(0.3, 1, (14, 1)) / 3, phase.shape[1], 1)
    bell = signals.modes(n, rate, hz, decay_s * rng.uniform(0.3, 0.9, 14), gain, phase)
    tip = signals.burst(rng, n, rate, 3000, 11_000, 0.004)[:, None]
    wave = wash.reshape(n, -1) + (2 * ping * bell + tip) * (0.4 + 0.6 * velocity)
    return wave if width > 0 else wave[:, 0]


def cowbell_squares(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    tune_hz: float = 540.0,
    decay_s: float = 0.09,
    interval: float = 1.48,
    bright: float = 4.0,
) -> Wave:
    """Makes an analog cowbell: two squares a fifth apart, up to `bright` times their pitch."""
    n = signals.length(1.3 * decay_s, rate)
    hz = tune_hz * np.array([1.0, interval * rng.uniform(0.997, 1.003)])
    tone = squares(rng, n, rate, hz, 0.8 * tune_hz, bright * tune_hz)
    hit = signals.decay(n, rate, 0.25 * decay_s, 0.0006) * (0.3 + 0.7 * velocity)
    return tone * (0.5 * signals.decay(n, rate, 1.2 * decay_s) + hit)


def cowbell_modes(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    tune_hz: float = 620.0,
    decay_s: float = 0.1,
    bright: float = 0.5,
) -> Wave:
    """Makes an acoustic cowbell or agogo: a bent plate of a dozen modes, struck by wood."""
    n = signals.length(1.5 * decay_s, rate)
    ratios = np.array([1.0, 1.52, 2.32, 3.17, 3.94, 4.61, 5.8, 6.9, 8.4, 10.3])
    hz = tune_hz * ratios * rng.uniform(0.985, 1.015, len(ratios))
    gain = ratios ** -(1.7 - 1.5 * bright * velocity) * rng.uniform(0.6, 1.2, len(ratios))
    seconds = 1.4 * decay_s * ratios**-0.5 * rng.uniform(0.7, 1.2, len(ratios))
    body = signals.modes(n, rate, hz, seconds, gain, rng.uniform(0, 0.5, len(ratios)))
    rough = signals.burst(rng, n, rate, 1500, 9000, 0.5 * decay_s)
    wood = signals.burst(rng, n, rate, 1500, 8000, 0.006)
    return body + velocity * (0.4 * wood + 0.2 * bright * rough)
