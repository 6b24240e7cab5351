import jax
import numpy as np

from sst import prior


def test_samples_have_the_moments_of_the_data(rng):
    mixing = rng.standard_normal((4, 4))
    data = rng.standard_normal((4000, 4)) @ mixing + 3.0
    drawn = np.asarray(prior.sample(prior.fit(data, 4, 0), jax.random.key(0), 20_000))
    np.testing.assert_allclose(drawn.mean(0), data.mean(0), atol=0.1)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(data.T), atol=0.3)


def test_two_clusters_are_found_and_the_gap_stays_empty(rng):
    sides = rng.choice([-6.0, 6.0], (600, 1))
    fitted = prior.fit(sides * np.array([1.0, 0.0]) + 0.5 * rng.standard_normal((600, 2)), 8, 0)
    assert len(fitted["weights"]) >= 2
    drawn = np.asarray(prior.sample(fitted, jax.random.key(1), 2000))
    assert np.mean(np.abs(drawn[:, 0]) < 3.0) < 0.01


def test_one_cluster_stays_one(rng):
    assert len(prior.fit(rng.standard_normal((500, 8)), 8, 0)["weights"]) == 1


def test_fewer_clips_than_dimensions(rng):
    for n in (1, 2, 20):
        fitted = prior.fit(rng.standard_normal((n, 64)), 8, 0)
        assert np.isfinite(np.asarray(prior.sample(fitted, jax.random.key(0), 50))).all()


def test_temperature_zero_gives_the_centres(rng):
    fitted = prior.fit(rng.standard_normal((200, 3)), 1, 0)
    drawn = prior.sample(fitted, jax.random.key(0), 5, temperature=0.0)
    np.testing.assert_allclose(drawn, np.repeat(fitted["means"], 5, axis=0), atol=1e-6)
