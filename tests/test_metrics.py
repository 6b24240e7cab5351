import numpy as np
import pytest
import synth

from sst import metrics


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
