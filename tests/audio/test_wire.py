"""What the pool and its workers say to each other comes through to the bit."""

import io
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sst.audio import wire
from sst.audio.clip import canonical
from sst.config import AudioConfig, SegmentConfig
from sst.dsp import descriptors, features, thumbnail
from sst.types import Fault, Sound
from tests import synth

A = AudioConfig()


def a_sound(**other) -> Sound:
    clip = canonical(synth.tone(220, 22_050), 22_050, A)
    log_mel = features.log_mel(clip.wave, A)
    facts = dict(digest="d" * 32, sample_rate=48_000, channels=2, end_s=1.5)
    return Sound("a.wav", clip, log_mel, features.attack(clip.wave, A), **facts)._replace(**other)


def assert_same(one: Sound, other: Sound):
    for name in Sound._fields:
        if name not in ("clip", "faults"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_array_equal(one.clip.wave, other.clip.wave)
    assert one.clip[1:] == other.clip[1:] and one.faults == other.faults


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"faults": (Fault("clipped", "a “phrase”"), Fault("offset", ""))},
        {"clip": canonical(np.zeros(10), 44_100, A), "log_mel": np.zeros((0, 128), np.float32)},
    ],
)
def test_a_sound_comes_back_as_it_was(other):
    sound = a_sound(**other)
    sound = sound._replace(
        descriptors=descriptors.describe(a_sound().clip, a_sound().log_mel, A),
        thumbnail=thumbnail.thumbnail(a_sound().log_mel, A),
    )
    buffer = bytearray(wire.pack_sound(sound))
    assert_same(wire.unpack_sound("a.wav", wire.take_frame(buffer)), sound)
    assert not buffer


def test_silence_keeps_its_level():
    sound = a_sound(clip=canonical(np.zeros(10), 44_100, A))
    assert math.isinf(
        wire.unpack_sound("", wire.take_frame(bytearray(wire.pack_sound(sound)))).clip[1]
    )


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(1, 5000), max_size=8))
def test_frames_that_arrive_in_pieces_come_out_whole_and_in_order(cuts):
    sent = [wire.pack({"n": i}, {"x": np.arange(500 * i, dtype=np.int16)}) for i in range(4)]
    stream, buffer, got = b"".join(sent), bytearray(), []
    for begin, end in zip([0, *np.cumsum(cuts)], [*np.cumsum(cuts), len(stream)], strict=True):
        buffer += stream[begin:end]
        while (frame := wire.take_frame(buffer)) is not None:
            got.append(frame)
    assert [frame.facts["n"] for frame in got] == [0, 1, 2, 3]
    for i, frame in enumerate(got):
        np.testing.assert_array_equal(frame.arrays["x"], np.arange(500 * i))


def test_a_spool_file_is_read_at_any_of_its_frames():
    file, places = io.BytesIO(), []
    for i in range(3):
        places.append(file.tell())
        file.write(wire.pack({"n": i}, {"x": np.full((2, i), i, np.float16)}))
    for i in (2, 0, 1):
        file.seek(places[i])
        frame = wire.read_frame(file)
        assert frame.facts == {"n": i} and frame.arrays["x"].shape == (2, i)


@pytest.mark.parametrize("cut", [None, SegmentConfig(sensitivity=0.7)])
def test_a_task_comes_through_json(cut):
    import json

    task = wire.Task(A, 2.5, 0.25, cut, ("descriptors", "faults"))
    assert wire.task_from_json(json.loads(json.dumps(wire.task_to_json(task)))) == task


def test_a_path_that_is_no_text_comes_through():
    paths = [b"/a/\xff\n.wav".decode("utf-8", "surrogateescape"), "/b/ü.wav"]
    requests = io.BytesIO(b"".join(map(wire.pack_path, paths)))
    assert [wire.read_path(requests) for _ in range(3)] == [*paths, None]
