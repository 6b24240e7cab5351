"""Decoding in processes that may hang or crash: every file ends as a result or as a reason.

The processes run `sst.audio.decode_worker`; parent and workers speak `sst.audio.wire`.
"""

import collections
import itertools
import multiprocessing.connection
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sst.audio.decode_process import DecodeProcess, Result
from sst.audio.wire import MEASURES, Task
from sst.config import AudioConfig, SegmentConfig
from sst.types import Skipped, Sound

BATCH = 8  # paths per message: a worker never waits for the parent between two files
WINDOW = 32  # files per worker that may be under way, and sounds that may wait for an earlier file


def decode_many(
    paths: Iterable[str | Path],
    audio: AudioConfig,
    workers: int | None = None,
    timeout_s: float = 10.0,
    offset_s: float = 0.0,
    measure: Sequence[str] = (),
) -> Iterator[Sound | Skipped]:
    """Decodes files to sounds, in the order given, on all cores.

    A file that takes longer than `timeout_s` or kills its process is skipped; the others are not
    touched by it. Memory is bounded by a window of files, however slowly the results are taken.

    Args:
        paths: files.
        audio: the clip and the transform.
        workers: processes; as many as cores by default.
        timeout_s: seconds for one file.
        offset_s: where in each file to begin.
        measure: which of `wire.MEASURES` are computed of every sound.

    Raises:
        RuntimeError: a worker cannot be started; the message ends with its error output.
    """
    task = Task(audio, timeout_s, offset_s, measure=_check_measures(measure))
    yield from _decode(paths, task, workers)  # type: ignore[misc]  # no list without segmentation


def decode_hits(
    paths: Iterable[str | Path],
    audio: AudioConfig,
    segmentation: SegmentConfig,
    workers: int | None = None,
    timeout_s: float = 10.0,
    measure: Sequence[str] = (),
) -> Iterator[list[Sound] | Skipped]:
    """Decodes files to their hits, a list for each, in the order given.

    The clip of a hit is that of the samples cut out for it, its `onset_s` counts from the start of
    the file, and its digest is of those samples: equal hits share it. A file of one hit gives what
    `decode_many` gives, with the end of the hit. Of a file with more hits or minutes than
    `segmentation` allows, the last hit says what was left out.

    Args:
        paths: files.
        audio: the clip and the transform.
        segmentation: what is a hit.
        workers: processes; as many as cores by default.
        timeout_s: seconds for one hit or a minute of a file, whatever the file's length.
        measure: which of `wire.MEASURES` are computed of every hit.

    Raises:
        RuntimeError: a worker cannot be started; the message ends with its error output.
    """
    task = Task(audio, timeout_s, segmentation=segmentation, measure=_check_measures(measure))
    yield from _decode(paths, task, workers)  # type: ignore[misc]  # no Sound with segmentation


def _check_measures(measure: Sequence[str]) -> tuple[str, ...]:
    unknown = set(measure) - set(MEASURES)
    if unknown:
        raise ValueError(f"measure {sorted(unknown)} should be among {MEASURES}")
    return tuple(measure)


def _decode(paths: Iterable[str | Path], task: Task, workers: int | None) -> Iterator[Result]:
    pool = _Pool(task, workers or os.cpu_count() or 1)
    try:
        yield from pool.run(iter(paths))
    finally:
        pool.close()


class _Pool:
    """Workers, the files they have, and the results that wait for an earlier file."""

    def __init__(self, task: Task, workers: int):
        self.task, self.n_workers = task, workers
        self.workers: list[DecodeProcess] = []
        self.results: dict[int, Result] = {}
        self.todo: collections.deque[tuple[int, str | Path]] = collections.deque()
        self.done = 0  # results taken: the number of the one that is wanted next

    def run(self, paths: Iterator[str | Path]) -> Iterator[Result]:
        numbered = enumerate(paths)
        issued = 0
        exhausted = False
        while True:
            while not exhausted and issued - self.done < WINDOW * self.n_workers:
                more = list(itertools.islice(numbered, BATCH))
                self.todo.extend(more)
                issued += len(more)
                exhausted = len(more) < BATCH
            while self.done in self.results:
                yield self.results.pop(self.done)
                self.done += 1
            if exhausted and self.done == issued:
                return
            self._hand_out()
            if self.done not in self.results:
                self._wait()

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()
        self.workers.clear()

    def _hand_out(self) -> None:
        """Gives every worker with less than one batch another one; starts workers as needed."""
        while self.todo:
            free = min(self.workers, key=lambda w: len(w.pending), default=None)
            crowded = free is None or (free.pending and len(self.todo) > BATCH)
            if crowded and len(self.workers) < self.n_workers:
                free = DecodeProcess(self.task)
                self.workers.append(free)
            if free is None or len(free.pending) >= BATCH:
                return
            share = max(1, min(BATCH, len(self.todo) // self.n_workers))
            free.send([self.todo.popleft() for _ in range(min(share, len(self.todo)))])

    def _wait(self) -> None:
        """Waits for an answer, at most 0.1 s; replaces workers that are late or dead."""
        start = time.monotonic()
        workers = {worker.output.fileno(): worker for worker in self._read_from()}
        ready = multiprocessing.connection.wait(list(workers), timeout=0.1)
        # Only time spent waiting here counts: a slow caller or a stopped terminal is no hang.
        waited = min(time.monotonic() - start, 0.2)
        for output, worker in workers.items():
            if output in ready:
                if not worker.receive(self.results):
                    self._replace(worker, worker.describe_death())
            elif worker.is_late(waited):
                self._replace(worker, worker.describe_timeout())

    def _read_from(self) -> list[DecodeProcess]:
        """Returns all workers, or with too much at hand the one with the file wanted next.

        The others then wait with what they have found, and their clocks stand still.
        """
        waiting = sum(len(r) if isinstance(r, list) else 1 for r in self.results.values())
        waiting += sum(len(worker.hits) for worker in self.workers)
        wanted = [w for w in self.workers if any(i == self.done for i, _ in w.pending)]
        return wanted if wanted and waiting >= WINDOW * self.n_workers else list(self.workers)

    def _replace(self, worker: DecodeProcess, why: tuple[str, str]) -> None:
        """Blames the file at hand; the others of the batch go to another worker."""
        self.workers.remove(worker)
        worker.kill()
        if worker.pending:
            index, path = worker.pending.popleft()
            self.results[index] = Skipped(path, *why)
            self.todo.extendleft(reversed(worker.pending))
