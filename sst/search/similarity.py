"""Similarity calibration: a distance as a percentage and a word, by a library's own distances."""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from sst.search import searcher

Band = Literal["same sound", "close", "related", "weak"]

# Two sounds that are farther apart are no copies; whether nearer ones are, their waveforms tell
# (`waveform_match`). Quieter copies of drums are nearer, and nine of ten MP3 of them.
COPY_REACH = 0.2
# "close" is as near as the nearer half of the library's own sounds have a neighbour, "related" as
# 95 of 100 have one; what is farther is farther than the library's sounds are from each other. Some
# sounds with nothing in common are no measure: beyond these distances nothing is close or related.
SHARES, LIMITS = (0.5, 0.95), (0.7, 1.0)
_PAIRS = 20_000  # random pairs of sounds whose distances stand for all
_SOUNDS = 500  # random sounds whose nearest ones are looked for
_COPIES = 10  # sounds within `COPY_REACH` that are passed over, at most
_STEPS = 513  # quantiles that are kept


class DistanceQuantiles(NamedTuple):
    """Quantiles of the distances in a library; empty where there are no two different sounds."""

    pairs: Float[np.ndarray, " s"]  # quantiles of the distance between two different sounds
    # Quantiles of the distance of a sound to the nearest other that cannot be a copy of it.
    nearest: Float[np.ndarray, " s"]


def distance_quantiles(
    vectors: Float[np.ndarray, "n d"], factors: Float[np.ndarray, " d"] | None = None
) -> DistanceQuantiles:
    """Measures the distances of different sounds, a row each.

    Args:
        vectors: search vectors.
        factors: of the squared differences, as for `Searcher.search`.
    """
    n = len(vectors)
    if n < 2:
        return DistanceQuantiles(np.zeros(0, np.float32), np.zeros(0, np.float32))
    rng = np.random.default_rng(0)
    left = rng.integers(n, size=_PAIRS)
    difference = vectors[left] - vectors[(left + rng.integers(1, n, size=_PAIRS)) % n]
    scaled = difference if factors is None else difference * factors
    pairs = np.sqrt(np.einsum("pd,pd->p", difference, scaled))
    some = vectors[rng.permutation(n)[:_SOUNDS]]
    near = searcher.build(vectors, "exact").search(some, 1 + _COPIES, factors)[1][:, 1:]
    different = near > COPY_REACH
    others = np.where(different.any(axis=1), different.argmax(axis=1), near.shape[1] - 1)
    nearest = near[np.arange(len(near)), others]
    return DistanceQuantiles(_quantiles(pairs), _quantiles(nearest))


def similarity(
    distances: Float[np.ndarray, " k"], pairs: Float[np.ndarray, " s"]
) -> Float[np.ndarray, " k"]:
    """Returns the per cent of the library's pairs that are farther apart; 100 for distance 0.

    Where the library has no two different sounds, 100 / (1 + distance).
    """
    distances = np.asarray(distances, np.float64)
    if len(pairs) < 2 or pairs[-1] <= 0:
        return 100.0 / (1.0 + distances)
    grid = np.concatenate([[0.0], pairs[pairs > 0]])
    share = np.concatenate([[0.0], np.linspace(0, 1, len(pairs))[pairs > 0]])
    return 100.0 * (1.0 - np.interp(distances, grid, share))


def bands(distances: Float[np.ndarray, " k"], nearest: Float[np.ndarray, " s"]) -> list[Band]:
    """Returns a word for each distance between different sounds: see `SHARES` and `LIMITS`.

    Args:
        distances: of hits that are no copies of the target; those are the same sound.
        nearest: `DistanceQuantiles.nearest`.
    """
    close, related = LIMITS
    if len(nearest):
        grid = np.linspace(0.0, 1.0, len(nearest))
        close, related = np.minimum(LIMITS, np.interp(SHARES, grid, nearest))
    words: list[Band] = []
    for distance in np.asarray(distances).tolist():
        if distance <= close:
            words.append("close")
        else:
            words.append("related" if distance <= related else "weak")
    return words


def _quantiles(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " s"]:
    return np.quantile(values, np.linspace(0, 1, _STEPS)).astype(np.float32)
