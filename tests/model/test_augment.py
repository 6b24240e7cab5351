import jax
import jax.numpy as jnp
import numpy as np

from sst.model import augment
from tests import small_model

CONFIG = small_model.CONFIG


def test_variations_keep_the_meaning_of_levels():
    batch = small_model.batch(24)
    varied = augment.vary(batch, jax.random.key(0), CONFIG.audio)
    np.testing.assert_allclose(jnp.max(varied.log_mel, axis=(1, 2)), 0.0, atol=1e-4)
    assert float(varied.log_mel.min()) >= CONFIG.audio.floor_db - 1e-4  # rounding of log10
    after = jnp.arange(CONFIG.audio.n_frames) >= varied.n_frames[:, None]
    assert bool(jnp.all(varied.log_mel[after] == CONFIG.audio.floor_db))
    kept = jnp.all(varied.log_mel == batch.log_mel, axis=(1, 2))
    assert 4 <= int(kept.sum()) <= 20


def test_copies_lose_highs_and_what_is_quiet_and_nothing_else():
    batch, audio = small_model.batch(60), CONFIG.audio
    copies = augment.degrade(batch, jax.random.key(0), audio)
    np.testing.assert_allclose(jnp.max(copies.log_mel, axis=(1, 2)), 0.0, atol=1e-4)
    np.testing.assert_array_equal(copies.n_frames, batch.n_frames)
    kept = copies.log_mel > audio.floor_db
    assert not bool((kept & (batch.log_mel <= audio.floor_db)).any())  # nothing comes from nowhere
    same = jnp.all(copies.log_mel == batch.log_mel, axis=(1, 2))
    assert 1 <= int(same.sum()) <= 20  # an eighth
    top = int(augment.MIN_BANDWIDTH_SHARE * audio.n_mels)
    highs = [
        np.asarray(x > audio.floor_db)[:, :, top:].sum(axis=(1, 2))
        for x in (copies.log_mel, batch.log_mel)
    ]
    assert (highs[0] < highs[1]).mean() > 0.5
    silence = batch._replace(log_mel=jnp.full_like(batch.log_mel, audio.floor_db))
    np.testing.assert_array_equal(
        augment.degrade(silence, jax.random.key(0), audio).log_mel, audio.floor_db
    )


def test_no_variation_is_the_identity():
    moved = augment._resample(small_model.batch(2).log_mel, jnp.ones(2), jnp.zeros(2), -80.0)
    np.testing.assert_allclose(moved, small_model.batch(2).log_mel, atol=1e-3)
