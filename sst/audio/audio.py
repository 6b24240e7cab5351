"""Audio files to waveforms and back, and the canonical clip that everything else works on."""

import io
import math
import os
from typing import Any, NamedTuple

import numpy as np
import soundfile as sf
import soxr
from jaxtyping import Float, Int16

from sst import atomic
from sst.audio import containers
from sst.audio.reader import (
    BODY_S,
    MAX_VALUES,
    SILENCE,
    BadAudio,
    Extent,
    check,
    in_our_words,
    opened,
    read_block,
    skip,
)
from sst.config import AudioConfig
from sst.errors import UsageError
from sst.types import Clip, Wave

LEAD_S, LEAD_LEVEL = 60.0, 10 ** (-60 / 20)  # a sound is looked for so long, and from this level
ONSET, TAIL = 10 ** (-50 / 20), 10 ** (-80 / 20)  # of the peak: where a clip begins and ends
PREROLL_S, FADE_S = 0.001, 0.010
SUBTYPES = ("PCM_16", "PCM_24", "FLOAT")


class FileInfo(NamedTuple):
    """What the file is, whatever its name says."""

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
    with in_our_words(path), opened(path) as (file, raw):
        start = round(offset_s * file.samplerate)
        if start >= file.frames > 0:
            seconds = file.frames / file.samplerate
            raise BadAudio("past_end", f"it lasts {seconds:.3g} s, no {offset_s:g} s")
        skip(file, start)
        wave = _read_head(file)
        check(Extent.of(wave), file, raw, start)
        info = FileInfo(file.format, file.subtype, file.frames)
        return Recording(wave, file.samplerate, info)


def canonical(wave: Any, sample_rate: int, audio: AudioConfig) -> Clip:
    """The clip that a model sees of a sound of any rate, length, level and number of channels.

    Mono (the mean of the channels, or the loudest one where they cancel), without DC offset, from
    1 ms before the first sample over -50 dB of the peak to the last over -80 dB, at the rate of
    `audio`, cut at its longest clip with a fade of 10 ms, divided by its peak.

    Args:
        wave: [n] or [n, channels], floating point with full scale 1, or integers.
        sample_rate: Hz.
        audio: decides the clip's rate and longest duration.

    Returns:
        The clip; one zero sample with peak_db -inf for silence or no samples at all.

    Raises:
        BadAudio: for samples that are not finite.
    """
    mono, level = _mono(_two_dimensional(wave), sample_rate)
    peak = float(np.max(np.abs(mono), initial=0.0))
    if peak < ONSET * SILENCE or level == 0.0:
        return _silence(audio)
    loud = np.abs(mono) > ONSET * peak
    start = max(0, int(np.argmax(loud)) - round(PREROLL_S * sample_rate))
    longest = math.ceil((audio.clip_seconds + PREROLL_S) * sample_rate)
    sound = _without_tail(mono[start : start + longest])
    clip = resample(sound, sample_rate, audio.sample_rate)
    if len(clip) > audio.clip_samples:
        clip = _fade_out(clip[: audio.clip_samples], audio.sample_rate)
    top = float(np.max(np.abs(clip), initial=0.0))
    if top < TAIL * peak:  # nothing below half the new rate
        return _silence(audio)
    clip = clip / np.float32(top)
    peak_db = 20.0 * math.log10(top) + 20.0 * math.log10(level)
    return Clip(clip, peak_db, start / sample_rate, len(clip) / audio.sample_rate)


def resample(
    wave: Float[np.ndarray, "n *channels"], from_rate: float, to_rate: float
) -> Float[np.ndarray, "m *channels"]:
    """The wave at another rate, float32, at least one sample where there was one."""
    wave = np.ascontiguousarray(wave, np.float32)
    if from_rate == to_rate or not len(wave):
        return wave
    out = soxr.resample(wave, from_rate, to_rate, "HQ")
    return out if len(out) else wave[:1]


def head_samples(wave: Float[np.ndarray, "n channels"], sample_rate: int) -> int:
    """How much of a recording a clip can come from: 32 s from the first sound."""
    body, lead = round(BODY_S * sample_rate), round(LEAD_S * sample_rate)
    if len(wave) <= body:
        return len(wave)
    loud = np.max(np.abs(wave[:lead]), axis=1) > LEAD_LEVEL
    first = int(np.argmax(loud)) if loud.any() else lead
    return min(len(wave), first + body)


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
    """The comment that `write_wave` stored; "" if there is none.

    Raises:
        BadAudio: the file cannot be opened.
    """
    with in_our_words(path), opened(path) as (_, raw):
        return containers.comment_of(raw)


def to_int16(wave: Wave) -> Int16[np.ndarray, " n"]:
    """[-1, 1] to 16-bit integers, rounded; beyond it, clipped."""
    return np.clip(np.rint(np.asarray(wave) * 32767.0), -32767, 32767).astype(np.int16)


def from_int16(samples: Int16[np.ndarray, " n"]) -> Wave:
    """The inverse of `to_int16`, to within half a step."""
    return samples.astype(np.float32) / np.float32(32767.0)


def _read_head(file: sf.SoundFile) -> np.ndarray:
    """The samples that `head_samples` keeps, float32 [n, channels]; at most `MAX_VALUES` values."""
    limit = MAX_VALUES // file.channels
    body = min(limit, round(BODY_S * file.samplerate))
    lead = min(limit - body, round(LEAD_S * file.samplerate))
    wave = read_block(file, body)
    while len(wave) >= body and lead > 0 and len(wave) < _wanted(wave, body, lead):
        more = read_block(file, min(_wanted(wave, body, lead) - len(wave), 10 * file.samplerate))
        wave = np.concatenate([wave, more])
        if not len(more):
            break
    return wave[: head_samples(wave, file.samplerate)]


def _wanted(wave: np.ndarray, body: int, lead: int) -> int:
    """How many samples to read, as far as the ones already read can tell."""
    loud = np.max(np.abs(wave[:lead]), axis=1) > LEAD_LEVEL
    return body + (int(np.argmax(loud)) if loud.any() else min(lead, len(wave)))


def _two_dimensional(wave: Any) -> np.ndarray:
    """[n, channels] floating point."""
    wave = np.asarray(wave)
    if wave.ndim not in (1, 2) or (wave.ndim == 2 and wave.shape[1] == 0):
        raise ValueError(f"a wave is [n] or [n, channels], not {wave.shape}")
    if wave.dtype.kind in "iu":
        wave = wave / np.float32(np.iinfo(wave.dtype).max)
    elif wave.dtype.kind != "f":
        raise ValueError(f"a wave holds numbers, not {wave.dtype}")
    return wave if wave.ndim == 2 else wave[:, None]


def _mono(wave: np.ndarray, sample_rate: int) -> tuple[np.ndarray, float]:
    """One channel, float32; the loudest sample of all channels is 1; and that sample's level."""
    wave = wave[: head_samples(wave, sample_rate)]
    level = max(float(np.max(wave, initial=0.0)), -float(np.min(wave, initial=0.0)))
    if not math.isfinite(level):
        raise BadAudio("non_finite", "it has samples that are not finite numbers")
    if level < np.finfo(np.float32).tiny:
        return np.zeros(1, np.float32), 0.0
    scaled = np.asarray(wave / wave.dtype.type(level), np.float32)
    channels = scaled.shape[1]
    mono = scaled @ np.full(channels, 1 / channels, np.float32)
    if channels > 1:
        energies = np.einsum("nc,nc->c", scaled, scaled)
        if float(mono @ mono) < 0.1 * float(np.max(energies)):  # the channels cancel
            mono = np.ascontiguousarray(scaled[:, int(np.argmax(energies))])
    return mono - _dc_offset(mono, sample_rate), level


def _dc_offset(mono: Wave, sample_rate: int) -> np.float32:
    """The offset of a recording that clearly has one, else 0.

    Clear is a stretch of 50 ms that stays flat beside zero, or a mean over a tenth of the peak; a
    kick drum has neither.
    """
    width = round(0.05 * sample_rate)
    if len(mono) < width:
        return np.float32(0)
    peak, mean = np.max(np.abs(mono)), np.mean(mono)
    blocks = mono[: len(mono) // width * width].reshape(-1, width)
    spans = blocks.max(axis=1) - blocks.min(axis=1)
    flattest = int(np.argmin(spans))
    offset = np.mean(blocks[flattest])
    if spans[flattest] < abs(offset) / 2 and abs(offset) > ONSET / 2 * peak:
        return offset
    return mean if abs(mean) > 0.1 * peak else np.float32(0)


def _without_tail(sound: Wave) -> Float[np.ndarray, " m"]:
    """Ends at the last sample over -80 dB of the peak."""
    loud = np.abs(sound) > TAIL * np.max(np.abs(sound))
    return sound[: len(sound) - int(np.argmax(loud[::-1]))]


def _fade_out(clip: Wave, sample_rate: int) -> Wave:
    n = min(len(clip), round(FADE_S * sample_rate))
    return np.concatenate([clip[: len(clip) - n], clip[len(clip) - n :] * _ramp(n)])


def _ramp(n: int) -> Wave:
    return np.linspace(1.0, 0.0, n, dtype=np.float32)


def _silence(audio: AudioConfig) -> Clip:
    return Clip(np.zeros(1, np.float32), -math.inf, 0.0, 1 / audio.sample_rate)


def _riff_bytes(wave: np.ndarray, sample_rate: int, subtype: str, comment: str) -> bytes:
    """A whole WAV file in memory."""
    buffer = io.BytesIO()
    channels = 1 if wave.ndim == 1 else wave.shape[1]
    with sf.SoundFile(buffer, "w", sample_rate, channels, subtype, format="WAV") as file:
        # libsndfile stamps its PEAK chunk with the time: the same sound would give other bytes.
        sf._snd.sf_command(file._file, 0x1050, sf._ffi.NULL, 0)
        file.write(wave)
    return containers.with_comment(buffer.getvalue(), comment) if comment else buffer.getvalue()
