"""`library doctor`: files that are broken, faulty or perhaps in the wrong folder."""

import argparse
from collections.abc import Sequence
from typing import Any

from pipelines.commands.file_lists import FileList, deliver, destination
from pipelines.console.messages import say
from pipelines.console.paths import relative_to_library
from pipelines.console.progress import Progress
from pipelines.library_session import open_library_session
from sst.errors import SkippedFiles, plural

TITLES = {  # of the sections, one for each fault
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
FIELDS = ["fault", "detail", "advice", "path"]


def doctor(arguments: argparse.Namespace) -> None:
    """Lists the faults of a library's files, and what to do about each."""
    to = destination(arguments)
    from sst import files
    from sst.library import doctor as doctors

    session = open_library_session(arguments)
    samples = files.samples_or_raise(arguments.library_dir).samples
    with Progress("Examining") as progress:
        findings = doctors.examine(samples, session.rows, progress, arguments.workers)
    n_faulty = len({finding.path for finding in findings})
    summary = f"{plural(len(samples), 'file')} examined, {n_faulty:,} with findings."
    records = [finding._asdict() for finding in findings]
    sections = _sections(findings, arguments.library_dir)
    deliver(FileList("The state of the library", summary, sections, records, FIELDS), to)
    say(f"{summary} Nothing was changed.")
    if arguments.strict and findings:
        raise SkippedFiles(f"--strict: {plural(len(findings), 'finding')}.")


def _sections(findings: Sequence[Any], roots: Sequence[str]) -> list[Any]:
    by_fault: dict[str, list[Any]] = {}
    for finding in findings:
        by_fault.setdefault(finding.fault, []).append(finding)
    return [
        _section(title, by_fault[fault], roots)
        for fault, title in TITLES.items()
        if fault in by_fault
    ]


def _section(title: str, findings: Sequence[Any], roots: Sequence[str]) -> Any:
    from sst.report.listing import Entry, Section

    entries = [Entry(f.path, relative_to_library(f.path, roots), [f.detail]) for f in findings]
    advice = findings[0].advice[0].upper() + findings[0].advice[1:] + "."
    return Section(f"{title} ({len(findings):,})", advice, ["what was found"], entries)
