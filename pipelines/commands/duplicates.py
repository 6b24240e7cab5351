"""`library duplicates`: files that hold the same sound."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines.commands.file_lists import FileList, deliver, destination
from pipelines.console.messages import say
from pipelines.console.paths import relative_to_library
from pipelines.console.progress import Progress
from pipelines.console.skipped import fail_if_strict, skipped_note
from sst.errors import plural
from sst.files import to_text

FIELDS = ["what", "sample_rate", "channels", "duration_s", "bytes", "path"]


def duplicates(arguments: argparse.Namespace) -> None:
    """Lists the groups of files that hold one sound."""
    to = destination(arguments)
    from sst.library import duplicates as duplicate_files

    with Progress("Comparing") as progress:
        report = duplicate_files.find_duplicates(arguments.library_dir, progress, arguments.workers)
    found = _file_list(report, arguments.library_dir)
    deliver(found, to)
    summary = found.summary.removesuffix(".")
    say(f"{summary}{skipped_note(report.skipped)}. Nothing was changed.")
    fail_if_strict(arguments, report.skipped)


def _file_list(report: Any, roots: Sequence[str]) -> FileList:
    more = [copy for group in report.groups for copy in group[1:]]
    size = sum(copy.size for copy in more)
    summary = f"{plural(report.found, 'file')}, no sound twice."
    if more:
        summary = (
            f"{plural(report.found, 'file')}: {plural(len(report.groups), 'sound')} more than once,"
            f" {_size(size)} in {plural(len(more), 'file')} beside the best of each."
        )
    records = [
        {"group": number, **_record(copy)}
        for number, group in enumerate(report.groups, 1)
        for copy in group
    ]
    sections = [_section(number, group, roots) for number, group in enumerate(report.groups, 1)]
    return FileList("Copies in the library", summary, sections, records, ["group", *FIELDS])


def _record(copy: Any) -> dict[str, Any]:
    facts = copy._asdict() | {"bytes": copy.size, "duration_s": round(copy.duration_s, 4)}
    return {field: facts[field] for field in FIELDS}


def _section(number: int, group: Sequence[Any], roots: Sequence[str]) -> Any:
    from sst.report.listing import Entry, Section

    return Section(
        f"{number}. {to_text(Path(group[0].path).stem)}",
        plural(len(group), "file"),
        ["what", "rate", "channels", "length", "size"],
        [Entry(c.path, relative_to_library(c.path, roots), _cells(c)) for c in group],
    )


def _cells(copy: Any) -> list[str]:
    return [
        copy.what,
        f"{copy.sample_rate / 1000:g} kHz",
        {1: "mono", 2: "stereo"}.get(copy.channels, f"{copy.channels} channels"),
        f"{copy.duration_s:.2f} s",
        _size(copy.size),
    ]


def _size(n_bytes: int) -> str:
    for unit, one in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= one:
            return f"{n_bytes / one:.1f} {unit}"
    return plural(n_bytes, "byte")
