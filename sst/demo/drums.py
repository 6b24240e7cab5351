"""Voices of drums with a skin: kicks, toms and hand drums.

A voice takes a generator, the rate in Hz, the velocity (0 .. 1] and a few musical parameters, and
returns a wave [n] that starts at once. `pitch_hz` is the pitch that the sound settles on, `tune_hz`
the place of modes that give no clear pitch, `decay_s` the time in which the body falls by 20 dB;
amounts are 0 .. 1. Level and softening by velocity follow in `machines.make_sound`.
"""

import numpy as np

from sst.demo import signals
from sst.demo.signals import Wave

SKIN = np.array([1.0, 1.594, 2.136, 2.296, 2.653, 2.918, 3.156, 3.501, 3.652, 4.06])
TABLA = np.array([1.0, 2.0, 3.01, 4.02, 5.03])


def kick_sine(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    pitch_hz: float = 50.0,
    decay_s: float = 0.25,
    bend: float = 4.0,
    bend_s: float = 0.012,
    click: float = 0.3,
    drive: float = 1.5,
) -> Wave:
    """Makes a kick by a sine that falls from `bend` times the pitch, with a click, saturated."""
    n = signals.length(decay_s, rate)
    harder = 1 + (bend - 1) * (0.4 + 0.6 * velocity)
    phase = signals.glide(n, rate, pitch_hz, harder, bend_s, 0.06 * rng.uniform(0.5, 1.5))
    body = np.sin(phase) * signals.decay(n, rate, decay_s, hold_s=0.1 * decay_s)
    body = signals.saturate(body, drive * (0.5 + 0.5 * velocity), 0.1)
    tick = signals.burst(rng, n, rate, 900, 5000, 0.004)
    snap = np.sin(phase * 3.7) * signals.decay(n, rate, 0.008)
    air = signals.burst(rng, n, rate, 300, 6000, 0.5 * decay_s)
    return body + click * velocity * (0.35 * tick + 0.5 * snap + 0.04 * air)


def kick_fm(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    pitch_hz: float = 50.0,
    decay_s: float = 0.25,
    bend: float = 5.0,
    bend_s: float = 0.02,
    ratio: float = 1.6,
    index: float = 3.0,
) -> Wave:
    """Makes a kick by FM: a falling sine, bent by another whose index dies within the attack."""
    n = signals.length(decay_s, rate)
    phase = signals.glide(n, rate, pitch_hz, bend, bend_s, 0.02)
    strength = index * velocity * signals.decay(n, rate, 0.03 + 0.1 * decay_s)
    wave = np.sin(phase + strength * np.sin(ratio * phase + rng.uniform(0, 0.3)))
    wave -= strength * 0.02 * signals.burst(rng, n, rate, 1000, 6000, 0.003)
    return signals.saturate(wave * signals.decay(n, rate, decay_s, 0.0005), 1.4)


def skin_modes(
    rng: np.random.Generator,
    phase: Wave,
    rate: int,
    decay_s: float,
    bright: float,
    damping: float,
    ratios: np.ndarray = SKIN,
) -> Wave:
    """Sums the modes of a skin: `bright` (0 .. 1) raises the upper ones, damping shortens them."""
    wave = np.zeros(len(phase))
    for ratio in ratios * (1 + np.where(ratios > 1, rng.normal(0, 0.012, len(ratios)), 0)):
        gain = rng.uniform(0.6, 1.2) * ratio ** -(2.5 - 2.2 * bright) if ratio > 1 else 1.0
        count = min(len(phase), signals.length(decay_s * ratio**-damping, rate))
        rings = signals.decay(count, rate, decay_s * ratio**-damping)
        wave[:count] += gain * np.sin(ratio * phase[:count]) * rings
    return wave


def kick_modes(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    pitch_hz: float = 55.0,
    decay_s: float = 0.18,
    bright: float = 0.4,
    beater: float = 0.4,
) -> Wave:
    """Makes an acoustic kick: the modes of a damped skin, its beater, the air of the shell."""
    n = signals.length(decay_s, rate)
    phase = signals.glide(n, rate, pitch_hz, 1 + 1.6 * velocity, 0.012, 0.05)
    body = skin_modes(rng, phase, rate, decay_s, bright * velocity, 1.3)
    air = signals.noise(rng, n, rate, 100, 3000) * signals.decay(n, rate, 0.4 * decay_s, 0.002)
    slap = signals.burst(rng, n, rate, 700, 3000 + 4000 * velocity, 0.012)
    felt = signals.decay(n, rate, decay_s, 0.0004 + 0.002 * (1 - velocity))
    return body * np.minimum(1, felt * 50) + 0.08 * air + 0.25 * beater * velocity * slap


def tom_sine(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    pitch_hz: float = 120.0,
    decay_s: float = 0.25,
    bend: float = 1.6,
    bend_s: float = 0.04,
    air: float = 0.2,
) -> Wave:
    """Makes an analog tom: a falling sine, a fainter octave-and-a-half, a breath of noise."""
    n = signals.length(decay_s, rate)
    phase = signals.glide(n, rate, pitch_hz, 1 + (bend - 1) * velocity, bend_s, 0.01)
    body = np.sin(phase) * signals.decay(n, rate, decay_s)
    body += 0.2 * np.sin(1.5 * phase) * signals.decay(n, rate, 0.5 * decay_s)
    hiss = signals.noise(rng, n, rate, 300, 4500) * signals.decay(n, rate, 0.5 * decay_s, 0.001)
    tick = signals.burst(rng, n, rate, 800, 6000, 0.01)
    return signals.saturate(body, 1.2, 0.1) + air * (0.45 * hiss + 0.6 * velocity * tick)


def tom_modes(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    pitch_hz: float = 120.0,
    decay_s: float = 0.3,
    bright: float = 0.5,
    stick: float = 0.4,
) -> Wave:
    """Makes an acoustic tom: the modes of a skin that the stroke tightens, and the stick."""
    n = signals.length(decay_s, rate)
    phase = signals.glide(n, rate, pitch_hz, 1 + 0.15 * velocity, 0.05, 0.01)
    body = skin_modes(rng, phase, rate, decay_s, bright * (0.3 + 0.7 * velocity), 0.8)
    slap = signals.burst(rng, n, rate, 500, 2000 + 5000 * velocity, 0.01)
    air = signals.noise(rng, n, rate, 200, 4000) * signals.decay(n, rate, 0.4 * decay_s, 0.001)
    return body + 0.35 * bright * air * (0.3 + 0.7 * velocity) + 0.8 * stick * velocity * slap


def tom_fm(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    pitch_hz: float = 130.0,
    decay_s: float = 0.25,
    bend: float = 2.5,
    index: float = 1.5,
) -> Wave:
    """Makes an electronic tom of the eighties: a long fall, FM in the attack, noise."""
    n = signals.length(decay_s, rate)
    phase = signals.glide(n, rate, pitch_hz, bend, 0.14 * decay_s)
    strength = index * velocity * signals.decay(n, rate, 0.3 * decay_s)
    tone = np.sin(phase + strength * np.sin(1.41 * phase)) * signals.decay(n, rate, decay_s)
    hiss = signals.burst(rng, n, rate, 300, 6000, 0.35 * decay_s)
    return signals.saturate(tone + 0.35 * velocity * hiss, 1.3)


def conga(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    pitch_hz: float = 220.0,
    decay_s: float = 0.15,
    slap: float = 0.3,
    damping: float = 1.2,
) -> Wave:
    """Makes a conga or bongo: few modes, a hand that slaps, the air of a long shell."""
    n = signals.length(decay_s, rate)
    phase = signals.glide(n, rate, pitch_hz, 1 + 0.06 * velocity, 0.015)
    body = skin_modes(rng, phase, rate, decay_s, 0.3 + 0.6 * slap * velocity, damping, SKIN[:7])
    hand = signals.burst(rng, n, rate, 700, 1500 + 5000 * velocity, 0.012)
    return body + 1.2 * slap * (0.3 + 0.7 * velocity) * hand


def tabla(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    pitch_hz: float = 280.0,
    decay_s: float = 0.25,
    bend: float = 1.1,
    bright: float = 0.5,
) -> Wave:
    """Makes a drum whose loaded skin rings in harmonics, and whose pitch the hand bends down."""
    n = signals.length(decay_s, rate)
    phase = signals.glide(n, rate, pitch_hz, bend, 0.06)
    body = skin_modes(rng, phase, rate, decay_s, 0.3 + 0.6 * bright * velocity, 0.6, TABLA)
    return body + 0.25 * velocity * signals.burst(rng, n, rate, 1200, 6000, 0.004)
