"""`demo`: the sounds of the built-in synthesizer as files."""

import argparse
import sys
from pathlib import Path

from pipelines.console.messages import put, say
from sst.errors import ResourceError, UsageError, plural
from sst.files import to_text


def demo(arguments: argparse.Namespace) -> None:
    """Writes the demo library into a folder, and lists the files where stdout is no terminal."""
    folder = _target(arguments)
    from sst import atomic
    from sst.demo import library

    try:
        if folder.exists():
            names = library.write(folder)
        else:  # the folder as a whole, so that an interrupted call leaves no half
            with atomic.directory(folder) as fresh:
                names = [folder / path.relative_to(fresh) for path in library.write(fresh)]
    except OSError as error:
        raise ResourceError(f"Cannot write to {to_text(folder)}: {error.strerror}.") from error
    if not sys.stdout.isatty():
        put("".join(f"{path}\n" for path in names))
    machines = len({path.relative_to(folder).parts[0] for path in names})
    size = sum(path.stat().st_size for path in names) / 1e6
    say(
        f"wrote {plural(len(names), 'sound')} of {plural(machines, 'machine')} ({size:.1f} MB) to"
        f" {to_text(folder)}; {library.TRUTH_FILE} there says what each one is"
    )


def _target(arguments: argparse.Namespace) -> Path:
    """Returns the folder to write into.

    Raises:
        UsageError: it is a file, its parent is missing, or it holds files and may not be written.
    """
    folder = Path(arguments.folder).expanduser()
    if not folder.parent.is_dir():
        raise UsageError(f"There is no folder {to_text(folder.parent)}; make it first.")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{to_text(folder)} is a file; give a folder.")
    if folder.is_dir() and any(folder.iterdir()) and not arguments.overwrite:
        raise UsageError(
            f"{to_text(folder)} holds files already. Give another folder, or --overwrite to write"
            " into this one."
        )
    return folder
