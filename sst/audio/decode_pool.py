"""Decoding in processes that may hang or crash: every file ends as a result or as a reason.

The other side is `sst.audio.decode_worker`; it is started with the parent's module path, so that it
works from scripts, tests and foreign programs alike.
"""

import collections
import contextlib
import itertools
import json
import multiprocessing.connection
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sst.audio.faults import Fault
from sst.config import AudioConfig, SegmentConfig, to_dict
from sst.types import Clip, LogMel

BATCH = 8  # paths per message: a worker never waits for the parent between two files
WINDOW = 32  # files per worker that may be under way, and sounds that may wait for an earlier file
START_S = 120.0  # a worker that has not reported by then never will
_WORKER = """
import json, sys
arguments = json.loads(sys.argv[1])
sys.path[:] = arguments["path"]
from sst.audio import decode_worker as worker
worker.serve(**arguments["task"])
"""
_LENGTHS = struct.Struct("<IIII")  # JSON, wave, log-mel bytes, frames of the log-mel


class Decoded(NamedTuple):
    """One usable sound: a file, or a hit of one."""

    path: str | Path  # as given
    clip: Clip
    log_mel: LogMel  # float32 [t, n_mels]
    digest: str  # 32 hexadecimal digits of the decoded samples: equal for equal sound
    sample_rate: int  # Hz, of the file
    channels: int
    end_s: float  # seconds from the start of the file; of a hit that is longer than its clip, too
    left_out: str = ""  # at the last hit of a file of which more could have been heard: a phrase
    faults: tuple[Fault, ...] = ()  # where they were asked for


class Skipped(NamedTuple):
    """One file that is of no use, and why."""

    path: str | Path
    reason: str  # one of audio.BadAudio's, or timeout, crash, memory
    detail: str


def decode_many(
    paths: Iterable[str | Path],
    audio: AudioConfig,
    workers: int | None = None,
    timeout_s: float = 10.0,
    offset_s: float = 0.0,
    inspect: bool = False,
) -> Iterator[Decoded | Skipped]:
    """Canonical clips and features of many files, in the order given, on all cores.

    A file that takes longer than `timeout_s` or kills its process is skipped; the others are not
    touched by it. Memory is bounded by a window of files, however slowly the results are taken.

    Args:
        paths: files.
        audio: the clip and the transform.
        workers: processes; as many as cores by default.
        timeout_s: seconds for one file.
        offset_s: where in each file to begin.
        inspect: whether the faults of the waveform are looked for.

    Raises:
        RuntimeError: a worker cannot be started; the text has its last words.
    """
    task = _Task(audio, timeout_s, offset_s, inspect=inspect)
    pool = _Pool(task, workers or os.cpu_count() or 1)
    try:
        yield from pool.run(iter(paths))  # type: ignore[misc]  # no list without segmentation
    finally:
        pool.close()


def decode_hits(
    paths: Iterable[str | Path],
    audio: AudioConfig,
    segmentation: SegmentConfig,
    workers: int | None = None,
    timeout_s: float = 10.0,
) -> Iterator[list[Decoded] | Skipped]:
    """The hits of many files, a list for each in the order given: `decode_many` for recordings.

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

    Raises:
        RuntimeError: a worker cannot be started; the text has its last words.
    """
    task = _Task(audio, timeout_s, segmentation=segmentation)
    pool = _Pool(task, workers or os.cpu_count() or 1)
    try:
        yield from pool.run(iter(paths))  # type: ignore[misc]  # no Decoded with segmentation
    finally:
        pool.close()


_Result = Decoded | list[Decoded] | Skipped


class _Task(NamedTuple):
    """What workers are to do with every file."""

    audio: AudioConfig
    timeout_s: float
    offset_s: float = 0.0
    segmentation: SegmentConfig | None = None
    inspect: bool = False


class _Pool:
    """Workers, the files they have, and the results that wait for an earlier file."""

    def __init__(self, task: _Task, workers: int):
        self.task, self.n_workers = task, workers
        self.workers: list[_Worker] = []
        self.results: dict[int, _Result] = {}
        self.todo: collections.deque[tuple[int, str | Path]] = collections.deque()
        self.done = 0  # results taken: the number of the one that is wanted next

    def run(self, paths: Iterator[str | Path]) -> Iterator[_Result]:
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
                self._listen()

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
                free = _Worker(self.task)
                self.workers.append(free)
            if free is None or len(free.pending) >= BATCH:
                return
            share = max(1, min(BATCH, len(self.todo) // self.n_workers))
            free.send([self.todo.popleft() for _ in range(min(share, len(self.todo)))])

    def _listen(self) -> None:
        """Waits for news, at most a moment; finds out who is late or dead."""
        start = time.monotonic()
        workers = {worker.output.fileno(): worker for worker in self._heard()}
        ready = multiprocessing.connection.wait(list(workers), timeout=0.1)
        # Only time spent waiting here counts: a slow caller or a stopped terminal is no hang.
        waited = min(time.monotonic() - start, 0.2)
        for output, worker in workers.items():
            if output in ready:
                alive = worker.receive(self.results)
                if not alive:
                    self._replace(worker, worker.death())
            elif worker.late(waited):
                self._replace(worker, ("timeout", f"it takes longer than {worker.timeout_s:g} s"))

    def _heard(self) -> "list[_Worker]":
        """Who is listened to: all, or with too much at hand the one with the file wanted next.

        The others then wait with what they have found, and their clocks stand still.
        """
        waiting = sum(len(r) if isinstance(r, list) else 1 for r in self.results.values())
        waiting += sum(len(worker.hits) for worker in self.workers)
        wanted = [w for w in self.workers if any(i == self.done for i, _ in w.pending)]
        return wanted if wanted and waiting >= WINDOW * self.n_workers else list(self.workers)

    def _replace(self, worker: "_Worker", why: tuple[str, str]) -> None:
        """Blames the file at hand; the others of the batch go to another worker."""
        self.workers.remove(worker)
        worker.kill()
        if worker.pending:
            index, path = worker.pending.popleft()
            self.results[index] = Skipped(path, *why)
            self.todo.extendleft(reversed(worker.pending))


class _Worker:
    """One child process."""

    def __init__(self, task: _Task):
        self.timeout_s = task.timeout_s
        self.hits: list[Decoded] = []  # of the file at hand
        self.pending: collections.deque[tuple[int, str | Path]] = collections.deque()
        self.ready = False
        self.waited = 0.0
        self.buffer = bytearray()
        self.last_words = tempfile.TemporaryFile()  # noqa: SIM115 closed by kill()
        one_thread = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        configs = {
            "audio": to_dict(task.audio),
            "segmentation": to_dict(task.segmentation) if task.segmentation else None,
        }
        arguments = json.dumps({"path": sys.path, "task": task._asdict() | configs})
        self.process = subprocess.Popen(
            [sys.executable, "-c", _WORKER, arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.last_words,
            bufsize=0,
            env=os.environ | one_thread,
        )
        assert self.process.stdout and self.process.stdin
        self.output, self.input = self.process.stdout, self.process.stdin
        _widen(self.output.fileno())

    def send(self, files: list[tuple[int, str | Path]]) -> None:
        self.pending.extend(files)
        names = [os.fsencode(path) for _, path in files]
        message = b"".join(struct.pack("<I", len(name)) + name for name in names)
        with contextlib.suppress(OSError):  # it died: `receive` finds the end of its output
            self.input.write(message)

    def receive(self, results: dict[int, _Result]) -> bool:
        """Takes what has arrived; False at the end of the worker's output."""
        block = os.read(self.output.fileno(), 1 << 20)
        self.buffer += block
        while (frame := _take_frame(self.buffer)) is not None:
            self.waited = 0.0
            if not self.ready:
                self.ready = True
                continue
            facts, path = frame[0], self.pending[0][1]
            if facts.get("more") == "hit":
                self.hits.append(_decoded(path, *frame))
            if "more" not in facts:
                index, _ = self.pending.popleft()
                results[index] = self._result(path, *frame)
                self.hits = []
        return bool(block)

    def _result(self, path: str | Path, facts: dict[str, Any], *arrays: np.ndarray) -> _Result:
        if "reason" in facts:
            return Skipped(path, facts["reason"], facts["detail"])
        if "left_out" in facts:
            return [*self.hits[:-1], self.hits[-1]._replace(left_out=facts["left_out"])]
        return _decoded(path, facts, *arrays)

    def late(self, waited: float) -> bool:
        if not self.pending and self.ready:
            return False
        self.waited += waited
        return self.waited > (self.timeout_s if self.ready else START_S)

    def death(self) -> tuple[str, str]:
        code = self.process.wait()
        if not self.ready:
            self.last_words.seek(0)
            text = self.last_words.read().decode(errors="replace").strip()
            raise RuntimeError(f"a decoding process did not start (exit {code}): {text[-2000:]}")
        if code == -signal.SIGXCPU:
            return "timeout", f"it takes longer than {self.timeout_s:g} s"
        return "crash", f"the decoder died on it (exit {code})"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.input, self.output, self.last_words):
            pipe.close()


def _widen(pipe: int) -> None:
    """Room for several results, so that a worker seldom waits for the parent to read."""
    with contextlib.suppress(ImportError, AttributeError, OSError):  # Linux only
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)


def _take_frame(buffer: bytearray) -> tuple[dict[str, Any], np.ndarray, np.ndarray] | None:
    """Cuts one whole frame off the front of `buffer`."""
    if len(buffer) < _LENGTHS.size:
        return None
    n_json, n_wave, n_mel, frames = _LENGTHS.unpack_from(buffer)
    total = _LENGTHS.size + n_json + n_wave + n_mel
    if len(buffer) < total:
        return None
    content = bytes(memoryview(buffer)[_LENGTHS.size : total])
    del buffer[:total]
    wave = np.frombuffer(content, np.float32, n_wave // 4, n_json)
    log_mel = np.frombuffer(content, np.float32, n_mel // 4, n_json + n_wave)
    return json.loads(content[:n_json]), wave, log_mel.reshape(frames, -1) if frames else log_mel


def _decoded(path: str | Path, facts: dict[str, Any], *arrays: np.ndarray) -> Decoded:
    wave, log_mel = arrays
    clip = Clip(wave, facts["peak_db"], facts["onset_s"], facts["duration_s"])
    return Decoded(
        path,
        clip,
        log_mel,
        facts["digest"],
        facts["sample_rate"],
        facts["channels"],
        facts["end_s"],
        faults=tuple(Fault(*fault) for fault in facts["faults"]),
    )
