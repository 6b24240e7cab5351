import math

import numpy as np
import pytest

from sst.dsp import envelopes
from tests import synth


@pytest.mark.parametrize("sample_rate", [22_050, 44_100])
@pytest.mark.parametrize("rise_ms", [5.0, 20.0, 60.0])
def test_a_slower_attack_is_measured(rise_ms, sample_rate):
    # A straight rise passes from 5 to 50 % in 45 % of its time.
    tone = synth.tone(3000, sample_rate, 0.3)
    t_ms = 1000 * np.arange(len(tone)) / sample_rate
    slow = (tone * np.minimum(1.0, t_ms / rise_ms)).astype(np.float32)
    assert envelopes.attack_ms(slow, sample_rate) == pytest.approx(
        0.45 * rise_ms, rel=0.03, abs=0.3
    )
    error = envelopes.attack_error_ms(tone, slow, sample_rate)
    assert error == pytest.approx(0.45 * rise_ms, rel=0.03, abs=1.0)


@pytest.mark.parametrize("silence", [0, 100, 5000])
def test_a_sudden_attack_is_as_long_as_the_window_wherever_it_is(silence):
    wave = np.concatenate([np.zeros(silence, np.float32), synth.tone(3000, 44_100, 0.1)])
    assert 0.4 < envelopes.attack_ms(wave, 44_100) < 0.8
    assert envelopes.attack_error_ms(synth.tone(3000, 44_100, 0.1), wave, 44_100) < 0.1


@pytest.mark.parametrize("hz", [60.0, 200.0, 3000.0])
@pytest.mark.parametrize("ratio", [0.5, 1.5, 4.0])
def test_a_stretched_decay_is_measured(ratio, hz):
    t = np.arange(2 * 22_050) / 22_050
    short, long = (
        (np.sin(2 * np.pi * hz * t) * np.exp(-t * rate)).astype(np.float32)
        for rate in (10.0, 10.0 / ratio)
    )
    assert envelopes.decay_ms(short, 22_050) == pytest.approx(1000 * np.log(10) / 10, rel=0.05)
    error = envelopes.decay_error_octaves(short, long, 22_050)
    assert error == pytest.approx(abs(np.log2(ratio)), abs=0.08)


def test_what_stops_before_it_has_decayed_ends_where_it_stops():
    wave = np.pad(synth.tone(1000, 22_050, 0.25), (0, 22_050))
    wave[2205] = 0.51  # the peak, at 100 ms
    assert envelopes.decay_ms(wave, 22_050) < 260.0
    assert envelopes.decay_error_octaves(wave, wave[:5600], 22_050) < 0.1


def test_level_of_a_sine_of_full_scale_with_silence_around():
    sine = synth.tone(1000, 22_050, level=1.0)
    assert envelopes.level_db(np.pad(sine, 5000)) == pytest.approx(-3.01, abs=0.1)


def test_level_does_not_depend_on_the_decay(rng):
    t = np.arange(22_050) / 22_050
    noise = rng.standard_normal(len(t))
    levels = [envelopes.level_db((noise * np.exp(-t * r)).astype(np.float32)) for r in (5, 10, 20)]
    assert np.ptp(levels) < 1.0


@pytest.mark.parametrize("error", ["attack_error_ms", "decay_error_octaves", "level_error_db"])
def test_silence_does_not_apply_and_is_a_loss(error, rng):
    wave = synth.snare(22_050, rng)
    rate = () if error == "level_error_db" else (22_050,)
    measure = getattr(envelopes, error)
    assert math.isnan(measure(np.zeros_like(wave), wave, *rate))
    assert math.isnan(measure(np.zeros_like(wave), np.zeros_like(wave), *rate))
    assert measure(wave, np.zeros_like(wave), *rate) == math.inf
    assert measure(wave, np.full_like(wave, np.nan), *rate) == math.inf
