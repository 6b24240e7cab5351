"""Distances between the distributions of drawn and of real sounds, on vectors of features.

Rows are sounds. Features should come from something that was not trained with the model. Each
function standardises by the mean and the standard deviation of its real sounds, feature by feature;
features that are constant there are left out.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

N_SPLITS = 100
BOUND = 3.0  # standard deviations: a kernel's features level off there
MEMORISED_QUANTILE = 0.05


def kernel_distance(a: Float[np.ndarray, "n f"], b: Float[np.ndarray, "m f"]) -> float:
    """Estimates the squared maximum mean discrepancy as the kernel inception distance does.

    Polynomial kernel (x.y / f + 1)^3, unbiased (Binkowski et al., "Demystifying MMD GANs", 2018):
    0 on average for two samples of one distribution, so slightly negative values are as good as 0.
    A feature x counts as 3 tanh(x / 3): one click 20 standard deviations out has more weight in a
    cubic kernel than a thousand other sounds, and a mean sound repeated would beat real ones.

    Args:
        a: [n, f] the drawn sounds, n >= 2.
        b: [m, f] the real ones, m >= 2, which also give the scale.
    """
    x, y = _bounded([a, b], reference=b)
    return _mean_of_pairs(x) + _mean_of_pairs(y) - 2.0 * float(_kernel(x, y).mean())


def kernel_distance_ratio(
    draws: Float[np.ndarray, "n f"],
    real: Float[np.ndarray, "m f"],
    groups: Sequence[Any] | np.ndarray | None = None,
    seed: int = 0,
) -> float:
    """Returns the distance of draws from real sounds over that of other real sounds.

    The unbiased distance of real from real is 0 on average, and no ratio has that below the line.
    Here both sides are the biased estimator (all pairs, a sound with itself too) of samples of
    equal size: the real sounds are cut in two halves at random, again and again, and the ratio is
    the mean distance of as many draws from the first half over the mean distance of the second
    half from the first.

    1: draws cannot be told from real sounds with so many of them. The ratio of imperfect draws
    grows with the number of sounds: compare figures of one run only.

    Args:
        draws: [n, f], n >= 2.
        real: [m, f], m >= 4.
        groups: [m] the pack of each real sound. If there are four or more, halves are made of
            whole packs, which is what draws of a model that never saw these packs are up against;
            else of single sounds.
        seed: of the halves.
    """
    return float(np.mean(kernel_distance_ratios(draws, real, groups, seed)))


def kernel_distance_ratios(
    draws: Float[np.ndarray, "n f"],
    real: Float[np.ndarray, "m f"],
    groups: Sequence[Any] | np.ndarray | None = None,
    seed: int = 0,
) -> Float[np.ndarray, " splits"]:
    """Returns the terms whose mean is `kernel_distance_ratio`, one for every pair of halves.

    They vary as samples of half the size do.

    Raises:
        ValueError: too few sounds.
    """
    if len(draws) < 2 or len(real) < 4:
        raise ValueError(f"{len(draws)} draws and {len(real)} real sounds; 2 and 4 are needed")
    rng = np.random.default_rng(seed)
    x, y = _bounded([draws, real], reference=real)
    among_draws, across, among_real = _kernel(x, x), _kernel(x, y), _kernel(y, y)
    pairs = []
    for _ in range(N_SPLITS):
        first, second = _halves(rng, len(real), groups)
        size = min(len(first), len(second), len(draws))
        first, second = first[:size], second[:size]
        ours = rng.permutation(len(draws))[:size]
        middle = among_real[np.ix_(first, first)].mean()
        drawn = among_draws[np.ix_(ours, ours)].mean() - 2 * across[np.ix_(ours, first)].mean()
        other = among_real[np.ix_(second, second)].mean()
        other -= 2 * among_real[np.ix_(second, first)].mean()
        pairs.append((middle + drawn, middle + other))
    above, below = np.array(pairs).T
    return above / max(float(below.mean()), 1e-12)


def density_coverage(
    real: Float[np.ndarray, "m f"], draws: Float[np.ndarray, "n f"], k: int = 5
) -> tuple[float, float]:
    """Returns density and coverage (Naeem et al., "Reliable fidelity and diversity metrics", 2020).

    Around each real sound lies a ball that reaches to its k-th nearest real neighbour. Density: in
    how many balls a draw lies on average, over k; 1 is expected of real sounds, 0 of noise, and
    more than 1 where draws keep to the crowded places. Coverage: the share of balls with a draw in
    them; 1 - 2^-k is expected of as many real sounds, 1 of copies.

    Args:
        real: [m, f], m > k.
        draws: [n, f].
        k: neighbours.
    """
    from scipy.spatial.distance import cdist

    x, y = _standardised([real, draws], reference=real)
    radius = np.partition(cdist(x, x), k, axis=1)[:, k]  # the nearest is the sound itself
    inside = cdist(x, y) <= radius[:, None]
    return float(inside.sum() / (k * len(y))), float(inside.any(axis=1).mean())


def diversity(draws: Float[np.ndarray, "n f"], real: Float[np.ndarray, "m f"]) -> float:
    """Returns the mean distance between draws over that between real sounds; 0: all equal."""
    from scipy.spatial.distance import pdist

    x, y = _standardised([draws, real], reference=real)
    below = float(pdist(y).mean()) if len(y) > 1 else 0.0
    return float(pdist(x).mean()) / below if below and len(x) > 1 else math.nan


def nearest_distances(
    a: Float[np.ndarray, "n f"], b: Float[np.ndarray, "m f"]
) -> Float[np.ndarray, " n"]:
    """Returns the distance of each row of `a` from the nearest of `b`, in deviations of `b`."""
    from scipy.spatial.distance import cdist

    x, y = _standardised([a, b], reference=b)
    parts = np.array_split(x, 1 + len(x) // 512)
    return np.concatenate([cdist(part, y).min(axis=1) for part in parts])


def memorised(
    draw_to_train: Float[np.ndarray, " n"], heldout_to_train: Float[np.ndarray, " m"]
) -> Bool[np.ndarray, " n"]:
    """Returns True for each draw that is nearer to a training sound than real sounds are.

    The bound is the 5 % quantile of the held-out real sounds: of them 0.05 are, of copies of
    training sounds all.

    Args:
        draw_to_train: as `nearest_distances(draws, training sounds)` gives them.
        heldout_to_train: the same of real sounds that were not trained on.
    """
    return np.asarray(draw_to_train) <= np.quantile(heldout_to_train, MEMORISED_QUANTILE)


def _standardised(sets: list[np.ndarray], reference: np.ndarray) -> list[np.ndarray]:
    reference = np.asarray(reference, np.float64)
    mean, deviation = reference.mean(axis=0), reference.std(axis=0)
    varies = deviation > 1e-9 * (1.0 + np.abs(mean))
    if not varies.any():
        raise ValueError("the real sounds have all the same features")
    return [(np.asarray(s, np.float64) - mean)[:, varies] / deviation[varies] for s in sets]


def _bounded(sets: list[np.ndarray], reference: np.ndarray) -> list[np.ndarray]:
    return [BOUND * np.tanh(s / BOUND) for s in _standardised(sets, reference)]


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1.0) ** 3


def _mean_of_pairs(x: np.ndarray) -> float:
    """Returns the mean kernel of two different rows."""
    kernel, n = _kernel(x, x), len(x)
    return float((kernel.sum() - np.trace(kernel)) / (n * (n - 1)))


def _halves(
    rng: np.random.Generator, count: int, groups: Sequence[Any] | np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Divides rows into two sets that share no group, each in random order."""
    order = rng.permutation(count)
    names = np.unique([] if groups is None else groups)
    if len(names) < 4:
        return order[: count // 2], order[count // 2 :]
    chosen = rng.permutation(names)[: len(names) // 2]
    first = np.isin(np.asarray(groups), chosen)
    return order[first[order]], order[~first[order]]
