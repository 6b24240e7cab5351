"""The arrays that travel between modules, named once."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

if TYPE_CHECKING:
    from jaxtyping import Array
    from jaxtyping import PRNGKeyArray as Key
else:  # these two names import JAX: half a second in each process that only decodes or searches
    Array = Key = Any

Wave = Float[np.ndarray, " n"]  # mono samples
LogMel = Float[np.ndarray, "t m"]  # dB relative to the loudest cell, in [floor_db, 0]
Latent = Float[Array, "*b z"]


class Clip(NamedTuple):
    """The canonical form of a sound: mono, at the model's rate, starting at its onset, peak 1."""

    wave: Wave  # float32 [n], 1 <= n <= audio.clip_samples, max |wave| = 1 (all zero if silent)
    peak_db: float  # level of the original, dBFS of max |x| (-inf if silent)
    onset_s: float  # seconds cut off the start of the file
    duration_s: float  # n / sample_rate


class Features(NamedTuple):
    """What a model hears of some clips, in arrays of JAX or NumPy."""

    log_mel: Float[Any, "b t m"]  # padded with floor_db after n_frames
    n_frames: Int[Any, " b"]  # 1 .. t
    peak_db: Float[Any, " b"]
    attack: Float[Any, "b a"]  # dB, the envelope of the first tenth of a second: features.attack


class Batch(NamedTuple):
    """Features, and what only training knows of them."""

    log_mel: Float[Array, "b t m"]
    n_frames: Int[Array, " b"]
    peak_db: Float[Array, " b"]
    attack: Float[Array, "b a"]
    label: Int[Any, " b"]  # index of the class, -1 where there is none
    mask: Bool[Any, " b"]  # False on the rows that only fill up the last batch
