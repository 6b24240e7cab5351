import jax
import librosa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sst.config import AudioConfig
from sst.dsp import features
from sst.errors import UsageError
from tests import synth

AUDIOS = [AudioConfig(), AudioConfig.at_rate(44_100), AudioConfig.at_rate(16_000)]


@pytest.mark.parametrize("audio", AUDIOS, ids=lambda a: str(a.sample_rate))
def test_mel_basis_is_librosas(audio):
    expected = librosa.filters.mel(sr=audio.sample_rate, n_fft=audio.n_fft, n_mels=audio.n_mels)
    np.testing.assert_allclose(features.mel_basis(audio), expected, atol=1e-7)


NARROW = AudioConfig(n_fft=64, hop=32, n_mels=32)  # bands without a single frequency


@pytest.mark.parametrize("audio", [*AUDIOS, NARROW], ids=lambda a: f"{a.sample_rate}-{a.n_fft}")
def test_groups_of_bands_are_the_whole_basis(audio):
    whole = np.zeros((audio.n_fft // 2 + 1, audio.n_mels), np.float32)
    column = 0
    for bins, part in features._mel_parts(audio):
        whole[bins, column : column + part.shape[1]] = part
        column += part.shape[1]
    np.testing.assert_array_equal(whole.T, features.mel_basis(audio))


@pytest.mark.parametrize("n", [1024, 1300, 3000, 44_100])
def test_log_mel_is_librosas(n, rng):
    audio = AudioConfig()
    wave = rng.standard_normal(n).astype(np.float32)
    power = librosa.feature.melspectrogram(
        y=wave, sr=22_050, n_fft=1024, hop_length=256, n_mels=128, pad_mode="constant"
    )
    ours = features.log_mel(wave, audio)
    assert ours.shape == (audio.frames_of(n), 128)
    np.testing.assert_allclose(ours, librosa.power_to_db(power, ref=np.max, top_db=80).T, atol=1e-3)


@pytest.mark.parametrize("audio", AUDIOS, ids=lambda a: str(a.sample_rate))
def test_jax_twin_agrees(audio, rng):
    wave = synth.kick(audio.sample_rate, rng)
    both = jax.jit(features.log_mel_jax, static_argnums=1)(np.stack([wave, 0 * wave]), audio)
    np.testing.assert_allclose(both[0], features.log_mel(wave, audio), atol=2e-2)
    np.testing.assert_allclose(both[1], audio.floor_db, atol=1e-4)


@pytest.mark.parametrize("n", [1, 100, 256, 5000])
def test_istft_inverts_stft(n, rng):
    audio, wave = AudioConfig(), rng.standard_normal((2, n)).astype(np.float32)
    spectrum = features.stft(wave, audio)
    assert spectrum.shape == (2, audio.frames_of(n), 513)
    np.testing.assert_allclose(features.istft(spectrum, audio, n), wave, atol=1e-5)


@given(gain=st.floats(1e-4, 1e4))
def test_log_mel_ignores_level(gain):
    wave = synth.chirp(100, 5000, 22_050, 0.2)
    one, other = (features.log_mel(w, AudioConfig()) for w in (wave, np.float32(gain) * wave))
    np.testing.assert_allclose(one, other, atol=1e-2)


def test_silence_is_the_floor_and_nothing_is_nan():
    audio = AudioConfig()
    np.testing.assert_array_equal(features.log_mel(np.zeros(999, np.float32), audio), -80.0)
    assert np.isfinite(features.log_mel(np.full(999, 1e-30, np.float32), audio)).all()


@pytest.mark.parametrize("hz", [110.0, 1000.0, 6000.0])
def test_a_tone_is_loudest_in_its_own_band(hz):
    audio = AudioConfig()
    log_mel = features.log_mel(synth.tone(hz, 22_050), audio)
    edges = features.band_edges(audio)
    band = int(np.argmax(log_mel[40]))
    assert edges[band] < hz < edges[band + 2]


@pytest.mark.parametrize("n", [1, 255, 256])
def test_a_clip_shorter_than_a_window_is_padded_with_silence(n, rng):
    audio, wave = AudioConfig(), rng.standard_normal(n).astype(np.float32)
    longer = features.log_mel(np.pad(wave, (0, 2048)), audio)
    np.testing.assert_allclose(
        features.log_mel(wave, audio), longer[: audio.frames_of(n)], atol=1e-3
    )


@given(
    power=st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=40),
    floor_db=st.floats(-120.0, -20.0),
)
def test_db_round_trip(power, floor_db):
    mel = np.array([power])
    relative = 10.0 ** (features.to_db(mel, floor_db).astype(np.float64) / 10.0)
    expected = np.maximum(mel / mel.max(), 10.0 ** (floor_db / 10.0))
    np.testing.assert_allclose(relative, expected, rtol=1e-4)


@pytest.mark.parametrize("audio", AUDIOS, ids=lambda a: str(a.sample_rate))
def test_attack_of_a_click_is_one_window_wide(audio):
    wave = np.zeros(audio.sample_rate, np.float32)
    wave[10 * audio.attack_hop] = 0.3
    attack = features.attack(wave, audio)
    assert attack.shape == (features.ATTACK_POINTS,)
    # All of it at the top of one window, whose values average to 1.
    expected = 10 * np.log10(0.3**2 / audio.attack_hop)
    np.testing.assert_allclose(attack[10], expected, atol=1e-3)
    np.testing.assert_allclose(np.delete(attack, 10), features.ATTACK_FLOOR_DB, atol=1e-4)


def test_attack_follows_the_envelope():
    audio = AudioConfig()
    t = np.arange(audio.sample_rate) / audio.sample_rate
    ramp = np.minimum(t / 0.03, 1.0) * np.random.default_rng(0).standard_normal(len(t))
    attack = features.attack(ramp.astype(np.float32), audio)
    # Amplitude doubles from 10 ms to 20 ms: 6 dB, give or take the noise.
    at = [round(s * audio.sample_rate / audio.attack_hop) for s in (0.010, 0.020)]
    rise = [attack[i - 2 : i + 3].mean() for i in at]
    assert rise[1] - rise[0] == pytest.approx(6.0, abs=1.5)


@pytest.mark.parametrize("n", [1, 100, 3000])
def test_attack_of_short_and_silent_sounds_is_defined(n):
    audio = AudioConfig()
    assert np.isfinite(features.attack(np.ones(n, np.float32), audio)).all()
    silent = features.attack(np.zeros(n, np.float32), audio)
    np.testing.assert_allclose(silent, features.ATTACK_FLOOR_DB, atol=1e-4)


def test_attack_power_is_the_twin_of_attack(rng):
    audio = AudioConfig()
    wave = np.stack([synth.kick(22_050, rng)[:6000], synth.snare(22_050, rng)[:6000]])
    power = np.asarray(jax.jit(features.attack_power_jax, static_argnums=1)(wave, audio))
    for row, one in zip(power, wave, strict=True):
        np.testing.assert_allclose(row, features.attack_power(one, audio), rtol=1e-4, atol=1e-7)


def test_attack_of_a_sine_is_its_power():
    audio = AudioConfig()
    wave = 2 * synth.tone(2000.0, 22_050)  # peak 1: half of full power
    np.testing.assert_allclose(features.attack(wave, audio)[1:], -3.01, atol=0.2)


@pytest.mark.parametrize("rate", [1, 3_999, 192_001])
def test_a_rate_that_no_transform_has_is_named_whatever_follows_from_it(rate):
    with pytest.raises(UsageError, match=f"^audio.sample_rate={rate} should be 4000 to 192000 Hz"):
        AudioConfig.at_rate(rate)
