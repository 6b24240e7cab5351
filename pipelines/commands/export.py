"""`library export`: the hits of a library's loops and recordings as files for a sampler."""

import argparse
import collections
import os
from pathlib import Path

from pipelines.commands.library import opened_session
from pipelines.console.messages import Progress, plural, put, say
from pipelines.console.skipped import strict
from sst.errors import NothingToDo, ResourceError, UsageError
from sst.files import to_text


def export(arguments: argparse.Namespace) -> None:
    """Writes a slice for each hit of files that have several, and these files with markers."""
    from sst.library import slices

    folder = _folder(arguments)
    session = opened_session(arguments)
    found = session.rows
    per_file = collections.Counter(found.paths)
    rows = [
        (path, float(start), float(end))
        for path, start, end in zip(found.paths, found.onsets, found.ends, strict=True)
        if per_file[path] > 1
    ]
    if not rows:
        raise NothingToDo("No file of this library holds more than one hit: nothing to slice.")
    plan = slices.plans(rows, folder)
    progress = Progress("Slicing")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        report = slices.write(plan, arguments.overwrite, progress)
    except OSError as error:
        raise ResourceError(f"Cannot write to {to_text(folder)}: {error.strerror}.") from error
    finally:
        progress.close()
    put("".join(f"{path}\n" for path in report.files))
    for source, detail in report.skipped:
        say(f"skipped {to_text(source)}: {detail}")
    marked = len(plan) - len(report.skipped)
    alone = sum(count == 1 for count in per_file.values())
    say(
        f"wrote {plural(len(report.files) - marked, 'slice')} of {plural(marked, 'file')}, and"
        f" {'it' if marked == 1 else 'them'} with markers, to {to_text(folder)}"
        f" ({plural(alone, 'file')} of one hit left out)"
    )
    strict(arguments, {"unreadable": len(report.skipped)} if report.skipped else {})


def _folder(arguments: argparse.Namespace) -> Path:
    """Where to write. Raises UsageError for a place that is a file, or in the library itself."""
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
