"""The level of a recording of any length: in bands of a third of an octave, for every 5 ms.

It is what `onsets` looks for hits in. A recording comes in blocks, so it need not fit in memory.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import scipy.fft
from jaxtyping import Float

HOP_S, WINDOW_S = 0.005, 0.023
LOWEST_HZ, HIGHEST_HZ, BANDS_PER_OCTAVE = 40.0, 16_000.0, 3
FRAMES = 256  # transformed at once


class LevelTrack(NamedTuple):
    """The level of a recording of any length, for every 5 ms."""

    levels: Float[np.ndarray, "t bands"]  # dB
    peaks: Float[np.ndarray, " t"]  # max |x| of all channels
    hop: int  # samples
    window: int  # samples
    sample_rate: int  # Hz
    samples: int  # of the recording


def measure_levels(
    blocks: Iterable[Float[np.ndarray, "n channels"]], sample_rate: int
) -> LevelTrack:
    """Measures the level of a recording that comes in blocks of any length.

    Where one block ends and the next begins does not change the result.

    Args:
        blocks: consecutive samples, finite, full scale 1.
        sample_rate: Hz, 1 kHz or more.
    """
    hop, size = round(HOP_S * sample_rate), 2 ** round(np.log2(WINDOW_S * sample_rate))
    edges = _band_edges(sample_rate, size)
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    levels, peaks = [np.zeros((0, len(edges) - 1), np.float32)], [np.zeros(0, np.float32)]
    lengths: list[int] = []

    def counted() -> Iterator[np.ndarray]:
        for block in blocks:
            lengths.append(len(block))
            yield block

    for frames in _frames(counted(), size, hop):
        power = np.sum(np.abs(scipy.fft.rfft(frames * window)) ** 2, axis=1)
        bands = np.add.reduceat(power[:, : edges[-1]], edges[:-1], axis=1)
        levels.append(10 * np.log10(bands + np.float32(1e-20)))
        peaks.append(np.abs(frames[..., size // 2 : size // 2 + hop]).max(axis=(1, 2)))
    return LevelTrack(
        np.concatenate(levels), np.concatenate(peaks), hop, size, sample_rate, sum(lengths)
    )


def _band_edges(sample_rate: int, size: int) -> np.ndarray:
    """Returns the first bins of the bands, and one past the last."""
    highest = min(HIGHEST_HZ, 0.45 * sample_rate)
    count = max(4, int(np.log2(highest / LOWEST_HZ) * BANDS_PER_OCTAVE))
    hertz = LOWEST_HZ * (highest / LOWEST_HZ) ** (np.arange(count + 1) / count)
    return np.unique(np.maximum(1, np.round(hertz * size / sample_rate).astype(int)))


def _frames(
    blocks: Iterable[Float[np.ndarray, "n channels"]], size: int, hop: int
) -> Iterator[Float[np.ndarray, "t channels size"]]:
    """Yields windows around every `hop`-th sample, with zeros before the first and after the last.

    Every recording of n samples gives n / hop of them, rounded up.
    """
    rest = np.zeros((0, 1), np.float32)
    samples = done = 0
    for block in blocks:
        rest = rest if done or samples else np.zeros((size // 2, block.shape[1]), np.float32)
        rest = np.concatenate([rest, block])
        ready = max(0, (len(rest) - size) // hop + 1)
        yield from _windows(rest, size, hop, ready)
        rest, samples, done = rest[ready * hop :], samples + len(block), done + ready
    rest = np.concatenate([rest, np.zeros((size, rest.shape[1]), np.float32)])
    yield from _windows(rest, size, hop, -(-samples // hop) - done)


def _windows(
    wave: Float[np.ndarray, "n channels"], size: int, hop: int, count: int
) -> Iterator[Float[np.ndarray, "t channels size"]]:
    for first in range(0, count, FRAMES):
        views = np.lib.stride_tricks.sliding_window_view(wave[first * hop :], size, axis=0)
        yield views[::hop][: min(FRAMES, count - first)]
