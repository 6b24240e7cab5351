"""The options of `classify`."""

from typing import Any

from pipelines.options.parser import add_command, add_reading

FORMATS = ("table", "json", "csv")


def add(commands: Any) -> None:
    """Adds the command."""
    parser = add_command(
        commands,
        "classify",
        "predict the class of files",
        "Predicts the class of each file, with the probability of every class that the model"
        " knows. Classes are the names of the folders that it was trained on.",
    )
    option = parser.add_argument
    option("paths", nargs="+", metavar="FILE", help="audio files and folders")
    option("--offset", type=float, default=0.0, metavar="SECONDS", help="where the sound starts")
    option("--format", choices=FORMATS, help="default: table on a terminal, csv in a pipe")
    add_reading(parser)
