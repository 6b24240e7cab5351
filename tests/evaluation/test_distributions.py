import math

import numpy as np
import pytest

from sst.evaluation import distributions


@pytest.fixture
def real(rng):
    """Features of very different scale and some correlation."""
    return rng.standard_normal((200, 12)) @ rng.standard_normal((12, 12)) * np.logspace(-3, 3, 12)


def more(real, rng, n=200):
    """Sounds of the same distribution, as far as mean and covariance go."""
    return rng.multivariate_normal(real.mean(axis=0), np.cov(real.T), size=n)


def test_kernel_distance_against_a_naive_loop(rng):
    a, b = rng.standard_normal((6, 3)), 2 * rng.standard_normal((5, 3)) + 1
    x, y = (3 * np.tanh((s - b.mean(axis=0)) / b.std(axis=0) / 3) for s in (a, b))

    def mean(first, second, same):
        kernel = [
            (p @ q / 3 + 1) ** 3
            for i, p in enumerate(first)
            for j, q in enumerate(second)
            if not (same and i == j)
        ]
        return np.mean(kernel)

    expected = mean(x, x, True) + mean(y, y, True) - 2 * mean(x, y, False)
    assert distributions.kernel_distance(a, b) == pytest.approx(expected)


def test_kernel_distance_is_zero_on_average_for_one_distribution(rng):
    distances = [
        distributions.kernel_distance(rng.standard_normal((40, 8)), rng.standard_normal((40, 8)))
        for _ in range(200)
    ]
    assert abs(np.mean(distances)) < 4 * np.std(distances) / np.sqrt(200)


def test_kernel_distance_does_not_depend_on_scale_or_constant_features(rng, real):
    other = more(real, rng) + 1
    scaled = [np.column_stack([s * np.arange(1, 13) + 7, np.ones(len(s))]) for s in (other, real)]
    expected = distributions.kernel_distance(other, real)
    assert distributions.kernel_distance(*scaled) == pytest.approx(expected)


def test_ratio_is_near_one_for_the_same_distribution(rng):
    ratios = [
        distributions.kernel_distance_ratio(
            rng.standard_normal((100, 10)), rng.standard_normal((100, 10))
        )
        for _ in range(20)
    ]
    assert 0.9 < np.mean(ratios) < 1.1
    assert np.std(ratios) < 0.2


def test_ratio_grows_with_the_shift_and_with_the_variance(rng, real):
    draws, deviation = more(real, rng), real.std(axis=0)

    def ratio(sounds):
        return distributions.kernel_distance_ratio(sounds, real)

    shifted = [ratio(draws + s * deviation) for s in (0.0, 0.2, 0.5, 1.0, 2.0)]
    assert shifted == sorted(shifted)
    assert shifted[0] < 1.5 and shifted[-1] > 10
    centre = real.mean(axis=0)
    assert ratio(centre + 2 * (draws - centre)) > 2
    assert ratio(centre + 0 * draws) > 2  # the mean sound, again and again


def test_one_strange_sound_does_not_decide(rng, real):
    draws = more(real, rng)
    strange = np.concatenate([draws[:-1], real.mean(axis=0)[None] + 50 * real.std(axis=0)])
    plain, changed = (distributions.kernel_distance_ratio(s, real) for s in (draws, strange))
    assert changed < plain + 1.0


def test_ratio_does_not_depend_on_how_many_draws_there_are(rng, real):
    draws = more(real, rng, 2000) + 0.5 * real.std(axis=0)
    few, many = (distributions.kernel_distance_ratio(draws[:n], real) for n in (200, 2000))
    assert few == pytest.approx(many, rel=0.2)


def test_whole_packs_are_the_reference_where_they_are_known(rng):
    packs = np.repeat(np.arange(10), 20)
    centres = 2 * rng.standard_normal((14, 8))
    real = centres[packs] + rng.standard_normal((200, 8))
    # Draws from packs of their own: as far from these packs as these are from each other.
    draws = centres[10 + np.arange(200) % 4] + rng.standard_normal((200, 8))
    mixed = distributions.kernel_distance_ratio(draws, real)
    apart = distributions.kernel_distance_ratio(draws, real, packs)
    assert apart < mixed / 2
    terms = distributions.kernel_distance_ratios(draws, real, packs)
    assert terms.mean() == pytest.approx(apart)


def test_ratio_refuses_too_few(rng):
    with pytest.raises(ValueError, match="1 draws"):
        distributions.kernel_distance_ratio(np.ones((1, 3)), rng.standard_normal((9, 3)))


def test_density_and_coverage_of_copies_noise_and_one_corner(rng, real):
    density, coverage = distributions.density_coverage(real, real)
    assert coverage == 1.0
    assert density == pytest.approx(1.0, abs=0.3)
    far = real.mean(axis=0) + 20 * real.std(axis=0) * rng.standard_normal(real.shape)
    assert distributions.density_coverage(real, far)[0] < 0.01
    corner = np.repeat(real[:1], 200, axis=0)
    assert distributions.density_coverage(real, corner)[1] < 0.2


def test_coverage_of_the_same_distribution_is_what_the_paper_expects(rng):
    scores = [
        distributions.density_coverage(*(rng.standard_normal((100, 6)) for _ in range(2)))
        for _ in range(20)
    ]
    density, coverage = np.mean(scores, axis=0)
    assert density == pytest.approx(1.0, abs=0.1)
    assert coverage == pytest.approx(1 - 2**-5, abs=0.02)


def test_density_and_coverage_against_a_naive_loop(rng):
    real, draws = rng.standard_normal((30, 4)), 1.3 * rng.standard_normal((20, 4))
    x, y = ((s - real.mean(axis=0)) / real.std(axis=0) for s in (real, draws))
    inside = np.zeros((30, 20), bool)
    for i in range(30):
        radius = sorted(np.linalg.norm(x - x[i], axis=1))[3]
        inside[i] = [np.linalg.norm(y[j] - x[i]) <= radius for j in range(20)]
    density, coverage = distributions.density_coverage(real, draws, k=3)
    assert density == pytest.approx(inside.sum() / (3 * 20))
    assert coverage == pytest.approx(inside.any(axis=1).mean())


def test_diversity_of_known_sets(rng, real):
    assert distributions.diversity(real, real) == pytest.approx(1.0)
    centre = real.mean(axis=0)
    assert distributions.diversity(centre + 0.5 * (real - centre), real) == pytest.approx(0.5)
    assert distributions.diversity(np.repeat(real[:1], 9, axis=0), real) == 0.0
    assert math.isnan(distributions.diversity(real[:1], real))


def test_nearest_distances_against_a_naive_loop(rng):
    a, b = rng.standard_normal((1100, 3)), rng.standard_normal((40, 3))
    x, y = ((s - b.mean(axis=0)) / b.std(axis=0) for s in (a, b))
    expected = [min(np.linalg.norm(row - other) for other in y) for row in x]
    np.testing.assert_allclose(distributions.nearest_distances(a, b), expected)
    assert len(distributions.nearest_distances(a[:0], b)) == 0


def test_copies_of_training_sounds_are_memorised_and_real_sounds_are_not(rng):
    train, heldout, fresh = (rng.standard_normal((400, 5)) for _ in range(3))
    bound = distributions.nearest_distances(heldout, train)

    def share(draws):
        return distributions.memorised(distributions.nearest_distances(draws, train), bound).mean()

    assert share(train) == 1.0
    assert share(heldout) == pytest.approx(0.05, abs=0.005)
    assert share(fresh) == pytest.approx(0.05, abs=0.05)
    assert share(np.concatenate([train[:100], fresh + 30])) == pytest.approx(0.2)


def test_real_sounds_that_are_all_the_same_are_refused():
    with pytest.raises(ValueError, match="all the same"):
        distributions.nearest_distances(np.ones((2, 3)), np.ones((4, 3)))
