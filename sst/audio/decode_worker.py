"""The side of `sst.audio.decode_pool` that runs in processes of its own, which may hang or crash.

It reads paths from its standard input and answers each on its standard output in frames: a length,
JSON, and raw arrays. It knows NumPy, SciPy, soundfile, soxr and the features, nothing heavier.
"""

import functools
import json
import os
import signal
import struct
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from sst.audio.reader import BadAudio
from sst.audio.segment_file import Sound, hits, only_sound
from sst.config import AudioConfig, SegmentConfig, from_dict
from sst.dsp import features

MEMORY = 3 << 30  # bytes of address space
LENGTHS = struct.Struct("<IIII")  # JSON, wave, log-mel bytes, frames of the log-mel
NO_ARRAYS = np.zeros(0, np.float32), np.zeros((0, 0), np.float32)


def serve(
    audio: dict[str, Any],
    timeout_s: float,
    offset_s: float,
    segmentation: dict[str, Any] | None,
    inspect: bool,
) -> None:
    """The worker's life, until its standard input ends.

    An answer is one frame, the sound of the file or the reason why there is none. With
    segmentation there come before it any number of frames with `more`: a hit, or a sign of life.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    config = from_dict(AudioConfig, audio)
    features.log_mel(np.zeros(1, np.float32), config)  # the tables it keeps
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    send = (
        functools.partial(_send_only_sound, answers, config, offset_s, inspect)
        if segmentation is None
        else functools.partial(_send_hits, answers, config, segmentation, timeout_s)
    )
    _send(answers, {"ready": True})
    quiet = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):  # libmpg123 prints its warnings from C
        os.dup2(quiet, standard)
    _limit_memory()
    while len(head := requests.read(4)) == 4:
        path = os.fsdecode(requests.read(struct.unpack("<I", head)[0]))
        _limit_time(timeout_s)
        _answer(answers, send, path)


def _answer(answers: BinaryIO, send: Callable[[str], None], path: str) -> None:
    try:
        send(path)
    except BadAudio as bad:
        _send(answers, {"reason": bad.reason, "detail": bad.detail})
    except MemoryError:
        _send(answers, {"reason": "memory", "detail": "it needs too much memory"})
    except Exception as error:  # what no one foresaw costs one file, not the run
        detail = f"{type(error).__name__}: {error}"
        _send(answers, {"reason": "unreadable", "detail": detail})


def _send_only_sound(
    answers: BinaryIO, config: AudioConfig, offset_s: float, inspect: bool, path: str
) -> None:
    _send_sound(answers, only_sound(path, config, offset_s, inspect), {})


def _send_hits(
    answers: BinaryIO,
    config: AudioConfig,
    segmentation: dict[str, Any],
    timeout_s: float,
    path: str,
) -> None:
    settings = from_dict(SegmentConfig, segmentation)

    def alive() -> None:
        _limit_time(timeout_s)
        _send(answers, {"more": "life"})

    def take(sound: Sound) -> None:
        _limit_time(timeout_s)
        _send_sound(answers, sound, {"more": "hit"})

    _send(answers, {"left_out": hits(path, config, settings, take, alive)})


def _send_sound(answers: BinaryIO, sound: Sound, facts: dict[str, Any]) -> None:
    clip = sound.clip
    facts = facts | {
        "digest": sound.digest,
        "sample_rate": sound.sample_rate,
        "channels": sound.channels,
        "end_s": sound.end_s,
        "peak_db": clip.peak_db,
        "onset_s": clip.onset_s,
        "duration_s": clip.duration_s,
        "faults": sound.faults,
    }
    _send(answers, facts, clip.wave, sound.log_mel)


def _send(answers: BinaryIO, facts: dict[str, Any], *arrays: np.ndarray) -> None:
    text = json.dumps(facts).encode()
    wave, log_mel = arrays or NO_ARRAYS
    lengths = LENGTHS.pack(len(text), wave.nbytes, log_mel.nbytes, len(log_mel))
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
