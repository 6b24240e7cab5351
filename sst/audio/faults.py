"""Faults of a recording that can be decoded, measured on its samples and its name."""

import os
from pathlib import Path

import numpy as np
import scipy.fft
from jaxtyping import Bool, Float, Int

from sst.audio.recording import Recording
from sst.types import Fault

# Measured by experiments/benchmarks/doctor.py.
FLAT_SAMPLES = 3  # samples of one value in a row make a flat top
SAME_VALUE = 4e-5  # of the peak: a step of 16 bits
RESOLUTION_STEPS = 12  # of the file: beside a flat top that was cut, the wave falls by more
MIN_FALL = 0.004  # of the peak
# Or so many shorter tops, with more samples than lie between them and this part of the peak.
MIN_SHORT_TOPS, NEAR_PEAK = 4, 0.95
MIN_SAMPLES = 8  # in all tops
SQUARE_SHARE = 0.9  # of the loud samples: a square wave has this share or more in its flat tops
MIN_OFFSET = 0.01  # of the peak
ZERO_HZ_RATIO = 4.0  # times what there is at the lowest frequencies
BLOCK_S = 0.025  # in which nothing that can be heard stays flat beside zero
END_S = 0.003  # the end, beside the loudest stretch of that length
END_DB = -20.0
SUFFIXES = {
    "WAV": {".wav"},
    "WAVEX": {".wav"},
    "RF64": {".wav"},
    "AIFF": {".aif", ".aiff", ".aifc"},
    "FLAC": {".flac"},
    "OGG": {".ogg"},
    "MP3": {".mp3"},
}


def find_faults(recording: Recording, path: str | os.PathLike[str]) -> list[Fault]:
    """Finds clipping, an offset, an end that is cut off, and a suffix of another format.

    Args:
        recording: the start of the file.
        path: its name.
    """
    wave, sample_rate, info = recording
    whole = len(wave) >= info.frames
    found = [
        _wrong_suffix(info.format, Path(path).suffix),
        _clipped(wave),
        _offset(wave, sample_rate),
        _cut_off(wave, sample_rate) if whole else None,
    ]
    return [fault for fault in found if fault]


def _wrong_suffix(format_: str, suffix: str) -> Fault | None:
    expected = SUFFIXES.get(format_)
    if expected is None or suffix.lower() in expected:
        return None
    return Fault("wrong_suffix", f"inside is {format_}, not {suffix.lower()[1:]}")


def _clipped(wave: Float[np.ndarray, "n channels"]) -> Fault | None:
    """Finds flat tops that the wave enters or leaves steeply: long ones, or very many.

    The top of a low tone is flat at the resolution of its file, too, but beside it the wave falls
    slowly; and a square wave is nothing but flat tops.
    """
    peak = float(np.max(np.abs(wave), initial=0.0))
    tops = samples = flat = loud = near = 0
    for channel in wave.T if peak > 0 else []:
        level = np.abs(channel)
        at_peak = level >= peak * (1.0 - SAME_VALUE)
        if not at_peak.any():
            continue
        starts, lengths = _runs(at_peak & _same_sign_as_before(channel, at_peak))
        falls = _falls(level, starts, lengths, peak)
        cut = falls > max(MIN_FALL, RESOLUTION_STEPS * _resolution(level, peak))
        tops += int(cut.sum())
        flat += int((cut & (lengths >= FLAT_SAMPLES)).sum())
        samples += int(lengths[cut].sum())
        loud += int((level > peak / 2).sum())
        near += int((level > NEAR_PEAK * peak).sum() - at_peak.sum())
    many = tops >= MIN_SHORT_TOPS and samples > near
    if not (flat or many) or samples < MIN_SAMPLES or samples > SQUARE_SHARE * loud:
        return None
    tops_ = "1 peak" if tops == 1 else f"{tops:,} peaks"
    return Fault("clipped", f"{samples:,} samples in {tops_} cut off at one level")


def _same_sign_as_before(
    channel: Float[np.ndarray, " n"], chosen: Bool[np.ndarray, " n"]
) -> Bool[np.ndarray, " n"]:
    """Marks the samples that go on from a chosen one without a jump to the other sign.

    A jump from the highest to the lowest value ends a top.
    """
    positive = channel > 0
    jump = np.concatenate([[False], positive[1:] != positive[:-1]])
    return ~(jump & chosen & np.concatenate([[False], chosen[:-1]]))


def _runs(
    chosen: Bool[np.ndarray, " n"],
) -> tuple[Int[np.ndarray, " r"], Int[np.ndarray, " r"]]:
    """Returns where runs of True begin, and how long they are, in samples."""
    edges = np.diff(np.concatenate([[0], chosen.view(np.int8), [0]]))
    starts = np.flatnonzero(edges == 1)
    return starts, np.flatnonzero(edges == -1) - starts


def _falls(
    level: Float[np.ndarray, " n"],
    starts: Int[np.ndarray, " r"],
    lengths: Int[np.ndarray, " r"],
    peak: float,
) -> Float[np.ndarray, " r"]:
    """Measures the fall two samples beside each top, at its steeper side, in parts of the peak."""
    padded = np.concatenate([np.full(2, peak), level, np.full(2, peak)])
    before, after = padded[starts], padded[np.minimum(starts + lengths + 3, len(padded) - 1)]
    return 1.0 - np.minimum(before, after) / peak


def _resolution(level: Float[np.ndarray, " n"], peak: float) -> float:
    """Returns the smallest step between the loudest values, relative to the peak."""
    values = np.unique(level[level > 0.5 * peak])
    steps = np.diff(values)
    steps = steps[steps > SAME_VALUE * peak]
    return float(np.min(steps)) / peak if len(steps) else 1.0


def _offset(wave: Float[np.ndarray, "n channels"], sample_rate: int) -> Fault | None:
    """Finds a stretch that stays flat beside zero, or a spectrum that stands out at 0 Hz."""
    width = round(BLOCK_S * sample_rate)
    peak = float(np.max(np.abs(wave), initial=0.0))
    if len(wave) < width or peak == 0.0:
        return None
    blocks = wave[: len(wave) // width * width].reshape(-1, width, wave.shape[1])
    means = np.abs(blocks.mean(axis=1))
    flat = blocks.max(axis=1) - blocks.min(axis=1) < means / 2
    offset = float(max(np.max(means * flat), np.max(_at_zero_hz(wave))))
    if offset < MIN_OFFSET * peak:
        return None
    return Fault("offset", f"{100 * offset / peak:.1f} % of the peak")


def _at_zero_hz(wave: Float[np.ndarray, "n channels"]) -> Float[np.ndarray, " channels"]:
    """Returns the offset of each channel whose spectrum stands out at 0 Hz, else 0."""
    window = np.hanning(len(wave) + 2)[1:-1, None].astype(np.float32)
    lowest = np.abs(scipy.fft.rfft(wave * window, axis=0)[:5])
    stands_out = lowest[0] > ZERO_HZ_RATIO * np.max(lowest[2:], axis=0)  # the window fills 0 and 1
    return np.where(stands_out, lowest[0] / window.sum(), 0.0)


def _cut_off(wave: Float[np.ndarray, "n channels"], sample_rate: int) -> Fault | None:
    """Finds an end nearly as loud as the loudest part."""
    width = max(8, round(END_S * sample_rate))
    if len(wave) < 4 * width:
        return None
    mono = wave - wave.mean(axis=0)
    blocks = mono[len(mono) % width :].reshape(-1, width * wave.shape[1])
    powers = np.mean(np.square(blocks), axis=1)
    level = 10.0 * np.log10(max(float(powers[-1]), 1e-20) / max(float(powers.max()), 1e-20))
    if level < END_DB:
        return None
    return Fault("cut_off", f"it ends {-level:.0f} dB below its loudest part")
