"""Lists of files in sections, as `library duplicates` and `library doctor` print or write them."""

import argparse
import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from pipelines.console.messages import printable, put, say
from pipelines.console.paths import output_file
from sst import atomic
from sst.errors import ResourceError


class FileList(NamedTuple):
    """A list of files, for people and for programs."""

    title: str
    summary: str  # one sentence
    sections: list[Any]  # sst.report.listing.Section
    records: list[dict[str, Any]]  # one for each file
    fields: list[str]  # of the records, in the order of the CSV columns


class Destination(NamedTuple):
    """The file that a list goes to, None for stdout, and its format."""

    file: Path | None
    format: str


def destination(arguments: argparse.Namespace) -> Destination:
    """Returns where the list goes; the suffix of --out decides the format if none is given.

    Raises:
        UsageError: the file cannot be written there.
    """
    if arguments.out is None:
        return Destination(None, arguments.format or "table")
    out = output_file(arguments.out, arguments.overwrite)
    by_suffix = {".json": "json", ".csv": "csv", ".html": "html", ".htm": "html"}
    return Destination(out, arguments.format or by_suffix.get(out.suffix.lower(), "table"))


def deliver(found: FileList, to: Destination) -> None:
    """Prints or writes the list.

    Raises:
        ResourceError: the file cannot be written.
    """
    formats: dict[str, Callable[[FileList], str]] = {
        "table": _table,
        "json": lambda found: json.dumps(found.records, indent=1) + "\n",
        "csv": _csv,
        "html": _page,
    }
    text = formats[to.format](found)
    if to.file is None:
        put(text)
        return
    try:
        atomic.write_text(to.file, text)
    except OSError as error:
        raise ResourceError(f"Cannot write {to.file}: {error.strerror}.") from error
    say(f"wrote {to.file}")


def _table(found: FileList) -> str:
    """Returns the sections one below the other, the columns of each in line."""
    parts = []
    for section in found.sections:
        rows = [[*entry.cells, printable(entry.name)] for entry in section.entries]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = [
            "  " + "  ".join(f"{c:{w}}" for c, w in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        parts.append("\n".join([f"{printable(section.title)}: {section.note}", *lines]) + "\n")
    return "\n".join(parts)


def _csv(found: FileList) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, found.fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(found.records)
    return out.getvalue()


def _page(found: FileList) -> str:
    from sst.report.listing import listing

    return listing(found.title, found.summary, found.sections)
