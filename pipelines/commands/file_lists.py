"""`library duplicates` and `library doctor`: lists of files, and what to do with them."""

import argparse
import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines.console.messages import Progress, plural, put, say, shown
from pipelines.console.paths import below, free
from pipelines.console.skipped import lost, strict
from sst.errors import ResourceError, SkippedFiles
from sst.files import to_text

HEADS = {  # of the findings of one fault
    "broken": "Broken",
    "unsupported": "In a format that cannot be read",
    "truncated": "Incomplete",
    "silent": "Silent",
    "clipped": "Clipped",
    "offset": "With a DC offset",
    "cut_off": "Cut off at the end",
    "wrong_suffix": "With the suffix of another format",
    "mislabelled": "Perhaps in the wrong folder",
    "outlier": "Unlike everything else",
}


def duplicates(arguments: argparse.Namespace) -> None:
    """Lists the groups of files that hold one sound."""
    place, format_ = _place(arguments)
    from sst.library import duplicates as duplicate_files

    progress = Progress("Listening")
    try:
        report = duplicate_files.find(arguments.library_dir, progress, arguments.workers)
    finally:
        progress.close()
    more = [copy for group in report.groups for copy in group[1:]]
    size = sum(copy.size for copy in more)
    found = (
        f"{plural(report.found, 'file')}: {plural(len(report.groups), 'sound')} more than once,"
        f" {_bytes(size)} in {plural(len(more), 'file')} beside the best of each"
    )
    records = [
        {"group": number, **_described(copy)}
        for number, group in enumerate(report.groups, 1)
        for copy in group
    ]
    text = {
        "table": lambda: _table(_groups(report.groups, arguments.library_dir)),
        "json": lambda: json.dumps(records, indent=1) + "\n",
        "csv": lambda: _csv(records, ["group", *_FIELDS]),
        "html": lambda: _page(
            "Copies in the library", found + ".", _groups(report.groups, arguments.library_dir)
        ),
    }[format_]()
    _deliver(text, place)
    say(f"{found}{lost(report.skipped)}. Nothing was changed.")
    strict(arguments, report.skipped)


def doctor(arguments: argparse.Namespace) -> None:
    """Lists what is wrong, by fault."""
    place, format_ = _place(arguments)
    from pipelines.commands.library import opened_session
    from sst import files
    from sst.library import doctor as doctors

    session = opened_session(arguments)
    samples = files.samples_or_raise(arguments.library_dir).samples
    progress = Progress("Examining")
    try:
        findings = doctors.examine(samples, session.rows, progress, arguments.workers)
    finally:
        progress.close()
    n = len({finding.path for finding in findings})
    found = f"{plural(len(samples), 'file')} examined, {n:,} with findings"
    text = {
        "table": lambda: _table(_faults(findings, arguments.library_dir)),
        "json": lambda: json.dumps([one._asdict() for one in findings], indent=1) + "\n",
        "csv": lambda: _csv(
            [one._asdict() for one in findings], ["fault", "detail", "advice", "path"]
        ),
        "html": lambda: _page(
            "The state of the library", found + ".", _faults(findings, arguments.library_dir)
        ),
    }[format_]()
    _deliver(text, place)
    say(f"{found}. Nothing was changed.")
    if arguments.strict and findings:
        raise SkippedFiles(f"--strict: {plural(len(findings), 'finding')}.")


_FIELDS = ["what", "sample_rate", "channels", "duration_s", "bytes", "path"]


def _described(copy: Any) -> dict[str, Any]:
    facts = copy._asdict() | {"bytes": copy.size, "duration_s": round(copy.duration_s, 4)}
    return {field: facts[field] for field in _FIELDS}


def _groups(groups: Sequence[Any], roots: Sequence[str]) -> list[Any]:
    from sst.report.listing import Entry, Section

    return [
        Section(
            f"{number}. {to_text(Path(group[0].path).stem)}",
            f"{plural(len(group), 'file')}",
            ["what", "rate", "channels", "length", "size"],
            [
                Entry(
                    copy.path,
                    below(copy.path, roots),
                    [
                        copy.what,
                        f"{copy.sample_rate / 1000:g} kHz",
                        {1: "mono", 2: "stereo"}.get(copy.channels, f"{copy.channels} channels"),
                        f"{copy.duration_s:.2f} s",
                        _bytes(copy.size),
                    ],
                )
                for copy in group
            ],
        )
        for number, group in enumerate(groups, 1)
    ]


def _faults(findings: Sequence[Any], roots: Sequence[str]) -> list[Any]:
    from sst.report.listing import Entry, Section

    by_fault: dict[str, list[Any]] = {}
    for finding in findings:
        by_fault.setdefault(finding.fault, []).append(finding)
    sections = []
    for fault, head in HEADS.items():
        own = by_fault.get(fault, [])
        if own:
            entries = [Entry(one.path, below(one.path, roots), [one.detail]) for one in own]
            advice = own[0].advice[0].upper() + own[0].advice[1:] + "."
            sections.append(Section(f"{head} ({len(own):,})", advice, ["what was found"], entries))
    return sections


def _table(sections: Sequence[Any]) -> str:
    """The sections one below the other, the columns of each in line."""
    parts = []
    for section in sections:
        rows = [[*entry.cells, shown(entry.name)] for entry in section.entries]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = [
            "  " + "  ".join(f"{c:{w}}" for c, w in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        parts.append("\n".join([f"{shown(section.title)}: {section.note}", *lines]) + "\n")
    return "\n".join(parts)


def _csv(records: Sequence[dict[str, Any]], fields: Sequence[str]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return out.getvalue()


def _page(title: str, intro: str, sections: Sequence[Any]) -> str:
    from sst.report.listing import listing

    return listing(title, intro, sections)


def _place(arguments: argparse.Namespace) -> tuple[Path | None, str]:
    """Where the list goes, None for stdout, and its format."""
    if arguments.out is None:
        return None, arguments.format or "table"
    out = free(arguments.out, arguments.overwrite)
    by_suffix = {".json": "json", ".csv": "csv", ".html": "html", ".htm": "html"}
    return out, arguments.format or by_suffix.get(out.suffix.lower(), "table")


def _deliver(text: str, place: Path | None) -> None:
    if place is None:
        put(text)
        return
    from sst.generation.recipe import write_text

    try:
        write_text(place, text)
    except OSError as error:
        raise ResourceError(f"Cannot write {place}: {error.strerror}.") from error
    say(f"wrote {place}")


def _bytes(size: int) -> str:
    for unit, one in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= one:
            return f"{size / one:.1f} {unit}"
    return f"{size} bytes"
