"""Thumbnails of spectrograms: a few numbers that are nearly the same for copies of a sound."""

import functools
import math

import numpy as np
from jaxtyping import Float

from sst.config import AudioConfig
from sst.dsp import features
from sst.types import LogMel

# Measured by experiments/benchmarks/duplicates.py.
BANDS, BANDS_BELOW_HZ = 16, 7_000.0
TIMES_S = (0.0, 0.02, 0.04, 0.07, 0.12, 0.19, 0.3, 0.46, 0.81)  # where a stretch begins
LEAST_DB = -45.0  # of the loudest cell


def thumbnail(log_mel: LogMel, audio: AudioConfig) -> Float[np.ndarray, " c"]:
    """Averages the spectrogram over few bands and stretches of time.

    Args:
        log_mel: dB relative to the loudest cell.
        audio: its transform.

    Returns:
        Numbers whose Euclidean distance is the root mean square of the difference in dB.
    """
    power = 10.0 ** (np.asarray(log_mel, np.float32) / 10.0)
    edges = np.linspace(0.0, _bands_below(audio), BANDS + 1).astype(int)
    in_bands = np.add.reduceat(power, edges[:-1], axis=1)[:, :BANDS] / np.diff(edges)
    starts = np.unique([round(time * audio.sample_rate / audio.hop) for time in TIMES_S])
    sums = np.zeros((len(starts), BANDS), np.float32)
    there = starts < len(power)
    sums[there] = np.add.reduceat(in_bands, starts[there], axis=0)
    means = sums / np.diff(np.append(starts, audio.n_frames))[:, None]
    floor = 10.0 ** (LEAST_DB / 10.0) * max(float(means.max()), 1e-12)
    cells = 10.0 * np.log10(np.maximum(means, floor) / floor)
    return (cells.ravel() / math.sqrt(cells.size)).astype(np.float32)


@functools.lru_cache(maxsize=8)
def _bands_below(audio: AudioConfig) -> int:
    """Counts the mel bands below 7 kHz: copies at 16 kHz have them too."""
    return int(np.searchsorted(features.band_edges(audio)[2:], BANDS_BELOW_HZ))
