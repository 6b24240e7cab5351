"""`classify`: the kind of sound that files hold."""

import argparse
import csv
import io
import itertools
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipelines.commands.embed import audio_paths
from pipelines.console.messages import printable, put, say
from pipelines.console.progress import Progress
from pipelines.console.skipped import fail_if_strict, skipped_note
from sst import types
from sst.errors import NothingToDo, plural
from sst.types import Skipped, Sound

if TYPE_CHECKING:  # for mypy alone: these take seconds to import
    from sst.inference import Model

BATCH_SIZE = 128  # files
MAX_OTHERS = 3  # classes beside the most probable one, in a table
MIN_PROBABILITY = 0.005  # of a class that is named there


class Prediction(NamedTuple):
    """The probabilities of the classes for one file, most probable first."""

    path: str
    ranked: list[tuple[str, float]]


class Skips:
    """Counts skipped files by reason, and keeps the last sentence about one."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.sentence = ""

    def add(self, file: Skipped) -> None:
        """Counts one file."""
        self.counts[file.reason] = self.counts.get(file.reason, 0) + 1
        self.sentence = f"Cannot use {printable(str(file.path))}: {file.detail}."

    def __len__(self) -> int:
        return sum(self.counts.values())


def classify(arguments: argparse.Namespace) -> None:
    """Prints the most probable class of each file with its probability."""
    paths = audio_paths(arguments.paths)
    from sst import inference

    model = inference.load(arguments.model)
    inference.check_classes(model)
    skips = Skips()
    with Progress("Classifying") as progress:
        predictions = list(_predictions(model, paths, arguments, skips, progress))
    if not predictions:
        many = f"None of {len(paths):,} files can be used."
        raise NothingToDo(skips.sentence if len(paths) == 1 else many)
    format_ = arguments.format or ("table" if sys.stdout.isatty() else "csv")
    writers = {"table": _table, "json": _json, "csv": _csv}
    put(writers[format_](predictions, model.class_names))
    if skips:
        say(f"{plural(len(predictions), 'file')} classified{skipped_note(skips.counts)}")
    fail_if_strict(arguments, skips.counts)


def _predictions(
    model: "Model",
    paths: Sequence[Path],
    arguments: argparse.Namespace,
    skips: Skips,
    progress: types.Progress,
) -> Iterator[Prediction]:
    """Yields the prediction for each file that can be used."""
    from sst.library import embed_files

    workers = arguments.workers or (1 if len(paths) < 2 else None)
    stream = embed_files.decode(paths, model.config.audio, workers, arguments.offset)
    done = 0
    while batch := list(itertools.islice(stream, BATCH_SIZE)):
        for file in batch:
            if isinstance(file, Skipped):
                skips.add(file)
                if len(paths) > 1:
                    say(skips.sentence)
        yield from _of_batch(model, [f for f in batch if isinstance(f, Sound)])
        done += len(batch)
        progress(done, len(paths), len(skips))


def _of_batch(model: "Model", sounds: Sequence[Sound]) -> Iterator[Prediction]:
    from sst import inference
    from sst.library import embed_files

    if not sounds:
        return
    features = embed_files.features_of(sounds, model.config.audio)
    for sound, row in zip(sounds, inference.classify_features(model, features), strict=True):
        named = zip(model.class_names, map(float, row), strict=True)
        yield Prediction(str(sound.path), sorted(named, key=lambda pair: -pair[1]))


def _table(predictions: Sequence[Prediction], class_names: Sequence[str]) -> str:
    others = [_others(prediction) for prediction in predictions]
    name_width, width = max(map(len, map(printable, class_names))), max(map(len, others))
    lines = []
    for prediction, rest in zip(predictions, others, strict=True):
        (name, share), path = prediction.ranked[0], printable(_relative(prediction.path))
        lines.append(
            f"{printable(name):{name_width}} {100 * share:6.1f} %  {rest:{width}}  {path}\n"
        )
    return "".join(lines)


def _others(prediction: Prediction) -> str:
    ranked = prediction.ranked[1 : 1 + MAX_OTHERS]
    more = [(name, share) for name, share in ranked if share >= MIN_PROBABILITY]
    return ", ".join(f"{printable(name)} {100 * share:.0f} %" for name, share in more)


def _json(predictions: Sequence[Prediction], class_names: Sequence[str]) -> str:
    rows = [
        {
            "path": prediction.path,
            "class": prediction.ranked[0][0],
            "probability": round(prediction.ranked[0][1], 6),
            "probabilities": {name: round(share, 6) for name, share in prediction.ranked},
        }
        for prediction in predictions
    ]
    return json.dumps(rows, indent=1) + "\n"


def _csv(predictions: Sequence[Prediction], class_names: Sequence[str]) -> str:
    """Returns a line per file, with a column for the probability of every class."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["path", "class", "probability", *(f"P({name})" for name in class_names)])
    for prediction in predictions:
        (name, share), shares = prediction.ranked[0], dict(prediction.ranked)
        each = (f"{shares[known]:.6f}" for known in class_names)
        writer.writerow([prediction.path, name, f"{share:.6f}", *each])
    return out.getvalue()


def _relative(path: str) -> str:
    """Returns the path relative to the current folder where it lies below it."""
    return path.removeprefix(os.path.join(os.getcwd(), ""))
