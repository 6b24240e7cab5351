"""The options of the commands that use a model. Nothing heavy is imported: --help is instant."""

import argparse
import os
from collections.abc import Sequence
from typing import Any, NoReturn

import sst
from sst.errors import UsageError

SUBTYPES = ("PCM_16", "PCM_24", "FLOAT")
FORMATS = ("table", "json", "csv", "m3u", "paths")
VERDICTS = ("table", "json", "csv")
LISTS = ("table", "json", "csv", "html")


class Parser(argparse.ArgumentParser):
    """An argument parser that fails in one sentence."""

    def error(self, message: str) -> NoReturn:
        """Raises what `endings.guarded` turns into exit code 2."""
        raise UsageError(f"{message} (see: {self.prog} --help)")


def parse(argv: Sequence[str], prog: str) -> argparse.Namespace:
    """The options of one command line; dashes and underscores mean the same."""
    return _parser(prog).parse_args([_dashed(argument) for argument in argv])


def _dashed(argument: str) -> str:
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    return name.replace("_", "-") + equals + value


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} should be at least 1")
    return number


def _parser(prog: str) -> Parser:
    parser = Parser(prog=prog, description=sst.__doc__, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"sst {sst.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _generate(commands)
    _similar(commands)
    _classify(commands)
    _embed(commands)
    _library(commands)
    if prog == "sst":
        commands.add_parser("train", help="train a model (sst train --help)")
        commands.add_parser("evaluate", help="measure a model (sst evaluate --help)")
    return parser


def _command(
    commands: Any, name: str, help_: str, description: str = "", model: bool = True
) -> Parser:
    parser: Parser = commands.add_parser(
        name, help=help_, description=description or help_, allow_abbrev=False
    )
    if model:
        parser.add_argument(
            "--model",
            default=None if name == "generate" else "model_test",
            help="a run directory or a shipped model (default: model_test)",
        )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _generate(commands: Any) -> None:
    parser = _command(
        commands,
        "generate",
        "make new sounds",
        "Makes new sounds: random ones, mixes of files, or variations of a sound made before.",
    )
    add = parser.add_argument
    add("--out", "--out-file", metavar="PATH", help="a .wav file or a folder (default: out/)")
    add("--num", type=int, metavar="N", help="how many (default: 1)")
    add("--seed", type=int, help="the same seed gives the same sounds (default: a random one)")
    add("--temperature", type=float, default=1.0, help="of random sounds: below 1 more ordinary")
    add("--class", dest="class_name", metavar="KIND", help="random sounds of this kind only")
    add("--audio-files", nargs="+", metavar="FILE", help="mix these instead")
    add("--weights", nargs="+", type=float, metavar="W", help="one per file, also negative")
    add("--no-normalize-weights", action="store_true", help="do not divide by the sum of weights")
    add("--variance", type=float, default=0.0, metavar="V", help="add noise of this variance")
    add("--interpolate", type=int, metavar="N", help="N sounds on the way between two files")
    add("--from", dest="origin", metavar="WAV", help="make the sound in this file's recipe again")
    add("--min-novelty", type=float, metavar="P", help="draw again below P %% novel; 0: a copy")
    add("--library-dir", nargs="+", metavar="DIR", help="compare with these folders too")
    add("--sample-rate", type=int, metavar="HZ", help="of the files (default: the model's)")
    add("--subtype", metavar="T", help=f"{', '.join(SUBTYPES)} (default: PCM_16)")
    add("--overwrite", action="store_true", help="replace files that exist")
    parser.set_defaults(workers=None)
    _whole_files(parser, "exact")


def _similar(commands: Any) -> None:
    parser = _command(
        commands,
        "similar",
        "find similar sounds",
        "Finds the sounds of a library that are nearest to a file. The first call listens to the"
        " whole library; later ones only to what has changed.",
    )
    add = parser.add_argument
    add("targets", nargs="*", metavar="TARGET", help="audio files, in the library or not")
    _add_library(parser)
    _add_cutting(parser)
    add("--segment", type=_segment, metavar="N", help="a hit of the target, from 1, or: all")
    add("--num-similar", "-k", type=int, default=10, metavar="N", help="how many (default: 10)")
    add(
        "--aspect", nargs="+", type=_weighted_aspect, default=[], metavar="NAME=W",
        help="weigh timbre (default: 1), pitch (0.1), envelope (0.05), duration (0.01) or loudness",
    )  # fmt: skip
    add("--like", nargs="+", type=_weighted_file, default=[], metavar="FILE[:W]", help="near these")
    add("--unlike", nargs="+", type=_weighted_file, default=[], metavar="FILE[:W]", help="and away")
    add("--between", nargs=2, metavar=("A", "B"), help="a way of sounds from one to another")
    add("--steps", type=int, metavar="N", help="sounds on that way (default: 8)")
    add("--per-folder", type=int, metavar="N", help="at most so many of one folder")
    add("--keep-duplicates", action="store_true", help="show every copy of a sound")
    add("--format", choices=FORMATS, help="default: table on a terminal, paths in a pipe")
    add("--copy-to", metavar="DIR", help="copy the sounds found into this folder")
    add("--overwrite", action="store_true", help="replace copies that exist")
    add("--include-self", action="store_true", help="keep the target itself and its copies")
    _add_engine(parser)


def _classify(commands: Any) -> None:
    parser = _command(
        commands,
        "classify",
        "say what kind of sound files hold",
        "Says of each file how probable the kinds of sounds are that the model was taught: the"
        " names of the folders that it learned from.",
    )
    add = parser.add_argument
    add("paths", nargs="+", metavar="FILE", help="audio files and folders")
    add("--offset", type=float, default=0.0, metavar="SECONDS", help="listen from there on")
    add("--format", choices=VERDICTS, help="default: table on a terminal, csv in a pipe")
    _add_strict(parser)


def _segment(text: str) -> int | str:
    if text == "all":
        return text
    try:
        return _at_least_one(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} should be a number or: all") from None


def _weighted_aspect(text: str) -> tuple[str, float]:
    name, equals, weight = text.partition("=")
    try:
        return name, float(weight)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} should be like pitch=0") from None


def _weighted_file(text: str) -> tuple[str, float]:
    """`a.wav:0.5`; a file whose own name ends so is meant where there is one."""
    file, _, weight = text.rpartition(":")
    try:
        return (text, 1.0) if os.path.exists(text) else (file, float(weight))
    except ValueError:
        return text, 1.0


def _embed(commands: Any) -> None:
    parser = _command(commands, "embed", "write the vectors that search compares")
    parser.add_argument("paths", nargs="+", metavar="PATH", help="audio files and folders")
    parser.add_argument("--out", "--out-file", required=True, metavar="EMB.npz")
    parser.add_argument("--overwrite", action="store_true", help="replace the file if it exists")
    _add_strict(parser)


def _library(commands: Any) -> None:
    text = "build, update or look at the index of a library"
    parser = commands.add_parser("library", help=text, description=text, allow_abbrev=False)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    scan = _command(actions, "scan", "build the index, or bring it up to date")
    status = _command(actions, "status", "what the index holds, and what has changed since")
    for action in (scan, status):
        _add_library(action)
        _add_cutting(action)
        action.add_argument(
            "--format", choices=("table", "json"), default="table", help="default: table"
        )
        _add_engine(action)
    _export(actions)
    scan.add_argument(
        "--prune", action="store_true", help="take files out of the index however many are gone"
    )
    status.add_argument("--skipped", action="store_true", help="list skipped files with reasons")

    _care(actions)


def _care(actions: Any) -> None:
    """The actions that look at the files themselves and list what they find."""
    duplicates = _command(
        actions,
        "duplicates",
        "which files hold the same sound",
        "Finds the files that hold one sound: equal ones, and those at another level or rate, as"
        " MP3, cut or with noise. Says which is the best to keep; changes nothing.",
        model=False,
    )
    doctor = _command(
        actions,
        "doctor",
        "which files are broken, faulty or in the wrong folder",
        "Finds files that are broken, silent, clipped, cut off, with a DC offset or misnamed,"
        " sounds in the folder of another kind, and strays. Says what to do; changes nothing.",
    )
    _whole_files(doctor, "auto")
    for parser in (duplicates, doctor):
        _add_library(parser)
        add = parser.add_argument
        add("--format", choices=LISTS, help="default: table, or html where --out ends so")
        add("--out", metavar="FILE", help="write the list there")
        add("--overwrite", action="store_true", help="replace the file if it exists")


def _export(actions: Any) -> None:
    parser = _command(
        actions,
        "export",
        "write the hits of loops and recordings as files",
        "Cuts every file that holds several hits: one WAV file for each, NAME_001.wav and so on,"
        " and NAME_markers.wav, the whole file with a marker at every hit. Rate, channels and depth"
        " stay as they are.",
    )
    _add_library(parser)
    _add_cutting(parser)
    _add_engine(parser)
    parser.set_defaults(library_segmentation=True)
    parser.add_argument("--slices", required=True, metavar="DIR", help="where the files go")
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there")


def _add_cutting(parser: Parser) -> None:
    add = parser.add_argument
    add("--library-segmentation", action="store_true", help="each hit in a file is a sound")
    add("--sensitivity", type=float, metavar="S", help="0 to 1: how faint a hit counts (0.5)")
    add("--min-gap", type=float, metavar="S", help="seconds between two hits (0.05)")


def _whole_files(parser: Parser, engine: str) -> None:
    """How a library is opened where there is no option for it."""
    parser.set_defaults(engine=engine, library_segmentation=False, sensitivity=None, min_gap=None)


def _add_engine(parser: Parser) -> None:
    parser.add_argument(
        "--engine", default="auto", metavar="E", help="auto, exact or scann (default: auto)"
    )


def _add_library(parser: Parser) -> None:
    parser.add_argument(
        "--library-dir", nargs="+", required=True, metavar="DIR", help="folders with samples"
    )
    _add_strict(parser)


def _add_strict(parser: Parser) -> None:
    parser.add_argument(
        "--strict", action="store_true", help="end with code 5 if files had to be skipped"
    )
    parser.add_argument(
        "--workers", type=_at_least_one, metavar="N", help="decoding processes (default: cores)"
    )
