"""Operations along the frames of a spectrogram that the networks share."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from sst.types import Array

N_SPANS = 32  # of time that the search encoder takes: one frame at the onset, ever longer after


def fold(x: Float[Array, "b t c"], size: int) -> Float[Array, "b folds size_c"]:
    """Makes channels of `size` neighbouring frames: [b, t, c] -> [b, ceil(t / size), size * c]."""
    b, t, c = x.shape
    return jnp.pad(x, ((0, 0), (0, -t % size), (0, 0))).reshape(b, -1, size * c)


def pad_to_multiple(x: Float[Array, "b t c"], size: int) -> Float[Array, "b padded c"]:
    """Appends frames of zeros up to a multiple of `size`.

    XLA on CPU (jax 0.10) fuses a pad with the reshape that follows into loads beyond the end of
    its input. On an input buffer that can be the end of mapped memory: a crash, seen in threads.
    A gather with indices inside the array has no such loads.
    """
    t = x.shape[1]
    frames = np.arange(t + -t % size)
    return jnp.where((frames < t)[:, None], x[:, np.minimum(frames, t - 1)], 0.0)


@functools.cache
def span_weights(n_frames: int) -> Float[np.ndarray, "s t"]:
    """Returns weights that average the frames of each span: narrow spans first, rows sum to 1."""
    n = min(N_SPANS, n_frames)
    part = np.arange(n + 1) / n
    edges = n * part + (n_frames - n) * part**4
    frames = np.arange(n_frames)
    shared = np.minimum(edges[1:, None], frames + 1.0) - np.maximum(edges[:-1, None], frames)
    return (np.maximum(shared, 0.0) / np.diff(edges)[:, None]).astype(np.float32)


def max_over_time(x: Float[Array, "b t c"]) -> Float[Array, "b c"]:
    """Returns the maximum over frames, with a gradient that is always finite.

    The gradient of `max` shares itself among the cells that equal the maximum. XLA may compute `x`
    a second time for that, with other rounding, and then finds none: 0 / 0.
    """
    where = jnp.argmax(jax.lax.stop_gradient(x), axis=1, keepdims=True)
    return jnp.take_along_axis(x, where, axis=1)[:, 0]
