"""The one wire format of decoded sounds: between the pool and its workers, and in spool files.

A frame is a header (bytes of JSON, bytes of arrays), JSON with facts and the type and shape of
every array, and the arrays themselves. Requests to a worker are paths: a length and bytes.
"""

import json
import os
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from sst.config import AudioConfig, SegmentConfig, from_dict, to_dict
from sst.types import Clip, Fault, Sound

MEASURES = ("descriptors", "thumbnail", "faults")  # of a sound, computed where they are asked for
_HEADER = struct.Struct("<II")
_LENGTH = struct.Struct("<I")
_ALIGNMENT = 8  # bytes: JSON is filled up to it with spaces, so that arrays begin at even places
_CLIP = ("peak_db", "onset_s", "duration_s")
_FACTS = ("digest", "sample_rate", "channels", "end_s", "faults")
_ARRAYS = ("log_mel", "attack", "descriptors", "thumbnail")


class Task(NamedTuple):
    """The settings of a decoding worker, for every file."""

    audio: AudioConfig
    timeout_s: float
    offset_s: float = 0.0  # where in each file to begin
    segmentation: SegmentConfig | None = None  # how files are cut into hits; None: one sound each
    measure: tuple[str, ...] = ()  # of `MEASURES`


class Frame(NamedTuple):
    """Facts that JSON can hold, and named arrays."""

    facts: dict[str, Any]
    arrays: dict[str, np.ndarray]


def task_to_json(task: Task) -> dict[str, Any]:
    """Returns a task as plain values."""
    cut = to_dict(task.segmentation) if task.segmentation else None
    return task._asdict() | {"audio": to_dict(task.audio), "segmentation": cut}


def task_from_json(values: Mapping[str, Any]) -> Task:
    """Returns the task that `task_to_json` was given."""
    cut = values["segmentation"] and from_dict(SegmentConfig, values["segmentation"])
    audio, measure = from_dict(AudioConfig, values["audio"]), tuple(values["measure"])
    return Task(**dict(values) | {"audio": audio, "segmentation": cut, "measure": measure})


def pack(facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None) -> bytes:
    """Returns one frame."""
    arrays = arrays or {}
    described = [(name, array.dtype.str, array.shape) for name, array in arrays.items()]
    text = json.dumps({"facts": facts, "arrays": described}).encode()
    text += b" " * (-(len(text) + _HEADER.size) % _ALIGNMENT)
    body = b"".join(array.tobytes() for array in arrays.values())
    return _HEADER.pack(len(text), len(body)) + text + body


def take_frame(buffer: bytearray) -> Frame | None:
    """Cuts one whole frame off the front of `buffer`; None while it is not all there."""
    if len(buffer) < _HEADER.size:
        return None
    total = _HEADER.size + sum(_HEADER.unpack_from(buffer))
    if len(buffer) < total:
        return None
    content = bytes(memoryview(buffer)[:total])
    del buffer[:total]
    return _unpack(content)


def read_frame(file: BinaryIO) -> Frame:
    """Reads the frame at the position of a file."""
    header = file.read(_HEADER.size)
    return _unpack(header + file.read(sum(_HEADER.unpack(header))))


def pack_sound(sound: Sound, kind: str = "sound") -> bytes:
    """Returns a frame of everything in a sound but its path, which the parent knows."""
    facts = {name: getattr(sound, name) for name in _FACTS}
    facts |= {name: getattr(sound.clip, name) for name in _CLIP} | {"kind": kind}
    arrays = {"wave": sound.clip.wave} | {name: getattr(sound, name) for name in _ARRAYS}
    return pack(facts, arrays)


def unpack_sound(path: str | os.PathLike[str], frame: Frame) -> Sound:
    """Returns the sound that `pack_sound` was given."""
    facts = frame.facts
    clip = Clip(frame.arrays["wave"], *(facts[name] for name in _CLIP))
    arrays = {name: frame.arrays[name] for name in _ARRAYS}
    faults = tuple(Fault(*fault) for fault in facts["faults"])
    rest = {name: facts[name] for name in _FACTS} | {"faults": faults}
    return Sound(path, clip, **arrays, **rest)  # type: ignore[arg-type]


def pack_path(path: str | os.PathLike[str]) -> bytes:
    """Returns a request for one file."""
    name = os.fsencode(path)
    return _LENGTH.pack(len(name)) + name


def read_path(requests: BinaryIO) -> str | None:
    """Reads the next request; None at the end."""
    head = requests.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    return os.fsdecode(requests.read(_LENGTH.unpack(head)[0]))


def _unpack(content: bytes) -> Frame:
    n_json, _ = _HEADER.unpack_from(content)
    start = _HEADER.size + n_json
    described = json.loads(content[_HEADER.size : start])
    arrays = {}
    for name, dtype, shape in described["arrays"]:
        array = np.ndarray(shape, dtype, content, start)
        arrays[name] = array
        start += array.nbytes
    return Frame(described["facts"], arrays)
