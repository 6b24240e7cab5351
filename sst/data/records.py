"""The records of a data set, and spool files of records that wait to be divided into splits.

Every sound must be decoded before the first can be given to a split, for only then the copies are
known. So a build decodes once into spool files and then writes the splits from these.
"""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sst import atomic
from sst.audio import wire
from sst.audio.clip import clip_digest, from_int16, to_int16
from sst.audio.decode_pool import decode_many
from sst.config import AudioConfig
from sst.data import splits
from sst.files import Sample, to_text
from sst.search import waveform_match
from sst.types import Progress, Skipped, Sound, Wave

ARRAYS = ("wave", "log_mel", "attack")


class Row(NamedTuple):
    """One record in a spool file, and what decides its split."""

    id: str
    label: str
    digest: str  # of the decoded samples
    clip_digest: str  # of the canonical clip: equal for copies without any loss
    thumbnail: list[float]  # near for copies with some loss: `dsp.thumbnail`
    offset: int


class Division(NamedTuple):
    """The records of each split, by chunk."""

    offsets: dict[str, dict[int, list[int]]]  # "train", "validation" -> chunk -> in its spool file
    split_by: str  # as of `splits.Split`; "none": one sound, which trains and validates

    def counts(self) -> dict[str, int]:
        """Returns the number of records of each split."""
        return {name: sum(map(len, where.values())) for name, where in self.offsets.items()}


def make_record(sample: Sample, sound: Sound) -> dict[str, Any]:
    """Returns one sound as it is stored."""
    return {
        "id": sample.id,
        "path": to_text(sample.path),
        "label": sample.label,
        "digest": sound.digest,
        "onset_s": sound.clip.onset_s,
        "duration_s": sound.clip.duration_s,
        "sample_rate": sound.sample_rate,
        "peak_db": sound.clip.peak_db,
        "wave": to_int16(sound.clip.wave),
        "log_mel": sound.log_mel.astype(np.float16),
        "attack": sound.attack.astype(np.float16),
    }


def write_spool(
    path: str | os.PathLike[str],
    samples: Sequence[Sample],
    audio: AudioConfig,
    workers: int | None = None,
    timeout_s: float = 10.0,
    progress: Progress = lambda done, total, skipped: None,
) -> tuple[list[Row], list[Skipped]]:
    """Decodes files into one spool file; together the results are as many as the samples.

    The paths of skipped files are text. `progress` is told after every file how many are done, how
    many there are, and how many of the done ones were skipped.
    """
    rows: list[Row] = []
    skipped: list[Skipped] = []
    paths = [sample.path for sample in samples]
    with open(path, "wb") as spool:
        results = decode_many(paths, audio, workers, timeout_s, measure=("thumbnail",))
        for sample, result in zip(samples, results, strict=True):
            if isinstance(result, Sound):
                rows.append(_row(sample, result, spool.tell()))
                spool.write(_pack(make_record(sample, result)))
            else:
                skipped.append(result._replace(path=to_text(sample.path)))
            progress(len(rows) + len(skipped), len(samples), len(skipped))
    return rows, skipped


def read_spool(path: str | os.PathLike[str], offsets: Iterable[int]) -> Iterator[dict[str, Any]]:
    """Reads the records at some offsets of a spool file."""
    with open(path, "rb") as spool:
        for offset in offsets:
            spool.seek(offset)
            facts, arrays = wire.read_frame(spool)
            yield facts | arrays


def divide(
    rows: Sequence[tuple[int, Row]],
    folder: str,
    audio: AudioConfig,
    train_ratio: float,
    validation_packs: Sequence[str],
) -> Division:
    """Divides records between training and validation, with all copies of a sound on one side.

    Args:
        rows: the records, each with its chunk.
        folder: of the spool files.
        audio: the transform of the records.
        train_ratio: about this share trains, between 0 and 1.
        validation_packs: if there are any, these validate: see `splits.assign`.

    Raises:
        UsageError: the packs cannot be divided so.
    """
    split = splits.assign(
        [row.id for _, row in rows],
        [row.label for _, row in rows],
        copy_clusters(rows, folder, audio),
        train_ratio,
        validation_packs,
    )
    offsets: dict[str, dict[int, list[int]]] = {splits.TRAIN: {}, splits.VALIDATION: {}}
    for (chunk, row), name in zip(rows, split.names, strict=True):
        offsets[name].setdefault(chunk, []).append(row.offset)
    if not offsets[splits.VALIDATION]:  # one sound: nothing to divide
        return Division(offsets | {splits.VALIDATION: offsets[splits.TRAIN]}, "none")
    return Division(offsets, split.split_by)


def copy_clusters(rows: Sequence[tuple[int, Row]], folder: str, audio: AudioConfig) -> list[int]:
    """Returns the first row with the same sound, for each row: see `waveform_match`.

    Args:
        rows: the records, each with its chunk.
        folder: of the spool files.
        audio: the transform of the records.
    """

    def waves(chosen: Sequence[int]) -> Iterator[Wave]:
        for row in chosen:
            chunk, entry = rows[row]
            (record,) = read_spool(chunk_path(folder, chunk), [entry.offset])
            yield from_int16(record["wave"])

    digests = [row.clip_digest for _, row in rows]
    thumbnails = np.array([row.thumbnail for _, row in rows], np.float32)
    return waveform_match.find_clusters(digests, thumbnails, waves, audio.sample_rate)


def write_chunk(
    chunk: int, samples: Sequence[Sample], folder: str, audio: AudioConfig, timeout_s: float
) -> int:
    """Does `write_spool` as a step of a distributed build: one chunk of `folder`.

    Safe to repeat.
    """
    final = chunk_path(folder, chunk)
    with atomic.draft(final) as spool:
        rows, skipped = write_spool(spool, samples, audio, workers=1, timeout_s=timeout_s)
    facts = json.dumps({"rows": rows, "skipped": skipped})
    atomic.write_text(final.with_suffix(".json"), facts)
    return chunk


def read_chunk(folder: str, chunk: int) -> tuple[list[Row], list[Skipped]]:
    """Reads the rows and the skipped files of a chunk that `write_chunk` has written."""
    facts = json.loads(chunk_path(folder, chunk).with_suffix(".json").read_text())
    return [Row(*row) for row in facts["rows"]], [Skipped(*row) for row in facts["skipped"]]


def keyed_records(
    chunk: int, offsets: Sequence[int], folder: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Reads records of one chunk, with their ids as keys."""
    for record in read_spool(chunk_path(folder, chunk), offsets):
        yield record["id"], record


def chunk_path(folder: str, chunk: int) -> Path:
    """Returns the spool file of one chunk."""
    return Path(folder) / f"spool-{chunk:05d}.bin"


def _row(sample: Sample, sound: Sound, offset: int) -> Row:
    digest = clip_digest(sound.clip.wave)
    thumbnail = sound.thumbnail.tolist()
    return Row(sample.id, sample.label, sound.digest, digest, thumbnail, offset)


def _pack(record: dict[str, Any]) -> bytes:
    facts = {name: value for name, value in record.items() if name not in ARRAYS}
    return wire.pack(facts, {name: record[name] for name in ARRAYS})
