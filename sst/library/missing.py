"""Files that an index knows and that are missing: moved, deleted, or on a drive not mounted."""

import collections
import os
from collections.abc import Iterable, Mapping
from typing import Literal

from sst.errors import NothingToDo
from sst.files import Sample

FEW_FILES = 20  # so many may go without a word
KEEP_SHARE, STOP_SHARE = 0.05, 0.5  # shares of the known files

Identity = tuple[int, int, int]  # size, mtime_ns, inode


def find_unexplained(gone: Mapping[bytes, Identity], new: Iterable[Sample]) -> set[bytes]:
    """Returns the paths in `gone` that have not turned up elsewhere.

    A new file explains a path if it has its size, and its time of change or its name.
    """
    if not gone:
        return set()
    by_time: collections.Counter[tuple[int, int]] = collections.Counter()
    by_name: collections.Counter[tuple[int, bytes]] = collections.Counter()
    for sample in new:
        by_time[sample.size, sample.mtime_ns] += 1
        by_name[sample.size, os.path.basename(os.fsencode(sample.path))] += 1
    lost = set()
    for path, (size, mtime_ns, _) in gone.items():
        time, name = (size, mtime_ns), (size, os.path.basename(path))
        if by_time[time] > 0:
            by_time[time] -= 1
        elif by_name[name] > 0:
            by_name[name] -= 1
        else:
            lost.add(path)
    return lost


def decide(lost: int, known: int) -> Literal["remove", "keep"]:
    """Decides whether files that are lost leave the index.

    Args:
        lost: files.
        known: files in the index, the lost ones too.

    Raises:
        NothingToDo: so many are lost that the reason is hardly that someone deleted them.
    """
    if lost <= FEW_FILES or lost <= KEEP_SHARE * known:
        return "remove"
    if lost <= STOP_SHARE * known:
        return "keep"
    raise NothingToDo(
        f"{lost:,} of the {known:,} known files ({lost / known:.0%}) are missing: is the drive"
        " mounted? Nothing was removed. If they are deleted for good: sst library scan --prune."
    )
