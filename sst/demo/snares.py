"""Voices of snares, and of what is struck beside them: rims and wood; parameters as in `drums`."""

import numpy as np

from sst.demo import signals
from sst.demo.drums import skin_modes
from sst.demo.signals import Wave


def snare_analog(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    tune_hz: float = 185.0,
    decay_s: float = 0.12,
    snappy: float = 0.5,
    snap_s: float = 0.14,
    bend: float = 1.6,
) -> Wave:
    """Makes an analog snare: two short falling sines and high-passed noise with its own decay."""
    n = signals.length(max(decay_s, snap_s), rate)
    phase = signals.glide(n, rate, tune_hz, bend, 0.012, 0.02)
    low = np.sin(phase) * signals.decay(n, rate, decay_s)
    high = np.sin(1.83 * phase) * signals.decay(n, rate, 0.7 * decay_s)
    hiss = signals.noise(rng, n, rate, 1300, 9000)
    hiss *= signals.decay(n, rate, snap_s, 0.0005) + 0.6 * signals.decay(n, rate, 0.015)
    return (
        signals.saturate(0.7 * low + 0.4 * high, 1.3) + 0.7 * snappy * (0.4 + 0.6 * velocity) * hiss
    )


def snare_modes(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    tune_hz: float = 190.0,
    decay_s: float = 0.1,
    bright: float = 0.6,
    wires: float = 0.5,
    wires_s: float = 0.12,
) -> Wave:
    """Makes an acoustic snare: two skins, a stick, and wires that the skin shakes."""
    n = signals.length(max(decay_s, wires_s), rate)
    phase = signals.glide(n, rate, tune_hz, 1 + 0.25 * velocity, 0.01, 0.01)
    body = skin_modes(rng, phase, rate, decay_s, bright * (0.4 + 0.6 * velocity), 0.9)
    rattle = signals.noise(rng, n, rate, 1100, 4500 + 3500 * velocity)
    air = signals.noise(rng, n, rate, 300, 1500) * signals.decay(n, rate, 0.6 * wires_s)
    shaken = signals.decay(n, rate, wires_s * (0.7 + 0.3 * velocity), 0.0015)
    shaken *= 1 + 0.35 * np.sin(phase + 1.0) * signals.decay(n, rate, 0.1)
    stick = signals.burst(rng, n, rate, 1500, 9000, 0.005)
    return 0.6 * body + wires * (0.55 * rattle * shaken + 0.15 * air) + 0.25 * velocity * stick


def snare_gated(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    tune_hz: float = 200.0,
    decay_s: float = 0.2,
    snappy: float = 0.5,
    bright: float = 0.5,
) -> Wave:
    """Makes a big snare whose noise stays loud and is cut off by a gate after `decay_s`."""
    n = signals.samples(1.25 * decay_s + 0.02, rate)
    t = signals.times(n, rate)
    phase = signals.glide(n, rate, tune_hz, 1.5, 0.015)
    body = skin_modes(rng, phase, rate, 0.4 * decay_s, 0.4 * velocity, 1.0)
    wash = signals.noise(rng, n, rate, 350, 2500 + 7000 * bright)
    gate = 1 / (1 + np.exp(np.minimum((t - decay_s) / (0.02 * decay_s + 0.003), 50)))
    wash *= gate * (0.35 * signals.decay(n, rate, 1.5 * decay_s) + signals.decay(n, rate, 0.03))
    return signals.saturate(0.8 * body + (0.3 + snappy * velocity) * wash, 1.5)


def snare_fm(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    tune_hz: float = 200.0,
    decay_s: float = 0.13,
    index: float = 3.0,
    snappy: float = 0.4,
) -> Wave:
    """Makes a digital snare: an FM tone of a ratio without harmony, and noise."""
    n = signals.length(decay_s, rate)
    phase = signals.glide(n, rate, tune_hz, 1.4, 0.01)
    strength = index * velocity * signals.decay(n, rate, 0.5 * decay_s)
    tone = np.sin(phase + strength * np.sin(2.37 * phase)) * signals.decay(n, rate, 0.6 * decay_s)
    hiss = signals.noise(rng, n, rate, 900, 7500) * signals.decay(n, rate, decay_s)
    return 0.7 * tone + (0.25 + 0.5 * snappy) * (0.3 + 0.4 * velocity) * hiss


def rim(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    tune_hz: float = 480.0,
    decay_s: float = 0.025,
    click: float = 0.4,
    spread: float = 3.5,
) -> Wave:
    """Makes a rim shot or side stick: a few short modes between two places, and a crack."""
    n = signals.length(2 * decay_s, rate)
    hz = tune_hz * spread ** np.array([0.0, 0.35, 0.62, 1.0, 1.3]) * rng.uniform(0.98, 1.02, 5)
    seconds = decay_s * np.array([1.6, 0.9, 1.0, 0.9, 0.5])
    gain = np.array([0.6, 0.35, 0.5, 0.3 + 0.7 * velocity, 0.6 * velocity])
    body = signals.modes(n, rate, hz, seconds, gain, rng.uniform(0, 0.6, 5))
    crack = signals.burst(rng, n, rate, 700, 9000, decay_s)
    air = signals.burst(rng, n, rate, 300, 3000, 1.2 * decay_s)
    noise = (0.35 + 1.4 * click) * velocity * crack + 0.4 * air
    return signals.saturate(body, 1.6, 0.2) + 0.8 * noise


def wood(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    pitch_hz: float = 2000.0,
    decay_s: float = 0.04,
    hollow: float = 0.3,
) -> Wave:
    """Makes claves or a wood block: one strong mode, short modes of a bar, a hollow below."""
    n = signals.length(decay_s, rate)
    hz = pitch_hz * np.array([1.0, 2.61, 4.9, 0.58]) * rng.uniform([1, 0.98, 0.97, 0.99], 1.0)
    seconds = decay_s * np.array([1.0, 0.3, 0.15, 0.35])
    gain = np.array([1.0, 0.35 * velocity, 0.2 * velocity, 0.8 * hollow])
    body = signals.modes(n, rate, hz, seconds, gain, np.zeros(4))
    return body + 0.2 * velocity * signals.burst(rng, n, rate, 1500, 7000, 0.002)
