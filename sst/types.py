"""The stages of a sound's life, named once: a clip, a sound, features, a batch.

A file (`sst.files.Sample`) is decoded to a `Sound`, or `Skipped` with a reason. A model takes the
`Features` of several sounds; training takes a `Batch` of them with their labels.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

if TYPE_CHECKING:
    from jaxtyping import Array
    from jaxtyping import PRNGKeyArray as Key
else:  # these two names import JAX: half a second in each process that only decodes or searches
    Array = Key = Any

Wave = Float[np.ndarray, " n"]  # mono samples
LogMel = Float[np.ndarray, "t m"]  # dB relative to the loudest cell, in [floor_db, 0]
Latent = Float[Array, "*b z"]
Path_ = str | os.PathLike[str]
Progress = Callable[[int, int, int], None]  # files done, files to do, of them skipped


class Clip(NamedTuple):
    """The canonical form of a sound: mono, at the model's rate, starting at its onset, peak 1."""

    wave: Wave  # float32 [n], 1 <= n <= audio.clip_samples, max |wave| = 1 (all zero if silent)
    peak_db: float  # level of the original, dBFS of max |x| (-inf if silent)
    onset_s: float  # seconds cut off the start of the file
    duration_s: float  # n / sample_rate


class Fault(NamedTuple):
    """One thing that is wrong with a recording that can be decoded."""

    name: str  # one stable word
    detail: str  # a phrase for people


NOTHING = np.zeros(0, np.float32)


class Sound(NamedTuple):
    """One usable sound: a file, or one hit of it. Everything that a decoding process computes."""

    path: str | Path  # of the file, as given
    clip: Clip
    log_mel: LogMel  # float32 [t, n_mels]
    attack: Float[np.ndarray, " a"]  # dB, see `dsp.features.attack`
    digest: str  # 32 hexadecimal digits of the decoded samples: equal for equal sound
    sample_rate: int  # Hz, of the file
    channels: int
    end_s: float  # seconds from the start of the file; a hit may be longer than its clip
    descriptors: Float[np.ndarray, " s"] = NOTHING  # where asked for: `dsp.descriptors.describe`
    thumbnail: Float[np.ndarray, " c"] = NOTHING  # where asked for: `dsp.thumbnail.thumbnail`
    faults: tuple[Fault, ...] = ()  # where asked for: `audio.faults.find_faults`
    left_out: str = ""  # at the last hit of a file of which more could have been used: a phrase


class Skipped(NamedTuple):
    """One file that is of no use, and why."""

    path: str | Path
    reason: str  # one of `audio.reader.BadAudio`'s, or timeout, crash, memory
    detail: str


class Features(NamedTuple):
    """The input of a model: some clips, in arrays of JAX or NumPy."""

    log_mel: Float[Any, "b t m"]  # padded with floor_db after n_frames
    n_frames: Int[Any, " b"]  # 1 .. t
    peak_db: Float[Any, " b"]
    attack: Float[Any, "b a"]  # dB, the envelope of the first tenth of a second: features.attack


class Batch(NamedTuple):
    """Features with labels and a mask, for training and evaluation."""

    log_mel: Float[Array, "b t m"]
    n_frames: Int[Array, " b"]
    peak_db: Float[Array, " b"]
    attack: Float[Array, "b a"]
    label: Int[Any, " b"]  # index of the class, -1 where there is none
    mask: Bool[Any, " b"]  # False on the rows that only fill up the last batch
