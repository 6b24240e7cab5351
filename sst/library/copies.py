"""Copies among the rows of an index, by the definition of `waveform_match`.

An index holds no waveforms: files are decoded again, but only those whose vectors are so near that
they may be copies.
"""

import functools
import math
from collections.abc import Sequence

import numpy as np

from sst.audio.clip import canonical
from sst.audio.reader import BadAudio
from sst.audio.recording import read_wave
from sst.config import AudioConfig
from sst.library.rows import Rows
from sst.search import waveform_match
from sst.search.similarity import COPY_REACH
from sst.types import Clip

MAX_CLIPS = 256  # that are held, so that a sound compared with several is decoded once


class Comparison:
    """Tells which rows of an index are copies. Rows farther apart than `COPY_REACH` are none.

    A file that cannot be read now is a copy of nothing but its equal.

    Args:
        rows: of the index.
        audio: the transform that the index was made with.
    """

    def __init__(self, rows: Rows, audio: AudioConfig) -> None:
        self._rows, self._audio = rows, audio
        self._clip = functools.lru_cache(MAX_CLIPS)(self._read)

    def same_sound(self, a: int, b: int) -> bool:
        """Tells whether two rows hold one sound: the same samples, or one waveform."""
        if self._rows.digests[a] == self._rows.digests[b]:
            return True
        vectors = self._rows.vectors
        if np.linalg.norm(vectors[a] - vectors[b]) > COPY_REACH:
            return False
        clip = self._clip(a)
        return clip is not None and self.holds(b, clip)

    def is_any(self, rows: Sequence[int], row: int) -> bool:
        """Tells whether a row is one of some rows, or holds the sound of one."""
        return row in rows or any(self.same_sound(other, row) for other in rows)

    def holds(self, row: int, clip: Clip) -> bool:
        """Tells whether a row holds the sound of a clip, whatever their vectors say."""
        own = self._clip(row)
        return own is not None and waveform_match.same_sound(clip, own, self._audio.sample_rate)

    def _read(self, row: int) -> Clip | None:
        """Decodes the sound of a row, in this process: the scan has done so without harm."""
        onset, end = float(self._rows.onsets[row]), float(self._rows.ends[row])
        try:
            wave, rate, _ = read_wave(self._rows.paths[row], onset)
            return canonical(wave[: math.ceil((end - onset) * rate)], rate, self._audio)
        except BadAudio:
            return None
