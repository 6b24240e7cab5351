import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sst.model import network, objective, pca
from tests import small_model

CONFIG, MODEL = small_model.CONFIG, small_model.MODEL


@pytest.fixture(scope="module")
def fresh():
    stats = pca.data_stats(small_model.clips(60), CONFIG)
    return MODEL.init(jax.random.key(0), CONFIG, stats), stats


def test_one_batch_overfits(fresh):
    params, stats = fresh
    batch = small_model.batch(8)
    tx = optax.adam(3e-3)

    @jax.jit
    def step(params, opt_state):
        def loss_of(p):
            loss, terms = MODEL.objective(p, stats, batch, None, CONFIG)
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
    loss, terms = MODEL.objective(params, stats, batch, key, CONFIG)
    again, _ = MODEL.objective(params, stats, batch, key, CONFIG)
    assert loss.shape == (5,) and all(term.shape == (5,) for term in terms.values())
    np.testing.assert_array_equal(loss, again)
    other, _ = MODEL.objective(params, stats, batch, jax.random.key(4), CONFIG)
    assert not np.allclose(loss, other)


def test_padding_after_the_tail_does_not_count(fresh, monkeypatch):
    params, stats = fresh
    batch = small_model.batch(3)
    mean, _ = MODEL.encode(params, stats, batch, CONFIG)
    far = np.arange(CONFIG.audio.n_frames) >= np.asarray(batch.n_frames)[:, None] + 8
    changed = np.where(far[..., None], -20.0, batch.log_mel)
    monkeypatch.setattr(network, "encode", lambda *_: (mean, jnp.zeros_like(mean)))
    compiled = jax.jit(objective.objective, static_argnames="config")
    _, one = compiled(params, stats, batch, None, CONFIG)
    _, two = compiled(params, stats, batch._replace(log_mel=changed), None, CONFIG)
    for name in ("recon", "delta", "tail", "recon_db"):
        np.testing.assert_allclose(one[name], two[name], atol=1e-4, err_msg=name)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_fewer_clips_than_latents(n):
    stats = pca.data_stats(small_model.clips(n), CONFIG)
    params = MODEL.init(jax.random.key(0), CONFIG, stats)
    loss, _ = MODEL.objective(params, stats, small_model.batch(n), jax.random.key(1), CONFIG)
    assert np.isfinite(loss).all()


def test_the_slope_of_the_clip_leads_inside_and_never_outside():
    cells = jnp.array([-1.25, -1.25, -0.5, 0.5, 0.5])
    slope = jnp.array([1.0, -1.0, 1.0, 1.0, -1.0])
    clipped, back = jax.vjp(objective._clip, cells)
    np.testing.assert_array_equal(clipped, [-1.0, -1.0, -0.5, 0.0, 0.0])
    # Descent goes against the gradient: below the floor only a negative one leads back.
    np.testing.assert_array_equal(back(slope)[0], [0.0, -1.0, 1.0, 1.0, 0.0])


def test_the_attack_counts_up_to_its_peak():
    attack = jnp.array([[-60.0, -10.0, 0.0, -3.0, -0.5, -20.0]])
    little = objective.AFTER_ATTACK_WEIGHT
    np.testing.assert_allclose(objective.attack_weights(attack), [[1, 1, 1, 1, little, little]])
