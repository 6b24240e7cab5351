"""The options of `similar`."""

import argparse
import os
from typing import Any

from pipelines.options.parser import (
    add_command,
    add_engine,
    add_library,
    add_segmentation,
    at_least_one,
)

FORMATS = ("table", "json", "csv", "m3u", "paths")


def add(commands: Any) -> None:
    """Adds the command."""
    parser = add_command(
        commands,
        "similar",
        "find similar sounds",
        "Finds the sounds of a library that are nearest to a file. The first call indexes the"
        " whole library; later ones only what has changed.",
    )
    option = parser.add_argument
    option("targets", nargs="*", metavar="TARGET", help="audio files, in the library or not")
    add_library(parser)
    add_segmentation(parser)
    option("--segment", type=_segment, metavar="N", help="a hit of the target, from 1, or: all")
    option("--num-similar", "-k", type=int, default=10, metavar="N", help="how many (default: 10)")
    option(
        "--aspect", nargs="+", type=_weighted_aspect, default=[], metavar="NAME=W",
        help="weigh timbre (default: 1), pitch (0.1), envelope (0.05), duration (0.01) or loudness",
    )  # fmt: skip
    weighted: dict[str, Any] = {"nargs": "+", "type": _weighted_file, "metavar": "FILE[:W]"}
    option("--like", **weighted, default=[], help="near these, W times as much")
    option("--unlike", **weighted, default=[], help="away from these")
    option("--between", nargs=2, metavar=("A", "B"), help="an interpolation path from A to B")
    option("--steps", type=int, metavar="N", help="sounds on that path (default: 8)")
    option("--per-folder", type=int, metavar="N", help="at most so many of one folder")
    option("--keep-duplicates", action="store_true", help="show every copy of a sound")
    option("--format", choices=FORMATS, help="default: table on a terminal, paths in a pipe")
    option("--copy-to", metavar="DIR", help="copy the sounds found into this folder")
    option("--overwrite", action="store_true", help="replace copies that exist")
    option("--include-self", action="store_true", help="keep the target itself and its copies")
    add_engine(parser)


def _segment(text: str) -> int | str:
    if text == "all":
        return text
    try:
        return at_least_one(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: give a number or: all") from None


def _weighted_aspect(text: str) -> tuple[str, float]:
    name, _, weight = text.partition("=")
    try:
        return name, float(weight)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: give a name and a weight: pitch=0") from None


def _weighted_file(text: str) -> tuple[str, float]:
    """Parses `a.wav:0.5`; a file whose own name ends so is meant where there is one."""
    file, _, weight = text.rpartition(":")
    try:
        return (text, 1.0) if os.path.exists(text) else (file, float(weight))
    except ValueError:
        return text, 1.0
