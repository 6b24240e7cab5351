"""The prior of the latent space: the neighbourhoods of the training sounds.

Manifold Parzen windows (Vincent and Bengio, 2003): a Gaussian around every training sound with the
mean and the covariance of its nearest neighbours. Such a draw lies where sounds are, along the
directions in which sounds of that kind differ. One Gaussian over everything, or a few, also fill
the space between the kinds, where nothing sounds like anything (recognised draws on drum machines:
0.2 against 0.6).
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from sst.types import Array, Key

Prior = dict[str, Any]  # points [n, z], neighbours int32 [n, k], labels int32 [n], noise []

NEIGHBOURS = 16  # too few repeat the training sounds, too many blur the kinds into each other
NOISE_STD = 0.05  # standard deviation in every direction; neighbours span only k - 1 of them
OTHER_LABEL_FACTOR = 4.0  # multiplies squared distances to sounds of another label
CANDIDATE_FACTOR = 4  # times as many sounds as neighbours are considered
# Of the typical distance to them: two sounds nearer to each other count as one.
DISTINCT_SHARE = 0.7


def fit(
    means: Float[np.ndarray, "n z"],
    labels: Int[np.ndarray, " n"] | None = None,
    scale: Float[np.ndarray, " z"] | None = None,
    neighbours: int = NEIGHBOURS,
) -> Prior:
    """Fits the prior to encoded training clips: the neighbourhood of each.

    Args:
        means: posterior means, n >= 1.
        labels: index of each clip's class, -1 where there is none; None if there are no classes.
        scale: what the latents are multiplied by before distances are taken.
        neighbours: of each clip, itself included; n at most. With all n, draws come from one
            Gaussian with the mean and covariance of the means. Of sounds that are nearly the same,
            such as one drum struck at several velocities, one is taken as long as there are others:
            else a draw from among them repeats that drum.
    """
    from sklearn.metrics.pairwise import euclidean_distances  # slow to import, and only to fit

    points = np.asarray(means, np.float32)
    kinds = np.full(len(points), -1, np.int32) if labels is None else np.asarray(labels, np.int32)
    scaled = points * (1.0 if scale is None else np.asarray(scale, np.float32))
    k = min(neighbours, len(points))
    squares = euclidean_distances(scaled, squared=True)
    near = [_nearest(squares, kinds, row, k) for row in range(len(points))]
    return {
        "points": points,
        "neighbours": np.array(near, np.int32).reshape(len(points), k),
        "labels": kinds,
        "noise": np.float32(NOISE_STD),
    }


@functools.partial(jax.jit, static_argnames="n")
def sample(
    prior: Prior,
    key: Key,
    n: int,
    temperature: float | Array = 1.0,
    label: int | Array | None = None,
) -> Float[Array, "n z"]:
    """Draws random latents.

    Args:
        prior: of `fit`.
        key: a random key.
        n: how many.
        temperature: scales the distance from the neighbourhood's mean.
        label: only from the neighbourhoods of the clips with this label; there must be one.
    """
    points, neighbours = jnp.asarray(prior["points"]), jnp.asarray(prior["neighbours"])
    allowed = jnp.ones(len(points)) if label is None else prior["labels"] == label
    row_key, step_key, noise_key = jax.random.split(key, 3)
    which = jax.random.choice(row_key, len(points), (n,), p=allowed / jnp.sum(allowed))
    k, z = neighbours.shape[1], points.shape[1]
    steps = jax.random.normal(step_key, (n, k)) / jnp.sqrt(max(k - 1, 1))

    def draw(one: tuple[Array, Array]) -> tuple[Array, Array]:
        around_it = points[neighbours[one[0]]]
        mean = jnp.mean(around_it, axis=0)
        return mean, one[1] @ (around_it - mean)

    means, away = jax.lax.map(draw, (which, steps))
    noise = jnp.asarray(prior["noise"]) * jax.random.normal(noise_key, (n, z))
    return means + temperature * (away + noise)


def _nearest(
    squares: Float[np.ndarray, "n n"], labels: Int[np.ndarray, " n"], row: int, k: int
) -> Int[np.ndarray, " k"]:
    """Returns `row` and the k - 1 distinct sounds nearest to it, those of its label preferred."""
    away = squares[row]
    own = (labels == labels[row]) & (labels[row] >= 0)
    order = np.argsort(np.where(own, away, OTHER_LABEL_FACTOR * away), kind="stable")
    others = order[order != row][: CANDIDATE_FACTOR * k]
    if own[others].sum() >= k - 1:  # enough of its kind: no distinct sound of another instead
        others = others[own[others]]
    if k == len(labels) or not len(others):
        return np.append(row, others)[:k]
    least = DISTINCT_SHARE**2 * np.median(away[others])
    between = squares[np.ix_(others, others)]
    kept: list[int] = []
    for place in range(len(others)):
        if away[others[place]] >= least and (between[place, kept] >= least).all():
            kept.append(place)
    rest = np.setdiff1d(np.arange(len(others)), kept)  # where there are not enough distinct ones
    return np.append(row, others[np.append(kept, rest).astype(int)])[:k]
