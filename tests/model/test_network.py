import ctypes
import dataclasses
import mmap
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from sst.config import AudioConfig, ModelConfig
from sst.model import companding, frames, network, pca
from tests import small_model

CONFIG, MODEL = small_model.CONFIG, small_model.MODEL


@pytest.fixture(scope="module")
def fresh():
    stats = pca.data_stats(small_model.clips(60), CONFIG)
    return MODEL.init(jax.random.key(0), CONFIG, stats), stats


def test_training_starts_at_the_principal_components(fresh):
    params, stats = fresh
    batch = small_model.batch(60)
    mean, _ = MODEL.encode(params, stats, batch, CONFIG)
    np.testing.assert_allclose(np.mean(np.asarray(mean), 0), 0.0, atol=1e-3)
    # The sounds and their variations, which it is trained on, have a spread of 1.
    every = small_model.with_variations(small_model.clips(60))
    means = [MODEL.encode(params, stats, each, CONFIG)[0] for each in every]
    np.testing.assert_allclose(np.sqrt(np.mean(np.square(means), (0, 1))), 1.0, rtol=1e-2)
    cells = np.asarray(network.decode_cells(params, stats, mean, CONFIG)[0]).reshape(60, -1)
    rows = np.asarray(companding.compand(batch.log_mel, CONFIG)).reshape(60, -1)
    u, s, vt = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    best = (u[:, :8] * s[:8]) @ vt[:8] + rows.mean(0)
    # Level, length and attack take a share of the same components, variations another.
    left = np.square(cells - rows).sum() / np.square(rows - rows.mean(0)).sum()
    assert left < 0.02 + np.square(best - rows).sum() / np.square(rows - rows.mean(0)).sum()


def test_decoded_sounds_end_where_they_should(fresh):
    params, stats = fresh
    batch = small_model.batch(30)
    mean, _ = MODEL.encode(params, stats, batch, CONFIG)
    sound = MODEL.decode(params, stats, mean, CONFIG)
    np.testing.assert_allclose(sound.n_frames, batch.n_frames, atol=6)
    np.testing.assert_allclose(sound.peak_db, batch.peak_db, atol=3.0)
    after = jnp.arange(CONFIG.audio.n_frames) >= sound.n_frames[:, None]
    assert bool(jnp.all(sound.log_mel[after] == CONFIG.audio.floor_db))
    assert float(sound.log_mel.max()) <= 0.0


def test_search_vectors_are_the_start_of_the_whole_latent():
    config = dataclasses.replace(
        CONFIG, model=ModelConfig(latent_dim=8, width=16, encoder_blocks=1, search_dim=3)
    )
    stats = pca.data_stats(small_model.clips(20), config)
    params = jax.tree.map(lambda x: x + 0.02, MODEL.init(jax.random.key(0), config, stats))
    batch = small_model.batch(6)._replace(peak_db=jnp.full(6, stats["aux_mean"][1]))
    z, logvar = MODEL.encode(params, stats, batch, config)
    assert z.shape == logvar.shape == (6, 8)
    start = z[:, :3] * np.sqrt(stats["component_std"][:3])
    expected = start / jnp.linalg.norm(start, axis=1, keepdims=True)
    embed = jax.jit(network.embed, static_argnames="config")
    np.testing.assert_allclose(embed(params, stats, batch, config)[:, 3:], expected, atol=1e-5)


@pytest.mark.slow
def test_other_sizes_have_a_place():
    config = dataclasses.replace(
        CONFIG, model=ModelConfig(latent_dim=16, width=16, fold=3, encoder_blocks=1)
    )
    stats = pca.data_stats(small_model.clips(20), config)
    params = MODEL.init(jax.random.key(0), config, stats)
    z = jnp.zeros((2, 16))
    shape = (2, config.audio.n_frames, config.audio.n_mels)
    assert MODEL.decode(params, stats, z, config).log_mel.shape == shape


def test_search_spans_are_single_frames_at_the_onset_and_longer_later():
    spans = frames.span_weights(173)
    np.testing.assert_allclose(spans.sum(axis=1), 1.0, rtol=1e-5)
    steps = np.diff(spans @ np.arange(173.0))  # between the middles of the spans
    np.testing.assert_allclose(steps[:3], 1.0, atol=0.05)
    assert (steps > 0.99).all() and 15.0 < steps[-1] == steps.max()
    # Every frame counts once: weighted by their lengths the spans are the whole.
    edges = np.arange(33) + 141 * (np.arange(33) / 32) ** 4
    np.testing.assert_allclose(np.diff(edges) @ spans, 1.0, rtol=1e-4)
    np.testing.assert_allclose(frames.span_weights(20), np.eye(20), atol=1e-5)


@pytest.mark.slow
def test_search_embeds_clips_of_any_size():
    short = AudioConfig(sample_rate=8_000, clip_seconds=0.05, n_fft=64, hop=32, n_mels=8)
    config = dataclasses.replace(CONFIG, audio=short)
    shape = (20, short.n_frames, short.n_mels)
    cells = np.random.default_rng(0).uniform(short.floor_db, 0.0, shape).astype(np.float32)
    batch = small_model.batch(20)._replace(log_mel=cells, n_frames=np.full(20, short.n_frames))
    stats = pca.data_stats(batch, config)
    params = MODEL.init(jax.random.key(0), config, stats)
    direction = network.search_vectors(params, stats, batch, config)
    np.testing.assert_allclose(jnp.linalg.norm(direction, axis=-1), 1.0, rtol=1e-5)


def before_a_guard_page(values: np.ndarray) -> np.ndarray:
    """A copy whose last byte is the last one that may be read."""
    page = mmap.PAGESIZE
    pages = -(-values.nbytes // page)
    memory = mmap.mmap(-1, (pages + 1) * page)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mprotect(ctypes.c_void_p(start + pages * page), page, 0) == 0
    flat = np.frombuffer(memory, values.dtype, values.size, pages * page - values.nbytes)
    flat[:] = values.ravel()
    return flat.reshape(values.shape)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mprotect")
def test_encoding_reads_nothing_beyond_its_input(fresh):
    # 64 x 63 x 40 floats are a multiple of 64 bytes from the page's start: used without a copy.
    params, stats = fresh
    batch = small_model.batch(64)
    assert CONFIG.audio.n_frames % CONFIG.model.fold != 0
    guarded = batch._replace(log_mel=before_a_guard_page(batch.log_mel))
    mean, _ = MODEL.encode(params, stats, guarded, CONFIG)  # a wrong load ends the process
    expected, _ = MODEL.encode(params, stats, batch, CONFIG)
    np.testing.assert_allclose(mean, expected, atol=1e-5)
    embed = jax.jit(network.embed, static_argnames="config")
    vectors = (embed(params, stats, inputs, CONFIG) for inputs in (guarded, batch))
    np.testing.assert_allclose(*vectors, atol=1e-5)


@pytest.mark.parametrize("size", [(32, 160), (32, 40), (7, 9), (1, 1)])
@pytest.mark.parametrize("window, steps", [((3, 9), (1, 4)), ((3, 3), (2, 2)), ((2, 5), (3, 1))])
def test_convolutions_are_those_of_linen(size, window, steps):
    x = jax.random.normal(jax.random.key(0), (2, *size, 3))
    theirs = nn.Conv(5, window, steps)
    variables = theirs.init(jax.random.key(1), x)
    ours = network._Convolution(5, window, steps)
    np.testing.assert_allclose(ours.apply(variables, x), theirs.apply(variables, x), atol=1e-5)
    assert jax.tree.map(jnp.shape, ours.init(jax.random.key(1), x)) == jax.tree.map(
        jnp.shape, variables
    )
