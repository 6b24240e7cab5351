"""Hits inside a long recording: where each one starts, and where it ends.

An onset is a rise of the level, in bands of a third of an octave, over the loudest that the last
40 ms and the bands beside it had: the beating of a cymbal and the vibrato of a voice rise over what
was there a moment ago, but not over that (after SuperFlux: Böck and Widmer, "Maximum filter vibrato
suppression for onset detection", DAFx 2013). Only what stands out from the noise and from the
louder sounds around it counts. The start is then looked for in the samples themselves.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from sst.audio.level_track import HOP_S, LevelTrack, measure_levels
from sst.config import SegmentConfig

BEFORE = 8  # frames that a rise is measured against; the one just before is left out
LEAD = 16  # frames in which silence is looked for: four in a row
STEEPEST_DB = 30.0  # dB; more in one band counts as much
# Over all bands at sensitivity 0.5; the factor at sensitivity 0, and the divisor at 1.
THRESHOLD_DB, REACH = 3.0, 3.0
AROUND_S = 0.3  # half the busy and restless stretch around an onset, which raises the threshold
# Below the loudest nearby, and of all: no onset down there.
BELOW_NEAR_DB, BELOW_ALL_DB = 45.0, 65.0
QUIET, QUIET_DB = 10, 6.0  # percentile that is the noise, and dB over it where an onset may begin
SECTION_S = 10.0  # noise and loudest are taken from a stretch of twice this
SILENCE = 10 ** (-90 / 20)  # of full scale, peak
START, TAIL = 10 ** (-50 / 20), 10 ** (-80 / 20)  # of the peak: where a hit begins and ends
PREROLL_S = 0.001  # before the attack, as a clip has it
SWELL_S = 0.5  # a rise of up to so long is the attack of the hit that it leads to
HELD_S = 0.05  # under the floor for so long is the end
STEADY = (2, 20)  # percentiles of the peaks that are close together in steady noise
LEAST_DECAY = 0.1  # a hit that has not fallen below this part of its peak goes on


class Segment(NamedTuple):
    """One hit: samples `start` to `end` - 1 of the recording."""

    start: int
    end: int


Read = Callable[[int, int], Float[np.ndarray, "n channels"]]  # samples from one up to another


def split(
    wave: Float[np.ndarray, "n *channels"], sample_rate: int, settings: SegmentConfig
) -> list[Segment]:
    """Finds the hits of a recording in memory, in order, at most `settings.max_segments`.

    They do not overlap. What lies between them, before the first and after the last is noise,
    silence, or the background that they stand out from. A recording without an onset is one hit.
    `segment_file` finds the same in a file of any length; this is for waves that are at hand, as
    in the benchmark of segmentation.

    Args:
        wave: floating point with full scale 1; channels may have any phase.
        sample_rate: Hz, 1 kHz or more.
        settings: sensitivity, shortest distance, and how many.

    Returns:
        Nothing for silence: peaks below -90 dBFS.

    Raises:
        ValueError: for samples that are not finite.
    """
    wave = np.asarray(wave, np.float32)
    wave = wave if wave.ndim == 2 else wave[:, None]
    if not np.isfinite(wave).all():
        raise ValueError("a wave holds samples that are not finite numbers")
    track = measure_levels([wave], sample_rate)
    found = find(track, lambda start, stop: wave[start:stop], settings)
    return list(itertools.islice(found, settings.max_segments))


def find(track: LevelTrack, read: Read, settings: SegmentConfig) -> Iterator[Segment]:
    """Finds the hits of a recording in order, and one more than allowed if there is one.

    Args:
        track: the level of the recording.
        read: gives samples from one up to another. It is called for short stretches: in order
            around all the onsets, and then in order at the ends, once for each hit that is taken.
        settings: sensitivity, shortest distance, and how many.
    """
    if float(np.max(track.peaks, initial=0.0)) < SILENCE:
        return
    noise = _noise_level(track)
    gap = round(settings.min_gap_s * track.sample_rate)
    starts: list[int] = []
    for frame in _with_beginning(_pick_onsets(track, settings), track, noise):
        start = _find_start(track, read, noise, int(frame))
        if not starts or start - starts[-1] >= gap:
            starts.append(start)
        if len(starts) > settings.max_segments:
            break
    for start, limit in itertools.pairwise([*starts, track.samples]):
        yield Segment(start, _find_end(track, read, noise, start, limit))


def _onset_strength(levels: Float[np.ndarray, "t bands"]) -> Float[np.ndarray, " t"]:
    """Measures how far each frame rises over those before it: dB, RMS over the bands."""
    beside = ndimage.maximum_filter1d(levels, 3, axis=1)
    silence = np.full((BEFORE + 1, levels.shape[1]), -np.inf, np.float32)
    padded = np.concatenate([silence, beside])[: len(levels) + BEFORE - 1]
    recent = np.lib.stride_tricks.sliding_window_view(padded, BEFORE, axis=0).max(axis=-1)
    floor = _audible_level(levels)
    rises = np.maximum(levels, floor) - np.maximum(recent, floor)
    return np.sqrt(np.mean(np.clip(rises, 0.0, STEEPEST_DB) ** 2, axis=1))


def _audible_level(levels: Float[np.ndarray, "t bands"]) -> Float[np.ndarray, "t bands"]:
    """Returns the level in dB from which a rise counts: over the noise, near the loudest."""
    floor = np.empty_like(levels)
    for here, around in _sections(len(levels)):
        noise = np.percentile(levels[around], QUIET, axis=0) + QUIET_DB
        floor[here] = np.maximum(noise, np.max(levels[around]) - BELOW_NEAR_DB)
    return np.maximum(floor, np.max(levels) - BELOW_ALL_DB)


def _sections(count: int) -> Iterator[tuple[slice, slice]]:
    """Yields stretches of frames, each with one of twice the length around it."""
    length = round(SECTION_S / HOP_S)
    for first in range(0, count, length):
        around = slice(max(0, first - length // 2), first + length + length // 2)
        yield slice(first, first + length), around


def _pick_onsets(track: LevelTrack, settings: SegmentConfig) -> np.ndarray:
    """Picks the frames whose rise is the highest around them and over the threshold."""
    novelty = _onset_strength(track.levels)
    whole = (track.samples - track.window // 2) // track.hop
    novelty[max(1, whole) :] = 0  # the windows of later frames see the recording break off
    busy = ndimage.uniform_filter1d(novelty, 2 * round(AROUND_S / HOP_S) + 1, mode="constant")
    highest = ndimage.maximum_filter1d(novelty, 2 * BEFORE + 1, mode="constant")
    threshold = THRESHOLD_DB * REACH ** (1 - 2 * settings.sensitivity)
    return np.flatnonzero((novelty == highest) & (novelty > threshold + busy / 2))


def _with_beginning(
    onsets: np.ndarray, track: LevelTrack, noise: Float[np.ndarray, " t"]
) -> Sequence[int] | np.ndarray:
    """Adds the beginning of a recording that swells instead of starting with an onset.

    A swell of less than half a second is the attack of the first hit.
    """
    loudest = np.max(track.peaks)
    if not len(onsets):
        return [int(np.argmax(track.peaks > START * loudest))]
    before = track.peaks[: max(0, onsets[0] - BEFORE)]
    swell = float(np.max(before, initial=0.0))
    if swell < max(LEAST_DECAY * loudest, noise[0]):
        return onsets
    begins = int(np.argmax(before > START * swell))
    joined = int(onsets[0] - begins < SWELL_S / HOP_S)
    return [begins, *onsets[joined:]]


def _find_start(track: LevelTrack, read: Read, noise: Float[np.ndarray, " t"], frame: int) -> int:
    """Finds the sample where a sound begins that rises at a frame: at a zero crossing nearby.

    After silence or noise, that is where the wave leaves these. Else it is where the wave, or its
    difference where the high frequencies tell more, leaves the level of 25 to 40 ms before.
    """
    hop, top = track.hop, float(track.peaks[frame : frame + 4].max())
    quiet = max(START * top, float(noise[frame]))
    recent = np.pad(track.peaks[max(0, frame - LEAD) : frame], (max(0, LEAD - frame), 0))
    silences = np.flatnonzero(ndimage.maximum_filter1d(recent, 4, origin=1)[3:] <= quiet)
    emerges = len(silences) > 0 and top > 2 * quiet
    first = (frame - LEAD + 3 + int(silences[-1]) if emerges else frame - BEFORE) * hop
    wave = read(max(0, first), (frame + 3) * hop)
    wave = np.concatenate([np.zeros((max(0, -first), wave.shape[1]), np.float32), wave])
    if emerges:
        attack = int(np.argmax(np.max(np.abs(wave), axis=1) > quiet))
    else:
        shapes = (wave, np.diff(wave, axis=0, prepend=wave[:1]))
        _, attack = max(_find_rise(shape, 3 * hop) for shape in shapes)
    before = max(0, attack - round(PREROLL_S * track.sample_rate))
    sounds = np.any(wave[before : attack + 1] != 0, axis=1)
    before += max(0, int(np.argmax(sounds)) - 1)  # not where nothing is yet
    return max(0, first + _zero_crossing(wave, before, 2 * hop))


def _find_rise(wave: Float[np.ndarray, "n channels"], calm: int) -> tuple[float, int]:
    """Returns (ratio by which a wave rises over its first `calm` samples, where it first does)."""
    level = np.max(np.abs(wave), axis=1)
    top, before = float(np.max(level)), float(np.max(level[:calm]))
    threshold = max(START * top, min(2 * before, math.sqrt(before * top)))
    return top / max(before, 1e-9), int(np.argmax(level > threshold))


def _zero_crossing(wave: Float[np.ndarray, "n channels"], at: int, furthest: int) -> int:
    """Returns the last sample up to `at` where the loudest channel crosses zero, else `at`."""
    loudest = np.argmax(np.einsum("nc,nc->c", wave, wave))
    channel = wave[max(0, at - furthest) : at + 1, loudest]
    crossings = np.flatnonzero(channel[1:] * channel[:-1] <= 0)
    return at - (len(channel) - 2 - int(crossings[-1]) if len(crossings) else 0)


def _noise_level(track: LevelTrack) -> Float[np.ndarray, " t"]:
    """Estimates the noise that a hit sinks into, as a peak level of full scale for each frame.

    It is twice the quietest peaks around the hit where those are steady. Where they are not, they
    are the ends of other hits, and the noise is known only to be no louder.
    """
    held = _held_peaks(track.peaks)
    noise = np.empty_like(held)
    for here, around in _sections(len(held)):
        quietest, quiet = np.percentile(held[around], STEADY)
        noise[here] = 2 * quietest if quiet < 1.4 * quietest else quietest
    return noise


def _held_peaks(peaks: Float[np.ndarray, " t"]) -> Float[np.ndarray, " t"]:
    """Returns the highest peak of each frame and the 50 ms after it."""
    after = np.concatenate([peaks, np.zeros(round(HELD_S / HOP_S) - 1, np.float32)])
    return np.lib.stride_tricks.sliding_window_view(after, round(HELD_S / HOP_S)).max(axis=1)


def _find_end(track: LevelTrack, read: Read, noise: np.ndarray, start: int, limit: int) -> int:
    """Finds the end of a hit: where it has decayed, at the latest where the next starts."""
    first = start // track.hop
    held = _held_peaks(track.peaks[first : max(first + 1, limit // track.hop)])
    top = int(np.argmax(held))
    floor = max(TAIL * held[top], min(noise[first], LEAST_DECAY * held[top]))
    under = held[top:] < floor
    if not under.any():
        return limit
    last = (
        first + top + int(np.argmax(under)) - 1
    ) * track.hop  # where it is over for the last time
    loud = np.max(np.abs(read(last, last + track.hop)), axis=1) >= floor
    return min(limit, last + track.hop - int(np.argmax(loud[::-1])))
