"""The worker of `sst.audio.decode_pool`: it runs in a process of its own, which may hang or crash.

It reads paths from its standard input and answers each on its standard output in frames of
`sst.audio.wire`. It imports NumPy, SciPy, soundfile, soxr and the features, nothing heavier.
"""

import functools
import os
import signal
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from sst.audio import wire
from sst.audio.read_sound import read_sound
from sst.audio.reader import BadAudio
from sst.audio.segment_file import read_hits
from sst.audio.wire import Task
from sst.dsp import features
from sst.types import Sound

MEMORY = 3 << 30  # bytes of address space


def serve(task: dict[str, Any]) -> None:
    """Answers requests until the standard input ends.

    An answer is one frame: the sound of the file, or the reason why there is none. With
    segmentation any number of "hit" and "alive" frames come before it.

    Args:
        task: of `wire.task_to_json`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    job = wire.task_from_json(task)
    features.log_mel(np.zeros(1, np.float32), job.audio)  # fills the tables that it keeps
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    _send(answers, wire.pack({"kind": "ready"}))
    _silence_libraries()
    _limit_memory()
    send = functools.partial(_send_one if job.segmentation is None else _send_hits, answers, job)
    while (path := wire.read_path(requests)) is not None:
        _limit_time(job.timeout_s)
        _answer(answers, send, path)


def _answer(answers: BinaryIO, send: Callable[[str], None], path: str) -> None:
    try:
        send(path)
    except BadAudio as bad:
        _send_skipped(answers, bad.reason, bad.detail)
    except MemoryError:
        _send_skipped(answers, "memory", "it needs too much memory")
    except Exception as error:  # what no one foresaw costs one file, not the run
        _send_skipped(answers, "unreadable", f"{type(error).__name__}: {error}")


def _send_one(answers: BinaryIO, task: Task, path: str) -> None:
    _send(answers, wire.pack_sound(read_sound(path, task.audio, task.offset_s, task.measure)))


def _send_hits(answers: BinaryIO, task: Task, path: str) -> None:
    assert task.segmentation is not None

    def alive() -> None:
        _limit_time(task.timeout_s)
        _send(answers, wire.pack({"kind": "alive"}))

    def take(sound: Sound) -> None:
        _limit_time(task.timeout_s)
        _send(answers, wire.pack_sound(sound, "hit"))

    left_out = read_hits(path, task.audio, task.segmentation, take, alive, task.measure)
    _send(answers, wire.pack({"kind": "end", "left_out": left_out}))


def _send_skipped(answers: BinaryIO, reason: str, detail: str) -> None:
    _send(answers, wire.pack({"kind": "skipped", "reason": reason, "detail": detail}))


def _send(answers: BinaryIO, frame: bytes) -> None:
    content = memoryview(frame)
    while content:
        content = content[answers.write(content) :]


def _silence_libraries() -> None:
    """Points the standard streams nowhere: libmpg123 prints its warnings from C."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)


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
