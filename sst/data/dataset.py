"""A built dataset as arrays: every log-mel of a split in one block. Never imports TensorFlow."""

import functools
import json
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sst.config import AudioConfig, from_dict, to_dict
from sst.dsp.features import ATTACK_POINTS
from sst.errors import ModelError, NothingToDo, UsageError
from sst.types import Features

BUILDER = "sample_library"
CHUNK = 256  # records read at once


class Split(NamedTuple):
    """The records of one split, in the order of the dataset."""

    ids: list[str]
    labels: list[str]  # "" where there is none
    log_mel: np.ndarray  # float16 [n, t, m], padded with floor_db
    n_frames: np.ndarray  # int32 [n]
    peak_db: np.ndarray  # float32 [n]
    attack: np.ndarray  # float16 [n, a]

    @property
    def size(self) -> int:
        """Returns the number of records."""
        return len(self.ids)

    def features(self, rows: np.ndarray | slice) -> Features:
        """Returns the input of a model for some records: float32, in the order of `rows`."""
        chosen = (self.n_frames[rows], self.peak_db[rows], self.attack[rows].astype(np.float32))
        return Features(self.log_mel[rows].astype(np.float32), *chosen)


class Dataset(NamedTuple):
    """A built data set as training reads it."""

    name: str  # sample_library/NAME
    path: Path  # of the version's directory
    train: Split
    validation: Split
    class_names: list[str]
    fingerprint: str
    metadata: dict[str, Any]

    def label_rows(self, split: Split) -> np.ndarray:
        """Returns the index in `class_names` of every record's label, -1 for none: int32 [n]."""
        index = {name: row for row, name in enumerate(self.class_names)}
        return np.array([index.get(label, -1) for label in split.labels], np.int32)


def data_root(data_dir: str | os.PathLike[str] | None = None) -> Path:
    """Returns the given directory, or TFDS_DATA_DIR, or ~/tensorflow_datasets."""
    return Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def load(
    dataset: str,
    audio: AudioConfig,
    data_dir: str | os.PathLike[str] | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> Dataset:
    """Reads `sample_library/NAME` (or `sample_library/NAME/VERSION`).

    Args:
        dataset: its name.
        audio: the configuration that the records must have been made with.
        data_dir: where TFDS keeps its datasets; see `data_root`.
        progress: called with a phrase before each split is read.

    Raises:
        NothingToDo: if it is not there, or one of its splits is empty.
        ModelError: if it was built with another audio configuration or file format, or is damaged.
    """
    path = find(dataset, data_dir)
    metadata = read_metadata(path)
    check_audio(metadata, audio, dataset)
    builder = _open(path, dataset)
    if "attack" not in builder.info.features:
        raise ModelError(
            f"{dataset} in {path} was built by an older version of this program. "
            f"Build it again: tfds build tfds_builders/{BUILDER} ..."
        )
    splits = {}
    for name in ("train", "validation"):
        if name not in builder.info.splits or not builder.info.splits[name].num_examples:
            raise NothingToDo(_empty_split(name, dataset))
        progress(f"reading {builder.info.splits[name].num_examples:,} {name} records")
        splits[name] = _read_split(builder, name, audio)
    return Dataset(
        name=dataset,
        path=path,
        train=splits["train"],
        validation=splits["validation"],
        class_names=list(metadata.get("class_names") or []),
        fingerprint=str(metadata.get("fingerprint", "")),
        metadata=metadata,
    )


def read_waves(dataset: Dataset, split: str, rows: Sequence[int]) -> list[np.ndarray]:
    """Reads the clips of some records: float32 [n] of peak 1 each, at the rate of the data set."""
    builder = _open(dataset.path, dataset.name)
    records = builder.as_data_source(split=split).__getitems__([int(row) for row in rows])
    return [np.asarray(record["wave"], np.float32) / 32767.0 for record in records]


def batch_rows(seed: int, step: int, n: int, batch_size: int) -> np.ndarray:
    """Returns the rows of batch `step`: int32 [batch_size], a pure function of its arguments.

    The rows of all batches in a row are permutations of 0..n-1, one after the other; a batch may
    span two of them, and spans several where n < batch_size.
    """
    position = step * batch_size + np.arange(batch_size)
    epochs, offsets = np.divmod(position, n)
    rows = np.empty(batch_size, np.int32)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        rows[here] = _permutation(seed, int(epoch), n)[offsets[here]]
    return rows


@functools.lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, n: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(n).astype(np.int32)


def find(dataset: str, data_dir: str | os.PathLike[str] | None = None) -> Path:
    """Finds the directory of a data set's newest version.

    Raises:
        UsageError: if the name is not of the form sample_library/NAME.
        NothingToDo: if it has not been built; names those that are.
    """
    parts = dataset.strip("/").split("/")
    if not 2 <= len(parts) <= 3 or parts[0] != BUILDER or "" in parts or ".." in parts:
        raise UsageError(f"--dataset {dataset!r}: expected {BUILDER}/NAME.")
    root = data_root(data_dir)
    folder = root.joinpath(*parts)
    found = [folder] if len(parts) == 3 else sorted(folder.glob("*.*.*"), key=_version)
    found = [path for path in found if (path / "dataset_info.json").is_file()]
    if found:
        return found[-1]
    present = sorted({p.parent.parent.name for p in (root / BUILDER).glob("*/*/dataset_info.json")})
    there = f"There: {', '.join(f'{BUILDER}/{name}' for name in present)}." if present else ""
    config = {"name": parts[1], "sample_dirs": ["/path/to/samples"]}
    raise NothingToDo(
        f"No dataset {dataset} in {root}. {there} Build it: {build_command(config)}".replace(
            "  ", " "
        )
    )


def build_command(config: dict[str, Any]) -> str:
    """Returns the command that builds a data set with this builder configuration."""
    return f"tfds build tfds_builders/{BUILDER} --config '{json.dumps(config)}'"


def read_metadata(path: Path) -> dict[str, Any]:
    """Reads the metadata that the builder wrote.

    Raises:
        ModelError: if there is none, or it is damaged.
    """
    try:
        metadata = json.loads((path / "metadata.json").read_text())
        if not isinstance(metadata, dict) or "audio" not in metadata:
            raise ValueError("no audio configuration in it")
    except FileNotFoundError:
        raise ModelError(
            f"{path} was not built by tfds_builders/{BUILDER}: no metadata.json."
        ) from None
    except ValueError as error:
        raise ModelError(f"{path / 'metadata.json'} is damaged: {error}.") from None
    return metadata


def check_audio(metadata: dict[str, Any], audio: AudioConfig, dataset: str) -> None:
    """Raises ModelError, naming the fields, unless the dataset was built with this `audio`."""
    built = to_dict(from_dict(AudioConfig, metadata["audio"], "audio"))
    requested = to_dict(audio)
    differing = [field for field in requested if built[field] != requested[field]]
    if not differing:
        return
    what = "; ".join(f"{f}: dataset {built[f]}, configuration {requested[f]}" for f in differing)
    config = {
        "name": f"{dataset.split('/')[1]}-{requested['sample_rate']}",
        "sample_dirs": metadata.get("sample_dirs") or [],
        **{field: requested[field] for field in differing},
    }
    raise ModelError(
        f"{dataset} was built with another audio configuration ({what}). "
        f"Build one that fits: {build_command(config)}"
    )


def _version(path: Path) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else -1 for part in path.name.split("."))


def _empty_split(name: str, dataset: str) -> str:
    if name == "train":
        return f"{dataset} has no training records."
    return (
        f"{dataset} has no validation records, and training needs some to know when to stop. "
        "Build it from more folders, or with a lower train_ratio."
    )


def _open(path: Path, dataset: str) -> Any:
    import tensorflow_datasets as tfds  # Imported here: it costs a second

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # TFDS's own, about protobuf
            builder = tfds.builder_from_directory(str(path))
    except (ValueError, KeyError, OSError) as error:
        raise ModelError(f"{path} is damaged: {_first_line(error)}") from error
    form = getattr(builder.info.file_format, "value", builder.info.file_format)
    if form != "array_record":
        raise ModelError(
            f"{dataset} in {path} has the file format {form}, but training reads array_record. "
            f"Delete that folder and build it again: tfds build tfds_builders/{BUILDER} ..."
        )
    return builder


def _read_split(builder: Any, split: str, audio: AudioConfig) -> Split:
    import tensorflow_datasets as tfds

    skip = {"wave": tfds.decode.SkipDecoding()}
    try:
        return _gather(builder.as_data_source(split=split, decoders=skip), audio)
    except (TypeError, ValueError, KeyError, OSError, IndexError, RuntimeError) as error:
        raise ModelError(
            f"The {split} records in {builder.data_dir} are damaged: {_first_line(error)}"
        ) from error


def _gather(source: Any, audio: AudioConfig) -> Split:
    n = len(source)
    log_mel = np.full((n, audio.n_frames, audio.n_mels), audio.floor_db, np.float16)
    n_frames, peak_db = np.zeros(n, np.int32), np.zeros(n, np.float32)
    attack = np.zeros((n, ATTACK_POINTS), np.float16)
    ids, labels = [], []
    for start in range(0, n, CHUNK):
        rows = range(start, min(start + CHUNK, n))
        for row, record in zip(rows, source.__getitems__(list(rows)), strict=True):
            frames = record["log_mel"]
            log_mel[row, : len(frames)] = frames
            n_frames[row], peak_db[row] = len(frames), record["peak_db"]
            attack[row] = record["attack"]
            ids.append(_text(record["id"]))
            labels.append(_text(record["label"]))
    if not all(np.isfinite(values).all() for values in (peak_db, log_mel, attack)):
        raise ValueError("values that are not finite")
    return Split(ids, labels, log_mel, n_frames, peak_db, attack)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
