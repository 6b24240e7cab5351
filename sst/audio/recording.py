"""The part of an audio file that a clip can come from: 32 s from its first sound."""

import os
from typing import NamedTuple

import numpy as np
import soundfile as sf
from jaxtyping import Float

from sst.audio.reader import (
    BODY_S,
    MAX_VALUES,
    BadAudio,
    Extent,
    check_decoded,
    open_audio,
    read_block,
    skip,
    with_path,
)

LEAD_S, LEAD_LEVEL = 60.0, 10 ** (-60 / 20)  # a sound is looked for so long, and from this level


class FileInfo(NamedTuple):
    """The format of a file by its content, whatever its name says."""

    format: str  # "WAV", "FLAC", ...
    subtype: str  # "PCM_16", "VORBIS", ...
    frames: int  # of the whole file, by its header


class Recording(NamedTuple):
    """The part of a file that a clip can come from."""

    wave: Float[np.ndarray, "n channels"]  # float32, as stored
    sample_rate: int
    info: FileInfo


def read_wave(path: str | os.PathLike[str], offset_s: float = 0.0) -> Recording:
    """Decodes the start of an audio file: 32 s from the first sound, found within 60 s.

    So a file of hours costs no more than one of half a minute, and `canonical` gives the same
    clip as for the whole file. The content decides the format, not the suffix. A decoder may hang
    or crash on a hostile file: `sst.audio.decode_pool` calls this in a process that can be killed.

    Args:
        path: of the file.
        offset_s: what comes before this second is as if it were not in the file.

    Raises:
        BadAudio: with reason vanished, unreadable, unsupported, empty, too_short, truncated,
            non_finite, silent or past_end.
    """
    with with_path(path), open_audio(path) as (file, raw):
        start = round(offset_s * file.samplerate)
        if start >= file.frames > 0:
            seconds = file.frames / file.samplerate
            rule = f"give an offset below that, not {offset_s:g} s"
            raise BadAudio("past_end", f"it lasts {seconds:.3g} s; {rule}")
        skip(file, start)
        wave = _read_head(file)
        check_decoded(Extent.of(wave), file, raw, start)
        info = FileInfo(file.format, file.subtype, file.frames)
        return Recording(wave, file.samplerate, info)


def head_samples(wave: Float[np.ndarray, "n channels"], sample_rate: int) -> int:
    """Counts the samples that a clip can come from: up to 32 s after the first sound."""
    body, lead = round(BODY_S * sample_rate), round(LEAD_S * sample_rate)
    if len(wave) <= body:
        return len(wave)
    loud = np.max(np.abs(wave[:lead]), axis=1) > LEAD_LEVEL
    first = int(np.argmax(loud)) if loud.any() else lead
    return min(len(wave), first + body)


def _read_head(file: sf.SoundFile) -> np.ndarray:
    """Reads what `head_samples` keeps: float32 [n, channels], at most `MAX_VALUES` values."""
    limit = MAX_VALUES // file.channels
    body = min(limit, round(BODY_S * file.samplerate))
    lead = min(limit - body, round(LEAD_S * file.samplerate))
    wave = read_block(file, body)
    while len(wave) >= body and lead > 0 and len(wave) < _samples_to_read(wave, body, lead):
        more = read_block(
            file, min(_samples_to_read(wave, body, lead) - len(wave), 10 * file.samplerate)
        )
        wave = np.concatenate([wave, more])
        if not len(more):
            break
    return wave[: head_samples(wave, file.samplerate)]


def _samples_to_read(wave: np.ndarray, body: int, lead: int) -> int:
    """Counts the samples to read, as far as those already read can tell."""
    loud = np.max(np.abs(wave[:lead]), axis=1) > LEAD_LEVEL
    return body + (int(np.argmax(loud)) if loud.any() else min(lead, len(wave)))
