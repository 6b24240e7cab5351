"""`embed`: the vectors that search compares, as a file."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines.console.messages import Progress, plural, say
from pipelines.console.paths import free
from pipelines.console.skipped import lost, strict
from sst.errors import NothingToDo, UsageError
from sst.types import Skipped


def embed(arguments: argparse.Namespace) -> None:
    """Writes the vectors of files and folders: paths, onsets, embeddings."""
    out = _npz_place(arguments)
    paths = audio_paths(arguments.paths)

    import numpy as np

    from sst.library import embed_files, session

    encoder = session.encoder(arguments.model)
    progress = Progress("Listening")
    found: list[tuple[str, float, Any]] = []
    skipped: dict[str, int] = {}
    done = 0
    for batch in embed_files.embed_files(encoder, paths, workers=arguments.workers):
        for file in batch:
            if isinstance(file, Skipped):
                skipped[file.reason] = skipped.get(file.reason, 0) + 1
                first = file
            else:
                found += [(str(s.path), s.clip.onset_s, v) for s, v in file if v is not None]
        done += len(batch)
        progress(done, len(paths), sum(skipped.values()))
    progress.close()
    if not found:
        raise NothingToDo(f"0 of {plural(len(paths), 'file')} could be used: {first.detail}.")
    names, onsets, vectors = zip(*found, strict=True)
    _write_npz(
        out,
        paths=np.array(names),
        onsets=np.array(onsets, np.float32),
        embeddings=np.stack(vectors).astype(np.float32),
    )
    size = f"{plural(len(found), 'sound')}, {len(vectors[0])} numbers each"
    say(f"wrote {out}: {size}{lost(skipped)}")
    strict(arguments, skipped)


def audio_paths(given: Sequence[str]) -> list[Path]:
    """Files as they are named, and all audio files of folders, each once."""
    from sst import files
    from sst.library import embed_files

    paths: dict[Path, None] = {}
    for one in given:
        if os.path.isdir(os.path.expanduser(one)):
            samples = files.samples_or_raise([one]).samples
            paths.update(dict.fromkeys(Path(sample.path) for sample in samples))
        else:
            paths[Path(os.path.abspath(embed_files.existing(one)))] = None
    return list(paths)


def _npz_place(arguments: argparse.Namespace) -> Path:
    if Path(arguments.out).suffix != ".npz":
        raise UsageError(f"--out {arguments.out} should end in .npz.")
    return free(arguments.out, arguments.overwrite)


def _write_npz(out: Path, **arrays: Any) -> None:
    """Whole or not there at all."""
    import numpy as np

    draft = out.with_name(f".{out.name}.{os.getpid()}.npz")
    try:
        np.savez(draft, **arrays)
        os.replace(draft, out)
    finally:
        draft.unlink(missing_ok=True)
