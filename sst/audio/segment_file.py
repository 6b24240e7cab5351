"""The hits of a recording of any length: each is a sound of its own.

A long recording is decoded in blocks, more than once: to find the hits, and to cut them out.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile as sf
from jaxtyping import Float

from sst.audio import level_track, onsets
from sst.audio.read_sound import SoundMaker
from sst.audio.reader import (
    BODY_S,
    INEXACT,
    MAX_VALUES,
    BadAudio,
    Extent,
    check_decoded,
    open_audio,
    read_block,
)
from sst.audio.recording import LEAD_S, head_samples
from sst.config import AudioConfig, SegmentConfig
from sst.types import Sound

BLOCK = 2**22  # samples times channels decoded at once: 16 MB
BLOCK_S = 60.0  # and seconds: an old machine decodes so much well within the time for a file
SAME_START_S = 0.05  # one hit that starts so near to the clip of the whole file is that clip


def read_hits(
    path: str | Path,
    audio: AudioConfig,
    settings: SegmentConfig,
    take: Callable[[Sound], None],
    alive: Callable[[], None] = lambda: None,
    measure: Sequence[str] = (),
) -> str:
    """Decodes a file and cuts it into its hits, in order. Silent ones are left out.

    A file of one hit gives what `read_sound` gives, with the real end of the hit.

    Args:
        path: of the file.
        audio: the clip and the transform.
        settings: what is a hit, and how much of the file is used.
        take: gets each hit as soon as it is cut out.
        alive: called after every block, so that a long file is not taken for one that hangs.
        measure: which of `wire.MEASURES` are computed.

    Returns:
        A phrase about what was left out; "" where the whole file was used.

    Raises:
        BadAudio: the file is of no use.
    """
    describe = SoundMaker(path, audio, measure)
    with open_audio(path) as (file, raw):
        blocks = _BlockReader(file, round(60 * settings.max_minutes * file.samplerate), alive)
        extents: list[Extent] = []
        track = level_track.measure_levels(_record_extents(blocks, extents), file.samplerate)
        total = _join_extents(extents)
        check_decoded(total, file, raw)
        blocks.limit = total.samples
        found = list(onsets.find(track, blocks.read, settings))
        if len(found) == 1 and (sound := _read_only_hit(blocks, found[0], describe)):
            take(sound)
            return blocks.left_out
        cut = [_read_hit(blocks, s, describe, take) for s in found[: settings.max_segments]]
        if not any(cut):
            raise BadAudio("silent", "nothing is left of it at this sample rate")
        if len(found) > len(cut):
            until = found[-1].start / file.samplerate / 60
            return f"only its first {len(cut):,} hits are used, up to {until:.1f} minutes"
        return blocks.left_out


class _BlockReader:
    """Reads an open file up to a limit in equal blocks, of which the last two are kept."""

    def __init__(self, file: sf.SoundFile, limit: int, alive: Callable[[], None]):
        self.file, self.limit, self.alive = file, limit, alive
        longest = min(limit, round(BLOCK_S * file.samplerate), BLOCK // file.channels)
        self.length = max(1, longest)
        self.kept: dict[int, np.ndarray] = {}
        self.next = 0  # the block that comes next from the decoder
        minutes = limit / file.samplerate / 60
        longer = file.frames > limit
        self.left_out = f"only its first {minutes:g} minutes are used" if longer else ""

    def __iter__(self) -> Iterator[Float[np.ndarray, "n channels"]]:
        """Yields all blocks from the first to the last, which may be short, or empty."""
        for number in itertools.count():
            block = self._block(number)
            yield block
            if len(block) < self.length:
                return

    def read(self, start: int, stop: int) -> Float[np.ndarray, "n channels"]:
        """Reads the samples from `start` up to `stop`, fewer at the end of the file."""
        stop = max(start + 1, min(stop, self.limit))
        parts = []
        for number in range(start // self.length, (stop - 1) // self.length + 1):
            offset = number * self.length
            parts.append(self._block(number)[max(0, start - offset) : stop - offset])
        return np.concatenate(parts)

    def _block(self, number: int) -> Float[np.ndarray, "n channels"]:
        if number != self.next and number not in self.kept:
            exact = self.file.format not in INEXACT
            if exact or number < self.next:
                self.next = number if exact else 0
                self.file.seek(self.next * self.length)
        while number not in self.kept:
            length = max(0, min(self.length, self.limit - self.next * self.length))
            before = {k: v for k, v in self.kept.items() if k == self.next - 1}
            self.kept = before | {self.next: read_block(self.file, length)}
            self.next += 1
            self.alive()
        return self.kept[number]


def _record_extents(
    blocks: _BlockReader, extents: list[Extent]
) -> Iterator[Float[np.ndarray, "n channels"]]:
    """Yields the blocks, and appends the extent of each. Raises BadAudio for NaN and infinity."""
    for block in blocks:
        extent = Extent.of(block)
        if not (np.isfinite(extent.low).all() and np.isfinite(extent.high).all()):
            raise BadAudio("non_finite", "it has samples that are not finite numbers")
        extents.append(extent)
        yield block


def _join_extents(extents: list[Extent]) -> Extent:
    total = extents[0]
    for extent in extents[1:]:
        total = total.union(extent)
    return total


def _read_only_hit(
    blocks: _BlockReader, segment: onsets.Segment, describe: SoundMaker
) -> Sound | None:
    """Returns the only hit of a file as `read_sound` gives it; None where that differs."""
    rate = blocks.file.samplerate
    longest = min(round((BODY_S + LEAD_S) * rate), MAX_VALUES // blocks.file.channels)
    wave = blocks.read(0, longest)
    wave = wave[: head_samples(wave, rate)]
    try:
        sound = describe(wave, rate)
    except BadAudio:
        return None
    if abs(sound.clip.onset_s - segment.start / rate) > SAME_START_S:
        return None
    return sound._replace(end_s=max(segment.end / rate, sound.end_s))


def _read_hit(
    blocks: _BlockReader,
    segment: onsets.Segment,
    describe: SoundMaker,
    take: Callable[[Sound], None],
) -> bool:
    """Passes one hit to `take`; returns False where nothing is left of it at the clip's rate."""
    rate = blocks.file.samplerate
    longest = min(round(BODY_S * rate), MAX_VALUES // blocks.file.channels)
    wave = blocks.read(segment.start, min(segment.end, segment.start + longest))
    try:
        sound = describe(wave, rate)
    except BadAudio:
        return False
    clip = sound.clip._replace(onset_s=segment.start / rate)
    take(sound._replace(clip=clip, end_s=segment.end / rate))
    return True
