"""`library export`: the hits of a library's loops and recordings as files for a sampler."""

import argparse
import collections
import os
from pathlib import Path
from typing import Any

from pipelines.console.messages import put, say
from pipelines.console.progress import Progress
from pipelines.console.skipped import fail_if_strict
from pipelines.library_session import open_library_session
from sst.errors import NothingToDo, ResourceError, UsageError, plural
from sst.files import to_text


def export(arguments: argparse.Namespace) -> None:
    """Writes a slice for each hit of files that have several, and these files with markers."""
    from sst.library import slices

    folder = _slices_folder(arguments)
    rows = open_library_session(arguments).rows
    per_file = collections.Counter(rows.paths)
    hits = [
        (path, float(start), float(end))
        for path, start, end in zip(rows.paths, rows.onsets, rows.ends, strict=True)
        if per_file[path] > 1
    ]
    if not hits:
        raise NothingToDo("No file of this library holds more than one hit: nothing to slice.")
    plan = slices.make_plans(hits, folder)
    try:
        with Progress("Slicing") as progress:
            folder.mkdir(parents=True, exist_ok=True)
            report = slices.write(plan, arguments.overwrite, progress)
    except OSError as error:
        raise ResourceError(f"Cannot write to {to_text(folder)}: {error.strerror}.") from error
    n_single = sum(count == 1 for count in per_file.values())
    _print_report(report, len(plan), n_single, folder)
    fail_if_strict(arguments, {"unreadable": len(report.skipped)} if report.skipped else {})


def _print_report(report: Any, n_planned: int, n_single: int, folder: Path) -> None:
    put("".join(f"{path}\n" for path in report.files))
    for source, detail in report.skipped:
        say(f"skipped {to_text(source)}: {detail}")
    marked = n_planned - len(report.skipped)
    say(
        f"wrote {plural(len(report.files) - marked, 'slice')} and {plural(marked, 'whole file')}"
        f" with markers to {to_text(folder)} ({plural(n_single, 'file')} of one hit left out)"
    )


def _slices_folder(arguments: argparse.Namespace) -> Path:
    """Returns the folder to write to. Raises UsageError for a file, or a place in the library."""
    folder = Path(arguments.slices).expanduser()
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{to_text(folder)} is a file; --slices takes a folder.")
    real = Path(os.path.realpath(folder))
    for one in arguments.library_dir:
        if real.is_relative_to(os.path.realpath(os.path.expanduser(one))):
            raise UsageError(
                f"{to_text(folder)} is in the library: slices there would become samples of it."
            )
    return folder
