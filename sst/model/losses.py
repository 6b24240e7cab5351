"""Terms of the training objective. Each returns one value per example; the caller reduces."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from sst.types import Array

TEMPERATURE = 0.1  # of the contrastive loss
FULL = "highest"  # precision of products: accelerators would round their inputs to 11 bits


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
    error = jnp.abs(target - estimate)
    return jnp.einsum("btm,bt->b", error, weights, precision=FULL) / target.shape[-1]


def delta_l1(
    target: Float[Array, "b t m"], estimate: Float[Array, "b t m"], weights: Float[Array, "b t"]
) -> Float[Array, " b"]:
    """`weighted_l1` of the first differences along time and along frequency: sharp edges."""
    error = target - estimate
    along_time = jnp.abs(jnp.diff(error, axis=1, prepend=error[:, :1]))
    along_bands = jnp.abs(jnp.diff(error, axis=2, prepend=error[:, :, :1]))
    both = jnp.einsum("btm,bt->b", along_time + along_bands, weights, precision=FULL)
    return both / (2 * target.shape[-1])


def weighted_mean(values: Float[Array, "b n"], weights: Float[Array, "b n"]) -> Float[Array, " b"]:
    """The mean of each row under its weights, which need not add up to 1."""
    return jnp.sum(values * weights, axis=-1) / jnp.maximum(jnp.sum(weights, axis=-1), 1e-9)


def contrastive(
    views: Sequence[Float[Array, "b e"]], label: Int[Array, " b"], mask: Bool[Array, " b"]
) -> Float[Array, " b"]:
    """How badly each row finds its other views and the rows of its label among all, in nats.

    The supervised contrastive loss (Khosla et al., 2020), which without labels is that of SimCLR
    (Chen et al., 2020). A row with nothing to find has 0.

    Args:
        views: unit vectors of the same rows, varied in different ways.
        label: rows of equal label belong together; -1 belongs to no other row.
        mask: rows that are False neither count nor are compared with.
    """
    rows, n = jnp.concatenate(list(views)), label.shape[0] * len(views)
    clip, kind = jnp.tile(jnp.arange(label.shape[0]), len(views)), jnp.tile(label, len(views))
    others = ~jnp.eye(n, dtype=bool) & jnp.tile(mask, len(views))
    same = (clip[:, None] == clip) | ((kind[:, None] == kind) & (kind >= 0))
    cosines = jnp.matmul(rows, rows.T, precision=FULL)
    logits = jnp.where(others, cosines / TEMPERATURE, -1e9)
    surprise = jax.nn.logsumexp(logits, axis=-1, keepdims=True) - logits
    each = weighted_mean(jnp.where(others, surprise, 0.0), (same & others).astype(jnp.float32))
    return jnp.where(mask, each.reshape(len(views), -1).mean(axis=0), 0.0)


def nearness(
    direction: Float[Array, "b e"], prototypes: Float[Array, "c e"]
) -> Float[Array, "b c"]:
    """Cosines of unit vectors as logits of the classes."""
    return jnp.matmul(direction, prototypes.T, precision=FULL) / TEMPERATURE


def class_surprise(
    direction: Float[Array, "b e"],
    prototypes: Float[Array, "c e"],
    label: Int[Array, " b"],
    smoothing: float = 0.0,
) -> Float[Array, " b"]:
    """Cross-entropy of each row's class by its nearness to unit prototypes; 0 without a label.

    `smoothing` is the share of the target that all classes have in common (Szegedy et al., 2016):
    folders are named by hand, and none should be believed wholly.
    """
    logits = nearness(direction, prototypes)
    own = jnp.take_along_axis(logits, jnp.maximum(label, 0)[:, None], axis=-1)[:, 0]
    wanted = (1.0 - smoothing) * own + smoothing * jnp.mean(logits, axis=-1)
    return jnp.where(label >= 0, jax.nn.logsumexp(logits, axis=-1) - wanted, 0.0)


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
