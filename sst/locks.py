"""Locks between processes: one file each. A killed process leaves none behind."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

# Of file systems that know no locks: better to go on without one than not at all.
_UNSUPPORTED = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL}


class Locked(Exception):
    """Another process has the lock; `holder` is its number, or "unknown"."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"locked by process {holder}")
        self.holder = holder


@contextlib.contextmanager
def locked(path: Path, wait_s: float = 0.0) -> Iterator[None]:
    """Holds a lock file for this process, and removes it afterwards.

    Args:
        path: of the lock file; its folder is made if it is not there.
        wait_s: seconds to wait for another process that has it.

    Raises:
        Locked: another process had it all the time.
        OSError: the file cannot be made.
    """
    import filelock  # Imported here: it takes a tenth of a second

    lock = filelock.FileLock(path, timeout=wait_s, fallback_to_soft=False)
    try:
        lock.acquire(poll_interval=0.1)
    except filelock.Timeout:
        raise Locked(_holder(path)) from None
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    try:
        with contextlib.suppress(OSError):  # full, or Windows, where nobody may write to it
            path.write_text(str(os.getpid()))
        yield
    finally:
        with contextlib.suppress(OSError):
            os.unlink(path)  # while it is held: a process that waits for it notices
        lock.release()


def _holder(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text().strip() or "unknown"
    return "unknown"
