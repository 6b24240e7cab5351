import jax.numpy as jnp
import numpy as np
import pytest

from sst.config import AudioConfig
from sst.dsp import features, vocoder
from sst.evaluation import metrics
from tests import synth

TINY, FULL = AudioConfig(), AudioConfig.at_rate(44_100)


@pytest.mark.parametrize("audio", [TINY, FULL], ids=["22k", "44k"])
def test_pure_tones_come_back_within_five_cents(audio):
    tones = np.array([55.0, 61.7, 82.4, 110, 220, 333, 440, 880, 1760, 3520, 5000, 8000])
    waves = [synth.tone(hz, audio.sample_rate) for hz in tones]
    log_mels = jnp.stack([features.log_mel(w, audio) for w in waves])
    back = np.asarray(vocoder.invert(log_mels, audio, len(waves[0])))
    cents = [
        1200 * np.log2(synth.strongest_hz(w, audio.sample_rate) / hz)
        for w, hz in zip(back, tones, strict=True)
    ]
    np.testing.assert_allclose(cents, 0.0, atol=5.0)


def test_silence_stays_silent():
    log_mel = jnp.full((20, TINY.n_mels), TINY.floor_db)
    assert float(jnp.abs(vocoder.invert(log_mel, TINY, 4000)).max()) < 1e-5


def test_bands_finer_than_the_transform_leave_no_hole(rng):
    audio = AudioConfig(n_fft=512, hop=128, n_mels=200)
    assert not features.mel_basis(audio).any(axis=1).all()
    log_mel = features.log_mel(synth.snare(22_050, rng), audio)
    wave = np.asarray(vocoder.invert(jnp.asarray(log_mel), audio, 6000))
    assert np.isfinite(wave).all()
    assert np.abs(wave).max() > 0.01


def test_batch_equals_single(rng):
    log_mel = jnp.stack([features.log_mel(synth.snare(22_050, rng), TINY) for _ in range(2)])
    both = vocoder.invert(log_mel, TINY, 6000)
    assert both.shape == (2, 6000)
    np.testing.assert_allclose(both[1], vocoder.invert(log_mel[1], TINY, 6000), atol=1e-3)


@pytest.mark.parametrize("kind", ["kick", "snare", "hat"])
def test_drums_survive_their_own_features(kind, rng):
    wave = synth.KINDS[kind](22_050, rng)
    back = np.asarray(vocoder.invert(jnp.asarray(features.log_mel(wave, TINY)), TINY, len(wave)))
    assert metrics.log_mel_l1(wave, back, 22_050) < 2.5


@pytest.mark.parametrize("rise_ms", [0.5, 3.0, 12.0])
def test_the_attack_comes_back_where_frames_are_too_long_for_it(rise_ms, rng):
    rate, audio = FULL.sample_rate, FULL
    t = np.arange(rate // 2) / rate
    envelope = np.minimum(t / (rise_ms / 1e3), 1.0) * np.exp(-12 * t)
    wave = (envelope * rng.standard_normal(len(t))).astype(np.float32)
    wave /= np.abs(wave).max()
    log_mel, attack = features.log_mel(wave, audio), features.attack(wave, audio)
    back = np.asarray(vocoder.invert(log_mel, audio, len(wave), attack))
    blurred = np.asarray(vocoder.invert(log_mel, audio, len(wave)))
    shaped = features.attack(back / np.abs(back).max(), audio)
    attack, shaped = attack - attack.max(), shaped - shaped.max()
    rise = (attack < -3.0) & (attack > -50.0)
    rise[np.argmax(attack > -1.0) :] = False
    assert np.abs(shaped - attack)[rise].sum() / max(1, rise.sum()) < 1.5
    error = [metrics.attack_error_ms(wave, other, rate) for other in (back, blurred)]
    assert error[0] < max(0.35, 0.35 * error[1])
    # And what it costs in the spectrogram is little.
    cost = [metrics.log_mel_l1(wave, other, rate) for other in (back, blurred)]
    assert cost[0] < cost[1] + 0.3


def test_an_attack_of_silence_changes_nothing(rng):
    log_mel = features.log_mel(synth.kick(22_050, rng), TINY)
    flat = np.zeros(features.ATTACK_POINTS, np.float32)
    shaped = np.asarray(vocoder.invert(log_mel, TINY, 8000, flat))
    assert np.isfinite(shaped).all() and np.abs(shaped).max() > 1e-3
