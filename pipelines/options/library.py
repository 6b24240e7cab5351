"""The options of `library` and its actions."""

from typing import Any

from pipelines.options.parser import (
    add_command,
    add_engine,
    add_library,
    add_segmentation,
    set_unsegmented,
)

LIST_FORMATS = ("table", "json", "csv", "html")


def add(commands: Any) -> None:
    """Adds the command with its actions."""
    text = "build, update or look at the index of a library"
    parser = commands.add_parser("library", help=text, description=text, allow_abbrev=False)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_scan_and_status(actions)
    _add_export(actions)
    _add_duplicates_and_doctor(actions)


def _add_scan_and_status(actions: Any) -> None:
    scan = add_command(actions, "scan", "build the index, or bring it up to date")
    status = add_command(actions, "status", "show what the index holds and what has changed since")
    for action in (scan, status):
        add_library(action)
        add_segmentation(action)
        action.add_argument(
            "--format", choices=("table", "json"), default="table", help="default: table"
        )
        add_engine(action)
    scan.add_argument(
        "--prune", action="store_true", help="take files out of the index however many are gone"
    )
    status.add_argument("--skipped", action="store_true", help="list skipped files with reasons")


def _add_export(actions: Any) -> None:
    parser = add_command(
        actions,
        "export",
        "write the hits of loops and recordings as files",
        "Cuts every file that holds several hits: one WAV file for each, NAME_001.wav and so on,"
        " and NAME_markers.wav, the whole file with a marker at every hit. Rate, channels and depth"
        " stay as they are.",
    )
    add_library(parser)
    add_segmentation(parser)
    add_engine(parser)
    parser.set_defaults(library_segmentation=True)
    parser.add_argument("--slices", required=True, metavar="DIR", help="where the files go")
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there")


def _add_duplicates_and_doctor(actions: Any) -> None:
    duplicates = add_command(
        actions,
        "duplicates",
        "list the files that hold the same sound",
        "Finds the files that hold one sound: equal ones, and those at another level or rate, as"
        " MP3, cut or with noise. Says which is the best to keep; changes nothing.",
        model=False,
    )
    doctor = add_command(
        actions,
        "doctor",
        "list the files that are broken, faulty or in the wrong folder",
        "Finds files that are broken, silent, clipped, cut off, with a DC offset or misnamed,"
        " sounds in the folder of another class, and outliers. Says what to do; changes nothing.",
    )
    set_unsegmented(doctor, "auto")
    for parser in (duplicates, doctor):
        add_library(parser)
        option = parser.add_argument
        option("--format", choices=LIST_FORMATS, help="default: table, or as --out ends")
        option("--out", metavar="FILE", help="write the list there")
        option("--overwrite", action="store_true", help="replace the file if it exists")
