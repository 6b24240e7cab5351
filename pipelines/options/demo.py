"""The options of `demo`."""

from typing import Any

from pipelines.options.parser import add_command


def add(commands: Any) -> None:
    """Adds the command."""
    parser = add_command(
        commands,
        "demo",
        "write the demo sounds as files",
        "Makes 240 drum and synthesizer sounds with the built-in synthesizer and writes them as"
        " MACHINE/KIND/NAME: WAV, FLAC, Ogg, AIFF and MP3 at several rates, and truth.csv with the"
        " pitch, onset, attack, decay and level of each.",
        model=False,
    )
    option = parser.add_argument
    option("folder", metavar="DIR", help="where the files go")
    option("--overwrite", action="store_true", help="write into a folder that holds files already")
