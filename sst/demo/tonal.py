"""Voices with a pitch: plucked strings, FM keys and bells, basses, bars, blips; as in `drums`."""

import math

import numpy as np

from sst.demo import signals
from sst.demo.signals import Wave


def pluck(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    pitch_hz: float = 220.0,
    decay_s: float = 0.6,
    bright: float = 0.5,
    place: float = 0.2,
) -> Wave:
    """Makes a plucked string by Karplus and Strong's loop, tuned by a fractional delay.

    `place` (0 .. 0.5) is where the string is plucked, which takes out harmonics.
    """
    n = signals.length(decay_s, rate)
    taps, delay = string_loop(rate, pitch_hz, decay_s, 0.03 + 0.35 * (1 - bright))
    period = round(rate / pitch_hz)
    pick = signals.noise(rng, period, rate, 20, 1200 * 2 ** (4 * bright * velocity + 0.5))
    pick -= np.roll(pick, max(1, round(place * period)))
    wave = np.zeros(n)
    wave[: min(n, period)] = (pick - pick.mean())[:n]
    return ring(wave, taps, delay)


def string_loop(
    rate: int, pitch_hz: float, decay_s: float, damping: float
) -> tuple[np.ndarray, int]:
    """Returns the taps of a string's loop and the delay in samples before the first of them.

    Together they delay by exactly one period at `pitch_hz`, and lose 20 dB in `decay_s` there.
    """
    damper = np.array([damping / 2, 1 - damping, damping / 2])
    period = rate / pitch_hz
    delay = math.floor(period - 1.0 - 1.5)
    fraction = period - 1.0 - delay
    taps = np.convolve(damper, lagrange(fraction))
    for _ in range(4):
        response = taps @ np.exp(-2j * np.pi * pitch_hz / rate * np.arange(len(taps)))
        phase = np.angle(response * np.exp(-2j * np.pi * pitch_hz / rate * delay))
        fraction += phase * period / (2 * np.pi)
        taps = np.convolve(damper, lagrange(fraction))
    gain = 10 ** (-1 / (decay_s * pitch_hz)) / abs(response)
    return taps * min(gain, 0.99995), delay


def lagrange(delay: float) -> np.ndarray:
    """Returns four taps that delay by `delay` samples, best between 1 and 2."""
    k = np.arange(4)
    return np.array(
        [np.prod([(delay - m) / (i - m) for m in k if m != i]) for i in k], dtype=np.float64
    )


def ring(wave: Wave, taps: np.ndarray, delay: int) -> Wave:
    """Feeds a wave back through `taps` after `delay` samples, a block of that length at a time."""
    wave = np.concatenate([np.zeros(delay + len(taps)), wave])
    first = delay + len(taps)
    for start in range(first, len(wave), delay):
        stop = min(start + delay, len(wave))
        past = wave[start - delay - len(taps) + 1 : stop - delay]
        wave[start:stop] += np.convolve(past, taps, "valid")
    return wave[first:]


def fm(n: int, rate: int, pitch_hz: float, ratio: float, index: Wave) -> Wave:
    """Returns a sine bent by another of `ratio` times its pitch; `index` [n] is in radians.

    The index is limited so that what lies above the Nyquist frequency stays below -80 dB.
    """
    room = (0.49 * rate - pitch_hz) / (ratio * pitch_hz)
    phase = 2 * np.pi * pitch_hz * signals.times(n, rate)
    return np.sin(phase + np.clip(index, 0, index_limit(room)) * np.sin(ratio * phase))


def index_limit(sidebands: float) -> float:
    """Returns the largest index whose sidebands beyond so many stay below -80 dB."""
    if sidebands < 2:
        return 0.0
    k = math.floor(sidebands) + 1
    # J_k(x) is below (x / 2)^k / k!, and close to it while x is well below k.
    return 2 * math.exp((math.lgamma(k + 1) + math.log(1e-4)) / k)


def fm_bell(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    pitch_hz: float = 520.0,
    decay_s: float = 0.7,
    ratio: float = 3.5,
    index: float = 2.0,
) -> Wave:
    """Makes a bell: a bright FM pair that mellows, over a plain one an octave below its ratio."""
    n = signals.length(decay_s, rate)
    strength = index * (0.3 + 0.7 * velocity)
    bright = fm(n, rate, pitch_hz, ratio, strength * signals.decay(n, rate, 0.8 * decay_s))
    beating = fm(n, rate, pitch_hz, 1.41 * ratio, 0.5 * strength * signals.decay(n, rate, 0.1))
    wave = bright * signals.decay(n, rate, decay_s) + 0.4 * beating * signals.decay(
        n, rate, 0.5 * decay_s
    )
    return wave + 0.1 * velocity * signals.burst(rng, n, rate, 2000, 9000, 0.004)


def fm_keys(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    pitch_hz: float = 260.0,
    decay_s: float = 0.6,
    index: float = 1.2,
    tine: float = 0.3,
) -> Wave:
    """Makes an electric piano: a warm FM pair at unison and a tine of ratio 14 in the attack."""
    n = signals.length(decay_s, rate)
    warm = fm(n, rate, pitch_hz, 1.0, index * velocity * signals.decay(n, rate, 0.5 * decay_s))
    struck = fm(n, rate, pitch_hz, 14.0, 0.9 * velocity * signals.decay(n, rate, 0.05))
    hammer = signals.burst(rng, n, rate, 300, 2500, 0.006)
    wave = warm * signals.decay(n, rate, decay_s, 0.001)
    wave += tine * velocity * struck * signals.decay(n, rate, 0.12, 0.0005)
    return wave + 0.08 * velocity * hammer


def fm_bass(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    pitch_hz: float = 65.0,
    decay_s: float = 0.35,
    index: float = 3.0,
    ratio: float = 1.0,
) -> Wave:
    """Makes a digital bass: FM at a whole ratio, the index plucked, slightly driven."""
    n = signals.length(decay_s, rate)
    whole = max(1.0, round(ratio))
    strength = index * velocity * signals.decay(n, rate, 0.35 * decay_s)
    wave = fm(n, rate, pitch_hz, whole, strength) * signals.decay(n, rate, decay_s, 0.001)
    return signals.saturate(wave, 1.3) + 0.05 * signals.burst(rng, n, rate, 800, 4000, 0.003)


def saw_bass(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    pitch_hz: float = 55.0,
    decay_s: float = 0.4,
    bright: float = 0.5,
    hollow: float = 0.3,
) -> Wave:
    """Makes an analog bass: harmonics of a saw that die from the top, as if a filter closed."""
    n = signals.length(decay_s, rate)
    order = np.arange(1, min(120, int(0.45 * rate / pitch_hz)))
    gain = np.where(order % 2 == 0, 1 - hollow, 1.0) / order
    gain *= np.exp(-order / (4 + 60 * bright * velocity))
    seconds = decay_s * order ** -(1.3 - 0.8 * bright)
    phase = rng.uniform(0, 0.15, len(order))
    wave = signals.modes(n, rate, pitch_hz * order.astype(float), seconds, gain, phase)
    return signals.saturate(signals.normalise(wave), 1.5, 0.1)


def mallet(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    pitch_hz: float = 400.0,
    decay_s: float = 0.25,
    bright: float = 0.4,
    second: float = 3.95,
) -> Wave:
    """Makes a marimba, kalimba or glass bar: a fundamental, and short modes from `second` on."""
    n = signals.length(decay_s, rate)
    ratios = np.array([1.0, second, 2.4 * second, 4.4 * second])
    gain = np.array([1.0, 0.6, 0.35, 0.2]) * np.power(
        bright * (0.3 + 0.7 * velocity), [0, 0.7, 1, 1.5]
    )
    seconds = decay_s * np.array([1.0, 0.35, 0.15, 0.08])
    body = signals.modes(n, rate, pitch_hz * ratios, seconds, gain, np.zeros(4))
    thud = signals.burst(rng, n, rate, 200, 2500, 0.006)
    return body + 0.12 * velocity * thud


def blip(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    pitch_hz: float = 440.0,
    decay_s: float = 0.12,
    duty: float = 0.25,
) -> Wave:
    """Makes the pulse of a toy or game: band-limited, of a duty 0 .. 0.5, plainly decaying."""
    n = signals.length(decay_s, rate)
    order = np.arange(1, min(160, int(0.45 * rate / pitch_hz)))
    gain = np.sin(np.pi * order * duty) / order * np.exp(-order / (6 + 80 * velocity**2))
    seconds = np.full(len(order), decay_s)
    phase = np.full(len(order), np.pi / 2) + rng.uniform(-0.02, 0.02, len(order))
    wave = signals.modes(n, rate, pitch_hz * order.astype(float), seconds, gain, phase)
    return wave * signals.decay(n, rate, 1e6, 0.0005)


def zap(
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    pitch_hz: float = 150.0,
    decay_s: float = 0.2,
    bend: float = 12.0,
    bend_s: float = 0.03,
    index: float = 0.6,
) -> Wave:
    """Makes a zap: a sine that falls through octaves and comes to rest on `pitch_hz`."""
    n = signals.length(decay_s, rate)
    phase = signals.glide(n, rate, pitch_hz, bend * rng.uniform(0.95, 1.05), bend_s)
    wave = np.sin(phase + index * velocity * np.sin(phase)) * signals.decay(n, rate, decay_s, 0.001)
    return signals.saturate(wave, 1.2)
