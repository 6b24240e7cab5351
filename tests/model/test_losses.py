import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sst.model import losses


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


def naive_contrast(views, label):
    """The loss of Khosla et al. (2020), eq. 2, by loops, averaged over the views of each row."""
    rows = [(i, v, x) for v, view in enumerate(views) for i, x in enumerate(view)]
    values = np.zeros((len(views), len(label)))
    for a, (i, v, x) in enumerate(rows):
        others = [r for b, r in enumerate(rows) if b != a]
        total = sum(np.exp(x @ y / losses.TEMPERATURE) for _, _, y in others)
        same = [y for j, _, y in others if j == i or (label[j] == label[i] and label[i] >= 0)]
        values[v, i] = np.mean([np.log(total) - x @ y / losses.TEMPERATURE for y in same])
    return values.mean(axis=0)


def test_contrast_is_the_published_one(rng):
    views = rng.standard_normal((2, 6, 3))
    views /= np.linalg.norm(views, axis=-1, keepdims=True)
    label = np.array([0, 1, 0, -1, -1, 1])
    ours = losses.contrastive(list(views.astype(np.float32)), label, np.ones(6, bool))
    np.testing.assert_allclose(ours, naive_contrast(views, label), rtol=1e-4)


def test_rows_that_fill_a_batch_up_do_not_take_part(rng):
    views = rng.standard_normal((2, 6, 3)).astype(np.float32)
    views /= np.linalg.norm(views, axis=-1, keepdims=True)
    label, mask = np.array([0, 1, 0, -1, 0, 1]), np.arange(6) < 4
    ours = np.asarray(losses.contrastive(list(views), label, mask))
    np.testing.assert_allclose(ours[:4], naive_contrast(views[:, :4], label[:4]), atol=1e-5)
    np.testing.assert_array_equal(ours[4:], 0.0)


def test_one_view_without_labels_has_nothing_to_find(rng):
    view = rng.standard_normal((3, 4)).astype(np.float32)
    np.testing.assert_allclose(losses.contrastive([view], np.full(3, -1), np.ones(3, bool)), 0.0)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_class_cross_entropy_is_the_cross_entropy(rng, smoothing):
    direction, prototypes = (rng.standard_normal((n, 3)).astype(np.float32) for n in (5, 4))
    label = np.array([0, 3, -1, 2, -1], np.int32)
    target = optax.smooth_labels(jax.nn.one_hot(label, 4), smoothing)
    logits = direction @ prototypes.T / losses.TEMPERATURE
    expected = np.asarray(optax.softmax_cross_entropy(logits, target))
    ours = losses.class_cross_entropy(direction, prototypes, label, smoothing)
    np.testing.assert_allclose(ours, np.where(label >= 0, expected, 0.0), rtol=1e-4, atol=1e-5)
