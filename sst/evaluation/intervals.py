"""95 % bootstrap intervals (Efron, 1979), with packs as clusters where there are enough.

Sounds of one pack are alike. To resample single sounds would take them for independent and make the
interval too narrow, so the bootstrap resamples whole packs (cluster bootstrap).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

MIN_GROUPS = 5  # fewer packs say too little about packs
BATCH_SIZE = 250  # replicates in memory


class Interval(NamedTuple):
    """A figure and the percentiles 2.5 and 97.5 of its bootstrap replicates."""

    value: float
    low: float
    high: float
    n: int  # values that it was made of


def bootstrap(
    values: Any,
    groups: Sequence[Any] | np.ndarray | None = None,
    statistic: str = "mean",
    seed: int = 0,
    n: int = 2000,
    weights: Any = None,
) -> Interval:
    """Estimates the mean or median of `values` with its percentile bootstrap interval.

    Args:
        values: [v]; nan is left out ("does not apply"), inf counts ("was lost"): use the median.
        groups: [v] the pack of each value. Five or more different ones are the clusters of the
            bootstrap; with fewer it resamples single values.
        statistic: "mean" or "median".
        seed: of the replicates; the same seed gives the same interval.
        n: replicates.
        weights: [v] positive, for a weighted mean, such as one over classes.

    Returns:
        The interval; all nan with n = 0 where no value is left.

    Raises:
        ValueError: another statistic, or a weighted median.
    """
    if statistic not in ("mean", "median") or (statistic == "median" and weights is not None):
        raise ValueError(f"statistic {statistic!r} should be 'mean', or 'median' without weights")
    values = np.asarray(values, np.float64)
    kept = ~np.isnan(values)
    values = values[kept]
    if not len(values):
        return Interval(math.nan, math.nan, math.nan, 0)
    weight = np.ones(len(values)) if weights is None else np.asarray(weights, np.float64)[kept]
    compute = _means if statistic == "mean" else _medians
    kept_groups = None if groups is None else np.asarray(groups)[kept]
    return resampled(
        lambda counts: compute(values, counts, weight), len(values), kept_groups, seed, n
    )


def resampled(
    compute: Callable[[Float[np.ndarray, "r v"]], Float[np.ndarray, " r"]],
    size: int,
    groups: Sequence[Any] | np.ndarray | None = None,
    seed: int = 0,
    n: int = 2000,
) -> Interval:
    """Estimates any statistic of `size` values with its percentile bootstrap interval.

    Args:
        compute: the statistic of each row of how often every value counts.
        size: how many values there are.
        groups: [v] the pack of each value, see `bootstrap`.
        seed: of the replicates.
        n: replicates.
    """
    units = _units(None if groups is None else np.asarray(groups), size)
    value = float(compute(np.ones((1, size)))[0])
    rng = np.random.default_rng(seed)
    sizes = [min(BATCH_SIZE, n - done) for done in range(0, n, BATCH_SIZE)]
    replicates = np.concatenate([compute(_counts(rng, units, each)) for each in sizes])
    # "lower" and "higher" do not subtract, so that infinite replicates stay infinite.
    low = float(np.quantile(replicates, 0.025, method="lower"))
    high = float(np.quantile(replicates, 0.975, method="higher"))
    return Interval(value, low, high, size)


def _units(groups: np.ndarray | None, count: int) -> np.ndarray:
    """Returns the number of the cluster [v] that each value is resampled with."""
    if groups is not None:
        names, numbers = np.unique(groups, return_inverse=True)
        if len(names) >= MIN_GROUPS:
            return numbers
    return np.arange(count)


def _counts(rng: np.random.Generator, units: np.ndarray, replicates: int) -> np.ndarray:
    """Draws the number of times [r, v] that each value is in each replicate."""
    number = int(units.max()) + 1
    return rng.multinomial(number, np.full(number, 1.0 / number), size=replicates)[:, units]


def _means(
    values: Float[np.ndarray, " v"], counts: np.ndarray, weight: Float[np.ndarray, " v"]
) -> Float[np.ndarray, " r"]:
    shares = counts * weight
    finite = np.isfinite(values)
    means = shares[:, finite] @ values[finite] / shares.sum(axis=1)
    lost = np.any(shares[:, ~finite] > 0, axis=1)
    return np.where(lost, np.inf, means)


def _medians(
    values: Float[np.ndarray, " v"], counts: np.ndarray, _: Float[np.ndarray, " v"]
) -> Float[np.ndarray, " r"]:
    """Returns the mean of the two middle values, as numpy.median has it."""
    order = np.argsort(values)
    reached = np.cumsum(counts[:, order], axis=1)
    total = reached[:, -1:]
    middle = [np.argmax(reached > (total - 1 + i) // 2, axis=1) for i in (0, 1)]
    lower, upper = (values[order][m] for m in middle)
    return (lower + upper) / 2
