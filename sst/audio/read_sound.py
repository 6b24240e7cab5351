"""A file as one sound: a clip of its first seconds, and what is measured of the clip.

`segment_file` cuts a recording into many sounds; both make them with `SoundMaker`.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from sst.audio import faults
from sst.audio.clip import canonical
from sst.audio.reader import BadAudio
from sst.audio.recording import read_wave
from sst.config import AudioConfig
from sst.dsp import descriptors, features, thumbnail
from sst.types import Sound


def read_sound(
    path: str | Path, audio: AudioConfig, offset_s: float = 0.0, measure: Sequence[str] = ()
) -> Sound:
    """Decodes a file as one sound: what its first seconds hold, or those after `offset_s`.

    Args:
        path: of the file.
        audio: the clip and the transform.
        offset_s: where in the file to begin.
        measure: which of `wire.MEASURES` are computed.

    Raises:
        BadAudio: the file is of no use.
    """
    recording = read_wave(path, offset_s)
    sound = SoundMaker(path, audio, measure)(recording.wave, recording.sample_rate)
    if "faults" in measure:
        sound = sound._replace(faults=tuple(faults.find_faults(recording, path)))
    return sound


class SoundMaker(NamedTuple):
    """Makes a `Sound` of samples: clip, spectrogram, digest and the measures asked for."""

    path: str | Path
    audio: AudioConfig
    measure: Sequence[str]

    def __call__(self, wave: Float[np.ndarray, "n channels"], sample_rate: int) -> Sound:
        """Raises BadAudio where nothing is left of the samples."""
        clip = canonical(wave, sample_rate, self.audio)
        if not np.isfinite(clip.peak_db):  # silence has no neighbours: what is near it is noise
            raise BadAudio("silent", "nothing is left of it at this sample rate", self.path)
        log_mel = features.log_mel(clip.wave, self.audio)
        if not np.isfinite(log_mel).all():
            raise BadAudio("non_finite", "its spectrogram is not finite", self.path)
        sound = Sound(
            self.path,
            clip,
            log_mel,
            features.attack(clip.wave, self.audio),
            _digest(wave, sample_rate),
            sample_rate,
            wave.shape[1],
            end_s=clip.onset_s + clip.duration_s,
        )
        return self._measured(sound)

    def _measured(self, sound: Sound) -> Sound:
        if "descriptors" in self.measure:
            described = descriptors.describe(sound.clip, sound.log_mel, self.audio)
            sound = sound._replace(descriptors=described)
        if "thumbnail" in self.measure:
            sound = sound._replace(thumbnail=thumbnail.thumbnail(sound.log_mel, self.audio))
        return sound


def _digest(wave: Float[np.ndarray, "n channels"], sample_rate: int) -> str:
    digest = hashlib.blake2b(f"{sample_rate} {wave.shape[1]} ".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(wave).data)
    return digest.hexdigest()
