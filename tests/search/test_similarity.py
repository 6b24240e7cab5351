"""What distances mean: percentages and words against the distances that they were made from."""

import numpy as np
import pytest

from sst.search import similarity


@pytest.fixture
def vectors(rng):
    return rng.standard_normal((300, 8)).astype(np.float32)


def test_similarity_falls_from_100_to_0_and_halves_at_the_median(vectors):
    pairs = similarity.distance_quantiles(vectors).pairs
    share = similarity.similarity(np.linspace(0, 2 * pairs[-1], 200), pairs)
    assert (share[0], share[-1]) == (100, 0)
    assert (np.diff(share) <= 0).all()
    every = np.linalg.norm(vectors[:, None] - vectors, axis=-1)[np.triu_indices(300, 1)]
    assert similarity.similarity(np.quantile(every, [0.5, 0.1]), pairs) == pytest.approx(
        [50, 90], abs=1.5
    )


def test_similarity_without_two_different_sounds():
    alone = similarity.distance_quantiles(np.ones((1, 8), np.float32))
    share = similarity.similarity(np.array([0.0, 1.0]), alone.pairs)
    np.testing.assert_allclose(share, [100, 50])
    words = similarity.bands(np.array([0.0, 0.6, 0.9, 2.0]), alone.nearest)
    assert words == ["close", "close", "related", "weak"]


def test_bands_come_from_the_distances_to_the_nearest_sound(vectors):
    # Brought so near to each other that the limits of few sounds play no part.
    vectors = 0.2 * vectors
    nearest = similarity.distance_quantiles(vectors).nearest
    every = np.linalg.norm(vectors[:, None] - vectors, axis=-1)
    np.fill_diagonal(every, np.inf)
    own = np.sort(every.min(axis=1))
    assert own[100] > similarity.COPY_REACH
    middle, most = similarity.bands(own[[100, 250]], nearest)
    assert (middle, most) == ("close", "related")
    assert similarity.bands(1.01 * own[-1:], nearest) == ["weak"]


def test_a_few_sounds_with_nothing_in_common_are_no_measure():
    far = 50.0 * np.eye(3, dtype=np.float32)
    assert similarity.bands([60.0], similarity.distance_quantiles(far).nearest) == ["weak"]


def test_weights_measure_the_weighted_distances(vectors, rng):
    factors = rng.random(8).astype(np.float32)
    weighted = similarity.distance_quantiles(vectors, factors)
    plain = similarity.distance_quantiles(vectors * np.sqrt(factors))
    np.testing.assert_allclose(weighted.pairs, plain.pairs, rtol=1e-4)
    np.testing.assert_allclose(weighted.nearest, plain.nearest, rtol=1e-4)
