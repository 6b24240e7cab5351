"""Files as a person names them and reads of them."""

import os
from collections.abc import Sequence
from pathlib import Path

from sst.errors import UsageError


def free(path: str | os.PathLike[str], overwrite: bool) -> Path:
    """A place for a new file.

    Raises:
        UsageError: there is no such folder, it is one, or the file is there already.
    """
    file = Path(path).expanduser()
    if not file.parent.is_dir():
        raise UsageError(f"No folder {file.parent} to write {file.name} into.")
    if file.is_dir():
        raise UsageError(f"--out {file} is a folder; give a file.")
    if file.exists() and not overwrite:
        raise UsageError(f"{file} exists already; --overwrite replaces it.")
    return file


def below(path: str, roots: Sequence[str]) -> str:
    """The path relative to the library where that is one folder."""
    if len(roots) == 1:
        root = os.path.join(os.path.abspath(os.path.expanduser(roots[0])), "")
        return path.removeprefix(root)
    return path
