"""Terms of the training objective. Each returns one value per example; the caller reduces."""

import jax.numpy as jnp
from jaxtyping import Float, Int

from sst.types import Array


def frame_weights(n_frames: Int[Array, " b"], total: int, tail: int) -> tuple[Array, Array]:
    """Weights [b, total] that average over the frames inside each sound, and over `tail` after it.

    Each row sums to 1, or to 0 where the sound fills all frames and nothing comes after.
    """
    t = jnp.arange(total)
    inside = t < n_frames[:, None]
    after = (t >= n_frames[:, None]) & (t < n_frames[:, None] + tail)
    return _normalised(inside), _normalised(after)


def weighted_l1(
    target: Float[Array, "b t m"], estimate: Float[Array, "b t m"], weights: Float[Array, "b t"]
) -> Float[Array, " b"]:
    """Mean absolute difference over bands and weighted frames, in the unit of the input."""
    return jnp.einsum("btm,bt->b", jnp.abs(target - estimate), weights) / target.shape[-1]


def delta_l1(
    target: Float[Array, "b t m"], estimate: Float[Array, "b t m"], weights: Float[Array, "b t"]
) -> Float[Array, " b"]:
    """`weighted_l1` of the first differences along time and along frequency: sharp edges."""
    error = target - estimate
    along_time = jnp.abs(jnp.diff(error, axis=1, prepend=error[:, :1]))
    along_bands = jnp.abs(jnp.diff(error, axis=2, prepend=error[:, :, :1]))
    return jnp.einsum("btm,bt->b", along_time + along_bands, weights) / (2 * target.shape[-1])


def kl_to_standard_normal(
    mean: Float[Array, "b z"], logvar: Float[Array, "b z"], free_nats: float = 0.0
) -> Float[Array, " b"]:
    """KL(N(mean, exp(logvar)) || N(0, 1)) in nats, summed over latents.

    A dimension under `free_nats` is not pulled further: it counts as that, without a gradient
    (the free bits of Kingma et al., 2016, per example, so that no row depends on another).
    """
    per_dim = 0.5 * (jnp.exp(logvar) + jnp.square(mean) - 1.0 - logvar)
    return jnp.sum(jnp.maximum(per_dim, free_nats), axis=-1)


def _normalised(mask: Array) -> Array:
    return mask / jnp.maximum(jnp.sum(mask, axis=-1, keepdims=True), 1)
