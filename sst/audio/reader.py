"""Opening and decoding of audio files, with every reason why one cannot be used."""

import contextlib
import io
import os
import stat
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import soundfile as sf
from jaxtyping import Float, Num

from sst.audio import containers
from sst.errors import NothingToDo

MAX_CHANNELS = 64
RATES = (1_000, 768_000)  # Hz
SHORTEST_S = 0.005
SILENCE = 10 ** (-90 / 20)  # of full scale: the last bit of 16-bit audio
BODY_S = 32.0  # from its first sound on: where the clip of a file lies
INEXACT = ("MP3", "OGG")  # decoders that give other samples after a seek
MAX_VALUES = 2**26  # samples times channels held at once: 256 MB


class BadAudio(NothingToDo):
    """A file that cannot be used. `reason` is one stable word, `detail` a phrase for people."""

    def __init__(self, reason: str, detail: str, path: Any = None):
        self.reason, self.detail, self.path = reason, detail, path
        super().__init__(f"Cannot use {path}: {detail}." if path else f"{detail}.")


class Extent(NamedTuple):
    """The number of samples of a file, and the range of their values."""

    samples: int
    low: Float[np.ndarray, " channels"]
    high: Float[np.ndarray, " channels"]

    @classmethod
    def of(cls, wave: Float[np.ndarray, "n channels"]) -> "Extent":
        """Measures one block."""
        nothing = np.zeros(wave.shape[1], np.float32)
        if not len(wave):
            return cls(0, nothing, nothing)
        return cls(len(wave), np.min(wave, axis=0), np.max(wave, axis=0))

    def union(self, other: "Extent") -> "Extent":
        """Returns the extent of two blocks together."""
        low, high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        return Extent(self.samples + other.samples, low, high)


@contextlib.contextmanager
def open_audio(path: str | os.PathLike[str]) -> Iterator[tuple[sf.SoundFile, BinaryIO]]:
    """Opens an audio file to be decoded from its first sample; yields the decoder and the bytes.

    Raises:
        BadAudio: with reason vanished, unreadable, unsupported, empty or truncated; one that is
            raised while the file is open gets its path too.
    """
    with contextlib.ExitStack() as stack:
        with with_path(path):
            file, raw = stack.enter_context(_open(path))
            file = stack.enter_context(_readable(file, raw))
        try:
            yield file, raw
        except BadAudio as bad:
            raise BadAudio(bad.reason, bad.detail, path) from None


@contextlib.contextmanager
def with_path(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns what goes wrong with a file into BadAudio with its path."""
    try:
        yield
    except BadAudio as bad:
        raise BadAudio(bad.reason, bad.detail, path) from None
    except FileNotFoundError:
        raise BadAudio("vanished", "there is no such file", path) from None
    except OSError as error:
        detail = (error.strerror or "input error").lower()
        raise BadAudio("unreadable", detail, path) from None


class _Stream(sf.SoundFile):
    """A file that is read from the front only.

    Where soundfile can seek it does so after every read, and the decoder of MP3 loses its place.
    """

    def seekable(self) -> bool:
        return False


def read_block(
    file: sf.SoundFile, samples: int, dtype: str = "float32"
) -> Num[np.ndarray, "n channels"]:
    """Reads the next samples; fewer only at the end of the file.

    Raises:
        BadAudio: with reason truncated.
    """
    try:
        left = max(0, file.frames - file.tell())
        return file.read(min(samples, left), dtype=dtype, always_2d=True)
    except sf.LibsndfileError:
        raise BadAudio("truncated", "the file is damaged or cut off inside") from None


def check_decoded(extent: Extent, file: sf.SoundFile, raw: BinaryIO, start: int = 0) -> None:
    """Refuses a file that decodes without an error but holds no usable sound.

    Args:
        extent: of all samples that were decoded.
        file: that they come from.
        raw: its bytes.
        start: samples of the file before them.

    Raises:
        BadAudio: with reason truncated, empty, too_short, non_finite or silent.
    """
    n, low, high = extent
    seconds = n / file.samplerate
    if file.format in INEXACT and _cut_short(start + n, file, raw):
        raise BadAudio("truncated", f"only {1000 * seconds:,.0f} ms of it can be decoded")
    if not n:
        raise BadAudio("empty", "it holds no samples")
    if seconds < SHORTEST_S:
        raise BadAudio(
            "too_short",
            f"{'what is left' if start else 'it'} lasts {1000 * seconds:.2g} ms;"
            f" {SHORTEST_S * 1000:.0f} ms are needed",
        )
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise BadAudio("non_finite", "it has samples that are not finite numbers")
    if float(np.max(high / 2 - low / 2)) < SILENCE:
        raise BadAudio("silent", "it is silent from there on" if start else "it is silent")


@contextlib.contextmanager
def _open(path: str | os.PathLike[str]) -> Iterator[tuple[sf.SoundFile, BinaryIO]]:
    """Opens one regular file; yields its decoder and its bytes."""
    facts = os.stat(path)
    if not stat.S_ISREG(facts.st_mode):  # to open a named pipe would wait for ever
        raise BadAudio("unreadable", "it is not a regular file")
    if facts.st_size == 0:
        raise BadAudio("empty", "the file has no bytes")
    with open(path, "rb") as raw:
        if name := containers.detect_foreign_format(raw.read(16)):
            raise BadAudio("unsupported", f"{name} cannot be read; convert it to WAV or FLAC")
        try:
            # As bytes: a name that is not valid UTF-8 opens too.
            file = _Stream(os.fspath(path) if os.name == "nt" else os.fsencode(path))
        except sf.LibsndfileError as error:
            raise _undecodable(error) from None
        with file:
            yield file, raw


def _undecodable(error: sf.LibsndfileError) -> BadAudio:
    """Puts libsndfile's codes into words: its own speak of missing files where an MP3 is cut."""
    if error.code == 4:
        return BadAudio("unsupported", "its encoding cannot be read; convert it to WAV or FLAC")
    if error.code == 3:
        return BadAudio("unreadable", "the file is malformed")
    return BadAudio("unreadable", "there is no audio inside that can be decoded")


@contextlib.contextmanager
def _readable(file: sf.SoundFile, raw: BinaryIO) -> Iterator[sf.SoundFile]:
    """Yields the file, or a repaired one. Raises BadAudio where its header is of no use."""
    if not 1 <= file.channels <= MAX_CHANNELS:
        raise BadAudio("unsupported", f"it has {file.channels} channels; 1 to {MAX_CHANNELS} work")
    if not RATES[0] <= file.samplerate <= RATES[1]:
        raise BadAudio("unsupported", f"its sample rate is {file.samplerate} Hz")
    is_riff = file.format in ("WAV", "WAVEX", "AIFF")
    chunk = containers.find_data_chunk(raw) if is_riff else None
    if chunk and containers.count_missing_bytes(chunk):
        there = f"{chunk.present:,} of {chunk.declared:,} bytes of sound"
        raise BadAudio("truncated", f"the file is cut off: only {there} are there")
    if chunk and file.frames == 0 and chunk.little_endian:
        with _repaired(raw, chunk) as whole:
            yield whole
    else:
        yield file


@contextlib.contextmanager
def _repaired(raw: BinaryIO, chunk: containers.DataChunk) -> Iterator[sf.SoundFile]:
    """Yields the file with the size that its writer left out of the header."""
    present = min(containers.count_undeclared_bytes(raw, chunk), 4 * MAX_VALUES)
    if not present:
        raise BadAudio("empty", "it holds no samples")
    raw.seek(0)
    content = bytearray(raw.read(chunk.start + present))
    struct.pack_into("<I", content, chunk.start - 4, present)
    with _Stream(io.BytesIO(content)) as file:
        yield file


def skip(file: sf.SoundFile, samples: int) -> None:
    """Moves on by so many samples, exactly as reading them would."""
    if samples and file.format not in INEXACT:
        file.seek(samples, sf.SEEK_CUR)
    elif samples:
        while samples > 0 and len(block := read_block(file, min(samples, MAX_VALUES // 64))):
            samples -= len(block)


def _cut_short(n_read: int, file: sf.SoundFile, raw: BinaryIO) -> bool:
    """Tells whether a compressed file gave far less sound than its header or size promises."""
    body = min(round(BODY_S * file.samplerate), MAX_VALUES // file.channels)
    if n_read >= body:
        return False
    if file.format == "OGG":
        return n_read == 0 or containers.ogg_is_cut(raw)
    size, states_length = containers.read_mp3_facts(raw)
    least_s = size / 40_000 / 4  # a quarter of what it lasts at the highest bit rate there is
    too_few = states_length and n_read < 0.95 * file.frames
    return too_few or n_read / file.samplerate < least_s
