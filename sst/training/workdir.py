"""A run's directory: its lock, its saved configuration, and requests to stop the run."""

import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from sst import atomic, locks
from sst import config as configs
from sst.config import Config
from sst.errors import ModelError, ResourceError, UsageError

# The settings that may differ when a run is resumed: none changes a step that is already done.
CHANGEABLE = frozenset(
    {
        "name",
        "model.neighbours",
        "optim.max_steps",
        "optim.min_lr",
        "optim.patience",
        "optim.factor",
        "optim.min_improvement",
        "optim.steps_per_call",
    }
)


@contextlib.contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Locks the directory for this process; the lock ends with the process, even a killed one.

    A directory that was made here and stayed empty is removed again.

    Raises:
        ResourceError: if another process holds it, or it cannot be written.
    """
    new = not workdir.exists()
    try:
        with contextlib.ExitStack() as stack:
            _lock(workdir, stack)
            yield
    finally:
        if new:
            with contextlib.suppress(OSError):  # unless there is something in it
                os.rmdir(workdir)


def _lock(workdir: Path, stack: contextlib.ExitStack) -> None:
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        stack.enter_context(locks.locked(workdir / "lock"))
    except locks.Locked as lock:
        raise ResourceError(
            f"{workdir} is locked by process {lock.holder}, which trains in it."
        ) from None
    except OSError as error:
        raise ResourceError(f"Cannot write to {workdir}: {error.strerror}.") from error


def write_json(path: Path, content: Any) -> None:
    """Writes JSON into a folder that is made if it is not there.

    Raises:
        ResourceError: if it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_json(path, content)
    except OSError as error:
        raise ResourceError(f"Cannot write {path}: {error.strerror}.") from error


def read_json(path: Path) -> dict[str, Any] | None:
    """Reads a JSON file of keys and values; None if it is not there.

    Raises:
        ModelError: if it is damaged.
    """
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is damaged: {error}.") from None
    if not isinstance(content, dict):
        raise ModelError(f"{path} is damaged: it should hold keys and values.")
    return content


def has_checkpoint(workdir: Path) -> bool:
    """Tells whether the run has a checkpoint; without one it may start with any configuration."""
    return any((workdir / "checkpoints").glob("step_*"))


def saved_config(workdir: Path) -> Config | None:
    """Reads the configuration that the run was started with; None if there is none."""
    content = read_json(workdir / "config.json")
    return None if content is None else configs.from_dict(Config, content, "config.json")


def reconcile(saved: Config, given: Config, workdir: Path) -> Config:
    """Returns the configuration to resume with: `given`, if it differs only in CHANGEABLE fields.

    Raises:
        UsageError: naming each field that may not change, with both values.
    """
    before, after = _flat(configs.to_dict(saved)), _flat(configs.to_dict(given))
    changed = [key for key in after if after[key] != before.get(key) and key not in CHANGEABLE]
    if changed:
        what = "; ".join(f"{key}: saved {before.get(key)}, given {after[key]}" for key in changed)
        raise UsageError(
            f"The run in {workdir} was started with another configuration ({what}). "
            "Go on without the change, or give another --workdir."
        )
    return given


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


class StopRequest:
    """A flag: `requested` is True once the user has asked to stop."""

    def __init__(self) -> None:
        self.requested = False


@contextlib.contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Turns the first Ctrl-C or SIGTERM into a request; the second one ends the process at once."""
    request = StopRequest()
    numbers = (signal.SIGINT, signal.SIGTERM)

    def note(number: int, frame: FrameType | None) -> None:
        request.requested = True
        for each in numbers:
            signal.signal(each, signal.SIG_DFL)

    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def default_sigint() -> Iterator[None]:
    """Restores the default Ctrl-C, which ends the process at once, during code such as compiling.

    Such code would not notice a request to stop, and nothing unsaved would be lost.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
