"""The folder that a data set is built in: one build at a time, room on the disk, nothing left over.

Whatever stops a build is a `ResourceError` that says what to do.
"""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from sst import locks
from sst.errors import ResourceError

REMEDY = "Give another --data_dir."


@contextlib.contextmanager
def build_lock(folder: Path) -> Iterator[None]:
    """Lets one process at a time build a library; removes the folder where it ends up empty.

    Raises:
        ResourceError: another process builds it, or the folder cannot be written.
    """
    try:
        with contextlib.ExitStack() as stack:
            with disk_errors(folder):
                stack.enter_context(locks.locked(folder / ".lock"))
            yield
    except locks.Locked as lock:
        raise ResourceError(
            f"Another build, process {lock.holder}, is writing {folder}. Wait until it is done."
        ) from None
    finally:
        with contextlib.suppress(OSError):  # unless there is something in it
            os.rmdir(folder)


def remove_stale_drafts(data_path: Path) -> None:
    """Deletes what killed builds of the data set at `data_path` left behind."""
    for left in data_path.parent.glob(f"incomplete.*_{data_path.name}"):
        shutil.rmtree(left, ignore_errors=True)


def check_room(needed: int, folder: Path, data_dir: str | os.PathLike[str]) -> None:
    """Raises ResourceError where the disk lacks the bytes that a build needs.

    Args:
        needed: bytes.
        folder: on the disk; it exists.
        data_dir: the folder as the user knows it, for the message.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ResourceError(
            f"Needs about {needed / 1e9:.1f} GB in {data_dir}, {free / 1e9:.1f} GB free. {REMEDY}"
        )


@contextlib.contextmanager
def disk_errors(folder: str | os.PathLike[str], remedy: str = REMEDY) -> Iterator[None]:
    """Turns a full or closed disk into a ResourceError with what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            text = f"The disk of {folder} is full and nothing was kept. {remedy}"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            text = f"Cannot write {error.filename or folder}. {remedy}"
        else:
            raise
        raise ResourceError(text) from error
