"""Copies among the rows of an index, by the definition of `waveform_match`.

An index holds no waveforms: files are decoded again, but only those whose vectors are so near that
they may be copies.
"""

import functools
import math

import numpy as np
from jaxtyping import Float

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
        return self._is_near(self._rows.vectors[a], b) and self._agree(self._clip(a), b)

    def holds(
        self, row: int, digest: str, vector: Float[np.ndarray, " e"], clip: Clip | None
    ) -> bool:
        """Tells whether a row holds a sound.

        Args:
            row: of the index.
            digest: of the sound.
            vector: its search vector.
            clip: its clip; None where the index holds a sound of that digest.
        """
        if self._rows.digests[row] == digest:
            return True
        if not self._is_near(vector, row):
            return False
        if clip is None and digest in self._rows.digests:
            clip = self._clip(self._rows.digests.index(digest))
        return self._agree(clip, row)

    def _is_near(self, vector: Float[np.ndarray, " e"], row: int) -> bool:
        return bool(np.linalg.norm(self._rows.vectors[row] - vector) <= COPY_REACH)

    def _agree(self, clip: Clip | None, row: int) -> bool:
        other = self._clip(row)
        if clip is None or other is None:
            return False
        return waveform_match.same_sound(clip, other, self._audio.sample_rate)

    def _read(self, row: int) -> Clip | None:
        """Decodes the sound of a row, in this process: the scan has done so without harm."""
        onset, end = float(self._rows.onsets[row]), float(self._rows.ends[row])
        try:
            wave, rate, _ = read_wave(self._rows.paths[row], onset)
            return canonical(wave[: math.ceil((end - onset) * rate)], rate, self._audio)
        except BadAudio:
            return None
