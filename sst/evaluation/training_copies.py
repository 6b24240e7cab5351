"""Data leakage: the held-out sounds that are copies of training sounds."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int

from sst.audio.clip import clip_digest
from sst.config import AudioConfig
from sst.dsp.thumbnail import thumbnail
from sst.evaluation.sounds import Sounds, short_name
from sst.search import searcher, waveform_match
from sst.types import Wave

MAX_NAMED = 5  # copies that the report names


def find(held_out: Sounds, train: Sounds, audio: AudioConfig) -> dict[int, int]:
    """Returns the rows of held-out sounds that are copies, each with a training sound's row.

    A copy is the same waveform at any level, rate, polarity or start, lossy formats included: see
    `waveform_match.find_clusters`.

    Args:
        held_out: [n] sounds.
        train: [m] sounds.
        audio: the transform of their spectrograms, and the rate of their waves.
    """
    queries, known = _thumbnails(held_out, audio), _thumbnails(train, audio)
    rows = _candidates(queries, known)  # of the training sounds; first, so that they come first
    waves = [*(train.waves[row] for row in rows), *held_out.waves]
    first = waveform_match.find_clusters(
        [clip_digest(_full_level(wave)) for wave in waves],
        np.concatenate([known[rows], queries]),
        lambda members: [waves[row] for row in members],
        audio.sample_rate,
    )
    copies = enumerate(first[len(rows) :])
    return {row: int(rows[origin]) for row, origin in copies if origin < len(rows)}


def describe(copies: Mapping[int, int], held_out: Sounds, train: Sounds) -> str:
    """Returns the sentence of the report on the copies found, one or more of them named."""
    named = [
        f"{short_name(held_out.ids[row])} (of {short_name(train.ids[origin])})"
        for row, origin in list(copies.items())[:MAX_NAMED]
    ]
    more = [f"and {len(copies) - MAX_NAMED:,} more"] if len(copies) > MAX_NAMED else []
    what = f"{len(copies):,} held-out sounds are copies of training sounds and were left out"
    if len(copies) == 1:
        what = "1 held-out sound is a copy of a training sound and was left out"
    return f"{what}: {', '.join([*named, *more])}."


def _candidates(
    queries: Float[np.ndarray, "n c"], known: Float[np.ndarray, "m c"]
) -> Int[np.ndarray, " k"]:
    """Returns the rows of `known` that are near a row of `queries`: only they can have a copy."""
    rows, distances = searcher.build(known).search(queries, waveform_match.NEAREST)
    return np.unique(rows[distances <= waveform_match.REACH_DB])


def _thumbnails(sounds: Sounds, audio: AudioConfig) -> Float[np.ndarray, "n c"]:
    cells = zip(sounds.log_mel, sounds.n_frames, strict=True)
    return np.stack([thumbnail(log_mel[:n], audio) for log_mel, n in cells])


def _full_level(wave: Wave) -> Wave:
    """Returns a wave as clips are: with peak 1, unless it is silent."""
    return wave / (np.abs(wave).max(initial=0.0) or 1.0)
