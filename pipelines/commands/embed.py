"""`embed`: the vectors that search compares, as a file."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipelines.console.messages import say
from pipelines.console.paths import output_file
from pipelines.console.progress import Progress
from pipelines.console.skipped import fail_if_strict, skipped_note
from sst.errors import NothingToDo, UsageError, plural
from sst.types import Skipped


class Embedded(NamedTuple):
    """The search vectors of sounds, and the number of skipped files."""

    paths: list[str]
    onsets: list[float]
    vectors: list[Any]
    skipped: dict[str, int]  # files by reason


def embed(arguments: argparse.Namespace) -> None:
    """Writes the vectors of files and folders: paths, onsets, embeddings."""
    out = _npz_file(arguments)
    paths = audio_paths(arguments.paths)
    found = _embedded(arguments, paths)
    _write(out, found)
    size = f"{plural(len(found.paths), 'sound')}, {len(found.vectors[0])} numbers each"
    say(f"wrote {out}: {size}{skipped_note(found.skipped)}")
    fail_if_strict(arguments, found.skipped)


def _embedded(arguments: argparse.Namespace, paths: Sequence[Path]) -> Embedded:
    """Embeds every sound. Raises NothingToDo where no file can be used."""
    from sst.library import embed_files, session

    encoder = session.load_encoder(arguments.model)
    found, done, detail = Embedded([], [], [], {}), 0, ""
    with Progress("Embedding") as progress:
        for batch in embed_files.embed_files(encoder, paths, workers=arguments.workers):
            for file in batch:
                if isinstance(file, Skipped):
                    found.skipped[file.reason] = found.skipped.get(file.reason, 0) + 1
                    detail = file.detail
                else:
                    _add(found, file)
            done += len(batch)
            progress(done, len(paths), sum(found.skipped.values()))
    if not found.paths:
        raise NothingToDo(f"0 of {plural(len(paths), 'file')} could be used: {detail}.")
    return found


def _add(found: Embedded, sounds: Sequence[Any]) -> None:
    for sound, vector in sounds:
        if vector is not None:
            found.paths.append(str(sound.path))
            found.onsets.append(sound.clip.onset_s)
            found.vectors.append(vector)


def audio_paths(given: Sequence[str]) -> list[Path]:
    """Returns the given files, and all audio files of the given folders, each once."""
    from sst import files

    paths: dict[Path, None] = {}
    for one in given:
        if os.path.isdir(os.path.expanduser(one)):
            samples = files.samples_or_raise([one]).samples
            paths.update(dict.fromkeys(Path(sample.path) for sample in samples))
        else:
            paths[Path(os.path.abspath(files.existing_file(one)))] = None
    return list(paths)


def _npz_file(arguments: argparse.Namespace) -> Path:
    if Path(arguments.out).suffix != ".npz":
        raise UsageError(f"--out {arguments.out}: give a name that ends in .npz.")
    return output_file(arguments.out, arguments.overwrite)


def _write(out: Path, found: Embedded) -> None:
    import numpy as np

    from sst import atomic

    with atomic.draft(out) as fresh:
        np.savez(
            fresh,
            paths=np.array(found.paths),
            onsets=np.array(found.onsets, np.float32),
            embeddings=np.stack(found.vectors).astype(np.float32),
        )
