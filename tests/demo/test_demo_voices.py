"""The voices do what their parameters say, and nothing that they do not."""

import numpy as np
import pytest
import scipy.signal

from sst.demo import machines, metal, signals, tonal
from sst.demo.voices import VOICES

RATE = 44_100


def stroke(
    name: str, rate: int = RATE, velocity: float = 1.0, seed: int = 0, **changed
) -> np.ndarray:
    """One stroke of a voice in the middle of its ranges."""
    voice = VOICES[name]
    middle = {key: float(np.sqrt(low * high)) for key, (low, high) in voice.ranges.items()}
    rng = np.random.default_rng(seed)
    wave = machines.make_stroke(voice, rng, rate=RATE, velocity=velocity, **middle | changed)
    return velocity**1.5 * signals.finish(wave, RATE)


def peak_hz(wave: np.ndarray, rate: int, low_hz: float, high_hz: float) -> float:
    """The strongest partial between two frequencies, by interpolating a long spectrum."""
    size = 1 << 17
    level = np.log(np.abs(np.fft.rfft(wave * np.hanning(len(wave)), size)) + 1e-12)
    low, high = int(low_hz * size / rate), int(high_hz * size / rate)
    top = low + int(np.argmax(level[low:high]))
    a, b, c = level[top - 1 : top + 2]
    return (top + 0.5 * (a - c) / (a - 2 * b + c)) * rate / size


def cents(one: float, other: float) -> float:
    return 1200 * np.log2(one / other)


def centroid(wave: np.ndarray) -> float:
    power = np.abs(np.fft.rfft(wave.mean(axis=1))) ** 2
    return float(np.sum(np.arange(len(power)) * power) / np.sum(power) / len(wave) * RATE)


@pytest.mark.parametrize("name", VOICES)
def test_ends_silent_starts_at_once_and_has_no_dc(name):
    wave = stroke(name)
    assert np.isfinite(wave).all()
    assert np.abs(wave).max() == pytest.approx(1.0)
    assert np.abs(wave[-1]).max() < 1e-3
    assert np.abs(wave.mean(axis=0)).max() < 10 ** (-50 / 20)
    assert np.argmax(np.abs(wave).max(axis=1) > 1e-3) <= 0.001 * RATE


@pytest.mark.parametrize("name", VOICES)
def test_depends_on_its_generator_only(name):
    np.random.seed(0)  # noqa: NPY002
    first = stroke(name)
    np.random.seed(1)  # noqa: NPY002
    np.testing.assert_array_equal(first, stroke(name))
    other = stroke(name, seed=1)
    assert other.shape != first.shape or not np.allclose(other, first)


@pytest.mark.parametrize("name", VOICES)
def test_velocity_raises_brightness(name):
    waves = [stroke(name, velocity=velocity) for velocity in (0.25, 0.5, 0.75, 1.0)]
    centroids = [centroid(wave) for wave in waves]
    assert np.all(np.diff(centroids) > 0), centroids


PITCHED = [name for name, voice in VOICES.items() if "pitch_hz" in voice.ranges]


@pytest.mark.parametrize("name", PITCHED)
@pytest.mark.parametrize("place", [0.05, 0.95])
def test_settles_on_its_pitch(name, place):
    low, high = VOICES[name].ranges["pitch_hz"]
    pitch_hz = low * (high / low) ** place
    wave = stroke(name, pitch_hz=pitch_hz, decay_s=0.6)[:, 0]
    settled = wave[round(0.35 * RATE) :]
    assert abs(cents(peak_hz(settled, RATE, 0.8 * pitch_hz, 1.25 * pitch_hz), pitch_hz)) < 4


@pytest.mark.parametrize("pitch_hz", [61.3, 220.0, 659.3, 1318.5])
@pytest.mark.parametrize("bright", [0.1, 0.9])
def test_plucked_string_is_in_tune(rng, pitch_hz, bright):
    wave = tonal.pluck(rng, rate=RATE, pitch_hz=pitch_hz, decay_s=0.7, bright=bright)
    found = peak_hz(wave[2000:], RATE, 0.8 * pitch_hz, 1.25 * pitch_hz)
    assert abs(cents(found, pitch_hz)) < 1.5


@pytest.mark.parametrize("pitch_hz", [110.0, 440.0])
def test_plucked_string_decays_in_the_given_time(rng, pitch_hz):
    taps, delay = tonal.string_loop(RATE, pitch_hz, 0.5, 0.2)
    wave = tonal.ring(np.sin(2 * np.pi * pitch_hz / RATE * np.arange(RATE)) * 0.0, taps, delay)
    assert not wave.any()
    tone = np.zeros(RATE)
    tone[: round(RATE / pitch_hz)] = np.sin(
        2 * np.pi * np.arange(round(RATE / pitch_hz)) * pitch_hz / RATE
    )
    wave = tonal.ring(tone, taps, delay)
    early, late = (
        np.std(wave[round(t * RATE) :][: round(20 * RATE / pitch_hz)]) for t in (0.1, 0.6)
    )
    assert 20 * np.log10(early / late) == pytest.approx(20.0, abs=0.3)


@pytest.mark.parametrize("decay_s", [0.1, 0.4])
@pytest.mark.parametrize("name", ["mallet", "blip", "closed_ring", "fm_keys", "tom_modes", "conga"])
def test_decay_is_the_time_to_fall_by_20_db(name, decay_s):
    wave = stroke(name, decay_s=decay_s)[:, 0]
    window = round(0.01 * RATE)
    power = np.convolve(wave**2, np.hanning(window), "same")
    t = np.arange(len(wave)) / RATE
    part = (t > 0.4 * decay_s) & (t < 1.2 * decay_s)
    slope, _ = np.polyfit(t[part], 10 * np.log10(power[part] + 1e-12), 1)
    assert -20 / slope == pytest.approx(decay_s, rel=0.25)


def test_modes_are_the_sum_of_decaying_sines(rng):
    hz, seconds = rng.uniform(50, 15_000, 9), rng.uniform(0.01, 1, 9)
    gain, phase = rng.uniform(0, 1, (9, 2)), rng.uniform(-3, 3, (9, 2))
    t = np.arange(5001)[:, None, None] / RATE
    envelope = 10 ** (-t / seconds[:, None])
    naive = (gain * envelope * np.sin(2 * np.pi * hz[:, None] * t + phase)).sum(axis=1)
    np.testing.assert_allclose(
        signals.modes(5001, RATE, hz, seconds, gain, phase), naive, atol=1e-5
    )


def test_squares_contain_no_folded_partial(rng):
    hz = 541.7 * metal.CLUSTER
    wave = metal.squares(rng, RATE, RATE, hz, 100, 15_000) * np.hanning(RATE)
    level = 20 * np.log10(np.abs(np.fft.rfft(wave)) + 1e-9)
    partials = (hz[:, None] * np.arange(1, 140, 2)).ravel()
    distance = np.abs(np.arange(len(level))[:, None] - partials[partials < RATE / 2]).min(axis=1)
    assert level[distance > 8].max() < level.max() - 60


@pytest.mark.parametrize("pitch_hz, ratio", [(1050.0, 4.2), (880.0, 14.0), (523.3, 1.41)])
def test_fm_does_not_fold(pitch_hz, ratio):
    n, fine = RATE // 2, 8
    index = 8.0 * signals.decay(n, RATE, 0.2)
    wave = tonal.fm(n, RATE, pitch_hz, ratio, index)
    limit = tonal.index_limit((0.49 * RATE - pitch_hz) / (ratio * pitch_hz))
    dense = np.minimum(8.0 * signals.decay(n * fine, RATE * fine, 0.2), limit)
    # At eight times the rate all sidebands have room; those above are cut before decimation.
    exact = tonal.fm(n * fine, RATE * fine, pitch_hz, ratio, dense)
    exact = scipy.signal.resample(np.pad(exact, (0, len(exact))), 2 * n)[:n]
    middle = slice(500, n - 500)
    assert np.std((wave - exact)[middle]) < 1e-3 * np.std(exact)


def test_saturation_keeps_silence_and_bends_a_sine():
    assert not signals.saturate(np.zeros(10), 3.0, 0.2).any()
    t = np.arange(RATE) / RATE
    bent = signals.saturate(np.sin(2 * np.pi * 100 * t), 3.0)
    np.testing.assert_allclose(
        bent, np.tanh(3 * np.sin(2 * np.pi * 100 * t)) / np.tanh(3), atol=0.03
    )


def test_saturation_folds_less_than_plain_tanh():
    tone = np.sin(2 * np.pi * 7000.0 / RATE * np.arange(RATE))
    at_fold = [
        np.abs(np.fft.rfft(wave * np.hanning(RATE)))[RATE - 5 * 7000]
        for wave in (signals.saturate(tone, 3.0), np.tanh(3 * tone))
    ]
    assert at_fold[0] < 0.5 * at_fold[1]


def test_widening_keeps_the_middle(rng):
    wave = rng.standard_normal(1000)
    wide = signals.widen(wave, rng, RATE, 0.8)
    np.testing.assert_allclose(wide.mean(axis=1), wave, atol=1e-12)
    assert np.std(wide[:, 0] - wide[:, 1]) > 0.1
