"""Decoding in processes that may hang or crash: every file ends as a result or as a reason.

`python -m sst.decoding` would be the worker; it is started with the parent's module path instead,
so that it works from scripts, tests and foreign programs alike. Parent and worker speak through
pipes in frames: a length, JSON, and raw arrays. A worker knows NumPy, soundfile, soxr and the
features, nothing heavier, and one thread.
"""

import collections
import contextlib
import hashlib
import itertools
import json
import os
import selectors
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from jaxtyping import Float

from sst.config import AudioConfig, from_dict, to_dict
from sst.types import Clip, LogMel

BATCH = 8  # paths per message: a worker never waits for the parent between two files
WINDOW = 32  # files per worker that may be under way or wait for an earlier one
START_S = 120.0  # a worker that has not reported by then never will
MEMORY = 3 << 30  # bytes of address space per worker
_WORKER = """
import json, sys
arguments = json.loads(sys.argv[1])
sys.path[:] = arguments["path"]
from sst import decoding
decoding.serve(**arguments["task"])
"""
_LENGTHS = struct.Struct("<IIII")  # JSON, wave, log-mel bytes, frames of the log-mel


class Decoded(NamedTuple):
    """One usable file."""

    path: str | Path  # as given
    clip: Clip
    log_mel: LogMel  # float32 [t, n_mels]
    digest: str  # 32 hexadecimal digits of the decoded samples: equal for equal sound
    sample_rate: int  # Hz, of the file
    channels: int


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

    Raises:
        RuntimeError: a worker cannot be started; the text has its last words.
    """
    pool = _Pool(_Task(audio, timeout_s, offset_s), workers or os.cpu_count() or 1)
    try:
        yield from pool.run(iter(paths))
    finally:
        pool.close()


def decode_file(
    path: str | Path, audio: AudioConfig, offset_s: float = 0.0
) -> tuple[Clip, LogMel, str, int, int]:
    """What a worker does for one file: (clip, log_mel, digest, sample rate, channels).

    Raises:
        BadAudio: the file is of no use.
    """
    from sst import features
    from sst.audio import BadAudio, canonical, read_wave

    wave, sample_rate, _ = read_wave(path, offset_s)
    clip = canonical(wave, sample_rate, audio)
    if not np.isfinite(clip.peak_db):
        raise BadAudio("silent", "nothing is left of it at this sample rate", path)
    log_mel = features.log_mel(clip.wave, audio)
    if not np.isfinite(log_mel).all():
        raise BadAudio("non_finite", "its spectrogram is not finite", path)
    channels = wave.shape[1]
    return clip, log_mel, _digest(wave, sample_rate), sample_rate, channels


def _digest(wave: Float[np.ndarray, "n channels"], sample_rate: int) -> str:
    digest = hashlib.blake2b(f"{sample_rate} {wave.shape[1]} ".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(wave).data)
    return digest.hexdigest()


# ---------------------------------------------------------------------------------- the parent


class _Task(NamedTuple):
    """What workers are to do with every file."""

    audio: AudioConfig
    timeout_s: float
    offset_s: float


class _Pool:
    """Workers, the files they have, and the results that wait for an earlier file."""

    def __init__(self, task: _Task, workers: int):
        self.task, self.n_workers = task, workers
        self.workers: list[_Worker] = []
        self.results: dict[int, Decoded | Skipped] = {}
        self.todo: collections.deque[tuple[int, str | Path]] = collections.deque()
        self.selector = selectors.DefaultSelector()

    def run(self, paths: Iterator[str | Path]) -> Iterator[Decoded | Skipped]:
        numbered = enumerate(paths)
        issued = done = 0
        exhausted = False
        while True:
            while not exhausted and issued - done < WINDOW * self.n_workers:
                more = list(itertools.islice(numbered, BATCH))
                self.todo.extend(more)
                issued += len(more)
                exhausted = len(more) < BATCH
            while done in self.results:
                yield self.results.pop(done)
                done += 1
            if exhausted and done == issued:
                return
            self._hand_out()
            if done not in self.results:
                self._listen()

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()
        self.workers.clear()
        self.selector.close()

    def _hand_out(self) -> None:
        """Gives every worker with less than one batch another one; starts workers as needed."""
        while self.todo:
            free = min(self.workers, key=lambda w: len(w.pending), default=None)
            crowded = free is None or (free.pending and len(self.todo) > BATCH)
            if crowded and len(self.workers) < self.n_workers:
                free = _Worker(self.task)
                self.workers.append(free)
                self.selector.register(free.output, selectors.EVENT_READ, free)
            if free is None or len(free.pending) >= BATCH:
                return
            share = max(1, min(BATCH, len(self.todo) // self.n_workers))
            free.send([self.todo.popleft() for _ in range(min(share, len(self.todo)))])

    def _listen(self) -> None:
        """Waits for news, at most a moment; finds out who is late or dead."""
        start = time.monotonic()
        ready = {key.data for key, _ in self.selector.select(timeout=0.1)}
        # Only time spent waiting here counts: a slow caller or a stopped terminal is no hang.
        waited = min(time.monotonic() - start, 0.2)
        for worker in list(self.workers):
            if worker in ready:
                alive = worker.receive(self.results)
                if not alive:
                    self._replace(worker, worker.death())
            elif worker.late(waited):
                self._replace(worker, ("timeout", f"it takes longer than {worker.timeout_s:g} s"))

    def _replace(self, worker: "_Worker", why: tuple[str, str]) -> None:
        """Blames the file at hand; the others of the batch go to another worker."""
        self.selector.unregister(worker.output)
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
        self.pending: collections.deque[tuple[int, str | Path]] = collections.deque()
        self.ready = False
        self.waited = 0.0
        self.buffer = bytearray()
        self.last_words = tempfile.TemporaryFile()  # noqa: SIM115 closed by kill()
        one_thread = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        what = task._asdict() | {"audio": to_dict(task.audio)}
        arguments = json.dumps({"path": sys.path, "task": what})
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

    def receive(self, results: dict[int, Decoded | Skipped]) -> bool:
        """Takes what has arrived; False at the end of the worker's output."""
        block = os.read(self.output.fileno(), 1 << 20)
        self.buffer += block
        while (frame := _take_frame(self.buffer)) is not None:
            self.waited = 0.0
            if not self.ready:
                self.ready = True
                continue
            index, path = self.pending.popleft()
            results[index] = _result(path, *frame)
        return bool(block)

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


def _result(
    path: str | Path, facts: dict[str, Any], wave: np.ndarray, log_mel: np.ndarray
) -> Decoded | Skipped:
    if "reason" in facts:
        return Skipped(path, facts["reason"], facts["detail"])
    clip = Clip(wave, facts["peak_db"], facts["onset_s"], facts["duration_s"])
    return Decoded(path, clip, log_mel, facts["digest"], facts["sample_rate"], facts["channels"])


# ---------------------------------------------------------------------------------- the worker


def serve(audio: dict[str, Any], timeout_s: float, offset_s: float) -> None:
    """The worker's life: reads paths from stdin and answers each on stdout, until stdin ends."""
    from sst import audio as _  # noqa: F401 loaded before the clock of the first file starts
    from sst import features

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    config = from_dict(AudioConfig, audio)
    features.log_mel(np.zeros(1, np.float32), config)  # the tables it keeps
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    _send(answers, {"ready": True})
    quiet = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):  # libmpg123 prints its warnings from C
        os.dup2(quiet, standard)
    _limit_memory()
    while len(head := requests.read(4)) == 4:
        path = os.fsdecode(requests.read(struct.unpack("<I", head)[0]))
        _limit_time(timeout_s)
        _answer(answers, path, config, offset_s)


def _answer(answers: BinaryIO, path: str, config: AudioConfig, offset_s: float) -> None:
    from sst.audio import BadAudio

    try:
        clip, log_mel, digest, sample_rate, channels = decode_file(path, config, offset_s)
    except BadAudio as bad:
        return _send(answers, {"reason": bad.reason, "detail": bad.detail})
    except MemoryError:
        return _send(answers, {"reason": "memory", "detail": "it needs too much memory"})
    except Exception as error:  # what no one foresaw costs one file, not the run
        detail = f"{type(error).__name__}: {error}"
        return _send(answers, {"reason": "unreadable", "detail": detail})
    facts = {
        "digest": digest,
        "sample_rate": sample_rate,
        "channels": channels,
        "peak_db": clip.peak_db,
        "onset_s": clip.onset_s,
        "duration_s": clip.duration_s,
    }
    return _send(answers, facts, clip.wave, log_mel)


def _send(answers: BinaryIO, facts: dict[str, Any], *arrays: np.ndarray) -> None:
    text = json.dumps(facts).encode()
    wave, log_mel = arrays or (np.zeros(0, np.float32), np.zeros((0, 0), np.float32))
    lengths = _LENGTHS.pack(len(text), wave.nbytes, log_mel.nbytes, len(log_mel))
    content = memoryview(lengths + text + wave.tobytes() + log_mel.tobytes())
    while content:
        content = content[answers.write(content) :]


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_time(timeout_s: float) -> None:
    """Ends the worker by itself where a file hangs and the parent is gone."""
    try:
        import resource
    except ImportError:  # Windows
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(
        resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + timeout_s) + 3, hard)
    )
