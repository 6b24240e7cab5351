"""Building blocks of the voices: oscillators, noise, envelopes, saturation, rooms.

Waves are float64, [n] for mono or [n, channels]; a decay time is the time to fall by 20 dB.
"""

import functools
import math

import numpy as np
import scipy.fft
import scipy.signal

Wave = np.ndarray
LN10 = math.log(10.0)
MAX_LENGTH_S = 2.4


def samples(seconds: float, rate: int) -> int:
    """Returns the number of samples in some seconds, at least 1."""
    return max(1, round(seconds * rate))


def length(decay_s: float, rate: int) -> int:
    """Returns the samples in which an exponential decay falls by 66 dB, at most `MAX_LENGTH_S`."""
    return samples(min(MAX_LENGTH_S, 3.3 * decay_s + 0.01), rate)


def times(n: int, rate: int) -> Wave:
    """Returns the time of each of n samples, in seconds."""
    return np.arange(n) / rate


def decay(n: int, rate: int, decay_s: float, attack_s: float = 0.0, hold_s: float = 0.0) -> Wave:
    """Returns an envelope [n]: quarter-sine attack, hold at 1, then -20 dB every `decay_s`."""
    rising = min(n, samples(attack_s, rate)) if attack_s > 0 else 0
    ramp = np.sin(0.5 * np.pi * np.arange(1, rising + 1) / (rising + 1))
    held = min(n - rising, round(hold_s * rate))
    falling = exponential(n - rising - held, LN10 / (decay_s * rate))
    return np.concatenate([ramp, np.ones(held), falling])


def exponential(n: int, slope: float) -> Wave:
    """Returns exp(-slope * i) for i < n, as products of a few exponentials; never a denormal."""
    fine = math.ceil(math.sqrt(n)) or 1
    inside = np.exp(-np.minimum(slope * np.arange(fine), 200.0))
    starts = np.exp(-np.minimum(slope * fine * np.arange(math.ceil(n / fine)), 200.0))
    return np.outer(starts, inside).ravel()[:n]


def glide(
    n: int, rate: int, pitch_hz: float, bend: float, bend_s: float, drift: float = 0.0
) -> Wave:
    """Returns the phase [n], in radians, of a tone that falls to `pitch_hz`.

    It starts at `pitch_hz * (bend + drift)`. The bend dies away with time constant `bend_s`, the
    much smaller drift four times as slowly.
    """
    t = times(n, rate)
    bent = (bend - 1) * bend_s * (1 - np.exp(-t / bend_s))
    drifted = drift * 4 * bend_s * (1 - np.exp(-t / (4 * bend_s)))
    return 2 * np.pi * pitch_hz * (t + bent + drifted)


def modes(
    n: int, rate: int, hz: np.ndarray, decay_s: np.ndarray, gain: np.ndarray, phase: np.ndarray
) -> Wave:
    """Returns a sum of decaying sines; those above 0.47 of the rate are left out.

    `hz` and `decay_s` are [modes]; `gain` and `phase` [modes] give [n], [modes, channels] give
    [n, channels]. Exact, and fast: the exponentials of n = a * b samples are products of a + b.
    """
    weight = gain * (hz < 0.47 * rate).reshape(-1, *[1] * (gain.ndim - 1)) * np.exp(1j * phase)
    step = (2j * np.pi * hz - LN10 / decay_s)[:, None] / rate
    fine = math.ceil(math.sqrt(n))
    inside = _rotate(step * np.arange(fine))
    starts = _rotate(step * (fine * np.arange(math.ceil(n / fine))))
    rows = (weight.reshape(len(hz), -1).T[:, None] * starts.T).reshape(-1, len(hz))
    wave = _product(rows.real, inside.imag) + _product(rows.imag, inside.real)
    wave = wave.reshape(-1, len(starts[0]) * fine)[:, :n]
    return wave.T if gain.ndim == 2 else wave[0]


def _product(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Multiplies matrices a few rows at a time.

    BLAS works on products as small as these in one thread: all bits are the same with any number
    of threads, and none of them waits in a busy loop.
    """
    few = max(1, 250_000 // max(1, columns.size))
    filled = np.zeros((math.ceil(len(rows) / few), few, rows.shape[1]))
    filled.reshape(-1, rows.shape[1])[: len(rows)] = rows
    return (filled @ np.ascontiguousarray(columns)).reshape(-1, columns.shape[1])[: len(rows)]


def _rotate(exponent: np.ndarray) -> np.ndarray:
    """Returns the exponential, with a floor far below hearing that keeps denormals out."""
    return np.exp(np.maximum(exponent.real, -200.0)) * np.exp(1j * exponent.imag)


def spread_phase(rng: np.random.Generator, count: int, width: float) -> np.ndarray:
    """Returns random phases, [count, 2] that differ by `width` (0 .. 1), or [count, 1]."""
    middle = rng.uniform(-np.pi, np.pi, (count, 1))
    if width <= 0:
        return middle
    return middle + 0.5 * width * rng.uniform(-np.pi, np.pi, (count, 1)) * np.array([1, -1])


def noise(
    rng: np.random.Generator, n: int, rate: int, low_hz: float, high_hz: float, width: float = 0.0
) -> Wave:
    """Returns steady noise of RMS 1 between two edges of 12 dB/octave: [n], or [n, 2] if wide."""
    size = scipy.fft.next_fast_len(max(n, 64), real=True)
    square = np.maximum(scipy.fft.rfftfreq(size, 1 / rate), 1.0).astype(np.float32) ** 2
    power = 1 / ((1 + (low_hz**2 / square) ** 2) * (1 + (square / high_hz**2) ** 2))
    return random_wave(rng, np.sqrt(power / np.mean(power)), size, n, width)


def random_wave(
    rng: np.random.Generator, gain: np.ndarray, size: int, n: int, width: float
) -> Wave:
    """Returns n samples of Gaussian noise whose spectrum has the magnitudes `gain`."""
    channels = 2 if width > 0 else 1
    pairs = rng.standard_normal((channels, len(gain), 2), np.float32)
    spectrum = pairs.view(np.complex64)[..., 0]
    scaled = spectrum * (gain * np.float32(math.sqrt(size / 2)))
    wave = scipy.fft.irfft(scaled, size, axis=1)[:, :n].astype(np.float64)
    if width <= 0:
        return wave[0]
    return np.stack([wave[0] + width * wave[1], wave[0] - width * wave[1]], 1) / math.hypot(
        1, width
    )


def burst(
    rng: np.random.Generator, n: int, rate: int, low_hz: float, high_hz: float, decay_s: float
) -> Wave:
    """Returns a short burst of noise [n] that starts at full level."""
    short = min(n, samples(3 * decay_s, rate))
    wave = np.zeros(n)
    wave[:short] = noise(rng, short, rate, low_hz, high_hz) * decay(short, rate, decay_s)
    return wave


def shape(wave: Wave, envelope: Wave) -> Wave:
    """Multiplies each channel of a wave by an envelope [n]."""
    return wave * (envelope if wave.ndim == 1 else envelope[:, None])


def normalise(wave: Wave) -> Wave:
    """Scales a wave to peak 1; silence stays silence."""
    peak = np.max(np.abs(wave), initial=0.0)
    return wave if peak == 0.0 else wave / peak


def saturate(wave: Wave, drive: float, bias: float = 0.0) -> Wave:
    """Bends a wave of about peak 1 by tanh; `bias` adds even harmonics.

    The mean of tanh between neighbouring samples takes the place of tanh: it aliases far less.
    """
    x = np.concatenate([np.full_like(wave[:1], bias), drive * wave + bias])
    step = np.diff(x, axis=0)
    small = np.abs(step) < 1e-4
    slope = np.diff(log_cosh(x), axis=0) / np.where(small, 1.0, step)
    bent = np.where(small, np.tanh(x[1:] - 0.5 * step), slope)
    return (bent - math.tanh(bias)) / math.tanh(drive)


def log_cosh(x: Wave) -> Wave:
    """Returns log(cosh(x)), for any x."""
    size = np.abs(x)
    return size + np.log1p(np.exp(-2 * size)) - math.log(2)


def lowpass(wave: Wave, rate: int, hz: float) -> Wave:
    """Filters by one pole, 6 dB/octave."""
    pole = math.exp(-2 * math.pi * min(hz, 0.49 * rate) / rate)
    return scipy.signal.lfilter([1 - pole], [1, -pole], wave, axis=0)


def highpass(wave: Wave, rate: int, hz: float) -> Wave:
    """Filters by a Butterworth high-pass, 12 dB/octave."""
    return scipy.signal.sosfilt(_highpass(rate, hz), wave, axis=0)


@functools.lru_cache(256)
def _highpass(rate: int, hz: float) -> np.ndarray:
    return scipy.signal.butter(2, hz, "highpass", fs=rate, output="sos")


def tilt(wave: Wave, rate: int, decibels: float, hz: float = 1500.0) -> Wave:
    """Raises what lies above `hz` by some dB against what lies below."""
    low = lowpass(wave, rate, hz)
    return low + 10 ** (decibels / 20) * (wave - low)


def widen(wave: Wave, rng: np.random.Generator, rate: int, width: float) -> Wave:
    """Makes a mono wave [n] stereo [n, 2]; the mean of the channels stays the wave itself."""
    places = np.unique(rng.integers(1, samples(0.014, rate), 14))
    places = places[places < len(wave)]
    gains = rng.choice([-1.0, 1.0], len(places)) * np.exp(-places / (0.005 * rate))
    side = np.zeros(len(wave))
    for place, gain in zip(places, gains / math.sqrt(np.sum(gains**2)), strict=True):
        side[place:] += gain * wave[: len(wave) - place]
    return np.stack([wave + 0.5 * width * side, wave - 0.5 * width * side], axis=1)


def hiss(rng: np.random.Generator, n: int, rate: int) -> Wave:
    """Returns the noise [n] of electronics, RMS 1: a random stretch of a loop of one second."""
    loop = _hiss_loop(rate)
    return np.resize(np.roll(loop, -int(rng.integers(len(loop)))), n)


@functools.lru_cache(16)
def _hiss_loop(rate: int) -> Wave:
    return noise(np.random.default_rng(0), rate, rate, 300, 8000)


def fade_out(wave: Wave, rate: int) -> Wave:
    """Fades the last tenth, 5 to 60 ms, to 0."""
    count = min(len(wave), max(samples(0.005, rate), min(len(wave) // 10, samples(0.06, rate))))
    ramp = np.ones(len(wave))
    ramp[len(wave) - count :] = 0.5 + 0.5 * np.cos(np.pi * np.arange(1, count + 1) / count)
    return shape(wave, ramp)


def remove_dc(wave: Wave) -> Wave:
    """Removes the mean of each channel by a slow bump, so that both ends stay at 0."""
    place = (np.arange(len(wave)) + 0.5) / len(wave)
    bump = (place * (1 - place)).reshape(-1, *[1] * (wave.ndim - 1))
    return wave - bump * (wave.mean(axis=0) / bump.mean())


def hold(wave: Wave, rate: int, new_rate: int) -> Wave:
    """Plays samples back at another rate as early samplers did: each is repeated or left out."""
    n = math.ceil(len(wave) * new_rate / rate)
    return wave[np.arange(n) * rate // new_rate]


def quantise(wave: Wave, bits: int) -> Wave:
    """Rounds a wave of peak 1 to the steps of so many bits."""
    steps = 2 ** (bits - 1) - 1
    return np.round(wave * steps) / steps


def reverberate(wave: Wave, response: Wave, wet: float) -> Wave:
    """Adds a room, `wet` times its response [m, channels], to a wave [n, channels]."""
    # Single precision is enough for a room, and twice as fast.
    tail = scipy.signal.oaconvolve(wave.astype(np.float32), response, axes=0)
    tail = wet * tail.astype(np.float64)
    tail[: len(wave)] += wave
    return tail


@functools.lru_cache(64)
def room(seed: int, rate: int, decay_s: float, channels: int) -> Wave:
    """Returns the response [m, channels], energy 1, of a room that falls by 20 dB in `decay_s`.

    Ten early reflections, then noise whose treble dies three times as fast.
    """
    rng = np.random.default_rng(seed)
    n = samples(min(1.0, 2.5 * decay_s), rate)
    wave = np.zeros((n, channels))
    for low_hz, high_hz, seconds in ((120, 2500, decay_s), (2500, 9000, decay_s / 3)):
        tail = noise(rng, n, rate, low_hz, high_hz, 1.0 if channels == 2 else 0.0)
        wave += shape(tail.reshape(n, channels), decay(n, rate, seconds, 0.004))
    early = np.minimum(samples(0.002, rate) + rng.integers(0, samples(0.03, rate), 10), n - 1)
    wave[early, rng.integers(0, channels, 10)] += rng.uniform(-9, 9, 10)
    wave = fade_out(wave, rate)
    return (wave / math.sqrt(np.sum(wave**2) / channels)).astype(np.float32)


def finish(wave: Wave, rate: int) -> Wave:
    """Removes DC, trims the end below -66 dB, fades out, and scales to peak 1."""
    wave = highpass(wave, rate, 20.0)
    audible = np.flatnonzero(np.abs(wave).max(axis=1) > 5e-4 * np.abs(wave).max())
    wave = fade_out(wave[: audible[-1] + 1 if len(audible) else None], rate)
    return normalise(remove_dc(wave))
