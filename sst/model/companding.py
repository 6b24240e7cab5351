"""Companding: the loudness scale of the networks' input, output and reconstruction error.

In dB, a cell of a fading tail, 70 dB down and mostly chance, counts as much as an audible partial,
and takes as much of the latent. Here a step of 1 dB is one unit at the
loudest cell and less, down to `quiet_slope`, at the floor. Bands in the bass count `bass_weight`
times: a kick drum has its pitch in the balance of three of them.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from sst.config import Config
from sst.dsp import features
from sst.types import Array

BASS_HZ = 300.0  # where the weight is half way down to 1


def compand(log_mel: Float[Array, "*b m"], config: Config) -> Float[Array, "*b m"]:
    """Converts dB in [floor_db, 0] to units in [`lowest`, 0], smoothly and strictly rising."""
    return (log_mel + _curve(config) * jnp.square(log_mel)) * _weights(config)


def expand(cells: Float[Array, "*b m"], config: Config) -> Float[Array, "*b m"]:
    """Inverts `compand`; beyond its range, the nearest dB in [floor_db, 0]."""
    even = jnp.clip(cells, lowest(config), 0.0) / _weights(config)
    # The root of the quadratic in the form that holds for a curve of 0, too.
    root = jnp.sqrt(jnp.maximum(1.0 + 4.0 * _curve(config) * even, 0.0))
    return jnp.maximum(2.0 * even / (1.0 + root), config.audio.floor_db)


def lowest(config: Config) -> Float[np.ndarray, " m"]:
    """Returns the companded floor of each band."""
    floor = config.audio.floor_db
    return (floor + _curve(config) * floor**2) * _weights(config)


def _curve(config: Config) -> float:
    """Returns the factor of the square: the slope is 1 at 0 dB and `quiet_slope` at the floor."""
    return (config.model.quiet_slope - 1.0) / (2.0 * config.audio.floor_db)


def _weights(config: Config) -> Float[np.ndarray, " m"]:
    centre_hz = features.band_edges(config.audio)[1:-1]
    more = (config.model.bass_weight - 1.0) / (1.0 + (centre_hz / BASS_HZ) ** 4)
    return (1.0 + more).astype(np.float32)
