"""Writing of WAV files, whole or not at all, with a comment inside."""

import io
import os

import numpy as np
import soundfile as sf
from jaxtyping import Float

from sst import atomic
from sst.audio import containers
from sst.audio.reader import open_audio, with_path
from sst.errors import UsageError

SUBTYPES = ("PCM_16", "PCM_24", "FLOAT")


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
        raise UsageError(f"subtype {subtype!r} should be one of {', '.join(SUBTYPES)}.")
    body = _riff_bytes(np.asarray(wave, np.float32), sample_rate, subtype, comment)
    atomic.write_bytes(path, body)


def read_comment(path: str | os.PathLike[str]) -> str:
    """Reads the comment that `write_wave` stored; "" if there is none.

    Raises:
        BadAudio: the file cannot be opened.
    """
    with with_path(path), open_audio(path) as (_, raw):
        return containers.read_comment(raw)


def _riff_bytes(wave: np.ndarray, sample_rate: int, subtype: str, comment: str) -> bytes:
    """Makes a whole WAV file in memory."""
    buffer = io.BytesIO()
    channels = 1 if wave.ndim == 1 else wave.shape[1]
    with sf.SoundFile(buffer, "w", sample_rate, channels, subtype, format="WAV") as file:
        # libsndfile stamps its PEAK chunk with the time: the same sound would give other bytes.
        sf._snd.sf_command(file._file, 0x1050, sf._ffi.NULL, 0)
        file.write(wave)
    return containers.add_comment(buffer.getvalue(), comment) if comment else buffer.getvalue()
