"""Writing of WAV files, whole or not at all, with a comment inside."""

import contextlib
import io
import os
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import soundfile as sf
from jaxtyping import Float

from sst import atomic
from sst.audio import containers
from sst.audio.reader import open_audio, with_path
from sst.errors import UsageError

SUBTYPES = ("PCM_16", "PCM_24", "FLOAT")
_SET_ADD_PEAK_CHUNK = 0x1050  # a command of libsndfile


def write_wave(
    path: str | os.PathLike[str],
    wave: Float[np.ndarray, "n *channels"],
    sample_rate: int,
    subtype: str = "PCM_16",
    comment: str = "",
) -> None:
    """Writes a WAV file that is whole or not there at all; values beyond +-1 are clipped in PCM.

    The bytes depend on nothing but the arguments. `comment` goes into the file (`read_comment`).

    Raises:
        UsageError: for a subtype that is not one of `SUBTYPES`.
        OSError: when the folder is missing, full or closed; no file is left behind.
    """
    if subtype not in SUBTYPES:
        raise UsageError(f"The subtype {subtype!r} should be one of {', '.join(SUBTYPES)}.")
    body = wav_bytes(np.asarray(wave, np.float32), sample_rate, subtype)
    atomic.write_bytes(path, containers.add_comment(body, comment) if comment else body)


@contextlib.contextmanager
def open_new(
    target: str | os.PathLike[str] | BinaryIO,
    sample_rate: int,
    channels: int,
    subtype: str,
    container: str = "WAV",
) -> Iterator[sf.SoundFile]:
    """Opens a new sound file; its bytes depend on nothing but the arguments and what is written.

    Raises:
        soundfile.LibsndfileError: it cannot be written.
    """
    with sf.SoundFile(target, "w", sample_rate, channels, subtype, format=container) as file:
        # libsndfile stamps its PEAK chunk with the time: the same sound would give other bytes.
        sf._snd.sf_command(file._file, _SET_ADD_PEAK_CHUNK, sf._ffi.NULL, 0)
        yield file


def wav_bytes(
    wave: Float[np.ndarray, "n *channels"], sample_rate: int, subtype: str = "PCM_16"
) -> bytes:
    """Returns a whole WAV file; values beyond +-1 are clipped in PCM."""
    buffer = io.BytesIO()
    with open_new(buffer, sample_rate, 1 if wave.ndim == 1 else wave.shape[1], subtype) as file:
        file.write(wave)
    return buffer.getvalue()


def read_comment(path: str | os.PathLike[str]) -> str:
    """Reads the comment that `write_wave` stored; "" if there is none.

    Raises:
        BadAudio: the file cannot be opened.
    """
    with with_path(path), open_audio(path) as (_, raw):
        return containers.read_comment(raw)
