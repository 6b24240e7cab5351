"""What is likely in the latent space: a mixture of Gaussians on the encoder's means."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from sst.types import Array, Key

Prior = dict[str, Any]  # weights [k], means [k, z], factors [k, z, z]: lower, factor @ factor.T

HELD_OUT = 0.2  # of the means: they choose the number of components
FLOOR = 1e-3  # smallest variance, of latents whose variance is about 1


def fit(means: Float[np.ndarray, "n z"], max_components: int, seed: int) -> Prior:
    """A mixture with as many full-covariance components as held-out means ask for.

    Args:
        means: encoded training clips, n >= 1.
        max_components: 1, 2, 4, ... up to this are tried.
        seed: of the split and of the initial clusters.
    """
    means = np.asarray(means, np.float64)
    order = np.random.default_rng(seed).permutation(len(means))
    held_out, rest = np.split(means[order], [int(HELD_OUT * len(means))])
    counts = [2**i for i in range(max_components.bit_length()) if 2**i <= max_components]
    possible = [k for k in counts if k == 1 or len(rest) >= 4 * k * np.sqrt(means.shape[1])]
    best = 1
    if len(possible) > 1:
        best = max(possible, key=lambda k: _log_likelihood(held_out, _mixture(rest, k, seed)))
    return {name: x.astype(np.float32) for name, x in _mixture(means, best, seed).items()}


@functools.partial(jax.jit, static_argnames="n")  # one program instead of twenty: 0.8 CPU-s less
def sample(prior: Prior, key: Key, n: int, temperature: float | Array = 1.0) -> Float[Array, "n z"]:
    """Random latents; `temperature` scales their distance from the component's mean."""
    choose, draw = jax.random.split(key)
    which = jax.random.choice(choose, len(prior["weights"]), (n,), p=jnp.asarray(prior["weights"]))
    noise = jax.random.normal(draw, (n, prior["means"].shape[1]))
    spread = jnp.einsum("nij,nj->ni", jnp.asarray(prior["factors"])[which], noise)
    return jnp.asarray(prior["means"])[which] + temperature * spread


def _mixture(means: np.ndarray, k: int, seed: int) -> Prior:
    """Clusters with one shared covariance, then each its own, shrunk towards the shared one."""
    dim = means.shape[1]
    shared = _covariance(means - means.mean(axis=0), np.ones(len(means)))
    if k == 1:
        belongs = np.ones((len(means), 1))
    else:
        from sklearn.mixture import GaussianMixture

        mixture = GaussianMixture(k, covariance_type="tied", reg_covar=FLOOR, random_state=seed)
        belongs = mixture.fit(means).predict_proba(means)
        shared = mixture.covariances_
    sizes = belongs.sum(axis=0) + 1e-9
    centres = (belongs.T @ means) / sizes[:, None]
    factors = []
    for j in range(k):
        own = _covariance(means - centres[j], belongs[:, j])
        # As strong as `dim` clips: fewer say little about a covariance of this size.
        shrunk = (sizes[j] * own + dim * shared) / (sizes[j] + dim)
        factors.append(np.linalg.cholesky(shrunk + FLOOR * np.eye(dim)))
    return {"weights": sizes / sizes.sum(), "means": centres, "factors": np.stack(factors)}


def _covariance(away: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted covariance, shrunk towards its diagonal where clips are few."""
    total = weights.sum()
    full = (away * weights[:, None]).T @ away / max(total, 1.0)
    shrink = away.shape[1] / (away.shape[1] + total)
    return (1.0 - shrink) * full + shrink * np.diag(np.diag(full))


def _log_likelihood(points: np.ndarray, prior: Prior) -> float:
    per_component = []
    for weight, mean, factor in zip(
        prior["weights"], prior["means"], prior["factors"], strict=True
    ):
        white = np.linalg.solve(factor, (points - mean).T)
        log_det = np.log(np.diag(factor)).sum()
        per_component.append(np.log(weight) - log_det - 0.5 * np.square(white).sum(axis=0))
    return float(np.logaddexp.reduce(per_component, axis=0).mean())
