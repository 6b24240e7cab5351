import math

import numpy as np
import pytest

from sst.evaluation.intervals import bootstrap


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_value_is_the_statistic_and_lies_inside(statistic, rng):
    for n in (1, 2, 7, 30):
        values = rng.exponential(size=n)
        interval = bootstrap(values, statistic=statistic)
        assert interval.value == pytest.approx(getattr(np, statistic)(values))
        assert interval.low <= interval.value <= interval.high
        assert interval.n == n


def test_the_mean_of_normal_values_has_the_known_width(rng):
    values = rng.standard_normal(400)
    interval = bootstrap(values)
    expected = 2 * 1.96 * values.std() / np.sqrt(400)
    assert interval.high - interval.low == pytest.approx(expected, rel=0.1)


def test_the_interval_holds_the_truth_about_95_times_in_100(rng):
    intervals = [bootstrap(rng.standard_normal(50), n=400) for _ in range(200)]
    hits = np.mean([i.low <= 0.0 <= i.high for i in intervals])
    assert 0.88 < hits < 0.99


def test_medians_against_numpy_on_the_same_draws(rng):
    values = rng.standard_normal(9)
    seeded = np.random.default_rng(3)
    counts = np.concatenate([seeded.multinomial(9, np.full(9, 1 / 9), size=250) for _ in range(4)])
    medians = [np.median(np.repeat(values, row)) for row in counts]
    interval = bootstrap(values, statistic="median", seed=3, n=1000)
    assert interval.low == pytest.approx(np.quantile(medians, 0.025, method="lower"))
    assert interval.high == pytest.approx(np.quantile(medians, 0.975, method="higher"))


def test_whole_packs_make_it_wider_where_packs_differ(rng):
    packs = np.repeat(np.arange(10), 30)
    values = rng.standard_normal(10)[packs] + 0.1 * rng.standard_normal(300)
    rows, grouped = bootstrap(values), bootstrap(values, groups=packs)
    assert grouped.value == rows.value
    assert grouped.high - grouped.low > 3 * (rows.high - rows.low)
    names = np.array([f"pack {p}" for p in packs])
    assert bootstrap(values, groups=names) == grouped


def test_four_packs_are_too_few_to_be_drawn(rng):
    values = rng.standard_normal(40)
    assert bootstrap(values, groups=np.arange(40) % 4) == bootstrap(values)


def test_nan_is_left_out_and_its_pack_too():
    values, packs = [1.0, math.nan, 3.0, math.nan], ["a", "b", "c", "d"]
    assert bootstrap(values, groups=packs) == bootstrap([1.0, 3.0])
    empty = bootstrap([math.nan, math.nan])
    assert empty.n == 0 and math.isnan(empty.value) and math.isnan(empty.low)


def test_what_is_lost_counts_in_the_median_and_ruins_the_mean():
    values = [1.0] * 50 + [math.inf] * 10
    interval = bootstrap(values, statistic="median")
    assert interval == (1.0, 1.0, 1.0, 60)
    assert bootstrap([1.0, 2.0, math.inf], statistic="median").high == math.inf
    assert bootstrap(values).value == math.inf


def test_weights_make_a_mean_over_classes(rng):
    values = np.concatenate([np.zeros(90), np.ones(10)])
    weights = np.repeat([1 / 90, 1 / 10], [90, 10])
    interval = bootstrap(values, weights=weights)
    assert interval.value == pytest.approx(0.5)
    assert interval.low < 0.45 and interval.high > 0.55


def test_the_same_seed_gives_the_same_interval(rng):
    values = rng.standard_normal(30)
    assert bootstrap(values, seed=1) == bootstrap(values, seed=1) != bootstrap(values, seed=2)


def test_another_statistic_is_refused():
    with pytest.raises(ValueError, match="'mode'"):
        bootstrap([1.0], statistic="mode")
    with pytest.raises(ValueError, match="without weights"):
        bootstrap([1.0], statistic="median", weights=[1.0])
