"""Copies among the records of a data set, by the definition of `waveform_match`."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Int

from sst.config import AudioConfig
from sst.data.dataset import Dataset, read_waves
from sst.dsp.thumbnail import thumbnail
from sst.search import waveform_match
from sst.types import Wave

READ_AT_ONCE = 64  # waves


def copy_clusters(
    dataset: Dataset, split: str, rows: Sequence[int] | np.ndarray, audio: AudioConfig
) -> Int[np.ndarray, " n"]:
    """Returns a number for each of some records that only copies of one sound share.

    Args:
        dataset: the data set.
        split: "train" or "validation".
        rows: of the split.
        audio: the transform of the records.
    """
    records = dataset.train if split == "train" else dataset.validation
    log_mels = [records.log_mel[row][: records.n_frames[row]] for row in rows]
    thumbnails = np.stack([thumbnail(log_mel, audio) for log_mel in log_mels])

    def waves(wanted: Sequence[int]) -> Iterator[Wave]:
        for start in range(0, len(wanted), READ_AT_ONCE):
            part = [int(rows[row]) for row in wanted[start : start + READ_AT_ONCE]]
            yield from read_waves(dataset, split, part)

    digests = [log_mel.tobytes() for log_mel in log_mels]
    return np.array(waveform_match.find_clusters(digests, thumbnails, waves, audio.sample_rate))
