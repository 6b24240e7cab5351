"""Files and folders that are written whole, or not at all.

One rule for everything: it is written to a draft beside the target, flushed and fsynced, renamed
over the target, and the folder is fsynced (best effort where a system cannot). At every moment the
old or the new one is whole. Drafts are removed on failure, their names start with `.sst-`, and file
modes follow the umask. Every function raises OSError where the disk is full or closed.

A folder cannot be renamed over a folder that holds something. So `replace_directory` first renames
the old one to `.NAME.previous`; where a kill fell between the two renames, `directory_or_previous`
finds it there.
"""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PREFIX = ".sst-"  # of the names of drafts
_LONGEST_SUFFIX = 16  # that a draft keeps of its target


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes `data` as the whole content of a file."""
    with draft(path) as fresh, open(fresh, "xb") as file:
        file.write(data)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes text as UTF-8; surrogate escapes become the bytes that they stand for."""
    write_bytes(path, text.encode("utf-8", "surrogateescape"))


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Writes nested plain values as indented JSON with a newline at the end."""
    write_text(path, json.dumps(content, indent=2) + "\n")


@contextlib.contextmanager
def draft(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields the path of a draft, with the target's suffix, for the caller to write.

    It takes the place of the target when the block ends without an exception.
    """
    target = Path(path)
    fresh = _draft_of(target)
    try:
        yield fresh
        _sync_file(fresh)
        os.replace(fresh, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(fresh)
        raise
    _sync_folder(target.parent)


@contextlib.contextmanager
def directory(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a draft folder for the caller to fill; it becomes `path` unless that exists.

    Where another process has made `path` meanwhile, that one stays.
    """
    target = Path(path)
    with _filled_draft(target) as fresh:
        yield fresh
        _sync_tree(fresh)
        try:
            os.rename(fresh, target)
        except OSError:
            if not target.is_dir():
                raise
    _sync_folder(target.parent)


@contextlib.contextmanager
def replace_directory(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a draft folder for the caller to fill; it replaces the folder `path` as a whole."""
    target = Path(path)
    previous = _previous(target)
    with _filled_draft(target) as fresh:
        yield fresh
        _sync_tree(fresh)
        try:
            if target.exists():
                shutil.rmtree(previous, ignore_errors=True)
                os.rename(target, previous)
            os.rename(fresh, target)
        except BaseException:
            if previous.exists() and not target.exists():
                os.rename(previous, target)
            raise
    _sync_folder(target.parent)
    with contextlib.suppress(OSError):
        shutil.rmtree(previous, ignore_errors=True)


def directory_or_previous(path: str | os.PathLike[str]) -> Path:
    """Returns `path`, or the folder that was there before a `replace_directory` that was killed."""
    target = Path(path)
    return _previous(target) if not target.is_dir() and _previous(target).is_dir() else target


def sha256(path: str | os.PathLike[str]) -> str:
    """Returns the SHA-256 of a file's content, in hexadecimal: equal as long as it is whole."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _draft_of(target: Path) -> Path:
    suffix = target.suffix if len(os.fsencode(target.suffix)) <= _LONGEST_SUFFIX else ""
    return target.parent / f"{PREFIX}{secrets.token_hex(8)}{suffix}"


def _previous(target: Path) -> Path:
    return target.with_name(f".{target.name}.previous")


@contextlib.contextmanager
def _filled_draft(target: Path) -> Iterator[Path]:
    """Makes a draft folder, and removes it where it was not renamed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = _draft_of(target)
    try:
        os.mkdir(fresh)
        yield fresh
    finally:
        if fresh.exists():
            with contextlib.suppress(OSError):
                shutil.rmtree(fresh, ignore_errors=True)


def _sync_file(path: Path) -> None:
    # Opened for writing: Windows flushes no file that is only read.
    with open(path, "r+b") as file:
        os.fsync(file.fileno())


def _sync_tree(folder: Path) -> None:
    for parent, _, names in os.walk(folder):
        for name in names:
            _sync_file(Path(parent, name))
        _sync_folder(Path(parent))


def _sync_folder(folder: Path) -> None:
    """Makes renames in the folder durable, where the system can."""
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
