"""What one record of a dataset holds, and files of records that wait to be divided into splits.

Every sound must be decoded before the first can be given to a split, for only then the duplicates
are known. So a build decodes once into spool files and then writes the splits from these.
"""

import hashlib
import json
import os
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sst import atomic
from sst.audio.audio import from_int16, to_int16
from sst.audio.decode_pool import Decoded, decode_many
from sst.config import AudioConfig
from sst.dsp import features
from sst.files import Sample, to_text
from sst.search import waveform_match
from sst.types import Wave

_LENGTHS = struct.Struct("<IIII")  # bytes of JSON, wave, log-mel and attack

ARRAYS = ("wave", "log_mel", "attack")


class Row(NamedTuple):
    """One record in a spool file, and what decides its split."""

    id: str
    label: str
    digest: str  # of the decoded samples
    clip_digest: str  # of the canonical clip: equal for copies without any loss
    thumbnail: list[float]  # near for copies with some: duplicates.thumbnail
    offset: int


class Reject(NamedTuple):
    """One file that is of no use."""

    id: str
    path: str  # as text
    reason: str
    detail: str


def make_record(sample: Sample, decoded: Decoded, audio: AudioConfig) -> dict[str, Any]:
    """One sound as it is stored."""
    return {
        "id": sample.id,
        "path": to_text(sample.path),
        "label": sample.label,
        "digest": decoded.digest,
        "onset_s": decoded.clip.onset_s,
        "duration_s": decoded.clip.duration_s,
        "sample_rate": decoded.sample_rate,
        "peak_db": decoded.clip.peak_db,
        "wave": to_int16(decoded.clip.wave),
        "log_mel": decoded.log_mel.astype(np.float16),
        "attack": features.attack(decoded.clip.wave, audio).astype(np.float16),
    }


def write_spool(
    path: str | os.PathLike[str],
    samples: Sequence[Sample],
    audio: AudioConfig,
    workers: int | None = None,
    timeout_s: float = 10.0,
    progress: Callable[[int, int, int], None] = lambda done, total, skipped: None,
) -> tuple[list[Row], list[Reject]]:
    """Decodes files into one spool file; together the results are as many as the samples.

    `progress` is told after every file how many are done, how many there are, and how many of the
    done ones were skipped.
    """
    rows: list[Row] = []
    rejects: list[Reject] = []
    paths = [sample.path for sample in samples]
    with open(path, "wb") as spool:
        results = decode_many(paths, audio, workers, timeout_s)
        for sample, result in zip(samples, results, strict=True):
            if isinstance(result, Decoded):
                record = make_record(sample, result, audio)
                copies = hashlib.blake2b(record["wave"].tobytes(), digest_size=16).hexdigest()
                look = waveform_match.thumbnail(result.log_mel, audio).tolist()
                rows.append(Row(sample.id, sample.label, result.digest, copies, look, spool.tell()))
                spool.write(_pack(record))
            else:
                rejects.append(
                    Reject(sample.id, to_text(sample.path), result.reason, result.detail)
                )
            progress(len(rows) + len(rejects), len(samples), len(rejects))
    return rows, rejects


def read_spool(
    path: str | os.PathLike[str], offsets: Iterable[int], audio: AudioConfig
) -> Iterator[dict[str, Any]]:
    """The records at some offsets of a spool file."""
    with open(path, "rb") as spool:
        for offset in offsets:
            spool.seek(offset)
            lengths = _LENGTHS.unpack(spool.read(_LENGTHS.size))
            facts, wave, log_mel, attack = (spool.read(length) for length in lengths)
            record = json.loads(facts)
            record["wave"] = np.frombuffer(wave, np.int16)
            record["log_mel"] = np.frombuffer(log_mel, np.float16).reshape(-1, audio.n_mels)
            record["attack"] = np.frombuffer(attack, np.float16)
            yield record


def clusters(rows: Sequence[tuple[int, Row]], folder: str, audio: AudioConfig) -> list[int]:
    """What only copies of one sound share (`duplicates.clusters`), of rows with their chunks."""

    def waves(wanted: Sequence[int]) -> Iterator[Wave]:
        for row in wanted:
            chunk, entry = rows[row]
            (record,) = read_spool(chunk_path(folder, chunk), [entry.offset], audio)
            yield from_int16(record["wave"])

    digests = [row.clip_digest for _, row in rows]
    looks = np.array([row.thumbnail for _, row in rows], np.float32)
    return waveform_match.clusters(digests, looks, waves, audio.sample_rate)


def write_chunk(
    chunk: int, samples: Sequence[Sample], folder: str, audio: AudioConfig, timeout_s: float
) -> int:
    """`write_spool` as a step of a distributed build: chunk `chunk` of `folder`, safe to repeat."""
    final = chunk_path(folder, chunk)
    with atomic.draft(final) as spool:
        rows, rejects = write_spool(spool, samples, audio, workers=1, timeout_s=timeout_s)
    facts = json.dumps({"rows": rows, "rejects": rejects})
    atomic.write_text(final.with_suffix(".json"), facts)
    return chunk


def read_chunk(folder: str, chunk: int) -> tuple[list[Row], list[Reject]]:
    """What `write_chunk` found out."""
    facts = json.loads(chunk_path(folder, chunk).with_suffix(".json").read_text())
    return [Row(*row) for row in facts["rows"]], [Reject(*row) for row in facts["rejects"]]


def keyed_records(
    chunk: int, offsets: Sequence[int], folder: str, audio: AudioConfig
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Records of one chunk with their ids as keys."""
    for record in read_spool(chunk_path(folder, chunk), offsets, audio):
        yield record["id"], record


def chunk_path(folder: str, chunk: int) -> Path:
    """The spool file of one chunk."""
    return Path(folder) / f"spool-{chunk:05d}.bin"


def _pack(record: dict[str, Any]) -> bytes:
    arrays = [record[name].tobytes() for name in ARRAYS]
    facts = json.dumps({k: v for k, v in record.items() if k not in ARRAYS}).encode()
    return b"".join([_LENGTHS.pack(len(facts), *map(len, arrays)), facts, *arrays])
