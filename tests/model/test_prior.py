import jax
import numpy as np
import pytest

from sst.model import prior


def draws(fitted, n=5000, **options):
    return np.asarray(prior.sample(fitted, jax.random.key(0), n, **options))


def test_with_all_as_neighbours_it_is_one_gaussian(rng):
    data = rng.standard_normal((400, 4)) @ rng.standard_normal((4, 4)) + 3.0
    drawn = draws(prior.fit(data, neighbours=400), 20_000)
    np.testing.assert_allclose(drawn.mean(0), data.mean(0), atol=0.1)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(data.T), rtol=0.05, atol=0.15)


def test_the_gap_between_two_clusters_stays_empty(rng):
    sides = rng.choice([-6.0, 6.0], (600, 1))
    data = sides * np.array([1.0, 0.0]) + 0.5 * rng.standard_normal((600, 2))
    drawn = draws(prior.fit(data))
    assert np.mean(np.abs(drawn[:, 0]) < 3.0) < 0.005
    assert np.mean(drawn[:, 0] > 0) == pytest.approx(np.mean(sides > 0), abs=0.03)


def test_draws_follow_a_curve_that_no_gaussian_has(rng):
    angle = rng.uniform(0, 2 * np.pi, 2000)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    radius = np.linalg.norm(draws(prior.fit(circle)), axis=1)
    assert np.quantile(np.abs(radius - 1.0), 0.9) < 4 * prior.NOISE_STD
    # And all around it, not at the training sounds only.
    assert np.ptp(np.histogram(np.arctan2(*draws(prior.fit(circle)).T), 8)[0]) < 400


def test_neighbours_are_the_nearest_with_itself_first(rng):
    points = rng.standard_normal((300, 400))  # where all are about equally far apart
    found = prior.fit(points, neighbours=5)["neighbours"]
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1)
    expected = np.argsort(distance, axis=1)[:, :5]
    np.testing.assert_array_equal(found, expected)


def test_scale_decides_what_is_near(rng):
    points = rng.standard_normal((100, 800))
    scale = np.repeat([1.0, 0.0], 400)
    found = prior.fit(points, scale=scale, neighbours=2)["neighbours"][:, 1]
    first = prior.fit(points[:, :400], neighbours=2)["neighbours"][:, 1]
    np.testing.assert_array_equal(found, first)


def test_versions_of_one_sound_are_one_neighbour(rng):
    drums = rng.standard_normal((40, 60))
    points = np.repeat(drums, 3, axis=0) + 0.05 * rng.standard_normal((120, 60))
    found = prior.fit(points, neighbours=4)["neighbours"] // 3
    assert all(len(set(row)) == 4 for row in found.tolist())
    six_points = prior.fit(points[:6], neighbours=4)[
        "neighbours"
    ]  # there is nothing else: all serve
    assert all(len(set(row)) == 4 for row in six_points.tolist())


def test_kinds_that_overlap_are_told_apart_by_their_labels(rng):
    # Two kinds in one place that differ in how they deviation.
    labels = np.arange(400) % 2
    deviation = np.where(labels[:, None] == 0, [[1.0, 0.01]], [[0.01, 1.0]])
    fitted = prior.fit(deviation * rng.standard_normal((400, 2)), labels)
    flat, upright = (draws(fitted, label=label).std(axis=0) for label in (0, 1))
    assert flat[0] > 4 * flat[1] and upright[1] > 4 * upright[0]


def test_a_label_draws_from_its_own_sounds_only(rng):
    labels = np.repeat([0, 1, 2], 50)
    data = 10.0 * labels[:, None] + rng.standard_normal((150, 2))
    drawn = draws(prior.fit(data, labels), label=1)
    assert np.abs(drawn - 10.0).max() < 5.0


def test_a_kind_that_lies_far_apart_has_neighbours_of_other_kinds_too(rng):
    points, labels = rng.standard_normal((400, 8)), np.ones(400, int)
    points[:20] *= 50.0  # enough of the kind, but nearly all of the others are nearer
    labels[:20] = 0
    found = prior.fit(points, labels)["neighbours"]
    assert found.shape == (400, prior.NEIGHBOURS)
    assert all(len(set(row)) == prior.NEIGHBOURS for row in found.tolist())
    assert (labels[found[20:]] == 1).all()


@pytest.mark.parametrize("n", [1, 2, 20])
def test_fewer_clips_than_dimensions(n, rng):
    drawn = draws(prior.fit(rng.standard_normal((n, 64))), 50)
    assert drawn.shape == (50, 64) and np.isfinite(drawn).all()
    assert (drawn.std(axis=0) > 0.01).all()  # even of one sound, not fifty times the same


def test_temperature_zero_gives_the_centres(rng):
    data = rng.standard_normal((30, 3))
    drawn = draws(prior.fit(data, neighbours=30), 5, temperature=0.0)
    np.testing.assert_allclose(drawn, np.repeat([data.mean(axis=0)], 5, axis=0), atol=1e-5)


def test_a_draw_does_not_depend_on_what_else_is_in_the_model(rng):
    fitted = prior.fit(rng.standard_normal((40, 3)), np.arange(40) % 3)
    np.testing.assert_array_equal(draws(fitted, 7), draws(fitted, 7))
