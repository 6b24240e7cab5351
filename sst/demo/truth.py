"""The ground truth of a synthesised sound: given parameters and measures of its wave."""

from typing import NamedTuple

import numpy as np


class Truth(NamedTuple):
    """The ground truth of one sound; `level` is the largest magnitude of the channels."""

    kind: str  # the name of its folder
    voice: str  # the function that made it
    velocity: float  # of the stroke, 0 .. 1
    pitch_hz: float  # fundamental; where the pitch falls, the one it falls to; nan without a pitch
    onset_s: float  # exact silence before the sound
    attack_s: float  # from the onset to the first level of half the peak
    decay_s: float  # from the peak to the last level of a tenth of the peak (-20 dB)
    peak_db: float  # level of the peak, dBFS


def measure(
    wave: np.ndarray, rate: int, onset: int, kind: str, voice: str, velocity: float, pitch_hz: float
) -> Truth:
    """Measures the ground truth of a wave [n, channels] that starts at sample `onset`."""
    level = np.abs(wave).max(axis=1)
    top = int(np.argmax(level))
    attack = int(np.argmax(level >= 0.5 * level[top])) - onset
    decay = int(np.flatnonzero(level >= 0.1 * level[top])[-1]) - top
    peak_db = 20 * float(np.log10(level[top]))
    return Truth(
        kind, voice, velocity, pitch_hz, onset / rate, attack / rate, decay / rate, peak_db
    )
