import math

import numpy as np
import pytest

from sst.dsp import pitch
from tests import synth


@pytest.mark.parametrize("sample_rate", [16_000, 22_050, 44_100])
@pytest.mark.parametrize("hz", [40.0, 55.0, 440.0, 1234.5, 4900.0])
def test_pitch_of_a_tone(hz, sample_rate):
    found = pitch.pitch_hz(synth.tone(hz, sample_rate, seconds=0.3), sample_rate)
    assert abs(1200 * np.log2(found / hz)) < 1.0


@pytest.mark.parametrize("partials", [(1, 2, 3, 4, 5), (1, 3, 5), (2, 3, 4), (3, 4, 5, 6)])
@pytest.mark.parametrize("decay", [0.0, 12.0, 40.0])
def test_pitch_of_partials_is_their_fundamental(partials, decay):
    # The last two have none: it is heard and found all the same.
    found = pitch.pitch_hz(partials_of(110.0, partials, decay), 22_050)
    assert abs(1200 * np.log2(found / 110.0)) < 1.0


@pytest.mark.parametrize("cents", [-300.0, -50.0, 10.0, 100.0, 700.0])
def test_a_known_shift_of_pitch_is_measured(cents):
    ratio = 2 ** (cents / 1200)
    for wave in (
        lambda r: synth.tone(220.0 * r, 22_050),
        lambda r: partials_of(110.0 * r, (1, 2, 3, 4), 12.0),
        lambda r: partials_of(110.0 * r, (3, 4, 5, 6), 12.0),
    ):
        error = pitch.pitch_error_cents(wave(1.0), wave(ratio), 22_050)
        assert abs(error - abs(cents)) < 2.0


@pytest.mark.parametrize("cents", [-200.0, 30.0, 400.0])
def test_a_shift_of_a_kick_is_measured_whatever_its_decay(cents):
    original = gliding_kick(1.0, 12.0)
    for decay in (6.0, 12.0, 16.0):
        error = pitch.pitch_error_cents(original, gliding_kick(2 ** (cents / 1200), decay), 44_100)
        assert abs(error - abs(cents)) < 5.0 + 0.05 * abs(cents)
    assert pitch.pitch_error_cents(original, original, 44_100) == 0.0


def test_noise_and_silence_have_no_pitch(rng):
    for _ in range(5):
        noise = rng.standard_normal(11_025).astype(np.float32)
        for wave in (noise, synth.snare(22_050, rng), synth.hat(22_050, rng), 0 * noise):
            assert math.isnan(pitch.pitch_hz(wave, 22_050))
            assert math.isnan(pitch.pitch_error_cents(wave, synth.tone(440, 22_050), 22_050))
        assert pitch.pitch_error_cents(synth.tone(440, 22_050, 0.5), noise, 22_050) == math.inf


def test_a_noisy_tone_is_off_by_little_and_has_not_lost_its_pitch(rng):
    tone = synth.tone(220, 22_050)
    noisy = tone + 0.2 * rng.standard_normal(len(tone)).astype(np.float32)
    assert pitch.pitch_error_cents(tone, noisy, 22_050) < 10.0


def test_pitch_error_of_what_is_not_there():
    tone = synth.tone(440, 22_050, 0.3)
    for other in (np.zeros_like(tone), tone[:500], np.full_like(tone, np.nan)):
        assert pitch.pitch_error_cents(tone, other, 22_050) == math.inf


def partials_of(hz, partials, decay, sample_rate=22_050):
    t = np.arange(round(0.4 * sample_rate)) / sample_rate
    wave = sum(np.sin(2 * np.pi * hz * k * t + k) for k in partials)
    return (0.2 * wave * np.exp(-decay * t)).astype(np.float32)


def gliding_kick(ratio, decay, sample_rate=44_100):
    """From 200 Hz to 50 Hz, times the ratio."""
    t = np.arange(round(0.4 * sample_rate)) / sample_rate
    phase = 2 * np.pi * ratio * (50 * t - 150 / 30 * (np.exp(-30 * t) - 1))
    return (0.9 * np.sin(phase) * np.exp(-t * decay)).astype(np.float32)
