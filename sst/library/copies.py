"""Copies among the rows of an index, by the definition of `waveform_match`.

An index holds no waveforms: files are decoded again, but only those whose vectors are so near that
they may be copies.
"""

import math

import numpy as np

from sst.audio.clip import canonical
from sst.audio.reader import BadAudio
from sst.audio.recording import read_wave
from sst.config import AudioConfig
from sst.library.rows import Rows
from sst.search import waveform_match
from sst.search.similarity import SAME_DISTANCE
from sst.types import Clip


def same_sound(rows: Rows, a: int, b: int, audio: AudioConfig) -> bool:
    """Tells whether two rows hold one sound: the same samples, or one waveform.

    Rows farther apart than `SAME_DISTANCE` never do, nor does a file that cannot be read now.

    Args:
        rows: of the index.
        a: row of one sound.
        b: row of another.
        audio: the transform that the index was made with.
    """
    if rows.digests[a] == rows.digests[b]:
        return True
    if np.linalg.norm(rows.vectors[a] - rows.vectors[b]) > SAME_DISTANCE:
        return False
    try:
        one, other = (_clip(rows, row, audio) for row in (a, b))
    except BadAudio:
        return False
    return waveform_match.same_sound(one, other, audio.sample_rate)


def _clip(rows: Rows, row: int, audio: AudioConfig) -> Clip:
    """Decodes the sound of a row in this process: the scan has decoded the file without harm."""
    onset, end = float(rows.onsets[row]), float(rows.ends[row])
    wave, rate, _ = read_wave(rows.paths[row], onset)
    return canonical(wave[: math.ceil((end - onset) * rate)], rate, audio)
