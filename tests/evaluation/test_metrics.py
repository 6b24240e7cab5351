import math

import numpy as np
import pytest
import synth

from sst.evaluation import metrics


@pytest.mark.parametrize("gain", [1.0, 0.1, 4.0])
def test_gain_does_not_count(gain, rng):
    wave = synth.snare(22_050, rng)
    assert metrics.log_mel_l1(wave, np.float32(gain) * wave, 22_050) < 0.2


def test_a_known_tilt_is_measured(rng):
    # A first difference raises each octave by 6 dB: far from the original, and the same each time.
    noise = rng.standard_normal(16_000).astype(np.float32)
    tilted = np.diff(noise, prepend=noise[:1])
    assert 3.0 < metrics.log_mel_l1(noise, tilted, 16_000) < 12.0


def test_silence_and_other_sounds_are_far(rng):
    snare, kick = synth.snare(22_050, rng), synth.kick(22_050, rng)
    assert metrics.log_mel_l1(snare, np.zeros_like(snare), 22_050) > 20.0
    assert metrics.log_mel_l1(snare, kick, 22_050) > 10.0


def test_length_of_the_other_sound_does_not_matter(rng):
    wave = synth.snare(22_050, rng)
    longer = np.concatenate([wave, np.ones(5000, np.float32)])
    assert metrics.log_mel_l1(wave, longer, 22_050) < 0.2


@pytest.mark.parametrize("sample_rate", [16_000, 22_050, 44_100])
@pytest.mark.parametrize("hz", [40.0, 55.0, 440.0, 1234.5, 4900.0])
def test_pitch_of_a_tone(hz, sample_rate):
    found = metrics.pitch_hz(synth.tone(hz, sample_rate, seconds=0.3), sample_rate)
    assert abs(1200 * np.log2(found / hz)) < 1.0


@pytest.mark.parametrize("partials", [(1, 2, 3, 4, 5), (1, 3, 5), (2, 3, 4), (3, 4, 5, 6)])
@pytest.mark.parametrize("decay", [0.0, 12.0, 40.0])
def test_pitch_of_partials_is_their_fundamental(partials, decay):
    # The last two have none: it is heard and found all the same.
    found = metrics.pitch_hz(partials_of(110.0, partials, decay), 22_050)
    assert abs(1200 * np.log2(found / 110.0)) < 1.0


@pytest.mark.parametrize("cents", [-300.0, -50.0, 10.0, 100.0, 700.0])
def test_a_known_shift_of_pitch_is_measured(cents):
    ratio = 2 ** (cents / 1200)
    for wave in (
        lambda r: synth.tone(220.0 * r, 22_050),
        lambda r: partials_of(110.0 * r, (1, 2, 3, 4), 12.0),
        lambda r: partials_of(110.0 * r, (3, 4, 5, 6), 12.0),
    ):
        error = metrics.pitch_error_cents(wave(1.0), wave(ratio), 22_050)
        assert abs(error - abs(cents)) < 2.0


@pytest.mark.parametrize("cents", [-200.0, 30.0, 400.0])
def test_a_shift_of_a_kick_is_measured_whatever_its_decay(cents):
    original = gliding_kick(1.0, 12.0)
    for decay in (6.0, 12.0, 16.0):
        error = metrics.pitch_error_cents(
            original, gliding_kick(2 ** (cents / 1200), decay), 44_100
        )
        assert abs(error - abs(cents)) < 5.0 + 0.05 * abs(cents)
    assert metrics.pitch_error_cents(original, original, 44_100) == 0.0


def test_noise_and_silence_have_no_pitch(rng):
    for _ in range(5):
        noise = rng.standard_normal(11_025).astype(np.float32)
        for wave in (noise, synth.snare(22_050, rng), synth.hat(22_050, rng), 0 * noise):
            assert math.isnan(metrics.pitch_hz(wave, 22_050))
            assert math.isnan(metrics.pitch_error_cents(wave, synth.tone(440, 22_050), 22_050))
        assert metrics.pitch_error_cents(synth.tone(440, 22_050, 0.5), noise, 22_050) == math.inf


def test_a_noisy_tone_is_off_by_little_and_has_not_lost_its_pitch(rng):
    tone = synth.tone(220, 22_050)
    noisy = tone + 0.2 * rng.standard_normal(len(tone)).astype(np.float32)
    assert metrics.pitch_error_cents(tone, noisy, 22_050) < 10.0


def test_pitch_error_of_what_is_not_there():
    tone = synth.tone(440, 22_050, 0.3)
    for other in (np.zeros_like(tone), tone[:500], np.full_like(tone, np.nan)):
        assert metrics.pitch_error_cents(tone, other, 22_050) == math.inf


@pytest.mark.parametrize("sample_rate", [22_050, 44_100])
@pytest.mark.parametrize("rise_ms", [5.0, 20.0, 60.0])
def test_a_slower_attack_is_measured(rise_ms, sample_rate):
    # A straight rise passes from 5 to 50 % in 45 % of its time.
    tone = synth.tone(3000, sample_rate, 0.3)
    t_ms = 1000 * np.arange(len(tone)) / sample_rate
    slow = (tone * np.minimum(1.0, t_ms / rise_ms)).astype(np.float32)
    assert metrics.attack_ms(slow, sample_rate) == pytest.approx(0.45 * rise_ms, rel=0.03, abs=0.3)
    error = metrics.attack_error_ms(tone, slow, sample_rate)
    assert error == pytest.approx(0.45 * rise_ms, rel=0.03, abs=1.0)


@pytest.mark.parametrize("silence", [0, 100, 5000])
def test_a_sudden_attack_is_as_long_as_the_window_wherever_it_is(silence):
    wave = np.concatenate([np.zeros(silence, np.float32), synth.tone(3000, 44_100, 0.1)])
    assert 0.4 < metrics.attack_ms(wave, 44_100) < 0.8
    assert metrics.attack_error_ms(synth.tone(3000, 44_100, 0.1), wave, 44_100) < 0.1


@pytest.mark.parametrize("hz", [60.0, 200.0, 3000.0])
@pytest.mark.parametrize("ratio", [0.5, 1.5, 4.0])
def test_a_stretched_decay_is_measured(ratio, hz):
    t = np.arange(2 * 22_050) / 22_050
    short, long = (
        (np.sin(2 * np.pi * hz * t) * np.exp(-t * rate)).astype(np.float32)
        for rate in (10.0, 10.0 / ratio)
    )
    assert metrics.decay_ms(short, 22_050) == pytest.approx(1000 * np.log(10) / 10, rel=0.05)
    error = metrics.decay_error_octaves(short, long, 22_050)
    assert error == pytest.approx(abs(np.log2(ratio)), abs=0.08)


def test_what_stops_before_it_has_decayed_ends_where_it_stops():
    wave = np.pad(synth.tone(1000, 22_050, 0.25), (0, 22_050))
    wave[2205] = 0.51  # the peak, at 100 ms
    assert metrics.decay_ms(wave, 22_050) < 260.0
    assert metrics.decay_error_octaves(wave, wave[:5600], 22_050) < 0.1


def test_level_of_a_sine_of_full_scale_with_silence_around():
    sine = synth.tone(1000, 22_050, level=1.0)
    assert metrics.level_db(np.pad(sine, 5000)) == pytest.approx(-3.01, abs=0.1)


def test_level_does_not_depend_on_the_decay(rng):
    t = np.arange(22_050) / 22_050
    noise = rng.standard_normal(len(t))
    levels = [metrics.level_db((noise * np.exp(-t * r)).astype(np.float32)) for r in (5, 10, 20)]
    assert np.ptp(levels) < 1.0


@pytest.mark.parametrize("gain_db", [-40.0, -6.0, 0.0, 12.0])
def test_a_known_gain_is_a_level_error_and_nothing_else(gain_db, rng):
    wave = synth.kick(22_050, rng)
    other = (wave * 10 ** (gain_db / 20)).astype(np.float32)
    assert metrics.level_error_db(wave, other) == pytest.approx(abs(gain_db), abs=1e-3)
    assert metrics.attack_error_ms(wave, other, 22_050) == pytest.approx(0.0, abs=1e-3)
    assert metrics.decay_error_octaves(wave, other, 22_050) == pytest.approx(0.0, abs=1e-3)
    assert metrics.pitch_error_cents(wave, other, 22_050) == pytest.approx(0.0, abs=1e-2)
    if gain_db > -30.0:
        assert metrics.stft_distance(wave, other, 22_050) < 0.01


@pytest.mark.parametrize("error", ["attack_error_ms", "decay_error_octaves", "level_error_db"])
def test_silence_does_not_apply_and_is_a_loss(error, rng):
    wave = synth.snare(22_050, rng)
    rate = () if error == "level_error_db" else (22_050,)
    measure = getattr(metrics, error)
    assert math.isnan(measure(np.zeros_like(wave), wave, *rate))
    assert math.isnan(measure(np.zeros_like(wave), np.zeros_like(wave), *rate))
    assert measure(wave, np.zeros_like(wave), *rate) == math.inf
    assert measure(wave, np.full_like(wave, np.nan), *rate) == math.inf


@pytest.mark.parametrize("length", [1, 2, 30, 300])
def test_the_shortest_sounds_are_measured(length):
    wave = np.full(length, 0.5, np.float32)
    assert metrics.attack_error_ms(wave, wave, 22_050) == 0.0
    assert metrics.decay_error_octaves(wave, wave, 22_050) == 0.0
    assert metrics.level_error_db(wave, wave) == 0.0
    assert metrics.stft_distance(wave, wave, 22_050) == pytest.approx(0.0, abs=1e-3)
    assert math.isnan(metrics.pitch_hz(wave, 22_050))


def test_stft_distance_against_a_direct_computation(rng):
    import scipy.signal

    ours, theirs = synth.snare(22_050, rng), synth.snare(22_050, rng)

    def distance(gain):
        total = 0.0
        for n in (512, 1024, 2048):
            a, b = (
                np.abs(scipy.signal.stft(x, nperseg=n, noverlap=3 * n // 4, padded=False)[2])
                for x in (ours, gain * theirs)
            )
            floor = 1e-4 * a.max()
            logs = np.abs(np.log(np.maximum(a, floor)) - np.log(np.maximum(b, floor)))
            total += (np.linalg.norm(a - b) / np.linalg.norm(a) + logs.mean()) / 3
        return total

    expected = min(distance(10 ** (g / 20)) for g in metrics.GAINS_DB)
    assert metrics.stft_distance(ours, theirs, 22_050) == pytest.approx(expected, rel=1e-3)


def test_stft_distance_of_silence_and_of_nothing(rng):
    wave = synth.snare(22_050, rng)
    assert math.isnan(metrics.stft_distance(np.zeros_like(wave), wave, 22_050))
    assert metrics.stft_distance(wave, np.full_like(wave, np.inf), 22_050) == math.inf
    assert metrics.stft_distance(wave, np.zeros_like(wave), 22_050) > 2.0


def test_smoothness_of_known_paths():
    even = np.outer(np.arange(5), [3.0, 4.0])
    assert metrics.path_smoothness(even) == pytest.approx(1.0)
    jump = np.repeat([[0.0], [1.0]], [3, 4], axis=0)
    assert metrics.path_smoothness(jump) == pytest.approx(6.0)
    assert math.isnan(metrics.path_smoothness(np.ones((5, 2))))
    assert math.isnan(metrics.path_smoothness(even[:2]))


def test_a_known_hole_in_the_level():
    assert metrics.level_hole_db(np.array([-6.0, -15.0, -12.0])) == pytest.approx(6.0)
    assert metrics.level_hole_db(np.array([-6.0, -1.0, -12.0])) == 0.0
    assert metrics.level_hole_db(np.array([-6.0, -np.inf, -6.0])) == math.inf
    assert math.isnan(metrics.level_hole_db(np.array([-6.0, -3.0, -np.inf])))


def partials_of(hz, partials, decay, sample_rate=22_050):
    t = np.arange(round(0.4 * sample_rate)) / sample_rate
    wave = sum(np.sin(2 * np.pi * hz * k * t + k) for k in partials)
    return (0.2 * wave * np.exp(-decay * t)).astype(np.float32)


def gliding_kick(ratio, decay, sample_rate=44_100):
    """From 200 Hz to 50 Hz, times the ratio."""
    t = np.arange(round(0.4 * sample_rate)) / sample_rate
    phase = 2 * np.pi * ratio * (50 * t - 150 / 30 * (np.exp(-30 * t) - 1))
    return (0.9 * np.sin(phase) * np.exp(-t * decay)).astype(np.float32)
