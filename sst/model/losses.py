"""Terms of the training objective. Each returns one value per example; the caller reduces."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from sst.types import Array

TEMPERATURE = 0.1  # of the contrastive loss
FULL = (
    "highest"  # precision of products: accelerators would otherwise round their inputs to 11 bits
)


def frame_weights(n_frames: Int[Array, " b"], total: int, tail: int) -> tuple[Array, Array]:
    """Returns weights [b, total] of the mean over each sound's frames, and over `tail` after it.

    Each row sums to 1, or to 0 where the sound fills all frames and nothing comes after.
    """
    t = jnp.arange(total)
    inside = t < n_frames[:, None]
    after = (t >= n_frames[:, None]) & (t < n_frames[:, None] + tail)
    return _normalised(inside), _normalised(after)


def weighted_l1(
    target: Float[Array, "b t m"], estimate: Float[Array, "b t m"], weights: Float[Array, "b t"]
) -> Float[Array, " b"]:
    """Returns the mean absolute difference over bands and weighted frames, in the input's unit."""
    error = jnp.abs(target - estimate)
    return jnp.einsum("btm,bt->b", error, weights, precision=FULL) / target.shape[-1]


def delta_l1(
    target: Float[Array, "b t m"], estimate: Float[Array, "b t m"], weights: Float[Array, "b t"]
) -> Float[Array, " b"]:
    """Returns `weighted_l1` of the first differences along time and frequency: sharp edges."""
    error = target - estimate
    along_time = jnp.abs(jnp.diff(error, axis=1, prepend=error[:, :1]))
    along_bands = jnp.abs(jnp.diff(error, axis=2, prepend=error[:, :, :1]))
    both = jnp.einsum("btm,bt->b", along_time + along_bands, weights, precision=FULL)
    return both / (2 * target.shape[-1])


def weighted_mean(values: Float[Array, "b n"], weights: Float[Array, "b n"]) -> Float[Array, " b"]:
    """Returns the mean of each row under its weights, which need not add up to 1."""
    return jnp.sum(values * weights, axis=-1) / jnp.maximum(jnp.sum(weights, axis=-1), 1e-9)


def contrastive(
    views: Sequence[Float[Array, "b e"]], label: Int[Array, " b"], mask: Bool[Array, " b"]
) -> Float[Array, " b"]:
    """Returns the supervised contrastive loss of each row, in nats.

    Each row is to find its other views and the rows of its label among all (Khosla et al., 2020);
    without labels this is SimCLR (Chen et al., 2020). A row with nothing to find has 0.

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
    nats = jax.nn.logsumexp(logits, axis=-1, keepdims=True) - logits
    each = weighted_mean(jnp.where(others, nats, 0.0), (same & others).astype(jnp.float32))
    return jnp.where(mask, each.reshape(len(views), -1).mean(axis=0), 0.0)


def cosine_logits(
    vectors: Float[Array, "b e"], prototypes: Float[Array, "c e"]
) -> Float[Array, "b c"]:
    """Returns the cosines of unit vectors, over the temperature, as logits of the classes."""
    return jnp.matmul(vectors, prototypes.T, precision=FULL) / TEMPERATURE


def class_cross_entropy(
    vectors: Float[Array, "b e"],
    prototypes: Float[Array, "c e"],
    label: Int[Array, " b"],
    smoothing: float = 0.0,
) -> Float[Array, " b"]:
    """Returns the cross-entropy of each row's class given its cosines to unit prototypes, in nats.

    A row without a label has 0. `smoothing` is the share of the target that all classes have in
    common (Szegedy et al., 2016): folders are named by hand, and no label is certain.
    """
    logits = cosine_logits(vectors, prototypes)
    own = jnp.take_along_axis(logits, jnp.maximum(label, 0)[:, None], axis=-1)[:, 0]
    target = (1.0 - smoothing) * own + smoothing * jnp.mean(logits, axis=-1)
    return jnp.where(label >= 0, jax.nn.logsumexp(logits, axis=-1) - target, 0.0)


def kl_to_standard_normal(
    mean: Float[Array, "b z"], logvar: Float[Array, "b z"], free_nats: float = 0.0
) -> Float[Array, " b"]:
    """Returns KL(N(mean, exp(logvar)) || N(0, 1)) in nats, summed over latents.

    A dimension under `free_nats` is not pulled further: it counts as that, without a gradient
    (the free bits of Kingma et al., 2016, per example, so that no row depends on another).
    """
    per_dim = 0.5 * (jnp.exp(logvar) + jnp.square(mean) - 1.0 - logvar)
    return jnp.sum(jnp.maximum(per_dim, free_nats), axis=-1)


def _normalised(mask: Array) -> Array:
    return mask / jnp.maximum(jnp.sum(mask, axis=-1, keepdims=True), 1)
