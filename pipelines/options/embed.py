"""The options of `embed`."""

from typing import Any

from pipelines.options.parser import add_command, add_reading


def add(commands: Any) -> None:
    """Adds the command."""
    parser = add_command(commands, "embed", "write the vectors that search compares")
    option = parser.add_argument
    option("paths", nargs="+", metavar="PATH", help="audio files and folders")
    option("--out", "--out-file", required=True, metavar="EMB.npz")
    option("--overwrite", action="store_true", help="replace the file if it exists")
    add_reading(parser)
