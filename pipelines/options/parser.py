"""The parser, and the options that several commands share."""

import argparse
from typing import Any, NoReturn

from sst.errors import UsageError


class Parser(argparse.ArgumentParser):
    """An argument parser that fails in one sentence."""

    def error(self, message: str) -> NoReturn:
        """Raises UsageError, which becomes exit code 2."""
        raise UsageError(f"{message} (see: {self.prog} --help)")


def add_command(
    commands: Any, name: str, help_: str, description: str = "", model: bool = True
) -> Parser:
    """Adds a command with --debug, and --model where it uses one."""
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


def add_library(parser: Parser) -> None:
    """Adds --library-dir and what goes with the reading of files."""
    parser.add_argument(
        "--library-dir", nargs="+", required=True, metavar="DIR", help="folders with samples"
    )
    add_reading(parser)


def add_reading(parser: Parser) -> None:
    """Adds --strict and --workers."""
    add = parser.add_argument
    add("--strict", action="store_true", help="end with code 5 if files had to be skipped")
    add("--workers", type=at_least_one, metavar="N", help="decoding processes (default: cores)")


def add_segmentation(parser: Parser) -> None:
    """Adds the options that cut files into hits."""
    add = parser.add_argument
    add("--library-segmentation", action="store_true", help="each hit in a file is a sound")
    add("--sensitivity", type=float, metavar="S", help="0 to 1: how faint a hit counts (0.5)")
    add("--min-gap", type=float, metavar="S", help="seconds between two hits (0.05)")


def add_engine(parser: Parser) -> None:
    """Adds --engine."""
    parser.add_argument(
        "--engine", default="auto", metavar="E", help="auto, exact or scann (default: auto)"
    )


def set_unsegmented(parser: Parser, engine: str) -> None:
    """Sets that a library is opened with a sound per file, where there is no option for it."""
    parser.set_defaults(engine=engine, library_segmentation=False, sensitivity=None, min_gap=None)


def at_least_one(text: str) -> int:
    """Parses a whole number from 1 up."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: give at least 1")
    return number
