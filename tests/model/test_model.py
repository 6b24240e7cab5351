import ctypes
import dataclasses
import mmap
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small_model
from flax import linen as nn

from sst.config import AudioConfig, ModelConfig
from sst.model import augment, companding, model

CONFIG = small_model.CONFIG


@pytest.fixture(scope="module")
def fresh():
    stats = model.data_stats(small_model.clips(60), CONFIG)
    return small_model.init(jax.random.key(0), CONFIG, stats), stats


def test_training_starts_at_the_principal_components(fresh):
    params, stats = fresh
    batch = small_model.batch(60)
    mean, _ = small_model.encode(params, stats, batch, CONFIG)
    np.testing.assert_allclose(np.mean(np.asarray(mean), 0), 0.0, atol=1e-3)
    # The sounds and their variations, which it is trained on, have a spread of 1.
    every = small_model.with_variations(small_model.clips(60))
    means = [small_model.encode(params, stats, each, CONFIG)[0] for each in every]
    np.testing.assert_allclose(np.sqrt(np.mean(np.square(means), (0, 1))), 1.0, rtol=1e-2)
    cells = np.asarray(model._decode_raw(params, stats, mean, CONFIG)[0]).reshape(60, -1)
    rows = np.asarray(companding.compand(batch.log_mel, CONFIG)).reshape(60, -1)
    u, s, vt = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    best = (u[:, :8] * s[:8]) @ vt[:8] + rows.mean(0)
    # Level, length and attack take a share of the same components, variations another.
    left = np.square(cells - rows).sum() / np.square(rows - rows.mean(0)).sum()
    assert left < 0.02 + np.square(best - rows).sum() / np.square(rows - rows.mean(0)).sum()


def test_decoded_sounds_end_where_they_should(fresh):
    params, stats = fresh
    batch = small_model.batch(30)
    mean, _ = small_model.encode(params, stats, batch, CONFIG)
    sound = small_model.decode(params, stats, mean, CONFIG)
    np.testing.assert_allclose(sound.n_frames, batch.n_frames, atol=6)
    np.testing.assert_allclose(sound.peak_db, batch.peak_db, atol=3.0)
    after = jnp.arange(CONFIG.audio.n_frames) >= sound.n_frames[:, None]
    assert bool(jnp.all(sound.log_mel[after] == CONFIG.audio.floor_db))
    assert float(sound.log_mel.max()) <= 0.0


def test_one_batch_overfits(fresh):
    params, stats = fresh
    batch = small_model.batch(8)
    tx = optax.adam(3e-3)

    @jax.jit
    def step(params, opt_state):
        def loss_of(p):
            loss, terms = small_model.objective(p, stats, batch, None, CONFIG)
            return loss.mean(), terms["recon"].mean()

        (_, recon), gradient = jax.value_and_grad(loss_of, has_aux=True)(params)
        updates, opt_state = tx.update(gradient, opt_state)
        return optax.apply_updates(params, updates), opt_state, recon

    opt_state, first = tx.init(params), None
    for _ in range(200):
        params, opt_state, recon = step(params, opt_state)
        first = recon if first is None else first
    assert float(recon) < 0.35 * float(first)


def test_objective_has_one_value_per_example_and_fixed_noise(fresh):
    params, stats = fresh
    batch, key = small_model.batch(5), jax.random.key(3)
    loss, terms = small_model.objective(params, stats, batch, key, CONFIG)
    again, _ = small_model.objective(params, stats, batch, key, CONFIG)
    assert loss.shape == (5,) and all(term.shape == (5,) for term in terms.values())
    np.testing.assert_array_equal(loss, again)
    other, _ = small_model.objective(params, stats, batch, jax.random.key(4), CONFIG)
    assert not np.allclose(loss, other)


def test_padding_after_the_tail_does_not_count(fresh, monkeypatch):
    params, stats = fresh
    batch = small_model.batch(3)
    mean, _ = small_model.encode(params, stats, batch, CONFIG)
    far = np.arange(CONFIG.audio.n_frames) >= np.asarray(batch.n_frames)[:, None] + 8
    changed = np.where(far[..., None], -20.0, batch.log_mel)
    monkeypatch.setattr(model, "encode", lambda *_: (mean, jnp.zeros_like(mean)))
    objective = jax.jit(model.objective, static_argnames="config")
    _, one = objective(params, stats, batch, None, CONFIG)
    _, two = objective(params, stats, batch._replace(log_mel=changed), None, CONFIG)
    for name in ("recon", "delta", "tail", "recon_db"):
        np.testing.assert_allclose(one[name], two[name], atol=1e-4, err_msg=name)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_fewer_clips_than_latents(n):
    stats = model.data_stats(small_model.clips(n), CONFIG)
    params = small_model.init(jax.random.key(0), CONFIG, stats)
    loss, _ = small_model.objective(params, stats, small_model.batch(n), jax.random.key(1), CONFIG)
    assert np.isfinite(loss).all()


def test_search_vectors_are_the_start_of_the_whole_latent():
    config = dataclasses.replace(
        CONFIG, model=ModelConfig(latent_dim=8, width=16, encoder_blocks=1, search_dim=3)
    )
    stats = model.data_stats(small_model.clips(20), config)
    params = jax.tree.map(lambda x: x + 0.02, small_model.init(jax.random.key(0), config, stats))
    batch = small_model.batch(6)._replace(peak_db=jnp.full(6, stats["aux_mean"][1]))
    z, logvar = small_model.encode(params, stats, batch, config)
    assert z.shape == logvar.shape == (6, 8)
    start = z[:, :3] * np.sqrt(stats["spread"][:3])
    wanted = start / jnp.linalg.norm(start, axis=1, keepdims=True)
    embed = jax.jit(model.embed, static_argnames="config")
    np.testing.assert_allclose(embed(params, stats, batch, config)[:, 3:], wanted, atol=1e-5)


def test_other_sizes_have_a_place():
    config = dataclasses.replace(
        CONFIG, model=ModelConfig(latent_dim=16, width=16, fold=3, encoder_blocks=1)
    )
    stats = model.data_stats(small_model.clips(20), config)
    params = small_model.init(jax.random.key(0), config, stats)
    z = jnp.zeros((2, 16))
    shape = (2, config.audio.n_frames, config.audio.n_mels)
    assert small_model.decode(params, stats, z, config).log_mel.shape == shape


def test_the_search_hears_the_onset_frame_by_frame_and_the_rest_in_longer_spans():
    spans = model._spans(173)
    np.testing.assert_allclose(spans.sum(axis=1), 1.0, rtol=1e-5)
    steps = np.diff(spans @ np.arange(173.0))  # between the middles of the spans
    np.testing.assert_allclose(steps[:3], 1.0, atol=0.05)
    assert (steps > 0.99).all() and 15.0 < steps[-1] == steps.max()
    # Every frame counts once: weighted by their lengths the spans are the whole.
    edges = np.arange(33) + 141 * (np.arange(33) / 32) ** 4
    np.testing.assert_allclose(np.diff(edges) @ spans, 1.0, rtol=1e-4)
    np.testing.assert_allclose(model._spans(20), np.eye(20), atol=1e-5)


def test_the_search_hears_clips_of_any_size():
    short = AudioConfig(sample_rate=8_000, clip_seconds=0.05, n_fft=64, hop=32, n_mels=8)
    config = dataclasses.replace(CONFIG, audio=short)
    shape = (20, short.n_frames, short.n_mels)
    cells = np.random.default_rng(0).uniform(short.floor_db, 0.0, shape).astype(np.float32)
    batch = small_model.batch(20)._replace(log_mel=cells, n_frames=np.full(20, short.n_frames))
    stats = model.data_stats(batch, config)
    params = small_model.init(jax.random.key(0), config, stats)
    direction = model._search_direction(params, stats, batch, config)
    np.testing.assert_allclose(jnp.linalg.norm(direction, axis=-1), 1.0, rtol=1e-5)


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
    top = int(augment.LOWEST_CUT * audio.n_mels)
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


def test_the_slope_of_the_clip_leads_inside_and_never_outside():
    cells = jnp.array([-1.25, -1.25, -0.5, 0.5, 0.5])
    slope = jnp.array([1.0, -1.0, 1.0, 1.0, -1.0])
    clipped, back = jax.vjp(model._clip, cells)
    np.testing.assert_array_equal(clipped, [-1.0, -1.0, -0.5, 0.0, 0.0])
    # Descent goes against the gradient: below the floor only a negative one leads back.
    np.testing.assert_array_equal(back(slope)[0], [0.0, -1.0, 1.0, 1.0, 0.0])


def test_the_attack_counts_up_to_its_peak():
    attack = jnp.array([[-60.0, -10.0, 0.0, -3.0, -0.5, -20.0]])
    little = model.AFTER_ATTACK
    np.testing.assert_allclose(model._attack_weights(attack), [[1, 1, 1, 1, little, little]])


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
    mean, _ = small_model.encode(params, stats, guarded, CONFIG)  # a wrong load ends the process
    expected, _ = small_model.encode(params, stats, batch, CONFIG)
    np.testing.assert_allclose(mean, expected, atol=1e-5)
    embed = jax.jit(model.embed, static_argnames="config")
    vectors = (embed(params, stats, heard, CONFIG) for heard in (guarded, batch))
    np.testing.assert_allclose(*vectors, atol=1e-5)


@pytest.mark.parametrize("size", [(32, 160), (32, 40), (7, 9), (1, 1)])
@pytest.mark.parametrize("window, steps", [((3, 9), (1, 4)), ((3, 3), (2, 2)), ((2, 5), (3, 1))])
def test_convolutions_are_those_of_linen(size, window, steps):
    x = jax.random.normal(jax.random.key(0), (2, *size, 3))
    theirs = nn.Conv(5, window, steps)
    variables = theirs.init(jax.random.key(1), x)
    ours = model._Convolution(5, window, steps)
    np.testing.assert_allclose(ours.apply(variables, x), theirs.apply(variables, x), atol=1e-5)
    assert jax.tree.map(jnp.shape, ours.init(jax.random.key(1), x)) == jax.tree.map(
        jnp.shape, variables
    )
