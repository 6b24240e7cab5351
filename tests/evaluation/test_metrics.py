import math

import numpy as np
import pytest

from sst.evaluation import metrics
from tests import synth


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
