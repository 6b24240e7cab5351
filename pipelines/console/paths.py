"""Paths on the command line and in messages."""

import os
from collections.abc import Sequence
from pathlib import Path

from sst.errors import UsageError
from sst.files import absolute


def output_file(path: str | os.PathLike[str], overwrite: bool) -> Path:
    """Returns the path of a file that may be written.

    Raises:
        UsageError: its folder is missing, it is a folder, or the file exists already.
    """
    file = Path(path).expanduser()
    if not file.parent.is_dir():
        raise UsageError(f"No folder {file.parent} to write {file.name} into.")
    if file.is_dir():
        raise UsageError(f"--out {file} is a folder; give a file.")
    if file.exists() and not overwrite:
        raise UsageError(f"{file} exists already; --overwrite replaces it.")
    return file


def relative_to_library(path: str, roots: Sequence[str]) -> str:
    """Returns the path below the library where that is one folder, else the path as it is."""
    if len(roots) == 1:
        root = os.path.join(absolute(roots[0]), "")
        return path.removeprefix(root)
    return path
