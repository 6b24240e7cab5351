"""The stored index of a library: one ScaNN index at most, in a folder named after its vectors.

What cannot be stored or loaded is built again, with an `IndexWarning`.
"""

import contextlib
import shutil
import time
import warnings
from pathlib import Path

from sst import atomic
from sst.search import scann_index
from sst.search.scann_index import DamagedIndex, ScannIndex

DAY_S = 86_400.0


class IndexWarning(UserWarning):
    """A stored index was damaged and is built again; results are correct."""


def save(index: ScannIndex, place: Path) -> None:
    """Stores an index in place of all others of the library; warns where it cannot."""
    try:
        scann_index.save(index, place)
    except (OSError, RuntimeError) as error:
        said = f"The search index cannot be stored ({error}); it will be made again next time"
        warnings.warn(said, IndexWarning, stacklevel=3)
        return
    for old in place.parent.glob("scann-*"):
        if old != place:
            remove(old)
    for draft in place.parent.glob(f"{atomic.PREFIX}*"):  # of a process that was killed
        with contextlib.suppress(OSError):
            if time.time() - draft.stat().st_mtime > DAY_S:
                shutil.rmtree(draft, ignore_errors=True)


def load(folder: Path, current: Path) -> ScannIndex | None:
    """Loads the index `current`, else the newest one that is whole; removes damaged ones."""
    with contextlib.suppress(OSError):
        places = sorted(folder.glob("scann-*"), key=lambda p: (p == current, p.stat().st_mtime_ns))
        for place in reversed(places):
            try:
                return scann_index.load(place)
            except DamagedIndex as error:
                if place.exists():  # else another process has just put a newer one beside it
                    warnings.warn(f"{error}; it is built again", IndexWarning, stacklevel=3)
                    remove(place)
    return None


def remove(place: Path) -> None:
    """Removes a stored index: renames it out of the way of readers first."""
    aside = place.with_name(f"{atomic.PREFIX}{place.name}")
    with contextlib.suppress(OSError):
        shutil.rmtree(aside, ignore_errors=True)
        place.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)
