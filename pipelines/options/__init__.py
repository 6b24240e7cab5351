"""The options of the commands that use a model. Nothing heavy is imported: --help is instant."""

import argparse
from collections.abc import Sequence

import sst
from pipelines.options import classify, demo, embed, generate, library, similar
from pipelines.options.parser import Parser


def parse(argv: Sequence[str], prog: str) -> argparse.Namespace:
    """Returns the options of one command line; dashes and underscores mean the same."""
    return _parser(prog).parse_args([_dashed(argument) for argument in argv])


def _dashed(argument: str) -> str:
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    return name.replace("_", "-") + equals + value


def _parser(prog: str) -> Parser:
    parser = Parser(prog=prog, description=(sst.__doc__ or "").split("\n\n")[0], allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"sst {sst.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in (generate, similar, classify, embed, library, demo):
        command.add(commands)
    if prog == "sst":
        commands.add_parser("train", help="train a model (sst train --help)")
        commands.add_parser("evaluate", help="measure a model (sst evaluate --help)")
    return parser
