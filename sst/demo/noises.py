"""Voices of noise and many small knocks: claps, shakers, maracas, tambourines; as in `drums`."""

import numpy as np
import scipy.signal

from sst.demo import signals
from sst.demo.metal import two_stage
from sst.demo.signals import Wave


def clap(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    tune_hz: float = 1200.0,
    decay_s: float = 0.09,
    gap_s: float = 0.009,
    tail: float = 0.5,
    width: float = 0.0,
) -> Wave:
    """Makes an analog clap: three or four bursts of band-passed noise, then a tail."""
    starts = np.cumsum(np.r_[0.0, rng.uniform(0.8, 1.25, rng.integers(2, 4))]) * gap_s
    n = signals.length(decay_s, rate) + signals.samples(starts[-1], rate)
    t = signals.times(n, rate)[:, None] - starts
    strokes = np.exp(-signals.LN10 * np.maximum(t, 0) / (0.9 * gap_s)) * (t >= 0)
    envelope = strokes @ rng.uniform(0.75, 1.0, len(starts))
    late = t[:, -1]
    envelope += tail * np.exp(-signals.LN10 * np.maximum(late, 0) / decay_s) * (late >= 0)
    wave = signals.noise(rng, n, rate, 0.75 * tune_hz, 1.5 * tune_hz, width)
    air = signals.noise(rng, n, rate, 2.5 * tune_hz, 9000, width)
    return signals.shape(wave + 0.45 * velocity * air, envelope)


def clap_people(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    tune_hz: float = 1400.0,
    decay_s: float = 0.07,
    people: float = 5.0,
    spread_s: float = 0.012,
    width: float = 0.0,
) -> Wave:
    """Makes a clap of several people: pairs of hands, each its own resonance, place and time."""
    n = signals.length(decay_s, rate) + signals.samples(2 * spread_s, rate)
    wave = np.zeros((n, 2 if width > 0 else 1))
    for i in range(max(2, round(people))):
        hz = tune_hz * rng.uniform(0.7, 1.5)
        start = 0 if i == 0 else signals.samples(spread_s * rng.uniform(0, 2), rate)
        hands = signals.noise(rng, n - start, rate, 0.7 * hz, 1.6 * hz)
        hands *= signals.decay(n - start, rate, 0.012) + 0.25 * signals.decay(
            n - start, rate, decay_s
        )
        pan = 0.5 * width * rng.uniform(-1, 1)
        wave[start:] += hands[:, None] * np.array([1 + pan, 1 - pan])[: wave.shape[1]]
    air = signals.burst(rng, n, rate, 2500, 5000 + 6000 * velocity, 0.02)
    wave += 0.6 * air[:, None]
    return wave if width > 0 else wave[:, 0]


def hat_noise(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    cut_hz: float = 6500.0,
    decay_s: float = 0.05,
    high_hz: float = 13_000.0,
    hold: float = 0.12,
    width: float = 0.0,
) -> Wave:
    """Makes the hat or cymbal of a rhythm box: noise above `cut_hz`."""
    n = signals.length(decay_s, rate)
    steam = signals.noise(rng, n, rate, cut_hz, high_hz, width)
    return signals.shape(steam, two_stage(n, rate, decay_s, velocity, hold))


def shaker(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    tune_hz: float = 6000.0,
    decay_s: float = 0.06,
    attack_s: float = 0.02,
    grain: float = 0.4,
) -> Wave:
    """Makes a shaker or maraca: a swelling shower of grains, ringing at `tune_hz`."""
    rise = attack_s * (1.4 - 0.4 * velocity)
    n = signals.length(decay_s, rate) + signals.samples(rise, rate)
    envelope = signals.decay(n, rate, decay_s, rise)
    steady = signals.noise(rng, n, rate, 0.7 * tune_hz, 1.7 * tune_hz)
    knocks = rng.standard_normal(n) * (rng.random(n) < 3000 / rate)
    b, a = scipy.signal.iirpeak(min(tune_hz, 0.4 * rate), 2.0, rate)
    ringing = scipy.signal.lfilter(b, a, knocks)
    ringing /= np.sqrt(np.mean(ringing**2)) + 1e-9
    return envelope * ((1 - grain) * steady + grain * ringing)


def tambourine(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    tune_hz: float = 5200.0,
    decay_s: float = 0.12,
    jingles: float = 0.6,
    attack_s: float = 0.003,
) -> Wave:
    """Makes a tambourine: a strike whose jingles ring, each knock in modes of thin metal."""
    n = signals.length(decay_s, rate)
    envelope = signals.decay(n, rate, decay_s, attack_s)
    knocks = rng.standard_normal(n) * envelope * (rng.random(n) < 1500 / rate)
    knocks[0] = 3.0 * velocity
    hz = tune_hz * rng.uniform(0.75, 2.2, 24)
    ring = signals.modes(
        signals.samples(0.06, rate),
        rate,
        hz,
        rng.uniform(0.01, 0.05, 24),
        rng.uniform(0.3, 1, 24),
        rng.uniform(-np.pi, np.pi, 24),
    )
    metal = signals.normalise(scipy.signal.oaconvolve(knocks, ring)[:n])
    steam = signals.noise(rng, n, rate, 0.8 * tune_hz, 13_000)
    return jingles * 2.5 * metal + (1 - jingles) * steam * envelope
