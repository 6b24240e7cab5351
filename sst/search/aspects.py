"""The aspects of a search vector, and their weights.

A vector is five blocks side by side: the timbre, which the model computes, and the four measured
descriptors (`sst.dsp.descriptors`): envelope, pitch, duration and loudness. The default weights are
in the vectors: their plain Euclidean distance is the default one. Other weights scale the
differences, and so need no other vectors.
"""

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from sst.dsp import descriptors
from sst.dsp.descriptors import SIZE
from sst.errors import UsageError

ASPECTS = ("timbre", "envelope", "pitch", "duration", "loudness")
VECTOR_VERSION = 1  # counts up with other blocks, units or default weights
# Chosen on 47 drum machines that the shipped model was not trained on: by pitch more of the same
# kind is found, by duration hardly any. Loudness breaks ties: a quieter copy of a sound is that
# sound.
DEFAULT_WEIGHTS = {
    "timbre": 1.0,
    "envelope": 0.05,
    "pitch": 0.1,
    "duration": 0.01,
    "loudness": 0.0001,
}
# Squared lengths of the blocks: with them two sounds of a drum library are, by every aspect alone,
# about as far apart as they are by timbre (1.4 in the median).
_UNITS = {"envelope": 7.0, "pitch": 2.0, "duration": 20.0, "loudness": 70.0}
SEMITONES = tuple(range(-12, 13))  # that a search without pitch tries


def apply_weights(described: Float[np.ndarray, "*b s"]) -> Float[np.ndarray, "*b s"]:
    """Returns the measured part of search vectors, with the default weights, float32.

    Args:
        described: rows of `descriptors.describe`.
    """
    scales = [math.sqrt(DEFAULT_WEIGHTS[name] * _UNITS[name]) for name in descriptors.SIZES]
    return described * np.repeat(np.array(scales, np.float32), list(descriptors.SIZES.values()))


def factors(weights: Mapping[str, float], size: int) -> Float[np.ndarray, " d"]:
    """Returns factors [size], float32, for the squared differences of vectors.

    Args:
        weights: of some aspects; the others keep their default. 1 counts an aspect as much
            as the timbre, 0 leaves it out.
        size: of the whole vectors.

    Raises:
        UsageError: an aspect that is none, a weight that is negative or not finite, all weights 0.
    """
    for name, weight in weights.items():
        if name not in ASPECTS:
            raise UsageError(f"No aspect {name!r}; there are {', '.join(ASPECTS)}.")
        if not 0.0 <= weight < math.inf:
            raise UsageError(f"The weight {weight:g} of {name} should be 0 or more.")
    complete = DEFAULT_WEIGHTS | dict(weights)
    if not any(complete.values()):
        raise UsageError("All aspects have weight 0: nothing is left to compare.")
    sizes = _block_sizes(size)
    shares = [complete[name] / DEFAULT_WEIGHTS[name] for name in sizes]
    return np.repeat(np.array(shares, np.float32), list(sizes.values()))


def blend(
    vectors: Float[np.ndarray, "n d"], shares: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " d"]:
    """Returns the weighted sum of vectors, each block brought back to its length.

    Args:
        vectors: of the sounds, n > 0.
        shares: their weights, negative for what is to be unlike.

    Raises:
        UsageError: the sounds cancel each other out.
    """
    total = np.asarray(shares, np.float64) @ vectors
    out = np.array(vectors[0], np.float64)
    ends = np.cumsum(list(_block_sizes(vectors.shape[1]).values()))[:-1]
    for block in np.split(np.arange(vectors.shape[1]), ends):
        wanted, there = np.linalg.norm(vectors[0, block]), np.linalg.norm(total[block])
        if there < 1e-6 * wanted:
            raise UsageError("These sounds cancel each other out: change their weights.")
        out[block] = total[block] * (wanted / there)
    return out.astype(np.float32)


def _block_sizes(size: int) -> dict[str, int]:
    """Returns the length of every block of vectors of `size` numbers, in their order."""
    return {"timbre": size - SIZE} | descriptors.SIZES
