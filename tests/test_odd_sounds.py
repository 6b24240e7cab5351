"""What a library holds besides sounds as one expects them: each is encoded, decoded, trained on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sst import inference
from sst.audio.clip import canonical
from sst.audio.reader import BadAudio
from sst.dsp import features
from sst.errors import UsageError
from sst.model import objective
from sst.model.network import Decoded
from sst.model.pca import LOWEST_PEAK_DB
from sst.types import Batch
from tests import small_model, synth

CONFIG = small_model.CONFIG
RATE = CONFIG.audio.sample_rate
FRAME = CONFIG.audio.n_fft


def kick(rate: int = RATE) -> np.ndarray:
    return synth.kick(rate, np.random.default_rng(0))


ODD = {
    "one sample": (np.ones(1, np.float32), RATE),
    "shorter than a frame": (kick()[: FRAME // 3], RATE),
    "silent": (np.zeros(RATE, np.float32), RATE),
    "clipped": (np.clip(50.0 * kick(), -1.0, 1.0), RATE),
    "with DC": (0.5 * kick() + 0.4, RATE),
    "DC alone": (np.full(RATE, 0.5, np.float32), RATE),
    "at 8 kHz": (kick(8000), 8000),
    "of 8 channels": (np.repeat(kick()[:, None], 8, axis=1), RATE),
    "of channels that cancel": (np.stack([kick(), -kick()], axis=1), RATE),
    "far too loud": (1e6 * kick(), RATE),
    "hardly there": (1e-4 * kick(), RATE),
}


@pytest.fixture(scope="module")
def model():
    return small_model.untrained()


@pytest.mark.parametrize("name", ODD)
def test_it_is_encoded_and_decoded(model, name):
    wave, rate = ODD[name]
    z = inference.encode(model, wave, rate)
    assert z.shape == (CONFIG.model.latent_dim,) and np.isfinite(z).all()
    vector = inference.embed(model, wave, rate)
    assert np.linalg.norm(vector) == pytest.approx(1.0, rel=1e-4)
    back = inference.decode(model, z)
    assert back.ndim == 1 and 1 <= len(back) <= CONFIG.audio.clip_samples
    assert np.isfinite(back).all()


@pytest.mark.slow
def test_it_is_trained_on(model):
    clips = [canonical(wave, rate, CONFIG.audio) for wave, rate in ODD.values()]
    inputs, n = features.of_clips(clips, CONFIG.audio), len(clips)
    inputs = inputs._replace(peak_db=np.maximum(inputs.peak_db, -200.0))  # as no record is silent
    batch = Batch(*inputs, np.full(n, -1, np.int32), np.ones(n, bool))

    @jax.jit
    def loss_of(params):
        key = jax.random.key(0)
        loss, terms = objective.objective(params, model.stats, batch, key, CONFIG, train=True)
        return loss.sum(), (loss, terms)

    slope, (loss, terms) = jax.grad(loss_of, has_aux=True)(model.params)
    assert np.isfinite(loss).all() and all(np.isfinite(term).all() for term in terms.values())
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(slope))


def test_of_three_hours_the_first_clip_is_heard(model):
    start = kick()
    long = np.zeros((3 * 3600 * RATE, 1), np.float32)
    long[: len(start), 0] = start
    long[-RATE:] = 1e-3  # what comes later changes nothing
    z = inference.encode(model, long, RATE)
    np.testing.assert_allclose(z, inference.encode(model, start, RATE), atol=0.05)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(model, bad):
    wave = kick().copy()
    wave[7] = bad
    with pytest.raises(UsageError, match="not finite"):
        inference.encode(model, wave, RATE)
    with pytest.raises(BadAudio, match="finite"):
        canonical(wave, RATE, CONFIG.audio)


def test_a_silent_sound_comes_back_silent(model):
    """Trained or not: a level at the bottom of the range is silence."""
    silent = Decoded(
        np.zeros((CONFIG.audio.n_frames, CONFIG.audio.n_mels), np.float32),
        np.int32(10),
        np.float32(LOWEST_PEAK_DB),
        np.zeros(features.ATTACK_POINTS, np.float32),
    )
    wave = inference.waveform(silent, CONFIG.audio)
    assert len(wave) and not wave.any()
