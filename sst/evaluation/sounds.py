"""The sounds of an evaluation: training sounds, and held-out ones."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sst import files
from sst.audio import decode_pool
from sst.config import AudioConfig
from sst.data import dataset as datasets
from sst.data.dataset import Dataset
from sst.errors import NothingToDo, UsageError
from sst.library import embed_files
from sst.types import Features, Sound, Wave

Progress = Callable[[str], None]


class Sounds(NamedTuple):
    """Sounds at the model's rate, from their onset, at their own level."""

    ids: list[str]
    waves: list[Wave]  # float32, mono
    log_mel: np.ndarray  # [n, t, m] dB, padded with the floor
    n_frames: np.ndarray  # int32 [n]
    peak_db: np.ndarray  # float32 [n]
    attack: np.ndarray  # [n, a] dB
    classes: list[str]  # "" where there is none
    packs: list[str]
    descriptors: np.ndarray | None = None  # [n, s], where the decoding processes measured them

    @property
    def size(self) -> int:
        """Returns the number of sounds."""
        return len(self.ids)

    @property
    def features(self) -> Features:
        """Returns the input of a model, float32."""
        cells, attack = self.log_mel.astype(np.float32), self.attack.astype(np.float32)
        return Features(cells, self.n_frames, self.peak_db, attack)

    @property
    def class_names(self) -> list[str]:
        """Returns the names of the classes, sorted."""
        return sorted(set(self.classes) - {""})

    def take(self, rows: Sequence[int] | np.ndarray) -> "Sounds":
        """Returns some of the sounds, in the order of `rows`."""
        rows = [int(row) for row in rows]
        lists = {
            name: [getattr(self, name)[row] for row in rows]
            for name in ("ids", "waves", "classes", "packs")
        }
        return self._replace(
            **lists,
            log_mel=self.log_mel[rows],
            n_frames=self.n_frames[rows],
            peak_db=self.peak_db[rows],
            attack=self.attack[rows],
            descriptors=None if self.descriptors is None else self.descriptors[rows],
        )


def read_classes(path: str | os.PathLike[str]) -> dict[str, str]:
    """Reads a file of folder labels and the classes they belong to: `{"bd": "kick", ...}`.

    Raises:
        UsageError: if it is not there, or is no JSON object of texts.
    """
    try:
        content = json.loads(Path(path).expanduser().read_text())
    except OSError as error:
        raise UsageError(f"--classes {path}: {error.strerror}.") from None
    except ValueError as error:
        raise UsageError(f"--classes {path}: {error}.") from None
    if not isinstance(content, dict) or not all(isinstance(v, str) for v in content.values()):
        raise UsageError(f'--classes {path}: expected an object such as {{"bd": "kick"}}.')
    return {label.casefold(): kind for label, kind in content.items()}


def class_of(label: str, classes: dict[str, str] | None) -> str:
    """Returns the class of a folder label: itself without a table, "" where that lacks it.

    A label that is the name of one of the table's classes is of that class.
    """
    if classes is None:
        return label
    themselves = {kind.casefold(): kind for kind in classes.values()}
    return (themselves | classes).get(label.casefold(), "")


def packs_of(ids: Sequence[str]) -> list[str]:
    """Returns the pack of each sound: `files.pack_of`, or the given folder where that is a pack.

    Of several folders given side by side, one that holds nothing but folders of files is taken for
    one pack with its kinds, not for a library of packs: `TR808/bd/x.wav` is of `TR808`.
    """
    roots = {name.split("/")[0] for name in ids}
    deep = {name.split("/")[0] for name in ids if name.count("/") > 2}
    if len(roots) == 1:
        return [files.pack_of(name) for name in ids]
    return [
        files.pack_of(name) if name.split("/")[0] in deep else name.split("/")[0] for name in ids
    ]


def from_folders(
    folders: Sequence[str | os.PathLike[str]],
    audio: AudioConfig,
    classes: dict[str, str] | None = None,
    limit: int | None = None,
    seed: int = 0,
    say: Progress = lambda text: None,
) -> Sounds:
    """Reads held-out files as the model's training sounds are read.

    Args:
        folders: searched with their sub-folders.
        audio: of the model.
        classes: label -> class; see `class_of`.
        limit: the largest number of files; those to read are chosen at random.
        seed: of that choice.
        say: takes a message on the progress, and one on skipped files.

    Raises:
        UsageError: one of the paths is not a folder.
        NothingToDo: there is no audio, or none that can be read.
    """
    found = files.samples_or_raise(folders).samples
    packs = dict(zip((s.id for s in found), packs_of([s.id for s in found]), strict=True))
    chosen = [found[row] for row in choose(len(found), limit, seed)]
    say(f"decoding {len(chosen):,} held-out files")
    paths = [sample.path for sample in chosen]
    results = decode_pool.decode_many(paths, audio, measure=("descriptors",))
    kept, decoded = [], []
    for sample, result in zip(chosen, results, strict=True):
        if isinstance(result, Sound):
            kept.append(sample)
            decoded.append(result)
    if not kept:
        raise NothingToDo(f"0 of {len(chosen):,} held-out files could be read.")
    if len(kept) < len(chosen):
        say(f"{len(chosen) - len(kept):,} held-out files could not be read and are left out")
    return Sounds(
        [sample.id for sample in kept],
        [at_level(sound.clip.wave, sound.clip.peak_db) for sound in decoded],
        *embed_files.features_of(decoded, audio),
        [class_of(sample.label, classes) for sample in kept],
        [packs[sample.id] for sample in kept],
        np.stack([sound.descriptors for sound in decoded]),
    )


def from_dataset(
    dataset: Dataset,
    name: str,
    classes: dict[str, str] | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Sounds:
    """Reads one split of a dataset, "train" or "validation"; arguments as in `from_folders`."""
    split = dataset.train if name == "train" else dataset.validation
    rows = choose(split.size, limit, seed)
    waves = datasets.read_waves(dataset, name, list(rows))
    packs = packs_of(dataset.train.ids + dataset.validation.ids)
    packs = packs[: dataset.train.size] if name == "train" else packs[dataset.train.size :]
    return Sounds(
        [split.ids[row] for row in rows],
        [at_level(wave, split.peak_db[row]) for wave, row in zip(waves, rows, strict=True)],
        split.log_mel[rows],
        split.n_frames[rows],
        split.peak_db[rows],
        split.attack[rows],
        [class_of(split.labels[row], classes) for row in rows],
        [packs[row] for row in rows],
    )


def choose(n: int, limit: int | None, seed: int) -> np.ndarray:
    """Chooses up to `limit` of `n` rows at random, in ascending order."""
    if limit is None or limit >= n:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).permutation(n)[:limit])


def at_level(wave: Wave, peak_db: float) -> Wave:
    """Returns a wave of peak 1 [n] at a peak level in dBFS, float32."""
    return np.asarray(wave * np.float32(10.0 ** (float(peak_db) / 20.0)), np.float32)


def short_name(name: str) -> str:
    """Returns the last folder and the file name of an id: `kick/a.wav`."""
    return "/".join(name.split("/")[-2:])
