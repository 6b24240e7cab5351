"""The training state on disk (Orbax): written in the background, verified when it is read."""

import contextlib
import gc
import hashlib
import json
import logging
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sst import atomic
from sst.errors import ModelError, ResourceError

UNRATED = 1e30  # stands for "no finite validation loss" where Orbax orders checkpoints
PREFIX = "step"  # directories step_100, step_200: other entries there are not checkpoints
ARRAYS = "state"  # the item of a checkpoint that holds the arrays
SEAL = "files.json"  # in a checkpoint: the SHA-256 of every file of its arrays


class Restored(NamedTuple):
    """A state read back, and one sentence for each newer checkpoint that could not be used."""

    state: Any
    step: int
    notes: list[str]


def rank(metrics: dict[str, Any]) -> float:
    """Returns the validation loss by which Orbax orders checkpoints; NaN would break its order."""
    value = float(metrics.get("valid", math.nan))
    return value if math.isfinite(value) else UNRATED


class Store:
    """The checkpoints of one run: the newest two and the best one. One process at a time.

    A step is durable only once `wait` (or the next `save`) has returned without an error.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        import orbax.checkpoint as ocp  # Imported here: it costs seconds
        from absl import logging as absl_logging
        from orbax.checkpoint.checkpoint_managers import preservation_policy as keep

        absl_logging.set_verbosity(absl_logging.FATAL)  # our own errors say it
        self.directory = Path(directory).absolute()  # a relative path fails in Orbax's thread
        policies = [
            keep.LatestN(2),
            keep.BestN(get_metric_fn=rank, reverse=True, n=1),
        ]
        options = ocp.CheckpointManagerOptions(
            preservation_policy=keep.AnyPreservationPolicy(policies),
            best_fn=rank,
            best_mode="min",
            step_prefix=PREFIX,
            cleanup_tmp_directories=True,
        )
        try:
            _repair_ratings(self.directory)
            self._manager = ocp.CheckpointManager(self.directory, options=options)
        except OSError as error:
            raise ResourceError(f"Cannot use {self.directory}: {error.strerror}.") from error
        self._unsealed: int | None = None

    def steps(self) -> list[int]:
        """Returns the saved steps, in order."""
        return sorted(self._manager.all_steps())

    def save(self, step: int, state: Any, valid: float = math.nan) -> None:
        """Starts writing `state`; copies it first, so that its buffers may be donated at once.

        Args:
            step: must be larger than every step there is; an equal one is kept as it is.
            state: pytree of arrays, replicated if they live on several devices.
            valid: validation loss in dB, NaN if it was not measured at this step.

        Raises:
            ResourceError: if this or the previous checkpoint could not be written.
        """
        import jax
        import orbax.checkpoint as ocp

        host = jax.tree.map(np.array, jax.device_get(state))
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(host),
            meta=ocp.args.JsonSave({"sha256": digests(host), "step": step}),
        )
        if step in self._manager.all_steps():
            return
        self.wait()
        try:
            saved = self._manager.save(step, args=items, metrics={"valid": float(valid)})
        except (OSError, ValueError) as error:
            raise self._failed(error) from error
        if not saved:
            raise ResourceError(f"{self.directory} holds checkpoints newer than step {step}.")
        self._unsealed = step

    def wait(self) -> None:
        """Returns when the last checkpoint is durable, and its files have their checksums.

        Raises:
            ResourceError: if it could not be written.
        """
        step, self._unsealed = self._unsealed, None
        try:
            self._manager.wait_until_finished()
            if step is not None and (folder := self._folder(step)).is_dir():
                atomic.write_json(folder / SEAL, _file_digests(folder / ARRAYS))
        except (OSError, ValueError) as error:
            raise self._failed(error) from error

    def restore(self, template: Any, best: bool = False) -> Restored | None:
        """Restores the newest (or the best) state that passes its checksums; None if there is none.

        Checkpoints that fail are moved aside as `damaged_step_N`, so that they can be written anew.

        Args:
            template: pytree of arrays with the shapes and types to expect.
            best: the one with the lowest validation loss instead of the newest.

        Raises:
            ModelError: if there are checkpoints and none of them is intact.
        """
        order = self.steps()[::-1]
        if best and (first := self._manager.best_step()) is not None:
            order = [first, *(step for step in order if step != first)]
        failures = []
        for step in order:
            try:
                state = self._read(step, template)
            except Exception as error:  # Orbax raises any, also its base, for what it cannot read
                failures.append((step, _reason(error)))
                continue
            for bad, _ in failures:
                self._set_aside(bad)
            return Restored(state, step, [_note(bad, why, step) for bad, why in failures])
        if not failures:
            return None
        step, why = failures[0]
        raise ModelError(
            f"No checkpoint in {self.directory} is intact (step {step}: {why}). "
            f"Give another --workdir to start anew."
        )

    def close(self) -> None:
        """Waits for writes under way and ends Orbax's threads."""
        self._manager.close()

    def _folder(self, step: int) -> Path:
        return self.directory / f"{PREFIX}_{step}"

    def _read(self, step: int, template: Any) -> Any:
        import jax
        import orbax.checkpoint as ocp

        _check_files(self._folder(step))
        place = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        shapes = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(np.shape(x), x.dtype, sharding=place), template
        )
        items = ocp.args.Composite(
            state=ocp.args.StandardRestore(shapes), meta=ocp.args.JsonRestore()
        )
        with _silenced():
            read = self._manager.restore(step, args=items)
        if read.meta["step"] != step:
            raise ValueError(f"it is a copy of step {read.meta['step']}")
        for name, digest in digests(read.state).items():
            if read.meta["sha256"].get(name) != digest:
                raise ValueError(f"{name} fails its checksum")
        return read.state

    def _set_aside(self, step: int) -> None:
        source = self._folder(step)
        target, number = source.with_name(f"damaged_{source.name}"), 1
        while target.exists():
            target, number = source.with_name(f"damaged_{source.name}.{number}"), number + 1
        source.rename(target)
        self._manager.reload()

    def _failed(self, error: Exception) -> ResourceError:
        return ResourceError(
            f"Cannot write a checkpoint to {self.directory}: {_first_line(error)}. "
            "Free some space and run the same command again."
        )


def _repair_ratings(directory: Path) -> None:
    """Marks as unrated every checkpoint whose metrics are damaged: Orbax would refuse them all."""
    for path in directory.glob(f"{PREFIX}_*/metrics/metrics"):
        try:
            rank(json.loads(path.read_bytes()))
        except (ValueError, TypeError, AttributeError):
            atomic.write_json(path, {"valid": UNRATED})


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Keeps the tracebacks that a damaged file causes in background threads off the screen."""
    logger = logging.getLogger("asyncio")
    before = logger.level, sys.excepthook, sys.unraisablehook
    logger.setLevel(logging.CRITICAL + 1)
    sys.excepthook = lambda *_: None
    sys.unraisablehook = lambda _: None
    try:
        yield
    except BaseException:
        gc.collect()  # abandoned futures report themselves when they are collected
        raise
    finally:
        level, sys.excepthook, sys.unraisablehook = before
        logger.setLevel(level)


def _check_files(checkpoint: Path) -> None:
    """Refuses a checkpoint whose files are not those that were written.

    Damaged files may crash the process in TensorStore's threads, so they are never opened. A
    checkpoint without checksums was made before there were any, or a kill came first: its content
    is checked after it is read, as every other's.

    Raises:
        ValueError: if a file is damaged, missing or new.
        OSError: if it cannot be read.
    """
    try:
        expected = dict(json.loads((checkpoint / SEAL).read_bytes()))
    except FileNotFoundError:
        return
    except (ValueError, TypeError) as error:
        raise ValueError(f"{SEAL} is damaged") from error
    found = _file_digests(checkpoint / ARRAYS)
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            raise ValueError(f"{ARRAYS}/{name} is missing")
        if found[name] != expected.get(name):
            raise ValueError(f"{ARRAYS}/{name} fails its checksum")


def _file_digests(folder: Path) -> dict[str, str]:
    """Returns the SHA-256 of every file below a folder, by its path there."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): atomic.sha256(path) for path in sorted(paths)}


def digests(tree: Any) -> dict[str, str]:
    """Returns the SHA-256 of every leaf with its type and shape, by its path in the tree."""
    import jax

    return {
        jax.tree_util.keystr(path): _digest(np.asarray(leaf))
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def _digest(array: np.ndarray) -> str:
    head = f"{array.dtype}{array.shape}".encode()
    return hashlib.sha256(head + np.ascontiguousarray(array).tobytes()).hexdigest()


def _note(step: int, why: str, used: int) -> str:
    return f"Checkpoint {step} cannot be used ({why}); going on from {used}."


def _reason(error: Exception) -> str:
    """Returns a phrase that says why a checkpoint cannot be used."""
    if isinstance(error, KeyError | json.JSONDecodeError):
        return "its metadata is damaged"
    return _first_line(error)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
