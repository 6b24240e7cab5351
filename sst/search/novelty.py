"""Novelty: the percentile of a sound's distance to the nearest real sound; 0 is a copy of one.

The scale is the distances of real sounds to each other. A sound that is 37 % novel is farther from
the nearest real one than 37 % of the real sounds are from the nearest sound of another pack.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sst import files

SAMPLED_SOUNDS = 1000  # random ones whose nearest others are looked for
QUANTILES = 101  # of the distances, that are kept
BATCH_SIZE = 64  # sounds compared with all others at once
NO_SPACING = np.zeros(0, np.float32)
IsCopy = Callable[[int, int], bool]  # of two rows


class KnownSounds(NamedTuple):
    """The sounds that new ones are compared with: of the training data, or of a library."""

    ids: list[str]  # names with their folders
    vectors: Float[np.ndarray, "n e"]  # search vectors
    spacing: Float[np.ndarray, " q"]  # of `measure_spacing`


class Nearest(NamedTuple):
    """The nearest real sound of a collection."""

    of: str  # "training" or "library"
    name: str
    distance: float  # Euclidean, of the model's search vectors
    novelty: float | None  # per cent, None where there are too few real sounds to say


def find_nearest(of: str, known: KnownSounds, vector: Float[np.ndarray, " e"]) -> Nearest:
    """Finds the known sound that is nearest to a search vector of the same model.

    Args:
        of: the name of the collection: "training" or "library".
        known: its sounds, one or more.
        vector: of the new sound.
    """
    distances = np.linalg.norm(known.vectors - vector, axis=1)
    row = int(distances.argmin())
    away = float(distances[row])
    return Nearest(of, known.ids[row], away, percentile(away, known.spacing))


def percentile(distance: float, spacing: Float[np.ndarray, " q"]) -> float | None:
    """Returns the percentile of a distance in `spacing`, 0 to 100; None without a spacing."""
    if len(spacing) < 2:
        return None
    shares = np.linspace(0.0, 100.0, len(spacing))
    return float(np.interp(distance, spacing, shares, left=0.0, right=100.0))


def measure_spacing(
    vectors: Float[np.ndarray, "n e"],
    groups: Int[np.ndarray, " n"],
    is_copy: IsCopy,
) -> Float[np.ndarray, " q"]:
    """Measures how far real sounds are from the nearest other one, of another group.

    Args:
        vectors: the search vectors.
        groups: sounds of one group are not compared, such as those of one pack.
        is_copy: whether two rows are copies of one sound, by the definition of `waveform_match`.

    Returns:
        `QUANTILES` quantiles in rising order; none where there are no two groups.
    """
    squares = np.einsum("ne,ne->n", vectors, vectors)
    chosen = np.random.default_rng(0).permutation(len(vectors))[:SAMPLED_SOUNDS]
    found: list[float] = []
    for start in range(0, len(chosen), BATCH_SIZE):
        rows = chosen[start : start + BATCH_SIZE]
        away = squares[rows, None] + squares - 2.0 * (vectors[rows] @ vectors.T)
        away = np.where(groups[rows, None] != groups, np.sqrt(np.maximum(away, 0.0)), np.inf)
        found += [
            _nearest_other(int(row), each, is_copy) for row, each in zip(rows, away, strict=True)
        ]
    distances = np.array([distance for distance in found if np.isfinite(distance)])
    if not len(distances):
        return NO_SPACING
    return np.quantile(distances, np.linspace(0.0, 1.0, QUANTILES)).astype(np.float32)


def _nearest_other(row: int, away: Float[np.ndarray, " n"], is_copy: IsCopy) -> float:
    """Returns the distance of the nearest row that is no copy; inf where there is none."""
    away = away.copy()
    while np.isfinite(away[other := int(away.argmin())]) and is_copy(row, other):
        away[other] = np.inf
    return float(away[other])


def number_groups(ids: Sequence[str], by_pack: bool | None = None) -> Int[np.ndarray, " n"]:
    """Numbers the pack of each sound, or each sound where packs are no measure.

    Args:
        ids: names with the folders that the sounds are in, see `files.pack_of`.
        by_pack: whether packs count, if there are two; None: where there are enough of them.
    """
    _, packs = np.unique([files.pack_of(name) for name in ids], return_inverse=True)
    count = int(packs.max(initial=-1)) + 1
    by_pack = count >= files.FEWEST_PACKS if by_pack is None else by_pack and count > 1
    return packs if by_pack else np.arange(len(ids))
