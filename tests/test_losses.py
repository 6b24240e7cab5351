import jax
import jax.numpy as jnp
import numpy as np

from sst import losses


def test_kl_matches_monte_carlo():
    mean, logvar = jnp.array([[0.5, -1.0]]), jnp.array([[0.2, -0.7]])
    noise = jax.random.normal(jax.random.key(0), (200_000, 2))
    z = mean + jnp.exp(0.5 * logvar) * noise
    log_q = jax.scipy.stats.norm.logpdf(z, mean, jnp.exp(0.5 * logvar))
    estimate = (log_q - jax.scipy.stats.norm.logpdf(z)).sum(-1).mean()
    np.testing.assert_allclose(losses.kl_to_standard_normal(mean, logvar), [estimate], rtol=2e-2)


def test_free_nats_leave_small_dimensions_alone():
    mean, logvar = jnp.array([[0.01, 2.0]]), jnp.zeros((1, 2))
    gradient = jax.grad(lambda m: losses.kl_to_standard_normal(m, logvar, 0.05).sum())(mean)
    np.testing.assert_allclose(gradient, [[0.0, 2.0]])


def test_weighted_l1_sees_only_frames_inside(rng):
    target = rng.standard_normal((2, 10, 4)).astype(np.float32)
    estimate = target.copy()
    estimate[:, 6:] += 1e6
    estimate[0, 2] += 3.0
    inside, _ = losses.frame_weights(jnp.array([6, 5]), 10, 2)
    np.testing.assert_allclose(
        losses.weighted_l1(target, estimate, inside), [3.0 / 6, 0.0], atol=1e-6
    )


def test_frame_weights_sum_to_one_or_none():
    inside, after = losses.frame_weights(jnp.array([1, 8, 10]), 10, 4)
    np.testing.assert_allclose(inside.sum(1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(after.sum(1), [1.0, 1.0, 0.0], rtol=1e-6)
    assert float(after[1, 7]) == 0.0 and float(after[1, 8]) == 0.5


def test_delta_l1_is_blind_to_an_offset_and_sees_an_edge():
    target = jnp.zeros((1, 8, 4))
    inside, _ = losses.frame_weights(jnp.array([8]), 8, 0)
    np.testing.assert_allclose(losses.delta_l1(target, target + 5.0, inside), 0.0, atol=1e-6)
    step = target.at[:, 4:].set(8.0)
    np.testing.assert_allclose(losses.delta_l1(target, step, inside), 8.0 / 8 / 2, rtol=1e-5)
