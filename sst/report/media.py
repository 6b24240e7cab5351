"""Sounds and pictures inside a page: as data, so that the page is one file."""

import base64
import struct
import zlib
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from sst.audio import wav
from sst.config import AudioConfig
from sst.dsp import features
from sst.types import Wave

PEAK = 0.7  # of every sound in the page, so that all play at one level
SILENCE_PEAK = 1e-6  # a peak below this is silence
# Dark to light, lightness rising evenly, as in the maps of Smith and van der Walt (2015).
COLOURS = np.array(
    [(0, 0, 4), (59, 15, 112), (140, 41, 129), (222, 73, 104), (254, 159, 109), (252, 253, 191)]
)


class Exhibit(NamedTuple):
    """A table of sounds with players and spectrograms."""

    title: str
    intro: str
    columns: list[str]
    rows: list[tuple[str, list[Wave | None]]]  # a caption and one sound, or none, per column


def audio_uri(wave: Wave, sample_rate: int) -> str:
    """Encodes a wave [n] as a 16-bit WAV data URI of peak `PEAK`; silence stays silence."""
    peak = float(np.abs(wave).max(initial=0.0))
    silence = np.zeros(max(1, len(wave)), np.float32)
    scaled = wave * (PEAK / peak) if peak > SILENCE_PEAK else silence
    return _uri("audio/wav", wav.wav_bytes(scaled, sample_rate))


def spectrogram_uri(wave: Wave, audio: AudioConfig, n_frames: int) -> str:
    """Draws the log-mel spectrogram as a PNG data URI: time to the right, bass below.

    Args:
        wave: [n] samples.
        audio: the transform.
        n_frames: width of the picture in frames; filled up with the floor, or cut.
    """
    image = np.full((n_frames, audio.n_mels), audio.floor_db, np.float32)
    if len(wave):
        log_mel = features.log_mel(np.asarray(wave, np.float32), audio)[:n_frames]
        image[: len(log_mel)] = log_mel
    shade = np.round(255.0 * (1.0 - image / audio.floor_db)).astype(np.uint8)
    return _uri("image/png", png(np.ascontiguousarray(shade.T[::-1])))


def png(shade: UInt8[np.ndarray, "h w"]) -> bytes:
    """Encodes a picture of 256 shades between the darkest and the lightest colour as PNG."""
    stops = np.linspace(0, 255, len(COLOURS))
    palette = np.stack([np.interp(np.arange(256), stops, c) for c in COLOURS.T], axis=1)
    height, width = shade.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    lines = b"".join(b"\0" + line.tobytes() for line in shade)
    chunks = [
        (b"IHDR", header),
        (b"PLTE", np.round(palette).astype(np.uint8).tobytes()),
        (b"IDAT", zlib.compress(lines, 9)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _uri(mime: str, data: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"
