import contextlib
import itertools
import struct

import numpy as np
import pytest
import soundfile as sf

from sst import files
from sst.audio import decode_pool, decode_process, onsets, read_sound, segment_file
from sst.audio.clip import canonical
from sst.audio.reader import BadAudio
from sst.audio.recording import read_wave
from sst.config import AudioConfig, SegmentConfig
from sst.dsp import features
from sst.types import Skipped
from tests import synth
from tests.hostile import HANG

A, S = AudioConfig(), SegmentConfig()
RATE = 22_050
TIMES = [0.1, 0.5, 0.9, 1.3, 1.7, 2.1]


@pytest.fixture
def loop(tmp_path):
    path = tmp_path / "loop.wav"
    sf.write(path, synth.sequence(TIMES, RATE), RATE, subtype="FLOAT")
    return path


def hits_of(path, settings=S, **options):
    (result,) = decode_pool.decode_hits([path], A, settings, workers=1, **options)
    return result


def test_each_hit_is_the_clip_of_the_samples_cut_out(loop):
    wave, rate, _ = read_wave(loop)
    found = hits_of(loop)
    expected = onsets.split(wave, rate, S)
    assert len(found) == len(expected) == len(TIMES)
    for hit, segment, time in zip(found, expected, TIMES, strict=True):
        clip = canonical(wave[segment.start : segment.end], rate, A)
        np.testing.assert_array_equal(hit.clip.wave, clip.wave)
        np.testing.assert_allclose(hit.log_mel, features.log_mel(clip.wave, A), atol=1e-4)
        assert (hit.clip.onset_s, hit.end_s) == (segment.start / rate, segment.end / rate)
        assert abs(hit.clip.onset_s - time) < 0.012 and hit.end_s > time + 0.05
        assert (hit.path, hit.sample_rate, hit.channels, hit.left_out) == (loop, rate, 1, "")


def test_equal_hits_share_a_digest(tmp_path):
    bar = synth.sequence([0.1, 0.6], RATE, seconds=1.0)
    sf.write(tmp_path / "twice.wav", np.concatenate([bar, bar]), RATE, subtype="FLOAT")
    a, b, c, d = hits_of(tmp_path / "twice.wav")
    assert a.digest == c.digest != b.digest == d.digest


def test_files_of_one_hit_are_what_they_are_without_segmentation(tmp_path):
    synth.write_library(tmp_path, per_kind=2)
    paths = [sample.path for sample in files.find_samples([tmp_path])]
    plain = list(decode_pool.decode_many(paths, A))
    for one, found in zip(plain, decode_pool.decode_hits(paths, A, S), strict=True):
        (hit,) = found
        np.testing.assert_array_equal(hit.clip.wave, one.clip.wave)
        assert hit.clip[1:] == one.clip[1:] and hit.digest == one.digest
        assert hit.end_s >= one.end_s


def test_a_sound_longer_than_its_clip_has_its_real_end(tmp_path):
    sf.write(tmp_path / "a.wav", synth.cymbal(RATE, np.random.default_rng(0), 8.0), RATE)
    (hit,) = hits_of(tmp_path / "a.wav")
    assert hit.clip.duration_s <= 2.0 and hit.end_s > 6.0


def test_every_file_is_a_list_or_a_reason_in_order(loop, tmp_path):
    sf.write(tmp_path / "silent.wav", np.zeros((RATE, 2)), RATE)
    sf.write(tmp_path / "nan.wav", np.full(RATE, np.nan), RATE, subtype="FLOAT")
    (tmp_path / "text.wav").write_text("hello")
    (tmp_path / "hang.wav").write_bytes(HANG)
    names = ["silent.wav", "loop.wav", "hang.wav", "nan.wav", "text.wav", "gone.wav", "loop.wav"]
    paths = [tmp_path / name for name in names]
    results = list(decode_pool.decode_hits(paths, A, S, timeout_s=1.0))
    reasons = [r.reason if isinstance(r, Skipped) else len(r) for r in results]
    assert reasons == ["silent", 6, "timeout", "non_finite", "unreadable", "vanished", 6]


def test_a_late_hit_in_a_long_silence_is_found(tmp_path):
    wave = np.zeros(150 * 8_000, np.float32)
    kick = synth.kick(8_000, np.random.default_rng(0))
    wave[120 * 8_000 : 120 * 8_000 + len(kick)] = 0.01 * kick
    sf.write(tmp_path / "late.flac", wave, 8_000)
    assert Skipped in map(type, decode_pool.decode_many([tmp_path / "late.flac"], A))
    (hit,) = hits_of(tmp_path / "late.flac")
    assert abs(hit.clip.onset_s - 120) < 0.01 and abs(hit.clip.peak_db + 41) < 1


def test_hits_that_the_model_cannot_hear_are_dropped(loop, monkeypatch):
    whole = read_sound.canonical

    def deaf(*arguments):
        clip = whole(*arguments)
        if clip.duration_s > 0.2:  # all but the hats
            raise BadAudio("silent", "too high")
        return clip

    monkeypatch.setattr(read_sound, "canonical", deaf)
    found = []
    segment_file.read_hits(loop, A, S, found.append)
    assert np.allclose([hit.clip.onset_s for hit in found], TIMES[2::3], atol=0.012)
    sf.write(loop, synth.kick(RATE, np.random.default_rng(0)), RATE)
    with pytest.raises(BadAudio, match="sample rate"):
        segment_file.read_hits(loop, A, S, found.append)


def test_caps_are_applied_and_reported(loop, tmp_path):
    whole = hits_of(loop)
    some = hits_of(loop, SegmentConfig(max_segments=4))
    assert [hit.digest for hit in some] == [hit.digest for hit in whole[:4]]
    assert "first 4 hits" in some[-1].left_out and some[0].left_out == ""
    wave = synth.sequence([1.0, 2.0, 8.0], RATE)
    sf.write(tmp_path / "long.wav", wave, RATE)
    early = hits_of(tmp_path / "long.wav", SegmentConfig(max_minutes=0.1))
    assert len(early) == 2 and "first 0.1 minutes" in early[-1].left_out


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_blocks_of_any_length_give_the_same_hits(tmp_path, monkeypatch, suffix):
    wave = np.stack([synth.sequence(TIMES, RATE)] * 2, axis=1)
    path = tmp_path / f"loop.{suffix}"
    sf.write(path, wave, RATE)
    found = {}
    for length in (2**22, 20_000, 7_001):
        monkeypatch.setattr(segment_file, "BLOCK", length)
        found[length] = []
        assert segment_file.read_hits(path, A, S, found[length].append) == ""
    whole = found.pop(2**22)
    assert len(whole) == len(TIMES)
    for parts in found.values():
        assert [h.clip.onset_s for h in parts] == [h.clip.onset_s for h in whole]
        for part, one in zip(parts, whole, strict=True):
            if suffix != "mp3":  # whose decoder rounds otherwise after it was set back
                assert part.digest == one.digest
            np.testing.assert_allclose(part.clip.wave, one.clip.wave, atol=1e-5)


def sparse_recording(path, hours, rate=8_000):
    """A stereo WAV with four hits in its first hour; most of it takes no room on the disk."""
    frames = hours * 3600 * rate
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", frames * 4 + 36, b"WAVE", b"fmt ", 16, 1, 2,
                       rate, rate * 4, 4, 16, b"data", frames * 4)  # fmt: skip
    hit = (20_000 * synth.snare(rate, np.random.default_rng(0))).astype("<i2")
    with open(path, "wb") as file:
        file.write(head)
        for minute in (1, 10, 20, 50):
            file.seek(len(head) + minute * 60 * rate * 4)
            file.write(np.stack([hit, hit], axis=1).tobytes())
        file.truncate(len(head) + frames * 4)
    return [60, 600, 1200, 3000]


def test_three_hours_are_heard_up_to_the_limit(tmp_path):
    times = sparse_recording(tmp_path / "long.wav", hours=3)
    found = hits_of(tmp_path / "long.wav")
    assert [round(hit.clip.onset_s) for hit in found] == times[:3]
    assert len({hit.digest for hit in found}) == 1
    assert "first 30 minutes" in found[-1].left_out


@pytest.mark.slow
def test_three_hours_are_heard_whole(tmp_path):
    times = sparse_recording(tmp_path / "long.wav", hours=3)
    found = hits_of(tmp_path / "long.wav", SegmentConfig(max_minutes=240))
    assert [round(hit.clip.onset_s) for hit in found] == times and found[-1].left_out == ""


SLOW = """
import time
from sst.audio import segment_file
segment_file.BLOCK = 30_000
whole = segment_file.read_block
def read(file, samples):
    time.sleep(0.3)
    return whole(file, samples)
segment_file.read_block = read
"""


def test_the_time_limit_is_for_a_block_not_for_the_file(tmp_path, monkeypatch):
    sf.write(tmp_path / "a.wav", synth.sequence([0.5, 1.5, 3.0], RATE), RATE)
    marker = "from sst.audio import decode_worker\n"
    monkeypatch.setattr(
        decode_process, "_WORKER", decode_process._WORKER.replace(marker, marker + SLOW)
    )
    assert len(hits_of(tmp_path / "a.wav", timeout_s=1.0)) == 3  # 2 s and more of waiting


def test_few_sounds_wait_however_many_there_are(tmp_path, monkeypatch):
    """While an early file takes its time, the workers of later ones are not listened to."""
    monkeypatch.setattr(decode_pool, "WINDOW", 8)
    times = list(np.arange(40) / 4 + 0.1)
    for i in range(12):
        sf.write(tmp_path / f"{i:02}.wav", synth.sequence(times, 8_000, seed=i), 8_000)
    waiting = []
    read_from = decode_pool._Pool._read_from

    def watched(pool):
        sounds = sum(len(r) if isinstance(r, list) else 1 for r in pool.results.values())
        waiting.append(sounds + sum(len(w.hits) for w in pool.workers))
        return read_from(pool)

    monkeypatch.setattr(decode_pool._Pool, "_read_from", watched)
    paths = sorted(tmp_path.iterdir())
    with contextlib.closing(decode_pool.decode_hits(paths, A, S, workers=2)) as results:
        found = list(results)
    assert all(len(f) > 30 for f in found) and [f[0].path for f in found] == paths
    # One file being taken in, and what one look into a pipe brings beyond the limit.
    assert max(waiting) <= 16 + 40 + 2 * 40


def test_a_hit_never_overlaps_the_next_one(loop):
    found = hits_of(loop)
    assert all(a.end_s <= b.clip.onset_s for a, b in itertools.pairwise(found))
