"""`classify`: what kind of sound files hold."""

import argparse
import csv
import io
import itertools
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipelines.commands.embed import audio_paths
from pipelines.console.messages import Progress, plural, put, say, shown
from pipelines.console.skipped import lost, strict
from sst.errors import NothingToDo
from sst.types import Skipped, Sound

AT_ONCE = 128  # files
MOST = 3  # other kinds on a terminal
LEAST = 0.005  # probability that is worth a mention there


class Verdict(NamedTuple):
    """The probabilities of the classes for one file, most probable first."""

    path: str
    ranked: list[tuple[str, float]]


def classify(arguments: argparse.Namespace) -> None:
    """Prints the kind of each file with its probability."""
    paths = audio_paths(arguments.paths)
    from sst import inference

    model = inference.load(arguments.model)
    inference.check_classes(model)
    skipped: dict[str, int] = {}
    verdicts = list(_heard(model, paths, arguments, skipped))
    if verdicts:
        format_ = arguments.format or ("table" if sys.stdout.isatty() else "csv")
        writers = {"table": _table, "json": _json, "csv": _csv}
        put(writers[format_](verdicts, model.class_names))
    if skipped and verdicts:
        say(f"{plural(len(verdicts), 'file')}{lost(skipped)}")
    strict(arguments, skipped)


def _heard(
    model: Any, paths: Sequence[Path], arguments: argparse.Namespace, skipped: dict[str, int]
) -> Iterator[Verdict]:
    """What the model says of each file; the others are counted in `skipped` by their reason.

    Raises:
        NothingToDo: none of the files can be used.
    """
    from sst import inference
    from sst.library import embed_files

    config, progress, done = model.config.audio, Progress("Listening"), 0
    workers = arguments.workers or (1 if len(paths) < 2 else None)
    stream = embed_files.decode(paths, config, workers, arguments.offset)
    while batch := list(itertools.islice(stream, AT_ONCE)):
        sounds = [sound for sound in batch if isinstance(sound, Sound)]
        for sound in batch:
            if isinstance(sound, Skipped):
                skipped[sound.reason] = skipped.get(sound.reason, 0) + 1
                why = f"Cannot use {shown(str(sound.path))}: {sound.detail}."
                if len(paths) > 1:
                    say(why)
        if sounds:
            shares = inference.classify_features(model, embed_files.features_of(sounds, config))
            for sound, row in zip(sounds, shares, strict=True):
                named = zip(model.class_names, map(float, row), strict=True)
                yield Verdict(str(sound.path), sorted(named, key=lambda pair: -pair[1]))
        done += len(batch)
        progress(done, len(paths), sum(skipped.values()))
    progress.close()
    if sum(skipped.values()) == len(paths):
        raise NothingToDo(why if len(paths) == 1 else f"None of {len(paths):,} files can be used.")


def _table(verdicts: Sequence[Verdict], class_names: Sequence[str]) -> str:
    others = [_others(verdict) for verdict in verdicts]
    wide, wider = max(map(len, map(shown, class_names))), max(map(len, others))
    lines = []
    for verdict, rest in zip(verdicts, others, strict=True):
        (name, share), path = verdict.ranked[0], shown(_short(verdict.path))
        lines.append(f"{shown(name):{wide}} {100 * share:6.1f} %  {rest:{wider}}  {path}\n")
    return "".join(lines)


def _others(verdict: Verdict) -> str:
    more = [(name, share) for name, share in verdict.ranked[1 : 1 + MOST] if share >= LEAST]
    return ", ".join(f"{shown(name)} {100 * share:.0f} %" for name, share in more)


def _json(verdicts: Sequence[Verdict], class_names: Sequence[str]) -> str:
    rows = [
        {
            "path": verdict.path,
            "class": verdict.ranked[0][0],
            "probability": round(verdict.ranked[0][1], 6),
            "probabilities": {name: round(share, 6) for name, share in verdict.ranked},
        }
        for verdict in verdicts
    ]
    return json.dumps(rows, indent=1) + "\n"


def _csv(verdicts: Sequence[Verdict], class_names: Sequence[str]) -> str:
    """A line per file, with a column for the probability of every class."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["path", "class", "probability", *(f"P({name})" for name in class_names)])
    for verdict in verdicts:
        (name, share), shares = verdict.ranked[0], dict(verdict.ranked)
        each = (f"{shares[known]:.6f}" for known in class_names)
        writer.writerow([verdict.path, name, f"{share:.6f}", *each])
    return out.getvalue()


def _short(path: str) -> str:
    """Relative where it lies below the current folder."""
    return path.removeprefix(os.path.join(os.getcwd(), ""))
